//! `zerokara search`

use crate::{
    options,
    output::{self, Failure, Outcome},
};
use clap::Args;
use console::Term;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::{Path, PathBuf},
};
use zerokara_data::Dataset;
use zerokara_kernels::threads::MOST_THREADS;
use zerokara_train::{
    Recipe,
    language::Words,
    report::numbers::significant,
    report::terminal::{Align, cut},
    search::{self, Criterion, Event, Found, Method, Search, State, Trial},
};

/// The folder of searches, in the folder where the command is run.
const SEARCHES: &str = "searches";

/// Trials of the table at the end.
const SHOWN: usize = 10;

/// Search for the settings that do best on validation data: learning rate, layers, whatever a recipe can say.
///
/// What is varied stands in the recipe's table [search.ranges], or is said by --vary; else learning rate, weight decay, batch size and
/// dropout are. Each trial is a run's folder. Ctrl-C or a crash loses nothing that was finished: the same command goes on. The
/// same seed gives the same trials, however many run side by side.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// A recipe (.toml); mnist or fashion-mnist; or data of your own, as `zerokara train` takes them
    #[arg(default_value = "mnist")]
    data: OsString,
    /// Vary a field: 1e-4..1e-1:log, 2..8 or 32,64,128; again for another
    #[arg(long, value_name = "FIELD=RANGE")]
    vary: Vec<String>,
    /// Set a field of the recipe, such as batch_size=32; again for another
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    set: Vec<String>,
    /// The column of a table that is to be learned [default: one named label or the like, else the last]
    #[arg(long, value_name = "COLUMN")]
    target: Option<String>,
    /// How many trials are made [default: 20]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = options::count::<100_000>)]
    trials: Option<usize>,
    /// How values are chosen: tpe, by an estimate of where good ones lie; random; or hyperband, at random with few epochs first
    /// [default: tpe]
    #[arg(long, value_name = "NAME", value_parser = method)]
    method: Option<String>,
    /// Train all trials to their end, also those that do worse than half of the others
    #[arg(long)]
    no_prune: bool,
    /// The seed of the search: same seed, same trials [default: the recipe's]
    #[arg(long, allow_hyphen_values = true, value_parser = options::seed)]
    seed: Option<u64>,
    /// Trials side by side; it changes the time, not the result [default: one per thread, up to 4]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = options::count::<256>)]
    parallel: Option<usize>,
    /// Number of threads; it changes the time, not the result [default: one per core]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = options::count::<MOST_THREADS>)]
    threads: Option<usize>,
    /// The search's folder [default: one in searches/ named by recipe or data]
    #[arg(long, value_name = "DIR", value_parser = options::folder())]
    output: Option<PathBuf>,
    /// Go on with the search in this folder, whatever it was begun with
    #[arg(long, value_name = "DIR", value_parser = options::folder(), conflicts_with_all = SEARCH_IS_KNOWN)]
    resume: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Show no progress, only the result
    #[arg(long)]
    quiet: bool,
}

/// What a search that is gone on with has been told already.
const SEARCH_IS_KNOWN: [&str; 7] = [
    "data", "vary", "set", "target", "method", "no_prune", "output",
];

const EXAMPLES: &str = "\
Examples:
  zerokara search recipe.toml                          what its table [search] says
  zerokara search flowers.csv --trials 50              what is usual, 50 times
  zerokara search mnist --vary optimizer.learning_rate=1e-4..1e-1:log --vary batch_size=32,64,128
  zerokara search recipe.toml --method hyperband       few epochs first, all of them for the best
  zerokara train searches/recipe/best.toml             train the best again";

fn method(text: &str) -> Result<String, String> {
    let names = [Method::Tpe, Method::Random, Method::Hyperband].map(Method::name);
    match names.contains(&text) {
        true => Ok(text.to_string()),
        false => Err(format!("known methods are {}", names.join(", "))),
    }
}

/// What the recipe, `--set` and the flags ask for.
fn asked(options: &Options) -> Outcome<Recipe> {
    let mut recipe = match &options.resume {
        Some(folder) => Search::recipe_of(folder)?,
        None => options::asked(&options.data, &options.set, options.target.as_deref())?,
    };
    for range in &options.vary {
        recipe.vary(range)?;
    }
    let flags: [(&str, &str, Option<Value>); 5] = [
        ("trials", "--trials", options.trials.map(Value::from)),
        (
            "method",
            "--method",
            options.method.as_deref().map(Value::from),
        ),
        (
            "prune",
            "--no-prune",
            options.no_prune.then(|| "none".into()),
        ),
        ("seed", "--seed", options.seed.map(Value::from)),
        ("parallel", "--parallel", options.parallel.map(Value::from)),
    ];
    for (field, flag, value) in flags {
        if let Some(value) = value {
            recipe.set_value(&format!("search.{field}"), value, flag)?;
        }
    }
    options::usual_model(&mut recipe)?;
    Ok(recipe)
}

