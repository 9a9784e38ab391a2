//! Gated linear units.

use super::{beside, place_only};
use crate::{Activation, Context, Forward, Initializer, Module, ParameterSlot, Place, Visitor};
use zerokara_core::Tensor;

/// A gated linear unit (Dauphin et al., 2017): the halves of its input along an axis become one, `y = a f(b)`, where the first half a
/// holds values and the second half b gates. `[.., 2 D] -> [.., D]`.
///
/// The function f is the sigmoid unless it is said; with [`Activation::Silu`] it is SwiGLU, with [`Activation::Gelu`] GEGLU (Shazeer,
/// 2020).
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Activation, Context, Forward, Glu};
/// let x = Tensor::from([[3.0, 4.0, 0.0, 1.0]]);
/// let y = Glu::new().forward(&x, &mut Context::evaluate()).to_vec::<f32>()?;
/// assert!(y[0] == 1.5 && (y[1] - 4.0 * 0.7310586).abs() < 1e-6);
/// let y = Glu::new().gate(Activation::Relu).forward(&x, &mut Context::evaluate());
/// assert_eq!(y.to_vec::<f32>()?, [0.0, 4.0]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias("GLU", "GEGLU", "ReGLU"))]
#[derive(Clone, Debug)]
pub struct Glu {
    place: Place,
    gate: Activation,
    axis: i64,
}

impl Glu {
    /// With sigmoids as gates, along the last axis.
    #[track_caller]
    pub fn new() -> Self {
        Self {
            place: Place::new("Glu"),
            gate: Activation::Sigmoid,
            axis: -1,
        }
    }

    /// The function of the gates.
    pub fn gate(mut self, function: Activation) -> Self {
        self.gate = function;
        self
    }

    /// The axis that is halved (negative: from the back): 1 for the channels of images.
    pub fn axis(mut self, axis: i64) -> Self {
        self.axis = axis;
        self
    }
}

place_only!(Glu);

impl Forward for Glu {
    fn forward(&self, x: &Tensor, _: &mut Context) -> Tensor {
        self.place.run(|| {
            let Ok(meta) = x.meta() else {
                return x.clone();
            };
            let rank = meta.rank() as i64;
            let axis = if self.axis < 0 {
                self.axis.saturating_add(rank)
            } else {
                self.axis
            };
            let length = usize::try_from(axis)
                .ok()
                .and_then(|axis| meta.shape.get(axis));
            match length {
                Some(length) if length % 2 == 0 => {
                    let half = length / 2;
                    let gates = x.narrow(axis, half, half);
                    x.narrow(axis, 0, half) * self.gate.apply(&gates)
                }
                Some(length) => self.place.invalid(format!(
                    "needs an axis {} of even length, not {length} of {meta}",
                    self.axis
                )),
                None => self
                    .place
                    .invalid(format!("needs an axis {}, not {meta}", self.axis)),
            }
        })
    }
}

/// The feed-forward block with a gate of today's transformers (Shazeer, 2020): `y = (silu(x gate^T) * (x value^T)) out^T`, along the last
/// axis, `[.., D] -> [.., D]`, with `gate [H, D]`, `value [H, D]`, `out [D, H]` and no biases.
///
/// Weights begin as LeCun's initial values.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Forward, Module, SwiGlu};
/// let layer = SwiGlu::new(8);
/// let x = Tensor::ones([2, 5, 3]);
/// layer.build(&x, 0)?;
/// assert_eq!(layer.forward(&x, &mut Context::evaluate()).shape()?, [2, 5, 3]);
/// assert_eq!(layer.named_parameters()?.len(), 3);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SwiGlu {
    place: Place,
    hidden: usize,
    gate: ParameterSlot,
    value: ParameterSlot,
    out: ParameterSlot,
}

impl SwiGlu {
    /// With so many hidden neurons H.
    #[track_caller]
    pub fn new(hidden: usize) -> Self {
        let slot = || ParameterSlot::new(Initializer::LeCunNormal);
        Self {
            place: Place::new("SwiGlu"),
            hidden,
            gate: slot(),
            value: slot(),
            out: slot(),
        }
    }
}

impl Module for SwiGlu {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.layer(&self.place);
        visitor.part("gate", &self.gate);
        visitor.part("value", &self.value);
        visitor.part("out", &self.out);
    }
}

impl Forward for SwiGlu {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.place.run(|| {
            let Ok(meta) = x.meta() else {
                return x.clone();
            };
            let &[_, ref inner @ .., features] = meta.shape.as_slice() else {
                return self
                    .place
                    .invalid(format!("needs a batch [N, .., features], not {meta}"));
            };
            let inwards = beside(meta, [self.hidden, features]);
            let gate = self.gate.tensor(&inwards, cx);
            let value = self.value.tensor(&inwards, cx);
            let out = self.out.tensor(&beside(meta, [features, self.hidden]), cx);
            // Rows of all leading axes; the first stays free, so that the graph holds for any batch.
            let rows = match inner.is_empty() {
                true => x.clone(),
                false => x.reshape([-1, features as i64]),
            };
            let hidden = rows.matmul(&value.t()).swiglu_by(&rows.matmul(&gate.t()));
            let y = hidden.matmul(&out.t());
            match inner.is_empty() {
                true => y,
                false => {
                    let lengths = [-1].into_iter().chain(inner.iter().map(|&n| n as i64));
                    y.reshape(lengths.chain([features as i64]).collect::<Vec<i64>>())
                }
            }
        })
    }
}
