//! The trainer on small data.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};
use zerokara_core::{Array, DType, Meta};
use zerokara_data::{Augment, Dataset, Split};
use zerokara_nn::{Forward, Model, Module, Sequential, Sgd, SoftmaxCrossEntropy, TrainStep};
use zerokara_train::{
    Callback, EarlyStopping, Flow, SavedModel, Trainer,
    metrics::{self, Record, Step},
};

/// Points in the plane, of class 1 above the diagonal.
fn points(count: usize) -> Split {
    let at = |i: usize, k: usize| ((i * k) % 97) as f32 / 97.0;
    let values: Vec<f32> = (0..count).flat_map(|i| [at(i, 13), at(i, 41)]).collect();
    let labels = values.chunks(2).map(|p| i64::from(p[1] > p[0])).collect();
    Split::new(values, &[2], labels).unwrap()
}

fn data() -> Dataset {
    Dataset::new("plane", points(90), points(40), ["below", "above"]).unwrap()
}

fn trainer(model: impl Model + 'static) -> Trainer {
    Trainer::new(model, SoftmaxCrossEntropy::new())
        .optimizer(Sgd::new(0.5))
        .batch_size(8)
        .quiet()
}

#[test]
fn a_run_leaves_its_numbers_and_a_model_that_answers_alike() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let run = trainer(Sequential::new().linear(8).relu().linear(2))
        .name("small")
        .epochs(30)
        .run_folder(&path)
        .fit(&data())
        .unwrap();
    assert!(run.test_accuracy() > 0.9, "{}", run.test_accuracy());
    assert!(!run.interrupted());
    // 90 samples in batches of 8: the last has 2.
    assert_eq!((run.steps(), run.history().len()), (30 * 12, 30));
    let last = run.history().last().unwrap();
    assert_eq!(last.test_accuracy, Some(run.test_accuracy()));

    let records = metrics::read(path.join("metrics.jsonl")).unwrap();
    let losses = records.iter().filter_map(|record| match record {
        Record::Step(step) => Some(step.loss),
        Record::Epoch(_) => None,
    });
    assert_eq!(losses.collect::<Vec<_>>(), run.losses());
    assert_eq!(records.len(), 390);

    let loaded = SavedModel::load(path.join("model.safetensors")).unwrap();
    assert_eq!(loaded.card(), run.model().card());
    let x = Array::new([2, 2], &[0.1f32, 0.9, 0.7, 0.2][..]);
    let scores = loaded.predict(&x).unwrap();
    assert_eq!(scores, run.model().predict(&x).unwrap());
    let sample = loaded.probabilities(&[0.1, 0.9]).unwrap();
    assert!(sample[1] > 0.9, "{sample:?}");
    let evaluation = loaded.evaluate(&data().test).unwrap();
    assert_eq!(evaluation.accuracy(), Some(run.test_accuracy()));
}

/// Targets are shares of the two classes while training, and classes when the model is judged.
#[test]
fn mixed_samples_teach_too() {
    let images = |count| {
        let points = points(count);
        let values: Vec<f32> = (0..count).flat_map(|i| points.sample(i)).collect();
        Split::new(values, &[1, 1, 2], points.labels().to_vec()).unwrap()
    };
    let data = Dataset::new("plane", images(90), images(40), ["below", "above"]).unwrap();
    let run = trainer(Sequential::new().flatten().linear(8).relu().linear(2))
        .epochs(30)
        .augment(Augment::new(1).mixup(0.4).unwrap())
        .fit(&data)
        .unwrap();
    assert!(run.test_accuracy() > 0.9, "{}", run.test_accuracy());
    // Nobody can be sure of a mixture: the loss stays above that of classes.
    let last = run.losses().last().unwrap();
    assert!(*last > 0.1, "{last}");
}

