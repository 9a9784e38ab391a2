//! Sums, extremes, means and variances over axes, with elementwise code before and after.
//!
//! Numbers are summed in single precision over a few hundred neighbours at most, in many interleaved sums; those
//! are added up in double precision. The order depends on the shapes (and on the width of a vector) alone. What is to be
//! divided by its number is summed in double precision throughout: the mean of equal numbers is that number, to the bit,
//! or a normalization would make the last bit large.
//!
//! A variance needs one walk over memory: the sums are those of the differences from a shift, and of their squares,
//! where the shift of a column is the mean of what was seen of it before (at first, that of its first tile). What the
//! shift differs from the mean is thus a small multiple of the deviation, so that no digits cancel.

mod columns;
mod combine;
mod cut;

use self::columns::Columns;
use self::combine::{Combine, Max, Min, Moments, Sum, rows_of, shift_near, squares, wide_rows};
use std::{ops::Range, sync::atomic::Ordering};

use crate::{
    access::{Access, Memory, scatter},
    code::Code,
    isa::Isa,
    map::{
        compile::Compiler,
        prepared::{Prepared, TILE},
    },
    plan::Reduction,
    tasks::{Room, Task},
};

/// How many numbers of a column are added up in single precision.
const BLOCK: usize = 16;

/// Where the reduced axes lie in the order of iteration.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// `[kept, reduced]` with rows that share a tile.
    ShortRows,
    /// `[kept, reduced]` with rows longer than a tile.
    LongRows,
    /// `[kept, reduced, kept]`.
    Columns,
}

/// How the numbers of a value are gathered.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Sum,
    /// A sum in double precision throughout.
    Mean,
    Max,
    Min,
    Moments,
}

/// Calls a function for the way of combining; those of means and moments are sums.
macro_rules! combining {
    ($how:expr, $function:ident($($argument:expr),*)) => {
        match $how {
            How::Sum | How::Mean | How::Moments => $function::<Sum>($($argument),*),
            How::Max => $function::<Max>($($argument),*),
            How::Min => $function::<Min>($($argument),*),
        }
    };
}

use combining;

impl How {
    fn start(self) -> f32 {
        match self {
            How::Sum | How::Mean | How::Moments => Sum::START,
            How::Max => Max::START,
            How::Min => Min::START,
        }
    }

    fn wide(self, a: f64, b: f64) -> f64 {
        match self {
            How::Sum | How::Mean | How::Moments => Sum::wide(a, b),
            How::Max => Max::wide(a, b),
            How::Min => Min::wide(a, b),
        }
    }

    fn weight(self) -> usize {
        match self {
            How::Mean | How::Moments => 2,
            _ => 1,
        }
    }
}

/// Numbers that are gathered.
#[derive(Clone, Copy, Debug)]
struct Gathered {
    /// Which result of the code.
    result: usize,
    how: How,
}

/// A view that results are written to.
#[derive(Debug)]
struct Output {
    /// Which numbers.
    of: usize,
    reduction: Reduction,
    access: Access,
}

/// How the elements that are combined into one are cut into parts.
#[derive(Debug)]
enum Parting {
    /// So many, of this length.
    Even(usize, usize),
    /// Beside a step that is cut so.
    Given(Box<[Range<usize>]>),
}

impl Parting {
    fn count(&self) -> usize {
        match self {
            Parting::Even(count, _) => *count,
            Parting::Given(ranges) => ranges.len(),
        }
    }

    fn range(&self, part: usize, total: usize) -> Range<usize> {
        match self {
            Parting::Even(_, length) => {
                (part * length).min(total)..((part + 1) * length).min(total)
            }
            Parting::Given(ranges) => ranges[part].clone(),
        }
    }
}

/// Where a run keeps what parts of a group gathered, in double precision, until the last part is done and folds them.
#[derive(Default)]
struct Partials {
    /// Groups that are cut into parts.
    groups: usize,
    /// The first group's counter of the parts that are done.
    counter: usize,
    /// The first number of the first group.
    first: usize,
}

