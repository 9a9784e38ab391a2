//! Convolution of volumes: of their slices, whose depths are put beside the channels.
//!
//! With `x [N, C, D, H, W]`, filters `w [O, C / groups, KD, KH, KW]`, and along each axis stride s, padding p before and q
//! behind, dilation d:
//!
//! ```text
//! out[n, o, z, y, x'] = sum over c, j, k, l of in[n, c, z s + j d - p, y s + k d - p, x' s + l d - p] * w[o, c, j, k, l]
//! ```
//!
//! For one z this is a convolution of images, whose channels are the pairs of c and j. Those z whose filter meets the same
//! slices j of its own are one such convolution of `N` times as many images; where the filter reaches beyond the volume it has
//! fewer channels, so that no zero is multiplied.

use super::{prelude::*, sliding::conv2d_output_size};
use crate::op::{Conv3dOptions, ConvOptions, Padding};
use loops::Real;
use std::ops::Range;

/// The output has so many slices at most: each is looked at before anything is computed.
const MOST_SLICES: usize = 1 << 24;

/// Neighbouring outputs in depth whose filters meet the volume with the same of their slices.
struct Run {
    /// The outputs.
    outputs: Range<usize>,
    /// The slices of the filter.
    slices: Range<usize>,
}

/// The operation.
#[derive(Debug)]
pub struct Conv3d {
    options: Conv3dOptions,
}

attributes!(Conv3d: options);

impl Conv3d {
    /// The shape of the output.
    fn shape(&self, x: &[usize], w: &[usize]) -> Result<[usize; 5], String> {
        let (&[n, c, ref volume @ ..], &[o, per_group, ref kernel @ ..]) = (x, w) else {
            return Err("needs an input [N, C, D, H, W] and filters [O, C, KD, KH, KW]".into());
        };
        let groups = self.options.groups;
        if groups == 0 || !c.is_multiple_of(groups) || !o.is_multiple_of(groups) {
            return Err(format!(
                "{c} input and {o} output channels do not divide into {groups} groups"
            ));
        }
        if per_group != c / groups {
            return Err(format!(
                "the filters take {per_group} channels, the input has {} per group",
                c / groups
            ));
        }
        let mut shape = [n, o, 0, 0, 0];
        for axis in 0..3 {
            shape[axis + 2] = conv2d_output_size(
                volume[axis],
                kernel[axis],
                self.options.stride[axis],
                [self.options.padding[axis], self.options.padding[axis + 3]],
                self.options.dilation[axis],
            )?;
        }
        if shape[2] > MOST_SLICES {
            return Err(format!("{} slices are more than {MOST_SLICES}", shape[2]));
        }
        Ok(shape)
    }

    /// What element k of the filter at output y meets along an axis of this length.
    fn meets(&self, axis: usize, length: usize, y: usize, k: usize) -> Option<usize> {
        (y * self.options.stride[axis] + k * self.options.dilation[axis])
            .checked_sub(self.options.padding[axis])
            .filter(|&at| at < length)
    }

    /// The outputs in depth by the slices of their filters that meet the volume.
    fn runs(&self, depth: usize, kernel: usize, outputs: usize) -> Vec<Run> {
        let (before, step) = (self.options.padding[0], self.options.dilation[0]);
        let mut runs: Vec<Run> = Vec::new();
        for z in 0..outputs {
            let start = z * self.options.stride[0];
            // Slice j lies at start + j step - before.
            let first = before.saturating_sub(start).div_ceil(step).min(kernel);
            let end = (depth + before).saturating_sub(start).div_ceil(step);
            let slices = first..end.clamp(first, kernel);
            match runs.last_mut() {
                Some(run) if run.slices == slices => run.outputs.end = z + 1,
                _ => runs.push(Run {
                    outputs: z..z + 1,
                    slices,
                }),
            }
        }
        runs
    }

    /// The convolution of a slice.
    fn of_slices(&self) -> ConvOptions {
        let [_, above, left, _, below, right] = self.options.padding;
        ConvOptions {
            stride: [self.options.stride[1], self.options.stride[2]],
            padding: Padding::from([above, left, below, right]),
            dilation: [self.options.dilation[1], self.options.dilation[2]],
            groups: self.options.groups,
        }
    }
}

