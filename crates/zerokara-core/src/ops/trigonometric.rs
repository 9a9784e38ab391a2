//! Sine and cosine.

use super::{elementwise::elementwise, prelude::*};

elementwise!(
    /// The sine of an angle in radians; its derivative is the cosine.
    Sin, sin, unary(Unary::Sin), |x| x.sin(),
    |call| Gradient::one(call.gradient * call.inputs[0].cos())
);

elementwise!(
    /// The cosine of an angle in radians; its derivative is minus the sine.
    Cos, cos, unary(Unary::Cos), |x| x.cos(),
    |call| Gradient::one(-(call.gradient * call.inputs[0].sin()))
);
