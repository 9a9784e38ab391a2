//! Packing the right operand into panels, `[panel][k][vectors of the panel]`, padded with zeros to whole vectors.

use super::tile::panel_width;
use crate::{
    isa::Isa,
    simd::{Simd, multiversion},
    transpose::transpose_body,
};
use std::ops::Range;

/// Floats in the packed form of a `[k, n]` matrix.
pub fn packed_len(isa: Isa, k: usize, n: usize) -> usize {
    packed_len_of(isa.lanes(), k, n)
}

/// [`packed_len`] for vectors of so many lanes.
pub(crate) fn packed_len_of(lanes: usize, k: usize, n: usize) -> usize {
    k * n.next_multiple_of(lanes)
}

/// Elements that one unit of packing moves, about; few enough to share out, enough to be worth a unit.
const UNIT: usize = 16 * 1024;

/// Pairs of vectors of columns, at which panels begin; the last pair takes an odd vector along, as panels do.
fn pairs(lanes: usize, n: usize) -> usize {
    (n.div_ceil(lanes) / 2).max(1)
}

/// Pairs in one unit of packing.
fn unit_pairs(lanes: usize, k: usize) -> usize {
    (UNIT / (k * lanes).max(1)).div_ceil(2).max(1)
}

/// Number of independent units of work in packing a `[k, n]` matrix.
pub fn pack_units(isa: Isa, k: usize, n: usize) -> usize {
    if n == 0 {
        return 0;
    }
    pairs(isa.lanes(), n).div_ceil(unit_pairs(isa.lanes(), k))
}

/// Packs unit `unit` of the matrix `b[i, j]` = `b + i * strides[0] + j * strides[1]`.
///
/// # Safety
///
/// The CPU must have `isa`; `unit` must be below [`pack_units`]; `b` must be valid for reading `[k, n]` elements,
/// and `packed` for writing [`packed_len`] floats, of which no one else may touch this unit's.
pub unsafe fn pack_unit(
    isa: Isa,
    unit: usize,
    k: usize,
    n: usize,
    b: *const f32,
    strides: [isize; 2],
    packed: *mut f32,
) {
    let (all, each) = (pairs(isa.lanes(), n), unit_pairs(isa.lanes(), k));
    let vectors = unit * each * 2..if (unit + 1) * each >= all {
        n.div_ceil(isa.lanes())
    } else {
        (unit + 1) * each * 2
    };
    // SAFETY: passed on.
    unsafe { pack(isa, vectors, k, n, b, strides, packed) }
}

multiversion! {
    /// Packs the columns of `vectors`, which begins and ends at panels.
    unsafe fn pack(vectors: Range<usize>, k: usize, n: usize, b: *const f32, strides: [isize; 2], packed: *mut f32)
        = pack_body;
}

#[inline(always)]
pub(crate) unsafe fn pack_body<S: Simd>(
    vectors: Range<usize>,
    k: usize,
    n: usize,
    b: *const f32,
    strides: [isize; 2],
    packed: *mut f32,
) {
    let total = n.div_ceil(S::LANES);
    let mut v = vectors.start;
    while v < vectors.end {
        let width = panel_width(S::REGISTERS, v, total);
        let columns = (n - v * S::LANES).min(width * S::LANES);
        // SAFETY: the panel lies within the matrix, and starts after the panels of `v` vectors.
        unsafe {
            let from = b.offset((v * S::LANES) as isize * strides[1]);
            let to = packed.add(v * S::LANES * k);
            pack_panel::<S>(k, columns, from, strides, to, width * S::LANES);
        }
        v += width;
    }
}

/// `to[i * pitch + j] = from[i, j]`, and zeros in columns from `columns` to `pitch`, a multiple of the lanes.
#[inline(always)]
pub(crate) unsafe fn pack_panel<S: Simd>(
    k: usize,
    columns: usize,
    from: *const f32,
    strides: [isize; 2],
    to: *mut f32,
    pitch: usize,
) {
    // SAFETY: the caller vouches for the matrix and for k * pitch floats at `to`.
    unsafe {
        match strides {
            [down, 1] => {
                let vectors = pitch / S::LANES;
                let last = columns - (vectors - 1) * S::LANES;
                match (vectors, last == S::LANES) {
                    (1, true) => copy::<S, 1, true>(k, from, down, to, last),
                    (2, true) => copy::<S, 2, true>(k, from, down, to, last),
                    (_, true) => copy::<S, 3, true>(k, from, down, to, last),
                    (1, false) => copy::<S, 1, false>(k, from, down, to, last),
                    (2, false) => copy::<S, 2, false>(k, from, down, to, last),
                    (_, false) => copy::<S, 3, false>(k, from, down, to, last),
                }
            }
            [1, across] => {
                if columns < pitch {
                    for i in 0..k {
                        S::store(to.add((i + 1) * pitch - S::LANES), S::zero());
                    }
                }
                transpose_body::<S>(columns, k, from, across, to, pitch as isize);
            }
            [down, across] => {
                for i in 0..k {
                    let from = from.offset(i as isize * down);
                    let to = to.add(i * pitch);
                    for j in 0..columns {
                        *to.add(j) = *from.offset(j as isize * across);
                    }
                    for j in columns..pitch {
                        *to.add(j) = 0.0;
                    }
                }
            }
        }
    }
}

/// Rows of `NV` vectors, the last of `last` lanes, copied densely.
#[inline(always)]
unsafe fn copy<S: Simd, const NV: usize, const WHOLE: bool>(
    k: usize,
    mut from: *const f32,
    down: isize,
    mut to: *mut f32,
    last: usize,
) {
    // SAFETY: the caller vouches for both.
    unsafe {
        for _ in 0..k {
            for v in 0..NV {
                let x = if WHOLE || v + 1 < NV {
                    S::load(from.add(v * S::LANES))
                } else {
                    S::load_partial(from.add(v * S::LANES), last)
                };
                S::store(to.add(v * S::LANES), x);
            }
            from = from.wrapping_offset(down);
            to = to.add(NV * S::LANES);
        }
    }
}
