//! Attention: a small network that turns digits round or sorts them, and where each of its heads looks.

use crate::prelude::*;
use std::sync::Arc;
use zerokara::{core::AttentionOptions, figures::numbers::percent};

lab!("attention", chapter 0, pages "",
    Choice::word("task", &["reverse", "sort"], "reverse", "what the network does with the digits"),
    Choice::count("length", "8", "digits in a row (2 to 12)"),
    Choice::count("heads", "2", "heads of each layer: 1, 2, 4 or 8"),
    Choice::count("layers", "1", "layers of attention (1 to 4)"),
    Choice::count("steps", "500", "steps of training, 100 rows of digits each (at most 10000)").quick("350"),
);

/// Numbers in the vector of a digit, and rows of digits in a batch.
const WIDTH: usize = 32;
const BATCH: usize = 100;

fn run(lab: &mut Session) -> Result<()> {
    let sizes = Sizes {
        length: lab.count("length"),
        heads: lab.count("heads"),
        layers: lab.count("layers"),
        causal: false,
        positions: true,
    };
    let steps = lab.count("steps");
    if !(2..=12).contains(&sizes.length) || !(1..=4).contains(&sizes.layers) {
        return Err(Error::new("2 to 12 digits and 1 to 4 layers"));
    }
    if ![1, 2, 4, 8].contains(&sizes.heads) || steps > 10_000 {
        return Err(Error::new("1, 2, 4 or 8 heads and at most 10000 steps"));
    }
    let usual = lab.usual(&["task", "length", "heads", "layers", "steps"]);

    lab.section("mean");
    let keys = Tensor::from([[1.0f32, 0.0], [0.0, 1.0], [1.0, 1.0]]);
    let values = Tensor::from([[10.0f32, 0.0], [0.0, 10.0], [5.0, 5.0]]);
    let query = Tensor::from([[3.0f32, 0.0]]);
    let scores = query.matmul(&keys.t()) * (1.0 / 2f64.sqrt());
    let weights = scores.softmax();
    let found = weights.matmul(&values);
    lab.print(format!("scores {scores}\nweights {weights}\nmean {found}"));
    // The library's operation has axes for samples and heads, [N, L, H, D].
    let heads = |t: &Tensor| t.unsqueeze(0).unsqueeze(2);
    let whole = heads(&query).attention(
        &heads(&keys),
        &heads(&values),
        &AttentionOptions::default(),
    );
    lab.fact(
        "three weights that sum to 1, and the mean that Tensor::attention gives",
        (weights.sum().item()? - 1.0).abs() < 1e-6
            && far(&found, &whole.reshape([1, 2]))? < 1e-5,
    )?;

    lab.section("heads");
    let x = Tensor::normal(
        lab.seed(),
        &Tensor::scalar(0.0, DType::I64),
        [2, sizes.length, WIDTH],
    );
    for causal in [false, true] {
        let own = Heads::new(sizes.heads, causal);
        let layer = MultiHeadAttention::new(sizes.heads).causal(causal);
        own.build(&x, lab.seed())?;
        layer.build(&x, lab.seed())?;
        for (theirs, ours) in layer.parameters()?.iter().zip(own.parameters()?) {
            theirs.set_array(ours.value())?;
        }
        let cx = &mut Context::evaluate();
        let difference = far(&own.look(&x, cx).0, &layer.forward(&x, cx))?;
        lab.fact(
            match causal {
                false => "attention written out here is the layer MultiHeadAttention, to the fifth digit",
                true => "so it is where no position sees a later one",
            },
            difference < 1e-5,
        )?;
    }

    lab.section("training");
    let task = lab.word("task").to_string();
    let full = Trained::of(lab, &task, sizes, steps)?;
    let places: Vec<(f64, f64)> =
        (1..).map(f64::from).zip(full.by_place.iter().copied()).collect();
    lab.print(format!("right digits: {}", percent(full.accuracy())));
    let plot = Plot::new("Loss, full attention")
        .size(420, 260)
        .axes("step", "loss")
        .y_range(0.0, 3.0);
    lab.figure(plot.curve("", &full.losses).figure());
    if usual {
        lab.fact("99 % of the digits are right", full.accuracy() >= 0.99)?;
    }

    lab.section("maps");
    let digits = row(lab.seed(), sizes.length)?;
    lab.figures(full.maps(&digits, "sees all")?);
    if task == "reverse" && sizes.layers == 1 {
        let looks = full.looks_at_mirror()?;
        lab.print(format!(
            "weight of the place in the mirror, in the best head: {}",
            percent(looks)
        ));
        if usual {
            lab.fact(
                "at each place, some head gives at least half of its weight to the place in the mirror, on average",
                looks >= 0.5,
            )?;
        }
    }

    lab.section("causal");
    let causal = Trained::of(lab, &task, Sizes { causal: true, ..sizes }, steps)?;
    lab.figures(causal.maps(&digits, "sees what was before")?);
    lab.fact(
        "what is above the diagonal has weights of exactly 0",
        causal.never_looks_ahead()?,
    )?;
    let bars = |trained: &Trained| -> Vec<(f64, f64)> {
        (1..)
            .map(f64::from)
            .zip(trained.by_place.iter().map(|share| 100.0 * share))
            .collect()
    };
    let shares = Plot::new("Right digits by place")
        .size(420, 260)
        .axes("place", "right digits, %")
        .whole_x()
        .y_range(0.0, 100.0)
        .path("sees all", places.iter().map(|(place, share)| (*place, 100.0 * share)))
        .path("sees what was before", bars(&causal));
    lab.figure(shares.figure());
    if task == "reverse" && usual {
        // A place sees the digit it needs if the place in the mirror is not behind it.
        let half = sizes.length / 2;
        let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
        let (first, second) =
            (mean(&causal.by_place[..half]), mean(&causal.by_place[half..]));
        lab.print(format!(
            "first half {}, second half {}",
            percent(first),
            percent(second)
        ));
        lab.fact(
            "what lies ahead can only be guessed (one of ten digits: less than 15 % are right); what lies behind is found (99 %)",
            first < 0.15 && second >= 0.99,
        )?;
    }

    lab.section("positions");
    let blind = Trained::of(lab, &task, Sizes { positions: false, ..sizes }, steps)?;
    lab.table(
        &["network", "right digits"],
        &[
            vec!["with positions".into(), percent(full.accuracy())],
            vec!["without positions".into(), percent(blind.accuracy())],
        ],
    );
    let x = Tensor::from(digits.clone());
    let turned = blind.scores(&x.flip(&[1]))?.flip(&[1]);
    lab.fact(
        "without positions, turning the row round only turns the answers round",
        far(&blind.scores(&x)?, &turned)? < 1e-4,
    )?;
    if usual {
        lab.fact(
            "so the network without positions gets less than half of the digits right",
            blind.accuracy() < 0.5,
        )?;
    }
    Ok(())
}

