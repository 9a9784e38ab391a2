//! Index of the first largest or smallest element along an axis; NaN counts as largest and smallest.

use super::{along::Along, prelude::*};

/// The operations `argmax` and `argmin`.
#[derive(Debug)]
pub struct ArgReduce {
    min: bool,
    axis: i64,
}

attributes!(ArgReduce: axis; beside min: bool);

impl Op for ArgReduce {
    fn name(&self) -> &'static str {
        if self.min { "argmin" } else { "argmax" }
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        infer::float(x)?;
        let axis = shape::axis(self.axis, x.rank())?;
        let mut shape = x.shape.clone();
        if shape.remove(axis) == 0 {
            return Err("the axis is empty: there is no largest or smallest element".into());
        }
        Ok(Meta::new(shape, DType::I64))
    }

    fn kind(&self) -> Kind {
        Kind::ArgReduce {
            min: self.min,
            axis: self.axis,
        }
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let x = inputs[0];
        let axis = shape::axis(self.axis, x.shape().len())?;
        let along = Along::axis(axis, x.shape());
        loops::floats!(x.dtype(), T => {
            let x = x.slice::<T>();
            for (at, y) in output.slice_mut::<i64>().iter_mut().enumerate() {
                let [outer, _, inner] = along.with_length(1).index(at);
                let element = |i: usize| x[along.position([outer, i, inner])];
                let mut best = 0;
                for i in 1..along.length {
                    let (a, b) = (element(i), element(best));
                    if (if self.min { a < b } else { a > b }) || (a.is_nan() && !b.is_nan()) {
                        best = i;
                    }
                }
                *y = best as i64;
            }
        });
        Ok(())
    }
}

impl Tensor {
    /// Index of the first largest element along an axis (negative: from the back), which is removed.
    #[track_caller]
    pub fn argmax(&self, axis: i64) -> Tensor {
        Tensor::apply(ArgReduce { min: false, axis }, &[self])
    }

    /// Index of the first smallest element along an axis (negative: from the back), which is removed.
    #[track_caller]
    pub fn argmin(&self, axis: i64) -> Tensor {
        Tensor::apply(ArgReduce { min: true, axis }, &[self])
    }
}
