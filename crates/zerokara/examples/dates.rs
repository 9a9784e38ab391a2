//! Attention (chapter 8 of the book's second volume): dates in any spelling, `september 27, 1994`, become `1994-09-27`.
//!
//! The decoder does not get one vector of the whole text, but at each step a mean of all the encoder's states, weighted by how
//! well they go with its own state. The weights say where it looks: the picture has a row for each character that it writes.
//!
//! ```text
//! cargo run --release -p zerokara --features figures --example dates
//! ```

mod shared;

use shared::{Dice, draw};
use std::sync::Arc;
use zerokara::{figures::Heatmap, prelude::*};

const CHARACTERS: &str = " _,-/0123456789abcdefghijklmnopqrstuvwxyz";
const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
/// `wednesday, september 27, 1994`, and `1994-09-27`.
const TEXT: usize = 29;
const DATE: usize = 10;
const HIDDEN: usize = 64;

/// A day between 1970 and 2019, in one of the spellings, and as it should be.
fn spelled(dice: &mut Dice) -> (String, String) {
    let (year, month, day) = (
        1970 + dice.below(50),
        1 + dice.below(12),
        1 + dice.below(28),
    );
    let name = MONTHS[month - 1];
    let text = match dice.below(6) {
        0 => format!("{name} {day}, {year}"),
        1 => format!("{} {day}, {year}", &name[..3]),
        2 => format!("{day} {name} {year}"),
        3 => format!("{month}/{day}/{:02}", year % 100),
        4 => format!("{}, {name} {day}, {year}", DAYS[dice.below(7)]),
        _ => format!("{day} {} {:02}", &name[..3], year % 100),
    };
    (text, format!("{year}-{month:02}-{day:02}"))
}

fn numbers(text: &str, length: usize) -> Vec<i64> {
    let padded = format!("{text:length$}");
    padded
        .chars()
        .take(length)
        .map(|c| CHARACTERS.find(c).unwrap_or(0) as i64)
        .collect()
}

/// The book's `AttentionSeq2seq`.
#[derive(Module)]
struct Attentive {
    letters: Embedding,
    encoder: Lstm,
    digits: Embedding,
    decoder: Lstm,
    scores: Linear,
}

impl Attentive {
    /// The scores of each character of the date, `[N, 10, 41]`, and the weights of attention, `[N, 10, 29]`.
    fn look(&self, text: &Tensor, before: &Tensor, cx: &mut Context) -> (Tensor, Tensor) {
        let read = self
            .encoder
            .run(&self.letters.forward(text, cx), &[], None, cx);
        let x = self.digits.forward(before, cx);
        let own = self.decoder.run(&x, &read.states, None, cx).output; // [N, 10, H]
        // How well each state of the decoder goes with each of the encoder; a mean of the latter, so weighted.
        let weights = own.matmul(&read.output.permute([0, 2, 1])).softmax();
        let found = weights.matmul(&read.output);
        let scores = self
            .scores
            .forward(&Tensor::concat(&[&found, &own], -1), cx);
        (scores, weights)
    }
}

impl Model for Attentive {
    fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
        let (text, before) = (inputs.tensor("text"), inputs.tensor("before"));
        Tensors::one("scores", self.look(&text, &before, cx).0)
    }
}

/// The dates that it writes alone, character by character, and where it looks meanwhile.
fn write(model: &Attentive, texts: &[(String, String)]) -> Result<(Vec<String>, Vec<f64>)> {
    let rows = texts.len();
    let [text, before] = [("text", TEXT), ("before", DATE)]
        .map(|(name, length)| Tensor::input(name, [rows, length], DType::I64));
    let (scores, weights) = model.look(&text, &before, &mut Context::evaluate());
    let program = Program::compile(&[&text, &before], &[&scores.argmax(-1), &weights], &[])?;

    let letters: Vec<i64> = texts
        .iter()
        .flat_map(|(text, _)| numbers(text, TEXT))
        .collect();
    let letters = Array::new([rows, TEXT], letters);
    let mut written: Vec<String> = vec!["_".into(); rows];
    let mut weights = Vec::new();
    for at in 0..DATE {
        let before: Vec<i64> = written.iter().flat_map(|w| numbers(w, DATE)).collect();
        let outputs = program.run(&[letters.clone(), Array::new([rows, DATE], before)])?;
        let next = outputs[0].to_f64s();
        for (row, text) in written.iter_mut().enumerate() {
            text.extend(CHARACTERS.chars().nth(next[row * DATE + at] as usize));
        }
        weights = outputs[1].to_f64s();
    }
    Ok((
        written.iter().map(|w| w[1..].to_string()).collect(),
        weights,
    ))
}

