//! Attention of several heads, and the transformer's block.

use super::{Dropout, LayerNorm, Linear, beside};
use crate::{Activation, Context, Forward, Initializer, Module, ParameterSlot, Place, Visitor};
use zerokara_core::{AttentionOptions, Tensor};

/// Attention of several heads (Vaswani et al., 2017), `[N, L, C] -> [N, L, C]`: queries, keys and values are products of the
/// input with `weight [(H + 2 G) D, C]` and `bias`, in this order; heads attend each for itself, and `output`, a [`Linear`]
/// layer of C neurons, joins what they give.
///
/// A sequence attends to itself ([`Forward::forward`]) or to another one ([`MultiHeadAttention::attend`]). Heads are `C / H`
/// wide. No matrix of weights is stored, so that memory grows with the length, not with its square.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Forward, MultiHeadAttention};
/// let layer = MultiHeadAttention::new(4).causal(true);
/// let x = Tensor::ones([2, 10, 32]);
/// layer.build(&x, 0)?;
/// assert_eq!(layer.forward(&x, &mut Context::evaluate()).shape()?, [2, 10, 32]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias("MultiheadAttention", "self-attention"))]
#[derive(Clone, Debug)]
pub struct MultiHeadAttention {
    place: Place,
    heads: usize,
    groups: usize,
    causal: bool,
    rotary: Option<f64>,
    weight: ParameterSlot,
    bias: Option<ParameterSlot>,
    output: Linear,
}

/// The product that makes the input's width: it is learned where the layer is first used.
const WIDTH_OF_INPUT: usize = 0;

impl MultiHeadAttention {
    /// With so many heads, which have keys of their own and see the whole sequence.
    #[track_caller]
    pub fn new(heads: usize) -> Self {
        Self {
            place: Place::new("MultiHeadAttention"),
            heads,
            groups: heads,
            causal: false,
            rotary: None,
            weight: ParameterSlot::new(Initializer::XavierUniform),
            bias: Some(ParameterSlot::new(Initializer::Constant(0.0))),
            output: Linear::new(WIDTH_OF_INPUT).initializer(Initializer::XavierUniform),
        }
    }

    /// Whether a position sees what is before it and itself alone.
    pub fn causal(mut self, causal: bool) -> Self {
        self.causal = causal;
        self
    }

    /// How many heads of keys and values there are, which neighbouring heads of queries share (Ainslie et al., 2023); it
    /// divides the number of heads.
    pub fn groups(mut self, groups: usize) -> Self {
        self.groups = groups;
        self
    }

    /// Queries and keys are turned by angles that grow with their positions (Su et al., 2021; see [`Tensor::rotary`]), the
    /// slowest by `1 / base` for each position; 10,000 is common.
    pub fn rotary(mut self, base: f64) -> Self {
        self.rotary = Some(base);
        self
    }

    /// Whether biases are added, to queries, keys, values and the output.
    #[track_caller]
    pub fn bias(mut self, bias: bool) -> Self {
        self.bias = bias.then(|| ParameterSlot::new(Initializer::Constant(0.0)));
        self.output = self.output.bias(bias);
        self
    }

    /// The initial values of the weights, and of those of the output.
    #[track_caller]
    pub fn initializers(mut self, weight: Initializer, output: Initializer) -> Self {
        self.weight = ParameterSlot::new(weight);
        self.output = self.output.initializer(output);
        self
    }

    /// What positions of `x [N, L, C]` find in `memory [N, S, C]`, `[N, L, C]`. The options' mask says which pairs go together;
    /// a layer that is causal is so here too.
    pub fn attend(
        &self,
        x: &Tensor,
        memory: &Tensor,
        options: &AttentionOptions,
        cx: &mut Context,
    ) -> Tensor {
        let own = self.place.run(|| {
            let (Ok(meta), Ok(other)) = (x.meta(), memory.meta()) else {
                return if x.meta().is_err() {
                    x.clone()
                } else {
                    memory.clone()
                };
            };
            let (&[_, length, width], &[_, keys, other_width]) =
                (meta.shape.as_slice(), other.shape.as_slice())
            else {
                return self
                    .place
                    .invalid(format!("needs sequences [N, L, C], not {meta} and {other}"));
            };
            let (heads, groups) = (self.heads, self.groups);
            if heads == 0 || !width.is_multiple_of(heads) || width == 0 {
                return self.place.invalid(format!(
                    "{heads} heads cannot share {width} features evenly"
                ));
            }
            if groups == 0 || !heads.is_multiple_of(groups) {
                return self.place.invalid(format!(
                    "{heads} heads cannot share {groups} heads of keys evenly"
                ));
            }
            if other_width != width {
                return self.place.invalid(format!(
                    "attends from {width} features to {other_width}; they must be equal"
                ));
            }
            let each = width / heads;
            if self.rotary.is_some() && each % 2 == 1 {
                return self
                    .place
                    .invalid(format!("heads of {each} features have no pairs to turn"));
            }
            let rows = (heads + 2 * groups) * each;
            let weight = self.weight.tensor(&beside(meta, [rows, width]), cx);
            let bias = (self.bias.as_ref()).map(|bias| bias.tensor(&beside(meta, [rows]), cx));
            // Heads `from` to `from + count` of the products of a sequence.
            let project = |x: &Tensor, length: usize, from: usize, count: usize| {
                let part = |t: &Tensor| match count == heads + 2 * groups {
                    true => t.clone(),
                    false => t.narrow(0, from * each, count * each),
                };
                let y = x.reshape([-1, width as i64]).matmul(&part(&weight).t());
                let y = match &bias {
                    Some(bias) => y + part(bias),
                    None => y,
                };
                y.reshape([-1, length as i64, count as i64, each as i64])
            };
            let (mut q, mut k, v) = match std::ptr::eq(x, memory) {
                true => {
                    let all = project(x, length, 0, heads + 2 * groups);
                    (
                        all.narrow(2, 0, heads),
                        all.narrow(2, heads, groups),
                        all.narrow(2, heads + groups, groups),
                    )
                }
                false => {
                    let both = project(memory, keys, heads, 2 * groups);
                    (
                        project(x, length, 0, heads),
                        both.narrow(2, 0, groups),
                        both.narrow(2, groups, groups),
                    )
                }
            };
            if let Some(base) = self.rotary {
                (q, k) = (q.rotary(options.position, base), k.rotary(0, base));
            }
            let options = AttentionOptions {
                causal: self.causal || options.causal,
                ..options.clone()
            };
            q.attention(&k, &v, &options)
                .reshape([-1, length as i64, width as i64])
        });
        let Ok(&[.., width]) = own.shape() else {
            return own;
        };
        self.output.forward_to(&own, width, cx)
    }
}

