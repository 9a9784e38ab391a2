//! Sums, means and extremes over axes.
//!
//! Sums of floats are added up in double precision, and rounded once. The mean of equal numbers is that number, to the bit.
//! Sums of integers, bytes too, wrap around; their mean is that of the exact sum, rounded towards 0. Of no elements the sum is
//! 0, the maximum the smallest number of the type (-inf), the minimum the largest; the mean of no floats is NaN, and that of
//! no integers an error.
//!
//! The gradient of a sum goes unchanged to every summand; that of a maximum or minimum goes to the elements that
//! attain it, shared evenly where several do.

use super::prelude::*;
use loops::{Number, Real};
use zerokara_kernels::plan::Reduction;

/// How one of these operations combines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Combine {
    /// `sum`
    Sum,
    /// `max`
    Max,
    /// `min`
    Min,
}

/// The axes over which is reduced, and what becomes of them.
#[derive(Clone, Debug)]
pub struct Over {
    /// Empty: all axes.
    axes: Vec<i64>,
    /// Whether they stay with length 1.
    keep: bool,
}

attributes!(group Over: axes, keep);

impl Over {
    /// These axes (none: all), which are removed or, with `keep`, stay with length 1.
    pub fn new(axes: &[i64], keep: bool) -> Self {
        Self {
            axes: axes.to_vec(),
            keep,
        }
    }

    /// As they were written.
    pub fn written(&self) -> &[i64] {
        &self.axes
    }

    /// Whether the axes stay with length 1.
    pub fn keeps(&self) -> bool {
        self.keep
    }

    /// In ascending order.
    pub fn axes(&self, rank: usize) -> Result<Vec<usize>, String> {
        reduced_axes(&self.axes, rank)
    }

    /// The number of elements that become one.
    pub fn count(&self, shape: &[usize]) -> Result<usize, String> {
        Ok(self.axes(shape.len())?.iter().map(|&a| shape[a]).product())
    }

    /// What a reduction of floating-point numbers gives.
    pub fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        infer::float(x)?;
        self.infer_numbers(inputs)
    }

    /// What a reduction of floating-point numbers or integers gives.
    pub fn infer_numbers(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        if x.dtype == DType::Bool {
            return Err("needs numbers, not truth values; cast them first".into());
        }
        let shape = reduced_shape(&x.shape, &self.axes(x.rank())?, self.keep);
        Ok(Meta::new(shape, x.dtype))
    }

    /// A reduction that keeps its axes is the one without, seen in the other shape, so that the two are computed once.
    pub fn kind(&self, reduction: Reduction) -> Kind {
        match self.keep {
            true => Kind::Composite,
            false => Kind::Reduce {
                reduction,
                axes: self.axes.clone(),
            },
        }
    }

    /// This result of a reduction of `x`, or a tensor like it, spread over what was reduced.
    pub fn spread(&self, result: &Tensor, x: &Tensor) -> Tensor {
        result.keep_axes(x, &self.axes).broadcast_like(x)
    }
}

/// The operations `sum`, `max` and `min`.
#[derive(Debug)]
pub struct Reduce {
    combine: Combine,
    over: Over,
}

attributes!(Reduce: over; beside combine: Combine);

impl Reduce {
    /// The sum over these axes, which are removed.
    pub(crate) fn sum_over(axes: &[i64]) -> Self {
        Self {
            combine: Combine::Sum,
            over: Over::new(axes, false),
        }
    }

    /// The reduction of integers, of which these are the smallest and the largest.
    fn of_integers<T: Number + Ord>(
        &self,
        x: &Array,
        output: &mut Array,
        [least, most]: [T; 2],
        axes: &[usize],
    ) -> Result<(), String> {
        let y = output.slice_mut::<T>();
        let (start, combine): (_, fn(T, T) -> T) = match self.combine {
            Combine::Sum => (None, T::plus),
            Combine::Max => (Some(least), T::max),
            Combine::Min => (Some(most), T::min),
        };
        if let Some(start) = start {
            y.fill(start);
        }
        for (to, &x) in reduced_positions(x.shape(), axes).zip(x.slice::<T>()) {
            y[to] = combine(y[to], x);
        }
        Ok(())
    }
}

/// The axes meant by a list, in ascending order, where an empty list means all.
pub fn reduced_axes(list: &[i64], rank: usize) -> Result<Vec<usize>, String> {
    if list.is_empty() {
        return Ok((0..rank).collect());
    }
    let mut axes = shape::axes(list, rank)?;
    axes.sort_unstable();
    Ok(axes)
}

