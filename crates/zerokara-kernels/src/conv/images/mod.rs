//! The forward pass and the gradient with respect to the input, which is the same pass with turned filters: both make images
//! of images and packed filters.

pub mod conv_pool;
pub(super) mod direct;
pub mod finish;
mod packing;
pub(super) mod winograd;

use super::{
    choice::{self, Method},
    depthwise::{self, Cut},
    sides::Sides,
};
use crate::{
    isa::Isa,
    plan::{Arithmetic, ConvGeometry, ConvPass},
    share::share,
    simd::{Lanes, Simd, multiversion},
};
use std::ops::Range;

/// Floats in the filters packed for a pass, whatever it multiplies.
pub fn packed_len(isa: Isa, g: &ConvGeometry, pass: ConvPass) -> usize {
    packed_len_of(isa.lanes(), g, pass)
}

fn packed_len_of(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    match choice::images(lanes, g, pass) {
        Method::Direct => packing::packed_len(lanes, g, pass),
        Method::Winograd => winograd::packed_len(lanes, g, pass),
        Method::Depthwise => depthwise::packed_len(lanes, g),
    }
}

/// Elements that one unit of packing moves, about.
const PACK_UNIT: usize = 16 * 1024;

/// Number of independent units of work in packing filters for a pass.
pub fn pack_units(isa: Isa, g: &ConvGeometry, pass: ConvPass) -> usize {
    packed_len(isa, g, pass)
        .div_ceil(PACK_UNIT)
        .clamp(1, Sides::new(g, pass).pairs(isa.lanes()))
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
    let sides = Sides::new(geometry, pass);
    let all = sides.pairs(lanes);
    let pairs = share(all, pack_units(isa, geometry, pass), unit);
    let vectors = pairs.start * 2..if pairs.end == all {
        sides.target_vectors(lanes)
    } else {
        pairs.end * 2
    };
    // SAFETY: passed on.
    unsafe {
        match choice::arithmetic(isa, geometry, pass, arithmetic) {
            Arithmetic::F32 | Arithmetic::Direct => {
                pack(isa, geometry, pass, vectors, filters, strides, packed)
            }
            Arithmetic::Bf16 => winograd::pack_panels_in_bf16(
                isa, geometry, pass, vectors, filters, strides, packed,
            ),
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
        match choice::images(S::LANES, g, pass) {
            Method::Direct => packing::pack_panels::<S>(g, pass, vectors, filters, strides, packed),
            Method::Winograd => {
                winograd::pack_panels::<S, false>(g, pass, vectors, filters, strides, packed)
            }
            Method::Depthwise => depthwise::pack::<S>(g, pass, filters, strides, packed),
        }
    }
}

/// Number of independent units of work in a pass.
pub fn units(isa: Isa, g: &ConvGeometry, pass: ConvPass) -> usize {
    units_of(isa.lanes(), g, pass)
}

pub(super) fn units_of(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    match choice::images(lanes, g, pass) {
        Method::Direct => direct::units(g, pass),
        Method::Winograd => winograd::units(lanes, g, pass),
        Method::Depthwise => depthwise::units(lanes, g, pass, Cut::Rows),
    }
}

/// The elements of the target, counted from its start, that unit `unit` (below [`units`]) writes.
pub fn unit_range(isa: Isa, g: &ConvGeometry, pass: ConvPass, unit: usize) -> Range<usize> {
    unit_range_of(isa.lanes(), g, pass, unit)
}

fn unit_range_of(lanes: usize, g: &ConvGeometry, pass: ConvPass, unit: usize) -> Range<usize> {
    match choice::images(lanes, g, pass) {
        Method::Direct => direct::unit_range(g, pass, unit),
        Method::Winograd => winograd::unit_range(lanes, g, pass, unit),
        Method::Depthwise => depthwise::unit_range(lanes, g, pass, unit),
    }
}

/// Numbers of scratch that [`run_unit`] takes, per thread.
pub fn scratch_len(isa: Isa, g: &ConvGeometry, pass: ConvPass) -> usize {
    scratch_len_of(isa.lanes(), g, pass)
}

fn scratch_len_of(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    match choice::images(lanes, g, pass) {
        Method::Direct => direct::scratch_len(g, pass),
        Method::Winograd => winograd::scratch_len(lanes, g, pass),
        Method::Depthwise => depthwise::scratch_len(lanes, g, pass, Cut::Rows),
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
        match choice::arithmetic(isa, geometry, pass, arithmetic) {
            Arithmetic::F32 | Arithmetic::Direct => {
                run_unit_in_f32(isa, geometry, pass, unit, source, packed, target, scratch)
            }
            Arithmetic::Bf16 => winograd::run_unit_in_bf16(
                isa, geometry, pass, unit, source, packed, target, scratch,
            ),
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
unsafe fn run_unit_body<S: Lanes>(
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
        match choice::images(S::LANES, g, pass) {
            Method::Direct => {
                direct::run_unit_body::<S>(g, pass, unit, source, packed, target, scratch)
            }
            Method::Winograd => {
                winograd::run_unit_body::<S, false>(g, pass, unit, source, packed, target, scratch)
            }
            Method::Depthwise => {
                depthwise::run_unit_body::<S>(g, pass, unit, source, packed, target, scratch)
            }
        }
    }
}
