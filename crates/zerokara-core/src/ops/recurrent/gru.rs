//! Gated recurrent units (Cho et al., 2014), with the reset gate behind the product, as PyTorch has them.
//!
//! ```text
//! r = σ(x_r + R_r h + b_r)   z = σ(x_z + R_z h + b_z)   n = tanh(x_n + r (R_n h + b_n))
//! h' = (1 - z) n + z h
//! ```
//!
//! With the gradient g of h', those of the sums are `dn = g (1 - z) (1 - n^2)` of n's, `dn r` of `R_n h + b_n`,
//! `dr = dn (R_n h + b_n) r (1 - r)` and `dz = g (h - n) z (1 - z)`; `g z` goes on to h.

use super::*;

/// The rules of the formulas above.
pub(super) struct Gru;

impl Rules for Gru {
    fn step(
        &self,
        h: usize,
        [x, products]: [&[f64]; 2],
        before: &[f64],
        after: &mut [f64],
        gates: &mut [f64],
    ) {
        for d in 0..h {
            let [r, z] =
                [0, 1].map(|gate| loops::sigmoid(x[gate * h + d] + products[gate * h + d]));
            let product = products[2 * h + d];
            let n = (x[2 * h + d] + r * product).tanh();
            after[d] = (1.0 - z) * n + z * before[d];
            (gates[d], gates[h + d], gates[2 * h + d], gates[3 * h + d]) = (r, z, n, product);
        }
    }

    fn gradient(
        &self,
        h: usize,
        [before, _]: [&[f64]; 2],
        gates: &[f64],
        given: &mut [f64],
        sums: &mut [f64],
    ) {
        for d in 0..h {
            let [r, z, n, product] = [0, 1, 2, 3].map(|gate| gates[gate * h + d]);
            let g = given[d];
            let dn = g * (1.0 - z) * (1.0 - n * n);
            sums[d] = dn * r;
            sums[h + d] = dn * product * r * (1.0 - r);
            sums[2 * h + d] = g * (before[d] - n) * z * (1.0 - z);
            sums[3 * h + d] = dn;
            given[d] = g * z;
        }
    }

    fn define(&self, [x, products]: [&[Tensor]; 2], before: &[Tensor]) -> [Vec<Tensor>; 2] {
        let [r, z] = [0, 1].map(|gate| (&x[gate] + &products[gate]).sigmoid());
        let n = (&x[2] + &r * &products[2]).tanh();
        let h = &n + &z * (&before[0] - &n);
        [vec![h], vec![r, z, n, products[2].clone()]]
    }

    fn define_gradient(
        &self,
        [before, _]: [&[Tensor]; 2],
        gates: &[Tensor],
        given: &[Tensor],
    ) -> [Vec<Tensor>; 2] {
        let [r, z, n, product] = [0, 1, 2, 3].map(|gate| &gates[gate]);
        let less = |x: Tensor| x.full_like(1.0) - x;
        let dn = &given[0] * less(z.clone()) * less(n.square());
        let sums = vec![
            &dn * r,
            &dn * product * r * less(r.clone()),
            &given[0] * (&before[0] - n) * z * less(z.clone()),
            dn,
        ];
        [vec![&given[0] * z], sums]
    }
}

impl Tensor {
    /// The states of gated recurrent units (Cho et al., 2014) over sequences: of `x [T, N, 3 H]`, what the gates r, z, n take
    /// from their inputs, with a weight `R [3 H, H]`, a bias `b [3 H]` of its products, and first states `[N, H]`, the states
    /// `[T + 1, N, H]`, the first in front:
    ///
    /// ```text
    /// r = σ(x_r + R_r h + b_r)   z = σ(x_z + R_z h + b_z)   n = tanh(x_n + r (R_n h + b_n))
    /// h' = (1 - z) n + z h
    /// ```
    ///
    /// Samples whose mask `[T, N]` (truth values) does not hold at a step stay as they are.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::zeros([3, 1, 3 * 2]);
    /// let (weight, bias) = (Tensor::ones([3 * 2, 2]), Tensor::zeros([3 * 2]));
    /// let states = x.gru(&weight, &bias, &Tensor::zeros([1, 2]), None);
    /// assert_eq!(states.shape()?, [4, 1, 2]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn gru(
        &self,
        weight: &Tensor,
        bias: &Tensor,
        first: &Tensor,
        mask: Option<&Tensor>,
    ) -> Tensor {
        let op = Recurrent {
            cell: Cell::Gru,
            part: Recurrence::States,
        };
        let inputs = [self, weight, bias, first].into_iter().chain(mask);
        Tensor::apply(op, &inputs.collect::<Vec<_>>())
    }
}