/// A [`ReduceStep`](crate::plan::ReduceStep) made ready.
pub(crate) struct ReduceTask {
    isa: Isa,
    map: Prepared,
    gathered: Vec<Gathered>,
    outputs: Vec<Output>,
    /// Over the kept axes.
    epilogue: Option<Prepared>,
    form: Form,
    /// Kept elements outside the reduced ones.
    outer: usize,
    /// Elements that are combined into one.
    reduced: usize,
    /// Kept elements inside.
    inner: usize,
    /// Columns of one block.
    block: usize,
    parts: Parting,
    /// For short rows: rows of one unit.
    rows: usize,
    /// Axes of the outputs.
    kept: Vec<usize>,
    partials: Partials,
}

/// What a [`ReduceTask`] is made of: see [`ReduceStep`](crate::plan::ReduceStep).
pub(crate) struct Parts<'a> {
    pub(crate) shape: &'a [usize],
    pub(crate) reduced: &'a [bool],
    pub(crate) inputs: Vec<Access>,
    pub(crate) code: &'a Code,
    pub(crate) reductions: &'a [Reduction],
    pub(crate) outputs: Vec<Access>,
    /// Inputs, outputs (over the kept axes) and code.
    pub(crate) epilogue: Option<(Vec<Access>, Vec<Access>, &'a Code)>,
}

impl ReduceTask {
    fn blocks(&self) -> usize {
        self.inner.div_ceil(self.block.max(1))
    }

    /// Rows of columns that have sums of their own, so that short ones fill whole vectors.
    fn lanes(&self) -> usize {
        let enough = |rows: &usize| rows * self.inner >= 32;
        let whole = |rows: &usize| enough(rows) && (rows * self.inner).is_multiple_of(16);
        let rows = match self.inner {
            32.. => Some(1),
            _ => (1..=16).find(whole).or_else(|| (1..=32).find(enough)),
        };
        rows.unwrap_or(1).min(self.reduced).max(1)
    }

    /// Numbers of each kind that are gathered at a time.
    fn width(&self) -> usize {
        match self.form {
            Form::Columns if self.inner <= TILE => self.lanes() * self.inner,
            Form::Columns => self.block,
            Form::ShortRows => TILE,
            Form::LongRows => 1,
        }
    }

    /// Bytes of what is gathered of one value.
    fn state_bytes(&self) -> usize {
        (self.width() * (4 * 8 + 3 * 4)).next_multiple_of(64)
    }

    /// Where the `k`-th value is gathered: at the start of the scratch, one after another.
    unsafe fn state(&self, scratch: *mut u8, k: usize) -> Columns {
        let width = self.width();
        // SAFETY: the scratch has the size that `scratch_bytes` asks.
        unsafe {
            let start = scratch.add(k * self.state_bytes());
            let narrow: *mut f32 = start.add(width * 32).cast();
            Columns {
                wide: start.cast(),
                wide_squares: start.add(width * 8).cast(),
                means: start.add(width * 16).cast(),
                mean_squares: start.add(width * 24).cast(),
                sums: narrow,
                squares: narrow.add(width),
                shifts: narrow.add(2 * width),
            }
        }
    }

    /// Where the elementwise code may work, after what is gathered.
    unsafe fn after(&self, scratch: *mut u8) -> *mut u8 {
        // SAFETY: as above.
        unsafe { scratch.add(self.gathered.len() * self.state_bytes()) }
    }

    /// Writes the results of `n` positions from `position` on.
    unsafe fn write(&self, memory: Memory<'_>, scratch: *mut u8, position: usize, n: usize) {
        // SAFETY: the outputs cover the kept axes.
        unsafe {
            for output in &self.outputs {
                let Gathered { how, .. } = self.gathered[output.of];
                let state = self.state(scratch, output.of);
                let all = self.reduced as f64;
                let (from, scale, divisor) = match (how, output.reduction) {
                    (_, Reduction::Variance { correction }) => {
                        let divisor = (self.reduced - correction) as f64;
                        (state.wide_squares, 1.0, divisor)
                    }
                    (How::Moments, Reduction::Sum) => (state.wide, all, 1.0),
                    (How::Mean, _) => (state.wide, 1.0, all),
                    _ => (state.wide, 1.0, 1.0),
                };
                for start in (0..n).step_by(64) {
                    let mut part = [0.0f32; 64];
                    let length = (n - start).min(64);
                    for (i, x) in part[..length].iter_mut().enumerate() {
                        *x = (*from.add(start + i) * scale / divisor) as f32;
                    }
                    scatter(
                        &self.kept,
                        &output.access.strides,
                        memory.f32s(&output.access),
                        position + start,
                        length,
                        part.as_ptr(),
                        |x| x,
                    );
                }
            }
        }
    }

