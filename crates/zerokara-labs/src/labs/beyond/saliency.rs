//! What a network looks at: the gradient of a class's score with respect to the image, smoothed; and what happens to the
//! score when a part of the image is covered.

use crate::prelude::*;
use std::sync::Arc;

lab!("saliency", chapter 0, pages "",
    Choice::number("noise", "0.25", "standard deviation of the noise that smooths gradients (white is 1)"),
    Choice::count("copies", "40", "noisy copies of each image (at most 1000)").quick("10"),
    Choice::count("patch", "5", "side of the patch that covers a part of the image (1 to 27)"),
    Choice::number("ink", "0", "what the patch is filled with: 0 is background, 1 full ink"),
);

const PIXELS: usize = 28 * 28;

fn run(lab: &mut Session) -> Result<()> {
    lab.section("gradient");
    let (copies, patch) = (lab.count("copies"), lab.count("patch"));
    let (noise, ink) = (lab.number("noise"), lab.number("ink") as f32);
    if copies > 1_000 || patch > 27 || !(0.0..=10.0).contains(&noise) || ink.abs() > 10.0 {
        return Err(Error::new(
            "at most 1000 copies, a patch of at most 27 pixels, noise and ink of at most 10",
        ));
    }
    // Where maps can be expected to say something.
    let sensible = copies >= 5
        && (0.05..=0.5).contains(&noise)
        && (3..=9).contains(&patch)
        && (0.0..=0.5).contains(&ink);
    let test = lab.mnist()?.test;
    let trained = lab.simple_convnet()?;
    let mut network = Probe::new(trained.model.module());
    // Of each class the first image that is answered right.
    let answers = trained.model.evaluate(&test)?.answers;
    let right: Vec<usize> =
        (0..test.len()).filter(|&i| answers[i].class as i64 == test.labels()[i]).collect();
    let digits: Vec<(Vec<f32>, usize)> = (0..10)
        .filter_map(|class| right.iter().find(|&&i| answers[i].class == class))
        .map(|&i| (image(&test, i), answers[i].class))
        .collect();
    let mut plain = Vec::new();
    let mut worst = 0.0f64;
    for (at, (x, class)) in digits.iter().enumerate() {
        plain.push(network.gradients(std::slice::from_ref(x), *class)?.remove(0));
        // On the even background all values that max pooling compares are equal, and the score has a kink: a little
        // noise moves the image away from it. There, a small step along the gradient must raise the score by the step
        // times the gradient's length.
        let x = noisy(x, 1, 0.02, lab.seed().wrapping_add(at as u64))?.remove(0);
        let gradient = network.gradients(std::slice::from_ref(&x), *class)?.remove(0);
        let length = dot(&gradient, &gradient).sqrt();
        let step = |h: f64| shifted(&x, &gradient, h / length);
        let scores = network.scores(&[step(0.001), step(-0.001)], *class)?;
        worst = worst.max(((scores[0] - scores[1]) / 0.002 / length - 1.0).abs());
    }
    lab.print(format!("slope along the gradient: off by {:.2} % at most", 100.0 * worst));
    lab.fact(
        "a small step along the gradient raises the score by the step times the gradient's length, within 5 %",
        worst < 0.05,
    )?;
    lab.figure(maps("Gradient of the score by pixel", &digits, &plain));

    lab.section("smooth");
    let mut smooth = Vec::new();
    let (mut stable, mut unstable) = (Vec::new(), Vec::new());
    for (at, (x, class)) in digits.iter().enumerate() {
        let seed = lab.seed().wrapping_add(1_000 * at as u64);
        let near = noisy(x, 1, 0.1, seed.wrapping_add(1))?.remove(0);
        let mut maps = [x, &near]
            .iter()
            .zip(0..)
            .map(|(x, k)| {
                let batch = noisy(x, copies, noise, seed.wrapping_add(2 + k))?;
                Ok::<_, Error>(average(&network.gradients(&batch, *class)?))
            })
            .collect::<Result<Vec<_>>>()?;
        let of_near = network.gradients(&[near], *class)?.remove(0);
        unstable.push(correlation(&plain[at], &of_near));
        stable.push(correlation(&maps[0], &maps[1]));
        smooth.push(maps.remove(0));
    }
    lab.figure(maps("Mean gradient over noisy copies (SmoothGrad)", &digits, &smooth));
    lab.print(format!(
        "correlation of maps, image and slightly noisy copy:\ngradient {:.2}, smoothed {:.2}",
        mean(&unstable),
        mean(&stable)
    ));

    lab.section("occlusion");
    let mut drops = Vec::new();
    for (x, class) in &digits {
        drops.push(occlusion(&mut network, x, *class, patch, ink)?);
    }
    lab.figure(maps("Loss of score when a patch covers the place", &digits, &drops));

    lab.section("agreement");
    let untrained = models::SimpleConvNet::new(10);
    untrained.build(&Tensor::zeros([1, 1, 28, 28]), lab.seed().wrapping_add(1))?;
    let untrained: Arc<dyn Model> = Arc::new(untrained);
    let mut stranger = Probe::new(&untrained);
    let mut rows = Vec::new();
    let (mut agreement, mut chance) = (Vec::new(), Vec::new());
    let mut pairs = Vec::new();
    for (at, (x, class)) in digits.iter().enumerate() {
        let batch = noisy(x, copies, noise, lab.seed().wrapping_add(at as u64))?;
        let other = average(&stranger.gradients(&batch, *class)?);
        let changes = |map: &[f32]| patch_sums(map, x, patch, ink);
        // Only where the patch changes something.
        let covered = patch_sums(&[1.0; PIXELS], x, patch, ink);
        let kept: Vec<usize> = (0..PIXELS).filter(|&i| covered[i] != 0.0).collect();
        let pick = |map: &[f32]| kept.iter().map(|&i| map[i]).collect::<Vec<f32>>();
        let measured = pick(&drops[at]);
        let foretold = pick(&changes(&smooth[at]));
        agreement.push(correlation(&foretold, &measured));
        chance.push(correlation(&pick(&changes(&other)), &measured));
        rows.push(vec![
            class.to_string(),
            format!("{:.2}", agreement[at]),
            format!("{:.2}", chance[at]),
        ]);
        if at == 0 {
            pairs = foretold
                .iter()
                .zip(&measured)
                .map(|(&a, &b)| (a.into(), b.into()))
                .collect();
        }
    }
    lab.table(&["digit", "agreement", "with an untrained network"], &rows);
    lab.print(format!(
        "mean agreement {:.2}, untrained {:.2}",
        mean(&agreement),
        mean(&chance)
    ));
    lab.figure(
        Plot::new(format!("A patch over digit {}: foretold and measured", digits[0].1))
            .axes(
                "loss of score foretold by the smoothed gradient",
                "measured loss of score",
            )
            .dots("", pairs)
            .pale()
            .figure(),
    );
    if sensible {
        lab.fact(
            "gradient and occlusion agree: their correlation is above 0.5 on average",
            mean(&agreement) > 0.5,
        )?;
        lab.fact(
            "the gradient of an untrained network agrees less",
            mean(&chance) < mean(&agreement),
        )?;
    }

    lab.section("deletion");
    let shares = [0.0, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4];
    let some: Vec<usize> = right.iter().copied().take(lab.pick(200, 60)).collect();
    let mut left = vec![[0.0; 2]; shares.len()];
    let progress = lab.progress("erasing pixels", some.len());
    for &i in &some {
        let (x, class) = (image(&test, i), answers[i].class);
        let seed = lab.seed().wrapping_add(i as u64);
        let batch = noisy(&x, copies.min(20), noise, seed)?;
        let map = average(&network.gradients(&batch, class)?);
        let chance = noisy(&x, 1, 1.0, seed.wrapping_add(7))?.remove(0);
        // The ink's pixels: those that the score rests on first, and in an order by chance.
        let mut inked: Vec<usize> = (0..PIXELS).filter(|&p| x[p] > 0.0).collect();
        for (order, values) in [times(&map, &x), minus(&chance, &x)].iter().enumerate() {
            inked.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
            let erased: Vec<Vec<f32>> = shares
                .iter()
                .map(|share| {
                    let mut image = x.clone();
                    let count = (share * inked.len() as f64).round() as usize;
                    inked[..count].iter().for_each(|&p| image[p] = 0.0);
                    image
                })
                .collect();
            for (at, answer) in network.answers(&erased)?.into_iter().enumerate() {
                left[at][order] += f64::from(u8::from(answer == class)) / some.len() as f64;
            }
        }
        progress.step();
    }
    drop(progress);
    let curve = |order: usize| {
        shares
            .iter()
            .zip(&left)
            .map(move |(s, l)| (100.0 * s, l[order]))
            .collect::<Vec<_>>()
    };
    lab.figure(
        Plot::new("Answers that survive the erasing of ink")
            .axes("erased pixels of the ink, %", "share of answers that stay")
            .path("most important first", curve(0))
            .path("by chance", curve(1))
            .y_range(0.0, 1.0)
            .figure(),
    );
    if sensible {
        lab.fact(
        "erasing the fifth of the ink that the map calls important destroys more answers than erasing as much by chance",
        left[4][0] < left[4][1],
    )?;
    }
    Ok(())
}

