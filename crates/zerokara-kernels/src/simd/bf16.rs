//! Pairs of bf16, of which each takes the place of one f32.
//!
//! bf16 is the upper half of an f32: its sign, its exponent and seven bits. A number of 32 bits holds two of them, of
//! which the first is in the lower half. Tiles of matrix products that multiply such numbers by [`Pairs`] sum two
//! products at a time, in f32, and otherwise run as they do with f32.

use super::{Outlined, Simd};
use crate::machine::Machine;
use std::marker::PhantomData;

/// The bf16 nearest to `x`, ties to even. As the instruction does, numbers too small for a full f32 become zero.
#[inline]
pub fn round(x: f32) -> u16 {
    let bits = x.to_bits();
    if x.is_nan() {
        // Quiet, whatever the lower half was.
        return (bits >> 16) as u16 | 0x40;
    }
    if x.is_subnormal() {
        return (bits >> 16) as u16 & 0x8000;
    }
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// The two numbers of a pair.
#[inline]
pub fn halves(pair: f32) -> [f32; 2] {
    let bits = pair.to_bits();
    [
        f32::from_bits(bits << 16),
        f32::from_bits(bits & 0xffff_0000),
    ]
}

/// The vectors of `S` where tiles multiply them: each number is a pair of bf16, and [`Simd::fma`] is
/// [`Simd::fma_pairs`]. What is summed, added and stored are f32.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<S>(PhantomData<S>);

/// Code of `S` that is run as code of `Pairs<S>`.
struct InPairs<'a, T>(&'a T);

impl<T: Outlined> Outlined for InPairs<'_, T> {
    #[inline(always)]
    unsafe fn run<S: Simd>(&self) {
        // SAFETY: passed on.
        unsafe { self.0.run::<Pairs<S>>() }
    }
}

// SAFETY (all blocks): passed on.
#[allow(clippy::missing_safety_doc, clippy::undocumented_unsafe_blocks)]
impl<S: Simd> Simd for Pairs<S> {
    type Vector = S::Vector;
    const MACHINE: Machine = S::MACHINE;
    const FMA: bool = S::FMA;

    #[inline(always)]
    unsafe fn call<T: Outlined>(code: &T) {
        unsafe { S::call(&InPairs(code)) }
    }
    #[inline(always)]
    unsafe fn zero() -> S::Vector {
        unsafe { S::zero() }
    }
    #[inline(always)]
    unsafe fn splat(x: f32) -> S::Vector {
        unsafe { S::splat(x) }
    }
    #[inline(always)]
    unsafe fn broadcast(p: *const f32) -> S::Vector {
        unsafe { S::broadcast(p) }
    }
    #[inline(always)]
    unsafe fn load(p: *const f32) -> S::Vector {
        unsafe { S::load(p) }
    }
    #[inline(always)]
    unsafe fn load_partial(p: *const f32, n: usize) -> S::Vector {
        unsafe { S::load_partial(p, n) }
    }
    #[inline(always)]
    unsafe fn store(p: *mut f32, x: S::Vector) {
        unsafe { S::store(p, x) }
    }
    #[inline(always)]
    unsafe fn store_partial(p: *mut f32, x: S::Vector, n: usize) {
        unsafe { S::store_partial(p, x, n) }
    }
    #[inline(always)]
    unsafe fn add(a: S::Vector, b: S::Vector) -> S::Vector {
        unsafe { S::add(a, b) }
    }
    #[inline(always)]
    unsafe fn sub(a: S::Vector, b: S::Vector) -> S::Vector {
        unsafe { S::sub(a, b) }
    }
    #[inline(always)]
    unsafe fn mul(a: S::Vector, b: S::Vector) -> S::Vector {
        unsafe { S::mul(a, b) }
    }
    #[inline(always)]
    unsafe fn fma(a: S::Vector, b: S::Vector, c: S::Vector) -> S::Vector {
        unsafe { S::fma_pairs(a, b, c) }
    }
    #[inline(always)]
    unsafe fn sum(x: S::Vector) -> f32 {
        unsafe { S::sum(x) }
    }
    #[inline(always)]
    unsafe fn transpose8(from: *const f32, from_stride: isize, to: *mut f32, to_stride: isize) {
        unsafe { S::transpose8(from, from_stride, to, to_stride) }
    }
    #[inline(always)]
    fn hide(x: usize) -> usize {
        S::hide(x)
    }
    #[inline(always)]
    fn prefetch(p: *const f32) {
        S::prefetch(p)
    }
}

