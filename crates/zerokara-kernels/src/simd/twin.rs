//! The shape of AVX-512 in portable code, so that its tiles are tested on any machine.

use super::{Outlined, Portable, Simd};

/// 16 lanes and 32 registers. Its operations are not inlined: tiles of sixteen-number arrays take minutes to compile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Twin;

type Base = Portable<16>;

// SAFETY (all blocks): passed on.
#[allow(clippy::undocumented_unsafe_blocks)]
impl Simd for Twin {
    type Vector = [f32; 16];
    const LANES: usize = 16;
    const REGISTERS: usize = 32;
    const FMA: bool = Base::FMA;

    #[inline(never)]
    unsafe fn call<T: Outlined>(code: &T) {
        unsafe { code.run::<Self>() }
    }
    #[inline(never)]
    unsafe fn zero() -> [f32; 16] {
        unsafe { Base::zero() }
    }
    #[inline(never)]
    unsafe fn splat(x: f32) -> [f32; 16] {
        unsafe { Base::splat(x) }
    }
    #[inline(never)]
    unsafe fn broadcast(p: *const f32) -> [f32; 16] {
        unsafe { Base::broadcast(p) }
    }
    #[inline(never)]
    unsafe fn load(p: *const f32) -> [f32; 16] {
        unsafe { Base::load(p) }
    }
    #[inline(never)]
    unsafe fn load_partial(p: *const f32, n: usize) -> [f32; 16] {
        unsafe { Base::load_partial(p, n) }
    }
    #[inline(never)]
    unsafe fn store(p: *mut f32, x: [f32; 16]) {
        unsafe { Base::store(p, x) }
    }
    #[inline(never)]
    unsafe fn store_partial(p: *mut f32, x: [f32; 16], n: usize) {
        unsafe { Base::store_partial(p, x, n) }
    }
    #[inline(never)]
    unsafe fn add(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        unsafe { Base::add(a, b) }
    }
    #[inline(never)]
    unsafe fn sub(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        unsafe { Base::sub(a, b) }
    }
    #[inline(never)]
    unsafe fn mul(a: [f32; 16], b: [f32; 16]) -> [f32; 16] {
        unsafe { Base::mul(a, b) }
    }
    #[inline(never)]
    unsafe fn fma(a: [f32; 16], b: [f32; 16], c: [f32; 16]) -> [f32; 16] {
        unsafe { Base::fma(a, b, c) }
    }
    #[inline(never)]
    unsafe fn sum(x: [f32; 16]) -> f32 {
        unsafe { Base::sum(x) }
    }
    #[inline(never)]
    unsafe fn transpose8(from: *const f32, from_stride: isize, to: *mut f32, to_stride: isize) {
        unsafe { Base::transpose8(from, from_stride, to, to_stride) }
    }
}
