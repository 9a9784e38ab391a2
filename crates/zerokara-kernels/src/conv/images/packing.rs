//! Packing filters for a pass: for each phase and group, panels of `[taps][source channels][vectors of the panel]` in
//! the order in which the pass reads the source. A number for each vector of target channels comes last: zero, or NaN where
//! a filter element is not finite.

use crate::{
    conv::{phase::Phase, sides::Sides},
    gemm::{pack::pack_panel, tile::panel_width},
    plan::{ConvGeometry, ConvPass},
    simd::Simd,
};
use std::ops::Range;

/// Floats in the filters packed for a pass.
pub(super) fn packed_len(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    elements_len(lanes, g, pass) + Sides::new(g, pass).target_channels.1.div_ceil(lanes)
}

/// Floats in the panels. Every tap belongs to exactly one phase.
fn elements_len(lanes: usize, g: &ConvGeometry, pass: ConvPass) -> usize {
    let sides = Sides::new(g, pass);
    let channels = sides.target_channels.1.next_multiple_of(lanes);
    g.groups * g.kernel[0] * g.kernel[1] * sides.source_channels.1 * channels
}

/// Numbers in the packed filters of one phase.
#[inline(always)]
pub(super) fn phase_len<S: Simd>(
    groups: usize,
    sides: &Sides,
    down: &Phase,
    across: &Phase,
) -> usize {
    let channels = sides.target_channels.1.next_multiple_of(S::LANES);
    groups * down.taps * across.taps * sides.source_channels.1 * channels
}

/// Whether all filter elements are finite.
///
/// # Safety
///
/// `packed` must be valid for reading what was packed for the pass.
#[inline(always)]
pub(super) unsafe fn are_finite(
    lanes: usize,
    g: &ConvGeometry,
    pass: ConvPass,
    packed: *const f32,
) -> bool {
    let vectors = Sides::new(g, pass).target_channels.1.div_ceil(lanes);
    let first = packed.wrapping_add(elements_len(lanes, g, pass));
    // SAFETY: the caller vouches for the packed filters.
    (0..vectors).all(|v| unsafe { *first.add(v) == 0.0 })
}

/// Packs the target channels of `vectors`, which begins and ends at panels, of every group.
#[inline(always)]
pub(super) unsafe fn pack_panels<S: Simd>(
    g: &ConvGeometry,
    pass: ConvPass,
    vectors: Range<usize>,
    filters: *const f32,
    [by_out, by_in, by_row, by_column]: [isize; 4],
    mut packed: *mut f32,
) {
    let sides = Sides::new(g, pass);
    let (by_source, by_target) = match pass {
        ConvPass::Forward => (by_in, by_out),
        ConvPass::InputGradient => (by_out, by_in),
    };
    let (source, target) = (sides.source_channels.1, sides.target_channels.1);
    let total = target.div_ceil(S::LANES);
    let noted = packed.wrapping_add(elements_len(S::LANES, g, pass));
    // SAFETY: a number for each vector lies behind the panels.
    vectors.clone().for_each(|v| unsafe { *noted.add(v) = 0.0 });
    for residue in 0..Phase::number(g, pass, 0) {
        let down = Phase::new(g, pass, 0, residue);
        for residue in 0..Phase::number(g, pass, 1) {
            let across = Phase::new(g, pass, 1, residue);
            let depth = down.taps * across.taps * source;
            for group in 0..g.groups {
                let mut v = vectors.start;
                while v < vectors.end {
                    let width = panel_width(S::REGISTERS, v, total);
                    let pitch = width * S::LANES;
                    let columns = (target - v * S::LANES).min(pitch);
                    for tap in 0..down.taps * across.taps {
                        let (i, j) = ((tap / across.taps) as isize, (tap % across.taps) as isize);
                        let row = down.filter.0 + i * down.filter.1;
                        let column = across.filter.0 + j * across.filter.1;
                        // SAFETY: filter and channels lie within the filters, the panel within the packed ones.
                        unsafe {
                            let from = filters.offset(
                                (group * (g.out_channels / g.groups)) as isize * by_out
                                    + (v * S::LANES) as isize * by_target
                                    + row * by_row
                                    + column * by_column,
                            );
                            let to = packed
                                .add((group * total + v) * S::LANES * depth)
                                .add(tap * source * pitch);
                            pack_panel::<S>(
                                source,
                                columns,
                                from,
                                [by_source, by_target],
                                to,
                                pitch,
                            );
                        }
                    }
                    // SAFETY: the panel that was just packed, and its first vector's number.
                    unsafe {
                        let panel = packed.add((group * total + v) * S::LANES * depth);
                        let mut all = S::zero();
                        for i in (0..depth * pitch).step_by(S::LANES) {
                            all = S::note(S::load(panel.add(i)), all);
                        }
                        *noted.add(v) += S::sum(all);
                    }
                    v += width;
                }
            }
            // SAFETY: phases follow one another.
            packed = unsafe { packed.add(phase_len::<S>(g.groups, &sides, &down, &across)) };
        }
    }
}
