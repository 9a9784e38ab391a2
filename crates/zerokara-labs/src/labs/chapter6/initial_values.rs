//! Initial values of weights (pages 178 to 185): what they do to the activations of a deep network.

use crate::prelude::*;

lab!("initial_values", chapter 6, pages "178–185",
    Choice::numbers("std", "1, 0.01", "standard deviations beside the rules of Xavier and He, at most four"),
    Choice::count("epochs", "3", "epochs on MNIST, at most 20"),
);

const LAYERS: usize = 5;
const NEURONS: usize = 100;

/// The activations of each layer for 1000 random inputs, and the gradient that comes back to the input for a random one
/// at the output.
fn activations(
    function: Activation,
    rule: Initializer,
    seed: u64,
) -> Result<(Vec<Vec<f32>>, Tensor)> {
    let normal = |rows: usize, rule: Initializer, name: &str| {
        rule.sample(&Meta::new([rows, NEURONS], DType::F32), seed, name).map(Tensor::from)
    };
    let x = normal(1000, Initializer::Normal { std: 1.0 }, "inputs")?;
    let mut y = x.clone();
    let mut all = Vec::new();
    for layer in 0..LAYERS {
        let weights = normal(NEURONS, rule, &format!("layer {layer}"))?;
        y = function.apply(&y.matmul(&weights));
        all.push(y.to_vec::<f32>()?);
    }
    let from_above = normal(1000, Initializer::Normal { std: 1.0 }, "gradients")?;
    Ok((all, grad(&(y * from_above).sum(), &x)))
}

/// Mean and standard deviation.
fn moments(values: &[f32]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    let variance = values.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n;
    (mean, variance.sqrt())
}

/// The root of the mean square.
fn size(values: &[f32]) -> f64 {
    let (mean, std) = moments(values);
    mean.hypot(std)
}

/// The share of the values for which something holds.
fn share(values: &[f32], holds: impl Fn(f32) -> bool) -> f64 {
    values.iter().filter(|&&v| holds(v)).count() as f64 / values.len() as f64
}

/// The histograms of the layers side by side, in per cent of a layer's activations.
fn histograms(title: String, layers: &[Vec<f32>], (low, high): (f32, f32)) -> Figure {
    const BINS: usize = 30;
    const STEP: f64 = 1.16;
    let mut plot = Plot::new(title)
        .size(660, 165)
        .y_range(0.0, 50.0)
        .axes("", "share of the activations, %");
    let mut ticks = Vec::new();
    for (layer, values) in layers.iter().enumerate() {
        let left = layer as f64 * STEP;
        let mut counts = [0.0; BINS];
        for value in values.iter().filter(|v| (low..=high).contains(*v)) {
            let bin = (value - low) / (high - low) * BINS as f32;
            counts[(bin as usize).min(BINS - 1)] += 100.0 / values.len() as f64;
        }
        let bars = counts
            .iter()
            .enumerate()
            .map(|(bin, &n)| (left + (bin as f64 + 0.5) / BINS as f64, n.min(40.0)));
        plot = plot.bars("", bars, 1.0 / BINS as f64).color(0).text(
            left + 0.3,
            42.0,
            format!("layer {}", layer + 1),
        );
        ticks.extend([(left, low.to_string()), (left + 1.0, high.to_string())]);
    }
    plot.x_ticks(ticks).x_range(-0.08, LAYERS as f64 * STEP - 0.08).figure()
}

