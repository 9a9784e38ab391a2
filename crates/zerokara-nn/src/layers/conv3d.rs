//! The convolutional layer of volumes.

use super::{Around, Triple, beside, weight_and_bias};
use crate::{Context, Forward, Initializer, ParameterSlot, Place};
use zerokara_core::{Tensor, op::Conv3dOptions};

/// Convolution of volumes, `[N, C, D, H, W] -> [N, O, Z, Y, X]`, with filters `weight [O, C / groups, KD, KH, KW]` and `bias [O]`; each
/// length becomes `floor((L + 2 padding - dilation (K - 1) - 1) / stride) + 1`.
///
/// Filters begin as He's initial values, for the ReLU that usually follows, biases as 0.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Conv3d, Forward};
/// let conv = Conv3d::new(4, 3).padding(1).stride([1, 2, 2]);
/// let x = Tensor::zeros([1, 2, 5, 8, 8]);
/// conv.build(&x, 0)?;
/// assert_eq!(conv.forward(&x, &mut Context::evaluate()).shape()?, [1, 4, 5, 4, 4]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv3d {
    place: Place,
    outputs: usize,
    kernel: [usize; 3],
    options: Conv3dOptions,
    weight: ParameterSlot,
    bias: Option<ParameterSlot>,
}

impl Conv3d {
    /// `outputs` filters of this size (one number: cubes), stride 1, no padding.
    #[track_caller]
    pub fn new(outputs: usize, kernel: impl Into<Triple>) -> Self {
        Self {
            place: Place::new("Conv3d"),
            outputs,
            kernel: kernel.into().0,
            options: Conv3dOptions::default(),
            weight: ParameterSlot::new(Initializer::HeNormal),
            bias: Some(ParameterSlot::new(Initializer::Constant(0.0))),
        }
    }

    /// Steps of the filter: in depth, down, across.
    pub fn stride(mut self, stride: impl Into<Triple>) -> Self {
        self.options.stride = stride.into().0;
        self
    }

    /// Zeros around the volume (one number: on all sides; three: in depth, down, across; six: in front, above, left, behind, below,
    /// right).
    pub fn padding(mut self, padding: impl Into<Around>) -> Self {
        self.options.padding = padding.into().0;
        self
    }

    /// Distance between neighbouring elements of the filter.
    pub fn dilation(mut self, dilation: impl Into<Triple>) -> Self {
        self.options.dilation = dilation.into().0;
        self
    }

    /// Groups of channels that are convolved apart.
    pub fn groups(mut self, groups: usize) -> Self {
        self.options.groups = groups;
        self
    }
}

weight_and_bias!(Conv3d, "filters");

impl Forward for Conv3d {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.place.run(|| {
            let Ok(meta) = x.meta() else {
                return x.clone();
            };
            let &[_, channels, _, _, _] = meta.shape.as_slice() else {
                return self
                    .place
                    .invalid(format!("needs volumes [N, C, D, H, W], not {meta}"));
            };
            let [deep, down, across] = self.kernel;
            let per_group = channels / self.options.groups.max(1);
            let weight = beside(meta, [self.outputs, per_group, deep, down, across]);
            let y = x.conv3d(&self.weight.tensor(&weight, cx), self.options);
            match &self.bias {
                Some(bias) => {
                    let bias = bias.tensor(&beside(meta, [self.outputs]), cx);
                    y + bias.reshape([-1, 1, 1, 1])
                }
                None => y,
            }
        })
    }
}
