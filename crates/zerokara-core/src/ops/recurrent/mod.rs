//! Recurrent networks as one operation over the whole sequence: a step for each position, each from the state that the last one
//! left.
//!
//! What steps take from their inputs, `x [T, N, P H]`, is computed beforehand as one product; the operation adds what they take
//! from the state before, `h R^T` with `R [P H, H]`, and gives all states `[T + 1, N, S H]`, the first in front. One file for
//! each kind of cell has its formulas: [`rnn`], [`lstm`], [`gru`].
//!
//! The gradient goes back step by step too ("backpropagation through time", Werbos, 1990). It gives the gradients of the sums
//! that each step took; those of inputs, weights and biases follow from them as products over all steps at once. What it needs
//! beside the states are the gates, an operation of their own, which the compiler has written along with the states.
//!
//! With a mask `[T, N]`, a sample goes on only where it holds, and stays as it is elsewhere: so shorter sequences end in their
//! own last state, from whichever side they are read.

mod gru;
mod lstm;
mod rnn;

use super::prelude::*;
pub(crate) use zerokara_kernels::plan::Cell;

/// What of a recurrent network an operation gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recurrence {
    /// All states, from x, R, a Gru's bias, the first states h and c, and perhaps a mask.
    States,
    /// The gates of all steps, `[T, N, 4 H]`, from x, R, a Gru's bias and the states.
    Gates,
    /// The gradients of the sums, `[T + 1, N, Q H]`, those of the first states in front; from R (of a Gru in the order n, r, z),
    /// the states, the gates if the cell has some, the states' gradients, and perhaps a mask.
    Gradient,
}

/// The operation.
#[derive(Clone, Copy, Debug)]
pub struct Recurrent {
    pub cell: Cell,
    pub part: Recurrence,
}

/// What each kind of cell says of itself, for one step of one sample in plain numbers, and for all samples as a definition.
///
/// Slices hold gates one after another, each of H numbers; states h, then c.
trait Rules: Sync {
    /// The state after and the gates, from x, the products `h R^T` (with the bias) and the state before.
    fn step(
        &self,
        h: usize,
        sums: [&[f64]; 2],
        before: &[f64],
        after: &mut [f64],
        gates: &mut [f64],
    );

    /// From the states before and after, the gates, and the gradient of the state after, which becomes that of the state before
    /// without what comes through the products: the gradients of the sums.
    fn gradient(
        &self,
        h: usize,
        states: [&[f64]; 2],
        gates: &[f64],
        given: &mut [f64],
        sums: &mut [f64],
    );

    /// As `step`, of `[.., P H]` and states `[.., H]` each: the states after, and the gates.
    fn define(&self, sums: [&[Tensor]; 2], before: &[Tensor]) -> [Vec<Tensor>; 2];

    /// As `gradient`: the gradients of the state before, and of the sums.
    fn define_gradient(
        &self,
        states: [&[Tensor]; 2],
        gates: &[Tensor],
        given: &[Tensor],
    ) -> [Vec<Tensor>; 2];
}

/// The rules of a cell.
fn rules(cell: Cell) -> &'static dyn Rules {
    match cell {
        Cell::Rnn { rectified: false } => &rnn::Rnn { rectified: false },
        Cell::Rnn { rectified: true } => &rnn::Rnn { rectified: true },
        Cell::Lstm => &lstm::Lstm,
        Cell::Gru => &gru::Gru,
    }
}

/// The sizes of a recurrent network.
struct Sizes {
    t: usize,
    n: usize,
    h: usize,
}

/// Parts of H along the last axis.
fn gates_of(x: &Tensor, hidden: usize, count: usize) -> Vec<Tensor> {
    (0..count)
        .map(|gate| x.narrow(-1, gate * hidden, hidden))
        .collect()
}

/// Joined along the last axis.
fn joined(parts: &[Tensor]) -> Tensor {
    match parts {
        [only] => only.clone(),
        _ => Tensor::concat(&parts.iter().collect::<Vec<_>>(), -1),
    }
}

/// Rows of R from the order r, z, n to n, r, z, or back.
fn last_first(x: &Tensor, hidden: usize) -> Tensor {
    Tensor::concat(
        &[
            &x.narrow(0, 2 * hidden, hidden),
            &x.narrow(0, 0, 2 * hidden),
        ],
        0,
    )
}

fn first_last(x: &Tensor, hidden: usize) -> Tensor {
    Tensor::concat(
        &[&x.narrow(0, hidden, 2 * hidden), &x.narrow(0, 0, hidden)],
        0,
    )
}

