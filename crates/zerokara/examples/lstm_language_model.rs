//! A better model of language (chapter 6 of the book's second volume): an LSTM of two layers, with dropout, and one table of
//! vectors for the words that are read and those that are foretold.
//!
//! The text is that of `rnn_language_model`; compare the perplexities. Tied weights halve the largest table; the width of
//! the vectors is then that of the state. The learning rate is divided by 4 whenever the validation text gets no better, as in
//! the book.
//!
//! ```text
//! cargo run --release -p zerokara --features figures --example lstm_language_model
//! ```

#[path = "shared/grammar.rs"]
mod grammar;
mod shared;

use shared::{Dice, draw};
use std::sync::Arc;
use zerokara::{figures::Plot, prelude::*};

const ROWS: usize = 20;
const WINDOW: usize = 20;
const WIDTH: usize = 64;
const LAYERS: usize = 2;

/// The book's `BetterRnnlm`. States h and c of both layers last from batch to batch.
#[derive(Module)]
struct BetterLanguageModel {
    words: Embedding,
    dropout1: Dropout,
    lstm: Lstm,
    h: ParameterSlot,
    c: ParameterSlot,
    dropout2: Dropout,
    scores: Linear,
}

impl BetterLanguageModel {
    fn new(words: usize) -> Self {
        let scale = 1.0 / (WIDTH as f64).sqrt();
        let table = Embedding::new(words, WIDTH).initializer(Initializer::Normal { std: scale });
        let state = || ParameterSlot::buffer(Initializer::Constant(0.0));
        Self {
            dropout1: Dropout::new(0.1),
            lstm: Lstm::new(WIDTH).layers(LAYERS).dropout(0.1),
            h: state(),
            c: state(),
            dropout2: Dropout::new(0.1),
            scores: Linear::new(words).tied(table.weight_slot()), // scores are products with the words' vectors
            words: table,
        }
    }

    fn forget(&self) -> Result<()> {
        for state in [&self.h, &self.c]
            .into_iter()
            .filter_map(|slot| slot.parameter())
        {
            state.set_array(Array::zeros(state.meta()))?;
        }
        Ok(())
    }
}

impl Forward for BetterLanguageModel {
    fn forward(&self, tokens: &Tensor, cx: &mut Context) -> Tensor {
        let x = self
            .dropout1
            .forward(&(self.words.forward(tokens, cx) * 8.0), cx);
        let meta = Meta::new([ROWS, LAYERS, WIDTH], DType::F32);
        let first = [self.h.tensor(&meta, cx), self.c.tensor(&meta, cx)];
        let run = self.lstm.run(&x, &first, None, cx);
        cx.update(&self.h, &run.states[0]);
        cx.update(&self.c, &run.states[1]);
        self.scores
            .forward(&self.dropout2.forward(&run.output, cx), cx)
    }
}

fn main() -> Result<()> {
    let words = grammar::vocabulary().len();
    let (train, _) = grammar::text(80_000, 1);
    let (validation, _) = grammar::text(4_000, 4);
    let (test, best) = grammar::text(4_000, 2);

    let model = Arc::new(BetterLanguageModel::new(words));
    model.build(&Meta::new([ROWS, WINDOW], DType::I64), 1)?;
    let mut training = TrainStep::new(model.clone(), TokenCrossEntropy::new(), Adam::new(0.01))?
        .clipping(Clipping::Norm(1.0));
    let mut testing = EvalStep::new(model.clone(), TokenCrossEntropy::new())?;
    // The whole text at once, from a state of zeros, without dropout.
    let mut perplexity = |text: &[i64]| -> Result<f64> {
        model.forget()?;
        let (x, t) = grammar::window(text, ROWS, 0, text.len() / ROWS - 1);
        Ok(testing.run(&x, &t)?.loss.exp())
    };

    let (mut rate, mut least) = (0.01, f64::INFINITY);
    let (mut on_train, mut on_validation) = (Vec::new(), Vec::new());
    for epoch in 1..=16 {
        model.forget()?;
        let windows = (train.len() / ROWS - 1) / WINDOW;
        let mut sum = 0.0;
        for window in 0..windows {
            let (x, t) = grammar::window(&train, ROWS, window * WINDOW, WINDOW);
            sum += training.step(&x, &t, rate)?.loss;
        }
        let now = perplexity(&validation)?;
        on_train.push((sum / windows as f64).exp());
        on_validation.push(now);
        println!(
            "epoch {epoch:2}: rate {rate}, perplexity with dropout {:.3}, validation {now:.3}",
            on_train[epoch - 1]
        );
        if now > least {
            rate /= 4.0;
        }
        least = least.min(now);
    }
    println!(
        "test text: perplexity {:.3}; who knows the grammar: {best:.3}",
        perplexity(&test)?
    );

    model.forget()?;
    let sentences = grammar::write(model.clone(), ROWS, &mut Dice(3))?;
    for sentence in &sentences[..5] {
        println!(
            "  {}{}",
            sentence.join(" "),
            if grammar::is_right(sentence) {
                ""
            } else {
                "   (wrong)"
            }
        );
    }
    let right = sentences.iter().filter(|s| grammar::is_right(s)).count();
    println!("of {ROWS} sentences that it wrote, {right} keep the grammar");

    let plot = Plot::new("Perplexity of an LSTM")
        .axes("epoch", "perplexity")
        .whole_x()
        .y_focus(2.0, 6.0)
        .curve("training, with dropout", &on_train)
        .curve("validation", &on_validation)
        .line("the grammar itself", [(1.0, best), (16.0, best)])
        .grey();
    let japanese = [
        ("Perplexity of an LSTM", "LSTMのパープレキシティ"),
        ("epoch", "エポック"),
        ("perplexity", "パープレキシティ"),
        ("training, with dropout", "訓練（Dropoutあり）"),
        ("validation", "検証"),
        ("the grammar itself", "文法そのもの"),
    ];
    draw("lstm-language-model", &plot.figure(), &japanese)
}
