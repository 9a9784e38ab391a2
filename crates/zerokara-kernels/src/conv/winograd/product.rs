//! Many small matrix products in one call: one for each frequency, with one panel of columns.

use crate::{
    gemm::tile::{full_rows, step},
    simd::{Outlined, Simd, bf16::Pairs},
    unroll::each,
};

/// `to[f, r, v] (+)= sum over k of left[f, r, k] * panel[f, k, v]`
#[derive(Clone, Copy)]
pub(super) struct Products {
    /// Number of products, f.
    pub count: usize,
    /// Number of rows, r.
    pub rows: usize,
    /// Length of the sums, k.
    pub depth: usize,
    /// Vectors of columns.
    pub width: usize,
    /// The left operand, and its strides along f, r and k.
    pub left: *const f32,
    pub left_strides: [usize; 3],
    /// The right operand, whose rows of `width` vectors lie densely, and its stride along f.
    pub panel: *const f32,
    pub panel_stride: usize,
    /// The result, whose rows lie densely, and its stride along f.
    pub to: *mut f32,
    pub to_stride: usize,
    /// Add to what is there, instead of replacing it.
    pub add: bool,
}

impl Products {
    /// Computes all of it, from pairs of bf16 if `BF16`: `depth` counts pairs then.
    ///
    /// # Safety
    ///
    /// As [`Products::run`] asks.
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
        // Blocks of nearly the same number of rows.
        let blocks = self.rows.div_ceil(full_rows(S::REGISTERS, self.width));
        let rows = self.rows.div_ceil(blocks);
        let larger = blocks - (rows * blocks - self.rows);
        macro_rules! widths {
            ($($rows:literal)*) => {
                match (rows, self.width) {
                    $(
                        ($rows, 1) if const { $rows <= full_rows(S::REGISTERS, 1) } => {
                            // SAFETY: passed on.
                            unsafe { S::call(&Blocks::<$rows, { $rows - 1 }, 1> { all: self, larger }) }
                        }
                        ($rows, 2) if const { S::REGISTERS >= 16 && $rows <= full_rows(S::REGISTERS, 2) } => {
                            // SAFETY: passed on.
                            unsafe { S::call(&Blocks::<$rows, { $rows - 1 }, 2> { all: self, larger }) }
                        }
                        ($rows, 3) if const { S::REGISTERS >= 16 && $rows <= full_rows(S::REGISTERS, 3) } => {
                            // SAFETY: passed on.
                            unsafe { S::call(&Blocks::<$rows, { $rows - 1 }, 3> { all: self, larger }) }
                        }
                    )*
                    _ => debug_assert!(false, "no block of {rows} rows and {} vectors", self.width),
                }
            };
        }
        widths!(1 2 3 4 5 6 7 8);
    }
}

/// Products whose rows are taken in blocks of `MR`, the first `larger` of them, and `LESS`, one fewer.
struct Blocks<'a, const MR: usize, const LESS: usize, const NV: usize> {
    all: &'a Products,
    larger: usize,
}

impl<const MR: usize, const LESS: usize, const NV: usize> Outlined for Blocks<'_, MR, LESS, NV> {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        let p = *self.all;
        let columns = NV * S::LANES;
        for f in 0..p.count {
            // SAFETY: passed on.
            unsafe {
                let mut left = p.left.add(f * p.left_strides[0]);
                let panel = p.panel.add(f * p.panel_stride);
                let mut to = p.to.add(f * p.to_stride);
                for _ in 0..self.larger {
                    block::<S, MR, NV>(&p, left, panel, to);
                    left = left.add(MR * p.left_strides[1]);
                    to = to.add(MR * columns);
                }
                if LESS > 0 {
                    let mut rest = p.rows - self.larger * MR;
                    while rest > 0 {
                        block::<S, LESS, NV>(&p, left, panel, to);
                        left = left.add(LESS * p.left_strides[1]);
                        to = to.add(LESS * columns);
                        rest -= LESS;
                    }
                }
            }
        }
    }
}

#[inline(always)]
unsafe fn block<S: Simd, const MR: usize, const NV: usize>(
    p: &Products,
    left: *const f32,
    panel: *const f32,
    to: *mut f32,
) {
    // SAFETY: the caller vouches for the CPU and for all pointers.
    unsafe {
        let mut sums = [[S::zero(); NV]; MR];
        let mut rows = [left; MR];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = left.add(r * p.left_strides[1]);
        }
        let (mut offset, mut b) = (0, panel);
        for _ in 0..p.depth {
            step::<S, MR, NV>(&mut sums, &rows, offset, b);
            offset += p.left_strides[2] as isize;
            b = b.add(NV * S::LANES);
        }
        each!(r < MR {
            each!(v < NV {
                let to = to.add((r * NV + v) * S::LANES);
                if p.add {
                    sums[r][v] = S::add(sums[r][v], S::load(to));
                }
                S::store(to, sums[r][v]);
            });
        });
    }
}
