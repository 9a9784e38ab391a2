//! Losses: what training makes small.

mod cross_entropy;
mod ctc;
mod embeddings;
mod likelihood;
mod regression;

pub use cross_entropy::{BinaryCrossEntropy, SoftmaxCrossEntropy, TokenCrossEntropy};
pub use ctc::Ctc;
pub use embeddings::{CosineEmbedding, TripletMargin};
pub use likelihood::{KullbackLeibler, NegativeLogLikelihood};
pub use regression::{Huber, MeanAbsoluteError, MeanSquaredError};

use crate::{Answer, Measure, Totals};
use std::sync::Arc;
use zerokara_core::{Array, Error, Result, Tensor};

/// A loss: a number that says how far a model's output is from the targets, with the measures that go with it. It is a
/// [`Task`](crate::Task) for models of one output and data of one target.
pub trait Loss: Send + Sync {
    /// The name, as reports show it.
    fn name(&self) -> &'static str;

    /// Name and value of each setting, as reports list them.
    fn settings(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// The weight of each class, if they differ.
    fn class_weights(&self) -> &[f64] {
        &[]
    }

    /// The mean loss of a batch, a scalar; an invalid tensor that says why where outputs and targets do not go together.
    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor;

    /// Sums over the batch from which [`Loss::metrics`] are made, float scalars: see [`Task::tally`](crate::Task::tally).
    fn sums(&self, output: &Tensor, target: &Tensor) -> Vec<(&'static str, Tensor)> {
        let _ = (output, target);
        Vec::new()
    }

    /// How well a model does, from the sums of all batches: see [`Task::measures`](crate::Task::measures).
    fn metrics(&self, totals: &Totals) -> Vec<Measure> {
        let _ = totals;
        Vec::new()
    }

    /// What the output for one sample of a batch says; numbers, unless the loss knows more.
    ///
    /// # Errors
    /// If it is no answer.
    fn read(&self, output: &Array, sample: usize) -> Result<Answer> {
        Answer::numbers(output, sample)
    }
}

/// A loss that is chosen when the program runs.
impl<L: Loss + ?Sized> Loss for Arc<L> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn settings(&self) -> Vec<(&'static str, f64)> {
        (**self).settings()
    }

    fn class_weights(&self) -> &[f64] {
        (**self).class_weights()
    }

    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor {
        (**self).loss(output, target)
    }

    fn sums(&self, output: &Tensor, target: &Tensor) -> Vec<(&'static str, Tensor)> {
        (**self).sums(output, target)
    }

    fn metrics(&self, totals: &Totals) -> Vec<Measure> {
        (**self).metrics(totals)
    }

    fn read(&self, output: &Array, sample: usize) -> Result<Answer> {
        (**self).read(output, sample)
    }
}

/// Which layer made the output, to be put behind its shape.
fn made_by(output: &Tensor) -> String {
    match output.node_view().path {
        Some(layer) if !layer.is_empty() => format!(", made by layer {layer}"),
        _ => String::new(),
    }
}

/// Why this loss needs targets of the output's shape and type; nothing if they are. Broadcasting would make a wrong loss of
/// [N, 1] against [N].
fn unlike(name: &str, output: &Tensor, target: &Tensor) -> Option<Error> {
    let (Ok(y), Ok(t)) = (output.meta(), target.meta()) else {
        return None;
    };
    (y != t).then(|| {
        let layer = made_by(output);
        Error::new(format!(
            "{name}: the model's output is {y}{layer}; it needs targets of the same shape and type, not {t}"
        ))
    })
}

/// The names that [`by_name`] knows.
pub const NAMES: [&str; 9] = [
    "softmax_cross_entropy",
    "mean_squared_error",
    "mean_absolute_error",
    "huber",
    "binary_cross_entropy",
    "token_cross_entropy",
    "negative_log_likelihood",
    "kullback_leibler",
    "ctc",
];

/// The loss of this name with these settings, as [`Loss::name`] and [`Loss::settings`] give them: what a model's file
/// says that it was trained for. `None` if this crate has no such loss.
pub fn by_name(name: &str, settings: &[(String, f64)]) -> Option<Arc<dyn Loss>> {
    let setting = |name: &str, usual: f64| {
        let given = settings.iter().find(|(n, _)| n == name);
        given.map_or(usual, |(_, value)| *value)
    };
    let ignored = settings.iter().find(|(n, _)| n == "ignore_index");
    let ignored = ignored.map(|(_, label)| *label as i64);
    let (mean, std) = (setting("mean", 0.0), setting("std", 1.0));
    Some(match name {
        "softmax_cross_entropy" => {
            let loss = SoftmaxCrossEntropy::new().label_smoothing(setting("label_smoothing", 0.0));
            Arc::new(match ignored {
                Some(label) => loss.ignore_index(label),
                None => loss,
            })
        }
        "negative_log_likelihood" => Arc::new(match ignored {
            Some(label) => NegativeLogLikelihood::new().ignore_index(label),
            None => NegativeLogLikelihood::new(),
        }),
        "kullback_leibler" => Arc::new(KullbackLeibler),
        "ctc" => Arc::new(
            Ctc::new()
                .blank(setting("blank", 0.0) as usize)
                .padding(setting("padding", -1.0) as i64)
                .zero_infinity(setting("zero_infinity", 0.0) != 0.0),
        ),
        "mean_squared_error" => Arc::new(MeanSquaredError::new().scaled(mean, std)),
        "mean_absolute_error" => Arc::new(MeanAbsoluteError::new().scaled(mean, std)),
        "huber" => Arc::new(Huber::new().delta(setting("delta", 1.0)).scaled(mean, std)),
        "binary_cross_entropy" => Arc::new(BinaryCrossEntropy),
        "token_cross_entropy" => {
            Arc::new(TokenCrossEntropy::new().padding(setting("padding", -1.0) as i64))
        }
        _ => return None,
    })
}
