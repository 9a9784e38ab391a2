//! The loop of training.

use super::{Flow, Plan, Run, Trainer, interrupt::Interrupts, page};
use crate::{
    error::{Error, NotFinite, Result},
    evaluation::{EVALUATION_BATCH, Evaluation, Evaluator, Feeder},
    metrics::{Epoch, Step, Writer},
    model::{ModelInfo, SavedModel},
    progress::{Mode, Progress},
    run_folder::RunFolder,
};
use std::time::Instant;
use zerokara_core::{Arithmetic, Array, DType, Meta, Tensor};
use zerokara_data::{Dataset, Loader, Split};
use zerokara_nn::{Context, StepOutput, TrainStep};

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
    /// Images trained on, and the seconds that it took without evaluations.
    pub trained: (u64, f64),
    /// Steps of the whole training, if it is not ended early.
    pub total: u64,
    metrics: Option<Writer>,
    progress: Progress,
    evaluator: Evaluator,
    interrupts: Option<Interrupts>,
    steps: u64,
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
        .normalization(data.normalization.clone())?;
    if let Some(augment) = &trainer.augment {
        loader = loader.augment(augment.clone())?;
    }
    let batches = loader.len() as u64;
    let total = batches * trainer.epochs;
    let schedule = match &trainer.schedule {
        Plan::Fixed(schedule) => schedule.clone(),
        Plan::Over(schedule) => schedule(total),
    };
    let mut step = TrainStep::new(
        trainer.model.clone(),
        trainer.loss.clone(),
        trainer.optimizer.clone(),
    )?
    .clipping(trainer.clipping)
    .l2_penalty(trainer.l2_penalty)
    .seed(trainer.seed);
    if let Some(arithmetic) = trainer.arithmetic {
        step = step.precision(arithmetic)?;
    }

    let folder = trainer.folder(&data.name)?;
    let metrics = match &folder {
        Some(folder) => {
            page::write_settings(&trainer, data, total, folder)?;
            Some(Writer::create(folder.metrics())?)
        }
        None => None,
    };
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
        progress: Progress::new(mode, trainer.epochs),
        trainer: &trainer,
        data,
        train,
        validation,
        folder,
        model,
        history: Vec::new(),
        recorded: Vec::new(),
        started: Instant::now(),
        trained: (0, 0.0),
        total,
        metrics,
        evaluator,
        interrupts,
        steps: 0,
        // Room is made once, so that steps need not; for very long runs it grows.
        losses: Vec::with_capacity(total.min(1 << 20) as usize),
        best: None,
    };
    let every = total.div_ceil(RECORDED_STEPS).max(1);
    let mut feeder = Feeder::new();
    let mut test = Evaluation::default();
    let mut end = End::Complete;
    for epoch in 1..=trainer.epochs {
        loader.set_epoch(epoch - 1);
        session.progress.start_epoch(epoch, batches);
        let started = Instant::now();
        let mut images = 0;
        let mut learning_rate = 0.0;
        for at in 0..loader.len() {
            learning_rate = trainer.optimizer.learning_rate() * schedule.factor(session.steps);
            let (x, t) = feeder.batch(&loader, at)?;
            let output = step.step(&x, &t, learning_rate)?;
            session.steps += 1;
            session.losses.push(output.loss);
            images += t.len() as u64;
            let accuracy = output.correct.map(|n| n as f64 / t.len() as f64);
            drop((x, t));
            let record = Step {
                step: session.steps,
                epoch,
                loss: output.loss,
                accuracy,
                learning_rate,
                images_per_second: images as f64 / started.elapsed().as_secs_f64().max(1e-9),
                seconds: session.started.elapsed().as_secs_f64(),
                gradient_norm: Some(output.gradient_norm),
            };
            if session.steps.is_multiple_of(every) || session.steps == 1 || !output.ok {
                session.record(&record)?;
            }
            if !output.ok {
                return Err(session.not_finite(epoch, &step, output));
            }
            let size = loader.indices(at)?.len() as u64;
            session.progress.step(size, output.loss, accuracy);
            for callback in &mut callbacks {
                if callback.on_step(&record, &*trainer.model) == Flow::Stop {
                    end = End::Stopped;
                }
            }
            if session.interrupted() {
                end = End::Interrupted;
            }
            if !matches!(end, End::Complete) {
                break;
            }
        }
        let seconds = started.elapsed().as_secs_f64();
        session.trained.0 += images;
        session.trained.1 += seconds;
        if matches!(end, End::Interrupted) {
            break;
        }
        let record = Epoch {
            epoch,
            step: session.steps,
            learning_rate: Some(learning_rate),
            images_per_second: images as f64 / seconds.max(1e-9),
            seconds,
            ..Epoch::default()
        };
        match session.finish_epoch(record)? {
            Some(evaluation) => test = evaluation,
            None => {
                end = End::Interrupted;
                break;
            }
        }
        let record = session.history.last().cloned().unwrap_or_default();
        for callback in &mut callbacks {
            if callback.on_epoch(&record, &*trainer.model) == Flow::Stop {
                end = End::Stopped;
            }
        }
        if !matches!(end, End::Complete) {
            break;
        }
    }
    drop(callbacks);
    session.finish(before, test, end)
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
    let rate = trainer.optimizer.learning_rate();
    if !(rate.is_finite() && rate >= 0.0) {
        return Err(Error::new(format!(
            "the learning rate is {rate}; it must be a number from 0 on"
        )));
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
    let first_line = |error: zerokara_core::Error| {
        let text = error.to_string();
        text.lines().next().unwrap_or_default().to_string()
    };
    let shape = [&[1], data.shape()].concat();
    let sample = Meta::new(shape.clone(), DType::F32);
    trainer
        .model
        .build(&sample, trainer.seed)
        .map_err(|e| misfit(first_line(e)))?;
    let mut cx = Context::evaluate();
    let output = trainer
        .model
        .forward(&Tensor::input("x", shape, DType::F32), &mut cx);
    let output = output.meta().map_err(|e| misfit(first_line(e)))?;
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
        },
    ))
}