fn integers<const N: usize>(lengths: [usize; N]) -> [i64; N] {
    lengths.map(|n| n as i64)
}

impl Recurrent {
    /// The bias of the products, and how many inputs there are without a mask.
    fn inputs(&self) -> (bool, usize) {
        let (bias, gates) = (self.cell == Cell::Gru, self.cell.has_gates());
        let count = match self.part {
            Recurrence::States => 2 + usize::from(bias) + self.cell.states(),
            Recurrence::Gates => 3 + usize::from(bias),
            Recurrence::Gradient => 3 + usize::from(gates),
        };
        (bias, count)
    }

    fn sizes(&self, shapes: &[&[usize]]) -> Result<Sizes, String> {
        let shape = match self.part {
            Recurrence::Gradient => shapes[1],
            _ => shapes[0],
        };
        let (factor, what) = match self.part {
            Recurrence::Gradient => (self.cell.states(), "the states"),
            _ => (self.cell.products(), "what steps take from their inputs"),
        };
        let &[t, n, width] = shape else {
            return Err(format!(
                "needs sequences [T, N, ..] as {what}, not {shape:?}"
            ));
        };
        let h = width / factor;
        if h * factor != width {
            return Err(format!(
                "{what} {shape:?} are not {factor} numbers for each of a state"
            ));
        }
        match (self.part, t) {
            (Recurrence::Gradient, 0) => Err("the states lack the first one".into()),
            (Recurrence::Gradient, _) => Ok(Sizes { t: t - 1, n, h }),
            _ => Ok(Sizes { t, n, h }),
        }
    }

