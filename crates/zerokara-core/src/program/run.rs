//! Runs of a program: the locks on its parameters, what it prepares once for all, and what each run works in.

use super::{Bound, Program, Shared, StepTime, StepTimes};
use crate::{
    Array, Error, Result,
    compile::{self, step_number},
    parameter::Held,
};
use std::{
    cell::RefCell,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::Duration,
};
use zerokara_kernels::{
    executor::{External, Prepared, RunError, Workspace},
    storage::Storage,
};

thread_local! {
    /// Room for the locks of a run on its parameters, so that a run need not allocate it.
    static HELD: RefCell<Vec<Held<'static>>> = const { RefCell::new(Vec::new()) };
}

/// Bytes that runs at rest hold, at most, beside those of the first: what more of them held is given back.
const MOST_AT_REST: usize = 256 << 20;

/// What one run at a time works in.
#[derive(Default)]
pub(super) struct RunState {
    workspace: Workspace,
    outputs: Vec<Array>,
    /// Kept from run to run, so that a run need not allocate them: values of parameters that are only read, storages, and
    /// the versions of those values in the order of the locks.
    read: Vec<Option<Arc<Storage>>>,
    externals: Vec<External<'static>>,
    versions: Vec<u64>,
    /// The bytes that it holds, while it is at rest.
    bytes: usize,
}

impl RunState {
    fn holds(&self) -> usize {
        let outputs = self.outputs.iter().map(|output| output.storage().bytes());
        self.workspace.bytes() + outputs.sum::<usize>()
    }
}

/// States that no run works in.
#[derive(Default)]
pub(super) struct AtRest {
    #[allow(clippy::vec_box)] // every run takes one out and puts it back
    states: Vec<Box<RunState>>,
    bytes: usize,
}

/// What was prepared of parameters of these versions.
pub(super) struct Ready {
    versions: Vec<u64>,
    prepared: Prepared,
}

/// The newest preparation, and the lock of whoever makes one.
#[derive(Default)]
pub(super) struct Preparation {
    ready: RwLock<Option<Arc<Ready>>>,
    making: Mutex<()>,
}

impl Preparation {
    /// What is ready for parameters of these versions: `None` if it must be made, `Some(None)` if there is one of newer
    /// values already, so that another run's would be in the way.
    fn find(&self, versions: &[u64]) -> Option<Option<Arc<Ready>>> {
        let ready = self.ready.read().unwrap_or_else(PoisonError::into_inner);
        let ready = ready.as_ref()?;
        if ready.versions == versions {
            return Some(Some(ready.clone()));
        }
        let mut both = ready.versions.iter().zip(versions);
        both.any(|(ready, own)| ready > own).then_some(None)
    }

    /// The old preparation, if nobody reads it any more.
    fn take_old(&self) -> Option<Prepared> {
        let mut ready = self.ready.write().unwrap_or_else(PoisonError::into_inner);
        ready.as_mut().and_then(Arc::get_mut)?;
        let old = ready.take().and_then(Arc::into_inner)?;
        Some(old.prepared)
    }

