//! The transforms between tiles of images, filters and their 36 frequencies.
//!
//! Every transform of a tile is one of a line, applied down and then across. A line of six frequencies is the value of
//! a polynomial at the points 0, ∞, ±a and ±b with a = √½ and b = √2; they come in pairs, which share their terms:
//! even powers are the same at +a and -a, odd powers change sign. Pair 0 is (0, ∞), pair 1 is ±a, pair 2 is ±b.
//! Frequency `(pair of the row * 2 + row) * 6 + column` of a tile is at that number times a stride; both rows of a pair
//! are made at a time, so that all that lives between the two directions stays in registers.

use crate::{simd::Simd, unroll::each};
use std::f32::consts::{FRAC_1_SQRT_2, SQRT_2};

/// Frequencies along one axis.
const LINE: usize = 6;
/// Frequencies of a tile.
pub(in crate::conv) const FREQUENCIES: usize = LINE * LINE;
/// Frequencies of a pair of rows.
pub(in crate::conv) const PAIR: usize = 2 * LINE;
/// Pairs of rows.
pub(in crate::conv) const PAIRS: usize = 3;

const A: f32 = FRAC_1_SQRT_2;
const B: f32 = SQRT_2;
/// One over the products of the distances from a and from b to the other points.
const N: f32 = -2.0 / 3.0;
const M: f32 = 1.0 / 6.0;

type Line<S> = [<S as Simd>::Vector; LINE];

/// `[e + o, e - o]`
#[inline(always)]
pub(in crate::conv) unsafe fn both<S: Simd>(e: S::Vector, o: S::Vector) -> [S::Vector; 2] {
    // SAFETY: the caller vouches for the CPU.
    unsafe { [S::add(e, o), S::sub(e, o)] }
}

/// `x * p + y * q`
#[inline(always)]
unsafe fn mix<S: Simd>(x: S::Vector, p: f32, y: S::Vector, q: f32) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe { S::fma(x, S::splat(p), S::mul(y, S::splat(q))) }
}

/// `x + y * q`
#[inline(always)]
pub(in crate::conv) unsafe fn more<S: Simd>(x: S::Vector, y: S::Vector, q: f32) -> S::Vector {
    // SAFETY: the caller vouches for the CPU.
    unsafe { S::fma(y, S::splat(q), x) }
}

/// One pair of the frequencies of six inputs.
///
/// The row of a point p holds the coefficients of m(x) / (x - p), with m(x) = x (x² - a²) (x² - b²), and that of ∞ those
/// of m(x) itself: a² b² = 1, a² + b² = 5/2, a b² = b, a² b = a.
#[inline(always)]
unsafe fn input_pair<S: Simd, const P: usize>(d: &Line<S>) -> [S::Vector; 2] {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        match P {
            0 => [
                S::add(more::<S>(d[0], d[2], -2.5), d[4]),
                S::add(more::<S>(d[1], d[3], -2.5), d[5]),
            ],
            1 => both::<S>(more::<S>(d[4], d[2], -2.0), mix::<S>(d[3], A, d[1], -B)),
            _ => both::<S>(more::<S>(d[4], d[2], -0.5), mix::<S>(d[3], B, d[1], -A)),
        }
    }
}

/// One pair of the frequencies of three filter elements: `(g0 + p g1 + p² g2) / N(p)`, where N(p) is the product of the
/// distances from p to the other points: 1 for 0, -3/2 for ±a, 6 for ±b.
#[inline(always)]
unsafe fn filter_pair<S: Simd, const P: usize>(g: &[S::Vector; 3]) -> [S::Vector; 2] {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        match P {
            0 => [g[0], g[2]],
            1 => both::<S>(
                mix::<S>(g[0], N, g[2], N / 2.0),
                S::mul(g[1], S::splat(N * A)),
            ),
            _ => both::<S>(
                mix::<S>(g[0], M, g[2], M * 2.0),
                S::mul(g[1], S::splat(M * B)),
            ),
        }
    }
}

/// One pair of the frequencies of four outputs, `y0 + p y1 + p² y2 + p³ y3`.
#[inline(always)]
unsafe fn output_pair<S: Simd, const P: usize>(y: &[S::Vector; 4]) -> [S::Vector; 2] {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        match P {
            0 => [y[0], y[3]],
            1 => both::<S>(more::<S>(y[0], y[2], 0.5), mix::<S>(y[1], A, y[3], A / 2.0)),
            _ => both::<S>(more::<S>(y[0], y[2], 2.0), mix::<S>(y[1], B, y[3], B * 2.0)),
        }
    }
}

