//! The larger and the smaller of two tensors, element by element, and `clamp`.
//!
//! Maximum and minimum are for integers too. The gradient goes to the element that was taken; where both are equal, half to each, as in PyTorch.

use super::{elementwise::elementwise_pair, loops::Number, prelude::*};

/// The gradients of a choice between two inputs, and where each was taken.
fn chosen(call: &Call<'_>, a_is_taken: Tensor, b_is_taken: Tensor) -> Gradient {
    let half = call.gradient * call.gradient.full_like(0.5);
    let tie = call.inputs[0]
        .equal(&call.inputs[1])
        .select(&half, &call.gradient.zeros_like());
    Gradient::two(
        a_is_taken.select(call.gradient, &tie),
        b_is_taken.select(call.gradient, &tie),
    )
}

elementwise_pair!(
    /// The operation `maximum`.
    Maximum, maximum, infer::number_binary, Binary::Maximum, numbers binary |a, b| a.larger(b),
    |call| {
        let (a, b) = (&call.inputs[0], &call.inputs[1]);
        chosen(call, a.greater(b), b.greater(a))
    }
);

elementwise_pair!(
    /// The operation `minimum`.
    Minimum, minimum, infer::number_binary, Binary::Minimum, numbers binary |a, b| a.smaller(b),
    |call| {
        let (a, b) = (&call.inputs[0], &call.inputs[1]);
        chosen(call, a.less(b), b.less(a))
    }
);

/// The operation `clamp`.
#[derive(Debug)]
pub struct Clamp {
    low: f64,
    high: f64,
}

attributes!(Clamp: low, high);

impl Op for Clamp {
    fn name(&self) -> &'static str {
        "clamp"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        if self.low.is_nan() || self.high.is_nan() || self.low > self.high {
            return Err(format!(
                "the bounds {} and {} enclose nothing",
                self.low, self.high
            ));
        }
        infer::float_unary(inputs)
    }

    fn kind(&self) -> Kind {
        map([
            Instruction::Load(0),
            Instruction::Constant(self.low as f32),
            Instruction::Binary(Binary::Maximum, 0, 1),
            Instruction::Constant(self.high as f32),
            Instruction::Binary(Binary::Minimum, 2, 3),
        ])
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let x = &call.inputs[0];
        let zero = x.zeros_like();
        let inside = x
            .greater(&x.full_like(self.low))
            .logical_and(&x.less(&x.full_like(self.high)));
        Gradient::one(inside.select(call.gradient, &zero))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => {
            let (low, high) = (self.low as T, self.high as T);
            loops::unary(inputs[0], output, |x: T| loops::minimum(loops::maximum(x, low), high));
        });
        Ok(())
    }
}

impl Tensor {
    /// The larger of two tensors, element by element, with broadcasting; NaN if either is NaN.
    #[track_caller]
    pub fn maximum(&self, other: &Tensor) -> Tensor {
        Tensor::binary(Maximum, self, other)
    }

    /// The smaller of two tensors, element by element, with broadcasting; NaN if either is NaN.
    #[track_caller]
    pub fn minimum(&self, other: &Tensor) -> Tensor {
        Tensor::binary(Minimum, self, other)
    }

    /// `min(max(x, low), high)`: the gradient passes where x lies strictly within the bounds. A bound can be infinite.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// assert_eq!(Tensor::from([-2.0, 0.5, 3.0]).clamp(-1.0, 1.0).to_vec::<f32>()?, [-1.0, 0.5, 1.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn clamp(&self, low: f64, high: f64) -> Tensor {
        Tensor::apply(Clamp { low, high }, &[self])
    }
}
