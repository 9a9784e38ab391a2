//! Sums, maxima and minima over axes, with elementwise code as a prologue.
//!
//! Numbers are summed in single precision over a few hundred neighbours at most, in several interleaved sums; those
//! are added up in double precision. The order depends on the shapes (and on the width of a vector) alone.

use std::{
    cell::UnsafeCell,
    cmp::Reverse,
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{
    access::{Access, Memory, scatter},
    executor::{Task, UNIT_WEIGHT},
    isa::{Isa, multiversion},
    map::{
        Code,
        lanes::Lanes,
        prepared::{Prepared, TILE, Use},
    },
    plan::Reduction,
};

/// How many numbers of a column are added up in single precision.
const BLOCK: usize = 64;

/// Most parts that one result's elements are cut into.
const MOST_CHUNKS: usize = 32;

/// Most columns that one unit has sums for; wider rows are cut.
const MOST_COLUMNS: usize = 4096;

/// A way to combine numbers.
trait Combine: 'static {
    const START: f32;
    unsafe fn vectors<S: Lanes>(a: S::Vector, b: S::Vector) -> S::Vector;
    fn wide(a: f64, b: f64) -> f64;
}

struct Sum;
impl Combine for Sum {
    const START: f32 = 0.0;
    #[inline(always)]
    unsafe fn vectors<S: Lanes>(a: S::Vector, b: S::Vector) -> S::Vector {
        // SAFETY: the caller vouches for the CPU.
        unsafe { S::add(a, b) }
    }
    #[inline(always)]
    fn wide(a: f64, b: f64) -> f64 {
        a + b
    }
}

struct Max;
impl Combine for Max {
    const START: f32 = f32::NEG_INFINITY;
    #[inline(always)]
    unsafe fn vectors<S: Lanes>(a: S::Vector, b: S::Vector) -> S::Vector {
        // SAFETY: the caller vouches for the CPU.
        unsafe { S::select(S::ne(a, a), a, S::max(a, b)) }
    }
    #[inline(always)]
    fn wide(a: f64, b: f64) -> f64 {
        if a > b || a.is_nan() { a } else { b }
    }
}

struct Min;
impl Combine for Min {
    const START: f32 = f32::INFINITY;
    #[inline(always)]
    unsafe fn vectors<S: Lanes>(a: S::Vector, b: S::Vector) -> S::Vector {
        // SAFETY: the caller vouches for the CPU.
        unsafe { S::select(S::ne(a, a), a, S::min(a, b)) }
    }
    #[inline(always)]
    fn wide(a: f64, b: f64) -> f64 {
        if a < b || a.is_nan() { a } else { b }
    }
}

/// Combines each of `rows` rows of `length` neighbours.
#[inline(always)]
unsafe fn rows_body<S: Lanes, C: Combine>(p: *const f32, rows: usize, length: usize, to: *mut f64) {
    // SAFETY: the caller vouches for the CPU and the pointers; the array holds the widest vector.
    unsafe {
        let l = S::LANES;
        for row in 0..rows {
            let p = p.add(row * length);
            let mut i = 0;
            let mut total = f64::from(C::START);
            if length >= l {
                let mut sums = [S::splat(C::START); 4];
                while i + 4 * l <= length {
                    sums[0] = C::vectors::<S>(sums[0], S::load(p.add(i)));
                    sums[1] = C::vectors::<S>(sums[1], S::load(p.add(i + l)));
                    sums[2] = C::vectors::<S>(sums[2], S::load(p.add(i + 2 * l)));
                    sums[3] = C::vectors::<S>(sums[3], S::load(p.add(i + 3 * l)));
                    i += 4 * l;
                }
                while i + l <= length {
                    sums[0] = C::vectors::<S>(sums[0], S::load(p.add(i)));
                    i += l;
                }
                let sum = C::vectors::<S>(
                    C::vectors::<S>(sums[0], sums[1]),
                    C::vectors::<S>(sums[2], sums[3]),
                );
                let mut lanes = [0.0f32; 16];
                S::store(lanes.as_mut_ptr(), sum);
                for &x in &lanes[..l] {
                    total = C::wide(total, f64::from(x));
                }
            }
            while i < length {
                total = C::wide(total, f64::from(*p.add(i)));
                i += 1;
            }
            *to.add(row) = total;
        }
    }
}
multiversion! {
    unsafe fn rows_of[C: Combine; C](p: *const f32, rows: usize, length: usize, to: *mut f64) = rows_body;
}

