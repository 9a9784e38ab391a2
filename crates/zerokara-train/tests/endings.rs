//! However a run ends, it leaves what it had; and last batches that are too small join others.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};
use zerokara_core::{Array, Tensor};
use zerokara_data::{Dataset, Split};
use zerokara_nn::{
    Adam, AdamW, Model, Module, Optimizer, Schedule, Sequential, Sgd, SoftmaxCrossEntropy,
};
use zerokara_train::{
    Callback, EarlyStopping, Flow, SavedModel, Trainer,
    metrics::{self, Epoch, Record, Step},
};

fn points(count: usize) -> Split {
    let at = |i: usize, k: usize| ((i * k) % 97) as f32 / 97.0;
    let values: Vec<f32> = (0..count).flat_map(|i| [at(i, 13), at(i, 41)]).collect();
    let labels = values.chunks(2).map(|p| i64::from(p[1] > p[0])).collect();
    Split::new(values, &[2], labels).unwrap()
}

fn data(count: usize) -> Dataset {
    Dataset::new("plane", points(count), points(40), ["below", "above"]).unwrap()
}

fn normalized() -> Sequential {
    Sequential::new().linear(8).batch_norm1d().relu().linear(2)
}

fn trainer(model: impl Model + 'static) -> Trainer {
    Trainer::new(model, SoftmaxCrossEntropy::new())
        .optimizer(Sgd::new(0.1))
        .quiet()
}

fn run_json(folder: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(folder.join("run.json")).unwrap()).unwrap()
}

fn is_finite(model: &dyn Module) -> bool {
    let state = model.state().unwrap();
    state
        .iter()
        .all(|(_, v)| v.to_f64s().iter().all(|v| v.is_finite()))
}

/// The folder holds a model that answers, metrics that can be read, a report, and this status.
fn left(folder: &Path, status: &str) -> (SavedModel, Vec<Record>, String) {
    let model = SavedModel::load(folder.join("model.safetensors")).unwrap();
    assert!(is_finite(&**model.module()));
    assert_eq!(model.probabilities(&[0.1, 0.9]).unwrap().len(), 2);
    let records = metrics::read(folder.join("metrics.jsonl")).unwrap();
    let report = fs::read_to_string(folder.join("report.html")).unwrap();
    assert_eq!(run_json(folder)["status"], status);
    (model, records, report)
}

#[test]
fn a_last_batch_of_one_joins_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    for (samples, steps, last) in [
        (101, 1, Some(101)),
        (201, 2, Some(101)),
        (102, 2, None),
        (2, 1, None),
    ] {
        let path = folder.path().join(samples.to_string());
        let run = trainer(normalized())
            .epochs(2)
            .run_folder(&path)
            .fit(&data(samples))
            .unwrap();
        assert_eq!(run.steps(), 2 * steps, "{samples}");
        left(&path, "complete");
        let told = &run_json(&path)["settings"]["last_batch"];
        match last {
            Some(last) => assert!(
                told.as_str().unwrap().starts_with(&last.to_string()),
                "{told}"
            ),
            None => assert!(told.is_null(), "{told}"),
        }
    }
    // A model that takes one sample alone takes it alone.
    let run = trainer(Sequential::new().linear(2))
        .epochs(1)
        .fit(&data(101))
        .unwrap();
    assert_eq!(run.steps(), 2);
}

#[test]
fn too_few_samples_are_refused_before_the_first_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let error = |trainer: Trainer, samples| {
        let error = trainer.run_folder(&path).fit(&data(samples)).unwrap_err();
        assert!(!path.exists());
        error.to_string()
    };
    let text = error(trainer(normalized()), 1);
    assert!(
        text.starts_with("there is 1 sample to train on, but the model takes at least 2"),
        "{text}"
    );
    assert!(text.contains("batch_norm1"), "{text}");
    let text = error(trainer(normalized()).batch_size(1), 10);
    assert!(text.starts_with("a batch of 1 is too small"), "{text}");
    trainer(Sequential::new().linear(2))
        .epochs(1)
        .fit(&data(1))
        .unwrap();
}

