//! Another element type. What a float type cannot hold rounds to nearest. Floats become integers by truncation; those
//! beyond the range become its nearest end, and NaN becomes 0. Integers become bytes by their lowest eight bits, as in
//! PyTorch. What is not 0 is true, NaN as well.

use super::prelude::*;

/// The operation.
#[derive(Debug)]
pub struct Cast {
    dtype: DType,
}

attributes!(Cast: dtype);

impl Op for Cast {
    fn name(&self) -> &'static str {
        "cast"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [x] = infer::arity(inputs)?;
        Ok(Meta::new(x.shape.clone(), self.dtype))
    }

    fn kind(&self) -> Kind {
        // The compiler takes the code from bytes, truth values and f32 to f32 and truth values, and calls the reference
        // otherwise.
        map([Instruction::Load(0)])
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        match (call.inputs[0].meta(), call.gradient.meta()) {
            (Ok(x), Ok(g)) if x.is_float() && g.is_float() => {
                Gradient::one(call.gradient.cast(x.dtype))
            }
            _ => Gradient::Zero,
        }
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        *output = inputs[0].cast(output.dtype());
        Ok(())
    }
}

impl Tensor {
    /// The elements as another element type. What a float type cannot hold rounds to nearest. Floats become integers by
    /// truncation; those beyond the range become its nearest end, and NaN becomes 0. Integers become bytes by their lowest
    /// eight bits, as in PyTorch. What is not 0 is true, NaN as well.
    ///
    /// Bytes that a compiled step takes are widened by whoever reads them first, so that pixels stay bytes until then.
    ///
    /// ```
    /// # use zerokara_core::{DType, Tensor};
    /// let x = Tensor::from([-1.5, 1e30, f32::NAN]).cast(DType::I64);
    /// assert_eq!(x.to_vec::<i64>()?, [-1, i64::MAX, 0]);
    /// let pixels = Tensor::new([3], [0u8, 51, 255]);
    /// assert_eq!((pixels.cast(DType::F32) / 255.0).to_vec::<f32>()?, [0.0, 0.2, 1.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn cast(&self, dtype: DType) -> Tensor {
        if self.dtype().is_ok_and(|d| d == dtype) {
            self.clone()
        } else {
            Tensor::apply(Cast { dtype }, &[self])
        }
    }
}
