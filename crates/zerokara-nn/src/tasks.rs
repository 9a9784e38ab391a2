//! Tasks: what a model is trained for. The loss, the measures of how well it does, and what its outputs say.

use crate::Loss;
use std::sync::Arc;
use zerokara_core::{Array, Arrays, Result, Tensor, Tensors};

/// What a model is trained for: what is made small, how well it does, and how its outputs are read.
///
/// A [`Loss`] is a task for models of one output and data of one target: [`SoftmaxCrossEntropy`](crate::SoftmaxCrossEntropy)
/// for classification, [`MeanSquaredError`](crate::MeanSquaredError) for regression,
/// [`BinaryCrossEntropy`](crate::BinaryCrossEntropy) for several labels at once,
/// [`TokenCrossEntropy`](crate::TokenCrossEntropy) for the next token. A task of one's own for several outputs or targets:
///
/// ```
/// use zerokara_core::{Tensor, Tensors};
/// use zerokara_nn::{Loss, MeanSquaredError, SoftmaxCrossEntropy, Task};
///
/// /// Which animal it is, and how heavy.
/// struct AnimalAndWeight;
///
/// impl Task for AnimalAndWeight {
///     fn title(&self) -> &'static str {
///         "animal_and_weight"
///     }
///
///     fn objective(&self, outputs: &Tensors, targets: &Tensors) -> Tensor {
///         let animal = SoftmaxCrossEntropy::new().loss(&outputs.tensor("animal"), &targets.tensor("animal"));
///         let weight = MeanSquaredError::new().loss(&outputs.tensor("weight"), &targets.tensor("weight"));
///         animal + weight * 0.1
///     }
/// }
/// ```
pub trait Task: Send + Sync {
    /// The name, as reports and files have it: words joined by `_`.
    fn title(&self) -> &'static str;

    /// Name and value of each setting, as reports and files list them.
    fn options(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// The weight of each class, if the task has classes and they differ.
    fn weights(&self) -> &[f64] {
        &[]
    }

    /// The mean loss of a batch, a scalar; an invalid tensor that says why where outputs and targets do not go together.
    fn objective(&self, outputs: &Tensors, targets: &Tensors) -> Tensor;

    /// Sums over a batch from which the measures are made, float scalars: the number of right answers, the sum of squared
    /// errors. They are computed in the compiled step. At most [`Totals::MOST`].
    fn tally(&self, outputs: &Tensors, targets: &Tensors) -> Vec<(&'static str, Tensor)> {
        let _ = (outputs, targets);
        Vec::new()
    }

    /// The measures of what was summed up over all batches, without the loss. Progress, metrics and report show all; the
    /// first is what the best epoch is chosen by, or, if there is none, the loss.
    fn measures(&self, totals: &Totals) -> Vec<Measure> {
        let _ = totals;
        Vec::new()
    }

    /// What the outputs for one sample of a batch say.
    ///
    /// # Errors
    /// If they are no answer: a score is NaN, an output is missing.
    fn answer(&self, outputs: &Arrays, sample: usize) -> Result<Answer> {
        Answer::numbers(outputs.find("")?, sample)
    }
}

impl<L: Loss + ?Sized> Task for L {
    fn title(&self) -> &'static str {
        self.name()
    }

    fn options(&self) -> Vec<(&'static str, f64)> {
        self.settings()
    }

    fn weights(&self) -> &[f64] {
        self.class_weights()
    }

    fn objective(&self, outputs: &Tensors, targets: &Tensors) -> Tensor {
        self.loss(&outputs.single(), &targets.single())
    }

    fn tally(&self, outputs: &Tensors, targets: &Tensors) -> Vec<(&'static str, Tensor)> {
        self.sums(&outputs.single(), &targets.single())
    }

    fn measures(&self, totals: &Totals) -> Vec<Measure> {
        self.metrics(totals)
    }

    fn answer(&self, outputs: &Arrays, sample: usize) -> Result<Answer> {
        self.read(outputs.find("")?, sample)
    }
}

/// A task that is chosen when the program runs.
impl Task for Arc<dyn Task> {
    fn title(&self) -> &'static str {
        (**self).title()
    }

    fn options(&self) -> Vec<(&'static str, f64)> {
        (**self).options()
    }

    fn weights(&self) -> &[f64] {
        (**self).weights()
    }

    fn objective(&self, outputs: &Tensors, targets: &Tensors) -> Tensor {
        (**self).objective(outputs, targets)
    }

    fn tally(&self, outputs: &Tensors, targets: &Tensors) -> Vec<(&'static str, Tensor)> {
        (**self).tally(outputs, targets)
    }

    fn measures(&self, totals: &Totals) -> Vec<Measure> {
        (**self).measures(totals)
    }

    fn answer(&self, outputs: &Arrays, sample: usize) -> Result<Answer> {
        (**self).answer(outputs, sample)
    }
}

