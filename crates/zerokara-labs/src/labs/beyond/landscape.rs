//! The loss as a landscape over the parameters: two solutions, the way between them, and the ground around one.

use crate::prelude::*;
use zerokara::figures::numbers::significant;

lab!("landscape", chapter 0, pages "",
    Choice::count("hidden", "50", "hidden neurons (10 to 200)").quick("20"),
    Choice::count("images", "10000", "training images (100 to 60000)").quick("500"),
    Choice::count("epochs", "6", "epochs of training (at most 100)").quick("8"),
    Choice::number("reach", "1", "how far to look around a solution, as a share of the weights' own size (at most 10)"),
    Choice::count("points", "25", "points along each side of the pictures (at most 101)").quick("9"),
);

fn run(lab: &mut Session) -> Result<()> {
    let (hidden, images, epochs) =
        (lab.count("hidden"), lab.count("images"), lab.count("epochs"));
    let (reach, points) = (lab.number("reach"), lab.count("points").max(3));
    let fits = (10..=200).contains(&hidden) && (100..=60_000).contains(&images);
    if !fits || epochs > 100 || points > 101 || !(1e-6..=10.0).contains(&reach) {
        return Err(Error::new(
            "10 to 200 neurons, 100 to 60000 images, at most 100 epochs and 101 points, a reach up to 10",
        ));
    }

    lab.section("two");
    let mut mnist = lab.mnist()?;
    mnist.train = mnist.train.take(images);
    let train = |seed: u64| -> Result<(Weights, f64)> {
        let model = Sequential::new().flatten().linear(hidden).relu().linear(10);
        let run = Trainer::new(model, SoftmaxCrossEntropy::new())
            .optimizer(Adam::new(2e-3))
            .epochs(epochs as u64)
            .seed(seed)
            .catch_interrupts(false)
            .quiet()
            .fit(&mnist)?;
        Ok((Weights(run.model().module().state()?), run.test_accuracy()))
    };
    let progress = lab.progress("training two networks", 2);
    let (first, accuracy1) = train(lab.seed())?;
    progress.step();
    let (second, accuracy2) = train(lab.seed().wrapping_add(1))?;
    drop(progress);
    let mut terrain = Terrain::new(hidden, &mnist.train.take(lab.pick(2_000, 300)))?;
    let (loss1, loss2) = (terrain.loss(&first)?, terrain.loss(&second)?);
    let distance = first.distance(&second);
    let row = |name: &str, loss: f64, accuracy: f64, size: f64| {
        vec![
            name.to_string(),
            significant(loss, 3),
            format!("{:.2} %", 100.0 * accuracy),
            format!("{size:.1}"),
        ]
    };
    lab.table(
        &["network", "training loss", "test accuracy", "norm of all weights"],
        &[
            row("first", loss1, accuracy1, first.norm()),
            row("second", loss2, accuracy2, second.norm()),
        ],
    );
    lab.print(format!("distance between the two: {distance:.1}"));
    lab.fact(
        "the two are as far from one another as if they had nothing to do with each other: the distance is within 20 % of √(|θ₁|² + |θ₂|²)",
        (distance / first.norm().hypot(second.norm()) - 1.0).abs() < 0.2,
    )?;

    lab.section("between");
    let ways: Vec<f64> = (0..=40).map(|i| f64::from(i) / 40.0).collect();
    let along = |terrain: &mut Terrain, to: &Weights| -> Result<Vec<(f64, f64)>> {
        let loss = |&t: &f64| Ok((t, terrain.loss(&first.toward(to, t))?));
        ways.iter().map(loss).collect()
    };
    let straight = along(&mut terrain, &second)?;
    let top = |way: &[(f64, f64)]| way.iter().map(|p| p.1).fold(0.0, f64::max);
    let barrier = |way: &[(f64, f64)]| top(way) - loss1.max(loss2);
    lab.print(format!("highest loss on the way: {}", significant(top(&straight), 3)));
    // Where nothing has been learned there are no valleys.
    let learned = loss1.max(loss2) < 1.0;
    if learned {
        lab.fact(
        "on the straight line between two solutions the loss is higher than at both ends",
        barrier(&straight) > 0.0 && straight[20].1 > loss1.max(loss2),
    )?;
    }

    lab.section("permutation");
    let order: Vec<usize> = (0..hidden).rev().collect();
    let reversed = second.with_neurons(&order)?;
    let change = (terrain.loss(&reversed)? - loss2).abs();
    lab.print(format!(
        "second network, its neurons in reverse:\nloss differs by {}, distance {:.1}",
        significant(change, 2),
        second.distance(&reversed)
    ));
    lab.fact("the order of hidden neurons changes nothing", change < 1e-5)?;
    let matched = second.with_neurons(&first.matching(&second, hidden)?)?;
    let easier = along(&mut terrain, &matched)?;
    lab.figure(
        Plot::new("Loss on the way from one solution to another")
            .axes("share of the way", "loss")
            .line("neurons as they came", straight.clone())
            .line("neurons in matching order", easier.clone())
            .figure(),
    );
    lab.print(format!(
        "barrier: {} as they came,\n         {} in matching order",
        significant(barrier(&straight), 3),
        significant(barrier(&easier).max(0.0), 3)
    ));
    if learned {
        lab.fact(
        "with the second network's neurons in the order that matches the first, the barrier is lower",
        barrier(&easier) < barrier(&straight),
    )?;
    }

    lab.section("plane");
    // The plane through three points: the axes are at right angles, in units of the distance of the first two.
    let across = second.minus(&first);
    let other = matched.minus(&first);
    let along_first = other.dot(&across) / across.dot(&across);
    let upright = other.minus(&across.times(along_first));
    let upright = upright.times(across.norm() / upright.norm());
    let height = other.dot(&upright) / upright.dot(&upright);
    let (x, y) = ((-0.3, 1.3), (-0.3, height.max(0.4) + 0.3));
    let side = points.max(3);
    let progress = lab.progress("the plane through three solutions", side);
    let map = survey(&mut terrain, &progress, side, (x, y), |u, v| {
        first.plus(&across.times(u)).plus(&upright.times(v))
    })?;
    drop(progress);
    lab.figure(
        map.plot("The plane through three solutions", side)
            .axes("toward the second network", "at right angles")
            .dots("", [(0.0, 0.0), (1.0, 0.0), (along_first, height)])
            .color(2)
            .text(0.04, 0.04, "first")
            .text(1.04, 0.04, "second")
            .text(along_first + 0.04, height + 0.04, "second, matched")
            .figure(),
    );

    lab.section("around");
    let directions = [0, 1].map(|k| first.random_direction(lab.seed(), k));
    let [a, b] = [directions[0].clone()?, directions[1].clone()?];
    let range = (-reach, reach);
    // An odd number of points has one in the middle.
    let side = points | 1;
    let progress = lab.progress("the ground around a solution", side);
    let map = survey(&mut terrain, &progress, side, (range, range), |u, v| {
        first.plus(&a.times(u)).plus(&b.times(v))
    })?;
    drop(progress);
    lab.figure(
        map.plot("Two random directions around the first network", side)
            .axes("share of the weights' size", "share of the weights' size")
            .dots("", [(0.0, 0.0)])
            .color(2)
            .text(0.04 * reach, 0.06 * reach, "first")
            .figure(),
    );
    let corners = [(0, 0), (0, side - 1), (side - 1, 0), (side - 1, side - 1)];
    if learned && reach >= 0.5 {
        lab.fact(
            "at the four corners of the map the loss is higher than at the solution",
            corners.iter().all(|&(row, column)| map.losses[row * side + column] > loss1),
        )?;
    }
    Ok(())
}