/// A trained network, asked for a class's score above the mean of all ten, and for its gradient by the pixels.
struct Probe {
    module: Arc<dyn Model>,
    /// A program for each number of images, with and without gradients.
    programs: Vec<((usize, bool), Program)>,
}

impl Probe {
    fn new(module: &Arc<dyn Model>) -> Self {
        Self { module: module.clone(), programs: Vec::new() }
    }

    /// Scores `[N, 10]`, or the gradients of the class's scores `[N, 1, 28, 28]`.
    fn run(&mut self, images: &[Vec<f32>], class: usize, gradient: bool) -> Result<Array> {
        let count = images.len();
        let key = (count, gradient);
        let at = match self.programs.iter().position(|(known, _)| *known == key) {
            Some(at) => at,
            None => {
                let x = Tensor::input("x", [count, 1, 28, 28], DType::F32);
                let wanted = Tensor::input("wanted", [10], DType::F32);
                let inputs = Tensors::one("x", x.clone());
                let scores = self.module.apply(&inputs, &mut Context::evaluate()).single();
                // Softmax sees only differences of scores.
                let scores = &scores - scores.mean_axes(&[1], true);
                let output = match gradient {
                    true => grad(&(&scores * &wanted).sum(), &x),
                    false => scores,
                };
                let program = Program::compile(&[&x, &wanted], &[&output], &[])?;
                self.programs.push((key, program));
                self.programs.len() - 1
            }
        };
        let x = Array::new([count, 1, 28, 28], images.concat());
        let mut wanted = vec![0.0f32; 10];
        wanted[class] = 1.0;
        Ok(self.programs[at].1.run(&[x, Array::new([10], wanted)])?.remove(0))
    }

