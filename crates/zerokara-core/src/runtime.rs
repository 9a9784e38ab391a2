//! The runtime: thread pool, instruction set, and the cache of plans. How many threads it has never changes results.

use crate::{
    Array, Attributes, Error, Meta, Result,
    compile::{self, Binding, Compiled, Label, Target},
    graph::{Graph, Source},
    limits::Limits,
};
use std::{
    collections::HashMap,
    io::{self, Write},
    sync::{Arc, Mutex, MutexGuard, Once, OnceLock, PoisonError, RwLock},
};
use zerokara_kernels::{
    executor::{Executor, External, Workspace},
    isa::Isa,
    plan::Arithmetic,
    threads::Pool,
};

/// Plans of eager evaluations that are kept; the one least recently used goes first.
const CACHED_PLANS: usize = 128;

/// Bytes that these plans hold between evaluations, at most: those least recently used give back what they work in, and one
/// that alone holds more gives it back at once.
const CACHED_BYTES: usize = 256 << 20;

/// Nodes of the graphs of all plans that are kept, at most: a plan takes some hundred bytes for each.
const CACHED_NODES: usize = 400_000;

/// Threads and plans. A default one serves the process; [`Runtime::install`] replaces it.
pub struct Runtime {
    pool: Pool,
    target: Target,
    limits: Limits,
    plans: Mutex<Plans>,
}

#[derive(Default)]
struct Plans {
    by_key: HashMap<Arc<Key>, Kept>,
    clock: u64,
    compiled: usize,
    /// Bytes that all plans hold, and nodes of their graphs.
    held: usize,
    nodes: usize,
}

/// A plan of the cache.
struct Kept {
    /// When it was last asked for.
    used: u64,
    /// Bytes that its workspaces hold, as far as is known here.
    held: usize,
    plan: Arc<EagerPlan>,
}

impl Plans {
    /// Lets plans that have not been used for long give back what they hold, until the rest is within the bound; those that
    /// are running are left alone.
    fn shrink(&mut self) {
        let mut holding: Vec<&mut Kept> = self.by_key.values_mut().collect();
        holding.retain(|kept| kept.held > 0);
        holding.sort_unstable_by_key(|kept| kept.used);
        for kept in holding {
            if self.held <= CACHED_BYTES {
                return;
            }
            let mut rest = lock(&kept.plan.at_rest);
            rest.spaces.clear();
            self.held -= kept.held;
            kept.held = rest.running;
            self.held += kept.held;
        }
    }

    /// Makes room for a plan of so many nodes.
    fn make_room(&mut self, nodes: usize) {
        while self.by_key.len() >= CACHED_PLANS || self.nodes + nodes > CACHED_NODES {
            let Some(oldest) = self.by_key.values().map(|kept| kept.used).min() else {
                return;
            };
            let (all_nodes, all_held) = (&mut self.nodes, &mut self.held);
            self.by_key.retain(|key, kept| {
                if kept.used == oldest {
                    *all_nodes -= key.0.len();
                    *all_held -= kept.held;
                }
                kept.used != oldest
            });
        }
    }
}

/// The structure of a graph: what decides its plan.
type Key = (Vec<KeyNode>, Vec<usize>);

#[derive(PartialEq, Eq, Hash)]
struct KeyNode {
    op: Option<(&'static str, Attributes)>,
    inputs: Vec<usize>,
    meta: Meta,
}

/// A plan, which any number of threads run at once.
#[derive(Default)]
struct EagerPlan {
    /// Made by the first who needs it; the lock is his meanwhile.
    compiled: OnceLock<EagerProgram>,
    compiling: Mutex<()>,
    at_rest: Mutex<AtRest>,
}

/// Workspaces that no run works in, and the bytes of those in which one does.
#[derive(Default)]
struct AtRest {
    spaces: Vec<Workspace>,
    running: usize,
}

impl AtRest {
    fn bytes(&self) -> usize {
        self.spaces.iter().map(Workspace::bytes).sum::<usize>() + self.running
    }
}

struct EagerProgram {
    executor: Executor,
    /// For each external: the graph's leaf by its number, or the output.
    bindings: Vec<Bound>,
    outputs: Vec<Meta>,
    /// For each stage and step, the node that it computes.
    nodes: Vec<Vec<usize>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Bound {
    Leaf(usize),
    Output(usize),
}

static DEFAULT: OnceLock<RwLock<Arc<Runtime>>> = OnceLock::new();

impl Runtime {
    /// A runtime with so many threads, the caller's included.
    ///
    /// # Errors
    /// If there cannot be so many threads, the environment variable `ZEROKARA_ISA` names an instruction set that is unknown
    /// or not there, or `ZEROKARA_MEMORY` or `ZEROKARA_WORK` are no numbers.
    pub fn new(threads: usize) -> Result<Self> {
        let isa = Isa::detect().map_err(|e| Error::new(e.to_string()))?;
        Self::with_isa(threads, isa)
    }