/// All parameters of a network: a point in the landscape.
#[derive(Clone)]
struct Weights(Vec<(String, Array)>);

impl Weights {
    /// Something of each number and its counterpart in another point.
    fn with(&self, other: &Self, f: impl Fn(f32, f32) -> f32) -> Self {
        let pairs = self.0.iter().zip(&other.0);
        let all = pairs.map(|((name, a), (_, b))| {
            let values = a.to_f64s().into_iter().zip(b.to_f64s());
            let values: Vec<f32> = values.map(|(a, b)| f(a as f32, b as f32)).collect();
            (name.clone(), Array::new(a.shape(), values))
        });
        Self(all.collect())
    }

    fn plus(&self, other: &Self) -> Self {
        self.with(other, |a, b| a + b)
    }

    fn minus(&self, other: &Self) -> Self {
        self.with(other, |a, b| a - b)
    }

    fn times(&self, factor: f64) -> Self {
        self.with(self, |a, _| a * factor as f32)
    }

    /// The point that lies a share of the way toward another.
    fn toward(&self, other: &Self, share: f64) -> Self {
        self.times(1.0 - share).plus(&other.times(share))
    }

    fn dot(&self, other: &Self) -> f64 {
        let pairs = self.0.iter().zip(&other.0);
        pairs.map(|((_, a), (_, b))| dot(a.to_f64s(), b.to_f64s())).sum()
    }

