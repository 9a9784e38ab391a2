//! Picking whole slices by index along an axis, `y[.., i.., ..] = x[.., indices[i..], ..]` (an embedding, along axis
//! 0), and its transpose `index_add`, which adds slices up at their indices. Each is the other's gradient.

use super::{along::Along, indices, prelude::*};
use loops::Real;

/// The operation `index_select`.
#[derive(Debug)]
pub struct IndexSelect {
    axis: usize,
}

attributes!(IndexSelect: axis);

impl Op for IndexSelect {
    fn name(&self) -> &'static str {
        "index_select"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, indices] = infer::arity(inputs)?;
        indices::check(indices)?;
        indices::check_axis(self.axis, x.rank())?;
        let (before, behind) = (&x.shape[..self.axis], &x.shape[self.axis + 1..]);
        Ok(Meta::new(
            [before, &indices.shape, behind].concat(),
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
        let from = Along::axis(self.axis, inputs[0].shape());
        let to = from.with_length(indices.len());
        let slice = from.with_length(1);
        for (i, &index) in indices.iter().enumerate() {
            let index = indices::within(index, from.length)?;
            let pairs = (0..slice.outer * slice.inner).map(|at| {
                let [outer, _, inner] = slice.index(at);
                (
                    from.position([outer, index, inner]),
                    to.position([outer, i, inner]),
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

attributes!(IndexAdd: axis, length);

impl Op for IndexAdd {
    fn name(&self) -> &'static str {
        "index_add"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, indices] = infer::arity(inputs)?;
        infer::float(x)?;
        indices::check(indices)?;
        let end = self.axis.saturating_add(indices.rank());
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
        let to = Along::axis(self.axis, output.shape());
        let indices = inputs[1].slice::<i64>();
        let from = to.with_length(indices.len());
        let indices: Vec<usize> = indices
            .iter()
            .map(|&index| indices::within(index, to.length))
            .collect::<Result<_, _>>()?;
        // Those of one slice follow each other, so that the sums of one slice are all that is kept in double precision.
        let mut order: Vec<usize> = (0..indices.len()).collect();
        order.sort_by_key(|&i| indices[i]);
        let mut sums = vec![0.0; to.inner];
        loops::floats!(inputs[0].dtype(), T => {
            let (x, y) = (inputs[0].slice::<T>(), output.slice_mut::<T>());
            for outer in 0..to.outer {
                for same in order.chunk_by(|&i, &j| indices[i] == indices[j]) {
                    sums.fill(0.0);
                    for &i in same {
                        let x = &x[from.position([outer, i, 0])..][..from.inner];
                        sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += x.wide());
                    }
                    let y = &mut y[to.position([outer, indices[same[0]], 0])..][..to.inner];
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
