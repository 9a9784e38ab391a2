//! `zerokara train`

mod tui;

use crate::{
    options::{self, RUNS},
    output::{self, Failure, Outcome},
};
use clap::Args;
use serde_json::{Value, json};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};
use tui::{Plan, Screen};
use zerokara_core::{Arithmetic, Runtime};
use zerokara_data::{Amount, Dataset};
use zerokara_kernels::threads::MOST_THREADS;
use zerokara_nn::models;
use zerokara_train::{
    EarlyStopping, Every, Pace, Recipe, Run, RunDescription, Trainer,
    language::Words,
    report::numbers::{rate, thousands},
    run_folder::{LATEST, RunFolder},
};

/// Train a model and leave a folder with the model, its metrics and a report.
///
/// What is not said has a default that suits the data. A flag wins over --set, and this over the recipe. Ctrl-C finishes the
/// current step, saves and says where; a second one ends at once. However a run was cut off, --resume goes on with it, to the
/// same bits as if it had not been.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// A recipe (.toml); mnist (inside the program) or fashion-mnist (if installed); or data of your own: a table (CSV, TSV), a
    /// text, a folder of pictures by class, a list of pictures, a folder with IDX files
    #[arg(default_value = "mnist")]
    data: OsString,
    /// Set a field of the recipe, such as batch_size=32; again for another
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// The column of a table that is to be learned [default: one named label or the like, else the last]
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// The network: two-layer-net, multi-layer-net, simple-convnet, deep-convnet, lenet5 or resnet20; of texts gpt, lstm or gru
    /// [default: simple-convnet on MNIST, gpt on a text, else layers that suit the data]
    #[arg(long, value_parser = options::trained_name)]
    model: Option<String>,
    /// How often to go through the training data [default: what suits model and data]
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        value_parser = options::count::<{ options::MOST_EPOCHS }>
    )]
    epochs: Option<usize>,
    /// Samples in a step [default: 100 for the networks above]
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        value_parser = options::count::<{ options::MOST_IN_A_BATCH }>
    )]
    batch_size: Option<usize>,
    /// Take each step in so many parts, whose gradients are added: a large batch in the memory of a small one
    #[arg(
        long,
        value_name = "PARTS",
        allow_hyphen_values = true,
        value_parser = options::count::<{ options::MOST_IN_A_BATCH }>
    )]
    accumulate: Option<usize>,
    /// sgd, momentum, nesterov, adagrad, rmsprop, adam, adamw, radam, lamb, lion or muon [default: what suits the model]
    #[arg(long, value_name = "NAME", value_parser = optimizer_name)]
    optimizer: Option<String>,
    /// The peak of the learning rate [default: what suits model and optimizer]
    #[arg(long, value_name = "RATE", allow_hyphen_values = true, value_parser = options::positive)]
    learning_rate: Option<f64>,
    /// How the learning rate changes: constant, step, linear, cosine, one-cycle or warm-up [default: what suits the model]
    #[arg(long, value_name = "NAME", value_parser = schedule_name)]
    schedule: Option<Pace>,
    /// How strongly weights are drawn towards 0 [default: what suits the model]
    #[arg(
        long,
        value_name = "DECAY",
        allow_hyphen_values = true,
        value_parser = options::non_negative
    )]
    weight_decay: Option<f64>,
    /// Scale gradients down whose norm is larger than this
    #[arg(long, value_name = "NORM", allow_hyphen_values = true, value_parser = options::positive)]
    clip_norm: Option<f64>,
    /// Hold training samples back to judge each epoch by and keep the best: a share (0.1) or a number (5000)
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true, value_parser = amount)]
    validation: Option<Amount>,
    /// Stop after so many epochs without a smaller loss on the validation samples (without these: on training samples)
    #[arg(
        long,
        value_name = "EPOCHS",
        allow_hyphen_values = true,
        value_parser = options::count::<{ options::MOST_EPOCHS }>
    )]
    early_stopping: Option<usize>,
    /// Shift and turn the training images by chance
    #[arg(long)]
    augment: bool,
    /// How convolutions multiply and sum: f32; direct, by direct sums alone, so that exact zeros stay exact; or bf16, which
    /// needs a CPU with AVX512-BF16, and parameters stay f32 [default: f32]
    #[arg(long, value_name = "NAME", value_parser = options::precision)]
    precision: Option<Arithmetic>,
    /// The seed of everything random: same seed, same model, bit by bit [default: 0]
    #[arg(long, allow_hyphen_values = true, value_parser = options::seed)]
    seed: Option<u64>,
    /// Number of threads; it changes the time, not the result [default: one per core]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = options::count::<MOST_THREADS>)]
    threads: Option<usize>,
    /// The run's folder [default: a new one in runs/, named by date, model and data set]
    #[arg(long, value_name = "DIR", value_parser = options::folder())]
    output: Option<PathBuf>,
    /// How often everything is saved, to go on from there: 500steps, 1epoch, 2min [default: 1epoch, but 5 s apart]
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, value_parser = str::parse::<Every>)]
    checkpoint_every: Option<Every>,
    /// Go on with a run that was cut off: its folder, or `latest` for the newest in runs/. It does what it was begun with
    #[arg(long, value_name = "RUN", value_parser = options::folder(), conflicts_with_all = RUN_IS_KNOWN)]
    resume: Option<PathBuf>,
    /// Show no progress, only the result
    #[arg(long)]
    quiet: bool,
    /// Show live charts on the whole terminal: losses, measures, speed, load and memory
    #[arg(long, conflicts_with = "quiet")]
    tui: bool,
    /// Take only the first so many images of the training set, and as many of the test set
    #[arg(long, value_name = "N", hide = true, value_parser = options::count::<{ usize::MAX }>)]
    limit: Option<usize>,
}

