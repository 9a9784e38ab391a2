//! Judging a model on labelled samples.

use crate::error::Result;
use std::sync::Arc;
use zerokara_core::{Arithmetic, Array, DType, Meta, Runtime};
use zerokara_data::{Loader, Normalization, Split};
use zerokara_nn::{EvalStep, Forward, Loss, metrics::ConfusionMatrix};

/// Samples in a batch of evaluation: large enough that kernels are busy, small enough that activations fit a cache's
/// order of magnitude and memory stays low.
pub(crate) const EVALUATION_BATCH: usize = 500;

/// The answer for one sample: the class of the largest score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// The class.
    pub class: usize,
    /// Its probability: the softmax of the scores.
    pub probability: f64,
    /// The probability of the sample's own class.
    pub label_probability: f64,
}

/// How a model does on labelled samples.
#[derive(Clone, Debug, Default)]
pub struct Evaluation {
    /// The mean loss.
    pub loss: f64,
    /// Number of right answers; `None` if the loss does not know right and wrong.
    pub correct: Option<usize>,
    /// Number of samples.
    pub samples: usize,
    /// The answer for each sample, in the order of the split; empty where outputs are no scores `[N, C]`.
    pub answers: Vec<Answer>,
}

impl Evaluation {
    /// The share of right answers.
    pub fn accuracy(&self) -> Option<f64> {
        Some(self.correct? as f64 / self.samples.max(1) as f64)
    }

    /// How often each class was answered for samples of each class, which these labels give. There are as many
    /// classes as in the data, or more if the model answered with others; no counts where there are no answers.
    pub fn confusion(&self, labels: &[i64], classes: usize) -> ConfusionMatrix {
        let answered = self.answers.iter().map(|answer| answer.class + 1);
        let mut matrix = ConfusionMatrix::new(answered.fold(classes, usize::max));
        for (answer, &label) in self.answers.iter().zip(labels) {
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

/// The softmax of each row of scores `[N, C]`.
pub(crate) fn probabilities(scores: &[f64]) -> Vec<f64> {
    let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exps: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
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
