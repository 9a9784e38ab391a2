//! What `benches/compare/layers.py` measures: each line of standard input is a case and a number of seconds, such as
//! `lstm 1 128 32 32 train 1`, and is answered with the milliseconds of a run, the median of as many as fit into these seconds.
//!
//! Cases: `lstm` or `gru LAYERS WIDTH LENGTH BATCH train|infer`, `attention HEADS WIDTH LENGTH full|causal train|infer` of 2,048
//! positions in all, `gpt train`, nanoGPT's small settings, `depthwise CHANNELS SIZE KERNEL STRIDE BATCH planes|channels
//! train|infer`, `transposed INPUTS OUTPUTS SIZE KERNEL STRIDE BATCH planes|channels train|infer`.

use std::{
    error::Error,
    io::{self, BufRead, Write},
    time::Instant,
};
use zerokara_core::{Array, AttentionOptions, DType, Meta, Program, Tensor, gradients};
use zerokara_nn::{
    AdamW, Clipping, Context, Conv2d, ConvTranspose2d, Forward, Gru, Lstm, TokenCrossEntropy,
    TrainStep, models::Gpt,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Runs that are timed, one after another.
type Run = Box<dyn FnMut() -> Result<()>>;

/// Numbers between -1 and 1.
fn numbers(shape: &[usize]) -> Array {
    let count = shape.iter().product::<usize>();
    let all = (0..count).map(|i| (i * 7919 % 1000) as f32 / 500.0 - 1.0);
    Array::new(shape, all.collect::<Vec<f32>>())
}

fn compiled(inputs: &[&Tensor], outputs: &[&Tensor], values: Vec<Array>) -> Result<Run> {
    let program = Program::compile(inputs, outputs, &[])?;
    Ok(Box::new(move || {
        program.run(&values)?;
        Ok(())
    }))
}

/// A recurrent layer: its output, or the gradients of its parameters.
fn recurrent(layer: &dyn Forward, [width, length, batch]: [usize; 3], trains: bool) -> Result<Run> {
    let meta = Meta::new([batch, length, width], DType::F32);
    layer.build(&meta, 0)?;
    let x = Tensor::input("x", meta.shape.clone(), DType::F32);
    let y = layer.forward(&x, &mut Context::evaluate());
    let values = vec![numbers(&meta.shape)];
    if !trains {
        return compiled(&[&x], &[&y], values);
    }
    let leaves: Vec<Tensor> = layer.parameters()?.iter().map(|p| p.tensor()).collect();
    let found = gradients(&y.sum(), &leaves.iter().collect::<Vec<_>>());
    compiled(&[&x], &found.iter().collect::<Vec<_>>(), values)
}

fn attention([heads, width, length]: [usize; 3], causal: bool, trains: bool) -> Result<Run> {
    let shape = [(2048 / length).max(1), length, heads, width / heads];
    let [q, k, v] = ["q", "k", "v"].map(|name| Tensor::input(name, shape, DType::F32));
    let options = AttentionOptions {
        causal,
        ..AttentionOptions::default()
    };
    let y = q.attention(&k, &v, &options);
    let values = vec![numbers(&shape); 3];
    if !trains {
        return compiled(&[&q, &k, &v], &[&y], values);
    }
    let found = gradients(&y.square().sum(), &[&q, &k, &v]);
    compiled(&[&q, &k, &v], &found.iter().collect::<Vec<_>>(), values)
}

/// A convolution of images that come and go as planes, `[N, C, H, W]`, or with channels innermost: its output, or the gradients of
/// its input and parameters.
fn convolution(layer: &dyn Forward, shape: [usize; 4], lies: &str, trains: bool) -> Result<Run> {
    layer.build(&Meta::new(shape, DType::F32), 0)?;
    let [n, c, h, w] = shape;
    let is_last = lies == "channels";
    let shape = if is_last { [n, h, w, c] } else { shape };
    let images = Tensor::input("images", shape, DType::F32);
    let planes = |x: &Tensor| match is_last {
        true => x.permute([0, 3, 1, 2]),
        false => x.clone(),
    };
    let channels = |x: &Tensor| match is_last {
        true => x.permute([0, 2, 3, 1]),
        false => x.clone(),
    };
    let x = planes(&images);
    let y = layer.forward(&x, &mut Context::evaluate());
    let values = vec![numbers(&shape)];
    if !trains {
        return compiled(&[&images], &[&channels(&y)], values);
    }
    let mut leaves: Vec<Tensor> = layer.parameters()?.iter().map(|p| p.tensor()).collect();
    leaves.push(x);
    let mut found = gradients(&y.square().sum(), &leaves.iter().collect::<Vec<_>>());
    let of_images = found.pop().ok_or("no gradient")?;
    found.push(channels(&of_images));
    compiled(&[&images], &found.iter().collect::<Vec<_>>(), values)
}

fn gpt() -> Result<Run> {
    let (batch, length, vocabulary) = (12, 64, 65);
    let model = Gpt::new(vocabulary, length);
    model.build(&Meta::new([batch, length], DType::I64), 0)?;
    let optimizer = AdamW::new(1e-3).betas(0.9, 0.99).weight_decay(0.1);
    let mut step =
        TrainStep::new(model, TokenCrossEntropy::new(), optimizer)?.clipping(Clipping::Norm(1.0));
    let tokens = |from: usize| {
        let all = (0..batch * length).map(|i| ((i + from) * 31 % vocabulary) as i64);
        Array::new([batch, length], all.collect::<Vec<i64>>())
    };
    let (x, t) = (tokens(0), tokens(1));
    Ok(Box::new(move || {
        step.step(&x, &t, 1e-3)?;
        Ok(())
    }))
}

fn run_of(case: &[&str]) -> Result<Run> {
    let sizes = |words: &[&str]| -> Result<Vec<usize>> {
        Ok(words
            .iter()
            .map(|w| w.parse())
            .collect::<std::result::Result<_, _>>()?)
    };
    match case {
        [kind @ ("lstm" | "gru"), rest @ .., mode] if rest.len() == 4 => {
            let sizes = sizes(rest)?;
            let (layers, width) = (sizes[0], sizes[1]);
            let layer: Box<dyn Forward> = match *kind {
                "lstm" => Box::new(Lstm::new(width).layers(layers)),
                _ => Box::new(Gru::new(width).layers(layers)),
            };
            recurrent(&*layer, [width, sizes[2], sizes[3]], *mode == "train")
        }
        ["attention", heads, width, length, sees, mode] => {
            let sizes = sizes(&[heads, width, length])?;
            attention(
                [sizes[0], sizes[1], sizes[2]],
                *sees == "causal",
                *mode == "train",
            )
        }
        ["gpt", "train"] => gpt(),
        ["depthwise", rest @ .., lies, mode] if rest.len() == 5 => {
            let sizes = sizes(rest)?;
            let (channels, size, kernel, stride, batch) =
                (sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]);
            let layer = Conv2d::new(channels, kernel)
                .stride(stride)
                .padding(kernel / 2)
                .groups(channels);
            convolution(
                &layer,
                [batch, channels, size, size],
                lies,
                *mode == "train",
            )
        }
        ["transposed", rest @ .., lies, mode] if rest.len() == 6 => {
            let sizes = sizes(rest)?;
            let (inputs, outputs, size, kernel, stride, batch) =
                (sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5]);
            let layer = ConvTranspose2d::new(outputs, kernel)
                .stride(stride)
                .padding((kernel - 1) / 2)
                .output_padding(kernel % 2);
            convolution(&layer, [batch, inputs, size, size], lies, *mode == "train")
        }
        _ => Err(format!("there is no case {}", case.join(" ")).into()),
    }
}

fn main() -> Result<()> {
    for line in io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let (seconds, case) = words.split_last().ok_or("an empty line is no case")?;
        let seconds: f64 = seconds.parse()?;
        let mut run = run_of(case)?;
        run()?;
        let (start, mut times) = (Instant::now(), Vec::new());
        while times.len() < 3 || start.elapsed().as_secs_f64() < seconds {
            let before = Instant::now();
            run()?;
            times.push(before.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        println!("{}", times[times.len() / 2]);
        io::stdout().flush()?;
    }
    Ok(())
}
