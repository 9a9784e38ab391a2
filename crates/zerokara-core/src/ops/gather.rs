//! Picking single elements by index along an axis, `y[.., i, ..] = x[.., indices[.., i, ..], ..]` (NumPy's
//! `take_along_axis`), and its transpose `scatter_add`. Each is the other's gradient.

use super::{indices, prelude::*};
use loops::Real;

/// For each element of the indices: its position, and the position in an array whose axis has this length.
fn places(
    indices: &Array,
    axis: usize,
    length: usize,
) -> impl Iterator<Item = Result<(usize, usize), String>> + '_ {
    let count = indices.shape()[axis];
    let inner: usize = indices.shape()[axis + 1..].iter().product();
    indices
        .slice::<i64>()
        .iter()
        .enumerate()
        .map(move |(at, &index)| {
            let index = indices::within(index, length)?;
            let outer = at / (count * inner);
            Ok((at, (outer * length + index) * inner + at % inner))
        })
}

/// An error unless the shapes are equal but for the axis.
fn same_but_axis(x: &[usize], indices: &[usize], axis: usize) -> Result<(), String> {
    if axis >= x.len() {
        return Err(format!("axis {axis} is out of range for {} axes", x.len()));
    }
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

impl Gather {
    /// From its attributes.
    pub fn from_attributes(attributes: &Attributes) -> Result<Self, String> {
        Ok(Self {
            axis: attributes.size("axis")?,
        })
    }
}

impl Op for Gather {
    fn name(&self) -> &'static str {
        "gather"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none().with("axis", self.axis)
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

impl ScatterAdd {
    /// From its attributes.
    pub fn from_attributes(attributes: &Attributes) -> Result<Self, String> {
        Ok(Self {
            axis: attributes.size("axis")?,
            length: attributes.size("length")?,
        })
    }
}

impl Op for ScatterAdd {
    fn name(&self) -> &'static str {
        "scatter_add"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
            .with("axis", self.axis)
            .with("length", self.length)
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
        let axis = shape::axis(self.axis as i64, x.rank())?;
        let mut meta = x.clone();
        meta.shape[axis] = self.length;
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