    /// As [`Runtime::new`], on an instruction set of one's own choice.
    ///
    /// # Errors
    /// If there cannot be so many threads, this CPU lacks the instruction set, or `ZEROKARA_MEMORY` or `ZEROKARA_WORK` are
    /// no numbers.
    pub fn with_isa(threads: usize, isa: Isa) -> Result<Self> {
        let pool = Pool::exactly(threads).map_err(|e| Error::new(e.to_string()))?;
        Self::with(pool, isa)
    }

    fn with(pool: Pool, isa: Isa) -> Result<Self> {
        if !isa.is_available() {
            return Err(Error::new(format!(
                "this CPU lacks the instruction set {}",
                isa.name()
            )));
        }
        note_slow_build();
        Ok(Self {
            limits: Limits::from_environment()?,
            pool,
            target: Target::of(isa, Arithmetic::F32),
            plans: Mutex::default(),
        })
    }

    /// What its plans are made for.
    pub(crate) fn target(&self) -> Target {
        self.target
    }

    /// Makes plans as if even small values were large, so that small graphs meet all ways of computing.
    #[cfg(test)]
    pub(crate) fn of_small_sizes(mut self) -> Self {
        self.target.sizes = compile::Sizes::SMALL;
        self
    }

    /// How convolutions multiply and sum where nothing else is said ([`Program::compile_with`](crate::Program::compile_with)
    /// says it): in eager evaluation and in programs.
    ///
    /// ```no_run
    /// # use zerokara_core::{Arithmetic, Runtime};
    /// let threads = Runtime::current()?.threads();
    /// Runtime::new(threads)?.precision(Arithmetic::Direct)?.install();
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// If this CPU, or the instruction set that `ZEROKARA_ISA` asks for, lacks the arithmetic ([`Arithmetic::offer`]).
    pub fn precision(mut self, arithmetic: Arithmetic) -> Result<Self> {
        let refused = arithmetic.offer(self.target.isa);
        refused.map_err(|reason| Error::new(reason.to_string()))?;
        self.target.arithmetic = arithmetic;
        Ok(self)
    }

    /// Lets a computation take so many bytes of memory for its outputs and for the values between its operations; more is
    /// refused before it is allocated. Else it is `ZEROKARA_MEMORY`, or three quarters of the machine's memory.
    pub fn with_memory_limit(mut self, bytes: usize) -> Self {
        self.limits.memory = bytes;
        self
    }

    /// Lets a graph from a file take so many operations (see [`Budget`](crate::Budget)); more is refused when it is loaded.
    /// Else it is `ZEROKARA_WORK`, or 1e13.
    pub fn with_work_limit(mut self, operations: f64) -> Self {
        self.limits.work = operations;
        self
    }

    /// Bytes of memory that a computation may take.
    pub fn memory_limit(&self) -> usize {
        self.limits.memory
    }

    /// Operations that a graph from a file may take.
    pub fn work_limit(&self) -> f64 {
        self.limits.work
    }

    pub(crate) fn limits(&self) -> Limits {
        self.limits
    }

    /// Makes this the process's default runtime.
    pub fn install(self) {
        let runtime = Arc::new(self);
        let cell = DEFAULT.get_or_init(|| RwLock::new(runtime.clone()));
        *cell.write().unwrap_or_else(PoisonError::into_inner) = runtime;
    }

