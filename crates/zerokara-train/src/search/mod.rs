//! Search for hyperparameters: which settings of a recipe do best on validation data.
//!
//! ```text
//! searches/flowers/
//!   search.json                    what is searched
//!   trial-0001/                    a run's folder: recipe.toml, run.json, checkpoints, model, report
//!     trial.json                   what was varied, what came out
//!   trial-0002/ ..
//!   best.toml  search.html         the best trial's recipe, and a page to look at
//! ```
//!
//! A [`Search`] draws values for the fields that the recipe's `[search]` names, by chance, by the tree-structured Parzen estimator
//! (Bergstra et al., 2011) or by chance with few epochs first (Hyperband, Li et al., 2018), and trains with them, several trials
//! side by side. Trials are judged by validation data alone.
//!
//! The same seed gives the same trials with the same bits, however many run side by side: which values a trial gets, and whether it
//! ends early, is a function of the seed and of the results of trials that are fixed beforehand, all but the three before it
//! (in Hyperband: all of its bracket at its rung).
//!
//! However a search ends, by Ctrl-C or a crash, [`Search::run`] goes on with it: results are files that are written whole, and a
//! trial that was cut off goes on from its checkpoint.

mod draw;
mod importance;
mod journal;
mod page;
mod plan;
mod run;
mod space;

pub use crate::recipe::{SearchRange as Range, SearchValues as Values};
pub use importance::Importance;
pub use page::{in_words, short};
pub use run::Event;

use crate::{
    description::{DataFacts, RunDescription},
    error::{Error, Result},
    language::{Language, TRAINING, Words},
    recipe::Recipe,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use space::Space;
use std::path::{Path, PathBuf};
use zerokara_data::{Amount, Dataset};
use zerokara_nn::Goal;

/// Trials, unless the recipe says how many.
const TRIALS: usize = 20;
/// Trials before the estimator has something to go by.
const BY_CHANCE: usize = 8;
/// What is held back to judge by, where neither recipe nor data have a validation part.
const HELD_BACK: f64 = 0.2;

/// How values are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// The tree-structured Parzen estimator, after some trials by chance.
    Tpe,
    /// By chance.
    Random,
    /// By chance, with few epochs first.
    Hyperband,
}

impl Method {
    /// The name in recipes.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tpe => "tpe",
            Self::Random => "random",
            Self::Hyperband => "hyperband",
        }
    }
}

/// A search that is about to be made.
///
/// ```
/// use zerokara_data::{Dataset, Split};
/// use zerokara_train::{Recipe, search::Search};
///
/// // Points left and right of 0.5.
/// let points: Vec<f32> = (0..64).map(|i| i as f32 / 64.0).collect();
/// let labels: Vec<i64> = (0..64).map(|i| i64::from(i >= 32)).collect();
/// let (train, validation) = Split::new(points, &[1], labels)?.validation(16, 1)?;
/// let data = Dataset::new("sides", train, Split::empty(), ["left", "right"])?.validation(validation)?;
///
/// let text = r#"
///     epochs = 2
///     [data]
///     name = "sides"
///     [model]
///     layers = ["linear"]
///     [search]
///     trials = 3
///     [search.ranges]
///     "optimizer.learning_rate" = { low = 1e-3, high = 1.0, scale = "log" }
/// "#;
/// # let folder = std::env::temp_dir().join(format!("zerokara-search-{}", std::process::id()));
/// let search = Search::new(Recipe::parse(text, "sides.toml")?, &data)?;
/// let found = search.run(&data, &folder, &mut |_| ())?;
/// assert_eq!(found.trials.len(), 3);
/// assert!(found.best().is_some() && folder.join("best.toml").exists());
/// # std::fs::remove_dir_all(folder)?;
/// # Ok::<(), zerokara_train::Error>(())
/// ```
pub struct Search {
    recipe: Recipe,
    space: Space,
    method: Method,
    prunes: bool,
    trials: usize,
    parallel: Option<usize>,
    seed: u64,
    /// Epochs of a trial, unless they are varied.
    epochs: u64,
    notes: Vec<String>,
    /// By what the data are known again.
    facts: Value,
    language: Language,
    command: String,
}

