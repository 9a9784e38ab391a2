//! Variance over axes: `y = sum of (x - mean)^2 / (n - correction)`, n the number of elements; `dx = g 2 (x - mean) /
//! (n - correction)` (the mean's own gradient cancels, since the deviations add up to 0).

use super::{
    prelude::*,
    reduce::{Over, reduced_positions, sums_over},
};
use loops::Real;
use zerokara_kernels::plan::Reduction;

/// The operation `var`.
#[derive(Debug)]
pub struct Variance {
    over: Over,
    /// 1 for the unbiased estimate of a population's variance, 0 for the variance of the elements themselves.
    correction: usize,
}

attributes!(Variance: over, correction);

impl Variance {
    fn divisor(&self, shape: &[usize]) -> Result<usize, String> {
        let count = self.over.count(shape)?;
        count
            .checked_sub(self.correction)
            .filter(|&n| n > 0)
            .ok_or_else(|| {
                format!(
                    "{count} elements have no variance with correction {}",
                    self.correction
                )
            })
    }

    fn deviations(&self, x: &Tensor) -> Tensor {
        x - x.mean_axes(self.over.written(), true).broadcast_like(x)
    }
}

impl Op for Variance {
    fn name(&self) -> &'static str {
        "var"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let meta = self.over.infer(inputs)?;
        self.divisor(&inputs[0].shape)?;
        Ok(meta)
    }

    fn kind(&self) -> Kind {
        self.over.kind(Reduction::Variance {
            correction: self.correction,
        })
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let x = &call.inputs[0];
        let Ok(divisor) = x
            .shape()
            .map_err(|e| e.to_string())
            .and_then(|s| self.divisor(s))
        else {
            return Gradient::Zero;
        };
        let g = call.gradient * call.gradient.full_like(2.0 / divisor as f64);
        Gradient::one(self.over.spread(&g, x) * self.deviations(x))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let x = inputs[0];
        let axes = self.over.axes(x.shape().len())?;
        let count = self.over.count(x.shape())?;
        let divisor = self.divisor(x.shape())?;
        let means: Vec<f64> = sums_over(x, &axes, output.len())?
            .into_iter()
            .map(|sum| sum.mean(count))
            .collect();
        loops::floats!(x.dtype(), T => {
            let mut squares = vec![loops::Sum::default(); means.len()];
            for (to, &x) in reduced_positions(x.shape(), &axes).zip(x.slice::<T>()) {
                squares[to].add((x.wide() - means[to]).powi(2));
            }
            for (y, squares) in output.slice_mut::<T>().iter_mut().zip(squares) {
                *y = T::narrow(squares.value() / divisor as f64);
            }
        });
        Ok(())
    }

    /// With `keep`: the variance without, seen in the other shape, so that the two are computed once.
    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let (x, axes) = (&inputs[0], self.over.written());
        let variance = x.var_axes(axes, false, self.correction);
        Some(variance.keep_axes(x, axes))
    }
}

impl Tensor {
    /// Variance of all elements, a scalar: the mean square of the deviations from the mean.
    #[track_caller]
    pub fn var(&self) -> Tensor {
        self.var_axes(&[], false, 0)
    }

    /// Variance over these axes (negative: from the back; none: all), which are removed or, with `keep`, stay with
    /// length 1. The squares are divided by their number less `correction`, which is 1 for the unbiased estimate of a
    /// population's variance.
    #[track_caller]
    pub fn var_axes(&self, axes: &[i64], keep: bool, correction: usize) -> Tensor {
        Tensor::apply(
            Variance {
                over: Over::new(axes, keep),
                correction,
            },
            &[self],
        )
    }

    /// Standard deviation of all elements, a scalar: the square root of [`Tensor::var`]. Its gradient is 0 where all elements
    /// are equal.
    #[track_caller]
    pub fn std(&self) -> Tensor {
        self.var().root_of_squares()
    }

    /// Standard deviation over axes: the square root of [`Tensor::var_axes`], with a gradient of 0 where that is 0.
    #[track_caller]
    pub fn std_axes(&self, axes: &[i64], keep: bool, correction: usize) -> Tensor {
        self.var_axes(axes, keep, correction).root_of_squares()
    }
}
