//! Softmax with cross-entropy loss (pages 69 and 89 of the book): for logits `x [.., C]` and targets q,
//!
//! ```text
//! loss[..] = - sum over c of q[.., c] ln softmax(x)[.., c]
//! ```
//!
//! Targets are labels `[..]` (q is one-hot) or probabilities `[.., C]`. With smoothing s, q becomes
//! `(1 - s) q + s / C` (Szegedy et al., 2015). The gradient is `softmax(x) - q` times the loss's (page 274), where q
//! adds up to 1; in general `softmax(x) sum(q) - q`.
//!
//! Where q is 0 the class adds nothing to the loss, however small its probability: x may be -inf there (a masked class),
//! and its gradient is 0. A masked class that is a target makes the loss infinite; with smoothing every class is a target.

use super::prelude::*;
use loops::Real;

/// The operation: one loss per sample.
#[derive(Debug)]
pub struct CrossEntropy {
    smoothing: f64,
}

attributes!(CrossEntropy: smoothing);

impl CrossEntropy {
    /// The targets as smoothed probabilities `[.., C]`.
    fn probabilities(&self, logits: &Tensor, target: &Tensor) -> Option<Tensor> {
        let classes = *logits.shape().ok()?.last()?;
        let q = match target.dtype().ok()? {
            DType::I64 => target.one_hot_like(classes, logits),
            _ => target.clone(),
        };
        if self.smoothing == 0.0 {
            return Some(q);
        }
        let share = logits.full_like(self.smoothing / classes as f64);
        Some(q * logits.full_like(1.0 - self.smoothing) + share)
    }
}

impl Op for CrossEntropy {
    fn name(&self) -> &'static str {
        "cross_entropy"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, target] = infer::arity(inputs)?;
        infer::float(x)?;
        if !(0.0..=1.0).contains(&self.smoothing) {
            return Err(format!(
                "the smoothing must lie between 0 and 1, not be {}",
                self.smoothing
            ));
        }
        let (_, outer) = x
            .shape
            .split_last()
            .ok_or("needs logits [.., C], not a scalar")?;
        match target.dtype {
            DType::I64 if target.shape != outer => Err(format!(
                "the labels' shape must be {outer:?}, one label for each row of logits"
            )),
            DType::I64 => Ok(Meta::new(outer, x.dtype)),
            _ => {
                infer::float(target)?;
                infer::same(x, target).map_err(|reason| {
                    format!("targets are i64 labels, or probabilities like the logits: {reason}")
                })?;
                Ok(Meta::new(outer, x.dtype))
            }
        }
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let [x, target] = call.inputs else {
            return Gradient::Forbidden("cross_entropy takes two inputs");
        };
        let Some(q) = self.probabilities(x, target) else {
            return Gradient::Zero;
        };
        let labels = target.dtype().is_ok_and(|d| d == DType::I64);
        let g = call.gradient.unsqueeze(-1).broadcast_like(x);
        // Of the logarithm that the loss has computed, so that softmax is not computed twice.
        let logarithm = x.log_softmax();
        let mut p = logarithm.exp();
        if !labels {
            p = p * q.sum_axes(&[-1], true).broadcast_like(x);
        }
        let to_target = (!labels).then(|| -(&g * &logarithm) * x.full_like(1.0 - self.smoothing));
        Gradient::Of(vec![Some(g * (p - q)), to_target])
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (x, target) = (inputs[0], inputs[1]);
        let classes = *x.shape().last().ok_or("needs logits [.., C]")?;
        loops::floats!(x.dtype(), T => {
            let (x, losses) = (x.slice::<T>(), output.slice_mut::<T>());
            for (row, loss) in losses.iter_mut().enumerate() {
                let x = &x[row * classes..(row + 1) * classes];
                let largest = x.iter().copied().fold(T::NEG_INFINITY, loops::maximum);
                let distances = x.iter().map(|&x| (x - largest).wide());
                let total = distances.clone().map(f64::exp).collect::<loops::Sum>().value();
                let label = match target.dtype() {
                    DType::I64 => {
                        let label = target.slice::<i64>()[row];
                        if !(0..classes as i64).contains(&label) {
                            return Err(format!("label {label} is none of {classes} classes"));
                        }
                        Some(label as usize)
                    }
                    _ => None,
                };
                let mut sum = loops::Sum::default();
                for (c, distance) in distances.enumerate() {
                    let q = match label {
                        Some(label) => f64::from(label == c),
                        None => target.slice::<T>()[row * classes + c].wide(),
                    };
                    let q = (1.0 - self.smoothing) * q + self.smoothing / classes as f64;
                    if q != 0.0 {
                        sum.add(-q * (distance - total.ln()));
                    }
                }
                *loss = T::narrow(sum.value());
            }
        });
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let q = self.probabilities(&inputs[0], &inputs[1])?;
        // Chosen, not only multiplied: 0 times the -inf of a masked class is NaN.
        let zero = q.zeros_like();
        let terms = q
            .equal(&zero)
            .select(&zero, &(inputs[0].log_softmax() * &q));
        Some(-terms.sum_axes(&[-1], false))
    }
}

impl Tensor {
    /// Softmax with cross-entropy loss (the book's SoftmaxWithLoss), one loss per row: for logits `[.., C]` and labels
    /// `[..]` (i64) or probabilities `[.., C]`, the losses `[..]`. A label that is no class is an error when the tensor
    /// is evaluated.
    ///
    /// A logit of -inf masks its class: the loss is that of the other classes, and the class's gradient 0. It is infinite
    /// where the masked class is the target.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let logits = Tensor::from([[0.0, 0.0], [100.0, f32::NEG_INFINITY]]);
    /// let losses = logits.cross_entropy(&Tensor::from([0, 0])).to_vec::<f32>()?;
    /// assert!((losses[0] - 2f32.ln()).abs() < 1e-6 && losses[1] == 0.0);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("cross_entropy_error", "softmax_loss", "SoftmaxWithLoss"))]
    #[track_caller]
    pub fn cross_entropy(&self, target: &Tensor) -> Tensor {
        self.cross_entropy_smoothed(target, 0.0)
    }

    /// [`Tensor::cross_entropy`] with targets `(1 - smoothing) q + smoothing / C`. Every class is a target then, so that a
    /// masked one makes the loss infinite.
    #[track_caller]
    pub fn cross_entropy_smoothed(&self, target: &Tensor, smoothing: f64) -> Tensor {
        Tensor::apply(CrossEntropy { smoothing }, &[self, target])
    }

    /// The mean of the squared differences of all elements, `mean((x - t)^2)`, a scalar.
    #[doc(alias = "sum_squared_error")]
    #[track_caller]
    pub fn mean_squared_error(&self, target: &Tensor) -> Tensor {
        (self - target).square().mean()
    }
}
