//! Hyperbolic functions and their inverses; the hyperbolic tangent has a file of its own.
//!
//! | operation | y | dy/dx |
//! |---|---|---|
//! | `sinh` | `(e^x - e^-x) / 2` | `cosh(x)` |
//! | `cosh` | `(e^x + e^-x) / 2` | `sinh(x)` |
//! | `asinh` | `ln(x + sqrt(x^2 + 1))` | `1 / sqrt(x^2 + 1)` |
//! | `acosh` | `ln(x + sqrt(x^2 - 1))` | `1 / sqrt((x - 1) (x + 1))` |
//! | `atanh` | `ln((1 + x) / (1 - x)) / 2` | `1 / ((1 - x) (1 + x))` |
//!
//! None of them is computed as it stands: small results keep their digits, and only results that are too large overflow.

use super::{coding::Coder, elementwise::elementwise, prelude::*};
use std::f64::consts::LN_2;

/// From here on `x^2 + 1` and `x^2 - 1` are `x^2` in single precision, and the logarithm of `2 x` is the result.
const LARGE: f64 = 1e8;

elementwise!(
    /// The hyperbolic sine, `y = (e^x - e^-x) / 2`; `dy/dx = cosh(x)`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let y = Tensor::from([1.0, 1e-6]).sinh().to_vec::<f32>()?;
    /// assert!((y[0] - 1.1752012).abs() < 1e-6 && (y[1] / 1e-6 - 1.0).abs() < 1e-6);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    Sinh, sinh, sine(), |x| x.sinh(),
    |call| Gradient::one(call.gradient * call.inputs[0].cosh())
);

elementwise!(
    /// The hyperbolic cosine, `y = (e^x + e^-x) / 2`; `dy/dx = sinh(x)`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let y = Tensor::from([0.0, 1.0]).cosh().to_vec::<f32>()?;
    /// assert!(y[0] == 1.0 && (y[1] - 1.5430806).abs() < 1e-6);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    Cosh, cosh, cosine(), |x| x.cosh(),
    |call| Gradient::one(call.gradient * call.inputs[0].sinh())
);

elementwise!(
    /// The inverse of the hyperbolic sine, `y = ln(x + sqrt(x^2 + 1))`; `dy/dx = 1 / sqrt(x^2 + 1)`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let y = Tensor::from([0.0, -1.0]).asinh().to_vec::<f32>()?;
    /// assert!(y[0] == 0.0 && (y[1] + 0.8813736).abs() < 1e-6);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "arcsinh")]
    Asinh, asinh, inverse_sine(),
    |x| match x.abs() {
        a if a > LARGE as T => (a.ln() + LN_2 as T).copysign(x),
        _ => x.asinh(),
    },
    |call| {
        let x = &call.inputs[0];
        Gradient::one(call.gradient * (x.square() + x.full_like(1.0)).rsqrt())
    }
);

elementwise!(
    /// The inverse of the hyperbolic cosine, `y = ln(x + sqrt(x^2 - 1))`, for x from 1 on; NaN below. `dy/dx = 1 / sqrt(x^2 - 1)`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let y = Tensor::from([1.0, 2.0, 0.5]).acosh().to_vec::<f32>()?;
    /// assert!(y[0] == 0.0 && (y[1] - 1.316958).abs() < 1e-6 && y[2].is_nan());
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "arccosh")]
    Acosh, acosh, inverse_cosine(),
    |x| if x > LARGE as T {
        x.ln() + LN_2 as T
    } else {
        let above = x - 1.0;
        (above + above.sqrt() * (x + 1.0).sqrt()).ln_1p()
    },
    |call| {
        let x = &call.inputs[0];
        let one = x.full_like(1.0);
        Gradient::one(call.gradient * ((x - &one).rsqrt() * (x + &one).rsqrt()))
    }
);

elementwise!(
    /// The inverse of the hyperbolic tangent, `y = ln((1 + x) / (1 - x)) / 2`; infinite at -1 and 1, NaN beyond.
    /// `dy/dx = 1 / (1 - x^2)`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let y = Tensor::from([0.5, 1.0, 2.0]).atanh().to_vec::<f32>()?;
    /// assert!((y[0] - 0.54930615).abs() < 1e-6 && y[1] == f32::INFINITY && y[2].is_nan());
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "arctanh")]
    Atanh, atanh, inverse_tangent(),
    |x| {
        let a = x.abs();
        (0.5 * (2.0 * a / (1.0 - a)).ln_1p()).copysign(x)
    },
    |call| {
        let x = &call.inputs[0];
        let one = x.full_like(1.0);
        Gradient::one(call.gradient * ((&one - x) * (&one + x)).reciprocal())
    }
);

