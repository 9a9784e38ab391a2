//! Comparisons, element by element, with broadcasting; the answers are truth values, and no gradient flows.

use super::{elementwise::elementwise_pair, prelude::*};

macro_rules! comparison {
    ($type:ident, $name:ident, $sign:tt) => {
        elementwise_pair!(
            #[doc = concat!("The operation `", stringify!($name), "`.")]
            $type, $name, infer::comparison, Binary::$type, numbers compare |a, b| a $sign b,
            |_call| Gradient::Zero
        );

        impl Tensor {
            #[doc = concat!("Where `self ", stringify!($sign), " other`, element by element, as truth values.")]
            #[track_caller]
            pub fn $name(&self, other: &Tensor) -> Tensor {
                Tensor::binary($type, self, other)
            }
        }
    };
}

comparison!(Equal, equal, ==);
comparison!(NotEqual, not_equal, !=);
comparison!(Less, less, <);
comparison!(LessEqual, less_equal, <=);
comparison!(Greater, greater, >);
comparison!(GreaterEqual, greater_equal, >=);
