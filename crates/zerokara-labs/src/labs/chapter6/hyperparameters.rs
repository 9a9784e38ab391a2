//! Hyperparameters (pages 197 to 203): a validation split, random search, and successive halving on the same budget.

use crate::prelude::*;
use std::sync::Arc;

lab!("hyperparameters", chapter 6, pages "197–203",
    Choice::numbers("rates", "1e-6, 1e-2", "the range of the learning rate"),
    Choice::numbers("decays", "1e-8, 1e-4", "the range of the weight decay"),
    Choice::count("trials", "100", "trials of the random search, 9 to 400").quick("12"),
    Choice::count("epochs", "50", "epochs of a full trial, 9 to 200").quick("9"),
);

/// A choice of hyperparameters, and what came of it so far.
#[derive(Clone)]
struct Trial {
    rate: f64,
    decay: f64,
    model: Arc<dyn Forward>,
    saved: Option<SavedModel>,
    epochs: u64,
    /// Accuracies after each epoch.
    train: Vec<f64>,
    validation: Vec<f64>,
    /// The loss on the validation images.
    loss: f64,
}

impl Trial {
    /// The accuracy on the validation images, 0 for a training that failed.
    fn score(&self) -> f64 {
        self.validation.last().copied().unwrap_or(0.0)
    }

    /// Trained on up to this many epochs.
    fn train_to(mut self, epochs: u64, data: &Dataset, seed: u64) -> Result<Self> {
        let run = Trainer::new(self.model.clone(), SoftmaxCrossEntropy::new())
            .optimizer(Sgd::new(self.rate))
            .l2_penalty(self.decay)
            .epochs(epochs - self.epochs)
            .train_sample(100)
            .seed(seed.wrapping_add(self.epochs))
            .quiet()
            .catch_interrupts(false)
            .fit(data);
        self.epochs = epochs;
        match run {
            Err(error) if error.not_finite().is_some() => {
                self.validation.push(0.0);
                self.loss = f64::INFINITY;
            }
            run => {
                let run = run?;
                self.train.extend(run.history().iter().filter_map(|e| e.train_accuracy));
                self.validation
                    .extend(run.history().iter().filter_map(|e| e.test_accuracy));
                let last = run.history().last();
                self.loss = last.and_then(|e| e.test_loss).unwrap_or(f64::INFINITY);
                self.saved = Some(run.model().clone());
            }
        }
        Ok(self)
    }
}

/// Best first.
fn ranked(trials: &[Trial]) -> Vec<&Trial> {
    let mut ranked: Vec<&Trial> = trials.iter().collect();
    ranked.sort_by(|a, b| b.score().total_cmp(&a.score()));
    ranked
}

fn mean_score(trials: &[&Trial]) -> f64 {
    trials.iter().map(|t| t.score()).sum::<f64>() / trials.len().max(1) as f64
}

/// The smallest and the largest, and the decades between.
fn range(values: impl Iterator<Item = f64> + Clone) -> (f64, f64, f64) {
    let (low, high) =
        (values.clone().fold(f64::INFINITY, f64::min), values.fold(0.0, f64::max));
    (low, high, (high / low).log10())
}

