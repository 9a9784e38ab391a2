//! What suits data, where a recipe says nothing.

use super::{LayerDescription, Recipe};
use crate::{
    description::{ModelDescription, Pace, RunDescription, Setup},
    error::{Error, Result},
};
use serde_json::{Map, Value, json};
use zerokara_core::DType;
use zerokara_data::{Augment, Dataset};
use zerokara_nn::{Clipping, models};

/// A run on these data, whose model is the one that the recipe names, if it does.
pub(super) fn suggested(data: &Dataset, recipe: &Recipe) -> Result<RunDescription> {
    let named = recipe.get("model.name").and_then(Value::as_str);
    let has_layers = recipe.says("model.layers");
    let text = data.running_text();
    let usual = match text {
        Some(_) if !has_layers => "gpt",
        _ => RunDescription::OF_LAYERS,
    };
    let name = named.filter(|_| !has_layers).unwrap_or(usual);
    let mut run = RunDescription::new(name, data.name.clone());
    run.task = loss(data, recipe)?;
    match name {
        _ if text.is_some() => of_language(&mut run, data),
        RunDescription::OF_LAYERS => of_layers(&mut run, data),
        name => ready_made(&mut run, name),
    }
    // Who names the loss has said how: a recipe of before does the same again.
    if recipe.says("loss.name") {
        run.task.settings.remove("label_smoothing");
    }
    if !recipe.says("augment") {
        let seed = recipe.get("seed").and_then(Value::as_u64).unwrap_or(0);
        run.augment = changes(data.shape(), seed);
    }
    // An optimizer of the user's choice has a rate of its own.
    if let Some(optimizer) = recipe.get("optimizer.name").and_then(Value::as_str)
        && optimizer != run.optimizer.name
    {
        run.optimizer = Setup::new(optimizer, [("learning_rate", usual_rate(optimizer))]);
    }
    Ok(run)
}

/// A learning rate to begin with.
fn usual_rate(optimizer: &str) -> f64 {
    match optimizer {
        "sgd" => 0.1,
        "momentum" | "nesterov" => 0.01,
        "adagrad" => 0.01,
        "lion" => 2e-4,
        _ => 1e-3,
    }
}

/// What suits a ready-made model: the rate of Adam, and epochs.
fn ready_made(run: &mut RunDescription, name: &str) {
    let (rate, epochs) = match name {
        "two-layer-net" => (5e-3, 15),
        "multi-layer-net" => (2e-3, 10),
        "simple-convnet" => (3e-3, 4),
        "deep-convnet" => (3e-3, 12),
        "lenet5" => (3e-3, 8),
        _ => (3e-3, 5),
    };
    run.optimizer = Setup::new("adam", [("learning_rate", rate)]);
    run.epochs = epochs;
    run.schedule = Pace::OneCycle;
}

/// The loss that goes with the target; for numbers, whichever is chosen, with their mean and deviation.
fn loss(data: &Dataset, recipe: &Recipe) -> Result<Setup> {
    if data.running_text().is_some() {
        return Ok(Setup::new("token_cross_entropy", []));
    }
    let targets = data.train.target_ports();
    let is_number = targets.len() == 1 && targets[0].dtype == DType::F32 && data.classes() == 0;
    if !is_number {
        return Ok(Setup::new("softmax_cross_entropy", []));
    }
    let values = data.train.column(&targets[0].name)?.to_f64s();
    let count = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    let std = match variance.sqrt() {
        std if std > 1e-6 * mean.abs().max(1e-30) => std,
        _ => 1.0,
    };
    let name = recipe.get("loss.name").and_then(Value::as_str);
    let name = name.filter(|name| ["mean_absolute_error", "huber"].contains(name));
    let name = name.unwrap_or("mean_squared_error");
    Ok(Setup::new(name, [("mean", mean), ("std", std)]))
}

fn of_layers(run: &mut RunDescription, data: &Dataset) {
    let samples = data.train.len();
    let layers = match data.shape() {
        &[channels, height, width] => {
            let (layers, work) = convolutions(channels, height, width);
            pictures(run, samples, work, channels > 1);
            layers
        }
        _ => {
            rows(run, samples);
            fully_connected(samples)
        }
    };
    run.model = ModelDescription {
        name: RunDescription::OF_LAYERS.into(),
        layers,
        ..ModelDescription::default()
    };
}

/// Windows from which on a text is learned by a network of the usual size; a smaller one does as well on fewer, and is soon done.
const MANY_WINDOWS: usize = 2_000;
/// Steps of a training on a text, unless one epoch has more.
const STEPS_ON_A_TEXT: usize = 2_000;
/// Windows of the evaluation on what is trained on.
const WINDOWS_LOOKED_AT: usize = 500;

/// For running text, after the small settings of nanoGPT.
fn of_language(run: &mut RunDescription, data: &Dataset) {
    let windows = data.train.len();
    let is_small = windows < MANY_WINDOWS;
    let is_gpt = run.model.name == "gpt";
    if models::OF_LANGUAGE.contains(&run.model.name.as_str()) {
        run.model.depth = Some(if is_small || !is_gpt { 2 } else { 4 });
        run.model.heads = is_gpt.then_some(4);
        run.model.width = Some(if is_small { 64 } else { 128 });
        // Of a small text all is soon known by heart.
        run.model.dropout = Some(if is_small { 0.1 } else { 0.0 });
    }
    run.data.context = data.shape().first().copied();
    run.batch_size = if is_gpt { 12 } else { 32 };
    let steps = windows.div_ceil(run.batch_size).max(1);
    let epochs = (STEPS_ON_A_TEXT as f64 / steps as f64).round();
    run.epochs = epochs.clamp(1.0, 100.0) as u64;
    let settings = [
        ("learning_rate", if is_gpt { 1e-3 } else { 2e-3 }),
        ("beta2", 0.99),
        ("weight_decay", if is_gpt { 0.1 } else { 0.01 }),
    ];
    run.optimizer = Setup::new("adamw", settings);
    run.clipping = Clipping::Norm(1.0);
    run.schedule = Pace::WarmUp;
    run.train_sample = WINDOWS_LOOKED_AT;
}

