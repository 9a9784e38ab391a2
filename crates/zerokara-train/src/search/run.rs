//! Making a search: threads that train trials, and what they tell.

use super::{
    Criterion, Found, Method, Point, Search, State, Trial, cost, criterion,
    journal::{self, Journal, Searched},
    page,
    plan::{self, Bracket, Next},
    ranked, space,
};
use crate::{
    atomic,
    error::{Error, NotFinite, Result},
    metrics::Epoch,
    recipe::Recipe,
    run_folder::RunFolder,
    trainer::{Interrupts, Overseer, Run},
};
use serde_json::{Value, json};
use std::{
    path::Path,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        mpsc::{self, Sender},
    },
    thread,
    time::{Duration, Instant},
};
use zerokara_core::Runtime;
use zerokara_data::Dataset;
use zerokara_nn::{Goal, Measure};

/// More trials than these run side by side only if that is asked for.
const SIDE_BY_SIDE: usize = 4;
/// How often it is looked whether Ctrl-C came, while there is nothing to do.
const LOOK: Duration = Duration::from_millis(100);
/// The page is written no more often than this while trials are made.
const PAGE_EVERY: Duration = Duration::from_secs(2);

/// What happens during a search.
#[derive(Clone, Debug)]
pub enum Event {
    /// The search goes on with what was made before: so many trials were done.
    GoesOn(usize),
    /// A trial begins, or goes on.
    Begun(Trial),
    /// A trial has come to the end of an epoch.
    Epoch {
        /// Its number.
        trial: usize,
        /// The epoch.
        epoch: u64,
        /// How the model did on the validation samples.
        point: Point,
        /// What that is.
        criterion: Criterion,
    },
    /// A trial has ended, or pauses until others have come as far.
    Ended(Trial, Option<Criterion>),
}

/// What the threads of a search share.
struct Shared {
    progress: Mutex<Progress>,
    changed: Condvar,
    interrupts: Interrupts,
    journal: Journal,
}

struct Progress {
    trials: Vec<Trial>,
    searched: Searched,
    /// Why the search ends.
    error: Option<Error>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends(&self) -> bool {
        self.interrupts.requested() || self.lock().error.is_some()
    }

    fn fail(&self, error: Error) {
        self.lock().error.get_or_insert(error);
        self.changed.notify_all();
    }
}

/// Looks over a trial.
struct Watch {
    shared: Arc<Shared>,
    trial: usize,
    epochs: u64,
    until: Option<u64>,
    /// What the trials that it knows of cost after each epoch; `None` if nothing is pruned.
    others: Option<Vec<Vec<f64>>>,
    seen: Mutex<Seen>,
    events: Sender<Event>,
}

#[derive(Default)]
struct Seen {
    curve: Vec<Point>,
    pruned: bool,
}

/// How the model did in each epoch; what is no finite number is none.
fn curve(history: &[Epoch], criterion: &Criterion) -> Vec<Point> {
    let finite = |value: Option<f64>| value.filter(|value| value.is_finite()).unwrap_or(f64::NAN);
    let point = |epoch: &Epoch| {
        let loss = finite(epoch.validation_loss);
        let value = match criterion.name.as_str() {
            LOSS => loss,
            name => finite(epoch.measure("validation", name)),
        };
        Point { value, loss }
    };
    history.iter().map(point).collect()
}

/// What is judged by where the task has no measure.
const LOSS: &str = "loss";

fn costs(curve: &[Point], higher: bool) -> Vec<f64> {
    curve
        .iter()
        .map(|point| cost(point.value, higher))
        .collect()
}

impl Watch {
    /// What trials are judged by. The first epoch of the first trial tells it; it is kept before anything follows from it.
    fn criterion(&self, measure: Option<&Measure>) -> Criterion {
        let mut progress = self.shared.lock();
        if let Some(known) = &progress.searched.criterion {
            return known.clone();
        }
        let found = match measure {
            Some(measure) => criterion(measure.name, measure.goal, measure.is_share),
            None => criterion(LOSS, Goal::Lower, false),
        };
        progress.searched.criterion = Some(found.clone());
        if let Err(error) = self.shared.journal.write_search(&progress.searched) {
            progress.error.get_or_insert(error);
        }
        found
    }
}

