//! Plain loops that the references share: clear before fast.

use crate::{Array, DType, array::Scalar};
use num_traits::Float;

/// `f32` and `f64`, as the references compute with them.
pub trait Real: Float + Scalar + std::iter::Sum + std::ops::AddAssign {
    /// The error function.
    fn erf(self) -> Self;
}

impl Real for f32 {
    fn erf(self) -> Self {
        libm::erff(self)
    }
}

impl Real for f64 {
    fn erf(self) -> Self {
        libm::erf(self)
    }
}

/// Runs the body with `$T` as the Rust type of a float element type.
macro_rules! floats {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
            other => return Err(format!("{other} is no floating-point type")),
        }
    };
}

/// Runs the body with `$T` as the Rust type of a numeric element type.
macro_rules! numbers {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            other => $crate::ops::loops::floats!(other, $T => $body),
        }
    };
}

pub(crate) use {floats, numbers};

/// `y[i] = f(x[i])`.
pub fn unary<T: Scalar>(x: &Array, y: &mut Array, f: impl Fn(T) -> T) {
    for (y, &x) in y.slice_mut::<T>().iter_mut().zip(x.slice::<T>()) {
        *y = f(x);
    }
}

/// `y[i] = f(a[i], b[i])`.
pub fn binary<T: Scalar>(a: &Array, b: &Array, y: &mut Array, f: impl Fn(T, T) -> T) {
    for ((y, &a), &b) in y
        .slice_mut::<T>()
        .iter_mut()
        .zip(a.slice::<T>())
        .zip(b.slice::<T>())
    {
        *y = f(a, b);
    }
}

/// `y[i] = f(a[i], b[i])` as a truth value.
pub fn compare<T: Scalar>(a: &Array, b: &Array, y: &mut Array, f: impl Fn(T, T) -> bool) {
    for ((y, &a), &b) in y
        .bools_mut()
        .iter_mut()
        .zip(a.slice::<T>())
        .zip(b.slice::<T>())
    {
        *y = f(a, b) as u8;
    }
}

/// Copies elements of any type: `y[to(j)] = x[from(j)]` for all pairs that `pairs` yields.
pub fn copy(x: &Array, y: &mut Array, pairs: impl Iterator<Item = (usize, usize)>) {
    fn go<T: Copy>(x: &[T], y: &mut [T], pairs: impl Iterator<Item = (usize, usize)>) {
        for (from, to) in pairs {
            y[to] = x[from];
        }
    }
    match x.dtype() {
        DType::F32 => go(x.slice::<f32>(), y.slice_mut::<f32>(), pairs),
        DType::F64 => go(x.slice::<f64>(), y.slice_mut::<f64>(), pairs),
        DType::I64 => go(x.slice::<i64>(), y.slice_mut::<i64>(), pairs),
        DType::Bool => go(x.bools(), y.bools_mut(), pairs),
    }
}

/// The larger number; NaN if either is NaN.
pub fn maximum<T: Float>(a: T, b: T) -> T {
    if a.is_nan() || a > b { a } else { b }
}

/// The smaller number; NaN if either is NaN.
pub fn minimum<T: Float>(a: T, b: T) -> T {
    if a.is_nan() || a < b { a } else { b }
}
