//! Runs of the library that are cut off go on to the same bits, with models, data and callbacks of one's own.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};
use zerokara_core::{Array, Arrays, DType};
use zerokara_data::{Columns, Dataset, Split};
use zerokara_nn::{
    Adam, MeanSquaredError, Module, ParameterGroup, Schedule, Sequential, SoftmaxCrossEntropy,
};
use zerokara_train::{
    Callback, EarlyStopping, Every, Flow, Run, Sampling, Trainer,
    metrics::{self, Epoch, Record, Step},
};

fn points(count: usize) -> Split {
    let at = |i: usize, k: usize| ((i * k) % 97) as f32 / 97.0;
    let values: Vec<f32> = (0..count).flat_map(|i| [at(i, 13), at(i, 41)]).collect();
    let labels = values.chunks(2).map(|p| i64::from(p[1] > p[0])).collect();
    Split::new(values, &[2], labels).unwrap()
}

fn data() -> Dataset {
    Dataset::new("plane", points(90), points(40), ["below", "above"]).unwrap()
}

/// Counts steps, and with what it has counted ends the training: what it remembers matters.
struct Patience {
    seen: u64,
    most: u64,
}

impl Callback for Patience {
    fn name(&self) -> &str {
        "patience"
    }
    fn settings(&self) -> Vec<(&'static str, f64)> {
        vec![("most", self.most as f64)]
    }
    fn state(&self) -> Arrays {
        Arrays::one("seen", Array::scalar(self.seen as f64, DType::I64))
    }
    fn restore(&mut self, state: &Arrays) -> zerokara_train::Result<()> {
        self.seen = state.find("seen")?.get_f64(0).unwrap_or(0.0) as u64;
        Ok(())
    }
    fn on_step(&mut self, _: &Step, _: &dyn Module) -> Flow {
        self.seen += 1;
        match self.seen == self.most {
            true => Flow::Stop,
            false => Flow::Continue,
        }
    }
}

/// Cuts the run off at a step or an epoch: nothing of what comes after it is done.
struct Cut(Option<u64>, Option<u64>);

impl Callback for Cut {
    fn name(&self) -> &str {
        "cut"
    }
    fn on_step(&mut self, step: &Step, _: &dyn Module) -> Flow {
        assert!(Some(step.step) != self.0, "cut off");
        Flow::Continue
    }
    fn on_epoch(&mut self, epoch: &Epoch, _: &dyn Module) -> Flow {
        assert!(Some(epoch.epoch) != self.1, "cut off");
        Flow::Continue
    }
}

fn network(width: usize) -> Sequential {
    let model = Sequential::new().linear(width).batch_norm1d();
    model.relu().dropout(0.3).linear(2)
}

fn trainer(cut: Cut) -> Trainer {
    trainer_of(network(8), cut)
}

fn trainer_of(model: Sequential, cut: Cut) -> Trainer {
    Trainer::new(model, SoftmaxCrossEntropy::new())
        .name("own")
        .optimizer(Adam::new(0.02))
        .schedule_over(|steps| Schedule::one_cycle(steps).warm_up(3))
        .group(ParameterGroup::matching("*.bias").learning_rate(0.01))
        .epochs(6)
        .batch_size(8)
        .accumulate(2)
        .validation(0.2)
        .clip_norm(1.0)
        .ema(0.9)
        .sampling(Sampling::Balanced)
        .callback(EarlyStopping::new(4))
        .callback(Patience { seen: 0, most: 41 })
        .callback(cut)
        .seed(5)
        .quiet()
}

/// What a run leaves, but for times.
fn left(run: &Run, folder: &Path) -> (Vec<u8>, Vec<Record>, Vec<f64>, Vec<Epoch>) {
    let untimed = |epoch: &Epoch| Epoch {
        seconds: 0.0,
        images_per_second: 0.0,
        ..epoch.clone()
    };
    let records = metrics::read(folder.join("metrics.jsonl")).unwrap();
    let records = records.into_iter().map(|record| match record {
        Record::Step(step) => Record::Step(Step {
            seconds: 0.0,
            images_per_second: 0.0,
            ..step
        }),
        Record::Epoch(epoch) => Record::Epoch(untimed(&epoch)),
    });
    (
        fs::read(folder.join("model.safetensors")).unwrap(),
        records.collect(),
        run.losses().to_vec(),
        run.history().iter().map(untimed).collect(),
    )
}

