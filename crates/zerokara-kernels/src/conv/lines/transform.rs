//! The transforms of one line: of inputs, of filter elements and of outputs, lane by lane.
//!
//! Values of a polynomial come in pairs: at 0 and ∞, then at +p and -p, which share their terms, since even powers are the
//! same at both and odd powers change sign. Unused places of the arrays are zero.

use crate::{
    conv::winograd::transform::{
        both, elements_line, filter_line, input_line, more, output_line, outputs_line,
    },
    simd::Simd,
};

/// Most points of a line.
pub(in crate::conv) const MOST_POINTS: usize = 8;
/// Most elements in a row of a filter.
pub(in crate::conv) const MOST_TAPS: usize = 5;
/// Outputs of a line.
pub(in crate::conv) const OUTPUTS: usize = 4;

/// F(4, [`Filtering::TAPS`]): four neighbouring outputs from one product for each point.
pub(crate) trait Filtering {
    /// Elements in a row of the filter.
    const TAPS: usize;
    /// Points, as many as inputs that four outputs read.
    const POINTS: usize = Self::TAPS + OUTPUTS - 1;

    /// The inputs' values at the points.
    unsafe fn input<S: Simd>(x: &[S::Vector; MOST_POINTS]) -> [S::Vector; MOST_POINTS];

    /// The filter elements' values at the points.
    unsafe fn filter<S: Simd>(g: &[S::Vector; MOST_TAPS]) -> [S::Vector; MOST_POINTS];

    /// The four outputs of which these are the values.
    unsafe fn output<S: Simd>(m: &[S::Vector; MOST_POINTS]) -> [S::Vector; OUTPUTS];

    /// The gradient of the values by that of the outputs: the transpose of [`Filtering::output`].
    unsafe fn spread<S: Simd>(y: &[S::Vector; OUTPUTS]) -> [S::Vector; MOST_POINTS];

    /// The gradient of the filter elements by that of their values: the transpose of [`Filtering::filter`].
    unsafe fn elements<S: Simd>(x: &[S::Vector; MOST_POINTS]) -> [S::Vector; MOST_TAPS];
}

/// Three elements; the points 0, ∞, ±√½ and ±√2.
pub(crate) struct Three;

impl Filtering for Three {
    const TAPS: usize = 3;

    #[inline(always)]
    unsafe fn input<S: Simd>(x: &[S::Vector; MOST_POINTS]) -> [S::Vector; MOST_POINTS] {
        // SAFETY: the caller vouches for the CPU.
        unsafe {
            let &[a, b, c, d, e, f, ..] = x;
            let [a, b, c, d, e, f] = input_line::<S>(&[a, b, c, d, e, f]);
            [a, b, c, d, e, f, S::zero(), S::zero()]
        }
    }

    #[inline(always)]
    unsafe fn filter<S: Simd>(g: &[S::Vector; MOST_TAPS]) -> [S::Vector; MOST_POINTS] {
        // SAFETY: the caller vouches for the CPU.
        unsafe {
            let [a, b, c, d, e, f] = filter_line::<S>(&[g[0], g[1], g[2]]);
            [a, b, c, d, e, f, S::zero(), S::zero()]
        }
    }

    #[inline(always)]
    unsafe fn output<S: Simd>(m: &[S::Vector; MOST_POINTS]) -> [S::Vector; OUTPUTS] {
        let &[a, b, c, d, e, f, ..] = m;
        // SAFETY: the caller vouches for the CPU.
        unsafe { outputs_line::<S>(&[a, b, c, d, e, f]) }
    }

    #[inline(always)]
    unsafe fn spread<S: Simd>(y: &[S::Vector; OUTPUTS]) -> [S::Vector; MOST_POINTS] {
        // SAFETY: the caller vouches for the CPU.
        unsafe {
            let [a, b, c, d, e, f] = output_line::<S>(y);
            [a, b, c, d, e, f, S::zero(), S::zero()]
        }
    }

    #[inline(always)]
    unsafe fn elements<S: Simd>(x: &[S::Vector; MOST_POINTS]) -> [S::Vector; MOST_TAPS] {
        let &[a, b, c, d, e, f, ..] = x;
        // SAFETY: the caller vouches for the CPU.
        unsafe {
            let [p, q, r] = elements_line::<S>(&[a, b, c, d, e, f]);
            [p, q, r, S::zero(), S::zero()]
        }
    }
}

/// Five elements; the points 0, ∞, ±1, ±2 and ±½.
///
/// With m(x) = x (x² - 1) (x² - 4) (x² - ¼), a point p takes the coefficients of m(x) / (x - p) of the inputs, ∞ those of
/// m(x), and of the filter its value at p, divided by the product of the distances from p to the others: 1 for 0 (with the
/// sign of its inputs turned), -9/2 for ±1, 90 for ±2, 45/32 for ±½.
pub(crate) struct Five;

impl Filtering for Five {
    const TAPS: usize = 5;

