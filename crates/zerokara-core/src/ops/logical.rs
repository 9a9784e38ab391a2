//! Truth values: `logical_and`, `logical_or`, `logical_not`, and the question `is_finite`. No gradient flows.

use super::prelude::*;

/// The operations `logical_and` and `logical_or`.
#[derive(Debug)]
pub struct Logical {
    /// `or` instead of `and`.
    pub or: bool,
}

fn truth(x: &Meta) -> Result<(), String> {
    if x.dtype == DType::Bool {
        Ok(())
    } else {
        Err(format!("needs truth values, not {}", x.dtype))
    }
}

impl Op for Logical {
    fn name(&self) -> &'static str {
        if self.or { "logical_or" } else { "logical_and" }
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [a, b] = infer::arity(inputs)?;
        truth(a)?;
        infer::same(a, b)?;
        Ok(a.clone())
    }

    fn kind(&self) -> Kind {
        binary(if self.or { Binary::Or } else { Binary::And })
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let pairs = inputs[0].bools().iter().zip(inputs[1].bools());
        for (y, (&a, &b)) in output.bools_mut().iter_mut().zip(pairs) {
            *y = if self.or { a | b } else { a & b };
        }
        Ok(())
    }
}

/// The operation `logical_not`.
#[derive(Debug)]
pub struct LogicalNot;

impl Op for LogicalNot {
    fn name(&self) -> &'static str {
        "logical_not"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        truth(x)?;
        Ok(x.clone())
    }

    fn kind(&self) -> Kind {
        unary(Unary::Not)
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        for (y, &x) in output.bools_mut().iter_mut().zip(inputs[0].bools()) {
            *y = 1 - x;
        }
        Ok(())
    }
}

/// The operation `is_finite`.
#[derive(Debug)]
pub struct IsFinite;

impl Op for IsFinite {
    fn name(&self) -> &'static str {
        "is_finite"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let meta = infer::float_unary(inputs)?;
        Ok(Meta::new(meta.shape, DType::Bool))
    }

    fn kind(&self) -> Kind {
        unary(Unary::IsFinite)
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => {
            for (y, x) in output.bools_mut().iter_mut().zip(inputs[0].slice::<T>()) {
                *y = x.is_finite() as u8;
            }
        });
        Ok(())
    }
}

impl Tensor {
    /// Where both tensors of truth values hold, with broadcasting.
    #[track_caller]
    pub fn logical_and(&self, other: &Tensor) -> Tensor {
        Tensor::binary(Logical { or: false }, self, other)
    }

    /// Where at least one of two tensors of truth values holds, with broadcasting.
    #[track_caller]
    pub fn logical_or(&self, other: &Tensor) -> Tensor {
        Tensor::binary(Logical { or: true }, self, other)
    }

    /// Where this tensor of truth values does not hold.
    #[track_caller]
    pub fn logical_not(&self) -> Tensor {
        Tensor::apply(LogicalNot, &[self])
    }

    /// Where the elements are neither infinite nor NaN, as truth values.
    #[track_caller]
    pub fn is_finite(&self) -> Tensor {
        Tensor::apply(IsFinite, &[self])
    }
}