/// `e^|x| / 2` as `(e^(|x| / 2) / 2) e^(|x| / 2)`, which overflows no sooner than it must; with `e^(|x| / 2)` and `|x|`.
fn half_exponential(code: &mut Coder, x: usize) -> (usize, usize, usize) {
    let a = code.unary(Unary::Absolute, x);
    let half = code.with(Binary::Multiply, a, 0.5);
    let root = code.unary(Unary::Exp, half);
    let half = code.with(Binary::Multiply, root, 0.5);
    (code.binary(Binary::Multiply, half, root), root, a)
}

/// Of small x, `(t + t / (t + 1)) / 2` with `t = e^|x| - 1`; else `e^|x| / 2`. The sign is that of x.
fn sine() -> Kind {
    let mut code = Coder::default();
    let x = code.load(0);
    let (far, _, a) = half_exponential(&mut code, x);
    let t = code.unary(Unary::ExpM1, a);
    let next = code.with(Binary::Add, t, 1.0);
    let quotient = code.binary(Binary::Divide, t, next);
    let near = code.binary(Binary::Add, t, quotient);
    let near = code.with(Binary::Multiply, near, 0.5);
    let is_far = code.with(Binary::Greater, a, 20.0);
    let size = code.select(is_far, far, near);
    let sign = code.unary(Unary::Sign, x);
    code.binary(Binary::Multiply, size, sign);
    code.kind()
}

fn cosine() -> Kind {
    let mut code = Coder::default();
    let x = code.load(0);
    let (up, root, _) = half_exponential(&mut code, x);
    let square = code.unary(Unary::Square, root);
    let half = code.number(0.5);
    let down = code.binary(Binary::Divide, half, square);
    code.binary(Binary::Add, up, down);
    code.kind()
}

/// `ln(1 + a + a^2 / (1 + sqrt(a^2 + 1)))` of `a = |x|`, with the sign of x.
fn inverse_sine() -> Kind {
    let mut code = Coder::default();
    let x = code.load(0);
    let a = code.unary(Unary::Absolute, x);
    let square = code.unary(Unary::Square, a);
    let sum = code.with(Binary::Add, square, 1.0);
    let root = code.unary(Unary::Sqrt, sum);
    let below = code.with(Binary::Add, root, 1.0);
    let quotient = code.binary(Binary::Divide, square, below);
    let u = code.binary(Binary::Add, a, quotient);
    let near = code.log_1p(u);
    let size = or_logarithm_of_twice(&mut code, a, near);
    let sign = code.unary(Unary::Sign, x);
    code.binary(Binary::Multiply, size, sign);
    code.kind()
}

/// `ln(1 + t + sqrt(t) sqrt(x + 1))` with `t = x - 1`, whose root is NaN below 1.
fn inverse_cosine() -> Kind {
    let mut code = Coder::default();
    let x = code.load(0);
    let above = code.with(Binary::Subtract, x, 1.0);
    let root = code.unary(Unary::Sqrt, above);
    let other = code.with(Binary::Add, x, 1.0);
    let other = code.unary(Unary::Sqrt, other);
    let product = code.binary(Binary::Multiply, root, other);
    let u = code.binary(Binary::Add, above, product);
    let near = code.log_1p(u);
    or_logarithm_of_twice(&mut code, x, near);
    code.kind()
}

/// `ln(1 + 2 a / (1 - a)) / 2` of `a = |x|`, with the sign of x.
fn inverse_tangent() -> Kind {
    let mut code = Coder::default();
    let x = code.load(0);
    let a = code.unary(Unary::Absolute, x);
    let twice = code.with(Binary::Multiply, a, 2.0);
    let one = code.number(1.0);
    let rest = code.binary(Binary::Subtract, one, a);
    let u = code.binary(Binary::Divide, twice, rest);
    let logarithm = code.log_1p(u);
    let half = code.with(Binary::Multiply, logarithm, 0.5);
    let sign = code.unary(Unary::Sign, x);
    code.binary(Binary::Multiply, half, sign);
    code.kind()
}

/// `near`, or `ln(a) + ln(2)` where a is large.
fn or_logarithm_of_twice(code: &mut Coder, a: usize, near: usize) -> usize {
    let logarithm = code.unary(Unary::Log, a);
    let far = code.with(Binary::Add, logarithm, LN_2);
    let is_far = code.with(Binary::Greater, a, LARGE);
    code.select(is_far, far, near)
}
