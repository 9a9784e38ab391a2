//! The natural logarithm, `y = ln x`; `dy/dx = 1 / x`.

use super::prelude::*;

/// The operation.
#[derive(Debug)]
pub struct Log;

impl Op for Log {
    fn name(&self) -> &'static str {
        "log"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        infer::float_unary(inputs)
    }

    fn kind(&self) -> Kind {
        unary(Unary::Log)
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        Gradient::one(call.gradient / &call.inputs[0])
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => loops::unary(inputs[0], output, |x: T| x.ln()));
        Ok(())
    }
}

impl Tensor {
    /// The natural logarithm, `y = ln x`; `dy/dx = 1 / x`.
    #[track_caller]
    pub fn log(&self) -> Tensor {
        Tensor::apply(Log, &[self])
    }
}