pub fn run(options: &Options, words: Words) -> Outcome {
    let quiet = options.quiet || options.json;
    options::use_threads(options.threads, quiet, words)?;
    let mut recipe = asked(options)?;
    let mut data = options::load(&recipe.data()?, quiet, words)?;
    if search::hold_back(&mut recipe, &data)? {
        if !quiet {
            output::note(&words.say("note: a fifth of the training samples is held back to judge trials by (validation = 0.2)"));
        }
        if !recipe.data()?.is_named() {
            data = options::load(&recipe.data()?, true, words)?;
        }
    }
    let search = Search::new(recipe, &data)?
        .language(words.language())
        .command(options::command());
    let folder = folder(options, &search)?;
    if !quiet {
        introduce(&search, &folder, words);
    }
    let mut progress = Progress::new(&search, quiet, words);
    let found = search.run(&data, &folder, &mut |event| progress.hear(event));
    progress.bar.finish_and_clear();
    tell(&found?, options, &data, words)
}

/// The search's folder: the one that is named or, unless one is, the first of its name that is free or holds this very search.
fn folder(options: &Options, search: &Search) -> Outcome<PathBuf> {
    if let Some(folder) = options.resume.as_ref().or(options.output.as_ref()) {
        return match search.difference(folder)? {
            None => Ok(folder.clone()),
            Some(difference) => Err(Failure::new(format!(
                "{} holds another search: {difference}; --output names another folder",
                folder.display()
            ))),
        };
    }
    let name = Path::new(&options.data).file_stem().unwrap_or_default();
    let base = Path::new(SEARCHES).join(name);
    for number in 1.. {
        let mut path = base.clone().into_os_string();
        if number > 1 {
            path.push(format!("-{number}"));
        }
        let path = PathBuf::from(path);
        if search.difference(&path)?.is_none() {
            return Ok(path);
        }
    }
    Ok(base)
}

/// Says what is about to be done.
fn introduce(search: &Search, folder: &Path, words: Words) {
    for note in search.notes() {
        output::note(&words.say(note));
    }
    for range in search.ranges() {
        output::note(&format!("  {}  {}", range.field, search::in_words(range)));
    }
    let told = match (search.method(), search.prunes()) {
        (Method::Hyperband, _) => {
            "{} trials of up to {} epochs by {} in {}: few epochs first, then the best third goes on from its checkpoints"
        }
        (_, true) => {
            "{} trials of {} epochs by {} in {}; those that do worse than half of the others end early"
        }
        (_, false) => "{} trials of {} epochs by {} in {}",
    };
    output::note(&words.fill(
        told,
        &[
            &search.trials(),
            &search.epochs(),
            &search.method().name(),
            &folder.display(),
        ],
    ));
}

/// What happens, at the terminal: a line for each trial that ends and, where it can be drawn anew, one for what runs.
struct Progress {
    bar: ProgressBar,
    trials: usize,
    ranges: Vec<search::Range>,
    done: usize,
    best: Option<(f64, usize)>,
    running: BTreeMap<usize, String>,
    quiet: bool,
    words: Words,
}

impl Progress {
    fn new(search: &Search, quiet: bool, words: Words) -> Self {
        let is_drawn = !quiet && Term::stderr().is_term();
        let bar = match is_drawn {
            true => ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()),
            false => ProgressBar::hidden(),
        };
        bar.set_style(
            ProgressStyle::with_template("{msg}").unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        Self {
            bar,
            trials: search.trials(),
            ranges: search.ranges().to_vec(),
            done: 0,
            best: None,
            running: BTreeMap::new(),
            quiet,
            words,
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            self.bar.suspend(|| output::note(text));
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::GoesOn(done) => {
                self.done = done;
                self.say(&self.words.fill(
                    "going on with the search: {} of {} trials were done",
                    &[&done, &self.trials],
                ));
            }
            Event::Begun(trial) => {
                self.running
                    .insert(trial.number, format!("{}", trial.number));
            }
            Event::Epoch {
                trial,
                epoch,
                point,
                criterion,
            } => {
                let told = format!("{trial} ({epoch}: {})", shown(point.value, &criterion));
                self.running.insert(trial, told);
            }
            Event::Ended(trial, criterion) => {
                self.running.remove(&trial.number);
                if trial.state.is_final() {
                    self.done += 1;
                    self.say(&self.line(&trial, criterion.as_ref()));
                }
                if let (State::Complete, Some(criterion)) = (&trial.state, &criterion)
                    && let Some((_, point)) = trial.best(criterion)
                {
                    let is_better =
                        |best: f64| (point.value > best) == criterion.higher && point.value != best;
                    if self.best.is_none_or(|(best, _)| is_better(best)) {
                        self.best = Some((point.value, trial.number));
                    }
                }
            }
        }
        let running: Vec<&str> = self.running.values().map(String::as_str).collect();
        let mut told = self
            .words
            .fill("{} of {} trials", &[&self.done, &self.trials]);
        if let Some((value, trial)) = self.best {
            told += "  ";
            told += &self
                .words
                .fill("best {} (trial {})", &[&significant(value, 4), &trial]);
        }
        if !running.is_empty() {
            told += "  ";
            told += &self.words.fill("running {}", &[&running.join(", ")]);
        }
        let columns = usize::from(Term::stderr().size().1).saturating_sub(1);
        self.bar.set_message(cut(&told, columns).into_owned());
        self.bar.tick();
    }

