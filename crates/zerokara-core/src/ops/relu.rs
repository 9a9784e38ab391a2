//! The rectified linear unit.

use super::{elementwise::elementwise, prelude::*};

elementwise!(
    /// The rectified linear unit, `y = max(x, 0)`; `dy/dx = 1` where `x > 0`, else 0 (page 142 of the book).
    Relu, relu,
    map([Instruction::Load(0), Instruction::Constant(0.0), Instruction::Binary(Binary::Maximum, 0, 1)]),
    |x| loops::maximum(x, 0.0),
    |call| {
        // The output tells as well as the input where x > 0, and is kept anyway.
        let zero = call.output.zeros_like();
        Gradient::one(call.output.greater(&zero).select(call.gradient, &zero))
    }
);
