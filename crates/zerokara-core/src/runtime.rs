//! The runtime: thread pool, instruction set, and the cache of plans. How many threads it has never changes results.

use crate::{
    Array, Attributes, Error, Meta, Result,
    compile::{self, Binding, Compiled, Label},
    graph::{Graph, Source},
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
};
use zerokara_kernels::{
    arithmetic::Arithmetic,
    executor::{Executor, External, RunError},
    isa::Isa,
    threads::Pool,
};

/// Plans of eager evaluations that are kept; the one least recently used goes first.
const CACHED_PLANS: usize = 128;

/// Threads and plans. A default one serves the process; [`Runtime::install`] replaces it.
pub struct Runtime {
    pool: Pool,
    isa: Isa,
    arithmetic: Arithmetic,
    plans: Mutex<Plans>,
}

#[derive(Default)]
struct Plans {
    by_key: HashMap<Key, (u64, Arc<Mutex<EagerPlan>>)>,
    clock: u64,
    compiled: usize,
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
    /// If the environment variable `ZEROKARA_ISA` names an instruction set that is unknown or not there.
    pub fn new(threads: usize) -> Result<Self> {
        let isa = Isa::detect().map_err(|e| Error::new(e.to_string()))?;
        Self::with_isa(threads, isa)
    }

    /// As [`Runtime::new`], on an instruction set of one's own choice.
    ///
    /// # Errors
    /// If this CPU lacks the instruction set.
    pub fn with_isa(threads: usize, isa: Isa) -> Result<Self> {
        if !isa.is_available() {
            return Err(Error::new(format!(
                "this CPU lacks the instruction set {}",
                isa.name()
            )));
        }
        Ok(Self {
            pool: Pool::new(threads),
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
        let cores = std::thread::available_parallelism().map_or(1, |n| n.get());
        let threads = match std::env::var("ZEROKARA_THREADS") {
            Err(_) => cores,
            Ok(word) => word.parse().ok().filter(|&n| n > 0).ok_or_else(|| {
                Error::new(format!(
                    "ZEROKARA_THREADS must be a number of threads from 1 on, not {word:?}"
                ))
            })?,
        };
        let runtime = Arc::new(Self::new(threads)?);
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
        let plan = self.plan(&graph)?;
        let mut plan = plan.lock().unwrap_or_else(PoisonError::into_inner);
        let EagerPlan {
            executor,
            bindings,
            outputs,
            nodes,
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
        executor
            .run(&self.pool, &mut externals)
            .map_err(|error| match error {
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

    fn plan(&self, graph: &Graph) -> Result<Arc<Mutex<EagerPlan>>> {
        let key = key(graph);
        let mut plans = self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        plans.clock += 1;
        let now = plans.clock;
        if let Some((used, plan)) = plans.by_key.get_mut(&key) {
            *used = now;
            return Ok(plan.clone());
        }
        let mut leaf_numbers = HashMap::new();
        for (at, node) in graph.nodes.iter().enumerate() {
            if !matches!(node.source, Source::Op(_)) {
                leaf_numbers.insert(at, leaf_numbers.len());
            }
        }
        let Compiled {
            plan,
            bindings,
            outputs,
            nodes,
            ..
        } = compile::eager(graph.clone(), self.isa, self.arithmetic)?;
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
        }));
        plans.compiled += 1;
        if plans.by_key.len() >= CACHED_PLANS {
            let oldest = plans
                .by_key
                .values()
                .map(|(used, _)| *used)
                .min()
                .unwrap_or(0);
            plans.by_key.retain(|_, (used, _)| *used != oldest);
        }
        plans.by_key.insert(key, (now, plan.clone()));
        Ok(plan)
    }
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