impl Overseer for Watch {
    fn pauses(&self, history: &[Epoch], measure: Option<&Measure>) -> bool {
        let criterion = self.criterion(measure);
        let curve = curve(history, &criterion);
        let costs = costs(&curve, criterion.higher);
        let pruned = (self.others.as_ref())
            .is_some_and(|others| plan::is_pruned(&costs, self.epochs, others));
        let epoch = curve.len() as u64;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(point) = curve.last().filter(|_| seen.curve.len() < curve.len()) {
            let (trial, point) = (self.trial, *point);
            // Nobody need listen.
            let _ = self.events.send(Event::Epoch {
                trial,
                epoch,
                point,
                criterion,
            });
        }
        seen.curve = curve;
        seen.pruned = pruned && epoch < self.epochs;
        seen.pruned || self.until.is_some_and(|until| epoch >= until)
    }

    fn is_interrupted(&self) -> bool {
        self.shared.ends()
    }
}

/// A trial that is to be trained now.
struct Job {
    at: usize,
    trial: Trial,
    others: Option<Vec<Vec<f64>>>,
}

impl Search {
    /// Makes the search in this folder, or goes on with it there. Ctrl-C ends it early but well: then [`Found::interrupted`] is true,
    /// and the same call goes on.
    ///
    /// `tell` hears what happens, on the thread of the caller.
    ///
    /// # Errors
    /// If the folder holds another search ([`Search::difference`]), another process searches there, a file cannot be written, or no
    /// trial comes to its end.
    pub fn run(
        &self,
        data: &Dataset,
        folder: impl AsRef<Path>,
        tell: &mut dyn FnMut(Event),
    ) -> Result<Found> {
        let folder = folder.as_ref();
        let journal = Journal::open(folder)?;
        if let Some(difference) = self.difference(folder)? {
            return Err(Error::new(format!(
                "{} holds another search: {difference}",
                folder.display()
            )));
        }
        let before = journal::read_search(folder)?;
        let is_new = before.is_none();
        let searched = Searched {
            criterion: before.and_then(|before| before.criterion),
            ..self.searched()
        };
        journal.write_search(&searched)?;
        let mut trials = Vec::new();
        for number in 1..=self.trials {
            let known = journal.read_trial(number)?;
            trials.push(known.unwrap_or_else(|| Trial::waiting(number)));
        }
        if !is_new {
            tell(Event::GoesOn(
                trials.iter().filter(|trial| trial.state.is_final()).count(),
            ));
        }
        let shared = Arc::new(Shared {
            progress: Mutex::new(Progress {
                trials,
                searched,
                error: None,
            }),
            changed: Condvar::new(),
            interrupts: Interrupts::watch()?,
            journal,
        });
        let brackets = plan::brackets(self.trials, self.epochs);
        let parallel = self
            .parallel
            .unwrap_or(Runtime::current()?.threads().min(SIDE_BY_SIDE));
        let (events, heard) = mpsc::channel();
        let found = |shared: &Shared| {
            let progress = shared.lock();
            Found {
                trials: progress.trials.clone(),
                criterion: progress.searched.criterion.clone(),
                interrupted: shared.interrupts.requested(),
                folder: folder.to_path_buf(),
                ranges: self.space.ranges().to_vec(),
            }
        };
        let mut written = Instant::now();
        let told: Result<()> = thread::scope(|scope| {
            for _ in 0..parallel.clamp(1, self.trials) {
                let (shared, events, brackets) = (shared.clone(), events.clone(), &brackets);
                scope.spawn(move || self.work(data, &shared, brackets, &events));
            }
            drop(events);
            let mut told = Ok(());
            for event in heard {
                let ended = matches!(event, Event::Ended(..));
                tell(event);
                if ended && written.elapsed() >= PAGE_EVERY && told.is_ok() {
                    told = self.write(&found(&shared), data);
                    written = Instant::now();
                }
            }
            told
        });
        let found = found(&shared);
        if let Some(error) = shared.lock().error.clone() {
            return Err(error);
        }
        told?;
        self.write(&found, data)?;
        match (found.best(), found.trials.first().map(|trial| &trial.state)) {
            (None, Some(State::Failed(why))) if !found.interrupted => Err(Error::new(format!(
                "no trial came to its end; the first failed: {why}"
            ))),
            _ => Ok(found),
        }
    }

