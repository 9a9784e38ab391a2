//! Every operation on every instruction set, against single numbers.

use super::*;
use crate::isa::Isa;

#[inline(always)]
unsafe fn check_body<S: Simd>() {
    let lanes = S::LANES;
    // Offset by one, so that nothing is aligned.
    let a: Vec<f32> = (0..lanes + 1).map(|i| 1.5 + i as f32 * 0.37).collect();
    let b: Vec<f32> = (0..lanes + 1).map(|i| -2.0 + i as f32 * 0.71).collect();
    let (a, b) = (&a[1..], &b[1..]);
    let mut out = vec![0.0f32; lanes + 2];
    // SAFETY: the caller vouches for the CPU; all pointers lead to `lanes` numbers.
    unsafe {
        let (x, y) = (S::load(a.as_ptr()), S::load(b.as_ptr()));
        let p = out.as_mut_ptr().add(1);
        S::store(p, S::add(x, y));
        assert!((0..lanes).all(|i| out[i + 1] == a[i] + b[i]));
        S::store(p, S::sub(x, y));
        assert!((0..lanes).all(|i| out[i + 1] == a[i] - b[i]));
        S::store(p, S::mul(x, y));
        assert!((0..lanes).all(|i| out[i + 1] == a[i] * b[i]));
        S::store(p, S::fma(x, y, S::splat(0.1)));
        assert!((0..lanes).all(|i| out[i + 1] == S::scalar_fma(a[i], b[i], 0.1)));
        S::store(p, S::add(S::broadcast(&a[3]), S::zero()));
        assert!((0..lanes).all(|i| out[i + 1] == a[3]));

        // One lane that is not finite is noted, wherever it is, and nothing else is.
        assert!(!S::any_nan(S::note(x, S::note(S::splat(-3e38), S::zero()))));
        for lane in 0..lanes {
            for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                let mut one = a.to_vec();
                one[lane] = odd;
                assert!(S::any_nan(S::note(
                    S::load(one.as_ptr()),
                    S::note(x, S::zero())
                )));
                assert_eq!(S::any_nan(S::load(one.as_ptr())), odd.is_nan());
            }
        }

        let mut halves = a.to_vec();
        while halves.len() > 1 {
            let upper = halves.split_off(halves.len() / 2);
            halves.iter_mut().zip(upper).for_each(|(x, y)| *x += y);
        }
        assert_eq!(S::sum(x), halves[0]);
        let four = [x, y, S::mul(x, y), S::add(x, y)];
        assert_eq!(S::sum_four(four), four.map(|v| S::sum(v)));

        for n in 0..=lanes {
            // A boxed slice of exactly n numbers: reading beyond would be out of bounds.
            let exact: Box<[f32]> = a[..n].into();
            out.fill(7.0);
            S::store(out.as_mut_ptr().add(1), S::load_partial(exact.as_ptr(), n));
            assert!((0..lanes).all(|i| out[i + 1] == if i < n { a[i] } else { 0.0 }));
            out.fill(7.0);
            S::store_partial(out.as_mut_ptr().add(1), x, n);
            assert!((0..lanes + 1).all(|i| out[i + 1] == if i < n { a[i] } else { 7.0 }));
            assert_eq!(out[0], 7.0);
        }

        let from: Vec<f32> = (0..8 * 11).map(|i| i as f32).collect();
        let mut to = vec![-1.0f32; 8 * 9];
        S::transpose8(from.as_ptr(), 11, to.as_mut_ptr(), 9);
        for j in 0..8 {
            assert!((0..8).all(|i| to[j * 9 + i] == from[i * 11 + j]));
            assert_eq!(to[j * 9 + 8], -1.0);
        }
    }
}
multiversion! { unsafe fn check() = check_body; }

#[test]
fn operations_agree_with_single_numbers() {
    for isa in Isa::available() {
        // SAFETY: the CPU has it.
        unsafe { check(isa) };
    }
}

