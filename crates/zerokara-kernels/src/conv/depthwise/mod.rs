//! Depthwise convolution: each channel has a filter of its own, and no channel meets another.
//!
//! ```text
//! out[n, y, x, c] = sum over kh, kw of in[n, y * stride + kh * dilation - padding, .., c] * filters[c, kh, kw]
//! ```
//!
//! There is no product of matrices in it: a vector holds as many channels as it has lanes (a *block*), and each tap is one
//! multiplication of vectors. A unit takes a block of channels of some rows to scratch (`tile.rs`), one vector for each position and
//! zeros around the image, and sums from there. Since it is copied anyway, the image may lie in any order: channels innermost or
//! plane by plane, which is transposed on the way; so may what is written. So that a network of planes needs no copy of its own.

mod filters;
mod images;
mod tile;

pub(super) use filters::run_unit_body as run_filters_unit_body;
pub use filters::{
    run_unit as run_filters_unit, scratch_len as filters_scratch_len, units as filters_units,
};
pub use images::{Cut, Operands, run_unit, scratch_len, unit_range, units};
pub(super) use images::{pack, packed_len, run_unit_body};

use crate::plan::ConvGeometry;
use std::ops::Range;

/// Whether a convolution is of this kind.
pub fn applies(g: &ConvGeometry) -> bool {
    g.groups > 1 && g.groups == g.in_channels && g.groups == g.out_channels
}

/// The strides of images `[N, Y, X, C]` without gaps.
fn dense(size: [usize; 2], channels: usize) -> [isize; 4] {
    let [height, width] = size;
    [height * width * channels, width * channels, channels, 1].map(|stride| stride as isize)
}

/// Multiplications of single numbers in a unit of work below which sharing them out costs more than it saves.
const UNIT_WORK: usize = 128 * 1024;
/// Units into which a pass large enough is cut, at least.
const UNITS: usize = 16;
/// Numbers of a tile: it is to stay near while it is read for each tap.
const TILE: usize = 24 * 1024;

/// Parts of an image that make units enough, at most `most`.
fn parts(g: &ConvGeometry, images: usize, most: usize) -> usize {
    let work = (g.output[0] * g.output[1]).saturating_mul(g.kernel[0] * g.kernel[1] * g.groups);
    let parts = UNITS.div_ceil(images.max(1)).min(work / UNIT_WORK);
    parts.min(most).max(1)
}

/// Rows, at most `height`, that are taken at a time, so that tiles stay near; `len` says how many numbers these have.
fn rows_at_once(height: usize, len: impl Fn(usize) -> usize) -> usize {
    let mut rows = height.max(1);
    while rows > 1 && len(rows) > TILE {
        rows = rows.div_ceil(2);
    }
    rows
}

/// Rows cut into so many at a time.
fn bands(rows: Range<usize>, at_once: usize) -> impl Iterator<Item = Range<usize>> + Clone {
    let end = rows.end;
    rows.step_by(at_once)
        .map(move |first| first..(first + at_once).min(end))
}
