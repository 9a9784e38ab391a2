//! Softmax along the last axis, `y_i = e^(x_i - m) / sum over j of e^(x_j - m)` with m the largest x (page 69 of
//! the book: the shift changes nothing and prevents overflow), and its logarithm.
//!
//! Softmax: `dx = y (g - sum(g y))`. Logarithm: `dx = g - softmax(x) sum(g)`.
//!
//! A class whose x is -inf is masked: its softmax is 0 and the logarithm -inf. Rows without a finite x, or with +inf, are
//! NaN, as in PyTorch.

use super::prelude::*;
use loops::Real;

/// The operations `softmax` and `log_softmax`.
#[derive(Debug)]
pub struct Softmax {
    /// Whether the logarithm.
    pub log: bool,
}

impl Op for Softmax {
    fn name(&self) -> &'static str {
        if self.log { "log_softmax" } else { "softmax" }
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let meta = infer::float_unary(inputs)?;
        if meta.rank() == 0 {
            return Err("needs at least one axis".into());
        }
        Ok(meta)
    }

    fn kind(&self) -> Kind {
        Kind::Softmax { log: self.log }
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let (g, y) = (call.gradient, call.output);
        Gradient::one(if self.log {
            g - y.exp() * g.sum_axes(&[-1], true)
        } else {
            y * (g - (g * y).sum_axes(&[-1], true))
        })
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let columns = *inputs[0].shape().last().ok_or("needs at least one axis")?;
        if columns == 0 {
            return Ok(());
        }
        loops::floats!(inputs[0].dtype(), T => {
            let (x, y) = (inputs[0].slice::<T>(), output.slice_mut::<T>());
            for (x, y) in x.chunks(columns).zip(y.chunks_mut(columns)) {
                let largest = x.iter().copied().fold(T::NEG_INFINITY, loops::maximum);
                let total = x.iter().map(|&v| (v - largest).exp()).collect::<loops::Sum>().value();
                for (y, &x) in y.iter_mut().zip(x) {
                    let distance = (x - largest).wide();
                    *y = T::narrow(if self.log { distance - total.ln() } else { distance.exp() / total });
                }
            }
        });
        Ok(())
    }
}

impl Tensor {
    /// Softmax along the last axis: not negative, and 1 in sum; 0 where the element is -inf (a masked class). A row of nothing
    /// but -inf, or with +inf, gives NaN.
    #[track_caller]
    pub fn softmax(&self) -> Tensor {
        Tensor::apply(Softmax { log: false }, &[self])
    }

    /// The logarithm of softmax along the last axis, exact also where softmax underflows; -inf where the element is.
    #[track_caller]
    pub fn log_softmax(&self) -> Tensor {
        Tensor::apply(Softmax { log: true }, &[self])
    }
}
