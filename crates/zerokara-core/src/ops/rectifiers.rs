//! Relatives of ReLU: `leaky_relu`, `elu`, `selu`, `celu`, `softplus`.

use super::{
    coding::Coder,
    elementwise::{elementwise, rules},
    prelude::*,
};

elementwise!(
    /// The leaky ReLU, `y = x` where `x > 0`, else `slope * x` (Maas et al., 2013); `dy/dx` is 1 or `slope`.
    LeakyRelu { slope }, leaky_relu,
    // With a slope of 0 it is the ReLU, at -infinity too.
    if slope == 0.0 {
        map([
            Instruction::Load(0),
            Instruction::Constant(0.0),
            Instruction::Binary(Binary::Maximum, 0, 1),
        ])
    } else {
        map([
            Instruction::Load(0),
            Instruction::Constant(0.0),
            Instruction::Binary(Binary::Greater, 0, 1),
            Instruction::Constant(slope as f32),
            Instruction::Binary(Binary::Multiply, 0, 3),
            Instruction::Select { condition: 2, yes: 0, no: 4 },
        ])
    },
    |x| if slope == 0.0 {
        loops::maximum(x, 0.0)
    } else if x > 0.0 {
        x
    } else {
        slope as T * x
    },
    |call| {
        let (x, g) = (&call.inputs[0], call.gradient);
        let leak = g * g.full_like(slope);
        Gradient::one(x.greater(&x.zeros_like()).select(g, &leak))
    }
);

elementwise!(
    /// The exponential linear unit, `y = x` where `x > 0`, else `alpha (e^x - 1)` (Clevert et al., 2015); `dy/dx` is 1 or
    /// `alpha e^x`.
    Elu { alpha }, elu,
    map([
        Instruction::Load(0),
        Instruction::Constant(0.0),
        Instruction::Binary(Binary::Greater, 0, 1),
        Instruction::Unary(Unary::ExpM1, 0),
        Instruction::Constant(alpha as f32),
        Instruction::Binary(Binary::Multiply, 3, 4),
        Instruction::Select { condition: 2, yes: 0, no: 5 },
    ]),
    |x| if x > 0.0 { x } else { alpha as T * x.exp_m1() },
    |call| {
        let (x, g) = (&call.inputs[0], call.gradient);
        // Taken of min(x, 0): where x is large, e^x would overflow, and an infinity times 0 spoil the second
        // derivative.
        let slope = x.minimum(&x.zeros_like()).exp() * x.full_like(alpha);
        Gradient::one(x.greater(&x.zeros_like()).select(g, &(g * slope)))
    }
);

/// The operation `selu`.
#[derive(Debug)]
pub struct Selu {
    alpha: f64,
    gamma: f64,
}

impl Selu {
    /// From its attributes.
    pub fn from_attributes(attributes: &Attributes) -> Result<Self, String> {
        Ok(Self {
            alpha: attributes.float("alpha")?,
            gamma: attributes.float("gamma")?,
        })
    }

    /// The fixed point of mean 0 and variance 1 (Klambauer et al., 2017).
    pub const ALPHA: f64 = 1.6732632423543772;
    /// The scale that goes with it.
    pub const GAMMA: f64 = 1.0507009873554805;
}

rules!(
    Selu { alpha, gamma },
    selu,
    {
        let mut code = Coder::default();
        let x = code.load(0);
        let below = code.unary(Unary::ExpM1, x);
        let below = code.with(Binary::Multiply, below, alpha * gamma);
        let above = code.with(Binary::Multiply, x, gamma);
        let is_above = code.with(Binary::Greater, x, 0.0);
        code.select(is_above, above, below);
        code.kind()
    },
    |x| if x > 0.0 {
        gamma as T * x
    } else {
        (alpha * gamma) as T * x.exp_m1()
    },
    |call| {
        let (x, g) = (&call.inputs[0], call.gradient);
        // Of min(x, 0), as in `elu`.
        let slope = x.minimum(&x.zeros_like()).exp() * x.full_like(alpha * gamma);
        let above = g * g.full_like(gamma);
        Gradient::one(x.greater(&x.zeros_like()).select(&above, &(g * slope)))
    }
);

/// The operation `celu`.
#[derive(Debug)]
pub struct Celu {
    alpha: f64,
}

attributes!(Celu: alpha);

impl Op for Celu {
    fn name(&self) -> &'static str {
        "celu"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        if self.alpha == 0.0 || !self.alpha.is_finite() {
            return Err(format!(
                "alpha must be a finite number other than 0, not {}",
                self.alpha
            ));
        }
        infer::float_unary(inputs)
    }

    fn kind(&self) -> Kind {
        let mut code = Coder::default();
        let x = code.load(0);
        let scaled = code.with(Binary::Divide, x, self.alpha);
        let below = code.unary(Unary::ExpM1, scaled);
        let below = code.with(Binary::Multiply, below, self.alpha);
        let is_above = code.with(Binary::Greater, x, 0.0);
        code.select(is_above, x, below);
        code.kind()
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let (x, g) = (&call.inputs[0], call.gradient);
        // Of min(x, 0), as in `elu`.
        let slope = (x.minimum(&x.zeros_like()) / x.full_like(self.alpha)).exp();
        Gradient::one(x.greater(&x.zeros_like()).select(g, &(g * slope)))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => {
            let alpha = self.alpha as T;
            loops::unary(inputs[0], output, |x: T| if x > 0.0 { x } else { alpha * (x / alpha).exp_m1() });
        });
        Ok(())
    }
}

impl Tensor {
    /// The scaled exponential linear unit, `y = gamma x` where `x > 0`, else `gamma alpha (e^x - 1)`, with the two numbers that
    /// keep mean 0 and variance 1 from layer to layer (Klambauer et al., 2017).
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let y = Tensor::from([-1.0, 1.0]).selu().to_vec::<f32>()?;
    /// assert!((y[0] + 1.1113307).abs() < 1e-6 && (y[1] - 1.050701).abs() < 1e-6);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn selu(&self) -> Tensor {
        self.selu_with(Selu::ALPHA, Selu::GAMMA)
    }

    /// [`Tensor::selu`] with other numbers.
    #[track_caller]
    pub fn selu_with(&self, alpha: f64, gamma: f64) -> Tensor {
        Tensor::apply(Selu { alpha, gamma }, &[self])
    }

    /// The exponential linear unit whose slope is continuous, `y = x` where `x > 0`, else `alpha (e^(x / alpha) - 1)` (Barron,
    /// 2017). `alpha` is finite and not 0.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let y = Tensor::from([-2.0, 3.0]).celu(2.0).to_vec::<f32>()?;
    /// assert!((y[0] + 1.2642411).abs() < 1e-6 && y[1] == 3.0);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn celu(&self, alpha: f64) -> Tensor {
        Tensor::apply(Celu { alpha }, &[self])
    }
}

elementwise!(
    /// Softplus, `y = ln(1 + e^x)`, computed without overflow; `dy/dx = sigmoid(x)`.
    Softplus, softplus, unary(Unary::Softplus), |x| x.max(0.0) + (-x.abs()).exp().ln_1p(),
    |call| Gradient::one(call.gradient * call.inputs[0].sigmoid())
);
