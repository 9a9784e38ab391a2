//! Optimizers (pages 166 to 177): six ways from a gradient to a step, in a valley and on MNIST.

use crate::prelude::*;
use std::sync::Arc;

lab!("optimizers", chapter 6, pages "166–177",
    Choice::numbers("valley-rates", "0.95, 0.1, 0.1, 1.5, 0.1, 0.3",
        "learning rates in the valley: SGD, Momentum, Nesterov, AdaGrad, RMSProp, Adam"),
    Choice::count("steps", "30", "steps in the valley, at most 1000"),
    Choice::numbers("rates", "0.01, 0.01, 0.01, 0.01, 0.001, 0.001",
        "learning rates on MNIST, in the same order"),
    Choice::count("epochs", "3", "epochs on MNIST, at most 20"),
);

const NAMES: [&str; 6] = ["SGD", "Momentum", "Nesterov", "AdaGrad", "RMSProp", "Adam"];

/// The optimizer of this number in `NAMES`.
fn optimizer(number: usize, rate: f64) -> Arc<dyn Optimizer> {
    match number {
        0 => Arc::new(Sgd::new(rate)),
        1 => Arc::new(Momentum::new(rate).momentum(0.9)),
        2 => Arc::new(Nesterov::new(rate).momentum(0.9)),
        3 => Arc::new(AdaGrad::new(rate)),
        4 => Arc::new(RmsProp::new(rate)),
        _ => Arc::new(Adam::new(rate)),
    }
}

/// The valley: `x^2 / 20 + y^2`.
fn f(p: &Tensor) -> Tensor {
    (p.square() * Tensor::from([0.05, 1.0])).sum()
}

const START: (f64, f64) = (-7.0, 2.0);

/// Where the optimizer goes from the start.
fn path(optimizer: &dyn Optimizer, steps: u64) -> Result<Vec<(f64, f64)>> {
    let mut p = Tensor::from([START.0 as f32, START.1 as f32]);
    let mut state: Vec<Tensor> = optimizer.state().iter().map(|_| p.zeros_like()).collect();
    let mut path = vec![START];
    for step in 1..=steps {
        let scalars = optimizer.scalars(step, optimizer.learning_rate());
        let scalars: Vec<Tensor> =
            scalars.iter().map(|&s| Tensor::from(s as f32)).collect();
        let (new, new_state) = optimizer.update(&p, &grad(&f(&p), &p), &state, &scalars);
        p = Tensor::from(new.eval()?);
        state = new_state
            .iter()
            .map(|s| s.eval().map(Tensor::from))
            .collect::<Result<_, _>>()?;
        let at = p.to_vec::<f32>()?;
        path.push((f64::from(at[0]), f64::from(at[1])));
    }
    Ok(path)
}

/// The losses of a network of four hidden layers of 100 neurons; none if they do not stay finite.
fn losses(
    optimizer: Arc<dyn Optimizer>,
    data: &Dataset,
    epochs: u64,
    seed: u64,
) -> Result<Vec<f64>> {
    let model = models::MultiLayerNet::new(&[100; 4], 10).layers();
    let run = Trainer::new(model, SoftmaxCrossEntropy::new())
        .optimizer(optimizer)
        .batch_size(128)
        .epochs(epochs)
        .train_sample(1)
        .seed(seed)
        .quiet()
        .catch_interrupts(false)
        .fit(data);
    match run {
        Err(error) if error.not_finite().is_some() => Ok(Vec::new()),
        run => Ok(run?.losses().to_vec()),
    }
}

/// The mean of the last losses at each step.
fn smooth(losses: &[f64]) -> Vec<f64> {
    let window = (losses.len() / 40).max(1);
    let means = (0..losses.len()).map(|at| {
        let last = &losses[(at + 1).saturating_sub(window)..=at];
        last.iter().sum::<f64>() / last.len() as f64
    });
    means.collect()
}

