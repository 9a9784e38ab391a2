//! Uniform random numbers in `[0, 1)`, by counter: element i of step s of a stream is a hash of (key, s, i), by
//! Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011). The same key and step give
//! the same numbers, on any number of threads.

use super::prelude::*;
use zerokara_kernels::random;

/// The operation; its one input is the step's number, an i64 scalar.
#[derive(Debug)]
pub struct Uniform {
    key: u64,
    /// `None`: the shape of a second input.
    shape: Option<Vec<usize>>,
}

attributes!(Uniform: key, shape);

impl Op for Uniform {
    fn name(&self) -> &'static str {
        "uniform"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let (step, shape) = match (&self.shape, inputs) {
            (Some(shape), [step]) => (step, shape),
            (None, [step, like]) => (step, &like.shape),
            _ => return Err("takes a step, and a shape or a tensor to be like".into()),
        };
        if step.dtype != DType::I64 || step.len() != 1 {
            return Err(format!("the step must be one i64, not {step}"));
        }
        Ok(Meta::new(shape.clone(), DType::F32))
    }

    fn kind(&self) -> Kind {
        Kind::Random { key: self.key }
    }

    fn gradient(&self, _: &Call<'_>) -> Gradient {
        Gradient::Zero
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let step = inputs[0].slice::<i64>()[0] as u64;
        loops::floats!(output.dtype(), T => {
            for (i, y) in output.slice_mut::<T>().iter_mut().enumerate() {
                *y = T::from(random::uniform(self.key, step, i as u64));
            }
        });
        Ok(())
    }
}

impl Tensor {
    /// Uniform random numbers in `[0, 1)`, f32, of the stream `key` at a step (an i64 scalar).
    #[doc(alias = "rand")]
    #[track_caller]
    pub fn uniform(key: u64, step: &Tensor, shape: impl Into<Vec<usize>>) -> Tensor {
        Tensor::apply(
            Uniform {
                key,
                shape: Some(shape.into()),
            },
            &[step],
        )
    }

    /// Uniform random numbers in `[0, 1)` in the shape of `like`, f32, of the stream `key` at a step.
    #[track_caller]
    pub fn uniform_like(key: u64, step: &Tensor, like: &Tensor) -> Tensor {
        Tensor::apply(Uniform { key, shape: None }, &[step, like])
    }
}
