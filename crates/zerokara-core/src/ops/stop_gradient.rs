//! The same values, through which no gradient flows.

use super::prelude::*;

/// The operation.
#[derive(Debug)]
pub struct StopGradient;

impl Op for StopGradient {
    fn name(&self) -> &'static str {
        "stop_gradient"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        Ok(x.clone())
    }

    fn kind(&self) -> Kind {
        Kind::View(crate::op::View::Broadcast)
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        *output = inputs[0].clone();
        Ok(())
    }
}

impl Tensor {
    /// The same values without their history: no gradient flows through, and once the value is known, what it was
    /// computed from is no longer held.
    #[doc(alias("stop_gradient", "no_grad"))]
    #[track_caller]
    pub fn detach(&self) -> Tensor {
        match self.node.value.get() {
            // A program reads the cell of a parameter, not the value at hand.
            Some(value) if self.node.parameter.is_none() => Tensor::from(value.clone()),
            _ => Tensor::apply(StopGradient, &[self]),
        }
    }
}
