//! Matrix products `c[m, n] = sum over k of a[m, k] * b[k, n]`, singly and in batches.
//!
//! The left operand is read in place at any strides, one broadcast number at a time. The right one is read in vectors
//! along n: in place where its neighbours along n lie side by side, or from panels that [`pack_unit`] made. Where
//! both are dense along k and few rows share the right operand, dot products along k need no packing.
//!
//! A product is cut into units of work by its shape alone, and each unit sums in an order given by the shape alone.

mod dot;
pub(crate) mod pack;
pub(crate) mod strip;
pub(crate) mod tile;

pub use pack::{pack_unit, pack_units, packed_len};

use crate::{
    isa::Isa,
    share::share,
    simd::{MAX_LANES, Simd, multiversion},
    transpose::transpose_body,
};
use std::ops::Range;
use strip::{Ahead, Lines, Strip};
use tile::{MAX_WIDTH, panel_width};

/// Sizes of a batch of matrix products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GemmShape {
    /// Number of products.
    pub batch: usize,
    /// Rows of the left operand and of the result.
    pub m: usize,
    /// Columns of the right operand and of the result.
    pub n: usize,
    /// Columns of the left operand, rows of the right: what is summed over.
    pub k: usize,
}

/// The left operand: element `[b, i, k]` is at `start + b * strides[0] + i * strides[1] + k * strides[2]`.
#[derive(Clone, Copy, Debug)]
pub struct Left {
    /// Element `[0, 0, 0]`.
    pub start: *const f32,
    /// Distances between neighbours along batch, m and k, in elements.
    pub strides: [isize; 3],
}

/// The right operand.
#[derive(Clone, Copy, Debug)]
pub enum Right {
    /// Element `[b, k, j]` is at `start + b * strides[0] + k * strides[1] + j * strides[2]`.
    InPlace {
        /// Element `[0, 0, 0]`.
        start: *const f32,
        /// Distances between neighbours along batch, k and n, in elements.
        strides: [isize; 3],
    },
    /// Panels made by [`pack_unit`].
    Packed {
        /// The first panel of the first matrix.
        start: *const f32,
        /// Distance between matrices, [`packed_len`], or 0 where one serves the whole batch.
        stride: usize,
    },
}

/// The part of the result that a unit of work writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitRange {
    /// Which product of the batch.
    pub batch: usize,
    /// Rows of it.
    pub rows: Range<usize>,
    /// Columns of it; all of them unless the result is much wider than high.
    pub columns: Range<usize>,
}

/// Multiplications in a unit of work below which sharing them out costs more than it saves.
const UNIT_WORK: usize = 128 * 1024;
/// Units into which a product large enough is cut, at least.
const UNITS: usize = 16;
/// Most rows in a unit, so that its part of the left operand stays in the second-level cache.
const UNIT_ROWS: usize = 128;
/// Terms that a tile sums before it adds to the result: a panel of so many rows stays in the first-level cache.
const DEPTH: usize = 256;

/// Terms from which on, and rows for which, units of a wide product share the left operand.
const DEEP: usize = 512;
const DEEP_ROWS: usize = 32;

/// Rows in a unit from which on copying a panel to scratch first costs less than it saves.
const COPY_ROWS: usize = 24;
/// Columns in a unit from which on copying a transposed left operand to scratch costs less than it saves.
const COPY_COLUMNS: usize = 24;
/// Distance between its numbers along k from which on they lie on more pages than the CPU finds at once.
const FAR: usize = 512;
/// Distance between rows of that copy; off the powers of two, which would crowd few sets of the caches.
const LEFT_PITCH: usize = DEPTH + 8;
/// Length of dot products from which on summing up their lanes is cheaper than packing, if few rows share it.
const DOT_DEPTH: usize = 256;
const DOT_ROWS: usize = 64;
/// Bytes of a right operand from which on reading it once more for every block of rows costs more than it saves: it
/// does not stay in the second-level cache.
const LARGE: usize = 512 * 1024;

/// Numbers of scratch that [`run_unit`] takes, per thread.
pub const SCRATCH_LEN: usize = DEPTH * MAX_WIDTH * MAX_LANES + UNIT_ROWS * LEFT_PITCH;

/// How many blocks of rows and of columns the result is cut into.
struct Grid {
    rows: usize,
    columns: usize,
}

