//! Scaled dot-product attention and its gradient, head by head, without the matrix of all scores.
//!
//! A unit of work belongs to one head of keys and values of one sample. It takes some queries at a time, has their scores with
//! all the keys that they see in its own memory, row by row of which a softmax is taken, and goes on to the next queries: what it
//! holds at a time grows with the number of keys, not with its square. The gradient computes scores anew in the same way, which
//! takes less time than to write and read them would.
//!
//! A pair of a query and a key that has no weight has no terms in any sum. As products these are 0 as long as all numbers are
//! finite; where some are not, [`plain`] computes the unit pair by pair.

mod forward;
mod gradient;
mod plain;

pub(crate) use forward::{forward_scratch, forward_units, run_forward};
pub(crate) use gradient::{Gradients, Target, gradient_scratch, gradient_units, run_gradient};

use crate::{
    gemm::{
        self, Matrix, Part,
        pack::{self, packed_len_of},
    },
    map::functions,
    plan::AttentionGeometry,
    scratch,
    share::share,
    simd::Lanes,
    softmax::{BLOCK, NUMBERS},
    storage::LINE,
};
use std::ops::Range;

/// Queries or keys of all heads, element `[n, i, h, d]` at `start + n * strides[0] + i * strides[1] + ..`.
#[derive(Clone, Copy)]
pub(crate) struct Heads {
    pub start: *const f32,
    pub strides: [isize; 4],
}

impl Heads {
    /// Those of one head of one sample.
    fn of(&self, sample: usize, head: usize) -> Rows {
        let [n, row, h, column] = self.strides;
        Rows {
            start: (self.start).wrapping_offset(sample as isize * n + head as isize * h),
            strides: [row, column],
        }
    }
}

/// A matrix: element `[i, d]` is at `start + i * strides[0] + d * strides[1]`.
#[derive(Clone, Copy)]
struct Rows {
    start: *const f32,
    strides: [isize; 2],
}

impl Rows {
    /// The matrix from this row on.
    fn from(self, row: usize) -> Self {
        let start = self.start.wrapping_offset(row as isize * self.strides[0]);
        Self { start, ..self }
    }

    /// As a right operand.
    fn right(self) -> Matrix {
        Matrix::InPlace {
            start: self.start,
            strides: self.strides,
        }
    }

    /// Its transpose, as a right operand.
    fn transposed(self) -> Matrix {
        let [row, column] = self.strides;
        Matrix::InPlace {
            start: self.start,
            strides: [column, row],
        }
    }

    /// Element `[i, d]`.
    unsafe fn at(&self, i: usize, d: usize) -> f64 {
        let [row, column] = self.strides;
        // SAFETY: the caller vouches for the element.
        f64::from(unsafe { *self.start.offset(i as isize * row + d as isize * column) })
    }
}

/// What is said of each pair of a query and a key, element `[n, h, i, j]` at the strides' sum.
#[derive(Clone, Copy)]
pub(crate) enum Mask {
    /// Added to the score.
    Added(*const f32, [isize; 4]),
    /// Whether the query sees the key.
    Seen(*const u8, [isize; 4]),
}

impl Mask {
    /// What is added to the score of a pair: -inf where the key is not seen.
    unsafe fn at(&self, [n, h, i, j]: [usize; 4]) -> f32 {
        let offset = |s: &[isize; 4]| {
            n as isize * s[0] + h as isize * s[1] + i as isize * s[2] + j as isize * s[3]
        };
        // SAFETY: the caller vouches for the pair.
        unsafe {
            match self {
                Mask::Added(start, strides) => *start.offset(offset(strides)),
                Mask::Seen(start, strides) => match *start.offset(offset(strides)) {
                    0 => f32::NEG_INFINITY,
                    _ => 0.0,
                },
            }
        }
    }

    /// Whether queries i and i - 1 have the same row.
    fn repeats(&self) -> bool {
        let (Mask::Added(_, strides) | Mask::Seen(_, strides)) = self;
        strides[2] == 0
    }
}

/// What attention is computed from.
#[derive(Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub geometry: &'a AttentionGeometry,
    pub query: Heads,
    pub key: Heads,
    pub value: Heads,
    pub mask: Option<Mask>,
}

impl Inputs<'_> {
    /// The heads of queries that share a head of keys and values.
    fn heads_of(&self, group: usize) -> Range<usize> {
        let g = self.geometry;
        let each = g.heads / g.groups.max(1);
        group * each..(group + 1) * each
    }
}

/// Scores that a unit has at a time, about: they stay in the second-level cache.
const SCORES: usize = 128 * 1024;
/// Queries whose scores a unit has at a time, at most.
const MOST_QUERIES: usize = 64;
/// The same where later queries see more keys, and all of them few: what the first do not see is not computed.
const MOST_CAUSAL: usize = 32;

/// Queries whose scores a unit has at a time.
fn queries_at_once(g: &AttentionGeometry) -> usize {
    let most = match g.causal && g.keys <= 4 * MOST_QUERIES {
        true => MOST_CAUSAL,
        false => MOST_QUERIES,
    };
    (SCORES / g.keys.max(1)).clamp(8, most)
}

/// Distance between the rows of scores: whole vectors, and off the powers of two, which would crowd few sets of the caches.
fn pitch(g: &AttentionGeometry) -> usize {
    let whole = g.keys.next_multiple_of(LINE);
    match whole % 32 {
        0 => whole + LINE,
        _ => whole,
    }
}

