//! 1 at the first largest element along an axis, 0 elsewhere; NaN counts as largest. No gradient flows.

use super::{along::Along, argmax::ArgReduce, prelude::*};

/// The operation.
#[derive(Debug)]
pub struct Hardmax {
    axis: i64,
}

attributes!(Hardmax: axis);

impl Op for Hardmax {
    fn name(&self) -> &'static str {
        "hardmax"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let meta = infer::float_unary(inputs)?;
        shape::axis(self.axis, meta.rank())?;
        Ok(meta)
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let x = inputs[0];
        let axis = shape::axis(self.axis, x.shape().len())?;
        let mut shape = x.shape().to_vec();
        if x.is_empty() {
            return Ok(());
        }
        shape.remove(axis);
        let mut places = Array::zeros(&Meta::new(shape, DType::I64));
        ArgReduce::largest(self.axis).reference(inputs, &mut places)?;
        let along = Along::axis(axis, x.shape());
        loops::floats!(x.dtype(), T => {
            let y = output.slice_mut::<T>();
            for (at, &place) in places.slice::<i64>().iter().enumerate() {
                let [outer, _, inner] = along.with_length(1).index(at);
                y[along.position([outer, place as usize, inner])] = 1.0;
            }
        });
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let x = &inputs[0];
        let meta = x.meta().ok()?;
        if meta.is_empty() {
            return Some(x.zeros_like());
        }
        let axis = shape::axis(self.axis, meta.rank()).ok()?;
        let mut lengths = vec![1; meta.rank()];
        lengths[axis] = meta.shape[axis] as i64;
        let all = Tensor::arange(0, lengths[axis], 1).reshape_exactly(&lengths);
        let largest = x.argmax_with(self.axis, true, false);
        Some(largest.equal(&all).cast(meta.dtype))
    }
}

impl Tensor {
    /// 1 at the first largest element along an axis (negative: from the back), 0 elsewhere.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[1.0, 3.0, 3.0], [2.0, 0.0, 1.0]]);
    /// assert_eq!(x.hardmax(-1).to_vec::<f32>()?, [0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn hardmax(&self, axis: i64) -> Tensor {
        Tensor::apply(Hardmax { axis }, &[self])
    }
}
