//! Picking single elements by index along an axis, `y[.., i, ..] = x[.., indices[.., i, ..], ..]` (NumPy's
//! `take_along_axis`), and its transpose `scatter_add`. Each is the other's gradient.

use super::{along::Along, indices, prelude::*};
use loops::Real;

/// For each element of the indices: its position, and the position in an array whose axis has this length.
fn places(
    indices: &Array,
    axis: usize,
    length: usize,
) -> impl Iterator<Item = Result<(usize, usize), String>> + '_ {
    let own = Along::axis(axis, indices.shape());
    let other = own.with_length(length);
    let indices = indices.slice::<i64>().iter().enumerate();
    indices.map(move |(at, &index)| {
        let [outer, _, inner] = own.index(at);
        let index = indices::within(index, length)?;
        Ok((at, other.position([outer, index, inner])))
    })
}

/// An error unless the shapes are equal but for the axis.
fn same_but_axis(x: &[usize], indices: &[usize], axis: usize) -> Result<(), String> {
    indices::check_axis(axis, x.len())?;
    let mut other = x.to_vec();
    if indices.len() == x.len() {
        other[axis] = indices[axis];
    }
    if other != indices {
        return Err(format!(
            "the indices' shape {indices:?} must be {x:?} but for axis {axis}"
        ));
    }
    Ok(())
}

/// The operation `gather`.
#[derive(Debug)]
pub struct Gather {
    axis: usize,
}

attributes!(Gather: axis);

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, indices] = infer::arity(inputs)?;
        indices::check(indices)?;
        same_but_axis(&x.shape, &indices.shape, self.axis)?;
        Ok(Meta::new(indices.shape.clone(), x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let (axis, length) = (self.axis, indices::axis_length(&call.inputs[0], self.axis));
        indices::gradient(call, ScatterAdd { axis, length })
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let pairs = places(inputs[1], self.axis, inputs[0].shape()[self.axis])
            .map(|place| place.map(|(at, from)| (from, at)))
            .collect::<Result<Vec<_>, _>>()?;
        loops::copy(inputs[0], output, pairs.into_iter());
        Ok(())
    }
}

/// The operation `scatter_add`.
#[derive(Debug)]
pub struct ScatterAdd {
    axis: usize,
    length: usize,
}

attributes!(ScatterAdd: axis, length);

impl Op for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, indices] = infer::arity(inputs)?;
        infer::float(x)?;
        indices::check(indices)?;
        if x.shape != indices.shape {
            return Err(format!(
                "the indices' shape {:?} must be {:?}",
                indices.shape, x.shape
            ));
        }
        indices::check_axis(self.axis, x.rank())?;
        let mut meta = x.clone();
        meta.shape[self.axis] = self.length;
        Ok(meta)
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        indices::gradient(call, Gather { axis: self.axis })
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => loops::summed::<T>(output, |sums| {
            let x = inputs[0].slice::<T>();
            for place in places(inputs[1], self.axis, self.length) {
                let (at, to) = place?;
                sums[to] += x[at].wide();
            }
            Ok(())
        }))
    }
}

impl Tensor {
    /// The elements at these indices (i64, of this tensor's shape but for the axis) along an axis. An index out of
    /// range is an error when the tensor is evaluated.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let y = x.gather(1, &Tensor::from([[1], [0]]));
    /// assert_eq!(y.to_vec::<f32>()?, [2.0, 3.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "take_along_axis")]
    #[track_caller]
    pub fn gather(&self, axis: i64, indices: &Tensor) -> Tensor {
        let axis = indices::axis_of(self, axis);
        Tensor::apply(Gather { axis }, &[self, indices])
    }

    /// The transpose of [`Tensor::gather`]: elements added up at their indices along an axis of this length.
    #[track_caller]
    pub fn scatter_add(&self, axis: usize, indices: &Tensor, length: usize) -> Tensor {
        Tensor::apply(ScatterAdd { axis, length }, &[self, indices])
    }
}
