//! Losses that are made of other operations: negative log likelihood and cross entropy with weights and labels that do not
//! count, Kullback-Leibler divergence, losses of embeddings.

use super::prelude::*;

/// How the losses of samples become one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LossReduction {
    /// They stay as they are.
    None,
    /// Their mean; of classes with weights the sum divided by the sum of the labels' weights.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// Their sum divided by the length of the first axis, as the Kullback-Leibler divergence of a batch is meant.
    BatchMean,
}

impl LossReduction {
    #[track_caller]
    fn apply(self, losses: &Tensor) -> Tensor {
        match self {
            LossReduction::None => losses.clone(),
            LossReduction::Mean => losses.mean(),
            LossReduction::Sum => losses.sum(),
            LossReduction::BatchMean => {
                let samples = losses.shape().ok().and_then(|shape| shape.first());
                let samples = samples.map_or(1.0, |&n| n as f64);
                let sum = losses.sum();
                &sum / sum.full_like(samples)
            }
        }
    }
}

/// Which labels count, and how much.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// A weight for each class, `[C]`; none, all alike.
    pub weights: Option<Tensor>,
    /// Samples with this label count nowhere, neither in the sum nor in the mean.
    pub ignore: Option<i64>,
    /// How the losses become one. The mean of samples of which none counts is NaN, as in PyTorch.
    pub reduction: LossReduction,
}

/// Labels with what is known of them.
struct Counted {
    /// With 0 in place of those that do not count.
    labels: Tensor,
    /// How much each counts.
    weights: Option<Tensor>,
}

impl Labels {
    /// An error unless there is one label for each row of scores, and one weight for each class.
    fn check(&self, scores: &Meta, labels: &Meta) -> Result<(), String> {
        infer::float(scores)?;
        let Some((&classes, rows)) = scores.shape.split_last() else {
            return Err("needs scores [.., C], not a scalar".into());
        };
        if labels.dtype != DType::I64 || labels.shape != rows {
            return Err(format!(
                "needs labels i64{rows:?}, one for each row of scores, not {labels}"
            ));
        }
        match self.weights.as_ref().map(Tensor::meta) {
            Some(Ok(weights)) if *weights != Meta::new([classes], scores.dtype) => Err(format!(
                "the weights must be {}[{classes}], not {weights}",
                scores.dtype
            )),
            _ => Ok(()),
        }
    }

    /// Where labels do not count, if some may be so.
    #[track_caller]
    fn ignored(&self, labels: &Tensor) -> Option<Tensor> {
        // Exactly, as a sum: a float has not all integers.
        self.ignore
            .map(|label| labels.equal(&(labels.zeros_like() + label)))
    }

    #[track_caller]
    fn count(&self, labels: &Tensor, dtype: DType) -> Counted {
        let ignored = self.ignored(labels);
        let labels = match &ignored {
            Some(ignored) => ignored.select(&labels.zeros_like(), labels),
            None => labels.clone(),
        };
        let of_class = self.weights.as_ref().map(|w| w.index_select(0, &labels));
        let weights = match (ignored, of_class) {
            (None, of_class) => of_class,
            (Some(ignored), None) => Some(ignored.logical_not().cast(dtype)),
            (Some(ignored), Some(weights)) => Some(ignored.select(&weights.zeros_like(), &weights)),
        };
        Counted { labels, weights }
    }

    /// The losses, weighted and made one.
    #[track_caller]
    fn reduced(&self, losses: &Tensor, counted: &Counted) -> Tensor {
        let Some(weights) = &counted.weights else {
            return self.reduction.apply(losses);
        };
        match self.reduction {
            LossReduction::Mean => weighted(losses, weights).sum() / weights.sum(),
            other => other.apply(&weighted(losses, weights)),
        }
    }
}

/// Losses times weights: what counts nothing is 0, however large it is.
fn weighted(losses: &Tensor, weights: &Tensor) -> Tensor {
    let nothing = weights.equal(&weights.zeros_like());
    let losses = nothing.select(&losses.zeros_like(), losses);
    losses * weights
}

