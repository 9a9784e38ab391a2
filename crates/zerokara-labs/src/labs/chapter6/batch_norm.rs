//! Batch normalization (pages 186 to 190): its computational graph, its gradient, and how it frees training from the
//! initial values.

use crate::prelude::*;
use zerokara::core::gradient_check::CheckOptions;

lab!("batch_norm", chapter 6, pages "186–190",
    Choice::number("rate", "0.01", "learning rate of SGD"),
    Choice::count("epochs", "20", "epochs over 1000 images, at most 100").quick("12"),
);

/// The normalization of a batch of one value each, step by step.
struct Steps {
    mean: Tensor,
    deviation: Tensor,
    variance: Tensor,
    normalized: Tensor,
    y: Tensor,
}

const EPS: f64 = 1e-5;

fn normalize(x: &Tensor, gamma: &Tensor, beta: &Tensor) -> Steps {
    let mean = x.mean();
    let deviation = x - &mean;
    let variance = deviation.square().mean();
    let normalized = &deviation / (&variance + EPS).sqrt();
    let y = &normalized * gamma + beta;
    Steps { mean, deviation, variance, normalized, y }
}

/// The accuracy on the training images after each epoch, or nothing if the loss does not stay finite.
fn train(
    std: f64,
    batch_norm: bool,
    rate: f64,
    epochs: u64,
    data: &Dataset,
    seed: u64,
) -> Result<Vec<f64>> {
    let model = models::MultiLayerNet::new(&[100; 5], 10)
        .initializer(Initializer::Normal { std })
        .batch_norm(batch_norm)
        .layers();
    let run = Trainer::new(model, SoftmaxCrossEntropy::new())
        .optimizer(Sgd::new(rate))
        .epochs(epochs)
        .seed(seed)
        .quiet()
        .catch_interrupts(false)
        .fit(data);
    match run {
        Err(error) if error.not_finite().is_some() => Ok(Vec::new()),
        run => Ok(run?.history().iter().filter_map(|epoch| epoch.train_accuracy).collect()),
    }
}

