//! Runs plans: everything is checked once, when the plan is taken, then run again and again without checks and
//! without allocating.

mod build;
mod chain_task;
mod check;
mod contract_task;
mod conv_task;
mod extent;
mod host_task;
mod map_task;
#[cfg(test)]
mod tests;
mod transpose_task;

use std::{
    cmp::Reverse,
    fmt,
    sync::{Mutex, PoisonError},
    time::Instant,
};

pub use check::PlanError;

use crate::{
    access::Memory,
    isa::Isa,
    map::compile::Compiler,
    plan::{Buffer, Element, Place, Plan},
    share::share,
    storage::{ALIGNMENT, Storage},
    threads::Pool,
};

/// Stages with less work than this (in tenths of a nanosecond) are not worth waking another thread for.
const INLINE_WEIGHT: usize = 20_000;

/// Work that one unit should have at least (in tenths of a nanosecond): large against the cost of handing it out.
const UNIT_WEIGHT: usize = 80_000;

/// How many parts that weigh so much each (in tenths of a nanosecond) make a unit: at least one, however heavy it is.
pub(crate) fn parts_of_unit(weight: usize) -> usize {
    (UNIT_WEIGHT / weight.max(1)).max(1)
}

/// A step made ready.
pub(crate) trait Task: Send + Sync {
    /// Number of units, from the step's shapes alone.
    fn units(&self) -> usize;

    /// Estimate of the work of all units, in tenths of a nanosecond.
    fn weight(&self) -> usize;

    /// Scratch that a unit needs, in bytes, on a 64-byte boundary.
    fn scratch_bytes(&self) -> usize {
        0
    }

    /// Makes ready for the next run; no unit is running.
    fn reset(&mut self) {}

    /// Makes machine code of elementwise code.
    fn compile(&mut self, compiler: &mut Compiler) {
        let _ = compiler;
    }

    /// Runs one unit.
    ///
    /// # Safety
    /// The step was checked, `memory` is that of its plan, the CPU has the instruction set; the scratch is this call's
    /// alone; each unit runs once in a run, and no step that conflicts runs at the same time.
    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String>;
}

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
    /// All units, thread after thread; filled for the number of threads of the last run.
    deal: Deal,
    inline: bool,
}

/// The units of a stage as they are dealt to threads: of each task a part, the same one whatever stands beside it, so that
/// steps which work through the same rows one after another find them in the same cache.
#[derive(Default)]
struct Deal {
    /// Task and unit.
    units: Vec<(u32, u32)>,
    /// For each thread, where its part ends.
    ends: Vec<usize>,
}

impl Deal {
    fn new(tasks: &[Box<dyn Task>], order: &[usize], threads: usize) -> Self {
        let mut deal = Deal::default();
        for thread in 0..threads {
            for (place, &task) in order.iter().enumerate() {
                let units = tasks[task].units();
                // Where there are fewer units than threads, another thread begins with each task.
                let first = if units < threads { place % threads } else { 0 };
                let part = share(units, threads, (thread + threads - first) % threads);
                deal.units
                    .extend(part.map(|unit| (task as u32, unit as u32)));
            }
            deal.ends.push(deal.units.len());
        }
        deal
    }
}

/// The addresses of the buffers; rewritten in each run.
#[derive(Default)]
struct Addresses(Vec<*mut u8>);

// SAFETY: they are only followed during a run, which borrows what they lead to.
unsafe impl Send for Addresses {}
// SAFETY: as above.
unsafe impl Sync for Addresses {}

