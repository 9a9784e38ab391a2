//! Convolution of channels-last images: `out[n, y, x, o] = sum over kh, kw, c of
//! in[n, y * stride + kh * dilation - padding, .., c] * filters[o, c, kh, kw]`, and its two gradients.
//!
//! Each pass runs the micro-kernel of the matrix product on the images where they lie; no patch is ever written out.
//! Only where a pass reads beyond an image, the part of the image that a unit of work needs is copied, with zeros
//! around it, to scratch.
//!
//! What lies beyond an image has no terms in the sums. A way that multiplies more than the terms there are (zeros of the border,
//! neighbours that a transform mixes in) must notice where this would show, which is where a number is not finite, and have
//! `plain.rs` compute it: see there.

mod bf16;
mod dense;
mod image;
pub mod lines;
mod pack;
mod phase;
mod plain;
mod weights;
pub mod windows;
mod winograd;

use crate::{
    arithmetic::Arithmetic,
    isa::{Isa, multiversion},
    plan::{ConvGeometry, ConvPass},
    share::share,
    simd::Simd,
};
use std::ops::Range;

/// How a pass is computed: a function of geometry, pass and instruction set alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    /// Sums over taps and channels: `dense.rs` and `weights.rs`.
    Direct,
    /// Fewer multiplications for filters of 3 x 3: `winograd/`.
    Winograd,
}

