//! Masks of truth values, as the book writes them: `x[mask]` and `x[mask] = 0` (page 142).
//!
//! `masked_fill` is `where`, and compiles. How many elements `masked_select` gives hangs on the mask's values, so that the
//! mask is evaluated at once; what it then builds is an operation on fixed places, through which gradients flow.

use super::prelude::*;
use crate::array::represent;

impl Tensor {
    /// The elements where the mask holds, row by row, `[n]`: the book's `x[mask]`. The mask holds truth values, and is
    /// broadcast to the tensor's shape.
    ///
    /// A shape must be known when a graph is built, and n is known only of a mask with values. So **the mask is evaluated
    /// at this call**, with the values that parameters have now; the tensor is not, and the gradient goes back to the
    /// elements that were taken. In a compiled program the places stay as they were found when it was built. A mask that
    /// depends on an input of a program has no values yet and is an error; there, use [`Tensor::masked_fill`] or
    /// [`Tensor::select`], which keep the shape.
    ///
    /// ```
    /// # use zerokara_core::{Tensor, grad};
    /// let x = Tensor::from([[1.0, -0.5], [-2.0, 3.0]]);
    /// let mask = x.less_equal(&Tensor::from(0.0));
    /// let y = x.masked_select(&mask);
    /// assert_eq!(y.to_vec::<f32>()?, [-0.5, -2.0]);
    /// assert_eq!(grad(&y.sum(), &x).to_vec::<f32>()?, [0.0, 1.0, 1.0, 0.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("mask", "boolean_mask", "compress"))]
    #[track_caller]
    pub fn masked_select(&self, mask: &Tensor) -> Tensor {
        let mask = match self.fitting_mask("masked_select", mask) {
            Ok(mask) => mask,
            Err(invalid) => return invalid,
        };
        let truths = match mask.eval() {
            Ok(truths) => truths,
            Err(_) if mask.depends_on_an_input() => {
                let reason = "the number of elements hangs on the mask's values, which are not known while a program is \
                     built: the mask depends on an input; use masked_fill or select, which keep the shape";
                return Tensor::refuse("masked_select", &[self, &mask], reason.into());
            }
            Err(error) => return Tensor::invalid(error),
        };
        let truths = truths.bools().iter().zip(0i64..);
        let places: Vec<i64> = truths
            .filter(|(truth, _)| **truth != 0)
            .map(|(_, at)| at)
            .collect();
        let count = self.meta().map_or(0, |meta| meta.len() as i64);
        self.reshape_exactly(&[count])
            .index_select(0, &Tensor::from(places))
    }

    /// The tensor with a number where the mask holds: the book's `x[mask] = value`, as a new tensor. The mask holds truth
    /// values, and is broadcast to the tensor's shape; no gradient flows to the elements that are replaced. The number
    /// must be one that the tensor's element type has: a whole one among integers.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[1.0, -0.5], [-2.0, 3.0]]);
    /// let mask = x.less_equal(&Tensor::from(0.0));
    /// assert_eq!(x.masked_fill(&mask, 0.0).to_vec::<f32>()?, [1.0, 0.0, 0.0, 3.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("mask", "where"))]
    #[track_caller]
    pub fn masked_fill(&self, mask: &Tensor, value: f64) -> Tensor {
        let mask = match self.fitting_mask("masked_fill", mask) {
            Ok(mask) => mask,
            Err(invalid) => return invalid,
        };
        let dtype = self.dtype().unwrap_or(DType::F32);
        match represent(value, dtype) {
            Ok(()) => mask.select(&Tensor::scalar(value, dtype), self),
            Err(reason) => Tensor::refuse("masked_fill", &[self, &mask], reason),
        }
    }

    /// A mask in this tensor's shape; else the invalid result of the operation.
    #[track_caller]
    fn fitting_mask(&self, op: &str, mask: &Tensor) -> Result<Tensor, Tensor> {
        let (x, m) = match (self.meta(), mask.meta()) {
            (Ok(x), Ok(m)) => (x, m),
            (Err(error), _) | (_, Err(error)) => return Err(Tensor::invalid(error)),
        };
        let reason = if m.dtype != DType::Bool {
            format!("the mask must hold truth values, not {}", m.dtype)
        } else if shape::broadcast(&x.shape, &m.shape).as_ref() != Some(&x.shape) {
            format!(
                "the mask's shape {:?} does not broadcast to {:?}",
                m.shape, x.shape
            )
        } else if m.shape == x.shape {
            return Ok(mask.clone());
        } else {
            return Ok(mask.broadcast_like(self));
        };
        Err(Tensor::refuse(op, &[self, mask], reason))
    }

    /// The value, on which the shape of an operation's result hangs; else the invalid result of the operation.
    #[track_caller]
    pub(super) fn evaluated(&self, op: &str) -> Result<Array, Tensor> {
        match self.eval() {
            Ok(value) => Ok(value),
            Err(_) if self.meta().is_ok() && self.depends_on_an_input() => {
                let reason = "the shape of the result hangs on values that are not known while a program is built: they \
                     depend on an input";
                Err(Tensor::refuse(op, &[self], reason.into()))
            }
            Err(error) => Err(Tensor::invalid(error)),
        }
    }

    /// Whether a value that is given when a program runs is among what the tensor is computed from.
    fn depends_on_an_input(&self) -> bool {
        self.computed_by(|node| node.is_open()).is_none()
    }
}