/// What a run that is gone on with has been told already.
const RUN_IS_KNOWN: [&str; 20] = [
    "data",
    "set",
    "target",
    "model",
    "epochs",
    "batch_size",
    "accumulate",
    "optimizer",
    "learning_rate",
    "schedule",
    "weight_decay",
    "clip_norm",
    "validation",
    "early_stopping",
    "augment",
    "precision",
    "seed",
    "output",
    "checkpoint_every",
    "limit",
];

const EXAMPLES: &str = "\
Examples:
  zerokara train                                             MNIST, simple-convnet
  zerokara train --model deep-convnet --epochs 20 --augment  what a deep network can do
  zerokara train fashion-mnist --validation 0.1              keep the epoch that did best on held-back images
  zerokara train --optimizer sgd --learning-rate 0.1 --schedule constant
  zerokara train flowers.csv --target species                a table of your own: what else is learned from is found out
  zerokara train shakespeare.txt                             a language model of a text's characters
  zerokara train photos --output my-run                      a folder of pictures, in a folder for each class
  zerokara train recipe.toml --set epochs=40                 what `zerokara new` has written and you have changed
  zerokara train --resume latest                             go on with a run that was cut off";

fn one_of(names: &[&str], what: &str, text: &str) -> Result<String, String> {
    match names.contains(&text) {
        true => Ok(text.to_string()),
        false => Err(format!("known {what} are {}", names.join(", "))),
    }
}

fn optimizer_name(text: &str) -> Result<String, String> {
    one_of(&RunDescription::OPTIMIZERS, "optimizers", text)
}

fn schedule_name(text: &str) -> Result<Pace, String> {
    let name = one_of(&Pace::NAMES, "schedules", text)?;
    Pace::by_name(&name).ok_or_else(|| format!("there is no schedule {name}"))
}

fn amount(text: &str) -> Result<Amount, String> {
    if let Ok(count) = text.parse::<usize>() {
        return Ok(Amount::Count(count));
    }
    match text.parse::<f64>() {
        Ok(share) if (0.0..1.0).contains(&share) => Ok(Amount::Fraction(share)),
        _ => Err(
            "it must be a share from 0 to below 1, such as 0.1, or a whole number of images".into(),
        ),
    }
}

