//! Long short-term memory (Hochreiter and Schmidhuber, 1997; page 246 of the book's second volume).
//!
//! ```text
//! i = σ(x_i + R_i h)   f = σ(x_f + R_f h)   g = tanh(x_g + R_g h)   o = σ(x_o + R_o h)
//! c' = f c + i g       h' = o tanh c'
//! ```
//!
//! With the gradients dh of h' and dc of c', what reaches c' is `dc + dh o (1 - tanh^2 c')`; call it dc. Then
//! `di = dc g i (1 - i)`, `df = dc c f (1 - f)`, `dg = dc i (1 - g^2)`, `do = dh tanh c' o (1 - o)` are those of the sums, and
//! `dc f` goes on to c.

use super::*;

/// The rules of the formulas above.
pub(super) struct Lstm;

impl Rules for Lstm {
    fn step(
        &self,
        h: usize,
        [x, products]: [&[f64]; 2],
        before: &[f64],
        after: &mut [f64],
        gates: &mut [f64],
    ) {
        let sum = |gate: usize, d: usize| x[gate * h + d] + products[gate * h + d];
        for d in 0..h {
            let [i, f, o] = [0, 1, 3].map(|gate| loops::sigmoid(sum(gate, d)));
            let g = sum(2, d).tanh();
            let c = f * before[h + d] + i * g;
            (after[d], after[h + d]) = (o * c.tanh(), c);
            (gates[d], gates[h + d], gates[2 * h + d], gates[3 * h + d]) = (i, f, g, o);
        }
    }

    fn gradient(
        &self,
        h: usize,
        [before, after]: [&[f64]; 2],
        gates: &[f64],
        given: &mut [f64],
        sums: &mut [f64],
    ) {
        for d in 0..h {
            let [i, f, g, o] = [0, 1, 2, 3].map(|gate| gates[gate * h + d]);
            let (dh, squashed) = (given[d], after[h + d].tanh());
            let dc = given[h + d] + dh * o * (1.0 - squashed * squashed);
            sums[d] = dc * g * i * (1.0 - i);
            sums[h + d] = dc * before[h + d] * f * (1.0 - f);
            sums[2 * h + d] = dc * i * (1.0 - g * g);
            sums[3 * h + d] = dh * squashed * o * (1.0 - o);
            (given[d], given[h + d]) = (0.0, dc * f);
        }
    }

    fn define(&self, [x, products]: [&[Tensor]; 2], before: &[Tensor]) -> [Vec<Tensor>; 2] {
        let sum = |gate: usize| &x[gate] + &products[gate];
        let [i, f, o] = [0, 1, 3].map(|gate| sum(gate).sigmoid());
        let g = sum(2).tanh();
        let c = &f * &before[1] + &i * &g;
        [vec![&o * c.tanh(), c], vec![i, f, g, o]]
    }

    fn define_gradient(
        &self,
        [before, after]: [&[Tensor]; 2],
        gates: &[Tensor],
        given: &[Tensor],
    ) -> [Vec<Tensor>; 2] {
        let [i, f, g, o] = [0, 1, 2, 3].map(|gate| &gates[gate]);
        let less = |x: Tensor| x.full_like(1.0) - x;
        let squashed = after[1].tanh();
        let dc = &given[1] + &given[0] * o * less(squashed.square());
        let sums = vec![
            &dc * g * i * less(i.clone()),
            &dc * &before[1] * f * less(f.clone()),
            &dc * i * less(g.square()),
            &given[0] * squashed * o * less(o.clone()),
        ];
        [vec![given[0].zeros_like(), dc * f], sums]
    }
}

impl Tensor {
    /// The states of a long short-term memory (Hochreiter and Schmidhuber, 1997) over sequences: of `x [T, N, 4 H]`, what the
    /// gates i, f, g, o take from their inputs, with a weight `R [4 H, H]` and first states h and c `[N, H]`, the states
    /// `[T + 1, N, 2 H]`, h and then c, the first in front:
    ///
    /// ```text
    /// i = σ(x_i + R_i h)   f = σ(x_f + R_f h)   g = tanh(x_g + R_g h)   o = σ(x_o + R_o h)
    /// c' = f c + i g       h' = o tanh c'
    /// ```
    ///
    /// Samples whose mask `[T, N]` (truth values) does not hold at a step stay as they are.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::zeros([3, 1, 4 * 2]);
    /// let first = Tensor::zeros([1, 2]);
    /// let states = x.lstm(&Tensor::ones([4 * 2, 2]), [&first, &first], None);
    /// assert_eq!(states.shape()?, [4, 1, 2 * 2]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn lstm(&self, weight: &Tensor, first: [&Tensor; 2], mask: Option<&Tensor>) -> Tensor {
        let op = Recurrent {
            cell: Cell::Lstm,
            part: Recurrence::States,
        };
        let inputs = [self, weight].into_iter().chain(first).chain(mask);
        Tensor::apply(op, &inputs.collect::<Vec<_>>())
    }
}
