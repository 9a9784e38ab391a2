//! Choice by a condition: `y = a where condition, else b`; the gradient goes where the value came from.

use super::prelude::*;

/// The operation.
#[derive(Debug)]
pub struct Where;

impl Op for Where {
    fn name(&self) -> &'static str {
        "where"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        let [condition, a, b] = infer::arity(inputs)?;
        if condition.dtype != DType::Bool {
            return Err(format!(
                "the condition must hold truth values, not {}",
                condition.dtype
            ));
        }
        infer::same(a, b)?;
        if condition.shape != a.shape {
            return Err(format!(
                "shapes {:?} and {:?} do not broadcast together",
                condition.shape, a.shape
            ));
        }
        Ok(a.clone())
    }

    fn kind(&self) -> Kind {
        map([
            Instruction::Load(0),
            Instruction::Load(1),
            Instruction::Load(2),
            Instruction::Select {
                condition: 0,
                yes: 1,
                no: 2,
            },
        ])
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let zero = call.gradient.zeros_like();
        Gradient::Of(vec![
            None,
            Some(call.inputs[0].select(call.gradient, &zero)),
            Some(call.inputs[0].select(&zero, call.gradient)),
        ])
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        let condition = inputs[0].bools();
        for (from, truth) in [(inputs[1], 1), (inputs[2], 0)] {
            loops::copy(
                from,
                output,
                (0..condition.len())
                    .filter(|&i| condition[i] == truth)
                    .map(|i| (i, i)),
            );
        }
        Ok(())
    }
}

impl Tensor {
    /// `yes` where this tensor of truth values holds, else `no`; shapes broadcast. The gradient of what is not taken is 0;
    /// times an infinite slope behind it that is NaN, which [`Tensor::sqrt`] shows how to avoid.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([-1.0, 2.0]);
    /// let zero = Tensor::from(0.0);
    /// assert_eq!(x.greater(&zero).select(&x, &zero).to_vec::<f32>()?, [0.0, 2.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias = "where")]
    #[track_caller]
    pub fn select(&self, yes: &Tensor, no: &Tensor) -> Tensor {
        let (yes, no) = Tensor::broadcast_pair(yes, no);
        let (condition, yes) = Tensor::broadcast_pair(self, &yes);
        let (_, no) = Tensor::broadcast_pair(&condition, &no);
        Tensor::apply(Where, &[&condition, &yes, &no])
    }
}
