//! Inference (pages 75 to 80): a trained network from a file answers for 10,000 images, one by one and in batches.

use crate::prelude::*;
use std::time::Instant;

lab!("inference", chapter 3, pages "75–80",
    Choice::numbers("batches", "1, 10, 100, 1000", "sizes of batches to compare, up to 10,000"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("network");
    let mnist = lab.mnist()?;
    let layers =
        models::MultiLayerNet::new(&[50, 100], 10).activation(Activation::Sigmoid).layers();
    let trainer = Trainer::new(layers, SoftmaxCrossEntropy::new())
        .optimizer(Adam::new(3e-3))
        .epochs(5);
    let trained = lab.trained("sigmoid-50-100", trainer, &mnist)?;
    let file = std::env::temp_dir()
        .join(format!("zerokara-inference-{}.safetensors", std::process::id()));
    trained.model.save(&file)?;
    let bytes = std::fs::metadata(&file)?.len();
    let model = SavedModel::load(&file)?;
    std::fs::remove_file(&file)?;
    let parameters = model.module().named_parameters()?;
    let rows: Vec<_> = parameters
        .iter()
        .map(|(name, p)| {
            let shape = &p.meta().shape;
            let count = shape.iter().product::<usize>() as u64;
            vec![name.to_string(), format!("{shape:?}"), numbers::thousands(count)]
        })
        .collect();
    lab.table(&["parameter", "shape", "numbers"], &rows);
    lab.print(format!("the file has {} bytes", numbers::thousands(bytes)));
    lab.fact(
        "784-50-100-10 has 45,360 parameters",
        model.module().parameter_count()? == 784 * 50 + 50 + 50 * 100 + 100 + 100 * 10 + 10,
    )?;

    lab.section("accuracy");
    let evaluation = model.evaluate(&mnist.test)?;
    let accuracy = evaluation.accuracy().unwrap_or(f64::NAN);
    lab.print(format!(
        "{} of {} test images are right: {}",
        evaluation.correct.unwrap_or(0),
        evaluation.samples,
        numbers::percent(accuracy)
    ));
    lab.fact(
        "the network from the file does as well as the one that was saved",
        accuracy == trained.test_accuracy(),
    )?;
    if !lab.quick() {
        lab.fact("at least 95 % of the 10,000 test images are right", accuracy >= 0.95)?;
    }
    let confusion = evaluation.confusion(mnist.test.labels(), 10);
    let by_digit = (0..10).map(|digit| {
        let all: u64 = (0..10).map(|answer| confusion.count(digit, answer)).sum();
        (digit as f64, 100.0 * confusion.count(digit, digit) as f64 / all as f64)
    });
    lab.figure(
        Plot::new("Right answers by digit")
            .axes("digit", "% right")
            .bars("", by_digit, 0.7)
            .x_ticks((0..10).map(|digit| (f64::from(digit), digit.to_string())))
            .y_range(0.0, 100.0)
            .figure(),
    );

    lab.section("one");
    let sample = mnist.test.sample(0);
    let shares = model.probabilities(&sample)?;
    let best = (0..10).max_by(|&a, &b| shares[a].total_cmp(&shares[b])).unwrap_or(0);
    lab.print(format!(
        "the first test image: {best}, with {}",
        numbers::percent(shares[best])
    ));
    lab.fact(
        "ten probabilities that sum to 1",
        (shares.iter().sum::<f64>() - 1.0).abs() < 1e-6,
    )?;
    let labels = mnist.test.labels();
    let answers = &evaluation.answers;
    let unsure = (0..answers.len())
        .min_by(|&a, &b| answers[a].probability.total_cmp(&answers[b].probability))
        .unwrap_or(0);
    let mut figures = Vec::new();
    for (what, at) in [("The first", 0), ("The least certain", unsure)] {
        let pixels: Vec<f32> = mnist.test.sample(at).iter().map(|p| p / 255.0).collect();
        let picture = Picture::from_pixels(&pixels, [1, 28, 28]);
        let picture = picture.ok_or_else(|| Error::new("no picture of 28 x 28"))?;
        let title = format!("{what}: label {}", labels[at]);
        figures.push(Tiles::new(title).tile_size(150).add(picture, "").figure());
        let shares = model.probabilities(&mnist.test.sample(at))?;
        figures.push(
            Plot::new("What the network answers")
                .size(310, 200)
                .axes("digit", "probability")
                .bars("", shares.iter().enumerate().map(|(d, &p)| (d as f64, p)), 0.7)
                .color(1)
                .x_ticks((0..10).map(|digit| (f64::from(digit), digit.to_string())))
                .y_range(0.0, 1.0)
                .figure(),
        );
    }
    lab.figures(figures);

    lab.section("batches");
    let sizes = lab.numbers("batches");
    if sizes.iter().any(|size| size.fract() != 0.0 || !(1.0..=1e4).contains(size)) {
        return Err(Error::new("batches: whole numbers from 1 to 10000"));
    }
    let mut rows = Vec::new();
    let mut times = Vec::new();
    let mut first: Option<Vec<i64>> = None;
    let mut same = true;
    let progress = lab.progress("batches", sizes.len());
    for &size in &sizes {
        let loader = Loader::new(&mnist.test, size as usize)?;
        let batches: Vec<Array> =
            loader.iter().map(|batch| Array::new(batch.shape, batch.images)).collect();
        // The first call makes the plan for batches of this size, the last may be shorter.
        model.predict(&batches[0])?;
        model.predict(&batches[batches.len() - 1])?;
        let mut seconds = f64::INFINITY;
        let mut found = Vec::new();
        for _ in 0..lab.pick(3, 1) {
            let start = Instant::now();
            let scores: Result<Vec<Array>, _> =
                batches.iter().map(|x| model.predict(x)).collect();
            found = scores?;
            seconds = seconds.min(start.elapsed().as_secs_f64());
        }
        let mut answers = Vec::new();
        for scores in found {
            answers.extend(Tensor::from(scores).argmax(1).to_vec::<i64>()?);
        }
        same &= first.get_or_insert_with(|| answers.clone()) == &answers;
        let each = seconds / mnist.test.len() as f64;
        times.push((size, each * 1e6));
        rows.push(vec![
            numbers::thousands(size as u64),
            numbers::thousands(batches.len() as u64),
            numbers::duration(seconds),
            format!("{:.2}", each * 1e6),
        ]);
        progress.step();
    }
    drop(progress);
    lab.table(&["batch", "calls", "all test images", "µs for each image"], &rows);
    lab.fact("batches of all these sizes give the same answers", same)?;
    times.sort_by(|a, b| a.0.total_cmp(&b.0));
    lab.figure(
        Plot::new("Time for each image")
            .axes("images in a batch", "microseconds")
            .log_x()
            .log_y()
            .path("", times)
            .figure(),
    );
    Ok(())
}
