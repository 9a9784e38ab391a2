//! What elementwise functions of one tensor have in common.

/// An operation without attributes: `Type, method, kind, |x| value, |call| gradient`. The method's name is the
/// operation's, and its docs are the operation's.
macro_rules! elementwise {
    ($(#[$doc:meta])* $type:ident, $name:ident, $kind:expr, |$x:ident| $value:expr, |$call:ident| $gradient:expr $(,)?) => {
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
                infer::float_unary(inputs)
            }
            fn kind(&self) -> Kind {
                $kind
            }
            fn gradient(&self, $call: &Call<'_>) -> Gradient {
                $gradient
            }
            fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
                loops::floats!(inputs[0].dtype(), T => loops::unary(inputs[0], output, |$x: T| $value));
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

pub(crate) use elementwise;