    /// Runs the epilogue on `n` results from `position` on.
    unsafe fn conclude(&self, memory: Memory<'_>, scratch: *mut u8, position: usize, n: usize) {
        if let Some(epilogue) = &self.epilogue {
            // SAFETY: as the caller vouches; the results are written.
            unsafe {
                let scratch = self.after(scratch).add(self.map.scratch_bytes());
                epilogue.run(memory, scratch, position, position + n);
            }
        }
    }

    /// Keeps what one part of a group gathered, and folds that of all if it is the last: then the `width` results from
    /// `position` on are written.
    unsafe fn deliver(
        &self,
        memory: Memory<'_>,
        scratch: *mut u8,
        [group, part]: [usize; 2],
        position: usize,
        width: usize,
    ) {
        let (count, block) = (self.parts.count(), self.block);
        let size = self.gathered.len() * 2 * block;
        let counter = &memory.counters[self.partials.counter + group];
        // SAFETY: `reserve` took room for all groups; each part writes its own numbers, and who reads them has seen, by the
        // counter, that all parts are written. The state holds `width` numbers, at most `block`.
        unsafe {
            let all = memory
                .partials
                .add(self.partials.first + group * count * size);
            // The means (or sums) and the squares of a value in a part.
            let place = |part: usize, k: usize| {
                let means = all.add(part * size + k * 2 * block);
                (means, means.add(block))
            };
            for k in 0..self.gathered.len() {
                let state = self.state(scratch, k);
                let (means, squares) = place(part, k);
                means.copy_from_nonoverlapping(state.wide, width);
                squares.copy_from_nonoverlapping(state.wide_squares, width);
            }
            if counter.fetch_add(1, Ordering::AcqRel) + 1 < count as u64 {
                return;
            }
            // For the next run, which begins after this one.
            counter.store(0, Ordering::Relaxed);
            let read = |part: usize, k: usize| {
                let (means, squares) = place(part, k);
                let slice = |from: *mut f64| std::slice::from_raw_parts(from.cast_const(), width);
                (slice(means), slice(squares))
            };
            for (k, gathered) in self.gathered.iter().enumerate() {
                let state = self.state(scratch, k);
                let wide = std::slice::from_raw_parts_mut(state.wide, width);
                if gathered.how != How::Moments {
                    wide.copy_from_slice(read(0, k).0);
                    for part in 1..count {
                        for (wide, next) in wide.iter_mut().zip(read(part, k).0) {
                            *wide = gathered.how.wide(*wide, *next);
                        }
                    }
                    continue;
                }
                let total = std::slice::from_raw_parts_mut(state.wide_squares, width);
                wide.fill(0.0);
                total.fill(0.0);
                let mut seen = 0;
                for part in 0..count {
                    let length = self.parts.range(part, self.reduced).len();
                    if length == 0 {
                        continue;
                    }
                    let (means, squares) = read(part, k);
                    for i in 0..width {
                        let before = Moments {
                            mean: wide[i],
                            squares: total[i],
                        };
                        let next = Moments {
                            mean: means[i],
                            squares: squares[i],
                        };
                        let joined = before.join(seen, next, length);
                        (wide[i], total[i]) = (joined.mean, joined.squares);
                    }
                    seen += length;
                }
            }
            self.write(memory, scratch, position, width);
            self.conclude(memory, scratch, position, width);
        }
    }

