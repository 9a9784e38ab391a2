//! A linear recurrence along an axis, `y[t] = a[t] y[t - 1] + b[t]` with `y[0] = b[0]`: exponential averages, and what state
//! space models are made of.
//!
//! With `g` the output's gradient, `db` is the recurrence from the other end, `r[t] = g[t] + a[t + 1] r[t + 1]`, and
//! `da[t] = r[t] y[t - 1]`, which is 0 for the first.

use super::{along::Along, indices, prelude::*};
use loops::Real;

/// The operation, on factors and summands of one shape.
#[derive(Debug)]
pub struct LinearRecurrence {
    axis: i64,
}

attributes!(LinearRecurrence: axis);

impl Op for LinearRecurrence {
    fn name(&self) -> &'static str {
        "linear_recurrence"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let meta = infer::float_binary(inputs)?;
        shape::axis(self.axis, meta.rank())?;
        Ok(meta)
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let back = carried_back(&call.inputs[0], call.gradient, self.axis);
        let before = call.output.shifted(self.axis);
        Gradient::two(&back * before, back)
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let axis = shape::axis(self.axis, output.shape().len())?;
        if output.is_empty() {
            return Ok(());
        }
        let along = Along::axis(axis, output.shape());
        loops::floats!(output.dtype(), T => {
            let (a, b, y) = (inputs[0].slice::<T>(), inputs[1].slice::<T>(), output.slice_mut::<T>());
            for outer in 0..along.outer {
                for inner in 0..along.inner {
                    let mut state = 0.0;
                    for t in 0..along.length {
                        let at = along.position([outer, t, inner]);
                        state = match t {
                            0 => b[at].wide(),
                            _ => a[at].wide() * state + b[at].wide(),
                        };
                        y[at] = T::narrow(state);
                    }
                }
            }
        });
        Ok(())
    }
}

/// `r[t] = g[t] + a[t + 1] r[t + 1]`, from the last element on.
pub(super) fn carried_back(a: &Tensor, g: &Tensor, axis: i64) -> Tensor {
    let axes = [axis];
    let factors = a.shifted_back(axis).flip(&axes);
    factors.linear_recurrence(&g.flip(&axes), axis).flip(&axes)
}

impl Tensor {
    /// The linear recurrence `y[t] = a[t] y[t - 1] + b[t]` with `y[0] = b[0]` along an axis (negative: from the back), where this
    /// tensor holds the factors a; the first factor is not used.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let (a, b) = (Tensor::from([0.5, 0.5, 0.5]), Tensor::from([4.0, 0.0, 1.0]));
    /// assert_eq!(a.linear_recurrence(&b, 0).to_vec::<f32>()?, [4.0, 2.0, 2.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("scan", "exponential_moving_average"))]
    #[track_caller]
    pub fn linear_recurrence(&self, summands: &Tensor, axis: i64) -> Tensor {
        Tensor::apply(LinearRecurrence { axis }, &[self, summands])
    }

    /// `y[t] = x[t - 1]` along an axis, and 0 first.
    #[track_caller]
    pub(super) fn shifted(&self, axis: i64) -> Tensor {
        self.moved(axis, true)
    }

    /// `y[t] = x[t + 1]` along an axis, and 0 last.
    #[track_caller]
    pub(super) fn shifted_back(&self, axis: i64) -> Tensor {
        self.moved(axis, false)
    }

    #[track_caller]
    fn moved(&self, axis: i64, forward: bool) -> Tensor {
        let rank = self.shape().map_or(0, <[usize]>::len);
        let at = indices::axis_of(self, axis);
        let length = indices::axis_length(self, at);
        if length == 0 {
            return self.clone();
        }
        let part = self.narrow(axis, usize::from(!forward), length - 1);
        let mut around = [vec![0; rank], vec![0; rank]];
        around[usize::from(!forward)][at] = 1;
        let [before, after] = around;
        part.pad(&before, &after, 0.0)
    }
}