#[test]
fn early_stopping_and_the_best_epoch() {
    // Every fifth label is wrong and the learning rate is large: the loss jumps about what it could be at best.
    let (values, mut labels): (Vec<f32>, Vec<i64>) = {
        let clean = points(90);
        let values = (0..90).flat_map(|i| clean.sample(i)).collect();
        (values, clean.labels().to_vec())
    };
    labels.iter_mut().step_by(5).for_each(|l| *l = 1 - *l);
    let train = Split::new(values, &[2], labels).unwrap();
    let noisy = Dataset::new("noisy", train, points(40), ["below", "above"]).unwrap();
    let run = trainer(Sequential::new().linear(2))
        .optimizer(Sgd::new(5.0))
        .epochs(400)
        .validation(0.3)
        .callback(EarlyStopping::new(4))
        .fit(&noisy)
        .unwrap();
    let history = run.history();
    assert!(history.len() < 400, "never stopped");
    let losses: Vec<f64> = history.iter().map(|e| e.validation_loss.unwrap()).collect();
    let best = losses.iter().copied().fold(f64::INFINITY, f64::min);
    let since = losses.iter().rev().position(|&l| l == best).unwrap();
    assert_eq!(since, 4);
    let accuracy = |e: &metrics::Epoch| e.validation_accuracy.unwrap();
    let top = history.iter().map(accuracy).fold(0.0, f64::max);
    let (_, validation) = noisy.train.validation(0.3, 0).unwrap();
    let kept = run.model().evaluate(&validation).unwrap().accuracy();
    assert_eq!(kept, Some(top));
}

struct StopAt(u64, Arc<AtomicU64>);

impl Callback for StopAt {
    fn on_step(&mut self, step: &Step, model: &dyn Module) -> Flow {
        assert_eq!(model.parameter_count().unwrap(), 6);
        self.1.store(step.step, Ordering::Relaxed);
        match step.step == self.0 {
            true => Flow::Stop,
            false => Flow::Continue,
        }
    }
}

#[test]
fn a_callback_ends_training_within_an_epoch() {
    let seen = Arc::new(AtomicU64::new(0));
    let run = trainer(Sequential::new().linear(2))
        .epochs(5)
        .callback(StopAt(15, seen.clone()))
        .fit(&data())
        .unwrap();
    assert_eq!((run.steps(), seen.load(Ordering::Relaxed)), (15, 15));
    // The epoch that was cut short is evaluated as others are.
    assert_eq!(run.history().len(), 2);
    assert!(run.test_accuracy().is_finite());
}

#[test]
fn a_step_that_is_not_finite_leaves_the_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let mut values: Vec<f32> = (0..40).map(|i| i as f32 / 40.0).collect();
    // In the order of the data, the bad number comes in the last sample.
    values[39] = f32::INFINITY;
    let split = Split::new(values, &[1], (0..40).map(|i| i % 2).collect()).unwrap();
    let bad = Dataset::new("bad", split.clone(), split.take(10), ["0", "1"]).unwrap();
    let model = Arc::new(Sequential::new().linear(2));
    let path = folder.path().join("run");
    let error = trainer(model.clone())
        .batch_size(1)
        .run_folder(&path)
        .fit(&bad)
        .unwrap_err();
    let step = error.not_finite().expect("the error of a step").clone();
    assert!(error.to_string().contains("the loss is NaN"), "{error}");
    assert_eq!(step.epoch, 1);
    assert!(step.step >= 1 && step.step <= 40);
    assert_eq!(step.origin.as_ref().map(|o| o.op.as_str()), Some("input x"));
    assert_eq!(step.saved, Some(path.join("model.safetensors")));
    let state = model.state().unwrap();
    assert!(
        state
            .iter()
            .all(|(_, a)| a.to_f64s().iter().all(|v| v.is_finite()))
    );
    let saved = SavedModel::load(path.join("model.safetensors")).unwrap();
    assert_eq!(saved.module().state().unwrap(), state);
}