/// Combines `n` numbers with `n` others.
#[inline(always)]
unsafe fn accumulate_body<S: Lanes, C: Combine>(to: *mut f32, p: *const f32, n: usize) {
    // SAFETY: the caller vouches for the CPU and the pointers.
    unsafe {
        let l = S::LANES;
        let mut i = 0;
        while i + 4 * l <= n {
            let a = C::vectors::<S>(S::load(to.add(i)), S::load(p.add(i)));
            let b = C::vectors::<S>(S::load(to.add(i + l)), S::load(p.add(i + l)));
            let c = C::vectors::<S>(S::load(to.add(i + 2 * l)), S::load(p.add(i + 2 * l)));
            let d = C::vectors::<S>(S::load(to.add(i + 3 * l)), S::load(p.add(i + 3 * l)));
            S::store(to.add(i), a);
            S::store(to.add(i + l), b);
            S::store(to.add(i + 2 * l), c);
            S::store(to.add(i + 3 * l), d);
            i += 4 * l;
        }
        while i + l <= n {
            S::store(
                to.add(i),
                C::vectors::<S>(S::load(to.add(i)), S::load(p.add(i))),
            );
            i += l;
        }
        if i < n {
            let rest = n - i;
            let x = S::load_partial(to.add(i), rest);
            let y = S::load_partial(p.add(i), rest);
            S::store_partial(to.add(i), C::vectors::<S>(x, y), rest);
        }
    }
}
multiversion! {
    unsafe fn accumulate[C: Combine; C](to: *mut f32, p: *const f32, n: usize) = accumulate_body;
}

/// Moves what `n` sums hold to those in double precision, and starts them anew.
#[inline(always)]
unsafe fn flush_body<S: Lanes, C: Combine>(sums: *mut f32, wide: *mut f64, n: usize) {
    for i in 0..n {
        // SAFETY: the caller vouches for the pointers.
        unsafe {
            *wide.add(i) = C::wide(*wide.add(i), f64::from(*sums.add(i)));
            *sums.add(i) = C::START;
        }
    }
}
multiversion! {
    unsafe fn flush[C: Combine; C](sums: *mut f32, wide: *mut f64, n: usize) = flush_body;
}

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

/// Sums of parts of a group, in double precision, until the last part is done and folds them.
struct Partials {
    values: Box<[UnsafeCell<f64>]>,
    /// Parts still to come, of each group.
    waiting: Box<[AtomicUsize]>,
}

// SAFETY: each part writes its own values; who reads them has seen, by `waiting`, that all parts are written.
unsafe impl Sync for Partials {}

/// A [`ReduceStep`](crate::plan::ReduceStep) made ready.
pub(crate) struct ReduceTask {
    isa: Isa,
    map: Prepared,
    reduction: Reduction,
    form: Form,
    /// Kept elements outside the reduced ones.
    outer: usize,
    /// Elements that are combined into one.
    reduced: usize,
    /// Kept elements inside.
    inner: usize,
    /// Columns of one block.
    block: usize,
    /// Parts of the reduced elements, and the length of one.
    chunks: usize,
    chunk: usize,
    /// For short rows: rows of one unit.
    rows: usize,
    output: Access,
    /// Axes of the output.
    kept: Vec<usize>,
    partials: Partials,
}

