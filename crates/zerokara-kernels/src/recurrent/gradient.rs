//! The gradients of a sequence of states, from the last step to the first.

use super::{cells::StepGradient, *};
use crate::simd::multiversion;

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
pub(crate) fn gradient_scratch(g: &RecurrentGeometry) -> usize {
    room(&lengths(g))
}

fn lengths(g: &RecurrentGeometry) -> [usize; 3] {
    let carry = most_samples(g) * g.hidden;
    [gemm::SCRATCH_LEN, carry, carry]
}

multiversion! {
    /// Runs unit `unit`.
    ///
    /// # Safety
    ///
    /// The CPU must have `isa`; `unit` must be below [`units`]; the operands must be valid for their shapes, weights packed for
    /// this `isa`; `scratch` must have [`gradient_scratch`] numbers.
    pub(crate) unsafe fn run_gradient(g: &RecurrentGeometry, unit: usize, x: &GradientOperands, scratch: &mut [f32])
        = gradient_body;
}

#[inline(always)]
unsafe fn gradient_body<S: Lanes>(
    g: &RecurrentGeometry,
    unit: usize,
    x: &GradientOperands,
    scratch: &mut [f32],
) {
    let (cell, hidden) = (g.cell, g.hidden);
    let samples = samples(g, unit);
    let [own, carry, carry_c] = parts(scratch, lengths(g));
    carry.fill(0.0);
    carry_c.fill(0.0);
    let (carry, carry_c) = (carry.as_mut_ptr(), carry_c.as_mut_ptr());
    // SAFETY: the caller vouches for the operands; what is carried has room in scratch.
    unsafe {
        for t in (0..g.steps).rev() {
            for (i, n) in samples.clone().enumerate() {
                let step = StepGradient {
                    hidden,
                    before: x.states.row(t, n),
                    after: x.states.row(t + 1, n),
                    gates: x.gates.map_or(std::ptr::null(), |gates| gates.row(t, n)),
                    given: x.given.row(t + 1, n),
                    carry: carry.add(i * hidden),
                    carry_c: carry_c.add(i * hidden),
                    sums: x.gradient.row(t + 1, n),
                };
                match Mask::goes_on(&x.mask, t, n) {
                    true => step.run::<S>(cell),
                    false => step.pass::<S>(cell),
                }
            }
            let product = Product {
                rows: samples.len(),
                n: hidden,
                k: cell.products() * hidden,
                a: x.gradient.row(t + 1, samples.start),
                a_row: x.gradient.strides[1],
                panels: x.panels,
                c: carry,
                c_row: hidden as isize,
                add: true,
            };
            product.run::<S>(own);
        }
        for (i, n) in samples.enumerate() {
            let (given, to) = (x.given.row(0, n), x.gradient.row(0, n));
            to.write_bytes(0, cell.gradients() * hidden);
            let both = [carry, carry_c].map(|carry| carry.add(i * hidden));
            for (state, carry) in both[..cell.states()].iter().enumerate() {
                for d in state * hidden..(state + 1) * hidden {
                    *to.add(d) = *carry.add(d - state * hidden) + *given.add(d);
                }
            }
        }
    }
}
