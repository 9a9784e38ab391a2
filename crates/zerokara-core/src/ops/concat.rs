//! Tensors joined along an axis; each one's gradient is its part of the output's gradient.

use super::{along::Along, prelude::*};

/// The operation.
#[derive(Debug)]
pub struct Concat {
    axis: usize,
    /// Number of axes.
    rank: usize,
    /// Each input's length along the axis.
    lengths: Vec<usize>,
}

attributes!(Concat: axis, rank, lengths);

impl Op for Concat {
    fn name(&self) -> &'static str {
        "concat"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let first = inputs.first().ok_or("needs at least one tensor")?;
        if inputs.len() != self.lengths.len() {
            return Err(format!(
                "takes {} inputs, not {}",
                self.lengths.len(),
                inputs.len()
            ));
        }
        let mut total = first.clone();
        if self.axis >= self.rank || first.rank() != self.rank {
            return Err(format!(
                "cannot join {} axes along axis {}",
                first.rank(),
                self.axis
            ));
        }
        total.shape[self.axis] = 0;
        for (x, &length) in inputs.iter().zip(&self.lengths) {
            let mut rest = x.clone();
            if rest.rank() != self.rank
                || std::mem::take(&mut rest.shape[self.axis]) != length
                || rest.shape[..self.axis] != total.shape[..self.axis]
                || rest.shape[self.axis + 1..] != total.shape[self.axis + 1..]
            {
                return Err(format!(
                    "shapes differ elsewhere than on axis {}",
                    self.axis
                ));
            }
            infer::same_type(first, &rest)?;
        }
        let sum = self
            .lengths
            .iter()
            .try_fold(0usize, |n, &length| n.checked_add(length));
        total.shape[self.axis] = sum.ok_or("the lengths add up to more than can be counted")?;
        Ok(total)
    }

    fn kind(&self) -> Kind {
        let offsets = starts(&self.lengths)
            .map(|start| {
                let mut offset = vec![0; self.rank];
                if let Some(at) = offset.get_mut(self.axis) {
                    *at = start;
                }
                offset
            })
            .collect();
        Kind::Assemble { fill: 0.0, offsets }
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        Gradient::Of(
            starts(&self.lengths)
                .zip(&self.lengths)
                .map(|(start, &length)| Some(call.gradient.narrow(self.axis as i64, start, length)))
                .collect(),
        )
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let whole = Along::axis(self.axis, output.shape());
        for (x, start) in inputs.iter().zip(starts(&self.lengths)) {
            let part = whole.with_length(x.shape()[self.axis]);
            let pairs = (0..x.len()).map(|from| {
                let [outer, at, inner] = part.index(from);
                (from, whole.position([outer, start + at, inner]))
            });
            loops::copy(x, output, pairs);
        }
        Ok(())
    }
}

/// Where each part begins.
fn starts(lengths: &[usize]) -> impl Iterator<Item = usize> + '_ {
    lengths.iter().scan(0, |sum, &length| {
        let start = *sum;
        *sum += length;
        Some(start)
    })
}

impl Tensor {
    /// Tensors joined along an axis (negative: from the back); all other axes must be equal.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let (a, b) = (Tensor::from([[1.0], [2.0]]), Tensor::from([[3.0], [4.0]]));
    /// assert_eq!(Tensor::concat(&[&a, &b], 1).to_vec::<f32>()?, [1.0, 3.0, 2.0, 4.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn concat(tensors: &[&Tensor], axis: i64) -> Tensor {
        let rank = match tensors.first().map(|t| t.shape()) {
            Some(Ok(shape)) => shape.len(),
            _ => 0,
        };
        // An axis that does not exist is reported by the operation.
        let axis = shape::axis(axis, rank).unwrap_or(rank);
        let lengths = tensors
            .iter()
            .map(|t| {
                t.shape()
                    .ok()
                    .and_then(|s| s.get(axis).copied())
                    .unwrap_or(0)
            })
            .collect();
        Tensor::apply(
            Concat {
                axis,
                rank,
                lengths,
            },
            tensors,
        )
    }

    /// Tensors of one shape joined along a new axis at this place (negative: from the back, -1 the last).
    #[track_caller]
    pub fn stack(tensors: &[&Tensor], axis: i64) -> Tensor {
        let wide: Vec<Tensor> = tensors.iter().map(|t| t.unsqueeze(axis)).collect();
        let axis = match wide.first().map(|t| t.shape()) {
            Some(Ok(shape)) if axis < 0 => axis + shape.len() as i64,
            _ => axis,
        };
        Tensor::concat(&wide.iter().collect::<Vec<_>>(), axis)
    }

    /// A new axis of length 1 at this place (negative: from the back, -1 the last).
    #[track_caller]
    pub fn unsqueeze(&self, axis: i64) -> Tensor {
        let Ok(shape) = self.shape() else {
            return self.clone();
        };
        let Ok(axis) = shape::axis(axis, shape.len() + 1) else {
            return self.invalid_axis("unsqueeze", axis);
        };
        let mut lengths: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
        lengths.insert(axis, 1);
        self.reshape_exactly(&lengths)
    }

    /// Without this axis, which must have length 1.
    #[track_caller]
    pub fn squeeze(&self, axis: i64) -> Tensor {
        let Ok(shape) = self.shape() else {
            return self.clone();
        };
        match shape::axis(axis, shape.len()) {
            Ok(_) => self.remove_axis(axis),
            Err(_) => self.invalid_axis("squeeze", axis),
        }
    }

    /// The invalid result of an operation on an axis that does not exist.
    #[track_caller]
    pub(crate) fn invalid_axis(&self, op: &str, axis: i64) -> Tensor {
        let Ok(meta) = self.meta() else {
            return self.clone();
        };
        let reason = format!("axis {axis} is out of range for {} axes", meta.rank());
        Tensor::refuse(op, &[self], reason)
    }

    /// The invalid result of an operation that cannot apply to these valid tensors.
    #[track_caller]
    pub(crate) fn refuse(op: &str, inputs: &[&Tensor], reason: String) -> Tensor {
        let metas: Result<Vec<Meta>, _> = inputs.iter().map(|t| t.meta().cloned()).collect();
        let (path, location) = crate::scope::current();
        let location = location.unwrap_or(std::panic::Location::caller());
        Tensor::invalid(match metas {
            Ok(metas) => crate::Error::graph(op.into(), metas, reason, location, path),
            Err(error) => error,
        })
    }
}