/// What trials are judged by: a measure on the validation samples.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Criterion {
    /// The measure's name, such as `accuracy`.
    pub name: String,
    /// Whether more is better.
    pub higher: bool,
    /// Whether it is a share from 0 to 1, which people read as percent.
    pub is_share: bool,
}

/// A trial after an epoch: the measure and the loss on the validation samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The measure.
    pub value: f64,
    /// The loss.
    pub loss: f64,
}

/// How a trial stands.
#[derive(Clone, Debug, PartialEq)]
pub enum State {
    /// It has not begun, or was cut off and goes on when the search does.
    Waiting,
    /// It is being trained.
    Running,
    /// Others must come as far before it is decided whether it goes on.
    Paused,
    /// It came to its end.
    Complete,
    /// It was ended early, since others did better.
    Pruned,
    /// It came to no end, for this reason.
    Failed(String),
}

impl State {
    /// Whether nothing more will come.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Complete | Self::Pruned | Self::Failed(_))
    }

    /// The word for it in files.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Complete => "complete",
            Self::Pruned => "pruned",
            Self::Failed(_) => "failed",
        }
    }
}

/// A trial of a search.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Its number, from 1.
    pub number: usize,
    /// The fields that were varied, and their values. A field whose conditions did not hold is not among them.
    pub values: Vec<(String, Value)>,
    /// How it did after each epoch.
    pub curve: Vec<Point>,
    /// How it stands.
    pub state: State,
    /// Seconds that it took.
    pub seconds: f64,
    /// Epochs after which it pauses now.
    until: Option<u64>,
}

impl Trial {
    fn waiting(number: usize) -> Self {
        Self {
            number,
            values: Vec::new(),
            curve: Vec::new(),
            state: State::Waiting,
            seconds: 0.0,
            until: None,
        }
    }

    /// The best epoch, and how the trial did there: by the measure, and by the loss where that is equal.
    pub fn best(&self, criterion: &Criterion) -> Option<(u64, Point)> {
        let points = self
            .curve
            .iter()
            .zip(1u64..)
            .map(|(point, epoch)| (epoch, *point));
        points.reduce(|best, next| {
            if better(next.1, best.1, criterion.higher) {
                next
            } else {
                best
            }
        })
    }

    /// The best point of so many epochs.
    fn best_until(&self, epochs: u64, higher: bool) -> Option<Point> {
        let points = self.curve.iter().copied().take(epochs as usize);
        points.reduce(|best, next| {
            if better(next, best, higher) {
                next
            } else {
                best
            }
        })
    }

    /// The value of a field, if it was varied.
    pub fn value(&self, field: &str) -> Option<&Value> {
        self.values
            .iter()
            .find(|(name, _)| name == field)
            .map(|(_, value)| value)
    }

    /// The name of its folder in that of the search.
    pub fn folder(&self) -> String {
        format!("trial-{:04}", self.number)
    }
}

fn better(a: Point, b: Point, higher: bool) -> bool {
    order(a, higher) < order(b, higher)
}

/// The lower, the better; what is no number comes last.
fn cost(value: f64, higher: bool) -> f64 {
    match value.is_nan() {
        true => f64::INFINITY,
        false if higher => -value,
        false => value,
    }
}

fn order(point: Point, higher: bool) -> (f64, f64) {
    (cost(point.value, higher), cost(point.loss, false))
}

/// Of so many trials that are known, as many are good for the estimator: the square root, as a share of few would be too many.
fn good_of(known: usize) -> usize {
    ((known as f64).sqrt().ceil() as usize)
        .clamp(2, 25)
        .min(known)
}

/// Of five trials one is drawn by chance also when much is known, so that what was good at first is not all that is looked at.
fn is_by_chance(trial: usize) -> bool {
    trial % 5 == 4
}

/// What a search has found.
#[derive(Clone, Debug)]
pub struct Found {
    /// All trials, in their order.
    pub trials: Vec<Trial>,
    /// What they were judged by, if one came so far.
    pub criterion: Option<Criterion>,
    /// Whether Ctrl-C ended it early.
    pub interrupted: bool,
    /// The search's folder.
    pub folder: PathBuf,
    /// The ranges.
    pub ranges: Vec<Range>,
}

impl Found {
    /// The best trial: of those that came to their end or, while there is none, of all.
    pub fn best(&self) -> Option<&Trial> {
        self.ranked().into_iter().next()
    }

