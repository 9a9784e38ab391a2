//! Running sums along an axis: `y[i] = x[0] + .. + x[i]`; the gradient is the running sum from the other end.

use super::{along::Along, prelude::*};
use loops::Real;

/// The operation.
#[derive(Debug)]
pub struct Cumsum {
    axis: i64,
}

attributes!(Cumsum: axis);

impl Op for Cumsum {
    fn name(&self) -> &'static str {
        "cumsum"
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
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let axes = [self.axis];
        Gradient::one(call.gradient.flip(&axes).cumsum(self.axis).flip(&axes))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let shape = inputs[0].shape();
        let axis = shape::axis(self.axis, shape.len())?;
        let Along { length, inner, .. } = Along::axis(axis, shape);
        let whole = length * inner;
        if whole == 0 {
            return Ok(());
        }
        let mut sums = vec![loops::Sum::default(); inner];
        loops::floats!(inputs[0].dtype(), T => {
            let (x, y) = (inputs[0].slice::<T>(), output.slice_mut::<T>());
            for (x, y) in x.chunks(whole).zip(y.chunks_mut(whole)) {
                sums.fill(loops::Sum::default());
                for (x, y) in x.chunks(inner).zip(y.chunks_mut(inner)) {
                    for ((sum, &x), y) in sums.iter_mut().zip(x).zip(y) {
                        sum.add(x.wide());
                        *y = T::narrow(sum.value());
                    }
                }
            }
        });
        Ok(())
    }
}

impl Tensor {
    /// Running sums along an axis (negative: from the back): `y[i] = x[0] + .. + x[i]`, each rounded once, however many
    /// there are before.
    #[track_caller]
    pub fn cumsum(&self, axis: i64) -> Tensor {
        Tensor::apply(Cumsum { axis }, &[self])
    }
}
