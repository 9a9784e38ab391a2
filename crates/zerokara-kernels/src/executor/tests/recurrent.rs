//! Recurrent networks against their formulas in double precision, step by step.

use super::*;
use crate::{
    gemm,
    plan::{Cell, RecurrentGeometry, RecurrentGradientStep, RecurrentStep},
};

const CELLS: [Cell; 4] = [
    Cell::Rnn { rectified: false },
    Cell::Rnn { rectified: true },
    Cell::Lstm,
    Cell::Gru,
];

/// Buffers of a case: 0 inputs, 1 packed R^T, 2 bias, 3 and 4 first states, 5 mask, 6 states, 7 gates, 8 packed R, 9 gradients of
/// the states, 10 gradient.
struct Case {
    g: RecurrentGeometry,
    /// R `[P H, H]`
    weight: Vec<f32>,
    buffers: Vec<Storage>,
    masked: bool,
    /// From the last position to the first.
    backwards: bool,
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

impl Case {
    fn new(cell: Cell, [steps, batch, hidden]: [usize; 3], masked: bool, backwards: bool) -> Self {
        let g = RecurrentGeometry {
            cell,
            steps,
            batch,
            hidden,
        };
        let random = &mut Random::new((steps * 31 + batch * 7 + hidden) as u64);
        let width = cell.products() * hidden;
        let floats = |random: &mut Random, n: usize, scale: f32| -> Vec<f32> {
            random.floats(n).iter().map(|x| x * scale).collect()
        };
        let scale = 1.0 / (hidden.max(1) as f32).sqrt();
        let weight = floats(random, width * hidden, scale);
        let len = |shape: [usize; 3]| shape.iter().product::<usize>();
        let mut mask = Storage::zeros(Element::Bool, steps * batch);
        if let Some(all) = mask.bools_mut() {
            all.iter_mut()
                .for_each(|to| *to = u8::from(random.below(3) > 0));
        }
        let buffers = vec![
            Storage::from(floats(random, len(g.inputs()), 1.5)),
            Storage::zeros(Element::F32, 0),
            Storage::from(floats(random, width, 0.5)),
            Storage::from(floats(random, batch * hidden, 1.0)),
            Storage::from(floats(random, batch * hidden, 1.0)),
            mask,
            Storage::from(vec![7.0f32; len(g.states())]),
            Storage::from(vec![7.0f32; len(g.gates())]),
            Storage::zeros(Element::F32, 0),
            Storage::from(floats(random, len(g.states()), 1.0)),
            Storage::from(vec![7.0f32; len(g.gradient())]),
        ];
        Self {
            g,
            weight,
            buffers,
            masked,
            backwards,
        }
    }

    /// `[T, N, ..]`, perhaps from the last position to the first.
    fn sequence(&self, buffer: usize, shape: &[usize]) -> View {
        let mut view = dense(buffer, 0, shape);
        if self.backwards && shape[0] > 0 && view.elements() > 0 {
            view.offset = (shape[0] - 1) * view.strides[0] as usize;
            view.strides[0] = -view.strides[0];
        }
        view
    }

    fn mask(&self) -> Option<View> {
        let shape = [self.g.steps, self.g.batch];
        self.masked.then(|| self.sequence(5, &shape))
    }

    /// A matrix `[k, n]` as an instruction set packs it.
    fn packed(&self, isa: Isa, [k, n]: [usize; 2], at: impl Fn(usize, usize) -> f32) -> Vec<f32> {
        let matrix: Vec<f32> = (0..k * n).map(|i| at(i / n.max(1), i % n.max(1))).collect();
        let mut packed = vec![0.0f32; gemm::packed_len(isa, k, n)];
        for unit in 0..gemm::pack_units(isa, k, n) {
            let (from, to) = (matrix.as_ptr(), packed.as_mut_ptr());
            // SAFETY: the matrix has k rows of n, and the panels have room.
            unsafe { gemm::pack_unit(isa, unit, k, n, from, [n as isize, 1], to) };
        }
        packed
    }

