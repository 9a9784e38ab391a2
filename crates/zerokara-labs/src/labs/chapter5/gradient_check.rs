//! The gradient check (pages 158 to 160): backpropagation against differences, for each parameter of TwoLayerNet.

use crate::prelude::*;
use std::time::Instant;
use zerokara::figures::numbers::significant;

lab!("gradient_check", chapter 5, pages "158–160",
    Choice::count("hidden", "50", "hidden neurons, up to 200"),
    Choice::count("entries", "2000", "values of each parameter that are checked").quick("200"),
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
    let forward = Program::compile(&inputs.iter().collect::<Vec<_>>(), &[&loss], &[])?;
    let mut forward = forward.runner();
    let here = forward.run(&values)?[0].to_f64s()[0];
    let models_loss = output.cross_entropy(&labels).mean().item()?;
    let parameters: usize = values.iter().map(Array::len).sum();
    lab.print(format!("{parameters} parameters, {count} images, loss {here:.6}"));
    lab.fact("the function has the loss of the model", (here - models_loss).abs() < 1e-5)?;

    lab.section("check");
    let slopes = gradients(&loss, &inputs.iter().collect::<Vec<_>>());
    let backward = Program::compile(
        &inputs.iter().collect::<Vec<_>>(),
        &slopes.iter().collect::<Vec<_>>(),
        &[],
    )?;
    backward.run(&values)?;
    let mut found = Vec::new();
    let mut fast_time = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        found = backward.run(&values)?;
        fast_time = fast_time.min(start.elapsed().as_secs_f64());
    }
    // Every so many values of each parameter, from a place that the seed says.
    let samples: Vec<Vec<usize>> = values
        .iter()
        .map(|value| {
            let mut step = value.len().div_ceil(lab.count("entries"));
            // Rows have 784 = 2⁴ · 7² weights; without a common factor all columns have their turn.
            while step > 1 && (step % 2 == 0 || step % 7 == 0) {
                step += 1;
            }
            (lab.seed() as usize % step..value.len()).step_by(step).collect()
        })
        .collect();
    let bar = lab.progress("differences", samples.iter().map(Vec::len).sum());
    let (mut numerical, mut times) = (Vec::new(), Vec::new());
    for (which, sample) in samples.iter().enumerate() {
        let start = Instant::now();
        let mut slopes = Vec::with_capacity(sample.len());
        for &i in sample {
            let w = values[which].as_slice::<f64>()?[i];
            let mut at = |x: f64| -> Result<f64> {
                values[which].as_mut_slice::<f64>()?[i] = x;
                Ok(forward.run(&values)?[0].as_slice::<f64>()?[0])
            };
            let (ahead, behind) = (at(w + h)?, at(w - h)?);
            values[which].as_mut_slice::<f64>()?[i] = w;
            slopes.push((ahead - behind) / (2.0 * h));
            bar.step();
        }
        times.push(start.elapsed().as_secs_f64() / sample.len() as f64);
        numerical.push(slopes);
    }
    drop(bar);
    // A gradient's values at the sampled places.
    let sampled = |which: usize, gradient: &Array| -> Vec<f64> {
        let values = gradient.to_f64s();
        samples[which].iter().map(|&i| values[i]).collect()
    };
    let mut rows = Vec::new();
    let mut close = true;
    for which in 0..4 {
        let fast = sampled(which, &found[which]);
        let count = fast.len() as f64;
        let size = fast.iter().map(|d| d.abs()).sum::<f64>() / count;
        let pairs = numerical[which].iter().zip(&fast);
        let mean = pairs.map(|(a, b)| (a - b).abs()).sum::<f64>() / count;
        close &= mean < h * h + 1e-12 / h;
        rows.push(vec![
            names[which].to_string(),
            format!("{:?}", values[which].shape()),
            fast.len().to_string(),
            format!("{size:.1e}"),
            format!("{mean:.1e}"),
            format!("{:.3} s", times[which] * values[which].len() as f64),
        ]);
    }
    lab.table(
        &["", "shape", "checked", "mean |gradient|", "mean difference", "time for all"],
        &rows,
    );
    lab.fact("the mean difference of every parameter is below h² + 1e-12/h", close)?;
    let slow_time: f64 = times.iter().zip(&values).map(|(t, v)| t * v.len() as f64).sum();
    lab.print(format!(
        "whole gradient by differences {slow_time:.3} s, by backpropagation {fast_time:.6} s: \
         {:.0} times faster",
        slow_time / fast_time
    ));
    lab.fact(
        "backpropagation is more than 100 times faster",
        slow_time > 100.0 * fast_time,
    )?;
    lab.figures((0..4).map(|which| {
        let dots = sampled(which, &found[which]).into_iter().zip(numerical[which].clone());
        diagonal(
            format!("{} ({} values)", names[which], samples[which].len()),
            dots.collect(),
        )
        .size(310, 250)
        .axes("by backpropagation", "by differences")
        .figure()
    }));

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
        for (a, b) in sampled(0, found).iter().zip(&numerical[0]) {
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
    // Differences of a much larger or smaller step are wrong themselves, and a few weights may all have black pixels.
    if (1e-6..=1e-2).contains(&h) && samples[0].len() >= 100 {
        lab.fact(
            "the check passes the right backward pass, and finds each of the mistakes",
            relative(&by_hand[0]) < limit
                && (count == 1 || relative(&by_hand[1]) > limit)
                && by_hand[2..].iter().all(|found| relative(found) > limit),
        )?;
    }
    lab.figures(wrong.iter().zip(&by_hand[1..]).map(|((name, _), found)| {
        let dots = sampled(0, found).into_iter().zip(numerical[0].clone());
        diagonal(name.to_string(), dots.collect())
            .color(1)
            .size(240, 220)
            .axes("by hand", "by differences")
            .figure()
    }));

    lab.section("library");
    let tensors: Vec<Tensor> = values.into_iter().map(Tensor::from).collect();
    let loss = loss_of(&images, &labels, &tensors);
    let options = zerokara::core::gradient_check::CheckOptions::default();
    let report = gradient_check(&loss, &tensors.iter().collect::<Vec<_>>(), &options)?;
    lab.print(report.to_string().trim_end());
    lab.fact("the library's check agrees to six digits", report.agrees(1e-6))?;
    Ok(())
}

