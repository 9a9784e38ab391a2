//! Programs: a graph compiled once and run again and again, with inputs given and parameters updated in place.

use crate::{
    Array, DType, Error, Label, Meta, Parameter, Part, Result, Runtime, Tensor,
    compile::{self, Binding, Compiled, step_number},
    graph::Graph,
    limits,
};
use std::{
    cell::RefCell,
    fmt,
    sync::{Arc, RwLockWriteGuard},
    time::Duration,
};
use zerokara_kernels::{
    arithmetic::Arithmetic,
    executor::{Executor, External, RunError},
    isa::Isa,
    plan::Plan,
    storage::Storage,
};

thread_local! {
    /// Room for the guards of a run's updated parameters, so that a run need not allocate it.
    static GUARDS: RefCell<Guards<'static>> = const { RefCell::new(Vec::new()) };
}

type Guards<'a> = Vec<RwLockWriteGuard<'a, Array>>;

/// The values of several tensors, computed together.
///
/// # Errors
/// The error of the first operation that could not apply; a value that an operation rejects.
pub fn eval(tensors: &[&Tensor]) -> Result<Vec<Array>> {
    Runtime::current()?.evaluate(Graph::expanded(tensors)?)
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

/// A compiled graph.
///
/// ```
/// use zerokara_core::{Array, DType, Parameter, Program, Tensor, grad};
/// let w = Parameter::new("w", &Tensor::from([1.0, 2.0]))?;
/// let x = Tensor::input("x", [2], DType::F32);
/// let loss = (w.tensor() * &x).sum();
/// let update = w.tensor() - grad(&loss, &w.tensor()) * 0.1;
/// let mut step = Program::compile(&[&x], &[&loss], &[(w.clone(), update)])?;
/// let outputs = step.run(&[Array::new([2], vec![10.0f32, 20.0])])?;
/// assert_eq!(outputs[0].as_slice::<f32>()?, [50.0]);
/// assert_eq!(w.tensor().to_vec::<f32>()?, [0.0, 0.0]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
pub struct Program {
    executor: Executor,
    plan: Plan,
    runtime: Arc<Runtime>,
    bindings: Vec<Bound>,
    inputs: Vec<(String, Meta)>,
    outputs: Vec<Array>,
    metas: Vec<Meta>,
    labels: Vec<Label>,
    parts: Vec<Vec<Part>>,
    /// The bindings of updated parameters in the order of their identity. All programs lock parameters in this order, so
    /// that two of them cannot wait for each other in a circle.
    locks: Vec<usize>,
    /// The binding of each output.
    written: Vec<usize>,
    /// Stands in a place until what is bound there is known.
    unbound: Storage,
    /// Kept from run to run, so that a run need not allocate them: values of parameters that are only read, and
    /// storages.
    read: Vec<Option<Array>>,
    externals: Vec<External<'static>>,
    /// Whether the last run came to its end, the versions of the values it read, and room for the next run's.
    has_run: bool,
    prepared: Vec<u64>,
    versions: Vec<u64>,
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
    /// let y = x.conv2d(&w, ConvOptions { padding: [1, 1], ..ConvOptions::default() });
    /// let mut program = Program::compile_with(&[&x], &[&y], &[], Arithmetic::Direct)?;
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

    /// As [`Program::compile_with`], for a runtime of one's own.
    pub(crate) fn compile_in(
        runtime: Arc<Runtime>,
        inputs: &[&Tensor],
        outputs: &[&Tensor],
        updates: &[(Parameter, Tensor)],
        arithmetic: Arithmetic,
    ) -> Result<Self> {
        let refused = arithmetic.offer(runtime.isa());
        refused.map_err(|reason| Error::new(reason.to_string()))?;
        let compiled = compile::program(outputs, updates, runtime.isa(), arithmetic)?;
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
                Bound::Updated(parameter) => locks.push((parameter.id(), at)),
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
        let outputs = metas.iter().map(Array::try_zeros).collect::<Result<_>>()?;
        Ok(Self {
            executor,
            plan,
            runtime,
            bindings,
            inputs,
            outputs,
            metas,
            labels,
            parts,
            locks: locks.into_iter().map(|(_, at)| at).collect(),
            written: written.into_iter().map(|(_, at)| at).collect(),
            unbound: Storage::zeros(DType::Bool, 0),
            read: Vec::new(),
            externals: Vec::new(),
            has_run: false,
            prepared: Vec::new(),
            versions: Vec::new(),
        })
    }

    /// Runs the program: gives the outputs and replaces the updated parameters. A parameter's buffer is written in
    /// place unless somebody else holds the value, who then keeps the old one.
    ///
    /// # Errors
    /// If an input has another shape or element type than it was declared with, or a kernel rejects a value (a label
    /// that is no class): then no parameter has been changed that was read before, but updates may be incomplete.
    pub fn run(&mut self, inputs: &[Array]) -> Result<Vec<Array>> {
        Ok(self.run_in_place(inputs)?.to_vec())
    }

    /// As [`Program::run`]; the outputs stay with the program, which writes over them in the next run.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn run_in_place(&mut self, inputs: &[Array]) -> Result<&[Array]> {
        self.execute(inputs, None)?;
        Ok(&self.outputs)
    }

    /// As [`Program::run`]; also gives what each step computes, and its time.
    ///
    /// # Errors
    /// As [`Program::run`].
    pub fn run_timed(&mut self, inputs: &[Array]) -> Result<(Vec<Array>, StepTimes)> {
        let mut nanoseconds = Vec::new();
        self.execute(inputs, Some(&mut nanoseconds))?;
        let steps = self.plan.stages.iter().flat_map(|stage| &stage.steps);
        let times = self
            .labels
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
            .collect();
        Ok((self.outputs.clone(), times))
    }

    fn execute(&mut self, inputs: &[Array], times: Option<&mut Vec<u64>>) -> Result<()> {
        self.check(inputs)?;
        for (output, meta) in self.outputs.iter_mut().zip(&self.metas) {
            // Somebody still holds the last run's output: it stays theirs.
            if output.unique_storage().is_none() {
                *output = Array::try_zeros(meta)?;
            }
        }
        let (bindings, executor) = (&self.bindings, &mut self.executor);
        let mut guards: Guards<'_> = GUARDS.take();
        for &at in &self.locks {
            if let Bound::Updated(parameter) = &bindings[at] {
                let mut guard = parameter.write();
                if guard.unique_storage().is_none() {
                    *guard = guard.copied();
                }
                guards.push(guard);
            }
        }
        self.read.clear();
        self.versions.clear();
        for bound in bindings {
            self.read.push(match bound {
                Bound::Parameter(parameter) => {
                    let (value, version) = parameter.versioned();
                    self.versions.push(version);
                    Some(value)
                }
                _ => None,
            });
        }
        let is_prepared = self.has_run && self.prepared == self.versions;
        self.has_run = false;
        let mut externals: Vec<External<'_>> = std::mem::take(&mut self.externals);
        externals.extend(bindings.iter().zip(&self.read).map(|(bound, read)| {
            External::Read(match (bound, read) {
                (Bound::Value(value), _) | (_, Some(value)) => value.storage(),
                (Bound::Input(i), _) => inputs[*i].storage(),
                _ => &self.unbound,
            })
        }));
        let updated = guards.iter_mut().map(|guard| guard.unique_storage());
        let outputs = self.outputs.iter_mut().map(Array::unique_storage);
        let places = self.locks.iter().chain(&self.written);
        for (&at, storage) in places.zip(updated.chain(outputs)) {
            let storage = storage.ok_or_else(|| Error::new("a buffer to be written is shared"));
            externals[at] = External::Write(storage?);
        }
        let pool = self.runtime.pool();
        let done = match times {
            Some(times) => executor.run_timed(pool, &mut externals, times),
            None if is_prepared => executor.run_prepared(pool, &mut externals),
            None => executor.run(pool, &mut externals),
        };
        self.has_run = done.is_ok();
        std::mem::swap(&mut self.prepared, &mut self.versions);
        externals.clear();
        // The same allocations, free of this run's borrows.
        self.externals = externals.into_iter().map_while(|_| None).collect();
        guards.clear();
        GUARDS.set(guards.into_iter().map_while(|_| None).collect());
        // Values that were only read must not look shared to whoever writes them next.
        self.read.clear();
        done.map_err(|error| match error {
            RunError::Memory { bytes } => {
                limits::no_memory(bytes, "the values between the operations")
            }
            RunError::Step {
                stage,
                step,
                message,
            } => match self.labels.get(step_number(&self.plan, stage, step)) {
                Some(label) => label.error(message),
                None => Error::new(message),
            },
            error => Error::new(error.to_string()),
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

    /// The plan that runs.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The plan as text: one line per step, stage by stage.
    pub fn dump(&self) -> String {
        compile::dump::text(&self.plan, &self.labels)
    }

    /// For each step of the plan, in the order of the stages, what it computes.
    pub fn labels(&self) -> &[Label] {
        &self.labels
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
    let Compiled { plan, labels, .. } = compile::program(outputs, updates, isa, arithmetic)?;
    Ok(compile::dump::text(&plan, &labels))
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.plan();
        write!(
            f,
            "Program({} steps in {} stages, arena {} bytes)",
            self.labels.len(),
            plan.stages.len(),
            plan.arena_bytes
        )
    }
}
