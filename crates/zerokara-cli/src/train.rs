//! `zerokara train`

use crate::{
    options::{self, RUNS},
    output::{self, Failure, Outcome},
};
use clap::Args;
use std::{ffi::OsString, path::PathBuf};
use zerokara_core::{Arithmetic, Runtime};
use zerokara_data::{Amount, Augment};
use zerokara_kernels::threads::MOST_THREADS;
use zerokara_nn::{
    AdaGrad, Adam, AdamW, Momentum, Nesterov, RmsProp, Schedule, Sgd, SoftmaxCrossEntropy, models,
};
use zerokara_train::{
    EarlyStopping, Trainer,
    report::numbers::{duration, rate, thousands},
};

/// Train a model and leave a folder with the model, its metrics and a report.
///
/// Ctrl-C finishes the current step, saves and says where; a second one ends at once.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// mnist (inside the program), fashion-mnist (if installed), or a folder with four IDX files like MNIST's
    #[arg(default_value = "mnist")]
    dataset: OsString,
    /// The network: two-layer-net, multi-layer-net, simple-convnet, deep-convnet, lenet5 or resnet20
    #[arg(long, default_value = "simple-convnet", value_parser = options::model_name)]
    model: String,
    /// How often to go through the training data [default: what suits the model]
    #[arg(
        long,
        value_name = "N",
        allow_hyphen_values = true,
        value_parser = options::count::<{ options::MOST_EPOCHS }>
    )]
    epochs: Option<usize>,
    /// Images in a step
    #[arg(
        long,
        value_name = "N",
        default_value = "100",
        allow_hyphen_values = true,
        value_parser = options::count::<{ options::MOST_IN_A_BATCH }>
    )]
    batch_size: usize,
    /// sgd, momentum, nesterov, adagrad, rmsprop, adam or adamw [default: what suits the model]
    #[arg(long, value_name = "NAME", value_parser = optimizer_name)]
    optimizer: Option<String>,
    /// The peak of the learning rate [default: what suits model and optimizer]
    #[arg(long, value_name = "RATE", allow_hyphen_values = true, value_parser = options::positive)]
    learning_rate: Option<f64>,
    /// How the learning rate changes: constant, step, linear, cosine or one-cycle [default: what suits the model]
    #[arg(long, value_name = "NAME", value_parser = schedule_name)]
    schedule: Option<String>,
    /// How strongly weights are drawn towards 0
    #[arg(
        long,
        value_name = "DECAY",
        default_value = "0",
        allow_hyphen_values = true,
        value_parser = options::non_negative
    )]
    weight_decay: f64,
    /// Scale gradients down whose norm is larger than this
    #[arg(long, value_name = "NORM", allow_hyphen_values = true, value_parser = options::positive)]
    clip_norm: Option<f64>,
    /// Hold training images back to judge each epoch by and keep the best: a share (0.1) or a number (5000)
    #[arg(long, value_name = "AMOUNT", allow_hyphen_values = true, value_parser = amount)]
    validation: Option<Amount>,
    /// Stop after so many epochs without a smaller loss on the validation images (without these: on training images)
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
    /// needs a CPU with AVX512-BF16, and parameters stay f32
    #[arg(long, value_name = "NAME", default_value = "f32", value_parser = options::precision)]
    precision: Arithmetic,
    /// The seed of everything random: same seed, same model, bit by bit
    #[arg(long, default_value = "0", allow_hyphen_values = true, value_parser = options::seed)]
    seed: u64,
    /// Number of threads; it changes the time, not the result [default: one per core]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = options::count::<MOST_THREADS>)]
    threads: Option<usize>,
    /// The run's folder [default: a new one in runs/, named by date, model and data set]
    #[arg(long, value_name = "DIR", value_parser = options::folder())]
    output: Option<PathBuf>,
    /// Show no progress, only the result
    #[arg(long)]
    quiet: bool,
    /// Take only the first so many images of the training set, and as many of the test set
    #[arg(long, value_name = "N", hide = true, value_parser = options::count::<{ usize::MAX }>)]
    limit: Option<usize>,
}

