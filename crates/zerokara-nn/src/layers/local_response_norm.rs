//! Normalization by neighbouring channels.

use super::place_only;
use crate::{Context, Forward, Place};
use zerokara_core::{Tensor, op::LocalResponseOptions};

/// Local response normalization of `[N, C, ..]` (Krizhevsky et al., 2012): each element is divided by what its neighbours in so many
/// channels amount to, `x / (bias + alpha / size * sum of squares)^beta`.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Forward, LocalResponseNorm};
/// let x = Tensor::from([[[3.0], [4.0]]]);
/// let norm = LocalResponseNorm::new(3).alpha(3.0).beta(0.5).bias(0.0);
/// let y = norm.forward(&x, &mut Context::evaluate()).to_vec::<f32>()?;
/// assert!((y[0] - 0.6).abs() < 1e-6 && (y[1] - 0.8).abs() < 1e-6);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias = "LRN")]
#[derive(Clone, Debug)]
pub struct LocalResponseNorm {
    place: Place,
    options: LocalResponseOptions,
}

impl LocalResponseNorm {
    /// Over so many channels, with alpha 0.0001, beta 0.75 and bias 1.
    #[track_caller]
    pub fn new(size: usize) -> Self {
        Self {
            place: Place::new("LocalResponseNorm"),
            options: LocalResponseOptions::new(size),
        }
    }

    /// The share of the squares.
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.options.alpha = alpha;
        self
    }

    /// The exponent.
    pub fn beta(mut self, beta: f64) -> Self {
        self.options.beta = beta;
        self
    }

    /// What is added to the squares.
    pub fn bias(mut self, bias: f64) -> Self {
        self.options.bias = bias;
        self
    }
}

place_only!(LocalResponseNorm);

impl Forward for LocalResponseNorm {
    fn forward(&self, x: &Tensor, _: &mut Context) -> Tensor {
        (self.place).run(|| x.local_response_norm(self.options))
    }
}
