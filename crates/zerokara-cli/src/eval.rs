//! `zerokara eval`

use crate::{
    options,
    output::{self, Failure, Outcome},
    predict::class_name,
};
use clap::Args;
use serde_json::{Value, json};
use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};
use zerokara_core::Arithmetic;
use zerokara_data::{Dataset, Split};
use zerokara_kernels::threads::MOST_THREADS;
use zerokara_nn::metrics::{ConfusionMatrix, average_precision, roc_auc};
use zerokara_train::{
    Evaluation, RunDescription, SavedModel,
    language::Words,
    report::{
        numbers::thousands,
        terminal::{Align, line},
    },
    run_folder::RunFolder,
};

/// Evaluate a model on the test set of a data set: loss, accuracy, and how it does for each class.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// A model's file, or the folder of a run
    model: PathBuf,
    /// mnist, fashion-mnist, a table, a text, a folder or list of pictures, or a folder with IDX files [default: the test part of what
    /// the model was trained on, which its run's folder tells; of a text without one, what was held back to choose by]
    #[arg(value_name = "DATA")]
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
  zerokara eval runs/latest new-rows.csv
  zerokara eval runs/latest --json";

/// What a model is judged by: the test part of what it was trained on, which its run's folder describes.
fn trained_on(path: &Path, model: &SavedModel, words: Words) -> Outcome<(String, Split)> {
    let name = &model.card().dataset;
    let asked = |why: String| {
        Failure::new(format!(
            "{why}; name the data: zerokara eval {} DATA",
            path.display()
        ))
    };
    let file = options::model_file(path)?;
    let run = RunFolder::at(file.parent().unwrap_or(Path::new("")));
    let described = RunDescription::read(&run).ok().filter(|run| !run.data.own);
    if let Some(run) = described {
        let place = run.data.path.as_deref().filter(|_| !run.data.is_named());
        if let Some(place) = place.filter(|place| !Path::new(place).exists()) {
            return Err(asked(format!(
                "the data set {name} is no longer where the model was trained on it, in {place}"
            )));
        }
        let mut whole = run.whole_data();
        whole.limit = None;
        let data = options::load(&whole, true, words)?;
        let is_text = data.running_text().is_some();
        return Ok(match data.test.is_empty() && is_text {
            true => (data.name, data.validation),
            false => (data.name, data.test),
        });
    }
    match Dataset::is_named(name) || Path::new(name).is_dir() {
        true => {
            let data = Dataset::by_name(name)?;
            Ok((data.name, data.test))
        }
        false if name.is_empty() => Err(asked(
            "the model does not say what it was trained on".into(),
        )),
        false => Err(asked(format!(
            "the model was trained on the data set {name:?}, which is not known by this name"
        ))),
    }
}

/// The data at a path or of a name, as samples of this model.
fn named(asked: &OsStr, model: &SavedModel) -> Outcome<(String, Split)> {
    let path = Path::new(asked);
    if path.exists() && !asked.to_str().is_some_and(Dataset::is_named) {
        // `.` and `..` have no name of their own.
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        let name = whole.file_name().unwrap_or(asked).to_string_lossy();
        return Ok((name.into_owned(), model.samples(path)?));
    }
    let data = options::dataset(asked)?;
    Ok((data.name, data.test))
}

