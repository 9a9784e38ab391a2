//! The gradients of a sequence of states, from the last step to the first.

use super::{cells::StepGradient, *};
use crate::simd::multiversion;
use std::sync::atomic::AtomicU64;

/// What the gradients are computed from, and where they go.
#[derive(Clone, Copy)]
pub(crate) struct GradientOperands {
    /// R `[P H, H]`, packed; of a Gru in the order of the gradients.
    pub panels: *const f32,
    /// `[T + 1, N, S H]`
    pub states: Sequence<*const f32>,
    /// `[T, N, 4 H]`
    pub gates: Option<Sequence<*const f32>>,
    pub mask: Option<Mask>,
    /// The gradients of the states, `[T + 1, N, S H]`.
    pub given: Sequence<*const f32>,
    /// Of each step those of the sums, `[T + 1, N, Q H]`; in front those of the first state, h and then c.
    pub gradient: Sequence<*mut f32>,
}

/// Numbers of scratch that [`run_gradient`] takes.
pub(crate) fn gradient_scratch() -> usize {
    room(&lengths())
}

fn lengths() -> [usize; 1] {
    [gemm::SCRATCH_LEN]
}

multiversion! {
    /// Runs unit `unit`.
    ///
    /// # Safety
    ///
    /// The CPU must have `isa`; `unit` must be below [`units`]; the operands must be valid for their shapes, weights packed for
    /// this `isa`; `scratch` must have [`gradient_scratch`] numbers, `counters` be [`team::COUNTERS`] that began as 0.
    pub(crate) unsafe fn run_gradient(g: &RecurrentGeometry, unit: usize, x: &GradientOperands, counters: &[AtomicU64], scratch: &mut [f32])
        = gradient_body;
}

#[inline(always)]
unsafe fn gradient_body<S: Lanes>(
    g: &RecurrentGeometry,
    unit: usize,
    x: &GradientOperands,
    counters: &[AtomicU64],
    scratch: &mut [f32],
) {
    let [own] = parts(scratch, lengths());
    let all = [0, g.hidden];
    // SAFETY: the caller vouches for the operands.
    unsafe {
        let Some(parts) = team::parts(S::LANES, S::REGISTERS, g) else {
            let samples = samples(g, unit);
            x.begin(g, samples.clone(), all);
            for t in (0..g.steps).rev() {
                x.step::<S>(g, t, samples.clone(), all);
                x.product(g, t, samples.clone()).run::<S>(own);
            }
            x.end(g, samples, all);
            return;
        };
        team::run::<S>(counters, parts, unit, g.steps + 1, &Member { g, x, parts });
    }
}

/// A member of a team, from the last step to the first.
struct Member<'a> {
    g: &'a RecurrentGeometry,
    x: &'a GradientOperands,
    parts: usize,
}

impl team::Work for Member<'_> {
    #[inline(always)]
    unsafe fn step<S: Lanes>(&self, step: usize, part: usize) {
        let &Member { g, x, .. } = self;
        let part = share(g.hidden, self.parts, part);
        let range = [part.start, part.end];
        let samples = 0..g.batch;
        // SAFETY: passed on.
        unsafe {
            match step {
                0 => x.begin(g, samples.clone(), range),
                // What comes through the products of the step behind takes the sums of all members.
                _ => {
                    let first = part.start / (2 * S::LANES);
                    let product = x.product(g, g.steps - step, samples.clone());
                    product.pairs::<S>(first..first + part.len() / (2 * S::LANES));
                }
            }
            match (g.steps - step).checked_sub(1) {
                Some(t) => x.step::<S>(g, t, samples, range),
                None => x.end(g, samples, range),
            }
        }
    }
}

impl GradientOperands {
    /// What is carried from step to step, h and c: it lies where the gradients of the first state go in the end.
    fn carry(&self, g: &RecurrentGeometry, n: usize) -> [*mut f32; 2] {
        let row = self.gradient.row(0, n);
        [row, row.wrapping_add(g.hidden)]
    }

    /// Nothing is carried behind the last step; what the first row has beside it is 0.
    unsafe fn begin(&self, g: &RecurrentGeometry, samples: Range<usize>, [from, to]: [usize; 2]) {
        for n in samples {
            let row = self.gradient.row(0, n);
            for part in 0..g.cell.gradients() {
                // SAFETY: the caller vouches for the row.
                unsafe { row.add(part * g.hidden + from).write_bytes(0, to - from) };
            }
        }
    }

    /// The gradients of the sums of a step, for a part of the state.
    #[inline(always)]
    unsafe fn step<S: Lanes>(
        &self,
        g: &RecurrentGeometry,
        t: usize,
        samples: Range<usize>,
        part: [usize; 2],
    ) {
        for n in samples {
            let [carry, carry_c] = self.carry(g, n);
            let step = StepGradient {
                hidden: g.hidden,
                part,
                before: self.states.row(t, n),
                after: self.states.row(t + 1, n),
                gates: self.gates.map_or(std::ptr::null(), |gates| gates.row(t, n)),
                given: self.given.row(t + 1, n),
                carry,
                carry_c,
                sums: self.gradient.row(t + 1, n),
            };
            // SAFETY: the caller vouches for the operands.
            unsafe {
                match Mask::goes_on(&self.mask, t, n) {
                    true => step.run::<S>(g.cell),
                    false => step.pass::<S>(g.cell),
                }
            }
        }
    }

    /// What goes to the state before a step through its products.
    fn product(&self, g: &RecurrentGeometry, t: usize, samples: Range<usize>) -> Product {
        Product {
            rows: samples.len(),
            n: g.hidden,
            k: g.cell.products() * g.hidden,
            a: self.gradient.row(t + 1, samples.start),
            a_row: self.gradient.strides[1],
            panels: self.panels,
            c: self.gradient.row(0, samples.start),
            c_row: self.gradient.strides[1],
            add: true,
        }
    }

    /// The gradients of the first state.
    unsafe fn end(&self, g: &RecurrentGeometry, samples: Range<usize>, [from, to]: [usize; 2]) {
        for n in samples {
            let given = self.given.row(0, n);
            for (state, carry) in self.carry(g, n).iter().enumerate().take(g.cell.states()) {
                for d in from..to {
                    // SAFETY: the caller vouches for both rows.
                    unsafe { *carry.add(d) += *given.add(state * g.hidden + d) };
                }
            }
        }
    }
}
