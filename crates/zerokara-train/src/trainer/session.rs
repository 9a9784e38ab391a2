//! The loop of training.

use super::{
    Callback, Flow, Trainer, Watch,
    checkpoint::{Checkpoints, Moment},
    fit::what,
    halves,
    interrupt::Interrupts,
    readings::Looks,
};
use crate::{
    atomic::FileError,
    carried,
    description::RunDescription,
    error::{Error, NotFinite, Result},
    evaluation::{Evaluation, Evaluator},
    metrics::{ACCURACY, Epoch, Record, Step, Writer},
    model::SavedModel,
    progress::Progress,
    report::numbers::thousands,
    run_folder::RunFolder,
};
use std::{
    any::Any,
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    time::Instant,
};
use zerokara_core::Array;
use zerokara_data::{Dataset, Feeder, Position, Split};
use zerokara_nn::{Measure, Schedule, TrainStep};

/// Steps that are recorded at most, so that a long run's metrics and report stay of a size to be read.
const RECORDED_STEPS: u64 = 20_000;

/// All that is known while training runs.
pub(super) struct Session<'a> {
    pub trainer: &'a Trainer,
    pub data: &'a Dataset,
    pub train: Split,
    pub validation: Option<Split>,
    pub folder: Option<RunFolder>,
    /// What the run is to do, where a folder keeps it.
    pub described: Option<RunDescription>,
    /// The command that began it.
    pub command: String,
    pub model: SavedModel,
    pub history: Vec<Epoch>,
    pub recorded: Vec<Step>,
    pub started: Instant,
    /// Seconds that the run took before it was gone on with.
    pub before: f64,
    /// Samples trained on, and the seconds that it took without evaluations.
    pub trained: (u64, f64),
    /// Steps of the whole training, if it is not ended early.
    pub total: u64,
    /// Samples in the last batch of an epoch, if others joined it.
    pub joined: Option<usize>,
    /// The fewest samples that the model can be trained on together.
    pub least: usize,
    pub steps: u64,
    pub reached: Reached,
    pub metrics: Option<Writer>,
    pub progress: Progress,
    pub evaluator: Evaluator,
    pub interrupts: Option<Interrupts>,
    pub watch: Option<Watch>,
    /// Whether who watches has asked for the end.
    pub left: bool,
    pub losses: Vec<f64>,
    pub best: Option<Best>,
    /// The epoch that the parameters in `best` are of, also after they were put back.
    pub best_epoch: Option<u64>,
    pub checkpoints: Option<Checkpoints>,
    /// What could not be written, until it can.
    pub trouble: Option<String>,
    /// What the last epoch was judged by.
    pub judged: Option<Measure>,
    pub looks: Looks,
}

/// How far the training is.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) struct Reached {
    /// Epochs that are done, their evaluations included.
    pub epochs: u64,
    /// Batches of the next epoch that are done.
    pub batches: u64,
    /// Samples in these.
    pub samples: u64,
    /// Seconds that these took.
    pub seconds: f64,
    /// The learning rate of the last step.
    pub learning_rate: f64,
    /// Whether a callback ended the training.
    pub stopped: bool,
}

/// The parameters of the best epoch.
pub(super) struct Best {
    /// The first measure; NaN if there is none.
    pub value: f64,
    pub loss: f64,
    pub state: Vec<(String, Array)>,
}

/// Why training ended.
pub(super) enum End {
    Complete,
    Stopped,
    Interrupted,
}

/// How a run ended, or that it has not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    Complete,
    /// A callback ended it.
    Stopped,
    Interrupted,
    /// It ended by this error.
    Failed(String),
}

impl Status {
    /// The word for it in `run.json`.
    pub fn word(&self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Complete => "complete",
            Status::Stopped => "stopped",
            Status::Interrupted => "interrupted",
            Status::Failed(_) => "failed",
        }
    }
}

/// Why an epoch cannot go on.
pub(super) enum Failure {
    Error(Error),
    /// A callback panicked.
    Panic(Box<dyn Any + Send>),
}

macro_rules! from_errors {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Failure::Error(error.into())
            }
        }
    )*};
}
from_errors!(Error, NotFinite, zerokara_core::Error, zerokara_data::Error);

/// Whether the run is to end after the current step.
fn is_interrupted(trainer: &Trainer, interrupts: Option<&Interrupts>) -> bool {
    interrupts.is_some_and(Interrupts::requested)
        || trainer
            .overseer
            .as_ref()
            .is_some_and(|o| o.is_interrupted())
}

/// Calls a callback; if it panics, what the run has can still be written.
pub(super) fn ask<T>(call: impl FnOnce() -> T) -> Result<T, Failure> {
    catch_unwind(AssertUnwindSafe(call)).map_err(Failure::Panic)
}