fn run(lab: &mut Session) -> Result<()> {
    let seed = lab.seed();
    let stds = lab.numbers("std");
    if stds.len() > 4 || !stds.iter().all(|std| (1e-6..=100.0).contains(std)) {
        return Err(Error::new("std: one to four numbers from 0.000001 to 100 are needed"));
    }

    lab.section("zeros");
    let x = Tensor::from([[0.5, -1.0, 2.0]]);
    for (value, what) in [(0.3, "0.3"), (0.0, "0")] {
        let rule = Initializer::Constant(value);
        let model = Sequential::new()
            .add(Linear::new(4).initializer(rule))
            .sigmoid()
            .add(Linear::new(2).initializer(rule));
        model.build(&x, seed)?;
        let y = model.forward(&x, &mut Context::train(seed));
        let loss = MeanSquaredError::new().loss(&y, &Tensor::from([[1.0, 0.0]]));
        let gradient = grad(&loss, &model.named_parameters()?[0].1.tensor());
        lab.print(format!(
            "all weights {what}: the gradient of the first layer's weights\n{gradient}"
        ));
        let rows = gradient.to_vec::<f32>()?;
        lab.fact(
            match value == 0.0 {
                true => "with zeros nothing comes back to the first layer at all",
                false => {
                    "with equal weights, all neurons of a layer have the same gradient"
                }
            },
            rows.chunks(3).all(|row| row == &rows[..3])
                && (value != 0.0 || rows.iter().all(|g| *g == 0.0)),
        )?;
    }

    let mut rules: Vec<(String, Initializer)> = stds
        .iter()
        .map(|&std| (format!("std {std}"), Initializer::Normal { std }))
        .collect();
    rules.push(("Xavier".into(), Initializer::LeCunNormal));
    rules.push(("He".into(), Initializer::HeNormal));
    let (xavier, he) = (stds.len(), stds.len() + 1);
    let given = |std: f64| stds.iter().position(|&s| s == std);

    let show = |lab: &mut Session, function: Activation, range: (f32, f32)| {
        let found = rules.iter().map(|(_, rule)| activations(function, *rule, seed));
        let found: Vec<(Vec<Vec<f32>>, Tensor)> = found.collect::<Result<_>>()?;
        let rows = rules.iter().zip(&found).map(|((name, _), (layers, gradient))| {
            let stds =
                layers.iter().map(|values| numbers::significant(moments(values).1, 2));
            let gradient = gradient.to_vec::<f32>()?;
            Ok([name.clone()]
                .into_iter()
                .chain(stds)
                .chain([numbers::significant(size(&gradient), 2)])
                .collect())
        });
        let rows: Vec<Vec<String>> = rows.collect::<Result<_>>()?;
        lab.print("standard deviation of the activations by layer; size of the gradient at the input");
        lab.table(&["weights", "1", "2", "3", "4", "5", "gradient"], &rows);
        lab.figures(rules.iter().zip(&found).map(|((name, _), (layers, _))| {
            histograms(format!("{}, {name}", function.name()), layers, range)
        }));
        Ok::<_, Error>(found)
    };

    lab.section("sigmoid");
    let found = show(lab, Activation::Sigmoid, (0.0, 1.0))?;
    if let Some(at) = given(1.0) {
        lab.fact(
            "with std 1, in every layer more than half of the activations are within 0.05 of 0 or 1",
            found[at].0.iter().all(|layer| share(layer, |y| !(0.05..=0.95).contains(&y)) > 0.5),
        )?;
    }
    if let Some(at) = given(0.01) {
        lab.fact(
            "with std 0.01, those of the last layer are all within 0.1 of 0.5",
            found[at].0[LAYERS - 1].iter().all(|y| (y - 0.5).abs() < 0.1),
        )?;
    }
    lab.fact(
        "with Xavier's, the last layer still has a standard deviation above 0.05, and nothing saturates",
        moments(&found[xavier].0[LAYERS - 1]).1 > 0.05
            && share(&found[xavier].0[LAYERS - 1], |y| !(0.05..=0.95).contains(&y)) < 0.1,
    )?;

    let stds = [1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.01];
    let frames = stds.map(|std| {
        let (layers, _) =
            activations(Activation::Sigmoid, Initializer::Normal { std }, seed)?;
        let title = format!("sigmoid, std {std}");
        Ok::<_, Error>((std.to_string(), histograms(title, &layers, (0.0, 1.0))))
    });
    let frames: Vec<_> = frames.into_iter().collect::<Result<_>>()?;
    lab.frames("standard deviation of the weights", frames, 4);

    lab.section("tanh");
    let found = show(lab, Activation::Tanh, (-1.0, 1.0))?;
    if let Some(at) = given(0.01) {
        lab.fact(
            "with std 0.01, the signal shrinks to about a tenth in each layer",
            found[at]
                .0
                .windows(2)
                .all(|layers| (5.0..20.0).contains(&(size(&layers[0]) / size(&layers[1])))),
        )?;
    }
    lab.fact(
        "with Xavier's, the last layer's values keep a size above 0.2",
        size(&found[xavier].0[LAYERS - 1]) > 0.2,
    )?;

    lab.section("relu");
    let found = show(lab, Activation::Relu, (0.0, 2.0))?;
    let ratios =
        (0..LAYERS).map(|layer| size(&found[he].0[layer]) / size(&found[xavier].0[layer]));
    lab.fact(
        "He's activations are Xavier's times √2 for each layer, exactly",
        ratios.enumerate().all(|(layer, ratio)| {
            (ratio / 2f64.powf((layer + 1) as f64 / 2.0) - 1.0).abs() < 1e-4
        }),
    )?;
    lab.fact(
        "with He's, the mean square stays near that of the input, 1, within a factor of 4",
        found[he].0.iter().all(|layer| (0.25..4.0).contains(&size(layer).powi(2))),
    )?;

    lab.section("mnist");
    let mut mnist = lab.mnist()?;
    mnist.test = mnist.test.take(0);
    let epochs = lab.count("epochs").min(20) as u64;
    let compared = [
        ("std 0.01", Initializer::Normal { std: 0.01 }),
        ("Xavier", Initializer::LeCunNormal),
        ("He", Initializer::HeNormal),
    ];
    let losses = lab.parallel("three trainings", compared.len(), |at| {
        let model = models::MultiLayerNet::new(&[NEURONS; 4], 10)
            .initializer(compared[at].1)
            .layers();
        let run = Trainer::new(model, SoftmaxCrossEntropy::new())
            .optimizer(Sgd::new(0.01))
            .batch_size(128)
            .epochs(epochs)
            .train_sample(1)
            .seed(seed)
            .quiet()
            .catch_interrupts(false)
            .fit(&mnist)?;
        Ok(run.losses().to_vec())
    })?;
    let mut plot = Plot::new("Training on MNIST, SGD with learning rate 0.01")
        .axes("step", "loss of the batch, mean of a fortieth")
        .size(660, 340)
        .y_range(0.0, 2.5);
    for ((name, _), losses) in compared.iter().zip(&losses) {
        let window = (losses.len() / 40).max(1);
        let means = losses.chunks_exact(window).enumerate();
        plot = plot.line(
            *name,
            means.map(|(at, l)| {
                (((at + 1) * window) as f64, l.iter().sum::<f64>() / window as f64)
            }),
        );
    }
    lab.figure(plot.figure());
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / losses.len().max(1) as f64;
    let last = losses[0].chunks(20).next_back().map_or(f64::NAN, mean);
    if lab.usual(&["epochs"]) {
        lab.fact(
            format!("with std 0.01 the loss stays at that of guessing, ln 10 = 2.303: {last:.3} at the end"),
            (last - 10f64.ln()).abs() < 0.05,
        )?;
    }
    lab.fact(
        "over the whole training, the loss is lower with He's values than with Xavier's, and highest with std 0.01",
        mean(&losses[2]) < mean(&losses[1]) && mean(&losses[1]) < mean(&losses[0]),
    )?;
    Ok(())
}
