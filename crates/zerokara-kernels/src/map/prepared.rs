//! Elementwise code that is ready to run, tile by tile.

use super::{
    compile::{Compiler, Piece, Slots},
    kernels,
    operations::Operation,
};
use crate::{
    access::{Access, Memory, Walk, gather, scatter},
    isa::Isa,
    plan::Element,
};

/// Elements of a tile: with a handful of registers, well inside the first-level cache.
pub(crate) const TILE: usize = 512;

/// Distance between registers in the scratch: not a multiple of the page, so that loads from one register do not seem
/// to depend on stores to another.
const REGISTER: usize = TILE + 32;

/// A slot that walks along a view whose elements are neighbours, or along the rows of one.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) slot: usize,
    pub(super) access: Access,
    /// Within long rows: the pointer is found anew for each tile.
    pub(super) by_rows: bool,
}

/// An input that is copied to a register at the start of each tile.
#[derive(Debug)]
pub(super) struct Fill {
    pub(super) slot: usize,
    pub(super) access: Access,
}

/// How a result leaves the registers at the end of a tile.
#[derive(Debug)]
pub(super) enum Store {
    /// To neighbouring truth values at a stream's slot.
    Narrow { from: usize, to: usize },
    /// To neighbouring bytes at a stream's slot.
    Bytes { from: usize, to: usize },
    /// To a strided view.
    Scatter { from: usize, access: Access },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub(super) isa: Isa,
    pub(super) shape: Vec<usize>,
    pub(super) total: usize,
    /// Tiles end at its multiples (within rows, if those are longer than a tile).
    pub(super) tile: usize,
    /// Length of the rows within which tiles are cut; 0 if there are none.
    pub(super) long_row: usize,
    /// Whether tiles are shorter than the innermost axis.
    pub(super) in_rows: bool,
    pub(super) registers: usize,
    pub(super) slots: usize,
    pub(super) first_uniform: usize,
    /// Start values of the uniforms.
    pub(super) constants: Vec<f32>,
    /// Uniforms that are read: (uniform, view).
    pub(super) uniform_loads: Vec<(usize, Access)>,
    pub(super) uniform_operations: Vec<Operation>,
    pub(super) streams: Vec<Stream>,
    pub(super) fills: Vec<Fill>,
    pub(super) pieces: Vec<Piece>,
    pub(super) stores: Vec<Store>,
    /// Slots of the results, for those who read them tile by tile.
    pub(super) results: Vec<usize>,
    pub(super) weight: usize,
}

/// What is made of the code's results.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Use {
    /// They are stored.
    Store,
    /// They are stored, and ranges are mostly parts of rows.
    StoreRows,
    /// The results are read tile by tile; tiles are cut at multiples of the product of the axes from `axis` on, if
    /// that fits in one.
    Read {
        /// First axis of the rows.
        axis: usize,
    },
}

/// The results of a tile, while it lasts.
#[derive(Clone, Copy)]
pub(crate) struct Tiles<'a> {
    slots: *const *mut f32,
    results: &'a [usize],
}

impl Tiles<'_> {
    /// The tile of the i-th result of code made ready for [`Use::Read`].
    ///
    /// # Safety
    /// Only during the call that was given the tiles.
    #[inline(always)]
    pub(crate) unsafe fn result(self, i: usize) -> *const f32 {
        // SAFETY: slots were assigned below the table's length, which is filled during the call.
        unsafe { *self.slots.add(self.results[i]) }
    }
}

impl Prepared {
    /// Elements of the iteration space.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Work for one element, in units of about a tenth of a nanosecond.
    pub(crate) fn weight(&self) -> usize {
        self.weight
    }

    /// Makes machine code of operations that can be joined in one loop; the results stay the same to the bit.
    pub(crate) fn compile(&mut self, compiler: &mut Compiler) {
        // It is code for AVX2, and rounds as its kernels do, those of AVX-512, and the twins of both.
        if self.isa == Isa::Portable || !Isa::Avx2.is_available() {
            return;
        }
        let kernels = self.pieces.iter().map(|piece| match piece {
            Piece::Kernel(operation) => Some(*operation),
            Piece::Loop(_) => None,
        });
        let Some(operations) = kernels.collect::<Option<Vec<Operation>>>() else {
            return;
        };
        let stored = self.stores.iter().map(|store| match store {
            Store::Narrow { from, .. }
            | Store::Bytes { from, .. }
            | Store::Scatter { from, .. } => *from,
        });
        let slots = Slots {
            registers: self.registers,
            first_uniform: self.first_uniform,
            read: stored.chain(self.results.iter().copied()).collect(),
        };
        self.pieces = compiler.pieces(&operations, &slots);
    }

