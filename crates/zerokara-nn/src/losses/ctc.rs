//! Connectionist temporal classification: sequences of labels, read from longer sequences of steps.

use super::{Loss, cross_entropy::scored, made_by};
use crate::{
    Answer,
    tasks::{first_largest, probabilities, row},
};
use zerokara_core::{Array, DType, Error, Result, Tensor};

/// Connectionist temporal classification (Graves et al., 2006), for models that read a sequence of labels from more steps than it has
/// labels, such as handwriting and speech: of scores `x [N, T, C]` and labels `t [N, S]` (i64) the mean over samples of
/// `-ln p(labels) / number of labels`, as PyTorch has it, where `p` is the probability that the steps' classes, without repetitions and
/// blanks, are the labels. Shorter sequences of labels are filled up with the padding, -1 unless it is said.
///
/// Labels for which there are too few steps have the loss infinity, or 0 with [`zero_infinity`](Self::zero_infinity). The
/// answer for a sample are the labels of the likeliest class of each step.
///
/// ```
/// use zerokara_core::{Array, Tensor};
/// use zerokara_nn::{Answer, Ctc, Loss};
/// let x = Tensor::zeros([1, 2, 3]); // two steps, a blank and two classes, all equally probable
/// let loss = Ctc::new().loss(&x, &Tensor::from([[1, -1]])).item()?;
/// assert!((loss - 3f64.ln()).abs() < 1e-6); // three paths of nine: a_, _a and aa
/// let scores = vec![0.0f32, 9.0, 0.0, 0.0, 9.0, 0.0, 9.0, 0.0, 0.0, 0.0, 9.0, 0.0];
/// let answer = Ctc::new().read(&Array::new([1, 4, 3], scores), 0)?;
/// assert!(matches!(answer, Answer::Tokens { next, .. } if next == [1, 1]));
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias = "CTCLoss")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ctc {
    blank: usize,
    padding: i64,
    zero_infinity: bool,
}

impl Default for Ctc {
    fn default() -> Self {
        Self {
            blank: 0,
            padding: -1,
            zero_infinity: false,
        }
    }
}

impl Ctc {
    /// With class 0 as the blank, and the padding -1.
    pub fn new() -> Self {
        Self::default()
    }

    /// The class that stands for no label.
    pub fn blank(mut self, class: usize) -> Self {
        self.blank = class;
        self
    }

    /// The label that stands behind the end of shorter sequences.
    pub fn padding(mut self, label: i64) -> Self {
        self.padding = label;
        self
    }

    /// Whether labels for which there are too few steps count nothing.
    pub fn zero_infinity(mut self, zero: bool) -> Self {
        self.zero_infinity = zero;
        self
    }
}

impl Loss for Ctc {
    fn name(&self) -> &'static str {
        "ctc"
    }

    fn settings(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("blank", self.blank as f64),
            ("padding", self.padding as f64),
            ("zero_infinity", f64::from(u8::from(self.zero_infinity))),
        ]
    }

    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor {
        let (x, t) = match (output.meta(), target.meta()) {
            (Ok(x), Ok(t)) => (x, t),
            (Err(error), _) | (_, Err(error)) => return Tensor::invalid(error),
        };
        let fits = x.rank() == 3 && t.rank() == 2 && x.shape[0] == t.shape[0];
        if !fits || t.dtype != DType::I64 || !x.is_float() {
            return Tensor::invalid(Error::new(format!(
                "{}: the model's output is {x}{}; it needs scores [N, T, C] for labels [N, S] of i64, not {t}",
                self.name(),
                made_by(output)
            )));
        }
        let padding = target.zeros_like() + self.padding;
        let lengths = target
            .not_equal(&padding)
            .cast(DType::I64)
            .sum_axes(&[1], false);
        let steps = lengths.full_like(x.shape[1] as f64);
        let scores = output.permute([1, 0, 2]).log_softmax();
        let losses = scores.ctc_loss(target, &steps, &lengths, self.blank, self.zero_infinity);
        let counts = lengths.cast(x.dtype);
        (losses / counts.maximum(&counts.full_like(1.0))).mean()
    }

    fn read(&self, output: &Array, sample: usize) -> Result<Answer> {
        let scores = row(output, sample)?;
        let &[_, steps, classes] = output.shape() else {
            return Err(Error::new(format!(
                "scores [N, T, C] are needed to read labels, not {}",
                output.meta()
            )));
        };
        if steps == 0 || classes == 0 {
            return Err(Error::new("there are no steps to read labels from"));
        }
        let rows = scores.chunks_exact(classes);
        rows.clone().try_for_each(scored)?;
        let last = rows.clone().next_back().unwrap_or_default();
        let mut path: Vec<usize> = rows.map(first_largest).collect();
        path.dedup();
        path.retain(|&class| class != self.blank);
        Ok(Answer::Tokens {
            next: path,
            probabilities: probabilities(last),
        })
    }
}
