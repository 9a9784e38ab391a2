//! Losses: what training makes small.

use zerokara_core::{DType, Error, Tensor};

/// A loss: a number that says how far a model's outputs are from the targets.
pub trait Loss: Send + Sync {
    /// The name, as reports show it.
    fn name(&self) -> &'static str;

    /// The mean loss of a batch, a scalar.
    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor;

    /// The number of samples that the output gets right, a float scalar; `None` if right and wrong do not apply.
    fn correct(&self, output: &Tensor, target: &Tensor) -> Option<Tensor>;
}

/// Softmax with cross entropy: the book's `SoftmaxWithLoss` (page 152), for classification.
///
/// With logits `x [N, C]` and labels `t [N]` (i64) the mean of `-log softmax(x)[t]`; with targets `[N, C]` (floats) the
/// mean of `-sum over c of t[c] log softmax(x)[c]`. With label smoothing `s`, labels count as `1 - s` at their place
/// plus `s / C` everywhere (Szegedy et al., 2016).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SoftmaxCrossEntropy {
    smoothing: f64,
}

impl SoftmaxCrossEntropy {
    /// Without label smoothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// With this label smoothing, from 0 to 1.
    pub fn label_smoothing(mut self, smoothing: f64) -> Self {
        self.smoothing = smoothing;
        self
    }
}

/// Whether the targets are labels, one integer for each row of the output.
fn are_labels(target: &Tensor) -> bool {
    target.dtype().is_ok_and(|d| d == DType::I64)
}

impl Loss for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy"
    }

    #[track_caller]
    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor {
        let (Ok(x), Ok(t)) = (output.meta(), target.meta()) else {
            let first = if output.meta().is_err() {
                output
            } else {
                target
            };
            return first.clone();
        };
        if x.rank() == 0 || !(0.0..=1.0).contains(&self.smoothing) {
            return Tensor::invalid(Error::new(format!(
                "softmax_cross_entropy needs logits [N, C], not {x}, and a label smoothing from 0 to 1, not {}",
                self.smoothing
            )));
        }
        let (rows, classes) = x.shape.split_at(x.rank() - 1);
        let fits = if t.is_float() {
            t == x
        } else {
            are_labels(target) && t.shape == rows
        };
        if !fits {
            return Tensor::invalid(Error::new(format!(
                "softmax_cross_entropy of logits {x} needs labels i64{rows:?} or targets {x}, not {t}"
            )));
        }
        let targets = if t.is_float() {
            target.clone()
        } else {
            target.one_hot(classes[0]).cast(x.dtype)
        };
        let targets = if self.smoothing == 0.0 {
            targets
        } else {
            targets * (1.0 - self.smoothing) + self.smoothing / classes[0] as f64
        };
        -(targets * output.log_softmax())
            .sum_axes(&[-1], false)
            .mean()
    }

    fn correct(&self, output: &Tensor, target: &Tensor) -> Option<Tensor> {
        let labels = if are_labels(target) {
            target.clone()
        } else {
            target.argmax(-1)
        };
        Some(output.argmax(-1).equal(&labels).cast(DType::F32).sum())
    }
}

/// The mean of `(y - t)^2` over all elements, for regression. The book's sum of squared errors (page 88) is half the
/// sum instead.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MeanSquaredError;

impl MeanSquaredError {
    /// The loss.
    pub fn new() -> Self {
        Self
    }
}

impl Loss for MeanSquaredError {
    fn name(&self) -> &'static str {
        "mean_squared_error"
    }

    #[track_caller]
    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor {
        if let (Ok(y), Ok(t)) = (output.meta(), target.meta())
            && y != t
        {
            return Tensor::invalid(Error::new(format!(
                "mean_squared_error of outputs {y} needs targets of the same shape and type, not {t}"
            )));
        }
        let difference = output - target;
        (&difference * &difference).mean()
    }

    fn correct(&self, _: &Tensor, _: &Tensor) -> Option<Tensor> {
        None
    }
}
