//! Relatives of ReLU: `leaky_relu`, `elu`, `softplus`.

use super::{elementwise::elementwise, prelude::*};

/// The operation `leaky_relu`: `y = x` where `x > 0`, else `slope * x`.
#[derive(Debug)]
pub struct LeakyRelu {
    slope: f64,
}

impl LeakyRelu {
    /// From its attributes.
    pub fn from_attributes(attributes: &Attributes) -> Result<Self, String> {
        Ok(Self {
            slope: attributes.float("slope")?,
        })
    }
}

impl Op for LeakyRelu {
    fn name(&self) -> &'static str {
        "leaky_relu"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none().with("slope", self.slope)
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        infer::float_unary(inputs)
    }

    fn kind(&self) -> Kind {
        map([
            Instruction::Load(0),
            Instruction::Constant(0.0),
            Instruction::Binary(Binary::Greater, 0, 1),
            Instruction::Constant(self.slope as f32),
            Instruction::Binary(Binary::Multiply, 0, 3),
            Instruction::Select {
                condition: 2,
                yes: 0,
                no: 4,
            },
        ])
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let (x, g) = (&call.inputs[0], call.gradient);
        let leak = g * g.full_like(self.slope);
        Gradient::one(x.greater(&x.zeros_like()).select(g, &leak))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => {
            let slope = self.slope as T;
            loops::unary(inputs[0], output, |x: T| if x > 0.0 { x } else { slope * x });
        });
        Ok(())
    }
}

/// The operation `elu`: `y = x` where `x > 0`, else `alpha (e^x - 1)`.
#[derive(Debug)]
pub struct Elu {
    alpha: f64,
}

impl Elu {
    /// From its attributes.
    pub fn from_attributes(attributes: &Attributes) -> Result<Self, String> {
        Ok(Self {
            alpha: attributes.float("alpha")?,
        })
    }
}

impl Op for Elu {
    fn name(&self) -> &'static str {
        "elu"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none().with("alpha", self.alpha)
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        infer::float_unary(inputs)
    }

    fn kind(&self) -> Kind {
        map([
            Instruction::Load(0),
            Instruction::Constant(0.0),
            Instruction::Binary(Binary::Greater, 0, 1),
            Instruction::Unary(Unary::Exp, 0),
            Instruction::Constant(1.0),
            Instruction::Binary(Binary::Subtract, 3, 4),
            Instruction::Constant(self.alpha as f32),
            Instruction::Binary(Binary::Multiply, 5, 6),
            Instruction::Select {
                condition: 2,
                yes: 0,
                no: 7,
            },
        ])
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let (x, g) = (&call.inputs[0], call.gradient);
        // Taken of min(x, 0): where x is large, e^x would overflow, and an infinity times 0 spoil the second
        // derivative.
        let slope = x.minimum(&x.zeros_like()).exp() * x.full_like(self.alpha);
        Gradient::one(x.greater(&x.zeros_like()).select(g, &(g * slope)))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => {
            let alpha = self.alpha as T;
            loops::unary(inputs[0], output, |x: T| if x > 0.0 { x } else { alpha * x.exp_m1() });
        });
        Ok(())
    }
}

elementwise!(
    /// Softplus, `y = ln(1 + e^x)`, computed without overflow; `dy/dx = sigmoid(x)`.
    Softplus, softplus, unary(Unary::Softplus), |x| x.max(0.0) + (-x.abs()).exp().ln_1p(),
    |call| Gradient::one(call.gradient * call.inputs[0].sigmoid())
);

impl Tensor {
    /// `y = x` where `x > 0`, else `slope * x` (Maas et al., 2013).
    #[track_caller]
    pub fn leaky_relu(&self, slope: f64) -> Tensor {
        Tensor::apply(LeakyRelu { slope }, &[self])
    }

    /// The exponential linear unit, `y = x` where `x > 0`, else `alpha (e^x - 1)` (Clevert et al., 2015).
    #[track_caller]
    pub fn elu(&self, alpha: f64) -> Tensor {
        Tensor::apply(Elu { alpha }, &[self])
    }
}