#[test]
fn what_cannot_be_trained_is_an_error_in_words() {
    let message = |trainer: Trainer| trainer.fit(&data()).unwrap_err().to_string();
    let linear = || Sequential::new().linear(2);
    assert!(message(trainer(linear()).batch_size(0)).contains("batch size is 0"));
    assert!(message(trainer(linear()).epochs(0)).contains("epochs is 0"));
    assert!(message(trainer(linear()).validation(90)).contains("none left"));
    assert!(message(trainer(linear()).validation(2.0)).contains("share of 2"));
    assert!(message(trainer(linear()).optimizer(Sgd::new(f64::NAN))).contains("learning rate"));
    let text = message(trainer(Sequential::new().conv2d(4, 3).flatten().linear(2)).name("conv"));
    assert!(
        text.contains("conv does not fit the data set plane, whose samples are [2]"),
        "{text}"
    );
    let text = message(trainer(Sequential::new().linear(1)));
    assert!(text.contains("it gives 1 scores for 2 classes"), "{text}");
    // A model that was built for other samples.
    let built = Sequential::new().linear(2);
    built.build(&Meta::new([1, 5], DType::F32), 0).unwrap();
    assert!(message(trainer(built)).contains("does not fit"));
}

#[test]
fn parts_of_a_step_are_the_step_but_for_rounding() {
    let losses = |parts: usize| {
        let model = Sequential::new().linear(8).relu().linear(2);
        let run = trainer(model).accumulate(parts).epochs(3).fit(&data());
        run.unwrap().losses().to_vec()
    };
    let whole = losses(1);
    assert_eq!(whole.len(), 36);
    for parts in [2, 3, 100] {
        let found = losses(parts);
        assert_eq!(found.len(), 36);
        for (step, (a, b)) in whole.iter().zip(&found).enumerate() {
            assert!(
                (a - b).abs() < 1e-4 * a,
                "{parts} parts, step {step}: {a}, {b}"
            );
        }
    }
    // No part has fewer samples than the model takes: the last batch has 2.
    let model = Sequential::new().linear(8).batch_norm1d().relu().linear(2);
    let run = trainer(model).accumulate(8).fit(&data()).unwrap();
    assert_eq!(run.steps(), 36);
    let none = trainer(Sequential::new().linear(2))
        .accumulate(0)
        .fit(&data());
    let said = none.map(drop).unwrap_err().to_string();
    assert!(said.contains("in 0 parts"), "{said}");
}

/// Takes the gradients of biases away, and counts steps; at one of them it fails.
struct WithoutBiases {
    seen: Arc<AtomicU64>,
    fails_at: u64,
}

impl Callback for WithoutBiases {
    fn wants_gradients(&self) -> bool {
        true
    }

    fn on_gradients(&mut self, step: &TrainStep) -> zerokara_train::Result<()> {
        if self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.fails_at {
            return Err(zerokara_train::Error::new("the other machine is gone"));
        }
        for (path, gradient) in step.gradients() {
            if path.ends_with(".bias") {
                gradient.set_array(Array::zeros(gradient.meta()))?;
            }
        }
        Ok(())
    }
}

#[test]
fn between_the_halves_gradients_can_be_changed() {
    let run = |fails_at| {
        let seen = Arc::new(AtomicU64::new(0));
        let callback = WithoutBiases {
            seen: seen.clone(),
            fails_at,
        };
        let model = Arc::new(Sequential::new().linear(8).relu().linear(2));
        let sample = Meta::new([1, 2], DType::F32);
        model.build(&sample, 0).unwrap();
        let before = model.state().unwrap();
        let run = trainer(model.clone())
            .callback(callback)
            .epochs(2)
            .fit(&data());
        let after = model.state().unwrap();
        let moved = before
            .iter()
            .zip(&after)
            .map(|(a, b)| (a.0.clone(), a != b));
        (run, seen.load(Ordering::Relaxed), moved.collect::<Vec<_>>())
    };
    let (done, seen, moved) = run(0);
    assert_eq!((done.unwrap().steps(), seen), (24, 24));
    for (path, moved) in moved {
        assert_eq!(moved, path.ends_with(".weight"), "{path}");
    }
    let (failed, seen, _) = run(5);
    assert_eq!(seen, 5);
    let said = failed.map(drop).unwrap_err().to_string();
    assert!(said.contains("the other machine is gone"), "{said}");
}
