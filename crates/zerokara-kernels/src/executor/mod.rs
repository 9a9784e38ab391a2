//! Runs plans: everything is checked once, when the plan is taken, then run again and again without checks and
//! without allocating.
//!
//! An [`Executor`] does not change when it runs; what a run changes lies in its [`Workspace`] and in the storages that it
//! was given. So any number of threads may run one executor at once.

mod build;
mod check;
mod extent;
#[cfg(test)]
mod tests;
mod workspace;

use std::{
    cmp::Reverse,
    fmt,
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

pub use check::PlanError;
use workspace::{Deal, Dealt, Needs};
pub use workspace::{Prepared, Workspace};

use crate::{
    access::Memory,
    isa::Isa,
    map::compile::Compiler,
    plan::{Buffer, Element, Plan},
    storage::{ALIGNMENT, Storage},
    tasks::{Room, Task},
    threads::{Pool, run_alone},
};

/// Stages with less work than this (in tenths of a nanosecond) are not worth waking another thread for.
const INLINE_WEIGHT: usize = 20_000;

/// A storage handed to [`Executor::run`].
#[derive(Debug)]
pub enum External<'a> {
    /// Only read.
    Read(&'a Storage),
    /// May be written.
    Write(&'a mut Storage),
}

/// Why a run stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunError {
    /// The plan takes another number of storages.
    ExternalCount {
        /// Number that the plan takes.
        expected: usize,
        /// Number that was given.
        given: usize,
    },
    /// A storage has another type or length than the plan's buffer.
    ExternalMismatch {
        /// Which storage.
        external: usize,
        /// Type and length in the plan.
        expected: (Element, usize),
        /// Type and length given.
        given: (Element, usize),
    },
    /// The plan writes to a storage that was given for reading only.
    ExternalReadOnly {
        /// Which storage.
        external: usize,
    },
    /// What was prepared belongs to another plan.
    Foreign,
    /// There is no memory for the values between the plan's steps.
    Memory {
        /// How many bytes were wanted.
        bytes: usize,
    },
    /// A step failed (an index out of range, an error from the caller's code). What later stages would have written is
    /// unchanged.
    Step {
        /// Number of the stage.
        stage: usize,
        /// Number of the step in the stage.
        step: usize,
        /// What happened.
        message: String,
    },
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::ExternalCount { expected, given } => {
                write!(f, "the plan takes {expected} storages, {given} were given")
            }
            RunError::ExternalMismatch {
                external,
                expected,
                given,
            } => write!(
                f,
                "storage {external} should hold {} elements of {:?}, it holds {} of {:?}",
                expected.1, expected.0, given.1, given.0
            ),
            RunError::ExternalReadOnly { external } => {
                write!(
                    f,
                    "the plan writes to storage {external}, which was given for reading"
                )
            }
            RunError::Foreign => f.write_str("what was prepared belongs to another plan"),
            RunError::Memory { bytes } => {
                write!(
                    f,
                    "there is no memory for the {bytes} bytes that a plan works in"
                )
            }
            RunError::Step {
                stage,
                step,
                message,
            } => {
                write!(f, "step {step} of stage {stage} failed: {message}")
            }
        }
    }
}

impl std::error::Error for RunError {}

struct Stage {
    tasks: Vec<Box<dyn Task>>,
    /// The tasks in the order in which their units are handed out: long units first, so that no thread is left with one
    /// when the others have nothing more to do.
    order: Vec<usize>,
    inline: bool,
}

