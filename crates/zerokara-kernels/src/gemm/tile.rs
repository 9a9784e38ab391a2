//! The micro-kernel that matrix products and convolutions share: a block of rows times a panel of columns, its sums
//! held in registers over the whole run.

use crate::{
    simd::{Outlined, Simd, Terms, TileOperands},
    unroll::each,
};

/// Most vectors in a panel.
pub(crate) use crate::simd::MAX_WIDTH;
/// Most rows in a tile, over all widths and instruction sets.
pub(crate) const MAX_ROWS: usize = 8;

/// Vectors in the panel that starts at vector `start` of `total`: panels are two wide (one on small register files),
/// and the last takes an odd rest along, so that only a matrix of one vector has a panel of one.
#[inline(always)]
pub(crate) fn panel_width(registers: usize, start: usize, total: usize) -> usize {
    match total - start {
        _ if registers < 16 => 1,
        3 => 3,
        1 => 1,
        _ => 2,
    }
}

/// Rows of a full tile whose panel is `width` vectors wide: the sums, the panel's vectors and one broadcast fill the
/// registers, and there are at least eight independent sums to hide the latency of two FMA units.
#[inline(always)]
pub(crate) const fn full_rows(registers: usize, width: usize) -> usize {
    match (registers, width) {
        (..16, _) => 4,
        (16..32, 2) => 6,
        (16..32, 3) => 4,
        _ => 8,
    }
}

/// A panel of the right operand: row k is at `start + k * step`, `width` vectors.
#[derive(Clone, Copy)]
pub(crate) struct Panel {
    pub start: *const f32,
    pub step: isize,
    /// Vectors.
    pub width: usize,
    /// Lanes of the last vector that are written; all are read.
    pub last: usize,
}

/// Where the left operand's numbers for one tile are: number k of row r of run j is at
/// `rows[r] + runs[j].0 + k * step`, for k below `runs[j].1`; runs follow one another in the panel.
#[derive(Clone, Copy)]
pub(crate) struct Left<'a> {
    pub rows: &'a [*const f32; MAX_ROWS],
    pub step: isize,
    pub runs: &'a [(isize, usize)],
    /// Number k is at `rows[r] + offsets[k]`, as further runs of one number each: quicker than runs of a few numbers,
    /// whose ends are hard to predict.
    pub offsets: &'a [isize],
}

/// Where the sums go.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// The start of each row.
    pub rows: &'a [*mut f32; MAX_ROWS],
    /// Add to what is there, instead of replacing it.
    pub add: bool,
}

/// `target[r, v] (+)= sum over k of left[r, k] * panel[k, v]` for the first `rows` rows.
///
/// # Safety
///
/// The CPU must have `S`; `rows` must be at most [`full_rows`]; all pointers must be valid for the shape described.
#[inline(always)]
pub(crate) unsafe fn run<S: Simd>(rows: usize, left: Left<'_>, panel: Panel, target: Target<'_>) {
    macro_rules! widths {
        ($($rows:literal)*) => {
            match (rows, panel.width) {
                $(
                    ($rows, 1) if const { $rows <= full_rows(S::REGISTERS, 1) } => {
                        // SAFETY: passed on.
                        unsafe { S::call(&Tile::<$rows, 1> { left, panel, target }) }
                    }
                    ($rows, 2) if const { S::REGISTERS >= 16 && $rows <= full_rows(S::REGISTERS, 2) } => {
                        // SAFETY: passed on.
                        unsafe { S::call(&Tile::<$rows, 2> { left, panel, target }) }
                    }
                    ($rows, 3) if const { S::REGISTERS >= 16 && $rows <= full_rows(S::REGISTERS, 3) } => {
                        // SAFETY: passed on.
                        unsafe { S::call(&Tile::<$rows, 3> { left, panel, target }) }
                    }
                )*
                _ => debug_assert!(false, "no tile of {rows} rows and {} vectors", panel.width),
            }
        };
    }
    widths!(1 2 3 4 5 6 7 8);
}

/// The arguments of [`run`], for a tile of `MR` rows and `NV` vectors.
struct Tile<'a, const MR: usize, const NV: usize> {
    left: Left<'a>,
    panel: Panel,
    target: Target<'a>,
}

impl<const MR: usize, const NV: usize> Outlined for Tile<'_, MR, NV> {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        // SAFETY: passed on.
        unsafe { tile::<S, MR, NV>(self.left, self.panel, self.target) }
    }
}

#[inline(always)]
unsafe fn tile<S: Simd, const MR: usize, const NV: usize>(
    left: Left<'_>,
    panel: Panel,
    target: Target<'_>,
) {
    // SAFETY: the caller vouches for the CPU and for all pointers.
    unsafe {
        let mut sums = [[S::zero(); NV]; MR];
        let mut rows = [left.rows[0]; MR];
        rows.copy_from_slice(&left.rows[..MR]);
        let mut tile = TileOperands {
            rows,
            terms: Terms::Listed(left.offsets),
            panel: panel.start,
            panel_step: panel.step,
        };
        for &(offset, depth) in left.runs {
            let terms = Terms::Spaced {
                step: left.step,
                depth,
            };
            let rows = rows.map(|row| row.wrapping_offset(offset));
            S::fma_tile(
                &TileOperands {
                    rows,
                    terms,
                    ..tile
                },
                &mut sums,
            );
            tile.panel = tile.panel.wrapping_offset(depth as isize * panel.step);
        }
        S::fma_tile(&tile, &mut sums);
        each!(r < MR {
            each!(v < NV {
                let to = target.rows[r].add(v * S::LANES);
                if v + 1 == NV && panel.last < S::LANES {
                    if target.add {
                        sums[r][v] = S::add(sums[r][v], S::load_partial(to, panel.last));
                    }
                    S::store_partial(to, sums[r][v], panel.last);
                } else {
                    if target.add {
                        sums[r][v] = S::add(sums[r][v], S::load(to));
                    }
                    S::store(to, sums[r][v]);
                }
            });
        });
    }
}