impl Grid {
    fn new(lanes: usize, shape: &GemmShape) -> Grid {
        let &GemmShape { batch, m, n, k } = shape;
        let work = m.saturating_mul(n).saturating_mul(k.max(1));
        let wanted = (work / UNIT_WORK).clamp(1, UNITS).div_ceil(batch.max(1));
        let most_rows = m.div_ceil(12).max(1);
        let most_columns = (n / (8 * lanes)).max(1);
        let (rows, columns) = if n > 2 * m {
            let columns = wanted.min(most_columns);
            // Enough to share out: each unit then reads its own columns of the right operand, and no other does. Where the left
            // one is large too, each unit reads a part of it.
            let rows = match columns >= UNITS / 2 {
                true if k >= DEEP => (m / DEEP_ROWS).clamp(1, 4),
                true => 1,
                false => wanted.div_ceil(columns).min(most_rows),
            };
            (rows, columns.div_ceil(rows))
        } else {
            let rows = wanted.min(most_rows);
            (rows, wanted.div_ceil(rows).min(most_columns))
        };
        let least = m.div_ceil(UNIT_ROWS);
        let mut rows = rows.max(least);
        // Blocks of rows that threads can share evenly.
        if rows > 4 && columns == 1 {
            rows = (rows / 4 * 4).max(least);
        }
        Grid { rows, columns }
    }
}

/// Parts into which the sums of a product are best cut, each summed by itself over the whole result, and then added:
/// where a large right operand would be read once for every block of rows. A divisor of `k`; 1 in most cases.
pub fn depth_parts(shape: &GemmShape) -> usize {
    let &GemmShape { batch, m, n, k } = shape;
    let small = m <= UNIT_ROWS && n <= 2 * UNIT_ROWS;
    if batch != 1 || !small || m < DOT_ROWS || k.saturating_mul(n).saturating_mul(4) < LARGE {
        return 1;
    }
    let fits = |&parts: &usize| k.is_multiple_of(parts) && k / parts >= DEPTH;
    (4..=UNITS).rev().find(fits).unwrap_or(1)
}

/// Whether packing the right operand, whose strides along k and n are given, is faster than reading it in place.
pub fn wants_packing(isa: Isa, m: usize, n: usize, k: usize, b_strides: [isize; 2]) -> bool {
    let grid = Grid::new(isa.lanes(), &GemmShape { batch: 1, m, n, k });
    let shared = grid.rows > 1 && m / grid.rows < 64 && m >= 24;
    match b_strides {
        [_, 1] | [1, _] => shared,
        _ => grid.rows > 1,
    }
}

/// Number of independent units of work.
pub fn units(isa: Isa, shape: &GemmShape) -> usize {
    if shape.m == 0 || shape.n == 0 {
        return 0;
    }
    let grid = Grid::new(isa.lanes(), shape);
    shape.batch * grid.rows * grid.columns
}

/// Whether every unit writes whole rows.
pub fn whole_rows(isa: Isa, shape: &GemmShape) -> bool {
    Grid::new(isa.lanes(), shape).columns == 1
}

/// What unit `unit` (below [`units`]) writes.
pub fn unit_range(isa: Isa, shape: &GemmShape, unit: usize) -> UnitRange {
    range(isa.lanes(), shape, unit)
}

fn range(lanes: usize, shape: &GemmShape, unit: usize) -> UnitRange {
    let grid = Grid::new(lanes, shape);
    let (rest, column) = (unit / grid.columns, unit % grid.columns);
    // Columns are cut at pairs of vectors, where panels begin; the last pair takes an odd vector along, as panels do.
    let all = (shape.n.div_ceil(lanes) / 2).max(1);
    let pairs = share(all, grid.columns, column);
    let end = if pairs.end == all {
        shape.n
    } else {
        pairs.end * 2 * lanes
    };
    UnitRange {
        batch: rest / grid.rows,
        rows: share(shape.m, grid.rows, rest % grid.rows),
        columns: pairs.start * 2 * lanes..end,
    }
}

multiversion! {
    /// Runs unit `unit` of the product; `c[b, i, j]` is at `c + b * c_strides[0] + i * c_strides[1] + j`.
    ///
    /// # Safety
    ///
    /// The CPU must have `isa`; `unit` must be below [`units`]; the operands must be valid for reading their shapes
    /// and packed for this `isa`; `c` must be valid for writing, and no one else may touch the unit's
    /// [`unit_range`] meanwhile. `scratch` must have [`SCRATCH_LEN`] numbers.
    pub unsafe fn run_unit(shape: &GemmShape, unit: usize, a: Left, b: Right, c: *mut f32, c_strides: [isize; 2], scratch: &mut [f32])
        = run_unit_body;
}

