//! A small GPT that writes sums: what it finds in a text beyond the counts of characters, how it writes, and what positions
//! are for.

use crate::prelude::*;
use std::{collections::HashSet, sync::Arc};
use zerokara::figures::numbers::{percent, significant};

lab!("gpt", chapter 0, pages "",
    Choice::count("layers", "2", "blocks (1 to 6)"),
    Choice::count("heads", "4", "heads of each block: 1, 2, 4 or 8"),
    Choice::count("width", "64", "numbers in the vector of a character (a multiple of 16, at most 256)").quick("32"),
    Choice::count("steps", "1500", "steps of training (at most 20000)").quick("300"),
    Choice::number("rate", "0.01", "learning rate of Adam (at most 1)"),
    Choice::numbers("temperatures", "0.2, 0.6, 1, 2, 4", "temperatures to write at (0.05 to 20, at most 8 of them)"),
);

const CHARACTERS: &str = "0123456789+-=;";
/// Characters that the network sees, windows in a batch, and windows that are tested.
const CONTEXT: usize = 24;
const BATCH: usize = 16;
const TESTED: usize = 100;
/// Rows that are written at each temperature.
const ROWS: usize = 20;

fn run(lab: &mut Session) -> Result<()> {
    let sizes = Sizes {
        layers: lab.count("layers"),
        heads: lab.count("heads"),
        width: lab.count("width"),
        steps: lab.count("steps"),
        rate: lab.number("rate"),
    };
    let mut temperatures = lab.numbers("temperatures");
    if !(1..=6).contains(&sizes.layers) || ![1, 2, 4, 8].contains(&sizes.heads) {
        return Err(Error::new("1 to 6 blocks of 1, 2, 4 or 8 heads"));
    }
    if !(16..=256).contains(&sizes.width)
        || !sizes.width.is_multiple_of(16)
        || sizes.steps > 20_000
    {
        return Err(Error::new("a width of 16, 32, .. to 256, and at most 20000 steps"));
    }
    if !(sizes.rate > 0.0 && sizes.rate <= 1.0) {
        return Err(Error::new("the learning rate is above 0 and at most 1"));
    }
    if !(1..=8).contains(&temperatures.len())
        || !temperatures.iter().all(|t| (0.05..=20.0).contains(t))
    {
        return Err(Error::new("temperatures: one to eight numbers from 0.05 to 20"));
    }
    temperatures.sort_by(f64::total_cmp);
    temperatures.dedup();
    let usual = lab.usual(&["layers", "heads", "width", "steps", "rate"]);

    lab.section("text");
    let train = Text::of(lab.seed(), 8_000)?;
    let test = Text::of(lab.seed() ^ 0x7E57, 2_000)?;
    lab.print(format!("{}…", &train.characters[..60]));
    let (single, pairs) = (train.counted(&test, 0), train.counted(&test, 1));
    let floor = mean(&test.surprise);
    lab.table(
        &["who foretells", "loss", "perplexity"],
        &[
            ("characters, counted", mean(&single)),
            ("pairs of characters, counted", mean(&pairs)),
            ("who can calculate", floor),
        ]
        .map(|(who, loss)| {
            vec![who.into(), significant(loss, 4), significant(loss.exp(), 3)]
        }),
    );
    lab.fact(
        "pairs say more than single characters, and less than who can calculate",
        mean(&single) > mean(&pairs) && mean(&pairs) > floor,
    )?;

    lab.section("training");
    let model = Arc::new(Writer::new(sizes, Positions::Rotary));
    let learned = learn(lab, model.clone(), &train, &test, sizes)?;
    let level = |y: f64| [(1.0, y), (sizes.steps as f64, y)];
    lab.figure(
        Plot::new("Loss of a small GPT")
            .size(440, 300)
            .axes("step", "loss")
            .curve("GPT", &learned.losses)
            .line("characters, counted", level(mean(&single)))
            .dashed()
            .line("pairs of characters, counted", level(mean(&pairs)))
            .dashed()
            .line("who can calculate", level(floor))
            .grey()
            .figure(),
    );
    lab.print(format!("test text: loss {}", significant(learned.loss(), 4)));
    if usual {
        lab.fact(
            "the loss is below that of characters and of pairs",
            learned.loss() < mean(&pairs).min(mean(&single)),
        )?;
    }
    // What holds after a whole training.
    let thorough = usual && !lab.quick();
    if thorough {
        lab.fact(
            "it is within 5 % of the least that is possible",
            learned.loss() < 1.05 * learned.least,
        )?;
    }
    let of_kind = |losses: &[f64], kinds: &[Kind], kind: Kind| {
        let some =
            losses.iter().zip(kinds).filter(|(_, k)| **k == kind).map(|(loss, _)| *loss);
        mean(&some.collect::<Vec<_>>())
    };
    let rows = Kind::ALL.map(|(kind, name)| {
        let by_pairs = of_kind(&pairs, &test.kinds[1..], kind);
        let by_gpt = of_kind(&learned.of_characters, &learned.kinds, kind);
        let least = of_kind(&test.surprise, &test.kinds, kind);
        let row = [by_pairs, by_gpt, least].map(|loss| format!("{loss:.3}"));
        [vec![name.to_string()], row.to_vec()].concat()
    });
    lab.table(&["loss of", "pairs", "GPT", "least"], &rows);
    if thorough {
        lab.fact(
            "of the answers, the GPT's loss is less than a tenth of that of pairs",
            of_kind(&learned.of_characters, &learned.kinds, Kind::Answer)
                < 0.1 * of_kind(&pairs, &test.kinds[1..], Kind::Answer),
        )?;
    }

    lab.section("temperature");
    let texts = write(model.clone(), &temperatures, lab.seed())?;
    let mut rows = Vec::new();
    let mut shares = Vec::new();
    for (t, texts) in temperatures.iter().zip(&texts) {
        lab.print(format!("{:>4}  {}", significant(*t, 3), texts[0]));
        let pieces: Vec<&str> = texts.iter().flat_map(|text| complete(text)).collect();
        let right = pieces.iter().filter(|piece| is_right(piece)).count();
        let different = pieces.iter().collect::<HashSet<_>>().len();
        let share = right as f64 / pieces.len().max(1) as f64;
        let all = pieces.len().to_string();
        rows.push(vec![significant(*t, 3), all, percent(share), different.to_string()]);
        shares.push((*t, share));
    }
    lab.table(&["temperature", "pieces", "right sums", "different pieces"], &rows);
    let right = shares.iter().map(|&(t, share)| (t, 100.0 * share));
    lab.figure(
        Plot::new("Right sums by temperature")
            .size(420, 260)
            .axes("temperature", "right sums, %")
            .y_range(0.0, 100.0)
            .path("", right)
            .figure(),
    );
    if usual && lab.usual(&["temperatures"]) {
        let (cold, hot) = (shares[0], shares[shares.len() - 1]);
        lab.fact("cold, more of the sums are right than hot", cold.1 > hot.1)?;
        if thorough {
            lab.fact(
                "cold, 90 % of the sums are right; hot, less than half",
                cold.1 >= 0.9 && hot.1 < 0.5,
            )?;
        }
    }

    lab.section("positions");
    let ask = |text: &str| Tensor::from(Array::new([1, text.len()], numbers(text)));
    let mut gaps = Vec::new();
    for positions in [Positions::None, Positions::Learned] {
        let one = Writer::new(Sizes { layers: 1, ..sizes }, positions);
        one.build(&ask(";8-3="), lab.seed())?;
        let [a, b] = [";8-3=", ";3-8="]
            .map(|text| one.forward(&ask(text), &mut Context::evaluate()).at(1, -1));
        gaps.push((a - b).abs().to_vec::<f32>()?.into_iter().fold(0.0, f32::max));
    }
    lab.fact(
        "one block without positions says the same after 8-3= and after 3-8=, with positions it does not",
        gaps[0] < 1e-5 && gaps[1] > 1e-4,
    )?;
    let mut plot = Plot::new("What positions are for")
        .size(440, 300)
        .axes("step", "loss")
        .y_focus(0.8, 2.0);
    let mut rows = Vec::new();
    let mut losses = Vec::new();
    let others =
        [(Positions::Learned, "learned positions"), (Positions::None, "no positions")];
    let mut all = vec![("rotary positions", learned)];
    for (positions, name) in others {
        let model = Arc::new(Writer::new(sizes, positions));
        all.push((name, learn(lab, model, &train, &test, sizes)?));
    }
    for (name, learned) in &all {
        plot = plot.line(*name, (1..).map(f64::from).zip(smoothed(&learned.losses)));
        let right = percent(learned.right_answers());
        rows.push(vec![name.to_string(), significant(learned.loss(), 4), right]);
        losses.push(learned.loss());
    }
    lab.figure(plot.figure());
    lab.table(&["network", "loss", "right characters of answers"], &rows);
    if thorough {
        lab.fact(
            "without positions the loss stays higher, by a fifth at least",
            losses[2] > 1.2 * losses[0].max(losses[1]),
        )?;
    }
    Ok(())
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The mean of the last twenty values at each place.
fn smoothed(losses: &[f64]) -> Vec<f64> {
    (1..=losses.len()).map(|end| mean(&losses[end.saturating_sub(20)..end])).collect()
}

/// The numbers of characters.
fn numbers(text: &str) -> Vec<i64> {
    text.chars().map(|c| CHARACTERS.find(c).unwrap_or(0) as i64).collect()
}

#[derive(Clone, Copy)]
struct Sizes {
    layers: usize,
    heads: usize,
    width: usize,
    steps: usize,
    rate: f64,
}

/// What a character is in a sum.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Number,
    Sign,
    Equals,
    Answer,
    End,
}

