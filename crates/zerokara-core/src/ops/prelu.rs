//! The ReLU with slopes that are learned, `y = x` where `x > 0`, else `slope x` (He et al., 2015).
//!
//! With `g` the output's gradient, `dx` is `g` where `x > 0`, else `slope g`, and `dslope` is 0 where `x > 0`, else `x g`.

use super::{coding::Coder, prelude::*};

/// The operation, of an input and slopes of the same shape.
#[derive(Debug)]
pub struct Prelu;

impl Op for Prelu {
    fn name(&self) -> &'static str {
        "prelu"
    }

    fn attributes(&self) -> Attributes {
        Attributes::none()
    }

    fn infer(&self, inputs: &[Meta]) -> Result<Meta, String> {
        infer::float_binary(inputs)
    }

    fn kind(&self) -> Kind {
        let mut code = Coder::default();
        let (x, slope) = (code.load(0), code.load(1));
        let is_above = code.with(Binary::Greater, x, 0.0);
        let product = code.binary(Binary::Multiply, slope, x);
        code.select(is_above, x, product);
        code.kind()
    }

    fn gradient(&self, call: &Call<'_>) -> Gradient {
        let [x, slope] = call.inputs else {
            return Gradient::Forbidden("prelu takes two inputs");
        };
        let g = call.gradient;
        let above = x.greater(&x.zeros_like());
        Gradient::two(
            above.select(g, &(g * slope)),
            above.select(&g.zeros_like(), &(g * x)),
        )
    }

    fn reference(&self, inputs: &[&Array], output: &mut Array) -> Result<(), String> {
        loops::floats!(inputs[0].dtype(), T => {
            loops::binary(inputs[0], inputs[1], output, |x: T, slope: T| if x > 0.0 { x } else { slope * x });
        });
        Ok(())
    }
}

impl Tensor {
    /// `y = x` where `x > 0`, else `slope x`: the leaky ReLU with slopes that are a tensor, such as learned ones. They are
    /// broadcast to the shape of x, `[C, 1, 1]` for one slope per channel of `x [N, C, H, W]`.
    ///
    /// ```
    /// # use zerokara_core::Tensor;
    /// let x = Tensor::from([[-1.0, -1.0], [2.0, 2.0]]);
    /// let y = x.prelu(&Tensor::from([0.5, 0.25]));
    /// assert_eq!(y.to_vec::<f32>()?, [-0.5, -0.25, 2.0, 2.0]);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    #[track_caller]
    pub fn prelu(&self, slope: &Tensor) -> Tensor {
        if let (Ok(x), Ok(s)) = (self.shape(), slope.shape())
            && shape::broadcast(x, s).is_none_or(|to| to != x)
        {
            let reason = format!("the slopes' shape {s:?} does not broadcast to {x:?}");
            return Tensor::refuse("prelu", &[self, slope], reason);
        }
        Tensor::binary(Prelu, self, slope)
    }
}
