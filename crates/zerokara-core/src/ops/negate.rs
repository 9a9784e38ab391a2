//! The negative, `y = -x`; integers wrap around.

use super::{loops::Number, prelude::*};

/// The operation.
#[derive(Debug)]
pub struct Negate;

impl Op for Negate {
    fn name(&self) -> &'static str {
        "negate"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        if x.dtype == DType::Bool {
            return Err("needs numbers, not truth values".into());
        }
        Ok(x.clone())
    }

    fn kind(&self) -> Kind {
        unary(Unary::Negate)
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        Gradient::one(-call.gradient)
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::numbers!(inputs[0].dtype(), T => loops::unary(inputs[0], output, |x: T| x.negative()));
        Ok(())
    }
}

impl Tensor {
    /// The negative, `y = -x`; integers wrap around.
    #[track_caller]
    pub fn negate(&self) -> Tensor {
        Tensor::apply(Negate, &[self])
    }
}
