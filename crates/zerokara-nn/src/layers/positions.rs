//! Where in a sequence a position stands: attention does not see it by itself.

use super::{beside, place_only};
use crate::{Context, Forward, Initializer, Module, ParameterSlot, Place, Visitor};
use zerokara_core::Tensor;

/// A learned vector for each position, added: `[N, L, C] -> [N, L, C]` with `weight [most, C]`, for sequences of up to `most`
/// positions.
#[derive(Clone, Debug)]
pub struct LearnedPositions {
    place: Place,
    most: usize,
    weight: ParameterSlot,
}

impl LearnedPositions {
    /// For sequences of up to so many positions.
    #[track_caller]
    pub fn new(most: usize) -> Self {
        Self {
            place: Place::new("LearnedPositions"),
            most,
            weight: ParameterSlot::new(Initializer::Normal { std: 0.02 }),
        }
    }

    /// The initial values of the vectors.
    #[track_caller]
    pub fn initializer(mut self, initializer: Initializer) -> Self {
        self.weight = ParameterSlot::new(initializer);
        self
    }
}

impl Module for LearnedPositions {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.layer(&self.place);
        visitor.part("weight", &self.weight);
    }
}

impl Forward for LearnedPositions {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.place.run(|| {
            let Ok(meta) = x.meta() else {
                return x.clone();
            };
            let &[_, length, width] = meta.shape.as_slice() else {
                return self.place.invalid(format!("needs sequences [N, L, C], not {meta}"));
            };
            if length > self.most {
                return self.place.invalid(format!(
                    "knows {} positions, and the sequence has {length}: give it less, or make the layer for more",
                    self.most
                ));
            }
            let weight = self.weight.tensor(&beside(meta, [self.most, width]), cx);
            x + weight.narrow(0, 0, length)
        })
    }
}

/// Waves of the position, added (Vaswani et al., 2017): `[N, L, C] -> [N, L, C]`, of position p `sin(p / 10000^(2 i / C))` to
/// feature 2 i and the cosine to feature 2 i + 1. Nothing is learned, and sequences may have any length.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Forward, SinusoidalPositions};
/// let x = Tensor::zeros([1, 2, 2]);
/// let y = SinusoidalPositions::new().forward(&x, &mut Context::evaluate());
/// let y = y.to_vec::<f32>()?;
/// assert_eq!(y[..2], [0.0, 1.0]);
/// assert!((y[2] - 1f32.sin()).abs() < 1e-6 && (y[3] - 1f32.cos()).abs() < 1e-6);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias = "positional encoding")]
#[derive(Clone, Debug)]
pub struct SinusoidalPositions {
    place: Place,
}

impl SinusoidalPositions {
    /// With wave lengths from 2 pi to 20,000 pi.
    #[track_caller]
    pub fn new() -> Self {
        Self {
            place: Place::new("SinusoidalPositions"),
        }
    }
}

place_only!(SinusoidalPositions);

impl Forward for SinusoidalPositions {
    fn forward(&self, x: &Tensor, _: &mut Context) -> Tensor {
        self.place.run(|| {
            let Ok(meta) = x.meta() else {
                return x.clone();
            };
            let &[_, length, width] = meta.shape.as_slice() else {
                return self
                    .place
                    .invalid(format!("needs sequences [N, L, C], not {meta}"));
            };
            if !width.is_multiple_of(2) {
                return self
                    .place
                    .invalid(format!("{width} features are no pairs of sine and cosine"));
            }
            let angles = Tensor::angles(0, length, width / 2, 10_000.0).cast(meta.dtype);
            let waves = Tensor::stack(&[&angles.sin(), &angles.cos()], -1);
            x + waves.reshape([length as i64, width as i64])
        })
    }
}
