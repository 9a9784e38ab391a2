//! What elementwise functions and reductions need of a vector beyond [`Simd`]: comparison, selection and the bits of its lanes.

use super::{Portable, Simd};

/// Operations on the lanes of a vector, for elementwise functions.
///
/// # Safety
///
/// As for [`Simd`]: the CPU must have the instruction set.
#[allow(clippy::missing_safety_doc)] // the same for all, told above
pub(crate) trait Lanes: Simd {
    /// Bits of the lanes, as 32-bit integers.
    type Ints: Copy;
    /// A truth value for each lane.
    type Mask: Copy;

    unsafe fn div(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    unsafe fn sqrt(a: Self::Vector) -> Self::Vector;
    unsafe fn floor(a: Self::Vector) -> Self::Vector;
    /// `if a > b { a } else { b }`: b if either is NaN.
    unsafe fn max(a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `if a < b { a } else { b }`: b if either is NaN.
    unsafe fn min(a: Self::Vector, b: Self::Vector) -> Self::Vector;

    unsafe fn bits(a: Self::Vector) -> Self::Ints;
    unsafe fn from_bits(a: Self::Ints) -> Self::Vector;
    unsafe fn to_float(a: Self::Ints) -> Self::Vector;
    unsafe fn int(x: i32) -> Self::Ints;
    unsafe fn int_add(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn int_sub(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn int_and(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn int_or(a: Self::Ints, b: Self::Ints) -> Self::Ints;
    unsafe fn shift_left<const N: i32, const U: u32>(a: Self::Ints) -> Self::Ints;
    /// Copies the sign into the free bits.
    unsafe fn shift_right<const N: i32, const U: u32>(a: Self::Ints) -> Self::Ints;
    unsafe fn int_eq(a: Self::Ints, b: Self::Ints) -> Self::Mask;

    unsafe fn lt(a: Self::Vector, b: Self::Vector) -> Self::Mask;
    unsafe fn le(a: Self::Vector, b: Self::Vector) -> Self::Mask;
    unsafe fn eq(a: Self::Vector, b: Self::Vector) -> Self::Mask;
    /// True if `a > b`, or if either is NaN.
    unsafe fn not_le(a: Self::Vector, b: Self::Vector) -> Self::Mask;
    /// True if either is NaN.
    unsafe fn ne(a: Self::Vector, b: Self::Vector) -> Self::Mask;
    unsafe fn and(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    unsafe fn or(a: Self::Mask, b: Self::Mask) -> Self::Mask;
    unsafe fn any(a: Self::Mask) -> bool;
    unsafe fn select(mask: Self::Mask, yes: Self::Vector, no: Self::Vector) -> Self::Vector;
    /// One byte for each lane, to as many numbers.
    #[inline(always)]
    unsafe fn load_bytes(p: *const u8) -> Self::Vector {
        // SAFETY: the caller vouches for the CPU and the bytes.
        unsafe { Self::to_float(Self::load_byte_ints(p)) }
    }

    /// One byte for each lane, to as many integers.
    unsafe fn load_byte_ints(p: *const u8) -> Self::Ints;
    /// `a[0], b[0], a[1], b[1], ..`
    unsafe fn interleave(a: Self::Vector, b: Self::Vector) -> [Self::Vector; 2];
    /// `a[0], a[2], .., b[0], b[2], ..` and `a[1], a[3], .., b[1], b[3], ..`
    unsafe fn separate(a: Self::Vector, b: Self::Vector) -> [Self::Vector; 2];
    /// Two bytes for each lane, the lower one first, to as many integers.
    unsafe fn load_halves(p: *const u8) -> Self::Ints;
    /// The lowest byte of each lane.
    unsafe fn store_low_bytes(p: *mut u8, a: Self::Ints);
    /// The two lowest bytes of each lane, the lowest first; none may be above `u16::MAX`.
    unsafe fn store_low_halves(p: *mut u8, a: Self::Ints);

    /// `yes` where the mask holds, else `no`.
    #[inline(always)]
    unsafe fn int_select(mask: Self::Mask, yes: Self::Ints, no: Self::Ints) -> Self::Ints {
        // SAFETY: the caller vouches for the CPU.
        unsafe {
            Self::bits(Self::select(
                mask,
                Self::from_bits(yes),
                Self::from_bits(no),
            ))
        }
    }

    /// 1 where the mask holds, else 0.
    #[inline(always)]
    unsafe fn truth(mask: Self::Mask) -> Self::Vector {
        // SAFETY: the caller vouches for the CPU.
        unsafe { Self::select(mask, Self::splat(1.0), Self::zero()) }
    }

    #[inline(always)]
    unsafe fn abs(a: Self::Vector) -> Self::Vector {
        // SAFETY: the caller vouches for the CPU.
        unsafe { Self::from_bits(Self::int_and(Self::bits(a), Self::int(i32::MAX))) }
    }

    /// The absolute value of `a` with the sign of `b`; `a` is not negative.
    #[inline(always)]
    unsafe fn with_sign(a: Self::Vector, b: Self::Vector) -> Self::Vector {
        // SAFETY: the caller vouches for the CPU.
        unsafe {
            let sign = Self::int_and(Self::bits(b), Self::int(i32::MIN));
            Self::from_bits(Self::int_or(Self::bits(Self::abs(a)), sign))
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::super::{Avx2, Avx512};
    use super::Lanes;
    use core::arch::x86_64::*;

    // SAFETY (all blocks): the caller vouches for the CPU and for the pointers, as the trait asks.
    #[allow(clippy::undocumented_unsafe_blocks)]
    impl Lanes for Avx2 {
        type Ints = __m256i;
        type Mask = __m256;

        #[inline(always)]
        unsafe fn div(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_div_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sqrt(a: __m256) -> __m256 {
            unsafe { _mm256_sqrt_ps(a) }
        }
        #[inline(always)]
        unsafe fn floor(a: __m256) -> __m256 {
            unsafe { _mm256_floor_ps(a) }
        }
        #[inline(always)]
        unsafe fn max(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn min(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_min_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn bits(a: __m256) -> __m256i {
            unsafe { _mm256_castps_si256(a) }
        }
        #[inline(always)]
        unsafe fn from_bits(a: __m256i) -> __m256 {
            unsafe { _mm256_castsi256_ps(a) }
        }
        #[inline(always)]
        unsafe fn to_float(a: __m256i) -> __m256 {
            unsafe { _mm256_cvtepi32_ps(a) }
        }
        #[inline(always)]
        unsafe fn int(x: i32) -> __m256i {
            unsafe { _mm256_set1_epi32(x) }
        }
        #[inline(always)]
        unsafe fn int_add(a: __m256i, b: __m256i) -> __m256i {
            unsafe { _mm256_add_epi32(a, b) }
        }
        #[inline(always)]
        unsafe fn int_sub(a: __m256i, b: __m256i) -> __m256i {
            unsafe { _mm256_sub_epi32(a, b) }
        }
        #[inline(always)]
        unsafe fn int_and(a: __m256i, b: __m256i) -> __m256i {
            unsafe { _mm256_and_si256(a, b) }
        }
        #[inline(always)]
        unsafe fn int_or(a: __m256i, b: __m256i) -> __m256i {
            unsafe { _mm256_or_si256(a, b) }
        }
        #[inline(always)]
        unsafe fn shift_left<const N: i32, const U: u32>(a: __m256i) -> __m256i {
            unsafe { _mm256_slli_epi32::<N>(a) }
        }
        #[inline(always)]
        unsafe fn shift_right<const N: i32, const U: u32>(a: __m256i) -> __m256i {
            unsafe { _mm256_srai_epi32::<N>(a) }
        }
        #[inline(always)]
        unsafe fn int_eq(a: __m256i, b: __m256i) -> __m256 {
            unsafe { _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)) }
        }
        #[inline(always)]
        unsafe fn lt(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_cmp_ps::<_CMP_LT_OQ>(a, b) }
        }
        #[inline(always)]
        unsafe fn le(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_cmp_ps::<_CMP_LE_OQ>(a, b) }
        }
        #[inline(always)]
        unsafe fn eq(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_cmp_ps::<_CMP_EQ_OQ>(a, b) }
        }
        #[inline(always)]
        unsafe fn not_le(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_cmp_ps::<_CMP_NLE_UQ>(a, b) }
        }
        #[inline(always)]
        unsafe fn ne(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_cmp_ps::<_CMP_NEQ_UQ>(a, b) }
        }
        #[inline(always)]
        unsafe fn and(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_and_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn or(a: __m256, b: __m256) -> __m256 {
            unsafe { _mm256_or_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn any(a: __m256) -> bool {
            unsafe { _mm256_movemask_ps(a) != 0 }
        }
        #[inline(always)]
        unsafe fn select(mask: __m256, yes: __m256, no: __m256) -> __m256 {
            unsafe { _mm256_blendv_ps(no, yes, mask) }
        }
        #[inline(always)]
        unsafe fn load_byte_ints(p: *const u8) -> __m256i {
            unsafe { _mm256_cvtepu8_epi32(_mm_loadu_si64(p)) }
        }
        #[inline(always)]
        unsafe fn interleave(a: __m256, b: __m256) -> [__m256; 2] {
            unsafe {
                let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
                [
                    _mm256_permute2f128_ps::<0x20>(low, high),
                    _mm256_permute2f128_ps::<0x31>(low, high),
                ]
            }
        }
        #[inline(always)]
        unsafe fn separate(a: __m256, b: __m256) -> [__m256; 2] {
            unsafe {
                // The first quarters of both halves belong together, and so do the second.
                let in_order = |x| {
                    let x = _mm256_permute4x64_pd::<0b11_01_10_00>(_mm256_castps_pd(x));
                    _mm256_castpd_ps(x)
                };
                [
                    in_order(_mm256_shuffle_ps::<0b10_00_10_00>(a, b)),
                    in_order(_mm256_shuffle_ps::<0b11_01_11_01>(a, b)),
                ]
            }
        }
        #[inline(always)]
        unsafe fn load_halves(p: *const u8) -> __m256i {
            unsafe { _mm256_cvtepu16_epi32(_mm_loadu_si128(p.cast())) }
        }
        #[inline(always)]
        unsafe fn store_low_halves(p: *mut u8, a: __m256i) {
            unsafe {
                // Both halves' four numbers twice; the first of each are picked.
                let packed = _mm256_permute4x64_epi64::<0b1000>(_mm256_packus_epi32(a, a));
                _mm_storeu_si128(p.cast(), _mm256_castsi256_si128(packed));
            }
        }
        #[inline(always)]
        unsafe fn store_low_bytes(p: *mut u8, a: __m256i) {
            unsafe {
                // Each half's four bytes to its front.
                let picks = _mm256_set1_epi32(0x0c08_0400);
                let packed = _mm256_shuffle_epi8(a, picks);
                p.cast::<i32>()
                    .write_unaligned(_mm256_extract_epi32::<0>(packed));
                p.add(4)
                    .cast::<i32>()
                    .write_unaligned(_mm256_extract_epi32::<4>(packed));
            }
        }
    }

    // SAFETY (all blocks): the caller vouches for the CPU and for the pointers, as the trait asks.
    #[allow(clippy::undocumented_unsafe_blocks)]
    impl Lanes for Avx512 {
        type Ints = __m512i;
        type Mask = __mmask16;

        #[inline(always)]
        unsafe fn div(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_div_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn sqrt(a: __m512) -> __m512 {
            unsafe { _mm512_sqrt_ps(a) }
        }
        #[inline(always)]
        unsafe fn floor(a: __m512) -> __m512 {
            unsafe { _mm512_roundscale_ps::<0x09>(a) }
        }
        #[inline(always)]
        unsafe fn max(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_max_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn min(a: __m512, b: __m512) -> __m512 {
            unsafe { _mm512_min_ps(a, b) }
        }
        #[inline(always)]
        unsafe fn bits(a: __m512) -> __m512i {
            unsafe { _mm512_castps_si512(a) }
        }
        #[inline(always)]
        unsafe fn from_bits(a: __m512i) -> __m512 {
            unsafe { _mm512_castsi512_ps(a) }
        }
        #[inline(always)]
        unsafe fn to_float(a: __m512i) -> __m512 {
            unsafe { _mm512_cvtepi32_ps(a) }
        }
        #[inline(always)]
        unsafe fn int(x: i32) -> __m512i {
            unsafe { _mm512_set1_epi32(x) }
        }
        #[inline(always)]
        unsafe fn int_add(a: __m512i, b: __m512i) -> __m512i {
            unsafe { _mm512_add_epi32(a, b) }
        }
        #[inline(always)]
        unsafe fn int_sub(a: __m512i, b: __m512i) -> __m512i {
            unsafe { _mm512_sub_epi32(a, b) }
        }
        #[inline(always)]
        unsafe fn int_and(a: __m512i, b: __m512i) -> __m512i {
            unsafe { _mm512_and_si512(a, b) }
        }
        #[inline(always)]
        unsafe fn int_or(a: __m512i, b: __m512i) -> __m512i {
            unsafe { _mm512_or_si512(a, b) }
        }
        #[inline(always)]
        unsafe fn shift_left<const N: i32, const U: u32>(a: __m512i) -> __m512i {
            unsafe { _mm512_slli_epi32::<U>(a) }
        }
        #[inline(always)]
        unsafe fn shift_right<const N: i32, const U: u32>(a: __m512i) -> __m512i {
            unsafe { _mm512_srai_epi32::<U>(a) }
        }
        #[inline(always)]
        unsafe fn int_eq(a: __m512i, b: __m512i) -> __mmask16 {
            unsafe { _mm512_cmpeq_epi32_mask(a, b) }
        }
        #[inline(always)]
        unsafe fn lt(a: __m512, b: __m512) -> __mmask16 {
            unsafe { _mm512_cmp_ps_mask::<_CMP_LT_OQ>(a, b) }
        }
        #[inline(always)]
        unsafe fn le(a: __m512, b: __m512) -> __mmask16 {
            unsafe { _mm512_cmp_ps_mask::<_CMP_LE_OQ>(a, b) }
        }
        #[inline(always)]
        unsafe fn eq(a: __m512, b: __m512) -> __mmask16 {
            unsafe { _mm512_cmp_ps_mask::<_CMP_EQ_OQ>(a, b) }
        }
        #[inline(always)]
        unsafe fn not_le(a: __m512, b: __m512) -> __mmask16 {
            unsafe { _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(a, b) }
        }
        #[inline(always)]
        unsafe fn ne(a: __m512, b: __m512) -> __mmask16 {
            unsafe { _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(a, b) }
        }
        #[inline(always)]
        unsafe fn and(a: __mmask16, b: __mmask16) -> __mmask16 {
            a & b
        }
        #[inline(always)]
        unsafe fn or(a: __mmask16, b: __mmask16) -> __mmask16 {
            a | b
        }
        #[inline(always)]
        unsafe fn any(a: __mmask16) -> bool {
            a != 0
        }
        #[inline(always)]
        unsafe fn select(mask: __mmask16, yes: __m512, no: __m512) -> __m512 {
            unsafe { _mm512_mask_blend_ps(mask, no, yes) }
        }
        #[inline(always)]
        unsafe fn load_byte_ints(p: *const u8) -> __m512i {
            unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(p.cast())) }
        }
        #[inline(always)]
        unsafe fn interleave(a: __m512, b: __m512) -> [__m512; 2] {
            unsafe {
                // Lanes of b are numbered from 16 on.
                let first =
                    _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
                let second = _mm512_add_epi32(first, _mm512_set1_epi32(8));
                [
                    _mm512_permutex2var_ps(a, first, b),
                    _mm512_permutex2var_ps(a, second, b),
                ]
            }
        }
        #[inline(always)]
        unsafe fn separate(a: __m512, b: __m512) -> [__m512; 2] {
            unsafe {
                let even =
                    _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
                let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
                [
                    _mm512_permutex2var_ps(a, even, b),
                    _mm512_permutex2var_ps(a, odd, b),
                ]
            }
        }
        #[inline(always)]
        unsafe fn load_halves(p: *const u8) -> __m512i {
            unsafe { _mm512_cvtepu16_epi32(_mm256_loadu_si256(p.cast())) }
        }
        #[inline(always)]
        unsafe fn store_low_halves(p: *mut u8, a: __m512i) {
            unsafe { _mm256_storeu_si256(p.cast(), _mm512_cvtepi32_epi16(a)) }
        }
        #[inline(always)]
        unsafe fn store_low_bytes(p: *mut u8, a: __m512i) {
            unsafe { _mm_storeu_si128(p.cast(), _mm512_cvtepi32_epi8(a)) }
        }
    }
}

/// Applies a function to every lane.
macro_rules! lanewise {
    ($i:ident => $e:expr) => {{
        let mut out = [Default::default(); L];
        for $i in 0..L {
            out[$i] = $e;
        }
        out
    }};
}

/// All bits or none, as vector instructions have it.
#[inline(always)]
fn flag(b: bool) -> i32 {
    -i32::from(b)
}

impl<const L: usize> Lanes for Portable<L> {
    type Ints = [i32; L];
    type Mask = [i32; L];

    #[inline(always)]
    unsafe fn div(a: [f32; L], b: [f32; L]) -> [f32; L] {
        lanewise!(i => a[i] / b[i])
    }
    #[inline(always)]
    unsafe fn sqrt(a: [f32; L]) -> [f32; L] {
        lanewise!(i => a[i].sqrt())
    }
    #[inline(always)]
    unsafe fn floor(a: [f32; L]) -> [f32; L] {
        lanewise!(i => a[i].floor())
    }
    #[inline(always)]
    unsafe fn max(a: [f32; L], b: [f32; L]) -> [f32; L] {
        lanewise!(i => if a[i] > b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn min(a: [f32; L], b: [f32; L]) -> [f32; L] {
        lanewise!(i => if a[i] < b[i] { a[i] } else { b[i] })
    }
    #[inline(always)]
    unsafe fn bits(a: [f32; L]) -> [i32; L] {
        lanewise!(i => a[i].to_bits() as i32)
    }
    #[inline(always)]
    unsafe fn from_bits(a: [i32; L]) -> [f32; L] {
        lanewise!(i => f32::from_bits(a[i] as u32))
    }
    #[inline(always)]
    unsafe fn to_float(a: [i32; L]) -> [f32; L] {
        lanewise!(i => a[i] as f32)
    }
    #[inline(always)]
    unsafe fn int(x: i32) -> [i32; L] {
        [x; L]
    }
    #[inline(always)]
    unsafe fn int_add(a: [i32; L], b: [i32; L]) -> [i32; L] {
        lanewise!(i => a[i].wrapping_add(b[i]))
    }
    #[inline(always)]
    unsafe fn int_sub(a: [i32; L], b: [i32; L]) -> [i32; L] {
        lanewise!(i => a[i].wrapping_sub(b[i]))
    }
    #[inline(always)]
    unsafe fn int_and(a: [i32; L], b: [i32; L]) -> [i32; L] {
        lanewise!(i => a[i] & b[i])
    }
    #[inline(always)]
    unsafe fn int_or(a: [i32; L], b: [i32; L]) -> [i32; L] {
        lanewise!(i => a[i] | b[i])
    }
    #[inline(always)]
    unsafe fn shift_left<const N: i32, const U: u32>(a: [i32; L]) -> [i32; L] {
        lanewise!(i => a[i] << N)
    }
    #[inline(always)]
    unsafe fn shift_right<const N: i32, const U: u32>(a: [i32; L]) -> [i32; L] {
        lanewise!(i => a[i] >> N)
    }
    #[inline(always)]
    unsafe fn int_eq(a: [i32; L], b: [i32; L]) -> [i32; L] {
        lanewise!(i => flag(a[i] == b[i]))
    }
    #[inline(always)]
    unsafe fn lt(a: [f32; L], b: [f32; L]) -> [i32; L] {
        lanewise!(i => flag(a[i] < b[i]))
    }
    #[inline(always)]
    unsafe fn le(a: [f32; L], b: [f32; L]) -> [i32; L] {
        lanewise!(i => flag(a[i] <= b[i]))
    }
    #[inline(always)]
    unsafe fn eq(a: [f32; L], b: [f32; L]) -> [i32; L] {
        lanewise!(i => flag(a[i] == b[i]))
    }
    #[inline(always)]
    unsafe fn not_le(a: [f32; L], b: [f32; L]) -> [i32; L] {
        lanewise!(i => flag(a[i] > b[i] || a[i].is_nan() || b[i].is_nan()))
    }
    #[inline(always)]
    unsafe fn ne(a: [f32; L], b: [f32; L]) -> [i32; L] {
        lanewise!(i => flag(a[i] != b[i]))
    }
    #[inline(always)]
    unsafe fn and(a: [i32; L], b: [i32; L]) -> [i32; L] {
        lanewise!(i => a[i] & b[i])
    }
    #[inline(always)]
    unsafe fn or(a: [i32; L], b: [i32; L]) -> [i32; L] {
        lanewise!(i => a[i] | b[i])
    }
    #[inline(always)]
    unsafe fn any(a: [i32; L]) -> bool {
        let mut all = 0;
        for x in a {
            all |= x;
        }
        all != 0
    }
    #[inline(always)]
    unsafe fn select(mask: [i32; L], yes: [f32; L], no: [f32; L]) -> [f32; L] {
        lanewise!(i => f32::from_bits(
            (mask[i] as u32 & yes[i].to_bits()) | (!mask[i] as u32 & no[i].to_bits())
        ))
    }
    #[inline(always)]
    unsafe fn load_byte_ints(p: *const u8) -> [i32; L] {
        // SAFETY: the caller vouches for L bytes at `p`.
        lanewise!(i => i32::from(unsafe { *p.add(i) }))
    }
    #[inline(always)]
    unsafe fn interleave(a: [f32; L], b: [f32; L]) -> [[f32; L]; 2] {
        let mut out = [[0.0; L]; 2];
        for i in 0..L {
            out[2 * i / L][2 * i % L] = a[i];
            out[(2 * i + 1) / L][(2 * i + 1) % L] = b[i];
        }
        out
    }
    #[inline(always)]
    unsafe fn separate(a: [f32; L], b: [f32; L]) -> [[f32; L]; 2] {
        let mut out = [[0.0; L]; 2];
        for i in 0..L {
            out[i % 2][i / 2] = a[i];
            out[i % 2][(L + i) / 2] = b[i];
        }
        out
    }
    #[inline(always)]
    unsafe fn load_halves(p: *const u8) -> [i32; L] {
        // SAFETY: the caller vouches for 2 L bytes at `p`.
        lanewise!(i => i32::from(u16::from_le_bytes(unsafe {
            *p.add(2 * i).cast::<[u8; 2]>()
        })))
    }
    #[inline(always)]
    unsafe fn store_low_halves(p: *mut u8, a: [i32; L]) {
        for (i, x) in a.into_iter().enumerate() {
            // SAFETY: the caller vouches for 2 L bytes at `p`.
            unsafe {
                p.add(2 * i)
                    .cast::<[u8; 2]>()
                    .write((x as u16).to_le_bytes())
            };
        }
    }
    #[inline(always)]
    unsafe fn store_low_bytes(p: *mut u8, a: [i32; L]) {
        for (i, x) in a.into_iter().enumerate() {
            // SAFETY: the caller vouches for L bytes at `p`.
            unsafe { *p.add(i) = x as u8 };
        }
    }
}
