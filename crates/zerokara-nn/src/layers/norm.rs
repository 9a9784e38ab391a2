//! Normalization layers.

use super::beside;
use crate::{Context, Forward, Initializer, Module, ParameterSlot, Place, Visitor};
use zerokara_core::Tensor;

/// Why this cannot be added to a variance, which may be 0.
pub(super) fn divides_by_zero(eps: f64) -> Option<String> {
    // In f32, what is less is 0 or nearly so.
    let works = eps.is_finite() && eps >= f64::from(f32::MIN_POSITIVE);
    (!works).then(|| format!("eps is a number above 0 that an f32 holds, not {eps}"))
}

macro_rules! batch_norm {
    ($type:ident, $name:literal, $rank:expr, $axes:literal, $doc:literal) => {
        #[doc = $doc]
        ///
        /// In training, mean and variance are those of the batch, and the running ones move towards them:
        /// `running <- (1 - momentum) running + momentum batch`, with the unbiased variance. In evaluation the running
        /// ones are used. One value per channel has no variance: training on it is an error. The result is `(x - mean) / sqrt(variance + eps) * weight + bias`, all per channel, `[C]`.
        #[doc(alias = "BatchNormalization")]
        #[derive(Clone, Debug)]
        pub struct $type {
            place: Place,
            momentum: f64,
            eps: f64,
            weight: ParameterSlot,
            bias: ParameterSlot,
            running_mean: ParameterSlot,
            running_var: ParameterSlot,
        }

        impl $type {
            /// With momentum 0.1 and eps 1e-5, as in PyTorch.
            #[track_caller]
            pub fn new() -> Self {
                Self {
                    place: Place::new($name),
                    momentum: 0.1,
                    eps: 1e-5,
                    weight: ParameterSlot::new(Initializer::Constant(1.0)),
                    bias: ParameterSlot::new(Initializer::Constant(0.0)),
                    running_mean: ParameterSlot::buffer(Initializer::Constant(0.0)),
                    running_var: ParameterSlot::buffer(Initializer::Constant(1.0)),
                }
            }

            /// The share of the batch's statistics in the running ones, from 0 to 1.
            pub fn momentum(mut self, momentum: f64) -> Self {
                self.momentum = momentum;
                self
            }

            /// What is added to the variance so that its root is not 0: a number above 0.
            pub fn eps(mut self, eps: f64) -> Self {
                self.eps = eps;
                self
            }
        }

        impl Module for $type {
            fn visit(&self, visitor: &mut Visitor<'_>) {
                visitor.layer(&self.place);
                visitor.part("weight", &self.weight);
                visitor.part("bias", &self.bias);
                visitor.part("running_mean", &self.running_mean);
                visitor.part("running_var", &self.running_var);
            }
        }

        impl Forward for $type {
            fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
                self.place.run(|| {
                    let Ok(meta) = x.meta() else {
                        return x.clone();
                    };
                    if !$rank.contains(&meta.rank()) {
                        let axes = $axes;
                        return self.place.invalid(format!("needs {axes}, not {meta}"));
                    }
                    if !(0.0..=1.0).contains(&self.momentum) {
                        return self.place.invalid(format!(
                            "the momentum is a share from 0 to 1, not {}",
                            self.momentum
                        ));
                    }
                    if let Some(why) = divides_by_zero(self.eps) {
                        return self.place.invalid(why);
                    }
                    let channels = beside(meta, [meta.shape[1]]);
                    let weight = self.weight.tensor(&channels, cx);
                    let bias = self.bias.tensor(&channels, cx);
                    let running_mean = self.running_mean.tensor(&channels, cx);
                    let running_var = self.running_var.tensor(&channels, cx);
                    if !cx.is_training() {
                        return x.batch_norm(&running_mean, &running_var, &weight, &bias, self.eps);
                    }
                    if meta.len() == meta.shape[1] {
                        return self.place.invalid(format!(
                            "needs more than one value per channel in training, not {meta}: take a larger batch"
                        ));
                    }
                    let (mean, variance) = x.batch_statistics();
                    let axes: Vec<i64> =
                        (0..meta.rank() as i64).filter(|&axis| axis != 1).collect();
                    let unbiased = x.var_axes(&axes, false, 1);
                    let blend = |old: Tensor, new: &Tensor| {
                        old * (1.0 - self.momentum) + new.detach() * self.momentum
                    };
                    cx.update(&self.running_mean, &blend(running_mean, &mean));
                    cx.update(&self.running_var, &blend(running_var, &unbiased));
                    x.batch_norm(&mean, &variance, &weight, &bias, self.eps)
                })
            }
        }
    };
}

