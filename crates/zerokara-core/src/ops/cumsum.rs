//! Running sums along an axis: `y[i] = x[0] + .. + x[i]`, without `x[i]` itself where they are exclusive, and from the other end
//! where they are reversed; the gradient is the running sum from the opposite end. Integers wrap around.

use super::{along::Along, prelude::*};
use loops::{Number, Real};

/// The operation.
#[derive(Debug)]
pub struct Cumsum {
    axis: i64,
    /// Whether an element is left out of its own sum.
    exclusive: bool,
    /// Whether the sums begin at the last element.
    reverse: bool,
}

attributes!(Cumsum: axis, exclusive, reverse);

impl Op for Cumsum {
    fn name(&self) -> &'static str {
        "cumsum"
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
        let g = call.gradient;
        Gradient::one(g.cumsum_with(self.axis, self.exclusive, !self.reverse))
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
                walk.run(x.slice::<T>(), output.slice_mut::<T>(), 0, T::plus, |sum| sum);
            }),
            dtype => loops::floats!(dtype, T => {
                let add = |mut sum: loops::Sum, x: T| {
                    sum.add(x.wide());
                    sum
                };
                let read = |sum: loops::Sum| T::narrow(sum.value());
                walk.run(x.slice::<T>(), output.slice_mut::<T>(), loops::Sum::default(), add, read);
            }),
        }
        Ok(())
    }
}

/// A running combination along an axis.
#[derive(Clone, Copy)]
pub(super) struct Walk {
    pub along: Along,
    pub exclusive: bool,
    pub reverse: bool,
}

impl Walk {
    /// `y[i]` is what is read of the elements so far.
    pub fn run<T: Copy, S: Copy>(
        self,
        x: &[T],
        y: &mut [T],
        start: S,
        add: impl Fn(S, T) -> S,
        read: impl Fn(S) -> T,
    ) {
        let Along {
            outer,
            length,
            inner,
        } = self.along;
        if x.is_empty() {
            return;
        }
        let mut states = vec![start; inner];
        for outer in 0..outer {
            states.fill(start);
            for i in 0..length {
                let i = if self.reverse { length - 1 - i } else { i };
                for (inner, state) in states.iter_mut().enumerate() {
                    let at = self.along.position([outer, i, inner]);
                    let next = add(*state, x[at]);
                    y[at] = read(if self.exclusive { *state } else { next });
                    *state = next;
                }
            }
        }
    }
}

impl Tensor {
    /// Running sums along an axis (negative: from the back): `y[i] = x[0] + .. + x[i]`, each rounded once, however many
    /// there are before. Integers wrap around.
    #[track_caller]
    pub fn cumsum(&self, axis: i64) -> Tensor {
        self.cumsum_with(axis, false, false)
    }

    /// [`Tensor::cumsum`], without the element itself if `exclusive`, and from the last element on if `reverse`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([1, 2, 3]);
    /// assert_eq!(x.cumsum_with(0, true, false).to_vec::<i64>()?, [0, 1, 3]);
    /// assert_eq!(x.cumsum_with(0, false, true).to_vec::<i64>()?, [6, 5, 3]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn cumsum_with(&self, axis: i64, exclusive: bool, reverse: bool) -> Tensor {
        let op = Cumsum {
            axis,
            exclusive,
            reverse,
        };
        Tensor::apply(op, &[self])
    }
}
