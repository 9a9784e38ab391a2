//! Picking whole slices by index along an axis, `y[.., i.., ..] = x[.., indices[i..], ..]` (an embedding, along axis
//! 0), and its transpose `index_add`, which adds slices up at their indices. Each is the other's gradient.

use super::{indices, prelude::*};
use loops::Real;

/// Sizes around an axis of `x`: product of the axes before, its length, product of the axes behind.
fn around(x: &[usize], axis: usize) -> [usize; 3] {
    [
        x[..axis].iter().product(),
        x[axis],
        x[axis + 1..].iter().product(),
    ]
}

/// The operation `index_select`.
#[derive(Debug)]
pub struct IndexSelect {
    axis: usize,
}

impl IndexSelect {
    /// From its attributes.
    pub fn from_attributes(attributes: &Attributes) -> Result<Self, String> {
        Ok(Self {
            axis: attributes.size("axis")?,
        })
    }
}

impl Op for IndexSelect {
    fn name(&self) -> &'static str {
        "index_select"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none().with("axis", self.axis)
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, indices] = infer::arity(inputs)?;
        indices::check(indices)?;
        let axis = shape::axis(self.axis as i64, x.rank())?;
        Ok(Meta::new(
            [&x.shape[..axis], &indices.shape, &x.shape[axis + 1..]].concat(),
            x.dtype,
        ))
    }

    fn kind(&self) -> Kind {
        Kind::Gather { axis: self.axis }
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let (axis, length) = (self.axis, indices::axis_length(&call.inputs[0], self.axis));
        indices::gradient(call, IndexAdd { axis, length })
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let indices = inputs[1].slice::<i64>();
        let [outer, length, inner] = around(inputs[0].shape(), self.axis);
        for (i, &index) in indices.iter().enumerate() {
            let index = indices::within(index, length)?;
            let pairs = (0..outer * inner).map(|at| {
                let (o, r) = (at / inner, at % inner);
                (
                    (o * length + index) * inner + r,
                    (o * indices.len() + i) * inner + r,
                )
            });
            loops::copy(inputs[0], output, pairs);
        }
        Ok(())
    }
}

/// The operation `index_add`.
#[derive(Debug)]
pub struct IndexAdd {
    axis: usize,
    length: usize,
}

impl IndexAdd {
    /// From its attributes.
    pub fn from_attributes(attributes: &Attributes) -> Result<Self, String> {
        Ok(Self {
            axis: attributes.size("axis")?,
            length: attributes.size("length")?,
        })
    }
}

impl Op for IndexAdd {
    fn name(&self) -> &'static str {
        "index_add"
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
        let end = self.axis + indices.rank();
        if x.shape.get(self.axis..end) != Some(&indices.shape) {
            return Err(format!(
                "the indices' shape does not stand at axis {} of the first input",
                self.axis
            ));
        }
        Ok(Meta::new(
            [&x.shape[..self.axis], &[self.length], &x.shape[end..]].concat(),
            x.dtype,
        ))
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        indices::gradient(call, IndexSelect { axis: self.axis })
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let [outer, length, inner] = around(output.shape(), self.axis);
        let indices = inputs[1].slice::<i64>();
        let indices: Vec<usize> = indices
            .iter()
            .map(|&index| indices::within(index, length))
            .collect::<Result<_, _>>()?;
        // Those of one slice follow each other, so that the sums of one slice are all that is kept in double precision.
        let mut order: Vec<usize> = (0..indices.len()).collect();
        order.sort_by_key(|&i| indices[i]);
        let mut sums = vec![0.0; inner];
        loops::floats!(inputs[0].dtype(), T => {
            let (x, y) = (inputs[0].slice::<T>(), output.slice_mut::<T>());
            for o in 0..outer {
                for same in order.chunk_by(|&i, &j| indices[i] == indices[j]) {
                    sums.fill(0.0);
                    for &i in same {
                        let x = &x[(o * indices.len() + i) * inner..][..inner];
                        sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x.wide());
                    }
                    let y = &mut y[(o * length + indices[same[0]]) * inner..][..inner];
                    y.iter_mut().zip(&sums).for_each(|(y, &sum)| *y = T::narrow(sum));
                }
            }
        });
        Ok(())
    }
}

impl Tensor {
    /// The slices at these indices (i64, any shape) along an axis; the indices' axes take the axis's place. An index
    /// out of range is an error when the tensor is evaluated.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let y = x.index_select(0, &Tensor::from([1, 1, 0]));
    /// assert_eq!(y.to_vec::<f32>()?, [3.0, 4.0, 3.0, 4.0, 1.0, 2.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "take")]
    #[track_caller]
    pub fn index_select(&self, axis: i64, indices: &Tensor) -> Tensor {
        let axis = indices::axis_of(self, axis);
        Tensor::apply(IndexSelect { axis }, &[self, indices])
    }

    /// Rows of this table `[V, D]` at the indices `[..]` (i64), giving `[.., D]`.
    #[track_caller]
    pub fn embedding(&self, indices: &Tensor) -> Tensor {
        self.index_select(0, indices)
    }

    /// The transpose of [`Tensor::index_select`]: slices added up at their indices along an axis of this length.
    #[track_caller]
    pub fn index_add(&self, axis: usize, indices: &Tensor, length: usize) -> Tensor {
        Tensor::apply(IndexAdd { axis, length }, &[self, indices])
    }
}
