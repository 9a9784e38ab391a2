//! A step of training, of evaluation and of prediction, each compiled as one program per shape of the batch.

use crate::{Context, Forward, Loss, Mode, Optimizer, nonfinite::NonFinite, replay::replay};
use std::sync::Arc;
use zerokara_core::{
    Arithmetic, Array, DType, Error, Isa, Meta, Parameter, Program, Result, Runtime, StepTimes,
    Tensor, gradients, plan_text,
    scope::{Phase, enter},
};

/// Programs that are kept, one per shape: more shapes than this push out the one used longest ago.
const PROGRAMS: usize = 8;

/// Programs by the metas of their inputs, last used last.
struct Programs(Vec<(Vec<Meta>, Program)>);

impl Programs {
    /// The program for inputs like these.
    fn get(
        &mut self,
        like: &[&Array],
        compile: impl FnOnce() -> Result<Program>,
    ) -> Result<&mut Program> {
        let fits = |metas: &[Meta]| metas.iter().zip(like).all(|(meta, a)| a.is_like(meta));
        let entry = match self.0.iter().position(|(metas, _)| fits(metas)) {
            Some(at) => self.0.remove(at),
            None => {
                let metas = like.iter().map(|a| Ok(a.valid()?.meta()));
                (metas.collect::<Result<_>>()?, compile()?)
            }
        };
        if self.0.len() == PROGRAMS {
            self.0.remove(0);
        }
        self.0.push(entry);
        let last = self.0.len() - 1;
        Ok(&mut self.0[last].1)
    }
}

/// What is done to gradients that are too large.
#[doc(alias = "gradient_clipping")]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Clipping {
    /// Nothing.
    #[default]
    None,
    /// All gradients are scaled down together so that the norm of the whole is at most this.
    Norm(f64),
    /// Each element is moved into `[-limit, limit]`.
    Value(f64),
}

/// What a step of training says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepOutput {
    /// The mean loss of the batch, penalty included, before the update.
    pub loss: f64,
    /// The number of samples that the output got right, if the loss knows right and wrong.
    pub correct: Option<usize>,
    /// The norm of the whole gradient, before clipping.
    pub gradient_norm: f64,
    /// Whether loss and gradient norm are finite. If not, nothing was updated.
    pub ok: bool,
}

impl StepOutput {
    fn read(outputs: &[Array]) -> Result<Self> {
        let number = |at: usize| outputs.get(at).and_then(|a| a.get_f64(0));
        let missing = || Error::new("the compiled step gave too few outputs");
        Ok(Self {
            loss: number(0).ok_or_else(missing)?,
            gradient_norm: number(1).ok_or_else(missing)?,
            ok: number(2).ok_or_else(missing)? != 0.0,
            correct: number(3).map(|n| n.round() as usize),
        })
    }
}

/// A step of training: forward pass, loss, gradients, clipping, the optimizer's update and the updates of running
/// statistics, as one program.
///
/// A step whose loss or gradient is not finite changes nothing; [`TrainStep::locate_non_finite`] then says where the
/// first such value arose.
///
/// ```
/// use std::sync::Arc;
/// use zerokara_core::{Array, Tensor};
/// use zerokara_nn::{Forward, MeanSquaredError, Sequential, Sgd, TrainStep};
///
/// let x = Tensor::from([[1.0], [2.0], [3.0]]).eval()?;
/// let t = Tensor::from([[3.0], [5.0], [7.0]]).eval()?;
/// let model = Arc::new(Sequential::new().linear(1));
/// model.build(&x, 1)?;
/// let mut step = TrainStep::new(model, Arc::new(MeanSquaredError::new()), Arc::new(Sgd::new(0.1)))?;
/// let first = step.step(&x, &t, 0.1)?.loss;
/// let second = step.step(&x, &t, 0.1)?.loss;
/// assert!(second < first);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
pub struct TrainStep {
    module: Arc<dyn Forward>,
    loss: Arc<dyn Loss>,
    optimizer: Arc<dyn Optimizer>,
    clipping: Clipping,
    penalty: f64,
    seed: u64,
    arithmetic: Arithmetic,
    /// The parameters, each with its state.
    parameters: Vec<(String, Parameter, Vec<Parameter>)>,
    programs: Programs,
    steps: u64,
    updates: u64,
    /// The inputs of the last step: batch, targets, number of the step, the optimizer's scalars. Empty before the first.
    inputs: Vec<Array>,
}

