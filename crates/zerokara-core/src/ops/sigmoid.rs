//! The sigmoid function, `y = 1 / (1 + e^-x)`; `dy/dx = y (1 - y)` (page 145 of the book).

use super::{loops::Real, prelude::*};

/// The operation.
#[derive(Debug)]
pub struct Sigmoid;

impl Op for Sigmoid {
    fn name(&self) -> &'static str {
        "sigmoid"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        infer::float_unary(inputs)
    }

    fn kind(&self) -> Kind {
        unary(Unary::Sigmoid)
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        Gradient::one(call.gradient * (call.output * (1.0 - call.output)))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => loops::unary(inputs[0], output, |x: T| T::of(1.0) / (T::of(1.0) + (-x).exp())));
        Ok(())
    }
}

impl Tensor {
    /// The sigmoid function, `y = 1 / (1 + e^-x)`; `dy/dx = y (1 - y)` (page 145 of the book).
    #[track_caller]
    pub fn sigmoid(&self) -> Tensor {
        Tensor::apply(Sigmoid, &[self])
    }
}
