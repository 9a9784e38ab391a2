//! Bits of integers (i64 in two's complement, and bytes): `bitwise_and`, `bitwise_or`, `bitwise_xor`, `bitwise_not`,
//! `bit_shift`. No gradient flows.

use super::prelude::*;

/// An error unless the tensor holds integers.
fn integer(x: &Meta) -> Result<(), String> {
    match x.dtype {
        DType::I64 | DType::U8 => Ok(()),
        other => Err(format!("needs integers, not {other}; cast them first")),
    }
}

/// Which bits are set.
#[derive(Clone, Copy, Debug)]
pub enum Bits {
    /// Those of both.
    And,
    /// Those of either.
    Or,
    /// Those of one alone.
    Xor,
}

/// The operations `bitwise_and`, `bitwise_or` and `bitwise_xor`.
#[derive(Debug)]
pub struct Bitwise(pub Bits);

impl Op for Bitwise {
    fn name(&self) -> &'static str {
        match self.0 {
            Bits::And => "bitwise_and",
            Bits::Or => "bitwise_or",
            Bits::Xor => "bitwise_xor",
        }
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let meta = infer::number_binary(inputs)?;
        integer(&meta)?;
        Ok(meta)
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::integers!(inputs[0].dtype(), T => {
            loops::binary(inputs[0], inputs[1], output, |a: T, b: T| match self.0 {
                Bits::And => a & b,
                Bits::Or => a | b,
                Bits::Xor => a ^ b,
            });
        });
        Ok(())
    }
}

/// The operation `bitwise_not`.
#[derive(Debug)]
pub struct BitwiseNot;

impl Op for BitwiseNot {
    fn name(&self) -> &'static str {
        "bitwise_not"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        integer(x)?;
        Ok(x.clone())
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::integers!(inputs[0].dtype(), T => loops::unary(inputs[0], output, |x: T| !x));
        Ok(())
    }
}

/// The operation `bit_shift`.
#[derive(Debug)]
pub struct BitShift {
    /// To the right, not to the left.
    right: bool,
}

attributes!(BitShift: right);

impl Op for BitShift {
    fn name(&self) -> &'static str {
        "bit_shift"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let meta = infer::number_binary(inputs)?;
        integer(&meta)?;
        Ok(meta)
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        if inputs[1].dtype() == DType::I64
            && let Some(negative) = inputs[1].slice::<i64>().iter().find(|&&by| by < 0)
        {
            return Err(format!("bits are not shifted by {negative} places"));
        }
        loops::integers!(inputs[0].dtype(), T => {
            loops::binary(inputs[0], inputs[1], output, |x: T, by: T| {
                // Not negative, as was checked.
                let places = (by as u64).min(u64::from(T::BITS)) as u32;
                match self.right {
                    // The sign is all that is left of a number when its bits are gone.
                    true => x >> places.min(T::BITS - 1) >> u32::from(places >= T::BITS),
                    false => x.checked_shl(places).unwrap_or(0),
                }
            });
        });
        Ok(())
    }
}

impl Tensor {
    /// The bits that both integers have, with broadcasting.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let (a, b) = (Tensor::from([12, -1]), Tensor::from([10, 7]));
    /// assert_eq!(a.bitwise_and(&b).to_vec::<i64>()?, [8, 7]);
    /// assert_eq!(a.bitwise_or(&b).to_vec::<i64>()?, [14, -1]);
    /// assert_eq!(a.bitwise_xor(&b).to_vec::<i64>()?, [6, -8]);
    /// assert_eq!(a.bitwise_not().to_vec::<i64>()?, [-13, 0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn bitwise_and(&self, other: &Tensor) -> Tensor {
        Tensor::binary(Bitwise(Bits::And), self, other)
    }

    /// The bits that either of two integers has, with broadcasting.
    #[track_caller]
    pub fn bitwise_or(&self, other: &Tensor) -> Tensor {
        Tensor::binary(Bitwise(Bits::Or), self, other)
    }

    /// The bits that one of two integers has alone, with broadcasting.
    #[track_caller]
    pub fn bitwise_xor(&self, other: &Tensor) -> Tensor {
        Tensor::binary(Bitwise(Bits::Xor), self, other)
    }

    /// The bits that an integer does not have: `-1 - x` of an i64, `255 - x` of a byte.
    #[track_caller]
    pub fn bitwise_not(&self) -> Tensor {
        Tensor::apply(BitwiseNot, &[self])
    }

    /// The bits of integers moved to the left by so many places, with broadcasting: `x 2^by`, of which the bits that go beyond
    /// are lost. A negative number of places is an error when the tensor is evaluated.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let (x, by) = (Tensor::from([5, -5]), Tensor::from([2, 1]));
    /// assert_eq!(x.shift_left(&by).to_vec::<i64>()?, [20, -10]);
    /// assert_eq!(x.shift_right(&by).to_vec::<i64>()?, [1, -3]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn shift_left(&self, by: &Tensor) -> Tensor {
        Tensor::binary(BitShift { right: false }, self, by)
    }

    /// The bits of integers moved to the right by so many places, with broadcasting: `x / 2^by` rounded down, the sign of an i64
    /// stays. A negative number of places is an error when the tensor is evaluated.
    #[track_caller]
    pub fn shift_right(&self, by: &Tensor) -> Tensor {
        Tensor::binary(BitShift { right: true }, self, by)
    }
}