/// The graph of a step.
struct Traced {
    inputs: Vec<Tensor>,
    /// Loss, gradient norm, whether both are finite, and the number of right outputs if there is one.
    outputs: Vec<Tensor>,
    updates: Vec<(Parameter, Tensor)>,
}

impl TrainStep {
    /// A step for a model that has been built, without clipping, with seed 0.
    ///
    /// # Errors
    /// If the model has not been built.
    pub fn new(
        module: Arc<dyn Forward>,
        loss: Arc<dyn Loss>,
        optimizer: Arc<dyn Optimizer>,
    ) -> Result<Self> {
        let mut parameters = Vec::new();
        for (path, parameter) in module.named_parameters()? {
            let mut state = Vec::new();
            for (name, initial) in optimizer.state() {
                let mut value = Array::try_zeros(parameter.meta())?;
                value.fill(initial)?;
                state.push(Parameter::of_array(format!("{path}.{name}"), value));
            }
            parameters.push((path, parameter, state));
        }
        Ok(Self {
            module,
            loss,
            optimizer,
            clipping: Clipping::None,
            penalty: 0.0,
            seed: 0,
            arithmetic: Runtime::current()?.arithmetic(),
            parameters,
            programs: Programs(Vec::new()),
            steps: 0,
            updates: 0,
            inputs: Vec::new(),
        })
    }

    /// How gradients are clipped.
    pub fn clipping(mut self, clipping: Clipping) -> Self {
        self.clipping = clipping;
        self
    }

    /// Adds `penalty / 2 * |W|^2` for every weight W (parameters of two axes or more, not biases) to the loss, as the
    /// book does (page 193).
    #[doc(alias = "weight_decay_lambda")]
    pub fn l2_penalty(mut self, penalty: f64) -> Self {
        self.penalty = penalty;
        self
    }

    /// The seed of random draws (dropout).
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// How convolutions multiply and sum, as the [runtime](Runtime::precision) says unless told otherwise: [`Arithmetic`]
    /// says what each promises, and what bf16 reaches. Parameters, gradients and the optimizer's state are f32 in any case.
    ///
    /// # Errors
    /// If this CPU, or the instruction set that `ZEROKARA_ISA` asks for, lacks the arithmetic ([`Arithmetic::offer`]).
    pub fn precision(mut self, arithmetic: Arithmetic) -> Result<Self> {
        offer(arithmetic)?;
        self.arithmetic = arithmetic;
        self.programs = Programs(Vec::new());
        Ok(self)
    }

    /// The model.
    pub fn module(&self) -> &Arc<dyn Forward> {
        &self.module
    }

    /// The optimizer's state, each with its name (`conv1.weight.velocity`), to be saved and restored.
    pub fn optimizer_state(&self) -> Vec<(String, Parameter)> {
        let states = self.parameters.iter().flat_map(|(_, _, state)| state);
        states.map(|p| (p.name().to_string(), p.clone())).collect()
    }

    /// Number of steps taken and of updates made; the two differ by the steps that were not finite.
    pub fn counters(&self) -> (u64, u64) {
        (self.steps, self.updates)
    }

    /// Goes on from these numbers of steps and updates.
    pub fn set_counters(&mut self, steps: u64, updates: u64) {
        (self.steps, self.updates) = (steps, updates);
    }

    /// One step on a batch of inputs and targets.
    ///
    /// # Errors
    /// If the batch does not fit the model, or a label is no class.
    pub fn step(&mut self, x: &Array, t: &Array, learning_rate: f64) -> Result<StepOutput> {
        Ok(self.advance(x, t, learning_rate, false)?.0)
    }

    /// As [`TrainStep::step`], with what each kernel step computes and how long it took.
    ///
    /// # Errors
    /// As [`TrainStep::step`].
    pub fn step_timed(
        &mut self,
        x: &Array,
        t: &Array,
        learning_rate: f64,
    ) -> Result<(StepOutput, StepTimes)> {
        self.advance(x, t, learning_rate, true)
    }

