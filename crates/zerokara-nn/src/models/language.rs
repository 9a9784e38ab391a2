//! Models of language: of a sequence of tokens `[N, L]` (i64), at each place the scores of the next, `[N, L, V]`.

use crate::{
    Context, Embedding, Forward, Initializer, LayerNorm, LearnedPositions, Linear, Module,
    TransformerBlock, Visitor,
};
use zerokara_core::Tensor;

/// A small GPT (Radford et al., 2019): vectors of tokens and positions, causal blocks of attention with normalization first, and
/// scores by products with the vectors of the tokens.
///
/// Weights begin as normal draws of standard deviation 0.02, those whose results are added to a block's input with `0.02 /
/// sqrt(2 layers)`.
///
/// ```
/// use zerokara_core::{DType, Meta};
/// use zerokara_nn::{Forward, Module, models::Gpt};
/// let model = Gpt::new(65, 64).layers(2).heads(2).width(32);
/// model.build(&Meta::new([1, 64], DType::I64), 0)?;
/// // Vectors of 65 tokens and 64 positions; in a block 12 x 32 x 32 weights, biases and norms; a norm.
/// assert_eq!(model.parameter_count()?, (65 + 64) * 32 + 2 * (12 * 32 * 32 + 13 * 32) + 64);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Gpt {
    tokens: Embedding,
    positions: LearnedPositions,
    blocks: Vec<TransformerBlock>,
    norm: LayerNorm,
    head: Linear,
    sizes: Sizes,
}

#[derive(Clone, Copy, Debug)]
struct Sizes {
    vocabulary: usize,
    context: usize,
    layers: usize,
    heads: usize,
    width: usize,
    dropout: f64,
}

impl Gpt {
    /// For so many tokens, which sees up to `context` of them: 4 layers of 4 heads, 128 wide, no dropout.
    pub fn new(vocabulary: usize, context: usize) -> Self {
        Self::of(Sizes {
            vocabulary,
            context,
            layers: 4,
            heads: 4,
            width: 128,
            dropout: 0.0,
        })
    }

    /// The number of blocks.
    pub fn layers(self, layers: usize) -> Self {
        let sizes = self.sizes;
        Self::of(Sizes { layers, ..sizes })
    }

    /// The number of heads in each block.
    pub fn heads(self, heads: usize) -> Self {
        let sizes = self.sizes;
        Self::of(Sizes { heads, ..sizes })
    }

    /// The number of features, which the number of heads divides.
    pub fn width(self, width: usize) -> Self {
        let sizes = self.sizes;
        Self::of(Sizes { width, ..sizes })
    }

    /// The share of what each part of a block gives that is dropped in training.
    pub fn dropout(self, dropout: f64) -> Self {
        let sizes = self.sizes;
        Self::of(Sizes { dropout, ..sizes })
    }

    fn of(sizes: Sizes) -> Self {
        let weight = Initializer::Normal { std: 0.02 };
        let added = Initializer::Normal {
            std: 0.02 / (2.0 * sizes.layers.max(1) as f64).sqrt(),
        };
        let tokens = Embedding::new(sizes.vocabulary, sizes.width).initializer(weight);
        let block = || {
            TransformerBlock::new(sizes.heads)
                .causal(true)
                .initializers(weight, added)
                .dropout(sizes.dropout)
        };
        let head = Linear::new(sizes.vocabulary)
            .bias(false)
            .tied(tokens.weight_slot());
        Self {
            positions: LearnedPositions::new(sizes.context),
            blocks: (0..sizes.layers).map(|_| block()).collect(),
            norm: LayerNorm::new(),
            head,
            tokens,
            sizes,
        }
    }
}

impl Module for Gpt {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.part("tokens", &self.tokens);
        visitor.part("positions", &self.positions);
        visitor.part("blocks", &self.blocks);
        visitor.part("norm", &self.norm);
        visitor.part("head", &self.head);
    }
}

impl Forward for Gpt {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let mut y = self.positions.forward(&self.tokens.forward(x, cx), cx);
        for block in &self.blocks {
            y = block.forward(&y, cx);
        }
        self.head.forward(&self.norm.forward(&y, cx), cx)
    }
}