impl ReduceTask {
    pub(crate) fn new(
        isa: Isa,
        shape: &[usize],
        reduced: &[bool],
        inputs: Vec<Access>,
        mut output: Access,
        code: &Code,
        reduction: Reduction,
    ) -> Result<ReduceTask, String> {
        // The input that spans most elements decides the order of the axes.
        let spans = |a: &Access| -> usize {
            shape
                .iter()
                .zip(&a.strides)
                .filter(|(_, s)| **s != 0)
                .map(|(&n, _)| n.max(1))
                .product()
        };
        let main = inputs.iter().max_by_key(|a| spans(a)).cloned();
        let stride = |axis: usize| {
            main.as_ref()
                .map_or(0, |input| input.strides[axis].unsigned_abs())
        };
        let mut axes: Vec<usize> = (0..shape.len()).filter(|&axis| shape[axis] != 1).collect();
        axes.sort_by_key(|&axis| Reverse(stride(axis)));
        let innermost = axes.iter().rev().find(|&&axis| stride(axis) != 0);
        let columns =
            innermost.is_some_and(|&axis| !reduced[axis]) && axes.iter().any(|&axis| reduced[axis]);
        let widest = axes
            .iter()
            .filter(|&&a| reduced[a])
            .map(|&a| stride(a))
            .max()
            .unwrap_or(0);
        let is_outer = |axis: usize| !reduced[axis] && (!columns || stride(axis) > widest);
        let outer_axes: Vec<usize> = axes.iter().copied().filter(|&a| is_outer(a)).collect();
        let reduced_axes: Vec<usize> = axes.iter().copied().filter(|&a| reduced[a]).collect();
        let inner_axes: Vec<usize> = axes
            .iter()
            .copied()
            .filter(|&a| !reduced[a] && !is_outer(a))
            .collect();

        let order: Vec<usize> = outer_axes
            .iter()
            .chain(&reduced_axes)
            .chain(&inner_axes)
            .copied()
            .collect();
        let count = |axes: &[usize]| axes.iter().map(|&axis| shape[axis]).product::<usize>();
        let (outer, many, inner) = (count(&outer_axes), count(&reduced_axes), count(&inner_axes));
        let permuted = |mut a: Access| {
            a.strides = order.iter().map(|&axis| a.strides[axis]).collect();
            a
        };
        let sorted_shape: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        let rows_from = outer_axes.len() + if columns { reduced_axes.len() } else { 0 };
        let inputs = inputs.into_iter().map(permuted).collect();
        let purpose = Use::Read { axis: rows_from };
        let map = Prepared::new(isa, &sorted_shape, inputs, Vec::new(), code, purpose)?;
        let kept_axes = outer_axes.iter().chain(&inner_axes);
        let kept: Vec<usize> = kept_axes.clone().map(|&axis| shape[axis]).collect();
        output.strides = kept_axes.map(|&axis| output.strides[axis]).collect();

        let form = if columns {
            Form::Columns
        } else if many <= TILE {
            Form::ShortRows
        } else {
            Form::LongRows
        };
        let unit = UNIT_WEIGHT / (map.weight() + 1);
        let block = if inner > MOST_COLUMNS {
            MOST_COLUMNS / 2
        } else {
            inner
        };
        let groups = outer * inner.div_ceil(block.max(1));
        // Few large groups are cut into parts; many are units by themselves.
        let elements = many.saturating_mul(block);
        let chunks = if groups >= 2 * MOST_CHUNKS || form == Form::ShortRows {
            1
        } else {
            elements
                .div_ceil(unit.max(1))
                .clamp(1, MOST_CHUNKS)
                .min(many.max(1))
        };
        let chunk = many.div_ceil(chunks);
        let chunk = if form == Form::LongRows {
            chunk.next_multiple_of(TILE)
        } else {
            chunk
        };
        let chunks = many.div_ceil(chunk.max(1)).max(1);
        let count = if chunks > 1 {
            groups * chunks * block
        } else {
            0
        };
        let partials = Partials {
            values: (0..count).map(|_| UnsafeCell::new(0.0)).collect(),
            waiting: (0..if chunks > 1 { groups } else { 0 })
                .map(|_| AtomicUsize::new(chunks))
                .collect(),
        };
        let rows = match form {
            Form::ShortRows => {
                let tile_rows = (TILE / many.max(1)).max(1);
                (unit / many.max(1)).max(1).next_multiple_of(tile_rows)
            }
            // Whole rows to a unit, as many as it takes.
            _ if chunks == 1 => (unit / elements.max(1)).max(1),
            _ => 1,
        };
        Ok(ReduceTask {
            isa,
            map,
            reduction,
            form,
            outer,
            reduced: many,
            inner,
            block,
            chunks,
            chunk,
            rows,
            output,
            kept,
            partials,
        })
    }

    fn blocks(&self) -> usize {
        self.inner.div_ceil(self.block.max(1))
    }

    /// Floats and doubles that sums of columns need.
    fn column_width(&self) -> usize {
        if self.inner <= TILE {
            self.tile_rows() * self.inner
        } else {
            self.block
        }
    }

    /// Rows of columns that share a tile.
    fn tile_rows(&self) -> usize {
        (TILE / self.inner.max(1)).min(self.reduced).max(1)
    }

    fn start(&self) -> f32 {
        match self.reduction {
            Reduction::Sum => Sum::START,
            Reduction::Max => Max::START,
            Reduction::Min => Min::START,
        }
    }

    unsafe fn rows_of(&self, p: *const f32, rows: usize, length: usize, to: *mut f64) {
        // SAFETY: as the caller vouches.
        unsafe {
            match self.reduction {
                Reduction::Sum => rows_of::<Sum>(self.isa, p, rows, length, to),
                Reduction::Max => rows_of::<Max>(self.isa, p, rows, length, to),
                Reduction::Min => rows_of::<Min>(self.isa, p, rows, length, to),
            }
        }
    }

