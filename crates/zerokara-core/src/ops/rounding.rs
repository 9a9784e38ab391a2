//! Rounding to whole numbers: `ceil`, `round`; `floor` stands with the functions of straight lines.

use super::{coding::Coder, elementwise::elementwise, prelude::*};

elementwise!(
    /// The smallest integer that is not below x; its derivative is 0.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// assert_eq!(Tensor::from([-1.5, 0.2, 3.0]).ceil().to_vec::<f32>()?, [-1.0, 1.0, 3.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    Ceil, ceil,
    map([
        Instruction::Load(0),
        Instruction::Unary(Unary::Negate, 0),
        Instruction::Unary(Unary::Floor, 1),
        Instruction::Unary(Unary::Negate, 2),
    ]),
    |x| x.ceil(),
    |_call| Gradient::Zero
);

elementwise!(
    /// The nearest integer, the even one of two that are equally near; its derivative is 0.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// assert_eq!(Tensor::from([0.5, 1.5, -2.6]).round().to_vec::<f32>()?, [0.0, 2.0, -3.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "rint")]
    Round, round, nearest(), |x| x.round_ties_even(),
    |_call| Gradient::Zero
);

/// Beside 2^23 a number of single precision has no digits behind the point: an addition rounds them away, to even.
fn nearest() -> Kind {
    const WHOLE: f64 = 8_388_608.0;
    let mut code = Coder::default();
    let x = code.load(0);
    let a = code.unary(Unary::Absolute, x);
    let sum = code.with(Binary::Add, a, WHOLE);
    let rounded = code.with(Binary::Subtract, sum, WHOLE);
    let has_digits = code.with(Binary::Less, a, WHOLE);
    let size = code.select(has_digits, rounded, a);
    let minus = code.unary(Unary::Negate, size);
    let is_negative = code.with(Binary::Less, x, 0.0);
    code.select(is_negative, minus, size);
    code.kind()
}
