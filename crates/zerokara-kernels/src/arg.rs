//! The place of the largest element.

use crate::simd::{Lanes, multiversion};

/// The place of the first largest (smallest) of `n >= 1` neighbours; a NaN counts as the largest (smallest).
#[inline(always)]
unsafe fn arg_body<S: Lanes>(x: *const f32, n: usize, min: bool) -> usize {
    // SAFETY: the caller vouches for the CPU and the pointer; the array holds the widest vector.
    unsafe {
        let l = S::LANES;
        let whole = n / l * l;
        let beats =
            |a: f32, b: f32| (if min { a < b } else { a > b }) || (a.is_nan() && !b.is_nan());
        let mut best = *x;
        // Short rows are not worth a search for the extreme and another for its place.
        if n < 4 * l {
            let mut place = 0;
            for i in 1..n {
                let a = *x.add(i);
                let better = beats(a, best);
                best = if better { a } else { best };
                place = if better { i } else { place };
            }
            return place;
        }
        if whole > 0 {
            let mut lanes = [*x; 16];
            let mut extreme = S::load(x);
            for i in (0..whole).step_by(l) {
                let v = S::load(x.add(i));
                let next = if min {
                    S::min(extreme, v)
                } else {
                    S::max(extreme, v)
                };
                extreme = S::select(S::ne(extreme, extreme), extreme, next);
            }
            S::store(lanes.as_mut_ptr(), extreme);
            for &a in &lanes {
                best = if beats(a, best) { a } else { best };
            }
        }
        for i in whole..n {
            let a = *x.add(i);
            best = if beats(a, best) { a } else { best };
        }
        let nan = best.is_nan();
        for i in 0..n {
            let a = *x.add(i);
            if a == best || (nan && a.is_nan()) {
                return i;
            }
        }
        0
    }
}
multiversion! {
    pub(crate) unsafe fn arg(x: *const f32, n: usize, min: bool) -> usize = arg_body;
}
