//! Where a pooling found the largest elements, and how they are put back there (ONNX `MaxPool`'s second output, and `MaxUnpool`):
//!
//! ```text
//! max_pool_indices   i[n, c, y] = the place of the first largest x[n, c, y s + k d - p] over k, counted through all of x
//! max_unpool         y[i[j]] = x[j], and 0 elsewhere
//! ```
//!
//! The gradient of putting back picks at the same places. Where several are put in one place the last one stays; overlapping windows
//! that share their largest element all have its value.

use super::{max_pool2d::first_largest, prelude::*};
use crate::op::WindowOptions;

/// The operation `max_pool_indices`.
#[derive(Debug)]
pub struct MaxPoolIndices {
    options: WindowOptions,
    /// Whether places in an image are counted down its columns instead of along its rows.
    column_major: bool,
}

attributes!(MaxPoolIndices: options, column_major);

/// The place within an image that is counted along rows, counted down columns: the first axis varies fastest.
fn down_columns(place: usize, lengths: &[usize]) -> usize {
    let mut rest = place;
    let index: Vec<usize> = (lengths.iter().rev())
        .map(|&length| {
            let at = rest % length;
            rest /= length;
            at
        })
        .collect();
    // The index of the last axis stands first.
    (index.iter().zip(lengths.iter().rev())).fold(0, |sum, (at, length)| sum * length + at)
}

impl Op for MaxPoolIndices {
    fn name(&self) -> &'static str {
        "max_pool_indices"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let pooled = self.options.infer(inputs)?;
        Ok(Meta::new(pooled.shape, DType::I64))
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let lengths = &inputs[0].shape()[2..];
        let plane: usize = lengths.iter().product();
        loops::floats!(inputs[0].dtype(), T => {
            let (x, y) = (inputs[0].slice::<T>(), output.slice_mut::<i64>());
            self.options.walk(inputs[0].shape(), |at, _, _, met| {
                let best = first_largest(x, met);
                let place = match self.column_major {
                    true => best / plane * plane + down_columns(best % plane, lengths),
                    false => best,
                };
                y[at] = place as i64;
            })
        })
    }
}

/// The operation `max_unpool`, of `x [N, C, ..]` and places of the same shape.
#[derive(Debug)]
pub struct MaxUnpool {
    /// The lengths of the output behind batch and channels.
    size: Vec<usize>,
}

attributes!(MaxUnpool: size);

impl Op for MaxUnpool {
    fn name(&self) -> &'static str {
        "max_unpool"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x, places] = infer::arity(inputs)?;
        infer::float(x)?;
        super::indices::check(places)?;
        if x.shape != places.shape {
            return Err(format!(
                "needs a place for each element of {:?}, not {:?}",
                x.shape, places.shape
            ));
        }
        if x.rank() != self.size.len() + 2 {
            return Err(format!(
                "an input [N, C, ..] of {} axes is put into {} lengths, not {:?}",
                x.rank(),
                x.rank().saturating_sub(2),
                self.size
            ));
        }
        Ok(Meta::new([&x.shape[..2], &self.size].concat(), x.dtype))
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let [_, places] = call.inputs else {
            return Gradient::Forbidden("max_unpool takes two inputs");
        };
        let (Ok(meta), Ok(given)) = (call.gradient.meta(), places.shape()) else {
            return Gradient::Zero;
        };
        let all = call.gradient.reshape_exactly(&[meta.len() as i64]);
        let lengths: Vec<i64> = given.iter().map(|&n| n as i64).collect();
        let count: i64 = lengths.iter().product();
        let picked = all.index_select(0, &places.reshape_exactly(&[count]));
        Gradient::Of(vec![Some(picked.reshape_exactly(&lengths)), None])
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let length = output.len();
        let places = inputs[1].slice::<i64>().iter().enumerate();
        let pairs = places.map(|(from, &to)| Ok((from, super::indices::within(to, length)?)));
        let pairs = pairs.collect::<Result<Vec<(usize, usize)>, String>>()?;
        loops::copy(inputs[0], output, pairs.into_iter());
        Ok(())
    }
}

impl Tensor {
    /// For each window of [`Tensor::max_pool`] the place of its first largest element, i64, counted through all of `[N, C, ..]` row by row;
    /// with `column_major` (`storage_order` of ONNX), places within an image are counted down its columns.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, op::WindowOptions};
    /// let x = Tensor::from([[[1.0, 4.0, 3.0, 2.0]]]);
    /// let places = x.max_pool_indices(WindowOptions::new([2]), false);
    /// assert_eq!(places.to_vec::<i64>()?, [1, 2]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn max_pool_indices(&self, options: WindowOptions, column_major: bool) -> Tensor {
        let op = MaxPoolIndices {
            options,
            column_major,
        };
        Tensor::apply(op, &[self])
    }

    /// The elements put at places of a tensor of zeros `[N, C, size..]`, as [`Tensor::max_pool_indices`] counts them row by row. A place out
    /// of range is an error when the tensor is evaluated.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[[4.0, 3.0]]]);
    /// let y = x.max_unpool(&Tensor::from([[[1, 2]]]), [4]);
    /// assert_eq!(y.to_vec::<f32>()?, [0.0, 4.0, 3.0, 0.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "MaxUnpool")]
    #[track_caller]
    pub fn max_unpool(&self, places: &Tensor, size: impl Into<Vec<usize>>) -> Tensor {
        let size = size.into();
        Tensor::apply(MaxUnpool { size }, &[self, places])
    }
}