/// A checked plan, ready to run: by any number of threads at once, each in a [`Workspace`] of its own.
///
/// ```
/// use std::thread;
/// use zerokara_kernels::{
///     executor::{Executor, External, Workspace},
///     isa::Isa,
///     code::{Code, Instruction, Unary},
///     plan::{Buffer, Element, MapStep, Region, Plan, Stage, Step, View},
///     storage::Storage,
///     threads::Pool,
/// };
///
/// let view = |buffer| View { buffer, offset: 0, shape: vec![3], strides: vec![1] };
/// let code = Code {
///     instructions: vec![Instruction::Load(0), Instruction::Unary(Unary::Square, 0)],
///     results: vec![1],
/// };
/// let step = MapStep { shape: vec![3], inputs: vec![view(0)], outputs: vec![view(1)], code };
/// let external = |i| Buffer { element: Element::F32, len: 3, region: Region::External(i) };
/// let plan = Plan {
///     buffers: vec![external(0), external(1)],
///     externals: 2,
///     stages: vec![Stage { steps: vec![Step::Map(step)] }],
///     ..Plan::default()
/// };
/// let executor = Executor::new(&plan, Isa::Portable)?;
/// let pool = Pool::new(2);
/// thread::scope(|scope| {
///     for k in 1..4 {
///         let (executor, pool) = (&executor, &pool);
///         scope.spawn(move || {
///             let mut workspace = Workspace::default();
///             let input = Storage::from([k as f32; 3]);
///             let mut output = Storage::zeros(Element::F32, 3);
///             let mut both = [External::Read(&input), External::Write(&mut output)];
///             executor.run(&mut workspace, pool, &mut both).unwrap();
///             assert_eq!(output.f32s(), Some(&[(k * k) as f32; 3][..]));
///         });
///     }
/// });
/// # Ok::<(), zerokara_kernels::executor::PlanError>(())
/// ```
pub struct Executor {
    /// Another one for each executor.
    id: u64,
    stages: Vec<Stage>,
    preparation: usize,
    buffers: Vec<Buffer>,
    externals: usize,
    /// For each external, whether a step writes to it.
    written: Vec<bool>,
    needs: Needs,
    /// The units as they were dealt last.
    dealt: Mutex<Option<Dealt>>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("stages", &self.stages.len())
            .field("arena_bytes", &self.needs.arena)
            .field("externals", &self.externals)
            .finish()
    }
}

/// A pointer to scratch that the closure of a region may carry to other threads.
#[derive(Clone, Copy)]
struct Scratch(*mut u8, usize);

// SAFETY: each worker uses its own part.
unsafe impl Send for Scratch {}
// SAFETY: as above.
unsafe impl Sync for Scratch {}

impl Scratch {
    fn of(self, worker: usize) -> *mut u8 {
        self.0.wrapping_add(worker * self.1)
    }
}

/// First failure of a stage: by task, then by unit, so that the same one is reported on any number of threads.
type Failure = Mutex<Option<((usize, usize), String)>>;

impl Executor {
    /// Checks the plan and makes its steps ready for an instruction set, which must be one that this CPU has.
    ///
    /// # Errors
    /// [`PlanError`] tells the first step that breaks the contract told in [`crate::plan`].
    pub fn new(plan: &Plan, isa: Isa) -> Result<Executor, PlanError> {
        if !isa.is_available() {
            return Err(PlanError::plan(format!("this CPU has no {}", isa.name())));
        }
        let written = check::plan(plan)?;
        let mut stages = Vec::with_capacity(plan.stages.len());
        let mut scratch_bytes = 0;
        let mut room = Room::default();
        for (s, stage) in plan.stages.iter().enumerate() {
            let mut tasks = Vec::with_capacity(stage.steps.len());
            for (i, step) in stage.steps.iter().enumerate() {
                let task = build::task(isa, plan, step);
                let mut task = task.map_err(|message| PlanError::step(s, i, message))?;
                task.reserve(&mut room);
                tasks.push(task);
            }
            let mut order: Vec<usize> = (0..tasks.len()).collect();
            order.sort_by_key(|&t| Reverse(tasks[t].weight() / tasks[t].units().max(1)));
            for task in &tasks {
                scratch_bytes = task.scratch_bytes().max(scratch_bytes);
            }
            let weight = tasks
                .iter()
                .fold(0usize, |sum, task| sum.saturating_add(task.weight()));
            stages.push(Stage {
                tasks,
                order,
                inline: weight < INLINE_WEIGHT,
            });
        }
        Ok(Executor {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            stages,
            preparation: plan.preparation.min(plan.stages.len()),
            buffers: plan.buffers.clone(),
            externals: plan.externals,
            written,
            needs: Needs {
                arena: plan.arena_bytes,
                prepared: plan.prepared_bytes,
                scratch: scratch_bytes.next_multiple_of(ALIGNMENT),
                room,
            },
            dealt: Mutex::new(None),
        })
    }

