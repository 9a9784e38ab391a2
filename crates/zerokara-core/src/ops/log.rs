//! The natural logarithm.

use super::{elementwise::elementwise, prelude::*};

elementwise!(
    /// The natural logarithm, `y = ln x`; `dy/dx = 1 / x`, infinite at 0.
    ///
    /// As in PyTorch, choosing another value where the logarithm does not apply does not keep its slope out of the gradient:
    /// choose the argument instead, as shown at [`Tensor::sqrt`].
    Log, log, unary(Unary::Log), |x| x.ln(),
    |call| Gradient::one(call.gradient / &call.inputs[0])
);
