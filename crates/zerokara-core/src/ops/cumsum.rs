//! Running sums along an axis: `y[i] = x[0] + .. + x[i]`; the gradient is the running sum from the other end.

use super::prelude::*;

/// The operation.
#[derive(Debug)]
pub struct Cumsum {
    axis: i64,
}

impl Cumsum {
    /// From its attributes.
    pub fn from_attributes(attributes: &Attributes) -> Result<Self, String> {
        Ok(Self {
            axis: attributes.int("axis")?,
        })
    }
}

impl Op for Cumsum {
    fn name(&self) -> &'static str {
        "cumsum"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none().with("axis", self.axis)
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let meta = infer::float_unary(inputs)?;
        shape::axis(self.axis, meta.rank())?;
        Ok(meta)
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let axes = [self.axis];
        Gradient::one(call.gradient.flip(&axes).cumsum(self.axis).flip(&axes))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let shape = inputs[0].shape();
        let axis = shape::axis(self.axis, shape.len())?;
        let inner: usize = shape[axis + 1..].iter().product();
        let length = shape[axis];
        loops::floats!(inputs[0].dtype(), T => {
            let y = output.slice_mut::<T>();
            for (i, &x) in inputs[0].slice::<T>().iter().enumerate() {
                y[i] = if (i / inner).is_multiple_of(length) { x } else { y[i - inner] + x };
            }
        });
        Ok(())
    }
}

impl Tensor {
    /// Running sums along an axis (negative: from the back): `y[i] = x[0] + .. + x[i]`.
    #[track_caller]
    pub fn cumsum(&self, axis: i64) -> Tensor {
        Tensor::apply(Cumsum { axis }, &[self])
    }
}
