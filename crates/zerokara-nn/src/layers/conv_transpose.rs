//! Transposed convolutional layers.

use super::{Ends, Pair, beside, weight_and_bias};
use crate::{Context, Forward, Initializer, ParameterSlot, Place};
use zerokara_core::{
    Tensor,
    op::{ConvTranspose1dOptions, ConvTranspose2dOptions, Padding},
};

/// Transposed convolution of images, `[N, C, H, W] -> [N, O, Y, X]`, with filters `weight [C, O / groups, KH, KW]` and `bias [O]`: each
/// element of the input adds a copy of its channel's filters, times itself, to the output, and neighbours do so `stride` apart.
/// `Y = stride (H - 1) + dilation (KH - 1) + 1 + output_padding - 2 padding`.
///
/// Filters begin as He's initial values, biases as 0. As in PyTorch, the inputs of a neuron are counted as those of the convolution that this
/// is the transpose of, by the output's channels.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, ConvTranspose2d, Forward};
/// let up = ConvTranspose2d::new(3, 4).stride(2).padding(1);
/// let x = Tensor::zeros([1, 8, 7, 7]);
/// up.build(&x, 0)?;
/// assert_eq!(up.forward(&x, &mut Context::evaluate()).shape()?, [1, 3, 14, 14]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias = "deconvolution")]
#[derive(Clone, Debug)]
pub struct ConvTranspose2d {
    place: Place,
    outputs: usize,
    kernel: [usize; 2],
    options: ConvTranspose2dOptions,
    weight: ParameterSlot,
    bias: Option<ParameterSlot>,
}

impl ConvTranspose2d {
    /// Filters of this size (one number: square) for so many output channels, stride 1, no padding.
    #[track_caller]
    pub fn new(outputs: usize, kernel: impl Into<Pair>) -> Self {
        Self {
            place: Place::new("ConvTranspose2d"),
            outputs,
            kernel: kernel.into().0,
            options: ConvTranspose2dOptions::default(),
            weight: ParameterSlot::new(Initializer::HeNormal),
            bias: Some(ParameterSlot::new(Initializer::Constant(0.0))),
        }
    }

    /// How far copies of the filters lie apart, down and across.
    pub fn stride(mut self, stride: impl Into<Pair>) -> Self {
        self.options.stride = stride.into().0;
        self
    }

    /// What is cut off the output, above and below, left and right (one number: on all sides; four: above, left, below, right).
    pub fn padding(mut self, padding: impl Into<Padding>) -> Self {
        self.options.padding = padding.into();
        self
    }

    /// By how much the output is longer below and right.
    pub fn output_padding(mut self, more: impl Into<Pair>) -> Self {
        self.options.output_padding = more.into().0;
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

weight_and_bias!(ConvTranspose2d, "filters");

impl Forward for ConvTranspose2d {
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
            if let Some(why) = does_not_divide(self.outputs, self.options.groups) {
                return self.place.invalid(why);
            }
            let [down, across] = self.kernel;
            let per_group = self.outputs / self.options.groups;
            let weight = beside(meta, [channels, per_group, down, across]);
            let y = x.conv_transpose2d(&self.weight.tensor(&weight, cx), self.options);
            match &self.bias {
                Some(bias) => {
                    let bias = bias.tensor(&beside(meta, [self.outputs]), cx);
                    y + bias.reshape([-1, 1, 1])
                }
                None => y,
            }
        })
    }
}

/// Why so many channels are no groups.
fn does_not_divide(outputs: usize, groups: usize) -> Option<String> {
    let divides = groups > 0 && outputs.is_multiple_of(groups);
    (!divides).then(|| format!("{outputs} output channels do not divide into {groups} groups"))
}

/// Transposed convolution of sequences, `[N, C, L] -> [N, O, Y]`, with filters `weight [C, O / groups, K]` and `bias [O]`:
/// [`ConvTranspose2d`] along one axis, `Y = stride (L - 1) + dilation (K - 1) + 1 + output_padding - 2 padding`.
///
/// Filters begin as He's initial values, biases as 0. As in PyTorch, the inputs of a neuron are counted as those of the convolution that this
/// is the transpose of, by the output's channels.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, ConvTranspose1d, Forward};
/// let up = ConvTranspose1d::new(3, 4).stride(2).padding(1);
/// let x = Tensor::zeros([1, 8, 7]);
/// up.build(&x, 0)?;
/// assert_eq!(up.forward(&x, &mut Context::evaluate()).shape()?, [1, 3, 14]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias = "deconvolution")]
#[derive(Clone, Debug)]
pub struct ConvTranspose1d {
    place: Place,
    outputs: usize,
    kernel: usize,
    options: ConvTranspose1dOptions,
    weight: ParameterSlot,
    bias: Option<ParameterSlot>,
}

impl ConvTranspose1d {
    /// Filters of this length for so many output channels, stride 1, no padding.
    #[track_caller]
    pub fn new(outputs: usize, kernel: usize) -> Self {
        Self {
            place: Place::new("ConvTranspose1d"),
            outputs,
            kernel,
            options: ConvTranspose1dOptions::default(),
            weight: ParameterSlot::new(Initializer::HeNormal),
            bias: Some(ParameterSlot::new(Initializer::Constant(0.0))),
        }
    }

    /// How far copies of the filters lie apart.
    pub fn stride(mut self, stride: usize) -> Self {
        self.options.stride = stride;
        self
    }

    /// What is cut off the output before and behind (one number: both).
    pub fn padding(mut self, padding: impl Into<Ends>) -> Self {
        self.options.padding = padding.into().0;
        self
    }

    /// By how much the output is longer at its end.
    pub fn output_padding(mut self, more: usize) -> Self {
        self.options.output_padding = more;
        self
    }

    /// Distance between neighbouring elements of the filter.
    pub fn dilation(mut self, dilation: usize) -> Self {
        self.options.dilation = dilation;
        self
    }

    /// Groups of channels that are convolved apart.
    pub fn groups(mut self, groups: usize) -> Self {
        self.options.groups = groups;
        self
    }
}

weight_and_bias!(ConvTranspose1d, "filters");

impl Forward for ConvTranspose1d {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.place.run(|| {
            let Ok(meta) = x.meta() else {
                return x.clone();
            };
            let &[_, channels, _] = meta.shape.as_slice() else {
                return self
                    .place
                    .invalid(format!("needs sequences [N, C, L], not {meta}"));
            };
            if let Some(why) = does_not_divide(self.outputs, self.options.groups) {
                return self.place.invalid(why);
            }
            let per_group = self.outputs / self.options.groups;
            let weight = beside(meta, [channels, per_group, self.kernel]);
            let y = x.conv_transpose1d(&self.weight.tensor(&weight, cx), self.options);
            match &self.bias {
                Some(bias) => {
                    let bias = bias.tensor(&beside(meta, [self.outputs]), cx);
                    y + bias.reshape([-1, 1])
                }
                None => y,
            }
        })
    }
}
