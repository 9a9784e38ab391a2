//! The exponential function.

use super::{elementwise::elementwise, prelude::*};

elementwise!(
    /// The exponential function, `y = e^x`; its derivative is itself, `dy/dx = y`.
    Exp, exp, unary(Unary::Exp), |x| x.exp(),
    |call| Gradient::one(call.gradient * call.output)
);