    /// Runs both passes.
    fn run(&self, isa: Isa) -> Vec<Storage> {
        let (g, cell) = (&self.g, self.g.cell);
        let (h, width) = (g.hidden, cell.products() * g.hidden);
        let mut buffers = self.buffers.clone();
        buffers[1] = self
            .packed(isa, [h, width], |k, n| self.weight[n * h + k])
            .into();
        // Of a Gru the gradients' order is n, r, z.
        let row = |k: usize| match cell {
            Cell::Gru => (k + 2 * h) % (3 * h),
            _ => k,
        };
        buffers[8] = self
            .packed(isa, [width, h], |k, n| self.weight[row(k) * h + n])
            .into();
        let gates = cell.has_gates().then(|| self.sequence(7, &g.gates()));
        let initial = (0..cell.states()).map(|i| dense(3 + i, 0, &[g.batch, h]));
        let step = RecurrentStep {
            geometry: *g,
            inputs: self.sequence(0, &g.inputs()),
            weight: dense(1, 0, &[buffers[1].len()]),
            bias: (cell == Cell::Gru).then(|| dense(2, 0, &[width])),
            initial: initial.collect(),
            mask: self.mask(),
            states: self.sequence(6, &g.states()),
            given: false,
            gates: gates.clone(),
        };
        let plan = single(Step::Recurrent(step.clone()), &buffers);
        let mut buffers = run_plan(&plan, isa, &buffers);
        if cell.has_gates() {
            // From given states the gates are the same.
            let step = RecurrentStep {
                initial: Vec::new(),
                mask: None,
                given: true,
                ..step
            };
            let mut others = buffers.clone();
            others[7] = self.buffers[7].clone();
            let others = run_plan(&single(Step::Recurrent(step), &others), isa, &others);
            assert!(
                others.iter().zip(&buffers).all(|(a, b)| a == b),
                "gates of given states"
            );
        }
        let step = RecurrentGradientStep {
            geometry: *g,
            weight: dense(8, 0, &[buffers[8].len()]),
            states: self.sequence(6, &g.states()),
            gates,
            mask: self.mask(),
            states_gradient: self.sequence(9, &g.states()),
            gradient: self.sequence(10, &g.gradient()),
        };
        buffers = run_plan(
            &single(Step::RecurrentGradient(step), &buffers),
            isa,
            &buffers,
        );
        buffers
    }

    fn at(&self, buffers: &[Storage], view: &View, [t, n, d]: [usize; 3]) -> f64 {
        let at =
            view.offset as isize + t as isize * view.strides[0] + (n * view.shape[2] + d) as isize;
        element(&buffers[view.buffer], at as usize)
    }

