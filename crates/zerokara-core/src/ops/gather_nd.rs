//! Slices picked by tuples of indices, `y[.., i, ..] = x[indices[.., i, :], ..]`, and updates written at such places.
//!
//! The last axis of the indices (i64) holds tuples for the first axes of the data, behind `batch_dims` leading axes that both
//! share: with b of those and tuples of m indices, `gather_nd` of `x [B.., D.., E..]` at `[B.., I.., m]` gives `[B.., I.., E..]`,
//! D being m axes. `scatter_nd` is ONNX's ScatterND; here it knows `batch_dims` too. Negative indices count from the back. An
//! index out of range is an error when the tensor is evaluated.

use super::{
    indices,
    prelude::*,
    scattering::{self, Reducer},
};

/// Where tuples of indices point to.
struct Tuples {
    /// Axes that data and indices share.
    batch_dims: usize,
    /// Indices in a tuple.
    width: usize,
    /// The number of tuples.
    count: usize,
    /// The number of tuples in each batch.
    in_batch: usize,
    /// The axes that the indices are for.
    axes: Vec<usize>,
    /// The axes of a slice.
    slice: Vec<usize>,
}

impl Tuples {
    fn of(data: &[usize], indices: &[usize], batch_dims: usize) -> Result<Self, String> {
        let (&width, rest) = indices
            .split_last()
            .ok_or("needs indices with an axis of tuples")?;
        if batch_dims > rest.len() || batch_dims > data.len() {
            return Err(format!("there are no {batch_dims} axes that both share"));
        }
        if data[..batch_dims] != rest[..batch_dims] {
            return Err(format!(
                "the first {batch_dims} axes of the indices, {:?}, must be {:?}",
                &rest[..batch_dims],
                &data[..batch_dims]
            ));
        }
        if width == 0 || width > data.len() - batch_dims {
            return Err(format!(
                "tuples of {width} indices do not fit {} axes",
                data.len() - batch_dims
            ));
        }
        let end = batch_dims + width;
        Ok(Self {
            batch_dims,
            width,
            count: rest.iter().product(),
            in_batch: rest[batch_dims..].iter().product(),
            axes: data[batch_dims..end].to_vec(),
            slice: data[end..].to_vec(),
        })
    }

    /// The shape of what is picked.
    fn picked(&self, indices: &[usize]) -> Vec<usize> {
        [&indices[..indices.len() - 1], &self.slice].concat()
    }

    /// For each tuple the position of its slice's first element.
    fn starts<'a>(
        &'a self,
        indices: &'a [i64],
    ) -> impl Iterator<Item = Result<usize, String>> + 'a {
        let slice: usize = self.slice.iter().product();
        let in_data: usize = self.axes.iter().product();
        (0..self.count).map(move |tuple| {
            let mut at = match self.batch_dims {
                0 => 0,
                _ => tuple / self.in_batch * in_data,
            };
            let mut within = 0;
            let tuple = &indices[tuple * self.width..][..self.width];
            for (&index, &length) in tuple.iter().zip(&self.axes) {
                let index = if index < 0 {
                    index.saturating_add_unsigned(length as u64)
                } else {
                    index
                };
                within = within * length + indices::within(index, length)?;
            }
            at += within;
            Ok(at * slice)
        })
    }

    /// The position of each picked element, and that in the data.
    fn pairs<'a>(
        &'a self,
        indices: &'a [i64],
    ) -> impl Iterator<Item = Result<(usize, usize), String>> + 'a {
        let slice: usize = self.slice.iter().product();
        self.starts(indices)
            .enumerate()
            .flat_map(move |(i, start)| {
                let (start, error) = match start {
                    Ok(start) => (start, None),
                    Err(error) => (0, Some(error)),
                };
                let elements = if error.is_some() { 0 } else { slice };
                let pairs = (0..elements).map(move |e| Ok((i * slice + e, start + e)));
                pairs.chain(error.map(Err))
            })
    }
}

/// The operation `gather_nd`.
#[derive(Debug)]
pub struct GatherNd {
    batch_dims: usize,
}

attributes!(GatherNd: batch_dims);