impl Kind {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Number, "the two numbers"),
        (Self::Sign, "plus or minus"),
        (Self::Equals, "="),
        (Self::Answer, "the answer"),
        (Self::End, ";"),
    ];
}

/// Sums and differences of two digits, drawn by chance: `7+5=12;3-8=-5;`.
struct Text {
    characters: String,
    tokens: Vec<i64>,
    kinds: Vec<Kind>,
    /// Of each character, minus the logarithm of its probability, for who can calculate.
    surprise: Vec<f64>,
}

impl Text {
    fn of(seed: u64, sums: usize) -> Result<Self> {
        let draws = Tensor::uniform(seed, &Tensor::scalar(0.0, DType::I64), [sums, 3])
            .to_vec::<f32>()?;
        let mut text = Self {
            characters: String::new(),
            tokens: vec![],
            kinds: vec![],
            surprise: vec![],
        };
        for draw in draws.chunks(3) {
            let [a, b] = [draw[0], draw[1]].map(|u| (u * 10.0) as i64);
            let (sign, answer) = if draw[2] < 0.5 { ("+", a + b) } else { ("-", a - b) };
            text.push(&a.to_string(), Kind::Number, 10.0);
            text.push(sign, Kind::Sign, 2.0);
            text.push(&b.to_string(), Kind::Number, 10.0);
            text.push("=", Kind::Equals, 1.0);
            text.push(&answer.to_string(), Kind::Answer, 1.0);
            text.push(";", Kind::End, 1.0);
        }
        text.tokens = numbers(&text.characters);
        Ok(text)
    }

