//! Truth values: `logical_and`, `logical_or`, `logical_xor`, `logical_not`, and the questions `is_finite`, `is_nan` and
//! `is_inf`. No gradient flows.

use super::{coding::Coder, prelude::*};

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

/// The operation `logical_xor`.
#[derive(Debug)]
pub struct LogicalXor;

impl Op for LogicalXor {
    fn name(&self) -> &'static str {
        "logical_xor"
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
        binary(Binary::NotEqual)
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let pairs = inputs[0].bools().iter().zip(inputs[1].bools());
        for (y, (&a, &b)) in output.bools_mut().iter_mut().zip(pairs) {
            *y = a ^ b;
        }
        Ok(())
    }
}

/// The operation `is_nan`.
#[derive(Debug)]
pub struct IsNan;

impl Op for IsNan {
    fn name(&self) -> &'static str {
        "is_nan"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let meta = infer::float_unary(inputs)?;
        Ok(Meta::new(meta.shape, DType::Bool))
    }

    fn kind(&self) -> Kind {
        map([
            Instruction::Load(0),
            Instruction::Binary(Binary::NotEqual, 0, 0),
        ])
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => {
            for (y, x) in output.bools_mut().iter_mut().zip(inputs[0].slice::<T>()) {
                *y = x.is_nan() as u8;
            }
        });
        Ok(())
    }
}

/// The operation `is_inf`.
#[derive(Debug)]
pub struct IsInf {
    /// Whether -infinity counts.
    negative: bool,
    /// Whether +infinity counts.
    positive: bool,
}

attributes!(IsInf: negative, positive);

impl Op for IsInf {
    fn name(&self) -> &'static str {
        "is_inf"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let meta = infer::float_unary(inputs)?;
        Ok(Meta::new(meta.shape, DType::Bool))
    }

    fn kind(&self) -> Kind {
        let mut code = Coder::default();
        let x = code.load(0);
        match (self.negative, self.positive) {
            (false, false) => {
                // Nothing is unequal to itself and equal.
                let other = code.binary(Binary::NotEqual, x, x);
                let same = code.binary(Binary::Equal, x, x);
                code.binary(Binary::And, other, same)
            }
            (true, true) => {
                let size = code.unary(Unary::Absolute, x);
                code.with(Binary::Equal, size, f64::INFINITY)
            }
            (true, false) => code.with(Binary::Equal, x, f64::NEG_INFINITY),
            (false, true) => code.with(Binary::Equal, x, f64::INFINITY),
        };
        code.kind()
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => {
            for (y, &x) in output.bools_mut().iter_mut().zip(inputs[0].slice::<T>()) {
                let counts = if x > 0.0 { self.positive } else { self.negative };
                *y = (x.is_infinite() && counts) as u8;
            }
        });
        Ok(())
    }
}

impl Tensor {
    /// Where exactly one of two tensors of truth values holds, with broadcasting.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([-1.0, 0.5, 3.0]);
    /// let (above, below) = (x.greater(&Tensor::from(0.0)), x.less(&Tensor::from(1.0)));
    /// assert_eq!(above.logical_xor(&below).eval()?.as_bools()?, [1, 0, 1]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn logical_xor(&self, other: &Tensor) -> Tensor {
        Tensor::binary(LogicalXor, self, other)
    }

    /// Where the elements are NaN, as truth values.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// assert_eq!(Tensor::from([f32::NAN, 1.0]).is_nan().eval()?.as_bools()?, [1, 0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn is_nan(&self) -> Tensor {
        Tensor::apply(IsNan, &[self])
    }

    /// Where the elements are infinite, as truth values.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([f32::INFINITY, f32::NEG_INFINITY, f32::NAN]);
    /// assert_eq!(x.is_inf().eval()?.as_bools()?, [1, 1, 0]);
    /// assert_eq!(x.is_inf_of(false, true).eval()?.as_bools()?, [1, 0, 0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn is_inf(&self) -> Tensor {
        self.is_inf_of(true, true)
    }

    /// Where the elements are -infinity, if `negative`, or +infinity, if `positive`, as truth values.
    #[track_caller]
    pub fn is_inf_of(&self, negative: bool, positive: bool) -> Tensor {
        Tensor::apply(IsInf { negative, positive }, &[self])
    }

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
