//! A number put around a tensor: `before[i]` and `after[i]` elements on axis i; the gradient is the middle part.

use super::prelude::*;
use crate::array::represent;

/// The operation.
#[derive(Debug)]
pub struct Pad {
    before: Vec<usize>,
    after: Vec<usize>,
    value: f64,
}

attributes!(Pad: before, after, value);

impl Op for Pad {
    fn name(&self) -> &'static str {
        "pad"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        represent(self.value, x.dtype)?;
        if self.before.len() != x.rank() || self.after.len() != x.rank() {
            return Err(format!(
                "needs two lengths for each of {} axes, not {} and {}",
                x.rank(),
                self.before.len(),
                self.after.len()
            ));
        }
        let shape = (0..x.rank())
            .map(|i| {
                x.shape[i]
                    .checked_add(self.before[i])
                    .and_then(|n| n.checked_add(self.after[i]))
                    .ok_or_else(|| "the padding is too long".to_string())
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Meta::new(shape, x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Assemble {
            fill: self.value,
            offsets: vec![self.before.clone()],
        }
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let mut g = call.gradient.clone();
        let shape = call.inputs[0].shape().unwrap_or(&[]);
        for (axis, &length) in shape.iter().enumerate() {
            if self.before[axis] > 0 || self.after[axis] > 0 {
                g = g.narrow(axis as i64, self.before[axis], length);
            }
        }
        Gradient::one(g)
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        output.set(self.value);
        let strides = shape::row_major(output.shape());
        let pairs = shape::indices(inputs[0].shape())
            .enumerate()
            .map(|(from, index)| {
                let to: usize = (0..index.len())
                    .map(|axis| (index[axis] + self.before[axis]) * strides[axis] as usize)
                    .sum();
                (from, to)
            });
        loops::copy(inputs[0], output, pairs);
        Ok(())
    }
}

impl Tensor {
    /// A number put around the tensor: `before[i]` elements in front of axis i and `after[i]` behind it. Around integers
    /// it must be whole, around truth values 0 or 1.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([1.0, 2.0]).pad(&[1], &[2], 0.0);
    /// assert_eq!(x.to_vec::<f32>()?, [0.0, 1.0, 2.0, 0.0, 0.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn pad(&self, before: &[usize], after: &[usize], value: f64) -> Tensor {
        let nothing = before.iter().chain(after).all(|&n| n == 0);
        if nothing
            && self
                .shape()
                .is_ok_and(|s| s.len() == before.len() && s.len() == after.len())
        {
            return self.clone();
        }
        let (before, after) = (before.to_vec(), after.to_vec());
        Tensor::apply(
            Pad {
                before,
                after,
                value,
            },
            &[self],
        )
    }
}