/// Outputs 0 and 2 (`HALF` 0) or 1 and 3 (`HALF` 1) of six frequencies: the transpose of [`output_pair`].
#[inline(always)]
unsafe fn outputs<S: Simd, const HALF: usize>(m: &Line<S>) -> [S::Vector; 2] {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        if HALF == 0 {
            let (p, q) = (S::add(m[2], m[3]), S::add(m[4], m[5]));
            [S::add(S::add(m[0], p), q), mix::<S>(p, 0.5, q, 2.0)]
        } else {
            let (p, q) = (S::sub(m[2], m[3]), S::sub(m[4], m[5]));
            let third = more::<S>(more::<S>(m[1], p, A / 2.0), q, B * 2.0);
            [mix::<S>(p, A, q, B), third]
        }
    }
}

/// All outputs of six frequencies.
#[inline(always)]
pub(in crate::conv) unsafe fn outputs_line<S: Simd>(m: &Line<S>) -> [S::Vector; 4] {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let [a, c] = outputs::<S, 0>(m);
        let [b, d] = outputs::<S, 1>(m);
        [a, b, c, d]
    }
}

/// The gradient of three filter elements by that of one pair of frequencies: the transpose of [`filter_pair`].
#[inline(always)]
unsafe fn elements<S: Simd, const P: usize>(x: [S::Vector; 2]) -> [S::Vector; 3] {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let [p, q] = x;
        match P {
            0 => [p, S::zero(), q],
            1 => {
                let (even, odd) = (S::add(p, q), S::sub(p, q));
                let even = S::mul(even, S::splat(N));
                let half = S::mul(even, S::splat(0.5));
                [even, S::mul(odd, S::splat(N * A)), half]
            }
            _ => {
                let (even, odd) = (S::add(p, q), S::sub(p, q));
                let even = S::mul(even, S::splat(M));
                [even, S::mul(odd, S::splat(M * B)), S::add(even, even)]
            }
        }
    }
}

/// Three filter elements' gradient of all six frequencies.
#[inline(always)]
pub(in crate::conv) unsafe fn elements_line<S: Simd>(x: &Line<S>) -> [S::Vector; 3] {
    // SAFETY: the caller vouches for the CPU.
    unsafe {
        let [a, _, c] = elements::<S, 0>([x[0], x[1]]);
        let [d, e, f] = elements::<S, 1>([x[2], x[3]]);
        let [g, h, i] = elements::<S, 2>([x[4], x[5]]);
        [
            S::add(a, S::add(d, g)),
            S::add(e, h),
            S::add(c, S::add(f, i)),
        ]
    }
}

macro_rules! line {
    ($name:ident, $pair:ident, $from:literal) => {
        /// All frequencies of a line.
        #[inline(always)]
        pub(in crate::conv) unsafe fn $name<S: Simd>(x: &[S::Vector; $from]) -> Line<S> {
            // SAFETY: the caller vouches for the CPU.
            unsafe {
                let [a, b] = $pair::<S, 0>(x);
                let [c, d] = $pair::<S, 1>(x);
                let [e, f] = $pair::<S, 2>(x);
                [a, b, c, d, e, f]
            }
        }
    };
}
line!(input_line, input_pair, 6);
line!(filter_line, filter_pair, 3);
line!(output_line, output_pair, 4);

/// Where the positions of a tile are: element `[i, j]` at `rows[i] + columns[j]`, times `keep[j]`.
pub(in crate::conv) struct Positions<const SIDE: usize> {
    pub rows: [*const f32; SIDE],
    pub columns: [usize; SIDE],
    pub keep: [f32; SIDE],
}

