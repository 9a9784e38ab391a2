//! A step of training, of evaluation and of prediction, each compiled as one program per shape of the batch.

use crate::{
    Context, Forward, Loss, Mode, Optimizer, Scalars,
    bounds::Guard,
    finite,
    nonfinite::NonFinite,
    replay::{nodes, replay},
};
use std::sync::Arc;
use zerokara_core::{
    Arithmetic, Array, DType, Error, Isa, Meta, Parameter, Program, Result, Runtime, StepTimes,
    Tensor, gradients, plan_text,
    scope::{Phase, enter, in_container},
};

/// Programs that are kept, one per shape: more shapes than this push out the one used longest ago.
const PROGRAMS: usize = 8;

/// Programs by the metas of their inputs and how careful they are, last used last.
struct Programs(Vec<(Vec<Meta>, Care, Program)>);

/// What a step looks at before it stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Care {
    /// Loss, norm and statistics: with a norm within bounds, the update is known to be finite ([`Guard`]).
    Bounds,
    /// Every value that is to be stored; and the norm is that of scaled gradients, so that no square overflows or
    /// becomes 0.
    Everything,
}

/// The least norm of the gradient whose squares are sums of enough bits.
const LEAST_NORM: f64 = 1e-12;

impl Programs {
    /// The program for inputs like these.
    fn get(
        &mut self,
        like: &[&Array],
        care: Care,
        compile: impl FnOnce() -> Result<Program>,
    ) -> Result<&mut Program> {
        let fits = |metas: &[Meta]| metas.iter().zip(like).all(|(meta, a)| a.is_like(meta));
        let known = |(metas, own, _): &(Vec<Meta>, Care, Program)| *own == care && fits(metas);
        let entry = match self.0.iter().position(known) {
            Some(at) => self.0.remove(at),
            None => {
                let metas = like.iter().map(|a| Ok(a.valid()?.meta()));
                (metas.collect::<Result<_>>()?, care, compile()?)
            }
        };
        if self.0.len() == PROGRAMS {
            self.0.remove(0);
        }
        self.0.push(entry);
        let last = self.0.len() - 1;
        Ok(&mut self.0[last].2)
    }
}

/// What is done to gradients that are too large.
#[doc(alias = "gradient_clipping")]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Clipping {
    /// Nothing.
    #[default]
    None,
    /// All gradients are scaled down together so that the norm of the whole is at most this, a number above 0.
    Norm(f64),
    /// Each element is moved into `[-limit, limit]`, where the limit is a number above 0.
    Value(f64),
}

impl Clipping {
    /// Whether gradients can be clipped so.
    ///
    /// # Errors
    /// If the limit is not a finite number above 0.
    pub fn check(self) -> Result<()> {
        let (what, limit) = match self {
            Clipping::None => return Ok(()),
            Clipping::Norm(limit) => ("norm", limit),
            Clipping::Value(limit) => ("value", limit),
        };
        match limit.is_finite() && limit > 0.0 {
            true => Ok(()),
            false => Err(Error::new(format!(
                "gradients cannot be clipped to a {what} of {limit}: it must be a number above 0"
            ))),
        }
    }
}

/// Whether the weights can be penalized so ([`TrainStep::l2_penalty`]).
///
/// # Errors
/// If the penalty is not a finite number from 0 on.
pub fn check_penalty(penalty: f64) -> Result<()> {
    match penalty.is_finite() && penalty >= 0.0 {
        true => Ok(()),
        false => Err(Error::new(format!(
            "the L2 penalty is {penalty}; it must be a number from 0 on"
        ))),
    }
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
    /// Whether loss, gradient, and everything that was to be stored (parameters, the optimizer's state, running
    /// statistics) are finite. If not, nothing was updated.
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
/// A step that would store a value that is not finite changes nothing: no parameter, no state, no statistic. Then
/// [`TrainStep::locate_non_finite`] says where the first such value arose. Usually bounds say beforehand that the update
/// is finite, which costs nothing; where they do not (gradients with a norm beyond 1e18 or below 1e-12, numbers near the
/// largest float, an optimizer of one's own that is not elementwise), another program looks at each new value first.
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
    guard: Guard,
    /// The norm of the last step's gradient.
    norm: f64,
    /// The inputs of the last step: batch, targets, number of the step, the largest norm for which its results are known
    /// to be finite, the optimizer's scalars. Empty before the first.
    inputs: Vec<Array>,
}

