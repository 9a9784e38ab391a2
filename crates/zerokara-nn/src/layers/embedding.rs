//! Vectors for integers.

use super::weight;
use crate::{Context, Forward, Initializer, Module, ParameterSlot, Place, Visitor};
use zerokara_core::{DType, Meta, Tensor};

/// A learned vector for each of `count` integers: `[..]` (i64) to `[.., D]`, the rows of `weight [count, D]`.
///
/// The vectors begin as draws of the standard normal distribution, as in PyTorch.
#[derive(Clone, Debug)]
pub struct Embedding {
    place: Place,
    count: usize,
    features: usize,
    weight: ParameterSlot,
}

impl Embedding {
    /// Vectors of `features` numbers for the integers from 0 to `count - 1`.
    #[track_caller]
    pub fn new(count: usize, features: usize) -> Self {
        Self {
            place: Place::new("Embedding"),
            count,
            features,
            weight: ParameterSlot::new(Initializer::Normal { std: 1.0 }),
        }
    }
}

weight!(Embedding, "vectors");

impl Module for Embedding {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.layer(&self.place);
        visitor.part("weight", &self.weight);
    }
}

impl Forward for Embedding {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.place.run(|| {
            if x.meta().is_err() {
                return x.clone();
            }
            let table = Meta::new([self.count, self.features], DType::F32);
            self.weight.tensor(&table, cx).embedding(x)
        })
    }
}
