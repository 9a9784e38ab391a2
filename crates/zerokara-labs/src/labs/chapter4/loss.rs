//! Losses (pages 87 to 96): one number that says how wrong a network is.

use crate::prelude::*;

lab!("loss", chapter 4, pages "87–96",
    Choice::numbers("outputs", "0, 0.05, 0.2, 0.7, 0.05, 0, 0, 0, 0, 0",
        "an answer of your own to judge; class 2 is right"),
    Choice::count("batch", "100", "images in a mini-batch, up to 10,000"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("squared");
    let good = vec![0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.0, 0.1, 0.0, 0.0];
    let bad = vec![0.1, 0.05, 0.1, 0.0, 0.05, 0.1, 0.0, 0.6, 0.0, 0.0];
    let careless = vec![0.1, 0.05, 0.6, 0.0, 0.05, 0.1, 0.1, 0.1, 0.0, 0.0];
    let yours = lab.numbers("outputs");
    if yours.len() != 10 {
        return Err(Error::new("outputs: a number for each of the 10 classes is needed"));
    }
    if lab.count("batch") > 10_000 {
        return Err(Error::new("batch: at most 10000 images"));
    }
    let t = Tensor::from([2]).one_hot(10).cast(DType::F64);
    let answers =
        [("sure of 2", good), ("sure of 7", bad), ("sum 1.1", careless), ("yours", yours)]
            .map(|(name, y)| (name, Tensor::new([10], y)));
    let mut squared = Vec::new();
    for (name, y) in &answers {
        let error = (y - &t).square().sum() * 0.5;
        squared.push(error.item()?);
        lab.print(format!("{name:9} {:.4}", error.item()?));
    }
    lab.fact(
        "the sum of squared errors of the two answers is 0.0975 and 0.5975",
        near(squared[0], 0.0975, 1e-12) && near(squared[1], 0.5975, 1e-12),
    )?;
    lab.figures(["sure of 2", "sure of 7"].iter().zip(&answers).map(|(name, (_, y))| {
        let bars = |y: Vec<f64>| (0..10).map(f64::from).zip(y).collect::<Vec<_>>();
        Plot::new(format!("An answer {name}"))
            .size(310, 220)
            .axes("class", "probability")
            .bars("target t", bars(t.eval().map(|t| t.to_f64s()).unwrap_or_default()), 0.9)
            .color(1)
            .pale()
            .bars("output y", bars(y.eval().map(|y| y.to_f64s()).unwrap_or_default()), 0.5)
            .color(0)
            .x_ticks((0..10).map(|class| (f64::from(class), class.to_string())))
            .y_range(0.0, 1.05)
            .figure()
    }));

    lab.section("cross-entropy");
    let label = Tensor::from(2);
    let mut rows = Vec::new();
    for (name, y) in &answers {
        let with = cross_entropy_error(y, &label, 1e-7)?.item()?;
        let without = cross_entropy_error(y, &label, 0.0)?.item()?;
        rows.push(vec![name.to_string(), with.to_string(), without.to_string()]);
    }
    lab.table(&["answer", "−log(y₂ + 1e-7)", "−log y₂"], &rows);
    lab.fact(
        "with y₂ = 0.6 the loss is 0.510825457099338 with the 1e-7 and 0.5108256237659907 without",
        rows[0][1] == "0.510825457099338" && rows[0][2] == "0.5108256237659907",
    )?;
    lab.fact(
        "the loss looks at the right class alone: the answer whose sum is 1.1 has the same",
        rows[2][1..] == rows[0][1..],
    )?;
    let curve = (1..=400).map(|i| f64::from(i) / 400.0).map(|y| (y, -y.ln()));
    lab.figure(
        Plot::new("Cross-entropy of one sample")
            .axes("output y for the right class", "loss −log y")
            .line("−log y", curve)
            .dots("sure of 2", [(0.6, -0.6_f64.ln())])
            .dots("sure of 7", [(0.1, -0.1_f64.ln())])
            .figure(),
    );

    lab.section("forms");
    let n = 5;
    let scores = Tensor::normal(lab.seed(), &Tensor::from(0), [n, 10]) * 2.0;
    let scores = scores.cast(DType::F64);
    let y = scores.softmax();
    let labels = Tensor::from(vec![2, 7, 0, 9, 2]);
    let one_hot = labels.one_hot(10).cast(DType::F64);
    let one_by_one: Result<Vec<f64>> = (0..n as i64)
        .map(|i| Ok(cross_entropy_error(&y.at(0, i), &labels.at(0, i), 0.0)?.item()?))
        .collect();
    let forms = [
        ("labels, a batch", cross_entropy_error(&y, &labels, 0.0)?.item()?),
        ("one-hot, a batch", cross_entropy_error(&y, &one_hot, 0.0)?.item()?),
        ("labels, sample by sample", one_by_one?.iter().sum::<f64>() / n as f64),
        ("the library's, from scores", scores.cross_entropy(&labels).mean().item()?),
    ];
    lab.table(
        &["form", "loss"],
        &forms.map(|(name, loss)| vec![name.into(), format!("{loss:.12}")]),
    );
    lab.fact(
        "labels and one-hot rows, a batch and its samples one by one give the same loss",
        forms.iter().all(|(_, loss)| near(*loss, forms[0].1, 1e-12 * forms[0].1)),
    )?;
    let y = &answers[0].1;
    let total = -(&t.reshape([10]) * (y + 1e-7).log()).sum();
    let (samples, classes) = (1.0, y.shape()?[0] as f64);
    let (right, wrong) = ((&total / samples).item()?, (&total / classes).item()?);
    lab.print(format!("one sample, divided by 10 classes: {wrong}   (the trap)"));
    lab.print(format!("one sample, divided by 1 sample:   {right}"));
    lab.fact(
        "dividing one sample's loss by y.shape[0] gives 0.0510825457099338, a tenth of the true 0.510825457099338",
        format!("{wrong} {right}") == "0.0510825457099338 0.510825457099338",
    )?;

    lab.section("mini-batch");
    let mnist = lab.mnist()?;
    let count = mnist.train.len();
    let loader = Loader::new(&mnist.train, lab.count("batch"))?;
    let batch = loader.random_batch(lab.seed(), 0)?;
    let images = Tensor::new(batch.shape.clone(), &batch.images);
    lab.print(format!("all images   [{count}, 1, 28, 28]"));
    lab.print(format!("a mini-batch {:?}", images.shape()?));
    lab.print(format!("its rows     {:?} ..", &batch.indices[..batch.len().min(8)]));
    lab.fact(
        "a mini-batch holds the rows that were drawn, and their labels",
        batch.indices.iter().zip(&batch.labels).enumerate().all(|(row, (&i, label))| {
            let pixels = &batch.images[row * 784..(row + 1) * 784];
            let stored = mnist.train.bytes(i).unwrap_or_default();
            mnist.train.labels()[i] == *label
                && pixels.iter().zip(stored).all(|(p, &b)| *p == f32::from(b) / 255.0)
        }),
    )?;
    let mut tiles = Tiles::new("The first images of a mini-batch: row and label");
    for (row, (index, label)) in
        batch.indices.iter().zip(&batch.labels).take(20).enumerate()
    {
        let pixels = &batch.images[row * 784..(row + 1) * 784];
        if let Some(picture) = Picture::from_pixels(pixels, [1, 28, 28]) {
            tiles = tiles.add(picture, format!("{index}: {label}"));
        }
    }
    lab.figure(tiles.columns(7).tile_size(44).figure());

    lab.section("replacement");
    let draws = count / loader.random_batch(0, 0)?.len();
    let mut seen = vec![false; count];
    let mut drawn = vec![(0.0, 0.0)];
    for draw in 0..draws {
        let indices = mnist.train.random_indices(batch.len(), lab.seed(), draw as u64);
        indices.iter().for_each(|&i| seen[i] = true);
        let share = seen.iter().filter(|&&seen| seen).count() as f64 / count as f64;
        drawn.push(((draw + 1) as f64 / draws as f64, share));
    }
    let share = drawn.last().map_or(0.0, |last| last.1);
    let expected = 1.0 - (1.0 - 1.0 / count as f64).powf((draws * batch.len()) as f64);
    lab.print(format!(
        "after as many draws as there are images: {:.1} % seen",
        share * 100.0
    ));
    lab.fact(
        "drawing with replacement meets 1 − (1 − 1/N)ⁿ of the images: about 63 % in an epoch",
        near(share, expected, 2.0 / (count as f64).sqrt()),
    )?;
    let shuffled = loader.shuffle(lab.seed());
    let mut order: Vec<usize> = shuffled.iter().flat_map(|batch| batch.indices).collect();
    order.sort_unstable();
    lab.fact(
        "an epoch of shuffled batches meets every image exactly once",
        order.iter().copied().eq(0..count),
    )?;
    lab.figure(
        Plot::new("Images met in an epoch")
            .axes("images drawn / images there are", "share that was seen")
            .line("drawn with replacement", drawn)
            .line("shuffled", [(0.0, 0.0), (1.0, 1.0)])
            .figure(),
    );

    lab.section("estimate");
    let network = lab.two_layer_net()?;
    let found = network.model.evaluate(&mnist.train)?;
    let losses: Vec<f64> =
        found.answers.iter().map(|answer| -answer.label_probability.ln()).collect();
    let draws = 2_000;
    let estimates: Vec<f64> = (0..draws)
        .map(|draw| {
            let indices = mnist.train.random_indices(batch.len(), lab.seed(), draw);
            mean(indices.iter().map(|&i| losses[i]))
        })
        .collect();
    let whole = mean(losses.iter().copied());
    let deviation = mean(losses.iter().map(|loss| (loss - whole).powi(2))).sqrt();
    let expected = deviation / (batch.len() as f64).sqrt();
    let average = mean(estimates.iter().copied());
    let spread = mean(estimates.iter().map(|loss| (loss - average).powi(2))).sqrt();
    lab.print(format!("loss of all images {whole:.4}"));
    lab.print(format!("loss of {draws} mini-batches {average:.4} ± {spread:.4}"));
    lab.print(format!("expected spread σ/√n {expected:.4}"));
    lab.fact(
        "the loss of a mini-batch is right on average",
        (average - whole).abs() < 5.0 * expected / (draws as f64).sqrt(),
    )?;
    let (low, high) = (0.0, (whole + 4.0 * expected).min(2.0 * whole).max(1e-6));
    let plot = Plot::new(format!("Loss of mini-batches of {}", batch.len()))
        .axes("loss", "mini-batches")
        .histogram("mini-batches", &estimates, (low, high), 50)
        .line("all images", [(whole, 0.0), (whole, draws as f64 / 12.0)]);
    lab.figure(plot.figure());

    lab.section("zero");
    let gaps: Vec<f32> = (0..=240).map(|i| i as f32 / 2.0).collect();
    // Two classes; the wrong one leads by the gap.
    let scores =
        Tensor::stack(&[&Tensor::from(gaps.clone()), &Tensor::zeros([gaps.len()])], 1);
    let right = Tensor::from(vec![1_i64; gaps.len()]);
    let y = scores.softmax().at(1, 1);
    let forms = [
        ("−log y", -y.log()),
        ("−log(y + 1e-7)", -(&y + 1e-7).log()),
        ("from scores", scores.cross_entropy(&right)),
    ];
    let points = |values: &Tensor| -> Result<Vec<(f64, f64)>> {
        let values = values.to_vec::<f32>()?.into_iter().map(f64::from);
        Ok(gaps.iter().map(|&gap| f64::from(gap)).zip(values).collect())
    };
    let plot = |title: &str, axis: &str| {
        Plot::new(title).size(310, 250).axes("lead of the wrong class", axis)
    };
    let mut plots = [
        plot("Loss", "loss").y_range(-5.0, 125.0),
        plot("Gradient", "∂L / ∂ right class's score").y_range(-1.1, 0.4),
    ];
    for (name, loss) in &forms {
        let slope = grad(&loss.sum(), &scores).at(1, 1);
        let [left, right] = plots;
        plots = [left.line(*name, points(loss)?), right.line(*name, points(&slope)?)];
        // Where it is finite, the plain form coincides with that from scores.
        if *name == "from scores" {
            plots = plots.map(Plot::dashed);
        }
    }
    let [plain, shifted, exact] = forms.map(|form| form.1.to_vec::<f32>());
    let (plain, shifted, exact) = (plain?, shifted?, exact?);
    lab.print("lead   −log y   −log(y + 1e-7)   from scores");
    for i in [0, 20, 60, 120, 240] {
        lab.print(format!(
            "{:4} {:>8.3} {:>16.3} {:>13.3}",
            gaps[i], plain[i], shifted[i], exact[i]
        ));
    }
    lab.figures(plots.iter().map(Plot::figure));
    lab.fact(
        "the plain form becomes infinite",
        plain.iter().any(|loss| loss.is_infinite()),
    )?;
    lab.fact(
        "the form with 1e-7 never exceeds −log 1e-7 = 16.12, however wrong the answer",
        shifted.iter().all(|&loss| loss < 16.12),
    )?;
    lab.fact(
        "the form from scores is the lead itself where that is large",
        gaps.iter().zip(&exact).skip(40).all(|(gap, loss)| (gap - loss).abs() < 1e-4),
    )?;
    let sure = Tensor::from([1.0]);
    lab.print(format!("sure and right: −log(1 + 1e-7) = {}", -(&sure + 1e-7).log()));
    lab.fact(
        "with the 1e-7 a sure and right answer has a loss below zero",
        (-(&sure + 1e-7).log()).item()? < 0.0,
    )?;

    lab.section("accuracy");
    let test = Loader::new(&mnist.test, 200)?.batch(0)?;
    let images = Array::new(test.shape.clone(), test.images);
    let scores = Tensor::from(network.model.predict(&images)?);
    let labels = Tensor::from(test.labels);
    let unit = Tensor::from([3]).one_hot(10);
    let mut curves = [Vec::new(), Vec::new()];
    for i in -120..=120 {
        let shift = f64::from(i) / 20.0;
        let moved = &scores + &unit * shift;
        let right = moved.argmax(1).equal(&labels).cast(DType::F32).mean().item()?;
        curves[0].push((shift, moved.cross_entropy(&labels).mean().item()?));
        curves[1].push((shift, right));
    }
    let flat = |curve: &[(f64, f64)]| curve.windows(2).filter(|w| w[0].1 == w[1].1).count();
    let steps = curves[0].len() - 1;
    lab.print(format!("steps of 0.05 that change nothing, of {steps}:"));
    lab.print(format!("loss {}, accuracy {}", flat(&curves[0]), flat(&curves[1])));
    lab.fact(
        "many small changes of a bias leave the accuracy as it is, while nearly all change the loss",
        flat(&curves[1]) > steps / 10 && flat(&curves[0]) < steps / 50,
    )?;
    let [loss, accuracy] = curves;
    lab.figures([
        Plot::new("Loss")
            .size(310, 250)
            .axes("added to the bias of class 3", "loss of 200 images")
            .line("", loss)
            .figure(),
        Plot::new("Accuracy")
            .size(310, 250)
            .axes("added to the bias of class 3", "accuracy on 200 images")
            .line("", accuracy)
            .color(1)
            .figure(),
    ]);
    Ok(())
}

/// The book's `cross_entropy_error` (pages 91 to 94). Outputs `[classes]` or `[N, classes]`; targets are labels, or one-hot
/// rows like the outputs.
fn cross_entropy_error(y: &Tensor, t: &Tensor, delta: f64) -> Result<Tensor> {
    // One sample becomes a batch of one: else the division would be by the number of classes.
    let one = y.shape()?.len() == 1;
    let (y, t) =
        if one { (y.unsqueeze(0), t.unsqueeze(0)) } else { (y.clone(), t.clone()) };
    let logs = (&y + delta).log();
    let right = match t.dtype()? {
        DType::I64 => logs.gather(1, &t.unsqueeze(1)).sum(),
        _ => (t * logs).sum(),
    };
    Ok(-right / y.shape()?[0] as f64)
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len().max(1) as f64;
    values.sum::<f64>() / count
}
