//! Order along an axis: `argsort`, the places of the elements in order, and `top_k`, the places of the first of them. Values are
//! gathered at the places, through which gradients flow.
//!
//! Equal elements keep their order, in both directions; 0 and -0 are equal, and NaN counts as largest, as in PyTorch.

use super::{along::Along, prelude::*};
use std::cmp::Ordering;

/// Elements in order.
trait Ordered: Copy {
    fn order(self, other: Self) -> Ordering;
}

macro_rules! ordered {
    (floats $($type:ty),*) => {$(
        impl Ordered for $type {
            fn order(self, other: Self) -> Ordering {
                let nan = self.is_nan().cmp(&other.is_nan());
                self.partial_cmp(&other).unwrap_or(nan)
            }
        }
    )*};
    (integers $($type:ty),*) => {$(
        impl Ordered for $type {
            fn order(self, other: Self) -> Ordering {
                self.cmp(&other)
            }
        }
    )*};
}
ordered!(floats f32, f64);
ordered!(integers i64, u8);

/// The places of the first `k` elements along an axis, for each line of it.
fn places(x: &Array, axis: usize, descending: bool, output: &mut Array) -> Result<(), String> {
    fn of_lines<T: Ordered>(x: &[T], from: Along, to: Along, descending: bool, y: &mut [i64]) {
        let mut line: Vec<usize> = Vec::with_capacity(from.length);
        for outer in 0..from.outer {
            for inner in 0..from.inner {
                let element = |i: usize| x[from.position([outer, i, inner])];
                let before = |&a: &usize, &b: &usize| {
                    let order = element(a).order(element(b));
                    let order = if descending { order.reverse() } else { order };
                    order.then(a.cmp(&b))
                };
                line.clear();
                line.extend(0..from.length);
                if to.length < from.length {
                    line.select_nth_unstable_by(to.length - 1, before);
                    line.truncate(to.length);
                }
                line.sort_unstable_by(before);
                for (i, &place) in line.iter().enumerate() {
                    y[to.position([outer, i, inner])] = place as i64;
                }
            }
        }
    }
    // However many lines there are, of none of them is there anything to say.
    if output.is_empty() {
        return Ok(());
    }
    let from = Along::axis(axis, x.shape());
    let to = Along::axis(axis, output.shape());
    let y = output.slice_mut::<i64>();
    loops::numbers!(x.dtype(), T => of_lines(x.slice::<T>(), from, to, descending, y));
    Ok(())
}

/// An error unless the tensor holds numbers.
fn numbers(x: &Meta) -> Result<(), String> {
    match x.dtype {
        DType::Bool => Err("needs numbers, not truth values; cast them first".into()),
        _ => Ok(()),
    }
}

/// The operation `argsort`.
#[derive(Debug)]
pub struct Argsort {
    axis: i64,
    descending: bool,
}

attributes!(Argsort: axis, descending);

impl Op for Argsort {
    fn name(&self) -> &'static str {
        "argsort"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        numbers(x)?;
        shape::axis(self.axis, x.rank())?;
        Ok(Meta::new(x.shape.clone(), DType::I64))
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let axis = shape::axis(self.axis, inputs[0].shape().len())?;
        places(inputs[0], axis, self.descending, output)
    }
}

/// The operation `top_k`.
#[derive(Debug)]
pub struct TopK {
    axis: i64,
    k: usize,
    largest: bool,
}

attributes!(TopK: axis, k, largest);

impl Op for TopK {
    fn name(&self) -> &'static str {
        "top_k"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        numbers(x)?;
        let axis = shape::axis(self.axis, x.rank())?;
        let mut shape = x.shape.clone();
        if self.k > shape[axis] {
            return Err(format!(
                "there are no {} elements along axis {axis} of length {}",
                self.k, shape[axis]
            ));
        }
        shape[axis] = self.k;
        Ok(Meta::new(shape, DType::I64))
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let axis = shape::axis(self.axis, inputs[0].shape().len())?;
        places(inputs[0], axis, self.largest, output)
    }
}

impl Tensor {
    /// The places (i64) of the elements in ascending or descending order along an axis (negative: from the back). Equal elements
    /// keep their order; NaN counts as largest.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([3.0, 1.0, 3.0, 2.0]);
    /// assert_eq!(x.argsort(0, false).to_vec::<i64>()?, [1, 3, 0, 2]);
    /// assert_eq!(x.argsort(0, true).to_vec::<i64>()?, [0, 2, 3, 1]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn argsort(&self, axis: i64, descending: bool) -> Tensor {
        Tensor::apply(Argsort { axis, descending }, &[self])
    }

    /// The elements in ascending or descending order along an axis (negative: from the back), and their places (i64), as
    /// [`Tensor::argsort`] gives them. The gradient goes back to the places.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let (values, places) = Tensor::from([3.0, 1.0, 2.0]).sort(-1, false);
    /// assert_eq!(values.to_vec::<f32>()?, [1.0, 2.0, 3.0]);
    /// assert_eq!(places.to_vec::<i64>()?, [1, 2, 0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn sort(&self, axis: i64, descending: bool) -> (Tensor, Tensor) {
        self.at_places(axis, self.argsort(axis, descending))
    }

    /// The `k` largest elements along an axis (negative: from the back), largest first, or the smallest, smallest first; and
    /// their places (i64). Of equal elements the first is taken; NaN counts as largest. The gradient goes back to the places.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, grad};
    /// let x = Tensor::from([[1.0, 4.0, 3.0], [2.0, 0.0, 2.0]]);
    /// let (values, places) = x.top_k(2, 1, true);
    /// assert_eq!(values.to_vec::<f32>()?, [4.0, 3.0, 2.0, 2.0]);
    /// assert_eq!(places.to_vec::<i64>()?, [1, 2, 0, 2]);
    /// assert_eq!(grad(&values.sum(), &x).to_vec::<f32>()?, [0.0, 1.0, 1.0, 1.0, 0.0, 1.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "topk")]
    #[track_caller]
    pub fn top_k(&self, k: usize, axis: i64, largest: bool) -> (Tensor, Tensor) {
        self.at_places(axis, Tensor::apply(TopK { axis, k, largest }, &[self]))
    }

    /// The elements at these places, and the places, which say it where something is wrong.
    #[track_caller]
    fn at_places(&self, axis: i64, places: Tensor) -> (Tensor, Tensor) {
        match places.meta() {
            Ok(_) => (self.gather(axis, &places), places),
            Err(_) => (places.clone(), places),
        }
    }
}