    /// Length that ranges should start at multiples of.
    pub(crate) fn granularity(&self) -> usize {
        self.tile
    }

    /// Scratch that a run needs, in bytes, on a 64-byte boundary.
    pub(crate) fn scratch_bytes(&self) -> usize {
        self.slots_bytes() + self.uniform_bytes() + self.registers * REGISTER * 4
    }

    fn slots_bytes(&self) -> usize {
        (self.slots * size_of::<*mut f32>()).next_multiple_of(64)
    }

    fn uniform_bytes(&self) -> usize {
        (self.constants.len() * 4).next_multiple_of(64)
    }

    /// Runs the code on the elements from `start` up to `end`, in the order of the (flattened) iteration space.
    ///
    /// # Safety
    /// The views were checked against the buffers; the CPU has the instruction set; the scratch is large enough; nobody
    /// else writes what is read or touches what is written.
    pub(crate) unsafe fn run(
        &self,
        memory: Memory<'_>,
        scratch: *mut u8,
        start: usize,
        end: usize,
    ) {
        // SAFETY: as the caller vouches.
        unsafe { self.evaluate(memory, scratch, start, end, |_, _, _| {}) }
    }

    /// Runs the code on a range and shows each finished tile: its results, the position of its first element, and its
    /// length.
    ///
    /// # Safety
    /// As for [`run`](Prepared::run). The tiles are there only during the call.
    #[inline(always)]
    pub(crate) unsafe fn evaluate(
        &self,
        memory: Memory<'_>,
        scratch: *mut u8,
        start: usize,
        end: usize,
        mut show: impl FnMut(Tiles<'_>, usize, usize),
    ) {
        debug_assert!(end <= self.total);
        // SAFETY: as the caller vouches.
        unsafe {
            self.begin(memory, scratch);
            self.sweep(memory, scratch, start, end, &mut show);
        }
    }

    /// Runs the code on `rows` ranges of `width` elements whose starts are `pitch` apart.
    ///
    /// # Safety
    /// As for [`run`](Prepared::run).
    pub(crate) unsafe fn run_rows(
        &self,
        memory: Memory<'_>,
        scratch: *mut u8,
        start: usize,
        width: usize,
        pitch: usize,
        rows: usize,
    ) {
        // SAFETY: as the caller vouches.
        unsafe {
            if width == pitch {
                return self.run(memory, scratch, start, start + width * rows);
            }
            self.begin(memory, scratch);
            for row in 0..rows {
                let start = start + row * pitch;
                self.sweep(memory, scratch, start, start + width, &mut |_, _, _| {});
            }
        }
    }

    #[inline(always)]
    unsafe fn call(slots: *const *mut f32, operation: &Operation, n: usize) {
        // SAFETY: slots were assigned below the table's length, and lead to what the kernel takes.
        unsafe {
            let [a, b, c] = operation.from;
            let from = [
                (*slots.add(a as usize)).cast_const(),
                (*slots.add(b as usize)).cast_const(),
                (*slots.add(c as usize)).cast_const(),
            ];
            (operation.kernel)(*slots.add(operation.to as usize), from, n);
        }
    }

    /// Fills the table of registers and uniforms, and computes the latter.
    unsafe fn begin(&self, memory: Memory<'_>, scratch: *mut u8) {
        // SAFETY: the scratch has the size that `scratch_bytes` asks; slots were assigned below `self.slots`.
        unsafe {
            let slots: *mut *mut f32 = scratch.cast();
            let uniforms: *mut f32 = scratch.add(self.slots_bytes()).cast();
            let registers: *mut f32 = scratch
                .add(self.slots_bytes() + self.uniform_bytes())
                .cast();
            for i in 0..self.registers {
                *slots.add(i) = registers.add(i * REGISTER);
            }
            for (i, &constant) in self.constants.iter().enumerate() {
                *uniforms.add(i) = constant;
                *slots.add(self.first_uniform + i) = uniforms.add(i);
            }
            for (uniform, access) in &self.uniform_loads {
                *uniforms.add(*uniform) = match access.element {
                    Element::U8 | Element::Bool => f32::from(*memory.at(access)),
                    _ => *memory.f32s(access),
                };
            }
            for operation in &self.uniform_operations {
                Self::call(slots, operation, 1);
            }
        }
    }

    /// Runs the code tile by tile; `begin` has filled the table.
    #[inline(always)]
    unsafe fn sweep(
        &self,
        memory: Memory<'_>,
        scratch: *mut u8,
        start: usize,
        end: usize,
        show: &mut impl FnMut(Tiles<'_>, usize, usize),
    ) {
        // SAFETY: as for `begin`; views were checked by the executor, and the range lies in the space they cover.
        unsafe {
            let slots: *mut *mut f32 = scratch.cast();
            for stream in &self.streams {
                if !stream.by_rows {
                    let p = memory
                        .at(&stream.access)
                        .add(start * stream.access.element.size());
                    *slots.add(stream.slot) = p.cast();
                }
            }
            let mut position = start;
            // Elements of the repeating inputs that are in their registers, from the start of a row on.
            let mut repeated = 0;
            let row = self.shape.last().copied().unwrap_or(1).max(1);
            while position < end {
                let column = if self.long_row > 0 {
                    position % self.long_row
                } else {
                    position
                };
                let mut n = (self.tile - column % self.tile).min(end - position);
                if self.long_row > 0 {
                    n = n.min(self.long_row - column);
                }
                let whole = !self.in_rows && column.is_multiple_of(row);
                for fill in &self.fills {
                    if !(whole && n <= repeated && fill.access.is_periodic()) {
                        self.fill(fill, memory, *slots.add(fill.slot), position, n);
                    }
                }
                repeated = if whole { repeated.max(n) } else { 0 };
                for stream in &self.streams {
                    if stream.by_rows {
                        let access = &stream.access;
                        let walk = Walk::new(&self.shape, &access.strides, position);
                        let p = memory.f32s(access).offset(walk.row).add(walk.column);
                        *slots.add(stream.slot) = p;
                    }
                }
                for piece in &self.pieces {
                    match piece {
                        Piece::Kernel(operation) => Self::call(slots, operation, n),
                        Piece::Loop(code) => code.run(slots, n),
                    }
                }
                for store in &self.stores {
                    match store {
                        Store::Narrow { from, to } => {
                            kernels::narrow((*slots.add(*to)).cast(), *slots.add(*from), n);
                        }
                        Store::Bytes { from, to } => {
                            kernels::bytes((*slots.add(*to)).cast(), *slots.add(*from), n);
                        }
                        Store::Scatter { from, access } => {
                            self.scatter(*slots.add(*from), memory, access, position, n);
                        }
                    }
                }
                let tiles = Tiles {
                    slots,
                    results: &self.results,
                };
                show(tiles, position, n);
                for stream in &self.streams {
                    let slot = slots.add(stream.slot);
                    *slot = (*slot).wrapping_byte_add(n * stream.access.element.size());
                }
                position += n;
            }
        }
    }

    unsafe fn fill(
        &self,
        fill: &Fill,
        memory: Memory<'_>,
        to: *mut f32,
        position: usize,
        n: usize,
    ) {
        let access = &fill.access;
        // SAFETY: the view covers the shape.
        unsafe {
            match access.element {
                Element::U8 | Element::Bool => {
                    let base = memory.at(access).cast_const();
                    gather(
                        &self.shape,
                        &access.strides,
                        base,
                        position,
                        n,
                        to,
                        f32::from,
                    );
                }
                _ => {
                    let base = memory.f32s(access).cast_const();
                    gather(&self.shape, &access.strides, base, position, n, to, |x| x);
                }
            }
        }
    }

    unsafe fn scatter(
        &self,
        from: *const f32,
        memory: Memory<'_>,
        access: &Access,
        position: usize,
        n: usize,
    ) {
        // SAFETY: the view covers the shape.
        unsafe {
            match access.element {
                Element::U8 | Element::Bool => {
                    let base = memory.at(access);
                    let convert = match access.element {
                        Element::Bool => |x: f32| u8::from(x != 0.0),
                        _ => |x: f32| x as u8,
                    };
                    scatter(
                        &self.shape,
                        &access.strides,
                        base,
                        position,
                        n,
                        from,
                        convert,
                    );
                }
                _ => {
                    let base = memory.f32s(access);
                    scatter(&self.shape, &access.strides, base, position, n, from, |x| x);
                }
            }
        }
    }
}