/// The shape that remains when axes are reduced, each removed or kept with length 1.
pub fn reduced_shape(shape: &[usize], axes: &[usize], keep: bool) -> Vec<usize> {
    (0..shape.len())
        .filter_map(|axis| match (axes.contains(&axis), keep) {
            (false, _) => Some(shape[axis]),
            (true, true) => Some(1),
            (true, false) => None,
        })
        .collect()
}

/// For each element of an array of this shape, the position of its result when `axes` are reduced.
pub fn reduced_positions(shape: &[usize], axes: &[usize]) -> impl Iterator<Item = usize> + use<> {
    let own = shape::row_major(&reduced_shape(shape, axes, true));
    // How far a step along each axis moves the result.
    let steps: Vec<usize> = (0..shape.len())
        .map(|axis| match axes.contains(&axis) {
            true => 0,
            false => own[axis] as usize,
        })
        .collect();
    let shape = shape.to_vec();
    let mut index = vec![0; shape.len()];
    let mut position = 0;
    (0..shape.iter().product()).map(move |n: usize| {
        if n > 0 {
            for axis in (0..shape.len()).rev() {
                index[axis] += 1;
                position += steps[axis];
                if index[axis] < shape[axis] {
                    break;
                }
                index[axis] = 0;
                position -= steps[axis] * shape[axis];
            }
        }
        position
    })
}

/// The sum of each group of elements that `axes` leave as one of `results`.
pub fn sums_over(x: &Array, axes: &[usize], results: usize) -> Result<Vec<loops::Sum>, String> {
    let mut sums = vec![loops::Sum::default(); results];
    loops::floats!(x.dtype(), T => {
        for (to, &x) in reduced_positions(x.shape(), axes).zip(x.slice::<T>()) {
            sums[to].add(x.wide());
        }
    });
    Ok(sums)
}

impl Op for Reduce {
    fn name(&self) -> &'static str {
        match self.combine {
            Combine::Sum => "sum",
            Combine::Max => "max",
            Combine::Min => "min",
        }
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        self.over.infer_numbers(inputs)
    }

    fn kind(&self) -> Kind {
        self.over.kind(match self.combine {
            Combine::Sum => Reduction::Sum,
            Combine::Max => Reduction::Max,
            Combine::Min => Reduction::Min,
        })
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let x = &call.inputs[0];
        let spread = |result: &Tensor| self.over.spread(result, x);
        if self.combine == Combine::Sum {
            return Gradient::one(spread(call.gradient));
        }
        let attains = x
            .equal(&spread(call.output))
            .cast(x.dtype().unwrap_or(DType::F32));
        let shares = attains.sum_axes(self.over.written(), true);
        Gradient::one(spread(call.gradient) * (&attains / shares.broadcast_like(x)))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let x = inputs[0];
        let axes = self.over.axes(x.shape().len())?;
        match x.dtype() {
            DType::I64 => return self.of_integers::<i64>(x, output, [i64::MIN, i64::MAX], &axes),
            DType::U8 => return self.of_integers::<u8>(x, output, [u8::MIN, u8::MAX], &axes),
            _ => {}
        }
        loops::floats!(x.dtype(), T => {
            let y = output.slice_mut::<T>();
            if self.combine == Combine::Sum {
                let sums = sums_over(x, &axes, y.len())?;
                for (y, sum) in y.iter_mut().zip(sums) {
                    *y = T::narrow(sum.value());
                }
                return Ok(());
            }
            let (start, better): (T, fn(T, T) -> T) = match self.combine {
                Combine::Max => (T::NEG_INFINITY, loops::maximum),
                _ => (T::INFINITY, loops::minimum),
            };
            y.fill(start);
            for (to, &x) in reduced_positions(x.shape(), &axes).zip(x.slice::<T>()) {
                y[to] = better(y[to], x);
            }
        });
        Ok(())
    }

    /// With `keep`: the reduction without, seen in the other shape, so that the two are computed once.
    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let (x, axes) = (&inputs[0], self.over.written());
        let without = Reduce {
            combine: self.combine,
            over: Over::new(axes, false),
        };
        Some(Tensor::apply(without, &[x]).keep_axes(x, axes))
    }
}