/// Packs a matrix `[k, n]` of these strides.
#[inline(always)]
unsafe fn pack<S: Lanes>(
    [k, n]: [usize; 2],
    start: *const f32,
    strides: [isize; 2],
    to: &mut [f32],
) -> Matrix {
    let vectors = 0..n.div_ceil(S::LANES);
    // SAFETY: the caller vouches for the matrix; there is room for its panels.
    unsafe { pack::pack_body::<S>(vectors, k, n, start, strides, to.as_mut_ptr()) };
    Matrix::Packed {
        start: to.as_ptr(),
        depth: k,
    }
}

/// Whether all numbers of these rows are finite.
#[inline(always)]
unsafe fn is_finite<S: Lanes>(x: Rows, rows: Range<usize>, columns: usize) -> bool {
    // SAFETY: the caller vouches for the rows.
    unsafe {
        let mut noted = S::zero();
        let mut plain = 0.0f32;
        let whole = match x.strides[1] {
            1 => columns / S::LANES * S::LANES,
            _ => 0,
        };
        for i in rows {
            let row = x.from(i).start;
            for d in (0..whole).step_by(S::LANES) {
                noted = S::note(S::load(row.add(d)), noted);
            }
            for d in whole..columns {
                plain += *row.offset(d as isize * x.strides[1]) * 0.0;
            }
        }
        !plain.is_nan() && !S::any_nan(noted)
    }
}

/// The scores of some queries before they are scaled, `to[i, j] = sum over d of query[i, d] keys[d, j]`, for the first keys.
#[inline(always)]
unsafe fn scores<S: Lanes>(
    [n, width]: [usize; 2],
    query: Rows,
    [rows, keys]: [usize; 2],
    right: Matrix,
    to: *mut f32,
    pitch: usize,
    scratch: &mut [f32],
) {
    let part = Part {
        n,
        k: width,
        rows: 0..rows,
        columns: 0..keys,
        a: query.start,
        a_strides: query.strides,
        b: right,
        c: to,
        c_row: pitch as isize,
        add: false,
    };
    // SAFETY: the caller vouches for the operands.
    unsafe { part.run::<S>(scratch) }
}

/// The numbers that a mask adds to the scores of one query, made anew where they are not those of the query before.
struct Bias<'a> {
    mask: Option<Mask>,
    row: &'a mut [f32],
    /// Of which sample, head, query.
    has: Option<[usize; 3]>,
}

impl Bias<'_> {
    /// Those of the first keys.
    unsafe fn of(&mut self, [sample, head, query]: [usize; 3], keys: usize) -> Option<*const f32> {
        let mask = self.mask?;
        let wanted = match mask.repeats() {
            true => [sample, head, usize::MAX],
            false => [sample, head, query],
        };
        let all = match mask.repeats() {
            true => self.row.len(),
            false => keys,
        };
        if self.has != Some(wanted) {
            for (j, to) in self.row[..all].iter_mut().enumerate() {
                // SAFETY: the caller vouches for the query and its keys.
                *to = unsafe { mask.at([sample, head, query, j]) };
            }
            self.has = Some(wanted);
        }
        Some(self.row.as_ptr())
    }
}

/// Makes of a row of scores the weights of the first `seen` keys, but for a factor, which is returned: `e^(s - m)` with
/// `s = scale x + bias` and m the largest; zeros from there to `until`. The row has room for whole vectors.
#[inline(always)]
unsafe fn weigh<S: Lanes>(
    row: *mut f32,
    seen: usize,
    until: usize,
    scale: f32,
    bias: Option<*const f32>,
) -> f32 {
    // SAFETY: the caller vouches for the row and the bias.
    unsafe {
        let l = S::LANES;
        let whole = seen / l * l;
        let none = S::splat(f32::NEG_INFINITY);
        let factor = S::splat(scale);
        let mut most = none;
        let scaled = |i: usize, n: usize| {
            let x = S::load(row.add(i));
            match bias {
                Some(bias) if n == l => S::fma(x, factor, S::load(bias.add(i))),
                Some(bias) => S::fma(x, factor, S::load_partial(bias.add(i), n)),
                None => S::mul(x, factor),
            }
        };
        for i in (0..whole).step_by(l) {
            let x = scaled(i, l);
            most = S::max(x, most);
            S::store(row.add(i), x);
        }
        let rest = seen - whole;
        if rest > 0 {
            let own = S::lt(S::load(NUMBERS.as_ptr()), S::splat(rest as f32));
            let x = S::select(own, scaled(whole, rest), none);
            most = S::max(x, most);
            S::store(row.add(whole), x);
        }
        let mut lanes = [f32::NEG_INFINITY; 16];
        S::store(lanes.as_mut_ptr(), most);
        let largest = lanes
            .iter()
            .fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a });
        // Of a query that sees nothing, all weights are 0.
        let shift = S::splat(if largest == f32::NEG_INFINITY {
            0.0
        } else {
            largest
        });
        let end = seen.next_multiple_of(l);
        let mut total = 0.0f64;
        let mut start = 0;
        while start < end {
            let stop = end.min(start + BLOCK * l);
            let mut sum = S::zero();
            for i in (start..stop).step_by(l) {
                let e = functions::exp::<S>(S::sub(S::load(row.add(i)), shift));
                S::store(row.add(i), e);
                sum = S::add(sum, e);
            }
            total += f64::from(S::sum(sum));
            start = stop;
        }
        for i in end..until {
            *row.add(i) = 0.0;
        }
        match total == 0.0 {
            true => 0.0,
            false => (1.0 / total) as f32,
        }
    }
}
