//! Judging a model on samples.

use crate::{
    bytes::{OfBytes, as_stored},
    error::Result,
    metrics::ACCURACY,
    report::numbers::thousands,
};
use std::sync::Arc;
use zerokara_core::{Arithmetic, Array, Arrays, DType};
use zerokara_data::{Loader, Normalization, Pad, Split};
use zerokara_nn::{
    EvalStep, Measure, Model, Task, Totals,
    metrics::{ConfusionMatrix, calibration_error},
    tasks::{first_largest, probabilities, row},
};

/// Samples in a batch of evaluation: large enough that kernels are busy, small enough that activations fit a cache's
/// order of magnitude and memory stays low.
const EVALUATION_BATCH: usize = 500;

/// Tokens in a batch of evaluation, where samples are sequences of them.
const EVALUATION_TOKENS: usize = 8_192;

/// Samples whose answers are read and kept, for tasks other than classification.
const READINGS: usize = 20_000;

/// The answer for one sample: the class of the largest score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The class; of no meaning where there is no answer.
    pub class: usize,
    /// Its probability: the softmax of the scores. NaN where there is no answer.
    pub probability: f64,
    /// The probability of the sample's own class.
    pub label_probability: f64,
}

impl Answer {
    /// Whether there is one: scores that are NaN, or all minus infinity, are none.
    pub fn is_given(&self) -> bool {
        !self.probability.is_nan()
    }
}

/// What the task reads in the outputs for one sample, with what was wanted.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// What the outputs say.
    pub answer: zerokara_nn::Answer,
    /// The numbers of the only target.
    pub target: Vec<f64>,
}

/// How a model does on samples.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// The mean loss.
    pub loss: f64,
    /// The measures of the task.
    pub measures: Vec<Measure>,
    /// Number of right answers; `None` if the task does not know right and wrong. No answer is not right.
    pub correct: Option<usize>,
    /// Number of samples.
    pub samples: usize,
    /// Number of samples without an answer, since scores of theirs are NaN.
    pub unanswered: usize,
    /// For classification, the answer for each sample, in the order of the split; empty where outputs are no scores
    /// `[N, C]` for one class each.
    pub answers: Vec<Answer>,
    /// For labels and numbers, what the task reads for each of the first 20,000 samples, in the order of the split.
    pub readings: Vec<Reading>,
}

impl Evaluation {
    /// The measure of this name.
    pub fn measure(&self, name: &str) -> Option<f64> {
        let mut found = self.measures.iter().filter(|measure| measure.name == name);
        found.next().map(|measure| measure.value)
    }

    /// The share of the samples that are answered right; `None` if the task does not know right and wrong, or no sample
    /// has an answer.
    pub fn accuracy(&self) -> Option<f64> {
        if self.unanswered > 0 && self.unanswered == self.samples {
            return None;
        }
        let counted = || Some(self.correct? as f64 / self.samples.max(1) as f64);
        self.measure(ACCURACY).or_else(counted)
    }

    /// The expected calibration error of the answers, in 15 bins ([`calibration_error`]); `None` where there are none.
    pub fn calibration_error(&self, labels: &[i64]) -> Option<f64> {
        const BINS: usize = 15;
        let given = self
            .answers
            .iter()
            .zip(labels)
            .filter(|(answer, _)| answer.is_given());
        let answers: Vec<(f64, bool)> = given
            .map(|(answer, &label)| (answer.probability, answer.class as i64 == label))
            .collect();
        calibration_error(&answers, BINS)
    }

    /// For two classes, the probability of the second one for each sample, and whether the sample is of it: what [`roc_auc`] and
    /// [`average_precision`] take. Empty for other numbers of classes.
    ///
    /// [`roc_auc`]: zerokara_nn::metrics::roc_auc
    /// [`average_precision`]: zerokara_nn::metrics::average_precision
    pub fn scored(&self, labels: &[i64], classes: usize) -> Vec<(f64, bool)> {
        if classes != 2 {
            return Vec::new();
        }
        let given = self
            .answers
            .iter()
            .zip(labels)
            .filter(|(answer, _)| answer.is_given());
        let second = |answer: &Answer| match answer.class {
            1 => answer.probability,
            _ => 1.0 - answer.probability,
        };
        given
            .map(|(answer, &label)| (second(answer), label == 1))
            .collect()
    }

    /// How many samples have no answer, in words: `3 of 1,000 test samples have no answer: scores of theirs are NaN`.
    /// `None` if all have one.
    pub fn no_answers(&self, what: &str) -> Option<String> {
        let (some, all) = (self.unanswered as u64, self.samples as u64);
        (some > 0).then(|| {
            format!(
                "{} of {} {what} have no answer: scores of theirs are NaN",
                thousands(some),
                thousands(all)
            )
        })
    }

    /// How often each class was answered for samples of each class, which these labels give. There are as many
    /// classes as in the data, or more if the model answered with others; no counts where there are no answers, and a
    /// sample without one is not counted.
    pub fn confusion(&self, labels: &[i64], classes: usize) -> ConfusionMatrix {
        let answered = self.answers.iter().map(|answer| answer.class + 1);
        let mut matrix = ConfusionMatrix::new(answered.fold(classes, usize::max));
        let answers = self.answers.iter().zip(labels);
        for (answer, &label) in answers.filter(|(answer, _)| answer.is_given()) {
            // What is no class stays uncounted.
            matrix.add(usize::try_from(label).unwrap_or(usize::MAX), answer.class);
        }
        matrix
    }
}

