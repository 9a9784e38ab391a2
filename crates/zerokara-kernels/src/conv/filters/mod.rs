//! The gradient with respect to the filters: sums over images and positions, in partial gradients that are added up elsewhere.

pub(super) mod direct;
pub(super) mod lines;
pub mod over_windows;
pub(super) mod patches;
pub(super) mod placed;
pub(super) mod winograd;

pub use direct::partials;

use super::{
    choice::{self, Method},
    depthwise,
};
use crate::{
    isa::Isa,
    plan::{Arithmetic, ConvGeometry},
    simd::{Simd, multiversion},
};

/// Number of independent units of work in the gradient with respect to the filters.
pub fn weight_gradient_units(isa: Isa, g: &ConvGeometry) -> usize {
    weight_gradient_units_of(isa.lanes(), g)
}

fn weight_gradient_units_of(lanes: usize, g: &ConvGeometry) -> usize {
    match choice::filters(lanes, g) {
        Method::Direct => direct::units(lanes, g),
        Method::Winograd => winograd::units(lanes, g),
        Method::Depthwise => depthwise::filters_units(lanes, g),
    }
}

/// Numbers of scratch that [`run_weight_gradient_unit`] takes, per thread.
pub fn weight_gradient_scratch_len(isa: Isa, g: &ConvGeometry) -> usize {
    weight_gradient_scratch_len_of(isa.lanes(), g)
}

fn weight_gradient_scratch_len_of(lanes: usize, g: &ConvGeometry) -> usize {
    match choice::filters(lanes, g) {
        Method::Direct => direct::scratch_len(g),
        Method::Winograd => winograd::scratch_len(lanes, g),
        Method::Depthwise => depthwise::filters_scratch_len(lanes, g),
    }
}

/// Runs unit `unit` of the partial gradients `[partials, KH, KW, C / groups, O]`.
///
/// # Safety
///
/// The CPU must have `isa` and `arithmetic` ([`Arithmetic::check`]); `unit` must be below [`weight_gradient_units`];
/// `geometry` must be consistent (see [`ConvGeometry::is_consistent`]); `input` and `output_gradient` must be valid for
/// reading the images, and `partials` for writing; no one else may touch the same unit's part meanwhile. `scratch` must
/// have [`weight_gradient_scratch_len`] numbers.
#[allow(clippy::too_many_arguments)]
pub unsafe fn run_weight_gradient_unit(
    isa: Isa,
    arithmetic: Arithmetic,
    geometry: &ConvGeometry,
    unit: usize,
    input: *const f32,
    output_gradient: *const f32,
    partials: *mut f32,
    scratch: &mut [f32],
) {
    // SAFETY: passed on.
    unsafe {
        match choice::weight_gradient_arithmetic(isa, geometry, arithmetic) {
            Arithmetic::F32 | Arithmetic::Direct => weight_gradient_in_f32(
                isa,
                geometry,
                unit,
                input,
                output_gradient,
                partials,
                scratch,
            ),
            Arithmetic::Bf16 => winograd::run_unit_in_bf16(
                isa,
                geometry,
                unit,
                input,
                output_gradient,
                partials,
                scratch,
            ),
        }
    }
}

multiversion! {
    unsafe fn weight_gradient_in_f32(
        geometry: &ConvGeometry,
        unit: usize,
        input: *const f32,
        output_gradient: *const f32,
        partials: *mut f32,
        scratch: &mut [f32],
    ) = run_weight_gradient_unit_body;
}

#[inline(always)]
unsafe fn run_weight_gradient_unit_body<S: Simd>(
    g: &ConvGeometry,
    unit: usize,
    input: *const f32,
    output_gradient: *const f32,
    gradient: *mut f32,
    scratch: &mut [f32],
) {
    // SAFETY: passed on.
    unsafe {
        match choice::filters(S::LANES, g) {
            Method::Direct => {
                direct::run_unit_body::<S>(g, unit, input, output_gradient, gradient, scratch)
            }
            Method::Depthwise => depthwise::run_filters_unit_body::<S>(
                g,
                unit,
                input,
                output_gradient,
                gradient,
                scratch,
            ),
            Method::Winograd => winograd::run_unit_body::<S, false>(
                g,
                unit,
                input,
                output_gradient,
                gradient,
                scratch,
            ),
        }
    }
}
