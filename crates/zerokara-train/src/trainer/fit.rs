//! The loop of training.

use super::{Callback, Flow, Plan, Run, Trainer, interrupt::Interrupts, page};
use crate::{
    error::{Error, NotFinite, Result},
    evaluation::{EVALUATION_BATCH, Evaluation, Evaluator, Feeder},
    metrics::{Epoch, Step, Writer},
    model::{ModelInfo, SavedModel},
    progress::{Mode, Progress},
    report::{Filters, numbers::thousands},
    run_folder::RunFolder,
};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    time::Instant,
};
use zerokara_core::{Arithmetic, Array, DType, Meta, Tensor};
use zerokara_data::{Dataset, Loader, Split};
use zerokara_nn::{Context, Schedule, TrainStep};

/// Steps that are recorded at most, so that a long run's metrics and report stay of a size to be read.
const RECORDED_STEPS: u64 = 20_000;

/// All that is known while training runs.
pub(super) struct Session<'a> {
    pub trainer: &'a Trainer,
    pub data: &'a Dataset,
    pub train: Split,
    pub validation: Option<Split>,
    pub folder: Option<RunFolder>,
    pub model: SavedModel,
    pub history: Vec<Epoch>,
    pub recorded: Vec<Step>,
    pub started: Instant,
    /// Samples trained on, and the seconds that it took without evaluations.
    pub trained: (u64, f64),
    /// Steps of the whole training, if it is not ended early.
    pub total: u64,
    /// Samples in the last batch of an epoch, if others joined it.
    pub joined: Option<usize>,
    pub steps: u64,
    metrics: Option<Writer>,
    progress: Progress,
    evaluator: Evaluator,
    interrupts: Option<Interrupts>,
    losses: Vec<f64>,
    best: Option<Best>,
}

/// The parameters of the best epoch.
struct Best {
    accuracy: f64,
    loss: f64,
    state: Vec<(String, Array)>,
}