macro_rules! reductions {
    ($reduction:ident, $all:ident, $some:ident, $what:literal) => {
        impl Tensor {
            #[doc = concat!($what, " of all elements, a scalar.")]
            #[track_caller]
            pub fn $all(&self) -> Tensor {
                self.$some(&[], false)
            }

            #[doc = concat!($what, " over these axes (negative: from the back; none: all), which are removed or, with `keep`, stay with length 1. Integers stay integers.")]
            #[track_caller]
            pub fn $some(&self, axes: &[i64], keep: bool) -> Tensor {
                Tensor::apply(Reduce { combine: Combine::$reduction, over: Over::new(axes, keep) }, &[self])
            }
        }
    };
}
reductions!(Max, max, max_axes, "Maximum");
reductions!(Min, min, min_axes, "Minimum");

impl Tensor {
    /// Sum of all elements, a scalar.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let pixels = Tensor::new([3], [200u8, 100, 1]);
    /// assert_eq!(pixels.sum().to_vec::<i64>()?, [301]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn sum(&self) -> Tensor {
        self.sum_axes(&[], false)
    }

    /// Sum over these axes (negative: from the back; none: all), which are removed or, with `keep`, stay with length 1.
    /// Integers wrap around; of bytes, whose sums are soon larger than a byte, the sum is i64.
    #[track_caller]
    pub fn sum_axes(&self, axes: &[i64], keep: bool) -> Tensor {
        let op = Reduce {
            combine: Combine::Sum,
            over: Over::new(axes, keep),
        };
        Tensor::apply(op, &[&self.without_bytes()])
    }

    /// Bytes as i64, all else as it is.
    #[track_caller]
    pub(crate) fn without_bytes(&self) -> Tensor {
        match self.dtype() {
            Ok(DType::U8) => self.cast(DType::I64),
            _ => self.clone(),
        }
    }

    /// This result of a reduction of `x` over `axes`, with the removed axes put back with length 1.
    #[track_caller]
    pub(crate) fn keep_axes(&self, x: &Tensor, axes: &[i64]) -> Tensor {
        let Ok(shape) = x.shape() else {
            return self.clone();
        };
        let Ok(axes) = reduced_axes(axes, shape.len()) else {
            return self.clone();
        };
        let lengths: Vec<i64> = reduced_shape(shape, &axes, true)
            .iter()
            .map(|&n| n as i64)
            .collect();
        self.reshape_exactly(&lengths)
    }

    /// Mean of all elements, a scalar.
    #[track_caller]
    pub fn mean(&self) -> Tensor {
        self.mean_axes(&[], false)
    }

    /// Mean over these axes (negative: from the back; none: all), which are removed or, with `keep`, stay with
    /// length 1.
    #[track_caller]
    pub fn mean_axes(&self, axes: &[i64], keep: bool) -> Tensor {
        let over = Over::new(axes, keep);
        Tensor::apply(Mean { over }, &[self])
    }
}

/// The operation `mean`: `sum / n`, n the number of elements summed.
#[derive(Debug)]
pub struct Mean {
    over: Over,
}

attributes!(Mean: over);

impl Op for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let meta = self.over.infer_numbers(inputs)?;
        if !meta.is_float() && self.over.count(&inputs[0].shape)? == 0 {
            return Err("no integers have no mean".into());
        }
        Ok(meta)
    }

    fn kind(&self) -> Kind {
        self.over.kind(Reduction::Mean)
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let (x, g) = (&call.inputs[0], call.gradient);
        let Some(count) = x.shape().ok().and_then(|shape| self.over.count(shape).ok()) else {
            return Gradient::Zero;
        };
        let share = g / g.full_like(count as f64);
        Gradient::one(self.over.spread(&share, x))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let x = inputs[0];
        let axes = self.over.axes(x.shape().len())?;
        let count = self.over.count(x.shape())?;
        if matches!(x.dtype(), DType::I64 | DType::U8) {
            let mut sums = vec![0i128; output.len()];
            loops::integers!(x.dtype(), T => {
                for (to, &x) in reduced_positions(x.shape(), &axes).zip(x.slice::<T>()) {
                    sums[to] += i128::from(x);
                }
                for (y, sum) in output.slice_mut::<T>().iter_mut().zip(sums) {
                    *y = (sum / count.max(1) as i128) as T;
                }
            });
            return Ok(());
        }
        let sums = sums_over(x, &axes, output.len())?;
        loops::floats!(x.dtype(), T => {
            for (y, sum) in output.slice_mut::<T>().iter_mut().zip(sums) {
                *y = T::narrow(sum.mean(count));
            }
        });
        Ok(())
    }

    /// With `keep`: the mean without, seen in the other shape, so that the two are computed once.
    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let (x, axes) = (&inputs[0], self.over.written());
        Some(x.mean_axes(axes, false).keep_axes(x, axes))
    }
}
