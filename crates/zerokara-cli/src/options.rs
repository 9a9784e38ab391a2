//! Options that several commands share.

use crate::output::{self, Failure, Outcome};
use clap::{
    Args,
    builder::{PathBufValueParser, TypedValueParser},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};
use zerokara_core::{Arithmetic, DType, Meta, Runtime};
use zerokara_data::{DataOptions, Dataset, Normalization, Pictures};
use zerokara_nn::{Forward, models};
use zerokara_train::{
    DataDescription, ModelCard, Recipe, SavedModel,
    language::Words,
    metrics,
    report::numbers::thousands,
    run_folder::{LATEST, RunFolder},
};

/// The folder of training runs, in the folder where the command is run.
pub const RUNS: &str = "runs";

/// The most epochs that can be asked for.
pub const MOST_EPOCHS: usize = 1_000_000;

/// The largest batch that can be asked for.
pub const MOST_IN_A_BATCH: usize = 1_000_000;

/// The most classes of a ready-made model.
const MOST_CLASSES: usize = 100_000;

/// The most values of a ready-made model's sample: an image of 4096 x 4096.
const MOST_VALUES: usize = 1 << 24;

// Negative numbers begin with a dash, so options that take numbers take such values (`allow_hyphen_values`), and these
// functions say what is wrong with one. Each error tells the whole range.

/// Reads a whole number from 1 to `MOST`.
pub fn count<const MOST: usize>(text: &str) -> Result<usize, String> {
    let most = thousands(MOST as u64);
    match text.trim().parse() {
        Ok(0) => Err(format!(
            "it must be at least 1, a whole number from 1 to {most}"
        )),
        Ok(number) if number <= MOST => Ok(number),
        _ => Err(format!("it must be a whole number from 1 to {most}")),
    }
}

/// Reads a seed.
pub fn seed(text: &str) -> Result<u64, String> {
    let read = text.trim().parse();
    read.map_err(|_| format!("it must be a whole number from 0 to {}", u64::MAX))
}

/// Reads a number of seconds to measure for.
pub fn seconds(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if number > 0.0 && number <= 86_400.0 => Ok(number),
        _ => Err("it must be a number of seconds above 0, up to 86400 (a day)".into()),
    }
}

/// Reads 0 or a number above it that 32-bit floats can hold.
pub fn non_negative(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(0.0) => Ok(0.0),
        Ok(number) if is_positive(number) => Ok(number),
        _ => Err("it must be 0 or a number from 1e-45 to 3e38".into()),
    }
}

/// Reads a number above 0 that 32-bit floats can hold.
pub fn positive(text: &str) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(number) if is_positive(number) => Ok(number),
        _ => Err("it must be a number above 0, from 1e-45 to 3e38".into()),
    }
}

/// Whether it is still positive, and finite, where training rounds it to 32 bits.
fn is_positive(number: f64) -> bool {
    number as f32 > 0.0 && (number as f32).is_finite()
}

/// Reads a folder that is to be written into.
pub fn folder() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.as_os_str() == output::STDOUT {
        true => Err("a folder is needed, and `-` is standard output; a folder of that name is ./-"),
        false => Ok(path),
    })
}

/// Reads a file that is to be written in a format whose files have this ending (`svg`), or none. `-` is standard output,
/// and what is no regular file has any name.
pub fn file_of(ending: &'static str) -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(move |path| {
        let fits = match path.extension() {
            None => true,
            Some(found) => found.eq_ignore_ascii_case(ending) || output::is_stream(&path),
        };
        match fits {
            true => Ok(path),
            false => Err(format!(
                "only {} can be written: end the name in .{ending}",
                ending.to_uppercase()
            )),
        }
    })
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

/// Reads the name of a model to train: a ready-made one, or one of language.
pub fn trained_name(text: &str) -> Result<String, String> {
    match models::OF_LANGUAGE.contains(&text) {
        true => Ok(text.to_string()),
        false => model_name(text)
            .map_err(|known| format!("{known}, and for texts {}", models::OF_LANGUAGE.join(", "))),
    }
}