    /// The trials from the best to the worst: those that came to their end, then those that did not. Those that failed, or that have
    /// not come to the end of an epoch, are left out.
    pub fn ranked(&self) -> Vec<&Trial> {
        ranked(&self.trials, self.criterion.as_ref())
    }

    /// How much each field matters ([`Importance`]); nothing while too few trials are done.
    pub fn importance(&self) -> Vec<Importance> {
        importance::of(self)
    }

    /// The recipe of the best trial, which is written once one came to the end of an epoch.
    pub fn recipe(&self) -> PathBuf {
        self.folder.join("best.toml")
    }

    /// The page.
    pub fn page(&self) -> PathBuf {
        self.folder.join("search.html")
    }
}

fn ranked<'t>(trials: &'t [Trial], criterion: Option<&Criterion>) -> Vec<&'t Trial> {
    let Some(criterion) = criterion else {
        return Vec::new();
    };
    let mut known: Vec<_> = trials
        .iter()
        .filter(|trial| !matches!(trial.state, State::Failed(_)))
        .filter_map(|trial| {
            let order = order(trial.best(criterion)?.1, criterion.higher);
            Some((trial.state != State::Complete, order, trial))
        })
        .collect();
    known.sort_by(|(a, x, s), (b, y, t)| {
        let by_value = x.0.total_cmp(&y.0).then(x.1.total_cmp(&y.1));
        a.cmp(b).then(by_value).then(s.number.cmp(&t.number))
    });
    known.into_iter().map(|(_, _, trial)| trial).collect()
}

/// Lets a recipe hold a fifth of the training samples back to judge trials by, if neither it nor the data say what is validated on.
/// Whether it did: data of one's own are then to be read again ([`Recipe::data`]), since what is learned of them must not be
/// learned of what judges.
///
/// # Errors
/// If the recipe cannot be changed.
pub fn hold_back(recipe: &mut Recipe, data: &Dataset) -> Result<bool> {
    let says_none = recipe
        .get("validation")
        .is_none_or(|amount| amount.as_f64() == Some(0.0));
    let is_needed = data.validation.is_empty() && says_none;
    if is_needed {
        recipe.set_value("validation", HELD_BACK, "validation")?;
    }
    Ok(is_needed)
}

impl Search {
    /// The search that the recipe asks for, on these data; what its table `[search]` does not say has a default.
    ///
    /// # Errors
    /// If the data have nothing to validate on ([`hold_back`] lets the recipe do so), or a range makes no sense for the recipe.
    pub fn new(mut recipe: Recipe, data: &Dataset) -> Result<Self> {
        let described = recipe.description(data)?;
        let is_nothing = |amount| matches!(amount, Amount::Count(0) | Amount::Fraction(0.0));
        if data.validation.is_empty() && described.validation.is_none_or(is_nothing) {
            return Err(Error::new(
                "a search judges trials by validation samples, and there are none; validation = 0.2 in the recipe holds a fifth of the training samples back",
            ));
        }
        // Wherever the search is gone on with, the data are found again.
        if let Some(path) = data
            .source
            .as_deref()
            .and_then(Path::to_str)
            .filter(|_| recipe.says("data.path"))
        {
            recipe.set_value("data.path", path, "data.path")?;
        }
        let mut notes = Vec::new();
        if recipe.ranges()?.is_empty() {
            for range in usual_ranges(&described, data) {
                recipe.vary(&range)?;
            }
            notes.push(
                "no ranges are given: those that are usual for the recipe are searched".to_string(),
            );
        }
        let is_of_layers = |range: &Range| range.field.starts_with("model.layers");
        if !recipe.says("model.layers") && recipe.ranges()?.iter().any(is_of_layers) {
            if described.model.layers.is_empty() {
                return Err(Error::new(format!(
                    "the layers of {} cannot be varied; those of a model that is a list of layers can",
                    described.model.name
                )));
            }
            recipe.set_value("model", serde_json::to_value(&described.model)?, "model")?;
        }
        let ranges = recipe.ranges()?;
        for range in &ranges {
            // What only the data decide about.
            let base = range
                .when
                .iter()
                .filter_map(|(field, values)| Some((field.clone(), values.first()?.clone())));
            let base: Vec<(String, Value)> = base.collect();
            for value in range.values.ends() {
                let mut values = base.clone();
                values.push((range.field.clone(), value));
                let told =
                    |error: Error| Error::new(format!("the range of {}: {error}", range.field));
                let run = recipe.with(&values)?.description(data).map_err(told)?;
                run.trainer(data).map_err(told)?;
            }
        }
        let text = |field: &str| {
            recipe
                .get(&format!("search.{field}"))
                .and_then(Value::as_str)
        };
        let number = |field: &str| {
            recipe
                .get(&format!("search.{field}"))
                .and_then(Value::as_u64)
        };
        let method = match text("method") {
            Some("random") => Method::Random,
            Some("hyperband") => Method::Hyperband,
            _ => Method::Tpe,
        };
        Ok(Self {
            space: Space::new(ranges, serde_json::to_value(&described)?)?,
            method,
            prunes: method != Method::Hyperband && text("prune") != Some("none"),
            trials: number("trials").map_or(TRIALS, |n| n as usize),
            parallel: number("parallel").map(|n| n as usize),
            seed: number("seed").unwrap_or(described.seed),
            epochs: described.epochs,
            notes,
            facts: serde_json::to_value(DataFacts::of(data)?)?,
            language: Language::English,
            command: String::new(),
            recipe,
        })
    }

