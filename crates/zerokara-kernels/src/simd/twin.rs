//! Twins: the shapes of instruction sets in portable code, so that what is chosen for them runs on any machine.

use super::{Lanes, MAX_WIDTH, Outlined, Portable, Simd, Terms, TileOperands};
use crate::{isa::Isa, machine::Machine};

/// `L` lanes, of AVX2 or AVX-512, whose products and sums are rounded once as the instructions round them. Its operations
/// are not inlined: tiles of arrays take minutes to compile.
#[derive(Clone, Copy, Debug)]
pub struct Twin<const L: usize>;

/// The twin of AVX2.
pub type Avx2Twin = Twin<8>;
/// The twin of AVX-512.
pub type Avx512Twin = Twin<16>;

/// `sums[v] + a * columns[v]` for each v, rounded once: by the instruction where the CPU has it, else by the library. One
/// function for however many there are, so that tiles are quick to compile.
#[inline(never)]
fn fused<const L: usize>(a: &[f32; L], columns: &[[f32; L]], sums: &mut [[f32; L]]) {
    #[inline(always)]
    fn lane_by_lane<const L: usize>(a: &[f32; L], columns: &[[f32; L]], sums: &mut [[f32; L]]) {
        for (sum, column) in sums.iter_mut().zip(columns) {
            for ((sum, a), x) in sum.iter_mut().zip(a).zip(column) {
                *sum = a.mul_add(*x, *sum);
            }
        }
    }
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "avx2,fma")]
        fn by_instruction<const L: usize>(
            a: &[f32; L],
            columns: &[[f32; L]],
            sums: &mut [[f32; L]],
        ) {
            lane_by_lane(a, columns, sums);
        }
        if Isa::Avx2.is_available() {
            // SAFETY: the CPU has it.
            return unsafe { by_instruction(a, columns, sums) };
        }
    }
    lane_by_lane(a, columns, sums);
}

/// One term of a tile whose rows have `width` sums each.
///
/// # Safety
///
/// There must be numbers at `offset` from each of the rows, and `width` vectors at `panel`.
#[inline(never)]
unsafe fn term<const L: usize>(
    rows: &[*const f32],
    offset: isize,
    panel: *const f32,
    width: usize,
    sums: &mut [[f32; L]],
) {
    let mut columns = [[0.0; L]; MAX_WIDTH];
    for (v, column) in columns.iter_mut().enumerate().take(width) {
        // SAFETY: the caller vouches for the panel.
        *column = unsafe { Portable::<L>::load(panel.add(v * L)) };
    }
    for (&row, sums) in rows.iter().zip(sums.chunks_exact_mut(width)) {
        // SAFETY: the caller vouches for the rows.
        let a = [unsafe { *row.offset(offset) }; L];
        fused(&a, &columns[..width], sums);
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
    unsafe fn fma(a: [f32; L], b: [f32; L], c: [f32; L]) -> [f32; L] {
        let mut sum = [c];
        fused(&a, &[b], &mut sum);
        sum[0]
    }
    #[inline(never)]
    unsafe fn fma_row<const NV: usize>(
        a: *const f32,
        i: isize,
        columns: &[[f32; L]; NV],
        sums: &mut [[f32; L]; NV],
    ) {
        // SAFETY: the caller vouches for `a[i]`.
        fused(&[unsafe { *a.offset(i) }; L], columns, sums);
    }
    #[inline(never)]
    unsafe fn fma_vector<const NV: usize>(
        b: *const f32,
        i: isize,
        columns: &[[f32; L]; NV],
        sums: &mut [[f32; L]; NV],
    ) {
        // SAFETY: the caller vouches for the vector at `b + i`.
        fused(&unsafe { Portable::<L>::load(b.offset(i)) }, columns, sums);
    }
    #[inline(never)]
    unsafe fn fma_tile<const MR: usize, const NV: usize>(
        tile: &TileOperands<'_, MR>,
        sums: &mut [[[f32; L]; NV]; MR],
    ) {
        let sums = sums.as_flattened_mut();
        let mut panel = tile.panel;
        let mut add = |offset| {
            // SAFETY: the caller vouches for both operands.
            unsafe { term(&tile.rows, offset, panel, NV, sums) };
            panel = panel.wrapping_offset(tile.panel_step);
        };
        match tile.terms {
            Terms::Spaced { step, depth } => (0..depth as isize).for_each(|k| add(k * step)),
            Terms::Listed(offsets) => offsets.iter().copied().for_each(add),
        }
    }
    #[inline(never)]
    fn scalar_fma(a: f32, b: f32, c: f32) -> f32 {
        let mut sum = [[c]];
        fused(&[a], &[[b]], &mut sum);
        sum[0][0]
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