#[cfg(target_arch = "x86_64")]
pub use avx512::Avx512Bf16;

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::super::{Avx512, Outlined, Simd};
    use crate::machine::Machine;
    use core::arch::x86_64::*;
    use std::mem::transmute;

    /// Vectors of 16 numbers on x86-64 with AVX-512 and AVX512-BF16: [`Avx512`], and instructions for bf16.
    #[derive(Clone, Copy, Debug)]
    pub struct Avx512Bf16;

    /// The sixteen numbers rounded.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bf16")]
    fn rounded(x: __m512) -> __m256i {
        // SAFETY: both are 256 bits.
        unsafe { transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(x)) }
    }

    // SAFETY (all blocks): the caller vouches for the CPU and for the pointers, as the trait asks.
    #[allow(clippy::missing_safety_doc, clippy::undocumented_unsafe_blocks)]
    impl Simd for Avx512Bf16 {
        type Vector = __m512;
        const MACHINE: Machine = Avx512::MACHINE;
        const FMA: bool = true;

        #[inline(always)]
        unsafe fn call<T: Outlined>(code: &T) {
            #[inline(never)]
            #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx512bf16,avx2,fma")]
            unsafe fn compiled<T: Outlined>(code: &T) {
                unsafe { code.run::<Avx512Bf16>() }
            }
            unsafe { compiled(code) }
        }
        #[inline(always)]
        unsafe fn zero() -> __m512 {
            unsafe { Avx512::zero() }
        }
        #[inline(always)]
        unsafe fn splat(x: f32) -> __m512 {
            unsafe { Avx512::splat(x) }
        }
        #[inline(always)]
        unsafe fn broadcast(p: *const f32) -> __m512 {
            unsafe { Avx512::broadcast(p) }
        }
        #[inline(always)]
        unsafe fn load(p: *const f32) -> __m512 {
            unsafe { Avx512::load(p) }
        }
        #[inline(always)]
        unsafe fn load_partial(p: *const f32, n: usize) -> __m512 {
            unsafe { Avx512::load_partial(p, n) }
        }
        #[inline(always)]
        unsafe fn store(p: *mut f32, x: __m512) {
            unsafe { Avx512::store(p, x) }
        }
        #[inline(always)]
        unsafe fn store_partial(p: *mut f32, x: __m512, n: usize) {
            unsafe { Avx512::store_partial(p, x, n) }
        }
        #[inline(always)]
        unsafe fn add(a: __m512, b: __m512) -> __m512 {
            unsafe { Avx512::add(a, b) }
        }
        #[inline(always)]
        unsafe fn sub(a: __m512, b: __m512) -> __m512 {
            unsafe { Avx512::sub(a, b) }
        }
        #[inline(always)]
        unsafe fn mul(a: __m512, b: __m512) -> __m512 {
            unsafe { Avx512::mul(a, b) }
        }
        #[inline(always)]
        unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe { Avx512::fma(a, b, c) }
        }
        #[inline(always)]
        unsafe fn fma_pairs(a: __m512, b: __m512, c: __m512) -> __m512 {
            unsafe {
                let a = transmute::<__m512, __m512bh>(a);
                let b = transmute::<__m512, __m512bh>(b);
                _mm512_dpbf16_ps(c, a, b)
            }
        }
        #[inline(always)]
        unsafe fn store_bf16(p: *mut f32, x: __m512) {
            unsafe { _mm256_storeu_si256(p.cast(), rounded(x)) }
        }
        #[inline(always)]
        unsafe fn store_firsts(p: *mut f32, x: __m512) {
            unsafe { _mm512_storeu_si512(p.cast(), _mm512_cvtepu16_epi32(rounded(x))) }
        }
        #[inline(always)]
        unsafe fn store_seconds(p: *mut f32, x: __m512) {
            unsafe {
                let seconds = _mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(rounded(x)));
                let firsts = _mm512_loadu_si512(p.cast());
                _mm512_storeu_si512(p.cast(), _mm512_or_si512(firsts, seconds));
            }
        }
        #[inline(always)]
        unsafe fn any_nan(x: __m512) -> bool {
            unsafe { Avx512::any_nan(x) }
        }
        #[inline(always)]
        unsafe fn sum(x: __m512) -> f32 {
            unsafe { Avx512::sum(x) }
        }
        #[inline(always)]
        unsafe fn sum_four(x: [__m512; 4]) -> [f32; 4] {
            unsafe { Avx512::sum_four(x) }
        }
        #[inline(always)]
        unsafe fn transpose8(from: *const f32, from_stride: isize, to: *mut f32, to_stride: isize) {
            unsafe { Avx512::transpose8(from, from_stride, to, to_stride) }
        }
        #[inline(always)]
        fn hide(x: usize) -> usize {
            Avx512::hide(x)
        }
        #[inline(always)]
        fn prefetch(p: *const f32) {
            Avx512::prefetch(p)
        }
    }
}
