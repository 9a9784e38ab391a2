//! Options that several commands share.

use crate::output::{Failure, Outcome};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use zerokara_core::{Arithmetic, DType, Meta, Runtime};
use zerokara_data::Normalization;
use zerokara_nn::{Forward, models};
use zerokara_train::{ModelInfo, SavedModel, run_folder::RunFolder};

/// The folder of training runs, in the folder where the command is run.
pub const RUNS: &str = "runs";

/// Reads a number from 1 on.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("it must be at least 1".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("it must be a whole number from 1 on".into()),
    }
}

/// Reads a finite number from 0 on.
pub fn non_negative(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number >= 0.0 => Ok(number),
        _ => Err("it must be a number from 0 on".into()),
    }
}

/// Reads a finite number above 0.
pub fn positive(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number),
        _ => Err("it must be a number above 0".into()),
    }
}

/// Reads how convolutions are to multiply and sum.
pub fn precision(text: &str) -> Result<Arithmetic, String> {
    let named = Arithmetic::ALL.into_iter().find(|a| a.name() == text);
    named.ok_or_else(|| {
        let names = Arithmetic::ALL.map(Arithmetic::name);
        format!("known precisions are {}", names.join(", "))
    })
}

/// Reads a model's name.
pub fn model_name(text: &str) -> Result<String, String> {
    match models::NAMES.contains(&text) {
        true => Ok(text.to_string()),
        false => Err(format!("known models are {}", models::NAMES.join(", "))),
    }
}

/// Takes so many threads from here on; one per core unless given.
pub fn use_threads(threads: Option<usize>) -> Outcome {
    if let Some(threads) = threads {
        Runtime::new(threads)?.install();
    }
    // Finds a wrong environment variable before anything else is done.
    Runtime::current()?;
    Ok(())
}

/// Lets convolutions multiply and sum this way from here on.
pub fn use_precision(arithmetic: Arithmetic) -> Outcome {
    let runtime = Runtime::current()?;
    if runtime.arithmetic() != arithmetic {
        let runtime = Runtime::new(runtime.threads())?;
        runtime.precision(arithmetic)?.install();
    }
    Ok(())
}

/// The model in this file, or of this run: a run's folder or `runs/latest`.
pub fn load_model(path: &Path) -> Outcome<SavedModel> {
    Ok(SavedModel::load(model_file(path)?)?)
}

// A model to look at: a ready-made one, or the one in a file or run. (A doc comment would become the command's own.)
#[derive(Args)]
pub struct Model {
    /// two-layer-net, multi-layer-net, simple-convnet, deep-convnet, lenet5, resnet20; a model's file; or a run's folder
    model: String,
    /// For a model by name: the shape of one sample
    #[arg(long, value_name = "SIZES", default_value = "1,28,28", value_delimiter = ',', value_parser = at_least_one)]
    input: Vec<usize>,
    /// For a model by name: the number of classes
    #[arg(long, value_name = "N", default_value = "10", value_parser = at_least_one)]
    classes: usize,
}

impl Model {
    /// The model; a ready-made one is built for samples of the shape and so many classes.
    pub fn load(&self) -> Outcome<SavedModel> {
        let name = &self.model;
        if let Some(module) = models::by_name(name, self.classes) {
            return built(name, module, &self.input, self.classes);
        }
        let path = Path::new(name);
        if !path.exists() && !name.contains(['/', '.']) {
            return Err(Failure::new(format!(
                "there is no model {name:?}: known are {}, or name a model's file",
                models::NAMES.join(", ")
            )));
        }
        load_model(path)
    }
}

/// A model by name, built for samples of this shape.
fn built(
    name: &str,
    module: Box<dyn Forward>,
    shape: &[usize],
    classes: usize,
) -> Outcome<SavedModel> {
    let module: Arc<dyn Forward> = Arc::from(module);
    let sample = Meta::new([&[1], shape].concat(), DType::F32);
    module.build(&sample, 0).map_err(|e| {
        let text = e.to_string();
        let why = text.lines().next().unwrap_or_default();
        Failure::new(format!(
            "{name} does not fit samples of shape {shape:?}: {why}"
        ))
    })?;
    Ok(SavedModel::new(
        module,
        ModelInfo {
            name: name.into(),
            dataset: String::new(),
            shape: shape.to_vec(),
            class_names: (0..classes).map(|c| c.to_string()).collect(),
            normalization: Normalization::none(),
        },
    ))
}

fn model_file(path: &Path) -> Outcome<PathBuf> {
    if path.is_dir() {
        let file = path.join("model.safetensors");
        return match file.is_file() {
            true => Ok(file),
            false => Err(Failure::new(format!(
                "{} holds no model.safetensors; name a model's file or the folder of a run",
                path.display()
            ))),
        };
    }
    // `runs/latest` is a file that names a run.
    if path.file_name().is_some_and(|name| name == "latest") {
        let base = path.parent().unwrap_or(Path::new(""));
        let run = RunFolder::open(base, "latest").map_err(|e| Failure::new(e.to_string()))?;
        return Ok(run.model());
    }
    if !path.exists() {
        return Err(Failure::new(format!(
            "there is no model {}; `zerokara train` makes one",
            path.display()
        )));
    }
    Ok(path.to_path_buf())
}