    fn scores(&mut self, images: &[Vec<f32>], class: usize) -> Result<Vec<f64>> {
        let scores = self.run(images, class, false)?.to_f64s();
        Ok(scores.chunks(10).map(|row| row[class]).collect())
    }

    fn gradients(&mut self, images: &[Vec<f32>], class: usize) -> Result<Vec<Vec<f32>>> {
        let gradients = self.run(images, class, true)?;
        Ok(gradients.as_slice::<f32>()?.chunks(PIXELS).map(<[f32]>::to_vec).collect())
    }

    fn answers(&mut self, images: &[Vec<f32>]) -> Result<Vec<usize>> {
        let scores = self.run(images, 0, false)?.to_f64s();
        let best = |row: &[f64]| (0..10).max_by(|&a, &b| row[a].total_cmp(&row[b]));
        Ok(scores.chunks(10).map(|row| best(row).unwrap_or(0)).collect())
    }
}

/// For each place the score that is lost when a patch around it is filled.
fn occlusion(
    network: &mut Probe,
    x: &[f32],
    class: usize,
    patch: usize,
    ink: f32,
) -> Result<Vec<f32>> {
    let covered: Vec<Vec<f32>> = (0..PIXELS)
        .map(|place| {
            let mut image = x.to_vec();
            around(place, patch).for_each(|pixel| image[pixel] = ink);
            image
        })
        .collect();
    let whole = network.scores(&[x.to_vec()], class)?[0];
    let mut drops = Vec::with_capacity(PIXELS);
    for part in covered.chunks(98) {
        drops.extend(network.scores(part, class)?.iter().map(|s| (whole - s) as f32));
    }
    Ok(drops)
}