/// Why an epoch ended.
enum End {
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
enum Failure {
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

pub(super) fn fit(mut trainer: Trainer, data: &Dataset) -> Result<Run> {
    check(&trainer)?;
    let model = build(&trainer, data)?;
    let (train, validation) = match trainer.validation {
        None => (data.train.clone(), None),
        Some(amount) => {
            let (train, validation) = data.train.validation(amount, trainer.seed)?;
            (train, Some(validation).filter(|v| !v.is_empty()))
        }
    };
    if train.is_empty() {
        return Err(Error::new(
            "the validation split takes all samples: there is none left to train on",
        ));
    }
    let mut loader = Loader::new(&train, trainer.batch_size)?
        .shuffle(trainer.seed)
        .join_last(least_batch(&trainer, data, train.len())?)
        .normalization(data.normalization.clone())?;
    if let Some(augment) = &trainer.augment {
        loader = loader.augment(augment.clone())?;
    }
    let batches = loader.len() as u64;
    let total = batches.checked_mul(trainer.epochs).ok_or_else(|| {
        Error::new(format!(
            "{} epochs of {batches} steps are more steps than can be counted",
            trainer.epochs
        ))
    })?;
    let schedule = match &trainer.schedule {
        Plan::Fixed(schedule) => schedule.clone(),
        Plan::Over(schedule) => schedule(total),
    };
    schedule.check(total)?;
    let step = trainer.step()?;
    let before = page::first_filters(&*trainer.model)?;
    let interrupts = match trainer.interrupts {
        true => Some(Interrupts::watch()?),
        false => None,
    };
    let evaluator = Evaluator::new(
        trainer.model.clone(),
        trainer.loss.clone(),
        data.normalization.clone(),
        EVALUATION_BATCH,
        trainer.arithmetic.filter(|&a| a != Arithmetic::Bf16),
    )?;
    let mode = match trainer.quiet {
        true => Mode::Quiet,
        false => Mode::detect(),
    };
    let mut callbacks = std::mem::take(&mut trainer.callbacks);
    let mut session = Session {
        progress: Progress::new(mode, trainer.epochs).of(what(data)),
        folder: trainer.folder(&data.name)?,
        trainer: &trainer,
        data,
        train,
        validation,
        model,
        history: Vec::new(),
        recorded: Vec::new(),
        started: Instant::now(),
        trained: (0, 0.0),
        total,
        joined: loader.joined(),
        metrics: None,
        evaluator,
        interrupts,
        steps: 0,
        // Room is made once, so that steps need not; for very long runs it grows.
        losses: Vec::with_capacity(total.min(1 << 20) as usize),
        best: None,
    };
    if let Some(folder) = &session.folder {
        page::write_settings(&session, folder, &Status::Running)?;
        session.metrics = Some(Writer::create(folder.metrics())?);
    }
    session.say_what_differs();
    match session.train(&mut loader, step, &schedule, &mut callbacks) {
        Ok((test, end)) => session.finish(before, test, end),
        Err(Failure::Error(error)) => Err(session.fail(before, error)),
        Err(Failure::Panic(panic)) => {
            let said = panic.downcast_ref::<&str>().map(|s| s.to_string());
            let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
            let said = said.unwrap_or_else(|| "without a word".into());
            drop(session.fail(before, Error::new(format!("a callback panicked: {said}"))));
            // It is the caller's; the run has left what it had.
            resume_unwind(panic)
        }
    }
}

/// Calls a callback; if it panics, what the run has can still be written.
fn ask(call: impl FnOnce() -> Flow) -> Result<Flow, Failure> {
    catch_unwind(AssertUnwindSafe(call)).map_err(Failure::Panic)
}

/// The fewest samples of the data that the model can be trained on together, which there must be.
fn least_batch(trainer: &Trainer, data: &Dataset, samples: usize) -> Result<usize> {
    let shape = [&[1], data.shape()].concat();
    let least = trainer
        .model
        .least_batch(&Meta::new(shape.clone(), DType::F32))?;
    if samples >= least && trainer.batch_size >= least {
        return Ok(least);
    }
    let x = Tensor::input("x", shape, DType::F32);
    let alone = trainer.model.forward(&x, &mut Context::train(0));
    let why = alone.meta().err().map(first_line).unwrap_or_default();
    Err(Error::new(match samples < least {
        true => format!(
            "there is {samples} sample to train on, but the model takes at least {least} together: {why}"
        ),
        false => format!(
            "a batch of {} is too small, the model takes at least {least} samples together: {why}",
            trainer.batch_size
        ),
    }))
}

fn first_line(error: zerokara_core::Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().to_string()
}

/// What the samples are.
pub(super) fn what(data: &Dataset) -> &'static str {
    match data.shape().len() {
        3 => "images",
        _ => "samples",
    }
}

/// What can be said before anything is built.
fn check(trainer: &Trainer) -> Result<()> {
    if trainer.batch_size == 0 {
        return Err(Error::new("the batch size is 0; it must be at least 1"));
    }
    if trainer.epochs == 0 {
        return Err(Error::new(
            "the number of epochs is 0; it must be at least 1",
        ));
    }
    trainer.optimizer.check()?;
    trainer.clipping.check()?;
    zerokara_nn::check_penalty(trainer.l2_penalty)?;
    for callback in &trainer.callbacks {
        callback.check()?;
    }
    Ok(())
}

/// Builds the model for the samples of the data set, and makes sure that it answers for every class.
fn build(trainer: &Trainer, data: &Dataset) -> Result<SavedModel> {
    let name = trainer.name.as_deref().unwrap_or("the model");
    let misfit = |why: String| {
        Error::new(format!(
            "{name} does not fit the data set {}, whose samples are {:?}: {why}",
            data.name,
            data.shape()
        ))
    };
    let samples = trainer.batch_size.min(data.train.len().max(1));
    let shape = [&[samples], data.shape()].concat();
    let sample = Meta::new(shape.clone(), DType::F32);
    trainer
        .model
        .build(&sample, trainer.seed)
        .map_err(|e| misfit(first_line(e)))?;
    let mut cx = Context::evaluate();
    let x = Tensor::input("x", shape, DType::F32);
    let scores = trainer.model.forward(&x, &mut cx);
    let output = scores.meta().map_err(|e| misfit(first_line(e)))?;
    let labels = Tensor::input("t", [samples], DType::I64);
    let loss = trainer.loss.loss(&scores, &labels);
    loss.meta().map_err(|e| misfit(first_line(e)))?;
    let classes = data.classes();
    if let [_, outputs] = output.shape[..]
        && outputs < classes
    {
        return Err(misfit(format!(
            "it gives {outputs} scores for {classes} classes"
        )));
    }
    Ok(SavedModel::new(
        trainer.model.clone(),
        ModelInfo {
            name: trainer.name.clone().unwrap_or_else(|| "model".into()),
            dataset: data.name.clone(),
            shape: data.shape().to_vec(),
            class_names: data.class_names.clone(),
            normalization: data.normalization.clone(),
            pictures: data.pictures,
        },
    ))
}

impl Session<'_> {
    /// How many of the training samples the evaluation after each epoch takes.
    pub fn train_sample(&self) -> usize {
        self.trainer.train_sample.min(self.train.len())
    }