    fn norm(&self) -> f64 {
        self.dot(self).sqrt()
    }

    fn distance(&self, other: &Self) -> f64 {
        self.minus(other).norm()
    }

    /// The same network with its hidden neurons in another order: rows of the first weights and biases, columns of the
    /// second weights.
    fn with_neurons(&self, order: &[usize]) -> Result<Self> {
        let order = Tensor::from(order.iter().map(|&i| i as i64).collect::<Vec<_>>());
        let mut out = self.clone();
        for (at, axis) in [(0, 0), (1, 0), (2, 1)] {
            let value = Tensor::from(out.0[at].1.clone());
            out.0[at].1 = value.index_select(axis, &order).eval()?;
        }
        Ok(out)
    }

    /// The weights into each hidden neuron, its bias, and the weights out of it: a row for each neuron.
    fn neurons(&self) -> Result<Tensor> {
        let [w1, b1, w2] = [0, 1, 2].map(|at| Tensor::from(self.0[at].1.clone()));
        Ok(Tensor::concat(&[&w1, &b1.unsqueeze(1), &w2.t()], 1))
    }

    /// For each neuron of this network one of another's, the most similar pairs first.
    fn matching(&self, other: &Self, hidden: usize) -> Result<Vec<usize>> {
        let similar = self.neurons()?.matmul(&other.neurons()?.t()).to_vec::<f32>()?;
        let mut pairs: Vec<usize> = (0..hidden * hidden).collect();
        pairs.sort_by(|&a, &b| similar[b].total_cmp(&similar[a]));
        let (mut order, mut taken) = (vec![None; hidden], vec![false; hidden]);
        for pair in pairs {
            let (mine, theirs) = (pair / hidden, pair % hidden);
            if order[mine].is_none() && !taken[theirs] {
                order[mine] = Some(theirs);
                taken[theirs] = true;
            }
        }
        Ok(order.into_iter().flatten().collect())
    }

    /// A random direction in which each neuron's weights have the size that they have here; biases stay.
    fn random_direction(&self, seed: u64, number: u64) -> Result<Self> {
        let mut out = self.clone();
        for (at, (name, value)) in out.0.iter_mut().enumerate() {
            let here = Tensor::from(value.clone());
            *value = match value.shape() {
                [_, _] => {
                    let key = stream_key(seed, name, number);
                    let d = Tensor::normal(
                        key,
                        &Tensor::scalar(at as f64, DType::I64),
                        value.shape(),
                    );
                    let size = |w: &Tensor| w.square().sum_axes(&[1], true).sqrt();
                    (&d / size(&d) * size(&here)).eval()?
                }
                _ => here.zeros_like().eval()?,
            };
        }
        Ok(out)
    }
}

/// What gives the loss at any point: the network, compiled once with its loss on some images.
struct Terrain {
    program: Runner,
    module: Sequential,
    batch: [Array; 2],
}

