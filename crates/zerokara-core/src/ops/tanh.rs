//! The hyperbolic tangent.

use super::{elementwise::elementwise, prelude::*};

elementwise!(
    /// The hyperbolic tangent, `y = (e^x - e^-x) / (e^x + e^-x)`; `dy/dx = 1 - y^2`.
    Tanh, tanh, unary(Unary::Tanh), |x| x.tanh(),
    |call| Gradient::one(call.gradient * (1.0 - call.output * call.output))
);
