//! Relatives of ReLU: `leaky_relu`, `elu`, `softplus`.

use super::{elementwise::elementwise, prelude::*};

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

elementwise!(
    /// Softplus, `y = ln(1 + e^x)`, computed without overflow; `dy/dx = sigmoid(x)`.
    Softplus, softplus, unary(Unary::Softplus), |x| x.max(0.0) + (-x.abs()).exp().ln_1p(),
    |call| Gradient::one(call.gradient * call.inputs[0].sigmoid())
);