    fn advance(
        &mut self,
        x: &Array,
        t: &Array,
        learning_rate: f64,
        timed: bool,
    ) -> Result<(StepOutput, StepTimes)> {
        self.set_inputs(x, t, learning_rate)?;
        // Taken out, so that compiling can read the rest.
        let mut programs = std::mem::replace(&mut self.programs, Programs(Vec::new()));
        let output = programs
            .get(&[x, t], || self.compile(&x.meta(), &t.meta()))
            .and_then(|program| match timed {
                true => {
                    let (outputs, times) = program.run_timed(&self.inputs)?;
                    Ok((StepOutput::read(&outputs)?, times))
                }
                false => {
                    let outputs = program.run_in_place(&self.inputs)?;
                    Ok((StepOutput::read(outputs)?, Vec::new()))
                }
            });
        self.programs = programs;
        let (output, times) = output?;
        self.steps += 1;
        self.updates += output.ok as u64;
        Ok((output, times))
    }

    /// Puts the inputs of the next step where those of the last one were: nothing is allocated again.
    fn set_inputs(&mut self, x: &Array, t: &Array, learning_rate: f64) -> Result<()> {
        let scalars = self.optimizer.scalars(self.updates + 1, learning_rate);
        if self.inputs.is_empty() {
            self.inputs = vec![x.clone(), t.clone(), Array::scalar(0.0, DType::I64)];
            let scalars = scalars.iter().map(|_| Array::scalar(0.0, DType::F32));
            self.inputs.extend(scalars);
        }
        let numbers = [self.steps as f64].into_iter().chain(scalars);
        let (batch, rest) = self.inputs.split_at_mut(2);
        for (input, given) in batch.iter_mut().zip([x, t]) {
            *input = given.clone();
        }
        for (input, number) in rest.iter_mut().zip(numbers) {
            input.fill(number)?;
        }
        Ok(())
    }

    /// The plan of the step for batches of these shapes, as text.
    ///
    /// # Errors
    /// If such a batch does not fit the model.
    pub fn dump(&self, x: &Meta, t: &Meta) -> Result<String> {
        Ok(self.compile(x, t)?.dump())
    }

    /// As [`TrainStep::dump`], for an instruction set that need not be this CPU's.
    ///
    /// # Errors
    /// As [`TrainStep::dump`].
    pub fn plan_text(&self, x: &Meta, t: &Meta, isa: Isa) -> Result<String> {
        let traced = self.trace(x, t)?;
        let outputs: Vec<&Tensor> = traced.outputs.iter().collect();
        plan_text(&outputs, &traced.updates, isa, self.arithmetic)
    }

    fn compile(&self, x: &Meta, t: &Meta) -> Result<Program> {
        let traced = self.trace(x, t)?;
        let inputs: Vec<&Tensor> = traced.inputs.iter().collect();
        let outputs: Vec<&Tensor> = traced.outputs.iter().collect();
        Program::compile_with(&inputs, &outputs, &traced.updates, self.arithmetic)
    }

    /// The first value of the last step that is not finite: where it arose. `None` if all are finite, or no step was
    /// taken. Meant for after a step that was not ok, while the parameters are still those of that step.
    ///
    /// # Errors
    /// If the step cannot be run again.
    pub fn locate_non_finite(&self) -> Result<Option<NonFinite>> {
        let last = &self.inputs;
        if last.is_empty() {
            return Ok(None);
        }
        let traced = self.trace(&last[0].meta(), &last[1].meta())?;
        let given: Vec<(&Tensor, &Array)> = traced.inputs.iter().zip(last).collect();
        let roots: Vec<&Tensor> = traced.outputs.iter().collect();
        let loss = traced.outputs[0].node_view().id;
        let mut found = None;
        replay(&roots, &given, &mut |tensor, value| {
            found = NonFinite::of(tensor, value, loss);
            found.is_none()
        })?;
        Ok(found)
    }