    /// Says once where the run is not quite what one would think.
    fn say_what_differs(&self) {
        let (all, sample) = (self.train.len(), self.train_sample());
        let name = what(self.data);
        if sample < all {
            self.progress.message(&format!(
                "training loss and accuracy of an epoch are measured on {} of the {} training {name}",
                thousands(sample as u64),
                thousands(all as u64)
            ));
        }
        if self.trainer.batch_size > all {
            self.progress.message(&format!(
                "note: batches of {} are larger than the training data: each step takes all {all}",
                self.trainer.batch_size
            ));
        }
        if let Some(last) = self.joined {
            let full = self.trainer.batch_size;
            self.progress.message(&format!(
                "the last batch of an epoch would be of {}, too few for the model: it joins the one before, which has {last}",
                counted(last - full, name)
            ));
        }
    }

    /// All epochs: the last evaluation on the test set, and why training ended.
    fn train(
        &mut self,
        loader: &mut Loader,
        mut step: TrainStep,
        schedule: &Schedule,
        callbacks: &mut [Box<dyn Callback>],
    ) -> Result<(Evaluation, End), Failure> {
        let trainer = self.trainer;
        let every = self.total.div_ceil(RECORDED_STEPS).max(1);
        let batches = loader.len() as u64;
        let mut feeder = Feeder::new();
        let mut test = Evaluation::default();
        let mut end = End::Complete;
        for epoch in 1..=trainer.epochs {
            loader.set_epoch(epoch - 1);
            self.progress.start_epoch(epoch, batches);
            let started = Instant::now();
            let mut images = 0;
            let mut learning_rate = 0.0;
            for at in 0..loader.len() {
                learning_rate = trainer.optimizer.learning_rate() * schedule.factor(self.steps);
                let (x, t) = feeder.batch(loader, at)?;
                let output = step.step(&x, &t, learning_rate)?;
                self.steps += 1;
                self.losses.push(output.loss);
                let size = t.len() as u64;
                images += size;
                let accuracy = output.correct.map(|n| n as f64 / t.len() as f64);
                drop((x, t));
                let record = Step {
                    step: self.steps,
                    epoch,
                    loss: output.loss,
                    accuracy,
                    learning_rate,
                    images_per_second: images as f64 / started.elapsed().as_secs_f64().max(1e-9),
                    seconds: self.started.elapsed().as_secs_f64(),
                    gradient_norm: Some(output.gradient_norm),
                };
                if self.steps.is_multiple_of(every) || self.steps == 1 || !output.ok {
                    self.record(&record)?;
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
                self.progress.step(size, output.loss, accuracy);
                for callback in &mut *callbacks {
                    if ask(|| callback.on_step(&record, &*trainer.model))? == Flow::Stop {
                        end = End::Stopped;
                    }
                }
                if self.interrupted() {
                    end = End::Interrupted;
                }
                if !matches!(end, End::Complete) {
                    break;
                }
            }
            let seconds = started.elapsed().as_secs_f64();
            self.trained.0 += images;
            self.trained.1 += seconds;
            if matches!(end, End::Interrupted) {
                break;
            }
            let record = Epoch {
                epoch,
                step: self.steps,
                learning_rate: Some(learning_rate),
                images_per_second: images as f64 / seconds.max(1e-9),
                seconds,
                ..Epoch::default()
            };
            match self.finish_epoch(record)? {
                Some(evaluation) => test = evaluation,
                None => {
                    end = End::Interrupted;
                    break;
                }
            }
            let record = self.history.last().cloned().unwrap_or_default();
            for callback in &mut *callbacks {
                if ask(|| callback.on_epoch(&record, &*trainer.model))? == Flow::Stop {
                    end = End::Stopped;
                }
            }
            if !matches!(end, End::Complete) {
                break;
            }
        }
        Ok((test, end))
    }

    fn interrupted(&self) -> bool {
        self.interrupts.as_ref().is_some_and(Interrupts::requested)
    }

    fn record(&mut self, step: &Step) -> Result<()> {
        if let Some(metrics) = &mut self.metrics {
            metrics.write(&step.clone().into())?;
            self.recorded.push(step.clone());
        }
        Ok(())
    }

    fn save(&self) -> Result<()> {
        match &self.folder {
            Some(folder) => self.model.save(folder.model()),
            None => Ok(()),
        }
    }

    fn evaluate(&mut self, split: &Split) -> Result<Option<Evaluation>> {
        let Self {
            evaluator,
            interrupts,
            ..
        } = self;
        evaluator.run(split, &mut || {
            !interrupts.as_ref().is_some_and(Interrupts::requested)
        })
    }

    /// Evaluates, saves, records. The evaluation on the test set; `None` if an interrupt came.
    fn finish_epoch(&mut self, mut record: Epoch) -> Result<Option<Evaluation>> {
        // Where nothing can be held back, evaluating must not lose the epoch to a kill.
        if self.validation.is_none() {
            self.save()?;
        }
        let sample = match self.train_sample() {
            n if n < self.train.len() => sample(&self.train, n, self.trainer.seed)?,
            _ => self.train.clone(),
        };
        let Some(train) = self.evaluate(&sample)? else {
            return Ok(None);
        };
        record.train_loss = Some(train.loss).filter(|_| train.samples > 0);
        record.train_accuracy = train.accuracy();
        if let Some(split) = self.validation.clone() {
            let Some(validation) = self.evaluate(&split)? else {
                return Ok(None);
            };
            record.validation_loss = Some(validation.loss);
            record.validation_accuracy = validation.accuracy();
            let found = (
                validation.accuracy().unwrap_or(0.0),
                // The loss of scores that are NaN is no better than any other.
                if validation.loss.is_nan() {
                    f64::INFINITY
                } else {
                    validation.loss
                },
            );
            let better = self.best.as_ref().is_none_or(|best| {
                found.0 > best.accuracy || (found.0 == best.accuracy && found.1 < best.loss)
            });
            if better {
                self.best = Some(Best {
                    accuracy: found.0,
                    loss: found.1,
                    state: self.trainer.model.state()?,
                });
                self.save()?;
            }
        }
        let split = self.data.test.clone();
        let Some(test) = self.evaluate(&split)? else {
            return Ok(None);
        };
        record.test_loss = Some(test.loss).filter(|_| test.samples > 0);
        record.test_accuracy = test.accuracy();
        if let Some(metrics) = &mut self.metrics {
            metrics.write(&record.clone().into())?;
        }
        self.progress.finish_epoch(&record);
        self.history.push(record);
        if let Some(why) = test.no_answers(&format!("test {}", what(self.data))) {
            self.progress.message(&why);
        }
        Ok(Some(test))
    }

    /// Leaves in the folder what the run has, as much as can be written: the model, the report, how it ended. The first
    /// error is given.
    fn leave(&self, before: Option<Filters>, test: &Evaluation, status: Status) -> Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let saved = self.save();
        let status = match (&saved, status) {
            (_, Status::Failed(why)) => Status::Failed(why),
            (Err(error), _) => Status::Failed(error.to_string()),
            (Ok(()), status) => status,
        };
        let seconds = self.started.elapsed().as_secs_f64();
        let page = page::write(self, folder, before, test, seconds, &status);
        let told = page::write_settings(self, folder, &status);
        saved.and(page).and(told)
    }