#[test]
fn a_run_that_is_cut_off_anywhere_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    let run = trainer(Cut(None, None))
        .run_folder(&whole)
        .fit(&data())
        .unwrap();
    let expected = left(&run, &whole);
    // 72 samples in batches of 8; the callback ends it in the fifth epoch.
    assert_eq!((run.steps(), run.history().len()), (41, 5));
    let steps = [1, 2, 8, 9, 10, 17, 30, 41].map(|step| Cut(Some(step), None));
    let epochs = [1, 3, 5].map(|epoch| Cut(None, Some(epoch)));
    for every in [Every::Steps(1), Every::Steps(4), Every::Epochs(2)] {
        for cut in steps.iter().chain(&epochs).map(|c| Cut(c.0, c.1)) {
            let (at, path) = ((cut.0, cut.1), folder.path().join("cut"));
            let begun = trainer(cut).checkpoint_every(every).run_folder(&path);
            catch_unwind(AssertUnwindSafe(|| begun.fit(&data()))).unwrap_err();
            let run = trainer(Cut(None, None)).resume(&path).fit(&data()).unwrap();
            let found = left(&run, &path);
            assert_eq!(found.1, expected.1, "{every} {at:?}");
            assert_eq!(
                (&found.2, &found.3),
                (&expected.2, &expected.3),
                "{every} {at:?}"
            );
            assert!(found.0 == expected.0, "{every} {at:?}: another model");
            fs::remove_dir_all(path).unwrap();
        }
    }
}

#[test]
fn the_average_of_the_weights_is_judged_and_given_while_training_goes_on_from_them() {
    let run = |decay: Option<f64>| {
        let trainer = Trainer::new(network(8), SoftmaxCrossEntropy::new())
            .optimizer(Adam::new(0.05))
            .epochs(3)
            .batch_size(10)
            .seed(3)
            .quiet();
        let trainer = match decay {
            Some(decay) => trainer.ema(decay),
            None => trainer,
        };
        let run = trainer.fit(&data()).unwrap();
        let state = run.model().module().state().unwrap();
        let judged = run.model().evaluate(&data().test).unwrap();
        assert!((judged.loss - run.test().loss).abs() < 1e-6);
        let values: Vec<f64> = state
            .iter()
            .flat_map(|(_, value)| value.to_f64s())
            .collect();
        (run.losses().to_vec(), values)
    };
    let (losses, values) = run(None);
    // A decay of 0 keeps nothing but the last values, up to rounding.
    let (same, last) = run(Some(0.0));
    assert_eq!(same, losses);
    assert!((last.iter().zip(&values)).all(|(a, b)| (a - b).abs() < 1e-5));
    let (same, averages) = run(Some(0.9));
    assert_eq!(same, losses);
    assert!((averages.iter().zip(&values)).any(|(a, b)| (a - b).abs() > 1e-3));
}

