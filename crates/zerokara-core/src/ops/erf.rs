//! The error function.

use super::{elementwise::elementwise, prelude::*};
use loops::Real;
use std::f64::consts::FRAC_2_SQRT_PI;

elementwise!(
    /// The error function, `y = 2 / sqrt(pi) * integral from 0 to x of e^(-t^2) dt`; `dy/dx = 2 / sqrt(pi) e^(-x^2)`.
    Erf, erf, unary(Unary::Erf), |x| Real::erf(x),
    |call| {
        let bell = (-call.inputs[0].square()).exp();
        Gradient::one(call.gradient * (bell * call.output.full_like(FRAC_2_SQRT_PI)))
    }
);