fn run(lab: &mut Session) -> Result<()> {
    let given = |name: &str| {
        let rates = lab.numbers(name);
        match rates.len() == NAMES.len() && rates.iter().all(|&rate| rate > 0.0) {
            true => Ok(rates),
            false => Err(Error::new(format!("{name}: six positive numbers are needed"))),
        }
    };
    let (valley_rates, rates) = (given("valley-rates")?, given("rates")?);
    let steps = lab.count("steps").min(1_000) as u64;
    let epochs = lab.count("epochs").min(20) as u64;

    lab.section("valley");
    let start = Tensor::from([START.0 as f32, START.1 as f32]);
    let gradient = grad(&f(&start), &start).to_vec::<f32>()?;
    lab.print(format!("at (−7, 2): f = {}, gradient {gradient:?}", f(&start)));
    let down = [-f64::from(gradient[0]), -f64::from(gradient[1])];
    let home = [-START.0, -START.1];
    let cosine = (down[0] * home[0] + down[1] * home[1])
        / (down[0].hypot(down[1]) * home[0].hypot(home[1]));
    let angle = cosine.acos().to_degrees();
    lab.fact(
        format!(
            "at the start, the way of steepest descent misses the minimum by {angle:.0}°"
        ),
        (angle - 64.0).abs() < 1.0,
    )?;

    lab.section("paths");
    let paths: Vec<Vec<(f64, f64)>> = (0..NAMES.len())
        .map(|number| path(&*optimizer(number, valley_rates[number]), steps))
        .collect::<Result<_>>()?;
    let rows = (0..NAMES.len()).map(|number| {
        let path = &paths[number];
        let end = path[path.len() - 1];
        let length: f64 =
            path.windows(2).map(|p| (p[1].0 - p[0].0).hypot(p[1].1 - p[0].1)).sum();
        let value = end.0 * end.0 / 20.0 + end.1 * end.1;
        vec![
            NAMES[number].to_string(),
            valley_rates[number].to_string(),
            format!("{:.3}", end.0),
            format!("{:.3}", end.1),
            format!("{value:.1e}"),
            format!("{length:.1}"),
        ]
    });
    lab.table(
        &["optimizer", "rate", "x at the end", "y", "f", "length of the path"],
        &rows.collect::<Vec<_>>(),
    );
    lab.figures((0..NAMES.len()).map(|number| {
        Plot::new(format!("{}, learning rate {}", NAMES[number], valley_rates[number]))
            .size(310, 250)
            .axes("x", "y")
            .x_range(-9.0, 9.0)
            .y_range(-4.5, 4.5)
            .x_ticks([-8, -4, 0, 4, 8].map(|at| (f64::from(at), at.to_string())))
            .y_ticks([-4, -2, 0, 2, 4].map(|at| (f64::from(at), at.to_string())))
            .contours(
                "",
                |x, y| x * x / 20.0 + y * y,
                &[0.2, 1.0, 2.5, 5.0, 9.0, 14.0],
                (-9.0, 9.0),
                (-4.5, 4.5),
            )
            .path(
                "",
                paths[number]
                    .iter()
                    .copied()
                    .filter(|p| p.0.abs() < 9.0 && p.1.abs() < 4.5),
            )
            .color(number)
            .figure()
    }));
    lab.play(
        Play::new("valley")
            .select("optimizer", "optimizer", &NAMES)
            .powers("rate", "learning rate", -3.0..=0.5, 0.05, -0.05)
            .slider("steps", "steps", 1.0..=100.0, 1.0, 30.0),
    );

    lab.section("formulas");
    let rate = valley_rates[0];
    let exact = paths[0].iter().enumerate().all(|(step, at)| {
        let shrunk =
            |start: f64, curvature: f64| start * (1.0 - rate * curvature).powi(step as i32);
        let (x, y) = (shrunk(START.0, 0.1), shrunk(START.1, 2.0));
        x.hypot(y) > 1e30 || (x - at.0).hypot(y - at.1) < 1e-4 * (1.0 + x.hypot(y))
    });
    lab.fact("SGD is at x₀(1 − η/10)ᵗ, y₀(1 − 2η)ᵗ after t steps", exact)?;
    let first = |number: usize| {
        let (a, b) = (paths[number][0], paths[number][1]);
        [(b.0 - a.0).abs() / valley_rates[number], (b.1 - a.1).abs() / valley_rates[number]]
    };
    let close = |steps: [f64; 2], expected: f64| {
        steps.iter().all(|s| (s - expected).abs() < 0.01 * expected)
    };
    if valley_rates[3..].iter().all(|rate| (1e-3..1e3).contains(rate)) {
        lab.fact(
            "the first steps of AdaGrad and Adam are η in both directions, however steep",
            close(first(3), 1.0) && close(first(5), 1.0),
        )?;
        lab.fact("RMSProp's are η / √(1 − α) = 10 η", close(first(4), 10.0))?;
    }
    if lab.usual(&["valley-rates"]) && steps >= 30 {
        let swing = |number: usize| {
            let late = paths[number][15..=30].iter();
            late.map(|p| p.1.abs()).fold(0.0, f64::max)
        };
        lab.fact(
            "Nesterov's swings across the valley die out faster than Momentum's",
            swing(2) < 0.5 * swing(1),
        )?;
    }

    lab.section("mnist");
    let mut mnist = lab.mnist()?;
    mnist.test = mnist.test.take(0);
    let seed = lab.seed();
    let curves = lab.parallel("six trainings", NAMES.len(), |number| {
        losses(optimizer(number, rates[number]), &mnist, epochs, seed)
    })?;
    let smoothed: Vec<Vec<f64>> = curves.iter().map(|losses| smooth(losses)).collect();
    let last = |number: usize| smoothed[number].last().copied().unwrap_or(f64::INFINITY);
    let rows = (0..NAMES.len()).map(|number| {
        let low = smoothed[number].iter().position(|&loss| loss < 0.5);
        vec![
            NAMES[number].to_string(),
            rates[number].to_string(),
            low.map_or("–".to_string(), |step| (step + 1).to_string()),
            format!("{:.3}", last(number)),
        ]
    });
    lab.table(
        &["optimizer", "rate", "steps to a loss of 0.5", "loss at the end"],
        &rows.collect::<Vec<_>>(),
    );
    let mut plot = Plot::new("Training on MNIST")
        .axes("step", "loss of the batch, smoothed")
        .size(660, 360)
        .log_y()
        .y_range(0.03, 3.0);
    for (number, losses) in smoothed.iter().enumerate() {
        plot = plot.curve(NAMES[number], losses).color(number);
        if number == 2 || number == 4 {
            plot = plot.dashed();
        }
    }
    lab.figure(plot.figure());
    if lab.usual(&["rates", "epochs"]) {
        lab.fact(
            "at these learning rates SGD is the slowest of the six",
            (1..NAMES.len()).all(|number| last(number) < last(0)),
        )?;
    }

    lab.section("rates");
    let tried: &[f64] =
        lab.pick(&[1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0], &[1e-3, 0.01, 0.1]);
    mnist.train = mnist.train.take(lab.pick(12_800, 1_920));
    let rounds = lab.pick(1, 3);
    let ends = lab.parallel("learning rates", NAMES.len() * tried.len(), |at| {
        let losses = losses(
            optimizer(at / tried.len(), tried[at % tried.len()]),
            &mnist,
            rounds,
            seed,
        )?;
        // A training that fails is as good as no training.
        Ok(losses
            .chunks(10)
            .next_back()
            .map_or(f64::NAN, |last| last.iter().sum::<f64>() / last.len() as f64))
    })?;
    let mut plot =
        Plot::new(format!("Loss after {} steps", mnist.train.len() as u64 * rounds / 128))
            .axes("learning rate", "loss")
            .size(660, 340)
            .log_x()
            .y_range(0.0, 2.6);
    for (number, ends) in ends.chunks(tried.len()).enumerate() {
        plot = plot
            .path(NAMES[number], tried.iter().copied().zip(ends.iter().copied()))
            .color(number);
        if number == 2 || number == 4 {
            plot = plot.dashed();
        }
    }
    lab.figure(plot.figure());
    let end = |number: usize, rate: f64| {
        tried
            .iter()
            .position(|&t| t == rate)
            .map_or(f64::NAN, |at| ends[number * tried.len() + at])
    };
    lab.fact(
        format!("SGD at 0.1 ends with {:.2}, at 0.01 with {:.2}: the rate matters as much as the name", end(0, 0.1), end(0, 0.01)),
        end(0, 0.1) < 0.8 * end(0, 0.01),
    )?;
    Ok(())
}