impl Op for Conv3d {
    fn name(&self) -> &'static str {
        "conv3d"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, w] = infer::arity(inputs)?;
        infer::floats(x, w)?;
        infer::rank(x, 5, "[N, C, D, H, W]")?;
        infer::rank(w, 5, "[O, C, KD, KH, KW]")?;
        Ok(Meta::new(self.shape(&x.shape, &w.shape)?, x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (&[_, c, depth, height, width], &[o, per_group, kd, kh, kw]) =
            (inputs[0].shape(), inputs[1].shape())
        else {
            return Err("needs volumes and filters of five axes".into());
        };
        let outputs = o / self.options.groups;
        let shape = output.shape().to_vec();
        loops::floats!(inputs[0].dtype(), T => {
            let (x, w) = (inputs[0].slice::<T>(), inputs[1].slice::<T>());
            for (at, i) in shape::indices(&shape).enumerate() {
                let mut sum = 0.0;
                let first = i[0] * c + i[1] / outputs * per_group;
                for (element, j) in shape::indices(&[per_group, kd, kh, kw]).enumerate() {
                    let (Some(z), Some(y), Some(x_at)) = (
                        self.meets(0, depth, i[2], j[1]),
                        self.meets(1, height, i[3], j[2]),
                        self.meets(2, width, i[4], j[3]),
                    ) else {
                        continue;
                    };
                    let from = (((first + j[0]) * depth + z) * height + y) * width + x_at;
                    let filter = i[1] * per_group * kd * kh * kw + element;
                    sum += x[from].wide() * w[filter].wide();
                }
                output.slice_mut::<T>()[at] = T::narrow(sum);
            }
        });
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let [x, w] = inputs else {
            return None;
        };
        let (&[n, c, depth, height, width], &[o, per_group, kd, kh, kw]) =
            (x.shape().ok()?, w.shape().ok()?)
        else {
            return None;
        };
        let shape = self.shape(x.shape().ok()?, w.shape().ok()?).ok()?;
        if shape.contains(&0) {
            return Some((x.sum() + w.sum()).without_elements(&shape));
        }
        let [_, _, outputs, rows, columns] = shape;
        let sizes = |lengths: &[usize]| lengths.iter().map(|&n| n as i64).collect::<Vec<_>>();
        let stride = self.options.stride[0];
        let parts: Vec<Tensor> = (self.runs(depth, kd, outputs).into_iter())
            .map(|run| {
                let (count, slices) = (run.outputs.len(), run.slices.len());
                if slices == 0 {
                    let nothing = [n, o, count, rows, columns];
                    return Tensor::full(nothing, 0.0, x.dtype().unwrap_or(DType::F32));
                }
                let met = run.slices.clone().map(|j| {
                    let start = run.outputs.start * stride + j * self.options.dilation[0];
                    let start = (start - self.options.padding[0]) as i64;
                    let step = i64::try_from(stride).unwrap_or(i64::MAX);
                    x.slice(2, start..=start + ((count - 1) * stride) as i64, step)
                });
                let met: Vec<Tensor> = met.collect();
                let images = Tensor::stack(&met.iter().collect::<Vec<_>>(), 2)
                    .permute([0, 3, 1, 2, 4, 5])
                    .reshape_exactly(&sizes(&[n * count, c * slices, height, width]));
                let filters = w
                    .narrow(2, run.slices.start, slices)
                    .reshape_exactly(&sizes(&[o, per_group * slices, kh, kw]));
                images
                    .conv2d(&filters, self.of_slices())
                    .reshape_exactly(&sizes(&[n, count, o, rows, columns]))
                    .permute([0, 2, 1, 3, 4])
            })
            .collect();
        Some(match &parts[..] {
            [whole] => whole.clone(),
            parts => Tensor::concat(&parts.iter().collect::<Vec<_>>(), 2),
        })
    }
}

impl Tensor {
    /// Convolution of volumes `[N, C, D, H, W]` with filters `[O, C / groups, KD, KH, KW]`, giving `[N, O, Z, Y, X]`; each length is
    /// that of [`Tensor::conv1d`].
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::Conv3dOptions};
    /// let (x, w) = (Tensor::ones([1, 1, 3, 3, 3]), Tensor::ones([1, 1, 2, 2, 2]));
    /// let y = x.conv3d(&w, Conv3dOptions::default());
    /// assert_eq!(y.shape()?, [1, 1, 2, 2, 2]);
    /// assert_eq!(y.to_vec::<f32>()?, [8.0; 8]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "Conv")]
    #[track_caller]
    pub fn conv3d(&self, filters: &Tensor, options: Conv3dOptions) -> Tensor {
        Tensor::apply(Conv3d { options }, &[self, filters])
    }
}
