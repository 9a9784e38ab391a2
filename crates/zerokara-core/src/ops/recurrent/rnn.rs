//! The plain recurrent network (Elman, 1990): `h' = tanh(x + R h)`, or `max(x + R h, 0)`.
//!
//! With g the gradient of h', that of the sum is `g (1 - h'^2)`, or g where h' is positive.

use super::*;

pub(super) const TANH: Rules = Rules {
    step: |_, x, products, _, after, _| {
        for (i, h) in after.iter_mut().enumerate() {
            *h = (x[i] + products[i]).tanh();
        }
    },
    gradient: |_, _, after, _, given, sums| {
        for (i, g) in given.iter_mut().enumerate() {
            sums[i] = *g * (1.0 - after[i] * after[i]);
            *g = 0.0;
        }
    },
    define: |x, products, _| (vec![(&x[0] + &products[0]).tanh()], Vec::new()),
    define_gradient: |_, after, _, given| {
        let slope = after[0].full_like(1.0) - after[0].square();
        (vec![given[0].zeros_like()], vec![&given[0] * slope])
    },
};

pub(super) const RECTIFIED: Rules = Rules {
    step: |_, x, products, _, after, _| {
        for (i, h) in after.iter_mut().enumerate() {
            *h = loops::maximum(x[i] + products[i], 0.0);
        }
    },
    gradient: |_, _, after, _, given, sums| {
        for (i, g) in given.iter_mut().enumerate() {
            sums[i] = if after[i] > 0.0 { *g } else { 0.0 };
            *g = 0.0;
        }
    },
    define: |x, products, _| (vec![(&x[0] + &products[0]).relu()], Vec::new()),
    define_gradient: |_, after, _, given| {
        let zero = given[0].zeros_like();
        let passed = after[0].greater(&zero).select(&given[0], &zero);
        (vec![zero], vec![passed])
    },
};

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