    /// What each input is to be, and what the output is.
    fn shapes(&self, x: &Sizes) -> (Vec<(&'static str, Vec<usize>)>, Vec<usize>) {
        let &Sizes { t, n, h } = x;
        let cell = self.cell;
        let inputs = ("x", vec![t, n, cell.products() * h]);
        let weight = ("R", vec![cell.products() * h, h]);
        let states = ("states", vec![t + 1, n, cell.states() * h]);
        let gates = ("gates", vec![t, n, 4 * h]);
        let bias = (cell == Cell::Gru).then(|| ("bias", vec![cell.products() * h]));
        match self.part {
            Recurrence::States => {
                let first = ["the first h", "the first c"]
                    .into_iter()
                    .take(cell.states());
                let first = first.map(|what| (what, vec![n, h]));
                let all = [inputs, weight].into_iter().chain(bias).chain(first);
                (all.collect(), states.1)
            }
            Recurrence::Gates => {
                let all = [inputs, weight].into_iter().chain(bias).chain([states]);
                (all.collect(), gates.1)
            }
            Recurrence::Gradient => {
                let given = ("the states' gradient", states.1.clone());
                let gates = cell.has_gates().then_some(gates);
                let all = [weight, states].into_iter().chain(gates).chain([given]);
                (all.collect(), vec![t + 1, n, cell.gradients() * h])
            }
        }
    }

    /// The products of all samples at a step, with the bias.
    fn products(&self, h: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
        let y = h.matmul(&weight.t());
        match bias {
            Some(bias) => y + bias,
            None => y,
        }
    }

    /// The states by their definition, step by step.
    fn states(&self, inputs: &[Tensor], x: &Sizes) -> Option<Tensor> {
        let (has_bias, count) = self.inputs();
        let (given, mask) = inputs.split_at_checked(count)?;
        let bias = has_bias.then(|| &given[2]);
        let mut state = given[count - self.cell.states()..].to_vec();
        let mut rows = vec![joined(&state).unsqueeze(0)];
        for t in 0..x.t {
            let own = gates_of(&given[0].at(0, t as i64), x.h, self.cell.products());
            let products = self.products(&state[0], &given[1], bias);
            let products = gates_of(&products, x.h, self.cell.products());
            let [mut after, _] = rules(self.cell).define([&own, &products], &state);
            if let [mask] = mask {
                let goes_on = mask.at(0, t as i64).unsqueeze(1);
                for (after, before) in after.iter_mut().zip(&state) {
                    *after = goes_on.broadcast_like(before).select(after, before);
                }
            }
            state = after;
            rows.push(joined(&state).unsqueeze(0));
        }
        Some(Tensor::concat(&rows.iter().collect::<Vec<_>>(), 0))
    }

    /// The gates by their definition, of all steps at once.
    fn gates(&self, inputs: &[Tensor], x: &Sizes) -> Option<Tensor> {
        let [own, weight, rest @ ..] = inputs else {
            return None;
        };
        let before = rest.last()?.narrow(0, 0, x.t);
        let before = gates_of(&before, x.h, self.cell.states());
        let rows = before[0].reshape_exactly(&integers([x.t * x.n, x.h]));
        let width = self.cell.products() * x.h;
        let products = self.products(&rows, weight, (rest.len() > 1).then(|| &rest[0]));
        let products = products.reshape_exactly(&integers([x.t, x.n, width]));
        let [own, products] = [own, &products].map(|t| gates_of(t, x.h, self.cell.products()));
        let [_, gates] = rules(self.cell).define([&own, &products], &before);
        Some(joined(&gates))
    }

    /// The gradient by its definition, from the last step to the first.
    fn backwards(&self, inputs: &[Tensor], x: &Sizes) -> Option<Tensor> {
        let (_, count) = self.inputs();
        let (given, mask) = inputs.split_at_checked(count)?;
        let [weight, states, rest @ ..] = given else {
            return None;
        };
        let state_at =
            |of: &Tensor, t: usize| gates_of(&of.at(0, t as i64), x.h, self.cell.states());
        let from_outside = rest.last()?;
        let sum = |a: Vec<Tensor>, b: Vec<Tensor>| -> Vec<Tensor> {
            a.iter().zip(&b).map(|(a, b)| a + b).collect()
        };
        let mut carry = state_at(from_outside, x.t);
        let mut rows = Vec::with_capacity(x.t + 1);
        for t in (0..x.t).rev() {
            let gates = match rest {
                [gates, _] => gates_of(&gates.at(0, t as i64), x.h, 4),
                _ => Vec::new(),
            };
            let (before, after) = (state_at(states, t), state_at(states, t + 1));
            let [mut passed, mut sums] =
                rules(self.cell).define_gradient([&before, &after], &gates, &carry);
            if let [mask] = mask {
                let goes_on = mask.at(0, t as i64).unsqueeze(1).broadcast_like(&carry[0]);
                for sum in &mut sums {
                    *sum = goes_on.select(sum, &sum.zeros_like());
                }
                for (passed, carry) in passed.iter_mut().zip(&carry) {
                    *passed = goes_on.select(passed, carry);
                }
            }
            let through = joined(&sums[..self.cell.products()]).matmul(weight);
            passed[0] = &passed[0] + through;
            carry = sum(passed, state_at(from_outside, t));
            rows.push(joined(&sums).unsqueeze(0));
        }
        let mut first = carry;
        first.resize_with(self.cell.gradients(), || {
            states.narrow(-1, 0, x.h).at(0, 0).zeros_like()
        });
        rows.push(joined(&first).unsqueeze(0));
        rows.reverse();
        Some(Tensor::concat(&rows.iter().collect::<Vec<_>>(), 0))
    }
}

impl Op for Recurrent {
    fn name(&self) -> &'static str {
        use Recurrence::*;
        match (self.cell, self.part) {
            (Cell::Rnn { .. }, States) => "rnn",
            (Cell::Rnn { .. }, Gates) => "rnn_gates",
            (Cell::Rnn { .. }, Gradient) => "rnn_gradient",
            (Cell::Lstm, States) => "lstm",
            (Cell::Lstm, Gates) => "lstm_gates",
            (Cell::Lstm, Gradient) => "lstm_gradient",
            (Cell::Gru, States) => "gru",
            (Cell::Gru, Gates) => "gru_gates",
            (Cell::Gru, Gradient) => "gru_gradient",
        }
    }

    fn attributes(&self) -> Attributes {
        match self.cell {
            Cell::Rnn { rectified } => Attributes::none().with("rectified", rectified),
            Cell::Lstm | Cell::Gru => Attributes::none(),
        }
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let (_, count) = self.inputs();
        let masked = self.part != Recurrence::Gates;
        if inputs.len() != count && !(masked && inputs.len() == count + 1) {
            let more = if masked { ", and perhaps a mask" } else { "" };
            return Err(format!("takes {count} inputs{more}, not {}", inputs.len()));
        }
        let shapes: Vec<&[usize]> = inputs.iter().map(|meta| &meta.shape[..]).collect();
        let x = self.sizes(&shapes)?;
        infer::float(&inputs[0])?;
        let (expected, output) = self.shapes(&x);
        for (meta, (what, shape)) in inputs.iter().zip(expected) {
            if *meta != Meta::new(shape.clone(), inputs[0].dtype) {
                return Err(format!(
                    "{what} must be {}{shape:?}, not {meta}",
                    inputs[0].dtype
                ));
            }
        }
        match inputs.get(count) {
            Some(mask) if *mask != Meta::new([x.t, x.n], DType::Bool) => {
                Err(format!("the mask must be bool{:?}, not {mask}", [x.t, x.n]))
            }
            _ => Ok(Meta::new(output, inputs[0].dtype)),
        }
    }

