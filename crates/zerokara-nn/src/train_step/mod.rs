//! A step of training, compiled as one program per shape of the batch, or in two halves with a place between.

mod average;
pub(crate) mod groups;
pub(crate) mod programs;
mod state;
#[cfg(test)]
mod tests;
pub(crate) mod trace;

use crate::{
    Clipping, Model, NonFinite, Optimizer, Task, Totals,
    clipping::check_penalty,
    given::{Given, Inputs, Shapes, samples},
    replay::{nodes, replay},
};
use average::Averages;
use groups::{Cell, Group, ParameterGroup};
use programs::{Compiled, Programs, Site};
use std::sync::Arc;
use zerokara_core::{
    Arithmetic, Array, Arrays, DType, Error, Isa, Meta, Parameter, Program, Result, Runner,
    Runtime, StepTimes, Tensor, plan_text,
};

/// What a step looks at before it stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// Loss, norm and statistics: with a norm within bounds, the update is known to be finite
    /// ([`Guard`](crate::bounds::Guard)).
    Bounds,
    /// Every value that is to be stored; and the norm is that of scaled gradients, so that no square overflows or
    /// becomes 0.
    Everything,
}

/// What a program computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// A whole step.
    Step(Care),
    /// The gradients of the first part of a batch.
    First,
    /// Those of a further part, added to what is there.
    Further,
    /// The update.
    Update(Care),
}

/// The least norm of the gradient whose squares are sums of enough bits.
const LEAST_NORM: f64 = 1e-12;

/// The random draws of the parts of one step are 2 to this power from each other in the numbers of steps.
const PART_STRIDE: i32 = 40;

/// What a step of training says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StepOutput {
    /// The mean loss of the batch, penalty included, before the update.
    pub loss: f64,
    /// The number of samples that the output got right, if the task knows right and wrong (a sum named `correct`).
    pub correct: Option<usize>,
    /// Loss and the task's sums, from which its measures are made.
    pub totals: Totals,
    /// The norm of the whole gradient, before clipping.
    pub gradient_norm: f64,
    /// Whether loss, gradient, and everything that was to be stored (parameters, the optimizer's state, running
    /// statistics) are finite. If not, nothing was updated.
    pub ok: bool,
}

/// What the first half of a step says of a batch, or of a part of one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GradientOutput {
    /// The mean loss, penalty included.
    pub loss: f64,
    /// Loss and the task's sums.
    pub totals: Totals,
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
/// let mut step = TrainStep::new(model, MeanSquaredError::new(), Sgd::new(0.1))?;
/// let first = step.step(&x, &t, 0.1)?.loss;
/// let second = step.step(&x, &t, 0.1)?.loss;
/// assert!(second < first);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
///
/// # Two halves
///
/// A step can be taken in parts: [`TrainStep::accumulate`] computes the gradients of a batch, or adds those of a further
/// part of it; then they lie in places of their own ([`TrainStep::gradients`]), where they can be looked at, changed, or
/// summed with those of others; [`TrainStep::update`] clips what lies there and updates. The sum of the parts is
/// `((g1 s1 + g2 s2) + g3 s3) + ..` in the order of the calls, where `s` are the parts' shares of the batch.
///
/// ```
/// # use std::sync::Arc;
/// # use zerokara_core::{Array, Tensor};
/// # use zerokara_nn::{Forward, MeanSquaredError, Sequential, Sgd, TrainStep};
/// # let (x, t) = (Tensor::from([[1.0], [2.0]]).eval()?, Tensor::from([[3.0], [5.0]]).eval()?);
/// # let model = Arc::new(Sequential::new().linear(1));
/// # model.build(&x, 1)?;
/// # let mut step = TrainStep::new(model, MeanSquaredError::new(), Sgd::new(0.1))?;
/// for part in 0..4 {
///     step.accumulate(&x, &t, 1.0 / 4.0)?; // the gradients of a quarter of the batch
/// }
/// for (path, gradient) in step.gradients() {
///     let value = gradient.value(); // to be summed with those of other machines
///     gradient.set_array(value)?;
/// }
/// let output = step.update(0.1)?;
/// assert!(output.ok);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
pub struct TrainStep {
    model: Arc<dyn Model>,
    task: Arc<dyn Task>,
    optimizer: Arc<dyn Optimizer>,
    clipping: Clipping,
    penalty: f64,
    seed: u64,
    site: Site,
    wanted: Vec<ParameterGroup>,
    /// The parameters that are trained, each with its state.
    cells: Vec<Cell>,
    groups: Vec<Group>,
    /// The moving average of what is trained, if one is kept.
    average: Option<Averages>,
    programs: Programs<Pass, Runner>,
    steps: u64,
    updates: u64,
    /// The norm of the last step's gradient.
    norm: f64,
    /// The inputs of the last program but the update alone: batch, targets, number of the step, and what else it takes.
    inputs: Inputs,
    /// The shapes of the last batch.
    last: Option<(Shapes, Shapes)>,
    /// The place of each parameter's gradient, made when a step is first taken in halves.
    gradients: Vec<Parameter>,
    halves: Option<Halves>,
    /// The inputs of the last update alone.
    second: Inputs,
}

