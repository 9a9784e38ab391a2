//! Powers: `square`, `reciprocal`, `rsqrt`, and `pow` with a number or a tensor as the exponent.
//!
//! `d(x^p)/dx = p x^(p-1)` and `d(x^p)/dp = x^p ln x`, which is 0 at `x = 0`.

use super::{elementwise::elementwise, prelude::*};

elementwise!(
    /// The square, `y = x^2`; `dy/dx = 2x`.
    Square, square, unary(Unary::Square), |x| x * x,
    |call| Gradient::one(call.gradient * (&call.inputs[0] * call.output.full_like(2.0)))
);

elementwise!(
    /// The reciprocal, `y = 1 / x`; `dy/dx = -y^2`.
    Reciprocal, reciprocal, unary(Unary::Reciprocal), |x| x.recip(),
    |call| Gradient::one(-(call.gradient * call.output.square()))
);

elementwise!(
    /// The reciprocal of the square root, `y = 1 / sqrt(x)`; `dy/dx = -y^3 / 2`.
    Rsqrt, rsqrt, unary(Unary::Rsqrt), |x| x.sqrt().recip(),
    |call| {
        let cube = call.output.square() * call.output;
        Gradient::one(call.gradient * (cube * call.output.full_like(-0.5)))
    }
);

/// The operation `powf`: every element to the same power.
#[derive(Debug)]
pub struct PowScalar {
    exponent: f64,
}

impl PowScalar {
    /// From its attributes.
    pub fn from_attributes(attributes: &Attributes) -> Result<Self, String> {
        Ok(Self {
            exponent: attributes.float("exponent")?,
        })
    }
}

impl Op for PowScalar {
    fn name(&self) -> &'static str {
        "powf"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none().with("exponent", self.exponent)
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        infer::float_unary(inputs)
    }

    fn kind(&self) -> Kind {
        if self.exponent == 2.0 {
            return unary(Unary::Square);
        }
        map([
            Instruction::Load(0),
            Instruction::Constant(self.exponent as f32),
            Instruction::Binary(Binary::Power, 0, 1),
        ])
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        if self.exponent == 0.0 {
            return Gradient::Zero;
        }
        let x = &call.inputs[0];
        let slope = x.powf(self.exponent - 1.0) * x.full_like(self.exponent);
        Gradient::one(call.gradient * slope)
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => {
            let exponent = self.exponent as T;
            loops::unary(inputs[0], output, |x: T| x.powf(exponent));
        });
        Ok(())
    }
}

/// The operation `pow`: element by element, base and exponent from two tensors.
#[derive(Debug)]
pub struct Pow;

impl Op for Pow {
    fn name(&self) -> &'static str {
        "pow"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        infer::float_binary(inputs)
    }

    fn kind(&self) -> Kind {
        binary(Binary::Power)
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let [x, p] = call.inputs else {
            return Gradient::Forbidden("pow takes two inputs");
        };
        let zero = x.zeros_like();
        let one = x.full_like(1.0);
        let at_zero = x.equal(&zero);
        // The logarithm is taken of 1 instead of 0, so that no infinity meets a 0 here or in a second derivative.
        let logarithm = at_zero.select(&one, x).log();
        Gradient::two(
            call.gradient * (p * x.pow(&(p - one))),
            at_zero.select(&zero, &(call.gradient * (call.output * logarithm))),
        )
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => loops::binary(inputs[0], inputs[1], output, |x: T, p: T| x.powf(p)));
        Ok(())
    }
}

impl Tensor {
    /// `self ^ exponent`, element by element, with broadcasting.
    #[track_caller]
    pub fn pow(&self, exponent: &Tensor) -> Tensor {
        Tensor::binary(Pow, self, exponent)
    }

    /// Every element to the same power; `dy/dx = p x^(p-1)`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// assert_eq!(Tensor::from([1.0, 2.0]).powf(3.0).to_vec::<f32>()?, [1.0, 8.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn powf(&self, exponent: f64) -> Tensor {
        Tensor::apply(PowScalar { exponent }, &[self])
    }
}
