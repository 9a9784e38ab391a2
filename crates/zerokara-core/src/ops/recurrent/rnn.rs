//! The plain recurrent network (Elman, 1990): `h' = tanh(x + R h)`, or `max(x + R h, 0)`.
//!
//! With g the gradient of h', that of the sum is `g (1 - h'^2)`, or g where h' is positive.

use super::*;

/// The rules, with `max(.., 0)` in place of tanh if `rectified`.
pub(super) struct Rnn {
    pub rectified: bool,
}

impl Rules for Rnn {
    fn step(
        &self,
        _: usize,
        [x, products]: [&[f64]; 2],
        _: &[f64],
        after: &mut [f64],
        _: &mut [f64],
    ) {
        for (i, h) in after.iter_mut().enumerate() {
            let sum = x[i] + products[i];
            *h = match self.rectified {
                true => loops::maximum(sum, 0.0),
                false => sum.tanh(),
            };
        }
    }

    fn gradient(
        &self,
        _: usize,
        [_, after]: [&[f64]; 2],
        _: &[f64],
        given: &mut [f64],
        sums: &mut [f64],
    ) {
        for (i, g) in given.iter_mut().enumerate() {
            sums[i] = match self.rectified {
                true if after[i] > 0.0 => *g,
                true => 0.0,
                false => *g * (1.0 - after[i] * after[i]),
            };
            *g = 0.0;
        }
    }

    fn define(&self, [x, products]: [&[Tensor]; 2], _: &[Tensor]) -> [Vec<Tensor>; 2] {
        let sum = &x[0] + &products[0];
        let h = match self.rectified {
            true => sum.relu(),
            false => sum.tanh(),
        };
        [vec![h], Vec::new()]
    }

    fn define_gradient(
        &self,
        [_, after]: [&[Tensor]; 2],
        _: &[Tensor],
        given: &[Tensor],
    ) -> [Vec<Tensor>; 2] {
        let zero = given[0].zeros_like();
        let sum = match self.rectified {
            true => after[0].greater(&zero).select(&given[0], &zero),
            false => &given[0] * (after[0].full_like(1.0) - after[0].square()),
        };
        [vec![zero], vec![sum]]
    }
}

impl Tensor {
    /// The states of a plain recurrent network (Elman, 1990) over sequences: of `x [T, N, H]`, what steps take from their
    /// inputs, with a weight `R [H, H]` and first states `[N, H]`, the states `[T + 1, N, H]`, the first in front:
    /// `h[t + 1] = tanh(x[t] + R h[t])`, or `max(.., 0)` if `rectified`.
    ///
    /// Samples whose mask `[T, N]` (truth values) does not hold at a step stay as they are.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([1.0, 2.0]).reshape([2, 1, 1]);
    /// let (weight, first) = (Tensor::from([[0.5]]), Tensor::zeros([1, 1]));
    /// let states = x.rnn(&weight, &first, true, None);
    /// assert_eq!(states.to_vec::<f32>()?, [0.0, 1.0, 2.5]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn rnn(
        &self,
        weight: &Tensor,
        first: &Tensor,
        rectified: bool,
        mask: Option<&Tensor>,
    ) -> Tensor {
        let op = Recurrent {
            cell: Cell::Rnn { rectified },
            part: Recurrence::States,
        };
        let inputs = [self, weight, first].into_iter().chain(mask);
        Tensor::apply(op, &inputs.collect::<Vec<_>>())
    }
}
