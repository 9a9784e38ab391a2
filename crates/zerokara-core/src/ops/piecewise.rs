//! Functions that are straight lines piece by piece: `abs`, `sign`, `step`, `floor`.

use super::{elementwise::elementwise, prelude::*};

elementwise!(
    /// The absolute value, `y = |x|`; `dy/dx = sign(x)`, 0 at 0.
    Abs, abs, unary(Unary::Absolute), |x| x.abs(),
    |call| Gradient::one(call.gradient * call.inputs[0].sign())
);

elementwise!(
    /// The sign, -1, 0 or 1 (NaN stays NaN); its derivative is 0.
    Sign, sign, unary(Unary::Sign),
    |x| if x > 0.0 { 1.0 } else if x < 0.0 { -1.0 } else { x.abs() },
    |_call| Gradient::Zero
);

elementwise!(
    /// The step function, 1 where `x > 0`, else 0 (page 45 of the book); its derivative is 0.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([-1.0, 0.0, 2.0]);
    /// assert_eq!(x.step().to_vec::<f32>()?, [0.0, 0.0, 1.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "step_function")]
    Step, step,
    map([Instruction::Load(0), Instruction::Constant(0.0), Instruction::Binary(Binary::Greater, 0, 1)]),
    |x| if x > 0.0 { 1.0 } else { 0.0 },
    |_call| Gradient::Zero
);

elementwise!(
    /// The largest integer that is not above x; its derivative is 0.
    Floor, floor, unary(Unary::Floor), |x| x.floor(),
    |_call| Gradient::Zero
);