    /// Makes machine code of the plan's elementwise code, which pays for what runs again and again. The results stay the
    /// same to the bit.
    pub fn compile(&mut self) {
        let mut compiler = Compiler::default();
        let tasks = self.stages.iter_mut().flat_map(|stage| &mut stage.tasks);
        tasks.for_each(|task| task.compile(&mut compiler));
    }

    /// Runs the plan on these storages, one for each external.
    ///
    /// # Errors
    /// [`RunError`] if a storage does not fit, or a step fails.
    ///
    /// # Panics
    /// If the caller's code in a [`HostStep`](crate::plan::HostStep) panics, with its panic.
    pub fn run(
        &self,
        workspace: &mut Workspace,
        pool: &Pool,
        externals: &mut [External<'_>],
    ) -> Result<(), RunError> {
        let prepared = workspace.own_prepared(&self.needs)?;
        self.begin(workspace, pool, externals, prepared)?;
        self.run_stages(0..self.stages.len(), workspace, pool)
    }

    /// Runs the stages of [`Plan::preparation`] alone, for runs that read the same values in the storages that these
    /// stages read; in the place of an `old` preparation, if one is given.
    ///
    /// # Errors
    /// As [`run`](Executor::run).
    pub fn prepare(
        &self,
        workspace: &mut Workspace,
        pool: &Pool,
        externals: &mut [External<'_>],
        old: Option<Prepared>,
    ) -> Result<Prepared, RunError> {
        let mut prepared = Prepared::place(self.id, &self.needs, old)?;
        self.begin(workspace, pool, externals, prepared.address_mut())?;
        self.run_stages(0..self.preparation, workspace, pool)?;
        Ok(prepared)
    }

    /// Like [`run`](Executor::run), but without the stages of [`Plan::preparation`], whose results are given.
    ///
    /// # Errors
    /// As [`run`](Executor::run); [`RunError::Foreign`] if another executor has prepared.
    pub fn run_prepared(
        &self,
        workspace: &mut Workspace,
        pool: &Pool,
        externals: &mut [External<'_>],
        prepared: &Prepared,
    ) -> Result<(), RunError> {
        if prepared.executor != self.id {
            return Err(RunError::Foreign);
        }
        // The plan was checked: these stages write nothing there.
        self.begin(workspace, pool, externals, prepared.address())?;
        self.run_stages(self.preparation..self.stages.len(), workspace, pool)
    }

    fn run_stages(
        &self,
        which: Range<usize>,
        workspace: &mut Workspace,
        pool: &Pool,
    ) -> Result<(), RunError> {
        // Out of the workspace while it is borrowed.
        let dealt = self.deal(workspace, pool.threads());
        workspace.is_torn = true;
        let (memory, scratch) = workspace.memory();
        let scratch = Scratch(scratch, self.needs.scratch);
        for s in which {
            let (stage, Deal { units, ends }) = (&self.stages[s], &dealt.stages[s]);
            let failure = Failure::default();
            let work = |place: usize, worker: usize| {
                let (task, unit) = (units[place].0 as usize, units[place].1 as usize);
                run_unit(stage, task, unit, memory, scratch.of(worker), &failure);
            };
            if stage.inline {
                run_alone(units.len(), &work);
            } else {
                pool.run_shares(units.len(), |thread| ends[thread], &work);
            }
            finish(s, failure)?;
        }
        workspace.is_torn = false;
        workspace.dealt = Some(dealt);
        Ok(())
    }

    /// Like [`run`](Executor::run), but the steps of a stage run one after another, each on all threads; the time of each
    /// step, stage by stage, is put in `nanoseconds`.
    ///
    /// # Errors
    /// As [`run`](Executor::run).
    pub fn run_timed(
        &self,
        workspace: &mut Workspace,
        pool: &Pool,
        externals: &mut [External<'_>],
        nanoseconds: &mut Vec<u64>,
    ) -> Result<(), RunError> {
        nanoseconds.clear();
        let prepared = workspace.own_prepared(&self.needs)?;
        self.begin(workspace, pool, externals, prepared)?;
        workspace.is_torn = true;
        let (memory, scratch) = workspace.memory();
        let scratch = Scratch(scratch, self.needs.scratch);
        for (s, stage) in self.stages.iter().enumerate() {
            for (t, task) in stage.tasks.iter().enumerate() {
                let start = Instant::now();
                let failure = Failure::default();
                let work = |unit: usize, worker: usize| {
                    run_unit(stage, t, unit, memory, scratch.of(worker), &failure);
                };
                if task.weight() < INLINE_WEIGHT {
                    run_alone(task.units(), &work);
                } else {
                    pool.run(task.units(), &work);
                }
                nanoseconds.push(start.elapsed().as_nanos() as u64);
                finish(s, failure)?;
            }
        }
        workspace.is_torn = false;
        Ok(())
    }

    /// Bytes of the arena.
    pub fn arena_bytes(&self) -> usize {
        self.needs.arena
    }

    /// Units of each step, stage by stage.
    pub fn units(&self) -> Vec<Vec<usize>> {
        let units = |stage: &Stage| stage.tasks.iter().map(|task| task.units()).collect();
        self.stages.iter().map(units).collect()
    }

    /// The units of all stages, dealt to so many threads: as the workspace knows them, or anew.
    fn deal(&self, workspace: &mut Workspace, threads: usize) -> Dealt {
        let fits = |dealt: &Dealt| dealt.executor == self.id && dealt.threads == threads;
        if let Some(own) = workspace.dealt.take().filter(fits) {
            return own;
        }
        let mut last = self.dealt.lock().unwrap_or_else(PoisonError::into_inner);
        match last.as_ref().filter(|last| fits(last)) {
            Some(dealt) => dealt.clone(),
            None => {
                let stages = self.stages.iter();
                let dealt = Dealt {
                    executor: self.id,
                    threads,
                    stages: stages
                        .map(|stage| Deal::new(&stage.tasks, &stage.order, threads))
                        .collect(),
                };
                last.insert(dealt).clone()
            }
        }
    }

    /// Checks what was given, and makes the workspace ready for a run.
    fn begin(
        &self,
        workspace: &mut Workspace,
        pool: &Pool,
        externals: &mut [External<'_>],
        prepared: *mut u8,
    ) -> Result<(), RunError> {
        if externals.len() != self.externals {
            let (expected, given) = (self.externals, externals.len());
            return Err(RunError::ExternalCount { expected, given });
        }
        for (external, (given, &written)) in externals.iter().zip(&self.written).enumerate() {
            if written && matches!(given, External::Read(_)) {
                return Err(RunError::ExternalReadOnly { external });
            }
        }
        workspace.hold(&self.needs, pool.threads())?;
        workspace.bind(&self.buffers, externals, prepared)
    }
}

fn run_unit(
    stage: &Stage,
    task: usize,
    unit: usize,
    memory: Memory<'_>,
    scratch: *mut u8,
    failure: &Failure,
) {
    // SAFETY: the plan was checked for the very instruction set; `begin` found the addresses; the scratch is
    // the worker's own; a region runs each unit once, and conflicts within a stage were refused.
    if let Err(message) = unsafe { stage.tasks[task].run(unit, memory, scratch) } {
        let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
        if first
            .as_ref()
            .is_none_or(|(place, _)| (task, unit) < *place)
        {
            *first = Some(((task, unit), message));
        }
    }
}

fn finish(stage: usize, failure: Failure) -> Result<(), RunError> {
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(((step, _), message)) => Err(RunError::Step {
            stage,
            step,
            message,
        }),
        None => Ok(()),
    }
}
