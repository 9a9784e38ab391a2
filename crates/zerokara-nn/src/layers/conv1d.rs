//! The convolutional layer of sequences.

use super::{Ends, beside, weight_and_bias};
use crate::{Context, Forward, Initializer, ParameterSlot, Place};
use zerokara_core::{Tensor, op::Conv1dOptions};

/// Convolution of sequences, `[N, C, L] -> [N, O, Y]`, with filters `weight [O, C / groups, K]` and `bias [O]`:
/// `y[n, o] = bias[o] + sum over c of x[n, c] * weight[o, c]`, where `*` slides the filter along the sequence, and
/// `Y = floor((L + 2 padding - dilation (K - 1) - 1) / stride) + 1`.
///
/// With [`Conv1d::causal`] no output sees a later input, and a stride of 1 keeps the length.
///
/// Filters begin as He's initial values, for the ReLU that usually follows, biases as 0.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Conv1d, Forward};
/// let conv = Conv1d::new(8, 3).dilation(2).causal();
/// let x = Tensor::zeros([4, 2, 10]);
/// conv.build(&x, 0)?;
/// assert_eq!(conv.forward(&x, &mut Context::evaluate()).shape()?, [4, 8, 10]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Conv1d {
    place: Place,
    outputs: usize,
    kernel: usize,
    causal: bool,
    options: Conv1dOptions,
    weight: ParameterSlot,
    bias: Option<ParameterSlot>,
}

impl Conv1d {
    /// `outputs` filters of this length, stride 1, no padding.
    #[track_caller]
    pub fn new(outputs: usize, kernel: usize) -> Self {
        Self {
            place: Place::new("Conv1d"),
            outputs,
            kernel,
            causal: false,
            options: Conv1dOptions::default(),
            weight: ParameterSlot::new(Initializer::HeNormal),
            bias: Some(ParameterSlot::new(Initializer::Constant(0.0))),
        }
    }

    /// Steps of the filter.
    pub fn stride(mut self, stride: usize) -> Self {
        self.options.stride = stride;
        self
    }

    /// Zeros before and behind the sequence (one number: both).
    pub fn padding(mut self, padding: impl Into<Ends>) -> Self {
        (self.options.padding, self.causal) = (padding.into().0, false);
        self
    }

    /// As many zeros before the sequence as the filter reaches back, and none behind: each output sees what was up to its place.
    pub fn causal(mut self) -> Self {
        self.causal = true;
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

weight_and_bias!(Conv1d, "filters");

impl Forward for Conv1d {
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
            let options = match self.causal {
                true => self.options.causal(self.kernel),
                false => self.options,
            };
            let per_group = channels / options.groups.max(1);
            let weight = beside(meta, [self.outputs, per_group, self.kernel]);
            let y = x.conv1d(&self.weight.tensor(&weight, cx), options);
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