/// A checked plan, ready to run.
pub struct Executor {
    stages: Vec<Stage>,
    preparation: usize,
    buffers: Vec<Buffer>,
    externals: usize,
    /// For each external, whether a step writes to it.
    written: Vec<bool>,
    arena_bytes: usize,
    /// Empty until the first run, and after [`Executor::release`].
    arena: Storage,
    addresses: Addresses,
    scratch_bytes: usize,
    scratch: Storage,
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Executor")
            .field("stages", &self.stages.len())
            .field("arena_bytes", &self.arena_bytes)
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
        for (s, stage) in plan.stages.iter().enumerate() {
            let mut tasks = Vec::with_capacity(stage.steps.len());
            for (i, step) in stage.steps.iter().enumerate() {
                let task = build::task(isa, plan, step);
                tasks.push(task.map_err(|message| PlanError::step(s, i, message))?);
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
                deal: Deal::default(),
                inline: weight < INLINE_WEIGHT,
            });
        }
        Ok(Executor {
            stages,
            preparation: plan.preparation,
            buffers: plan.buffers.clone(),
            externals: plan.externals,
            written,
            arena_bytes: plan.arena_bytes,
            arena: Storage::zeros(Element::Bool, 0),
            addresses: Addresses(Vec::with_capacity(plan.buffers.len())),
            scratch_bytes: scratch_bytes.next_multiple_of(ALIGNMENT),
            scratch: Storage::zeros(Element::Bool, 0),
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
    pub fn run(&mut self, pool: &Pool, externals: &mut [External<'_>]) -> Result<(), RunError> {
        self.run_from(0, pool, externals)
    }

    /// Like [`run`](Executor::run), but without the stages of [`Plan::preparation`]: the last run must have done them on
    /// the same values, and the executor must have kept what it holds.
    ///
    /// # Errors
    /// As [`run`](Executor::run).
    pub fn run_prepared(
        &mut self,
        pool: &Pool,
        externals: &mut [External<'_>],
    ) -> Result<(), RunError> {
        self.run_from(self.preparation, pool, externals)
    }

    fn run_from(
        &mut self,
        first: usize,
        pool: &Pool,
        externals: &mut [External<'_>],
    ) -> Result<(), RunError> {
        self.prepare_run(pool, externals)?;
        let memory = Memory {
            buffers: &self.addresses.0,
        };
        let scratch = Scratch(self.scratch.as_mut_ptr(), self.scratch_bytes);
        for (s, stage) in self.stages.iter().enumerate().skip(first) {
            let failure = Failure::default();
            let Deal { units, ends } = &stage.deal;
            let work = |place: usize, worker: usize| {
                let (task, unit) = (units[place].0 as usize, units[place].1 as usize);
                run_unit(stage, task, unit, memory, scratch.of(worker), &failure);
            };
            if stage.inline {
                (0..units.len()).for_each(|place| work(place, 0));
            } else {
                pool.run_shares(units.len(), |thread| ends[thread], &work);
            }
            finish(s, failure)?;
        }
        Ok(())
    }

    /// Like [`run`](Executor::run), but the steps of a stage run one after another, each on all threads; the time of each
    /// step, stage by stage, is put in `nanoseconds`.
    ///
    /// # Errors
    /// As [`run`](Executor::run).
    pub fn run_timed(
        &mut self,
        pool: &Pool,
        externals: &mut [External<'_>],
        nanoseconds: &mut Vec<u64>,
    ) -> Result<(), RunError> {
        nanoseconds.clear();
        self.prepare_run(pool, externals)?;
        let memory = Memory {
            buffers: &self.addresses.0,
        };
        let scratch = Scratch(self.scratch.as_mut_ptr(), self.scratch_bytes);
        for (s, stage) in self.stages.iter().enumerate() {
            for (t, task) in stage.tasks.iter().enumerate() {
                let start = Instant::now();
                let failure = Failure::default();
                let work = |unit: usize, worker: usize| {
                    run_unit(stage, t, unit, memory, scratch.of(worker), &failure);
                };
                if task.weight() < INLINE_WEIGHT {
                    (0..task.units()).for_each(|unit| work(unit, 0));
                } else {
                    pool.run(task.units(), &work);
                }
                nanoseconds.push(start.elapsed().as_nanos() as u64);
                finish(s, failure)?;
            }
        }
        Ok(())
    }

    /// Bytes of the arena.
    pub fn arena_bytes(&self) -> usize {
        self.arena_bytes
    }

    /// Bytes that it holds between runs: the arena and its threads' scratch.
    pub fn held_bytes(&self) -> usize {
        self.arena.len() + self.scratch.len()
    }

    /// Gives back the arena and the scratch; the next [`run`](Executor::run) takes them anew.
    pub fn release(&mut self) {
        self.arena = Storage::zeros(Element::Bool, 0);
        self.scratch = Storage::zeros(Element::Bool, 0);
    }

    /// Takes what a run needs, if it is not there yet.
    fn hold(&mut self, threads: usize) -> Result<(), RunError> {
        let scratch_bytes = self.scratch_bytes.saturating_mul(threads);
        for (storage, bytes) in [
            (&mut self.arena, self.arena_bytes),
            (&mut self.scratch, scratch_bytes),
        ] {
            if storage.len() < bytes {
                *storage =
                    Storage::try_zeros(Element::Bool, bytes).ok_or(RunError::Memory { bytes })?;
            }
        }
        Ok(())
    }

    /// Units of each step, stage by stage.
    pub fn units(&self) -> Vec<Vec<usize>> {
        let units = |stage: &Stage| stage.tasks.iter().map(|task| task.units()).collect();
        self.stages.iter().map(units).collect()
    }

    fn prepare_run(&mut self, pool: &Pool, externals: &mut [External<'_>]) -> Result<(), RunError> {
        if externals.len() != self.externals {
            let (expected, given) = (self.externals, externals.len());
            return Err(RunError::ExternalCount { expected, given });
        }
        for (external, (given, &written)) in externals.iter().zip(&self.written).enumerate() {
            if written && matches!(given, External::Read(_)) {
                return Err(RunError::ExternalReadOnly { external });
            }
        }
        self.hold(pool.threads())?;
        let arena = self.arena.as_mut_ptr();
        self.addresses.0.clear();
        for buffer in &self.buffers {
            let address = match buffer.place {
                Place::Arena(offset) => arena.wrapping_add(offset),
                // Each slice of a chain puts its own address there.
                Place::Local(_) => std::ptr::null_mut(),
                Place::External(external) => {
                    let (storage, address) = match &mut externals[external] {
                        External::Read(storage) => (&**storage, storage.as_ptr().cast_mut()),
                        External::Write(storage) => {
                            let address = storage.as_mut_ptr();
                            (&**storage, address)
                        }
                    };
                    let expected = (buffer.element, buffer.len);
                    let given = (storage.element(), storage.len());
                    if given != expected {
                        return Err(RunError::ExternalMismatch {
                            external,
                            expected,
                            given,
                        });
                    }
                    address
                }
            };
            self.addresses.0.push(address);
        }
        for stage in &mut self.stages {
            stage.tasks.iter_mut().for_each(|task| task.reset());
            if stage.deal.ends.len() != pool.threads() {
                stage.deal = Deal::new(&stage.tasks, &stage.order, pool.threads());
            }
        }
        Ok(())
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
    // SAFETY: the plan was checked for the very instruction set; `prepare_run` found the addresses; the scratch is
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
