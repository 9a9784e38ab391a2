//! AVX-512: 16 lanes.

use super::{Avx2, Outlined, Simd};
use crate::{isa::Isa, machine::Machine};
use core::arch::x86_64::*;

/// Vectors of 16 numbers on x86-64 with AVX-512.
#[derive(Clone, Copy, Debug)]
pub struct Avx512;

/// The first `n <= 16` lanes.
#[inline(always)]
fn mask(n: usize) -> __mmask16 {
    ((1u32 << n) - 1) as u16
}

// SAFETY (all blocks): the caller vouches for the CPU and for the pointers, as the trait asks.
#[allow(clippy::missing_safety_doc, clippy::undocumented_unsafe_blocks)]
impl Simd for Avx512 {
    type Vector = __m512;
    const MACHINE: Machine = Machine::of(Isa::Avx512);
    const FMA: bool = true;

    #[inline(always)]
    unsafe fn call<T: Outlined>(code: &T) {
        #[inline(never)]
        #[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
        unsafe fn compiled<T: Outlined>(code: &T) {
            unsafe { code.run::<Avx512>() }
        }
        unsafe { compiled(code) }
    }

    #[inline(always)]
    unsafe fn zero() -> __m512 {
        unsafe { _mm512_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m512 {
        unsafe { _mm512_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn broadcast(p: *const f32) -> __m512 {
        unsafe { _mm512_set1_ps(*p) }
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m512 {
        unsafe { _mm512_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn load_partial(p: *const f32, n: usize) -> __m512 {
        unsafe { _mm512_maskz_loadu_ps(mask(n), p) }
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, x: __m512) {
        unsafe { _mm512_storeu_ps(p, x) }
    }

    #[inline(always)]
    unsafe fn store_partial(p: *mut f32, x: __m512, n: usize) {
        unsafe { _mm512_mask_storeu_ps(p, mask(n), x) }
    }

    #[inline(always)]
    unsafe fn add(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m512, b: __m512) -> __m512 {
        unsafe { _mm512_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: __m512, b: __m512, c: __m512) -> __m512 {
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn any_nan(x: __m512) -> bool {
        unsafe { _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(x, x) != 0 }
    }

    #[inline(always)]
    unsafe fn sum(x: __m512) -> f32 {
        unsafe {
            Avx2::sum(_mm256_add_ps(
                _mm512_castps512_ps256(x),
                _mm512_extractf32x8_ps::<1>(x),
            ))
        }
    }

    #[inline(always)]
    unsafe fn sum_four([a, b, c, d]: [__m512; 4]) -> [f32; 4] {
        unsafe {
            macro_rules! halves {
                ($($x:ident)*) => {
                    [$(_mm256_add_ps(_mm512_castps512_ps256($x), _mm512_extractf32x8_ps::<1>($x))),*]
                };
            }
            Avx2::sum_four(halves!(a b c d))
        }
    }

    #[inline(always)]
    fn hide(mut x: usize) -> usize {
        unsafe {
            core::arch::asm!("/* {0} */", inout(reg) x, options(pure, nomem, nostack, preserves_flags))
        };
        x
    }

    #[inline(always)]
    fn prefetch(p: *const f32) {
        unsafe { _mm_prefetch::<_MM_HINT_T0>(p.cast()) };
    }

    #[inline(always)]
    unsafe fn transpose8(from: *const f32, from_stride: isize, to: *mut f32, to_stride: isize) {
        unsafe { Avx2::transpose8(from, from_stride, to, to_stride) }
    }
}
