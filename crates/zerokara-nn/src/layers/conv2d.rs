//! The convolutional layer.

use super::{Pair, beside, weight_and_bias};
use crate::{Context, Forward, Initializer, ParameterSlot, Place};
use zerokara_core::{
    Tensor,
    op::{ConvOptions, Padding},
};

/// Convolution of images: the book's `Convolution` (chapter 7).
///
/// `[N, C, H, W] -> [N, O, Y, X]` with filters `weight [O, C / groups, KH, KW]` and `bias [O]`:
/// `y[n, o] = bias[o] + sum over c of x[n, c] * weight[o, c]`, where `*` slides the filter over the image, and
/// `Y = floor((H + 2 padding - dilation (KH - 1) - 1) / stride) + 1`.
///
/// Filters begin as He's initial values, for the ReLU that usually follows, biases as 0.
///
/// How exact the sums are is told by [`Arithmetic`](zerokara_core::Arithmetic): some sizes are computed with fewer multiplications
/// unless direct sums are asked for. Infinities and NaN are in any case where the sum has them.
///
/// ```
/// use zerokara_core::{Meta, DType};
/// use zerokara_nn::{Conv2d, Forward, Module};
/// let conv = Conv2d::new(16, 3).stride(2).padding(1);
/// conv.build(&Meta::new([1, 3, 8, 8], DType::F32), 0)?;
/// assert_eq!(conv.parameter_count()?, 16 * 3 * 3 * 3 + 16);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias = "Convolution")]
#[derive(Clone, Debug)]
pub struct Conv2d {
    place: Place,
    outputs: usize,
    kernel: [usize; 2],
    options: ConvOptions,
    weight: ParameterSlot,
    bias: Option<ParameterSlot>,
}

impl Conv2d {
    /// `outputs` filters of this size (one number: square), stride 1, no padding.
    #[track_caller]
    pub fn new(outputs: usize, kernel: impl Into<Pair>) -> Self {
        Self {
            place: Place::new("Conv2d"),
            outputs,
            kernel: kernel.into().0,
            options: ConvOptions::default(),
            weight: ParameterSlot::new(Initializer::HeNormal),
            bias: Some(ParameterSlot::new(Initializer::Constant(0.0))),
        }
    }

    /// Steps of the filter, down and across.
    pub fn stride(mut self, stride: impl Into<Pair>) -> Self {
        self.options.stride = stride.into().0;
        self
    }

    /// Zeros around the image, above and below, left and right (one number: on all sides; four: above, left, below,
    /// right, so that an even filter keeps the size).
    ///
    /// ```
    /// use zerokara_core::Tensor;
    /// use zerokara_nn::{Context, Conv2d, Forward};
    /// let conv = Conv2d::new(1, 2).padding([0, 0, 1, 1]);
    /// let x = Tensor::zeros([1, 1, 8, 8]);
    /// conv.build(&x, 0)?;
    /// let y = conv.forward(&x, &mut Context::evaluate());
    /// assert_eq!(y.shape()?, [1, 1, 8, 8]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    pub fn padding(mut self, padding: impl Into<Padding>) -> Self {
        self.options.padding = padding.into();
        self
    }

    /// Distance between neighbouring elements of the filter.
    pub fn dilation(mut self, dilation: impl Into<Pair>) -> Self {
        self.options.dilation = dilation.into().0;
        self
    }

    /// Groups of channels that are convolved apart.
    pub fn groups(mut self, groups: usize) -> Self {
        self.options.groups = groups;
        self
    }
}

weight_and_bias!(Conv2d, "filters");

impl Forward for Conv2d {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.place.run(|| {
            let Ok(meta) = x.meta() else {
                return x.clone();
            };
            let &[_, channels, _, _] = meta.shape.as_slice() else {
                return self
                    .place
                    .invalid(format!("needs images [N, C, H, W], not {meta}"));
            };
            let [down, across] = self.kernel;
            let per_group = channels / self.options.groups.max(1);
            let weight = beside(meta, [self.outputs, per_group, down, across]);
            let y = x.conv2d(&self.weight.tensor(&weight, cx), self.options);
            match &self.bias {
                Some(bias) => {
                    y + bias
                        .tensor(&beside(meta, [self.outputs]), cx)
                        .reshape([-1, 1, 1])
                }
                None => y,
            }
        })
    }
}
