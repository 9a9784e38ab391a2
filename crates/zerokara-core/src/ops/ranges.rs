//! Tensors made of numbers alone: evenly spaced numbers, diagonals, and one-hot rows with values of one's own.

use super::prelude::*;
use crate::array::represent;

impl Tensor {
    /// The numbers `start, start + step, ..` below `limit` (above it, for a negative step), `[n]`: ONNX's Range. Each is
    /// `start + i step` in double precision, as the element type has it: integers take whole numbers only. A step of 0, and
    /// bounds that are not finite, are an error.
    ///
    /// ```
    /// # use zerokara_core::{DType, Tensor};
    /// let x = Tensor::range(1.0, 0.0, -0.25, DType::F32);
    /// assert_eq!(x.to_vec::<f32>()?, [1.0, 0.75, 0.5, 0.25]);
    /// assert!(Tensor::range(0.0, 1.0, 0.0, DType::F32).eval().is_err());
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn range(start: f64, limit: f64, step: f64, dtype: DType) -> Tensor {
        let refuse = |reason| Tensor::refuse("range", &[], reason);
        if !(start.is_finite() && limit.is_finite() && step.is_finite()) || step == 0.0 {
            return refuse(format!(
                "from {start} to {limit} in steps of {step} there are no numbers to count"
            ));
        }
        let count = ((limit - start) / step).ceil().max(0.0);
        // What is too many for a float is too many for the memory.
        let meta = Meta::new([count as usize], DType::F64);
        let mut numbers = match Array::try_zeros(&meta) {
            Ok(numbers) => numbers,
            Err(error) => return refuse(error.to_string()),
        };
        for (i, number) in numbers.slice_mut::<f64>().iter_mut().enumerate() {
            *number = start + i as f64 * step;
            if let Err(reason) = represent(*number, dtype) {
                return refuse(reason);
            }
        }
        Tensor::from(numbers.cast(dtype))
    }

    /// A matrix `[rows, columns]` with ones on a diagonal, which is `k` places to the right of the main one, and zeros elsewhere.
    ///
    /// ```
    /// # use zerokara_core::{DType, Tensor};
    /// let x = Tensor::diagonal_ones(2, 3, 1, DType::I64);
    /// assert_eq!(x.to_vec::<i64>()?, [0, 1, 0, 0, 0, 1]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "eye")]
    #[track_caller]
    pub fn diagonal_ones(rows: usize, columns: usize, k: i64, dtype: DType) -> Tensor {
        Tensor::full([rows, columns], 1.0, dtype).triu(k).tril(k)
    }

    /// One-hot rows of integer labels along a new axis (negative: from the back, -1 the last) of length `classes`: `on` at the
    /// label's place, `off` elsewhere, both scalars of one type. A label from `-classes` on counts from the back; of any other,
    /// the row is `off` everywhere: ONNX's OneHot.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let labels = Tensor::from([1, -1, 7]);
    /// let y = labels.one_hot_of(0, 2, &Tensor::from(5), &Tensor::from(-5));
    /// assert_eq!(y.shape()?, [2, 3]);
    /// assert_eq!(y.to_vec::<i64>()?, [-5, -5, -5, 5, 5, -5]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn one_hot_of(&self, axis: i64, classes: usize, on: &Tensor, off: &Tensor) -> Tensor {
        let Ok(meta) = self.meta() else {
            return self.clone();
        };
        if meta.dtype != DType::I64 {
            let reason = format!("needs integer labels, not {}", meta.dtype);
            return Tensor::refuse("one_hot_of", &[self], reason);
        }
        let Ok(at) = shape::axis(axis, meta.rank() + 1) else {
            return self.invalid_axis("one_hot_of", axis);
        };
        for value in [on, off] {
            if let Ok(value) = value.meta()
                && value.rank() != 0
            {
                let reason = format!("on and off are scalars, not {value}");
                return Tensor::refuse("one_hot_of", &[self], reason);
            }
        }
        let mut lengths = vec![1; meta.rank() + 1];
        lengths[at] = i64::try_from(classes).unwrap_or(i64::MAX);
        let all = Tensor::arange(0, lengths[at], 1).reshape_exactly(&lengths);
        let labels = self.from_the_front(classes).unsqueeze(at as i64);
        labels.equal(&all).select(on, off)
    }
}
