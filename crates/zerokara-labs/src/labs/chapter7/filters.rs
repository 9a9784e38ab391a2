//! Filters of the first layer (pages 233 to 239): before and after training, and what they answer to a picture.

use crate::prelude::*;
use zerokara::core::op::ConvOptions;

lab!("filters", chapter 7, pages "233–239",
    Choice::number("std", "0.01", "standard deviation of the initial weights, 0.0001 to 1"),
    Choice::count("size", "144", "side of the picture in pixels").quick("64"),
    Choice::count("picture", "1", "the number of the scene"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("weights");
    let std = lab.number("std");
    if !(1e-4..=1.0).contains(&std) {
        return Err(Error::new(format!(
            "the standard deviation is from 0.0001 to 1, not {std}"
        )));
    }
    let mut mnist = lab.mnist()?;
    mnist.train = mnist.train.take(30_000);
    let trainer = Trainer::new(network(std), SoftmaxCrossEntropy::new())
        .optimizer(Adam::new(1e-3))
        .epochs(lab.pick(3, 1));
    let trained = lab.trained(&format!("simple-convnet-std{std}"), trainer, &mnist)?;
    let fresh = network(std);
    fresh.build(&Tensor::zeros([1, 1, 28, 28]), lab.seed())?;
    let before = first_filters(&fresh.state()?)?;
    let after = first_filters(&trained.model.module().state()?)?;
    lab.figures([drawn("Before training", &before)?, drawn("After training", &after)?]);
    let (was, is) = (smoothness(&before)?, smoothness(&after)?);
    lab.print(format!(
        "likeness of neighbouring weights: {was:.3} before, {is:.3} after training"
    ));
    if !lab.quick() && std <= 0.05 {
        lab.fact("training makes neighbouring weights more alike", is > was + 0.1)?;
    }

    lab.section("stripes");
    // How strongly each filter answers to stripes that stand and that lie.
    let standing = stripes(true);
    let answers = |w: &Tensor, image: &Tensor| -> Result<Vec<f32>> {
        let y = image.conv2d(w, ConvOptions::default());
        // The spread around the mean: an even area is no stripe.
        let spread =
            (&y - y.mean_axes(&[2, 3], true)).square().mean_axes(&[0, 2, 3], false);
        Ok(spread.sqrt().to_vec::<f32>()?)
    };
    let (vertical, horizontal) =
        (answers(&after, &standing)?, answers(&after, &stripes(false))?);
    let points = |w: &Tensor| -> Result<Vec<(f64, f64)>> {
        let (v, h) = (answers(w, &standing)?, answers(w, &stripes(false))?);
        Ok(v.iter().zip(&h).map(|(&v, &h)| (f64::from(v), f64::from(h))).collect())
    };
    let most = vertical.iter().chain(&horizontal).fold(0.0f32, |m, &v| m.max(v));
    let diagonal = [(0.0, 0.0), (f64::from(most), f64::from(most))];
    lab.figure(
        Plot::new("Each filter's answer to stripes")
            .axes("answer to standing stripes", "answer to lying stripes")
            .dots("before training", points(&before)?)
            .grey()
            .dots("after training", points(&after)?)
            .color(0)
            .line("", diagonal)
            .grey()
            .dashed()
            .x_range(0.0, f64::from(most))
            .y_range(0.0, f64::from(most))
            .figure(),
    );
    let ratio = |a: &[f32], b: &[f32], i: usize| a[i] / b[i].max(1e-9);
    let best = |a: &[f32], b: &[f32]| {
        (0..a.len()).max_by(|&i, &j| ratio(a, b, i).total_cmp(&ratio(a, b, j))).unwrap_or(0)
    };
    let (upright, level) = (best(&vertical, &horizontal), best(&horizontal, &vertical));
    let even = (0..vertical.len())
        .max_by(|&i, &j| evenness(&after, i).total_cmp(&evenness(&after, j)))
        .unwrap_or(0);
    lab.print(format!("filter {upright} prefers standing stripes, {level} lying ones, {even} is the most even"));
    lab.fact(
        "one filter answers standing stripes at least 1.5 times as strongly as lying ones",
        ratio(&vertical, &horizontal, upright) >= 1.5,
    )?;
    lab.fact("another does the reverse", ratio(&horizontal, &vertical, level) >= 1.5)?;

    lab.section("picture");
    let size = lab.count("size");
    if !(32..=1000).contains(&size) {
        return Err(Error::new(format!(
            "the picture can have 32 to 1000 pixels a side, not {size}"
        )));
    }
    let scene = scene(size, lab.count("picture") as u64);
    let image = Tensor::new([1, 1, size, size], &scene);
    let mut tiles =
        Tiles::new("The picture, and what three filters answer").tile_size(200).columns(2);
    let pictured =
        |p: Option<Picture>| p.ok_or_else(|| Error::new("a picture without pixels"));
    tiles = tiles.add(pictured(Picture::from_pixels(&scene, [1, size, size]))?, "input");
    let small = size - 4;
    for (filter, name) in [
        (upright, "for standing edges"),
        (level, "for lying edges"),
        (even, "for even areas"),
    ] {
        let w = after.narrow(0, filter, 1);
        let y = image.conv2d(&w, ConvOptions::default()).to_vec::<f32>()?;
        tiles = tiles.add(
            pictured(Picture::from_weights(&y, [1, small, small], spread(&y)))?,
            format!("filter {filter}: {name}"),
        );
    }
    lab.figure(tiles.figure());
    // The same filter finds the same thing wherever it is.
    let w = after.narrow(0, upright, 1);
    let whole = image.conv2d(&w, ConvOptions::default());
    let moved = image
        .narrow(2, 7, size - 7)
        .narrow(3, 5, size - 5)
        .conv2d(&w, ConvOptions::default());
    let part = whole.narrow(2, 7, small - 7).narrow(3, 5, small - 5);
    let apart = (moved - part).abs().max().item()?;
    lab.fact("when the picture moves, the answer moves with it", apart < 1e-5)?;

    lab.section("all");
    let responses = image.conv2d(&after, ConvOptions::default()).relu();
    let mut tiles =
        Tiles::new("What leaves the layer: 30 planes after ReLU").tile_size(72).columns(6);
    for filter in 0..after.shape()?[0] {
        let plane = responses.narrow(1, filter, 1).to_vec::<f32>()?;
        let most = spread(&plane);
        let plane: Vec<f32> =
            plane.iter().map(|v| (v / most).clamp(0.0, 1.0).sqrt()).collect();
        tiles = tiles.add(pictured(Picture::from_pixels(&plane, [1, small, small]))?, "");
    }
    lab.figure(tiles.figure());
    lab.fact("no answer is negative after ReLU", responses.min().item()? >= 0.0)?;
    Ok(())
}

/// The book's network, with its initial values.
fn network(std: f64) -> models::SimpleConvNet {
    models::SimpleConvNet::of(30, 5, 100, 10, Initializer::Normal { std })
}

/// The filters `[30, 1, 5, 5]` of the first layer.
fn first_filters(state: &[(String, Array)]) -> Result<Tensor> {
    let found = state.iter().find(|(_, value)| value.shape().len() == 4);
    match found {
        Some((_, value)) => Ok(Tensor::from(value.clone())),
        None => Err(Error::new("the network has no filters")),
    }
}

fn drawn(title: &str, filters: &Tensor) -> Result<Figure> {
    let scale = filters.abs().max().item()? as f32;
    let mut tiles = Tiles::new(title).tile_size(40).columns(6);
    for filter in filters.to_vec::<f32>()?.chunks(25) {
        if let Some(picture) = Picture::from_weights(filter, [1, 5, 5], scale) {
            tiles = tiles.add(picture, "");
        }
    }
    Ok(tiles.figure())
}

/// The correlation of weights with their neighbours to the right and below: 0 for draws of chance, up to 1.
fn smoothness(w: &Tensor) -> Result<f64> {
    let beside = (w.narrow(3, 0, 4) * w.narrow(3, 1, 4)).mean()
        + (w.narrow(2, 0, 4) * w.narrow(2, 1, 4)).mean();
    Ok((beside / (w.square().mean() * 2.0)).item()?)
}

/// How much all weights of a filter pull in one direction: up to 1.
fn evenness(w: &Tensor, filter: usize) -> f64 {
    let w = w.narrow(0, filter, 1);
    (w.sum() / w.abs().sum()).item().unwrap_or(0.0)
}

/// 28 x 28 pixels with stripes of two pixels, at four shifts.
fn stripes(standing: bool) -> Tensor {
    let mut pixels = Vec::new();
    for shift in 0..4 {
        for row in 0..28 {
            for column in 0..28 {
                let along = if standing { column } else { row };
                pixels.push(if (along + shift) % 4 < 2 { 1.0f32 } else { 0.0 });
            }
        }
    }
    Tensor::new([4, 1, 28, 28], pixels)
}

/// A value that few exceed, to scale a picture by.
fn spread(values: &[f32]) -> f32 {
    let mut sizes: Vec<f32> = values.iter().map(|v| v.abs()).collect();
    sizes.sort_by(f32::total_cmp);
    sizes.get(sizes.len() * 98 / 100).copied().unwrap_or(1.0).max(1e-6)
}

/// A picture with what photographs have: shading, a round thing, straight edges, a texture. Sky and sun, a hill, a house
/// of bricks with windows, and a fence in the grass.
fn scene(size: usize, number: u64) -> Vec<f32> {
    let mut pixels = Vec::with_capacity(size * size);
    for row in 0..size {
        for column in 0..size {
            let (x, y) = (column as f32 / size as f32, row as f32 / size as f32);
            pixels.push(brightness(x, y, number).clamp(0.0, 1.0));
        }
    }
    pixels
}

/// How bright the scene is at a place, x to the right and y down, both from 0 to 1.
fn brightness(x: f32, y: f32, number: u64) -> f32 {
    let sun = ((x - 0.78).powi(2) + (y - 0.2).powi(2)).sqrt();
    let hill = 0.55 - 0.16 * (3.0 * (x - 0.2)).cos() + 0.03 * noise(x * 9.0, 0.5, number);
    // The sky, brighter towards the ground, with clouds.
    let mut light = 0.5 + 0.3 * y + 0.22 * (noise(x * 4.0, y * 9.0, number) - 0.5);
    if sun < 0.09 {
        light = 1.0 - 2.0 * sun;
    }
    if y > hill {
        light = 0.42 - 0.3 * (y - hill) + 0.12 * (noise(x * 40.0, y * 40.0, number) - 0.5);
    }
    let (left, right, top, bottom) = (0.18, 0.58, 0.48, 0.84);
    let roof = (x - 0.38).abs() / 0.25 + (top - y) / 0.22;
    if y <= top && y > top - 0.22 && roof < 1.0 {
        light = if x < 0.38 { 0.3 } else { 0.16 };
    }
    if (left..right).contains(&x) && (top..bottom).contains(&y) {
        let course = ((y - top) / 0.036).floor();
        let joint = (y - top) % 0.036 < 0.008 || (x + 0.03 * (course % 2.0)) % 0.06 < 0.008;
        light = if joint { 0.86 } else { 0.6 };
        let window = |at: f32| (at..at + 0.1).contains(&x) && (0.56..0.68).contains(&y);
        if window(0.23) || window(0.43) {
            let bar = ((x - 0.23) % 0.2 - 0.05).abs() < 0.006 || (y - 0.62).abs() < 0.006;
            light = if bar { 0.95 } else { 0.1 + 0.5 * (0.68 - y) };
        }
        if (0.345..0.415).contains(&x) && y > 0.66 {
            light = 0.2;
        }
    }
    // The fence stands before everything.
    let post = x % 0.07 < 0.026;
    if y > 0.78
        && y < 0.96
        && x > 0.6
        && (post || (y - 0.82).abs() < 0.012 || (y - 0.9).abs() < 0.012)
    {
        light = 0.92;
    }
    light
}

/// Smooth chance between 0 and 1.
fn noise(x: f32, y: f32, number: u64) -> f32 {
    let at = |i: i64, j: i64| {
        let mixed = (i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ (j as u64).wrapping_mul(0xc2b2_ae3d_27d4_eb4f)
            ^ number;
        let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed ^ (mixed >> 32)) & 0xffff) as f32 / 65535.0
    };
    let (i, j) = (x.floor(), y.floor());
    let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
    let (u, v) = (smooth(x - i), smooth(y - j));
    let (i, j) = (i as i64, j as i64);
    let upper = at(i, j) * (1.0 - u) + at(i + 1, j) * u;
    let lower = at(i, j + 1) * (1.0 - u) + at(i + 1, j + 1) * u;
    upper * (1.0 - v) + lower * v
}
