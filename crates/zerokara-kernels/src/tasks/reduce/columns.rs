//! Reductions whose kept elements are the innermost: sums of columns.

use super::{
    BLOCK, How, ReduceTask,
    combine::{Max, Min, Moments, Sum, deviate, flush, fold_rows, shift_near, wide_columns},
    combining,
};
use crate::{
    access::Memory,
    map::prepared::{TILE, Tiles},
};

/// After so many flushes the shifts are set anew.
const SEGMENT: usize = 32;

/// What is gathered of some columns: in double precision and, most recently, in single. Several rows may have sums of
/// their own, one row after another; in the end `wide` holds the results of the columns: of moments the means, and
/// `wide_squares` the squared deviations.
#[derive(Clone, Copy)]
pub(super) struct Columns {
    pub(super) wide: *mut f64,
    pub(super) wide_squares: *mut f64,
    pub(super) means: *mut f64,
    pub(super) mean_squares: *mut f64,
    pub(super) sums: *mut f32,
    pub(super) squares: *mut f32,
    pub(super) shifts: *mut f32,
}

/// How much was gathered.
#[derive(Default)]
struct Progress {
    /// Rows whose moments were joined, and those since.
    joined: usize,
    fresh: usize,
    /// Numbers added to a sum in single precision.
    added: usize,
    flushes: usize,
}

impl ReduceTask {
    /// Gathers a tile whose first element is that of column `at`; `first` if nothing was gathered of its columns.
    #[inline(always)]
    unsafe fn gather_tile(
        &self,
        scratch: *mut u8,
        tiles: Tiles<'_>,
        at: usize,
        n: usize,
        first: bool,
    ) {
        let width = self.width().min(n);
        let (rows, rest) = (n / width.max(1), n % width.max(1));
        // SAFETY: as the caller vouches; the state holds at least `at + width` numbers.
        unsafe {
            for (k, gathered) in self.gathered.iter().enumerate() {
                let p = tiles.result(gathered.result);
                let last = p.add(rows * width);
                let state = self.state(scratch, k);
                let sums = state.sums.add(at);
                if gathered.how == How::Mean {
                    let wide = state.wide.add(at);
                    wide_columns(self.isa, wide, p, width, rows);
                    wide_columns(self.isa, wide, last, rest, 1);
                    continue;
                }
                if gathered.how != How::Moments {
                    combining!(gathered.how, fold_rows(self.isa, sums, p, width, rows));
                    combining!(gathered.how, fold_rows(self.isa, sums, last, rest, 1));
                    continue;
                }
                if first && self.inner <= TILE {
                    // The means of the tile.
                    fold_rows::<Sum>(self.isa, sums, p, width, rows);
                    fold_rows::<Sum>(self.isa, sums, last, rest, 1);
                    let scale = self.inner as f32 / n as f32;
                    for column in 0..self.inner {
                        let lanes = (column..self.width()).step_by(self.inner);
                        let total: f32 = lanes.clone().map(|i| *sums.add(i)).sum();
                        let shift = shift_near(total * scale, *p.add(column));
                        lanes.for_each(|i| *state.shifts.add(i) = shift);
                    }
                    sums.write_bytes(0, self.width());
                } else if first {
                    for i in 0..n {
                        *state.shifts.add(at + i) = shift_near(*p.add(i), *p.add(i));
                    }
                }
                let (squares, shifts) = (state.squares.add(at), state.shifts.add(at));
                deviate(self.isa, sums, squares, shifts, p, width, rows);
                deviate(self.isa, sums, squares, shifts, last, rest, 1);
            }
        }
    }

    /// Moves what was gathered in single precision to double precision, and now and then the shifts.
    unsafe fn flush(&self, scratch: *mut u8, progress: &mut Progress) {
        let width = self.width();
        // SAFETY: the state holds `width` numbers.
        unsafe {
            for (k, gathered) in self.gathered.iter().enumerate() {
                let state = self.state(scratch, k);
                if gathered.how == How::Mean {
                    continue;
                }
                combining!(gathered.how, flush(self.isa, state.sums, state.wide, width));
                if gathered.how == How::Moments {
                    flush::<Sum>(self.isa, state.squares, state.wide_squares, width);
                }
            }
            progress.added = 0;
            progress.flushes += 1;
            if progress.flushes == SEGMENT {
                self.join(scratch, progress);
            }
        }
    }