fn algorithm(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> Algorithm {
    if winograd::pays(lanes, g, pass) {
        Algorithm::Winograd
    } else {
        Algorithm::Direct
    }
}

/// What a pass multiplies if `wanted` is asked for: bf16 only if it is computed by fewer multiplications and reads an
/// even number of channels.
pub fn arithmetic(isa: Isa, g: &ConvGeometry, pass: ConvPass, wanted: Arithmetic) -> Arithmetic {
    arithmetic_of(isa.lanes(), g, pass, wanted)
}

fn arithmetic_of(lanes: usize, g: &ConvGeometry, pass: ConvPass, wanted: Arithmetic) -> Arithmetic {
    let even = dense::Sides::new(g, pass)
        .source_channels
        .0
        .is_multiple_of(2);
    match algorithm(lanes, g, pass) {
        Algorithm::Winograd if even && wanted == Arithmetic::Bf16 => wanted,
        _ => Arithmetic::F32,
    }
}

/// What the gradient with respect to the filters multiplies if `wanted` is asked for: bf16 only if it is computed by fewer
/// multiplications.
pub fn weight_gradient_arithmetic(isa: Isa, g: &ConvGeometry, wanted: Arithmetic) -> Arithmetic {
    weight_gradient_arithmetic_of(isa.lanes(), g, wanted)
}

fn weight_gradient_arithmetic_of(lanes: usize, g: &ConvGeometry, wanted: Arithmetic) -> Arithmetic {
    match weight_gradient_algorithm(lanes, g) {
        Algorithm::Winograd if wanted == Arithmetic::Bf16 => wanted,
        _ => Arithmetic::F32,
    }
}

/// Floats in the filters packed for a pass, whatever it multiplies.
pub fn packed_len(isa: Isa, g: &ConvGeometry, pass: ConvPass) -> usize {
    packed_len_of(isa.lanes(), g, pass)
}

fn packed_len_of(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    match algorithm(lanes, g, pass) {
        Algorithm::Direct => pack::packed_len(lanes, g, pass),
        Algorithm::Winograd => winograd::packed_len(lanes, g, pass),
    }
}

/// Elements that one unit of packing moves, about.
const PACK_UNIT: usize = 16 * 1024;

/// Pairs of vectors of target channels, at which panels begin; the last pair takes an odd vector along.
fn pairs(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    (target_vectors(lanes, g, pass) / 2).max(1)
}

/// Vectors of target channels of one group.
fn target_vectors(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    dense::Sides::new(g, pass).target_channels.1.div_ceil(lanes)
}

/// Number of independent units of work in packing filters for a pass.
pub fn pack_units(isa: Isa, g: &ConvGeometry, pass: ConvPass) -> usize {
    packed_len(isa, g, pass)
        .div_ceil(PACK_UNIT)
        .clamp(1, pairs(isa.lanes(), g, pass))
}

/// Packs unit `unit` of the filters `[O, C / groups, KH, KW]` with the given strides.
///
/// # Safety
///
/// The CPU must have `isa` and `arithmetic` ([`Arithmetic::check`]); `unit` must be below [`pack_units`]; `geometry` must
/// be consistent; `filters` must be valid for reading, and `packed` for writing [`packed_len`] floats, of which no one
/// else may touch this unit's.
#[allow(clippy::too_many_arguments)]
pub unsafe fn pack_unit(
    isa: Isa,
    arithmetic: Arithmetic,
    geometry: &ConvGeometry,
    pass: ConvPass,
    unit: usize,
    filters: *const f32,
    strides: [isize; 4],
    packed: *mut f32,
) {
    let lanes = isa.lanes();
    let all = pairs(lanes, geometry, pass);
    let pairs = share(all, pack_units(isa, geometry, pass), unit);
    let vectors = pairs.start * 2..if pairs.end == all {
        target_vectors(lanes, geometry, pass)
    } else {
        pairs.end * 2
    };
    // SAFETY: passed on.
    unsafe {
        match self::arithmetic(isa, geometry, pass, arithmetic) {
            Arithmetic::F32 | Arithmetic::Direct => {
                pack(isa, geometry, pass, vectors, filters, strides, packed)
            }
            Arithmetic::Bf16 => bf16::pack(isa, geometry, pass, vectors, filters, strides, packed),
        }
    }
}

multiversion! {
    /// Packs the target channels of `vectors`, which begins and ends at panels, of every group.
    unsafe fn pack(
        geometry: &ConvGeometry,
        pass: ConvPass,
        vectors: Range<usize>,
        filters: *const f32,
        strides: [isize; 4],
        packed: *mut f32,
    ) = pack_body;
}

#[inline(always)]
unsafe fn pack_body<S: Simd>(
    g: &ConvGeometry,
    pass: ConvPass,
    vectors: Range<usize>,
    filters: *const f32,
    strides: [isize; 4],
    packed: *mut f32,
) {
    // SAFETY: passed on.
    unsafe {
        match algorithm(S::LANES, g, pass) {
            Algorithm::Direct => pack::pack_panels::<S>(g, pass, vectors, filters, strides, packed),
            Algorithm::Winograd => {
                winograd::pack_panels::<S, false>(g, pass, vectors, filters, strides, packed)
            }
        }
    }
}

/// Number of independent units of work in a pass.
pub fn units(isa: Isa, g: &ConvGeometry, pass: ConvPass) -> usize {
    units_of(isa.lanes(), g, pass)
}

fn units_of(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    match algorithm(lanes, g, pass) {
        Algorithm::Direct => dense::units(g, pass),
        Algorithm::Winograd => winograd::units(lanes, g, pass),
    }
}

/// The elements of the target, counted from its start, that unit `unit` (below [`units`]) writes.
pub fn unit_range(isa: Isa, g: &ConvGeometry, pass: ConvPass, unit: usize) -> Range<usize> {
    unit_range_of(isa.lanes(), g, pass, unit)
}

fn unit_range_of(lanes: usize, g: &ConvGeometry, pass: ConvPass, unit: usize) -> Range<usize> {
    match algorithm(lanes, g, pass) {
        Algorithm::Direct => dense::unit_range(g, pass, unit),
        Algorithm::Winograd => winograd::unit_range(lanes, g, pass, unit),
    }
}

/// Numbers of scratch that [`run_unit`] takes, per thread.
pub fn scratch_len(isa: Isa, g: &ConvGeometry, pass: ConvPass) -> usize {
    scratch_len_of(isa.lanes(), g, pass)
}

fn scratch_len_of(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    match algorithm(lanes, g, pass) {
        Algorithm::Direct => dense::scratch_len(g, pass),
        Algorithm::Winograd => winograd::scratch_len(lanes, g, pass),
    }
}

/// Runs unit `unit` of a pass over `source` with filters packed for it.
///
/// # Safety
///
/// The CPU must have `isa` and `arithmetic` ([`Arithmetic::check`]); `unit` must be below [`units`]; `geometry` must be
/// consistent (see [`ConvGeometry::is_consistent`]); `source` must be valid for reading the images, `packed` for reading
/// the filters packed for this `isa`, `arithmetic` and pass, `target` for writing; no one else may touch the unit's
/// [`unit_range`] meanwhile. `scratch` must have [`scratch_len`] numbers.
#[allow(clippy::too_many_arguments)]
pub unsafe fn run_unit(
    isa: Isa,
    arithmetic: Arithmetic,
    geometry: &ConvGeometry,
    pass: ConvPass,
    unit: usize,
    source: *const f32,
    packed: *const f32,
    target: *mut f32,
    scratch: &mut [f32],
) {
    // SAFETY: passed on.
    unsafe {
        match self::arithmetic(isa, geometry, pass, arithmetic) {
            Arithmetic::F32 | Arithmetic::Direct => {
                run_unit_in_f32(isa, geometry, pass, unit, source, packed, target, scratch)
            }
            Arithmetic::Bf16 => {
                bf16::run_unit(isa, geometry, pass, unit, source, packed, target, scratch)
            }
        }
    }
}

multiversion! {
    unsafe fn run_unit_in_f32(
        geometry: &ConvGeometry,
        pass: ConvPass,
        unit: usize,
        source: *const f32,
        packed: *const f32,
        target: *mut f32,
        scratch: &mut [f32],
    ) = run_unit_body;
}

#[inline(always)]
unsafe fn run_unit_body<S: Simd>(
    g: &ConvGeometry,
    pass: ConvPass,
    unit: usize,
    source: *const f32,
    packed: *const f32,
    target: *mut f32,
    scratch: &mut [f32],
) {
    // SAFETY: passed on.
    unsafe {
        match algorithm(S::LANES, g, pass) {
            Algorithm::Direct => {
                dense::run_unit_body::<S>(g, pass, unit, source, packed, target, scratch)
            }
            Algorithm::Winograd => {
                winograd::run_unit_body::<S, false>(g, pass, unit, source, packed, target, scratch)
            }
        }
    }
}

/// Number of partial gradients with respect to the filters, each over a fixed share of the batch.
pub fn partials(g: &ConvGeometry) -> usize {
    weights::partials(g)
}

fn weight_gradient_algorithm(lanes: usize, g: &ConvGeometry) -> Algorithm {
    if winograd::filters::pays(lanes, g) {
        Algorithm::Winograd
    } else {
        Algorithm::Direct
    }
}

/// Number of independent units of work in the gradient with respect to the filters.
pub fn weight_gradient_units(isa: Isa, g: &ConvGeometry) -> usize {
    weight_gradient_units_of(isa.lanes(), g)
}

fn weight_gradient_units_of(lanes: usize, g: &ConvGeometry) -> usize {
    match weight_gradient_algorithm(lanes, g) {
        Algorithm::Direct => weights::units(g),
        Algorithm::Winograd => winograd::filters::units(lanes, g),
    }
}

/// Numbers of scratch that [`run_weight_gradient_unit`] takes, per thread.
pub fn weight_gradient_scratch_len(isa: Isa, g: &ConvGeometry) -> usize {
    weight_gradient_scratch_len_of(isa.lanes(), g)
}

fn weight_gradient_scratch_len_of(lanes: usize, g: &ConvGeometry) -> usize {
    match weight_gradient_algorithm(lanes, g) {
        Algorithm::Direct => weights::scratch_len(g),
        Algorithm::Winograd => winograd::filters::scratch_len(lanes, g),
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
        match weight_gradient_arithmetic(isa, geometry, arithmetic) {
            Arithmetic::F32 | Arithmetic::Direct => weight_gradient_in_f32(
                isa,
                geometry,
                unit,
                input,
                output_gradient,
                partials,
                scratch,
            ),
            Arithmetic::Bf16 => bf16::weight_gradient(
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
        match weight_gradient_algorithm(S::LANES, g) {
            Algorithm::Direct => {
                weights::run_unit_body::<S>(g, unit, input, output_gradient, gradient, scratch)
            }
            Algorithm::Winograd => winograd::filters::run_unit_body::<S, false>(
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

#[cfg(test)]
mod tests;
