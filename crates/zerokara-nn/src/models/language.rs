//! Models of language: of a sequence of tokens `[N, L]` (i64), at each place the scores of the next, `[N, L, V]`.

use crate::{
    Context, Dropout, Embedding, Forward, Gru, Initializer, LayerNorm, LearnedPositions, Linear,
    Lstm, Model, Module, RecurrentOutput, TransformerBlock, Visitor,
    model::{INPUT, OUTPUT},
};
use std::sync::Arc;
use zerokara_core::{Axis, DType, Port, Tensor, Tensors, record::BATCH};

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
    bias: bool,
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
            bias: true,
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

    /// Whether biases are added, in linear layers and normalizations.
    pub fn bias(self, bias: bool) -> Self {
        let sizes = self.sizes;
        Self::of(Sizes { bias, ..sizes })
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
                .bias(sizes.bias)
        };
        let head = Linear::new(sizes.vocabulary)
            .bias(false)
            .tied(tokens.weight_slot());
        Self {
            positions: LearnedPositions::new(sizes.context),
            blocks: (0..sizes.layers).map(|_| block()).collect(),
            norm: LayerNorm::new().bias(sizes.bias),
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

/// The recurrent layers of a [`RecurrentLanguageModel`].
#[derive(Clone, Debug)]
enum Cells {
    Lstm(Lstm),
    Gru(Gru),
}

impl Cells {
    /// What the states are called.
    fn states(&self) -> &'static [&'static str] {
        match self {
            Cells::Lstm(_) => &["h", "c"],
            Cells::Gru(_) => &["h"],
        }
    }

    fn run(&self, x: &Tensor, first: &[Tensor], cx: &mut Context) -> RecurrentOutput {
        match self {
            Cells::Lstm(layers) => layers.run(x, first, None, cx),
            Cells::Gru(layers) => layers.run(x, first, None, cx),
        }
    }
}

/// Which recurrent layers a [`RecurrentLanguageModel`] has.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Lstm,
    Gru,
}

/// A recurrent model of language (Mikolov et al., 2010): vectors of tokens, recurrent layers, and a linear layer for the scores.
/// The book's second volume has it in chapter 6 (`Rnnlm`).
///
/// It takes tokens `x [N, L]` (i64) and gives the scores `y [N, L, V]`. Its states `[N, layers, width]` are `h`, and for an LSTM
/// `c`: they begin as zeros where none is given, and then their next values are no outputs; where one is given
/// ([`Stream`](crate::Stream)), the outputs have what they are behind the last token.
///
/// ```
/// use zerokara_core::{Array, Arrays, DType, Meta, Metas};
/// use zerokara_nn::{Model, Module, Stream, models::RecurrentLanguageModel};
/// let model = RecurrentLanguageModel::gru(65).layers(2).width(32);
/// model.build_for(&Metas::one("x", Meta::new([1, 64], DType::I64)), 0)?;
/// // Vectors of 65 tokens; in a layer six times 32 x 32 weights and biases; a linear layer.
/// assert_eq!(model.parameter_count()?, 65 * 32 + 2 * 6 * (32 * 32 + 32) + 33 * 65);
///
/// let mut stream = Stream::new(model)?;
/// for token in [3i64, 14, 15] {
///     let scores = stream.step(&Arrays::one("x", Array::new([1, 1], vec![token])))?;
///     assert_eq!(scores.find("y")?.shape(), [1, 1, 65]);
/// }
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias("Rnnlm", "LSTM", "char-rnn"))]
#[derive(Clone, Debug)]
pub struct RecurrentLanguageModel {
    tokens: Embedding,
    cells: Cells,
    dropout: Dropout,
    head: Linear,
    kind: Kind,
    vocabulary: usize,
    layers: usize,
    width: usize,
    ratio: f64,
}

impl RecurrentLanguageModel {
    /// Of long short-term memory, for so many tokens: 2 layers, 128 wide, no dropout.
    #[track_caller]
    pub fn lstm(vocabulary: usize) -> Self {
        Self::of(Kind::Lstm, vocabulary, 2, 128, 0.0)
    }

    /// Of gated recurrent units, for so many tokens: 2 layers, 128 wide, no dropout.
    #[track_caller]
    pub fn gru(vocabulary: usize) -> Self {
        Self::of(Kind::Gru, vocabulary, 2, 128, 0.0)
    }

    /// The number of recurrent layers.
    #[track_caller]
    pub fn layers(self, layers: usize) -> Self {
        Self::of(self.kind, self.vocabulary, layers, self.width, self.ratio)
    }

    /// The length of the tokens' vectors and of the states.
    #[track_caller]
    pub fn width(self, width: usize) -> Self {
        Self::of(self.kind, self.vocabulary, self.layers, width, self.ratio)
    }

    /// The share of what goes from layer to layer, and from the last one to the scores, that is dropped in training.
    #[track_caller]
    pub fn dropout(self, ratio: f64) -> Self {
        Self::of(self.kind, self.vocabulary, self.layers, self.width, ratio)
    }

    #[track_caller]
    fn of(kind: Kind, vocabulary: usize, layers: usize, width: usize, ratio: f64) -> Self {
        Self {
            tokens: Embedding::new(vocabulary, width),
            cells: match kind {
                Kind::Lstm => Cells::Lstm(Lstm::new(width).layers(layers).dropout(ratio)),
                Kind::Gru => Cells::Gru(Gru::new(width).layers(layers).dropout(ratio)),
            },
            dropout: Dropout::new(ratio),
            head: Linear::new(vocabulary),
            kind,
            vocabulary,
            layers,
            width,
            ratio,
        }
    }
}

impl Module for RecurrentLanguageModel {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.part("tokens", &self.tokens);
        match &self.cells {
            Cells::Lstm(layers) => visitor.part("lstm", layers),
            Cells::Gru(layers) => visitor.part("gru", layers),
        }
        visitor.part("dropout", &self.dropout);
        visitor.part("head", &self.head);
    }
}

impl Model for RecurrentLanguageModel {
    fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
        let names = self.cells.states();
        let tokens = inputs.iter().find(|(name, _)| !names.contains(name));
        let x = match tokens {
            Some((_, x)) => x.clone(),
            None => inputs.tensor(INPUT),
        };
        let carries = names.iter().any(|name| inputs.get(name).is_some());
        let samples = x.shape().ok().and_then(|shape| shape.first().copied());
        let begin = |name: &&str| match inputs.get(name) {
            Some(state) => state.clone(),
            None => Tensor::full(
                [samples.unwrap_or(1), self.layers, self.width],
                0.0,
                DType::F32,
            ),
        };
        let first: Vec<Tensor> = match carries {
            true => names.iter().map(begin).collect(),
            false => Vec::new(),
        };
        let run = self.cells.run(&self.tokens.forward(&x, cx), &first, cx);
        let y = self.dropout.forward(&run.output, cx);
        let mut outputs = Tensors::one(OUTPUT, self.head.forward(&y, cx));
        if carries {
            for (name, state) in names.iter().zip(run.states) {
                outputs.insert(*name, state);
            }
        }
        outputs
    }

    fn states(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let names = self.cells.states().iter();
        names.map(|&name| (name.into(), name.into())).collect()
    }

    fn state_ports(&self) -> Vec<Port> {
        let names = self.cells.states().iter();
        let axes = || [BATCH.into(), self.layers.into(), Axis::from(self.width)];
        names
            .map(|&name| Port::new(name, DType::F32, axes()))
            .collect()
    }
}
