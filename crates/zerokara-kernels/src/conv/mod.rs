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
pub mod depthwise;
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
use crate::plan::{Arithmetic, ConvGeometry};

#[cfg(test)]
mod tests;
