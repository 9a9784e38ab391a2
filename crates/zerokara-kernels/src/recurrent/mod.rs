//! Recurrent networks: a step for each position of a sequence, each from the state that the last one left.
//!
//! What a step takes from its input alone was computed beforehand for all positions, as one product. What is left is
//! `h[t - 1] R^T`, and elementwise code on it, which are done here step by step for some samples at a time: their states and the
//! products stay in the cache, weights are packed once for all steps. Samples do not depend on one another, so that units of
//! work are blocks of samples over the whole sequence, and no thread waits for another between steps.
//!
//! Of few samples, a step is little more than reading all weights once, and no core reads as fast as two. There the units are a
//! [`team`], which shares the numbers of the state and waits for one another between steps.

mod cells;
mod gradient;
mod states;
pub(crate) mod team;

pub(crate) use gradient::{GradientOperands, gradient_scratch, run_gradient};
pub(crate) use states::{StatesOperands, run_states, states_scratch};

use crate::{
    gemm::{self, Matrix, Part},
    isa::Isa,
    plan::RecurrentGeometry,
    scratch::{parts, room},
    share::share,
    simd::{Lanes, Simd},
    unroll::each,
};
use std::ops::Range;

/// Samples in a unit, about: as many rows as a tile has, so that each weight that is read is used as often.
const ROWS: usize = 8;
/// Units into which a batch is cut, at most.
const UNITS: usize = 16;

/// Number of units of work: parts of the batch, or the members of a team.
pub(crate) fn units(isa: Isa, g: &RecurrentGeometry) -> usize {
    match team::parts(isa.lanes(), isa.machine().registers, g) {
        Some(parts) => parts,
        None => blocks(g),
    }
}

/// Number of parts of the batch.
fn blocks(g: &RecurrentGeometry) -> usize {
    g.batch.div_ceil(ROWS).min(UNITS)
}

/// The samples of a unit.
fn samples(g: &RecurrentGeometry, unit: usize) -> Range<usize> {
    share(g.batch, blocks(g), unit)
}

/// Samples in the largest unit.
fn most_samples(g: &RecurrentGeometry) -> usize {
    g.batch.div_ceil(blocks(g).max(1))
}

/// Rows of sequences: row `[t, n]` begins at `start + t * strides[0] + n * strides[1]`, and is dense.
#[derive(Clone, Copy)]
pub(crate) struct Sequence<P> {
    pub start: P,
    pub strides: [isize; 2],
}

impl Sequence<*const f32> {
    fn row(&self, t: usize, n: usize) -> *const f32 {
        let [step, sample] = self.strides;
        (self.start).wrapping_offset(t as isize * step + n as isize * sample)
    }
}

impl Sequence<*mut f32> {
    fn row(&self, t: usize, n: usize) -> *mut f32 {
        let [step, sample] = self.strides;
        (self.start).wrapping_offset(t as isize * step + n as isize * sample)
    }
}

/// Which samples go on at which step, `[T, N]`.
#[derive(Clone, Copy)]
pub(crate) struct Mask {
    pub start: *const u8,
    pub strides: [isize; 2],
}

impl Mask {
    /// Whether a sample goes on; it stays where it is otherwise.
    unsafe fn goes_on(mask: &Option<Mask>, t: usize, n: usize) -> bool {
        mask.as_ref().is_none_or(|mask| {
            let offset = t as isize * mask.strides[0] + n as isize * mask.strides[1];
            // SAFETY: the caller vouches for the step and the sample.
            unsafe { *mask.start.offset(offset) != 0 }
        })
    }
}

/// `c[i, j] (+)= sum over k of a[i, k] b[k, j]` with packed `b [k, n]`: few rows of a product that is needed again and again.
struct Product {
    rows: usize,
    n: usize,
    k: usize,
    a: *const f32,
    a_row: isize,
    panels: *const f32,
    c: *mut f32,
    c_row: isize,
    add: bool,
}

impl Product {
    /// Rows so few that each has more vectors of sums at a time than a panel has.
    const FEW: usize = 2;

