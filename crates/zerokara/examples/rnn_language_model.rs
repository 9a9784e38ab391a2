//! A model of language as a recurrent network (chapter 5 of the book's second volume): which word comes next?
//!
//! The text is read in windows of 20 words, and the state is carried from window to window, while gradients stop at its edge:
//! truncated backpropagation through time. Perplexity says among how many words the model still wavers; what counts of words
//! and of pairs of words reach, and what the grammar leaves open, stand beside it.
//!
//! ```text
//! cargo run --release -p zerokara --features figures --example rnn_language_model
//! ```

#[path = "shared/grammar.rs"]
mod grammar;
mod shared;

use shared::{Dice, draw};
use std::{collections::HashMap, sync::Arc};
use zerokara::{figures::Plot, prelude::*};

const ROWS: usize = 20;
const WINDOW: usize = 20;
const HIDDEN: usize = 64;

/// Vectors of words, a recurrent layer whose state lasts from batch to batch (the book's `stateful`), scores of words.
#[derive(Module)]
struct LanguageModel {
    words: Embedding,
    rnn: Rnn,
    state: ParameterSlot,
    scores: Linear,
}

impl Forward for LanguageModel {
    fn forward(&self, tokens: &Tensor, cx: &mut Context) -> Tensor {
        let x = self.words.forward(tokens, cx);
        let first = self
            .state
            .tensor(&Meta::new([ROWS, 1, HIDDEN], DType::F32), cx);
        let run = self.rnn.run(&x, &[first], None, cx);
        cx.update(&self.state, &run.states[0]); // no gradient goes through it
        self.scores.forward(&run.output, cx)
    }
}

impl LanguageModel {
    fn forget(&self) -> Result<()> {
        let state = self
            .state
            .parameter()
            .ok_or_else(|| Error::new("the model is not built"))?;
        Ok(state.set_array(Array::zeros(state.meta()))?)
    }
}

/// The perplexity of the test text by counts of the training text: of words, or of words after a word.
fn by_counts(train: &[i64], test: &[i64], words: usize, before: usize) -> f64 {
    let (mut counts, mut totals) = (HashMap::new(), HashMap::new());
    for part in train.windows(before + 1) {
        *counts.entry(part).or_insert(0.0) += 1.0;
        *totals.entry(&part[..before]).or_insert(0.0) += 1.0;
    }
    // As if each word had been seen a hundredth time more, so that none is impossible.
    let surprise = |part: &[i64]| {
        let (seen, all) = (counts.get(part), totals.get(&part[..before]));
        let all: f64 = *all.unwrap_or(&0.0) + 0.01 * words as f64;
        -((*seen.unwrap_or(&0.0) + 0.01) / all).ln()
    };
    let sum: f64 = test.windows(before + 1).map(surprise).sum();
    (sum / (test.len() - before) as f64).exp()
}

fn main() -> Result<()> {
    let words = grammar::vocabulary().len();
    let (train, _) = grammar::text(80_000, 1);
    let (test, best) = grammar::text(4_000, 2);

    let model = Arc::new(LanguageModel {
        words: Embedding::new(words, 32),
        rnn: Rnn::new(HIDDEN),
        state: ParameterSlot::buffer(Initializer::Constant(0.0)),
        scores: Linear::new(words),
    });
    model.build(&Meta::new([ROWS, WINDOW], DType::I64), 1)?;
    let mut training = TrainStep::new(model.clone(), TokenCrossEntropy::new(), Adam::new(0.003))?
        .clipping(Clipping::Norm(0.25)); // gradients of recurrent networks may explode (page 262)
    let mut testing = EvalStep::new(model.clone(), TokenCrossEntropy::new())?;

    let epochs = 12;
    let (mut on_train, mut on_test) = (Vec::new(), Vec::new());
    for epoch in 0..epochs {
        model.forget()?;
        let windows = (train.len() / ROWS - 1) / WINDOW;
        let rate = 0.003 * (1.0 - epoch as f64 / epochs as f64);
        let mut sum = 0.0;
        for window in 0..windows {
            let (x, t) = grammar::window(&train, ROWS, window * WINDOW, WINDOW);
            sum += training.step(&x, &t, rate)?.loss;
        }
        model.forget()?;
        let (x, t) = grammar::window(&test, ROWS, 0, test.len() / ROWS - 1);
        on_train.push((sum / windows as f64).exp());
        on_test.push(testing.run(&x, &t)?.loss.exp());
        println!(
            "epoch {:2}: perplexity {:.3}, of the test text {:.3}",
            epoch + 1,
            on_train[epoch],
            on_test[epoch]
        );
    }
    let pairs = by_counts(&train, &test, words, 1);
    println!(
        "by counts of words {:.2}, of pairs {pairs:.2}",
        by_counts(&train, &test, words, 0)
    );
    println!("who knows the grammar: {best:.2}");

    model.forget()?;
    let sentences = grammar::write(model, ROWS, &mut Dice(3))?;
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

    let level = |y: f64| [(1.0, y), (epochs as f64, y)];
    let plot = Plot::new("Perplexity of an RNN")
        .axes("epoch", "perplexity")
        .whole_x()
        .y_focus(2.0, pairs)
        .curve("training", &on_train)
        .curve("test", &on_test)
        .line("pairs of words, counted", level(pairs))
        .dashed()
        .line("the grammar itself", level(best))
        .grey();
    let japanese = [
        ("Perplexity of an RNN", "RNNのパープレキシティ"),
        ("epoch", "エポック"),
        ("perplexity", "パープレキシティ"),
        ("training", "訓練"),
        ("test", "テスト"),
        ("pairs of words, counted", "2語の組の頻度"),
        ("the grammar itself", "文法そのもの"),
    ];
    draw("rnn-language-model", &plot.figure(), &japanese)
}
