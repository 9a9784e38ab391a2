//! One-hot rows of integer labels: `y[.., c] = 1 where labels[..] = c, else 0` (page 93 of the book).

use super::prelude::*;

/// The operation.
#[derive(Debug)]
pub struct OneHot {
    classes: usize,
    dtype: DType,
}

attributes!(OneHot: classes, dtype);

impl Op for OneHot {
    fn name(&self) -> &'static str {
        "one_hot"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [labels] = infer::arity(inputs)?;
        if labels.dtype != DType::I64 {
            return Err(format!("needs integer labels, not {}", labels.dtype));
        }
        if !matches!(self.dtype, DType::F32 | DType::F64) {
            return Err("gives floating-point numbers only".into());
        }
        Ok(Meta::new(
            [labels.shape.as_slice(), &[self.classes]].concat(),
            self.dtype,
        ))
    }

    fn kind(&self) -> Kind {
        Kind::OneHot
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let classes = self.classes;
        loops::floats!(output.dtype(), T => {
            let y = output.slice_mut::<T>();
            for (row, &label) in inputs[0].slice::<i64>().iter().enumerate() {
                if !(0..classes as i64).contains(&label) {
                    return Err(format!("label {label} is not one of {classes} classes"));
                }
                y[row * classes + label as usize] = 1.0;
            }
        });
        Ok(())
    }
}

impl Tensor {
    /// One row for each integer label: 1 at the label's place, 0 elsewhere, f32. A label that is no class is an
    /// error when the tensor is evaluated.
    #[doc(alias = "change_one_hot_label")]
    #[track_caller]
    pub fn one_hot(&self, classes: usize) -> Tensor {
        Tensor::apply(
            OneHot {
                classes,
                dtype: DType::F32,
            },
            &[self],
        )
    }

    /// [`Tensor::one_hot`] in the element type of another tensor.
    #[track_caller]
    pub(crate) fn one_hot_like(&self, classes: usize, like: &Tensor) -> Tensor {
        Tensor::apply(
            OneHot {
                classes,
                dtype: like.dtype().unwrap_or(DType::F32),
            },
            &[self],
        )
    }
}