#[inline(always)]
unsafe fn run_unit_body<S: Simd>(
    shape: &GemmShape,
    unit: usize,
    a: Left,
    b: Right,
    c: *mut f32,
    c_strides: [isize; 2],
    scratch: &mut [f32],
) {
    debug_assert!(scratch.len() >= SCRATCH_LEN);
    let UnitRange {
        batch,
        rows,
        columns,
    } = range(S::LANES, shape, unit);
    let &GemmShape { n, k, .. } = shape;
    // SAFETY: the caller vouches for the operands; all that follows stays in the unit's ranges.
    unsafe {
        let batch = batch as isize;
        let own = |start: *const f32, stride: isize| start.offset(batch * stride);
        let part = Part {
            n,
            k,
            rows,
            columns,
            a: own(a.start, a.strides[0]),
            a_strides: [a.strides[1], a.strides[2]],
            b: match b {
                Right::Packed { start, stride } => Matrix::Packed {
                    start: own(start, stride as isize),
                    depth: k,
                },
                Right::InPlace { start, strides } => Matrix::InPlace {
                    start: own(start, strides[0]),
                    strides: [strides[1], strides[2]],
                },
            },
            c: c.offset(batch * c_strides[0]),
            c_row: c_strides[1],
            add: false,
        };
        part.run::<S>(scratch);
    }
}

/// A right operand.
#[derive(Clone, Copy)]
pub(crate) enum Matrix {
    /// Element `[k, j]` is at `start + k * strides[0] + j * strides[1]`.
    InPlace {
        start: *const f32,
        strides: [isize; 2],
    },
    /// Panels as [`pack_unit`] makes them, of so many rows, of which the first `k` are summed over.
    Packed { start: *const f32, depth: usize },
}

/// Some rows and columns of a product, computed by one thread.
pub(crate) struct Part {
    /// Columns of the right operand, which decide how it is cut into panels.
    pub n: usize,
    /// Terms of the sums.
    pub k: usize,
    pub rows: Range<usize>,
    /// Begin at a panel. The last panel is written whole.
    pub columns: Range<usize>,
    /// Element `[i, k]` of the left operand is at `a + i * a_strides[0] + k * a_strides[1]`.
    pub a: *const f32,
    pub a_strides: [isize; 2],
    pub b: Matrix,
    /// Element `[i, j]` of the result is at `c + i * c_row + j`.
    pub c: *mut f32,
    pub c_row: isize,
    /// Add to what is there, instead of replacing it.
    pub add: bool,
}

