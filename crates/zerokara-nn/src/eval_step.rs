//! Steps of evaluation and of prediction, each compiled as one program per shape of the batch.

use crate::{
    Context, Model, Task, Totals,
    given::{Given, Inputs, samples},
    tasks::first_largest,
    train_step::{
        programs::{Compiled, Programs, SharedPrograms, Site},
        trace::{in_outputs, summed},
    },
};
use std::sync::Arc;
use zerokara_core::{
    Arithmetic, Array, Arrays, Error, Program, Result, Runtime, StepTimes, Tensor, Tensors,
};

/// What evaluation of a batch says.
#[derive(Clone, Debug)]
pub struct EvalOutput {
    /// The mean loss of the batch.
    pub loss: f64,
    /// The number of samples that the output gets right, if the task knows right and wrong (a sum named `correct`). A
    /// sample without an answer is not right.
    pub correct: Option<usize>,
    /// The number of samples without an answer: a score of theirs is NaN, or none is above minus infinity. 0 where
    /// outputs are no scores `[N, C]`.
    pub unanswered: usize,
    /// Loss and the task's sums, from which its measures are made.
    pub totals: Totals,
    /// The model's only output, or its first.
    pub output: Array,
    /// All of the model's outputs.
    pub outputs: Arrays,
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

/// A step of evaluation: forward pass and loss, nothing random, nothing updated.
pub struct EvalStep {
    model: Arc<dyn Model>,
    task: Arc<dyn Task>,
    site: Site,
    programs: Programs<(), Program>,
    inputs: Inputs,
}

impl EvalStep {
    /// A step for a model that has been built.
    ///
    /// # Errors
    /// If the model has not been built.
    pub fn new(model: impl Model + 'static, task: impl Task + 'static) -> Result<Self> {
        model.parameters()?;
        Ok(Self {
            model: Arc::new(model),
            task: Arc::new(task),
            site: Site::current()?,
            programs: Programs::default(),
            inputs: Inputs::default(),
        })
    }

    /// As [`TrainStep::precision`](crate::TrainStep::precision).
    ///
    /// # Errors
    /// As there.
    pub fn precision(mut self, arithmetic: Arithmetic) -> Result<Self> {
        self.site.set_arithmetic(arithmetic)?;
        self.programs = Programs::default();
        Ok(self)
    }

    /// As [`TrainStep::runtime`](crate::TrainStep::runtime).
    pub fn runtime(mut self, runtime: Arc<Runtime>) -> Self {
        self.site.runtime = runtime;
        self.programs = Programs::default();
        self
    }

    /// Loss and outputs of a batch: an array, or arrays with names.
    ///
    /// # Errors
    /// If the batch does not fit the model, or a label is no class.
    pub fn run(
        &mut self,
        inputs: &(impl Given + ?Sized),
        targets: &(impl Given + ?Sized),
    ) -> Result<EvalOutput> {
        let (model, task, site) = (&self.model, &self.task, &self.site);
        let compiled = self.programs.get((), inputs, targets, |inputs, targets| {
            let (given, wanted) = (inputs.tensors(), targets.tensors());
            let outputs = evaluated(&**model, &given)?;
            let loss = task.objective(&outputs, &wanted);
            loss.meta()?;
            let (sums, tallied) = summed(&**task, &outputs, &wanted)?;
            let leaves: Vec<&Tensor> = given.values().chain(wanted.values()).collect();
            let all: Vec<&Tensor> = outputs.values().chain([&loss]).chain(&tallied).collect();
            Ok(Compiled {
                program: site.compile(&leaves, &all, &[])?,
                sums: sums.into(),
                outputs: Arc::new(outputs.map(|_, _| ())),
            })
        })?;
        let Compiled {
            program,
            sums,
            outputs,
        } = compiled;
        self.inputs.begin();
        self.inputs.put(inputs);
        self.inputs.put(targets);
        let mut values = program.run(self.inputs.all())?.into_iter();
        let outputs: Arrays = outputs.names().zip(values.by_ref()).collect();
        let mut numbers = values.map(|a| a.get_f64(0).unwrap_or(f64::NAN));
        let (Some(loss), Some(output)) = (numbers.next(), outputs.values().next().cloned()) else {
            return Err(Error::new("the compiled step gave too few outputs"));
        };
        let samples = samples(inputs);
        let mut totals = Totals::new();
        totals.add(samples as u64, loss, sums.iter().copied().zip(numbers));
        let mut unanswered = 0;
        if let (1, Some(_)) = (targets.count(), totals.sum("correct"))
            && let Some((without, right)) = answers(&output, targets.at(0).1)
            && without > 0
        {
            // The index of a largest score that is NaN may well be the label's.
            unanswered = without;
            totals.set("correct", right as f64);
        }
        Ok(EvalOutput {
            loss,
            correct: totals.sum("correct").map(|n| n.round() as usize),
            unanswered,
            totals,
            output,
            outputs,
        })
    }
}

/// A model's outputs in evaluation mode, compiled once per shape. Many threads may ask one predictor at once.
///
/// ```
/// use std::{sync::Arc, thread};
/// use zerokara_core::{Array, Tensor};
/// use zerokara_nn::{Forward, Predictor, Sequential};
///
/// let model = Arc::new(Sequential::new().linear(2));
/// let x = Tensor::ones([1, 3]).eval()?;
/// model.build(&x, 1)?;
/// let predictor = Predictor::new(model)?;
/// let expected = predictor.predict(&x)?.to_f64s();
/// thread::scope(|scope| {
///     for _ in 0..4 {
///         scope.spawn(|| assert_eq!(predictor.predict(&x).unwrap().to_f64s(), expected));
///     }
/// });
/// # Ok::<(), zerokara_core::Error>(())
/// ```
pub struct Predictor {
    model: Arc<dyn Model>,
    site: Site,
    programs: SharedPrograms,
}

impl Predictor {
    /// A predictor of a model that has been built.
    ///
    /// # Errors
    /// If the model has not been built.
    pub fn new(model: impl Model + 'static) -> Result<Self> {
        model.parameters()?;
        Ok(Self {
            model: Arc::new(model),
            site: Site::current()?,
            programs: SharedPrograms::default(),
        })
    }

