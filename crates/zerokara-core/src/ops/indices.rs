//! What the operations that pick elements by index have in common.

use super::prelude::*;

/// An error unless the tensor holds indices.
pub fn check(x: &Meta) -> Result<(), String> {
    if x.dtype == DType::I64 {
        Ok(())
    } else {
        Err(format!(
            "needs integer indices (i64), not {}; cast them first",
            x.dtype
        ))
    }
}

/// An error unless a tensor of this rank has the axis, counted from the front.
pub fn check_axis(axis: usize, rank: usize) -> Result<(), String> {
    if axis < rank {
        Ok(())
    } else {
        Err(format!("axis {axis} is out of range for {rank} axes"))
    }
}

/// An index within an axis.
pub fn within(index: i64, length: usize) -> Result<usize, String> {
    usize::try_from(index)
        .ok()
        .filter(|&i| i < length)
        .ok_or_else(|| format!("index {index} is out of range for an axis of length {length}"))
}

/// An axis of a tensor, counted from the front. One that does not exist is reported by the operation.
pub fn axis_of(x: &Tensor, axis: i64) -> usize {
    let rank = x.shape().map_or(0, <[usize]>::len);
    shape::axis(axis, rank).unwrap_or(rank)
}

/// The length of an axis that the shape rule has checked.
pub fn axis_length(x: &Tensor, axis: usize) -> usize {
    x.shape().ok().and_then(|s| s.get(axis)).map_or(0, |&n| n)
}

/// The gradient of an operation on a tensor and indices: the transpose, with the same indices.
pub fn gradient(call: &Call<'_>, transpose: impl Op) -> Gradient {
    let to_x = Tensor::apply(transpose, &[call.gradient, &call.inputs[1]]);
    Gradient::Of(vec![Some(to_x), None])
}