    /// The default runtime: one thread per core (or `ZEROKARA_THREADS`), unless another was installed.
    ///
    /// # Errors
    /// If an environment variable is set to something impossible.
    pub fn current() -> Result<Arc<Self>> {
        if let Some(cell) = DEFAULT.get() {
            return Ok(cell.read().unwrap_or_else(PoisonError::into_inner).clone());
        }
        // Who asks for no number gets what the system grants.
        let pool = match std::env::var_os("ZEROKARA_THREADS") {
            None => Pool::with_all_cores(),
            Some(word) => {
                let number = word.to_str().and_then(|word| word.parse().ok());
                let threads = number.filter(|&n| n > 0).ok_or_else(|| {
                    Error::new(format!(
                        "ZEROKARA_THREADS must be a number of threads from 1 on, not {word:?}"
                    ))
                })?;
                Pool::exactly(threads).map_err(|e| Error::new(format!("ZEROKARA_THREADS: {e}")))?
            }
        };
        let isa = Isa::detect().map_err(|e| Error::new(e.to_string()))?;
        let runtime = Arc::new(Self::with(pool, isa)?);
        Ok(DEFAULT
            .get_or_init(|| RwLock::new(runtime))
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }

    /// The instruction set of the kernels.
    pub fn isa(&self) -> Isa {
        self.target.isa
    }

    /// How convolutions multiply and sum where nothing else is said.
    pub fn arithmetic(&self) -> Arithmetic {
        self.target.arithmetic
    }

    /// Calls `work(unit)` for every unit below `units`, each once, on the threads that run programs. Which thread runs
    /// which unit is left to chance.
    pub fn parallel(&self, units: usize, work: &(dyn Fn(usize) + Sync)) {
        self.pool.run(units, &|unit, _| work(unit));
    }

    /// Number of threads, the caller's included.
    pub fn threads(&self) -> usize {
        self.pool.threads()
    }

    /// Number of plans compiled for eager evaluation so far.
    pub fn plans_compiled(&self) -> usize {
        self.plans
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .compiled
    }

    /// Bytes that the plans kept for eager evaluation hold between evaluations: at most 256 MiB, but for plans that are
    /// running.
    pub fn plans_bytes(&self) -> usize {
        let plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.held
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Evaluates a graph whose leaves all have values.
    pub(crate) fn evaluate(&self, graph: Graph) -> Result<Vec<Array>> {
        let mut leaves = Vec::new();
        for node in &graph.nodes {
            match &node.source {
                Source::Value(value) | Source::Parameter(_, value) => leaves.push(value.clone()),
                Source::Input(tensor) => {
                    return Err(Error::new(format!(
                        "the value depends on an input that is given when a program runs ({})",
                        tensor.node.op.attributes()
                    )));
                }
                Source::Op(_) => {}
            }
        }
        let key = Arc::new(key(&graph));
        let plan = self.plan(&graph, &key);
        let program = match self.compiled(&plan, &graph) {
            Ok(program) => program,
            Err(error) => {
                self.forget(&key, &plan);
                return Err(error);
            }
        };
        let outputs = program.outputs.iter();
        let mut results: Vec<Array> = outputs.map(|o| self.zeros(o)).collect::<Result<_>>()?;
        let mut slots: Vec<Option<&mut Array>> = results.iter_mut().map(Some).collect();
        let mut externals = Vec::with_capacity(program.bindings.len());
        for bound in &program.bindings {
            externals.push(match bound {
                Bound::Leaf(i) => External::Read(leaves[*i].storage()),
                Bound::Output(i) => {
                    let storage = slots[*i].take().and_then(Array::unique_storage);
                    External::Write(storage.ok_or_else(|| Error::new("an output is bound twice"))?)
                }
            });
        }
        let mut running = Running::of(&plan);
        let executor = &program.executor;
        let done = executor.run(&mut running.workspace, &self.pool, &mut externals);
        if running.finish() {
            self.note(&key, &plan);
        }
        // The plan may have been made of another graph like this one: the line is this one's.
        let label = |stage: usize, step: usize| {
            let &at = program.nodes[stage].get(step)?;
            graph.nodes.get(at).map(Label::of)
        };
        done.map_err(|error| compile::explain(error, label))?;
        drop(externals);
        Ok(results)
    }

    /// An array of zeros, within the limits.
    pub(crate) fn zeros(&self, meta: &Meta) -> Result<Array> {
        Array::zeros_within(meta, &self.limits)
    }

    /// Notes what the workspaces of a plan hold now, if it is still kept, and lets others shrink.
    fn note(&self, key: &Key, plan: &Arc<EagerPlan>) {
        let mut plans = lock(&self.plans);
        let plans = &mut *plans;
        if let Some(kept) = plans.by_key.get_mut(key)
            && Arc::ptr_eq(&kept.plan, plan)
        {
            let held = lock(&plan.at_rest).bytes();
            plans.held = plans.held - kept.held + held;
            kept.held = held;
            plans.shrink();
        }
    }

    /// The plan of this structure, which need not be compiled yet.
    fn plan(&self, graph: &Graph, key: &Arc<Key>) -> Arc<EagerPlan> {
        let mut plans = lock(&self.plans);
        plans.clock += 1;
        let now = plans.clock;
        if let Some(kept) = plans.by_key.get_mut(key) {
            kept.used = now;
            return kept.plan.clone();
        }
        plans.make_room(graph.nodes.len());
        plans.nodes += graph.nodes.len();
        let plan = Arc::<EagerPlan>::default();
        let kept = Kept {
            used: now,
            held: 0,
            plan: plan.clone(),
        };
        plans.by_key.insert(key.clone(), kept);
        plan
    }

    /// Lets go of a plan that cannot be compiled.
    fn forget(&self, key: &Key, plan: &Arc<EagerPlan>) {
        let mut plans = lock(&self.plans);
        let is_own = |kept: &Kept| Arc::ptr_eq(&kept.plan, plan);
        if plans.by_key.get(key).is_some_and(is_own)
            && let Some(kept) = plans.by_key.remove(key)
        {
            plans.nodes -= key.0.len();
            plans.held -= kept.held;
        }
    }

    /// What a plan runs. Others that need the same wait while it is compiled; those that need another do not.
    fn compiled<'a>(&self, plan: &'a EagerPlan, graph: &Graph) -> Result<&'a EagerProgram> {
        if let Some(program) = plan.compiled.get() {
            return Ok(program);
        }
        let _compiling = lock(&plan.compiling);
        if let Some(program) = plan.compiled.get() {
            return Ok(program);
        }
        let program = self.compile(graph)?;
        lock(&self.plans).compiled += 1;
        Ok(plan.compiled.get_or_init(|| program))
    }

