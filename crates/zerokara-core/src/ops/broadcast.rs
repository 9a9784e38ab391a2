//! Broadcasting: axes of length 1 are repeated, new axes put in front; the gradient sums over what was repeated.

use super::prelude::*;

/// The operation: to a shape, or with a second input to the shape of that.
#[derive(Debug)]
pub struct Broadcast {
    shape: Option<Vec<usize>>,
}

attributes!(Broadcast: shape);

impl Op for Broadcast {
    fn name(&self) -> &'static str {
        "broadcast"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let (x, to) = match (&self.shape, inputs) {
            (Some(shape), [x]) => (x, shape),
            (None, [x, like]) => (x, &like.shape),
            _ => return Err("takes a shape or a second tensor to be like".into()),
        };
        match shape::broadcast(&x.shape, to) {
            Some(shape) if shape == *to => Ok(Meta::new(shape, x.dtype)),
            _ => Err(format!("shape {:?} does not broadcast to {to:?}", x.shape)),
        }
    }

    fn kind(&self) -> Kind {
        Kind::View(crate::op::View::Broadcast)
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let x = &call.inputs[0];
        let mut gradients = vec![Some(call.gradient.sum_like(x))];
        gradients.resize(call.inputs.len(), None);
        Gradient::Of(gradients)
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let x = inputs[0];
        let to = output.shape().to_vec();
        let front = to.len() - x.shape().len();
        let strides = shape::row_major(x.shape());
        let pairs = shape::indices(&to).enumerate().map(|(to, index)| {
            let from = (0..x.shape().len())
                .map(|axis| {
                    if x.shape()[axis] == 1 {
                        0
                    } else {
                        index[front + axis] * strides[axis] as usize
                    }
                })
                .sum();
            (from, to)
        });
        loops::copy(x, output, pairs);
        Ok(())
    }
}

impl Broadcast {
    /// To this shape.
    pub(crate) fn to(shape: &[usize]) -> Self {
        Self {
            shape: Some(shape.to_vec()),
        }
    }
}

impl Tensor {
    /// Repeated along axes of length 1, and along new axes in front, until it has this shape.
    #[track_caller]
    pub fn broadcast_to(&self, shape: &[usize]) -> Tensor {
        if self.shape().is_ok_and(|s| s == shape) {
            return self.clone();
        }
        Tensor::apply(Broadcast::to(shape), &[self])
    }

    /// Repeated until it has the shape of `like`.
    #[track_caller]
    pub fn broadcast_like(&self, like: &Tensor) -> Tensor {
        match (self.shape(), like.shape()) {
            (Ok(a), Ok(b)) if a == b => self.clone(),
            _ => Tensor::apply(Broadcast { shape: None }, &[self, like]),
        }
    }

    /// A tensor of this shape, which has no elements, made of this one, which need not have any: so that lengths which nothing
    /// stands behind are not walked.
    #[track_caller]
    pub(crate) fn without_elements(&self, shape: &[usize]) -> Tensor {
        self.sum().broadcast_to(shape)
    }

    /// Summed over the axes along which `like` would be broadcast to this shape: the transpose of broadcasting.
    #[track_caller]
    pub(crate) fn sum_like(&self, like: &Tensor) -> Tensor {
        let (Ok(from), Ok(to)) = (self.shape(), like.shape()) else {
            return self.clone();
        };
        let front = from.len() - to.len();
        let axes: Vec<i64> = (0..from.len())
            .filter(|&axis| axis < front || (to[axis - front] == 1 && from[axis] != 1))
            .map(|axis| axis as i64)
            .collect();
        if axes.is_empty() {
            return self.clone();
        }
        let sizes: Vec<i64> = to.iter().map(|&n| n as i64).collect();
        self.sum_axes(&axes, true).reshape_exactly(&sizes)
    }
}
