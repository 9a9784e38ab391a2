//! Vectors of f32: one trait, one implementation for each instruction set.
//!
//! The operations are static functions of a marker type `S: Simd`, all `#[inline(always)]`, so that a body generic
//! over `S` compiles to plain vector instructions inside the functions made by `multiversion!`.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub mod bf16;
mod lanes;
mod multiversion;
mod portable;
mod tile;
#[cfg(any(test, feature = "testing"))]
mod twin;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
#[cfg(target_arch = "x86_64")]
pub use bf16::Avx512Bf16;
pub(crate) use lanes::Lanes;
pub(crate) use multiversion::multiversion;
pub use portable::Portable;
pub(crate) use tile::MAX_WIDTH;
pub use tile::{Terms, TileOperands};
#[cfg(any(test, feature = "testing"))]
pub use twin::{Avx2Twin, Avx512Twin};

use crate::machine::Machine;

/// Most lanes in a vector.
pub(crate) const MAX_LANES: usize = 16;

/// Code that is compiled once for each instruction set and called, not inlined: see [`Simd::call`].
pub trait Outlined {
    /// Runs it; `#[inline(always)]`.
    ///
    /// # Safety
    ///
    /// The CPU must have `S`, beside what the code itself asks.
    unsafe fn run<S: Simd>(&self);
}

