//! Regular parts of a tensor: `y[j, ..] = x[start + j step, ..]` on every axis, with positive or negative steps.
//!
//! The gradient goes back to where the elements came from, among zeros: along an axis with step s it is spread by
//! padding each element to s, and then padded in front and behind.

use super::prelude::*;
use crate::op::View;
use std::ops::{Bound, RangeBounds};

/// The operation.
#[derive(Debug)]
pub struct Slice {
    /// First index on each axis.
    starts: Vec<usize>,
    /// Length of each axis of the output; -1: as far as the steps lead.
    lengths: Vec<i64>,
    /// Distance on each axis.
    steps: Vec<i64>,
}

attributes!(Slice: starts, lengths, steps);

impl Slice {
    /// Everything.
    fn whole(rank: usize) -> Self {
        Self {
            starts: vec![0; rank],
            lengths: vec![-1; rank],
            steps: vec![1; rank],
        }
    }

    /// Length of the output's axis, for an input of this length.
    fn length(&self, axis: usize, input: usize) -> Result<usize, String> {
        let (start, step) = (self.starts[axis], self.steps[axis]);
        let stride = usize::try_from(step.unsigned_abs()).unwrap_or(usize::MAX);
        let reach = match step {
            0 => return Err("a step cannot be 0".into()),
            1.. => input.saturating_sub(start).div_ceil(stride),
            _ if start < input => start / stride + 1,
            _ => 0,
        };
        match usize::try_from(self.lengths[axis]) {
            Err(_) => Ok(reach),
            Ok(length) if length <= reach => Ok(length),
            Ok(length) => Err(format!(
                "{length} elements from {start} on by {step} do not lie in axis {axis} of length {input}"
            )),
        }
    }
}

impl Op for Slice {
    fn name(&self) -> &'static str {
        "slice"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        let rank = x.rank();
        if [self.starts.len(), self.lengths.len(), self.steps.len()] != [rank; 3] {
            return Err(format!(
                "needs a start, a length and a step for each of {rank} axes"
            ));
        }
        let shape = (0..rank)
            .map(|axis| self.length(axis, x.shape[axis]))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Meta::new(shape, x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::View(View::Slice {
            starts: self.starts.clone(),
            steps: self.steps.iter().map(|&s| s as isize).collect(),
        })
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let (Ok(x), Ok(y)) = (call.inputs[0].shape(), call.output.shape()) else {
            return Gradient::Zero;
        };
        let mut g = call.gradient.clone();
        let backwards: Vec<i64> = (0..x.len() as i64)
            .filter(|&axis| self.steps[axis as usize] < 0)
            .collect();
        if !backwards.is_empty() {
            g = g.flip(&backwards);
        }
        let (mut before, mut after) = (vec![0; x.len()], vec![0; x.len()]);
        for axis in 0..x.len() {
            let stride = self.steps[axis].unsigned_abs() as usize;
            let mut covered = y[axis];
            if y[axis] == 0 {
                after[axis] = x[axis];
                continue;
            }
            let first = if self.steps[axis] < 0 {
                self.starts[axis] - (y[axis] - 1) * stride
            } else {
                self.starts[axis]
            };
            // The step of a single element leads nowhere.
            if stride > 1 && y[axis] > 1 {
                g = g.spread_axis(axis, stride);
                covered = covered * stride - (stride - 1);
            }
            before[axis] = first;
            after[axis] = x[axis] - first - covered;
        }
        Gradient::one(g.pad(&before, &after, 0.0))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let x = inputs[0];
        let strides = shape::row_major(x.shape());
        let shape = output.shape().to_vec();
        let pairs = shape::indices(&shape).enumerate().map(|(to, index)| {
            let from: i64 = (0..index.len())
                .map(|axis| {
                    let at = self.starts[axis] as i64 + index[axis] as i64 * self.steps[axis];
                    at * strides[axis] as i64
                })
                .sum();
            (from as usize, to)
        });
        loops::copy(x, output, pairs);
        Ok(())
    }
}

