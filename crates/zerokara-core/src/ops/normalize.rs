//! Normalisation: `y = (x - mean) / sqrt(var + epsilon) * scale + shift`.
//!
//! `batch_norm` takes the statistics of each channel as inputs, those of the batch or running ones (page 186 of the
//! book; Ioffe and Szegedy, 2015); `layer_norm` takes them over the last axes of each sample (Ba et al., 2016).

use super::{along::Along, prelude::*};
use loops::Real;

/// The operation `batch_norm` of `x [N, C, ..]`, and mean, variance, scale and shift `[C]`.
#[derive(Debug)]
pub struct BatchNorm {
    epsilon: f64,
}

attributes!(BatchNorm: epsilon);

impl BatchNorm {
    /// `1 / sqrt(variance + epsilon)`
    fn inverse_deviation(&self, variance: &Tensor) -> Tensor {
        (variance + variance.full_like(self.epsilon)).rsqrt()
    }
}

impl Op for BatchNorm {
    fn name(&self) -> &'static str {
        "batch_norm"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, channels @ ..] = infer::arity::<5>(inputs)?;
        infer::float(x)?;
        let &[_, c, ..] = &x.shape[..] else {
            return Err("needs an input [N, C, ..]".into());
        };
        for (other, what) in channels.iter().zip(["mean", "variance", "scale", "shift"]) {
            if *other != Meta::new([c], x.dtype) {
                return Err(format!("the {what} must be {}[{c}]", x.dtype));
            }
        }
        Ok(x.clone())
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    /// With `s = 1 / sqrt(variance + epsilon)`, `d = x - mean`, and the sums `a` of g and `b` of `g d` over each channel:
    /// `g scale s`, `-a scale s`, `-b scale s^3 / 2`, `b s` and `a`. So the whole gradient needs two sums over one walk.
    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let [x, mean, variance, scale, _] = call.inputs else {
            return Gradient::Zero;
        };
        let axes: Vec<i64> = (0..x.shape().map_or(0, <[usize]>::len) as i64)
            .filter(|&axis| axis != 1)
            .collect();
        let g = call.gradient;
        let inverse = self.inverse_deviation(variance);
        let factor = &inverse * scale;
        let sum = g.sum_axes(&axes, false);
        let moment = (g * (x - mean.along_channels(x))).sum_axes(&axes, false);
        let to_scale = &moment * &inverse;
        let half = inverse.full_like(-0.5);
        Gradient::Of(vec![
            Some(g * factor.along_channels(x)),
            Some(-(&factor * &sum)),
            Some(&to_scale * (&factor * &inverse) * half),
            Some(to_scale),
            Some(sum),
        ])
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let channels = Along::axis(1, inputs[0].shape());
        loops::floats!(inputs[0].dtype(), T => {
            let [x, mean, variance, scale, shift] = [0, 1, 2, 3, 4].map(|i| inputs[i].slice::<T>());
            for (i, y) in output.slice_mut::<T>().iter_mut().enumerate() {
                let [_, c, _] = channels.index(i);
                *y = (x[i] - mean[c]) / (variance[c] + self.epsilon as T).sqrt() * scale[c] + shift[c];
            }
        });
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let [x, mean, variance, scale, shift] = inputs else {
            return None;
        };
        let factor = self.inverse_deviation(variance) * scale;
        Some((x - mean.along_channels(x)) * factor.along_channels(x) + shift.along_channels(x))
    }
}

/// The operation `layer_norm` of `x`, and optionally scale and shift in the shape of the last axes.
#[derive(Debug)]
pub struct LayerNorm {
    /// Number of last axes that are normalised.
    axes: usize,
    epsilon: f64,
}

attributes!(LayerNorm: axes, epsilon);

impl LayerNorm {
    /// The axes, from the back.
    fn normalised(&self) -> Vec<i64> {
        (1..=self.axes as i64).map(|i| -i).collect()
    }