    unsafe fn accumulate(&self, to: *mut f32, p: *const f32, n: usize) {
        // SAFETY: as the caller vouches.
        unsafe {
            match self.reduction {
                Reduction::Sum => accumulate::<Sum>(self.isa, to, p, n),
                Reduction::Max => accumulate::<Max>(self.isa, to, p, n),
                Reduction::Min => accumulate::<Min>(self.isa, to, p, n),
            }
        }
    }

    unsafe fn flush(&self, sums: *mut f32, wide: *mut f64, n: usize) {
        // SAFETY: as the caller vouches.
        unsafe {
            match self.reduction {
                Reduction::Sum => flush::<Sum>(self.isa, sums, wide, n),
                Reduction::Max => flush::<Max>(self.isa, sums, wide, n),
                Reduction::Min => flush::<Min>(self.isa, sums, wide, n),
            }
        }
    }

    fn wide(&self, a: f64, b: f64) -> f64 {
        match self.reduction {
            Reduction::Sum => Sum::wide(a, b),
            Reduction::Max => Max::wide(a, b),
            Reduction::Min => Min::wide(a, b),
        }
    }

    /// Writes `n` results from the `position`-th on.
    unsafe fn write(&self, memory: Memory<'_>, position: usize, values: *const f64, n: usize) {
        for start in (0..n).step_by(64) {
            let mut part = [0.0f32; 64];
            let length = (n - start).min(64);
            // SAFETY: the output covers the kept axes.
            unsafe {
                for (i, x) in part[..length].iter_mut().enumerate() {
                    *x = *values.add(start + i) as f32;
                }
                let base = memory.f32s(&self.output);
                let strides = &self.output.strides;
                scatter(
                    &self.kept,
                    strides,
                    base,
                    position + start,
                    length,
                    part.as_ptr(),
                    |x| x,
                );
            }
        }
    }

    /// Keeps the sums of one part, and folds those of the whole group if it is the last. `width` is that of the block.
    unsafe fn deliver(
        &self,
        memory: Memory<'_>,
        group: usize,
        chunk: usize,
        position: usize,
        values: *mut f64,
        width: usize,
    ) {
        // SAFETY: as told at `Partials`; the indices are below the length made in `new`.
        unsafe {
            if self.chunks == 1 {
                return self.write(memory, position, values, width);
            }
            let all = &self.partials.values[group * self.chunks * self.block..]
                [..self.chunks * self.block];
            for i in 0..width {
                *all[chunk * self.block + i].get() = *values.add(i);
            }
            if self.partials.waiting[group].fetch_sub(1, Ordering::AcqRel) > 1 {
                return;
            }
            for (i, first) in all[..width].iter().enumerate() {
                *values.add(i) = *first.get();
            }
            for chunk in 1..self.chunks {
                for i in 0..width {
                    *values.add(i) = self.wide(*values.add(i), *all[chunk * self.block + i].get());
                }
            }
            self.write(memory, position, values, width);
        }
    }

    unsafe fn short_rows(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) {
        let first = unit * self.rows;
        let last = (first + self.rows).min(self.outer);
        // SAFETY: as the caller vouches.
        unsafe {
            let sums: *mut f64 = scratch.cast();
            let scratch = scratch.add(TILE * 8);
            let (start, end) = (first * self.reduced, last * self.reduced);
            self.map
                .evaluate(memory, scratch, start, end, |tile, position, n| {
                    let rows = n / self.reduced;
                    self.rows_of(tile, rows, self.reduced, sums);
                    self.write(memory, position / self.reduced, sums, rows);
                });
        }
    }

    unsafe fn long_rows(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) {
        // SAFETY: as the caller vouches.
        unsafe {
            let part = |row: usize, chunk: usize| {
                let start = row * self.reduced + chunk * self.chunk;
                let end = (start + self.chunk).min((row + 1) * self.reduced);
                let mut total = f64::from(self.start());
                self.map
                    .evaluate(memory, scratch, start, end, |tile, _, n| {
                        let mut sum = 0.0;
                        self.rows_of(tile, 1, n, &mut sum);
                        total = self.wide(total, sum);
                    });
                self.deliver(memory, row, chunk, row, &mut total, 1);
            };
            if self.chunks > 1 {
                return part(unit / self.chunks, unit % self.chunks);
            }
            let first = unit * self.rows;
            (first..(first + self.rows).min(self.outer)).for_each(|row| part(row, 0));
        }
    }