impl Op for GatherNd {
    fn name(&self) -> &'static str {
        "gather_nd"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, indices] = infer::arity(inputs)?;
        indices::check(indices)?;
        let tuples = Tuples::of(&x.shape, &indices.shape, self.batch_dims)?;
        Ok(Meta::new(tuples.picked(&indices.shape), x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let (x, indices) = (&call.inputs[0], &call.inputs[1]);
        if !x.meta().is_ok_and(Meta::is_float) {
            return Gradient::Zero;
        }
        let op = ScatterNd {
            batch_dims: self.batch_dims,
            reduction: Reducer::Add,
        };
        let to_x = Tensor::apply(op, &[&x.zeros_like(), indices, call.gradient]);
        Gradient::Of(vec![Some(to_x), None])
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (x, indices) = (inputs[0], inputs[1]);
        let tuples = Tuples::of(x.shape(), indices.shape(), self.batch_dims)?;
        let pairs = tuples.pairs(indices.slice::<i64>());
        let pairs = pairs.map(|pair| pair.map(|(at, from)| (from, at)));
        let pairs: Vec<(usize, usize)> = pairs.collect::<Result<_, _>>()?;
        loops::copy(x, output, pairs.into_iter());
        Ok(())
    }
}

/// The operation `scatter_nd`.
#[derive(Debug)]
pub struct ScatterNd {
    batch_dims: usize,
    reduction: Reducer,
}

attributes!(ScatterNd: batch_dims, reduction);

impl Op for ScatterNd {
    fn name(&self) -> &'static str {
        "scatter_nd"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [data, indices, updates] = infer::arity(inputs)?;
        indices::check(indices)?;
        scattering::check(data, updates, self.reduction)?;
        let tuples = Tuples::of(&data.shape, &indices.shape, self.batch_dims)?;
        let shape = tuples.picked(&indices.shape);
        if updates.shape != shape {
            return Err(format!(
                "the updates' shape {:?} must be {shape:?}",
                updates.shape
            ));
        }
        Ok(data.clone())
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let batch_dims = self.batch_dims;
        let indices = &call.inputs[1];
        scattering::gradient(
            call,
            self.reduction,
            |x| x.gather_nd(indices, batch_dims),
            |data, updates, reduction| {
                let op = ScatterNd {
                    batch_dims,
                    reduction,
                };
                Tensor::apply(op, &[data, indices, updates])
            },
        )
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let [data, indices, updates] = [inputs[0], inputs[1], inputs[2]];
        let tuples = Tuples::of(data.shape(), indices.shape(), self.batch_dims)?;
        let pairs = tuples.pairs(indices.slice::<i64>());
        scattering::scatter(data, updates, output, self.reduction, pairs)
    }
}

impl Tensor {
    /// The slices at tuples of indices (i64), which the last axis of `indices` holds: tuples of m indices pick along the m axes
    /// behind `batch_dims` leading ones, which both tensors share. Negative indices count from the back; one out of range is an
    /// error when the tensor is evaluated.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0]]);
    /// let y = x.gather_nd(&Tensor::from([[0, 1], [1, -2]]), 0);
    /// assert_eq!(y.to_vec::<f32>()?, [2.0, 3.0]);
    /// let rows = x.gather_nd(&Tensor::from([[1]]), 0);
    /// assert_eq!(rows.to_vec::<f32>()?, [3.0, 4.0]);
    /// let in_rows = x.gather_nd(&Tensor::from([[1], [0]]), 1);
    /// assert_eq!(in_rows.to_vec::<f32>()?, [2.0, 3.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn gather_nd(&self, indices: &Tensor, batch_dims: usize) -> Tensor {
        Tensor::apply(GatherNd { batch_dims }, &[self, indices])
    }

    /// This tensor with updates written at tuples of indices (i64), which the last axis of `indices` holds. An update takes the
    /// place of what is there, or is joined with it as `reduction` says; of several that take one place, the last is there in
    /// the end. The updates' shape is that of the indices without the tuples, and of a slice.
    ///
    /// ```
    /// # use zerokara_core::{Reducer, Tensor};
    /// let x = Tensor::from([1.0, 2.0, 3.0]);
    /// let (places, updates) = (Tensor::from([[2], [0], [2]]), Tensor::from([10.0, 20.0, 30.0]));
    /// assert_eq!(x.scatter_nd(&places, &updates, Reducer::None).to_vec::<f32>()?, [20.0, 2.0, 30.0]);
    /// assert_eq!(x.scatter_nd(&places, &updates, Reducer::Add).to_vec::<f32>()?, [21.0, 2.0, 43.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn scatter_nd(&self, indices: &Tensor, updates: &Tensor, reduction: Reducer) -> Tensor {
        let op = ScatterNd {
            batch_dims: 0,
            reduction,
        };
        Tensor::apply(op, &[self, indices, updates])
    }
}