    /// `1 / sqrt(variance + epsilon)` of each row.
    fn inverse_deviation(&self, x: &Tensor) -> Tensor {
        let variance = x.var_axes(&self.normalised(), false, 0);
        (&variance + variance.full_like(self.epsilon)).rsqrt()
    }
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let (x, affine) = inputs.split_first().ok_or("takes an input")?;
        infer::float(x)?;
        if !matches!(affine.len(), 0 | 2) {
            return Err("takes a scale and a shift, or neither".into());
        }
        if self.axes == 0 || self.axes > x.rank() {
            return Err(format!("cannot normalise the last {} axes", self.axes));
        }
        let last = Meta::new(&x.shape[x.rank() - self.axes..], x.dtype);
        if last.is_empty() {
            return Err("cannot normalise over no elements".into());
        }
        if affine.iter().any(|other| *other != last) {
            return Err(format!("scale and shift must be {last}"));
        }
        Ok(x.clone())
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    /// With `s = 1 / sqrt(variance + epsilon)`, `d = x - mean`, `h = g scale`, and the means `a` of h and `b` of `h d` over each row:
    /// `s (h - a - d b s^2)`, and for scale and shift the sums of `g d s` and of g over the rows. So the gradient needs two means
    /// over one walk along the rows, and two sums over one walk along the columns.
    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let (x, g) = (&call.inputs[0], call.gradient);
        let axes = self.normalised();
        let along = |rows: Tensor| rows.keep_axes(x, &axes).broadcast_like(x);
        let deviations = x - along(x.mean_axes(&axes, false));
        let inverse = self.inverse_deviation(x);
        let scaled = match call.inputs.get(1) {
            Some(scale) => g * scale.broadcast_like(x),
            None => g.clone(),
        };
        let mean = scaled.mean_axes(&axes, false);
        let moment = (&scaled * &deviations).mean_axes(&axes, false);
        let slope = moment * inverse.square();
        let to_x = (scaled - along(mean) - &deviations * along(slope)) * along(inverse.clone());
        let mut gradients = vec![Some(to_x)];
        if let [_, scale, shift] = call.inputs {
            gradients.push(Some((g * &deviations * along(inverse)).sum_like(scale)));
            gradients.push(Some(g.sum_like(shift)));
        }
        Gradient::Of(gradients)
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let shape = inputs[0].shape();
        let count: usize = shape[shape.len() - self.axes..].iter().product();
        loops::floats!(inputs[0].dtype(), T => {
            let rows = inputs[0].slice::<T>().chunks(count);
            for (x, y) in rows.zip(output.slice_mut::<T>().chunks_mut(count)) {
                let mean = x.iter().copied().collect::<loops::Sum>().mean(count);
                let squares: loops::Sum = x.iter().map(|x| (x.wide() - mean).powi(2)).collect();
                let deviation = (squares.value() / count as f64 + self.epsilon).sqrt();
                for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                    *y = T::narrow((x.wide() - mean) / deviation);
                    if let [_, scale, shift] = inputs {
                        *y = *y * scale.slice::<T>()[i] + shift.slice::<T>()[i];
                    }
                }
            }
        });
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let x = &inputs[0];
        let axes = self.normalised();
        let deviations = x - x.mean_axes(&axes, true).broadcast_like(x);
        let factor = self.inverse_deviation(x);
        let y = deviations * factor.keep_axes(x, &axes).broadcast_like(x);
        Some(match inputs {
            [_, scale, shift] => y * scale.broadcast_like(x) + shift.broadcast_like(x),
            _ => y,
        })
    }
}

impl Tensor {
    /// Normalised channels of `x [N, C, ..]`: `(x - mean) / sqrt(variance + epsilon) * scale + shift`, with a mean, a
    /// variance, a scale and a shift for each channel, `[C]`. In training, mean and variance are those of
    /// [`Tensor::batch_statistics`], through which the gradient flows too.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[1.0, 10.0], [3.0, 30.0]]);
    /// let (mean, variance) = x.batch_statistics();
    /// let (scale, shift) = (Tensor::ones([2]), Tensor::zeros([2]));
    /// let y = x.batch_norm(&mean, &variance, &scale, &shift, 0.0);
    /// assert_eq!(y.to_vec::<f32>()?, [-1.0, -1.0, 1.0, 1.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn batch_norm(
        &self,
        mean: &Tensor,
        variance: &Tensor,
        scale: &Tensor,
        shift: &Tensor,
        epsilon: f64,
    ) -> Tensor {
        Tensor::apply(BatchNorm { epsilon }, &[self, mean, variance, scale, shift])
    }

    /// Mean and variance (divided by the number of elements) of each channel of `x [N, C, ..]`, both `[C]`.
    #[track_caller]
    pub fn batch_statistics(&self) -> (Tensor, Tensor) {
        let rank = self.shape().map_or(2, <[usize]>::len) as i64;
        let axes: Vec<i64> = (0..rank.max(2)).filter(|&axis| axis != 1).collect();
        (self.mean_axes(&axes, false), self.var_axes(&axes, false, 0))
    }

    /// Normalised over the last `axes` axes: `(x - mean) / sqrt(var + epsilon)`, then times `scale` plus `shift` if
    /// given, both in the shape of those axes.
    #[track_caller]
    pub fn layer_norm(
        &self,
        axes: usize,
        affine: Option<(&Tensor, &Tensor)>,
        epsilon: f64,
    ) -> Tensor {
        let op = LayerNorm { axes, epsilon };
        match affine {
            Some((scale, shift)) => Tensor::apply(op, &[self, scale, shift]),
            None => Tensor::apply(op, &[self]),
        }
    }

    /// A number for each channel, `[C]`, repeated in the shape of `x [N, C, ..]`.
    #[track_caller]
    pub(crate) fn along_channels(&self, x: &Tensor) -> Tensor {
        let (Ok(shape), Ok([c])) = (x.shape(), self.shape()) else {
            return self.clone();
        };
        // The shape that a reduction has which keeps its axes: the two are merged.
        let mut lengths = vec![1; shape.len()];
        if let Some(channels) = lengths.get_mut(1) {
            *channels = *c as i64;
        }
        self.reshape_exactly(&lengths).broadcast_like(x)
    }
}