    #[inline(always)]
    unsafe fn input<S: Simd>(x: &[S::Vector; MOST_POINTS]) -> [S::Vector; MOST_POINTS] {
        // SAFETY: the caller vouches for the CPU.
        unsafe {
            let zero = more::<S>(S::sub(x[0], x[6]), S::sub(x[4], x[2]), 5.25);
            let infinity = more::<S>(S::sub(x[7], x[1]), S::sub(x[3], x[5]), 5.25);
            let [a, b] = both::<S>(
                more::<S>(S::add(x[6], x[2]), x[4], -4.25),
                more::<S>(S::add(x[5], x[1]), x[3], -4.25),
            );
            let [c, d] = both::<S>(
                more::<S>(more::<S>(x[6], x[2], 0.25), x[4], -1.25),
                more::<S>(more::<S>(S::add(x[5], x[5]), x[1], 0.5), x[3], -2.5),
            );
            let [e, f] = both::<S>(
                more::<S>(more::<S>(x[6], x[2], 4.0), x[4], -5.0),
                more::<S>(more::<S>(S::add(x[1], x[1]), x[5], 0.5), x[3], -2.5),
            );
            [zero, infinity, a, b, c, d, e, f]
        }
    }

    #[inline(always)]
    unsafe fn filter<S: Simd>(g: &[S::Vector; MOST_TAPS]) -> [S::Vector; MOST_POINTS] {
        // SAFETY: the caller vouches for the CPU.
        unsafe {
            let scaled = |x, by: f32| S::mul(x, S::splat(by));
            let [a, b] = both::<S>(
                scaled(S::add(g[0], S::add(g[2], g[4])), -2.0 / 9.0),
                scaled(S::add(g[1], g[3]), -2.0 / 9.0),
            );
            let [c, d] = both::<S>(
                scaled(
                    more::<S>(more::<S>(g[0], g[2], 4.0), g[4], 16.0),
                    1.0 / 90.0,
                ),
                scaled(more::<S>(g[1], g[3], 4.0), 2.0 / 90.0),
            );
            let [e, f] = both::<S>(
                scaled(
                    more::<S>(more::<S>(g[0], g[2], 0.25), g[4], 0.0625),
                    32.0 / 45.0,
                ),
                scaled(more::<S>(g[1], g[3], 0.25), 16.0 / 45.0),
            );
            [g[0], g[4], a, b, c, d, e, f]
        }
    }

    #[inline(always)]
    unsafe fn output<S: Simd>(m: &[S::Vector; MOST_POINTS]) -> [S::Vector; OUTPUTS] {
        // SAFETY: the caller vouches for the CPU.
        unsafe {
            let ([p, o], [q, r], [s, t]) = (
                both::<S>(m[2], m[3]),
                both::<S>(m[4], m[5]),
                both::<S>(m[6], m[7]),
            );
            [
                S::add(S::add(m[0], p), S::add(q, s)),
                more::<S>(more::<S>(o, r, 2.0), t, 0.5),
                more::<S>(more::<S>(p, q, 4.0), s, 0.25),
                more::<S>(more::<S>(S::add(o, m[1]), r, 8.0), t, 0.125),
            ]
        }
    }

    #[inline(always)]
    unsafe fn spread<S: Simd>(y: &[S::Vector; OUTPUTS]) -> [S::Vector; MOST_POINTS] {
        // SAFETY: the caller vouches for the CPU.
        unsafe {
            let scaled = |x, by: f32| S::mul(x, S::splat(by));
            let [a, b] = both::<S>(S::add(y[0], y[2]), S::add(y[1], y[3]));
            let [c, d] = both::<S>(
                more::<S>(y[0], y[2], 4.0),
                more::<S>(S::add(y[1], y[1]), y[3], 8.0),
            );
            let [e, f] = both::<S>(
                more::<S>(y[0], y[2], 0.25),
                more::<S>(scaled(y[1], 0.5), y[3], 0.125),
            );
            [y[0], y[3], a, b, c, d, e, f]
        }
    }

    #[inline(always)]
    unsafe fn elements<S: Simd>(x: &[S::Vector; MOST_POINTS]) -> [S::Vector; MOST_TAPS] {
        // SAFETY: the caller vouches for the CPU.
        unsafe {
            let scaled = |x: [S::Vector; 2], by: f32| {
                [S::mul(x[0], S::splat(by)), S::mul(x[1], S::splat(by))]
            };
            let [p, o] = scaled(both::<S>(x[2], x[3]), -2.0 / 9.0);
            let [q, r] = scaled(both::<S>(x[4], x[5]), 1.0 / 90.0);
            let [s, t] = scaled(both::<S>(x[6], x[7]), 32.0 / 45.0);
            [
                S::add(S::add(x[0], p), S::add(q, s)),
                more::<S>(more::<S>(o, r, 2.0), t, 0.5),
                more::<S>(more::<S>(p, q, 4.0), s, 0.25),
                more::<S>(more::<S>(o, r, 8.0), t, 0.125),
                more::<S>(more::<S>(S::add(x[1], p), q, 16.0), s, 0.0625),
            ]
        }
    }
}