const EXAMPLES: &str = "\
Examples:
  zerokara train                                             MNIST, simple-convnet
  zerokara train --model deep-convnet --epochs 20 --augment  what a deep network can do
  zerokara train fashion-mnist --validation 0.1              keep the epoch that did best on held-back images
  zerokara train --optimizer sgd --learning-rate 0.1 --schedule constant
  zerokara train path/to/idx-files --output my-run           data and folder of your own";

const OPTIMIZERS: [&str; 7] = [
    "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw",
];

const SCHEDULES: [&str; 5] = ["constant", "step", "linear", "cosine", "one-cycle"];

fn one_of(names: &[&str], what: &str, text: &str) -> Result<String, String> {
    match names.contains(&text) {
        true => Ok(text.to_string()),
        false => Err(format!("known {what} are {}", names.join(", "))),
    }
}

fn optimizer_name(text: &str) -> Result<String, String> {
    one_of(&OPTIMIZERS, "optimizers", text)
}

fn schedule_name(text: &str) -> Result<String, String> {
    one_of(&SCHEDULES, "schedules", text)
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

/// What suits a model: optimizer, its learning rate, epochs and schedule.
struct Recipe {
    optimizer: &'static str,
    learning_rate: f64,
    epochs: u64,
    schedule: &'static str,
}

fn recipe(model: &str) -> Recipe {
    let (optimizer, learning_rate, epochs, schedule) = match model {
        "two-layer-net" => ("adam", 5e-3, 15, "one-cycle"),
        "multi-layer-net" => ("adam", 2e-3, 10, "one-cycle"),
        "simple-convnet" => ("adam", 3e-3, 4, "one-cycle"),
        "deep-convnet" => ("adam", 3e-3, 12, "one-cycle"),
        "lenet5" => ("adam", 3e-3, 8, "one-cycle"),
        _ => ("adam", 3e-3, 5, "one-cycle"),
    };
    Recipe {
        optimizer,
        learning_rate,
        epochs,
        schedule,
    }
}

/// A learning rate to begin with, for an optimizer of the user's choice.
fn usual_rate(optimizer: &str) -> f64 {
    match optimizer {
        "sgd" => 0.1,
        "momentum" | "nesterov" => 0.01,
        "adagrad" => 0.01,
        _ => 1e-3,
    }
}

fn with_optimizer(trainer: Trainer, name: &str, rate: f64, decay: f64) -> Trainer {
    match name {
        "sgd" => trainer.optimizer(Sgd::new(rate).weight_decay(decay)),
        "momentum" => trainer.optimizer(Momentum::new(rate).weight_decay(decay)),
        "nesterov" => trainer.optimizer(Nesterov::new(rate).weight_decay(decay)),
        "adagrad" => trainer.optimizer(AdaGrad::new(rate).weight_decay(decay)),
        "rmsprop" => trainer.optimizer(RmsProp::new(rate).weight_decay(decay)),
        "adamw" => trainer.optimizer(AdamW::new(rate).weight_decay(decay)),
        _ => trainer.optimizer(Adam::new(rate).weight_decay(decay)),
    }
}

fn with_schedule(trainer: Trainer, name: &str) -> Trainer {
    match name {
        "step" => trainer.schedule_over(|steps| Schedule::Step {
            every: steps.div_ceil(3),
            gamma: 0.1,
        }),
        "linear" => trainer.schedule_over(|steps| Schedule::Linear { steps, last: 0.0 }),
        "cosine" => trainer.schedule_over(|steps| Schedule::Cosine { steps, last: 0.0 }),
        "one-cycle" => trainer.schedule_over(Schedule::one_cycle),
        _ => trainer.schedule(Schedule::Constant),
    }
}

pub fn run(options: &Options) -> Outcome {
    options::use_threads(options.threads, options.quiet)?;
    let mut data = options::dataset(&options.dataset)?;
    if let Some(limit) = options.limit {
        data.train = data.train.take(limit);
        data.test = data.test.take(limit);
    }
    let model = models::by_name(&options.model, data.classes())
        .ok_or_else(|| Failure::new(format!("there is no model {}", options.model)))?;
    let recipe = recipe(&options.model);
    let optimizer = options.optimizer.as_deref().unwrap_or(recipe.optimizer);
    let learning_rate = options.learning_rate.unwrap_or(match &options.optimizer {
        Some(name) if name != recipe.optimizer => usual_rate(name),
        _ => recipe.learning_rate,
    });
    let schedule = options.schedule.as_deref().unwrap_or(recipe.schedule);
    let epochs = options.epochs.map_or(recipe.epochs, |n| n as u64);

    let mut trainer = Trainer::new(model, SoftmaxCrossEntropy::new())
        .name(&options.model)
        .epochs(epochs)
        .batch_size(options.batch_size)
        .seed(options.seed)
        .precision(options.precision)
        .command(command());
    trainer = with_optimizer(trainer, optimizer, learning_rate, options.weight_decay);
    trainer = with_schedule(trainer, schedule);
    trainer = match &options.output {
        Some(folder) => trainer.run_folder(folder),
        None => trainer.run_folder_in(RUNS),
    };
    if let Some(norm) = options.clip_norm {
        trainer = trainer.clip_norm(norm);
    }
    if let Some(amount) = options.validation {
        trainer = trainer.validation(amount);
    }
    if let Some(patience) = options.early_stopping {
        trainer = trainer.callback(EarlyStopping::new(patience as u64));
    }
    if options.augment {
        let augment = Augment::new(options.seed).shift(2).rotate(10.0)?;
        trainer = trainer.augment(augment);
    }
    if options.early_stopping.is_some() && options.validation.is_none() && !options.quiet {
        output::note(
            "note: without --validation, early stopping looks at the loss on training images, which goes on falling \
             when a model gets no better; --validation 0.1 holds a tenth back to judge by",
        );
    }
    if options.quiet {
        trainer = trainer.quiet();
    } else {
        let runtime = Runtime::current()?;
        output::note(&format!(
            "{} on {}: {} training and {} test images {:?}\n{} by {optimizer} at {learning_rate} ({schedule}), {} with {}",
            options.model,
            data.name,
            thousands(data.train.len() as u64),
            thousands(data.test.len() as u64),
            data.shape(),
            counted(epochs, "epoch"),
            counted(runtime.threads() as u64, "thread"),
            runtime.isa().name(),
        ));
    }
    let run = trainer.fit(&data)?;

    if !options.quiet {
        let trained: f64 = run.history().iter().map(|e| e.seconds).sum();
        let speeds = run
            .history()
            .iter()
            .map(|e| e.images_per_second * e.seconds);
        let images: f64 = speeds.sum();
        if trained > 0.0 && !run.interrupted() {
            output::note(&format!(
                "trained in {} ({} images/s)",
                duration(run.seconds()),
                rate(images / trained)
            ));
        }
        if let Some(folder) = run.folder() {
            output::note(&format!("report  {}", folder.report().display()));
            output::note(&format!("model   {}", folder.model().display()));
        }
    }
    let test = run.test();
    if let Some(correct) = test.correct {
        output::print(&format!(
            "test accuracy {:.4} ({} of {})",
            run.test_accuracy(),
            thousands(correct as u64),
            thousands(test.samples as u64)
        ))?;
    }
    if let Some(why) = test.no_answers("test images") {
        return Err(Failure::new(why));
    }
    match run.interrupted() {
        true => Err(Failure::Interrupted),
        false => Ok(()),
    }
}

/// The command as it was called; what is no text in it shows as signs of replacement.
fn command() -> String {
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned());
    words.collect::<Vec<_>>().join(" ")
}

fn counted(n: u64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        _ => format!("{n} {what}s"),
    }
}