/// Bits of a few numbers, among them ties, both zeros, infinities, NaN and numbers too small.
const NUMBERS: [u32; 16] = [
    0x3f80_0000,
    0x3f80_8000,
    0x3f81_8000,
    0x3f80_8001,
    0xbf80_7fff,
    0x0000_0000,
    0x8000_0000,
    0x7f80_0000,
    0xff80_0000,
    0x7f7f_ffff,
    0x0000_ffff,
    0x8040_0000,
    0x0080_0000,
    0x4049_0fdb,
    0xc2f6_e979,
    0x7fa0_0001,
];

/// As bf16, worked out by hand.
const ROUNDED: [u16; 16] = [
    0x3f80, 0x3f80, 0x3f82, 0x3f81, 0xbf80, 0x0000, 0x8000, 0x7f80, 0xff80, 0x7f80, 0x0000, 0x8000,
    0x0080, 0x4049, 0xc2f7, 0x7fe0,
];

unsafe fn check_bf16<S: Simd>() {
    let lanes = S::LANES;
    for first in [0, 16 - lanes] {
        let mut x = [0.0f32; 16];
        for (x, &bits) in x.iter_mut().zip(&NUMBERS[first..]) {
            *x = f32::from_bits(bits);
        }
        let rounded = &ROUNDED[first..first + lanes];
        let (mut dense, mut firsts) = ([0.0f32; 16], [7.0f32; 16]);
        // SAFETY: the caller vouches for the CPU; no vector has more lanes.
        unsafe {
            let x = S::load(x.as_ptr());
            S::store_bf16(dense.as_mut_ptr(), x);
            S::store_firsts(firsts.as_mut_ptr(), x);
            for i in 0..lanes {
                let [a, b] = bf16::halves(dense[i / 2]);
                let expected = u32::from(rounded[i]) << 16;
                assert_eq!(if i % 2 == 0 { a } else { b }.to_bits(), expected, "{i}");
                assert_eq!(firsts[i].to_bits(), u32::from(rounded[i]), "{i}");
            }
            S::store_seconds(firsts.as_mut_ptr(), x);
            for (pair, &half) in firsts.iter().zip(rounded) {
                assert_eq!(pair.to_bits(), u32::from(half) * 0x1_0001);
            }
        }
    }
    // The second product is added first: 2^25 + 1 - 2^25 is 0, and -2^25 + 2^25 + 1 is 1.
    let pair = |a: f32, b: f32| f32::from_bits(a.to_bits() >> 16 | (b.to_bits() & 0xffff_0000));
    let large = (1 << 25) as f32;
    for (a, b, c, expected) in [
        (pair(3.0, 0.5), pair(-2.0, 8.0), 100.0, 98.0),
        (pair(large, 1.0), pair(1.0, 1.0), -large, 0.0),
        (pair(1.0, large), pair(1.0, 1.0), -large, 1.0),
    ] {
        let mut sums = [0.0f32; 16];
        // SAFETY: the caller vouches for the CPU.
        unsafe {
            S::store(
                sums.as_mut_ptr(),
                S::fma_pairs(S::splat(a), S::splat(b), S::splat(c)),
            )
        };
        assert_eq!(sums[..lanes], [expected; 16][..lanes]);
    }
}

/// Code that is compiled with all that the instruction set has.
struct CheckBf16;

impl Outlined for CheckBf16 {
    unsafe fn run<S: Simd>(&self) {
        // SAFETY: passed on.
        unsafe { check_bf16::<S>() }
    }
}

#[test]
fn bf16_is_the_upper_half_rounded_and_pairs_are_multiplied_in_order() {
    // SAFETY: only what this CPU has is run.
    unsafe {
        Portable::<8>::call(&CheckBf16);
        Avx512Twin::call(&CheckBf16);
        #[cfg(target_arch = "x86_64")]
        if crate::plan::Arithmetic::Bf16
            .check(crate::isa::Isa::Avx512)
            .is_ok()
        {
            Avx512Bf16::call(&CheckBf16);
        }
    }
}
