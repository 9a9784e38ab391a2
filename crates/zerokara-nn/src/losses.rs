//! Losses: what training makes small.

use zerokara_core::{DType, Error, Meta, Tensor};

/// A loss: a number that says how far a model's outputs are from the targets.
pub trait Loss: Send + Sync {
    /// The name, as reports show it.
    fn name(&self) -> &'static str;

    /// Name and value of each setting, as reports list them.
    fn settings(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// The mean loss of a batch, a scalar; an invalid tensor that says why where outputs and targets do not go together.
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

    fn settings(&self) -> Vec<(&'static str, f64)> {
        match self.smoothing {
            0.0 => Vec::new(),
            smoothing => vec![("label_smoothing", smoothing)],
        }
    }

    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor {
        if !(0.0..=1.0).contains(&self.smoothing) {
            return Tensor::invalid(Error::new(format!(
                "{}: the label smoothing is a share from 0 to 1, not {}",
                self.name(),
                self.smoothing
            )));
        }
        if let (Ok(scores), Ok(targets)) = (output.meta(), target.meta())
            && let Some(why) = misfit(output, scores, targets)
        {
            return Tensor::invalid(Error::new(format!("{}: {why}", self.name())));
        }
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

/// Which layer made the output, to be put behind its shape.
fn made_by(output: &Tensor) -> String {
    match output.node_view().path {
        Some(layer) if !layer.is_empty() => format!(", made by layer {layer}"),
        _ => String::new(),
    }
}

/// Why these scores have no cross entropy with these targets: labels need one row of scores each, other targets as many
/// numbers as there are scores.
fn misfit(output: &Tensor, scores: &Meta, targets: &Meta) -> Option<String> {
    let rows = scores.shape.split_last().map(|(_, rows)| rows);
    let labels = targets.dtype == DType::I64;
    let fits = match labels {
        true => rows == Some(targets.shape.as_slice()),
        false => targets.shape == scores.shape,
    };
    if fits {
        return None;
    }
    let is = format!("the model's output is {scores}{}", made_by(output));
    let kind = if labels { "labels" } else { "targets" };
    let (Some(&samples), Some(&given)) = (scores.shape.first(), targets.shape.first()) else {
        return Some(format!(
            "{is}, but the {kind} are {targets}; it needs a batch of scores [N, C] and {kind} for it"
        ));
    };
    let axes = targets.shape.len() + usize::from(labels);
    Some(if samples != given && scores.rank() == axes {
        format!("{is}, for {samples} samples, but there are {given} {kind}")
    } else if scores.rank() > axes && axes == 2 {
        format!(
            "{is}, but {given} {kind} need one row of scores for each, [{given}, C]; a .flatten() before the first linear \
             layer makes rows of images"
        )
    } else if scores.rank() == 1 {
        format!(
            "{is}, but {kind} {targets} need one row of scores for each, [{given}, C]; as many outputs as classes make one"
        )
    } else {
        format!("{is}, which does not go with {kind} {targets}")
    })
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
            let layer = made_by(output);
            return Tensor::invalid(Error::new(format!(
                "mean_squared_error: the model's output is {y}{layer}; it needs targets of the same shape and type, not {t}"
            )));
        }
        output.mean_squared_error(target)
    }

    fn correct(&self, _: &Tensor, _: &Tensor) -> Option<Tensor> {
        None
    }
}
