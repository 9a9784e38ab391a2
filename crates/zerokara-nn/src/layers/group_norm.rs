//! Normalization of channels, sample by sample.

use super::{beside, norm::divides_by_zero};
use crate::{Context, Forward, Initializer, Module, ParameterSlot, Place, Visitor};
use zerokara_core::{Meta, Tensor};

/// A learned factor and a learned summand of each channel, if there are such.
#[derive(Clone, Debug)]
struct Affine(Option<(ParameterSlot, ParameterSlot)>);

impl Affine {
    fn of(wanted: bool) -> Self {
        Self(wanted.then(|| {
            (
                ParameterSlot::new(Initializer::Constant(1.0)),
                ParameterSlot::new(Initializer::Constant(0.0)),
            )
        }))
    }

    fn visit(&self, visitor: &mut Visitor<'_>) {
        if let Some((weight, bias)) = &self.0 {
            visitor.part("weight", weight);
            visitor.part("bias", bias);
        }
    }

    fn tensors(&self, channels: &Meta, cx: &mut Context) -> Option<(Tensor, Tensor)> {
        let (weight, bias) = self.0.as_ref()?;
        Some((weight.tensor(channels, cx), bias.tensor(channels, cx)))
    }
}

/// Group normalization (Wu and He, 2018) of `[N, C, ..]`: the channels of each sample are normalized in groups,
/// `(x - mean) / sqrt(variance + eps) * weight + bias`, with mean and variance of a group, and `weight` and `bias` `[C]`. The same in
/// training and evaluation, and independent of the batch.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Forward, GroupNorm, Module};
/// let norm = GroupNorm::new(4);
/// let x = Tensor::ones([2, 8, 5, 5]);
/// norm.build(&x, 0)?;
/// assert_eq!(norm.parameter_count()?, 16);
/// assert_eq!(norm.forward(&x, &mut Context::evaluate()).max().item()?, 0.0);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct GroupNorm {
    place: Place,
    groups: usize,
    eps: f64,
    affine: Affine,
}

impl GroupNorm {
    /// With so many groups, which must divide the channels, and eps 1e-5.
    #[track_caller]
    pub fn new(groups: usize) -> Self {
        Self {
            place: Place::new("GroupNorm"),
            groups,
            eps: 1e-5,
            affine: Affine::of(true),
        }
    }

    /// What is added to the variance so that its root is not 0: a number above 0.
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }

    /// Whether a factor and a summand of each channel are learned; they are unless this says no.
    #[track_caller]
    pub fn affine(mut self, affine: bool) -> Self {
        self.affine = Affine::of(affine);
        self
    }
}

/// Instance normalization (Ulyanov et al., 2016) of `[N, C, L]`, `[N, C, H, W]` or `[N, C, D, H, W]`: each channel of each sample is
/// normalized by itself, `(x - mean) / sqrt(variance + eps)`. The same in training and evaluation.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Forward, InstanceNorm};
/// let x = Tensor::from([[[1.0, 3.0], [10.0, 30.0]]]);
/// let y = InstanceNorm::new().forward(&x, &mut Context::evaluate()).to_vec::<f32>()?;
/// assert!((y[0] + 1.0).abs() < 1e-4 && (y[3] - 1.0).abs() < 1e-4);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct InstanceNorm {
    place: Place,
    eps: f64,
    affine: Affine,
}

impl InstanceNorm {
    /// With eps 1e-5 and nothing to learn, as in PyTorch.
    #[track_caller]
    pub fn new() -> Self {
        Self {
            place: Place::new("InstanceNorm"),
            eps: 1e-5,
            affine: Affine::of(false),
        }
    }

    /// What is added to the variance so that its root is not 0: a number above 0.
    pub fn eps(mut self, eps: f64) -> Self {
        self.eps = eps;
        self
    }

    /// Whether a factor and a summand of each channel are learned, `weight` and `bias` `[C]`; they are not unless this says so.
    #[track_caller]
    pub fn affine(mut self, affine: bool) -> Self {
        self.affine = Affine::of(affine);
        self
    }
}

macro_rules! normalizes {
    ($type:ident, $least:literal, $needs:literal, |$layer:ident, $x:ident, $affine:ident| $apply:expr) => {
        impl Module for $type {
            fn visit(&self, visitor: &mut Visitor<'_>) {
                visitor.layer(&self.place);
                self.affine.visit(visitor);
            }
        }

        impl Forward for $type {
            fn forward(&self, $x: &Tensor, cx: &mut Context) -> Tensor {
                self.place.run(|| {
                    let Ok(meta) = $x.meta() else {
                        return $x.clone();
                    };
                    if meta.rank() < $least {
                        return self.place.invalid(format!("needs {}, not {meta}", $needs));
                    }
                    if let Some(why) = divides_by_zero(self.eps) {
                        return self.place.invalid(why);
                    }
                    let affine = self.affine.tensors(&beside(meta, [meta.shape[1]]), cx);
                    let $affine = affine.as_ref().map(|(weight, bias)| (weight, bias));
                    let $layer = self;
                    $apply
                })
            }
        }
    };
}
normalizes!(GroupNorm, 2, "an input [N, C, ..]", |layer, x, affine| x
    .group_norm(layer.groups, affine, layer.eps));
normalizes!(
    InstanceNorm,
    3,
    "an input [N, C, ..] with elements of each channel",
    |layer, x, affine| x.instance_norm(affine, layer.eps)
);