impl Terrain {
    fn new(hidden: usize, images: &Split) -> Result<Self> {
        let batch = Loader::new(images, images.len())?.batch(0)?;
        let x = Array::new(batch.shape.clone(), batch.images);
        let t = Array::new([images.len()], batch.labels);
        let module = Sequential::new().flatten().linear(hidden).relu().linear(10);
        module.build(&x, 0)?;
        let inputs = [
            Tensor::input("x", x.shape(), DType::F32),
            Tensor::input("t", t.shape(), DType::I64),
        ];
        let scores = module.forward(&inputs[0], &mut Context::evaluate());
        let loss = scores.cross_entropy(&inputs[1]).mean();
        let program = Program::compile(&[&inputs[0], &inputs[1]], &[&loss], &[])?.runner();
        Ok(Self { program, module, batch: [x, t] })
    }

    fn loss(&mut self, at: &Weights) -> Result<f64> {
        self.module.load_state(&at.0)?;
        let outputs = self.program.run(&self.batch)?;
        Ok(outputs[0].get_f64(0).unwrap_or(f64::NAN))
    }
}

/// The loss over a part of a plane, row by row from the high end of the second axis.
struct Map {
    x: (f64, f64),
    y: (f64, f64),
    losses: Vec<f64>,
}

fn survey(
    terrain: &mut Terrain,
    progress: &Progress,
    side: usize,
    (x, y): ((f64, f64), (f64, f64)),
    point: impl Fn(f64, f64) -> Weights,
) -> Result<Map> {
    let place = |(low, high): (f64, f64), i: usize| {
        low + (high - low) * i as f64 / (side - 1) as f64
    };
    let mut losses = Vec::with_capacity(side * side);
    for row in 0..side {
        for column in 0..side {
            let at = point(place(x, column), place(y, side - 1 - row));
            losses.push(terrain.loss(&at)?);
        }
        progress.step();
    }
    Ok(Map { x, y, losses })
}

impl Map {
    /// Colours from blue (low) to orange (high) by the loss's logarithm, and lines of equal loss.
    fn plot(&self, title: &str, side: usize) -> Plot {
        let heights: Vec<f32> =
            self.losses.iter().map(|l| l.max(1e-9).ln() as f32).collect();
        let low = heights.iter().copied().fold(f32::INFINITY, f32::min);
        let high = heights.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let middle = f64::from(low + high) / 2.0;
        // The picture is finer than the map, as the lines are.
        const FINE: usize = 100;
        let place =
            |(a, b): (f64, f64), i: usize| a + (b - a) * (i as f64 + 0.5) / FINE as f64;
        let mut fine = Vec::with_capacity(FINE * FINE);
        for row in (0..FINE).rev() {
            for column in 0..FINE {
                let (u, v) = (place(self.x, column), place(self.y, row));
                fine.push((self.at(&heights, side, u, v) - middle) as f32);
            }
        }
        let levels: Vec<f64> =
            (1..10).map(|i| f64::from(low + (high - low) * i as f32 / 10.0)).collect();
        let mut plot = Plot::new(title).size(420, 420).equal();
        plot = plot.x_range(self.x.0, self.x.1).y_range(self.y.0, self.y.1);
        let picture = Picture::from_weights(&fine, [1, FINE, FINE], (high - low) / 2.0);
        if let Some(picture) = picture {
            plot = plot.picture(picture, self.x, self.y);
        }
        plot.contours("", |u, v| self.at(&heights, side, u, v), &levels, self.x, self.y)
    }

    /// Between the points of the map, in a straight line from one to the next.
    fn at(&self, heights: &[f32], side: usize, u: f64, v: f64) -> f64 {
        let last = (side - 1) as f64;
        let column = ((u - self.x.0) / (self.x.1 - self.x.0) * last).clamp(0.0, last);
        let row = ((self.y.1 - v) / (self.y.1 - self.y.0) * last).clamp(0.0, last);
        let (c, r) = ((column as usize).min(side - 2), (row as usize).min(side - 2));
        let (s, t) = (column - c as f64, row - r as f64);
        let height = |r: usize, c: usize| f64::from(heights[r * side + c]);
        (1.0 - t) * ((1.0 - s) * height(r, c) + s * height(r, c + 1))
            + t * ((1.0 - s) * height(r + 1, c) + s * height(r + 1, c + 1))
    }
}

fn dot(a: Vec<f64>, b: Vec<f64>) -> f64 {
    a.into_iter().zip(b).map(|(a, b)| a * b).sum()
}
