//! Plain loops that the references share: clear before fast.

use crate::{Array, DType, array::Scalar};
use num_traits::Float;
use std::ops::{Add, Mul, Neg, Sub};

/// `f32` and `f64`, as the references compute with them.
pub trait Real: Float + Scalar + std::iter::Sum + std::ops::AddAssign {
    /// The error function.
    fn erf(self) -> Self;
    /// 1 less the error function.
    fn erfc(self) -> Self;
    /// In double precision.
    fn wide(self) -> f64;
    /// Rounded from double precision.
    fn narrow(x: f64) -> Self;
}

impl Real for f32 {
    fn erf(self) -> Self {
        libm::erff(self)
    }
    fn erfc(self) -> Self {
        libm::erfcf(self)
    }
    fn wide(self) -> f64 {
        f64::from(self)
    }
    fn narrow(x: f64) -> Self {
        x as f32
    }
}

impl Real for f64 {
    fn erf(self) -> Self {
        libm::erf(self)
    }
    fn erfc(self) -> Self {
        libm::erfc(self)
    }
    fn wide(self) -> f64 {
        self
    }
    fn narrow(x: f64) -> Self {
        x
    }
}

/// `f32`, `f64`, `i64` and `u8`, as the references calculate with them: integers wrap around, on every build.
pub trait Number: Scalar {
    /// `self + other`
    fn plus(self, other: Self) -> Self;
    /// `self - other`
    fn minus(self, other: Self) -> Self;
    /// `self * other`
    fn times(self, other: Self) -> Self;
    /// `-self`
    fn negative(self) -> Self;
    /// `|self|`
    fn absolute(self) -> Self;
    /// -1, 0 or 1; NaN stays NaN.
    fn sign(self) -> Self;
    /// The larger number; NaN if either is NaN.
    fn larger(self, other: Self) -> Self;
    /// The smaller number; NaN if either is NaN.
    fn smaller(self, other: Self) -> Self;
}

macro_rules! number {
    ($type:ty, $plus:path, $minus:path, $times:path, $negative:path, $absolute:expr, $sign:expr, $larger:path, $smaller:path $(,)?) => {
        impl Number for $type {
            fn plus(self, other: Self) -> Self {
                $plus(self, other)
            }
            fn minus(self, other: Self) -> Self {
                $minus(self, other)
            }
            fn times(self, other: Self) -> Self {
                $times(self, other)
            }
            fn negative(self) -> Self {
                $negative(self)
            }
            fn absolute(self) -> Self {
                $absolute(self)
            }
            fn sign(self) -> Self {
                $sign(self)
            }
            fn larger(self, other: Self) -> Self {
                $larger(self, other)
            }
            fn smaller(self, other: Self) -> Self {
                $smaller(self, other)
            }
        }
    };
}
macro_rules! real_number {
    ($type:ty) => {
        number!(
            $type,
            Add::add,
            Sub::sub,
            Mul::mul,
            Neg::neg,
            <$type>::abs,
            |x: $type| if x > 0.0 {
                1.0
            } else if x < 0.0 {
                -1.0
            } else {
                x.abs()
            },
            maximum,
            minimum,
        );
    };
}
real_number!(f32);
real_number!(f64);
number!(
    i64,
    i64::wrapping_add,
    i64::wrapping_sub,
    i64::wrapping_mul,
    i64::wrapping_neg,
    i64::wrapping_abs,
    i64::signum,
    i64::max,
    i64::min,
);
number!(
    u8,
    u8::wrapping_add,
    u8::wrapping_sub,
    u8::wrapping_mul,
    u8::wrapping_neg,
    u8::from,
    |x: u8| x.min(1),
    u8::max,
    u8::min,
);

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
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            other => $crate::ops::loops::floats!(other, $T => $body),
        }
    };
}

/// Runs the body with `$T` as the Rust type of an integer element type.
macro_rules! integers {
    ($dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            other => return Err(format!("{other} is no integer type")),
        }
    };
}

pub(crate) use {floats, integers, numbers};

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
        DType::U8 => go(x.slice::<u8>(), y.slice_mut::<u8>(), pairs),
        DType::Bool => go(x.bools(), y.bools_mut(), pairs),
    }
}

/// A sum that keeps what rounding takes from it (Neumaier, 1974). In single precision there is nothing to keep; of
/// doubles, however many, the mean of equal ones is that number.
#[derive(Clone, Copy, Default)]
pub struct Sum {
    sum: f64,
    lost: f64,
}

impl Sum {
    /// Adds a number.
    pub fn add(&mut self, x: f64) {
        let sum = self.sum + x;
        let (large, small) = if self.sum.abs() >= x.abs() {
            (self.sum, x)
        } else {
            (x, self.sum)
        };
        self.lost += (large - sum) + small;
        self.sum = sum;
    }

    /// The sum.
    pub fn value(self) -> f64 {
        // Beside an infinite sum, what was lost is no number.
        if self.sum.is_finite() {
            self.sum + self.lost
        } else {
            self.sum
        }
    }

    /// The sum divided by `n`, rounded once.
    pub fn mean(self, n: usize) -> f64 {
        let n = n as f64;
        let mean = self.value() / n;
        if !mean.is_finite() {
            return mean;
        }
        mean + ((-mean).mul_add(n, self.sum) + self.lost) / n
    }
}

impl<T: Real> FromIterator<T> for Sum {
    fn from_iter<I: IntoIterator<Item = T>>(numbers: I) -> Self {
        let mut sum = Sum::default();
        numbers.into_iter().for_each(|x| sum.add(x.wide()));
        sum
    }
}

/// Lets `add` add to sums in double precision that start as 0, one for each element of the output.
pub fn summed<T: Real>(
    output: &mut Array,
    add: impl FnOnce(&mut [f64]) -> Result<(), String>,
) -> Result<(), String> {
    let mut sums = vec![0.0; output.len()];
    add(&mut sums)?;
    for (y, sum) in output.slice_mut::<T>().iter_mut().zip(sums) {
        *y = T::narrow(sum);
    }
    Ok(())
}

/// `1 / (1 + e^-x)`, from `e^-|x|`: so that nothing overflows, and small results keep their digits.
pub fn sigmoid<T: Float>(x: T) -> T {
    let e = (-x.abs()).exp();
    if x < T::zero() {
        e / (T::one() + e)
    } else {
        T::one() / (T::one() + e)
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
