//! Convolution of channels-last images: `out[n, y, x, o] = sum over kh, kw, c of
//! in[n, y * stride + kh * dilation - padding, .., c] * filters[o, c, kh, kw]`, and its two gradients.
//!
//! `images/` has the two passes that make images of images and packed filters: forward, and the gradient of the input; `filters/`
//! has the gradient of the filters. Both have one file for each method. `choice.rs` has the table of these methods
//! and of when each is taken; `winograd/` and `lines/` have what the passes share that go by these. Who asks for
//! lengths, units and ranges need not know the method.
//!
//! ```text
//! forward, gradient of the input   pack_units, pack_unit; units, unit_range, scratch_len, run_unit
//! gradient of the filters          weight_gradient_units, weight_gradient_scratch_len, run_weight_gradient_unit; partials
//! forward with a max pooling       pools; conv_pool
//! the filters' over its windows    sums_over_windows; over_windows
//! ```
//!
//! Each pass runs the micro-kernel of the matrix product on the images where they lie; no patch is ever written out.
//! Only where a pass reads beyond an image, the part of the image that a unit of work needs is copied, with zeros
//! around it, to scratch.
//!
//! What lies beyond an image has no terms in the sums. A way that multiplies more than the terms there are (zeros of the border,
//! neighbours that a transform mixes in) must notice where this would show, which is where a number is not finite, and have
//! `plain.rs` compute it: see there.

mod bf16;
mod choice;
mod filters;
mod image;
mod images;
pub(crate) mod lines;
mod phase;
mod plain;
mod sides;
mod winograd;

pub use choice::{
    arithmetic, pools, sums_over_windows, weight_gradient_arithmetic, windows_may_be_nowhere,
};
pub use filters::{
    over_windows, partials, run_weight_gradient_unit, weight_gradient_scratch_len,
    weight_gradient_units,
};
pub use images::{
    conv_pool, finish, pack_unit, pack_units, packed_len, run_unit, scratch_len, unit_range, units,
};

#[cfg(doc)]
use crate::arithmetic::Arithmetic;
use crate::padding::Padding;

/// Sizes and options of a two-dimensional convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConvGeometry {
    /// Images in the batch, N.
    pub batch: usize,
    /// Channels of the input, C.
    pub in_channels: usize,
    /// Channels of the output, O.
    pub out_channels: usize,
    /// Height and width of the input, H and W.
    pub input: [usize; 2],
    /// Height and width of the output, Y and X.
    pub output: [usize; 2],
    /// Height and width of the filters, KH and KW.
    pub kernel: [usize; 2],
    /// Steps of the filter, down and across.
    pub stride: [usize; 2],
    /// Zeros around the input.
    pub padding: Padding,
    /// Distance between neighbouring elements of the filter.
    pub dilation: [usize; 2],
    /// Number of groups that C and O are cut into.
    pub groups: usize,
    /// Whether all sums are direct ([`Arithmetic::Direct`]): no fewer multiplications than the definition has.
    pub direct: bool,
}

impl ConvGeometry {
    /// Whether the sizes belong together: nothing but the batch is zero, channels divide into groups, the output is of
    /// the size that input, filters, stride, padding and dilation give, and the address space holds the images.
    pub fn is_consistent(&self) -> bool {
        let channels = self.groups > 0
            && self.in_channels > 0
            && self.out_channels > 0
            && self.in_channels.is_multiple_of(self.groups)
            && self.out_channels.is_multiple_of(self.groups);
        let countable = |images: [usize; 2], channels: usize| {
            crate::plan::countable(&[self.batch, channels, images[0], images[1]])
        };
        channels
            && countable(self.input, self.in_channels)
            && countable(self.output, self.out_channels)
            && (0..2).all(|i| {
                let whole = [
                    self.input[i],
                    self.output[i],
                    self.kernel[i],
                    self.stride[i],
                    self.dilation[i],
                ];
                !whole.contains(&0)
                    && self
                        .room(i)
                        .is_some_and(|room| room / self.stride[i] + 1 == self.output[i])
            })
    }

    /// The position of the input along an axis that tap `tap` of output position `at` reads; none beyond the input.
    #[inline(always)]
    fn source(&self, axis: usize, at: usize, tap: usize) -> Option<usize> {
        let padded = at * self.stride[axis] + tap * self.dilation[axis];
        let position = padded.checked_sub(self.padding.before[axis])?;
        (position < self.input[axis]).then_some(position)
    }

    /// How far the filter can move along an axis of the padded input.
    fn room(&self, axis: usize) -> Option<usize> {
        let padded = self.padding.along(axis)?.checked_add(self.input[axis])?;
        let last_tap = (self.kernel[axis] - 1).checked_mul(self.dilation[axis])?;
        padded.checked_sub(last_tap)?.checked_sub(1)
    }
}

#[cfg(test)]
mod tests;
