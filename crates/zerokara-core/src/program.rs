//! Programs: a graph compiled once and run again and again, with inputs given and parameters updated in place.

mod run;

pub use run::Runner;

use crate::{
    Array, DType, Error, Label, Meta, Parameter, Part, Result, Runtime, Tensor,
    compile::{self, Binding, Compiled, Target},
    graph::Graph,
};
use run::{AtRest, Preparation};
use std::{
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};
use zerokara_kernels::{
    executor::Executor, isa::Isa, plan::Arithmetic, plan::Plan, storage::Storage,
};

/// The values of several tensors, computed together.
///
/// # Errors
/// The error of the first operation that could not apply; a value that an operation rejects.
pub fn eval(tensors: &[&Tensor]) -> Result<Vec<Array>> {
    let runtime = Runtime::current()?;
    eval_in(&runtime, tensors)
}

/// As [`eval`], on the threads and within the limits of this runtime, and with its
/// [arithmetic](Runtime::precision).
///
/// # Errors
/// As [`eval`].
pub fn eval_in(runtime: &Runtime, tensors: &[&Tensor]) -> Result<Vec<Array>> {
    runtime.evaluate(Graph::expanded(tensors)?)
}

/// A step of a program that was timed.
#[derive(Clone, Debug)]
pub struct StepTime {
    /// What it computes.
    pub label: Label,
    /// What of it belongs to which layer.
    pub parts: Vec<Part>,
    /// Its kernel and shapes, as [`Program::dump`] shows them.
    pub kernel: String,
    /// How long it ran.
    pub duration: Duration,
    /// Operations of its products and convolutions, as [`Step::flops`](zerokara_kernels::plan::Step::flops) counts them.
    pub flops: u64,
    /// Bytes that it reads and writes, as [`Step::bytes`](zerokara_kernels::plan::Step::bytes) counts them.
    pub bytes: u64,
}

/// The steps of a program that were timed, in the order in which they ran.
pub type StepTimes = Vec<StepTime>;

/// A compiled graph, which does not change: cloning shares it, and many threads may run it at once.
///
/// ```
/// use zerokara_core::{Array, DType, Parameter, Program, Tensor, grad};
/// let w = Parameter::new("w", &Tensor::from([1.0, 2.0]))?;
/// let x = Tensor::input("x", [2], DType::F32);
/// let loss = (w.tensor() * &x).sum();
/// let update = w.tensor() - grad(&loss, &w.tensor()) * 0.1;
/// let step = Program::compile(&[&x], &[&loss], &[(w.clone(), update)])?;
/// let outputs = step.run(&[Array::new([2], vec![10.0f32, 20.0])])?;
/// assert_eq!(outputs[0].as_slice::<f32>()?, [50.0]);
/// assert_eq!(w.tensor().to_vec::<f32>()?, [0.0, 0.0]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
///
/// What a run needs beside the values that it reads lies in a state of its own; those that are free are kept and used
/// again. What is computed of parameters alone (packed weights) is there once for all runs, and made again by the first
/// run that finds a parameter changed; those that run on the old values keep the old one. A run sees the parameters as
/// they were at one moment: all or nothing of what another program updates.
#[derive(Clone)]
pub struct Program {
    shared: Arc<Shared>,
}

struct Shared {
    executor: Executor,
    plan: Plan,
    runtime: Arc<Runtime>,
    bindings: Vec<Bound>,
    inputs: Vec<(String, Meta)>,
    /// Of the outputs.
    metas: Vec<Meta>,
    labels: Vec<Label>,
    parts: Vec<Vec<Part>>,
    /// The bindings of parameters in the order of their identity. All programs lock parameters in this order, so that
    /// none of them can wait for each other in a circle.
    locks: Vec<usize>,
    /// The binding of each output.
    written: Vec<usize>,
    /// Stands in a place until what is bound there is known.
    unbound: Storage,
    preparation: Preparation,
    at_rest: Mutex<AtRest>,
}

/// What an external storage is bound to.
enum Bound {
    Value(Array),
    Parameter(Parameter),
    /// A parameter that the program replaces.
    Updated(Parameter),
    Input(usize),
    Output(usize),
}

impl Program {
    /// Compiles what `outputs` need, and the `updates` of parameters, which take place together after everything else.
    /// `inputs` were made by [`Tensor::input`]; their values are given to [`Program::run`] in this order. Parameters
    /// are bound by identity: a run reads the values they have then. Convolutions are computed as the
    /// [runtime](Runtime::precision) says.
    ///
    /// # Errors
    /// The error of an invalid tensor; an update of another shape than its parameter, or a second one of the same;
    /// an input that the graph needs and `inputs` does not name; more memory than [`Runtime::memory_limit`].
    pub fn compile(
        inputs: &[&Tensor],
        outputs: &[&Tensor],
        updates: &[(Parameter, Tensor)],
    ) -> Result<Self> {
        Self::compile_with(inputs, outputs, updates, Runtime::current()?.arithmetic())
    }