/// Vector operations of one instruction set.
///
/// # Safety
///
/// Every function may be called only where the CPU has the instruction set; pointers must be valid for the elements
/// named, with no alignment beyond that of f32.
#[allow(clippy::missing_safety_doc)] // the same for all, told above
pub trait Simd: Copy + Send + Sync + 'static {
    /// [`Simd::LANES`] numbers.
    type Vector: Copy;
    /// The description of the machine, for choices.
    const MACHINE: Machine;
    /// Numbers in a vector.
    const LANES: usize = Self::MACHINE.lanes;
    /// Vectors that fit in registers at once.
    const REGISTERS: usize = Self::MACHINE.registers;
    /// Whether multiplication and addition fuse: one rounding instead of two.
    const FMA: bool;

    /// Runs `code` as a function of its own, compiled for this instruction set. Large bodies with many callers go this
    /// way, so that they are compiled once.
    unsafe fn call<T: Outlined>(code: &T);
    /// All zeros.
    unsafe fn zero() -> Self::Vector;
    /// The same number in all lanes.
    unsafe fn splat(x: f32) -> Self::Vector;
    /// The number at `p` in all lanes.
    unsafe fn broadcast(p: *const f32) -> Self::Vector;
    /// The numbers at `p`, `p + 1`, ..
    unsafe fn load(p: *const f32) -> Self::Vector;
    /// The first `n <= LANES` numbers at `p`, zeros in the other lanes; touches no memory beyond.
    unsafe fn load_partial(p: *const f32, n: usize) -> Self::Vector;
    /// Writes all lanes to `p`, `p + 1`, ..
    unsafe fn store(p: *mut f32, x: Self::Vector);
    /// Writes the first `n <= LANES` lanes; touches no memory beyond.
    unsafe fn store_partial(p: *mut f32, x: Self::Vector, n: usize);
    /// `a + b`
    unsafe fn add(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a - b`
    unsafe fn sub(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b`
    unsafe fn mul(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a * b + c`, fused if [`Simd::FMA`].
    unsafe fn fma(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `sums[v] + a[i] * columns[v]` for each v: one row of a tile. Apart from the operations it is made of so that it
    /// can be kept from holding more than one register beside its operands.
    #[inline(always)]
    unsafe fn fma_row<const NV: usize>(
        a: *const f32,
        i: isize,
        columns: &[Self::Vector; NV],
        sums: &mut [Self::Vector; NV],
    ) {
        // SAFETY: the caller vouches for the CPU and for `a[i]`.
        unsafe {
            let a = Self::broadcast(a.offset(i));
            for v in 0..NV {
                sums[v] = Self::fma(a, columns[v], sums[v]);
            }
        }
    }
    /// Adds the terms of a tile to its sums. Apart from the operations it is made of so that it can be written
    /// instruction by instruction.
    #[inline(always)]
    unsafe fn fma_tile<const MR: usize, const NV: usize>(
        tile: &TileOperands<'_, MR>,
        sums: &mut [[Self::Vector; NV]; MR],
    ) {
        // SAFETY: the caller vouches for the CPU and for both operands.
        unsafe { tile.add::<Self, NV>(sums) }
    }
    /// `sums[v] + b[i..] * columns[v]` for each v, as [`Simd::fma_row`] with a vector in place of one number.
    #[inline(always)]
    unsafe fn fma_vector<const NV: usize>(
        b: *const f32,
        i: isize,
        columns: &[Self::Vector; NV],
        sums: &mut [Self::Vector; NV],
    ) {
        // SAFETY: the caller vouches for the CPU and for the vector at `b + i`.
        unsafe {
            let b = Self::load(b.offset(i));
            for v in 0..NV {
                sums[v] = Self::fma(b, columns[v], sums[v]);
            }
        }
    }
    /// `c + a.1 * b.1 + a.0 * b.0`, where each number of `a` and `b` is a pair of bf16 (see [`bf16`]), and each addition is
    /// rounded to f32; the products are exact.
    #[inline(never)] // slow as it is, and inlined many times it would take long to compile
    unsafe fn fma_pairs(a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        // SAFETY: the caller vouches for the CPU; no vector has more lanes.
        unsafe {
            let [mut x, mut y, mut sums] = [[0.0; MAX_LANES]; 3];
            Self::store(x.as_mut_ptr(), a);
            Self::store(y.as_mut_ptr(), b);
            Self::store(sums.as_mut_ptr(), c);
            for ((sum, &x), &y) in sums.iter_mut().zip(&x).zip(&y).take(Self::LANES) {
                let ([x0, x1], [y0, y1]) = (bf16::halves(x), bf16::halves(y));
                *sum += x1 * y1;
                *sum += x0 * y0;
            }
            Self::load(sums.as_ptr())
        }
    }
    /// Writes all lanes rounded to bf16, neighbours as pairs: half as many numbers as there are lanes.
    #[inline(never)] // slow as it is, and inlined many times it would take long to compile
    unsafe fn store_bf16(p: *mut f32, x: Self::Vector) {
        // SAFETY: the caller vouches for the CPU and for half a vector at `p`; no vector has more lanes.
        unsafe {
            let mut lanes = [0.0; MAX_LANES];
            Self::store(lanes.as_mut_ptr(), x);
            for (i, &x) in lanes.iter().enumerate().take(Self::LANES) {
                p.cast::<u16>().add(i).write_unaligned(bf16::round(x));
            }
        }
    }
    /// Writes all lanes rounded to bf16, each as the first of a pair whose second is zero.
    #[inline(never)] // slow as it is, and inlined many times it would take long to compile
    unsafe fn store_firsts(p: *mut f32, x: Self::Vector) {
        // SAFETY: the caller vouches for the CPU and for a vector at `p`; no vector has more lanes.
        unsafe {
            let mut lanes = [0.0; MAX_LANES];
            Self::store(lanes.as_mut_ptr(), x);
            for (i, &x) in lanes.iter().enumerate().take(Self::LANES) {
                *p.add(i) = f32::from_bits(u32::from(bf16::round(x)));
            }
        }
    }
    /// Adds all lanes, rounded to bf16, as the seconds to pairs that [`Simd::store_firsts`] wrote.
    #[inline(never)] // slow as it is, and inlined many times it would take long to compile
    unsafe fn store_seconds(p: *mut f32, x: Self::Vector) {
        // SAFETY: the caller vouches for the CPU and for a vector at `p`; no vector has more lanes.
        unsafe {
            let mut lanes = [0.0; MAX_LANES];
            Self::store(lanes.as_mut_ptr(), x);
            for (i, &x) in lanes.iter().enumerate().take(Self::LANES) {
                let pair = (*p.add(i)).to_bits() | u32::from(bf16::round(x)) << 16;
                *p.add(i) = f32::from_bits(pair);
            }
        }
    }
    /// Sum of all lanes: the upper half is added to the lower, until one is left.
    unsafe fn sum(x: Self::Vector) -> f32;
    /// [`Simd::sum`] of four vectors, to the bit, in fewer operations where the lanes of all four can be summed at once.
    #[inline(always)]
    unsafe fn sum_four(x: [Self::Vector; 4]) -> [f32; 4] {
        let [a, b, c, d] = x;
        // SAFETY: the caller vouches for the CPU.
        unsafe { [Self::sum(a), Self::sum(b), Self::sum(c), Self::sum(d)] }
    }
    /// Whether any lane is NaN.
    #[inline(always)]
    unsafe fn any_nan(x: Self::Vector) -> bool {
        let mut lanes = [0.0f32; MAX_LANES];
        // SAFETY: the caller vouches for the CPU; no vector has more lanes.
        unsafe { Self::store(lanes.as_mut_ptr(), x) };
        lanes.iter().any(|x| x.is_nan())
    }
    /// `noted`, but NaN where `x` is not finite: a pass that notes all that it makes knows at its end, by
    /// [`Simd::any_nan`], whether some of it is infinite or NaN.
    #[inline(always)]
    unsafe fn note(x: Self::Vector, noted: Self::Vector) -> Self::Vector {
        // SAFETY: the caller vouches for the CPU.
        unsafe { Self::fma(x, Self::zero(), noted) }
    }
    /// Transposes an 8 x 8 block: `to[j * to_stride + i] = from[i * from_stride + j]`.
    unsafe fn transpose8(from: *const f32, from_stride: isize, to: *mut f32, to_stride: isize);

    /// The same number, which the compiler takes for a new one. An unrolled body that computes many addresses from few
    /// strides hides them inside of its loop, or the compiler keeps all the addresses from round to round, in memory.
    #[inline(always)]
    fn hide(x: usize) -> usize {
        x
    }

    /// Fetches what is at `p`, which may be no valid address, into the first-level cache.
    #[inline(always)]
    fn prefetch(p: *const f32) {
        let _ = p;
    }

    /// `a * b + c` of single numbers, fused if [`Simd::FMA`], and never a library call.
    #[inline(always)]
    fn scalar_fma(a: f32, b: f32, c: f32) -> f32 {
        if Self::FMA {
            a.mul_add(b, c)
        } else {
            a * b + c
        }
    }
}

#[cfg(test)]
mod tests;