impl Tensor {
    /// The negative log likelihood of labels: of logarithms of probabilities `[.., C]` and labels `[..]` (i64), for each row
    /// `-w[t] x[t]`, reduced as `how` says. A label that is no class, and is not ignored, is an error when the tensor is
    /// evaluated.
    ///
    /// ```
    /// # use zerokara_core::{Labels, LossReduction, Tensor};
    /// let x = Tensor::from([[-1.0, -2.0], [-3.0, -4.0], [-5.0, -6.0]]);
    /// let t = Tensor::from([1, 0, -100]);
    /// let how = Labels { ignore: Some(-100), ..Labels::default() };
    /// assert_eq!(x.nll_loss(&t, &how).item()?, 2.5);
    /// let how = Labels { reduction: LossReduction::None, ..how };
    /// assert_eq!(x.nll_loss(&t, &how).to_vec::<f32>()?, [2.0, 3.0, 0.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("NLLLoss", "negative_log_likelihood"))]
    #[track_caller]
    pub fn nll_loss(&self, labels: &Tensor, how: &Labels) -> Tensor {
        match self.fitting(labels, how, "nll_loss") {
            Ok(dtype) => {
                let counted = how.count(labels, dtype);
                let picked = self.gather(-1, &counted.labels.unsqueeze(-1));
                how.reduced(&-picked.squeeze(-1), &counted)
            }
            Err(invalid) => invalid,
        }
    }