    /// As [`TrainStep::precision`](crate::TrainStep::precision).
    ///
    /// # Errors
    /// As there.
    pub fn precision(mut self, arithmetic: Arithmetic) -> Result<Self> {
        self.site.set_arithmetic(arithmetic)?;
        self.programs = SharedPrograms::default();
        Ok(self)
    }

    /// As [`TrainStep::runtime`](crate::TrainStep::runtime).
    pub fn runtime(mut self, runtime: Arc<Runtime>) -> Self {
        self.site.runtime = runtime;
        self.programs = SharedPrograms::default();
        self
    }

    /// The output for a batch, or the first if the model has several.
    ///
    /// # Errors
    /// If the batch does not fit the model.
    pub fn predict(&self, inputs: &(impl Given + ?Sized)) -> Result<Array> {
        let mut given = Inputs::default();
        given.put(inputs);
        let outputs = self.compiled(inputs)?.program.run(given.all())?;
        let first = outputs.into_iter().next();
        first.ok_or_else(|| Error::new("the model has no output"))
    }

    /// All outputs for a batch.
    ///
    /// # Errors
    /// If the batch does not fit the model.
    pub fn predict_all(&self, inputs: &(impl Given + ?Sized)) -> Result<Arrays> {
        let mut given = Inputs::default();
        given.put(inputs);
        let compiled = self.compiled(inputs)?;
        let values = compiled.program.run(given.all())?;
        Ok(compiled.outputs.names().zip(values).collect())
    }

    /// What each kernel step computes for a batch, and how long it took.
    ///
    /// # Errors
    /// As [`Predictor::predict`].
    pub fn step_times(&self, inputs: &(impl Given + ?Sized)) -> Result<StepTimes> {
        let mut given = Inputs::default();
        given.put(inputs);
        let mut runner = self.compiled(inputs)?.program.runner();
        Ok(runner.run_timed(given.all())?.1)
    }

    fn compiled(&self, inputs: &(impl Given + ?Sized)) -> Result<Compiled<Program>> {
        self.programs.get(inputs, |inputs| {
            let given = inputs.tensors();
            let outputs = evaluated(&*self.model, &given)?;
            let leaves: Vec<&Tensor> = given.values().collect();
            let all: Vec<&Tensor> = outputs.values().collect();
            Ok(Compiled {
                program: self.site.compile(&leaves, &all, &[])?,
                sums: Arc::default(),
                outputs: Arc::new(outputs.map(|_, _| ())),
            })
        })
    }
}

/// The model's outputs for these inputs, in evaluation.
fn evaluated(model: &dyn Model, inputs: &Tensors) -> Result<Tensors> {
    let mut cx = Context::evaluate();
    let outputs = in_outputs(|| model.apply(inputs, &mut cx))?;
    cx.finish()?;
    Ok(outputs)
}
