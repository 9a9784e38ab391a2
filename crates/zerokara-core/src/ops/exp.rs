//! The exponential function, `y = e^x`; its derivative is itself, `dy/dx = y`.

use super::prelude::*;

/// The operation.
#[derive(Debug)]
pub struct Exp;

impl Op for Exp {
    fn name(&self) -> &'static str {
        "exp"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        infer::float_unary(inputs)
    }

    fn kind(&self) -> Kind {
        unary(Unary::Exp)
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        Gradient::one(call.gradient * call.output)
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => loops::unary(inputs[0], output, |x: T| x.exp()));
        Ok(())
    }
}

impl Tensor {
    /// The exponential function, `y = e^x`; its derivative is itself, `dy/dx = y`.
    #[track_caller]
    pub fn exp(&self) -> Tensor {
        Tensor::apply(Exp, &[self])
    }
}
