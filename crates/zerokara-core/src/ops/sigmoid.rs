//! The sigmoid function.

use super::{elementwise::elementwise, prelude::*};

elementwise!(
    /// The sigmoid function, `y = 1 / (1 + e^-x)`; `dy/dx = y (1 - y)` (page 145 of the book).
    Sigmoid, sigmoid, unary(Unary::Sigmoid), |x| loops::sigmoid(x),
    |call| Gradient::one(call.gradient * (call.output * (1.0 - call.output)))
);
