//! Smooth gates: `gelu` (Hendrycks and Gimpel, 2016), `y = x P(X <= x)` for a standard normal X, and `silu`,
//! `y = x sigmoid(x)`.
//!
//! | operation | y | dy/dx |
//! |---|---|---|
//! | `gelu` | `x / 2 (1 + erf(x / sqrt 2))` | `(1 + erf(x / sqrt 2)) / 2 + x e^(-x^2 / 2) / sqrt(2 pi)` |
//! | `gelu_tanh` | `x / 2 (1 + t)`, `t = tanh(sqrt(2 / pi) (x + 0.044715 x^3))` | `(1 + t) / 2 + x / 2 (1 - t^2) t'` |
//! | `silu` | `x s`, `s = sigmoid(x)` | `s + y (1 - s)` |

use super::{elementwise::elementwise, prelude::*};
use loops::Real;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// sqrt(2 / pi)
const SQRT_2_PI: f64 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
const CUBIC: f64 = 0.044715;

elementwise!(
    /// The Gaussian error linear unit, `y = x / 2 (1 + erf(x / sqrt 2))`, exactly.
    Gelu, gelu,
    map([
        Instruction::Load(0),
        Instruction::Constant(FRAC_1_SQRT_2 as f32),
        Instruction::Binary(Binary::Multiply, 0, 1),
        Instruction::Unary(Unary::Erf, 2),
        Instruction::Constant(1.0),
        Instruction::Binary(Binary::Add, 3, 4),
        Instruction::Constant(0.5),
        Instruction::Binary(Binary::Multiply, 0, 6),
        Instruction::Binary(Binary::Multiply, 7, 5),
    ]),
    |x| 0.5 * x * (1.0 + Real::erf(x * FRAC_1_SQRT_2 as T)),
    |call| {
        let x = &call.inputs[0];
        let normal = ((x * x.full_like(FRAC_1_SQRT_2)).erf() + x.full_like(1.0)) * x.full_like(0.5);
        let density = (x.square() * x.full_like(-0.5)).exp() * x.full_like(0.5 * SQRT_2_PI);
        Gradient::one(call.gradient * (normal + x * density))
    }
);

elementwise!(
    /// The usual approximation of [`Tensor::gelu`] by the hyperbolic tangent,
    /// `y = x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`.
    GeluTanh, gelu_tanh,
    map([
        Instruction::Load(0),
        Instruction::Unary(Unary::Square, 0),
        Instruction::Constant((SQRT_2_PI * CUBIC) as f32),
        Instruction::Binary(Binary::Multiply, 1, 2),
        Instruction::Constant(SQRT_2_PI as f32),
        Instruction::Binary(Binary::Add, 3, 4),
        Instruction::Binary(Binary::Multiply, 0, 5),
        Instruction::Unary(Unary::Tanh, 6),
        Instruction::Constant(1.0),
        Instruction::Binary(Binary::Add, 7, 8),
        Instruction::Constant(0.5),
        Instruction::Binary(Binary::Multiply, 0, 10),
        Instruction::Binary(Binary::Multiply, 11, 9),
    ]),
    |x| 0.5 * x * (1.0 + (SQRT_2_PI as T * (x + CUBIC as T * x * x * x)).tanh()),
    |call| {
        let x = &call.inputs[0];
        let square = x.square();
        let (half, one) = (x.full_like(0.5), x.full_like(1.0));
        let inner = x * (&square * x.full_like(SQRT_2_PI * CUBIC) + x.full_like(SQRT_2_PI));
        let slope = square * x.full_like(3.0 * SQRT_2_PI * CUBIC) + x.full_like(SQRT_2_PI);
        let t = inner.tanh();
        let rest = (x * &half) * ((&one - t.square()) * slope);
        Gradient::one(call.gradient * ((t + one) * half + rest))
    }
);

elementwise!(
    /// The sigmoid linear unit or swish, `y = x sigmoid(x)`.
    Silu, silu,
    map([
        Instruction::Load(0),
        Instruction::Unary(Unary::Sigmoid, 0),
        Instruction::Binary(Binary::Multiply, 0, 1),
    ]),
    |x| x / (1.0 + (-x).exp()),
    |call| {
        let s = call.inputs[0].sigmoid();
        let rest = call.output * (s.full_like(1.0) - &s);
        Gradient::one(call.gradient * (s + rest))
    }
);