/// The graph of a step.
struct Traced {
    inputs: Vec<Tensor>,
    /// Loss, gradient norm, whether all is finite, and the number of right outputs if there is one.
    outputs: Vec<Tensor>,
    updates: Vec<(Parameter, Tensor)>,
    /// The new values of the updates, as they are if the step is good.
    stored: Vec<Tensor>,
}

impl TrainStep {
    /// A step for a model that has been built, without clipping, with seed 0.
    ///
    /// # Errors
    /// If the model has not been built, or the optimizer has a setting that cannot work ([`Optimizer::check`]).
    pub fn new(
        module: Arc<dyn Forward>,
        loss: Arc<dyn Loss>,
        optimizer: Arc<dyn Optimizer>,
    ) -> Result<Self> {
        optimizer.check()?;
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
            guard: Guard::new(&*optimizer, &parameters),
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
            norm: 1.0,
            inputs: Vec::new(),
        })
    }

    /// How gradients are clipped; a limit that is no number above 0 makes the first step an error.
    pub fn clipping(mut self, clipping: Clipping) -> Self {
        self.clipping = clipping;
        self
    }

    /// Adds `penalty / 2 * |W|^2` for every weight W (parameters of two axes or more, not biases) to the loss, as the
    /// book does (page 193); a penalty that is no number from 0 on makes the first step an error.
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
    /// If the batch does not fit the model, a label is no class, or a setting cannot work: a learning rate that is
    /// negative, infinite or NaN.
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
        let scalars = self.scalars(learning_rate)?;
        let largest = self.guard.limit(&self.parameters, self.clipping, &scalars);
        self.set_inputs(x, t, &scalars, largest)?;
        // A step begins as would have been right for the last one.
        let within = |norm: f64| norm >= LEAST_NORM && norm <= largest;
        let mut care = match within(self.norm) {
            true => Care::Bounds,
            false => Care::Everything,
        };
        let (mut output, mut times) = self.run(care, timed)?;
        let unsure = !output.ok && output.loss.is_finite() && !output.gradient_norm.is_nan();
        if care == Care::Bounds && unsure && !within(output.gradient_norm) {
            care = Care::Everything;
            (output, times) = self.run(care, timed)?;
        }
        self.norm = output.gradient_norm;
        let (cells, clipping) = (&self.parameters, self.clipping);
        self.guard
            .learn(cells, clipping, &scalars, self.norm, output.ok);
        self.steps += 1;
        self.updates += output.ok as u64;
        Ok((output, times))
    }

    /// The optimizer's numbers for the next update.
    fn scalars(&self, learning_rate: f64) -> Result<Scalars> {
        let at = self.steps + 1;
        if !(learning_rate.is_finite() && learning_rate >= 0.0) {
            return Err(Error::new(format!(
                "the learning rate of step {at} is {learning_rate}; it must be a number from 0 on"
            )));
        }
        let scalars = self.optimizer.scalars(self.updates + 1, learning_rate);
        match scalars.iter().find(|s| !s.is_finite()) {
            Some(bad) => Err(Error::new(format!(
                "the optimizer {} cannot work with its settings: at step {at}, a number of its update is {bad}",
                self.optimizer.name()
            ))),
            None => Ok(scalars),
        }
    }

    /// Runs the program for the inputs that were set.
    fn run(&mut self, care: Care, timed: bool) -> Result<(StepOutput, StepTimes)> {
        // Taken out, so that compiling can read the rest.
        let mut programs = std::mem::replace(&mut self.programs, Programs(Vec::new()));
        let (x, t) = (&self.inputs[0], &self.inputs[1]);
        let done = programs
            .get(&[x, t], care, || self.compile(&x.meta(), &t.meta(), care))
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
        done
    }

    /// Puts the inputs of the next step where those of the last one were: nothing is allocated again.
    fn set_inputs(&mut self, x: &Array, t: &Array, scalars: &[f64], largest: f64) -> Result<()> {
        if self.inputs.is_empty() {
            self.inputs = vec![x.clone(), t.clone(), Array::scalar(0.0, DType::I64)];
            let numbers = (0..1 + scalars.len()).map(|_| Array::scalar(0.0, DType::F32));
            self.inputs.extend(numbers);
        }
        let numbers = [self.steps as f64, largest];
        let numbers = numbers.into_iter().chain(scalars.iter().copied());
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
        Ok(self.compile(x, t, Care::Bounds)?.dump())
    }

    /// As [`TrainStep::dump`], for an instruction set that need not be this CPU's.
    ///
    /// # Errors
    /// As [`TrainStep::dump`].
    pub fn plan_text(&self, x: &Meta, t: &Meta, isa: Isa) -> Result<String> {
        let traced = self.trace(x, t, Care::Bounds)?;
        let outputs: Vec<&Tensor> = traced.outputs.iter().collect();
        plan_text(&outputs, &traced.updates, isa, self.arithmetic)
    }

    fn compile(&self, x: &Meta, t: &Meta, care: Care) -> Result<Program> {
        self.clipping.check()?;
        check_penalty(self.penalty)?;
        let traced = self.trace(x, t, care)?;
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
        let traced = self.trace(&last[0].meta(), &last[1].meta(), Care::Everything)?;
        let given: Vec<(&Tensor, &Array)> = traced.inputs.iter().zip(last).collect();
        let roots: Vec<&Tensor> = traced.outputs.iter().chain(&traced.stored).collect();
        let loss = traced.outputs[0].node_view().id;
        let mut found = None;
        let mut origin = None;
        replay(&roots, &given, &mut |tensor, value| {
            found = NonFinite::of(tensor, value, loss);
            origin = found.is_some().then(|| tensor.node_view().id);
            found.is_none()
        })?;
        // The update of a parameter is part of no layer: what it belongs to is the parameter.
        if let (Some(found), Some(origin)) = (&mut found, origin) {
            let mut stored = traced.updates.iter().zip(&traced.stored);
            let belongs = |new: &Tensor| nodes(&[new]).iter().any(|t| t.node_view().id == origin);
            if found.in_update
                && let Some(((cell, _), _)) = stored.find(|(_, new)| belongs(new))
            {
                let owns = |c: &&Parameter| c.id() == cell.id();
                let owner = self.parameters.iter().find(|(_, parameter, state)| {
                    [parameter].into_iter().chain(state).any(|c| owns(&c))
                });
                found.updates(owner.map_or(cell.name(), |(path, ..)| path.as_str()));
            }
        }
        Ok(found)
    }

    fn trace(&self, x: &Meta, t: &Meta, care: Care) -> Result<Traced> {
        let x = Tensor::input("x", x.shape.clone(), x.dtype);
        let t = Tensor::input("t", t.shape.clone(), t.dtype);
        let step = Tensor::input("step", [], DType::I64);
        let largest = Tensor::input("largest", [], DType::F32);
        let scalars: Vec<Tensor> = (0..self.optimizer.scalars(1, 0.0).len())
            .map(|i| Tensor::input(format!("scalar{i}"), [], DType::F32))
            .collect();

        let mut cx = Context::new(Mode::Train, self.seed, step.clone());
        let output = in_container("", || self.module.forward(&x, &mut cx));
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

        let correct = correct(&*self.loss, &output, &t);
        let _update = enter(Phase::Update);
        let (norm, clipped) = match care {
            Care::Bounds => finite::plain(&gradients, self.clipping),
            Care::Everything => finite::scaled(&gradients, self.clipping),
        };
        let mut updates: Vec<(Parameter, Tensor)> = Vec::new();
        let mut old_values = Vec::new();
        for (((_, parameter, state), old), gradient) in
            self.parameters.iter().zip(&leaves).zip(&clipped)
        {
            let dtype = parameter.meta().dtype;
            let scalars: Vec<Tensor> = scalars.iter().map(|s| s.cast(dtype)).collect();
            let old_state: Vec<Tensor> = state.iter().map(Parameter::tensor).collect();
            let (new, new_state) = self.optimizer.update(old, gradient, &old_state, &scalars);
            if new_state.len() != state.len() {
                return Err(Error::new(format!(
                    "the optimizer {} has {} state tensors, but its update gives {}",
                    self.optimizer.name(),
                    state.len(),
                    new_state.len()
                )));
            }
            updates.push((parameter.clone(), new));
            updates.extend(state.iter().cloned().zip(new_state));
            old_values.push(old.clone());
            old_values.extend(old_state);
        }
        old_values.extend(statistics.iter().map(|(cell, _)| cell.tensor()));
        let first_statistic = updates.len();
        updates.extend(statistics);
        let stored: Vec<Tensor> = updates.iter().map(|(_, new)| new.clone()).collect();

        let mut ok = loss.is_finite();
        ok = ok.logical_and(&match care {
            Care::Bounds => norm
                .less_equal(&largest)
                .logical_and(&norm.greater_equal(&Tensor::from(LEAST_NORM as f32))),
            Care::Everything => norm.is_finite(),
        });
        let seen = match care {
            Care::Bounds => &stored[first_statistic..],
            Care::Everything => &stored[..],
        };
        if let Some(all) = finite::all_finite(seen) {
            ok = ok.logical_and(&all);
        }
        for ((_, new), old) in updates.iter_mut().zip(&old_values) {
            *new = ok.select(new, old);
        }
        Ok(Traced {
            inputs: [x, t, step, largest].into_iter().chain(scalars).collect(),
            outputs: [loss, norm, ok].into_iter().chain(correct).collect(),
            updates,
            stored,
        })
    }
}