    /// Checks both passes, each step from what the kernel's own step before left, so that errors do not add up.
    fn check(&self, after: &[Storage], context: &str) {
        let (g, cell) = (&self.g, self.g.cell);
        let h = g.hidden;
        let views = [
            self.sequence(0, &g.inputs()),
            self.sequence(6, &g.states()),
            self.sequence(9, &g.states()),
            self.sequence(10, &g.gradient()),
        ];
        let [inputs, states, given, gradient] =
            views.map(|view| move |t: usize, n: usize, d: usize| self.at(after, &view, [t, n, d]));
        let tolerance = 1e-5;
        let near = |got: f64, expected: f64, what: &str, at: [usize; 3]| {
            let allowed = tolerance * (1.0 + expected.abs());
            let fits = (got - expected).abs() <= allowed;
            assert!(fits, "{what} {at:?}: {got} for {expected}: {context}");
        };
        let goes_on = |t: usize, n: usize| {
            let t = if self.backwards { g.steps - 1 - t } else { t };
            !self.masked || element(&after[5], t * g.batch + n) != 0.0
        };
        for n in 0..g.batch {
            for state in 0..cell.states() {
                for d in 0..h {
                    let first = element(&after[3 + state], n * h + d);
                    near(states(0, n, state * h + d), first, "first state", [0, n, d]);
                }
            }
            // The gradient of the state behind, of h and c.
            let mut carry = vec![0.0; h];
            let mut carry_c = vec![0.0; h];
            for t in (0..g.steps).rev() {
                let mut through = vec![0.0; h];
                let mut sums = vec![0.0; cell.products() * h];
                for d in 0..h {
                    let product = |gate: usize| -> f64 {
                        let row = gate * h + d;
                        let weight = |k: usize| f64::from(self.weight[row * h + k]);
                        let sum: f64 = (0..h).map(|k| weight(k) * states(t, n, k)).sum();
                        match cell {
                            Cell::Gru => sum + element(&after[2], row),
                            _ => sum,
                        }
                    };
                    let x = |gate: usize| inputs(t, n, gate * h + d);
                    let dh = carry[d] + given(t + 1, n, d);
                    let dc = || carry_c[d] + given(t + 1, n, h + d);
                    if !goes_on(t, n) {
                        for state in 0..cell.states() {
                            let (from, to) =
                                (states(t, n, state * h + d), states(t + 1, n, state * h + d));
                            assert_eq!(from, to, "{context}");
                        }
                        through[d] = dh;
                        if cell == Cell::Lstm {
                            carry_c[d] = dc();
                        }
                        continue;
                    }
                    let next = states(t + 1, n, d);
                    match cell {
                        Cell::Rnn { rectified } => {
                            let sum = x(0) + product(0);
                            let value = if rectified { sum.max(0.0) } else { sum.tanh() };
                            near(next, value, "h", [t, n, d]);
                            sums[d] = match rectified {
                                true if next > 0.0 => dh,
                                true => 0.0,
                                false => dh * (1.0 - next * next),
                            };
                        }
                        Cell::Lstm => {
                            let [i, f, o] = [0, 1, 3].map(|gate| sigmoid(x(gate) + product(gate)));
                            let c_before = states(t, n, h + d);
                            let c_sum = (x(2) + product(2)).tanh();
                            let c = f * c_before + i * c_sum;
                            near(states(t + 1, n, h + d), c, "c", [t, n, d]);
                            near(next, o * c.tanh(), "h", [t, n, d]);
                            let dc = dc() + dh * o * (1.0 - c.tanh().powi(2));
                            sums[d] = dc * c_sum * i * (1.0 - i);
                            sums[h + d] = dc * c_before * f * (1.0 - f);
                            sums[2 * h + d] = dc * i * (1.0 - c_sum * c_sum);
                            sums[3 * h + d] = dh * c.tanh() * o * (1.0 - o);
                            carry_c[d] = dc * f;
                        }
                        Cell::Gru => {
                            let [r, z] = [0, 1].map(|gate| sigmoid(x(gate) + product(gate)));
                            let new = (x(2) + r * product(2)).tanh();
                            let before = states(t, n, d);
                            near(next, (1.0 - z) * new + z * before, "h", [t, n, d]);
                            let dn = dh * (1.0 - z) * (1.0 - new * new);
                            sums[d] = dn * product(2) * r * (1.0 - r);
                            sums[h + d] = dh * (before - new) * z * (1.0 - z);
                            sums[2 * h + d] = dn * r;
                            through[d] = dh * z;
                            near(gradient(t + 1, n, 3 * h + d), dn, "x_n", [t, n, d]);
                        }
                    }
                }
                for (k, to) in through.iter_mut().enumerate() {
                    let terms = sums.iter().enumerate();
                    *to += terms
                        .map(|(row, s)| s * f64::from(self.weight[row * h + k]))
                        .sum::<f64>();
                }
                carry = through;
                for (row, &sum) in sums.iter().enumerate() {
                    let own = match cell {
                        Cell::Gru => (row + h) % (3 * h),
                        _ => row,
                    };
                    near(gradient(t + 1, n, own), sum, "sums", [t, n, row]);
                }
            }
            for d in 0..h {
                near(
                    gradient(0, n, d),
                    carry[d] + given(0, n, d),
                    "first h",
                    [0, n, d],
                );
                if cell == Cell::Lstm {
                    let expected = carry_c[d] + given(0, n, h + d);
                    near(gradient(0, n, h + d), expected, "first c", [0, n, d]);
                }
            }
        }
    }
}

#[test]
fn states_and_their_gradients() {
    let sizes = [
        [1, 1, 1],
        [3, 2, 5],
        [4, 1, 40],
        [3, 2, 150],
        [5, 1, 128],
        [4, 2, 256],
        [2, 9, 33],
        [2, 20, 16],
        [0, 2, 3],
        [2, 0, 3],
        [2, 2, 0],
    ];
    for cell in CELLS {
        for size in sizes {
            for (masked, backwards) in [(false, false), (true, false), (true, true)] {
                let case = Case::new(cell, size, masked, backwards);
                for isa in Isa::available() {
                    let context = format!("{cell:?} {size:?} {masked} {backwards} {}", isa.name());
                    case.check(&case.run(isa), &context);
                }
            }
        }
    }
}

#[test]
fn a_step_that_lacks_what_its_cell_needs_is_refused() {
    let case = Case::new(Cell::Lstm, [2, 2, 3], false, false);
    let g = &case.g;
    let isa = Isa::Portable;
    let mut buffers = case.buffers.clone();
    buffers[8] = vec![0.0f32; gemm::packed_len(isa, 12, 3)].into();
    let step = RecurrentGradientStep {
        geometry: *g,
        weight: dense(8, 0, &[buffers[8].len()]),
        states: dense(6, 0, &g.states()),
        gates: None,
        mask: None,
        states_gradient: dense(9, 0, &g.states()),
        gradient: dense(10, 0, &g.gradient()),
    };
    let error = Executor::new(&single(Step::RecurrentGradient(step), &buffers), isa).err();
    let message = error.map(|e| e.to_string()).unwrap_or_default();
    assert!(message.contains("Lstm has other gates"), "{message}");
}
