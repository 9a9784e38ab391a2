//! MNIST (page 72): the images, their shapes with and without flattening, normalization, one-hot labels.

use crate::prelude::*;
use zerokara::train::report::terminal;

lab!("mnist", chapter 3, pages "72–75",
    Choice::count("image", "1", "which training image to look at, from 1 to 60,000"),
    Choice::count("batch", "100", "images in a batch, up to 10,000"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("data");
    let mnist = Mnist::load()?;
    let rows: Vec<_> = [("train", &mnist.train), ("test", &mnist.test)]
        .iter()
        .map(|(name, split)| {
            let count = numbers::thousands(split.len() as u64);
            vec![name.to_string(), count, format!("{:?}", split.shape())]
        })
        .collect();
    lab.table(&["", "images", "shape of one"], &rows);
    let counts = |split: &Split| -> Vec<usize> {
        (0..10)
            .map(|digit| split.labels().iter().filter(|l| **l == digit).count())
            .collect()
    };
    let (train, test) = (counts(&mnist.train), counts(&mnist.test));
    lab.fact(
        "60,000 training and 10,000 test images of 28 x 28 pixels",
        (mnist.train.len(), mnist.test.len()) == (60_000, 10_000)
            && mnist.train.shape() == [1, 28, 28],
    )?;
    lab.fact(
        "every digit is there about equally often: between 9 and 11.4 % of each part",
        [(&train, 60_000.0), (&test, 10_000.0)].iter().all(|(counts, all)| {
            counts.iter().all(|&n| (0.0885..0.1140).contains(&(n as f64 / all)))
        }),
    )?;
    let share = |counts: &[usize]| {
        let all: usize = counts.iter().sum();
        let share = move |n: &usize| *n as f64 / all as f64 * 100.0;
        counts.iter().map(share).collect::<Vec<_>>()
    };
    let at = |values: Vec<f64>, side: f64| {
        values.into_iter().enumerate().map(move |(digit, v)| (digit as f64 + side, v))
    };
    lab.figure(
        Plot::new("How often each digit is there")
            .axes("digit", "% of the images")
            .bars("train", at(share(&train), -0.2), 0.38)
            .bars("test", at(share(&test), 0.2), 0.38)
            .x_ticks((0..10).map(|digit| (f64::from(digit), digit.to_string())))
            .figure(),
    );

    lab.section("image");
    let number = lab.count("image");
    if number > mnist.train.len() {
        return Err(Error::new(format!(
            "image: there are {} training images, {number} is none",
            mnist.train.len()
        )));
    }
    let pixels = mnist.train.sample(number - 1);
    let label = mnist.train.labels()[number - 1];
    lab.print(format!("training image {number}, label {label}"));
    lab.print(terminal::digit(&pixels, 28, 28));
    lab.fact("the first training image is a 5", mnist.train.labels()[0] == 5)?;
    let mut rows = Tiles::new("Five images of each digit").columns(10).tile_size(48);
    for draw in 0..5 {
        for digit in 0..10 {
            let labels = mnist.train.labels().iter().enumerate();
            let found = labels.filter(|(_, label)| **label == digit).nth(draw);
            let Some((at, _)) = found else { continue };
            rows = rows.add(
                picture(&mnist.train.sample(at))?,
                if draw == 4 { digit.to_string() } else { String::new() },
            );
        }
    }
    lab.figures([
        Tiles::new(format!("Training image {number}: {label}"))
            .tile_size(200)
            .add(picture(&pixels)?, "")
            .figure(),
        rows.figure(),
    ]);

    lab.section("flatten");
    let size = lab.count("batch");
    if size > 10_000 {
        return Err(Error::new(format!("batch: at most 10000 images, not {size}")));
    }
    let loader = Loader::new(&mnist.train, size)?;
    let batch = loader.batch(0)?;
    let (images, flat) = (batch.clone(), batch.clone().flatten());
    lab.table(
        &["", "shape", "numbers"],
        &[&images, &flat].map(|b| {
            let name = if b.shape.len() == 2 { "flattened" } else { "images" };
            let count = numbers::thousands(b.images.len() as u64);
            vec![name.to_string(), format!("{:?}", b.shape), count]
        }),
    );
    lab.fact(
        "flattening [N, 1, 28, 28] to [N, 784] changes no number",
        images.shape == [size, 1, 28, 28]
            && flat.shape == [size, 784]
            && images.images == flat.images,
    )?;
    let x = Tensor::new(images.shape.clone(), &images.images);
    let flat = Tensor::new(flat.shape.clone(), &flat.images);
    let (row, column) = (14, 9);
    let place = row * 28 + column;
    let pixel = x.narrow(2, row, 1).narrow(3, column, 1).reshape([-1]);
    let same = flat.narrow(1, place, 1).reshape([-1]);
    lab.fact(
        format!("the pixel in row {row}, column {column} is number {row}·28 + {column} = {place}"),
        pixel.to_vec::<f32>()? == same.to_vec::<f32>()?,
    )?;

    lab.section("normalize");
    let bytes = mnist.train.bytes(number - 1).unwrap_or_default();
    let unit = loader.batch_of(&[number - 1])?.images;
    let (mean, std) = moments(&mnist.train);
    let standard = Normalization::of(&mnist.train)?;
    let mut standardized = pixels.clone();
    standard.apply(&mut standardized, 1)?;
    let range = |values: &[f32]| {
        let low = values.iter().copied().fold(f32::INFINITY, f32::min);
        let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        vec![format!("{low:.4}"), format!("{high:.4}")]
    };
    let row = |name: &str, values: &[f32]| [vec![name.to_string()], range(values)].concat();
    lab.table(
        &["the image", "smallest", "largest"],
        &[
            row("as stored, bytes", &pixels),
            row("x / 255", &unit),
            row("(x / 255 − mean) / std", &standardized),
        ],
    );
    lab.print(format!("all training pixels: mean {mean:.4}, std {std:.4}"));
    lab.fact(
        "a batch holds the bytes divided by 255, between 0 and 1",
        unit.iter().zip(bytes).all(|(x, b)| *x == f32::from(*b) / 255.0),
    )?;
    lab.fact(
        "the mean of all training pixels is 0.1307, their standard deviation 0.3081",
        (mean - 0.1307).abs() < 5e-5
            && (std - 0.3081).abs() < 5e-5
            && (f64::from(standard.mean()[0]) - mean).abs() < 1e-6
            && (f64::from(standard.std()[0]) - std).abs() < 1e-6,
    )?;
    let values: Vec<f64> = batch.images.iter().map(|v| f64::from(*v)).collect();
    lab.figure(
        Plot::new("Pixels of a batch")
            .axes("x / 255", "pixels")
            .histogram("", &values, (0.0, 1.0), 32)
            .figure(),
    );

    lab.section("one-hot");
    let t = Tensor::new([batch.len(), 10], batch.one_hot(10)?);
    let few = batch.len().min(6);
    let first: Vec<String> = batch.labels.iter().take(6).map(i64::to_string).collect();
    lab.print(format!("labels {}\n{}", first.join(", "), t.narrow(0, 0, few)));
    lab.fact(
        "a one-hot row has a single 1, at the label's place",
        t.sum_axes(&[1], false).to_vec::<f32>()?.iter().all(|sum| *sum == 1.0)
            && t.argmax(1).to_vec::<i64>()? == batch.labels,
    )?;
    Ok(())
}

fn picture(pixels: &[f32]) -> Result<Picture> {
    let unit: Vec<f32> = pixels.iter().map(|p| p / 255.0).collect();
    Picture::from_pixels(&unit, [1, 28, 28])
        .ok_or_else(|| Error::new("no picture of 28 x 28"))
}

/// Mean and standard deviation of all pixels, over 255.
fn moments(split: &Split) -> (f64, f64) {
    let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
    for bytes in (0..split.len()).filter_map(|i| split.bytes(i)) {
        for &byte in bytes {
            let value = f64::from(byte) / 255.0;
            sum += value;
            squares += value * value;
        }
        count += bytes.len() as f64;
    }
    let mean = sum / count;
    (mean, (squares / count - mean * mean).sqrt())
}
