//! What elementwise operations have in common: what differs between them is stated on adjacent lines.

/// An operation on one float tensor, and its method on [`Tensor`](crate::Tensor): `Type, method, kind, |x| value,
/// |call| gradient`. The method's name is the operation's, and its docs are the operation's.
///
/// `Type { a, b }` has attributes, which are numbers: the method takes them, and the three expressions see them.
macro_rules! elementwise {
    ($(#[$doc:meta])* $type:ident, $name:ident, $($rules:tt)+) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $type;

        $crate::ops::elementwise::rules!($type {}, $name, $($rules)+);

        impl Tensor {
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self) -> Tensor {
                Tensor::apply($type, &[self])
            }
        }
    };
    ($(#[$doc:meta])* $type:ident { $($field:ident),+ }, $name:ident, $($rules:tt)+) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $type {
            $($field: f64),+
        }

        impl $type {
            /// From its attributes.
            pub fn from_attributes(attributes: &Attributes) -> Result<Self, String> {
                Ok(Self {
                    $($field: attributes.float(stringify!($field))?),+
                })
            }
        }

        $crate::ops::elementwise::rules!($type { $($field),+ }, $name, $($rules)+);

        impl Tensor {
            $(#[$doc])*
            #[track_caller]
            pub fn $name(&self, $($field: f64),+) -> Tensor {
                Tensor::apply($type { $($field),+ }, &[self])
            }
        }
    };
}

/// The rules of an operation that [`elementwise`] declares.
macro_rules! rules {
    ($type:ident { $($field:ident),* }, $name:ident, $kind:expr, |$x:ident| $value:expr, |$call:ident| $gradient:expr $(,)?) => {
        impl Op for $type {
            fn name(&self) -> &'static str {
                stringify!($name)
            }
            fn attributes(&self) -> Attributes {
                Attributes::none()$(.with(stringify!($field), self.$field))*
            }
            fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
                infer::float_unary(inputs)
            }
            fn kind(&self) -> Kind {
                $(let $field = self.$field;)*
                $kind
            }
            fn gradient(&self, $call: &Call<'_>) -> Gradient {
                $(let $field = self.$field;)*
                $gradient
            }
            fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
                $(let $field = self.$field;)*
                loops::floats!(inputs[0].dtype(), T => loops::unary(inputs[0], output, |$x: T| $value));
                Ok(())
            }
        }
    };
}

/// An operation on two tensors of one shape, without attributes: `Type, name, shape rule, code, loop, |a, b| value,
/// |call| gradient`. The loop is `numbers binary`, `floats binary` or `numbers compare`: for which element types, and
/// whether the values are numbers or truth values. How it is called differs (operators, methods), and is written
/// beside it.
macro_rules! elementwise_pair {
    ($(#[$doc:meta])* $type:ident, $name:ident, $infer:path, $code:expr,
     $types:ident $loop:ident |$a:ident, $b:ident| $value:expr, |$call:ident| $gradient:expr $(,)?) => {
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
                $infer(inputs)
            }
            fn kind(&self) -> Kind {
                binary($code)
            }
            fn gradient(&self, $call: &Call<'_>) -> Gradient {
                $gradient
            }
            fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
                loops::$types!(inputs[0].dtype(), T => {
                    loops::$loop(inputs[0], inputs[1], output, |$a: T, $b: T| $value);
                });
                Ok(())
            }
        }
    };
}

pub(crate) use {elementwise, elementwise_pair, rules};