/// Evaluates one model again and again; its programs are compiled once.
pub(crate) struct Evaluator {
    step: EvalStep,
    task: Arc<dyn Task>,
    normalization: Normalization,
    padding: Vec<(String, Pad)>,
}

impl Evaluator {
    pub(crate) fn new(
        model: Arc<dyn Model>,
        task: Arc<dyn Task>,
        normalization: Normalization,
        padding: Vec<(String, Pad)>,
        arithmetic: Option<Arithmetic>,
    ) -> Result<Self> {
        let mut step = EvalStep::new(OfBytes::new(model, normalization.clone()), task.clone())?;
        if let Some(arithmetic) = arithmetic {
            step = step.precision(arithmetic)?;
        }
        Ok(Self {
            step,
            task,
            normalization,
            padding,
        })
    }

    /// Loss, measures and answers; nothing for an empty split. `go_on` is asked before each batch; where it says no, the
    /// result is `None`.
    pub(crate) fn run(
        &mut self,
        split: &Split,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Evaluation>> {
        let mut result = Evaluation::default();
        if split.is_empty() {
            return Ok(Some(result));
        }
        let inputs = split.input_ports();
        let batch = match (inputs.first().map(|port| port.dtype), split.shape()) {
            (Some(DType::I64), &[tokens]) if tokens > 0 => {
                (EVALUATION_TOKENS / tokens).clamp(1, EVALUATION_BATCH)
            }
            _ => EVALUATION_BATCH,
        };
        let mut loader = Loader::new(split, batch)?.normalization(self.normalization.clone())?;
        for (column, pad) in &self.padding {
            loader = loader.pad(column, *pad)?;
        }
        let mut feeder = as_stored(loader, split).feeder();
        let mut totals = Totals::new();
        loop {
            if !go_on() {
                return Ok(None);
            }
            let Some(feed) = feeder.next_feed()? else {
                break;
            };
            let output = self.step.run(&feed.inputs, &feed.targets)?;
            totals.join(&output.totals);
            result.samples += feed.len();
            result.unanswered += output.unanswered;
            if let Some(correct) = output.correct {
                *result.correct.get_or_insert(0) += correct;
            }
            let Some(target) = feed.targets.only() else {
                continue;
            };
            match (target.shape(), output.outputs.only()) {
                ([_], Some(scores)) if target.dtype() == DType::I64 => {
                    answers(scores, target.as_slice::<i64>()?, &mut result.answers);
                }
                _ => self.read(&output.outputs, target, &mut result.readings),
            }
        }
        result.loss = totals.loss();
        result.measures = self.task.measures(&totals);
        Ok(Some(result))
    }

    /// Reads labels and numbers.
    fn read(&self, outputs: &Arrays, target: &Array, into: &mut Vec<Reading>) {
        let Some(&samples) = target.shape().first() else {
            return;
        };
        for sample in 0..samples.min(READINGS.saturating_sub(into.len())) {
            // What has no answer is counted elsewhere.
            let (Ok(answer), Ok(target)) = (self.task.answer(outputs, sample), row(target, sample))
            else {
                continue;
            };
            let told = matches!(
                answer,
                zerokara_nn::Answer::Labels { .. } | zerokara_nn::Answer::Numbers(_)
            );
            if !told {
                return;
            }
            into.push(Reading { answer, target });
        }
    }
}

fn answers(output: &Array, labels: &[i64], into: &mut Vec<Answer>) {
    let &[n, classes] = output.shape() else {
        return;
    };
    if n != labels.len() || classes == 0 {
        return;
    }
    for (scores, &label) in output.to_f64s().chunks_exact(classes).zip(labels) {
        let probabilities = probabilities(scores);
        let class = first_largest(scores);
        into.push(Answer {
            class,
            probability: probabilities[class],
            label_probability: usize::try_from(label)
                .ok()
                .and_then(|l| probabilities.get(l).copied())
                .unwrap_or(0.0),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_that_are_not_finite_are_answers_only_where_one_is_largest() {
        let inf = f64::INFINITY;
        assert_eq!(probabilities(&[inf, 1.0, inf]), [0.5, 0.0, 0.5]);
        assert_eq!(probabilities(&[-inf, 0.0]), [0.0, 1.0]);
        for none in [[f64::NAN, 0.0], [-inf, -inf]] {
            assert!(probabilities(&none).iter().all(|p| p.is_nan()), "{none:?}");
        }
        let scores: &[f32] = &[f32::NAN, 2.0, 1.0, 5.0];
        let mut found = Vec::new();
        answers(&Array::new([2, 2], scores), &[1, 1], &mut found);
        assert!(!found[0].is_given() && found[1].is_given());
        let evaluation = Evaluation {
            correct: Some(1),
            samples: 2,
            unanswered: 1,
            answers: found,
            ..Evaluation::default()
        };
        assert_eq!(evaluation.confusion(&[1, 1], 2).total(), 1);
        assert_eq!(evaluation.accuracy(), Some(0.5));
    }

    #[test]
    fn answers_are_the_largest_score_with_its_softmax() {
        let scores: &[f32] = &[0.0, 2.0, 1.0, 5.0, 5.0, 0.0];
        let mut found = Vec::new();
        answers(&Array::new([2, 3], scores), &[1, 1], &mut found);
        let e = std::f64::consts::E;
        assert_eq!((found[0].class, found[1].class), (1, 0));
        assert!((found[0].probability - e * e / (1.0 + e * e + e)).abs() < 1e-12);
        assert_eq!(found[1].probability, found[1].label_probability);
    }
}
