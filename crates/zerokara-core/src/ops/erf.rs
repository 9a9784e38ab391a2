//! The error function, and its complement.

use super::gelu::FAR;
use super::{elementwise::elementwise, prelude::*};
use loops::Real;
use std::f64::consts::FRAC_2_SQRT_PI;

elementwise!(
    /// The error function, `y = 2 / sqrt(pi) * integral from 0 to x of e^(-t^2) dt`; `dy/dx = 2 / sqrt(pi) e^(-x^2)`.
    Erf, erf, unary(Unary::Erf), |x| Real::erf(x),
    |call| Gradient::one(call.gradient * bell(&call.inputs[0]))
);

elementwise!(
    /// The complement of the error function, `y = 1 - erf(x)`, to full accuracy where that is small;
    /// `dy/dx = -2 / sqrt(pi) e^(-x^2)`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let y = Tensor::from([6.0]).erfc().to_vec::<f32>()?;
    /// assert!((y[0] / 2.1519737e-17 - 1.0).abs() < 1e-6);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    Erfc, erfc, unary(Unary::Erfc), |x| Real::erfc(x),
    |call| Gradient::one(-(call.gradient * bell(&call.inputs[0])))
);

/// `2 / sqrt(pi) e^(-x^2)`
fn bell(x: &Tensor) -> Tensor {
    // Beyond the bounds it is 0; a derivative at infinity would multiply that by infinity.
    let x = x.clamp(-FAR, FAR);
    (-x.square()).exp() * x.full_like(FRAC_2_SQRT_PI)
}
