//! The gradient check (pages 158 to 160): backpropagation against differences, for every parameter of TwoLayerNet.

use crate::prelude::*;
use std::time::Instant;

lab!("gradient_check", chapter 5, pages "158–160",
    Choice::count("hidden", "50", "hidden neurons, up to 200").quick("4"),
    Choice::count("batch", "3", "images, up to 20"),
    Choice::number("h", "1e-4", "step of the differences"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("network");
    let (hidden, count, h) = (lab.count("hidden"), lab.count("batch"), lab.number("h"));
    if hidden > 200 || count > 20 || !(1e-10..=1.0).contains(&h) {
        return Err(Error::new("hidden up to 200, batch up to 20, h from 1e-10 to 1"));
    }
    let batch = Loader::new(&lab.mnist()?.train, count)?.batch(0)?.flatten();
    let (shape, labels) = (batch.shape.clone(), Tensor::from(batch.labels.clone()));
    let images = Tensor::new(shape, &batch.images);
    let model = models::TwoLayerNet::new(hidden, 10);
    model.build(&images, lab.seed())?;
    let output = model.forward(&images, &mut Context::evaluate());
    // The same network as a function of its four parameters, in 64 bits.
    let images = Tensor::from(images.cast(DType::F64).eval()?);
    let names = ["W1", "b1", "W2", "b2"];
    let values: Result<Vec<Array>> = model
        .parameters()?
        .iter()
        .map(|parameter| Ok(parameter.tensor().cast(DType::F64).eval()?))
        .collect();
    let mut values = values?;
    let inputs: Vec<Tensor> = values
        .iter()
        .zip(names)
        .map(|(value, name)| Tensor::input(name, value.shape(), DType::F64))
        .collect();
    let loss = loss_of(&images, &labels, &inputs);
    let mut forward = Program::compile(&inputs.iter().collect::<Vec<_>>(), &[&loss], &[])?;
    let here = forward.run(&values)?[0].to_f64s()[0];
    let models_loss = output.cross_entropy(&labels).mean().item()?;
    let parameters: usize = values.iter().map(Array::len).sum();
    lab.print(format!("{parameters} parameters, {count} images, loss {here:.6}"));
    lab.fact("the function has the loss of the model", (here - models_loss).abs() < 1e-5)?;

    lab.section("check");
    let slopes = gradients(&loss, &inputs.iter().collect::<Vec<_>>());
    let mut backward = Program::compile(
        &inputs.iter().collect::<Vec<_>>(),
        &slopes.iter().collect::<Vec<_>>(),
        &[],
    )?;
    backward.run(&values)?;
    let start = Instant::now();
    let found = backward.run(&values)?;
    let quick_time = start.elapsed().as_secs_f64();
    let bar = lab.progress("differences", parameters);
    let (mut numerical, mut times) = (Vec::new(), Vec::new());
    for which in 0..values.len() {
        let start = Instant::now();
        let mut slopes = Vec::with_capacity(values[which].len());
        for i in 0..values[which].len() {
            let w = values[which].slice::<f64>()[i];
            let mut at = |x: f64| -> Result<f64> {
                values[which].slice_mut::<f64>()[i] = x;
                Ok(forward.run_in_place(&values)?[0].slice::<f64>()[0])
            };
            let (ahead, behind) = (at(w + h)?, at(w - h)?);
            at(w)?;
            slopes.push((ahead - behind) / (2.0 * h));
            bar.step();
        }
        times.push(start.elapsed().as_secs_f64());
        numerical.push(slopes);
    }
    drop(bar);
    let mut rows = Vec::new();
    let mut close = true;
    for which in 0..4 {
        let (slow, fast) = (&numerical[which], found[which].slice::<f64>());
        let differences: Vec<f64> =
            slow.iter().zip(fast).map(|(a, b)| (a - b).abs()).collect();
        let size = fast.iter().map(|d| d.abs()).sum::<f64>() / fast.len() as f64;
        let mean = differences.iter().sum::<f64>() / differences.len() as f64;
        close &= mean < h * h + 1e-12 / h;
        rows.push(vec![
            names[which].to_string(),
            format!("{:?}", values[which].shape()),
            format!("{size:.1e}"),
            format!("{mean:.1e}"),
            format!("{:.3} s", times[which]),
        ]);
    }
    lab.table(&["parameter", "shape", "mean |gradient|", "mean difference", "time"], &rows);
    lab.fact("the mean difference of every parameter is below h² + 1e-12/h", close)?;
    let slow_time: f64 = times.iter().sum();
    lab.print(format!(
        "by differences {slow_time:.3} s, by backpropagation {:.6} s: {:.0} times faster",
        quick_time,
        slow_time / quick_time
    ));
    lab.fact(
        "backpropagation is more than 100 times faster",
        slow_time > 100.0 * quick_time,
    )?;
    let pairs = |which: usize, slow: &[f64]| -> Vec<(f64, f64)> {
        let every = slow.len().div_ceil(400);
        let fast = found[which].slice::<f64>();
        fast.iter().copied().zip(slow.iter().copied()).step_by(every).collect()
    };
    let panel = |which: usize, slow: &[f64]| {
        let dots = pairs(which, slow);
        let end =
            dots.iter().fold(1e-12, |m: f64, p| m.max(p.0.abs()).max(p.1.abs())) * 1.1;
        Plot::new(format!("{} ({} values)", names[which], slow.len()))
            .size(310, 250)
            .axes("by backpropagation", "by differences")
            .x_range(-end, end)
            .y_range(-end, end)
            .line("equal", [(-end, -end), (end, end)])
            .grey()
            .dots("", dots)
            .color(0)
    };
    lab.figures((0..4).map(|which| panel(which, &numerical[which]).no_legend().figure()));

    lab.section("mistakes");
    // Three mistakes that are easily made in a backward pass. A layer holds its weights as [outputs, inputs].
    let (z, t) = (forward_to_hidden(&images, &inputs), labels.one_hot(10).cast(DType::F64));
    let error = (z.matmul(&inputs[2].t()) + &inputs[3]).softmax() - t;
    let hidden_error = |error: &Tensor| error.matmul(&inputs[2]);
    let n = count as f64;
    let one_minus = 1.0 - &z;
    let right = (hidden_error(&error) * &z * &one_minus / n).t().matmul(&images);
    let wrong = [
        ("not divided by N", (hidden_error(&error) * &z * &one_minus).t().matmul(&images)),
        ("y instead of y(1 − y)", (hidden_error(&error) * &z / n).t().matmul(&images)),
        ("t forgotten", {
            let y = (z.matmul(&inputs[2].t()) + &inputs[3]).softmax();
            (hidden_error(&y) * &z * &one_minus / n).t().matmul(&images)
        }),
    ];
    let outputs: Vec<&Tensor> =
        [&right].into_iter().chain(wrong.iter().map(|w| &w.1)).collect();
    let by_hand = Program::compile(&inputs.iter().collect::<Vec<_>>(), &outputs, &[])?
        .run(&values)?;
    let relative = |found: &Array| {
        let (mut off, mut size) = (0.0, 0.0);
        for (a, b) in found.slice::<f64>().iter().zip(&numerical[0]) {
            (off, size) = (off + (a - b).abs(), size + b.abs());
        }
        off / size
    };
    let mut rows =
        vec![vec!["no mistake".to_string(), format!("{:.0e}", relative(&by_hand[0]))]];
    for ((name, _), found) in wrong.iter().zip(&by_hand[1..]) {
        rows.push(vec![name.to_string(), format!("{:.0e}", relative(found))]);
    }
    lab.table(&["backward by hand, dW1", "mean difference / mean |gradient|"], &rows);
    let limit = 1e-2;
    lab.fact(
        "the check passes the right backward pass, and finds each of the mistakes",
        relative(&by_hand[0]) < limit
            && (count == 1 || relative(&by_hand[1]) > limit)
            && by_hand[2..].iter().all(|found| relative(found) > limit),
    )?;
    lab.figures(wrong.iter().zip(&by_hand[1..]).map(|((name, _), found)| {
        let fast = found.slice::<f64>();
        let every = fast.len().div_ceil(400);
        let pairs = fast.iter().copied().zip(numerical[0].iter().copied());
        let dots: Vec<(f64, f64)> = pairs.step_by(every).collect();
        let end =
            dots.iter().fold(1e-12, |m: f64, p| m.max(p.0.abs()).max(p.1.abs())) * 1.1;
        Plot::new(*name)
            .size(240, 220)
            .axes("by hand", "by differences")
            .x_range(-end, end)
            .y_range(-end, end)
            .line("", [(-end, -end), (end, end)])
            .grey()
            .dots("", dots)
            .color(1)
            .figure()
    }));

    lab.section("library");
    let tensors: Vec<Tensor> = values.into_iter().map(Tensor::from).collect();
    let loss = loss_of(&images, &labels, &tensors);
    let options = zerokara::core::check::CheckOptions::default();
    let report = gradient_check(&loss, &tensors.iter().collect::<Vec<_>>(), &options)?;
    lab.print(report.to_string().trim_end());
    lab.fact("the library's check agrees to six digits", report.agrees(1e-6))?;
    Ok(())
}

fn forward_to_hidden(images: &Tensor, p: &[Tensor]) -> Tensor {
    (images.matmul(&p[0].t()) + &p[1]).sigmoid()
}

/// TwoLayerNet's loss: affine, sigmoid, affine, softmax with cross-entropy.
fn loss_of(images: &Tensor, labels: &Tensor, p: &[Tensor]) -> Tensor {
    let scores = forward_to_hidden(images, p).matmul(&p[2].t()) + &p[3];
    scores.cross_entropy(labels).mean()
}