/// Takes so many threads from here on; one per core unless given. Says so where they are more than help, unless `quiet`.
pub fn use_threads(threads: Option<usize>, quiet: bool, words: Words) -> Outcome {
    if let Some(threads) = threads {
        Runtime::new(threads)?.install();
    }
    // Finds a wrong environment variable before anything else is done.
    let threads = Runtime::current()?.threads();
    let cores = std::thread::available_parallelism().map_or(threads, usize::from);
    if threads > cores && !quiet {
        output::note(&match cores {
            1 => words.fill(
                "note: {} threads share one core: more threads than cores make nothing faster",
                &[&threads],
            ),
            _ => words.fill(
                "note: {} threads share {} cores: more threads than cores make nothing faster",
                &[&threads, &cores],
            ),
        });
    }
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

/// The command as it was called; what is no text in it shows as signs of replacement.
pub fn command() -> String {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    words.collect::<Vec<_>>().join(" ")
}

/// The recipe in this file, or one that says no more than the data: their name, or where they are.
fn recipe(data: &OsStr) -> Outcome<Recipe> {
    let path = Path::new(data);
    if path.extension().is_some_and(|end| end == "toml") {
        return Ok(Recipe::read(path)?);
    }
    let mut recipe = Recipe::new();
    let text = data.to_str().ok_or_else(|| {
        Failure::new(format!(
            "{}: the path of data must be text, so that a recipe can name it",
            path.display()
        ))
    })?;
    let field = match Dataset::is_named(text) {
        true => "data.name",
        false if path.exists() => "data.path",
        // Says which names there are.
        false => {
            return Err(Dataset::by_name(text)
                .map(|_| ())
                .err()
                .map_or(Failure::Told, Failure::from));
        }
    };
    recipe.set_value(field, text, text)?;
    Ok(recipe)
}

/// The recipe in this file, or for these data, with what `--set` and then `--target` say: a flag wins over `--set`.
pub fn asked(data: &OsStr, set: &[String], target: Option<&str>) -> Outcome<Recipe> {
    let mut recipe = recipe(data)?;
    for text in set {
        recipe.set(text)?;
    }
    if let Some(target) = target {
        recipe.set_value("data.target", target, "--target")?;
    }
    Ok(recipe)
}

/// Lets a recipe for one of the data sets of the book's size, that says nothing of the model, have the network that is usual there.
pub fn usual_model(recipe: &mut Recipe) -> Outcome {
    let data = recipe.data()?;
    let is_usual = data.is_named() && ["mnist", "fashion-mnist"].contains(&data.name.as_str());
    if !recipe.says("model") && is_usual {
        recipe.set_value("model.name", "simple-convnet", "--model")?;
    }
    Ok(())
}

/// The data, with what was found out about them and how far reading them is, unless `quiet`.
pub fn load(data: &DataDescription, quiet: bool, words: Words) -> Outcome<Dataset> {
    let bar = ProgressBar::hidden();
    if !quiet {
        bar.set_draw_target(ProgressDrawTarget::stderr());
        let reading = words.say("reading pictures");
        let style = ProgressStyle::with_template("{prefix} {bar:30} {pos} / {len}  {eta}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(reading);
    }
    let told = bar.clone();
    let loaded = data.load_telling(move |done, all| {
        told.set_length(all as u64);
        told.set_position(done as u64);
    });
    bar.finish_and_clear();
    let loaded = loaded?;
    if !quiet {
        for note in &loaded.notes {
            output::note(&words.say(note));
        }
    }
    Ok(loaded)
}

/// The data set of this name, or in this folder, whose name need not be text.
pub fn dataset(name: &OsStr) -> Outcome<Dataset> {
    Ok(match name.to_str() {
        None if Path::new(name).exists() => DataOptions::new().open(name)?,
        Some(name) => Dataset::by_name(name)?,
        None => Dataset::by_name(&name.to_string_lossy())?,
    })
}

/// The model in this file, or of this run: a run's folder or `runs/latest`.
pub fn load_model(path: &Path) -> Outcome<SavedModel> {
    Ok(SavedModel::load(model_file(path)?)?)
}

// A model to look at: a ready-made one, or the one in a file or run. (A doc comment would become the command's own.)
#[derive(Args)]
pub struct Model {
    /// two-layer-net, multi-layer-net, simple-convnet, deep-convnet, lenet5, resnet20; a model's file; or a run's folder
    model: OsString,
    /// For a model by name: the shape of one sample
    #[arg(
        long,
        value_name = "SIZES",
        default_value = "1,28,28",
        value_delimiter = ',',
        allow_hyphen_values = true,
        value_parser = count::<MOST_VALUES>
    )]
    input: Vec<usize>,
    /// For a model by name: the number of classes
    #[arg(
        long,
        value_name = "N",
        default_value = "10",
        allow_hyphen_values = true,
        value_parser = count::<MOST_CLASSES>
    )]
    classes: usize,
}

impl Model {
    /// The model; a ready-made one is built for samples of the shape and so many classes.
    pub fn load(&self) -> Outcome<SavedModel> {
        let name = self.model.to_string_lossy();
        if let Some(module) = models::by_name(&name, self.classes) {
            let values = self
                .input
                .iter()
                .try_fold(1, |n: usize, &size| n.checked_mul(size));
            if values.is_none_or(|values| values > MOST_VALUES) {
                return Err(Failure::new(format!(
                    "a sample of shape {:?} is too large: it may have {} values",
                    self.input,
                    thousands(MOST_VALUES as u64)
                )));
            }
            return built(&name, module, &self.input, self.classes);
        }
        let path = Path::new(&self.model);
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
        ModelCard {
            name: name.into(),
            dataset: String::new(),
            shape: shape.to_vec(),
            target: "t".into(),
            class_names: (0..classes).map(|c| c.to_string()).collect(),
            normalization: Normalization::none(),
            pictures: Pictures::Plain,
        },
    ))
}

/// The model's file that a path stands for.
pub fn model_file(path: &Path) -> Outcome<PathBuf> {
    if path.is_dir() {
        return model_of(&RunFolder::at(path));
    }
    // Where there are no links, `runs/latest` is a file that names a run; a link may lead to one that is gone.
    if path.file_name().is_some_and(|name| name == LATEST) {
        let base = path.parent().unwrap_or(Path::new(""));
        return model_of(&RunFolder::open(base, LATEST)?);
    }
    if !path.exists() {
        return Err(Failure::new(format!(
            "there is no model {}; `zerokara train` makes one",
            path.display()
        )));
    }
    Ok(path.to_path_buf())
}

/// The model's file of a run.
fn model_of(run: &RunFolder) -> Outcome<PathBuf> {
    let file = run.model();
    if file.is_file() {
        return Ok(file);
    }
    let path = run.path().display();
    if !run.settings().exists() && !run.metrics().exists() {
        return Err(Failure::new(format!(
            "{path} holds no model.safetensors; name a model's file or the folder of a run"
        )));
    }
    // A run that was killed may have left half a line, or none.
    let records = metrics::read(run.metrics()).unwrap_or_default();
    let came = match records.last() {
        Some(record) => format!("this one's last record is of step {}", record.step()),
        None => "this one did not come to its first step".to_string(),
    };
    Err(Failure::new(format!(
        "the run {path} has no model yet: it is saved when an epoch ends, and {came}; wait if it is still running, \
         else train again"
    )))
}
