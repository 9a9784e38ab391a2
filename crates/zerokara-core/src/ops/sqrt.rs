//! The square root.

use super::{elementwise::elementwise, prelude::*};

elementwise!(
    /// The square root, `y = x^(1/2)`; `dy/dx = 1 / (2 y)`, infinite at 0.
    ///
    /// As in PyTorch, choosing another value where the root does not apply does not keep its slope out of the gradient: 0
    /// times an infinity is NaN. Choose the argument instead.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, grad};
    /// let x = Tensor::from([0.0, 4.0]);
    /// let (zero, one) = (Tensor::from(0.0), Tensor::from(1.0));
    /// let positive = x.greater(&zero);
    /// let late = positive.select(&x.sqrt(), &zero);
    /// assert!(grad(&late.sum(), &x).to_vec::<f32>()?[0].is_nan());
    /// let safe = positive.select(&positive.select(&x, &one).sqrt(), &zero);
    /// assert_eq!(grad(&safe.sum(), &x).to_vec::<f32>()?, [0.0, 0.25]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    ///
    /// [`Tensor::norm_axes`] and [`Tensor::std_axes`] do so for roots of sums of squares, whose gradient at 0 is 0.
    Sqrt, sqrt, unary(Unary::Sqrt), |x| x.sqrt(),
    |call| Gradient::one(call.gradient / (call.output * 2.0))
);

impl Tensor {
    /// The square root of what is a sum of squares: where that is 0 all of them are, and so is the gradient that is passed
    /// on.
    #[track_caller]
    pub(crate) fn root_of_squares(&self) -> Tensor {
        let zero = self.zeros_like();
        let at_zero = self.equal(&zero);
        let root = at_zero.select(&self.full_like(1.0), self).sqrt();
        at_zero.select(&zero, &root)
    }

    /// The Euclidean norm of all elements, a scalar: see [`Tensor::norm_axes`].
    #[track_caller]
    pub fn norm(&self) -> Tensor {
        self.norm_axes(&[], false)
    }

    /// The Euclidean norm over these axes (negative: from the back; none: all), the square root of the sum of the squares.
    /// Squares that would be too large or too small for the element type do no harm, and the gradient at 0 is 0.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, grad};
    /// let x = Tensor::from([[3e30, 4e30], [0.0, 0.0]]);
    /// let norms = x.norm_axes(&[1], false);
    /// assert_eq!(norms.to_vec::<f32>()?, [5e30, 0.0]);
    /// let slope = grad(&norms.sum(), &x).to_vec::<f32>()?; // x / norm
    /// assert!((slope[0] - 0.6).abs() < 1e-6 && (slope[1] - 0.8).abs() < 1e-6);
    /// assert_eq!(slope[2..], [0.0, 0.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn norm_axes(&self, axes: &[i64], keep: bool) -> Tensor {
        // The largest becomes 1. As a constant, since the norm does not depend on it.
        let largest = self.abs().max_axes(axes, true).detach();
        let one = largest.full_like(1.0);
        let fits = largest
            .is_finite()
            .logical_and(&largest.greater(&largest.zeros_like()));
        let scale = fits.select(&largest, &one);
        let squares = (self / scale.broadcast_like(self))
            .square()
            .sum_axes(axes, true);
        let norms = squares.root_of_squares() * scale;
        match (keep, self.sum_axes(axes, false).shape()) {
            (false, Ok(shape)) => {
                let lengths: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
                norms.reshape_exactly(&lengths)
            }
            _ => norms,
        }
    }
}