    fn trace(&self, x: &Meta, t: &Meta) -> Result<Traced> {
        let x = Tensor::input("x", x.shape.clone(), x.dtype);
        let t = Tensor::input("t", t.shape.clone(), t.dtype);
        let step = Tensor::input("step", [], DType::I64);
        let scalars: Vec<Tensor> = (0..self.optimizer.scalars(1, 0.0).len())
            .map(|i| Tensor::input(format!("scalar{i}"), [], DType::F32))
            .collect();

        let mut cx = Context::new(Mode::Train, self.seed, step.clone());
        let output = self.module.forward(&x, &mut cx);
        output.meta()?;
        let statistics = cx.finish()?;
        let mut loss = self.loss.loss(&output, &t);
        loss.meta()?;
        let leaves: Vec<Tensor> = self.parameters.iter().map(|(_, p, _)| p.tensor()).collect();
        if self.penalty != 0.0 {
            let weights = leaves
                .iter()
                .filter(|w| w.meta().is_ok_and(|m| m.rank() >= 2));
            let squares = weights.map(|w| w.square().sum()).reduce(|a, b| a + b);
            if let Some(squares) = squares {
                loss = loss + squares * (0.5 * self.penalty);
            }
        }
        let wrt: Vec<&Tensor> = leaves.iter().collect();
        let gradients = gradients(&loss, &wrt);

        let correct = self.loss.correct(&output, &t);
        let _update = enter(Phase::Update);
        let norm: Tensor = gradients
            .iter()
            .map(|g| g.square().sum().cast(DType::F32))
            .reduce(|a, b| a + b)
            .map_or(Tensor::from(0.0f32), |squares| squares.sqrt());
        let ok = loss.is_finite().logical_and(&norm.is_finite());
        let scale = match self.clipping {
            Clipping::Norm(limit) => Some(((&norm + 1e-6f64).reciprocal() * limit).clamp(0.0, 1.0)),
            _ => None,
        };

        let mut updates = Vec::new();
        for (((_, parameter, state), old), gradient) in
            self.parameters.iter().zip(&leaves).zip(&gradients)
        {
            let dtype = parameter.meta().dtype;
            let gradient = match (self.clipping, &scale) {
                (Clipping::Value(limit), _) => gradient.clamp(-limit, limit),
                (_, Some(scale)) => gradient * scale.cast(dtype),
                _ => gradient.clone(),
            };
            let scalars: Vec<Tensor> = scalars.iter().map(|s| s.cast(dtype)).collect();
            let old_state: Vec<Tensor> = state.iter().map(Parameter::tensor).collect();
            let (new, new_state) = self.optimizer.update(old, &gradient, &old_state, &scalars);
            if new_state.len() != state.len() {
                return Err(Error::new(format!(
                    "the optimizer {} has {} state tensors, but its update gives {}",
                    self.optimizer.name(),
                    state.len(),
                    new_state.len()
                )));
            }
            updates.push((parameter.clone(), ok.select(&new, old)));
            for ((cell, new), old) in state.iter().zip(new_state).zip(&old_state) {
                updates.push((cell.clone(), ok.select(&new, old)));
            }
        }
        for (cell, new) in statistics {
            let kept = ok.select(&new, &cell.tensor());
            updates.push((cell, kept));
        }
        Ok(Traced {
            inputs: [x, t, step].into_iter().chain(scalars).collect(),
            outputs: [loss, norm, ok].into_iter().chain(correct).collect(),
            updates,
        })
    }
}

/// What evaluation of a batch says.
#[derive(Clone, Debug)]
pub struct EvalOutput {
    /// The mean loss of the batch.
    pub loss: f64,
    /// The number of samples that the output gets right, if the loss knows right and wrong.
    pub correct: Option<usize>,
    /// The model's output.
    pub output: Array,
}

/// A step of evaluation: forward pass and loss, nothing random, nothing updated.
pub struct EvalStep {
    module: Arc<dyn Forward>,
    loss: Arc<dyn Loss>,
    arithmetic: Arithmetic,
    programs: Programs,
}

impl EvalStep {
    /// A step for a model that has been built.
    ///
    /// # Errors
    /// If the model has not been built.
    pub fn new(module: Arc<dyn Forward>, loss: Arc<dyn Loss>) -> Result<Self> {
        module.parameters()?;
        Ok(Self {
            module,
            loss,
            arithmetic: Runtime::current()?.arithmetic(),
            programs: Programs(Vec::new()),
        })
    }