impl Module for MultiHeadAttention {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.layer(&self.place);
        visitor.part("weight", &self.weight);
        visitor.part("bias", &self.bias);
        visitor.part("output", &self.output);
    }
}

impl Forward for MultiHeadAttention {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.attend(x, x, &AttentionOptions::default(), cx)
    }
}

/// A block of a transformer, `[N, L, C] -> [N, L, C]`, with normalization before what it normalizes for (Xiong et al., 2020):
/// `x + attention(norm1(x))`, and of that `y + down(f(up(norm2(y))))`.
///
/// ```
/// use zerokara_core::Tensor;
/// use zerokara_nn::{Context, Forward, TransformerBlock};
/// let block = TransformerBlock::new(4).causal(true).dropout(0.1);
/// let x = Tensor::ones([2, 10, 32]);
/// block.build(&x, 0)?;
/// assert_eq!(block.forward(&x, &mut Context::evaluate()).shape()?, [2, 10, 32]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct TransformerBlock {
    place: Place,
    norm1: LayerNorm,
    attention: MultiHeadAttention,
    norm2: LayerNorm,
    up: Linear,
    down: Linear,
    dropout1: Dropout,
    dropout2: Dropout,
    expansion: usize,
    activation: Activation,
}

impl TransformerBlock {
    /// With so many heads, four times as many neurons as features, GELU, and no dropout.
    #[track_caller]
    pub fn new(heads: usize) -> Self {
        Self {
            place: Place::new("TransformerBlock"),
            norm1: LayerNorm::new(),
            attention: MultiHeadAttention::new(heads),
            norm2: LayerNorm::new(),
            up: Linear::new(WIDTH_OF_INPUT).initializer(Initializer::XavierUniform),
            down: Linear::new(WIDTH_OF_INPUT).initializer(Initializer::XavierUniform),
            dropout1: Dropout::new(0.0),
            dropout2: Dropout::new(0.0),
            expansion: 4,
            activation: Activation::Gelu,
        }
    }

    /// Whether a position sees what is before it and itself alone.
    pub fn causal(mut self, causal: bool) -> Self {
        self.attention = self.attention.causal(causal);
        self
    }

    /// With this attention instead.
    pub fn attention(mut self, attention: MultiHeadAttention) -> Self {
        self.attention = attention;
        self
    }

    /// Whether biases are added, in all of its parts.
    #[track_caller]
    pub fn bias(mut self, bias: bool) -> Self {
        self.attention = self.attention.bias(bias);
        (self.norm1, self.norm2) = (self.norm1.bias(bias), self.norm2.bias(bias));
        (self.up, self.down) = (self.up.bias(bias), self.down.bias(bias));
        self
    }

    /// How many neurons `up` has for each feature.
    pub fn expansion(mut self, expansion: usize) -> Self {
        self.expansion = expansion;
        self
    }

    /// The function between `up` and `down`.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// The share of what attention and `down` give that is dropped in training.
    #[track_caller]
    pub fn dropout(mut self, ratio: f64) -> Self {
        (self.dropout1, self.dropout2) = (Dropout::new(ratio), Dropout::new(ratio));
        self
    }

    /// The initial values of the weights, and of those of the two products whose results are added to the input.
    #[track_caller]
    pub fn initializers(mut self, weight: Initializer, output: Initializer) -> Self {
        self.attention = self.attention.initializers(weight, output);
        self.up = self.up.initializer(weight);
        self.down = self.down.initializer(output);
        self
    }
}

impl Module for TransformerBlock {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.part("norm1", &self.norm1);
        visitor.part("attention", &self.attention);
        visitor.part("dropout1", &self.dropout1);
        visitor.part("norm2", &self.norm2);
        visitor.part("up", &self.up);
        visitor.part("down", &self.down);
        visitor.part("dropout2", &self.dropout2);
        visitor.layer(&self.place);
    }
}

impl Forward for TransformerBlock {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let Ok(&[.., width]) = x.shape() else {
            return x.clone();
        };
        let y = self.attention.forward(&self.norm1.forward(x, cx), cx);
        let y = self.dropout1.forward(&y, cx);
        let x = self.place.run(|| x + y);
        let y = self
            .up
            .forward_to(&self.norm2.forward(&x, cx), self.expansion * width, cx);
        let y = self.place.run(|| self.activation.apply(&y));
        let y = self.down.forward_to(&y, width, cx);
        let y = self.dropout2.forward(&y, cx);
        self.place.run(|| x + y)
    }
}