impl Session<'_> {
    /// How many of the training samples the evaluation after each epoch takes.
    pub fn train_sample(&self) -> usize {
        self.trainer.train_sample.min(self.train.len())
    }

    /// Seconds that the run took until now.
    pub fn seconds(&self) -> f64 {
        self.before + self.started.elapsed().as_secs_f64()
    }

    /// Says once where the run is not quite what one would think.
    pub fn say_what_differs(&self) {
        let (all, sample) = (self.train.len(), self.train_sample());
        let (name, words) = (what(self.data), self.trainer.words());
        if sample < all {
            let (sample, all) = (thousands(sample as u64), thousands(all as u64));
            self.progress.message(&words.fill(
                "training loss and accuracy of an epoch are measured on {} of the {} training {}",
                &[&sample, &all, &words.say(name)],
            ));
        }
        if self.trainer.batch_size > all {
            self.progress.message(&words.fill(
                "note: batches of {} are larger than the training data: each step takes all {}",
                &[&self.trainer.batch_size, &all],
            ));
        }
        if let Some(last) = self.joined {
            let few = counted(last - self.trainer.batch_size, name);
            self.progress.message(&words.fill(
                "the last batch of an epoch would be of {}, too few for the model: it joins the one before, which has {}",
                &[&words.say(&few), &last],
            ));
        }
    }

    /// What is left of all epochs: the last evaluation on the test set, if there was one, and why training ended.
    pub fn train(
        &mut self,
        feeder: &mut Feeder,
        mut step: TrainStep,
        schedule: &Schedule,
        callbacks: &mut [Box<dyn Callback>],
    ) -> Result<(Option<Evaluation>, End), Failure> {
        let mut test = None;
        // It may have been cut off where it was to pause.
        if !self.history.is_empty() && self.is_to_pause() {
            step.keep_average()?;
            return Ok((test, End::Interrupted));
        }
        while self.reached.epochs < self.trainer.epochs && !self.reached.stopped {
            let end = self.epoch(feeder, &mut step, schedule, callbacks)?;
            let evaluated = match end {
                End::Interrupted => None,
                End::Complete | End::Stopped => {
                    step.averaged(|| self.finish_epoch(matches!(end, End::Stopped)))??
                }
            };
            let Some(evaluated) = evaluated else {
                self.save_checkpoint(&step, callbacks);
                step.keep_average()?;
                return Ok((test, End::Interrupted));
            };
            test = Some(evaluated);
            let record = self.history.last().cloned().unwrap_or_default();
            for callback in &mut *callbacks {
                if ask(|| callback.on_epoch(&record, &*self.trainer.model))? == Flow::Stop {
                    self.reached.stopped = true;
                }
            }
            let ended = self.reached.stopped || self.reached.epochs == self.trainer.epochs;
            self.read(&step, ended);
            let pauses = self.is_to_pause() && !ended;
            if ended || pauses || self.is_due(Moment::Epoch) {
                self.save_checkpoint(&step, callbacks);
            }
            if pauses {
                step.keep_average()?;
                return Ok((test, End::Interrupted));
            }
        }
        // The model is what was evaluated.
        step.keep_average()?;
        let end = match self.reached.stopped {
            true => End::Stopped,
            false => End::Complete,
        };
        Ok((test, end))
    }

    /// What is left of the steps of an epoch.
    fn epoch(
        &mut self,
        feeder: &mut Feeder,
        step: &mut TrainStep,
        schedule: &Schedule,
        callbacks: &mut [Box<dyn Callback>],
    ) -> Result<End, Failure> {
        let trainer = self.trainer;
        let every = self.total.div_ceil(RECORDED_STEPS).max(1);
        let epoch = self.reached.epochs + 1;
        feeder.seek(Position {
            epoch: epoch - 1,
            batch: self.reached.batches,
        })?;
        if self.reached.batches == 0 {
            carried::reset(&**step.model())?;
        }
        self.progress
            .start_epoch(epoch, feeder.loader().len() as u64);
        self.progress.skip(self.reached.batches);
        let (started, before) = (Instant::now(), self.reached.seconds);
        while let Some(feed) = feeder.next_feed()? {
            let learning_rate = trainer.optimizer.learning_rate() * schedule.factor(self.steps);
            let output = halves::step(self, step, feed, learning_rate, callbacks)?;
            self.steps += 1;
            self.losses.push(output.loss);
            let size = feed.len() as u64;
            let measures = trainer.task.measures(&output.totals);
            self.reached.batches += 1;
            self.reached.samples += size;
            self.reached.seconds = before + started.elapsed().as_secs_f64();
            self.reached.learning_rate = learning_rate;
            let record = Step {
                step: self.steps,
                epoch,
                loss: output.loss,
                accuracy: accuracy(&measures),
                learning_rate,
                images_per_second: self.reached.samples as f64 / self.reached.seconds.max(1e-9),
                seconds: self.seconds(),
                gradient_norm: Some(output.gradient_norm),
                measures: others(&measures)
                    .map(|m| (m.name.to_string(), m.value))
                    .collect(),
            };
            if self.steps.is_multiple_of(every) || self.steps == 1 || !output.ok {
                self.record(record.clone().into());
                if self.metrics.is_some() {
                    self.recorded.push(record.clone());
                }
            }
            if !output.ok {
                return Err(NotFinite {
                    step: self.steps,
                    epoch,
                    loss: output.loss,
                    gradient_norm: output.gradient_norm,
                    origin: step.locate_non_finite()?,
                    saved: None,
                }
                .into());
            }
            self.show(&record.clone().into());
            let first = measures.first().map(|m| (m.name, m.value));
            self.progress.step(size, output.loss, first);
            let mut end = End::Complete;
            for callback in &mut *callbacks {
                if ask(|| callback.on_step(&record, &*trainer.model))? == Flow::Stop {
                    end = End::Stopped;
                }
            }
            if self.interrupted() {
                end = End::Interrupted;
            }
            if !matches!(end, End::Complete) {
                return Ok(end);
            }
            if self.is_due(Moment::Step) {
                self.save_checkpoint(step, callbacks);
            }
        }
        Ok(End::Complete)
    }

    fn interrupted(&self) -> bool {
        self.left || is_interrupted(self.trainer, self.interrupts.as_ref())
    }

    /// Shows a record to who watches.
    fn show(&mut self, record: &Record) {
        if let Some(watch) = &mut self.watch {
            self.left |= watch(record) == Flow::Stop;
        }
    }

    /// Whether who oversees the run wants it to pause after the epochs that are done.
    fn is_to_pause(&self) -> bool {
        let overseer = self.trainer.overseer.as_ref();
        overseer.is_some_and(|o| o.pauses(&self.history, self.judged.as_ref()))
    }

    /// Writes a line into the metrics; one that cannot be written waits for the next.
    fn record(&mut self, record: Record) {
        if let Some(metrics) = &mut self.metrics {
            let written = metrics.write(&record);
            self.tell(written);
        }
    }

    pub fn save(&self) -> Result<()> {
        match &self.folder {
            Some(folder) => self.model.save(folder.model()),
            None => Ok(()),
        }
    }

    /// Says once what could not be written; training goes on.
    pub fn tell<E: std::fmt::Display>(&mut self, written: Result<(), E>) {
        let Err(error) = written else {
            return;
        };
        if self.trouble.is_none() {
            let words = self.trainer.words();
            let told = match self.checkpoints.as_ref().and_then(Checkpoints::kept) {
                None => words.fill(
                    "{}; training goes on, and what could not be written is tried again",
                    &[&error],
                ),
                Some(step) => words.fill(
                    "{}; training goes on, and what could not be written is tried again; the last good checkpoint is of step {}",
                    &[&error, &step],
                ),
            };
            self.progress.message(&told);
        }
        self.trouble = Some(error.to_string());
    }

    fn evaluate(&mut self, split: &Split) -> Result<Option<Evaluation>> {
        let Self {
            evaluator,
            interrupts,
            trainer,
            ..
        } = self;
        evaluator.run(split, &mut || !is_interrupted(trainer, interrupts.as_ref()))
    }

    /// Evaluates, saves, records. The evaluation on the test set; `None` if an interrupt came: then nothing was done.
    fn finish_epoch(&mut self, stopped: bool) -> Result<Option<Evaluation>> {
        // Where nothing can be held back, evaluating must not lose the epoch to a kill.
        if self.validation.is_none() {
            let saved = self.save();
            self.tell(saved);
        }
        let sample = match self.train_sample() {
            n if n < self.train.len() => sample(&self.train, n, self.trainer.seed)?,
            _ => self.train.clone(),
        };
        let Some(train) = self.evaluate(&sample)? else {
            return Ok(None);
        };
        let validation = match self.validation.clone() {
            None => None,
            Some(split) => match self.evaluate(&split)? {
                None => return Ok(None),
                found => found,
            },
        };
        let split = self.data.test.clone();
        let Some(test) = self.evaluate(&split)? else {
            return Ok(None);
        };
        let reached = std::mem::take(&mut self.reached);
        self.trained.0 += reached.samples;
        self.trained.1 += reached.seconds;
        self.reached = Reached {
            epochs: reached.epochs + 1,
            stopped,
            ..Reached::default()
        };
        let record = Epoch {
            epoch: self.reached.epochs,
            step: self.steps,
            learning_rate: Some(reached.learning_rate),
            images_per_second: reached.samples as f64 / reached.seconds.max(1e-9),
            seconds: reached.seconds,
            measures: named(&[
                ("train", Some(&train)),
                ("validation", validation.as_ref()),
                ("test", Some(&test)),
            ]),
            train_loss: Some(train.loss).filter(|_| train.samples > 0),
            train_accuracy: train.accuracy(),
            validation_loss: validation.as_ref().map(|v| v.loss),
            validation_accuracy: validation.as_ref().and_then(Evaluation::accuracy),
            test_loss: Some(test.loss).filter(|_| test.samples > 0),
            test_accuracy: test.accuracy(),
        };
        if let Some(validation) = validation {
            self.judge(record.epoch, &validation)?;
        }
        self.show(&record.clone().into());
        self.record(record.clone().into());
        let first = train.measures.first().map(|m| m.name);
        self.progress.finish_epoch(&record, first);
        self.history.push(record);
        if let Some(why) = test.no_answers(&format!("test {}", what(self.data))) {
            self.progress.message(&self.trainer.words().say(&why));
        }
        Ok(Some(test))
    }

    /// Keeps the parameters if no epoch did better.
    fn judge(&mut self, epoch: u64, validation: &Evaluation) -> Result<()> {
        let first = validation.measures.first();
        self.judged = first.copied();
        let value = first.map_or(f64::NAN, |measure| measure.value);
        // The loss of scores that are NaN is no better than any other.
        let loss = match validation.loss.is_nan() {
            true => f64::INFINITY,
            false => validation.loss,
        };
        let better = self.best.as_ref().is_none_or(|best| {
            let alike = value == best.value || (value.is_nan() && best.value.is_nan());
            first.is_some_and(|measure| measure.is_better_than(best.value))
                || (alike && loss < best.loss)
        });
        if better {
            self.best = Some(Best {
                value,
                loss,
                state: self.trainer.model.state()?,
            });
            self.best_epoch = Some(epoch);
            let saved = self.save();
            self.tell(saved);
        }
        Ok(())
    }

    /// Whether a checkpoint is to be written now.
    fn is_due(&self, now: Moment) -> bool {
        let checkpoints = self.checkpoints.as_ref();
        checkpoints.is_some_and(|c| c.is_due(now, self.steps, self.reached.epochs))
    }

    /// Writes a checkpoint, if there is a folder; what cannot be written is said.
    fn save_checkpoint(&mut self, step: &TrainStep, callbacks: &[Box<dyn Callback>]) {
        let Some(mut checkpoints) = self.checkpoints.take() else {
            return;
        };
        let written = checkpoints.write(self, step, callbacks);
        self.checkpoints = Some(checkpoints);
        match &written {
            // The metrics lie in front of the checkpoint: all that was in trouble is written.
            Ok(()) => self.trouble = None,
            Err(_) => self.tell(written),
        }
    }

    /// Tries once more what could not be written.
    pub fn flush(&mut self) -> Result<(), FileError> {
        match &mut self.metrics {
            Some(metrics) => metrics.flush(),
            None => Ok(()),
        }
    }
}