fn run(lab: &mut Session) -> Result<()> {
    lab.section("graph");
    let x = Tensor::from([1.0, 2.0, 6.0]);
    let (gamma, beta) = (Tensor::from(2.0), Tensor::from(0.5));
    let weights = Tensor::from([1.0, 0.0, -0.5]);
    let steps = normalize(&x, &gamma, &beta);
    let loss = (&steps.y * &weights).sum();
    lab.figure(
        GraphDrawing::new("Batch normalization, and a loss")
            .name(&x, "x")
            .name(&gamma, "γ")
            .name(&beta, "β")
            .name(&weights, "w")
            .result(&loss, "L")
            .figure()?,
    );
    let parts = [
        ("x", &x),
        ("mean μ", &steps.mean),
        ("x − μ", &steps.deviation),
        ("variance σ²", &steps.variance),
        ("normalized", &steps.normalized),
        ("γ", &gamma),
        ("β", &beta),
        ("y", &steps.y),
        ("L", &loss),
    ];
    let flow = gradients(&loss, &parts.map(|(_, tensor)| tensor));
    let rows = parts.iter().zip(&flow).map(|((name, value), gradient)| {
        vec![name.to_string(), value.to_string(), gradient.to_string()]
    });
    lab.table(&["", "value", "gradient of L"], &rows.collect::<Vec<_>>());
    let normalized = &steps.normalized;
    lab.fact("the normalized values have mean 0", normalized.mean().item()?.abs() < 1e-6)?;
    lab.fact("and variance 1", (normalized.square().mean().item()? - 1.0).abs() < 1e-4)?;
    let layer = BatchNorm1d::new();
    let column = x.reshape([3, 1]);
    layer.build(&column, lab.seed())?;
    let of_layer = layer.forward(&column, &mut Context::train(0)).reshape([3]);
    lab.fact(
        "the layer BatchNorm1d does the same",
        (of_layer - normalized).abs().max().item()? < 1e-5,
    )?;

    lab.section("gradient");
    let found = grad(&loss, &x);
    let g = &weights * &gamma;
    let deviation = (&steps.variance + EPS).sqrt();
    let by_hand = (&g - g.mean() - normalized * (&g * normalized).mean()) / deviation;
    let by_differences =
        numerical_gradient(|x| (normalize(x, &gamma, &beta).y * &weights).sum(), &x)?;
    lab.print(format!(
        "backpropagation {found}\nthe formula     {by_hand}\nby differences  {by_differences}"
    ));
    lab.fact(
        "the gradient by backpropagation is that of the formula",
        (&found - &by_hand).abs().max().item()? < 1e-5,
    )?;
    lab.fact(
        "and that by differences",
        (&found - &by_differences).abs().max().item()? < 1e-4,
    )?;
    lab.fact(
        "moving all values together changes nothing: the gradients sum to 0",
        found.sum().item()?.abs() < 1e-6,
    )?;
    let model = models::MultiLayerNet::new(&[10, 10], 10).batch_norm(true).layers();
    let batch = Loader::new(&lab.mnist()?.train, 8)?.batch(0)?;
    let images = Tensor::new([8, 1, 28, 28], &batch.images);
    model.build(&images, lab.seed())?;
    let scores = model.forward(&images, &mut Context::train(lab.seed()));
    let loss = SoftmaxCrossEntropy::new().loss(&scores, &Tensor::new([8], &batch.labels));
    let parameters: Vec<Tensor> =
        model.parameters()?.iter().map(Parameter::tensor).collect();
    let report = gradient_check(
        &loss,
        &parameters.iter().collect::<Vec<_>>(),
        &CheckOptions::default(),
    )?;
    lab.print(format!("a network of two normalized layers, on 8 digits:\n{report}"));
    lab.fact(
        "the gradient check of a network with it agrees to 0.0001 %",
        report.agrees(1e-6),
    )?;

    lab.section("training");
    let mut data = lab.mnist()?;
    (data.train, data.test) = (data.train.take(1_000), data.test.take(0));
    let (rate, epochs, seed) =
        (lab.number("rate"), lab.count("epochs").min(100) as u64, lab.seed());
    // From 1 down to 0.0001 on a logarithmic scale.
    let scales = lab.pick(16, 4);
    let std = |i: usize| 10f64.powf(-4.0 * i as f64 / (scales - 1) as f64);
    let stds: Vec<f64> = (0..scales).map(std).collect();
    let curves = lab.parallel("scales, with and without", 2 * scales, |at| {
        train(stds[at / 2], at % 2 == 0, rate, epochs, &data, seed)
    })?;
    let last = |at: usize| curves[at].last().copied();
    let finals = |without: usize| {
        stds.iter().enumerate().map(move |(i, &std)| (std, 2 * i + without))
    };
    let points =
        |without: usize| finals(without).filter_map(|(std, at)| Some((std, last(at)?)));
    lab.figure(
        Plot::new(format!("After {epochs} epochs"))
            .size(660, 320)
            .axes(
                "standard deviation σ of the initial weights",
                "accuracy on the training images",
            )
            .log_x()
            .y_range(0.0, 1.05)
            .path("with batch normalization", points(0))
            .path("without", points(1))
            .dashed()
            .figure(),
    );
    lab.figures(stds.iter().enumerate().map(|(i, &std)| {
        let middle = (epochs as f64 / 2.0).round().max(1.0);
        Plot::new(format!("σ = {}", numbers::significant(std, 2)))
            .size(144, 128)
            .y_range(0.0, 1.0)
            .y_ticks([(0.0, "0"), (0.5, "0.5"), (1.0, "1")])
            .x_range(0.0, epochs as f64)
            .x_ticks([0.0, middle, epochs as f64].map(|e| (e, e.to_string())))
            .no_legend()
            .curve("with", &curves[2 * i])
            .curve("without", &curves[2 * i + 1])
            .dashed()
            .figure()
    }));
    if lab.usual(&["rate", "epochs"]) {
        let wins = (0..scales).filter(|i| last(2 * i) > last(2 * i + 1)).count();
        lab.fact(
            format!("with it the network does better at {wins} of the {scales} scales"),
            8 * wins >= 5 * scales,
        )?;
        let stuck =
            points(1).filter(|&(std, _)| std < 0.01).all(|(_, accuracy)| accuracy < 0.2);
        lab.fact("without it, nothing is learned at any scale below 0.01", stuck)?;
    }

    lab.section("running");
    let layer = BatchNorm1d::new().momentum(0.1);
    layer.build(&column, seed)?;
    for _ in 0..20 {
        let mut cx = Context::train(0);
        layer.forward(&column, &mut cx);
        for (statistic, value) in cx.finish()? {
            statistic.set(&value)?;
        }
    }
    for (name, statistic) in layer.named_buffers()? {
        lab.print(format!("after 20 batches: {name} {}", statistic.tensor()));
    }
    let mean = layer.buffers()?[0].tensor().item()?;
    let variance = layer.buffers()?[1].tensor().item()?;
    lab.fact(
        "after n like batches the running mean is 1 − 0.9ⁿ of theirs",
        (mean - 3.0 * (1.0 - 0.9f64.powi(20))).abs() < 1e-5,
    )?;
    lab.fact(
        "the running variance takes the unbiased one: 7, where the batch was divided by the root of 14/3",
        (variance - (7.0 - 6.0 * 0.9f64.powi(20))).abs() < 1e-4,
    )?;
    let one = Tensor::from([[4.0]]);
    let answer = layer.forward(&one, &mut Context::evaluate());
    lab.print(format!("one value alone, evaluated: {answer}"));
    lab.fact(
        "one value alone has an answer in evaluation, and is an error in training",
        answer.item()?.is_finite()
            && layer.forward(&one, &mut Context::train(0)).eval().is_err(),
    )?;
    let images = BatchNorm2d::new();
    images.build(&Tensor::zeros([2, 16, 7, 7]), seed)?;
    lab.fact(
        "for images there is one γ and one β for each channel: 16 and 16 for [N, 16, 7, 7]",
        images.parameter_count()? == 32,
    )?;
    Ok(())
}