    /// [`Tensor::cross_entropy`] of logits `[.., C]` and labels `[..]` (i64), with weights of classes, labels that do not count and
    /// a reduction as `how` says. With label smoothing s, the targets are `(1 - s)` at the label and `s / C` at every class, each
    /// times the class's weight, as in PyTorch.
    ///
    /// ```
    /// # use zerokara_core::{Labels, Tensor};
    /// let x = Tensor::from([[2.0, 0.0], [2.0, 0.0], [7.0, 9.0]]);
    /// let (t, weights) = (Tensor::from([0, 1, -1]), Some(Tensor::from([1.0, 3.0])));
    /// let how = Labels { weights, ignore: Some(-1), ..Labels::default() };
    /// let loss = x.cross_entropy_of(&t, &how, 0.0).item()?;
    /// let (right, wrong) = ((1.0 + (-2f64).exp()).ln(), (1.0 + 2f64.exp()).ln());
    /// assert!((loss - (right + 3.0 * wrong) / 4.0).abs() < 1e-6);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn cross_entropy_of(&self, labels: &Tensor, how: &Labels, smoothing: f64) -> Tensor {
        let dtype = match self.fitting(labels, how, "cross_entropy_of") {
            Ok(dtype) => dtype,
            Err(invalid) => return invalid,
        };
        let counted = how.count(labels, dtype);
        let losses = self.cross_entropy_smoothed(&counted.labels, smoothing);
        match (&how.weights, &counted.weights) {
            (Some(of_class), Some(weights)) if smoothing != 0.0 && losses.meta().is_ok() => {
                let own = self.cross_entropy(&counted.labels);
                let own = &own * own.full_like(1.0 - smoothing);
                let all = weighted(&-self.log_softmax(), &of_class.broadcast_like(self));
                let classes = self.shape().map_or(1, |shape| shape[shape.len() - 1]);
                let all = all.sum_axes(&[-1], false);
                let all = &all * all.full_like(smoothing / classes as f64);
                let all = match how.ignored(labels) {
                    Some(ignored) => ignored.select(&all.zeros_like(), &all),
                    None => all,
                };
                let losses = weighted(&own, weights) + all;
                match how.reduction {
                    LossReduction::Mean => losses.sum() / weights.sum(),
                    other => other.apply(&losses),
                }
            }
            _ => how.reduced(&losses, &counted),
        }
    }

    /// The element type of scores that go with labels; else the invalid result of the operation.
    #[track_caller]
    fn fitting(&self, labels: &Tensor, how: &Labels, op: &str) -> Result<DType, Tensor> {
        match (self.meta(), labels.meta()) {
            (Ok(scores), Ok(given)) => match how.check(scores, given) {
                Ok(()) => Ok(scores.dtype),
                Err(reason) => Err(Tensor::refuse(op, &[self, labels], reason)),
            },
            (Err(error), _) | (_, Err(error)) => Err(Tensor::invalid(error)),
        }
    }

    /// The Kullback-Leibler divergence of distributions p, the target, from those whose logarithms x this tensor holds,
    /// `p (ln p - x)` element by element, reduced; with `log_target` the target holds `ln p`. Where p is 0 it is 0, and so are its
    /// gradients. [`LossReduction::BatchMean`] is the divergence of a batch `[N, C]` of distributions.
    ///
    /// ```
    /// # use zerokara_core::{LossReduction, Tensor};
    /// let x = Tensor::from([[0.5, 0.5], [0.25, 0.75]]).log();
    /// let p = Tensor::from([[0.5, 0.5], [0.0, 1.0]]);
    /// let divergence = x.kl_divergence(&p, false, LossReduction::BatchMean).item()?;
    /// assert!((divergence - (4f64 / 3.0).ln() / 2.0).abs() < 1e-6);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("kl_div", "KLDivLoss"))]
    #[track_caller]
    pub fn kl_divergence(
        &self,
        target: &Tensor,
        log_target: bool,
        reduction: LossReduction,
    ) -> Tensor {
        let p = match log_target {
            true => target.exp(),
            false => target.clone(),
        };
        let (p, x) = Tensor::broadcast_pair(&p, self);
        let zero = p.zeros_like();
        let nothing = p.equal(&zero);
        // Harmless numbers stand where p is 0, so that no infinity meets it.
        let logarithm = match log_target {
            true => nothing.select(&zero, &target.broadcast_like(&p)),
            false => nothing.select(&p.full_like(1.0), &p).log(),
        };
        let x = nothing.select(&zero, &x);
        let losses = nothing.select(&zero, &(&p * (logarithm - x)));
        reduction.apply(&losses)
    }

    /// The loss of pairs of embeddings `[.., D]` that are alike (label 1, of floats or integers `[..]`) or not (label -1):
    /// `1 - cos(a, b)`, and `max(0, cos(a, b) - margin)`; 0 for other labels.
    ///
    /// ```
    /// # use zerokara_core::{LossReduction, Tensor};
    /// let (a, b) = (Tensor::from([[1.0, 0.0], [0.0, 2.0]]), Tensor::from([[3.0, 0.0], [0.0, 1.0]]));
    /// let losses = a.cosine_embedding_loss(&b, &Tensor::from([1, -1]), 0.25, LossReduction::None);
    /// let losses = losses.to_vec::<f32>()?;
    /// assert!(losses[0].abs() < 1e-6 && (losses[1] - 0.75).abs() < 1e-6);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn cosine_embedding_loss(
        &self,
        other: &Tensor,
        labels: &Tensor,
        margin: f64,
        reduction: LossReduction,
    ) -> Tensor {
        /// Beside it no embedding has the length 0.
        const LEAST: f64 = 1e-12;
        let product = (self * other).sum_axes(&[-1], false);
        let lengths = |x: &Tensor| {
            let squares = x.square().sum_axes(&[-1], false);
            &squares + squares.full_like(LEAST)
        };
        let cosine = product * (lengths(self) * lengths(other)).rsqrt();
        let (one, zero) = (cosine.full_like(1.0), cosine.zeros_like());
        let apart = (&cosine - cosine.full_like(margin)).relu();
        let alike = labels.equal(&labels.full_like(1.0));
        let unlike = match labels.dtype() {
            Ok(DType::U8 | DType::Bool) => {
                let reason = "labels are 1 and -1, which i64 and floats can be";
                return Tensor::refuse(
                    "cosine_embedding_loss",
                    &[self, other, labels],
                    reason.into(),
                );
            }
            _ => labels.equal(&labels.full_like(-1.0)),
        };
        let losses = alike.select(&(one - &cosine), &unlike.select(&apart, &zero));
        reduction.apply(&losses)
    }

    /// The triplet loss of embeddings `[.., D]`: this one, the anchor a, is to lie nearer to `like` than to `unlike` by a margin,
    /// `max(0, d(a, like) - d(a, unlike) + margin)` with `d(a, b)` the p-norm of `a - b + 1e-6`. With `swap`, the unlike one's
    /// distance is that to the nearer of the other two (Balntas et al., 2016). p lies above 0, and may be infinite.
    ///
    /// ```
    /// # use zerokara_core::{LossReduction, Tensor};
    /// let a = Tensor::from([[0.0, 0.0]]);
    /// let (near, far) = (Tensor::from([[3.0, 4.0]]), Tensor::from([[0.0, 5.5]]));
    /// let loss = a.triplet_margin_loss(&near, &far, 1.0, 2.0, false, LossReduction::Mean).item()?;
    /// assert!((loss - 0.5).abs() < 1e-5);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn triplet_margin_loss(
        &self,
        like: &Tensor,
        unlike: &Tensor,
        margin: f64,
        p: f64,
        swap: bool,
        reduction: LossReduction,
    ) -> Tensor {
        if p.is_nan() || p <= 0.0 {
            let reason = format!("the norm needs a number p above 0, not {p}");
            return Tensor::refuse("triplet_margin_loss", &[self, like, unlike], reason);
        }
        let distance = |a: &Tensor, b: &Tensor| {
            let difference = a - b;
            let difference = &difference + difference.full_like(1e-6);
            match p {
                2.0 => difference.norm_axes(&[-1], false),
                1.0 => difference.l1_axes(&[-1], false),
                f64::INFINITY => difference.abs().max_axes(&[-1], false),
                _ => (difference.abs().powf(p).sum_axes(&[-1], false)).powf(1.0 / p),
            }
        };
        let mut apart = distance(self, unlike);
        if swap {
            apart = apart.minimum(&distance(like, unlike));
        }
        let losses = distance(self, like) - apart;
        let losses = (&losses + losses.full_like(margin)).relu();
        reduction.apply(&losses)
    }
}
