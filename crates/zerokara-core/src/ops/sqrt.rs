//! The square root.

use super::{elementwise::elementwise, prelude::*};

elementwise!(
    /// The square root, `y = x^(1/2)`; `dy/dx = 1 / (2 y)`.
    Sqrt, sqrt, unary(Unary::Sqrt), |x| x.sqrt(),
    |call| Gradient::one(call.gradient / (call.output * 2.0))
);