/// The number of samples that the output gets right, if the loss knows right and wrong.
fn correct(loss: &dyn Loss, output: &Tensor, target: &Tensor) -> Option<Tensor> {
    let sums = loss.sums(output, target).into_iter();
    sums.filter(|(name, _)| *name == "correct")
        .map(|(_, sum)| sum)
        .next()
}

/// What evaluation of a batch says.
#[derive(Clone, Debug)]
pub struct EvalOutput {
    /// The mean loss of the batch.
    pub loss: f64,
    /// The number of samples that the output gets right, if the loss knows right and wrong. A sample without an answer
    /// is not right.
    pub correct: Option<usize>,
    /// The number of samples without an answer: a score of theirs is NaN, or none is above minus infinity. 0 where
    /// outputs are no scores `[N, C]`.
    pub unanswered: usize,
    /// The model's output.
    pub output: Array,
}

/// Whether a row of scores has a largest one.
///
/// ```
/// use zerokara_nn::is_answer;
/// assert!(is_answer(&[0.5, f64::NEG_INFINITY]));
/// assert!(!is_answer(&[0.5, f64::NAN]));
/// assert!(!is_answer(&[f64::NEG_INFINITY; 2]));
/// ```
pub fn is_answer(scores: &[f64]) -> bool {
    scores.iter().all(|s| !s.is_nan()) && scores.iter().any(|&s| s > f64::NEG_INFINITY)
}

