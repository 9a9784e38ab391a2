//! Gates and bounded functions: `mish`, `swish` with a factor, their straight-lined relatives, and `softsign`.
//!
//! | operation | y | dy/dx |
//! |---|---|---|
//! | `mish` | `x tanh(ln(1 + e^x))` (Misra, 2019) | `t + x (1 - t^2) sigmoid(x)`, t the tangent |
//! | `swish` | `x s`, `s = sigmoid(alpha x)` (Ramachandran et al., 2017) | `s + alpha x s (1 - s)` |
//! | `hard_sigmoid` | `min(max(alpha x + beta, 0), 1)` | `alpha` strictly between the bounds, else 0 |
//! | `hard_swish` | `x min(max(x / 6 + 1/2, 0), 1)` (Howard et al., 2019) | 0 up to -3, 1 from 3 on, `x / 3 + 1/2` between |
//! | `softsign` | `x / (1 + abs(x))` | `1 / (1 + abs(x))^2` |
//!
//! At infinities they are their limits.

use super::{
    coding::Coder,
    elementwise::{elementwise, rules},
    gelu::FAR,
    prelude::*,
};

elementwise!(
    /// Mish, `y = x tanh(ln(1 + e^x))`; -0 at -infinity.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let y = Tensor::from([0.0, 1.0]).mish().to_vec::<f32>()?;
    /// assert!(y[0] == 0.0 && (y[1] - 0.8650984).abs() < 1e-6);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    Mish, mish,
    map([
        Instruction::Load(0),
        Instruction::Unary(Unary::Softplus, 0),
        Instruction::Unary(Unary::Tanh, 1),
        Instruction::Constant(-FAR as f32),
        Instruction::Binary(Binary::Maximum, 0, 3),
        Instruction::Binary(Binary::Multiply, 4, 2),
    ]),
    |x| {
        let softplus = x.max(0.0) + (-x.abs()).exp().ln_1p();
        // `max` passes over NaN.
        let softplus = if x.is_nan() { x } else { softplus };
        loops::maximum(x, -FAR as T) * softplus.tanh()
    },
    |call| {
        let x = call.inputs[0].clamp(-FAR, FAR);
        let t = x.softplus().tanh();
        let slope = (t.full_like(1.0) - t.square()) * x.sigmoid();
        Gradient::one(call.gradient * (t + x * slope))
    }
);

/// The operation `swish`.
#[derive(Debug)]
pub struct Swish {
    alpha: f64,
}

attributes!(Swish: alpha);

impl Swish {
    /// Where the gate is 0 or 1: an x beyond makes no difference to it. It is finite in single precision.
    fn far(&self) -> f64 {
        (FAR / self.alpha.abs()).min(f64::from(f32::MAX))
    }
}

impl Op for Swish {
    fn name(&self) -> &'static str {
        "swish"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        if !self.alpha.is_finite() {
            return Err(format!("alpha must be a finite number, not {}", self.alpha));
        }
        infer::float_unary(inputs)
    }

    fn kind(&self) -> Kind {
        let mut code = Coder::default();
        let x = code.load(0);
        let scaled = code.with(Binary::Multiply, x, self.alpha);
        let gate = code.unary(Unary::Sigmoid, scaled);
        let x = match self.alpha {
            0.0 => x,
            above if above > 0.0 => code.with(Binary::Maximum, x, -self.far()),
            _ => code.with(Binary::Minimum, x, self.far()),
        };
        code.binary(Binary::Multiply, x, gate);
        code.kind()
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let g = call.gradient;
        if self.alpha == 0.0 {
            return Gradient::one(g * g.full_like(0.5));
        }
        let x = call.inputs[0].clamp(-self.far(), self.far());
        let scaled = &x * x.full_like(self.alpha);
        let s = scaled.sigmoid();
        let rest = scaled * &s * (s.full_like(1.0) - &s);
        Gradient::one(g * (s + rest))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => {
            let (alpha, far) = (self.alpha as T, self.far() as T);
            loops::unary(inputs[0], output, |x: T| {
                let gate = if alpha == 0.0 { 0.5 } else { loops::sigmoid(alpha * x) };
                let bounded = match alpha {
                    0.0 => x,
                    above if above > 0.0 => loops::maximum(x, -far),
                    _ => loops::minimum(x, far),
                };
                bounded * gate
            });
        });
        Ok(())
    }
}

