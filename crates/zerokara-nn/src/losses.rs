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
#[doc(alias("SoftmaxWithLoss", "cross_entropy_error", "CrossEntropyLoss"))]
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

impl Loss for SoftmaxCrossEntropy {
    fn name(&self) -> &'static str {
        "softmax_cross_entropy"
    }

    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor {
        output.cross_entropy_smoothed(target, self.smoothing).mean()
    }

    fn correct(&self, output: &Tensor, target: &Tensor) -> Option<Tensor> {
        let labels = match target.dtype() {
            Ok(DType::I64) => target.clone(),
            _ => target.argmax(-1),
        };
        Some(output.argmax(-1).equal(&labels).cast(DType::F32).sum())
    }
}

/// The mean of `(y - t)^2` over all elements, for regression. The book's sum of squared errors (page 88) is half the
/// sum instead.
#[doc(alias("sum_squared_error", "IdentityWithLoss", "MSELoss"))]
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

    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor {
        // Broadcasting would make a wrong loss of [N, 1] against [N].
        if let (Ok(y), Ok(t)) = (output.meta(), target.meta())
            && y != t
        {
            return Tensor::invalid(Error::new(format!(
                "mean_squared_error of outputs {y} needs targets of the same shape and type, not {t}"
            )));
        }
        output.mean_squared_error(target)
    }

    fn correct(&self, _: &Tensor, _: &Tensor) -> Option<Tensor> {
        None
    }
}