#[test]
fn a_step_that_is_not_finite_leaves_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let mut values: Vec<f32> = (0..60).map(|i| i as f32 / 60.0).collect();
    values[41] = f32::INFINITY;
    let split = Split::new(values, &[2], (0..30).map(|i| i % 2).collect()).unwrap();
    let bad = Dataset::new("bad", split.clone(), points(10), ["0", "1"]).unwrap();
    let path = folder.path().join("run");
    let model = Arc::new(normalized());
    let run = trainer(model.clone())
        .batch_size(4)
        .seed(3)
        .run_folder(&path)
        .fit(&bad);
    let error = run.unwrap_err();
    assert!(error.not_finite().is_some());
    let (saved, records, report) = left(&path, "failed");
    assert_eq!(saved.module().state().unwrap(), model.state().unwrap());
    assert!(!records.is_empty());
    assert!(report.contains("Ended early, at step"), "no notice");
    let told = run_json(&path);
    assert!(
        told["error"].as_str().unwrap().contains("the loss is NaN"),
        "{told}"
    );
    assert_eq!(told["steps"], error.not_finite().unwrap().step);
}

#[test]
fn one_step_that_would_store_what_is_not_finite_stores_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let model = Arc::new(Sequential::new().linear(8).relu().linear(2));
    let error = trainer(model.clone())
        .optimizer(Sgd::new(3e38).weight_decay(10.0))
        .epochs(1)
        .run_folder(&path)
        .fit(&data(50))
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the update is not finite at step 1"),
        "{error}"
    );
    assert!(is_finite(&*model));
    left(&path, "failed");

    let message = |trainer: Trainer| {
        let path = folder.path().join("none");
        let error = trainer.run_folder(&path).fit(&data(50)).unwrap_err();
        assert!(!path.exists(), "{error}");
        error.to_string()
    };
    let linear = || trainer(Sequential::new().linear(2));
    assert!(message(linear().optimizer(Adam::new(0.1).eps(0.0))).contains("adam has the eps 0;"));
    assert!(message(linear().optimizer(Adam::new(0.1).betas(0.9, 1.0))).contains("the beta2 1;"));
    assert!(
        message(linear().optimizer(Sgd::new(f64::INFINITY))).contains("the learning rate inf;")
    );
    assert!(message(linear().clip_norm(0.0)).contains("norm of 0"));
    assert!(message(linear().l2_penalty(f64::NAN)).contains("the L2 penalty is NaN"));
    let stop = EarlyStopping::new(2).min_delta(f64::NAN);
    assert!(message(linear().callback(stop)).contains("the least difference NaN"));
    let infinite = Schedule::Step {
        every: 1,
        gamma: f64::INFINITY,
    };
    assert!(message(linear().schedule(infinite)).contains("the schedule's gamma is inf"));
}

/// A schedule cannot see it coming: an optimizer whose rate is not the schedule's.
struct Sudden;

impl Optimizer for Sudden {
    fn name(&self) -> &'static str {
        "sudden"
    }
    fn learning_rate(&self) -> f64 {
        0.1
    }
    fn state(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }
    fn scalars(&self, update: u64, rate: f64) -> zerokara_nn::Scalars {
        [if update == 3 { f64::INFINITY } else { rate }].into()
    }
    fn update(&self, p: &Tensor, g: &Tensor, _: &[Tensor], s: &[Tensor]) -> (Tensor, Vec<Tensor>) {
        (p - &s[0] * g, Vec::new())
    }
}

#[test]
fn any_other_error_leaves_a_run_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let run = trainer(Sequential::new().linear(2))
        .optimizer(Sudden)
        .batch_size(10)
        .run_folder(&path);
    let error = run.fit(&data(50)).unwrap_err().to_string();
    assert!(
        error.contains("the optimizer sudden cannot work with its settings"),
        "{error}"
    );
    let (_, records, _) = left(&path, "failed");
    assert_eq!(records.len(), 2);
}

/// Does what it is told at a step.
struct At(u64, fn(&Path), std::path::PathBuf);

impl Callback for At {
    fn on_step(&mut self, step: &Step, _: &dyn Module) -> Flow {
        if step.step == self.0 {
            (self.1)(&self.2);
            return Flow::Stop;
        }
        Flow::Continue
    }
}

#[test]
fn a_callback_that_panics_leaves_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let trainer = trainer(normalized())
        .batch_size(10)
        .callback(At(3, |_| panic!("by the callback"), path.clone()))
        .run_folder(&path);
    let panic = catch_unwind(AssertUnwindSafe(|| trainer.fit(&data(50)))).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"by the callback"));
    let (_, records, report) = left(&path, "failed");
    assert_eq!(records.len(), 3);
    assert!(report.contains("a callback panicked: by the callback"));
}

#[test]
fn a_callback_that_stops_leaves_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    trainer(normalized())
        .batch_size(10)
        .callback(At(3, |_| {}, path.clone()))
        .run_folder(&path)
        .fit(&data(50))
        .unwrap();
    let (_, _, report) = left(&path, "stopped");
    assert!(report.contains("Ended by a callback after step 3."));
}

