//! Index of the largest or smallest element along an axis, the first or the last of equal ones; NaN counts as largest and
//! smallest.

use super::{along::Along, prelude::*};

/// The operations `argmax` and `argmin`.
#[derive(Debug)]
pub struct ArgReduce {
    min: bool,
    axis: i64,
    /// Whether the axis stays with length 1.
    keep: bool,
    /// The last of equal elements, not the first.
    last: bool,
}

attributes!(ArgReduce: axis, keep, last; beside min: bool);

impl ArgReduce {
    /// The first largest element along an axis, which is removed.
    pub(super) fn largest(axis: i64) -> Self {
        Self {
            min: false,
            axis,
            keep: false,
            last: false,
        }
    }
}

/// The place of the element that is best, the first or the last of equal ones.
fn best_of<T: Copy>(
    elements: impl Iterator<Item = T>,
    last: bool,
    is_better: impl Fn(T, T) -> bool,
) -> i64 {
    let mut best: Option<(i64, T)> = None;
    for (at, element) in (0..).zip(elements) {
        let taken = match best {
            Some((_, other)) if last => !is_better(other, element),
            Some((_, other)) => is_better(element, other),
            None => true,
        };
        if taken {
            best = Some((at, element));
        }
    }
    best.map_or(0, |(at, _)| at)
}

impl Op for ArgReduce {
    fn name(&self) -> &'static str {
        if self.min { "argmin" } else { "argmax" }
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        if x.dtype == DType::Bool {
            return Err("needs numbers, not truth values; cast them first".into());
        }
        let axis = shape::axis(self.axis, x.rank())?;
        let mut shape = x.shape.clone();
        if shape.remove(axis) == 0 {
            return Err("the axis is empty: there is no largest or smallest element".into());
        }
        if self.keep {
            shape.insert(axis, 1);
        }
        Ok(Meta::new(shape, DType::I64))
    }

    fn kind(&self) -> Kind {
        match self.keep || self.last {
            true => Kind::Composite,
            false => Kind::ArgReduce {
                min: self.min,
                axis: self.axis,
            },
        }
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let x = inputs[0];
        let axis = shape::axis(self.axis, x.shape().len())?;
        let along = Along::axis(axis, x.shape());
        let (min, last) = (self.min, self.last);
        let places = output.slice_mut::<i64>().iter_mut().enumerate();
        macro_rules! each {
            ($T:ty, $is_better:expr) => {{
                let x = x.slice::<$T>();
                for (at, y) in places {
                    let [outer, _, inner] = along.with_length(1).index(at);
                    let elements = (0..along.length).map(|i| x[along.position([outer, i, inner])]);
                    *y = best_of(elements, last, $is_better);
                }
            }};
        }
        match x.dtype() {
            DType::I64 | DType::U8 => loops::integers!(x.dtype(), T => {
                each!(T, |a: T, b: T| if min { a < b } else { a > b })
            }),
            dtype => loops::floats!(dtype, T => {
                each!(T, |a: T, b: T| (if min { a < b } else { a > b }) || (a.is_nan() && !b.is_nan()))
            }),
        }
        Ok(())
    }

    /// The last is the first from the other end.
    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let x = &inputs[0];
        let shape = x.shape().ok()?;
        let length = shape[shape::axis(self.axis, shape.len()).ok()?];
        let first = ArgReduce {
            keep: false,
            last: false,
            ..*self
        };
        let at = match self.last {
            true => {
                let at = Tensor::apply(first, &[&x.flip(&[self.axis])]);
                at.full_like(length as f64 - 1.0) - at
            }
            false => Tensor::apply(first, &[x]),
        };
        Some(match self.keep {
            true => at.keep_axes(x, &[self.axis]),
            false => at,
        })
    }
}

impl Tensor {
    /// Index of the first largest element along an axis (negative: from the back), which is removed.
    #[track_caller]
    pub fn argmax(&self, axis: i64) -> Tensor {
        self.argmax_with(axis, false, false)
    }

    /// Index of the largest element along an axis (negative: from the back), which is removed or, with `keep`, stays with length
    /// 1; of equal ones the first or, with `last`, the last.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[1, 3, 3], [2, 2, 0]]);
    /// assert_eq!(x.argmax(1).to_vec::<i64>()?, [1, 0]);
    /// assert_eq!(x.argmax_with(1, false, true).to_vec::<i64>()?, [2, 1]);
    /// assert_eq!(x.argmin_with(1, true, false).shape()?, [2, 1]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn argmax_with(&self, axis: i64, keep: bool, last: bool) -> Tensor {
        let op = ArgReduce {
            min: false,
            axis,
            keep,
            last,
        };
        Tensor::apply(op, &[self])
    }

    /// Index of the first smallest element along an axis (negative: from the back), which is removed.
    #[track_caller]
    pub fn argmin(&self, axis: i64) -> Tensor {
        self.argmin_with(axis, false, false)
    }

    /// As [`Tensor::argmax_with`], of the smallest element.
    #[track_caller]
    pub fn argmin_with(&self, axis: i64, keep: bool, last: bool) -> Tensor {
        let op = ArgReduce {
            min: true,
            axis,
            keep,
            last,
        };
        Tensor::apply(op, &[self])
    }
}