    fn compile(&self, graph: &Graph) -> Result<EagerProgram> {
        let mut leaf_numbers = HashMap::new();
        for (at, node) in graph.nodes.iter().enumerate() {
            if !matches!(node.source, Source::Op(_)) {
                leaf_numbers.insert(at, leaf_numbers.len());
            }
        }
        let compiled = compile::eager(graph.clone(), self.target)?;
        self.limits.check(&compiled)?;
        let Compiled {
            plan,
            bindings,
            outputs,
            nodes,
            ..
        } = compiled;
        let mut nodes = nodes.into_iter();
        let nodes = plan
            .stages
            .iter()
            .map(|stage| nodes.by_ref().take(stage.steps.len()).collect())
            .collect();
        let bindings = bindings
            .into_iter()
            .map(|binding| match binding {
                Binding::Leaf(at) => Bound::Leaf(leaf_numbers[&at]),
                Binding::Output(i) => Bound::Output(i),
                _ => unreachable!("eager plans bind leaves by number"),
            })
            .collect();
        let executor = Executor::new(&plan, self.target.isa)
            .map_err(|e| Error::new(format!("invalid plan: {e}")))?;
        Ok(EagerProgram {
            executor,
            bindings,
            outputs,
            nodes,
        })
    }
}

/// A workspace of a plan in which a run works.
struct Running<'a> {
    plan: &'a EagerPlan,
    workspace: Workspace,
    /// Bytes that it held before.
    before: usize,
}

impl<'a> Running<'a> {
    fn of(plan: &'a EagerPlan) -> Self {
        let mut rest = lock(&plan.at_rest);
        let workspace = rest.spaces.pop().unwrap_or_default();
        let before = workspace.bytes();
        rest.running += before;
        Self {
            plan,
            workspace,
            before,
        }
    }

    /// Gives the workspace back, or what it holds if that is too much; whether the plan holds another number of bytes than
    /// before.
    fn finish(mut self) -> bool {
        let mut workspace = std::mem::take(&mut self.workspace);
        let mut bytes = workspace.bytes();
        if bytes > CACHED_BYTES {
            (workspace, bytes) = (Workspace::default(), 0);
        }
        lock(&self.plan.at_rest).spaces.push(workspace);
        bytes != self.before
    }
}

impl Drop for Running<'_> {
    /// Also if the run panics: then the workspace is lost.
    fn drop(&mut self) {
        lock(&self.plan.at_rest).running -= self.before;
    }
}

/// Says once in a process that it will be slow, where the kernels were built without optimisation. A program that depends
/// on this library has that in its development profile, unless it asks for better.
fn note_slow_build() {
    static SAID: Once = Once::new();
    if zerokara_kernels::OPTIMISED {
        return;
    }
    SAID.call_once(|| {
        // There is nobody left to tell if standard error is closed.
        let _ = writeln!(
            io::stderr(),
            "note: Zerokara was compiled without optimisation and will be a hundred times slower than it could be; \
             build with --release, or add these two lines to Cargo.toml:\n\
             [profile.dev.package.\"*\"]\nopt-level = 3"
        );
    });
}

fn key(graph: &Graph) -> Key {
    let nodes = graph
        .nodes
        .iter()
        .map(|node| KeyNode {
            op: match &node.source {
                Source::Op(op) => Some((op.name(), op.attributes())),
                _ => None,
            },
            inputs: node.inputs.clone(),
            meta: node.meta.clone(),
        })
        .collect();
    (nodes, graph.outputs.clone())
}