    /// Trains trials until there is nothing left to do.
    fn work(
        &self,
        data: &Dataset,
        shared: &Arc<Shared>,
        brackets: &[Bracket],
        events: &Sender<Event>,
    ) {
        while let Some(job) = self.job(shared, brackets, events) {
            let _ = events.send(Event::Begun(job.trial.clone()));
            let (at, until, started) = (job.at, job.trial.until, Instant::now());
            let result = self.train(job, data, shared, events);
            let mut progress = shared.lock();
            let criterion = progress.searched.criterion.clone();
            let trial = &mut progress.trials[at];
            trial.until = None;
            let written = match result {
                Ok((state, curve)) => {
                    trial.seconds += started.elapsed().as_secs_f64();
                    trial.curve = curve;
                    trial.state = match state {
                        State::Waiting
                            if until.is_some_and(|until| trial.curve.len() as u64 >= until) =>
                        {
                            State::Paused
                        }
                        state => state,
                    };
                    let _ = events.send(Event::Ended(trial.clone(), criterion));
                    match trial.state {
                        State::Waiting => Ok(()),
                        _ => shared.journal.write_trial(trial),
                    }
                }
                Err(error) => {
                    trial.state = State::Waiting;
                    Err(error)
                }
            };
            drop(progress);
            if let Err(error) = written {
                shared.fail(error);
            }
            shared.changed.notify_all();
        }
        shared.changed.notify_all();
    }

    /// Waits for a trial to train.
    fn job(&self, shared: &Shared, brackets: &[Bracket], events: &Sender<Event>) -> Option<Job> {
        let mut progress = shared.lock();
        loop {
            if shared.interrupts.requested() || progress.error.is_some() {
                return None;
            }
            let criterion = progress.searched.criterion.clone();
            let higher = criterion.as_ref().is_some_and(|criterion| criterion.higher);
            let waits = self.prunes || self.method == Method::Tpe;
            let next = match self.method {
                Method::Hyperband => plan::by_brackets(&progress.trials, brackets, higher),
                _ => plan::in_order(&progress.trials, waits),
            };
            match next {
                Next::Over => return None,
                Next::Wait => {
                    let waited = shared.changed.wait_timeout(progress, LOOK);
                    progress = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
                Next::Prune(at) => {
                    let trial = &mut progress.trials[at];
                    trial.state = State::Pruned;
                    let _ = events.send(Event::Ended(trial.clone(), criterion));
                    if let Err(error) = shared.journal.write_trial(trial) {
                        progress.error.get_or_insert(error);
                    }
                }
                Next::Train(at, until) => {
                    if progress.trials[at].state == State::Waiting {
                        progress.trials[at].values = self.values(&progress.trials, at, higher);
                    }
                    let others = plan::known(&progress.trials, at).iter();
                    let others = others.map(|trial| costs(&trial.curve, higher)).collect();
                    let trial = &mut progress.trials[at];
                    (trial.state, trial.until) = (State::Running, until);
                    let trial = trial.clone();
                    return Some(Job {
                        at,
                        trial,
                        others: Some(others).filter(|_| self.prunes),
                    });
                }
            }
        }
    }

    /// The values of a trial: a function of the seed and of the trials that it knows of.
    fn values(&self, trials: &[Trial], at: usize, higher: bool) -> Vec<(String, Value)> {
        let known = space::by_merit(trials, at, higher);
        let is_informed = self.method == Method::Tpe && known.len() >= super::BY_CHANCE;
        match is_informed && !super::is_by_chance(at) {
            true => self.space.proposed(self.seed, at, &known),
            false => self.space.by_chance(self.seed, at),
        }
    }

    /// Trains a trial, or goes on with it: how it ended and how it did. [`State::Waiting`] if it was not to go on.
    fn train(
        &self,
        job: Job,
        data: &Dataset,
        shared: &Arc<Shared>,
        events: &Sender<Event>,
    ) -> Result<(State, Vec<Point>)> {
        let Job { trial, others, .. } = job;
        let failed = |error: Error, curve: Vec<Point>| {
            let told = match error.not_finite() {
                // Where it was saved stands in the trial's own folder.
                Some(step) => NotFinite {
                    saved: None,
                    ..step.clone()
                }
                .to_string(),
                None => error.to_string(),
            };
            let why = told.lines().next().unwrap_or_default().to_string();
            Ok((State::Failed(why), curve))
        };
        let described = self.description(&trial.values, data);
        let prepared = described.and_then(|run| Ok((run.trainer(data)?, run)));
        let (trainer, run) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return failed(error, Vec::new()),
        };
        let watch = Arc::new(Watch {
            shared: shared.clone(),
            trial: trial.number,
            epochs: run.epochs,
            until: trial.until,
            others,
            seen: Mutex::new(Seen {
                curve: trial.curve.clone(),
                pruned: false,
            }),
            events: events.clone(),
        });
        let folder = RunFolder::at(shared.journal.trial_folder(&trial));
        let trainer = trainer
            .quiet()
            .catch_interrupts(false)
            .language(self.language)
            .command(self.command.clone())
            .overseen_by(watch.clone());
        let trainer = match folder.settings().exists() {
            true => trainer.resume(folder.path()),
            false => trainer.run_folder(folder.path()),
        };
        let ended = trainer.fit(data);
        let seen = std::mem::take(&mut *watch.seen.lock().unwrap_or_else(PoisonError::into_inner));
        match ended {
            Ok(run) => Ok((state(&run, seen.pruned), seen.curve)),
            // What a run cannot do with these values is told before its folder is made.
            Err(error) if error.not_finite().is_some() || !folder.settings().exists() => {
                failed(error, seen.curve)
            }
            Err(error) => Err(error),
        }
    }

