//! The square root, `y = x^(1/2)`; `dy/dx = 1 / (2 y)`.

use super::prelude::*;

/// The operation.
#[derive(Debug)]
pub struct Sqrt;

impl Op for Sqrt {
    fn name(&self) -> &'static str {
        "sqrt"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        infer::float_unary(inputs)
    }

    fn kind(&self) -> Kind {
        unary(Unary::Sqrt)
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        Gradient::one(call.gradient / (call.output * 2.0))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => loops::unary(inputs[0], output, |x: T| x.sqrt()));
        Ok(())
    }
}

impl Tensor {
    /// The square root, `y = x^(1/2)`; `dy/dx = 1 / (2 y)`.
    #[track_caller]
    pub fn sqrt(&self) -> Tensor {
        Tensor::apply(Sqrt, &[self])
    }
}