/// What the recipe, `--set` and the flags ask for.
fn asked(options: &Options) -> Outcome<Recipe> {
    let mut recipe = options::asked(&options.data, &options.set, options.target.as_deref())?;
    let mut flag = |field: &str, flag: &str, value: Option<Value>| match value {
        Some(value) => recipe.set_value(field, value, flag),
        None => Ok(()),
    };
    let named = |name: &str| json!({ "name": name });
    // Sizes go with a model of language; layers do not with any named one.
    let is_sized = |name: &&str| models::OF_LANGUAGE.contains(name);
    match options.model.as_deref().filter(is_sized) {
        Some(name) => flag("model.name", "--model", Some(name.into()))?,
        None => flag("model", "--model", options.model.as_deref().map(named))?,
    }
    flag("epochs", "--epochs", options.epochs.map(Value::from))?;
    flag(
        "batch_size",
        "--batch-size",
        options.batch_size.map(Value::from),
    )?;
    flag(
        "accumulate",
        "--accumulate",
        options.accumulate.map(Value::from),
    )?;
    flag(
        "optimizer",
        "--optimizer",
        options.optimizer.as_deref().map(named),
    )?;
    flag(
        "optimizer.learning_rate",
        "--learning-rate",
        options.learning_rate.map(Value::from),
    )?;
    flag(
        "optimizer.weight_decay",
        "--weight-decay",
        options.weight_decay.map(Value::from),
    )?;
    flag(
        "schedule",
        "--schedule",
        options.schedule.as_ref().map(|pace| pace.name().into()),
    )?;
    flag(
        "clipping",
        "--clip-norm",
        options.clip_norm.map(|norm| json!({ "norm": norm })),
    )?;
    let amount = options.validation.map(|amount| match amount {
        Amount::Count(count) => count.into(),
        Amount::Fraction(share) => share.into(),
    });
    flag("validation", "--validation", amount)?;
    let stopping = |patience| json!([{ "name": EarlyStopping::NAME, "patience": patience }]);
    flag(
        "callbacks",
        "--early-stopping",
        options.early_stopping.map(stopping),
    )?;
    let augment = options
        .augment
        .then(|| json!({ "shift": 2, "degrees": 10.0 }));
    flag("augment", "--augment", augment)?;
    flag(
        "precision",
        "--precision",
        options.precision.map(|found| found.name().into()),
    )?;
    flag("seed", "--seed", options.seed.map(Value::from))?;
    let every = options
        .checkpoint_every
        .map(|every| every.to_string().into());
    flag("checkpoint_every", "--checkpoint-every", every)?;
    flag("data.limit", "--limit", options.limit.map(Value::from))?;
    options::usual_model(&mut recipe)?;
    Ok(recipe)
}

/// How a run is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// By a bar, or lines in a file.
    Progress,
    /// By live charts.
    Charts,
    Quiet,
}

pub fn run(options: &Options, words: Words) -> Outcome {
    options::use_threads(options.threads, options.quiet, words)?;
    let shown = match (options.quiet, options.tui) {
        (true, _) => Shown::Quiet,
        (false, true) => Shown::Charts,
        (false, false) => Shown::Progress,
    };
    if let Some(path) = &options.resume {
        return resume(path, shown, words);
    }
    let recipe = asked(options)?;
    let data = options::load(&recipe.data()?, options.quiet, words)?;
    let described = recipe.description(&data)?;
    if recipe.says("search") && !options.quiet {
        output::note(&words.say(
            "note: the recipe's [search] is for `zerokara search`; this is one run without it",
        ));
    }
    let stops = described
        .callbacks
        .iter()
        .any(|callback| callback.name == EarlyStopping::NAME);
    if stops && described.validation.is_none() && data.validation.is_empty() && !options.quiet {
        output::note(&words.say(
            "note: without --validation, early stopping looks at the loss on training samples, which goes on falling \
             when a model gets no better; --validation 0.1 holds a tenth back to judge by",
        ));
    }
    let trainer = described.trainer(&data)?.command(options::command());
    let trainer = match &options.output {
        Some(folder) => trainer.run_folder(folder),
        None => trainer.run_folder_in(RUNS),
    };
    train(trainer, &described, &data, shown, words)
}

/// Goes on with a run.
fn resume(path: &Path, shown: Shown, words: Words) -> Outcome {
    let folder = match path.to_str() {
        Some(LATEST) if !path.is_dir() => RunFolder::open(RUNS, LATEST)?,
        _ if path.is_dir() => RunFolder::at(path),
        // Where there are no links, `runs/latest` is a file that names a run.
        _ if path.file_name().is_some_and(|name| name == LATEST) => {
            RunFolder::open(path.parent().unwrap_or(Path::new("")), LATEST)?
        }
        Some(name) => RunFolder::open(RUNS, name)?,
        None => RunFolder::at(path),
    };
    let described = RunDescription::read(&folder)?;
    let data = described.load_data()?;
    let trainer = described.trainer(&data)?;
    let trainer = trainer.resume(folder.path());
    train(trainer, &described, &data, shown, words)
}

