//! The hyperbolic tangent, `y = (e^x - e^-x) / (e^x + e^-x)`; `dy/dx = 1 - y^2`.

use super::prelude::*;

/// The operation.
#[derive(Debug)]
pub struct Tanh;

impl Op for Tanh {
    fn name(&self) -> &'static str {
        "tanh"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        infer::float_unary(inputs)
    }

    fn kind(&self) -> Kind {
        unary(Unary::Tanh)
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        Gradient::one(call.gradient * (1.0 - call.output * call.output))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => loops::unary(inputs[0], output, |x: T| x.tanh()));
        Ok(())
    }
}

impl Tensor {
    /// The hyperbolic tangent, `y = (e^x - e^-x) / (e^x + e^-x)`; `dy/dx = 1 - y^2`.
    #[track_caller]
    pub fn tanh(&self) -> Tensor {
        Tensor::apply(Tanh, &[self])
    }
}