    #[inline(always)]
    unsafe fn run<S: Simd>(&self, scratch: &mut [f32]) {
        let mut done = 0;
        // SAFETY: the caller vouches for the operands.
        unsafe {
            if self.rows <= Self::FEW && S::REGISTERS >= 16 {
                // Panels of two whole vectors each; the last may be wider or narrower.
                let pairs = (self.n / (2 * S::LANES)).saturating_sub(1);
                self.pairs::<S>(0..pairs);
                done = pairs * 2 * S::LANES;
            }
            let part = Part {
                n: self.n,
                k: self.k,
                rows: 0..self.rows,
                columns: done..self.n,
                a: self.a,
                a_strides: [self.a_row, 1],
                b: Matrix::Packed {
                    start: self.panels,
                    depth: self.k,
                },
                c: self.c,
                c_row: self.c_row,
                add: self.add,
            };
            part.run::<S>(scratch);
        }
    }

    /// The columns of these panels, each of two whole vectors: four panels at a time, whose eight sums hide the latency of
    /// additions.
    #[inline(always)]
    unsafe fn pairs<S: Simd>(&self, panels: Range<usize>) {
        let mut first = panels.start;
        while first < panels.end {
            let count = (panels.end - first).min(4);
            // SAFETY: passed on.
            unsafe {
                match count {
                    4 => self.few::<S, 4>(first),
                    3 => self.few::<S, 3>(first),
                    2 => self.few::<S, 2>(first),
                    _ => self.few::<S, 1>(first),
                }
            }
            first += count;
        }
    }

    #[inline(always)]
    unsafe fn few<S: Simd, const N: usize>(&self, first: usize) {
        let l = S::LANES;
        // SAFETY: the caller vouches for the operands; the panels and their columns are within them.
        unsafe {
            let panels = self.panels.add(first * 2 * l * self.k);
            for i in 0..self.rows as isize {
                let a = self.a.offset(i * self.a_row);
                let c = self.c.offset(i * self.c_row).add(first * 2 * l);
                let mut sums = [[S::zero(); 2]; N];
                if self.add {
                    each!(p < N {
                        sums[p] = [S::load(c.add(2 * p * l)), S::load(c.add((2 * p + 1) * l))];
                    });
                }
                for k in 0..self.k {
                    let x = S::broadcast(a.add(k));
                    let at = k * 2 * l;
                    each!(p < N {
                        let panel = panels.add(p * 2 * l * self.k + at);
                        sums[p][0] = S::fma(x, S::load(panel), sums[p][0]);
                        sums[p][1] = S::fma(x, S::load(panel.add(l)), sums[p][1]);
                    });
                }
                each!(p < N {
                    S::store(c.add(2 * p * l), sums[p][0]);
                    S::store(c.add((2 * p + 1) * l), sums[p][1]);
                });
            }
        }
    }
}

/// A part of a row by vectors: calls the body with the position and the number of lanes that count, and whether all do.
macro_rules! by_vectors {
    ($s:ident, $range:expr, |$at:ident, $part:ident| $body:block) => {{
        let range: Range<usize> = $range;
        let whole = range.end - range.len() % $s::LANES;
        let mut $at = range.start;
        while $at < whole {
            let $part = Whole;
            $body
            $at += $s::LANES;
        }
        if $at < range.end {
            let $part = Some(range.end - $at);
            $body
        }
    }};
}
use by_vectors;

/// The lanes of a vector that count.
trait Count: Copy {
    unsafe fn load<S: Lanes>(self, p: *const f32) -> S::Vector;
    unsafe fn store<S: Lanes>(self, p: *mut f32, x: S::Vector);
}

/// All of them.
#[derive(Clone, Copy)]
struct Whole;

impl Count for Whole {
    #[inline(always)]
    unsafe fn load<S: Lanes>(self, p: *const f32) -> S::Vector {
        // SAFETY: the caller vouches for a vector at `p`.
        unsafe { S::load(p) }
    }

    #[inline(always)]
    unsafe fn store<S: Lanes>(self, p: *mut f32, x: S::Vector) {
        // SAFETY: the caller vouches for a vector at `p`.
        unsafe { S::store(p, x) }
    }
}

/// The first so many.
impl Count for Option<usize> {
    #[inline(always)]
    unsafe fn load<S: Lanes>(self, p: *const f32) -> S::Vector {
        // SAFETY: the caller vouches for so many numbers at `p`.
        unsafe { S::load_partial(p, self.unwrap_or(0)) }
    }

    #[inline(always)]
    unsafe fn store<S: Lanes>(self, p: *mut f32, x: S::Vector) {
        // SAFETY: the caller vouches for so many numbers at `p`.
        unsafe { S::store_partial(p, x, self.unwrap_or(0)) }
    }
}
