//! Normalization by the root of the mean square (ONNX `RMSNormalization`; Zhang and Sennrich, 2019):
//! `y = x / sqrt(mean(x^2) + epsilon) * scale`, the mean over the last axes.

use super::prelude::*;
use loops::Real;

/// The operation, of `x` and optionally a scale in the shape of the last axes.
#[derive(Debug)]
pub struct RmsNorm {
    /// Number of last axes over which the mean is taken.
    axes: usize,
    epsilon: f64,
}

attributes!(RmsNorm: axes, epsilon);

impl RmsNorm {
    /// The axes, from the back.
    fn normalised(&self) -> Vec<i64> {
        (1..=self.axes as i64).map(|i| -i).collect()
    }

    /// `1 / sqrt(mean(x^2) + epsilon)` of each row.
    fn inverse_root(&self, x: &Tensor) -> Tensor {
        let squares = x.square().mean_axes(&self.normalised(), false);
        (&squares + squares.full_like(self.epsilon)).rsqrt()
    }
}

impl Op for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let (x, scale) = inputs.split_first().ok_or("takes an input")?;
        infer::float(x)?;
        if scale.len() > 1 {
            return Err("takes an input and a scale, or an input alone".into());
        }
        if self.axes == 0 || self.axes > x.rank() {
            return Err(format!("cannot normalise the last {} axes", self.axes));
        }
        let last = Meta::new(&x.shape[x.rank() - self.axes..], x.dtype);
        if last.is_empty() {
            return Err("cannot normalise over no elements".into());
        }
        if scale.iter().any(|scale| *scale != last) {
            return Err(format!("the scale must be {last}"));
        }
        Ok(x.clone())
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    /// With `s = 1 / sqrt(mean(x^2) + epsilon)`, `h = g scale` and the mean `b` of `h x` over each row: `s (h - x b s^2)`, and for the
    /// scale the sum of `g x s` over the rows.
    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let (x, g) = (&call.inputs[0], call.gradient);
        let axes = self.normalised();
        let along = |rows: Tensor| rows.keep_axes(x, &axes).broadcast_like(x);
        let inverse = self.inverse_root(x);
        let scaled = match call.inputs.get(1) {
            Some(scale) => g * scale.broadcast_like(x),
            None => g.clone(),
        };
        let moment = (&scaled * x).mean_axes(&axes, false);
        let slope = moment * inverse.square();
        let to_x = (scaled - x * along(slope)) * along(inverse.clone());
        let to_scale = |scale: &Tensor| Some((g * x * along(inverse.clone())).sum_like(scale));
        let scales = call.inputs[1..].iter().map(to_scale);
        Gradient::Of(std::iter::once(Some(to_x)).chain(scales).collect())
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let shape = inputs[0].shape();
        let count: usize = shape[shape.len() - self.axes..].iter().product();
        loops::floats!(inputs[0].dtype(), T => {
            let rows = inputs[0].slice::<T>().chunks(count);
            for (x, y) in rows.zip(output.slice_mut::<T>().chunks_mut(count)) {
                let squares: loops::Sum = x.iter().map(|x| x.wide().powi(2)).collect();
                let root = (squares.mean(count) + self.epsilon).sqrt();
                for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                    *y = T::narrow(x.wide() / root);
                    if let [_, scale] = inputs {
                        *y *= scale.slice::<T>()[i];
                    }
                }
            }
        });
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let x = &inputs[0];
        let inverse = self.inverse_root(x);
        let y = x * inverse.keep_axes(x, &self.normalised()).broadcast_like(x);
        Some(match inputs {
            [_, scale] => y * scale.broadcast_like(x),
            _ => y,
        })
    }
}

impl Tensor {
    /// Normalised over the last `axes` axes by the root of the mean square, `x / sqrt(mean(x^2) + epsilon)`, then times `scale` if
    /// given, which has the shape of those axes.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[1.0, 7.0], [-3.0, 3.0]]);
    /// let y = x.rms_norm(1, None, 0.0);
    /// assert!((y.at(0, 0).at(0, 0).item()? - 0.2).abs() < 1e-6);
    /// assert_eq!(y.at(0, 1).to_vec::<f32>()?, [-1.0, 1.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "RMSNormalization")]
    #[track_caller]
    pub fn rms_norm(&self, axes: usize, scale: Option<&Tensor>, epsilon: f64) -> Tensor {
        let op = RmsNorm { axes, epsilon };
        match scale {
            Some(scale) => Tensor::apply(op, &[self, scale]),
            None => Tensor::apply(op, &[self]),
        }
    }
}
