//! Local response normalization (ONNX `LRN`; Krizhevsky et al., 2012): each element is divided by what its neighbours in other
//! channels amount to,
//!
//! ```text
//! y[n, c, ..] = x[n, c, ..] / (bias + alpha / size * sum over j of x[n, j, ..]^2)^beta
//! ```
//!
//! with the channels j from `c - floor((size - 1) / 2)` to `c + ceil((size - 1) / 2)`, as far as there are such.

use super::prelude::*;
use crate::op::{Padding, PoolOptions};
use loops::Real;

/// Options of [`Tensor::local_response_norm`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocalResponseOptions {
    /// The number of channels that are summed.
    pub size: usize,
    /// The share of the squares.
    pub alpha: f64,
    /// The exponent.
    pub beta: f64,
    /// What is added to the squares.
    pub bias: f64,
}

impl LocalResponseOptions {
    /// Of so many channels, with the constants of ONNX and PyTorch: 0.0001, 0.75 and 1.
    pub fn new(size: usize) -> Self {
        Self {
            size,
            alpha: 1e-4,
            beta: 0.75,
            bias: 1.0,
        }
    }
}

attributes!(group LocalResponseOptions: size, alpha, beta, bias);

/// So many channels are summed one by one; more, by a pooling.
const FEW: usize = 16;

/// The operation.
#[derive(Debug)]
pub struct LocalResponseNorm {
    options: LocalResponseOptions,
}

attributes!(LocalResponseNorm: options);

impl Op for LocalResponseNorm {
    fn name(&self) -> &'static str {
        "local_response_norm"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let x = infer::float_unary(inputs)?;
        if x.rank() < 2 {
            return Err(format!("needs an input [N, C, ..], not {:?}", x.shape));
        }
        if self.options.size == 0 {
            return Err("the number of channels that are summed must be at least 1".into());
        }
        Ok(x)
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let LocalResponseOptions {
            size,
            alpha,
            beta,
            bias,
        } = self.options;
        let channels = super::along::Along::axis(1, inputs[0].shape());
        let (before, behind) = ((size - 1) / 2, (size - 1).div_ceil(2));
        loops::floats!(inputs[0].dtype(), T => {
            let x = inputs[0].slice::<T>();
            for (at, y) in output.slice_mut::<T>().iter_mut().enumerate() {
                let [n, c, inner] = channels.index(at);
                let last = c.saturating_add(behind).min(channels.length - 1);
                let near = c.saturating_sub(before)..=last;
                let squares: loops::Sum = near.map(|j| x[channels.position([n, j, inner])].wide().powi(2)).collect();
                let amount = bias + alpha / size as f64 * squares.value();
                *y = T::narrow(x[at].wide() / amount.powf(beta));
            }
        });
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let x = &inputs[0];
        let shape = x.shape().ok()?;
        if shape.contains(&0) {
            return Some(x.clone());
        }
        // More channels than there are change the divisor alone.
        let most = shape[1].saturating_mul(2).max(1);
        let size = self.options.size.min(most | 1);
        let (before, behind) = ((size - 1) / 2, (size - 1).div_ceil(2));
        let alpha = self.options.alpha * (size as f64 / self.options.size as f64);
        let squares = match size <= FEW {
            true => {
                let (mut front, mut back) = (vec![0; shape.len()], vec![0; shape.len()]);
                (front[1], back[1]) = (before, behind);
                let padded = x.square().pad(&front, &back, 0.0);
                let parts = (0..size).map(|j| padded.narrow(1, j, shape[1]));
                let sum = parts.reduce(|sum, part| sum + part)?;
                &sum * sum.full_like(1.0 / size as f64)
            }
            false => {
                let lengths: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
                let area = shape[2..].iter().product::<usize>() as i64;
                let windows = PoolOptions {
                    kernel: [size, 1],
                    stride: [1, 1],
                    padding: Padding {
                        before: [before, 0],
                        behind: [behind, 0],
                    },
                };
                (x.square()
                    .reshape_exactly(&[lengths[0], 1, lengths[1], area]))
                .avg_pool2d(windows, true)
                .reshape_exactly(&lengths)
            }
        };
        let amount = &squares * squares.full_like(alpha) + squares.full_like(self.options.bias);
        Some(x * amount.powf(-self.options.beta))
    }
}

impl Tensor {
    /// Each element of `x [N, C, ..]` divided by what the same place amounts to in so many neighbouring channels.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::LocalResponseOptions};
    /// let x = Tensor::from([[[3.0], [4.0], [0.0]]]);
    /// let options = LocalResponseOptions { alpha: 3.0, beta: 0.5, bias: 0.0, ..LocalResponseOptions::new(3) };
    /// let y = x.local_response_norm(options).to_vec::<f32>()?;
    /// assert!((y[0] - 0.6).abs() < 1e-6 && (y[1] - 0.8).abs() < 1e-6);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "LRN")]
    #[track_caller]
    pub fn local_response_norm(&self, options: LocalResponseOptions) -> Tensor {
        Tensor::apply(LocalResponseNorm { options }, &[self])
    }
}
