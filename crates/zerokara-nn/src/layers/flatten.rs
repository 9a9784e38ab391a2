//! From images to rows.

use super::place_only;
use crate::{Context, Forward, Place};
use zerokara_core::Tensor;

/// `[N, ..] -> [N, features]`: keeps the batch and makes one row of the rest.
#[derive(Clone, Debug)]
pub struct Flatten {
    place: Place,
}

impl Flatten {
    /// The layer.
    #[track_caller]
    pub fn new() -> Self {
        Self {
            place: Place::new("Flatten"),
        }
    }
}

place_only!(Flatten);

impl Forward for Flatten {
    fn forward(&self, x: &Tensor, _: &mut Context) -> Tensor {
        self.place.run(|| x.reshape([0, -1]))
    }
}