/// Trains, and tells what came out.
fn train(
    trainer: Trainer,
    run: &RunDescription,
    data: &Dataset,
    shown: Shown,
    words: Words,
) -> Outcome {
    let quiet = shown == Shown::Quiet;
    let trainer = trainer.language(words.language());
    let trainer = match shown {
        Shown::Progress => trainer,
        Shown::Quiet => trainer.quiet(),
        Shown::Charts => {
            let plan = Plan {
                title: words.fill("{} on {}", &[&run.model.name, &data.name]),
                epochs: run.epochs,
                steps: trainer.steps(data)?,
            };
            let mut screen = Screen::open(plan, words)?;
            trainer.quiet().watch(move |record| screen.show(record))
        }
    };
    // Charts cover the screen.
    if shown == Shown::Progress {
        let runtime = Runtime::current()?;
        let rate = run.optimizer.settings.get("learning_rate");
        let counted_in = match data.shape().len() {
            3 => "{} on {}: {} training and {} test images {}",
            _ => "{} on {}: {} training and {} test samples {}",
        };
        output::note(&words.fill(
            counted_in,
            &[
                &run.model.name,
                &data.name,
                &thousands(data.train.len() as u64),
                &thousands(data.test.len() as u64),
                &format!("{:?}", data.shape()),
            ],
        ));
        output::note(&words.fill(
            "{} by {} at {} ({}), {} with {}",
            &[
                &words.say(&counted(run.epochs, "epoch")),
                &run.optimizer.name,
                &rate.copied().unwrap_or(0.0),
                &run.schedule.name(),
                &words.say(&counted(runtime.threads() as u64, "thread")),
                &runtime.isa().name(),
            ],
        ));
    }
    let done = trainer.fit(data)?;
    if let Some(folder) = done
        .folder()
        .filter(|_| done.interrupted() && shown == Shown::Charts)
    {
        // Progress, which would say so, was not shown.
        let how = format!("zerokara train --resume {}", folder.path().display());
        output::note(&words.fill("to go on: {}", &[&how]));
    }
    tell(&done, quiet, words)
}

fn tell(run: &Run, quiet: bool, words: Words) -> Outcome {
    if !quiet {
        let trained: f64 = run.history().iter().map(|e| e.seconds).sum();
        let speeds = run
            .history()
            .iter()
            .map(|e| e.images_per_second * e.seconds);
        let images: f64 = speeds.sum();
        if trained > 0.0 && !run.interrupted() {
            let speed = match run.model().card().shape.len() {
                3 => "trained in {} ({} images/s)",
                _ => "trained in {} ({} samples/s)",
            };
            output::note(&words.fill(
                speed,
                &[&words.duration(run.seconds()), &rate(images / trained)],
            ));
        }
        if let Some(folder) = run.folder() {
            output::note(&words.fill("report  {}", &[&folder.report().display()]));
            output::note(&words.fill("model   {}", &[&folder.model().display()]));
        }
    }
    let test = run.test();
    // English in every language: programs read this line.
    let is_text = run.model().context().is_some();
    if let Some(correct) = test.correct.filter(|_| !is_text) {
        output::print(&format!(
            "test accuracy {:.4} ({} of {})",
            run.test_accuracy(),
            thousands(correct as u64),
            thousands(test.samples as u64)
        ))?;
    }
    if (test.correct.is_none() || is_text) && !test.measures.is_empty() {
        let told: Vec<String> = (test.measures.iter())
            .map(|measure| format!("{} {:.4}", measure.name.replace('_', " "), measure.value))
            .collect();
        output::print(&format!("test {}", told.join(", ")))?;
    }
    if is_text && let Some(loss) = best_loss(run) {
        output::print(&format!("validation loss {loss:.4} a character"))?;
    }
    if let Some(why) = test.no_answers("test samples") {
        return Err(Failure::new(why));
    }
    match run.interrupted() {
        true => Err(Failure::Interrupted),
        false => Ok(()),
    }
}

/// The loss on the part to choose by, of the epoch whose model is kept.
fn best_loss(run: &Run) -> Option<f64> {
    let losses = run
        .history()
        .iter()
        .filter_map(|epoch| epoch.validation_loss);
    losses.min_by(f64::total_cmp)
}

fn counted(n: u64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}