/// What is known between the first half of a step and the second.
struct Halves {
    parts: u32,
    share: f64,
    loss: f64,
    totals: Totals,
    /// Whether all losses and statistics are finite.
    ok: bool,
    /// The running statistics before the step.
    statistics: Vec<(Parameter, Array)>,
}

impl Halves {
    /// Before the first part.
    fn of(model: &dyn Model) -> Result<Self> {
        // The values stay those of now, whatever is written to the cells.
        let now = |statistic: Parameter| {
            let value = statistic.value();
            (statistic, value)
        };
        Ok(Self {
            parts: 0,
            share: 0.0,
            loss: 0.0,
            totals: Totals::new(),
            ok: true,
            statistics: model.buffers()?.into_iter().map(now).collect(),
        })
    }
}

impl TrainStep {
    /// A step for a model that has been built, without clipping, with seed 0.
    ///
    /// # Errors
    /// If the model has not been built, or the optimizer has a setting that cannot work ([`Optimizer::check`]).
    pub fn new(
        model: impl Model + 'static,
        task: impl Task + 'static,
        optimizer: impl Optimizer + 'static,
    ) -> Result<Self> {
        optimizer.check()?;
        let optimizer: Arc<dyn Optimizer> = Arc::new(optimizer);
        let (cells, groups) = groups::deal(model.named_parameters()?, &optimizer, &[])?;
        Ok(Self {
            model: Arc::new(model),
            task: Arc::new(task),
            optimizer,
            clipping: Clipping::None,
            penalty: 0.0,
            seed: 0,
            site: Site::current()?,
            wanted: Vec::new(),
            cells,
            groups,
            average: None,
            programs: Programs::default(),
            steps: 0,
            updates: 0,
            norm: 1.0,
            inputs: Inputs::default(),
            last: None,
            gradients: Vec::new(),
            halves: None,
            second: Inputs::default(),
        })
    }

    /// Trains the parameters of this group in its own way. A parameter belongs to the first group that it matches; what
    /// the optimizer remembers begins anew.
    ///
    /// # Errors
    /// If no parameter matches one of its patterns, or it has a setting that cannot work.
    pub fn group(mut self, group: ParameterGroup) -> Result<Self> {
        self.wanted.push(group);
        let parameters = self.model.named_parameters()?;
        (self.cells, self.groups) = groups::deal(parameters, &self.optimizer, &self.wanted)?;
        self.programs = Programs::default();
        self.gradients.clear();
        Ok(self)
    }

    /// How gradients are clipped; a limit that is no number above 0 makes the first step an error.
    pub fn clipping(mut self, clipping: Clipping) -> Self {
        self.clipping = clipping;
        self
    }

