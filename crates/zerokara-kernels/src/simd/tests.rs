//! Every operation on every instruction set, against single numbers.

use super::*;
use crate::isa::{Isa, multiversion};

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
    // SAFETY: portable code runs everywhere.
    unsafe { check_body::<Twin>() };
}