    /// Puts the parameters of the best epoch back, if one was kept; whether there was.
    fn restore_best(&mut self) -> Result<bool> {
        match self.best.take() {
            None => Ok(false),
            Some(best) => {
                self.trainer.model.load_state(&best.state)?;
                Ok(true)
            }
        }
    }

    /// Ends the run by this error, which is given with what is to be said of it; the folder keeps what there is: the
    /// parameters of the best epoch, if one was kept, else those of the last good step.
    fn fail(mut self, before: Option<Filters>, error: Error) -> Error {
        self.progress.interrupt();
        let mut left = self.restore_best().map(|_| ());
        let error = match (error.not_finite().cloned(), &self.folder) {
            (Some(step), Some(folder)) => NotFinite {
                saved: self.save().is_ok().then(|| folder.model()),
                ..step
            }
            .into(),
            _ => error,
        };
        let told = error.to_string();
        let why = told.lines().next().unwrap_or_default().to_string();
        // What cannot be judged is left without a judgement.
        let judged = self.evaluator.run(&self.data.test, &mut || true);
        let test = judged.ok().flatten().unwrap_or_default();
        left = left.and(self.leave(before, &test, Status::Failed(why)));
        if let Some(folder) = &self.folder {
            let at = folder.path().display();
            match left {
                Ok(()) if error.not_finite().is_some() => {}
                Ok(()) => self.progress.message(&format!(
                    "the run ended early, after {}; what it had is in {at}",
                    counted(self.steps as usize, "steps")
                )),
                Err(failed) => self.progress.message(&format!(
                    "not all that the run had could be kept in {at}: {failed}"
                )),
            }
        }
        error
    }

