//! Normalization of groups of channels of each sample (ONNX `GroupNormalization`; Wu and He, 2018), and of each channel (ONNX
//! `InstanceNormalization`; Ulyanov et al., 2016): `y = (x - mean) / sqrt(variance + epsilon) * scale + shift`.
//!
//! Mean and variance are those of one group of one sample, scale and shift of each channel. Seen as `[N, groups, C / groups, ..]` this is
//! [`layer_norm`](super::normalize) over the last axes, whose gradient it has.

use super::prelude::*;
use loops::Real;

/// The operations `group_norm` and `instance_norm`, of `x [N, C, ..]` and optionally scale and shift `[C]`.
#[derive(Debug)]
pub struct GroupNorm {
    /// Number of groups of channels; none: each channel is one.
    groups: Option<usize>,
    epsilon: f64,
}

impl GroupNorm {
    /// `group_norm`.
    pub fn from_attributes(attributes: &Attributes) -> Result<Self, String> {
        Ok(Self {
            groups: Some(attributes.size("groups")?),
            epsilon: attributes.float("epsilon")?,
        })
    }

    /// `instance_norm`.
    pub fn of_instances(attributes: &Attributes) -> Result<Self, String> {
        Ok(Self {
            groups: None,
            epsilon: attributes.float("epsilon")?,
        })
    }
}

impl Op for GroupNorm {
    fn name(&self) -> &'static str {
        match self.groups {
            Some(_) => "group_norm",
            None => "instance_norm",
        }
    }

    fn attributes(&self) -> Attributes {
        let attributes = Attributes::none();
        let attributes = match self.groups {
            Some(groups) => attributes.with("groups", groups),
            None => attributes,
        };
        attributes.with("epsilon", self.epsilon)
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let (x, affine) = inputs.split_first().ok_or("takes an input")?;
        infer::float(x)?;
        if !matches!(affine.len(), 0 | 2) {
            return Err("takes a scale and a shift, or neither".into());
        }
        let &[_, c, ref rest @ ..] = &x.shape[..] else {
            return Err(format!("needs an input [N, C, ..], not {:?}", x.shape));
        };
        let groups = self.groups.unwrap_or(c);
        if self.groups.is_some() && (groups == 0 || !c.is_multiple_of(groups)) {
            return Err(format!("{c} channels do not divide into {groups} groups"));
        }
        if c == 0 || rest.contains(&0) {
            return Err("cannot normalise over no elements".into());
        }
        let channels = Meta::new([c], x.dtype);
        if affine.iter().any(|other| *other != channels) {
            return Err(format!("scale and shift must be {channels}"));
        }
        Ok(x.clone())
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let shape = inputs[0].shape();
        let area: usize = shape[2..].iter().product();
        let count = shape[1] / self.groups.unwrap_or(shape[1]) * area;
        loops::floats!(inputs[0].dtype(), T => {
            let x = inputs[0].slice::<T>();
            let groups = x.chunks(count).zip(output.slice_mut::<T>().chunks_mut(count));
            for (group, (x, y)) in groups.enumerate() {
                let mean = x.iter().copied().collect::<loops::Sum>().mean(count);
                let squares: loops::Sum = x.iter().map(|x| (x.wide() - mean).powi(2)).collect();
                let deviation = (squares.mean(count) + self.epsilon).sqrt();
                for (i, (y, &x)) in y.iter_mut().zip(x).enumerate() {
                    *y = T::narrow((x.wide() - mean) / deviation);
                    if let [_, scale, shift] = inputs {
                        let c = (group * count + i) / area % shape[1];
                        *y = *y * scale.slice::<T>()[c] + shift.slice::<T>()[c];
                    }
                }
            }
        });
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let x = &inputs[0];
        let shape: Vec<i64> = x.shape().ok()?.iter().map(|&n| n as i64).collect();
        let groups = self.groups.map_or(shape[1], |groups| groups as i64);
        let mut grouped = vec![shape[0], groups, shape[1] / groups];
        grouped.extend(&shape[2..]);
        let y = x
            .reshape_exactly(&grouped)
            .layer_norm(shape.len() - 1, None, self.epsilon)
            .reshape_exactly(&shape);
        Some(match inputs {
            [_, scale, shift] => y * scale.along_channels(x) + shift.along_channels(x),
            _ => y,
        })
    }
}

impl Tensor {
    /// The channels of `x [N, C, ..]` normalised group by group, `(x - mean) / sqrt(variance + epsilon)`, with the mean and the variance
    /// of all that a group of a sample holds; then times a scale plus a shift for each channel, `[C]`, if given.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[[1.0], [3.0], [10.0], [30.0]]]);
    /// assert_eq!(x.group_norm(2, None, 0.0).to_vec::<f32>()?, [-1.0, 1.0, -1.0, 1.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "GroupNormalization")]
    #[track_caller]
    pub fn group_norm(
        &self,
        groups: usize,
        affine: Option<(&Tensor, &Tensor)>,
        epsilon: f64,
    ) -> Tensor {
        let groups = Some(groups);
        self.of_groups(GroupNorm { groups, epsilon }, affine)
    }

    /// Each channel of each sample of `x [N, C, ..]` normalised by itself: [`Tensor::group_norm`] with groups of one channel.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[[1.0, 3.0], [10.0, 30.0]]]);
    /// assert_eq!(x.instance_norm(None, 0.0).to_vec::<f32>()?, [-1.0, 1.0, -1.0, 1.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "InstanceNormalization")]
    #[track_caller]
    pub fn instance_norm(&self, affine: Option<(&Tensor, &Tensor)>, epsilon: f64) -> Tensor {
        let groups = None;
        self.of_groups(GroupNorm { groups, epsilon }, affine)
    }

    #[track_caller]
    fn of_groups(&self, op: GroupNorm, affine: Option<(&Tensor, &Tensor)>) -> Tensor {
        match affine {
            Some((scale, shift)) => Tensor::apply(op, &[self, scale, shift]),
            None => Tensor::apply(op, &[self]),
        }
    }
}