    fn kind(&self) -> Kind {
        Kind::Recurrent {
            cell: self.cell,
            part: self.part,
        }
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let (true, Ok(shape)) = (self.part == Recurrence::States, call.inputs[0].shape()) else {
            return Gradient::Expand;
        };
        let cell = self.cell;
        let (t, n, h) = (shape[0], shape[1], shape[2] / cell.products());
        let (has_bias, count) = self.inputs();
        let (given, mask) = call.inputs.split_at(count);
        let (x, weight) = (&given[0], &given[1]);
        let part = |part: Recurrence| Recurrent { cell, part };
        let gates = cell.has_gates().then(|| {
            let mut inputs = vec![x, weight];
            inputs.extend(has_bias.then(|| &given[2]));
            inputs.push(call.output);
            Tensor::apply(part(Recurrence::Gates), &inputs)
        });
        let ordered = match cell {
            Cell::Gru => last_first(weight, h),
            _ => weight.clone(),
        };
        let mut inputs = vec![&ordered, call.output];
        inputs.extend(&gates);
        inputs.push(call.gradient);
        inputs.extend(mask);
        let all = Tensor::apply(part(Recurrence::Gradient), &inputs);
        let steps = all.narrow(0, 1, t);
        // Of the sums that the input is part of, and of those that the products are part of.
        let (to_x, of_products) = match cell {
            Cell::Gru => (steps.narrow(-1, h, 3 * h), steps.narrow(-1, 0, 3 * h)),
            _ => (steps.clone(), steps),
        };
        let rows = of_products.reshape_exactly(&integers([t * n, cell.products() * h]));
        let before = call.output.narrow(0, 0, t).narrow(-1, 0, h);
        let before = before.reshape_exactly(&integers([t * n, h]));
        let in_order = |x: Tensor| match cell {
            Cell::Gru => first_last(&x, h),
            _ => x,
        };
        let mut gradients = vec![Some(to_x), Some(in_order(rows.t().matmul(&before)))];
        if has_bias {
            gradients.push(Some(in_order(rows.sum_axes(&[0], false))));
        }
        let first = all
            .narrow(0, 0, 1)
            .reshape_exactly(&integers([n, cell.gradients() * h]));
        gradients.extend(gates_of(&first, h, cell.states()).into_iter().map(Some));
        gradients.extend(mask.iter().map(|_| None));
        Gradient::Of(gradients)
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| input.shape()).collect();
        let x = self.sizes(&shapes)?;
        let (_, count) = self.inputs();
        let mask = inputs.get(count).map(|mask| mask.bools());
        loops::floats!(inputs[0].dtype(), T => {
            let given: Vec<&[T]> = inputs[..count].iter().map(|input| input.slice::<T>()).collect();
            let y = output.slice_mut::<T>();
            for n in 0..x.n {
                match self.part {
                    Recurrence::States => self.states_of(&x, n, &given, mask, y),
                    Recurrence::Gates => self.gates_of_steps(&x, n, &given, y),
                    Recurrence::Gradient => self.gradient_of(&x, n, &given, mask, y),
                }
            }
        });
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let shapes: Option<Vec<&[usize]>> = inputs.iter().map(|t| t.shape().ok()).collect();
        let x = self.sizes(&shapes?).ok()?;
        match self.part {
            Recurrence::States => self.states(inputs, &x),
            Recurrence::Gates => self.gates(inputs, &x),
            Recurrence::Gradient => self.backwards(inputs, &x),
        }
    }
}

/// The plain loops, sample by sample.
impl Recurrent {
    /// `h R^T`, and a bias.
    fn plain_products<T: loops::Real>(
        &self,
        h: &[f64],
        weight: &[T],
        bias: Option<&[T]>,
    ) -> Vec<f64> {
        let hidden = h.len();
        let row = |i: usize| {
            let weights = weight[i * hidden..(i + 1) * hidden].iter();
            let sum: f64 = weights.zip(h).map(|(w, h)| w.wide() * h).sum();
            sum + bias.map_or(0.0, |bias| bias[i].wide())
        };
        (0..self.cell.products() * hidden).map(row).collect()
    }

