//! Why deep (pages 247 to 249): several small filters one after another instead of one large filter.

use crate::prelude::*;
use zerokara::core::op::ConvOptions;

lab!("depth", chapter 8, pages "245–249",
    Choice::count("channels", "16", "channels into and out of the block").quick("8"),
    Choice::count("images", "3000", "training images").quick("400"),
    Choice::count("epochs", "4", "epochs of each training").quick("1"),
    Choice::count("trials", "3", "trainings of each network").quick("1"),
);

/// A block of convolutions: the filters' side, and the channels after each.
struct Block {
    name: &'static str,
    side: usize,
    widths: Vec<usize>,
}

impl Block {
    fn new(name: &'static str, side: usize, widths: impl Into<Vec<usize>>) -> Self {
        Self { name, side, widths: widths.into() }
    }

    /// Weights of the filters, from this many channels.
    fn weights(&self, channels: usize) -> usize {
        let before = std::iter::once(&channels).chain(&self.widths);
        before.zip(&self.widths).map(|(from, to)| from * to * self.side * self.side).sum()
    }

    /// The whole network: a convolution, the block at half the size, and an affine layer.
    fn network(&self, channels: usize) -> Sequential {
        let mut layers =
            Sequential::new().add(Conv2d::new(channels, 3).padding(1)).relu().max_pool2d(2);
        for &width in &self.widths {
            layers =
                layers.add(Conv2d::new(width, self.side).padding(self.side / 2)).relu();
        }
        layers.max_pool2d(2).flatten().linear(10)
    }
}

