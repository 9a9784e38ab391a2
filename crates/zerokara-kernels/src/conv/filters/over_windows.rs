//! The gradient with respect to the filters where the output went to a max pooling: `dw[kh, kw, c, o] = sum over n and
//! windows of g[n, window, o] * in[n, at(n, window, o) * stride + (kh, kw) * dilation - padding, c]`.
//!
//! Beside it, for nothing, the sums of `g`: the gradient of the bias.
//!
//! A window gives its gradient to one of its positions. So one patch of the input is multiplied for each window and
//! channel (`patches.rs`), where the sum over all positions would multiply mostly zeros (three of four, in windows of 2 x 2).
//! Where those are few, lines (`lines.rs`) may be quicker still.
//!
//! The sum over all positions has terms that are left out here: zero times an element of the input, which is zero unless that
//! element is infinite or NaN. And border and lines make others of what is none. So sums that are not finite, and all of them
//! where an image is not, are computed anew (`conv/plain.rs`).

pub use super::placed::PlacedGradient;

use super::{direct, lines, patches};
use crate::{
    conv::{
        choice::{self, MethodOverWindows},
        plain,
    },
    isa::Isa,
    plan::{ConvGeometry, PoolGeometry},
    share::share,
    simd::{Lanes, multiversion},
};

/// Number of independent units of work: one for each partial gradient.
pub fn units(g: &ConvGeometry) -> usize {
    direct::partials(g)
}

/// Numbers of scratch that [`run_unit`] takes, per thread.
pub fn scratch_len(isa: Isa, g: &ConvGeometry, pool: &PoolGeometry) -> usize {
    let lanes = isa.lanes();
    match choice::over_windows(lanes, g, pool) {
        MethodOverWindows::Patches => patches::scratch_len(lanes, g),
        MethodOverWindows::Lines => lines::scratch_len(lanes, g, pool),
    }
}

multiversion! {
    /// Runs unit `unit` of the partial gradients `[partials, KH, KW, C, O]`, and of the sums `[partials, O]` of the output's
    /// gradient, if these are wanted.
    ///
    /// # Safety
    ///
    /// The CPU must have `isa`; [`sums_over_windows`](crate::conv::sums_over_windows) must hold for convolution and pooling;
    /// `unit` must be below [`units`]; `input` must be valid for reading the images, `placed` for reading gradients and places,
    /// which must be below the number of positions in a window, and `partials` and `totals` for writing; no one else may touch
    /// the same unit's part meanwhile. `scratch` must have [`scratch_len`] numbers.
    pub unsafe fn run_unit(
        geometry: &ConvGeometry,
        placed: PlacedGradient<'_>,
        unit: usize,
        input: *const f32,
        partials: *mut f32,
        totals: Option<*mut f32>,
        scratch: &mut [f32],
    ) = run_unit_body;
}

#[inline(always)]
unsafe fn run_unit_body<S: Lanes>(
    g: &ConvGeometry,
    placed: PlacedGradient<'_>,
    unit: usize,
    input: *const f32,
    partials: *mut f32,
    totals: Option<*mut f32>,
    scratch: &mut [f32],
) {
    let images = share(g.batch, direct::partials(g), unit);
    // SAFETY: passed on.
    let are_finite = unsafe {
        match choice::over_windows(S::LANES, g, placed.pool) {
            MethodOverWindows::Patches => {
                patches::run_unit::<S>(g, placed, unit, input, partials, totals, scratch)
            }
            MethodOverWindows::Lines => {
                lines::run_unit::<S>(g, &placed, unit, input, partials, totals, scratch);
                lines::rest_is_finite(g, placed.pool, images.clone(), input)
            }
        }
    };
    let entries = g.kernel[0] * g.kernel[1] * g.in_channels;
    for o in 0..g.out_channels {
        // SAFETY: as the caller vouches.
        unsafe {
            let to = partials.add(unit * entries * g.out_channels + o);
            let is_finite = |entry: usize| (*to.add(entry * g.out_channels)).is_finite();
            if !(are_finite && (0..entries).all(is_finite)) {
                plain::gradient_over_windows(g, &placed, images.clone(), o, input, to);
            }
        }
    }
}
