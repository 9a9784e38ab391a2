//! Many rows times one panel: the micro-kernel of `tile`, going down evenly spaced rows in one call, line by line.

use super::tile::{Panel, full_rows};
use crate::{
    share::share,
    simd::{Outlined, Simd, Terms, TileOperands, bf16::Pairs},
    storage::LINE,
    unroll::each,
};

/// Strips that follow one another: how many, and the distances from one to the next.
#[derive(Clone, Copy)]
pub(crate) struct Lines {
    pub count: usize,
    pub left: isize,
    pub panel: isize,
    pub to: isize,
}

impl Lines {
    pub const ONE: Lines = Lines {
        count: 1,
        left: 0,
        panel: 0,
        to: 0,
    };
}

/// Numbers that are wanted soon: a few rows of them are fetched into the caches before each block of rows.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    pub start: *const f32,
    /// Distance from row to row.
    pub step: isize,
    pub rows: usize,
    /// Numbers in a row.
    pub columns: usize,
}

impl Ahead {
    pub const NOTHING: Ahead = Ahead {
        start: std::ptr::null(),
        step: 0,
        rows: 0,
        columns: 0,
    };

    /// Fetches part `part` of `parts`.
    #[inline(always)]
    fn fetch<S: Simd>(&self, part: usize, parts: usize) {
        // Most strips have nothing ahead, and no division to spare.
        if self.rows == 0 {
            return;
        }
        for row in share(self.rows, parts, part) {
            let row = self.start.wrapping_offset(row as isize * self.step);
            for column in (0..self.columns).step_by(LINE) {
                S::prefetch(row.wrapping_add(column));
            }
        }
    }
}

/// `to[l, r, v] (+)= sum over k of left[l, r, k] * panel[l, k, v]` for all `rows` rows of all lines.
#[derive(Clone, Copy)]
pub(crate) struct Strip<'a> {
    /// Number of rows in a line.
    pub rows: usize,
    pub lines: Lines,
    /// Length of the sums.
    pub depth: usize,
    /// The left operand's element `[r, k]` is at `left + r * left_strides[0] + k * left_strides[1]`.
    pub left: *const f32,
    pub left_strides: [isize; 2],
    /// If not empty: element `[r, k]` is at `left + r * left_strides[0] + offsets[k]` instead.
    pub offsets: &'a [isize],
    /// The right operand.
    pub panel: Panel,
    /// Row r of the result is at `to + r * to_row`.
    pub to: *mut f32,
    pub to_row: isize,
    /// Add to what is there, instead of replacing it.
    pub add: bool,
    /// What is fetched meanwhile, if there is one line.
    pub ahead: Ahead,
}

impl Strip<'_> {
    /// Computes all of it, if `BF16` from pairs of bf16, which `depth` counts then.
    ///
    /// # Safety
    ///
    /// As [`Strip::run`] asks.
    #[inline(always)]
    pub unsafe fn run_in<S: Simd, const BF16: bool>(&self) {
        // SAFETY: passed on.
        unsafe {
            if BF16 {
                self.run::<Pairs<S>>();
            } else {
                self.run::<S>();
            }
        }
    }

    /// Computes all of it.
    ///
    /// # Safety
    ///
    /// The CPU must have `S`; all pointers must be valid for the shapes described.
    #[inline(always)]
    pub unsafe fn run<S: Simd>(&self) {
        if self.rows == 0 {
            return;
        }
        // SAFETY: passed on.
        unsafe {
            if self.offsets.is_empty() {
                self.run_as::<S, false>();
            } else {
                self.run_as::<S, true>();
            }
        }
    }

    #[inline(always)]
    unsafe fn run_as<S: Simd, const LISTED: bool>(&self) {
        // Blocks of nearly the same number of rows: those of `rows` first, then those with one less.
        let blocks = self
            .rows
            .div_ceil(full_rows(S::REGISTERS, self.panel.width));
        let rows = self.rows.div_ceil(blocks);
        let larger = blocks - (rows * blocks - self.rows);
        macro_rules! widths {
            ($($rows:literal)*) => {
                match (rows, self.panel.width) {
                    $(
                        ($rows, 1) if const { $rows <= full_rows(S::REGISTERS, 1) } => {
                            // SAFETY: passed on.
                            unsafe { S::call(&Blocks::<$rows, { $rows - 1 }, 1, LISTED> { all: self, larger }) }
                        }
                        ($rows, 2) if const { S::REGISTERS >= 16 && $rows <= full_rows(S::REGISTERS, 2) } => {
                            // SAFETY: passed on.
                            unsafe { S::call(&Blocks::<$rows, { $rows - 1 }, 2, LISTED> { all: self, larger }) }
                        }
                        ($rows, 3) if const { S::REGISTERS >= 16 && $rows <= full_rows(S::REGISTERS, 3) } => {
                            // SAFETY: passed on.
                            unsafe { S::call(&Blocks::<$rows, { $rows - 1 }, 3, LISTED> { all: self, larger }) }
                        }
                    )*
                    _ => debug_assert!(false, "no block of {rows} rows and {} vectors", self.panel.width),
                }
            };
        }
        widths!(1 2 3 4 5 6 7 8);
    }
}