fn main() -> Result<()> {
    let mut dice = Dice(1);
    let mut dates =
        |n: usize| -> Vec<(String, String)> { (0..n).map(|_| spelled(&mut dice)).collect() };
    let (train, mut test) = (dates(10_000), dates(1_000));
    test.retain(|pair| !train.contains(pair));

    let column = |part: &dyn Fn(&(String, String)) -> Vec<i64>, length| {
        let all: Vec<i64> = train.iter().flat_map(part).collect();
        Array::new([train.len(), length], all)
    };
    let data = Columns::new()
        .with("text", column(&|(text, _)| numbers(text, TEXT), TEXT))
        .with(
            "before",
            column(&|(_, date)| numbers(&format!("_{date}"), DATE), DATE),
        )
        .with("date", column(&|(_, date)| numbers(date, DATE), DATE));

    let model = Arc::new(Attentive {
        letters: Embedding::new(CHARACTERS.len(), 16),
        encoder: Lstm::new(HIDDEN),
        digits: Embedding::new(CHARACTERS.len(), 16),
        decoder: Lstm::new(HIDDEN),
        scores: Linear::new(CHARACTERS.len()),
    });
    let inputs = [("text", TEXT), ("before", DATE)];
    model.build_for(
        &inputs
            .map(|(n, length)| (n, Meta::new([1, length], DType::I64)))
            .into(),
        1,
    )?;

    let mut loader = Loader::new(&Split::of(data)?.targets(["date"])?, 100)?.shuffle(1);
    let mut training = TrainStep::new(model.clone(), TokenCrossEntropy::new(), Adam::new(0.004))?
        .clipping(Clipping::Norm(5.0));
    let epochs = 9;
    let schedule = Schedule::one_cycle(epochs * loader.len() as u64);
    let mut step = 0;
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
        let right = write(&model, &test)?.0;
        let right = right
            .iter()
            .zip(&test)
            .filter(|(written, (_, date))| *written == date)
            .count();
        let share = 100.0 * right as f64 / test.len() as f64;
        println!(
            "epoch {}: loss {:.4}, right dates {share:.1} %",
            epoch + 1,
            loss / loader.len() as f64
        );
    }

    let texts = [
        "september 27, 1994",
        "8/19/03",
        "friday, may 5, 1978",
        "3 oct 11",
    ];
    let texts = texts.map(|text| (text.to_string(), String::new()));
    let (written, weights) = write(&model, &texts)?;
    for (row, ((text, _), date)) in texts.iter().zip(&written).enumerate() {
        println!("{text} -> {date}");
        for (at, character) in date.chars().enumerate().filter(|(_, c)| *c != '-') {
            // The characters that together have nearly all of the weight.
            let here = &weights[(row * DATE + at) * TEXT..][..TEXT];
            let seen = |(i, c): (usize, char)| if here[i] > 0.15 { c } else { '.' };
            println!(
                "    {character}  {}",
                format!("{text} ")
                    .chars()
                    .enumerate()
                    .map(seen)
                    .collect::<String>()
            );
        }
    }

    let (text, date) = (&texts[0].0, &written[0]);
    let mut map = Heatmap::new("Where it looks", [DATE, text.len()])
        .names(
            text.chars().map(String::from),
            date.chars().map(String::from),
        )
        .axes("what it reads", "what it writes");
    for row in 0..DATE {
        for column in 0..text.len() {
            let weight = weights[row * TEXT + column];
            if weight >= 0.01 {
                map = map.cell([row, column], (weight * 100.0).round(), 0, weight);
            }
        }
    }
    let japanese = [
        ("Where it looks", "どこを見ているか"),
        ("what it reads", "読んでいる文字"),
        ("what it writes", "書いている文字"),
    ];
    draw("dates", &map.figure(), &japanese)
}
