//! Comparisons, element by element, with broadcasting; the answers are truth values, and no gradient flows.

use super::prelude::*;

macro_rules! comparison {
    ($type:ident, $name:literal, $method:ident, $code:expr, $reference:expr) => {
        #[doc = concat!("The operation `", $name, "`.")]
        #[derive(Debug)]
        pub struct $type;

        impl Op for $type {
            fn name(&self) -> &'static str {
                $name
            }
            fn attributes(&self) -> Attributes {
                Attributes::none()
            }
            fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
                let meta = infer::comparison(inputs)?;
                if inputs[0].dtype == DType::Bool {
                    return Err("compares numbers, not truth values; cast them first".into());
                }
                Ok(meta)
            }
            fn kind(&self) -> Kind {
                binary($code)
            }
            fn gradient(&self, _: &Call<'_>) -> Gradient {
                Gradient::Zero
            }
            fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
                loops::numbers!(inputs[0].dtype(), T => loops::compare::<T>(inputs[0], inputs[1], output, $reference));
                Ok(())
            }
        }

        impl Tensor {
            #[doc = concat!("Where `self ", $name, " other`, element by element, as truth values.")]
            #[track_caller]
            pub fn $method(&self, other: &Tensor) -> Tensor {
                Tensor::binary($type, self, other)
            }
        }
    };
}

comparison!(Equal, "equal", equal, Binary::Equal, |a, b| a == b);
comparison!(
    NotEqual,
    "not_equal",
    not_equal,
    Binary::NotEqual,
    |a, b| a != b
);
comparison!(Less, "less", less, Binary::Less, |a, b| a < b);
comparison!(
    LessEqual,
    "less_equal",
    less_equal,
    Binary::LessEqual,
    |a, b| a <= b
);
comparison!(Greater, "greater", greater, Binary::Greater, |a, b| a > b);
comparison!(
    GreaterEqual,
    "greater_equal",
    greater_equal,
    Binary::GreaterEqual,
    |a, b| a >= b
);
