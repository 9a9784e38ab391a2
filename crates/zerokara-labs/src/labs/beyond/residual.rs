//! Residual networks: with shortcuts, depth does not stand in the way of learning.

use crate::prelude::*;
use std::{cell::RefCell, rc::Rc};
use zerokara::{figures::numbers::significant, train::metrics::Step};

lab!("residual", chapter 0, pages "",
    Choice::numbers("depths", "8, 24, 48", "numbers of convolutions (even, 2 to 200, at most 6 of them)").quick("4, 24"),
    Choice::count("filters", "8", "filters of each convolution (at most 64)"),
    Choice::count("images", "6000", "training images (at most 60000)").quick("2000"),
    Choice::count("epochs", "3", "epochs (at most 50)").quick("1"),
    Choice::number("rate", "0.003", "learning rate of Adam"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("block");
    let x = Tensor::input("x", [1, 8, 7, 7], DType::F32);
    let block = residual_block(8);
    block.build(&x, lab.seed())?;
    let y = block.forward(&x, &mut Context::evaluate()).relu();
    lab.figure(
        GraphDrawing::new("A residual block")
            .detail(Detail::Layers)
            .direction(Direction::Down)
            .name(&x, "x")
            .result(&y, "y")
            .figure()?,
    );
    // Filters that are all zero: the block is what its shortcut is, value and gradient.
    let nothing = || {
        let zeros = Initializer::Constant(0.0);
        Sequential::new().add(Conv2d::new(1, 3).padding(1).bias(false).initializer(zeros))
    };
    let stack = (0..100).fold(Sequential::new(), |s, _| s.add(Residual::new(nothing())));
    let x = Tensor::new([1, 1, 1, 4], [1.0f32, 2.0, 3.0, 4.0]);
    stack.build(&x, 0)?;
    let y = stack.forward(&x, &mut Context::evaluate());
    let gradient = grad(&y.square().sum(), &x);
    lab.print(format!("x    {x}\ny    {y}\n∂L/∂x {gradient}   for L = Σ y²"));
    lab.fact(
        "a hundred residual blocks with filters of zero pass on x, and the gradient 2x, unchanged",
        y.to_vec::<f32>()? == x.to_vec::<f32>()?
            && gradient.to_vec::<f32>()? == (&x * 2.0).to_vec::<f32>()?,
    )?;

    let (depths, filters) = (lab.numbers("depths"), lab.count("filters"));
    let (images, epochs) = (lab.count("images"), lab.count("epochs"));
    let possible = |&d: &f64| (2.0..=200.0).contains(&d) && d % 2.0 == 0.0;
    if !depths.iter().all(possible) || !(2..=6).contains(&depths.len()) {
        return Err(Error::new("depths: two to six even numbers from 2 to 200"));
    }
    if filters > 64 || images > 60_000 || epochs > 50 {
        return Err(Error::new("at most 64 filters, 60000 images and 50 epochs"));
    }
    let mut depths: Vec<usize> = depths.iter().map(|&d| d as usize).collect();
    depths.sort_unstable();
    depths.dedup();
    let (shallow, deep) = (0, depths.len() - 1);

    lab.section("gradients");
    let mut mnist = lab.mnist()?;
    mnist.train = mnist.train.take(images);
    let kinds = ["plain", "residual"];
    let mut spread = [0.0; 2];
    let mut figures = Vec::new();
    for (kind, name) in kinds.iter().enumerate() {
        let mut plot = Plot::new(format!("{name}, before training"))
            .size(310, 250)
            .axes("layer, as a share of the depth", "norm of the gradient")
            .log_y();
        for (at, &depth) in depths.iter().enumerate() {
            let norms = gradient_norms(
                &network(depth, filters, kind == 1),
                &mnist.train,
                lab.seed(),
            )?;
            let place = |i: usize| i as f64 / (norms.len() - 1).max(1) as f64;
            let points = norms.iter().enumerate().map(|(i, &n)| (place(i), n));
            plot = plot.line(format!("{depth} layers"), points).color(at);
            if at == deep {
                let most = norms.iter().copied().fold(0.0, f64::max);
                let least = norms.iter().copied().fold(f64::INFINITY, f64::min);
                spread[kind] = most / least;
            }
        }
        figures.push(plot.figure());
    }
    lab.figures(figures);
    lab.print(format!(
        "{} layers, largest norm over smallest:\nplain {}, residual {}",
        depths[deep],
        significant(spread[0], 3),
        significant(spread[1], 3)
    ));
    if depths[deep] >= 16 {
        lab.fact(
        "in the deepest network the norms differ less from layer to layer with shortcuts than without",
        spread[1] < spread[0],
    )?;
    }

    lab.section("training");
    let progress = lab.progress("training", 2 * depths.len());
    let mut rows = Vec::new();
    let mut figures = Vec::new();
    let mut losses = vec![[0.0; 2]; depths.len()];
    for (kind, name) in kinds.iter().enumerate() {
        let mut plot =
            Plot::new(*name).size(310, 250).axes("step", "training loss").y_range(0.0, 2.5);
        for (at, &depth) in depths.iter().enumerate() {
            let steps = Rc::new(RefCell::new(Vec::new()));
            let run = Trainer::new(
                network(depth, filters, kind == 1),
                SoftmaxCrossEntropy::new(),
            )
            .optimizer(Adam::new(lab.number("rate")))
            .epochs(epochs as u64)
            .batch_size(lab.pick(100, 25))
            .seed(lab.seed())
            .callback(Losses(steps.clone()))
            .catch_interrupts(false)
            .quiet()
            .fit(&mnist)?;
            let curve = smoothed(&steps.borrow());
            plot = plot.curve(format!("{depth} layers"), &curve).color(at);
            losses[at][kind] = curve.last().copied().unwrap_or(f64::NAN);
            rows.push(vec![
                name.to_string(),
                depth.to_string(),
                significant(losses[at][kind], 3),
                format!("{:.2} %", 100.0 * run.test_accuracy()),
            ]);
            progress.step();
        }
        figures.push(plot.figure());
    }
    drop(progress);
    lab.figures(figures);
    lab.table(&["network", "layers", "last training loss", "test accuracy"], &rows);
    // With little depth, or all the data, plain networks still manage.
    if depths[shallow] <= 8 && depths[deep] >= 24 && images <= 10_000 && epochs <= 5 {
        lab.fact(
        "without shortcuts, the deepest network ends with a larger training loss than the shallowest",
        losses[deep][0] > losses[shallow][0],
    )?;
        lab.fact(
        "at the greatest depth, the network with shortcuts ends with the smaller training loss",
        losses[deep][1] < losses[deep][0],
    )?;
    }
    Ok(())
}

/// Images at a quarter of their size, a convolution, so many more with or without shortcuts around each two, the mean of
/// each channel, and an affine layer.
fn network(depth: usize, filters: usize, shortcuts: bool) -> Sequential {
    let mut layers = Sequential::new()
        .avg_pool2d(4)
        .add(Conv2d::new(filters, 3).padding(1).bias(false))
        .batch_norm2d()
        .relu();
    for _ in 0..depth / 2 {
        layers = match shortcuts {
            true => layers.add(residual_block(filters)).relu(),
            false => layers.add(body(filters)).relu(),
        };
    }
    layers.global_avg_pool2d().linear(10)
}

fn residual_block(filters: usize) -> Residual {
    Residual::new(body(filters))
}

/// Two convolutions, each normalized over the batch, and a ReLU between.
fn body(filters: usize) -> Sequential {
    let conv = || Conv2d::new(filters, 3).padding(1).bias(false);
    Sequential::new().add(conv()).batch_norm2d().relu().add(conv()).batch_norm2d()
}

/// The norm of the gradient of each convolution's filters, from the first to the last, before any training.
fn gradient_norms(network: &Sequential, images: &Split, seed: u64) -> Result<Vec<f64>> {
    let batch = Loader::new(images, 100)?.shuffle(seed).batch(0)?;
    let x = Tensor::new(batch.shape, batch.images);
    let labels = Tensor::from(batch.labels);
    network.build(&x, seed)?;
    let scores = network.forward(&x, &mut Context::train(seed));
    let loss = scores.cross_entropy(&labels).mean();
    let filters: Vec<Tensor> = network
        .parameters()?
        .iter()
        .filter(|p| p.meta().rank() == 4)
        .map(Parameter::tensor)
        .collect();
    let all = gradients(&loss, &filters.iter().collect::<Vec<_>>());
    let norms: Vec<Tensor> = all.iter().map(|g| g.square().sum().sqrt()).collect();
    let values = eval(&norms.iter().collect::<Vec<_>>())?;
    Ok(values.iter().filter_map(|norm| norm.get_f64(0)).collect())
}

/// Keeps the loss of each step.
struct Losses(Rc<RefCell<Vec<f64>>>);

impl Callback for Losses {
    fn on_step(&mut self, step: &Step, _: &dyn Module) -> Flow {
        self.0.borrow_mut().push(step.loss);
        Flow::Continue
    }
}

/// The mean over the last steps (a tenth of all, but at least 5), at each step.
fn smoothed(losses: &[f64]) -> Vec<f64> {
    let window = (losses.len() / 10).max(5);
    (1..=losses.len())
        .map(|end| {
            let part = &losses[end.saturating_sub(window)..end];
            part.iter().sum::<f64>() / part.len() as f64
        })
        .collect()
}
