//! Cut off or padded with zeros on both sides alike, to given lengths (ONNX `CenterCropPad`). Where the difference is odd, one element
//! more is cut off, or put, at the end.

use super::prelude::*;

/// The operation.
#[derive(Debug)]
pub struct CenterCropPad {
    /// The lengths of the axes that are named.
    lengths: Vec<usize>,
    /// The axes (negative: from the back); all if empty.
    axes: Vec<i64>,
}

attributes!(CenterCropPad: lengths, axes);

impl CenterCropPad {
    /// The length of each axis of the output.
    fn shape(&self, x: &[usize]) -> Result<Vec<usize>, String> {
        let mut shape = x.to_vec();
        let all: Vec<i64> = (0..x.len() as i64).collect();
        let axes = if self.axes.is_empty() {
            &all
        } else {
            &self.axes
        };
        shape::axes(axes, x.len())?;
        if axes.len() != self.lengths.len() {
            return Err(format!(
                "needs a length for each of {} axes, not {}",
                axes.len(),
                self.lengths.len()
            ));
        }
        for (&axis, &length) in axes.iter().zip(&self.lengths) {
            shape[shape::axis(axis, x.len())?] = length;
        }
        Ok(shape)
    }
}

impl Op for CenterCropPad {
    fn name(&self) -> &'static str {
        "center_crop_pad"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        Ok(Meta::new(self.shape(&x.shape)?, x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Expand
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (x, shape) = (inputs[0], output.shape().to_vec());
        let strides = shape::row_major(x.shape());
        let pairs = shape::indices(&shape)
            .enumerate()
            .filter_map(|(to, index)| {
                let mut from = 0;
                for (axis, &at) in index.iter().enumerate() {
                    let length = x.shape()[axis];
                    let at = (at + length.saturating_sub(shape[axis]) / 2)
                        .checked_sub(shape[axis].saturating_sub(length) / 2)
                        .filter(|&at| at < length)?;
                    from += at * strides[axis] as usize;
                }
                Some((from, to))
            });
        loops::copy(x, output, pairs);
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let mut y = inputs[0].clone();
        let from = y.shape().ok()?.to_vec();
        let shape = self.shape(&from).ok()?;
        let (mut before, mut after) = (vec![0; from.len()], vec![0; from.len()]);
        for (axis, (&input, &output)) in from.iter().zip(&shape).enumerate() {
            if output < input {
                y = y.narrow(axis as i64, (input - output) / 2, output);
            } else {
                before[axis] = (output - input) / 2;
                after[axis] = (output - input).div_ceil(2);
            }
        }
        Some(y.pad(&before, &after, 0.0))
    }
}

impl Tensor {
    /// Cut off or padded with zeros on both sides alike, to these lengths of these axes (negative: from the back; none: all).
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[1.0, 2.0, 3.0]]);
    /// let y = x.center_crop_pad([3, 1], &[0, 1]);
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 2.0, 0.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "CenterCropPad")]
    #[track_caller]
    pub fn center_crop_pad(&self, lengths: impl Into<Vec<usize>>, axes: &[i64]) -> Tensor {
        let (lengths, axes) = (lengths.into(), axes.to_vec());
        Tensor::apply(CenterCropPad { lengths, axes }, &[self])
    }
}