fn run(lab: &mut Session) -> Result<()> {
    let given = |name: &str| match lab.numbers(name)[..] {
        [low, high] if 0.0 < low && low < high && high <= 1e3 => Ok((low, high)),
        _ => Err(Error::new(format!(
            "{name}: two numbers are needed, 0 < low < high ≤ 1000"
        ))),
    };
    let (rates, decays) = (given("rates")?, given("decays")?);
    let trials = lab.count("trials").clamp(9, 400);
    let epochs = lab.count("epochs").clamp(9, 200) as u64;
    let best = (trials / 5).max(4);
    let seed = lab.seed();
    let usual = lab.usual(&["rates", "decays", "trials", "epochs"]);

    lab.section("split");
    let mnist = lab.mnist()?;
    let (train, validation) = mnist.train.take(500).validation(0.2, seed)?;
    let origins =
        |split: &Split| (0..split.len()).map(|i| split.origin(i)).collect::<Vec<_>>();
    let (of_train, of_validation) = (origins(&train), origins(&validation));
    lab.print(format!(
        "of the first 500 training images: {} to train on, {} to validate with; {} test images for the end",
        train.len(), validation.len(), mnist.test.len()
    ));
    lab.fact(
        "no image is in both parts",
        of_validation.iter().all(|image| !of_train.contains(image)),
    )?;
    // While searching, validation images stand where test images do otherwise.
    let data = Dataset::new("validation", train, validation, mnist.class_names.clone())?;

    lab.section("search");
    let hidden: &[usize] = lab.pick(&[100; 3], &[50; 2]);
    let model = models::MultiLayerNet::new(hidden, 10).layers();
    model.build(&Meta::new([1, 1, 28, 28], DType::F32), seed)?;
    // Every trial draws its two numbers from one table and begins at the same weights.
    let drawn = |count: usize| -> Result<Vec<Trial>> {
        let key = stream_key(seed, "trials", 0);
        let draws = Tensor::uniform(key, &Tensor::scalar(0.0, DType::I64), [count, 2])
            .to_vec::<f32>()?;
        let on_log_scale =
            |(low, high): (f64, f64), u: f32| low * (high / low).powf(f64::from(u));
        let trial = |u: &[f32]| Trial {
            rate: on_log_scale(rates, u[0]),
            decay: on_log_scale(decays, u[1]),
            model: Arc::new(model.clone()),
            saved: None,
            epochs: 0,
            train: Vec::new(),
            validation: Vec::new(),
            loss: f64::INFINITY,
        };
        Ok(draws.chunks(2).map(trial).collect())
    };
    let random = drawn(trials)?;
    let random = lab.parallel("random search", trials, |at| {
        random[at].clone().train_to(epochs, &data, seed)
    })?;
    let leaders = &ranked(&random)[..best];
    lab.figures(leaders.iter().enumerate().map(|(place, trial)| {
        Plot::new(format!("{}: {}", place + 1, numbers::percent(trial.score())))
            .size(144, 128)
            .y_range(0.0, 1.0)
            .y_ticks([(0.0, "0"), (0.5, "0.5"), (1.0, "1")])
            .x_range(0.0, epochs as f64)
            .x_ticks([0, epochs / 2, epochs].map(|e| (e as f64, e.to_string())))
            .no_legend()
            .curve("validation", &trial.validation)
            .curve("training", &trial.train)
            .dashed()
            .figure()
    }));
    let row = |(place, trial): (usize, &&Trial)| {
        vec![
            (place + 1).to_string(),
            numbers::percent(trial.score()),
            format!("{:.1e}", trial.rate),
            format!("{:.1e}", trial.decay),
        ]
    };
    lab.table(
        &["place", "validation", "learning rate", "weight decay"],
        &leaders.iter().enumerate().take(10).map(row).collect::<Vec<_>>(),
    );

    lab.section("narrowed");
    let points =
        |trials: &[&Trial]| trials.iter().map(|t| (t.rate, t.decay)).collect::<Vec<_>>();
    lab.figure(
        Plot::new(format!("{trials} trials, and the best {best}"))
            .axes("learning rate", "weight decay")
            .log_x()
            .log_y()
            .x_range(rates.0, rates.1)
            .y_range(decays.0, decays.1)
            .dots("the others", points(&ranked(&random)[best..]))
            .grey()
            .dots(format!("best {best}"), points(leaders))
            .color(1)
            .figure(),
    );
    let (of_rates, of_decays) =
        (range(leaders.iter().map(|t| t.rate)), range(leaders.iter().map(|t| t.decay)));
    let searched = [(rates.1 / rates.0).log10(), (decays.1 / decays.0).log10()];
    for (name, (low, high, decades), searched) in
        [("learning rate", of_rates, searched[0]), ("weight decay", of_decays, searched[1])]
    {
        lab.print(format!(
            "{name}: {low:.1e} to {high:.1e}, {decades:.1} of {searched:.1} decades"
        ));
    }
    if usual {
        lab.fact(
            "the best learning rates lie in less than half of the decades searched",
            of_rates.2 < 0.5 * searched[0],
        )?;
        if !lab.quick() {
            lab.fact(
                "the best weight decays lie in more than half: here they hardly matter",
                of_decays.2 > 0.5 * searched[1],
            )?;
        }
    }

    lab.section("halving");
    let budget = trials as u64 * epochs;
    let rungs = [epochs / 9, epochs / 3, epochs];
    // How many are left at each rung of n, and the epochs that all of them take together.
    let counts = |n: usize| [n, n / 3, n / 9];
    let cost = |n: usize| {
        let steps = [rungs[0], rungs[1] - rungs[0], rungs[2] - rungs[1]];
        counts(n).iter().zip(steps).map(|(&count, steps)| count as u64 * steps).sum::<u64>()
    };
    let started = (trials..).take_while(|&n| cost(n) <= budget).last().unwrap_or(trials);
    let mut halved = drawn(started)?;
    let mut rows = Vec::new();
    for (&count, &rung) in counts(started).iter().zip(&rungs) {
        // Early on, the loss tells more than the accuracy.
        halved.sort_by(|a, b| a.loss.total_cmp(&b.loss));
        let left = &halved[..count];
        halved = lab.parallel("successive halving", count, |at| {
            left[at].clone().train_to(rung, &data, seed)
        })?;
        let ranked = ranked(&halved);
        rows.push(vec![
            rung.to_string(),
            count.to_string(),
            numbers::percent(mean_score(&ranked)),
            numbers::percent(ranked[0].score()),
            format!("{:.1e}", range(ranked.iter().map(|t| t.rate)).0),
        ]);
    }
    lab.table(
        &["epochs", "trials", "mean accuracy", "best", "smallest learning rate"],
        &rows,
    );
    let finalists = ranked(&halved);
    let best = best.min(finalists.len());
    let places = |trials: &[&Trial]| {
        trials
            .iter()
            .take(best)
            .enumerate()
            .map(|(i, t)| ((i + 1) as f64, t.score()))
            .collect::<Vec<_>>()
    };
    lab.figure(
        Plot::new(format!("The best {best} of each search"))
            .axes("place", "accuracy on validation images")
            .path("successive halving", places(&finalists))
            .path("random search", places(leaders))
            .dashed()
            .figure(),
    );
    let steps =
        |epochs: u64| numbers::thousands(epochs * data.train.len().div_ceil(100) as u64);
    let summary = [
        ("random search", trials, budget, leaders),
        ("successive halving", started, cost(started), &finalists[..]),
    ];
    let rows = summary.iter().map(|(name, count, epochs, trials)| {
        let test = match &trials[0].saved {
            Some(model) => model.evaluate(&mnist.test)?.accuracy().unwrap_or(0.0),
            None => 0.0,
        };
        Ok(vec![
            name.to_string(),
            count.to_string(),
            steps(*epochs),
            numbers::percent(trials[0].score()),
            numbers::percent(mean_score(&trials[..best])),
            numbers::percent(test),
        ])
    });
    let rows: Vec<Vec<String>> = rows.collect::<Result<_>>()?;
    lab.table(
        &[
            "search",
            "choices",
            "steps",
            "best",
            &format!("mean of best {best}"),
            "test, of the best",
        ],
        &rows,
    );
    lab.fact(
        "halving takes no more steps of training than the random search",
        cost(started) <= budget,
    )?;
    if usual {
        lab.fact(
            format!("its best {best} do better on average, out of {started} choices instead of {trials}"),
            mean_score(&finalists[..best]) > mean_score(&leaders[..best]),
        )?;
    }

    lab.section("luck");
    // Which of further images, that no trial has seen, each answers rightly, and its accuracy on the test images.
    let used = data.train.len() + data.test.len();
    let further: Vec<usize> =
        (used..mnist.train.len()).take(lab.pick(10_000, 1_000)).collect();
    let further = mnist.train.subset(&further)?;
    let judged = lab.parallel("other validation images", trials, |at| {
        let Some(model) = &random[at].saved else {
            return Ok((vec![false; further.len()], 0.0));
        };
        let answers = model.evaluate(&further)?.answers;
        let right = answers.iter().zip(further.labels());
        let right = right.map(|(answer, &label)| answer.class as i64 == label).collect();
        Ok((right, model.evaluate(&mnist.test)?.accuracy().unwrap_or(0.0)))
    })?;
    // How far the best of the first trials lies above its test accuracy, on average over drawings of validation images.
    let draws = lab.pick(1_000, 100);
    let above = |count: usize, images: usize| -> f64 {
        let gap = |draw: u64| {
            let drawn = further.random_indices(images, seed, draw);
            let share = |(right, test): &(Vec<bool>, f64)| {
                let right =
                    drawn.iter().filter(|&&image| right.get(image) == Some(&true)).count();
                (right as f64 / images as f64, *test)
            };
            let shares = judged.iter().take(count).map(share);
            // Of equal ones the first, as above.
            let best = shares.reduce(|best, new| if new.0 > best.0 { new } else { best });
            best.map_or(0.0, |(validation, test)| validation - test)
        };
        (0..draws).map(gap).sum::<f64>() / draws as f64
    };
    let points = |share: f64| format!("{:+.1}", share * 100.0);
    let first = leaders.first().map_or(0.0, |trial| trial.score());
    let place = random.iter().position(|trial| trial.score() == first).unwrap_or(0);
    lab.print(format!(
        "the best of {trials} above: {} on validation images, {} on test images: {} points",
        numbers::percent(first),
        numbers::percent(judged[place].1),
        points(first - judged[place].1)
    ));
    let sizes = [100, 1_000];
    let counts = [1, 10, 100].into_iter().filter(|&count| count <= trials);
    let gaps: Vec<(usize, [f64; 2])> =
        counts.map(|count| (count, sizes.map(|images| above(count, images)))).collect();
    let rows = gaps
        .iter()
        .map(|(count, gaps)| [&[count.to_string()], &gaps.map(points)[..]].concat());
    lab.table(
        &["best of", "points above the test: 100 images", "1000 images"],
        &rows.collect::<Vec<_>>(),
    );
    if let (true, [(_, [one, _]), .., (100, [many, more])]) =
        (usual && !lab.quick(), &gaps[..])
    {
        lab.fact(
            "the best of 100 trials looks better than it is: on average a point and more with 100 validation images",
            many - one > 0.01,
        )?;
        lab.fact("more validation images leave less of that", more < many)?;
    }
    Ok(())
}