impl Part {
    /// Computes it.
    ///
    /// # Safety
    ///
    /// The CPU must have `S`; the operands must be valid for these sizes; `scratch` must have [`SCRATCH_LEN`] numbers.
    #[inline(always)]
    pub(crate) unsafe fn run<S: Simd>(&self, scratch: &mut [f32]) {
        debug_assert!(scratch.len() >= SCRATCH_LEN);
        let (k, rows) = (self.k, self.rows.len());
        // SAFETY: the caller vouches for the operands.
        unsafe {
            let source = match self.b {
                Matrix::Packed { start, depth } => Source {
                    start,
                    strides: [0, 0],
                    kind: Kind::Packed { depth },
                },
                Matrix::InPlace {
                    start,
                    strides: [b_k, b_n],
                } => {
                    if !self.add
                        && b_k == 1
                        && self.a_strides[1] == 1
                        && b_n != 1
                        && (rows < COPY_ROWS || (k >= DOT_DEPTH && rows < DOT_ROWS))
                    {
                        dot::run::<S>(
                            self.rows.clone(),
                            self.columns.clone(),
                            k,
                            self.a,
                            self.a_strides[0],
                            start,
                            b_n,
                            self.c,
                            self.c_row,
                        );
                        return;
                    }
                    let kind = if b_n == 1 && rows < COPY_ROWS {
                        Kind::Dense
                    } else {
                        Kind::Copied
                    };
                    Source {
                        start,
                        strides: [b_k, b_n],
                        kind,
                    }
                }
            };
            // So many rows at a time have room where a left operand is copied to.
            let mut start = self.rows.start;
            while start < self.rows.end {
                let end = self.rows.end.min(start + UNIT_ROWS);
                self.blocks::<S>(start..end, source, scratch.as_mut_ptr());
                start = end;
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Source {
    start: *const f32,
    strides: [isize; 2],
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    /// Panels of so many rows.
    Packed { depth: usize },
    /// In place, dense along n; but vectors that reach beyond the last column are packed in scratch.
    Dense,
    /// In place, any strides: each panel is packed in scratch when its turn comes.
    Copied,
}

impl Part {
    /// The columns of these rows, panel by panel.
    #[inline(always)]
    unsafe fn blocks<S: Simd>(&self, rows: Range<usize>, b: Source, scratch: *mut f32) {
        let &Part { n, k, c, c_row, .. } = self;
        let columns = self.columns.clone();
        let [down, along] = self.a_strides;
        let total = n.div_ceil(S::LANES);
        let depths = k.div_ceil(DEPTH).max(1);
        // A transposed left operand whose lines crowd few sets of the first-level cache, or lie on many pages, is walked once, for
        // a copy. Tiles read others as they lie: their rows are side by side.
        let far = along % 32 == 0 || along.unsigned_abs() > FAR;
        let copy_left = down == 1 && along != 1 && far && columns.len() >= COPY_COLUMNS;
        for depth in 0..depths {
            let depth = share(k, depths, depth);
            // SAFETY: the caller vouches for the operand; the copy has at most UNIT_ROWS rows of at most DEPTH numbers.
            let (left, left_strides) = unsafe {
                let start =
                    (self.a).offset(rows.start as isize * down + depth.start as isize * along);
                if copy_left {
                    let to = scratch.add(DEPTH * MAX_WIDTH * MAX_LANES);
                    transpose_body::<S>(
                        depth.len(),
                        rows.len(),
                        start,
                        along,
                        to,
                        LEFT_PITCH as isize,
                    );
                    (to.cast_const(), [LEFT_PITCH as isize, 1])
                } else {
                    (start, self.a_strides)
                }
            };
            let mut v = columns.start / S::LANES;
            while v * S::LANES < columns.end {
                let width = panel_width(S::REGISTERS, v, total);
                let j = v * S::LANES;
                let last = (n - j - (width - 1) * S::LANES).min(S::LANES);
                let pitch = width * S::LANES;
                // The lines of the next panel are far apart, where the CPU does not expect them.
                let next = (v + width) * S::LANES;
                let ahead = match b.kind {
                    Kind::Copied if b.strides[1] == 1 && next < columns.end => Ahead {
                        start: b.start.wrapping_offset(
                            depth.start as isize * b.strides[0] + next as isize * b.strides[1],
                        ),
                        step: b.strides[0],
                        rows: depth.len(),
                        columns: pitch.min(columns.end - next),
                    },
                    _ => Ahead::NOTHING,
                };
                // SAFETY: the caller vouches for the operands; the panel and the rows lie within them.
                unsafe {
                    let panel = match b.kind {
                        Kind::Packed { depth: all } => {
                            let start = b.start.add(j * all + depth.start * pitch);
                            tile::Panel {
                                start,
                                step: pitch as isize,
                                width,
                                last,
                            }
                        }
                        Kind::Dense if last == S::LANES => {
                            let start = b.start.offset(depth.start as isize * b.strides[0]).add(j);
                            tile::Panel {
                                start,
                                step: b.strides[0],
                                width,
                                last,
                            }
                        }
                        Kind::Dense | Kind::Copied => {
                            let from = b.start.offset(
                                depth.start as isize * b.strides[0] + j as isize * b.strides[1],
                            );
                            let to = scratch;
                            let here = (width - 1) * S::LANES + last;
                            pack::pack_panel::<S>(depth.len(), here, from, b.strides, to, pitch);
                            tile::Panel {
                                start: to,
                                step: pitch as isize,
                                width,
                                last,
                            }
                        }
                    };
                    Strip {
                        rows: rows.len(),
                        lines: Lines::ONE,
                        offsets: &[],
                        depth: depth.len(),
                        left,
                        left_strides,
                        panel,
                        to: c.offset(rows.start as isize * c_row).add(j),
                        to_row: c_row,
                        add: self.add || depth.start > 0,
                        ahead,
                    }
                    .run::<S>();
                }
                v += width;
            }
        }
    }
}

multiversion! {
    /// Twelve independent vectors of sums, `rounds` times multiplied and added in registers alone: what the CPU could
    /// reach at best, for benchmarks to compare with.
    ///
    /// # Safety
    ///
    /// The CPU must have `isa`.
    #[doc(hidden)]
    pub unsafe fn fma_loop(rounds: usize) -> f32 = fma_loop_body;
}

#[inline(always)]
unsafe fn fma_loop_body<S: Simd>(rounds: usize) -> f32 {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let (a, b) = (S::splat(0.5), S::splat(0.25));
        let mut sums = [S::zero(); 12];
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = S::fma(*sum, a, b);
            }
        }
        sums.iter().map(|&x| S::sum(x)).sum()
    }
}

#[cfg(test)]
mod tests;
