//! The natural logarithm.

use super::{elementwise::elementwise, prelude::*};

elementwise!(
    /// The natural logarithm, `y = ln x`; `dy/dx = 1 / x`.
    Log, log, unary(Unary::Log), |x| x.ln(),
    |call| Gradient::one(call.gradient / &call.inputs[0])
);
