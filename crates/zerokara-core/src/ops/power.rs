//! Powers: `square`, `reciprocal`, `rsqrt`, and `pow` with a number or a tensor as the exponent.
//!
//! `d(x^p)/dx = p x^(p-1)`, which is 0 for `p = 0` at `x = 0` too, and `d(x^p)/dp = x^p ln x`, which is 0 at `x = 0` unless p
//! is negative.

use super::{
    elementwise::{elementwise, elementwise_pair},
    prelude::*,
};

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

elementwise!(
    /// Every element to the same power, `y = x^p`; `dy/dx = p x^(p-1)`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// assert_eq!(Tensor::from([1.0, 2.0]).powf(3.0).to_vec::<f32>()?, [1.0, 8.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    Powf { exponent }, powf,
    if exponent == 2.0 {
        unary(Unary::Square)
    } else {
        map([
            Instruction::Load(0),
            Instruction::Constant(exponent as f32),
            Instruction::Binary(Binary::Power, 0, 1),
        ])
    },
    |x| x.powf(exponent as T),
    |call| {
        if exponent == 0.0 {
            return Gradient::Zero;
        }
        let x = &call.inputs[0];
        let slope = x.powf(exponent - 1.0) * x.full_like(exponent);
        Gradient::one(call.gradient * slope)
    }
);

elementwise_pair!(
    /// The operation `pow`: element by element, base and exponent from two tensors.
    Pow, pow, infer::float_binary, Binary::Power, floats binary |x, p| x.powf(p),
    |call| {
        let (x, p) = (&call.inputs[0], &call.inputs[1]);
        let zero = x.zeros_like();
        let one = x.full_like(1.0);
        let at_zero = x.equal(&zero);
        // 1 stands for 0 where that to a negative power, or its logarithm, would be an infinity that meets a 0, here or in
        // a further derivative: choosing between the results would be too late for those.
        let base = at_zero.logical_and(&p.equal(&zero)).select(&one, x);
        let flat = at_zero.logical_and(&p.greater_equal(&zero));
        let logarithm = flat.select(&one, x).log();
        Gradient::two(
            call.gradient * (p * base.pow(&(p - one))),
            flat.select(&zero, &(call.gradient * (call.output * logarithm))),
        )
    }
);

impl Tensor {
    /// `self ^ exponent`, element by element, with broadcasting.
    #[track_caller]
    pub fn pow(&self, exponent: &Tensor) -> Tensor {
        Tensor::binary(Pow, self, exponent)
    }
}
