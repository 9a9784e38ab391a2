//! Vectors as arrays, for the compiler to turn into whatever the target guarantees.

use super::{Outlined, Simd};
use crate::{isa::Isa, machine::Machine};

/// Vectors of `L` numbers in plain Rust; `Portable<8>` is the kernels' fallback.
#[derive(Clone, Copy, Debug)]
pub struct Portable<const L: usize>;

#[allow(clippy::missing_safety_doc)] // see the trait
impl<const L: usize> Simd for Portable<L> {
    type Vector = [f32; L];
    const MACHINE: Machine = Machine {
        lanes: L,
        ..Machine::of(Isa::Portable)
    };
    const FMA: bool = cfg!(any(target_arch = "aarch64", target_feature = "fma"));

    #[inline(never)]
    unsafe fn call<T: Outlined>(code: &T) {
        // SAFETY: passed on.
        unsafe { code.run::<Self>() }
    }

    #[inline(always)]
    unsafe fn zero() -> [f32; L] {
        [0.0; L]
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> [f32; L] {
        [x; L]
    }

    #[inline(always)]
    unsafe fn broadcast(p: *const f32) -> [f32; L] {
        // SAFETY: the caller vouches for one number at `p`.
        [unsafe { *p }; L]
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> [f32; L] {
        // SAFETY: the caller vouches for L numbers at `p`; arrays of f32 are aligned as f32.
        unsafe { p.cast::<[f32; L]>().read() }
    }

    #[inline(always)]
    unsafe fn load_partial(p: *const f32, n: usize) -> [f32; L] {
        let mut x = [0.0; L];
        for (i, x) in x.iter_mut().enumerate() {
            if i < n {
                // SAFETY: the caller vouches for n numbers at `p`.
                *x = unsafe { *p.add(i) };
            }
        }
        x
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, x: [f32; L]) {
        // SAFETY: the caller vouches for L numbers at `p`; arrays of f32 are aligned as f32.
        unsafe { p.cast::<[f32; L]>().write(x) }
    }

    #[inline(always)]
    unsafe fn store_partial(p: *mut f32, x: [f32; L], n: usize) {
        for (i, &x) in x.iter().enumerate() {
            if i < n {
                // SAFETY: the caller vouches for n numbers at `p`.
                unsafe { *p.add(i) = x };
            }
        }
    }

    #[inline(always)]
    unsafe fn add(mut a: [f32; L], b: [f32; L]) -> [f32; L] {
        for i in 0..L {
            a[i] += b[i];
        }
        a
    }

    #[inline(always)]
    unsafe fn sub(mut a: [f32; L], b: [f32; L]) -> [f32; L] {
        for i in 0..L {
            a[i] -= b[i];
        }
        a
    }

    #[inline(always)]
    unsafe fn mul(mut a: [f32; L], b: [f32; L]) -> [f32; L] {
        for i in 0..L {
            a[i] *= b[i];
        }
        a
    }

    #[inline(always)]
    unsafe fn fma(a: [f32; L], b: [f32; L], mut c: [f32; L]) -> [f32; L] {
        for i in 0..L {
            c[i] = Self::scalar_fma(a[i], b[i], c[i]);
        }
        c
    }

    #[inline(always)]
    unsafe fn sum(mut x: [f32; L]) -> f32 {
        let mut half = L / 2;
        while half > 0 {
            for i in 0..half {
                x[i] += x[i + half];
            }
            half /= 2;
        }
        x[0]
    }

    #[inline(always)]
    unsafe fn transpose8(from: *const f32, from_stride: isize, to: *mut f32, to_stride: isize) {
        for i in 0..8 {
            for j in 0..8 {
                // SAFETY: the caller vouches for both blocks.
                unsafe { *to.offset(j * to_stride + i) = *from.offset(i * from_stride + j) };
            }
        }
    }
}
