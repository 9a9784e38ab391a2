//! Vectors of f32: one trait, one implementation for each instruction set.
//!
//! The operations are static functions of a marker type `S: Simd`, all `#[inline(always)]`, so that a body generic
//! over `S` compiles to plain vector instructions inside the functions made by `multiversion!`.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
#[cfg(test)]
mod twin;

#[cfg(target_arch = "x86_64")]
pub use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512;
pub use portable::Portable;
#[cfg(test)]
pub(crate) use twin::Twin;

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
    /// Numbers in a vector.
    const LANES: usize;
    /// Vectors that fit in registers at once.
    const REGISTERS: usize;
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
    /// Sum of all lanes: the upper half is added to the lower, until one is left.
    unsafe fn sum(x: Self::Vector) -> f32;
    /// [`Simd::sum`] of four vectors, to the bit, in fewer operations where the lanes of all four can be summed at once.
    #[inline(always)]
    unsafe fn sum_four(x: [Self::Vector; 4]) -> [f32; 4] {
        let [a, b, c, d] = x;
        // SAFETY: the caller vouches for the CPU.
        unsafe { [Self::sum(a), Self::sum(b), Self::sum(c), Self::sum(d)] }
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