    /// As [`TrainStep::precision`].
    ///
    /// # Errors
    /// As there.
    pub fn precision(mut self, arithmetic: Arithmetic) -> Result<Self> {
        offer(arithmetic)?;
        self.arithmetic = arithmetic;
        self.programs = Programs(Vec::new());
        Ok(self)
    }

    /// Loss and output of a batch.
    ///
    /// # Errors
    /// If the batch does not fit the model, or a label is no class.
    pub fn run(&mut self, x: &Array, t: &Array) -> Result<EvalOutput> {
        let (module, loss, arithmetic) = (&self.module, &self.loss, self.arithmetic);
        let program = self.programs.get(&[x, t], || {
            let (input, output) = evaluated(&**module, &x.meta())?;
            let t = Tensor::input("t", t.shape(), t.dtype());
            let value = loss.loss(&output, &t);
            let correct = loss.correct(&output, &t);
            let outputs: Vec<&Tensor> = [&output, &value].into_iter().chain(&correct).collect();
            Program::compile_with(&[&input, &t], &outputs, &[], arithmetic)
        })?;
        let mut values = program.run(&[x.clone(), t.clone()])?.into_iter();
        let output = values.next();
        let mut number = || values.next().and_then(|a| a.to_f64s().first().copied());
        match (output, number()) {
            (Some(output), Some(loss)) => Ok(EvalOutput {
                loss,
                correct: number().map(|n| n.round() as usize),
                output,
            }),
            _ => Err(Error::new("the compiled step gave too few outputs")),
        }
    }
}

/// A model's outputs in evaluation mode, compiled once per shape.
pub struct Predictor {
    module: Arc<dyn Forward>,
    arithmetic: Arithmetic,
    programs: Programs,
}

impl Predictor {
    /// A predictor of a model that has been built.
    ///
    /// # Errors
    /// If the model has not been built.
    pub fn new(module: Arc<dyn Forward>) -> Result<Self> {
        module.parameters()?;
        Ok(Self {
            module,
            arithmetic: Runtime::current()?.arithmetic(),
            programs: Programs(Vec::new()),
        })
    }

    /// As [`TrainStep::precision`].
    ///
    /// # Errors
    /// As there.
    pub fn precision(mut self, arithmetic: Arithmetic) -> Result<Self> {
        offer(arithmetic)?;
        self.arithmetic = arithmetic;
        self.programs = Programs(Vec::new());
        Ok(self)
    }

    /// The output for a batch.
    ///
    /// # Errors
    /// If the batch does not fit the model.
    pub fn predict(&mut self, x: &Array) -> Result<Array> {
        let output = self.program(x)?.run(std::slice::from_ref(x))?;
        let output = output.into_iter().next();
        output.ok_or_else(|| Error::new("the compiled model gave no output"))
    }

    /// What each kernel step computes for a batch, and how long it took.
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    pub fn step_times(&mut self, x: &Array) -> Result<StepTimes> {
        Ok(self.program(x)?.run_timed(std::slice::from_ref(x))?.1)
    }

    fn program(&mut self, x: &Array) -> Result<&mut Program> {
        let (module, arithmetic) = (&self.module, self.arithmetic);
        self.programs.get(&[x], || {
            let (input, output) = evaluated(&**module, &x.meta())?;
            Program::compile_with(&[&input], &[&output], &[], arithmetic)
        })
    }
}

/// An error if this machine lacks the arithmetic.
fn offer(arithmetic: Arithmetic) -> Result<()> {
    let refused = arithmetic.offer(Runtime::current()?.isa());
    refused.map_err(|reason| Error::new(reason.to_string()))
}

/// An input of this meta and the model's output for it.
fn evaluated(module: &dyn Forward, x: &Meta) -> Result<(Tensor, Tensor)> {
    let input = Tensor::input("x", x.shape.clone(), x.dtype);
    let mut cx = Context::evaluate();
    let output = module.forward(&input, &mut cx);
    output.meta()?;
    cx.finish()?;
    Ok((input, output))
}
