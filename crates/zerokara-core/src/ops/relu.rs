//! The rectified linear unit, `y = max(x, 0)`; `dy/dx = 1` where `x > 0`, else 0 (page 142 of the book).

use super::prelude::*;

/// The operation.
#[derive(Debug)]
pub struct Relu;

impl Op for Relu {
    fn name(&self) -> &'static str {
        "relu"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        infer::float_unary(inputs)
    }

    fn kind(&self) -> Kind {
        map([
            Instruction::Load(0),
            Instruction::Constant(0.0),
            Instruction::Binary(Binary::Maximum, 0, 1),
        ])
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        // The output tells as well as the input where x > 0, and is kept anyway.
        let zero = call.output.zeros_like();
        Gradient::one(call.output.greater(&zero).select(call.gradient, &zero))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => loops::unary(inputs[0], output, |x: T| loops::maximum(x, 0.0)));
        Ok(())
    }
}

impl Tensor {
    /// The rectified linear unit, `y = max(x, 0)`; `dy/dx = 1` where `x > 0`, else 0 (page 142 of the book).
    #[track_caller]
    pub fn relu(&self) -> Tensor {
        Tensor::apply(Relu, &[self])
    }
}