    fn push(&mut self, part: &str, kind: Kind, of: f64) {
        self.characters += part;
        self.kinds.extend(part.chars().map(|_| kind));
        self.surprise.extend(part.chars().map(|_| of.ln()));
    }

    /// The loss of each character of another text by what is counted in this one: of characters, or of characters after the
    /// `before` that stand in front of them.
    fn counted(&self, other: &Self, before: usize) -> Vec<f64> {
        let all = CHARACTERS.len();
        let place = |part: &[i64]| part.iter().fold(0, |n, &t| n * all + t as usize);
        // As if each had been seen a hundredth time more, so that nothing is impossible.
        let mut counts = vec![0.01; all.pow(before as u32 + 1)];
        for part in self.tokens.windows(before + 1) {
            counts[place(part)] += 1.0;
        }
        let loss = |part: &[i64]| {
            let of = place(&part[..before]) * all;
            -(counts[place(part)] / counts[of..of + all].iter().sum::<f64>()).ln()
        };
        other.tokens.windows(before + 1).map(loss).collect()
    }

    /// What stands at these places and what follows each of its characters, `[N, CONTEXT]`.
    fn windows(&self, starts: &[usize]) -> (Array, Array) {
        let cut = |shift: usize| {
            let one = |&start: &usize| &self.tokens[start + shift..start + shift + CONTEXT];
            Array::new(
                [starts.len(), CONTEXT],
                starts.iter().flat_map(one).copied().collect::<Vec<i64>>(),
            )
        };
        (cut(0), cut(1))
    }
}