batch_norm!(
    BatchNorm1d,
    "BatchNorm1d",
    (2..=3),
    "rows [N, C] or [N, C, L]",
    "Batch normalization of rows `[N, C]` or `[N, C, L]` (Ioffe and Szegedy, 2015; page 186 of the book)."
);
batch_norm!(
    BatchNorm2d,
    "BatchNorm2d",
    (4..=4),
    "images [N, C, H, W]",
    "Batch normalization of images `[N, C, H, W]` (Ioffe and Szegedy, 2015; page 186 of the book)."
);

/// Layer normalization along the last axis (Ba et al., 2016): `(x - mean) / sqrt(variance + eps) * weight + bias`, with
/// the statistics of each row `[.., D]` and `weight`, `bias` `[D]`. The same in training and evaluation.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    place: Place,
    eps: f64,
    weight: ParameterSlot,
    bias: Option<ParameterSlot>,
}

impl LayerNorm {
    /// With eps 1e-5.
    #[track_caller]
    pub fn new() -> Self {
        Self {
            place: Place::new("LayerNorm"),
            eps: 1e-5,
            weight: ParameterSlot::new(Initializer::Constant(1.0)),
            bias: Some(ParameterSlot::new(Initializer::Constant(0.0))),
        }
    }

    /// What is added to the variance so that its root is not 0: a number above 0.
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }

    /// Whether a bias is added.
    #[track_caller]
    pub fn bias(mut self, bias: bool) -> Self {
        self.bias = bias.then(|| ParameterSlot::new(Initializer::Constant(0.0)));
        self
    }
}

impl Module for LayerNorm {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.layer(&self.place);
        visitor.part("weight", &self.weight);
        visitor.part("bias", &self.bias);
    }
}

impl Forward for LayerNorm {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.place.run(|| {
            let Ok(meta) = x.meta() else {
                return x.clone();
            };
            let Some(&features) = meta.shape.last() else {
                return self
                    .place
                    .invalid("needs rows [.., features], not a scalar");
            };
            if let Some(why) = divides_by_zero(self.eps) {
                return self.place.invalid(why);
            }
            let features = beside(meta, [features]);
            let weight = self.weight.tensor(&features, cx);
            match &self.bias {
                Some(bias) => {
                    let bias = bias.tensor(&features, cx);
                    x.layer_norm(1, Some((&weight, &bias)), self.eps)
                }
                None => x.layer_norm(1, None, self.eps) * weight,
            }
        })
    }
}

/// Normalization by the root of the mean square along the last axis (Zhang and Sennrich, 2019): `x / sqrt(mean(x^2) + eps) * weight`, with
/// the mean of each row `[.., D]` and `weight` `[D]`. The same in training and evaluation.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Forward, RmsNorm};
/// let norm = RmsNorm::new();
/// let x = Tensor::from([[3.0, -3.0]]);
/// norm.build(&x, 0)?;
/// let y = norm.forward(&x, &mut Context::evaluate()).to_vec::<f32>()?;
/// assert!((y[0] - 1.0).abs() < 1e-5 && (y[1] + 1.0).abs() < 1e-5);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RmsNorm {
    place: Place,
    eps: f64,
    weight: ParameterSlot,
}

impl RmsNorm {
    /// With eps 1e-5.
    #[track_caller]
    pub fn new() -> Self {
        Self {
            place: Place::new("RmsNorm"),
            eps: 1e-5,
            weight: ParameterSlot::new(Initializer::Constant(1.0)),
        }
    }

    /// What is added to the mean square so that its root is not 0: a number above 0.
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }
}

impl Module for RmsNorm {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.layer(&self.place);
        visitor.part("weight", &self.weight);
    }
}

impl Forward for RmsNorm {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.place.run(|| {
            let Ok(meta) = x.meta() else {
                return x.clone();
            };
            let Some(&features) = meta.shape.last() else {
                return self
                    .place
                    .invalid("needs rows [.., features], not a scalar");
            };
            if let Some(why) = divides_by_zero(self.eps) {
                return self.place.invalid(why);
            }
            let weight = self.weight.tensor(&beside(meta, [features]), cx);
            x.rms_norm(1, Some(&weight), self.eps)
        })
    }
}
