//! The states of a sequence, one after another.

use super::{cells::Step, *};
use crate::simd::multiversion;
use std::sync::atomic::AtomicU64;

/// What the states are computed from, and where they go.
#[derive(Clone, Copy)]
pub(crate) struct StatesOperands {
    /// What steps take from their inputs, `[T, N, P H]`.
    pub inputs: Sequence<*const f32>,
    /// R^T `[H, P H]`, packed.
    pub panels: *const f32,
    /// `[P H]`, or null.
    pub bias: *const f32,
    /// The first state: for h, and for c, rows `[N, H]` with the distance from row to row.
    pub initial: [(*const f32, isize); 2],
    pub mask: Option<Mask>,
    /// `[T + 1, N, S H]`, the first state in front.
    pub states: Sequence<*mut f32>,
    /// Whether these are given, and only read.
    pub given: bool,
    /// `[T, N, 4 H]`
    pub gates: Option<Sequence<*mut f32>>,
}

/// Numbers of scratch that [`run_states`] takes.
pub(crate) fn states_scratch(g: &RecurrentGeometry) -> usize {
    room(&lengths(g))
}

fn lengths(g: &RecurrentGeometry) -> [usize; 3] {
    let products = most_samples(g) * g.cell.products() * g.hidden;
    [gemm::SCRATCH_LEN, products, g.cell.states() * g.hidden]
}

multiversion! {
    /// Runs unit `unit`.
    ///
    /// # Safety
    ///
    /// The CPU must have `isa`; `unit` must be below [`units`]; the operands must be valid for their shapes, weights packed for
    /// this `isa`; `scratch` must have [`states_scratch`] numbers, `counters` be [`team::COUNTERS`] that began as 0.
    pub(crate) unsafe fn run_states(g: &RecurrentGeometry, unit: usize, x: &StatesOperands, counters: &[AtomicU64], scratch: &mut [f32])
        = states_body;
}

#[inline(always)]
unsafe fn states_body<S: Lanes>(
    g: &RecurrentGeometry,
    unit: usize,
    x: &StatesOperands,
    counters: &[AtomicU64],
    scratch: &mut [f32],
) {
    let [own, products, nowhere] = parts(scratch, lengths(g));
    let (products, nowhere) = (products.as_mut_ptr(), nowhere.as_mut_ptr());
    let all = [0, g.hidden];
    // SAFETY: the caller vouches for the operands; the products have room in scratch.
    unsafe {
        let Some(parts) = team::parts(S::LANES, S::REGISTERS, g) else {
            let samples = samples(g, unit);
            x.begin(g, samples.clone(), all);
            for t in 0..g.steps {
                x.product(g, t, samples.clone(), products).run::<S>(own);
                x.step::<S>(g, t, samples.clone(), all, products, nowhere);
            }
            return;
        };
        let member = Member {
            g,
            x,
            parts,
            products,
            nowhere,
        };
        team::run::<S>(counters, parts, unit, g.steps + 1, &member);
    }
}

/// A member of a team: first it sets its part of the first state, then it goes on step by step.
struct Member<'a> {
    g: &'a RecurrentGeometry,
    x: &'a StatesOperands,
    parts: usize,
    products: *mut f32,
    nowhere: *mut f32,
}

impl team::Work for Member<'_> {
    #[inline(always)]
    unsafe fn step<S: Lanes>(&self, step: usize, part: usize) {
        let &Member { g, x, products, .. } = self;
        let part = share(g.hidden, self.parts, part);
        let range = [part.start, part.end];
        let samples = 0..g.batch;
        // SAFETY: passed on.
        unsafe {
            let Some(t) = step.checked_sub(1) else {
                return x.begin(g, samples, range);
            };
            let product = x.product(g, t, samples.clone(), products);
            for gate in 0..g.cell.products() {
                let first = (gate * g.hidden + part.start) / (2 * S::LANES);
                product.pairs::<S>(first..first + part.len() / (2 * S::LANES));
            }
            x.step::<S>(g, t, samples, range, products, self.nowhere);
        }
    }
}

impl StatesOperands {
    /// The first states of some samples.
    unsafe fn begin(&self, g: &RecurrentGeometry, samples: Range<usize>, [from, to]: [usize; 2]) {
        for n in samples.filter(|_| !self.given) {
            let first = self.states.row(0, n);
            for (state, &(start, row)) in self.initial[..g.cell.states()].iter().enumerate() {
                // SAFETY: the caller vouches for the operands.
                unsafe {
                    let source = start.offset(n as isize * row).add(from);
                    let target = first.add(state * g.hidden + from);
                    source.copy_to_nonoverlapping(target, to - from);
                }
            }
        }
    }

    /// What some samples take from their states at a step.
    fn product(
        &self,
        g: &RecurrentGeometry,
        t: usize,
        samples: Range<usize>,
        products: *mut f32,
    ) -> Product {
        let width = g.cell.products() * g.hidden;
        Product {
            rows: samples.len(),
            n: width,
            k: g.hidden,
            a: self.states.row(t, samples.start),
            a_row: self.states.strides[1],
            panels: self.panels,
            c: products,
            c_row: width as isize,
            add: false,
        }
    }

    /// A part of the states behind a step.
    #[inline(always)]
    unsafe fn step<S: Lanes>(
        &self,
        g: &RecurrentGeometry,
        t: usize,
        samples: Range<usize>,
        part: [usize; 2],
        products: *mut f32,
        nowhere: *mut f32,
    ) {
        let (cell, hidden) = (g.cell, g.hidden);
        // SAFETY: the caller vouches for the operands.
        unsafe {
            for (i, n) in samples.enumerate() {
                let before = self.states.row(t, n);
                let after = match self.given {
                    true => nowhere,
                    false => self.states.row(t + 1, n),
                };
                let gates = self
                    .gates
                    .map_or(std::ptr::null_mut(), |gates| gates.row(t, n));
                let step = Step {
                    hidden,
                    part,
                    x: self.inputs.row(t, n),
                    products: products.add(i * cell.products() * hidden),
                    bias: self.bias,
                    before,
                    after,
                    gates,
                };
                step.run::<S>(cell);
                if !Mask::goes_on(&self.mask, t, n) {
                    for state in 0..cell.states() {
                        let first = state * hidden + part[0];
                        let length = part[1] - part[0];
                        before
                            .add(first)
                            .copy_to_nonoverlapping(after.add(first), length);
                    }
                }
            }
        }
    }
}
