//! Half precision (page 259): how many bits does a trained network need?

use crate::prelude::*;
use std::{sync::Arc, time::Instant};

lab!("half_precision", chapter 8, pages "258–259",
    Choice::count("bits", "4", "bits of the last row's whole numbers, 2 to 8"),
);

/// A kind of floating-point number: bits of its fraction, and its smallest and largest exponent.
#[derive(Clone, Copy)]
struct Float {
    fraction: i32,
    low: i32,
    high: i32,
}

const BF16: Float = Float { fraction: 7, low: -126, high: 127 };
const F16: Float = Float { fraction: 10, low: -14, high: 15 };

impl Float {
    /// The nearest number of this kind; beyond the largest, infinity.
    fn round(self, x: f32) -> f32 {
        let x = f64::from(x);
        if x == 0.0 || !x.is_finite() {
            return x as f32;
        }
        let exponent = (((x.abs().to_bits() >> 52) as i32) - 1023).max(self.low);
        let step = 2f64.powi(exponent - self.fraction);
        let rounded = (x / step).round_ties_even() * step;
        let largest = (2.0 - 2f64.powi(-self.fraction)) * 2f64.powi(self.high);
        if rounded.abs() > largest {
            (x.signum() * f64::INFINITY) as f32
        } else {
            rounded as f32
        }
    }
}

/// A layer that rounds what passes to this many bits of fraction, by arithmetic of 32 bits (Veltkamp's splitting).
#[derive(Clone)]
struct Rounding(i32);

