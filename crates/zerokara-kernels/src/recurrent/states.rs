//! The states of a sequence, one after another.

use super::{cells::Step, *};
use crate::simd::multiversion;

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
    /// this `isa`; `scratch` must have [`states_scratch`] numbers.
    pub(crate) unsafe fn run_states(g: &RecurrentGeometry, unit: usize, x: &StatesOperands, scratch: &mut [f32])
        = states_body;
}

#[inline(always)]
unsafe fn states_body<S: Lanes>(
    g: &RecurrentGeometry,
    unit: usize,
    x: &StatesOperands,
    scratch: &mut [f32],
) {
    let (cell, hidden) = (g.cell, g.hidden);
    let samples = samples(g, unit);
    let width = cell.products() * hidden;
    let [own, products, nowhere] = parts(scratch, lengths(g));
    let (products, nowhere) = (products.as_mut_ptr(), nowhere.as_mut_ptr());
    // SAFETY: the caller vouches for the operands; the products have room in scratch.
    unsafe {
        for n in samples.clone().filter(|_| !x.given) {
            let to = x.states.row(0, n);
            for (state, &(start, row)) in x.initial[..cell.states()].iter().enumerate() {
                let from = start.offset(n as isize * row);
                from.copy_to_nonoverlapping(to.add(state * hidden), hidden);
            }
        }
        for t in 0..g.steps {
            let product = Product {
                rows: samples.len(),
                n: width,
                k: hidden,
                a: x.states.row(t, samples.start),
                a_row: x.states.strides[1],
                panels: x.panels,
                c: products,
                c_row: width as isize,
                add: false,
            };
            product.run::<S>(own);
            for (i, n) in samples.clone().enumerate() {
                let before = x.states.row(t, n);
                let after = match x.given {
                    true => nowhere,
                    false => x.states.row(t + 1, n),
                };
                let step = Step {
                    hidden,
                    x: x.inputs.row(t, n),
                    products: products.add(i * width),
                    bias: x.bias,
                    before,
                    after,
                    gates: x
                        .gates
                        .map_or(std::ptr::null_mut(), |gates| gates.row(t, n)),
                };
                step.run::<S>(cell);
                if !Mask::goes_on(&x.mask, t, n) {
                    before.copy_to_nonoverlapping(after, cell.states() * hidden);
                }
            }
        }
    }
}