/// A strip in blocks of `MR` rows, the first `larger` of a line, and of `LESS`, one fewer.
struct Blocks<'a, const MR: usize, const LESS: usize, const NV: usize, const LISTED: bool> {
    all: &'a Strip<'a>,
    larger: usize,
}

impl<const MR: usize, const LESS: usize, const NV: usize, const LISTED: bool> Outlined
    for Blocks<'_, MR, LESS, NV, LISTED>
{
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        let strip = *self.all;
        let lines = strip.lines;
        for line in 0..lines.count as isize {
            let mut left = strip.left.wrapping_offset(line * lines.left);
            let panel = strip.panel.start.wrapping_offset(line * lines.panel);
            let mut to = strip.to.wrapping_offset(line * lines.to);
            // SAFETY: passed on.
            unsafe {
                for part in 0..self.larger {
                    strip.ahead.fetch::<S>(part, self.larger);
                    block::<S, MR, NV, LISTED>(&strip, left, panel, to);
                    left = left.wrapping_offset(MR as isize * strip.left_strides[0]);
                    to = to.wrapping_offset(MR as isize * strip.to_row);
                }
                if LESS > 0 {
                    let mut rest = strip.rows - self.larger * MR;
                    while rest > 0 {
                        block::<S, LESS, NV, LISTED>(&strip, left, panel, to);
                        left = left.wrapping_offset(LESS as isize * strip.left_strides[0]);
                        to = to.wrapping_offset(LESS as isize * strip.to_row);
                        rest -= LESS;
                    }
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn block<S: Simd, const MR: usize, const NV: usize, const LISTED: bool>(
    strip: &Strip<'_>,
    left: *const f32,
    b: *const f32,
    to: *mut f32,
) {
    // SAFETY: the caller vouches for the CPU and for all pointers.
    unsafe {
        let panel = strip.panel;
        let mut sums = [[S::zero(); NV]; MR];
        let mut rows = [left; MR];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = left.wrapping_offset(r as isize * strip.left_strides[0]);
        }
        let terms = if LISTED {
            Terms::Listed(strip.offsets)
        } else {
            Terms::Spaced {
                step: strip.left_strides[1],
                depth: strip.depth,
            }
        };
        let tile = TileOperands {
            rows,
            terms,
            panel: b,
            panel_step: panel.step,
        };
        S::fma_tile(&tile, &mut sums);
        each!(r < MR {
            let to = to.wrapping_offset(r as isize * strip.to_row);
            each!(v < NV {
                let to = to.add(v * S::LANES);
                if v + 1 == NV && panel.last < S::LANES {
                    if strip.add {
                        sums[r][v] = S::add(sums[r][v], S::load_partial(to, panel.last));
                    }
                    S::store_partial(to, sums[r][v], panel.last);
                } else {
                    if strip.add {
                        sums[r][v] = S::add(sums[r][v], S::load(to));
                    }
                    S::store(to, sums[r][v]);
                }
            });
        });
    }
}