/// What a gradient foretells of that loss: for each place the sum of gradient times change under the patch.
fn patch_sums(gradient: &[f32], x: &[f32], patch: usize, ink: f32) -> Vec<f32> {
    let change = |pixel: usize| gradient[pixel] * (x[pixel] - ink);
    (0..PIXELS).map(|place| around(place, patch).map(change).sum()).collect()
}

/// The pixels under a patch around a place.
fn around(place: usize, patch: usize) -> impl Iterator<Item = usize> {
    let reach = move |middle: usize| {
        let low = (middle + 1).saturating_sub(patch.div_ceil(2));
        low..(middle + patch / 2 + 1).min(28)
    };
    reach(place / 28).flat_map(move |row| reach(place % 28).map(move |c| row * 28 + c))
}

/// Copies of an image, each with noise of its own.
fn noisy(x: &[f32], copies: usize, deviation: f64, seed: u64) -> Result<Vec<Vec<f32>>> {
    let step = Tensor::scalar(0.0, DType::I64);
    let noise = Tensor::normal(stream_key(seed, "noise", 0), &step, [copies, PIXELS]);
    let all = Tensor::from(x.to_vec()) + noise * deviation;
    Ok(all.to_vec::<f32>()?.chunks(PIXELS).map(<[f32]>::to_vec).collect())
}

/// The digits in a row, and under each its map: orange where it is positive, blue where it is negative.
fn maps(title: &str, digits: &[(Vec<f32>, usize)], maps: &[Vec<f32>]) -> Figure {
    let mut tiles = Tiles::new(title).columns(digits.len()).tile_size(58);
    for (x, class) in digits {
        if let Some(picture) = Picture::from_pixels(x, [1, 28, 28]) {
            tiles = tiles.add(picture, class.to_string());
        }
    }
    for map in maps {
        let scale = map.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        if let Some(picture) = Picture::from_weights(map, [1, 28, 28], scale) {
            tiles = tiles.add(picture, "");
        }
    }
    tiles.figure()
}

fn image(split: &Split, index: usize) -> Vec<f32> {
    split.sample(index).iter().map(|v| v / 255.0).collect()
}

fn shifted(x: &[f32], direction: &[f32], by: f64) -> Vec<f32> {
    x.iter().zip(direction).map(|(x, d)| x + d * by as f32).collect()
}

fn times(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a * b).collect()
}

fn minus(a: &[f32], b: &[f32]) -> Vec<f32> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn average(maps: &[Vec<f32>]) -> Vec<f32> {
    let share = 1.0 / maps.len() as f32;
    (0..PIXELS)
        .map(|pixel| maps.iter().map(|map| map[pixel]).sum::<f32>() * share)
        .collect()
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Pearson's correlation.
fn correlation(a: &[f32], b: &[f32]) -> f64 {
    let centred = |v: &[f32]| {
        let mean = v.iter().sum::<f32>() / v.len() as f32;
        v.iter().map(|x| x - mean).collect::<Vec<f32>>()
    };
    let (a, b) = (centred(a), centred(b));
    dot(&a, &b) / (dot(&a, &a) * dot(&b, &b)).sqrt()
}
