//! Activation functions as layers.

use super::place_only;
use crate::{Activation, Context, Forward, Place};
use zerokara_core::Tensor;

/// An activation function as a layer: `y = f(x)`, any shape.
#[doc(alias("Relu", "Sigmoid"))]
#[derive(Clone, Debug)]
pub struct Activate {
    place: Place,
    function: Activation,
}

impl Activate {
    /// The layer of this function.
    #[track_caller]
    pub fn new(function: Activation) -> Self {
        Self {
            place: Place::new(function.name()),
            function,
        }
    }
}

place_only!(Activate);

impl Forward for Activate {
    fn forward(&self, x: &Tensor, _: &mut Context) -> Tensor {
        self.place.run(|| self.function.apply(x))
    }
}