impl Module for Rounding {
    // It has no parameters.
    fn visit(&self, _: &mut Visitor<'_>) {}
}

impl Forward for Rounding {
    fn forward(&self, x: &Tensor, _: &mut Context) -> Tensor {
        let large = x * (2f64.powi(23 - self.0) + 1.0);
        &large - (&large - x)
    }
}

fn run(lab: &mut Session) -> Result<()> {
    lab.section("formats");
    let mut rows = Vec::new();
    for x in [1.0f32, 0.1, 1.0 / 3.0, 3.125e-5, 70_000.0, 1e-8] {
        rows.push(vec![
            x.to_string(),
            format!("{:?}", BF16.round(x)),
            format!("{:?}", F16.round(x)),
        ]);
    }
    lab.table(&["f32", "bf16", "f16"], &rows);
    lab.fact("in bf16 0.1 is 0.100097656", BF16.round(0.1) == 0.100_097_656)?;
    lab.fact("in f16 0.1 is 0.099975586", F16.round(0.1) == 0.099_975_586)?;
    lab.fact(
        "70,000 is beyond f16 and not beyond bf16",
        F16.round(7e4).is_infinite() && BF16.round(7e4).is_finite(),
    )?;

    lab.section("accuracy");
    let trained = lab.deep_convnet()?;
    let test = lab.mnist()?.test;
    let state = trained.model.module().state()?;
    let count: usize = state.iter().map(|(_, value)| value.len()).sum();
    let channels: usize =
        state.iter().filter(|(_, v)| v.shape().len() > 1).map(|(_, v)| v.shape()[0]).sum();
    let bits = lab.count("bits");
    if !(2..=8).contains(&bits) {
        return Err(Error::new(format!(
            "the whole numbers can have 2 to 8 bits, not {bits}"
        )));
    }
    let mut rows = Vec::new();
    let mut accuracies = Vec::new();
    let small = format!("int{bits} weights");
    let [floats, halves] = [4.0, 2.0].map(|bytes| bytes * count as f64);
    let wholes = |bits: usize| count as f64 * bits as f64 / 8.0 + 4.0 * channels as f64;
    type Way<'a> = (&'a str, &'a dyn Fn(&Array) -> Array, Option<i32>, f64);
    #[rustfmt::skip]
    let ways: [Way; 7] = [
        ("f32", &Array::clone, None, floats),
        ("bf16 weights", &|w| each(w, |x| BF16.round(x)), None, halves),
        ("f16 weights", &|w| each(w, |x| F16.round(x)), None, halves),
        ("bf16 weights, activations", &|w| each(w, |x| BF16.round(x)), Some(BF16.fraction), halves),
        ("f16 weights, activations", &|w| each(w, |x| F16.round(x)), Some(F16.fraction), halves),
        ("int8 weights", &|w| whole(w, 8), None, wholes(8)),
        (&small, &|w| whole(w, bits), None, wholes(bits)),
    ];
    let progress = lab.progress("precisions", ways.len());
    let mut answers: Vec<Vec<usize>> = Vec::new();
    for (name, round, activations, bytes) in &ways {
        let model = network(&trained.model, round, *activations)?;
        let found = model.evaluate(&test)?;
        let accuracy = found.accuracy().unwrap_or(0.0);
        answers.push(found.answers.iter().map(|a| a.class).collect());
        let other = answers[0]
            .iter()
            .zip(&answers[answers.len() - 1])
            .filter(|(a, b)| a != b)
            .count();
        rows.push(vec![
            name.to_string(),
            format!("{:.2} %", accuracy * 100.0),
            other.to_string(),
            format!("{:.0} KB", bytes / 1e3),
        ]);
        accuracies.push(accuracy);
        progress.step();
    }
    drop(progress);
    lab.table(&["numbers", "accuracy", "other answers", "parameters"], &rows);
    let near = |at: usize, within: f64| (accuracies[at] - accuracies[0]).abs() <= within;
    // What is hardly trained has close decisions, which any change may turn.
    if !lab.quick() {
        lab.fact(
            "16 bits keep the accuracy within 0.3 %",
            near(1, 0.003) && near(2, 0.003) && near(3, 0.003) && near(4, 0.003),
        )?;
        lab.fact("8 bits for each weight keep it within 0.5 %", near(5, 0.005))?;
    }
    let exact = network(&trained.model, &|value| value.clone(), None)?.evaluate(&test)?;
    lab.fact(
        "rebuilt with unrounded numbers it answers as the trained network does",
        exact.accuracy() == trained.model.evaluate(&test)?.accuracy(),
    )?;

    lab.section("bits");
    let part = test.take(lab.pick(2_000, 300));
    let few = lab.pick(1, 5);
    let counts: Vec<i32> = (0..=10).step_by(few).collect();
    let wide: Vec<i32> = (2..=8).rev().step_by(few).collect();
    let curve = |lab: &Session,
                 name: &str,
                 counts: &[i32],
                 round: &dyn Fn(&Array, i32) -> Array|
     -> Result<Vec<(f64, f64)>> {
        let progress = lab.progress(name, counts.len());
        let mut points = Vec::new();
        for &bits in counts {
            let model = network(&trained.model, &|value| round(value, bits), None)?;
            points
                .push((f64::from(bits), model.evaluate(&part)?.accuracy().unwrap_or(0.0)));
            progress.step();
        }
        Ok(points)
    };
    let fraction = curve(lab, "bits of the fraction", &counts, &|value, bits| {
        let float = Float { fraction: bits, low: -126, high: 127 };
        each(value, |x| float.round(x))
    })?;
    let integer = curve(lab, "bits of whole numbers", &wide, &|value, bits| {
        whole(value, bits as usize)
    })?;
    let most = |points: Option<&(f64, f64)>| points.map_or(0.0, |p| p.1);
    let gap = (most(fraction.last()) - most(integer.first())).abs();
    lab.figure(
        Plot::new("Accuracy with coarser weights")
            .axes("bits", "accuracy")
            .path("bits of the fraction (bf16 has 7, f16 has 10)", fraction)
            .path("whole numbers, one scale for each output", integer)
            .figure(),
    );
    if !lab.quick() {
        lab.fact(
            "10 bits of fraction and 8-bit whole numbers agree within 1 %",
            gap <= 0.01,
        )?;
    }
    let layer = Rounding(7)
        .forward(&Tensor::from([0.1, 1.0 / 3.0, -70_000.0]), &mut Context::evaluate());
    let singly = [0.1, 1.0 / 3.0, -70_000.0].map(|x| BF16.round(x));
    lab.fact(
        "the layer that rounds does what the function does",
        layer.to_vec::<f32>()? == singly,
    )?;

    lab.section("error");
    let weights: Vec<f32> = state
        .iter()
        .filter(|(_, v)| v.shape().len() > 1)
        .flat_map(|(_, v)| v.to_f64s())
        .map(|v| v as f32)
        .collect();
    let error = |float: Float| {
        let worst = weights
            .iter()
            .filter(|w| w.abs() > 1e-4)
            .map(|&w| f64::from((float.round(w) - w) / w).abs());
        worst.fold(0.0, f64::max)
    };
    let (bf16, f16) = (error(BF16), error(F16));
    lab.print(format!("largest relative error of a weight: bf16 {bf16:.6}, f16 {f16:.6}"));
    lab.fact("bf16 is wrong by at most 2⁻⁸ of a number", bf16 <= 2f64.powi(-8))?;
    lab.fact("f16 by at most 2⁻¹¹, between 6 · 10⁻⁵ and 65504", f16 <= 2f64.powi(-11))?;
    let logs: Vec<f64> =
        weights.iter().filter(|w| **w != 0.0).map(|w| f64::from(w.abs()).log10()).collect();
    lab.figure(
        Plot::new("Sizes of the weights")
            .axes("log10 |w|", "weights")
            .histogram("", &logs, (-7.0, 1.0), 40)
            .figure(),
    );

    lab.section("cost");
    let file = std::env::temp_dir()
        .join(format!("zerokara-half-{}.safetensors", std::process::id()));
    trained.model.save(&file)?;
    let size = std::fs::metadata(&file).map(|m| m.len());
    let _ = std::fs::remove_file(&file);
    let size =
        size.map_err(|e| Error::new(format!("cannot read {}: {e}", file.display())))?;
    let batch = Loader::new(&test, 100)?.batch(0)?;
    let x = Array::new(batch.shape, batch.images);
    trained.model.predict(&x)?;
    let start = Instant::now();
    let rounds = lab.pick(20, 3);
    for _ in 0..rounds {
        trained.model.predict(&x)?;
    }
    let rate = f64::from(rounds) * 100.0 / start.elapsed().as_secs_f64();
    lab.print(format!(
        "{count} parameters; the file with f32 has {size} bytes\nf32: {rate:.0} images/s with numbers of 32 bits"
    ));
    lab.fact(
        "the file is the parameters and less than 50 KB beside",
        size >= 4 * count as u64 && size < 4 * count as u64 + 50_000,
    )?;
    Ok(())
}

/// DeepConvNet with every parameter rounded, and, if asked, everything that passes between the layers.
fn network(
    trained: &SavedModel,
    round: &dyn Fn(&Array) -> Array,
    activations: Option<i32>,
) -> Result<SavedModel> {
    let passing = |layers: Sequential| match activations {
        Some(fraction) => layers.add(Rounding(fraction)),
        None => layers,
    };
    let mut layers = passing(Sequential::new());
    for (filters, second) in [(16, 1), (32, 2), (64, 1)] {
        for padding in [1, second] {
            layers = passing(layers.add(Conv2d::new(filters, 3).padding(padding)).relu());
        }
        layers = layers.max_pool2d(2);
    }
    layers = passing(layers.flatten().linear(50).relu()).linear(10);
    let shape = [&[1], &trained.card().shape[..]].concat();
    layers.build(&Tensor::zeros(shape), 0)?;
    let state = trained.module().state()?;
    for (name, parameter) in layers.named_parameters()? {
        let same = state.iter().find(|(path, _)| path.ends_with(&name));
        let (_, value) =
            same.ok_or_else(|| Error::new(format!("nothing was trained for {name}")))?;
        parameter.set_array(round(value))?;
    }
    Ok(SavedModel::new(Arc::new(layers), trained.card().clone()))
}

/// An array with each number replaced.
fn each(value: &Array, f: impl Fn(f32) -> f32) -> Array {
    let rounded: Vec<f32> = value.to_f64s().into_iter().map(|x| f(x as f32)).collect();
    Array::new(value.shape(), rounded)
}

/// The weights of each output as whole numbers of this many bits times one scale; biases stay as they are.
fn whole(value: &Array, bits: usize) -> Array {
    if value.shape().len() < 2 {
        return value.clone();
    }
    let numbers = value.to_f64s();
    let most = f64::from((1i32 << (bits - 1)) - 1);
    let mut found = Vec::with_capacity(numbers.len());
    for output in numbers.chunks(numbers.len() / value.shape()[0].max(1)) {
        let scale = output.iter().fold(0.0f64, |m, w| m.max(w.abs())).max(1e-30) / most;
        found.extend(output.iter().map(|w| ((w / scale).round_ties_even() * scale) as f32));
    }
    Array::new(value.shape(), found)
}