fn run(lab: &mut Session) -> Result<()> {
    lab.section("field");
    let mut tiles =
        Tiles::new("What one output sees of the input").tile_size(110).columns(4);
    for (name, side, count, extent) in [
        ("one 5 × 5", 5, 1, 5),
        ("two 3 × 3", 3, 2, 5),
        ("one 7 × 7", 7, 1, 7),
        ("three 3 × 3", 3, 3, 7),
    ] {
        let seen = paths(side, count)?;
        let most = seen.iter().fold(0.0f32, |m, &v| m.max(v));
        let shades: Vec<f32> = seen.iter().map(|v| v / most).collect();
        if let Some(picture) = Picture::from_pixels(&shades, [1, 9, 9]) {
            tiles = tiles.add(picture, name);
        }
        let reached = seen.iter().filter(|&&v| v > 0.0).count();
        lab.fact(
            format!("{extent} × {extent} pixels reach the output of {name}"),
            reached == extent * extent,
        )?;
    }
    lab.figure(tiles.figure());

    lab.section("weights");
    let c = lab.count("channels");
    if c > 64 {
        return Err(Error::new(format!(
            "at most 64 channels, not {c}: the training would take too long"
        )));
    }
    // The channels between that give the deep blocks about as many weights as the single filter.
    let two = 25 * c / 18;
    let three = ((49.0 / 9.0 + 1.0f64).sqrt() - 1.0) * c as f64;
    let three = three.round() as usize;
    let blocks = [
        Block::new("one 5 × 5", 5, [c]),
        Block::new("two 3 × 3", 3, [c, c]),
        Block::new("two 3 × 3, wider", 3, [two, c]),
        Block::new("one 7 × 7", 7, [c]),
        Block::new("three 3 × 3", 3, [c, c, c]),
        Block::new("three 3 × 3, wider", 3, [three, three, c]),
    ];
    let mut rows = Vec::new();
    let mut costs = Vec::new();
    for block in &blocks {
        let network = block.network(c);
        let sample = Tensor::zeros([1, 1, 28, 28]);
        network.build(&sample, 0)?;
        let summary = Summary::of(&network, &sample)?;
        costs.push(summary.flops() as f64 / 1e6);
        rows.push(vec![
            block.name.to_string(),
            format!("{:?}", block.widths),
            format!("{:.1}", block.weights(c) as f64 / (c * c) as f64),
            block.weights(c).to_string(),
            summary.parameters().to_string(),
            format!("{:.2} M", summary.flops() as f64 / 1e6),
        ]);
    }
    lab.table(
        &["block", "channels", "per pair", "weights", "network", "FLOPs an image"],
        &rows,
    );
    let weights: Vec<usize> = blocks.iter().map(|b| b.weights(c)).collect();
    lab.fact(
        "two 3 × 3 have 18 weights for each pair of channels, one 5 × 5 has 25",
        weights[1] * 25 == weights[0] * 18,
    )?;
    lab.fact("three 3 × 3 have 27, one 7 × 7 has 49", weights[4] * 49 == weights[3] * 27)?;
    let near = |deep: usize, flat: usize| {
        (weights[deep] as f64 / weights[flat] as f64 - 1.0).abs() < 0.1
    };
    if c >= 8 {
        lab.fact(
            "the wider ones cost what the single filter costs, within 10 %",
            near(2, 0) && near(5, 3),
        )?;
    }

    lab.section("nonlinear");
    let first = Tensor::normal(lab.seed(), &Tensor::from(0), [3, 1, 3, 3]);
    let second = Tensor::normal(lab.seed(), &Tensor::from(1), [1, 3, 3, 3]);
    let x = Tensor::normal(lab.seed(), &Tensor::from(2), [1, 1, 12, 12]);
    let on = |x: &Tensor, w: &Tensor| x.conv2d(w, ConvOptions::default());
    let merged = merge(&first, &second);
    let without = on(&on(&x, &first), &second);
    let apart = (&without - on(&x, &merged)).abs().max().item()?;
    lab.fact("without ReLU between, two 3 × 3 are one 5 × 5", apart < 1e-3)?;
    let with = on(&on(&x, &first).relu(), &second);
    let apart = (&with - on(&x, &merged)).abs().max().item()?;
    lab.fact("with ReLU between they are not", apart > 1e-2)?;

    lab.section("accuracy");
    let mut mnist = Mnist::load()?;
    let test = mnist.test.take(lab.pick(10_000, 500));
    // After each epoch a few images are enough to look at.
    (mnist.train, mnist.test) = (mnist.train.take(lab.count("images")), test.take(200));
    let trials = lab.count("trials");
    if trials > 100 {
        return Err(Error::new("at most 100 trials"));
    }
    let progress = lab.progress("trainings", blocks.len() * trials);
    let mut rows = Vec::new();
    let mut plot = Plot::new("Accuracy and cost")
        .axes("FLOPs an image (millions)", "test accuracy (%)");
    for (at, (block, cost)) in blocks.iter().zip(&costs).enumerate() {
        let mut found = Vec::new();
        let mut seconds = 0.0;
        for trial in 0..trials {
            let run = Trainer::new(block.network(c), SoftmaxCrossEntropy::new())
                .optimizer(Adam::new(2e-3))
                .schedule_over(Schedule::one_cycle)
                .epochs(lab.count("epochs") as u64)
                .batch_size(50)
                .seed(lab.seed().wrapping_mul(1000).wrapping_add(trial as u64))
                .catch_interrupts(false)
                .quiet()
                .fit(&mnist)?;
            found.push(run.model().evaluate(&test)?.accuracy().unwrap_or(0.0) * 100.0);
            seconds += run.seconds() / trials as f64;
            progress.step();
        }
        let mean = found.iter().sum::<f64>() / trials as f64;
        let low = found.iter().copied().fold(f64::INFINITY, f64::min);
        let high = found.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        plot = plot
            .dots("", found.iter().map(|&a| (*cost, a)))
            .color(at)
            .pale()
            .dots(block.name, [(*cost, mean)])
            .color(at);
        rows.push(vec![
            block.name.to_string(),
            format!("{cost:.2} M"),
            format!("{mean:.2} %"),
            format!("{low:.2} to {high:.2} %"),
            format!("{seconds:.1} s"),
        ]);
    }
    drop(progress);
    let most = costs.iter().copied().fold(0.0, f64::max);
    lab.figure(plot.x_range(0.0, most * 1.1).size(440, 380).figure());
    lab.table(&["block", "FLOPs", "mean accuracy", "range", "time"], &rows);
    lab.fact(
        "three 3 × 3 need less than three quarters of the FLOPs of one 7 × 7",
        costs[4] < 0.75 * costs[3],
    )?;
    Ok(())
}

/// By how many paths each of 9 × 9 pixels reaches the output in the middle, through filters of ones.
fn paths(side: usize, count: usize) -> Result<Vec<f32>> {
    let x = Tensor::zeros([1, 1, 9, 9]);
    let w = Tensor::ones([1, 1, side, side]);
    let options =
        ConvOptions { padding: [side / 2, side / 2].into(), ..Default::default() };
    let y = (0..count).fold(x.clone(), |y, _| y.conv2d(&w, options));
    let middle = y.narrow(2, 4, 1).narrow(3, 4, 1).sum();
    Ok(grad(&middle, &x).to_vec::<f32>()?)
}

/// The one filter of 5 x 5 that does what a filter of 3 x 3 after several of 3 x 3 does.
fn merge(first: &Tensor, second: &Tensor) -> Tensor {
    let options = ConvOptions { padding: [2, 2].into(), ..Default::default() };
    // Each weight of the second moves a copy of the first: a convolution of the filters in mathematics' sense.
    first.permute([1, 0, 2, 3]).conv2d(&second.flip(&[2, 3]), options)
}