#[test]
fn a_model_that_cannot_be_written_leaves_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    // A folder in the file's place is as good as a full disk, also for root.
    let block = |path: &Path| {
        fs::create_dir(path.join("model.safetensors")).unwrap();
        fs::write(path.join("model.safetensors/kept"), "").unwrap();
    };
    let error = trainer(normalized())
        .batch_size(10)
        .callback(At(3, block, path.clone()))
        .run_folder(&path)
        .fit(&data(50))
        .unwrap_err()
        .to_string();
    assert!(error.contains("model.safetensors"), "{error}");
    assert_eq!(run_json(&path)["status"], "failed");
    assert!(
        fs::read_to_string(path.join("report.html"))
            .unwrap()
            .contains("Ended early")
    );
    // Training went on: three steps and the end of the epoch, and a checkpoint of them.
    assert_eq!(metrics::read(path.join("metrics.jsonl")).unwrap().len(), 4);
    let stray = fs::read_dir(&path).unwrap().map(|e| e.unwrap().file_name());
    assert_eq!(stray.count(), 7);
}

#[test]
fn scores_that_are_nan_are_said() {
    let model = Sequential::new().linear(2);
    let run = trainer(model).epochs(1).fit(&data(50)).unwrap();
    let model = run.model().clone();
    let parameters = model.module().named_parameters().unwrap();
    let bias = &parameters
        .iter()
        .find(|(path, _)| path == "linear1.bias")
        .unwrap()
        .1;
    bias.set_array(Array::new([2], &[0.0f32, f32::NAN][..]))
        .unwrap();
    let text = model.evaluate(&points(40)).unwrap_err().to_string();
    assert!(
        text.contains("40 of 40 samples have no answer: scores of theirs are NaN"),
        "{text}"
    );
    assert!(
        text.contains("1 of 2 numbers of linear1.bias are not finite"),
        "{text}"
    );
    let text = model.probabilities(&[0.1, 0.9]).unwrap_err().to_string();
    assert!(
        text.contains("the model has no answer") && text.contains("linear1.bias"),
        "{text}"
    );
}

#[test]
fn a_forgotten_flatten_is_found_before_the_first_step() {
    let images = Split::new(vec![0u8; 20 * 64], &[1, 8, 8], vec![0; 20]).unwrap();
    let data = Dataset::new("images", images.clone(), images, ["0", "1"]).unwrap();
    let model = Sequential::new().conv2d(4, 3).relu().linear(2);
    let text = trainer(model)
        .batch_size(10)
        .fit(&data)
        .unwrap_err()
        .to_string();
    assert!(
        text.contains("f32[10, 4, 6, 2], made by layer linear1"),
        "{text}"
    );
    assert!(text.contains(".flatten()"), "{text}");
    assert!(!text.contains(" at "), "{text}");
}

#[test]
fn the_report_says_how_the_run_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let loss = SoftmaxCrossEntropy::new().label_smoothing(0.1);
    Trainer::new(normalized(), loss)
        .optimizer(AdamW::new(0.01).weight_decay(0.05))
        .schedule_over(Schedule::one_cycle)
        .clip_norm(2.0)
        .validation(10)
        .train_sample(30)
        .batch_size(20)
        .quiet()
        .run_folder(&path)
        .fit(&data(90))
        .unwrap();
    let (_, records, report) = left(&path, "complete");
    let settings = &run_json(&path)["settings"];
    for (name, value) in [
        ("optimizer", "adamw"),
        ("weight_decay", "0.05"),
        ("beta2", "0.999"),
        ("label_smoothing", "0.1"),
        (
            "schedule",
            "one cycle of 12 steps: from 0.04 to 1 in 30 %, then to 0.000004",
        ),
        ("gradient_norm_at_most", "2"),
        ("validation", "10 of 90 training samples"),
        ("training_accuracy", "measured on 30 of 80 samples"),
    ] {
        assert_eq!(settings[name], value, "{name} in {settings}");
        assert!(report.contains(value), "{name}");
    }
    assert!(report.contains("samples per second") && report.contains("FLOPs per sample"));
    assert!(!report.contains("images") && !report.contains("OneCycle"));
    let epochs = records.iter().filter_map(|r| match r {
        Record::Epoch(epoch) => Some(epoch),
        Record::Step(_) => None,
    });
    assert_eq!(
        epochs.map(|e: &Epoch| e.epoch).collect::<Vec<_>>(),
        [1, 2, 3]
    );
}