    fn finish(mut self, before: Option<Filters>, mut test: Evaluation, end: End) -> Result<Run> {
        let interrupted = matches!(end, End::Interrupted);
        if interrupted {
            self.progress.interrupt();
        }
        let restored = self.restore_best()?;
        if restored || interrupted {
            match self.evaluator.run(&self.data.test, &mut || true) {
                Ok(found) => test = found.unwrap_or(test),
                Err(error) => return Err(self.fail(before, error)),
            }
        }
        let seconds = self.started.elapsed().as_secs_f64();
        let status = match end {
            End::Complete => Status::Complete,
            End::Stopped => Status::Stopped,
            End::Interrupted => Status::Interrupted,
        };
        self.leave(before, &test, status)?;
        if interrupted && let Some(folder) = &self.folder {
            self.progress.message(&format!(
                "interrupted after step {}; the model is saved in {}",
                self.steps,
                folder.path().display()
            ));
        }
        Ok(Run {
            model: self.model,
            history: self.history,
            test,
            folder: self.folder,
            interrupted,
            seconds,
            losses: self.losses,
        })
    }
}

/// `1 step`, `3 steps`: a number with a plural that ends in s.
fn counted(n: usize, plural: &str) -> String {
    match n {
        1 => format!("1 {}", plural.trim_end_matches('s')),
        _ => format!("{} {plural}", thousands(n as u64)),
    }
}

/// So many samples by chance, without repetition, the same in every epoch.
fn sample(split: &Split, count: usize, seed: u64) -> Result<Split> {
    Ok(split.validation(count, seed ^ 0x5eed)?.1)
}
