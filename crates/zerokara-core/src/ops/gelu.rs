//! Smooth gates: `gelu` (Hendrycks and Gimpel, 2016), `y = x P(X <= x)` for a standard normal X, and `silu`,
//! `y = x sigmoid(x)`.
//!
//! | operation | y | dy/dx |
//! |---|---|---|
//! | `gelu` | `x / 2 erfc(-x / sqrt 2)` | `erfc(-x / sqrt 2) / 2 + x e^(-x^2 / 2) / sqrt(2 pi)` |
//! | `gelu_tanh` | `x s`, `s = sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3))` | `s + x s (1 - s) (2 sqrt(2 / pi) (x + 0.044715 x^3))'` |
//! | `silu` | `x s`, `s = sigmoid(x)` | `s + x s (1 - s)` |
//!
//! Far left the gates are small numbers, which `1 + erf` or `1 + tanh` would round to 0. Where they are 0, or their slopes
//! are, an infinite x would make NaN of them: [`FAR`] stands for it.

use super::{elementwise::elementwise, prelude::*};
use loops::Real;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// Where a gate is 0 or 1, and its slope 0, in double precision too: what is beyond makes no difference to it.
pub(super) const FAR: f64 = 1e3;

/// sqrt(2 / pi)
const SQRT_2_PI: f64 = FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
const CUBIC: f64 = 0.044715;

/// The Gaussian error linear unit, `y = x / 2 erfc(-x / sqrt 2) = x / 2 (1 + erf(x / sqrt 2))`, exactly; -0 at -infinity.
#[derive(Debug)]
pub struct Gelu;

/// P(X <= x), which the gradient needs again: its name is the same there, so that it is computed once.
fn normal(x: &Tensor) -> Tensor {
    (x * x.full_like(-FRAC_1_SQRT_2)).erfc() * x.full_like(0.5)
}

impl Op for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        infer::float_unary(inputs)
    }

    fn kind(&self) -> Kind {
        Kind::Composite
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let x = call.inputs[0].clamp(-FAR, FAR);
        let density = (x.square() * x.full_like(-0.5)).exp() * x.full_like(0.5 * SQRT_2_PI);
        Gradient::one(call.gradient * (normal(&x) + x * density))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => loops::unary(inputs[0], output, |x: T| {
            0.5 * loops::maximum(x, -FAR as T) * Real::erfc(x * -FRAC_1_SQRT_2 as T)
        }));
        Ok(())
    }

    fn expand(&self, inputs: &[Tensor]) -> Option<Tensor> {
        let x = inputs.first()?;
        let near = x.clamp(-FAR, FAR);
        Some(x.maximum(&x.full_like(-FAR)) * normal(&near))
    }
}

impl Tensor {
    /// The Gaussian error linear unit, `y = x / 2 erfc(-x / sqrt 2) = x / 2 (1 + erf(x / sqrt 2))`, exactly; -0 at -infinity.
    #[track_caller]
    pub fn gelu(&self) -> Tensor {
        Tensor::apply(Gelu, &[self])
    }
}

elementwise!(
    /// The usual approximation of [`Tensor::gelu`] by the hyperbolic tangent,
    /// `y = x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`; -0 at -infinity.
    GeluTanh, gelu_tanh,
    map([
        Instruction::Load(0),
        Instruction::Unary(Unary::Square, 0),
        Instruction::Constant((2.0 * SQRT_2_PI * CUBIC) as f32),
        Instruction::Binary(Binary::Multiply, 1, 2),
        Instruction::Constant((2.0 * SQRT_2_PI) as f32),
        Instruction::Binary(Binary::Add, 3, 4),
        Instruction::Binary(Binary::Multiply, 0, 5),
        Instruction::Unary(Unary::Sigmoid, 6),
        Instruction::Constant(-FAR as f32),
        Instruction::Binary(Binary::Maximum, 0, 8),
        Instruction::Binary(Binary::Multiply, 9, 7),
    ]),
    |x| {
        let twice = 2.0 * SQRT_2_PI as T * (x + CUBIC as T * x * x * x);
        loops::maximum(x, -FAR as T) * loops::sigmoid(twice)
    },
    |call| {
        let x = call.inputs[0].clamp(-FAR, FAR);
        let square = x.square();
        let twice = x.full_like(2.0 * SQRT_2_PI);
        let s = (&x * (&square * x.full_like(2.0 * SQRT_2_PI * CUBIC) + &twice)).sigmoid();
        let slope = square * x.full_like(6.0 * SQRT_2_PI * CUBIC) + twice;
        let rest = x * (&s * (s.full_like(1.0) - &s) * slope);
        Gradient::one(call.gradient * (s + rest))
    }
);

elementwise!(
    /// The sigmoid linear unit or swish, `y = x sigmoid(x)`; -0 at -infinity.
    Silu, silu,
    map([
        Instruction::Load(0),
        Instruction::Unary(Unary::Sigmoid, 0),
        Instruction::Constant(-FAR as f32),
        Instruction::Binary(Binary::Maximum, 0, 2),
        Instruction::Binary(Binary::Multiply, 3, 1),
    ]),
    |x| loops::maximum(x, -FAR as T) * loops::sigmoid(x),
    |call| {
        let x = call.inputs[0].clamp(-FAR, FAR);
        let s = x.sigmoid();
        let rest = x * &s * (s.full_like(1.0) - &s);
        Gradient::one(call.gradient * (s + rest))
    }
);
