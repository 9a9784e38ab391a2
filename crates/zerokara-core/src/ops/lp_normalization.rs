//! Slices divided by their norm (ONNX `LpNormalization`), and by their deviation (ONNX `MeanVarianceNormalization`):
//!
//! ```text
//! lp_normalization             y = x / (sum of |x|^p)^(1 / p)
//! mean_variance_normalization  y = (x - mean) / (sqrt(variance) + 1e-9)
//! ```
//!
//! A slice of zeros stays one, and its gradient is 0.

use super::{
    along::Along,
    prelude::*,
    reduce::{reduced_axes, reduced_positions},
};
use loops::Real;

/// The operation `lp_normalization`.
#[derive(Debug)]
pub struct LpNormalization {
    axis: i64,
    /// 1 or 2.
    p: usize,
}

attributes!(LpNormalization: axis, p);

impl Op for LpNormalization {
    fn name(&self) -> &'static str {
        "lp_normalization"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let x = infer::float_unary(inputs)?;
        shape::axis(self.axis, x.rank())?;
        if !matches!(self.p, 1 | 2) {
            return Err(format!(
                "the norm is the first or the second, not p = {}",
                self.p
            ));
        }
        Ok(x)
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let shape = inputs[0].shape();
        let along = Along::axis(shape::axis(self.axis, shape.len())?, shape);
        loops::floats!(inputs[0].dtype(), T => {
            let (x, y) = (inputs[0].slice::<T>(), output.slice_mut::<T>());
            for slice in 0..along.outer * along.inner {
                let [outer, _, inner] = along.with_length(1).index(slice);
                let places = (0..along.length).map(|i| along.position([outer, i, inner]));
                let powers = places.clone().map(|at| match self.p {
                    1 => x[at].wide().abs(),
                    _ => x[at].wide().powi(2),
                });
                let sum = powers.collect::<loops::Sum>().value();
                let norm = if self.p == 1 { sum } else { sum.sqrt() };
                for at in places {
                    y[at] = if norm == 0.0 { T::narrow(0.0) } else { T::narrow(x[at].wide() / norm) };
                }
            }
        });
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let x = &inputs[0];
        let norm = match self.p {
            1 => x.abs().sum_axes(&[self.axis], true),
            _ => x.norm_axes(&[self.axis], true),
        };
        let at_zero = norm.equal(&norm.zeros_like());
        let divisor = at_zero.select(&norm.full_like(1.0), &norm);
        Some(x / divisor.broadcast_like(x))
    }
}

/// What is added to a deviation.
const LEAST: f64 = 1e-9;

/// The operation `mean_variance_normalization`.
#[derive(Debug)]
pub struct MeanVarianceNormalization {
    axes: Vec<i64>,
}

attributes!(MeanVarianceNormalization: axes);

impl Op for MeanVarianceNormalization {
    fn name(&self) -> &'static str {
        "mean_variance_normalization"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let x = infer::float_unary(inputs)?;
        let axes = reduced_axes(&self.axes, x.rank())?;
        if axes.iter().any(|&axis| x.shape[axis] == 0) {
            return Err("cannot normalise over no elements".into());
        }
        Ok(x)
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let shape = inputs[0].shape();
        let axes = reduced_axes(&self.axes, shape.len())?;
        let count: usize = axes.iter().map(|&axis| shape[axis]).product();
        let slices = inputs[0].len() / count.max(1);
        let positions: Vec<usize> = reduced_positions(shape, &axes).collect();
        loops::floats!(inputs[0].dtype(), T => {
            let x = inputs[0].slice::<T>();
            let mean_of = |value: &dyn Fn(usize) -> f64| -> Vec<f64> {
                let mut sums = vec![loops::Sum::default(); slices];
                for (at, &slice) in positions.iter().enumerate() {
                    sums[slice].add(value(at));
                }
                sums.into_iter().map(|sum| sum.mean(count)).collect()
            };
            let means = mean_of(&|at| x[at].wide());
            let variances = mean_of(&|at| (x[at].wide() - means[positions[at]]).powi(2));
            for (at, y) in output.slice_mut::<T>().iter_mut().enumerate() {
                let slice = positions[at];
                *y = T::narrow((x[at].wide() - means[slice]) / (variances[slice].sqrt() + LEAST));
            }
        });
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let (x, axes) = (&inputs[0], &self.axes);
        let deviations = x - x.mean_axes(axes, true).broadcast_like(x);
        let deviation = x.std_axes(axes, true, 0) + LEAST;
        Some(deviations / deviation.broadcast_like(x))
    }
}

impl Tensor {
    /// Divided along an axis (negative: from the back) by the first norm (p = 1, the sum of absolute values) or the second (p = 2); where
    /// that is 0, all is.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[1.0, -3.0], [0.0, 0.0]]);
    /// assert_eq!(x.lp_normalization(-1, 1).to_vec::<f32>()?, [0.25, -0.75, 0.0, 0.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "LpNormalization")]
    #[track_caller]
    pub fn lp_normalization(&self, axis: i64, p: usize) -> Tensor {
        Tensor::apply(LpNormalization { axis, p }, &[self])
    }

    /// `(x - mean) / (sqrt(variance) + 1e-9)`, with mean and variance over these axes (negative: from the back; none: all).
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[1.0, 3.0], [5.0, 5.0]]);
    /// assert_eq!(x.mean_variance_normalization(&[1]).to_vec::<f32>()?, [-1.0, 1.0, 0.0, 0.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "MeanVarianceNormalization")]
    #[track_caller]
    pub fn mean_variance_normalization(&self, axes: &[i64]) -> Tensor {
        let axes = axes.to_vec();
        Tensor::apply(MeanVarianceNormalization { axes }, &[self])
    }
}
