//! Layers: structs with builders; the sizes of their inputs are learned when the model is built.

#![expect(
    clippy::new_without_default,
    reason = "a default would lose the caller's line"
)]

mod activate;
mod conv2d;
mod dropout;
mod embedding;
mod flatten;
mod glu;
mod linear;
mod norm;
mod pool;
mod prelu;
mod residual;
mod sequential;

pub use activate::Activate;
pub use conv2d::Conv2d;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use flatten::Flatten;
pub use glu::{Glu, SwiGlu};
pub use linear::Linear;
pub use norm::{BatchNorm1d, BatchNorm2d, LayerNorm};
pub use pool::{AvgPool2d, GlobalAvgPool2d, MaxPool2d};
pub use prelu::Prelu;
pub use residual::Residual;
pub use sequential::Sequential;

use zerokara_core::{DType, Meta};

/// Two sizes, down and across: one number stands for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pair(pub [usize; 2]);

impl From<usize> for Pair {
    fn from(both: usize) -> Self {
        Self([both, both])
    }
}

impl From<[usize; 2]> for Pair {
    fn from(pair: [usize; 2]) -> Self {
        Self(pair)
    }
}

impl From<(usize, usize)> for Pair {
    fn from((down, across): (usize, usize)) -> Self {
        Self([down, across])
    }
}

/// The meta of a parameter of this shape beside an input: of the input's element type if that is a float.
fn beside(x: &Meta, shape: impl Into<Vec<usize>>) -> Meta {
    Meta::new(shape, if x.is_float() { x.dtype } else { DType::F32 })
}

/// A layer whose only part is its place.
macro_rules! place_only {
    ($type:ty) => {
        impl crate::Module for $type {
            fn visit(&self, visitor: &mut crate::Visitor<'_>) {
                visitor.layer(&self.place);
            }
        }
    };
}
use place_only;

/// The builder and the slot of a layer's weights.
macro_rules! weight {
    ($type:ty, $what:literal) => {
        impl $type {
            #[doc = concat!("The initial values of the ", $what, ".")]
            #[track_caller]
            pub fn initializer(mut self, initializer: Initializer) -> Self {
                self.weight = ParameterSlot::new(initializer);
                self
            }

            #[doc = concat!("The slot of the ", $what, ".")]
            pub fn weight_slot(&self) -> &ParameterSlot {
                &self.weight
            }
        }
    };
}
use weight;

/// The builders, slots and parts of a layer of weights and, unless it is left out, a bias.
macro_rules! weight_and_bias {
    ($type:ty, $what:literal) => {
        super::weight!($type, $what);

        impl $type {
            /// Whether a bias is added.
            #[track_caller]
            pub fn bias(mut self, bias: bool) -> Self {
                self.bias = bias.then(|| ParameterSlot::new(Initializer::Constant(0.0)));
                self
            }

            /// The slot of the bias, if there is one.
            pub fn bias_slot(&self) -> Option<&ParameterSlot> {
                self.bias.as_ref()
            }
        }

        impl crate::Module for $type {
            fn visit(&self, visitor: &mut crate::Visitor<'_>) {
                visitor.layer(&self.place);
                visitor.part("weight", &self.weight);
                visitor.part("bias", &self.bias);
            }
        }
    };
}
use weight_and_bias;