    /// Joins the moments of the rows gathered since the last time to those before.
    unsafe fn join(&self, scratch: *mut u8, progress: &mut Progress) {
        let width = self.width();
        let columns = self.inner.min(width);
        progress.flushes = 0;
        if progress.fresh == 0 {
            return;
        }
        let moments = self.gathered.iter().enumerate();
        for (k, _) in moments.filter(|(_, g)| g.how == How::Moments) {
            // SAFETY: the state holds `width` numbers.
            unsafe {
                let state = self.state(scratch, k);
                for column in 0..columns {
                    let (mut sum, mut squares) = (0.0, 0.0);
                    for i in (column..width).step_by(columns) {
                        sum += *state.wide.add(i);
                        squares += *state.wide_squares.add(i);
                    }
                    let shift = f64::from(*state.shifts.add(column));
                    let fresh = Moments::shifted(progress.fresh, shift, sum, squares);
                    let before = Moments {
                        mean: *state.means.add(column),
                        squares: *state.mean_squares.add(column),
                    };
                    let joined = before.join(progress.joined, fresh, progress.fresh);
                    *state.means.add(column) = joined.mean;
                    *state.mean_squares.add(column) = joined.squares;
                    for i in (column..width).step_by(columns) {
                        let before = *state.shifts.add(i);
                        *state.shifts.add(i) = shift_near(joined.mean as f32, before);
                    }
                }
                state.wide.write_bytes(0, width);
                state.wide_squares.write_bytes(0, width);
            }
        }
        progress.joined += std::mem::take(&mut progress.fresh);
    }

    /// Brings the results of the columns to the front.
    unsafe fn settle(&self, scratch: *mut u8, mut progress: Progress) {
        let width = self.width();
        let columns = self.inner.min(width);
        // SAFETY: the state holds `width` numbers.
        unsafe {
            self.flush(scratch, &mut progress);
            self.join(scratch, &mut progress);
            for (k, gathered) in self.gathered.iter().enumerate() {
                let state = self.state(scratch, k);
                if gathered.how == How::Moments {
                    state.wide.copy_from_nonoverlapping(state.means, columns);
                    let squares = state.mean_squares;
                    state
                        .wide_squares
                        .copy_from_nonoverlapping(squares, columns);
                    continue;
                }
                for lane in 1..width / columns.max(1) {
                    for i in 0..columns {
                        let more = *state.wide.add(lane * columns + i);
                        *state.wide.add(i) = gathered.how.wide(*state.wide.add(i), more);
                    }
                }
            }
        }
    }

    /// A part of the rows of a group of columns; gives the number of columns.
    pub(super) unsafe fn columns(
        &self,
        group: usize,
        chunk: usize,
        memory: Memory<'_>,
        scratch: *mut u8,
    ) -> usize {
        let width = self.width();
        let (outer, block) = (group / self.blocks(), group % self.blocks());
        let part = self.parts.range(chunk, self.reduced);
        let (first, last) = (part.start, part.end);
        let column = block * self.block;
        let columns = self.block.min(self.inner - column);
        let row = |r: usize| (outer * self.reduced + r) * self.inner;
        let mut progress = Progress::default();
        // SAFETY: as the caller vouches.
        unsafe {
            for (k, gathered) in self.gathered.iter().enumerate() {
                let state = self.state(scratch, k);
                for i in 0..width {
                    *state.wide.add(i) = f64::from(gathered.how.start());
                    *state.sums.add(i) = gathered.how.start();
                }
                state.wide_squares.write_bytes(0, width);
                if gathered.how == How::Moments {
                    state.means.write_bytes(0, width);
                    state.mean_squares.write_bytes(0, width);
                    state.squares.write_bytes(0, width);
                    state.shifts.write_bytes(0, width);
                }
            }
            let work = self.after(scratch);
            if self.inner <= TILE {
                let (start, end) = (row(first), row(last));
                self.map.evaluate(memory, work, start, end, |tile, _, n| {
                    let is_first = progress.joined + progress.fresh == 0;
                    self.gather_tile(scratch, tile, 0, n, is_first);
                    progress.fresh += n / self.inner;
                    progress.added += n.div_ceil(width);
                    if progress.added >= BLOCK {
                        self.flush(scratch, &mut progress);
                    }
                });
            } else {
                // Row by row, if the columns are cut into blocks.
                let whole = self.blocks() == 1;
                for r in first..if whole { first + 1 } else { last } {
                    let start = row(r) + column;
                    let end = if whole { row(last) } else { start + columns };
                    self.map
                        .evaluate(memory, work, start, end, |tile, position, n| {
                            let at = (position - start) % self.inner;
                            let is_first = progress.joined + progress.fresh == 0;
                            self.gather_tile(scratch, tile, at, n, is_first);
                            if at + n == columns {
                                progress.fresh += 1;
                                progress.added += 1;
                                if progress.added == BLOCK {
                                    self.flush(scratch, &mut progress);
                                }
                            }
                        });
                }
            }
            self.settle(scratch, progress);
        }
        columns
    }
}
