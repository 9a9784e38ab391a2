//! The runtime: thread pool, instruction set, and the cache of plans. How many threads it has never changes results.

use crate::{
    Array, Attributes, Error, Meta, Result,
    compile::{self, Binding, Compiled, Label},
    graph::{Graph, Source},
    limits::{self, Limits},
};
use std::{
    collections::HashMap,
    io::{self, Write},
    sync::{Arc, Mutex, Once, OnceLock, PoisonError, RwLock},
};
use zerokara_kernels::{
    arithmetic::Arithmetic,
    executor::{Executor, External, RunError},
    isa::Isa,
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
    isa: Isa,
    arithmetic: Arithmetic,
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
    /// Bytes that it holds, as far as is known here.
    held: usize,
    plan: Arc<Mutex<EagerPlan>>,
}

impl Plans {
    /// Notes what a plan holds now.
    fn note(&mut self, key: &Key, held: usize) {
        if let Some(kept) = self.by_key.get_mut(key) {
            self.held = self.held - kept.held + held;
            kept.held = held;
        }
    }

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
            if let Ok(mut plan) = kept.plan.try_lock() {
                plan.executor.release();
                plan.noted = 0;
                self.held -= std::mem::take(&mut kept.held);
            }
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

struct EagerPlan {
    executor: Executor,
    /// For each external: the graph's leaf by its number, or the output.
    bindings: Vec<Bound>,
    outputs: Vec<Meta>,
    /// For each stage and step, the node that it computes.
    nodes: Vec<Vec<usize>>,
    /// Bytes that the cache knows it to hold.
    noted: usize,
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
            isa,
            arithmetic: Arithmetic::F32,
            plans: Mutex::default(),
        })
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
        let refused = arithmetic.offer(self.isa);
        refused.map_err(|reason| Error::new(reason.to_string()))?;
        self.arithmetic = arithmetic;
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
        self.isa
    }

    /// How convolutions multiply and sum where nothing else is said.
    pub fn arithmetic(&self) -> Arithmetic {
        self.arithmetic
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
        let plan = self.plan(&graph, &key)?;
        let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
        let EagerPlan {
            executor,
            bindings,
            outputs,
            nodes,
            noted,
        } = &mut *plan;
        let mut results: Vec<Array> = outputs
            .iter()
            .map(Array::try_zeros)
            .collect::<Result<_>>()?;
        let mut slots: Vec<Option<&mut Array>> = results.iter_mut().map(Some).collect();
        let mut externals = Vec::with_capacity(bindings.len());
        for bound in bindings.iter() {
            externals.push(match bound {
                Bound::Leaf(i) => External::Read(leaves[*i].storage()),
                Bound::Output(i) => {
                    let storage = slots[*i].take().and_then(Array::unique_storage);
                    External::Write(storage.ok_or_else(|| Error::new("an output is bound twice"))?)
                }
            });
        }
        let done = executor.run(&self.pool, &mut externals);
        if executor.held_bytes() > CACHED_BYTES {
            executor.release();
        }
        if executor.held_bytes() != *noted {
            *noted = executor.held_bytes();
            let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
            plans.note(&key, *noted);
            plans.shrink();
        }
        done.map_err(|error| match error {
            RunError::Memory { bytes } => {
                limits::no_memory(bytes, "the values between the operations")
            }
            RunError::Step {
                stage,
                step,
                message,
            } => match nodes[stage].get(step).and_then(|&at| graph.nodes.get(at)) {
                // The plan may have been made of another graph like this one: the line is this one's.
                Some(node) => Label::of(node).error(message),
                None => Error::new(message),
            },
            error => Error::new(error.to_string()),
        })?;
        drop(externals);
        Ok(results)
    }

    fn plan(&self, graph: &Graph, key: &Arc<Key>) -> Result<Arc<Mutex<EagerPlan>>> {
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.clock += 1;
        let now = plans.clock;
        if let Some(kept) = plans.by_key.get_mut(key) {
            kept.used = now;
            return Ok(kept.plan.clone());
        }
        let mut leaf_numbers = HashMap::new();
        for (at, node) in graph.nodes.iter().enumerate() {
            if !matches!(node.source, Source::Op(_)) {
                leaf_numbers.insert(at, leaf_numbers.len());
            }
        }
        let compiled = compile::eager(graph.clone(), self.isa, self.arithmetic)?;
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
        let executor =
            Executor::new(&plan, self.isa).map_err(|e| Error::new(format!("invalid plan: {e}")))?;
        let plan = Arc::new(Mutex::new(EagerPlan {
            executor,
            bindings,
            outputs,
            nodes,
            noted: 0,
        }));
        plans.compiled += 1;
        plans.make_room(graph.nodes.len());
        plans.nodes += graph.nodes.len();
        let kept = Kept {
            used: now,
            held: 0,
            plan: plan.clone(),
        };
        plans.by_key.insert(key.clone(), kept);
        Ok(plan)
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
