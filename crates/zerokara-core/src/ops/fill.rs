//! The same number everywhere.

use super::prelude::*;
use crate::array::represent;

/// The operation: no inputs, or one input that only gives the shape.
#[derive(Debug)]
pub struct Fill {
    value: f64,
    /// `None`: the shape and element type of the input.
    meta: Option<Meta>,
}

impl Op for Fill {
    fn name(&self) -> &'static str {
        "fill"
    }

    fn attributes(&self) -> Attributes {
        let attributes = Attributes::none().with("value", self.value);
        match &self.meta {
            Some(meta) => attributes
                .with("shape", meta.shape.as_slice())
                .with("dtype", meta.dtype),
            None => attributes,
        }
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        match (&self.meta, inputs) {
            (Some(meta), []) => Ok(meta),
            (None, [like]) => Ok(like),
            _ => Err("takes a shape or one tensor to be like".to_string()),
        }
        .and_then(|meta| represent(self.value, meta.dtype).map(|()| meta.clone()))
    }

    fn kind(&self) -> Kind {
        Kind::Fill(self.value)
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, _: &[&Array], output: &mut Array) -> Result<(), String> {
        output.set(self.value);
        Ok(())
    }
}

impl Fill {
    /// This number everywhere.
    pub(crate) fn of(value: f64, meta: &Meta) -> Self {
        Self {
            value,
            meta: Some(meta.clone()),
        }
    }

    /// From its attributes.
    pub fn from_attributes(attributes: &Attributes) -> Result<Self, String> {
        let meta = match attributes.has("shape") {
            true => Some(Meta::new(
                attributes.sizes("shape")?,
                attributes.dtype("dtype")?,
            )),
            false => None,
        };
        Ok(Self {
            value: attributes.float("value")?,
            meta,
        })
    }
}

impl Tensor {
    /// A tensor of one number. Floats round to the nearest; integers take whole numbers only, and truth values 0 and 1.
    #[track_caller]
    pub fn full(shape: impl Into<Vec<usize>>, value: f64, dtype: DType) -> Tensor {
        Tensor::apply(
            Fill {
                value,
                meta: Some(Meta::new(shape, dtype)),
            },
            &[],
        )
    }

    /// A tensor of zeros, f32.
    #[track_caller]
    pub fn zeros(shape: impl Into<Vec<usize>>) -> Tensor {
        Tensor::full(shape, 0.0, DType::F32)
    }

    /// A tensor of ones, f32.
    #[track_caller]
    pub fn ones(shape: impl Into<Vec<usize>>) -> Tensor {
        Tensor::full(shape, 1.0, DType::F32)
    }

    /// One number in the shape and element type of this tensor.
    #[track_caller]
    pub fn full_like(&self, value: f64) -> Tensor {
        Tensor::apply(Fill { value, meta: None }, &[self])
    }

    /// Zeros in the shape and element type of this tensor.
    #[track_caller]
    pub fn zeros_like(&self) -> Tensor {
        self.full_like(0.0)
    }
}
