//! Elements written at indices along an axis, `y[.., indices[.., i, ..], ..] = updates[.., i, ..]`, or joined with what is there.
//!
//! Indices (i64) and updates are of one shape, which reaches at most as far as the data on the other axes. Negative indices
//! count from the back. An index out of range is an error when the tensor is evaluated.

use super::{
    indices,
    prelude::*,
    scattering::{self, Reducer},
};

/// The operation.
#[derive(Debug)]
pub struct ScatterElements {
    axis: i64,
    reduction: Reducer,
}

attributes!(ScatterElements: axis, reduction);

impl Op for ScatterElements {
    fn name(&self) -> &'static str {
        "scatter_elements"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [data, indices, updates] = infer::arity(inputs)?;
        indices::check(indices)?;
        scattering::check(data, updates, self.reduction)?;
        let axis = shape::axis(self.axis, data.rank())?;
        if indices.shape != updates.shape {
            return Err(format!(
                "the indices' shape {:?} must be that of the updates, {:?}",
                indices.shape, updates.shape
            ));
        }
        let mut lengths = indices.shape.iter().zip(&data.shape).enumerate();
        let fits = lengths.all(|(at, (index, data))| at == axis || index <= data);
        if indices.rank() != data.rank() || !fits {
            return Err(format!(
                "indices of the shape {:?} reach beyond {:?}",
                indices.shape, data.shape
            ));
        }
        Ok(data.clone())
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let axis = self.axis;
        let (data, indices) = (&call.inputs[0], &call.inputs[1]);
        let length = indices::axis_length(data, indices::axis_of(data, axis));
        let places = indices.from_the_front(length);
        let shape = indices.shape().map(<[usize]>::to_vec).unwrap_or_default();
        let at = indices::axis_of(data, axis);
        scattering::gradient(
            call,
            self.reduction,
            |x| {
                let others = (0..shape.len()).filter(|&other| other != at);
                let part = others.fold(x.clone(), |x, other| match x.shape() {
                    Ok(lengths) if lengths[other] != shape[other] => {
                        x.narrow(other as i64, 0, shape[other])
                    }
                    _ => x,
                });
                part.gather(axis, &places)
            },
            |data, updates, reduction| {
                Tensor::apply(
                    ScatterElements { axis, reduction },
                    &[data, indices, updates],
                )
            },
        )
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let [data, indices, updates] = [inputs[0], inputs[1], inputs[2]];
        let axis = shape::axis(self.axis, data.shape().len())?;
        let strides = shape::row_major(data.shape());
        let length = data.shape()[axis];
        let places = shape::indices(indices.shape()).zip(indices.slice::<i64>());
        let pairs = places.enumerate().map(|(from, (mut place, &index))| {
            let index = if index < 0 {
                index.saturating_add_unsigned(length as u64)
            } else {
                index
            };
            place[axis] = indices::within(index, length)?;
            let to = place.iter().zip(&strides);
            Ok((from, to.map(|(&i, &stride)| i * stride as usize).sum()))
        });
        scattering::scatter(data, updates, output, self.reduction, pairs)
    }
}

impl Tensor {
    /// This tensor with updates written at indices (i64, of the updates' shape) along an axis (negative: from the back). An
    /// update takes the place of what is there, or is joined with it as `reduction` says; of several that take one place, the
    /// last is there in the end. Negative indices count from the back.
    ///
    /// ```
    /// # use zerokara_core::{Reducer, Tensor};
    /// let x = Tensor::from([[1.0, 2.0, 3.0]]);
    /// let (places, updates) = (Tensor::from([[0, -1, 0]]), Tensor::from([[5.0, 7.0, 6.0]]));
    /// assert_eq!(x.scatter_elements(1, &places, &updates, Reducer::None).to_vec::<f32>()?, [6.0, 2.0, 7.0]);
    /// assert_eq!(x.scatter_elements(1, &places, &updates, Reducer::Max).to_vec::<f32>()?, [6.0, 2.0, 7.0]);
    /// assert_eq!(x.scatter_elements(1, &places, &updates, Reducer::Mul).to_vec::<f32>()?, [30.0, 2.0, 21.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("put_along_axis", "scatter_reduce"))]
    #[track_caller]
    pub fn scatter_elements(
        &self,
        axis: i64,
        indices: &Tensor,
        updates: &Tensor,
        reduction: Reducer,
    ) -> Tensor {
        Tensor::apply(
            ScatterElements { axis, reduction },
            &[self, indices, updates],
        )
    }

    /// Indices into an axis of this length, of which negative ones count from the back, as those from the front:
    /// [`Tensor::gather`] and [`Tensor::index_select`] take these.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// assert_eq!(Tensor::from([-1, 0, 2]).from_the_front(3).to_vec::<i64>()?, [2, 0, 2]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn from_the_front(&self, length: usize) -> Tensor {
        let zero = self.zeros_like();
        let moved = self + i64::try_from(length).unwrap_or(i64::MAX);
        self.less(&zero).select(&moved, self)
    }
}
