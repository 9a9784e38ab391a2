//! Functions that are straight lines piece by piece: `abs`, `sign`, `step`, `floor`. The first two are for integers too.

use super::{elementwise::elementwise, loops::Number, prelude::*};

/// An operation on one tensor of numbers, and its method: `Type, method, code, loop, |call| gradient`.
macro_rules! of_numbers {
    ($(#[$doc:meta])* $type:ident, $name:ident, $code:expr, $value:path, |$call:ident| $gradient:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $type;

        impl Op for $type {
            fn name(&self) -> &'static str {
                stringify!($name)
            }
            fn attributes(&self) -> Attributes {
                Attributes::none()
            }
            fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
                let [x] = infer::arity(inputs)?;
                match x.dtype {
                    DType::Bool => Err("needs numbers, not truth values".into()),
                    _ => Ok(x.clone()),
                }
            }
            fn kind(&self) -> Kind {
                unary($code)
            }
            fn gradient(&self, $call: &Call<'_>) -> Gradient {
                $gradient
            }
            fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
                loops::numbers!(inputs[0].dtype(), T => loops::unary::<T>(inputs[0], output, $value));
                Ok(())
            }
        }

        impl Tensor {
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self) -> Tensor {
                Tensor::apply($type, &[self])
            }
        }
    };
}

of_numbers!(
    /// The absolute value, `y = |x|`; `dy/dx = sign(x)`, 0 at 0. That of the smallest integer wraps around to itself.
    Abs, abs, Unary::Absolute, Number::absolute,
    |call| Gradient::one(call.gradient * call.inputs[0].sign())
);

of_numbers!(
    /// The sign, -1, 0 or 1 (NaN stays NaN); its derivative is 0.
    Sign, sign, Unary::Sign, Number::sign,
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