impl Session<'_> {
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
        let sample = match self.trainer.train_sample {
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
            let found = (validation.accuracy().unwrap_or(0.0), validation.loss);
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
        Ok(Some(test))
    }

    /// The error for a step that was not finite: says where it arose, and keeps the parameters, which are those before
    /// the step.
    fn not_finite(&mut self, epoch: u64, step: &TrainStep, output: StepOutput) -> Error {
        self.progress.interrupt();
        let origin = match step.locate_non_finite() {
            Ok(origin) => origin,
            Err(error) => return error.into(),
        };
        let saved = match self.save() {
            Ok(()) => self.folder.as_ref().map(RunFolder::model),
            Err(error) => return error,
        };
        NotFinite {
            step: self.steps,
            epoch,
            loss: output.loss,
            origin,
            saved,
        }
        .into()
    }

    fn finish(
        mut self,
        before: Option<crate::report::Filters>,
        mut test: Evaluation,
        end: End,
    ) -> Result<Run> {
        let interrupted = matches!(end, End::Interrupted);
        if interrupted {
            self.progress.interrupt();
        }
        let mut stale = interrupted;
        if let Some(best) = self.best.take() {
            self.trainer.model.load_state(&best.state)?;
            stale = true;
        }
        self.save()?;
        if interrupted && let Some(folder) = &self.folder {
            self.progress.message(&format!(
                "interrupted after step {}; the model is saved in {}",
                self.steps,
                folder.path().display()
            ));
        }
        let seconds = self.started.elapsed().as_secs_f64();
        if stale {
            let always = &mut || true;
            if let Some(found) = self.evaluator.run(&self.data.test, always)? {
                test = found;
            }
        }
        if let Some(folder) = self.folder.clone() {
            page::write(&self, &folder, before, &test, seconds)?;
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

/// So many samples by chance, without repetition, the same in every epoch.
fn sample(split: &Split, count: usize, seed: u64) -> Result<Split> {
    Ok(split.validation(count, seed ^ 0x5eed)?.1)
}
