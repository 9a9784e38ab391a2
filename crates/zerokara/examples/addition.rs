//! From sequence to sequence (chapter 7 of the book's second volume): a network that learns to add, `57+5` to `62`, from
//! examples alone, character by character.
//!
//! An encoder reads the question into one vector, a decoder writes the answer from it. Both of the book's improvements are
//! here: the question is read backwards, so that its beginning is near to the answer's, and the decoder sees the encoder's
//! vector at every step ("peeky"). What is tested are sums that were never shown.
//!
//! ```text
//! cargo run --release -p zerokara --features figures --example addition
//! ```

mod shared;

use shared::{Dice, draw};
use std::{collections::HashSet, sync::Arc};
use zerokara::{figures::Plot, prelude::*};

const CHARACTERS: &str = "0123456789+ _";
/// `999+999`, and `1998`.
const QUESTION: usize = 7;
const ANSWER: usize = 4;
const HIDDEN: usize = 128;

fn numbers(text: &str) -> impl DoubleEndedIterator<Item = i64> + '_ {
    text.chars().map(|c| CHARACTERS.find(c).unwrap_or(0) as i64)
}

/// The book's `PeekySeq2seq`.
#[derive(Module)]
struct Peeky {
    questions: Embedding,
    encoder: Lstm,
    answers: Embedding,
    decoder: Lstm,
    scores: Linear,
}

impl Peeky {
    fn new() -> Self {
        let characters = CHARACTERS.len();
        Self {
            questions: Embedding::new(characters, 16),
            encoder: Lstm::new(HIDDEN).last(true),
            answers: Embedding::new(characters, 16),
            decoder: Lstm::new(HIDDEN),
            scores: Linear::new(characters),
        }
    }
}

impl Model for Peeky {
    /// Scores of the characters of the answer, `[N, 4, 13]`, where `before` holds what stands before each of them.
    fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
        let (question, before) = (inputs.tensor("question"), inputs.tensor("before"));
        let read = self
            .encoder
            .run(&self.questions.forward(&question, cx), &[], None, cx);
        let h = read.states[0]
            .permute([1, 0, 2])
            .reshape([-1, 1, HIDDEN as i64]);
        let peek = h.tile([1, ANSWER, 1]);
        let x = Tensor::concat(&[&peek, &self.answers.forward(&before, cx)], -1);
        let written = self.decoder.run(&x, &read.states, None, cx).output;
        Tensors::one(
            "scores",
            self.scores
                .forward(&Tensor::concat(&[&peek, &written], -1), cx),
        )
    }
}

/// Questions read backwards, answers, and what stands before each character of them when it is written.
fn columns(sums: &[(usize, usize)]) -> Columns {
    let (mut questions, mut before, mut answers) = (Vec::new(), Vec::new(), Vec::new());
    for (a, b) in sums {
        let question = format!("{:QUESTION$}", format!("{a}+{b}"));
        let answer = format!("{:ANSWER$}", (a + b).to_string());
        questions.extend(numbers(&question).rev());
        before.extend(numbers(&format!("_{answer}")).take(ANSWER));
        answers.extend(numbers(&answer));
    }
    Columns::new()
        .with("question", Array::new([sums.len(), QUESTION], questions))
        .with("before", Array::new([sums.len(), ANSWER], before))
        .with("answer", Array::new([sums.len(), ANSWER], answers))
}

/// Answers that are written alone: each character is the likeliest behind those that were written before it.
fn answer(writer: &Predictor, sums: &[(usize, usize)]) -> Result<Vec<String>> {
    let data = columns(sums);
    let question = data
        .array("question")
        .ok_or_else(|| Error::new("no questions"))?;
    let rows = sums.len();
    let mut written: Vec<String> = vec!["_".into(); rows];
    for at in 0..ANSWER {
        // Steps behind this one are computed too, from blanks, and not looked at.
        let before = written.iter().flat_map(|w| {
            let padded = format!("{w:ANSWER$}");
            numbers(&padded).collect::<Vec<i64>>()
        });
        let inputs = Arrays::one("question", question.clone()).with(
            "before",
            Array::new([rows, ANSWER], before.collect::<Vec<i64>>()),
        );
        let next = Tensor::from(writer.predict(&inputs)?)
            .argmax(-1)
            .to_vec::<i64>()?;
        for (row, text) in written.iter_mut().enumerate() {
            let character = next[row * ANSWER + at] as usize;
            text.extend(CHARACTERS.chars().nth(character));
        }
    }
    Ok(written
        .iter()
        .map(|w| w[1..].trim_end().to_string())
        .collect())
}

fn main() -> Result<()> {
    // Different questions, with numbers of one to three digits alike.
    let mut dice = Dice(1);
    let mut number = || {
        let digits = 1 + dice.below(3) as u32;
        dice.below(10usize.pow(digits))
    };
    let (mut seen, mut sums) = (HashSet::new(), Vec::new());
    while sums.len() < 22_000 {
        let sum = (number(), number());
        if seen.insert(sum) {
            sums.push(sum);
        }
    }
    let (test, train) = sums.split_at(2_000);
    let model = Arc::new(Peeky::new());
    let inputs = [("question", QUESTION), ("before", ANSWER)];
    model.build_for(
        &inputs
            .map(|(n, length)| (n, Meta::new([1, length], DType::I64)))
            .into(),
        1,
    )?;

    let loader = Loader::new(&Split::of(columns(train))?.targets(["answer"])?, 100)?.shuffle(1);
    let mut loader = loader.drop_last(true);
    let mut training = TrainStep::new(model.clone(), TokenCrossEntropy::new(), Adam::new(0.004))?
        .clipping(Clipping::Norm(5.0)); // as in the book
    let writer = Predictor::new(model.clone())?;
    let epochs = 12;
    let schedule = Schedule::one_cycle(epochs * loader.len() as u64);
    let (mut accuracies, mut step) = (Vec::new(), 0);
    for epoch in 0..epochs {
        loader.set_epoch(epoch);
        let mut loss = 0.0;
        for batch in 0..loader.len() {
            let feed = loader.feed(batch)?;
            loss += training
                .step(&feed.inputs, &feed.targets, 0.004 * schedule.factor(step))?
                .loss;
            step += 1;
        }
        let answers = answer(&writer, test)?;
        let right = answers
            .iter()
            .zip(test)
            .filter(|(text, (a, b))| **text == (a + b).to_string());
        let right = 100.0 * right.count() as f64 / test.len() as f64;
        println!(
            "epoch {:2}: loss {:.4}, right answers {right:.1} %",
            epoch + 1,
            loss / loader.len() as f64
        );
        accuracies.push(right);
    }
    for ((a, b), text) in test.iter().zip(answer(&writer, test)?).take(8) {
        println!(
            "  {a}+{b} = {text}{}",
            if text == (a + b).to_string() {
                ""
            } else {
                "   (wrong)"
            }
        );
    }

    let plot = Plot::new("Sums that were never shown")
        .axes("epoch", "right answers, %")
        .whole_x()
        .y_range(0.0, 100.0)
        .path("", (1..).map(f64::from).zip(accuracies));
    let japanese = [
        ("Sums that were never shown", "見せたことのない足し算"),
        ("epoch", "エポック"),
        ("right answers, %", "正解率（%）"),
    ];
    draw("addition", &plot.figure(), &japanese)
}