/// The rows of scores without an answer, and how many of the others have their largest score, the first of equal ones, at
/// their label. Nothing where outputs are no scores.
fn answers(output: &Array, t: &Array) -> Option<(usize, usize)> {
    let &[samples, classes] = output.shape() else {
        return None;
    };
    if classes == 0 || !output.meta().is_float() {
        return None;
    }
    let scores = output.to_f64s();
    let targets = t.to_f64s();
    let label = |row: usize| match t.shape() {
        [n] if *n == samples => Some(targets[row]),
        [n, c] if [*n, *c] == [samples, classes] => {
            Some(first_largest(&targets[row * classes..(row + 1) * classes]) as f64)
        }
        _ => None,
    };
    let (mut without, mut right) = (0, 0);
    for (row, scores) in scores.chunks_exact(classes).enumerate() {
        match is_answer(scores) {
            true => right += usize::from(label(row) == Some(first_largest(scores) as f64)),
            false => without += 1,
        }
    }
    Some((without, right))
}

fn first_largest(numbers: &[f64]) -> usize {
    (0..numbers.len()).fold(
        0,
        |best, i| if numbers[i] > numbers[best] { i } else { best },
    )
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
        let program = self.programs.get(&[x, t], Care::Bounds, || {
            let (input, output) = evaluated(&**module, &x.meta())?;
            let t = Tensor::input("t", t.shape(), t.dtype());
            let value = loss.loss(&output, &t);
            value.meta()?;
            let correct = correct(&**loss, &output, &t);
            let outputs: Vec<&Tensor> = [&output, &value].into_iter().chain(&correct).collect();
            Program::compile_with(&[&input, &t], &outputs, &[], arithmetic)
        })?;
        let mut values = program.run(&[x.clone(), t.clone()])?.into_iter();
        let output = values.next();
        let mut number = || values.next().and_then(|a| a.to_f64s().first().copied());
        match (output, number()) {
            (Some(output), Some(loss)) => {
                let mut correct = number().map(|n| n.round() as usize);
                let (unanswered, right) = answers(&output, t).unwrap_or_default();
                // The index of a largest score that is NaN may well be the label's.
                if unanswered > 0 && correct.is_some() {
                    correct = Some(right);
                }
                Ok(EvalOutput {
                    loss,
                    correct,
                    unanswered,
                    output,
                })
            }
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
        self.programs.get(&[x], Care::Bounds, || {
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
    let output = in_container("", || module.forward(&input, &mut cx));
    output.meta()?;
    cx.finish()?;
    Ok((input, output))
}

#[cfg(test)]
mod tests;