macro_rules! forth {
    ($(#[$meta:meta])* $name:ident, $side:literal, $pair:ident, $line:ident, $reads:expr) => {
        $(#[$meta])*
        #[inline(always)]
        pub(in crate::conv) unsafe fn $name<
            S: Simd,
            const P: usize,
            const FORM: u8,
            const EDGE: bool,
            const SIDE: usize,
        >(
            positions: &Positions<SIDE>,
            channel: usize,
            to: *mut f32,
            stride: usize,
        ) {
            const N: usize = $side;
            const fn reads(pair: usize, i: usize) -> bool {
                $reads(pair, i)
            }
            // SAFETY: the caller vouches for the CPU and for all vectors.
            unsafe {
                let mut rows = [[S::zero(); N]; 2];
                each!(j < N {
                    let offset = positions.columns[j] + channel;
                    let mut column = [S::zero(); N];
                    each!(i < N {
                        if const { reads(P, i) } {
                            column[i] = S::load(positions.rows[i].wrapping_add(offset));
                        }
                    });
                    [rows[0][j], rows[1][j]] = $pair::<S, P>(&column);
                    if EDGE {
                        let keep = S::broadcast(&positions.keep[j]);
                        rows[0][j] = S::mul(rows[0][j], keep);
                        rows[1][j] = S::mul(rows[1][j], keep);
                    }
                });
                store::<S, FORM>($line::<S>(&rows[0]), to, stride);
                store::<S, FORM>($line::<S>(&rows[1]), to.add(LINE * stride), stride);
            }
        }
    };
}

const fn input_reads(pair: usize, i: usize) -> bool {
    // Pairs 1 and 2 read the four in the middle only.
    pair == 0 || (i > 0 && i < 5)
}

const fn output_gradient_reads(pair: usize, i: usize) -> bool {
    // Pair 0 is the first row and the last.
    pair > 0 || i == 0 || i == 3
}

forth!(
    /// Writes pair `P` of the rows of frequencies of 6 x 6 inputs: the first frequency of the pair goes to `to`, the next
    /// to `to + stride`.
    input, 6, input_pair, input_line, input_reads
);
forth!(
    /// Writes pair `P` of the rows of frequencies of the gradient of 4 x 4 outputs, as [`input`] does.
    output_gradient, 4, output_pair, output_line, output_gradient_reads
);

/// Writes all frequencies of a filter of 3 x 3 elements.
#[inline(always)]
pub(in crate::conv) unsafe fn filter<S: Simd, const FORM: u8>(
    elements: &[[S::Vector; 3]; 3],
    to: *mut f32,
    stride: usize,
) {
    const N: usize = 3;
    macro_rules! pair {
        ($p:literal) => {
            // SAFETY: the caller vouches for the CPU and for all vectors.
            unsafe {
                let mut rows = [[S::zero(); 3]; 2];
                each!(j < N {
                    let column = [elements[0][j], elements[1][j], elements[2][j]];
                    [rows[0][j], rows[1][j]] = filter_pair::<S, $p>(&column);
                });
                let to = to.add($p * PAIR * stride);
                store::<S, FORM>(filter_line::<S>(&rows[0]), to, stride);
                store::<S, FORM>(filter_line::<S>(&rows[1]), to.add(LINE * stride), stride);
            }
        };
    }
    pair!(0);
    pair!(1);
    pair!(2);
}

/// How frequencies are written: as they are, ..
pub(in crate::conv) const PLAIN: u8 = 0;
/// .. in bf16, neighbouring lanes as pairs, ..
pub(in crate::conv) const NEIGHBOURS: u8 = 1;
/// .. or in bf16, as the firsts or the seconds of pairs that two transforms fill.
pub(in crate::conv) const FIRSTS: u8 = 2;
pub(in crate::conv) const SECONDS: u8 = 3;

#[inline(always)]
unsafe fn store<S: Simd, const FORM: u8>(line: Line<S>, to: *mut f32, stride: usize) {
    const N: usize = 6;
    // SAFETY: the caller vouches for the CPU and for all vectors.
    unsafe {
        each!(j < N {
            let to = to.add(j * stride);
            match FORM {
                PLAIN => S::store(to, line[j]),
                NEIGHBOURS => S::store_bf16(to, line[j]),
                FIRSTS => S::store_firsts(to, line[j]),
                _ => S::store_seconds(to, line[j]),
            }
        });
    }
}

/// Two of the four rows of outputs of the frequencies at `from`, `from + stride`, ..: 0 and 2 or 1 and 3.
#[inline(always)]
pub(in crate::conv) unsafe fn output<S: Simd, const HALF: usize>(
    from: *const f32,
    stride: usize,
) -> [[S::Vector; 4]; 2] {
    const N: usize = 6;
    const TWO: usize = 2;
    // SAFETY: the caller vouches for the CPU and for all vectors.
    unsafe {
        let mut rows = [[S::zero(); LINE]; 2];
        each!(j < N {
            let mut column = [S::zero(); LINE];
            each!(i < N {
                // Outputs 0 and 2 do not read the point ∞, 1 and 3 not the point 0.
                if i != 1 - HALF {
                    column[i] = S::load(from.add((i * LINE + j) * stride));
                }
            });
            [rows[0][j], rows[1][j]] = outputs::<S, HALF>(&column);
        });
        let mut result = [[S::zero(); 4]; 2];
        each!(i < TWO {
            let [a, c] = outputs::<S, 0>(&rows[i]);
            let [b, d] = outputs::<S, 1>(&rows[i]);
            result[i] = [a, b, c, d];
        });
        result
    }
}

/// What pair `P` of the rows of frequencies at `from`, `from + stride`, .. contributes to the gradient of 3 x 3 filter
/// elements.
#[inline(always)]
pub(in crate::conv) unsafe fn filter_gradient<S: Simd, const P: usize>(
    from: *const f32,
    stride: usize,
) -> [[S::Vector; 3]; 3] {
    const SIX: usize = LINE;
    const THREE: usize = 3;
    // SAFETY: the caller vouches for the CPU and for all vectors.
    unsafe {
        let mut rows = [[S::zero(); LINE]; 2];
        each!(j < SIX {
            rows[0][j] = S::load(from.add(j * stride));
            rows[1][j] = S::load(from.add((LINE + j) * stride));
        });
        let (p, q) = (elements_line::<S>(&rows[0]), elements_line::<S>(&rows[1]));
        let mut all = [[S::zero(); 3]; 3];
        each!(j < THREE {
            [all[0][j], all[1][j], all[2][j]] = elements::<S, P>([p[j], q[j]]);
        });
        all
    }
}
