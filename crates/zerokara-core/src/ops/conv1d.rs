//! Convolution of sequences: that of images of height 1.
//!
//! With `x [N, C, L]`, filters `w [O, C / groups, K]`, stride s, padding p before and q behind, dilation d:
//!
//! ```text
//! out[n, o, y] = sum over c, k of in[n, c, y s + k d - p] * w[o, c, k]
//! ```
//!
//! The output has `floor((L + p + q - d (K - 1) - 1) / s) + 1` elements. Seen as images, nothing is moved, so that the kernels
//! of [`conv2d`](super::conv2d) and their gradients serve both.

use super::{conv2d::Conv2d, prelude::*};
use crate::op::{Conv1dOptions, ConvOptions, Padding};

impl From<Conv1dOptions> for ConvOptions {
    /// Those of the convolution of images of height 1.
    fn from(options: Conv1dOptions) -> Self {
        let [before, behind] = options.padding;
        Self {
            stride: [1, options.stride],
            padding: Padding {
                before: [0, before],
                behind: [0, behind],
            },
            dilation: [1, options.dilation],
            groups: options.groups,
        }
    }
}

/// The shape `[A, B, 1, L]` of sequences `[A, B, L]` as images.
pub fn as_images(sequences: &[usize]) -> Vec<usize> {
    let mut images = sequences.to_vec();
    images.insert(sequences.len().min(2), 1);
    images
}

/// The operation.
#[derive(Debug)]
pub struct Conv1d {
    options: Conv1dOptions,
}

attributes!(Conv1d: options);

impl Conv1d {
    fn of_images(&self) -> Conv2d {
        Conv2d::of(self.options.into())
    }
}

impl Op for Conv1d {
    fn name(&self) -> &'static str {
        "conv1d"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, w] = infer::arity(inputs)?;
        infer::rank(x, 3, "[N, C, L]")?;
        infer::rank(w, 3, "[O, C, K]")?;
        let images = [x, w].map(|t| Meta::new(as_images(&t.shape), t.dtype));
        let mut y = self.of_images().infer(&images)?;
        y.shape.remove(2);
        Ok(y)
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let shape = output.shape().to_vec();
        let [x, w] = [0, 1].map(|i| inputs[i].reshaped(as_images(inputs[i].shape())));
        let mut y = output.reshaped(as_images(&shape));
        self.of_images().reference(&[&x, &w], &mut y)?;
        *output = y.reshaped(shape);
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let [x, w] = inputs else {
            return None;
        };
        let y = x.unsqueeze(2).conv2d(&w.unsqueeze(2), self.options.into());
        Some(y.squeeze(2))
    }
}

impl Tensor {
    /// Convolution of sequences `[N, C, L]` with filters `[O, C / groups, K]`, giving `[N, O, Y]` with
    /// `Y = floor((L + padding - dilation (K - 1) - 1) / stride) + 1`. [`Conv1dOptions::causal`] pads so that no output sees a
    /// later input.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::Conv1dOptions};
    /// let x = Tensor::from([[[1.0, 2.0, 3.0, 4.0]]]);
    /// let w = Tensor::from([[[1.0, 10.0]]]);
    /// let y = x.conv1d(&w, Conv1dOptions { stride: 2, ..Conv1dOptions::default() });
    /// assert_eq!(y.to_vec::<f32>()?, [21.0, 43.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "Conv")]
    #[track_caller]
    pub fn conv1d(&self, filters: &Tensor, options: Conv1dOptions) -> Tensor {
        Tensor::apply(Conv1d { options }, &[self, filters])
    }
}