    /// Adds `penalty / 2 * |W|^2` for every weight W (parameters of two axes or more, not biases, not frozen) to the loss, as
    /// the book does (page 193); a penalty that is no number from 0 on makes the first step an error.
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
        self.site.set_arithmetic(arithmetic)?;
        self.programs = Programs::default();
        Ok(self)
    }

    /// The runtime whose threads run the step, within its limits; the default one unless told otherwise.
    pub fn runtime(mut self, runtime: Arc<Runtime>) -> Self {
        self.site.runtime = runtime;
        self.programs = Programs::default();
        self
    }

    /// The model.
    pub fn model(&self) -> &Arc<dyn Model> {
        &self.model
    }

    /// What it is trained for.
    pub fn task(&self) -> &Arc<dyn Task> {
        &self.task
    }

    /// Number of steps taken and of updates made; the two differ by the steps that were not finite.
    pub fn counters(&self) -> (u64, u64) {
        (self.steps, self.updates)
    }

    /// Goes on from these numbers of steps and updates.
    pub fn set_counters(&mut self, steps: u64, updates: u64) {
        (self.steps, self.updates) = (steps, updates);
    }

    /// One step on a batch of inputs and targets: an array, or arrays with names.
    ///
    /// # Errors
    /// If the batch does not fit the model, a label is no class, or a setting cannot work: a learning rate that is
    /// negative, infinite or NaN.
    pub fn step(
        &mut self,
        inputs: &(impl Given + ?Sized),
        targets: &(impl Given + ?Sized),
        learning_rate: f64,
    ) -> Result<StepOutput> {
        Ok(self.advance(inputs, targets, learning_rate, false)?.0)
    }

    /// As [`TrainStep::step`], with what each kernel step computes and how long it took.
    ///
    /// # Errors
    /// As [`TrainStep::step`].
    pub fn step_timed(
        &mut self,
        inputs: &(impl Given + ?Sized),
        targets: &(impl Given + ?Sized),
        learning_rate: f64,
    ) -> Result<(StepOutput, StepTimes)> {
        self.advance(inputs, targets, learning_rate, true)
    }

    fn advance(
        &mut self,
        inputs: &(impl Given + ?Sized),
        targets: &(impl Given + ?Sized),
        learning_rate: f64,
        timed: bool,
    ) -> Result<(StepOutput, StepTimes)> {
        if self.halves.is_some() {
            return Err(Error::new(
                "gradients were accumulated and not used: call update before the next step",
            ));
        }
        let largest = self.make_ready(learning_rate)?;
        let mut care = self.first_care(largest);
        let run = |step: &mut Self, care| {
            step.set_inputs(inputs, targets);
            step.run(Pass::Step(care), inputs, targets, largest, timed)
        };
        let (mut output, mut times) = run(self, care)?;
        if care == Care::Bounds && output.is_unsure() && !is_within(output.gradient_norm, largest) {
            care = Care::Everything;
            (output, times) = run(self, care)?;
        }
        self.learn(&output);
        Ok((output, times))
    }

    /// Computes the gradients of a batch, or of a part of one whose share of it is this (from 0 to 1; a batch that is
    /// taken whole has the share 1), and puts them in their places; further calls add to what is there. Running
    /// statistics follow each part; random draws differ from part to part. Nothing is updated before [`TrainStep::update`].
    ///
    /// # Errors
    /// As [`TrainStep::step`].
    pub fn accumulate(
        &mut self,
        inputs: &(impl Given + ?Sized),
        targets: &(impl Given + ?Sized),
        share: f64,
    ) -> Result<GradientOutput> {
        if !(share.is_finite() && share >= 0.0) {
            return Err(Error::new(format!(
                "a part's share of the batch is a number from 0 to 1, not {share}"
            )));
        }
        self.make_places()?;
        let mut halves = match self.halves.take() {
            Some(halves) => halves,
            None => Halves::of(&*self.model)?,
        };
        match self.first_half(&mut halves, inputs, targets, share) {
            Ok(output) => {
                self.halves = Some(halves);
                Ok(output)
            }
            Err(error) => {
                // Nothing of this step remains.
                restore(&halves.statistics)?;
                Err(error)
            }
        }
    }

    fn first_half(
        &mut self,
        halves: &mut Halves,
        inputs: &(impl Given + ?Sized),
        targets: &(impl Given + ?Sized),
        share: f64,
    ) -> Result<GradientOutput> {
        self.set_inputs(inputs, targets);
        // Both are exact: far fewer parts and steps than a double can count.
        let draws = 2f64.powi(PART_STRIDE) * f64::from(halves.parts);
        self.inputs.number(self.steps as f64 + draws, DType::I64)?;
        self.inputs.number(share, DType::F32)?;
        let pass = match halves.parts {
            0 => Pass::First,
            _ => Pass::Further,
        };
        let mut programs = std::mem::take(&mut self.programs);
        let done = programs
            .get(pass, inputs, targets, |inputs, targets| {
                Ok(self.compile(pass, inputs, targets)?.runner())
            })
            .and_then(|compiled| {
                let Compiled { program, sums, .. } = compiled;
                let outputs = program.run(self.inputs.all())?;
                let mut totals = Totals::new();
                let loss = number_of(outputs, 0)?;
                let tallied =
                    (2..outputs.len()).map(|at| number_of(outputs, at).unwrap_or(f64::NAN));
                let sums = sums.iter().copied().zip(tallied);
                totals.add(samples(inputs) as u64, loss, sums);
                Ok((loss, number_of(outputs, 1)? != 0.0, totals))
            });
        self.programs = programs;
        let (loss, statistics_ok, totals) = done?;
        halves.parts += 1;
        halves.share += share;
        halves.loss += loss * share;
        halves.totals.join(&totals);
        halves.ok &= loss.is_finite() && statistics_ok;
        Ok(GradientOutput { loss, totals })
    }

    /// The place of each gradient, by the parameter's path: what lies there is what [`TrainStep::update`] takes.
    pub fn gradients(&self) -> impl Iterator<Item = (&str, &Parameter)> {
        let paths = self.cells.iter().map(|cell| cell.path.as_str());
        paths.zip(&self.gradients)
    }

    /// The second half of a step: clips the gradients that lie in their places, and updates. What it says of the loss is of
    /// all parts that were accumulated, each by its share.
    ///
    /// # Errors
    /// If nothing was accumulated, or a setting cannot work.
    pub fn update(&mut self, learning_rate: f64) -> Result<StepOutput> {
        let halves = self.halves.take().ok_or_else(|| {
            Error::new("there are no gradients to update by: call accumulate first")
        })?;
        let done = self.second_half(&halves, learning_rate);
        if !done.as_ref().is_ok_and(|output| output.ok) {
            restore(&halves.statistics)?;
        }
        done
    }

    fn second_half(&mut self, halves: &Halves, learning_rate: f64) -> Result<StepOutput> {
        let largest = self.make_ready(learning_rate)?;
        let mut output = StepOutput {
            loss: halves.loss,
            correct: correct(&halves.totals),
            totals: halves.totals,
            gradient_norm: f64::NAN,
            ok: false,
        };
        let mut care = self.first_care(largest);
        loop {
            self.second.begin();
            self.second.number(f64::from(halves.ok), DType::Bool)?;
            self.second.number(largest, DType::F32)?;
            for number in self.groups.iter().flat_map(|g| g.scalars.iter()) {
                self.second.number(*number, DType::F32)?;
            }
            if let Some(share) = self.share_of_next() {
                self.second.number(share, DType::F32)?;
            }
            let mut programs = std::mem::take(&mut self.programs);
            let none = Arrays::new();
            let pass = Pass::Update(care);
            let done = programs
                .get(pass, &none, &none, |x, t| {
                    Ok(self.compile(pass, x, t)?.runner())
                })
                .and_then(|compiled| {
                    let outputs = compiled.program.run(self.second.all())?;
                    Ok((number_of(outputs, 0)?, number_of(outputs, 1)? != 0.0))
                });
            self.programs = programs;
            (output.gradient_norm, output.ok) = done?;
            let again = care == Care::Bounds
                && halves.ok
                && output.is_unsure()
                && !is_within(output.gradient_norm, largest);
            if !again {
                break;
            }
            care = Care::Everything;
        }
        self.learn(&output);
        Ok(output)
    }

    /// Makes the places of the gradients, if they are not there yet.
    fn make_places(&mut self) -> Result<()> {
        if self.gradients.len() != self.cells.len() {
            let places = self.cells.iter().map(|cell| {
                let zeros = Array::try_zeros(cell.parameter.meta())?;
                Ok(Parameter::of_array(
                    format!("{}.gradient", cell.path),
                    zeros,
                ))
            });
            self.gradients = places.collect::<Result<_>>()?;
        }
        Ok(())
    }

    /// Computes the optimizers' numbers for the next update, and the largest norm of the gradient for which its results
    /// are sure to be finite.
    fn make_ready(&mut self, learning_rate: f64) -> Result<f64> {
        let at = self.steps + 1;
        if !(learning_rate.is_finite() && learning_rate >= 0.0) {
            return Err(Error::new(format!(
                "the learning rate of step {at} is {learning_rate}; it must be a number from 0 on"
            )));
        }
        let mut largest = f64::INFINITY;
        for group in &mut self.groups {
            let optimizer = &group.optimizer;
            group.scalars = optimizer.scalars(self.updates + 1, learning_rate * group.rate);
            if let Some(bad) = group.scalars.iter().find(|s| !s.is_finite()) {
                return Err(Error::new(format!(
                    "the optimizer {} cannot work with its settings: at step {at}, a number of its update is {bad}",
                    optimizer.name()
                )));
            }
            let limit = group
                .guard
                .limit(&self.cells, self.clipping, &group.scalars);
            largest = largest.min(limit);
        }
        // Where nothing is trained, nothing can become too large.
        Ok(largest.min(1e18))
    }

    /// A step begins as would have been right for the last one.
    fn first_care(&self, largest: f64) -> Care {
        match is_within(self.norm, largest) {
            true => Care::Bounds,
            false => Care::Everything,
        }
    }

    /// Takes note of a step that was taken.
    fn learn(&mut self, output: &StepOutput) {
        self.norm = output.gradient_norm;
        for group in &mut self.groups {
            let (cells, scalars) = (&self.cells, &group.scalars);
            group
                .guard
                .learn(cells, self.clipping, scalars, self.norm, output.ok);
        }
        self.steps += 1;
        self.updates += output.ok as u64;
    }

    /// Puts the batch where that of the last step was.
    fn set_inputs(&mut self, inputs: &(impl Given + ?Sized), targets: &(impl Given + ?Sized)) {
        self.inputs.begin();
        self.inputs.put(inputs);
        self.inputs.put(targets);
        let known = (self.last.as_ref()).is_some_and(|(x, t)| x.fit(inputs) && t.fit(targets));
        if !known {
            self.last = Some((Shapes::of(inputs, "x"), Shapes::of(targets, "t")));
        }
    }

    /// Runs the program of a whole step for the inputs that were set.
    fn run(
        &mut self,
        pass: Pass,
        inputs: &(impl Given + ?Sized),
        targets: &(impl Given + ?Sized),
        largest: f64,
        timed: bool,
    ) -> Result<(StepOutput, StepTimes)> {
        self.inputs.number(self.steps as f64, DType::I64)?;
        self.inputs.number(largest, DType::F32)?;
        for number in self.groups.iter().flat_map(|g| g.scalars.iter()) {
            self.inputs.number(*number, DType::F32)?;
        }
        if let Some(share) = self.share_of_next() {
            self.inputs.number(share, DType::F32)?;
        }
        // Taken out, so that compiling can read the rest.
        let mut programs = std::mem::take(&mut self.programs);
        let samples = samples(inputs) as u64;
        let done = programs
            .get(pass, inputs, targets, |x, t| {
                Ok(self.compile(pass, x, t)?.runner())
            })
            .and_then(|compiled| {
                let Compiled { program, sums, .. } = compiled;
                match timed {
                    true => {
                        let (outputs, times) = program.run_timed(self.inputs.all())?;
                        Ok((StepOutput::read(outputs, sums, samples)?, times))
                    }
                    false => {
                        let outputs = program.run(self.inputs.all())?;
                        Ok((StepOutput::read(outputs, sums, samples)?, Vec::new()))
                    }
                }
            });
        self.programs = programs;
        done
    }

    /// The plan of the step for batches of one input and one target of these shapes, as text.
    ///
    /// # Errors
    /// If such a batch does not fit the model.
    pub fn dump(&self, x: &Meta, t: &Meta) -> Result<String> {
        let (x, t) = (Shapes::one("x", x), Shapes::one("t", t));
        let compiled = self.compile(Pass::Step(Care::Bounds), &x, &t)?;
        Ok(compiled.program.dump())
    }

    /// As [`TrainStep::dump`], for an instruction set that need not be this CPU's.
    ///
    /// # Errors
    /// As [`TrainStep::dump`].
    pub fn plan_text(&self, x: &Meta, t: &Meta, isa: Isa) -> Result<String> {
        let (x, t) = (Shapes::one("x", x), Shapes::one("t", t));
        let traced = self.trace(&x, &t, Care::Bounds)?;
        let outputs: Vec<&Tensor> = traced.outputs.iter().collect();
        plan_text(&outputs, &traced.updates, isa, self.site.arithmetic())
    }

    fn compile(&self, pass: Pass, inputs: &Shapes, targets: &Shapes) -> Result<Compiled<Program>> {
        self.clipping.check()?;
        check_penalty(self.penalty)?;
        let traced = match pass {
            Pass::Step(care) => self.trace(inputs, targets, care)?,
            Pass::First => self.trace_gradients(inputs, targets, true)?,
            Pass::Further => self.trace_gradients(inputs, targets, false)?,
            Pass::Update(care) => self.trace_second(care)?,
        };
        let inputs: Vec<&Tensor> = traced.inputs.iter().collect();
        let outputs: Vec<&Tensor> = traced.outputs.iter().collect();
        Ok(Compiled {
            program: self.site.compile(&inputs, &outputs, &traced.updates)?,
            sums: traced.sums.into(),
            outputs: Arc::default(),
        })
    }

    /// The first value of the last step that is not finite: where it arose. `None` if all are finite, or no step was
    /// taken, or the step was taken in halves and the value is none of its last part. Meant for after a step that was not
    /// ok, while the parameters are still those of that step.
    ///
    /// # Errors
    /// If the step cannot be run again.
    pub fn locate_non_finite(&self) -> Result<Option<NonFinite>> {
        let Some((inputs, targets)) = &self.last else {
            return Ok(None);
        };
        let traced = self.trace(inputs, targets, Care::Everything)?;
        let batch = inputs.len() + targets.len();
        let numbers = [
            Array::scalar(self.steps.saturating_sub(1) as f64, DType::I64),
            Array::scalar(1e18, DType::F32),
        ];
        let scalars = self.groups.iter().flat_map(|group| group.scalars.iter());
        let scalars = scalars.copied().chain(self.share_of_next());
        let scalars = scalars.map(|s| Array::scalar(s, DType::F32));
        let last: Vec<Array> = (self.inputs.all()[..batch].iter().cloned())
            .chain(numbers)
            .chain(scalars)
            .collect();
        let given: Vec<(&Tensor, &Array)> = traced.inputs.iter().zip(&last).collect();
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
                let owner = self.cells.iter().find(|owner| {
                    let mut own = [&owner.parameter].into_iter().chain(&owner.state);
                    own.any(|c| c.id() == cell.id())
                });
                found.updates(owner.map_or(cell.name(), |owner| owner.path.as_str()));
            }
        }
        Ok(found)
    }
}

