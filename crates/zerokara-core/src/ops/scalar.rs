//! Numbers beside tensors: `x * 0.9`, `1 - x`.
//!
//! The types decide, not the value, as in PyTorch: a number takes the tensor's element type if that is of its sort or
//! wider, else the tensor takes the number's. Bytes alone ask the value: an integer that is none of theirs makes them i64,
//! where it would be another number.
//!
//! | tensor | with an `f64` (`0.9`, also `2.0`) | with an `i64` (`2`) |
//! |---|---|---|
//! | f32 | f32 | f32 |
//! | f64 | f64 | f64 |
//! | i64 | f32 | i64 |
//! | u8 | f32 | u8 from 0 to 255, else i64 |
//! | bool | f32 | i64 |
//!
//! What keeps a tensor's type by its nature (`full`, `pad`, `masked_fill`, ..) refuses numbers that the type does not
//! have; see [`represent`](crate::array::represent).

use super::prelude::*;

/// The Rust types of numbers beside tensors.
pub trait Beside: Copy {
    /// The element type that both have.
    fn common(self, tensor: DType) -> DType;
    /// The number in an element type that `common` gives.
    fn array(self, dtype: DType) -> Array;
}

impl Beside for f64 {
    fn common(self, tensor: DType) -> DType {
        match tensor {
            DType::F32 | DType::F64 => tensor,
            DType::I64 | DType::U8 | DType::Bool => DType::F32,
        }
    }

    fn array(self, dtype: DType) -> Array {
        Array::scalar(self, dtype)
    }
}

impl Beside for i64 {
    fn common(self, tensor: DType) -> DType {
        match tensor {
            DType::F32 | DType::F64 | DType::I64 => tensor,
            DType::U8 if u8::try_from(self).is_ok() => tensor,
            DType::U8 | DType::Bool => DType::I64,
        }
    }

    fn array(self, dtype: DType) -> Array {
        Array::new([], [self]).cast(dtype)
    }
}

impl Tensor {
    /// The tensor, and a number beside it as a scalar, both in the element type that the two have together.
    #[track_caller]
    pub(crate) fn beside<N: Beside>(&self, number: N) -> (Tensor, Tensor) {
        let dtype = number.common(self.dtype().unwrap_or(DType::F32));
        (self.cast(dtype), Tensor::from(number.array(dtype)))
    }
}