/// What was summed up over batches: the loss and the sums of the task.
///
/// ```
/// use zerokara_nn::Totals;
/// let mut totals = Totals::new();
/// totals.add(100, 0.5, ["correct"].into_iter().zip([90.0]));
/// totals.add(50, 0.8, ["correct"].into_iter().zip([30.0]));
/// assert_eq!((totals.samples(), totals.sum("correct")), (150, Some(120.0)));
/// assert!((totals.loss() - 0.6).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    samples: u64,
    /// The sum of the batches' losses, each times its samples.
    loss: f64,
    sums: [(&'static str, f64); Self::MOST],
    count: usize,
}

impl Totals {
    /// The most sums of a task.
    pub const MOST: usize = 8;

    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a batch: the number of its samples, its mean loss and its sums, whose names are the same in every batch. What
    /// is more than [`Totals::MOST`] sums is left out.
    pub fn add(
        &mut self,
        samples: u64,
        loss: f64,
        sums: impl IntoIterator<Item = (&'static str, f64)>,
    ) {
        self.samples += samples;
        self.loss += loss * samples as f64;
        for (name, sum) in sums {
            match self.sums[..self.count].iter_mut().find(|(n, _)| *n == name) {
                Some((_, total)) => *total += sum,
                None if self.count < Self::MOST => {
                    self.sums[self.count] = (name, sum);
                    self.count += 1;
                }
                None => {}
            }
        }
    }

    /// Puts another number in the place of a sum that is there.
    pub(crate) fn set(&mut self, name: &str, value: f64) {
        let mut sums = self.sums[..self.count].iter_mut();
        if let Some((_, sum)) = sums.find(|(n, _)| *n == name) {
            *sum = value;
        }
    }

    /// Adds what another has summed up.
    pub fn join(&mut self, other: &Self) {
        self.add(0, 0.0, other.sums[..other.count].iter().copied());
        self.samples += other.samples;
        self.loss += other.loss;
    }

    /// Number of samples.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// The mean loss of a sample; NaN if there are none.
    pub fn loss(&self) -> f64 {
        self.loss / self.samples as f64
    }

    /// The sum of this name.
    pub fn sum(&self, name: &str) -> Option<f64> {
        let mut sums = self.sums[..self.count].iter();
        sums.find(|(n, _)| *n == name).map(|(_, sum)| *sum)
    }

    /// The sum of this name for each sample; `None` if there is no such sum, or no sample.
    pub fn mean(&self, name: &str) -> Option<f64> {
        let sum = self.sum(name)?;
        (self.samples > 0).then(|| sum / self.samples as f64)
    }
}

/// Which values of a measure are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Goal {
    /// The larger ones.
    Higher,
    /// The smaller ones.
    Lower,
}

/// How well a model does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measure {
    /// The name, as metrics and reports have it: `accuracy`.
    pub name: &'static str,
    /// The value.
    pub value: f64,
    /// Which values are better.
    pub goal: Goal,
    /// Whether it is a share from 0 to 1, which people read as percent.
    pub is_share: bool,
}

impl Measure {
    /// A share from 0 to 1, of which more is better.
    pub fn share(name: &'static str, value: f64) -> Self {
        Self {
            name,
            value,
            goal: Goal::Higher,
            is_share: true,
        }
    }

    /// A number of which more is better.
    pub fn score(name: &'static str, value: f64) -> Self {
        Self {
            name,
            value,
            goal: Goal::Higher,
            is_share: false,
        }
    }

    /// A number of which less is better.
    pub fn error(name: &'static str, value: f64) -> Self {
        Self {
            name,
            value,
            goal: Goal::Lower,
            is_share: false,
        }
    }

    /// Whether this value is better than another of the same measure; no number is better than NaN.
    pub fn is_better_than(&self, other: f64) -> bool {
        match self.goal {
            Goal::Higher => self.value > other || (other.is_nan() && !self.value.is_nan()),
            Goal::Lower => self.value < other || (other.is_nan() && !self.value.is_nan()),
        }
    }
}

/// What a model says of one sample.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Answer {
    /// It is of one class.
    Class {
        /// The class of the largest score, the first of equal ones.
        class: usize,
        /// The probability of each class.
        probabilities: Vec<f64>,
    },
    /// It has some of several labels.
    Labels {
        /// The probability of each label; those from 0.5 on are taken to be there.
        probabilities: Vec<f64>,
    },
    /// Numbers.
    Numbers(Vec<f64>),
    /// What comes next after each token of a sequence.
    Tokens {
        /// For each place of the sequence, the likeliest next token.
        next: Vec<usize>,
        /// The probability of each token of the vocabulary after the last place.
        probabilities: Vec<f64>,
    },
}

impl Answer {
    /// The numbers of one sample of a batch `[N, ...]`.
    ///
    /// # Errors
    /// If the batch has no such sample.
    pub fn numbers(output: &Array, sample: usize) -> Result<Self> {
        Ok(Self::Numbers(row(output, sample)?))
    }
}

/// The numbers of one sample of a batch `[N, ...]`.
///
/// # Errors
/// If the batch has no such sample.
pub fn row(output: &Array, sample: usize) -> Result<Vec<f64>> {
    let samples = output.valid()?.shape().first().copied().unwrap_or(0);
    if sample >= samples {
        return Err(zerokara_core::Error::new(format!(
            "there is no sample {sample} in an output {}",
            output.meta()
        )));
    }
    Ok(output.rows(sample..sample + 1).to_f64s())
}

/// The place of the largest number, the first of equal ones.
pub fn first_largest(numbers: &[f64]) -> usize {
    (0..numbers.len()).fold(
        0,
        |best, i| if numbers[i] > numbers[best] { i } else { best },
    )
}

/// The softmax of a row of scores; NaN where they are no answer. Of infinite scores it is the limit: they share 1.
pub fn probabilities(scores: &[f64]) -> Vec<f64> {
    if !crate::is_answer(scores) {
        return vec![f64::NAN; scores.len()];
    }
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exp = |&s: &f64| if s == top { 1.0 } else { (s - top).exp() };
    let exps: Vec<f64> = scores.iter().map(exp).collect();
    let sum: f64 = exps.iter().sum();
    exps.into_iter().map(|e| e / sum).collect()
}