/// Dots over the line on which both numbers are equal; of many dots some.
fn diagonal(title: String, dots: Vec<(f64, f64)>) -> Plot {
    let end = dots.iter().fold(1e-12, |m: f64, p| m.max(p.0.abs()).max(p.1.abs())) * 1.1;
    let every = dots.len().div_ceil(400);
    let power = 10.0_f64.powf(end.log10().floor());
    let mark = if end >= 5.0 * power { 5.0 * power } else { power };
    let ticks =
        [-mark, 0.0, mark].map(|mark| (mark, significant(mark, 1).replace('-', "−")));
    Plot::new(title)
        .x_ticks(ticks.clone())
        .y_ticks(ticks)
        .x_range(-end, end)
        .y_range(-end, end)
        .no_legend()
        .line("equal", [(-end, -end), (end, end)])
        .grey()
        .dots("", dots.into_iter().step_by(every))
        .color(0)
}

fn forward_to_hidden(images: &Tensor, p: &[Tensor]) -> Tensor {
    (images.matmul(&p[0].t()) + &p[1]).sigmoid()
}

/// TwoLayerNet's loss: affine, sigmoid, affine, softmax with cross-entropy.
fn loss_of(images: &Tensor, labels: &Tensor, p: &[Tensor]) -> Tensor {
    let scores = forward_to_hidden(images, p).matmul(&p[2].t()) + &p[3];
    scores.cross_entropy(labels).mean()
}
