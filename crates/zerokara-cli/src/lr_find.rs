//! `zerokara lr-find`

use crate::{
    options,
    output::{self, Failure, Outcome},
};
use clap::Args;
use serde_json::json;
use std::{ffi::OsString, path::PathBuf};
use zerokara_figures::Plot;
use zerokara_kernels::threads::MOST_THREADS;
use zerokara_train::{LearningRates, language::Words};

/// Find a learning rate: a few steps at rates that grow, and a picture of the losses.
///
/// The loss first stays, then falls, and rises where steps become too large. What is suggested is a tenth of the rate at which it
/// was least (Smith, 2017). Nothing is kept of the model that is trained on the way.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// A recipe (.toml); mnist or fashion-mnist; or data of your own, as `zerokara train` takes them
    #[arg(default_value = "mnist")]
    data: OsString,
    /// Set a field of the recipe, such as batch_size=32; again for another
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// The first learning rate
    #[arg(long, value_name = "RATE", default_value = "1e-6", allow_hyphen_values = true, value_parser = options::positive)]
    from: f64,
    /// The last learning rate
    #[arg(long, value_name = "RATE", default_value = "1", allow_hyphen_values = true, value_parser = options::positive)]
    to: f64,
    /// How many steps are taken
    #[arg(long, value_name = "N", default_value = "200", allow_hyphen_values = true, value_parser = options::count::<{ options::MOST_EPOCHS }>)]
    steps: usize,
    /// The picture's file; - is standard output
    #[arg(long, value_name = "FILE", default_value = "lr-find.svg", value_parser = options::file_of("svg"))]
    output: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Number of threads [default: one per core]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = options::count::<MOST_THREADS>)]
    threads: Option<usize>,
}

const EXAMPLES: &str = "\
Examples:
  zerokara lr-find recipe.toml
  zerokara lr-find flowers.csv --steps 400
  zerokara train recipe.toml --learning-rate 0.003      with what was found";

pub fn run(options: &Options, words: Words) -> Outcome {
    options::use_threads(options.threads, options.json, words)?;
    let mut recipe = options::asked(&options.data, &options.set, None)?;
    options::usual_model(&mut recipe)?;
    let data = options::load(&recipe.data()?, options.json, words)?;
    let described = recipe.description(&data)?;
    let trainer = described.trainer(&data)?;
    let found = trainer.learning_rates(&data, options.from, options.to, options.steps)?;
    if found.steps.is_empty() {
        return Err(Failure::new(format!(
            "the loss is not finite at a learning rate of {}; begin lower with --from",
            options.from
        )));
    }
    let figure = figure(&found, words);
    output::file(&options.output, figure.file())?;
    if options.json {
        let steps = found.steps.iter().map(|(rate, loss)| json!([rate, loss]));
        return output::print(
            &json!({ "suggested": found.suggested, "steps": steps.collect::<Vec<_>>() })
                .to_string(),
        );
    }
    if !output::is_stream(&options.output) {
        output::note(&words.fill("picture {}", &[&options.output.display()]));
    }
    match found.suggested {
        // English in every language: programs read this line.
        Some(rate) if !output::is_stream(&options.output) => {
            output::print(&format!("learning rate {rate}"))
        }
        Some(rate) => {
            output::note(&format!("learning rate {rate}"));
            Ok(())
        }
        None => Err(Failure::new(format!(
            "the loss did not fall at any rate from {} to {}; try others with --from and --to, or more --steps",
            options.from, options.to
        ))),
    }
}

fn figure(found: &LearningRates, words: Words) -> zerokara_figures::Figure {
    let low = found
        .smoothed
        .iter()
        .map(|s| s.1)
        .fold(f64::INFINITY, f64::min);
    let first = found.smoothed.first().map_or(1.0, |s| s.1);
    let room = (first - low).abs().max(1e-9 + first.abs() * 0.01);
    let plot = Plot::new(words.say("Loss at growing learning rates"))
        .axes(words.say("learning rate"), words.say("loss"))
        .log_x()
        .line(words.say("each step"), found.steps.iter().copied())
        .pale()
        .line(words.say("smoothed"), found.smoothed.iter().copied())
        .y_range(low - 0.1 * room, first + 0.5 * room);
    match found.suggested {
        Some(rate) => plot.x_mark(rate, format!("{rate}")),
        None => plot,
    }
    .figure()
}