#[test]
fn what_is_not_the_same_run_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    trainer(Cut(None, None))
        .run_folder(&path)
        .fit(&data())
        .unwrap();
    let refused =
        |trainer: Trainer, data: &Dataset| trainer.resume(&path).fit(data).unwrap_err().to_string();
    let text = refused(trainer(Cut(None, None)).batch_size(9), &data());
    assert!(text.contains("batch size is 8 there and 9 here"), "{text}");
    let text = refused(trainer(Cut(None, None)).optimizer(Adam::new(0.5)), &data());
    assert!(
        text.contains("optimizer.learning rate is 0.02 there and 0.5 here"),
        "{text}"
    );
    let fewer = Dataset::new("plane", points(80), points(40), ["below", "above"]).unwrap();
    let text = refused(trainer(Cut(None, None)), &fewer);
    assert!(
        text.contains("data.found.training samples is 90 there and 80 here"),
        "{text}"
    );
    let mut values: Vec<f32> = (0..90).flat_map(|i| points(90).sample(i)).collect();
    values[7] += 1.0;
    let other = Split::new(values, &[2], points(90).labels().to_vec()).unwrap();
    let other = Dataset::new("plane", other, points(40), ["below", "above"]).unwrap();
    let text = refused(trainer(Cut(None, None)), &other);
    assert!(text.contains("data.found.fingerprint"), "{text}");
    let wide = trainer_of(network(9), Cut(None, None));
    let text = refused(wide, &data());
    assert!(
        text.contains("the model is not the one of the run: linear1.weight"),
        "{text}"
    );
    let none = trainer(Cut(None, None)).resume(folder.path().join("none"));
    let text = none.fit(&data()).unwrap_err().to_string();
    assert!(text.contains("it has no run.json"), "{text}");
}

/// y = 2 a - b, as a table.
fn table(count: usize) -> Split {
    let at = |i: usize, k: usize| ((i * k) % 31) as f32 / 31.0;
    let rows: Vec<f32> = (0..count).flat_map(|i| [at(i, 7), at(i, 11)]).collect();
    let prices: Vec<f32> = rows.chunks(2).map(|r| 2.0 * r[0] - r[1]).collect();
    let columns = Columns::new()
        .with("x", Array::new([count, 2], rows))
        .with("price", Array::new([count, 1], prices));
    Split::of(columns).unwrap().targets(["price"]).unwrap()
}

#[test]
fn numbers_are_judged_by_their_errors_and_the_best_epoch_by_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let data = Dataset::of("houses").train(table(120)).unwrap();
    let data = data.validation(table(30)).unwrap();
    let trainer = || {
        Trainer::new(Sequential::new().linear(1), MeanSquaredError::new())
            .optimizer(Adam::new(0.2))
            .batch_size(20)
            .epochs(30)
            .quiet()
    };
    let run = trainer().run_folder(&path).fit(&data).unwrap();
    // There is no test part, and nothing is said of one.
    let last = run.history().last().unwrap();
    assert_eq!((last.test_loss, last.measure("test", "rmse")), (None, None));
    let rmse: Vec<f64> = run
        .history()
        .iter()
        .map(|e| e.measure("validation", "rmse").unwrap())
        .collect();
    let best = rmse.iter().copied().fold(f64::INFINITY, f64::min);
    let found = run.model().evaluate(&data.validation).unwrap();
    assert_eq!(found.measure("rmse"), Some(best));
    assert!(best < 0.05 && found.accuracy().is_none(), "{found:?}");
    assert_eq!(found.readings.len(), 30);
    let records = metrics::read(path.join("metrics.jsonl")).unwrap();
    let epochs = records.iter().filter_map(|record| match record {
        Record::Epoch(epoch) => Some(epoch.clone()),
        Record::Step(step) => {
            assert!(step.measures["rmse"] >= 0.0 && step.accuracy.is_none());
            None
        }
    });
    assert!(epochs.eq(run.history().iter().cloned()));
    let at = rmse.iter().position(|&e| e == best).unwrap() + 1;
    let is_marked = || {
        let report = fs::read_to_string(path.join("report.html")).unwrap();
        assert!(!report.contains("accuracy") && !report.contains("images"));
        report.contains(&format!("best: at {at}."))
    };
    assert!(is_marked(), "epoch {at}");
    fs::remove_file(path.join("report.html")).unwrap();
    let loaded = zerokara_train::SavedModel::load(path.join("model.safetensors")).unwrap();
    let again = loaded.evaluate(&data.validation).unwrap();
    assert_eq!(again.measure("rmse"), Some(best));
    let text = loaded.probabilities(&[0.0, 0.0]).unwrap_err().to_string();
    assert!(text.contains("mean_squared_error"), "{text}");
    let again = trainer().resume(&path).fit(&data).unwrap();
    assert_eq!(again.losses(), run.losses());
    assert!(is_marked(), "epoch {at}");
}