/// The largest difference between two tensors.
fn far(a: &Tensor, b: &Tensor) -> Result<f64> {
    Ok((a - b).abs().to_vec::<f32>()?.into_iter().fold(0.0, f32::max).into())
}

/// Rows of digits drawn by chance, `[rows, length]`.
fn digits(seed: u64, draw: usize, rows: usize, length: usize) -> Tensor {
    let draws =
        Tensor::uniform(seed, &Tensor::scalar(draw as f64, DType::I64), [rows, length]);
    (draws * 10.0).floor().cast(DType::I64)
}

/// One row that no training has seen.
fn row(seed: u64, length: usize) -> Result<Array> {
    Ok(digits(seed ^ 0xA77E, 0, 1, length).eval()?)
}

/// What is asked for.
fn answers(task: &str, x: &Tensor) -> Tensor {
    match task {
        "sort" => x.sort(1, false).0,
        _ => x.flip(&[1]),
    }
}

#[derive(Clone, Copy)]
struct Sizes {
    length: usize,
    heads: usize,
    layers: usize,
    causal: bool,
    positions: bool,
}

/// Attention of several heads, written out so that its weights can be looked at.
#[derive(Module, Clone)]
struct Heads {
    products: Linear,
    output: Linear,
    #[module(skip)]
    heads: usize,
    #[module(skip)]
    causal: bool,
}