    /// Gathers one part of a reduction made by [`ReduceTask::beside`]; the last one writes the results.
    ///
    /// # Safety
    /// As for [`Task::run`], with the parts as units; what the part reads is there.
    pub(crate) unsafe fn run_part(&self, part: usize, memory: Memory<'_>, scratch: *mut u8) {
        // SAFETY: as the caller vouches.
        unsafe {
            let columns = self.columns(0, part, memory, scratch);
            self.deliver(memory, scratch, [0, part], 0, columns);
        }
    }

    unsafe fn short_rows(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) {
        let first = unit * self.rows;
        let last = (first + self.rows).min(self.outer);
        let length = self.reduced;
        let (start, end) = (first * length, last * length);
        // SAFETY: as the caller vouches.
        unsafe {
            let work = self.after(scratch);
            self.map
                .evaluate(memory, work, start, end, |tiles, position, n| {
                    let rows = n / length;
                    for (k, gathered) in self.gathered.iter().enumerate() {
                        let p = tiles.result(gathered.result);
                        let state = self.state(scratch, k);
                        self.rows_of(gathered.how, p, rows, length, state.wide);
                        if gathered.how == How::Moments {
                            for row in 0..rows {
                                let sum = *state.wide.add(row);
                                let moments = self.moments(p.add(row * length), length, sum);
                                *state.wide.add(row) = moments.mean;
                                *state.wide_squares.add(row) = moments.squares;
                            }
                        }
                    }
                    self.write(memory, scratch, position / length, rows);
                });
            self.conclude(memory, scratch, first, last - first);
        }
    }

    /// Combines each of `rows` rows of `length` neighbours.
    unsafe fn rows_of(&self, how: How, p: *const f32, rows: usize, length: usize, to: *mut f64) {
        // SAFETY: as the caller vouches.
        unsafe {
            match how {
                How::Sum => rows_of::<Sum>(self.isa, p, rows, length, to),
                How::Max => rows_of::<Max>(self.isa, p, rows, length, to),
                How::Min => rows_of::<Min>(self.isa, p, rows, length, to),
                How::Mean | How::Moments => wide_rows(self.isa, p, rows, length, to),
            }
        }
    }

    /// Of `n` neighbours with this sum.
    unsafe fn moments(&self, p: *const f32, n: usize, sum: f64) -> Moments {
        // SAFETY: as the caller vouches.
        unsafe {
            let shift = shift_near((sum / n as f64) as f32, *p);
            let mut around = 0.0;
            squares(self.isa, p, n, shift, &mut around);
            Moments::around(n, sum, f64::from(shift), around)
        }
    }

    /// A part of a long row.
    unsafe fn long_row(&self, row: usize, chunk: usize, memory: Memory<'_>, scratch: *mut u8) {
        let part = self.parts.range(chunk, self.reduced);
        let (start, end) = (
            row * self.reduced + part.start,
            row * self.reduced + part.end,
        );
        // SAFETY: as the caller vouches.
        unsafe {
            for (k, gathered) in self.gathered.iter().enumerate() {
                let state = self.state(scratch, k);
                *state.wide = f64::from(gathered.how.start());
                *state.wide_squares = 0.0;
            }
            let mut seen = 0;
            let work = self.after(scratch);
            self.map.evaluate(memory, work, start, end, |tiles, _, n| {
                for (k, gathered) in self.gathered.iter().enumerate() {
                    let p = tiles.result(gathered.result);
                    let state = self.state(scratch, k);
                    let mut sum = 0.0;
                    self.rows_of(gathered.how, p, 1, n, &mut sum);
                    if gathered.how == How::Moments {
                        let before = Moments {
                            mean: *state.wide,
                            squares: *state.wide_squares,
                        };
                        let joined = before.join(seen, self.moments(p, n, sum), n);
                        (*state.wide, *state.wide_squares) = (joined.mean, joined.squares);
                    } else {
                        *state.wide = gathered.how.wide(*state.wide, sum);
                    }
                }
                seen += n;
            });
        }
    }

