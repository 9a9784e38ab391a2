//! Operations whose shape hangs on values: `compress`, `non_zero`, `unique`.
//!
//! As of [`Tensor::masked_select`], what decides is evaluated at the call, and what is built then are operations on fixed places,
//! through which gradients flow.

use super::prelude::*;
use std::{cmp::Ordering, collections::HashMap};

/// The different values of a tensor, as [`Tensor::unique`] finds them.
#[derive(Clone, Debug)]
pub struct Unique {
    /// The different values, or slices. The gradient goes back to where each appears first.
    pub values: Tensor,
    /// Where each appears first, i64 `[n]`.
    pub first: Tensor,
    /// For each element, or slice, which of the values it is, i64.
    pub inverse: Tensor,
    /// How often each appears, i64 `[n]`.
    pub counts: Tensor,
}

impl Tensor {
    /// The slices along an axis (negative: from the back) where the condition holds; without an axis, the elements, row by row.
    /// The condition, `[n]`, holds truth values; where it is shorter than the axis, it does not hold of the rest.
    ///
    /// The condition is evaluated at this call, as the mask of [`Tensor::masked_select`] is.
    ///
    /// ```
    /// # use zerokara_core::{DType, Tensor};
    /// let x = Tensor::from([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]);
    /// let rows = x.compress(&Tensor::from([0, 1, 1]).cast(DType::Bool), Some(0));
    /// assert_eq!(rows.to_vec::<f32>()?, [3.0, 4.0, 5.0, 6.0]);
    /// let elements = x.compress(&Tensor::from([0, 1, 0, 0, 1]).cast(DType::Bool), None);
    /// assert_eq!(elements.to_vec::<f32>()?, [2.0, 5.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn compress(&self, condition: &Tensor, axis: Option<i64>) -> Tensor {
        let (x, condition_is) = match (self.meta(), condition.meta()) {
            (Ok(x), Ok(c)) => (x, c),
            (Err(error), _) | (_, Err(error)) => return Tensor::invalid(error),
        };
        let refuse = |reason| Tensor::refuse("compress", &[self, condition], reason);
        let (flat, axis) = match axis {
            Some(axis) => (self.clone(), axis),
            None => (self.reshape_exactly(&[x.len() as i64]), 0),
        };
        let lengths = flat.shape().map(<[usize]>::to_vec).unwrap_or_default();
        let at = match shape::axis(axis, lengths.len()) {
            Ok(at) => at,
            Err(reason) => return refuse(reason),
        };
        match condition_is.shape.as_slice() {
            [n] if condition_is.dtype == DType::Bool && *n <= lengths[at] => {}
            _ => {
                return refuse(format!(
                    "the condition must hold at most {} truth values in a row, not be {condition_is}",
                    lengths[at]
                ));
            }
        }
        let truths = match condition.evaluated("compress") {
            Ok(truths) => truths,
            Err(invalid) => return invalid,
        };
        let truths = (0i64..).zip(truths.bools());
        let places: Vec<i64> = truths
            .filter(|(_, truth)| **truth != 0)
            .map(|(at, _)| at)
            .collect();
        flat.index_select(axis, &Tensor::from(places))
    }

    /// The indices of the elements that are not 0, or hold, row by row: i64 `[axes, n]`, one column for each, as ONNX and NumPy have
    /// them. NaN is not 0.
    ///
    /// The tensor is evaluated at this call, as the mask of [`Tensor::masked_select`] is.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[0.0, 2.0], [3.0, 0.0]]);
    /// let places = x.non_zero();
    /// assert_eq!(places.shape()?, [2, 2]);
    /// assert_eq!(places.to_vec::<i64>()?, [0, 1, 1, 0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "nonzero")]
    #[track_caller]
    pub fn non_zero(&self) -> Tensor {
        let value = match self.evaluated("non_zero") {
            Ok(value) => value.cast(DType::Bool),
            Err(invalid) => return invalid,
        };
        let all = shape::indices(value.shape()).zip(value.bools());
        let found: Vec<Vec<usize>> = all
            .filter(|(_, truth)| **truth != 0)
            .map(|(i, _)| i)
            .collect();
        let axes = value.shape().len();
        let rows = (0..axes).flat_map(|axis| found.iter().map(move |index| index[axis] as i64));
        Tensor::new([axes, found.len()], rows.collect::<Vec<i64>>())
    }

    /// The different elements, or with an axis (negative: from the back) the different slices along it: in ascending order if
    /// `sorted` (slices by their first elements that differ), else in the order in which they appear. NaN is equal to itself and
    /// largest, 0 is equal to -0.
    ///
    /// The tensor is evaluated at this call, as the mask of [`Tensor::masked_select`] is.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let unique = Tensor::from([2.0, 1.0, 2.0, 3.0]).unique(true, None);
    /// assert_eq!(unique.values.to_vec::<f32>()?, [1.0, 2.0, 3.0]);
    /// assert_eq!(unique.first.to_vec::<i64>()?, [1, 0, 3]);
    /// assert_eq!(unique.inverse.to_vec::<i64>()?, [1, 0, 1, 2]);
    /// assert_eq!(unique.counts.to_vec::<i64>()?, [1, 2, 1]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn unique(&self, sorted: bool, axis: Option<i64>) -> Unique {
        let everywhere = |invalid: Tensor| Unique {
            values: invalid.clone(),
            first: invalid.clone(),
            inverse: invalid.clone(),
            counts: invalid,
        };
        let Ok(meta) = self.meta() else {
            return everywhere(self.clone());
        };
        let (flat, axis) = match axis {
            Some(axis) => (self.clone(), axis),
            None => (self.reshape_exactly(&[meta.len() as i64]), 0),
        };
        let lengths = flat.shape().map(<[usize]>::to_vec).unwrap_or_default();
        let Ok(at) = shape::axis(axis, lengths.len()) else {
            return everywhere(self.invalid_axis("unique", axis));
        };
        if meta.is_empty() && lengths[at] > 0 {
            let reason = format!("the slices along axis {at} have no elements to compare");
            return everywhere(Tensor::refuse("unique", &[self], reason));
        }
        let value = match self.evaluated("unique") {
            Ok(value) => value.reshaped(lengths.as_slice()),
            Err(invalid) => return everywhere(invalid),
        };
        let keys = keys(&value, at);
        let mut number: HashMap<&[i64], usize> = HashMap::new();
        let (mut first, mut counts) = (Vec::new(), Vec::new());
        let mut inverse: Vec<usize> = Vec::with_capacity(keys.len());
        for (place, key) in keys.iter().enumerate() {
            let own = *number.entry(key).or_insert(first.len());
            if own == first.len() {
                first.push(place);
                counts.push(0i64);
            }
            counts[own] += 1;
            inverse.push(own);
        }
        let mut order: Vec<usize> = (0..first.len()).collect();
        if sorted {
            order.sort_by(|&a, &b| keys[first[a]].cmp(&keys[first[b]]));
        }
        let mut place = vec![0i64; order.len()];
        for (to, &from) in (0i64..).zip(&order) {
            place[from] = to;
        }
        let first: Vec<i64> = order.iter().map(|&i| first[i] as i64).collect();
        let counts: Vec<i64> = order.iter().map(|&i| counts[i]).collect();
        let inverse: Vec<i64> = inverse.iter().map(|&i| place[i]).collect();
        let first = Tensor::from(first);
        Unique {
            values: flat.index_select(axis, &first),
            first,
            inverse: Tensor::from(inverse),
            counts: Tensor::from(counts),
        }
    }
}

/// For each place along an axis its elements, as integers that are equal and ordered as these are.
fn keys(x: &Array, axis: usize) -> Vec<Vec<i64>> {
    fn key(x: f64) -> i64 {
        match x.partial_cmp(&0.0) {
            None => i64::MAX,
            Some(Ordering::Equal) => 0,
            // The bits of positive floats are ordered as they are.
            Some(Ordering::Greater) => x.to_bits() as i64,
            Some(Ordering::Less) => -((-x).to_bits() as i64),
        }
    }
    let along = super::along::Along::axis(axis, x.shape());
    let all: Vec<i64> = match x.dtype() {
        DType::I64 => x.slice::<i64>().to_vec(),
        _ => x.to_f64s().into_iter().map(key).collect(),
    };
    let slice = |place| {
        let outer = (0..along.outer)
            .flat_map(move |outer| (0..along.inner).map(move |inner| [outer, place, inner]));
        outer.map(|index| all[along.position(index)]).collect()
    };
    (0..along.length).map(slice).collect()
}