impl Heads {
    fn new(heads: usize, causal: bool) -> Self {
        let linear = |outputs| Linear::new(outputs).initializer(Initializer::XavierUniform);
        Self { products: linear(3 * WIDTH), output: linear(WIDTH), heads, causal }
    }

    /// What it gives for `x [N, L, C]`, and the weights `[N, H, L, L]`: of each head and place a row that sums to 1.
    fn look(&self, x: &Tensor, cx: &mut Context) -> (Tensor, Tensor) {
        let Ok(&[_, length, width]) = x.shape() else { return (x.clone(), x.clone()) };
        let each = width / self.heads;
        let [l, h, d] = [length, self.heads, each].map(|n| n as i64);
        // Queries, keys and values: [3, N, H, L, D].
        let all =
            self.products.forward(x, cx).reshape([-1, l, 3, h, d]).permute([2, 0, 3, 1, 4]);
        let [q, k, v] = [0, 1, 2].map(|part| all.at(0, part));
        let scores = q.matmul(&k.permute([0, 1, 3, 2])) * (1.0 / (each as f64).sqrt());
        let scores = match self.causal {
            true => {
                let later = Tensor::ones([length, length]).triu(1).cast(DType::Bool);
                scores.masked_fill(&later, f64::NEG_INFINITY)
            }
            false => scores,
        };
        let weights = scores.softmax();
        let found = weights.matmul(&v).permute([0, 2, 1, 3]).reshape([-1, l, h * d]);
        (self.output.forward(&found, cx), weights)
    }
}

impl Forward for Heads {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.look(x, cx).0
    }
}

/// Attention, and a network of two layers at each place, each added to what was there.
#[derive(Module, Clone)]
struct Block {
    norm1: LayerNorm,
    heads: Heads,
    norm2: LayerNorm,
    up: Linear,
    down: Linear,
}

/// Digits to digits, place by place.
#[derive(Module, Clone)]
struct Network {
    digits: Embedding,
    positions: Option<LearnedPositions>,
    blocks: Vec<Block>,
    norm: LayerNorm,
    scores: Linear,
}

impl Network {
    fn new(sizes: Sizes) -> Self {
        let block = || Block {
            norm1: LayerNorm::new(),
            heads: Heads::new(sizes.heads, sizes.causal),
            norm2: LayerNorm::new(),
            up: Linear::new(2 * WIDTH),
            down: Linear::new(WIDTH).initializer(Initializer::XavierUniform),
        };
        let positions = || {
            LearnedPositions::new(sizes.length)
                .initializer(Initializer::Normal { std: 1.0 })
        };
        Self {
            digits: Embedding::new(10, WIDTH),
            positions: sizes.positions.then(positions),
            blocks: (0..sizes.layers).map(|_| block()).collect(),
            norm: LayerNorm::new(),
            scores: Linear::new(10),
        }
    }

    /// Scores `[N, L, 10]`, and the weights of each layer.
    fn look(&self, x: &Tensor, cx: &mut Context) -> (Tensor, Vec<Tensor>) {
        let mut y = self.digits.forward(x, cx);
        if let Some(positions) = &self.positions {
            y = positions.forward(&y, cx);
        }
        let mut all = Vec::new();
        for block in &self.blocks {
            let (found, weights) = block.heads.look(&block.norm1.forward(&y, cx), cx);
            all.push(weights);
            y = y + found;
            let inner = block.up.forward(&block.norm2.forward(&y, cx), cx).relu();
            y = y + block.down.forward(&inner, cx);
        }
        (self.scores.forward(&self.norm.forward(&y, cx), cx), all)
    }
}

impl Forward for Network {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        self.look(x, cx).0
    }
}

/// A network, and what it reached.
struct Trained {
    network: Arc<Network>,
    seed: u64,
    sizes: Sizes,
    losses: Vec<f64>,
    /// The share of right digits at each place, of rows that it has not seen.
    by_place: Vec<f64>,
}

