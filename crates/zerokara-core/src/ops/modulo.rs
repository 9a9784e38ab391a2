//! The remainder of a division, `y = a - q b`. Of numbers with different signs there are two: with q rounded down, y has the
//! sign of b (Python's `%`), with q rounded towards 0, that of a (C's `fmod`).
//!
//! `quotient` is q itself, whose derivative is 0. Integers are divided by it alone: `divide` is for floats.
//!
//! For floats `da = g` and `db = -q g`. In ONNX floats take `truncated` alone; here they may have both, as in PyTorch
//! (`fmod`, `remainder`).

use super::prelude::*;

/// The operation, on inputs of one shape.
#[derive(Debug)]
pub struct Modulo {
    /// Whether the quotient is rounded towards 0, not down.
    truncated: bool,
}

attributes!(Modulo: truncated);

impl Op for Modulo {
    fn name(&self) -> &'static str {
        "modulo"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        infer::number_binary(inputs)
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let [a, b] = call.inputs else {
            return Gradient::Forbidden("modulo takes two inputs");
        };
        if !a.meta().is_ok_and(Meta::is_float) {
            return Gradient::Zero;
        }
        // Near a whole number, which rounding might carry over to the next.
        let quotient = ((a - call.output) / b).round();
        Gradient::two(call.gradient.clone(), -(call.gradient * quotient))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (a, b) = (inputs[0], inputs[1]);
        match a.dtype() {
            DType::I64 => {
                divisors(b.slice::<i64>())?;
                loops::binary(a, b, output, |a: i64, b: i64| {
                    let rest = a.wrapping_rem(b);
                    let moved = !self.truncated && rest != 0 && (rest < 0) != (b < 0);
                    if moved { rest + b } else { rest }
                });
            }
            DType::U8 => {
                divisors(b.slice::<u8>())?;
                loops::binary(a, b, output, |a: u8, b: u8| a % b);
            }
            dtype => loops::floats!(dtype, T => loops::binary(a, b, output, |a: T, b: T| {
                let rest = a % b;
                let moved = !self.truncated && rest != 0.0 && (rest < 0.0) != (b < 0.0);
                if moved { rest + b } else { rest }
            })),
        }
        Ok(())
    }
}

/// The operation `quotient`, on inputs of one shape.
#[derive(Debug)]
pub struct Quotient {
    /// Whether it is rounded towards 0, not down.
    truncated: bool,
}

attributes!(Quotient: truncated);

impl Op for Quotient {
    fn name(&self) -> &'static str {
        "quotient"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        infer::number_binary(inputs)
    }

    fn kind(&self) -> Kind {
        Kind::Host
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let (a, b) = (inputs[0], inputs[1]);
        match a.dtype() {
            DType::I64 => {
                divisors(b.slice::<i64>())?;
                loops::binary(a, b, output, |a: i64, b: i64| {
                    let (whole, rest) = (a.wrapping_div(b), a.wrapping_rem(b));
                    let moved = !self.truncated && rest != 0 && (rest < 0) != (b < 0);
                    if moved { whole - 1 } else { whole }
                });
            }
            DType::U8 => {
                divisors(b.slice::<u8>())?;
                loops::binary(a, b, output, |a: u8, b: u8| a / b);
            }
            dtype => loops::floats!(dtype, T => loops::binary(a, b, output, |a: T, b: T| {
                let rest = a % b;
                let moved = !self.truncated && rest != 0.0 && (rest < 0.0) != (b < 0.0);
                // Without the rest it is near a whole number; rounded down, an infinity has none.
                let infinite = b == 0.0 || self.truncated && a.is_infinite();
                let whole = if infinite { a / b } else { ((a - rest) / b).round() };
                if moved { whole - 1.0 } else { whole }
            })),
        }
        Ok(())
    }
}

/// An error if an integer is divided by 0.
fn divisors<T: Default + PartialEq>(divisors: &[T]) -> Result<(), String> {
    match divisors.contains(&T::default()) {
        true => Err("an integer is not divided by 0".into()),
        false => Ok(()),
    }
}

impl Tensor {
    /// The remainder of a division, with broadcasting, which has the sign of the divisor: Python's `a % b`. A float divided by 0
    /// gives NaN; an integer is an error when the tensor is evaluated.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let (a, b) = (Tensor::from([5, -5]), Tensor::from([3, 3]));
    /// assert_eq!(a.modulo(&b).to_vec::<i64>()?, [2, 1]);
    /// assert_eq!(a.truncated_modulo(&b).to_vec::<i64>()?, [2, -2]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("mod", "remainder"))]
    #[track_caller]
    pub fn modulo(&self, other: &Tensor) -> Tensor {
        Tensor::binary(Modulo { truncated: false }, self, other)
    }

    /// The quotient rounded down, with broadcasting: Python's `a // b`. A float divided by 0 is infinite, or NaN; an integer is
    /// an error when the tensor is evaluated.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let (a, b) = (Tensor::from([7, -7]), Tensor::from([2, 2]));
    /// assert_eq!(a.quotient(&b).to_vec::<i64>()?, [3, -4]);
    /// assert_eq!(a.truncated_quotient(&b).to_vec::<i64>()?, [3, -3]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("floor_divide", "div"))]
    #[track_caller]
    pub fn quotient(&self, other: &Tensor) -> Tensor {
        Tensor::binary(Quotient { truncated: false }, self, other)
    }

    /// The quotient rounded towards 0, with broadcasting, which is C's and ONNX's of integers. Else as [`Tensor::quotient`].
    #[track_caller]
    pub fn truncated_quotient(&self, other: &Tensor) -> Tensor {
        Tensor::binary(Quotient { truncated: true }, self, other)
    }

    /// The remainder of a division, with broadcasting, which has the sign of the dividend: C's `fmod`. Else as
    /// [`Tensor::modulo`].
    #[doc(alias("fmod", "rem"))]
    #[track_caller]
    pub fn truncated_modulo(&self, other: &Tensor) -> Tensor {
        Tensor::binary(Modulo { truncated: true }, self, other)
    }
}
