//! TwoLayerNet learns MNIST (pages 161 to 163, and 117 to 121): gradients by backpropagation, updates by SGD.

use crate::prelude::*;
use std::sync::Arc;

lab!("training", chapter 5, pages "161–163",
    Choice::count("iterations", "10000", "steps of training, up to a million").quick("600"),
    Choice::count("hidden", "50", "hidden neurons, up to 10,000"),
    Choice::count("batch", "100", "images in a mini-batch, up to 10,000"),
    Choice::number("rate", "0.1", "learning rate"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("loss");
    let data = lab.mnist()?;
    let sigmoid = train(lab, &data, Activation::Sigmoid)?;
    let relu = train(lab, &data, Activation::Relu)?;
    let smooth = |losses: &[f64]| -> Vec<(f64, f64)> {
        let width = (losses.len() / 100).max(1);
        let parts = losses.chunks(width).enumerate();
        parts
            .map(|(i, part)| ((i * width) as f64 + width as f64 / 2.0, mean(part)))
            .collect()
    };
    let thin = |losses: &[f64]| -> Vec<(f64, f64)> {
        let every = losses.len().div_ceil(1_000);
        losses
            .iter()
            .enumerate()
            .step_by(every)
            .map(|(i, &loss)| (i as f64, loss))
            .collect()
    };
    lab.figure(
        Plot::new("Loss of the mini-batches")
            .axes("iteration", "loss")
            .line("", thin(&sigmoid.losses))
            .color(0)
            .pale()
            .line("", thin(&relu.losses))
            .color(1)
            .pale()
            .line("sigmoid, mean", smooth(&sigmoid.losses))
            .color(0)
            .line("ReLU, mean", smooth(&relu.losses))
            .color(1)
            .y_range(0.0, 2.5)
            .figure(),
    );
    for (name, run) in [("sigmoid", &sigmoid), ("ReLU", &relu)] {
        let part = run.losses.len().div_ceil(10);
        let first = mean(&run.losses[..part]);
        let last = mean(&run.losses[run.losses.len() - part..]);
        lab.print(format!("{name:8} first tenth {first:.3}, last tenth {last:.3}"));
        if lab.usual(&["iterations", "hidden", "batch", "rate"]) {
            lab.fact(
                format!("{name}: the loss falls below a half of what it was"),
                last < first / 2.0,
            )?;
        }
    }

    lab.section("accuracy");
    let mut rows = Vec::new();
    for (at, (train, test)) in sigmoid.accuracies.iter().enumerate() {
        let others = relu.accuracies[at];
        let cells = [*train, *test, others.0, others.1];
        let mut row = vec![sigmoid.at[at].to_string()];
        row.extend(cells.map(|share| format!("{:.2} %", share * 100.0)));
        rows.push(row);
    }
    lab.table(&["iteration", "sigmoid, train", "test", "ReLU, train", "test"], &rows);
    let lowest = [&sigmoid, &relu]
        .iter()
        .flat_map(|run| &run.accuracies)
        .fold(1.0, |low: f64, (train, test)| low.min(*train).min(*test));
    let panel = |title: &str, run: &Curves| {
        let x = run.at.iter().map(|&at| at as f64);
        let (train, test): (Vec<f64>, Vec<f64>) = run.accuracies.iter().copied().unzip();
        Plot::new(title)
            .size(310, 270)
            .axes("iteration", "accuracy")
            .line("train", x.clone().zip(train))
            .line("test", x.zip(test))
            .dashed()
            .y_range((lowest * 20.0).floor() / 20.0, 1.0)
            .figure()
    };
    lab.figures([panel("Sigmoid", &sigmoid), panel("ReLU", &relu)]);
    let end = |run: &Curves| run.accuracies.last().copied().unwrap_or_default();
    let (s, r) = (end(&sigmoid), end(&relu));
    if lab.usual(&["iterations", "hidden", "batch", "rate"]) && !lab.quick() {
        lab.fact("with sigmoid at least 94 % of the test images are right", s.1 >= 0.94)?;
        lab.fact("with ReLU at least 96.5 %", r.1 >= 0.965)?;
        lab.fact(
            "training and test accuracy lie within 1.5 points: no overfitting",
            (s.0 - s.1).abs() < 0.015 && (r.0 - r.1).abs() < 0.015,
        )?;
    }

    lab.section("weights");
    let largest = relu.weights.iter().fold(1e-6, |m: f32, w| m.max(w.abs())) * 0.6;
    let hidden = lab.count("hidden");
    let shown = hidden.min(20);
    let mut tiles = Tiles::new("Weights of hidden neurons, as images").columns(10);
    for neuron in 0..shown {
        // A layer holds its weights as [outputs, inputs].
        let weights = &relu.weights[neuron * 784..(neuron + 1) * 784];
        if let Some(picture) = Picture::from_weights(weights, [1, 28, 28], largest) {
            tiles = tiles.add(picture, "");
        }
    }
    lab.figure(tiles.tile_size(52).figure());
    lab.fact(
        "the weights of the corner pixel, which is black in every image, have not moved",
        (0..hidden).all(|neuron| relu.weights[neuron * 784] == relu.before[neuron * 784]),
    )?;
    Ok(())
}

/// What was measured while a network was trained.
struct Curves {
    losses: Vec<f64>,
    /// The iterations after which accuracies were measured.
    at: Vec<usize>,
    /// Of the training and the test images.
    accuracies: Vec<(f64, f64)>,
    /// W1 before and after.
    before: Vec<f32>,
    weights: Vec<f32>,
}

/// The book's loop (page 161).
fn train(lab: &mut Session, data: &Dataset, activation: Activation) -> Result<Curves> {
    let (iterations, hidden) = (lab.count("iterations"), lab.count("hidden"));
    if iterations > 1_000_000 || hidden.max(lab.count("batch")) > 10_000 {
        return Err(Error::new(
            "iterations go up to 1000000, hidden and batch up to 10000",
        ));
    }
    let loader = Loader::new(&data.train, lab.count("batch"))?;
    let model = Arc::new(models::TwoLayerNet::with_activation(hidden, 10, activation));
    let sample = Meta::new([1, 1, 28, 28], DType::F32);
    model.build(&sample, lab.seed())?;
    let w1 = model.parameters()?[0].clone();
    let before = w1.tensor().to_vec::<f32>()?;
    let rate = lab.number("rate");
    let loss = Arc::new(SoftmaxCrossEntropy::new());
    let mut step = TrainStep::new(model.clone(), loss.clone(), Arc::new(Sgd::new(rate)))?;
    let mut judge = EvalStep::new(model, loss)?;
    let (mut losses, mut at, mut accuracies) = (Vec::new(), Vec::new(), Vec::new());
    let epoch =
        iterations.div_ceil(17).min(data.train.len().div_ceil(lab.count("batch"))).max(1);
    let bar = lab.progress(activation.name(), iterations);
    for iteration in 0..iterations {
        let batch = loader.random_batch(lab.seed(), iteration as u64)?;
        let x = Array::new(batch.shape, batch.images);
        let t = Array::new([batch.labels.len()], batch.labels);
        let output = step.step(&x, &t, rate)?;
        if !output.ok {
            return Err(Error::new(format!(
                "the loss is no number after {iteration} iterations: the rate {rate} is too high"
            )));
        }
        losses.push(output.loss);
        bar.step();
        if (iteration + 1) % epoch == 0 || iteration + 1 == iterations {
            at.push(iteration + 1);
            let train = accuracy(&mut judge, &data.train)?;
            accuracies.push((train, accuracy(&mut judge, &data.test)?));
        }
    }
    let weights = w1.tensor().to_vec::<f32>()?;
    Ok(Curves { losses, at, accuracies, before, weights })
}

/// The share of the images that the network gets right.
fn accuracy(judge: &mut EvalStep, split: &Split) -> Result<f64> {
    let mut right = 0;
    for batch in &Loader::new(split, 1_000)? {
        let x = Array::new(batch.shape, batch.images);
        let t = Array::new([batch.labels.len()], batch.labels);
        right += judge.run(&x, &t)?.correct.unwrap_or(0);
    }
    Ok(right as f64 / split.len() as f64)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
