//! Leaves of the graph: data, the value of a parameter, the input of a program.

use crate::{Array, Attributes, DType, Meta, Tensor, op::*};

/// The leaves differ only in what they are: none computes anything.
macro_rules! leaf {
    ($type:ty, $name:literal, |$self:ident| $attributes:expr) => {
        impl Op for $type {
            fn name(&self) -> &'static str {
                $name
            }
            fn attributes(&self) -> Attributes {
                let $self = self;
                $attributes
            }
            fn infer(&self, _: &[Meta]) -> Result<Meta, String> {
                Err("a leaf is not applied".into())
            }
            fn kind(&self) -> Kind {
                Kind::Leaf
            }
            fn gradient(&self, _: &Call<'_>) -> Gradient {
                Gradient::Zero
            }
            fn reference(&self, _: &[&Array], _: &mut Array) -> Result<(), String> {
                Err(concat!("a ", $name, " has no value of its own").into())
            }
        }
    };
}

/// A value given by the user.
#[derive(Debug)]
pub struct Data;
leaf!(Data, "data", |_op| Attributes::none());

/// The value that a parameter had when the tensor was made.
#[derive(Debug)]
pub struct ParameterValue {
    /// The parameter's identity.
    pub id: u64,
}
leaf!(ParameterValue, "parameter", |op| Attributes::none()
    .with("id", op.id as i64));

/// A value that is given when a program runs.
#[derive(Debug)]
pub struct Input {
    /// Its name.
    pub name: String,
}
leaf!(Input, "input", |op| Attributes::none()
    .with("name", op.name.as_str()));

impl Tensor {
    /// A value to be given later, when the program runs that is compiled of what is built upon it.
    #[track_caller]
    pub fn input(name: impl Into<String>, shape: impl Into<Vec<usize>>, dtype: DType) -> Tensor {
        Tensor::leaf(
            Input { name: name.into() },
            Meta::new(shape, dtype),
            None,
            None,
        )
    }
}