    fn put(&self, ready: Arc<Ready>) {
        *self.ready.write().unwrap_or_else(PoisonError::into_inner) = Some(ready);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// A state for a run: one that is at rest, or a new one.
    pub(super) fn take(&self) -> Box<RunState> {
        let mut rest = lock(&self.at_rest);
        match rest.states.pop() {
            Some(state) => {
                rest.bytes -= state.bytes;
                state
            }
            None => Box::default(),
        }
    }

    /// Keeps a state for later runs.
    pub(super) fn give_back(&self, mut state: Box<RunState>) {
        state.bytes = state.holds();
        let mut rest = lock(&self.at_rest);
        if rest.states.is_empty() || rest.bytes + state.bytes <= MOST_AT_REST {
            rest.bytes += state.bytes;
            rest.states.push(state);
        }
    }

    /// Runs the plan; the outputs are in the state.
    pub(super) fn execute(
        &self,
        state: &mut RunState,
        inputs: &[Array],
        times: Option<&mut Vec<u64>>,
    ) -> Result<()> {
        self.check(inputs)?;
        let RunState {
            workspace,
            outputs,
            read,
            externals: kept_externals,
            versions,
            ..
        } = state;
        for (at, meta) in self.metas.iter().enumerate() {
            // Somebody still holds the last run's output: it stays theirs.
            let is_free = outputs.get_mut(at).map(|o| o.unique_storage().is_some());
            match is_free {
                Some(true) => {}
                Some(false) => outputs[at] = self.runtime.zeros(meta)?,
                None => outputs.push(self.runtime.zeros(meta)?),
            }
        }
        // All locks together, in one order, so that what a run sees of other programs' updates is all or nothing; values
        // that are only read are let go at once.
        let mut held: Vec<Held<'_>> = HELD.take();
        for &at in &self.locks {
            held.push(match &self.bindings[at] {
                Bound::Updated(parameter) => parameter.hold_to_write(),
                Bound::Parameter(parameter) => parameter.hold_to_read(),
                _ => Held::Released,
            });
        }
        read.clear();
        read.resize_with(self.bindings.len(), || None);
        versions.clear();
        for (held, &at) in held.iter_mut().zip(&self.locks) {
            if let Some((value, version)) = held.release_read() {
                read[at] = Some(value);
                versions.push(version);
            }
        }
        let mut externals: Vec<External<'_>> = std::mem::take(kept_externals);
        externals.extend(self.bindings.iter().zip(&*read).map(|(bound, read)| {
            External::Read(match (bound, read) {
                (Bound::Value(value), _) => value.storage(),
                (Bound::Input(i), _) => inputs[*i].storage(),
                (_, Some(storage)) => storage,
                _ => &self.unbound,
            })
        }));
        let shared = || Error::new("a buffer to be written is shared");
        for (held, &at) in held.iter_mut().zip(&self.locks) {
            if let Some(storage) = held.replaced() {
                externals[at] = External::Write(storage);
            }
        }
        for (output, &at) in outputs.iter_mut().zip(&self.written) {
            externals[at] = External::Write(output.unique_storage().ok_or_else(shared)?);
        }
        let done = self.run_plan(workspace, versions, &mut externals, times);
        externals.clear();
        // The same allocations, free of this run's borrows.
        *kept_externals = externals.into_iter().map_while(|_| None).collect();
        held.clear();
        HELD.set(held.into_iter().map_while(|_| None).collect());
        // Values that were only read must not look shared to whoever writes them next.
        read.clear();
        done.map_err(|error| self.explain(error))
    }

    fn run_plan(
        &self,
        workspace: &mut Workspace,
        versions: &[u64],
        externals: &mut [External<'_>],
        times: Option<&mut Vec<u64>>,
    ) -> Result<(), RunError> {
        let (executor, pool) = (&self.executor, self.runtime.pool());
        if let Some(times) = times {
            return executor.run_timed(workspace, pool, externals, times);
        }
        if self.plan.preparation == 0 {
            return executor.run(workspace, pool, externals);
        }
        match self.ready(workspace, versions, externals)? {
            Some(ready) => executor.run_prepared(workspace, pool, externals, &ready.prepared),
            None => executor.run(workspace, pool, externals),
        }
    }

    /// What is prepared of parameters of these versions, made if it is not there; others go on with the old one meanwhile.
    /// Nothing if there is one of newer values.
    fn ready(
        &self,
        workspace: &mut Workspace,
        versions: &[u64],
        externals: &mut [External<'_>],
    ) -> Result<Option<Arc<Ready>>, RunError> {
        let preparation = &self.preparation;
        if let Some(found) = preparation.find(versions) {
            return Ok(found);
        }
        let _making = lock(&preparation.making);
        // Somebody else may have made it by now.
        if let Some(found) = preparation.find(versions) {
            return Ok(found);
        }
        let (pool, old) = (self.runtime.pool(), preparation.take_old());
        let prepared = self.executor.prepare(workspace, pool, externals, old)?;
        let ready = Arc::new(Ready {
            versions: versions.to_vec(),
            prepared,
        });
        preparation.put(ready.clone());
        Ok(Some(ready))
    }

    fn explain(&self, error: RunError) -> Error {
        compile::explain(error, |stage, step| {
            let number = step_number(&self.plan, stage, step);
            self.labels.get(number).cloned()
        })
    }

    fn check(&self, inputs: &[Array]) -> Result<()> {
        if inputs.len() != self.inputs.len() {
            return Err(Error::new(format!(
                "the program takes {} inputs, not {}",
                self.inputs.len(),
                inputs.len()
            )));
        }
        for ((name, meta), input) in self.inputs.iter().zip(inputs) {
            input.valid()?;
            if !input.is_like(meta) {
                return Err(Error::new(format!(
                    "input {name} must be {meta}, not {}",
                    input.meta()
                )));
            }
        }
        Ok(())
    }

    /// What each step computes, with its time.
    fn step_times(&self, nanoseconds: Vec<u64>) -> StepTimes {
        let steps = self.plan.stages.iter().flat_map(|stage| &stage.steps);
        self.labels
            .iter()
            .zip(&self.parts)
            .zip(steps)
            .zip(nanoseconds)
            .map(|(((label, parts), step), nanoseconds)| StepTime {
                label: label.clone(),
                parts: parts.clone(),
                kernel: compile::dump::describe(&self.plan, step),
                duration: Duration::from_nanos(nanoseconds),
                flops: step.flops(),
                bytes: step.bytes(&self.plan.buffers),
            })
            .collect()
    }
}

/// Runs a program again and again, one run after another, and keeps what runs need: the outputs stay where they are.
///
/// ```
/// use zerokara_core::{Array, DType, Program, Tensor};
/// let x = Tensor::input("x", [2], DType::F32);
/// let program = Program::compile(&[&x], &[&(&x * 2.0)], &[])?;
/// let mut runner = program.runner();
/// for k in [1.0f32, 5.0] {
///     let outputs = runner.run(&[Array::new([2], vec![k, 0.5])])?;
///     assert_eq!(outputs[0].as_slice::<f32>()?, [2.0 * k, 1.0]);
/// }
/// # Ok::<(), zerokara_core::Error>(())
/// ```
pub struct Runner {
    program: Program,
    state: Box<RunState>,
}

impl Runner {
    pub(super) fn new(program: Program) -> Self {
        let state = program.shared.take();
        Self { program, state }
    }

    /// The program that it runs.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// As [`Program::run`]; the next run writes over the outputs, unless somebody holds a clone of them.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn run(&mut self, inputs: &[Array]) -> Result<&[Array]> {
        self.program.shared.execute(&mut self.state, inputs, None)?;
        Ok(&self.state.outputs)
    }

    /// As [`Runner::run`]; also gives what each step computes, and its time.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn run_timed(&mut self, inputs: &[Array]) -> Result<(&[Array], StepTimes)> {
        let (shared, mut nanoseconds) = (&self.program.shared, Vec::new());
        shared.execute(&mut self.state, inputs, Some(&mut nanoseconds))?;
        Ok((&self.state.outputs, shared.step_times(nanoseconds)))
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // A state that a panic broke off is as good as any: it remembers that it was.
        self.program
            .shared
            .give_back(std::mem::take(&mut self.state));
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runner of {:?}", self.program)
    }
}

impl Program {
    /// Runs the program: gives the outputs and replaces the updated parameters. A parameter's buffer is written in
    /// place unless somebody else holds the value, who then keeps the old one. Many threads may run one program at once;
    /// those that update the same parameters do so one after another.
    ///
    /// # Errors
    /// If an input has another shape or element type than it was declared with, or a kernel rejects a value (a label
    /// that is no class): then no parameter has been changed that was read before, but updates may be incomplete.
    pub fn run(&self, inputs: &[Array]) -> Result<Vec<Array>> {
        let mut state = self.shared.take();
        let done = self.shared.execute(&mut state, inputs, None);
        let outputs = done.map(|()| state.outputs.clone());
        self.shared.give_back(state);
        outputs
    }

    /// What runs the program again and again, and keeps the outputs in their place: for loops in which nothing is to be
    /// allocated, and to see the times of the steps.
    pub fn runner(&self) -> Runner {
        Runner::new(self.clone())
    }
}