    /// What came out of a trial.
    fn line(&self, trial: &Trial, criterion: Option<&Criterion>) -> String {
        let best = criterion.and_then(|criterion| Some((criterion, trial.best(criterion)?.1)));
        let came = match (&trial.state, best) {
            (State::Failed(why), _) => self.words.fill("failed: {}", &[why]),
            (_, Some((criterion, point))) => format!(
                "{} {}",
                criterion.name.replace('_', " "),
                shown(point.value, criterion)
            ),
            _ => String::new(),
        };
        let ended = match trial.state {
            State::Pruned => self
                .words
                .fill(" (ended after epoch {})", &[&trial.curve.len()]),
            _ => String::new(),
        };
        let values: Vec<String> = trial
            .values
            .iter()
            .map(|(field, value)| {
                format!("{}={}", search::short(field, &self.ranges), plain(value))
            })
            .collect();
        format!(
            "{}  {came}{ended}  {}",
            self.words.fill("trial {}", &[&trial.number]),
            values.join(" ")
        )
    }
}

/// A measure's value.
fn shown(value: f64, criterion: &Criterion) -> String {
    match criterion.is_share {
        true => format!("{value:.4}"),
        false => significant(value, 4),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// Tells what was found.
fn tell(found: &Found, options: &Options, data: &Dataset, words: Words) -> Outcome {
    let quiet = options.quiet || options.json;
    let ranked = found.ranked();
    if let Some(criterion) = found.criterion.as_ref().filter(|_| !quiet) {
        let fields: Vec<&str> = found
            .ranges
            .iter()
            .map(|range| range.field.as_str())
            .collect();
        let names: Vec<String> = fields
            .iter()
            .map(|field| search::short(field, &found.ranges).replace('_', " "))
            .collect();
        let measure = criterion.name.replace('_', " ");
        let mut columns = vec![
            ("trial", Align::Right),
            (measure.as_str(), Align::Right),
            ("epochs", Align::Right),
        ];
        columns.extend(names.iter().map(|name| (name.as_str(), Align::Right)));
        let row = |trial: &&Trial| {
            let mut row = vec![
                trial.number.to_string(),
                trial
                    .best(criterion)
                    .map_or_else(String::new, |(_, point)| shown(point.value, criterion)),
                trial.curve.len().to_string(),
            ];
            row.extend(
                fields
                    .iter()
                    .map(|field| trial.value(field).map_or_else(String::new, plain)),
            );
            row
        };
        let rows: Vec<Vec<String>> = ranked.iter().take(SHOWN).map(row).collect();
        output::note(output::table(&columns, &rows, words).trim_end());
    }
    if options.json {
        output::print(&as_json(found, data).to_string())?;
    } else if let (Some(best), Some(criterion)) = (ranked.first(), &found.criterion)
        && let Some((epoch, point)) = best.best(criterion)
    {
        // English in every language: programs read this line.
        output::print(&format!(
            "best trial {} validation {} {:.4} (epoch {epoch})",
            best.number,
            criterion.name.replace('_', " "),
            point.value
        ))?;
    }
    if !quiet && !ranked.is_empty() {
        output::note(&words.fill("page    {}", &[&found.page().display()]));
        output::note(&words.fill("recipe  {}", &[&found.recipe().display()]));
    }
    if found.interrupted {
        if !quiet {
            output::note(&words.fill(
                "interrupted; to go on: {}",
                &[&format!(
                    "zerokara search --resume {}",
                    found.folder.display()
                )],
            ));
        }
        return Err(Failure::Interrupted);
    }
    if !quiet {
        output::note(&words.fill("next    zerokara train {}", &[&found.recipe().display()]));
    }
    Ok(())
}

fn as_json(found: &Found, data: &Dataset) -> Value {
    let trial = |trial: &Trial| {
        let best = found
            .criterion
            .as_ref()
            .and_then(|criterion| trial.best(criterion));
        let values: serde_json::Map<String, Value> = trial.values.iter().cloned().collect();
        json!({
            "trial": trial.number,
            "state": trial.state.word(),
            "value": best.map(|(_, point)| point.value),
            "loss": best.map(|(_, point)| point.loss),
            "best_epoch": best.map(|(epoch, _)| epoch),
            "epochs": trial.curve.len(),
            "values": values,
        })
    };
    let importance = found.importance();
    let importance = importance
        .iter()
        .map(|i| json!({"field": i.field, "share": i.share, "deviation": i.deviation}));
    json!({
        "dataset": data.name,
        "measure": found.criterion.as_ref().map(|criterion| &criterion.name),
        "best": found.best().map(|trial| trial.number),
        "trials": found.trials.iter().map(trial).collect::<Vec<_>>(),
        "importance": importance.collect::<Vec<_>>(),
        "folder": found.folder.display().to_string(),
    })
}