    /// What the search is, as its folder keeps it.
    fn searched(&self) -> Searched {
        let trials = (self.method == Method::Hyperband).then_some(self.trials);
        Searched {
            version: 1,
            recipe: self.recipe.value(),
            data: self.facts.clone(),
            plan: json!({
                "method": self.method.name(),
                "seed": self.seed,
                "prune": self.prunes,
                "trials": trials,
            }),
            criterion: None,
        }
    }

    /// In what the search that a folder holds differs from this one, in words; nothing if it is the same, or there is none. How many
    /// trials are made, and how many side by side, is no difference, except that Hyperband's brackets hang on the number.
    ///
    /// # Errors
    /// If the folder holds a search that cannot be read.
    pub fn difference(&self, folder: impl AsRef<Path>) -> Result<Option<String>> {
        let Some(there) = journal::read_search(folder.as_ref())? else {
            return Ok(None);
        };
        let compared = |searched: Searched| {
            let mut recipe = searched.recipe;
            if let Some(search) = recipe.get_mut("search").and_then(Value::as_object_mut) {
                ["trials", "parallel"]
                    .iter()
                    .for_each(|name| drop(search.remove(*name)));
            }
            json!({"recipe": recipe, "data": searched.data, "plan": searched.plan})
        };
        Ok(first_difference(
            "",
            &compared(there),
            &compared(self.searched()),
        ))
    }

    /// The recipe of the search that a folder holds, to go on with it.
    ///
    /// # Errors
    /// If there is none, or it cannot be read.
    pub fn recipe_of(folder: impl AsRef<Path>) -> Result<Recipe> {
        let folder = folder.as_ref();
        let there = journal::read_search(folder)?;
        let there = there.ok_or_else(|| {
            Error::new(format!(
                "{} holds no search: it has no search.json",
                folder.display()
            ))
        })?;
        Recipe::of_value(there.recipe)
    }

    /// Writes the page, and the recipe of the best trial.
    fn write(&self, found: &Found, data: &Dataset) -> Result<()> {
        if let (Some(best), Some(criterion)) = (found.best(), &found.criterion)
            && let Some((epoch, point)) = best.best(criterion)
        {
            let run = self.description(&best.values, data)?;
            let done = ranked(&found.trials, Some(criterion)).len();
            let about = [
                format!(
                    "The best of {done} trials: validation {} {:.4} after epoch {epoch} of trial {}.",
                    criterion.name.replace('_', " "),
                    point.value,
                    best.number
                ),
                format!(
                    "zerokara train {} does this run again, to the bit.",
                    found.recipe().display()
                ),
            ];
            atomic::write(found.recipe(), Recipe::written(&run, &about)?)?;
        }
        Ok(atomic::write(
            found.page(),
            page::render(self, found, data),
        )?)
    }
}

fn state(run: &Run, pruned: bool) -> State {
    match (pruned, run.interrupted()) {
        (true, _) => State::Pruned,
        (false, true) => State::Waiting,
        (false, false) => State::Complete,
    }
}

fn first_difference(path: &str, there: &Value, here: &Value) -> Option<String> {
    if let (Value::Object(there), Value::Object(here)) = (there, here) {
        let names: std::collections::BTreeSet<&String> = there.keys().chain(here.keys()).collect();
        return names.into_iter().find_map(|name| {
            let at = |fields: &serde_json::Map<String, Value>| {
                fields.get(name).cloned().unwrap_or_default()
            };
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            first_difference(&path, &at(there), &at(here))
        });
    }
    let told = |value: &Value| match value {
        Value::Null => "none".to_string(),
        Value::Object(_) => "a table".to_string(),
        value => value.to_string(),
    };
    let path = path.strip_prefix("recipe.").unwrap_or(path);
    (there != here).then(|| format!("{path} is {} there and {} here", told(there), told(here)))
}