impl Tensor {
    /// Swish with a factor, `y = x sigmoid(alpha x)`: [`Tensor::silu`] with 1, half of x with 0, and near the ReLU with large
    /// ones. The factor must be finite.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([-1.0, 2.0]);
    /// assert_eq!(x.swish(0.0).to_vec::<f32>()?, [-0.5, 1.0]);
    /// assert!(x.swish(f64::NAN).eval().is_err());
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn swish(&self, alpha: f64) -> Tensor {
        Tensor::apply(Swish { alpha }, &[self])
    }
}

elementwise!(
    /// A straight line for the sigmoid, `y = min(max(alpha x + beta, 0), 1)`; the gradient passes strictly between the
    /// bounds. MobileNetV3 has `alpha = 1/6` and `beta = 1/2`; ONNX has `alpha = 0.2` where nothing is said.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([-9.0, 0.0, 1.0, 9.0]);
    /// assert_eq!(x.hard_sigmoid(0.25, 0.5).to_vec::<f32>()?, [0.0, 0.5, 0.75, 1.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    HardSigmoid { alpha, beta }, hard_sigmoid,
    {
        let mut code = Coder::default();
        let x = code.load(0);
        let product = code.with(Binary::Multiply, x, alpha);
        let line = code.with(Binary::Add, product, beta);
        let line = code.with(Binary::Maximum, line, 0.0);
        code.with(Binary::Minimum, line, 1.0);
        code.kind()
    },
    |x| loops::minimum(loops::maximum(alpha as T * x + beta as T, 0.0), 1.0),
    |call| {
        let x = &call.inputs[0];
        let line = x * x.full_like(alpha) + x.full_like(beta);
        let inside = (line.greater(&line.zeros_like())).logical_and(&line.less(&line.full_like(1.0)));
        let g = call.gradient;
        Gradient::one(inside.select(&(g * g.full_like(alpha)), &g.zeros_like()))
    }
);

/// A straight line for swish, `y = x min(max(x + 3, 0), 6) / 6` (Howard et al., 2019).
#[derive(Debug)]
pub struct HardSwish;

rules!(
    HardSwish {},
    hard_swish,
    {
        let mut code = Coder::default();
        let x = code.load(0);
        let line = code.with(Binary::Add, x, 3.0);
        let line = code.with(Binary::Maximum, line, 0.0);
        let line = code.with(Binary::Minimum, line, 6.0);
        let gate = code.with(Binary::Divide, line, 6.0);
        // Farther left the gate is 0, which an infinite x would make NaN.
        let x = code.with(Binary::Maximum, x, -3.0);
        code.binary(Binary::Multiply, x, gate);
        code.kind()
    },
    |x| {
        let gate = loops::minimum(loops::maximum(x + 3.0, 0.0), 6.0) / 6.0;
        loops::maximum(x, -3.0) * gate
    },
    |call| {
        let (x, g) = (&call.inputs[0], call.gradient);
        let inner = x.clamp(-3.0, 3.0) / x.full_like(3.0) + x.full_like(0.5);
        let (one, zero) = (x.full_like(1.0), x.zeros_like());
        let right = x.greater(&x.full_like(3.0)).select(&one, &inner);
        Gradient::one(g * x.less(&x.full_like(-3.0)).select(&zero, &right))
    }
);

impl Tensor {
    /// A straight line for swish, `y = x min(max(x / 6 + 1/2, 0), 1)`; 0 at -infinity.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([-4.0, 0.0, 1.5, 4.0]);
    /// assert_eq!(x.hard_swish().to_vec::<f32>()?, [0.0, 0.0, 1.125, 4.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn hard_swish(&self) -> Tensor {
        Tensor::apply(HardSwish, &[self])
    }
}

elementwise!(
    /// Softsign, `y = x / (1 + |x|)`, between -1 and 1, which it is at infinities; `dy/dx = 1 / (1 + |x|)^2`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([-1.0, 0.0, 3.0, f32::INFINITY]);
    /// assert_eq!(x.softsign().to_vec::<f32>()?, [-0.5, 0.0, 0.75, 1.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    Softsign, softsign,
    {
        let mut code = Coder::default();
        let x = code.load(0);
        let x = code.with(Binary::Maximum, x, f64::from(f32::MIN));
        let x = code.with(Binary::Minimum, x, f64::from(f32::MAX));
        let a = code.unary(Unary::Absolute, x);
        let below = code.with(Binary::Add, a, 1.0);
        code.binary(Binary::Divide, x, below);
        code.kind()
    },
    |x| {
        let x = loops::minimum(loops::maximum(x, T::MIN), T::MAX);
        x / (1.0 + x.abs())
    },
    |call| {
        let x = &call.inputs[0];
        let below = (x.abs() + x.full_like(1.0)).reciprocal();
        Gradient::one(call.gradient * below.square())
    }
);