fn layer(kind: &str, settings: Value) -> LayerDescription {
    LayerDescription {
        layer: kind.into(),
        settings: match settings {
            Value::Object(settings) => settings,
            _ => Map::new(),
        },
    }
}

fn plain(kind: &str) -> LayerDescription {
    layer(kind, Value::Null)
}

/// For rows of numbers: two hidden layers.
fn fully_connected(samples: usize) -> Vec<LayerDescription> {
    let neurons = if samples < 10_000 { 64 } else { 256 };
    let mut layers = vec![plain("flatten")];
    for _ in 0..2 {
        layers.push(layer("linear", json!({"outputs": neurons})));
        layers.push(plain("relu"));
        layers.push(layer("dropout", json!({"ratio": 0.1})));
    }
    layers.push(plain("linear"));
    layers
}

fn rows(run: &mut RunDescription, samples: usize) {
    run.batch_size = (samples / 20).clamp(8, 256);
    // So many steps, however many rows there are.
    let steps = samples.div_ceil(run.batch_size).max(1);
    run.epochs = (2_000 / steps).clamp(10, 100) as u64;
    // Strong where there are few rows, which are soon known by heart.
    let decay = if samples < 1_000 { 1.0 } else { 0.1 };
    run.optimizer = Setup::new("adamw", [("learning_rate", 3e-3), ("weight_decay", decay)]);
    run.schedule = Pace::OneCycle;
}

/// Weights of classes that count alike then, however many samples each has: `N / (C n[c])` for `n[c]` of `N` samples in
/// class `c` of `C`. The mean weight of a sample is 1; a class without samples has no weight.
pub(super) fn balanced(data: &Dataset) -> Result<Vec<f64>> {
    let counts = data.train.class_counts(data.classes());
    let present = counts.iter().filter(|&&count| count > 0).count();
    if present == 0 {
        return Err(Error::new(
            "class_weights: the data have no classes that could be balanced",
        ));
    }
    let samples: usize = counts.iter().sum();
    let weight = |&count: &usize| match count {
        0 => 0.0,
        count => samples as f64 / (present as f64 * count as f64),
    };
    Ok(counts.iter().map(weight).collect())
}

/// For pictures: pairs of convolutions 3x3 with batch normalization, each pair followed by a pooling, as long as there is room; and
/// the multiplications that one picture takes.
fn convolutions(channels: usize, height: usize, width: usize) -> (Vec<LayerDescription>, f64) {
    let mut layers = Vec::new();
    let mut work = 0.0;
    let (mut height, mut width, mut from) = (height, width, channels);
    // Four times the pixels at half the filters are as much work.
    let first = if height.min(width) > 40 { 16 } else { 32 };
    for stage in 0..4 {
        let filters = first << stage;
        if stage > 0 && height.min(width) < 6 {
            break;
        }
        if stage > 0 {
            layers.push(layer("max_pool2d", json!({"kernel": 2})));
            (height, width) = (height / 2, width / 2);
        }
        for _ in 0..2 {
            layers.push(layer(
                "conv2d",
                json!({"filters": filters, "kernel": 3, "padding": 1, "bias": false}),
            ));
            layers.push(plain("batch_norm2d"));
            layers.push(plain("relu"));
            work += (9 * from * filters * height * width) as f64;
            from = filters;
        }
    }
    layers.push(plain("global_avg_pool2d"));
    layers.push(layer("dropout", json!({"ratio": 0.2})));
    layers.push(plain("linear"));
    (layers, work)
}

/// Multiplications of all forward passes of a training that takes about half an hour on two cores, which colour is worth, and of one
/// that takes a quarter of that.
const WORK: (f64, f64) = (5.4e13, 1.4e13);
/// From so many steps on, pictures are learned by momentum.
const MANY_STEPS: usize = 4_000;

fn pictures(run: &mut RunDescription, samples: usize, work: f64, is_colour: bool) {
    run.batch_size = (samples / 20).clamp(8, 128);
    let most = if is_colour { WORK.0 } else { WORK.1 };
    let epochs = most / (work * samples.max(1) as f64);
    run.epochs = epochs.clamp(4.0, 60.0) as u64;
    run.schedule = Pace::OneCycle;
    // Momentum ends at better networks where there are many steps to take; Adam gets further in few, at whatever rate.
    let steps = run.epochs as usize * samples / run.batch_size;
    if run.task.name == "softmax_cross_entropy" && steps >= MANY_STEPS {
        run.task = Setup::new("softmax_cross_entropy", [("label_smoothing", 0.1)]);
        let settings = [
            ("learning_rate", 0.1),
            ("momentum", 0.9),
            ("weight_decay", 5e-4),
        ];
        run.optimizer = Setup::new("nesterov", settings);
    } else {
        let settings = [("learning_rate", 3e-3), ("weight_decay", 0.05)];
        run.optimizer = Setup::new("adamw", settings);
    }
}

/// Photographs are mirrored and shifted. Of grey pictures, which are often signs with a left and a right, nothing is known.
fn changes(shape: &[usize], seed: u64) -> Option<Augment> {
    let augment = Augment::new(seed);
    match shape {
        [3, ..] => augment.flip().shift_by(0.125).ok(),
        _ => None,
    }
}