    unsafe fn long_rows(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) {
        // SAFETY: as the caller vouches.
        unsafe {
            let parts = self.parts.count();
            if parts > 1 {
                let (row, chunk) = (unit / parts, unit % parts);
                self.long_row(row, chunk, memory, scratch);
                return self.deliver(memory, scratch, [row, chunk], row, 1);
            }
            let first = unit * self.rows;
            let last = (first + self.rows).min(self.outer);
            for row in first..last {
                self.long_row(row, 0, memory, scratch);
                self.write(memory, scratch, row, 1);
            }
            self.conclude(memory, scratch, first, last - first);
        }
    }

    /// The position of the first result of a group of columns.
    fn position(&self, group: usize) -> usize {
        group / self.blocks() * self.inner + group % self.blocks() * self.block
    }

    unsafe fn groups_of_columns(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) {
        // SAFETY: as the caller vouches.
        unsafe {
            let parts = self.parts.count();
            if parts > 1 {
                let (group, chunk) = (unit / parts, unit % parts);
                let columns = self.columns(group, chunk, memory, scratch);
                let position = self.position(group);
                return self.deliver(memory, scratch, [group, chunk], position, columns);
            }
            let first = unit * self.rows;
            let last = (first + self.rows).min(self.outer * self.blocks());
            let start = self.position(first);
            let mut end = start;
            for group in first..last {
                let columns = self.columns(group, 0, memory, scratch);
                self.write(memory, scratch, end, columns);
                end += columns;
            }
            self.conclude(memory, scratch, start, end - start);
        }
    }

    /// Of no elements.
    unsafe fn nothing(&self, memory: Memory<'_>, scratch: *mut u8) {
        // SAFETY: as the caller vouches.
        unsafe {
            for (k, gathered) in self.gathered.iter().enumerate() {
                let state = self.state(scratch, k);
                *state.wide = f64::from(gathered.how.start());
                *state.wide_squares = 0.0;
            }
            let results = self.outer * self.inner;
            (0..results).for_each(|i| self.write(memory, scratch, i, 1));
            self.conclude(memory, scratch, 0, results);
        }
    }
}

impl Task for ReduceTask {
    fn units(&self) -> usize {
        let results = self.outer * self.inner;
        if results == 0 {
            return 0;
        }
        if self.reduced == 0 {
            return 1;
        }
        let parts = self.parts.count();
        match self.form {
            Form::ShortRows => self.outer.div_ceil(self.rows),
            _ if parts > 1 => self.outer * self.blocks() * parts,
            Form::LongRows => self.outer.div_ceil(self.rows),
            Form::Columns => (self.outer * self.blocks()).div_ceil(self.rows),
        }
    }

    fn weight(&self) -> usize {
        let gathering: usize = self.gathered.iter().map(|g| g.how.weight()).sum();
        let epilogue = self.epilogue.as_ref();
        let epilogue = epilogue.map_or(0, |e| e.total().saturating_mul(e.weight()));
        let element = self.map.weight() + gathering;
        self.map
            .total()
            .saturating_mul(element)
            .saturating_add(epilogue)
    }

    fn scratch_bytes(&self) -> usize {
        let epilogue = self.epilogue.as_ref();
        let code = self.map.scratch_bytes() + epilogue.map_or(0, Prepared::scratch_bytes);
        self.gathered.len() * self.state_bytes() + code
    }

    fn reserve(&mut self, room: &mut Room) {
        let groups = self.partials.groups;
        let each = self.parts.count() * self.gathered.len() * 2 * self.block;
        (self.partials.counter, self.partials.first) = room.take(groups, groups * each);
    }

    fn compile(&mut self, compiler: &mut Compiler) {
        self.map.compile(compiler);
        if let Some(map) = &mut self.epilogue {
            map.compile(compiler);
        }
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        // SAFETY: as the caller vouches.
        unsafe {
            match self.form {
                _ if self.reduced == 0 => self.nothing(memory, scratch),
                Form::ShortRows => self.short_rows(unit, memory, scratch),
                Form::LongRows => self.long_rows(unit, memory, scratch),
                Form::Columns => self.groups_of_columns(unit, memory, scratch),
            }
        }
        Ok(())
    }
}