    /// The language of pages; English unless set.
    pub fn language(mut self, language: Language) -> Self {
        self.language = language;
        self
    }

    /// The command that makes the search, for reports.
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = command.into();
        self
    }

    /// What is to be said of it before it begins, a sentence each, in English.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The fields that are varied, and their ranges.
    pub fn ranges(&self) -> &[Range] {
        self.space.ranges()
    }

    /// How values are chosen.
    pub fn method(&self) -> Method {
        self.method
    }

    /// Whether trials that do badly end early.
    pub fn prunes(&self) -> bool {
        self.prunes || self.method == Method::Hyperband
    }

    /// How many trials are made.
    pub fn trials(&self) -> usize {
        self.trials
    }

    /// Epochs of a trial, unless they are varied.
    pub fn epochs(&self) -> u64 {
        self.epochs
    }

    fn words(&self) -> Words {
        Words::new(self.language, &TRAINING)
    }

    /// What a trial with these values is to do.
    fn description(&self, values: &[(String, Value)], data: &Dataset) -> Result<RunDescription> {
        self.recipe.with(values)?.description(data)
    }
}

/// Ranges around what the recipe does: the learning rate and the weight decay within a factor of ten, half and twice the batch, and
/// how much is dropped out.
fn usual_ranges(run: &RunDescription, data: &Dataset) -> Vec<String> {
    let around = |value: f64| format!("{:.1e}..{:.1e}:log", value / 10.0, value * 10.0);
    let mut ranges = Vec::new();
    if let Some(&rate) = run.optimizer.settings.get("learning_rate") {
        ranges.push(format!("optimizer.learning_rate={}", around(rate)));
    }
    match run.optimizer.settings.get("weight_decay") {
        Some(&decay) if decay > 0.0 => {
            ranges.push(format!("optimizer.weight_decay={}", around(decay)))
        }
        _ if run.optimizer.name == "adamw" => {
            ranges.push("optimizer.weight_decay=1e-3..1:log".to_string())
        }
        _ => {}
    }
    let batch = run.batch_size;
    let batches = [batch / 2, batch, batch * 2].map(|size| size.clamp(1, data.train.len().max(1)));
    let mut batches: Vec<String> = batches.iter().map(usize::to_string).collect();
    batches.dedup();
    if batches.len() > 1 {
        ranges.push(format!("batch_size={}", batches.join(",")));
    }
    if run
        .model
        .layers
        .iter()
        .any(|layer| layer.layer == "dropout" && layer.settings.contains_key("ratio"))
    {
        ranges.push("model.layers[*].ratio=0..0.5".to_string());
    }
    ranges
}

fn criterion(name: &str, goal: Goal, is_share: bool) -> Criterion {
    Criterion {
        name: name.to_string(),
        higher: goal == Goal::Higher,
        is_share,
    }
}

/// A table with these fields.
fn table(values: &[(String, Value)]) -> Map<String, Value> {
    values.iter().cloned().collect()
}
