//! Winograd's minimal filtering for 3 x 3 filters of stride 1 without dilation: F(4 x 4, 3 x 3).
//!
//! An output of 4 x 4 positions and the 6 x 6 inputs under it are seen as values of polynomials at 36 points, where the
//! convolution is one product of channels by filters for each point: 36 multiplications for 16 outputs instead of 144
//! (A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", CVPR 2016).
//!
//! ```text
//! forward, input gradient   Y  = Aᵀ [ Σ over c (G g Gᵀ) ⊙ (Bᵀ d B) ] A
//! filter gradient           dg = Gᵀ [ Σ over tiles (Bᵀ d B) ⊙ (A dY Aᵀ) ] G
//! ```
//!
//! The points are 0, ∞, ±√½ and ±√2, which come in pairs that share their terms, so that a line of six inputs takes 14
//! operations. The largest error of an output against f64, as a share of the sum of its terms' sizes (64 channels of
//! uniform numbers), is 3e-7; direct summation in f32 has 2e-7, and the usual points 0, ∞, ±1, ±2 have 1e-6 at the same
//! cost. An error is of the size of the whole tile's terms: outputs next to much larger ones have the error of these, and what
//! would be zero is not exactly zero, nor sure to be of one sign. Where an infinity or NaN is in what a tile reads, or comes
//! up on its way, the tile is computed anew by direct sums (`conv/plain.rs`).

use crate::plan::{ConvGeometry, ConvPass};
pub(super) mod tiles;
pub(super) mod transform;

use super::phase::Phase;

/// Outputs of a tile along one axis.
pub(super) const TILE: usize = 4;
/// Numbers between the frequencies of some tiles and the next, beside what they take: without them, frequencies would
/// lie a power of two apart and push one another out of the first-level cache.
pub(super) const GAP: usize = 16;

/// Factors that one number of 32 bits holds.
pub(super) const fn factors(bf16: bool) -> usize {
    if bf16 { 2 } else { 1 }
}

/// The source position under the first target position, down and across.
pub(super) fn origin(g: &ConvGeometry, pass: ConvPass) -> [isize; 2] {
    [0, 1].map(|axis| Phase::new(g, pass, axis, 0).origin)
}
