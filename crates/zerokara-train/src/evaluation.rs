//! Judging a model on labelled samples.

use crate::{error::Result, report::numbers::thousands};
use std::sync::Arc;
use zerokara_core::{Arithmetic, Array, DType, Meta, Runtime};
use zerokara_data::{Loader, Normalization, Split};
use zerokara_nn::{EvalStep, Forward, Loss, is_answer, metrics::ConfusionMatrix};

/// Samples in a batch of evaluation: large enough that kernels are busy, small enough that activations fit a cache's
/// order of magnitude and memory stays low.
pub(crate) const EVALUATION_BATCH: usize = 500;

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

/// How a model does on labelled samples.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// The mean loss.
    pub loss: f64,
    /// Number of right answers; `None` if the loss does not know right and wrong. No answer is not right.
    pub correct: Option<usize>,
    /// Number of samples.
    pub samples: usize,
    /// Number of samples without an answer, since scores of theirs are NaN.
    pub unanswered: usize,
    /// The answer for each sample, in the order of the split; empty where outputs are no scores `[N, C]`.
    pub answers: Vec<Answer>,
}

impl Evaluation {
    /// The share of the samples that are answered right; `None` if the loss does not know right and wrong, or no sample
    /// has an answer.
    pub fn accuracy(&self) -> Option<f64> {
        if self.unanswered > 0 && self.unanswered == self.samples {
            return None;
        }
        Some(self.correct? as f64 / self.samples.max(1) as f64)
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

/// Evaluates one module again and again; its programs are compiled once.
pub(crate) struct Evaluator {
    step: EvalStep,
    normalization: Normalization,
    batch: usize,
}

impl Evaluator {
    pub(crate) fn new(
        module: Arc<dyn Forward>,
        loss: Arc<dyn Loss>,
        normalization: Normalization,
        batch: usize,
        arithmetic: Option<Arithmetic>,
    ) -> Result<Self> {
        let mut step = EvalStep::new(module, loss)?;
        if let Some(arithmetic) = arithmetic {
            step = step.precision(arithmetic)?;
        }
        Ok(Self {
            step,
            normalization,
            batch,
        })
    }

    /// Loss, accuracy and answers; nothing for an empty split. `go_on` is asked before each batch; where it says no, the
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
        let loader = Loader::new(split, self.batch)?.normalization(self.normalization.clone())?;
        for at in 0..loader.len() {
            if !go_on() {
                return Ok(None);
            }
            let (x, t) = gather(&loader, at)?;
            let output = self.step.run(&x, &t)?;
            let n = t.len();
            result.samples += n;
            result.loss += output.loss * n as f64;
            result.unanswered += output.unanswered;
            if let Some(correct) = output.correct {
                *result.correct.get_or_insert(0) += correct;
            }
            answers(&output.output, t.as_slice::<i64>()?, &mut result.answers);
        }
        result.loss /= result.samples as f64;
        Ok(Some(result))
    }
}

/// Batches of one loader as arrays; two buffers take turns, so that the last batch can still be looked at.
pub(crate) struct Feeder {
    buffers: [Option<(Array, Array)>; 2],
    next: usize,
}

impl Feeder {
    pub(crate) fn new() -> Self {
        Self {
            buffers: [None, None],
            next: 0,
        }
    }

    pub(crate) fn batch(&mut self, loader: &Loader, at: usize) -> Result<(Array, Array)> {
        self.next = 1 - self.next;
        let slot = &mut self.buffers[self.next];
        let n = loader.indices(at)?.len();
        let (mut x, mut t) = match slot.take() {
            Some(buffers) if buffers.1.len() == n => buffers,
            _ => empty(loader, n),
        };
        // Elements that somebody still holds are copied before they are written.
        fill(loader, at, &mut x, &mut t)?;
        *slot = Some((x.clone(), t.clone()));
        Ok((x, t))
    }
}

fn empty(loader: &Loader, n: usize) -> (Array, Array) {
    let shape = [&[n], loader.split().shape()].concat();
    (
        Array::zeros(&Meta::new(shape, DType::F32)),
        Array::zeros(&Meta::new([n], DType::I64)),
    )
}

/// A batch as arrays.
pub(crate) fn gather(loader: &Loader, at: usize) -> Result<(Array, Array)> {
    let (mut x, mut t) = empty(loader, loader.indices(at)?.len());
    fill(loader, at, &mut x, &mut t)?;
    Ok((x, t))
}

/// Gathers a batch into arrays of its size, on all threads.
fn fill(loader: &Loader, at: usize, x: &mut Array, t: &mut Array) -> Result<()> {
    let runtime = Runtime::current()?;
    let (images, labels) = (x.as_mut_slice::<f32>()?, t.as_mut_slice::<i64>()?);
    loader.gather_parallel(loader.indices(at)?, images, labels, &|units, work| {
        runtime.parallel(units, work)
    })?;
    Ok(())
}

/// The softmax of a row of scores; NaN where they are no answer. Of infinite scores it is the limit: they share 1.
pub(crate) fn probabilities(scores: &[f64]) -> Vec<f64> {
    if !is_answer(scores) {
        return vec![f64::NAN; scores.len()];
    }
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exp = |&s: &f64| if s == top { 1.0 } else { (s - top).exp() };
    let exps: Vec<f64> = scores.iter().map(exp).collect();
    let sum: f64 = exps.iter().sum();
    exps.into_iter().map(|e| e / sum).collect()
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
        // The first of equal scores, as argmax has it.
        let class = (0..classes).fold(0, |best, c| match scores[c] > scores[best] {
            true => c,
            false => best,
        });
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