/// What a network has learned.
struct Learned {
    losses: Vec<f64>,
    /// The least possible mean loss of the test windows.
    least: f64,
    /// Of the characters of the test windows their losses, kinds, and whether they were the likeliest.
    of_characters: Vec<f64>,
    kinds: Vec<Kind>,
    right: Vec<bool>,
}

impl Learned {
    fn loss(&self) -> f64 {
        mean(&self.of_characters)
    }

    fn right_answers(&self) -> f64 {
        let answers =
            self.right.iter().zip(&self.kinds).filter(|(_, kind)| **kind == Kind::Answer);
        mean(&answers.map(|(right, _)| f64::from(*right)).collect::<Vec<_>>())
    }
}

/// Trains on windows that begin anywhere, and tests on some that begin in front of a sum, so that nothing is unknown that could
/// be known.
fn learn(
    lab: &Session,
    model: Arc<impl Forward + 'static>,
    train: &Text,
    test: &Text,
    sizes: Sizes,
) -> Result<Learned> {
    model.build(&Meta::new([BATCH, CONTEXT], DType::I64), lab.seed())?;
    let mut step =
        TrainStep::new(model.clone(), TokenCrossEntropy::new(), Adam::new(sizes.rate))?
            .clipping(Clipping::Norm(1.0));
    let schedule = Schedule::one_cycle(sizes.steps as u64);
    let progress = lab.progress("training", sizes.steps);
    let room = (train.tokens.len() - CONTEXT - 1) as f32;
    let mut losses = Vec::new();
    for number in 0..sizes.steps {
        let draws = Tensor::uniform(
            lab.seed(),
            &Tensor::scalar(number as f64, DType::I64),
            [BATCH],
        );
        let starts: Vec<usize> =
            draws.to_vec::<f32>()?.iter().map(|u| (u * room) as usize).collect();
        let (x, t) = train.windows(&starts);
        losses.push(step.step(&x, &t, sizes.rate * schedule.factor(number as u64))?.loss);
        progress.step();
    }
    let last = test.tokens.len() - CONTEXT - 1;
    let ends = (0..last).filter(|&at| test.kinds[at] == Kind::End);
    let starts: Vec<usize> = ends.step_by(10).take(TESTED).collect();
    let (x, t) = test.windows(&starts);
    let (x, t) = (Tensor::from(x), Tensor::from(t));
    let scores = model.forward(&x, &mut Context::evaluate());
    let right = scores.argmax(-1).equal(&t).cast(DType::F32);
    let values = eval(&[&scores.cross_entropy(&t), &right])?;
    let kinds = starts.iter().flat_map(|start| &test.kinds[start + 1..start + 1 + CONTEXT]);
    let surprise =
        starts.iter().flat_map(|start| &test.surprise[start + 1..start + 1 + CONTEXT]);
    Ok(Learned {
        losses,
        least: mean(&surprise.copied().collect::<Vec<_>>()),
        of_characters: values[0].to_f64s(),
        kinds: kinds.copied().collect(),
        right: values[1].to_f64s().iter().map(|&right| right == 1.0).collect(),
    })
}

