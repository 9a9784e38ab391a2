//! AVX2 with FMA: 8 lanes.

use super::{Outlined, Simd, TileOperands, tile::avx2 as by_instruction};
use crate::{isa::Isa, machine::Machine};
use core::arch::x86_64::*;

/// Vectors of 8 numbers on x86-64 with AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub struct Avx2;

/// The eight from `8 - n` on mask the first n lanes.
static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

// SAFETY (all blocks): the caller vouches for the CPU and for the pointers, as the trait asks.
#[allow(clippy::missing_safety_doc, clippy::undocumented_unsafe_blocks)]
impl Simd for Avx2 {
    type Vector = __m256;
    const MACHINE: Machine = Machine::of(Isa::Avx2);
    const FMA: bool = true;

    #[inline(always)]
    unsafe fn call<T: Outlined>(code: &T) {
        #[inline(never)]
        #[target_feature(enable = "avx2,fma")]
        unsafe fn compiled<T: Outlined>(code: &T) {
            unsafe { code.run::<Avx2>() }
        }
        unsafe { compiled(code) }
    }

    #[inline(always)]
    unsafe fn zero() -> __m256 {
        unsafe { _mm256_setzero_ps() }
    }

    #[inline(always)]
    unsafe fn splat(x: f32) -> __m256 {
        unsafe { _mm256_set1_ps(x) }
    }

    #[inline(always)]
    unsafe fn broadcast(p: *const f32) -> __m256 {
        unsafe { _mm256_broadcast_ss(&*p) }
    }

