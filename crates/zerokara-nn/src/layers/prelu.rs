//! The ReLU whose slope is learned.

use super::beside;
use crate::{Context, Forward, Initializer, Module, ParameterSlot, Place, Visitor};
use zerokara_core::Tensor;

/// The ReLU with slopes that are learned (He et al., 2015): `y = x` where `x > 0`, else `weight x`, any shape.
///
/// There is one slope for all elements, `[1]`, or with [`per_channel`](Self::per_channel) one for each channel of `[N, C, ..]`, `[C]`.
/// It begins as 1/4.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Forward, Prelu};
/// let layer = Prelu::new();
/// let x = Tensor::from([[-2.0, 3.0]]);
/// layer.build(&x, 0)?;
/// assert_eq!(layer.forward(&x, &mut Context::evaluate()).to_vec::<f32>()?, [-0.5, 3.0]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias = "PReLU")]
#[derive(Clone, Debug)]
pub struct Prelu {
    place: Place,
    per_channel: bool,
    weight: ParameterSlot,
}

impl Prelu {
    /// With one slope.
    #[track_caller]
    pub fn new() -> Self {
        Self {
            place: Place::new("Prelu"),
            per_channel: false,
            weight: ParameterSlot::new(Initializer::Constant(0.25)),
        }
    }

    /// Whether each channel has a slope of its own.
    pub fn per_channel(mut self, per_channel: bool) -> Self {
        self.per_channel = per_channel;
        self
    }
}

super::weight!(Prelu, "slopes");

impl Module for Prelu {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.layer(&self.place);
        visitor.part("weight", &self.weight);
    }
}

impl Forward for Prelu {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.place.run(|| {
            let Ok(meta) = x.meta() else {
                return x.clone();
            };
            if !self.per_channel {
                return x.prelu(&self.weight.tensor(&beside(meta, [1]), cx));
            }
            let &[_, channels, ref inner @ ..] = meta.shape.as_slice() else {
                return self
                    .place
                    .invalid(format!("needs channels [N, C, ..], not {meta}"));
            };
            let slopes = self.weight.tensor(&beside(meta, [channels]), cx);
            let mut lengths = vec![1; inner.len() + 1];
            lengths[0] = channels as i64;
            x.prelu(&slopes.reshape(lengths))
        })
    }
}
