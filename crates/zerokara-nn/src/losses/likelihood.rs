//! Losses of models whose outputs are logarithms of probabilities.

use super::{
    Loss,
    cross_entropy::{
        Counted, class, fault_of_weights, measures_of_classes, misfit, sums_of_classes,
    },
    unlike,
};
use crate::{Answer, Measure, Totals};
use zerokara_core::{Array, DType, Error, LossReduction, Result, Tensor};

/// The negative log likelihood of labels, for models that end with `log_softmax`: of logarithms of probabilities `x [N, C]` and labels
/// `t [N]` (i64) the mean of `-x[t]`, with a weight `w` for each class `sum of -w[t] x[t] / sum of w[t]`.
///
/// Measures are those of [`SoftmaxCrossEntropy`](crate::SoftmaxCrossEntropy), which is for models that end with scores.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Loss, NegativeLogLikelihood};
/// let (x, t) = (Tensor::from([[-1.0, -2.0], [-3.0, -4.0]]), Tensor::from([1, 0]));
/// assert_eq!(NegativeLogLikelihood::new().loss(&x, &t).item()?, 2.5);
/// let loss = NegativeLogLikelihood::new().class_weights([1.0, 3.0]).loss(&x, &t).item()?;
/// assert_eq!(loss, (3.0 * 2.0 + 3.0) / 4.0);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias = "NLLLoss")]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NegativeLogLikelihood {
    weights: Vec<f64>,
    ignored: Option<i64>,
}

impl NegativeLogLikelihood {
    /// All labels count alike.
    pub fn new() -> Self {
        Self::default()
    }

    /// With a weight for each class, so that rare ones count more. No weights, all classes alike.
    pub fn class_weights(mut self, weights: impl Into<Vec<f64>>) -> Self {
        self.weights = weights.into();
        self
    }

    /// Samples with this label count nowhere: neither in the loss and its mean nor in the measures. A batch of nothing else has
    /// the loss 0.
    pub fn ignore_index(mut self, label: i64) -> Self {
        self.ignored = Some(label);
        self
    }
}

impl Loss for NegativeLogLikelihood {
    fn name(&self) -> &'static str {
        "negative_log_likelihood"
    }

    fn settings(&self) -> Vec<(&'static str, f64)> {
        let ignored = self.ignored.map(|label| ("ignore_index", label as f64));
        ignored.into_iter().collect()
    }

    fn class_weights(&self) -> &[f64] {
        &self.weights
    }

    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor {
        let (x, t) = match (output.meta(), target.meta()) {
            (Ok(x), Ok(t)) => (x, t),
            (Err(error), _) | (_, Err(error)) => return Tensor::invalid(error),
        };
        let classes = x.shape.last().copied().unwrap_or(0);
        let labels = (t.dtype != DType::I64).then(|| format!("needs labels of i64, not {t}"));
        let fault = fault_of_weights(&self.weights, classes).or(labels);
        if let Some(why) = fault.or_else(|| misfit(output, x, t)) {
            return Tensor::invalid(Error::new(format!("{}: {why}", self.name())));
        }
        // A label that is none, where all count.
        let ignored = self.ignored.unwrap_or(i64::MIN);
        let counted = Counted::of(target, ignored, &self.weights, x.dtype);
        counted.mean(&output.nll_loss(target, &counted.how))
    }

    fn sums(&self, output: &Tensor, target: &Tensor) -> Vec<(&'static str, Tensor)> {
        sums_of_classes(output, target, self.ignored)
    }

    fn metrics(&self, totals: &Totals) -> Vec<Measure> {
        measures_of_classes(totals)
    }

    fn read(&self, output: &Array, sample: usize) -> Result<Answer> {
        class(output, sample)
    }
}

/// The Kullback-Leibler divergence of distributions p, the targets `[N, C]`, from those whose logarithms x the model gives: the
/// mean over samples of `sum over c of p[c] (ln p[c] - x[c])`. For models that learn distributions, such as another model's
/// answers.
///
/// Measure: `accuracy`, the share of samples whose likeliest class is the target's.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{KullbackLeibler, Loss};
/// let (x, p) = (Tensor::from([[0.25, 0.75]]).log(), Tensor::from([[0.0, 1.0]]));
/// let loss = KullbackLeibler::new().loss(&x, &p).item()?;
/// assert!((loss - (4f64 / 3.0).ln()).abs() < 1e-6);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias("KLDivLoss", "distillation"))]
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KullbackLeibler;

impl KullbackLeibler {
    /// The loss.
    pub fn new() -> Self {
        Self
    }
}

impl Loss for KullbackLeibler {
    fn name(&self) -> &'static str {
        "kullback_leibler"
    }

    fn loss(&self, output: &Tensor, target: &Tensor) -> Tensor {
        match unlike(self.name(), output, target) {
            Some(error) => Tensor::invalid(error),
            None => output.kl_divergence(target, false, LossReduction::BatchMean),
        }
    }

    fn sums(&self, output: &Tensor, target: &Tensor) -> Vec<(&'static str, Tensor)> {
        sums_of_classes(output, target, None)
    }

    fn metrics(&self, totals: &Totals) -> Vec<Measure> {
        measures_of_classes(totals)
    }

    fn read(&self, output: &Array, sample: usize) -> Result<Answer> {
        class(output, sample)
    }
}