/// The accuracy among these measures.
fn accuracy(measures: &[Measure]) -> Option<f64> {
    let mut found = measures.iter().filter(|measure| measure.name == ACCURACY);
    found.next().map(|measure| measure.value)
}

/// The others, which metrics have by their names.
fn others(measures: &[Measure]) -> impl Iterator<Item = &Measure> {
    measures.iter().filter(|measure| measure.name != ACCURACY)
}

/// The measures of the parts, but for the accuracy, as `test_rmse`.
fn named(parts: &[(&str, Option<&Evaluation>)]) -> BTreeMap<String, f64> {
    let mut all = BTreeMap::new();
    for (part, found) in parts {
        for measure in found
            .iter()
            .filter(|e| e.samples > 0)
            .flat_map(|e| others(&e.measures))
        {
            all.insert(format!("{part}_{}", measure.name), measure.value);
        }
    }
    all
}

/// `1 step`, `3 steps`: a number with a plural that ends in s.
pub(super) fn counted(n: usize, plural: &str) -> String {
    match n {
        1 => format!("1 {}", plural.trim_end_matches('s')),
        _ => format!("{} {plural}", thousands(n as u64)),
    }
}

/// So many samples by chance, without repetition, the same in every epoch.
fn sample(split: &Split, count: usize, seed: u64) -> Result<Split> {
    Ok(split.validation(count, seed ^ 0x5eed)?.1)
}
