//! Running products along an axis, `y[i] = x[0] .. x[i]`, without `x[i]` itself where they are exclusive, and from the other end
//! where they are reversed. Integers wrap around.
//!
//! The gradient of `x[i]` is the product of those before it times `r[i]`, the sum over `j >= i` of `g[j]` times what lies between:
//! `r[i] = g[i] + x[i + 1] r[i + 1]`, a linear recurrence. Nothing is divided, so that it is right where elements are 0.

use super::{along::Along, cumsum::Walk, linear_recurrence::carried_back, prelude::*};
use loops::{Number, Real};

/// The operation.
#[derive(Debug)]
pub struct Cumprod {
    axis: i64,
    /// Whether an element is left out of its own product.
    exclusive: bool,
    /// Whether the products begin at the last element.
    reverse: bool,
}

attributes!(Cumprod: axis, exclusive, reverse);

impl Op for Cumprod {
    fn name(&self) -> &'static str {
        "cumprod"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        if x.dtype == DType::Bool {
            return Err("needs numbers, not truth values; cast them first".into());
        }
        shape::axis(self.axis, x.rank())?;
        Ok(x.clone())
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let axes = [self.axis];
        let turned = |t: &Tensor| match self.reverse {
            true => t.flip(&axes),
            false => t.clone(),
        };
        let (x, mut g) = (turned(&call.inputs[0]), turned(call.gradient));
        if self.exclusive {
            g = g.shifted_back(self.axis);
        }
        let before = x.cumprod_with(self.axis, true, false);
        Gradient::one(turned(&(before * carried_back(&x, &g, self.axis))))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let x = inputs[0];
        let axis = shape::axis(self.axis, x.shape().len())?;
        let walk = Walk {
            along: Along::axis(axis, x.shape()),
            exclusive: self.exclusive,
            reverse: self.reverse,
        };
        match x.dtype() {
            DType::I64 | DType::U8 => loops::integers!(x.dtype(), T => {
                walk.run(x.slice::<T>(), output.slice_mut::<T>(), 1, T::times, |product| product);
            }),
            dtype => loops::floats!(dtype, T => {
                let times = |product: f64, x: T| product * x.wide();
                walk.run(x.slice::<T>(), output.slice_mut::<T>(), 1.0, times, T::narrow);
            }),
        }
        Ok(())
    }
}

impl Tensor {
    /// Running products along an axis (negative: from the back): `y[i] = x[0] .. x[i]`, multiplied in double precision.
    /// Integers wrap around.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([2.0, 3.0, 4.0]);
    /// assert_eq!(x.cumprod(0).to_vec::<f32>()?, [2.0, 6.0, 24.0]);
    /// assert_eq!(x.cumprod_with(0, true, true).to_vec::<f32>()?, [12.0, 4.0, 1.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn cumprod(&self, axis: i64) -> Tensor {
        self.cumprod_with(axis, false, false)
    }

    /// [`Tensor::cumprod`], without the element itself if `exclusive`, and from the last element on if `reverse`.
    #[track_caller]
    pub fn cumprod_with(&self, axis: i64, exclusive: bool, reverse: bool) -> Tensor {
        let op = Cumprod {
            axis,
            exclusive,
            reverse,
        };
        Tensor::apply(op, &[self])
    }
}