impl Tensor {
    /// The elements of `range` along an axis, every `step`-th of them; with a negative step backwards, from the last
    /// of the range to the first, as `range.rev().step_by(-step)`. Negative bounds count from the back, and bounds
    /// beyond the ends are cut, as in NumPy.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([0.0, 1.0, 2.0, 3.0, 4.0]);
    /// assert_eq!(x.slice(0, 1..4, 2).to_vec::<f32>()?, [1.0, 3.0]);
    /// assert_eq!(x.slice(0, -2.., 1).to_vec::<f32>()?, [3.0, 4.0]);
    /// assert_eq!(x.slice(0, 1.., -2).to_vec::<f32>()?, [4.0, 2.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn slice(&self, axis: i64, range: impl RangeBounds<i64>, step: i64) -> Tensor {
        let Ok(shape) = self.shape() else {
            return self.clone();
        };
        let rank = shape.len();
        let Ok(axis) = shape::axis(axis, rank) else {
            return self.invalid_axis("slice", axis);
        };
        let length = shape[axis] as i64;
        let from_front = |bound: i64| {
            if bound < 0 {
                bound.saturating_add(length)
            } else {
                bound
            }
        };
        let start = match range.start_bound() {
            Bound::Included(&i) => from_front(i),
            Bound::Excluded(&i) => from_front(i).saturating_add(1),
            Bound::Unbounded => 0,
        }
        .clamp(0, length);
        let stop = match range.end_bound() {
            Bound::Included(&i) => from_front(i).saturating_add(1),
            Bound::Excluded(&i) => from_front(i),
            Bound::Unbounded => length,
        }
        .clamp(start, length);
        let mut op = Slice::whole(rank);
        op.steps[axis] = step;
        op.starts[axis] = if step < 0 { (stop - 1).max(0) } else { start } as usize;
        // A part that reaches the end stays valid for another length of the axis.
        if range.end_bound() != Bound::Unbounded || step < 0 {
            let span = (stop - start) as u64;
            op.lengths[axis] = span.div_ceil(step.unsigned_abs().max(1)) as i64;
        }
        Tensor::apply(op, &[self])
    }

    /// `length` elements along an axis, from `start` on.
    #[track_caller]
    pub fn narrow(&self, axis: i64, start: usize, length: usize) -> Tensor {
        let Ok(shape) = self.shape() else {
            return self.clone();
        };
        let rank = shape.len();
        let Ok(axis) = shape::axis(axis, rank) else {
            return self.invalid_axis("narrow", axis);
        };
        let mut op = Slice::whole(rank);
        op.starts[axis] = start;
        op.lengths[axis] = i64::try_from(length).unwrap_or(i64::MAX);
        Tensor::apply(op, &[self])
    }

    /// The element at an index (negative: from the back) along an axis, which is removed.
    #[track_caller]
    pub fn at(&self, axis: i64, index: i64) -> Tensor {
        let Ok(shape) = self.shape() else {
            return self.clone();
        };
        let Ok(found) = shape::axis(axis, shape.len()) else {
            return self.invalid_axis("at", axis);
        };
        let from_front = if index < 0 {
            index + shape[found] as i64
        } else {
            index
        };
        // An index that does not exist becomes a start that the operation reports.
        let start = usize::try_from(from_front).unwrap_or(usize::MAX >> 1);
        self.narrow(axis, start, 1).remove_axis(found as i64)
    }

    /// The elements in reverse order along these axes (negative: from the back).
    #[track_caller]
    pub fn flip(&self, axes: &[i64]) -> Tensor {
        let Ok(shape) = self.shape() else {
            return self.clone();
        };
        let rank = shape.len();
        let mut op = Slice::whole(rank);
        for &axis in axes {
            let Ok(axis) = shape::axis(axis, rank) else {
                return self.invalid_axis("flip", axis);
            };
            op.starts[axis] = shape[axis].saturating_sub(1);
            op.steps[axis] = -1;
        }
        Tensor::apply(op, &[self])
    }

    /// Parts of these lengths along an axis, which must add up to the axis.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let parts = Tensor::from([1.0, 2.0, 3.0]).split(0, &[1, 2]);
    /// assert_eq!(parts[1].to_vec::<f32>()?, [2.0, 3.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn split(&self, axis: i64, lengths: &[usize]) -> Vec<Tensor> {
        if let Ok(shape) = self.shape()
            && let Ok(found) = shape::axis(axis, shape.len())
            && lengths.iter().try_fold(0usize, |n, &l| n.checked_add(l)) != Some(shape[found])
        {
            let reason = format!(
                "parts of {lengths:?} do not add up to axis {axis} of length {}",
                shape[found]
            );
            return vec![Tensor::refuse("split", &[self], reason); lengths.len()];
        }
        let mut start = 0;
        let mut parts = Vec::with_capacity(lengths.len());
        for &length in lengths {
            parts.push(self.narrow(axis, start, length));
            start += length;
        }
        parts
    }

    /// Each element along an axis followed by `stride - 1` zeros, but none after the last.
    #[track_caller]
    fn spread_axis(&self, axis: usize, stride: usize) -> Tensor {
        let Ok(shape) = self.shape() else {
            return self.clone();
        };
        let mut after = vec![0; shape.len() + 1];
        after[axis + 1] = stride - 1;
        let mut lengths: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
        lengths[axis] *= stride as i64;
        self.unsqueeze(axis as i64 + 1)
            .pad(&vec![0; after.len()], &after, 0.0)
            .reshape_exactly(&lengths)
            .narrow(axis as i64, 0, shape[axis] * stride - (stride - 1))
    }
}