    /// As [`Program::compile`], with convolutions that multiply and sum as `arithmetic` says.
    ///
    /// ```
    /// # use zerokara_core::{Arithmetic, Array, DType, Program, Tensor, op::ConvOptions};
    /// // One large number in a corner of zeros: by direct sums, what is far from it is zero, to the bit.
    /// let x = Tensor::input("x", [1, 16, 8, 8], DType::F32);
    /// let w = Tensor::from(vec![0.1f32; 16 * 16 * 9]).reshape([16, 16, 3, 3]);
    /// let y = x.conv2d(&w, ConvOptions { padding: [1, 1].into(), ..ConvOptions::default() });
    /// let program = Program::compile_with(&[&x], &[&y], &[], Arithmetic::Direct)?;
    /// let mut image = Array::zeros(x.meta()?);
    /// image.as_mut_slice::<f32>()?[0] = 1e6;
    /// let y = program.run(&[image])?;
    /// assert_eq!(y[0].as_slice::<f32>()?.iter().filter(|&&y| y != 0.0).count(), 16 * 4);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Program::compile`], and if this CPU, or the instruction set that was asked for, lacks the arithmetic.
    pub fn compile_with(
        inputs: &[&Tensor],
        outputs: &[&Tensor],
        updates: &[(Parameter, Tensor)],
        arithmetic: Arithmetic,
    ) -> Result<Self> {
        Self::compile_in(Runtime::current()?, inputs, outputs, updates, arithmetic)
    }

    /// As [`Program::compile_with`], to run on the threads and within the limits of this runtime.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use zerokara_core::{Arithmetic, Program, Runtime, Tensor};
    /// let runtime = Arc::new(Runtime::new(1)?);
    /// let sum = Tensor::ones([3]).sum();
    /// let program = Program::compile_in(runtime, &[], &[&sum], &[], Arithmetic::F32)?;
    /// assert_eq!(program.run(&[])?[0].as_slice::<f32>()?, [3.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Program::compile_with`].
    pub fn compile_in(
        runtime: Arc<Runtime>,
        inputs: &[&Tensor],
        outputs: &[&Tensor],
        updates: &[(Parameter, Tensor)],
        arithmetic: Arithmetic,
    ) -> Result<Self> {
        let refused = arithmetic.offer(runtime.isa());
        refused.map_err(|reason| Error::new(reason.to_string()))?;
        let target = Target {
            arithmetic,
            ..runtime.target()
        };
        let compiled = compile::program(outputs, updates, target)?;
        runtime.limits().check(&compiled)?;
        let Compiled {
            plan,
            bindings,
            outputs: metas,
            labels,
            parts,
            ..
        } = compiled;
        let bindings: Vec<Bound> = bindings
            .into_iter()
            .map(|binding| {
                Ok(match binding {
                    Binding::Leaf(_) => unreachable!("programs bind leaves by what they are"),
                    Binding::Value(value) => Bound::Value(value),
                    Binding::Parameter(parameter, false) => Bound::Parameter(parameter),
                    Binding::Parameter(parameter, true) => Bound::Updated(parameter),
                    Binding::Output(i) => Bound::Output(i),
                    Binding::Input(tensor) => match inputs.iter().position(|t| t.is(&tensor)) {
                        Some(i) => Bound::Input(i),
                        None => {
                            let attributes = tensor.node.op.attributes();
                            let name = attributes.text("name").unwrap_or("without a name");
                            return Err(Error::new(format!(
                                "the program needs an input that is not given: {name}"
                            )));
                        }
                    },
                })
            })
            .collect::<Result<_>>()?;
        let mut locks: Vec<(u64, usize)> = Vec::new();
        let mut written: Vec<(usize, usize)> = Vec::new();
        for (at, bound) in bindings.iter().enumerate() {
            match bound {
                Bound::Updated(parameter) | Bound::Parameter(parameter) => {
                    locks.push((parameter.id(), at));
                }
                Bound::Output(i) => written.push((*i, at)),
                _ => {}
            }
        }
        locks.sort_unstable();
        written.sort_unstable();
        let mut executor = Executor::new(&plan, runtime.isa()).map_err(|e| {
            Error::new(format!(
                "the compiler made a bad plan, which is a fault of Zerokara: {e}"
            ))
        })?;
        executor.compile();
        let inputs = inputs
            .iter()
            .map(|t| {
                Ok((
                    t.node
                        .op
                        .attributes()
                        .text("name")
                        .unwrap_or("input")
                        .to_string(),
                    t.meta()?.clone(),
                ))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            shared: Arc::new(Shared {
                executor,
                plan,
                runtime,
                bindings,
                inputs,
                metas,
                labels,
                parts,
                locks: locks.into_iter().map(|(_, at)| at).collect(),
                written: written.into_iter().map(|(_, at)| at).collect(),
                unbound: Storage::zeros(DType::Bool, 0),
                preparation: Preparation::default(),
                at_rest: Mutex::default(),
            }),
        })
    }

    /// The plan that runs.
    pub fn plan(&self) -> &Plan {
        &self.shared.plan
    }

    /// The plan as text: one line per step, stage by stage.
    pub fn dump(&self) -> String {
        compile::dump::text(&self.shared.plan, &self.shared.labels)
    }

    /// For each step of the plan, in the order of the stages, what it computes.
    pub fn labels(&self) -> &[Label] {
        &self.shared.labels
    }
}

/// The text of the plan that [`Program::compile_with`] would make for an instruction set, which need not be this CPU's.
///
/// # Errors
/// As [`Program::compile`].
pub fn plan_text(
    outputs: &[&Tensor],
    updates: &[(Parameter, Tensor)],
    isa: Isa,
    arithmetic: Arithmetic,
) -> Result<String> {
    let target = Target::of(isa, arithmetic);
    let Compiled { plan, labels, .. } = compile::program(outputs, updates, target)?;
    Ok(compile::dump::text(&plan, &labels))
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.plan();
        write!(
            f,
            "Program({} steps in {} stages, arena {} bytes)",
            self.shared.labels.len(),
            plan.stages.len(),
            plan.arena_bytes
        )
    }
}
