//! Layers: structs with builders; the sizes of their inputs are learned when the model is built.

#![expect(
    clippy::new_without_default,
    reason = "a default would lose the caller's line"
)]

mod activate;
mod attention;
mod conv1d;
mod conv2d;
mod conv3d;
mod conv_transpose;
mod dropout;
mod embedding;
mod flatten;
mod glu;
mod group_norm;
mod linear;
mod local_response_norm;
mod norm;
mod pool;
mod positions;
mod prelu;
mod recurrent;
mod residual;
mod sequential;
mod upsample;

pub use activate::Activate;
pub use attention::{MultiHeadAttention, TransformerBlock};
pub use conv_transpose::{ConvTranspose1d, ConvTranspose2d};
pub use conv1d::Conv1d;
pub use conv2d::Conv2d;
pub use conv3d::Conv3d;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use flatten::Flatten;
pub use glu::{Glu, SwiGlu};
pub use group_norm::{GroupNorm, InstanceNorm};
pub use linear::Linear;
pub use local_response_norm::LocalResponseNorm;
pub use norm::{BatchNorm1d, BatchNorm2d, LayerNorm, RmsNorm};
pub use pool::{AvgPool1d, AvgPool2d, GlobalAvgPool1d, GlobalAvgPool2d, MaxPool1d, MaxPool2d};
pub use positions::{LearnedPositions, SinusoidalPositions};
pub use prelu::Prelu;
pub use recurrent::{Gru, Lstm, RecurrentOutput, Rnn};
pub use residual::Residual;
pub use sequential::Sequential;
pub use upsample::{Factor, Upsample};

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

/// Three sizes, in depth, down and across: one number stands for all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Triple(pub [usize; 3]);

impl From<usize> for Triple {
    fn from(all: usize) -> Self {
        Self([all; 3])
    }
}

impl From<[usize; 3]> for Triple {
    fn from(triple: [usize; 3]) -> Self {
        Self(triple)
    }
}

/// What lies before and behind a sequence: one number stands for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends(pub [usize; 2]);

impl From<usize> for Ends {
    fn from(both: usize) -> Self {
        Self([both, both])
    }
}

impl From<[usize; 2]> for Ends {
    fn from(ends: [usize; 2]) -> Self {
        Self(ends)
    }
}

/// What lies around a volume: in front, above, left, then behind, below, right. One number stands for all sides, three for both sides
/// of each axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around(pub [usize; 6]);

impl From<usize> for Around {
    fn from(all: usize) -> Self {
        Self([all; 6])
    }
}

impl From<[usize; 3]> for Around {
    fn from([deep, down, across]: [usize; 3]) -> Self {
        Self([deep, down, across, deep, down, across])
    }
}

impl From<[usize; 6]> for Around {
    fn from(sides: [usize; 6]) -> Self {
        Self(sides)
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
