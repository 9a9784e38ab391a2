//! Sine, cosine, tangent, and their inverses.
//!
//! | operation | dy/dx |
//! |---|---|
//! | `tan` | `1 + y^2` |
//! | `asin` | `1 / sqrt((1 - x) (1 + x))` |
//! | `acos` | `-1 / sqrt((1 - x) (1 + x))` |
//! | `atan` | `1 / (1 + x^2)` |
//!
//! In single precision the inverse functions are polynomials on a small range, to which the argument is led back, with the
//! coefficients of the Cephes library (Moshier, 1984).

use super::{coding::Coder, elementwise::elementwise, prelude::*};
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4, PI, SQRT_2};

elementwise!(
    /// The sine of an angle in radians; its derivative is the cosine.
    Sin, sin, unary(Unary::Sin), |x| x.sin(),
    |call| Gradient::one(call.gradient * call.inputs[0].cos())
);

elementwise!(
    /// The cosine of an angle in radians; its derivative is minus the sine.
    Cos, cos, unary(Unary::Cos), |x| x.cos(),
    |call| Gradient::one(-(call.gradient * call.inputs[0].sin()))
);

elementwise!(
    /// The tangent of an angle in radians, `y = sin(x) / cos(x)`; `dy/dx = 1 + y^2`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let y = Tensor::from([0.0, 1.0]).tan().to_vec::<f32>()?;
    /// assert!(y[0] == 0.0 && (y[1] - 1.5574077).abs() < 1e-6);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    Tan, tan,
    map([
        Instruction::Load(0),
        Instruction::Unary(Unary::Sin, 0),
        Instruction::Unary(Unary::Cos, 0),
        Instruction::Binary(Binary::Divide, 1, 2),
    ]),
    |x| x.tan(),
    |call| {
        let y = call.output;
        Gradient::one(call.gradient * (y.square() + y.full_like(1.0)))
    }
);

elementwise!(
    /// The inverse sine, an angle from -pi/2 to pi/2; NaN beyond -1 and 1. `dy/dx = 1 / sqrt(1 - x^2)`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let y = Tensor::from([0.0, 1.0, 2.0]).asin().to_vec::<f32>()?;
    /// assert!(y[0] == 0.0 && y[1] == std::f32::consts::FRAC_PI_2 && y[2].is_nan());
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "arcsin")]
    Asin, asin, inverse_sine(false), |x| x.asin(),
    |call| Gradient::one(call.gradient * slope_of_inverse(&call.inputs[0]))
);

elementwise!(
    /// The inverse cosine, an angle from 0 to pi; NaN beyond -1 and 1. `dy/dx = -1 / sqrt(1 - x^2)`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let y = Tensor::from([1.0, -1.0]).acos().to_vec::<f32>()?;
    /// assert_eq!(y, [0.0, std::f32::consts::PI]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "arccos")]
    Acos, acos, inverse_sine(true), |x| x.acos(),
    |call| Gradient::one(-(call.gradient * slope_of_inverse(&call.inputs[0])))
);

elementwise!(
    /// The inverse tangent, an angle from -pi/2 to pi/2; `dy/dx = 1 / (1 + x^2)`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let y = Tensor::from([0.0, f32::INFINITY]).atan().to_vec::<f32>()?;
    /// assert_eq!(y, [0.0, std::f32::consts::FRAC_PI_2]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "arctan")]
    Atan, atan, inverse_tangent(), |x| x.atan(),
    |call| {
        let x = &call.inputs[0];
        Gradient::one(call.gradient * (x.square() + x.full_like(1.0)).reciprocal())
    }
);

/// `1 / sqrt((1 - x) (1 + x))`: near -1 and 1, `1 - x^2` would lose its digits.
fn slope_of_inverse(x: &Tensor) -> Tensor {
    let one = x.full_like(1.0);
    ((&one - x) * (&one + x)).rsqrt()
}

/// The inverse sine, or cosine. With `a = |x|` above 1/2, `asin(a) = pi/2 - 2 asin(sqrt((1 - a) / 2))`.
fn inverse_sine(cosine: bool) -> Kind {
    let mut code = Coder::default();
    let x = code.load(0);
    let a = code.unary(Unary::Absolute, x);
    let is_far = code.with(Binary::Greater, a, 0.5);
    let one = code.number(1.0);
    let rest = code.binary(Binary::Subtract, one, a);
    let rest = code.with(Binary::Multiply, rest, 0.5);
    let square = code.unary(Unary::Square, a);
    let z = code.select(is_far, rest, square);
    let root = code.unary(Unary::Sqrt, rest);
    let base = code.select(is_far, root, a);
    let coefficients = [
        4.2163199048e-2,
        2.4181311049e-2,
        4.5470025998e-2,
        7.4953002686e-2,
        1.6666752422e-1,
    ];
    let sum = code.polynomial(&coefficients, z);
    let sum = code.binary(Binary::Multiply, sum, z);
    let sum = code.binary(Binary::Multiply, sum, base);
    let angle = code.binary(Binary::Add, sum, base);
    let twice = code.with(Binary::Multiply, angle, 2.0);
    let quarter = code.number(FRAC_PI_2);
    let sign = code.unary(Unary::Sign, x);
    if cosine {
        let half = code.number(PI);
        let left = code.binary(Binary::Subtract, half, twice);
        let is_right = code.with(Binary::Greater, x, 0.0);
        let far = code.select(is_right, twice, left);
        let angle = code.binary(Binary::Multiply, angle, sign);
        let near = code.binary(Binary::Subtract, quarter, angle);
        code.select(is_far, far, near);
    } else {
        let far = code.binary(Binary::Subtract, quarter, twice);
        let both = code.select(is_far, far, angle);
        code.binary(Binary::Multiply, both, sign);
    }
    code.kind()
}

/// The inverse tangent: with `a = |x|`, `pi/2 + atan(-1 / a)` above tan(3 pi/8), `pi/4 + atan((a - 1) / (a + 1))` above
/// tan(pi/8).
fn inverse_tangent() -> Kind {
    let mut code = Coder::default();
    let x = code.load(0);
    let a = code.unary(Unary::Absolute, x);
    let is_far = code.with(Binary::Greater, a, SQRT_2 + 1.0);
    let is_middle = code.with(Binary::Greater, a, SQRT_2 - 1.0);
    let minus_one = code.number(-1.0);
    let far = code.binary(Binary::Divide, minus_one, a);
    let above = code.with(Binary::Subtract, a, 1.0);
    let below = code.with(Binary::Add, a, 1.0);
    let middle = code.binary(Binary::Divide, above, below);
    let z = code.select(is_middle, middle, a);
    let z = code.select(is_far, far, z);
    let (none, eighth, quarter) = (
        code.number(0.0),
        code.number(FRAC_PI_4),
        code.number(FRAC_PI_2),
    );
    let start = code.select(is_middle, eighth, none);
    let start = code.select(is_far, quarter, start);
    let square = code.unary(Unary::Square, z);
    let coefficients = [
        8.05374449538e-2,
        -1.38776856032e-1,
        1.99777106478e-1,
        -3.33329491539e-1,
    ];
    let sum = code.polynomial(&coefficients, square);
    let sum = code.binary(Binary::Multiply, sum, square);
    let sum = code.binary(Binary::Multiply, sum, z);
    let sum = code.binary(Binary::Add, sum, z);
    let angle = code.binary(Binary::Add, start, sum);
    let sign = code.unary(Unary::Sign, x);
    code.binary(Binary::Multiply, angle, sign);
    code.kind()
}
