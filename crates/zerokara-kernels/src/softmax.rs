//! Softmax and log-softmax of rows.

use crate::{
    map::functions,
    simd::{Lanes, multiversion},
};

/// Vectors of exponentials that are added up in single precision, before double precision takes over.
pub(crate) const BLOCK: usize = 32;

/// The numbers of lanes.
pub(crate) const NUMBERS: [f32; 16] = [
    0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0,
];

/// `y = e^(x - m) / s` with m the largest and s the sum, or `x - m - ln s`, of `rows` rows.
#[inline(always)]
unsafe fn softmax_body<S: Lanes>(
    x: *const f32,
    y: *mut f32,
    rows: usize,
    columns: usize,
    log: bool,
) {
    // SAFETY: the caller vouches for the CPU and the pointers; the arrays hold the widest vector.
    unsafe {
        let l = S::LANES;
        let whole = columns / l * l;
        let rest = columns - whole;
        for row in 0..rows {
            let (x, y) = (x.add(row * columns), y.add(row * columns));
            let mut most = S::splat(f32::NEG_INFINITY);
            for i in (0..whole).step_by(l) {
                // A NaN need not survive here: its own exponential is NaN, and so is the sum.
                most = S::max(S::load(x.add(i)), most);
            }
            // The lanes of the row's end; the others count for nothing.
            let end = S::lt(S::load(NUMBERS.as_ptr()), S::splat(rest as f32));
            if rest > 0 {
                let tail = S::load_partial(x.add(whole), rest);
                most = S::select(end, S::max(tail, most), most);
            }
            let mut lanes = [f32::NEG_INFINITY; 16];
            S::store(lanes.as_mut_ptr(), most);
            let mut half = l / 2;
            while half > 0 {
                for i in 0..half {
                    let a = lanes[i + half];
                    lanes[i] = if a > lanes[i] { a } else { lanes[i] };
                }
                half /= 2;
            }
            let largest = lanes[0];

            let shift = S::splat(largest);
            let mut total = 0.0f64;
            let mut start = 0;
            while start < whole {
                let end = whole.min(start + BLOCK * l);
                let mut sum = S::zero();
                for i in (start..end).step_by(l) {
                    let e = functions::exp::<S>(S::sub(S::load(x.add(i)), shift));
                    if !log {
                        S::store(y.add(i), e);
                    }
                    sum = S::add(sum, e);
                }
                total += f64::from(S::sum(sum));
                start = end;
            }
            if rest > 0 {
                let e = functions::exp::<S>(S::sub(S::load_partial(x.add(whole), rest), shift));
                if !log {
                    S::store_partial(y.add(whole), e, rest);
                }
                total += f64::from(S::sum(S::select(end, e, S::zero())));
            }

            let (factor, shift) = (S::splat((1.0 / total) as f32), S::splat(largest));
            let ln = S::splat(if log { total.ln() as f32 } else { 0.0 });
            for i in (0..whole).step_by(l) {
                let z = if log {
                    S::sub(S::sub(S::load(x.add(i)), shift), ln)
                } else {
                    S::mul(S::load(y.add(i)), factor)
                };
                S::store(y.add(i), z);
            }
            if rest > 0 {
                let z = if log {
                    S::sub(S::sub(S::load_partial(x.add(whole), rest), shift), ln)
                } else {
                    S::mul(S::load_partial(y.add(whole), rest), factor)
                };
                S::store_partial(y.add(whole), z, rest);
            }
        }
    }
}
multiversion! {
    pub(crate) unsafe fn softmax(x: *const f32, y: *mut f32, rows: usize, columns: usize, log: bool) = softmax_body;
}
