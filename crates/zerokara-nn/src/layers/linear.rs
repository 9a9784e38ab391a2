//! The fully connected layer.

use super::{beside, weight_and_bias};
use crate::{Context, Forward, Initializer, ParameterSlot, Place};
use zerokara_core::Tensor;

/// The fully connected layer: the book's `Affine` (page 147).
///
/// `y = x weight^T + bias`, `[N, I] -> [N, O]` with `weight [O, I]` (as PyTorch keeps it; the book keeps the
/// transpose) and `bias [O]`. Inputs of more axes are transformed along the last one.
///
/// Weights begin as He's initial values, for the ReLU that usually follows, biases as 0.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Forward, Linear};
/// let layer = Linear::new(2);
/// let x = Tensor::ones([4, 3]);
/// layer.build(&x, 0)?;
/// assert_eq!(layer.forward(&x, &mut Context::evaluate()).shape()?, [4, 2]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias("Affine", "Dense", "FullyConnected"))]
#[derive(Clone, Debug)]
pub struct Linear {
    place: Place,
    outputs: usize,
    weight: ParameterSlot,
    bias: Option<ParameterSlot>,
}

impl Linear {
    /// A layer of this many neurons.
    #[track_caller]
    pub fn new(outputs: usize) -> Self {
        Self {
            place: Place::new("Linear"),
            outputs,
            weight: ParameterSlot::new(Initializer::HeNormal),
            bias: Some(ParameterSlot::new(Initializer::Constant(0.0))),
        }
    }

    /// The weights of another layer's slot, `[O, I]`, tied to this one: see [`ParameterSlot::share`].
    pub fn tied(mut self, weight: &ParameterSlot) -> Self {
        self.weight = weight.share();
        self
    }
}

weight_and_bias!(Linear, "weights");

impl Forward for Linear {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.forward_to(x, self.outputs, cx)
    }
}

impl Linear {
    /// The forward pass of a part of another layer, which knows only here how many neurons it has.
    pub(super) fn forward_to(&self, x: &Tensor, outputs: usize, cx: &mut Context) -> Tensor {
        self.place.run(|| {
            let Ok(meta) = x.meta() else {
                return x.clone();
            };
            let &[_, ref inner @ .., inputs] = meta.shape.as_slice() else {
                return self.place.invalid(format!(
                    "needs a batch [N, features], not {meta}; flatten() makes one of images"
                ));
            };
            let weight = self.weight.tensor(&beside(meta, [outputs, inputs]), cx);
            let y = if inner.is_empty() {
                x.matmul(&weight.t())
            } else {
                // Rows of all leading axes; the first stays free, so that the graph holds for any batch.
                let after: Vec<i64> = [-1]
                    .into_iter()
                    .chain(inner.iter().map(|&n| n as i64))
                    .chain([outputs as i64])
                    .collect();
                x.reshape([-1, inputs as i64])
                    .matmul(&weight.t())
                    .reshape(after)
            };
            match &self.bias {
                Some(bias) => y + bias.tensor(&beside(meta, [outputs]), cx),
                None => y,
            }
        })
    }
}