    #[inline(always)]
    unsafe fn load(p: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(p) }
    }

    #[inline(always)]
    unsafe fn load_partial(p: *const f32, n: usize) -> __m256 {
        unsafe {
            let mask = _mm256_loadu_si256(MASKS.as_ptr().add(8 - n).cast());
            _mm256_maskload_ps(p, mask)
        }
    }

    #[inline(always)]
    unsafe fn store(p: *mut f32, x: __m256) {
        unsafe { _mm256_storeu_ps(p, x) }
    }

    // Masked stores are slow on AMD (a dozen cycles each), so the tail is written by halves.
    #[inline(always)]
    unsafe fn store_partial(mut p: *mut f32, x: __m256, n: usize) {
        unsafe {
            if n >= 8 {
                _mm256_storeu_ps(p, x);
                return;
            }
            let mut half = _mm256_castps256_ps128(x);
            if n & 4 != 0 {
                _mm_storeu_ps(p, half);
                p = p.add(4);
                half = _mm256_extractf128_ps::<1>(x);
            }
            if n & 2 != 0 {
                _mm_storeu_si64(p.cast(), _mm_castps_si128(half));
                p = p.add(2);
                half = _mm_movehl_ps(half, half);
            }
            if n & 1 != 0 {
                _mm_store_ss(p, half);
            }
        }
    }

    #[inline(always)]
    unsafe fn add(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn sub(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn mul(a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn fma(a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn fma_row<const NV: usize>(
        a: *const f32,
        i: isize,
        columns: &[__m256; NV],
        sums: &mut [__m256; NV],
    ) {
        unsafe {
            if NV == 3 {
                return row_of_three::<true>(
                    a,
                    i,
                    columns.as_ptr().cast(),
                    sums.as_mut_ptr().cast(),
                );
            }
            let a = _mm256_broadcast_ss(&*a.offset(i));
            for v in 0..NV {
                sums[v] = _mm256_fmadd_ps(a, columns[v], sums[v]);
            }
        }
    }

    #[inline(always)]
    unsafe fn fma_tile<const MR: usize, const NV: usize>(
        tile: &TileOperands<'_, MR>,
        sums: &mut [[__m256; NV]; MR],
    ) {
        unsafe {
            if !by_instruction::add(tile, sums) {
                tile.add::<Self, NV>(sums);
            }
        }
    }

    #[inline(always)]
    unsafe fn fma_vector<const NV: usize>(
        b: *const f32,
        i: isize,
        columns: &[__m256; NV],
        sums: &mut [__m256; NV],
    ) {
        unsafe {
            if NV == 3 {
                return row_of_three::<false>(
                    b,
                    i,
                    columns.as_ptr().cast(),
                    sums.as_mut_ptr().cast(),
                );
            }
            let b = _mm256_loadu_ps(b.offset(i));
            for v in 0..NV {
                sums[v] = _mm256_fmadd_ps(b, columns[v], sums[v]);
            }
        }
    }

    #[inline(always)]
    unsafe fn any_nan(x: __m256) -> bool {
        unsafe { _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_UNORD_Q>(x, x)) != 0 }
    }

    #[inline(always)]
    unsafe fn sum(x: __m256) -> f32 {
        unsafe {
            let x = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
            let x = _mm_add_ps(x, _mm_movehl_ps(x, x));
            _mm_cvtss_f32(_mm_add_ss(x, _mm_shuffle_ps::<1>(x, x)))
        }
    }

    #[inline(always)]
    unsafe fn sum_four([a, b, c, d]: [__m256; 4]) -> [f32; 4] {
        unsafe {
            // Halves added to halves, a beside b and c beside d; then the halves of those; then the last two.
            let ab = _mm256_add_ps(
                _mm256_permute2f128_ps::<0x20>(a, b),
                _mm256_permute2f128_ps::<0x31>(a, b),
            );
            let cd = _mm256_add_ps(
                _mm256_permute2f128_ps::<0x20>(c, d),
                _mm256_permute2f128_ps::<0x31>(c, d),
            );
            let pairs = _mm256_add_ps(_mm256_unpacklo_ps(ab, cd), _mm256_unpackhi_ps(ab, cd));
            let (ac, bd) = (
                _mm256_castps256_ps128(pairs),
                _mm256_extractf128_ps::<1>(pairs),
            );
            let sums = _mm_add_ps(_mm_unpacklo_ps(ac, bd), _mm_unpackhi_ps(ac, bd));
            let mut out = [0.0; 4];
            _mm_storeu_ps(out.as_mut_ptr(), sums);
            out
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
        // Halves of rows i and i + 4 are loaded into one register, so that only shuffles within 128 bits remain.
        macro_rules! pair {
            ($i:expr, $half:expr) => {
                _mm256_insertf128_ps::<1>(
                    _mm256_castps128_ps256(_mm_loadu_ps(from.offset($i * from_stride + $half))),
                    _mm_loadu_ps(from.offset(($i + 4) * from_stride + $half)),
                )
            };
        }
        macro_rules! quarter {
            ($half:expr) => {{
                let (a, b, c, d) = (
                    pair!(0, $half),
                    pair!(1, $half),
                    pair!(2, $half),
                    pair!(3, $half),
                );
                let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
                _mm256_storeu_ps(
                    to.offset($half * to_stride),
                    _mm256_shuffle_ps::<0x44>(ab, cd),
                );
                _mm256_storeu_ps(
                    to.offset(($half + 1) * to_stride),
                    _mm256_shuffle_ps::<0xee>(ab, cd),
                );
                let (ab, cd) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
                _mm256_storeu_ps(
                    to.offset(($half + 2) * to_stride),
                    _mm256_shuffle_ps::<0x44>(ab, cd),
                );
                _mm256_storeu_ps(
                    to.offset(($half + 3) * to_stride),
                    _mm256_shuffle_ps::<0xee>(ab, cd),
                );
            }};
        }
        unsafe {
            quarter!(0);
            quarter!(4);
        }
    }
}

/// `fma_row` or `fma_vector` of three vectors. Four rows of three need all sixteen registers; left alone, the compiler
/// loads the next row's number early, one register too many, and spills sums.
#[inline]
#[target_feature(enable = "avx2,fma")]
unsafe fn row_of_three<const BROADCAST: bool>(
    a: *const f32,
    i: isize,
    columns: *const [__m256; 3],
    sums: *mut [__m256; 3],
) {
    macro_rules! row {
        ($load:literal) => {
            // SAFETY: the caller vouches for what is at `a + i` and for both arrays; nothing else is touched.
            unsafe {
                let [p, q, r] = *columns;
                let [mut x, mut y, mut z] = *sums;
                core::arch::asm!(
                    $load,
                    "vfmadd231ps {x}, {t}, {p}",
                    "vfmadd231ps {y}, {t}, {q}",
                    "vfmadd231ps {z}, {t}, {r}",
                    a = in(reg) a,
                    i = in(reg) i,
                    t = out(ymm_reg) _,
                    p = in(ymm_reg) p,
                    q = in(ymm_reg) q,
                    r = in(ymm_reg) r,
                    x = inout(ymm_reg) x,
                    y = inout(ymm_reg) y,
                    z = inout(ymm_reg) z,
                    options(pure, readonly, nostack, preserves_flags),
                );
                *sums = [x, y, z];
            }
        };
    }
    if BROADCAST {
        row!("vbroadcastss {t}, dword ptr [{a} + 4 * {i}]");
    } else {
        row!("vmovups {t}, ymmword ptr [{a} + 4 * {i}]");
    }
}
