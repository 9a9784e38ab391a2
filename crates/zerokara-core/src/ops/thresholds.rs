//! Functions with a threshold: `thresholded_relu` and `shrink`.

use super::{coding::Coder, elementwise::elementwise, prelude::*};

elementwise!(
    /// The ReLU with a threshold, `y = x` where `x > alpha`, else 0 (Konda et al., 2015).
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([-1.0, 0.5, 2.0]);
    /// assert_eq!(x.thresholded_relu(1.0).to_vec::<f32>()?, [0.0, 0.0, 2.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    ThresholdedRelu { alpha }, thresholded_relu,
    {
        let mut code = Coder::default();
        let x = code.load(0);
        let is_above = code.with(Binary::Greater, x, alpha);
        let zero = code.number(0.0);
        code.select(is_above, x, zero);
        code.kind()
    },
    |x| if x > alpha as T { x } else { 0.0 },
    |call| {
        let (x, g) = (&call.inputs[0], call.gradient);
        Gradient::one(x.greater(&x.full_like(alpha)).select(g, &g.zeros_like()))
    }
);

/// The operation `shrink`.
#[derive(Debug)]
pub struct Shrink {
    lambd: f64,
    bias: f64,
}

attributes!(Shrink: lambd, bias);

impl Op for Shrink {
    fn name(&self) -> &'static str {
        "shrink"
    }

    fn attributes(&self) -> Attributes {
        self.as_attributes()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        if self.lambd.is_nan() || self.lambd < 0.0 || !self.bias.is_finite() {
            return Err(format!(
                "needs a threshold from 0 on and a finite bias, not {} and {}",
                self.lambd, self.bias
            ));
        }
        infer::float_unary(inputs)
    }

    fn kind(&self) -> Kind {
        let mut code = Coder::default();
        let x = code.load(0);
        let sign = code.unary(Unary::Sign, x);
        let bias = code.with(Binary::Multiply, sign, self.bias);
        let shrunk = code.binary(Binary::Subtract, x, bias);
        let a = code.unary(Unary::Absolute, x);
        let is_small = code.with(Binary::LessEqual, a, self.lambd);
        let zero = code.number(0.0);
        code.select(is_small, zero, shrunk);
        code.kind()
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let (x, g) = (&call.inputs[0], call.gradient);
        let small = x.abs().less_equal(&x.full_like(self.lambd));
        Gradient::one(small.select(&g.zeros_like(), g))
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => {
            let (lambd, bias) = (self.lambd as T, self.bias as T);
            loops::unary(inputs[0], output, |x: T| match x {
                small if small.abs() <= lambd => 0.0,
                below if below < 0.0 => below + bias,
                above => above - bias,
            });
        });
        Ok(())
    }
}

impl Tensor {
    /// `y = x + bias` below `-lambd`, `x - bias` above `lambd`, and 0 between (NaN stays NaN): the hard shrinkage where the bias
    /// is 0, the soft one where it is `lambd`. The threshold is not negative, the bias finite.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([-2.0, 0.25, 2.0]);
    /// assert_eq!(x.shrink(0.5, 0.0).to_vec::<f32>()?, [-2.0, 0.0, 2.0]);
    /// assert_eq!(x.shrink(0.5, 0.5).to_vec::<f32>()?, [-1.5, 0.0, 1.5]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[doc(alias("hardshrink", "softshrink"))]
    #[track_caller]
    pub fn shrink(&self, lambd: f64, bias: f64) -> Tensor {
        Tensor::apply(Shrink { lambd, bias }, &[self])
    }
}