/// Texts at each temperature, all written side by side: the scores are divided by the temperature, and a character is drawn
/// as the softmax says.
fn write(
    model: Arc<impl Forward + 'static>,
    temperatures: &[f64],
    seed: u64,
) -> Result<Vec<Vec<String>>> {
    let rows = temperatures.len() * ROWS;
    let writer = Predictor::new(model)?;
    let mut tokens = vec![0i64; rows * CONTEXT]; // what stands behind a place does not count for it
    for row in tokens.chunks_mut(CONTEXT) {
        row[0] = numbers(";")[0];
    }
    for at in 0..CONTEXT - 1 {
        let scores =
            writer.predict(&Array::new([rows, CONTEXT], tokens.clone()))?.to_f64s();
        let draws = Tensor::uniform(seed, &Tensor::scalar(at as f64, DType::I64), [rows])
            .to_vec::<f32>()?;
        for row in 0..rows {
            let scores =
                &scores[(row * CONTEXT + at) * CHARACTERS.len()..][..CHARACTERS.len()];
            let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weight = |s: &f64| ((s - most) / temperatures[row / ROWS]).exp();
            let mut left = f64::from(draws[row]) * scores.iter().map(weight).sum::<f64>();
            let drawn = scores.iter().position(|score| {
                left -= weight(score);
                left < 0.0
            });
            tokens[row * CONTEXT + at + 1] = drawn.unwrap_or(0) as i64;
        }
    }
    let text = |row: &[i64]| {
        row[1..].iter().filter_map(|&t| CHARACTERS.chars().nth(t as usize)).collect()
    };
    let all: Vec<String> = tokens.chunks(CONTEXT).map(text).collect();
    Ok(all.chunks(ROWS).map(<[String]>::to_vec).collect())
}

/// What stands in front of each semicolon.
fn complete(text: &str) -> impl Iterator<Item = &str> {
    let end = text.rfind(';').unwrap_or(0);
    text[..end].split(';')
}

/// Whether a piece is a sum, or a difference, of two digits, and the answer is right.
fn is_right(piece: &str) -> bool {
    let Some((question, answer)) = piece.split_once('=') else { return false };
    let &[a @ b'0'..=b'9', sign @ (b'+' | b'-'), b @ b'0'..=b'9'] = question.as_bytes()
    else {
        return false;
    };
    let (a, b) = (i64::from(a - b'0'), i64::from(b - b'0'));
    answer == (if sign == b'+' { a + b } else { a - b }).to_string()
}

/// How a network knows where a character stands.
#[derive(Clone, Copy, PartialEq)]
enum Positions {
    None,
    Learned,
    Rotary,
}

/// As `models::Gpt`, which has learned positions, with a choice of them.
#[derive(Module, Clone)]
struct Writer {
    tokens: Embedding,
    positions: Option<LearnedPositions>,
    blocks: Vec<TransformerBlock>,
    norm: LayerNorm,
    head: Linear,
}

impl Writer {
    fn new(sizes: Sizes, positions: Positions) -> Self {
        let small = Initializer::Normal { std: 0.02 };
        let attention = || {
            let attention = MultiHeadAttention::new(sizes.heads).causal(true);
            match positions {
                Positions::Rotary => attention.rotary(10_000.0),
                _ => attention,
            }
        };
        let block = || {
            TransformerBlock::new(sizes.heads)
                .attention(attention())
                .initializers(small, small)
        };
        let tokens = Embedding::new(CHARACTERS.len(), sizes.width).initializer(small);
        Self {
            head: Linear::new(CHARACTERS.len()).bias(false).tied(tokens.weight_slot()),
            positions: (positions == Positions::Learned)
                .then(|| LearnedPositions::new(CONTEXT)),
            blocks: (0..sizes.layers).map(|_| block()).collect(),
            norm: LayerNorm::new(),
            tokens,
        }
    }
}

impl Forward for Writer {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let mut y = self.tokens.forward(x, cx);
        if let Some(positions) = &self.positions {
            y = positions.forward(&y, cx);
        }
        for block in &self.blocks {
            y = block.forward(&y, cx);
        }
        self.head.forward(&self.norm.forward(&y, cx), cx)
    }
}
