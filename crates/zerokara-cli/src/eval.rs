//! `zerokara eval`

use crate::{
    options,
    output::{self, Failure, Outcome},
};
use clap::Args;
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};
use zerokara_core::Arithmetic;
use zerokara_data::Dataset;
use zerokara_kernels::threads::MOST_THREADS;
use zerokara_train::{
    Evaluation, SavedModel,
    language::Words,
    report::{
        numbers::thousands,
        terminal::{Align, line},
    },
};

/// Evaluate a model on the test set of a data set: loss, accuracy, and how it does for each class.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// A model's file, or the folder of a run
    model: PathBuf,
    /// mnist, fashion-mnist or a folder with IDX files [default: what the model was trained on; a run's folder says where
    /// that was, a model's file only its name]
    dataset: Option<OsString>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// How convolutions multiply and sum: f32; direct, by direct sums alone, so that exact zeros stay exact; or bf16, which
    /// needs a CPU with AVX512-BF16
    #[arg(long, value_name = "NAME", default_value = "f32", value_parser = options::precision)]
    precision: Arithmetic,
    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = options::count::<MOST_THREADS>)]
    threads: Option<usize>,
}

const EXAMPLES: &str = "\
Examples:
  zerokara eval runs/latest
  zerokara eval digits.safetensors fashion-mnist
  zerokara eval runs/latest --json";

/// The data set that a model was trained on: that of the folder which its run names, or the one of its name.
fn trained_on(path: &Path, model: &SavedModel) -> Outcome<Dataset> {
    let name = &model.card().dataset;
    let known = ["mnist", "fashion-mnist"].contains(&name.as_str());
    let asked = |why: String| {
        Failure::new(format!(
            "{why}; name the folder: zerokara eval {} FOLDER",
            path.display()
        ))
    };
    let settings = options::model_file(path)?.with_file_name("run.json");
    let settings = fs::read(settings).ok();
    let settings = settings.and_then(|text| serde_json::from_slice::<Value>(&text).ok());
    let folder = settings.as_ref().and_then(|run| run["data"].as_str());
    match folder {
        Some(folder) if Path::new(folder).is_dir() => {
            let mut data = Dataset::from_idx_folder(folder)?;
            // The files name no classes.
            if model.card().class_names.len() == data.classes() {
                data.class_names.clone_from(&model.card().class_names);
            }
            Ok(data)
        }
        Some(folder) => Err(asked(format!(
            "the data set {name} is no longer where the model was trained on it, in {folder}"
        ))),
        _ if known || Path::new(name).is_dir() => Ok(Dataset::by_name(name)?),
        _ if name.is_empty() => Err(asked(
            "the model does not say what it was trained on".into(),
        )),
        _ => Err(asked(format!(
            "the model was trained on the data set {name:?}, which is not known by this name"
        ))),
    }
}

/// What there is to say of a model that does not tell classes.
fn tell_measures(
    options: &Options,
    model: &SavedModel,
    data: &Dataset,
    found: &Evaluation,
) -> Outcome {
    let name = &model.card().name;
    if options.json {
        let measures = found
            .measures
            .iter()
            .map(|m| (m.name.to_string(), m.value.into()));
        return output::print(
            &json!({
                "model": name,
                "dataset": data.name,
                "samples": found.samples,
                "loss": found.loss,
                "measures": Value::Object(measures.collect()),
            })
            .to_string(),
        );
    }
    let told = found
        .measures
        .iter()
        .map(|m| format!(", {} {:.4}", m.name.replace('_', " "), m.value));
    output::print(&format!(
        "{} on {}: {} samples, loss {:.4}{}",
        line(name),
        line(&data.name),
        thousands(found.samples as u64),
        found.loss,
        told.collect::<String>()
    ))
}

pub fn run(options: &Options, words: Words) -> Outcome {
    options::use_threads(options.threads, false, words)?;
    options::use_precision(options.precision)?;
    let model = options::load_model(&options.model)?;
    let data = match &options.dataset {
        Some(name) => options::dataset(name)?,
        None => trained_on(&options.model, &model)?,
    };
    let found = model.evaluate(&data.test)?;
    if found.answers.is_empty() {
        return tell_measures(options, &model, &data, &found);
    }
    let accuracy = found.accuracy();
    let counts = found.confusion(data.test.labels(), data.classes());
    if options.json {
        let per_class: Vec<_> = (0..data.classes())
            .map(|class| {
                json!({
                    "class": data.class_names[class],
                    "precision": counts.precision(class),
                    "recall": counts.recall(class),
                })
            })
            .collect();
        return output::print(
            &json!({
                "model": model.card().name,
                "dataset": data.name,
                "samples": found.samples,
                "loss": found.loss,
                "accuracy": accuracy,
                "correct": found.correct,
                "classes": per_class,
            })
            .to_string(),
        );
    }
    // English in every language: programs read this line.
    output::print(&format!(
        "{} on {}: test accuracy {:.4} ({} of {}), loss {:.4}",
        line(&model.card().name),
        line(&data.name),
        accuracy.unwrap_or(f64::NAN),
        thousands(found.correct.unwrap_or(0) as u64),
        thousands(found.samples as u64),
        found.loss
    ))?;
    let share = |value: Option<f64>| value.map_or("-".to_string(), |v| format!("{v:.4}"));
    let rows: Vec<Vec<String>> = (0..data.classes())
        .map(|class| {
            vec![
                data.class_names[class].clone(),
                thousands(counts.samples(class)),
                thousands(counts.count(class, class)),
                share(counts.recall(class)),
                share(counts.precision(class)),
            ]
        })
        .collect();
    let columns = [
        ("class", Align::Left),
        ("samples", Align::Right),
        ("right", Align::Right),
        ("recall", Align::Right),
        ("precision", Align::Right),
    ];
    let table = output::table(&columns, &rows, words);
    output::print(&format!("\n{}", table.trim_end()))
}