impl StepOutput {
    fn read(outputs: &[Array], sums: &[&'static str], samples: u64) -> Result<Self> {
        let mut totals = Totals::new();
        let loss = number_of(outputs, 0)?;
        let tallied = (3..outputs.len()).map(|at| number_of(outputs, at).unwrap_or(f64::NAN));
        totals.add(samples, loss, sums.iter().copied().zip(tallied));
        Ok(Self {
            loss,
            gradient_norm: number_of(outputs, 1)?,
            ok: number_of(outputs, 2)? != 0.0,
            correct: correct(&totals),
            totals,
        })
    }

    /// Whether it is not known to be bad, although it was not good.
    fn is_unsure(&self) -> bool {
        !self.ok && self.loss.is_finite() && !self.gradient_norm.is_nan()
    }
}

fn correct(totals: &Totals) -> Option<usize> {
    totals.sum("correct").map(|n| n.round() as usize)
}

fn number_of(outputs: &[Array], at: usize) -> Result<f64> {
    let number = outputs.get(at).and_then(|a| a.get_f64(0));
    number.ok_or_else(|| Error::new("the compiled step gave too few outputs"))
}

/// Whether sums of squares of this norm have enough bits, and updates by it are sure.
fn is_within(norm: f64, largest: f64) -> bool {
    norm >= LEAST_NORM && norm <= largest
}

fn restore(statistics: &[(Parameter, Array)]) -> Result<()> {
    for (cell, value) in statistics {
        cell.set_array(value.clone())?;
    }
    Ok(())
}
