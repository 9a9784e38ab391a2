//! What suits data, where a recipe says nothing.

use super::{LayerDescription, Recipe};
use crate::{
    description::{ModelDescription, Pace, RunDescription, Setup},
    error::Result,
};
use serde_json::{Map, Value, json};
use zerokara_core::DType;
use zerokara_data::Dataset;

/// A run on these data, whose model is the one that the recipe names, if it does.
pub(super) fn suggested(data: &Dataset, recipe: &Recipe) -> Result<RunDescription> {
    let named = recipe.get("model.name").and_then(Value::as_str);
    let has_layers = recipe.says("model.layers");
    let name = named
        .filter(|_| !has_layers)
        .unwrap_or(RunDescription::OF_LAYERS);
    let mut run = RunDescription::new(name, data.name.clone());
    run.task = loss(data)?;
    match name {
        RunDescription::OF_LAYERS => of_layers(&mut run, data),
        name => ready_made(&mut run, name),
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

/// The loss that goes with the target; for numbers, with their mean and deviation.
fn loss(data: &Dataset) -> Result<Setup> {
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
    Ok(Setup::new(
        "mean_squared_error",
        [("mean", mean), ("std", std)],
    ))
}

fn of_layers(run: &mut RunDescription, data: &Dataset) {
    let samples = data.train.len();
    let layers = match data.shape() {
        &[_, height, width] => {
            pictures(run, samples);
            convolutions(height.min(width))
        }
        _ => {
            rows(run, samples);
            fully_connected(samples)
        }
    };
    run.model = ModelDescription {
        name: RunDescription::OF_LAYERS.into(),
        own: false,
        layers,
    };
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

/// For pictures: pairs of convolutions 3x3 with batch normalization, each pair followed by a pooling, as long as there is room.
fn convolutions(side: usize) -> Vec<LayerDescription> {
    let mut layers = Vec::new();
    let mut side = side;
    // Four times the pixels at half the filters are as much work.
    let first = if side > 40 { 16 } else { 32 };
    for stage in 0..4 {
        let filters = first << stage;
        if stage > 0 && side < 6 {
            break;
        }
        if stage > 0 {
            layers.push(layer("max_pool2d", json!({"kernel": 2})));
            side /= 2;
        }
        for _ in 0..2 {
            layers.push(layer(
                "conv2d",
                json!({"filters": filters, "kernel": 3, "padding": 1, "bias": false}),
            ));
            layers.push(plain("batch_norm2d"));
            layers.push(plain("relu"));
        }
    }
    layers.push(plain("global_avg_pool2d"));
    layers.push(layer("dropout", json!({"ratio": 0.2})));
    layers.push(plain("linear"));
    layers
}

fn pictures(run: &mut RunDescription, samples: usize) {
    run.batch_size = (samples / 20).clamp(8, 128);
    let steps = samples.div_ceil(run.batch_size).max(1);
    run.epochs = (4_000 / steps).clamp(8, 60) as u64;
    run.optimizer = Setup::new("adamw", [("learning_rate", 3e-3), ("weight_decay", 0.05)]);
    run.schedule = Pace::OneCycle;
}