/// What there is to say of a model that does not tell classes.
fn tell_measures(options: &Options, model: &SavedModel, data: &str, found: &Evaluation) -> Outcome {
    let name = &model.card().name;
    if options.json {
        let measures = found
            .measures
            .iter()
            .map(|m| (m.name.to_string(), m.value.into()));
        return output::print(
            &json!({
                "model": name,
                "dataset": data,
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
        line(data),
        thousands(found.samples as u64),
        found.loss,
        told.collect::<String>()
    ))
}

pub fn run(options: &Options, words: Words) -> Outcome {
    options::use_threads(options.threads, false, words)?;
    options::use_precision(options.precision)?;
    let model = options::load_model(&options.model)?;
    let (data, test) = match &options.dataset {
        Some(name) => named(name, &model)?,
        None => trained_on(&options.model, &model, words)?,
    };
    if test.is_empty() {
        return Err(Failure::new(format!(
            "the data set {data} has no samples to judge by"
        )));
    }
    let found = model.evaluate(&test)?;
    // Labels beyond the model's classes are classes that it never names.
    let most = test
        .labels()
        .iter()
        .max()
        .map_or(0, |&label| label as usize + 1);
    let name = |class: usize| class_name(&model, class);
    let classes = model.card().class_names.len().max(most);
    if found.answers.is_empty() {
        return tell_measures(options, &model, &data, &found);
    }
    let accuracy = found.accuracy();
    let counts = found.confusion(test.labels(), classes);
    let calibration = found.calibration_error(test.labels());
    let scored = found.scored(test.labels(), classes);
    let (roc, pr) = (roc_auc(&scored), average_precision(&scored));
    if options.json {
        let per_class: Vec<_> = (0..classes)
            .map(|class| {
                json!({
                    "class": name(class),
                    "precision": counts.precision(class),
                    "recall": counts.recall(class),
                    "f1": counts.f1(class),
                })
            })
            .collect();
        return output::print(
            &json!({
                "model": model.card().name,
                "dataset": data,
                "samples": found.samples,
                "loss": found.loss,
                "accuracy": accuracy,
                "correct": found.correct,
                "macro": {
                    "precision": counts.macro_mean(ConfusionMatrix::precision),
                    "recall": counts.macro_mean(ConfusionMatrix::recall),
                    "f1": counts.macro_mean(ConfusionMatrix::f1),
                },
                "calibration_error": calibration,
                "roc_auc": roc,
                "pr_auc": pr,
                "classes": per_class,
            })
            .to_string(),
        );
    }
    // English in every language: programs read this line.
    output::print(&format!(
        "{} on {}: test accuracy {:.4} ({} of {}), loss {:.4}",
        line(&model.card().name),
        line(&data),
        accuracy.unwrap_or(f64::NAN),
        thousands(found.correct.unwrap_or(0) as u64),
        thousands(found.samples as u64),
        found.loss
    ))?;
    let share = |value: Option<f64>| value.map_or("-".to_string(), |v| format!("{v:.4}"));
    let rows: Vec<Vec<String>> = (0..classes)
        .map(|class| {
            vec![
                name(class),
                thousands(counts.samples(class)),
                thousands(counts.count(class, class)),
                share(counts.recall(class)),
                share(counts.precision(class)),
                share(counts.f1(class)),
            ]
        })
        .collect();
    // Each class counts alike in these, however rare it is.
    let macro_row = vec![
        words.say("mean of the classes"),
        thousands(counts.total()),
        thousands(counts.correct()),
        share(counts.macro_mean(ConfusionMatrix::recall)),
        share(counts.macro_mean(ConfusionMatrix::precision)),
        share(counts.macro_mean(ConfusionMatrix::f1)),
    ];
    let rows: Vec<Vec<String>> = rows.into_iter().chain([macro_row]).collect();
    let columns = [
        ("class", Align::Left),
        ("samples", Align::Right),
        ("right", Align::Right),
        ("recall", Align::Right),
        ("precision", Align::Right),
        ("F1", Align::Right),
    ];
    let table = output::table(&columns, &rows, words);
    output::print(&format!("\n{}", table.trim_end()))?;
    let mut further = words.fill("calibration error {}", &[&share(calibration)]);
    if let (Some(roc), Some(pr)) = (roc, pr) {
        further += &words.fill(
            "; for {}, ROC AUC {}, PR AUC {}",
            &[&name(1), &format!("{roc:.4}"), &format!("{pr:.4}")],
        );
    }
    output::print(&format!("\n{further}"))
}
