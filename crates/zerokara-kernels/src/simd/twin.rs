//! Twins: the shapes of instruction sets in portable code, so that what is chosen for them runs on any machine.

use super::{Outlined, Portable, Simd};
use crate::{isa::Isa, machine::Machine, map::lanes::Lanes};

/// `L` lanes, of AVX2 or AVX-512, whose products and sums are rounded once as the instructions round them. Its operations
/// are not inlined: tiles of arrays take minutes to compile.
#[derive(Clone, Copy, Debug)]
pub struct Twin<const L: usize>;

/// The twin of AVX2.
pub type Avx2Twin = Twin<8>;
/// The twin of AVX-512.
pub type Avx512Twin = Twin<16>;

/// `a * b + c` of each lane, rounded once: by the instruction where the CPU has it, else by the library.
#[inline(never)]
fn fused<const L: usize>(a: &[f32; L], b: &[f32; L], c: &mut [f32; L]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn by_instruction<const L: usize>(a: &[f32; L], b: &[f32; L], c: &mut [f32; L]) {
            for i in 0..L {
                c[i] = a[i].mul_add(b[i], c[i]);
            }
        }
        if Isa::Avx2.is_available() {
            // SAFETY: the CPU has it.
            return unsafe { by_instruction(a, b, c) };
        }
    }
    for i in 0..L {
        c[i] = a[i].mul_add(b[i], c[i]);
    }
}

/// Passes operations on to portable vectors.
macro_rules! passed_on {
    ($($name:ident($($x:ident: $t:ty),*) $(-> $ret:ty)?;)*) => {
        $(
            #[inline(never)]
            unsafe fn $name($($x: $t),*) $(-> $ret)? {
                // SAFETY: passed on.
                unsafe { Portable::<L>::$name($($x),*) }
            }
        )*
    };
}

#[allow(clippy::missing_safety_doc)] // see the trait
impl<const L: usize> Simd for Twin<L> {
    type Vector = [f32; L];
    const MACHINE: Machine = Machine::of(if L == 8 { Isa::Avx2 } else { Isa::Avx512 });
    const FMA: bool = true;

    #[inline(never)]
    unsafe fn call<T: Outlined>(code: &T) {
        // SAFETY: passed on.
        unsafe { code.run::<Self>() }
    }
    #[inline(never)]
    unsafe fn fma(a: [f32; L], b: [f32; L], mut c: [f32; L]) -> [f32; L] {
        fused(&a, &b, &mut c);
        c
    }
    #[inline(never)]
    fn scalar_fma(a: f32, b: f32, c: f32) -> f32 {
        let mut sum = [c];
        fused(&[a], &[b], &mut sum);
        sum[0]
    }
    passed_on! {
        zero() -> [f32; L];
        splat(x: f32) -> [f32; L];
        broadcast(p: *const f32) -> [f32; L];
        load(p: *const f32) -> [f32; L];
        load_partial(p: *const f32, n: usize) -> [f32; L];
        store(p: *mut f32, x: [f32; L]);
        store_partial(p: *mut f32, x: [f32; L], n: usize);
        add(a: [f32; L], b: [f32; L]) -> [f32; L];
        sub(a: [f32; L], b: [f32; L]) -> [f32; L];
        mul(a: [f32; L], b: [f32; L]) -> [f32; L];
        any_nan(x: [f32; L]) -> bool;
        sum(x: [f32; L]) -> f32;
        transpose8(from: *const f32, from_stride: isize, to: *mut f32, to_stride: isize);
    }
}

impl<const L: usize> Lanes for Twin<L> {
    type Ints = [i32; L];
    type Mask = [i32; L];

    #[inline(never)]
    unsafe fn shift_left<const N: i32, const U: u32>(a: [i32; L]) -> [i32; L] {
        // SAFETY: passed on.
        unsafe { Portable::<L>::shift_left::<N, U>(a) }
    }
    #[inline(never)]
    unsafe fn shift_right<const N: i32, const U: u32>(a: [i32; L]) -> [i32; L] {
        // SAFETY: passed on.
        unsafe { Portable::<L>::shift_right::<N, U>(a) }
    }
    passed_on! {
        div(a: [f32; L], b: [f32; L]) -> [f32; L];
        sqrt(a: [f32; L]) -> [f32; L];
        floor(a: [f32; L]) -> [f32; L];
        max(a: [f32; L], b: [f32; L]) -> [f32; L];
        min(a: [f32; L], b: [f32; L]) -> [f32; L];
        bits(a: [f32; L]) -> [i32; L];
        from_bits(a: [i32; L]) -> [f32; L];
        to_float(a: [i32; L]) -> [f32; L];
        int(x: i32) -> [i32; L];
        int_add(a: [i32; L], b: [i32; L]) -> [i32; L];
        int_sub(a: [i32; L], b: [i32; L]) -> [i32; L];
        int_and(a: [i32; L], b: [i32; L]) -> [i32; L];
        int_or(a: [i32; L], b: [i32; L]) -> [i32; L];
        int_eq(a: [i32; L], b: [i32; L]) -> [i32; L];
        lt(a: [f32; L], b: [f32; L]) -> [i32; L];
        le(a: [f32; L], b: [f32; L]) -> [i32; L];
        eq(a: [f32; L], b: [f32; L]) -> [i32; L];
        not_le(a: [f32; L], b: [f32; L]) -> [i32; L];
        ne(a: [f32; L], b: [f32; L]) -> [i32; L];
        and(a: [i32; L], b: [i32; L]) -> [i32; L];
        or(a: [i32; L], b: [i32; L]) -> [i32; L];
        any(a: [i32; L]) -> bool;
        select(mask: [i32; L], yes: [f32; L], no: [f32; L]) -> [f32; L];
        load_byte_ints(p: *const u8) -> [i32; L];
        interleave(a: [f32; L], b: [f32; L]) -> [[f32; L]; 2];
        separate(a: [f32; L], b: [f32; L]) -> [[f32; L]; 2];
        load_halves(p: *const u8) -> [i32; L];
        store_low_bytes(p: *mut u8, a: [i32; L]);
        store_low_halves(p: *mut u8, a: [i32; L]);
    }
}