    fn states_of<T: loops::Real>(
        &self,
        x: &Sizes,
        n: usize,
        given: &[&[T]],
        mask: Option<&[u8]>,
        y: &mut [T],
    ) {
        let width = self.cell.states() * x.h;
        let bias = (self.cell == Cell::Gru).then(|| given[2]);
        let first = &given[given.len() - self.cell.states()..];
        let mut state: Vec<f64> = first
            .iter()
            .flat_map(|s| wide(&s[n * x.h..(n + 1) * x.h]))
            .collect();
        for t in 0..=x.t {
            let to = &mut y[(t * x.n + n) * width..][..width];
            to.iter_mut()
                .zip(&state)
                .for_each(|(to, &s)| *to = T::narrow(s));
            if t == x.t || mask.is_some_and(|mask| mask[t * x.n + n] == 0) {
                continue;
            }
            // As they are kept.
            state = wide(to);
            let products = self.plain_products(&state[..x.h], given[1], bias);
            let own = wide(row(given[0], t * x.n + n, self.cell.products() * x.h));
            let (mut after, mut gates) = (state.clone(), vec![0.0; 4 * x.h]);
            rules(self.cell).step(x.h, [&own, &products], &state, &mut after, &mut gates);
            state = after;
        }
    }

    fn gates_of_steps<T: loops::Real>(&self, x: &Sizes, n: usize, given: &[&[T]], y: &mut [T]) {
        let width = self.cell.states() * x.h;
        let bias = (self.cell == Cell::Gru).then(|| given[2]);
        for t in 0..x.t {
            let at = t * x.n + n;
            let before = wide(row(given[given.len() - 1], at, width));
            let products = self.plain_products(&before[..x.h], given[1], bias);
            let own = wide(row(given[0], at, self.cell.products() * x.h));
            let (mut after, mut gates) = (before.clone(), vec![0.0; 4 * x.h]);
            rules(self.cell).step(x.h, [&own, &products], &before, &mut after, &mut gates);
            let to = &mut y[at * 4 * x.h..][..4 * x.h];
            to.iter_mut()
                .zip(gates)
                .for_each(|(to, gate)| *to = T::narrow(gate));
        }
    }

    fn gradient_of<T: loops::Real>(
        &self,
        x: &Sizes,
        n: usize,
        given: &[&[T]],
        mask: Option<&[u8]>,
        y: &mut [T],
    ) {
        let (width, all) = (self.cell.states() * x.h, self.cell.gradients() * x.h);
        let [weight, states, rest @ ..] = given else {
            return;
        };
        let from_outside = rest[rest.len() - 1];
        let mut carry = vec![0.0; width];
        for t in (0..x.t).rev() {
            let at = t * x.n + n;
            let behind = at + x.n;
            carry
                .iter_mut()
                .zip(row(from_outside, behind, width))
                .for_each(|(c, g)| *c += g.wide());
            if mask.is_some_and(|mask| mask[at] == 0) {
                continue;
            }
            let gates = match rest {
                [gates, _] => wide(row(gates, at, 4 * x.h)),
                _ => Vec::new(),
            };
            let (before, after) = (
                wide(row(states, at, width)),
                wide(row(states, behind, width)),
            );
            let mut sums = vec![0.0; all];
            rules(self.cell).gradient(x.h, [&before, &after], &gates, &mut carry, &mut sums);
            for (i, sum) in sums[..self.cell.products() * x.h].iter().enumerate() {
                for (carry, w) in carry.iter_mut().zip(row(weight, i, x.h)) {
                    *carry += sum * w.wide();
                }
            }
            let to = &mut y[behind * all..][..all];
            to.iter_mut()
                .zip(sums)
                .for_each(|(to, sum)| *to = T::narrow(sum));
        }
        let first = carry.iter().zip(row(from_outside, n, width));
        for (to, (carry, given)) in y[n * all..].iter_mut().zip(first) {
            *to = T::narrow(carry + given.wide());
        }
    }
}

/// Row i of rows of so many numbers.
fn row<T>(x: &[T], i: usize, width: usize) -> &[T] {
    &x[i * width..][..width]
}

fn wide<T: loops::Real>(x: &[T]) -> Vec<f64> {
    x.iter().map(|x| x.wide()).collect()
}