impl Trained {
    fn of(lab: &Session, task: &str, sizes: Sizes, steps: usize) -> Result<Self> {
        let network = Arc::new(Network::new(sizes));
        network.build(&Meta::new([BATCH, sizes.length], DType::I64), lab.seed())?;
        let rate = 0.003;
        let mut step =
            TrainStep::new(network.clone(), TokenCrossEntropy::new(), Adam::new(rate))?;
        let schedule = Schedule::one_cycle(steps as u64);
        let progress = lab.progress("training", steps);
        let mut losses = Vec::new();
        for number in 0..steps {
            let x = digits(lab.seed(), number, BATCH, sizes.length);
            let t = answers(task, &x).eval()?;
            let rate = rate * schedule.factor(number as u64);
            losses.push(step.step(&x.eval()?, &t, rate)?.loss);
            progress.step();
        }
        drop(progress);
        let x = digits(lab.seed() ^ 0x7E57, 0, 1_000, sizes.length);
        let given = network.forward(&x, &mut Context::evaluate()).argmax(-1);
        let right = given.equal(&answers(task, &x)).cast(DType::F32).mean_axes(&[0], false);
        let by_place = right.to_vec::<f32>()?.into_iter().map(f64::from).collect();
        Ok(Self { network, seed: lab.seed(), sizes, losses, by_place })
    }

    fn accuracy(&self) -> f64 {
        self.by_place.iter().sum::<f64>() / self.by_place.len() as f64
    }

    fn scores(&self, x: &Tensor) -> Result<Tensor> {
        Ok(Tensor::from(self.network.forward(x, &mut Context::evaluate()).eval()?))
    }

    /// A map of each head of each layer, for one row of digits.
    fn maps(&self, row: &Array, sees: &str) -> Result<Vec<Figure>> {
        let (scores, layers) =
            self.network.look(&Tensor::from(row.clone()), &mut Context::evaluate());
        let names = |t: &[i64]| t.iter().map(i64::to_string).collect::<Vec<_>>();
        let read = names(&Tensor::from(row.clone()).to_vec::<i64>()?);
        let told = names(&scores.argmax(-1).to_vec::<i64>()?);
        let length = self.sizes.length;
        let mut figures = Vec::new();
        for (layer, weights) in layers.iter().enumerate() {
            let weights = weights.to_vec::<f32>()?;
            for head in 0..self.sizes.heads {
                let title = format!("{sees}: layer {}, head {}", layer + 1, head + 1);
                let mut map = Heatmap::new(title, [length, length])
                    .names(read.clone(), told.clone())
                    .axes("digit that is read", "answer");
                for (at, &weight) in
                    weights[head * length * length..][..length * length].iter().enumerate()
                {
                    let percent = (f64::from(weight) * 100.0).round();
                    if percent > 0.0 {
                        map =
                            map.cell([at / length, at % length], percent, 0, weight.into());
                    }
                }
                figures.push(map.figure());
            }
        }
        Ok(figures)
    }

    /// The weights of the first layer over many rows, `[N, H, L, L]`.
    fn weights(&self) -> Result<Tensor> {
        let x = digits(self.seed ^ 0x7E57, 1, 200, self.sizes.length);
        let (_, layers) = self.network.look(&x, &mut Context::evaluate());
        layers.into_iter().next().ok_or_else(|| Error::new("there is no layer"))
    }

    /// The mean weight that a place gives to the place in the mirror, in the head that gives it most; at the place where
    /// this is least.
    fn looks_at_mirror(&self) -> Result<f64> {
        let length = self.sizes.length;
        let means = self.weights()?.mean_axes(&[0], false).to_vec::<f32>()?;
        let best = |place: usize| {
            let of_head =
                |head| means[(head * length + place) * length + length - 1 - place];
            (0..self.sizes.heads).map(of_head).fold(0.0, f32::max)
        };
        Ok((0..length).map(best).fold(f32::INFINITY, f32::min).into())
    }

    fn never_looks_ahead(&self) -> Result<bool> {
        Ok(self.weights()?.triu(1).to_vec::<f32>()?.iter().all(|&weight| weight == 0.0))
    }
}