    unsafe fn columns(&self, group: usize, chunk: usize, memory: Memory<'_>, scratch: *mut u8) {
        // SAFETY: as the caller vouches; the scratch begins with `column_width` sums of each precision.
        unsafe {
            let width = self.column_width();
            let wide: *mut f64 = scratch.cast();
            let sums: *mut f32 = scratch.add(width * 8).cast();
            let scratch = scratch.add((width * 12).next_multiple_of(64));
            for i in 0..width {
                *wide.add(i) = f64::from(self.start());
                *sums.add(i) = self.start();
            }
            let (outer, block) = (group / self.blocks(), group % self.blocks());
            let (first, last) = (
                chunk * self.chunk,
                ((chunk + 1) * self.chunk).min(self.reduced),
            );
            let column = block * self.block;
            let columns = self.block.min(self.inner - column);
            let row = |r: usize| (outer * self.reduced + r) * self.inner;
            if self.inner <= TILE {
                // Several rows to a tile, each with its own sums.
                let mut tiles = 0;
                self.map
                    .evaluate(memory, scratch, row(first), row(last), |tile, _, n| {
                        self.accumulate(sums, tile, n);
                        tiles += 1;
                        if tiles % BLOCK == 0 {
                            self.flush(sums, wide, width);
                        }
                    });
                self.flush(sums, wide, width);
                for row in 1..self.tile_rows() {
                    for i in 0..self.inner {
                        let to = wide.add(i);
                        *to = self.wide(*to, *wide.add(row * self.inner + i));
                    }
                }
            } else if self.blocks() == 1 {
                let mut rows = 0;
                self.map.evaluate(
                    memory,
                    scratch,
                    row(first),
                    row(last),
                    |tile, position, n| {
                        let at = position % self.inner;
                        self.accumulate(sums.add(at), tile, n);
                        if at + n == self.inner {
                            rows += 1;
                            if rows % BLOCK == 0 {
                                self.flush(sums, wide, width);
                            }
                        }
                    },
                );
                self.flush(sums, wide, width);
            } else {
                for r in first..last {
                    let start = row(r) + column;
                    let end = start + columns;
                    self.map
                        .evaluate(memory, scratch, start, end, |tile, position, n| {
                            self.accumulate(sums.add(position - start), tile, n);
                        });
                    if (r - first + 1) % BLOCK == 0 {
                        self.flush(sums, wide, width);
                    }
                }
                self.flush(sums, wide, width);
            }
            let position = outer * self.inner + column;
            self.deliver(memory, group, chunk, position, wide, columns);
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
        match self.form {
            Form::ShortRows => self.outer.div_ceil(self.rows),
            _ if self.chunks > 1 => self.outer * self.blocks() * self.chunks,
            Form::LongRows => self.outer.div_ceil(self.rows),
            Form::Columns => (self.outer * self.blocks()).div_ceil(self.rows),
        }
    }

    fn weight(&self) -> usize {
        self.map.total().saturating_mul(self.map.weight() + 1)
    }

    fn scratch_bytes(&self) -> usize {
        let sums = if self.form == Form::Columns {
            self.column_width() * 12
        } else {
            TILE * 8
        };
        sums.next_multiple_of(64) + self.map.scratch_bytes()
    }

    fn reset(&mut self) {
        for waiting in &mut self.partials.waiting {
            *waiting.get_mut() = self.chunks;
        }
    }

    unsafe fn run(&self, unit: usize, memory: Memory<'_>, scratch: *mut u8) -> Result<(), String> {
        // SAFETY: as the caller vouches.
        unsafe {
            if self.reduced == 0 {
                let value = f64::from(self.start());
                let results = self.outer * self.inner;
                (0..results).for_each(|i| self.write(memory, i, &value, 1));
                return Ok(());
            }
            match self.form {
                Form::ShortRows => self.short_rows(unit, memory, scratch),
                Form::LongRows => self.long_rows(unit, memory, scratch),
                Form::Columns if self.chunks > 1 => {
                    self.columns(unit / self.chunks, unit % self.chunks, memory, scratch);
                }
                Form::Columns => {
                    let groups = self.outer * self.blocks();
                    let first = unit * self.rows;
                    (first..(first + self.rows).min(groups))
                        .for_each(|group| self.columns(group, 0, memory, scratch));
                }
            }
        }
        Ok(())
    }
}
