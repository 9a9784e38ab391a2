//! The logarithm of a sum of exponentials over axes, `y = ln(sum of e^x) = m + ln(sum of e^(x - m))` with m the largest x, so
//! that nothing overflows. The gradient is `g e^(x - y)`, the softmax of x times the output's.
//!
//! An x of -inf adds nothing; where there are no others, y is -inf and the gradient 0. Beside +inf, y is +inf, and the gradient
//! is shared by the infinite ones.

use super::{
    prelude::*,
    reduce::{Over, reduced_positions},
};
use loops::Real;

/// The operation.
#[derive(Debug)]
pub struct LogSumExp {
    over: Over,
}

attributes!(LogSumExp: over);

impl LogSumExp {
    /// The largest element of each group, spread over it; 0 where it is infinite. It is a constant: the result does not depend
    /// on it.
    fn shift(&self, x: &Tensor) -> Tensor {
        let largest = x.max_axes(self.over.written(), false).detach();
        let finite = largest.is_finite();
        finite.select(&largest, &largest.zeros_like())
    }
}

impl Op for LogSumExp {
    fn name(&self) -> &'static str {
        "log_sum_exp"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        self.over.infer(inputs)
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let x = &call.inputs[0];
        let y = self.over.spread(call.output, x);
        // Of equal infinities the difference is NaN. Where both are -inf nothing was added; of +inf each has its share.
        let same = x.equal(&y).logical_and(&x.is_finite().logical_not());
        let zero = x.zeros_like();
        let share = same.select(&zero, x) - same.select(&zero, &y);
        let share = share.exp();
        let top = x.equal(&x.full_like(f64::INFINITY));
        let tops = top.cast(x.dtype().unwrap_or(DType::F32));
        let count = tops.sum_axes(self.over.written(), true);
        let count = count.maximum(&count.full_like(1.0)).broadcast_like(x);
        let at_end = top.select(&(tops / count), &zero);
        let share = same.select(&at_end, &share);
        Gradient::one(self.over.spread(call.gradient, x) * share)
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let x = inputs[0];
        let axes = self.over.axes(x.shape().len())?;
        loops::floats!(x.dtype(), T => {
            let elements = || reduced_positions(x.shape(), &axes).zip(x.slice::<T>());
            let mut largest = vec![T::NEG_INFINITY; output.len()];
            elements().for_each(|(to, &x)| largest[to] = loops::maximum(largest[to], x));
            let mut sums = vec![loops::Sum::default(); output.len()];
            for (to, &x) in elements() {
                let shift = if largest[to].is_finite() { largest[to].wide() } else { 0.0 };
                sums[to].add((x.wide() - shift).exp());
            }
            for ((y, sum), &largest) in output.slice_mut::<T>().iter_mut().zip(sums).zip(&largest) {
                let shift = if largest.is_finite() { largest.wide() } else { 0.0 };
                *y = T::narrow(shift + sum.value().ln());
            }
        });
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let (x, axes) = (&inputs[0], self.over.written());
        let shift = self.shift(x);
        let sums = (x - self.over.spread(&shift, x))
            .exp()
            .sum_axes(axes, false);
        let y = shift + sums.log();
        Some(match self.over.keeps() {
            true => y.keep_axes(x, axes),
            false => y,
        })
    }
}

impl Tensor {
    /// The logarithm of the sum of the exponentials of all elements, a scalar.
    #[doc(alias = "logsumexp")]
    #[track_caller]
    pub fn log_sum_exp(&self) -> Tensor {
        self.log_sum_exp_axes(&[], false)
    }

    /// The logarithm of the sum of exponentials over these axes (negative: from the back; none: all), which are removed or, with
    /// `keep`, stay with length 1. Nothing overflows; of no elements, or of nothing but -inf, it is -inf.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[1000.0, 1000.0], [0.0, f32::NEG_INFINITY]]);
    /// let y = x.log_sum_exp_axes(&[1], false).to_vec::<f32>()?;
    /// assert!((y[0] - 1000.6931).abs() < 1e-3 && y[1] == 0.0);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn log_sum_exp_axes(&self, axes: &[i64], keep: bool) -> Tensor {
        let over = Over::new(axes, keep);
        Tensor::apply(LogSumExp { over }, &[self])
    }

    /// The sum of absolute values over these axes (negative: from the back; none: all), which are removed or, with `keep`, stay
    /// with length 1. The Euclidean norm is [`Tensor::norm_axes`].
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// assert_eq!(Tensor::from([3.0, -4.0]).l1_axes(&[], false).item()?, 7.0);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn l1_axes(&self, axes: &[i64], keep: bool) -> Tensor {
        self.abs().sum_axes(axes, keep)
    }

    /// The sum of squares over these axes (negative: from the back; none: all), which are removed or, with `keep`, stay with
    /// length 1. Integers wrap around.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// assert_eq!(Tensor::from([3, -4]).sum_square_axes(&[], false).item()?, 25.0);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn sum_square_axes(&self, axes: &[i64], keep: bool) -> Tensor {
        (self * self).sum_axes(axes, keep)
    }

    /// The logarithm of the sum over these axes (negative: from the back; none: all), which are removed or, with `keep`, stay
    /// with length 1: NaN where the sum is negative.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// assert_eq!(Tensor::from([3.0, -2.0]).log_sum_axes(&[], false).item()?, 0.0);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn log_sum_axes(&self, axes: &[i64], keep: bool) -> Tensor {
        self.sum_axes(axes, keep).log()
    }
}
