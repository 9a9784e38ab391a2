//! What comes before the first step.

use super::{
    Callback, Folder, Run, Trainer,
    checkpoint::{Checkpoints, Resumed, how_far},
    interrupt::Interrupts,
    page,
    readings::Looks,
    session::{Failure, Reached, Session, Status},
};
use crate::{
    bytes::as_stored,
    description::Sampling,
    error::{Error, Result},
    evaluation::Evaluator,
    metrics::Writer,
    model::{ModelCard, SavedModel},
    progress::{Mode, Progress},
    readings,
    run_folder::RunFolder,
};
use std::{panic::resume_unwind, time::Instant};
use zerokara_core::{Arithmetic, Arrays, Tensor, Tensors, record::BATCH};
use zerokara_data::{Dataset, Feed, Loader, Split};
use zerokara_nn::{Context, TrainStep};

pub(super) fn fit(mut trainer: Trainer, data: &Dataset) -> Result<Run> {
    check(&trainer, data)?;
    let (train, validation) = parted(&trainer, data)?;
    let (loader, model, least) = prepared(&trainer, data, &train)?;
    let batches = loader.len() as u64;
    let total = batches.checked_mul(trainer.epochs).ok_or_else(|| {
        Error::new(format!(
            "{} epochs of {batches} steps are more steps than can be counted",
            trainer.epochs
        ))
    })?;
    let schedule = trainer.schedule_of(total);
    schedule.check(total)?;
    let mut step = trainer.step(data)?;
    let before = page::first_filters(&*trainer.model)?;
    let interrupts = match trainer.interrupts {
        true => Some(Interrupts::watch()?),
        false => None,
    };
    let evaluator = Evaluator::new(
        trainer.model.clone(),
        trainer.task.clone(),
        data.normalization.clone(),
        trainer.padding.clone(),
        trainer.arithmetic.filter(|&a| a != Arithmetic::Bf16),
    )?;
    let mode = match trainer.quiet {
        true => Mode::Quiet,
        false => Mode::detect(),
    };
    let mut callbacks = std::mem::take(&mut trainer.callbacks);
    let watch = trainer.watch.take();
    let mut session = Session {
        progress: Progress::new(mode, trainer.epochs)
            .of(what(data))
            .language(trainer.language),
        folder: None,
        described: None,
        command: trainer.command.clone(),
        trainer: &trainer,
        data,
        train,
        validation,
        model,
        history: Vec::new(),
        recorded: Vec::new(),
        started: Instant::now(),
        before: 0.0,
        trained: (0, 0.0),
        total,
        joined: loader.joined(),
        least,
        metrics: None,
        evaluator,
        interrupts,
        watch,
        left: false,
        steps: 0,
        reached: Reached::default(),
        // Room is made once, so that steps need not; for very long runs it grows.
        losses: Vec::with_capacity(total.min(1 << 20) as usize),
        best: None,
        best_epoch: None,
        checkpoints: None,
        trouble: None,
        judged: None,
        looks: Looks::default(),
    };
    open(&mut session, &mut step, &mut callbacks, loader.len())?;
    session.say_what_differs();
    match session.train(&mut loader.feeder(), step, &schedule, &mut callbacks) {
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

/// What is trained on, and what is held back from it.
pub(super) fn parted(trainer: &Trainer, data: &Dataset) -> Result<(Split, Option<Split>)> {
    let own = Some(data.validation.clone()).filter(|v| !v.is_empty());
    let (train, validation) = match trainer.validation {
        None => (data.train.clone(), own),
        Some(_) if own.is_some() => {
            return Err(Error::new(
                "the data set has a validation part of its own; none can be held back besides",
            ));
        }
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
    Ok((train, validation))
}

/// Batches of the samples in the order of training, the model that is built for them, and the fewest samples of a step.
pub(super) fn prepared(
    trainer: &Trainer,
    data: &Dataset,
    train: &Split,
) -> Result<(Loader, SavedModel, usize)> {
    let loader = trainer.loader(data, train, trainer.batch_size)?;
    // In the order of the data, since that of epochs depends on what the model takes.
    let first = loader.feed(0)?;
    let model = build(trainer, data, &loader, &first)?;
    let least = least_batch(trainer, &first, train.len())?;
    let loader = match trainer.sampling {
        Sampling::Shuffled => loader.shuffle(trainer.seed).join_last(least),
        Sampling::Balanced => loader.shuffle(trainer.seed).join_last(least).balanced()?,
        Sampling::Stream => loader.in_lanes(),
    };
    // Images that are changed by chance are widened and normalized before.
    let loader = match &trainer.augment {
        Some(augment) => loader.augment(augment.clone())?.classes(data.classes()),
        None => as_stored(loader, train),
    };
    Ok((loader, model, least))
}

/// Opens the run's folder, if there is to be one: a new one, or that of a run that is gone on with.
fn open(
    session: &mut Session<'_>,
    step: &mut TrainStep,
    callbacks: &mut [Box<dyn Callback>],
    batches: usize,
) -> Result<()> {
    let (trainer, data) = (session.trainer, session.data);
    let Some(place) = &trainer.folder else {
        return Ok(());
    };
    let run = trainer.describe(data, session.total, callbacks)?;
    let (mut kept, mut damaged) = (None, false);
    let folder = match place {
        Folder::At(path) => RunFolder::create_at(path)?,
        Folder::Within(base) => {
            let name = trainer.name.as_deref().unwrap_or("model");
            RunFolder::create(base, name, &data.name)?
        }
        Folder::Resume(path) => {
            let resumed = Resumed::open(RunFolder::at(path), &run, trainer.words())?;
            session.folder = Some(resumed.folder.clone());
            session.metrics = Some(resumed.metrics);
            session.recorded = resumed.recorded;
            session.command = resumed.command;
            damaged = resumed.damaged;
            if let Some(checkpoint) = resumed.checkpoint {
                kept = Some(checkpoint.reached());
                checkpoint.restore(session, step, callbacks)?;
            }
            // What was read behind the checkpoint is read again.
            readings::cut(&resumed.folder.readings(), session.steps)?;
            for told in resumed.told {
                session.progress.message(&told);
            }
            let far = how_far(session, trainer, batches);
            session.progress.message(&far);
            resumed.folder
        }
    };
    session.checkpoints = Some(Checkpoints::new(folder.clone(), &run, kept, damaged));
    session.described = Some(run);
    page::write_settings(session, &folder, &Status::Running)?;
    page::write_recipe(session, &folder)?;
    if session.metrics.is_none() {
        session.metrics = Some(Writer::create(folder.metrics())?);
    }
    session.folder = Some(folder);
    Ok(())
}

/// Inputs of a graph like these arrays, of so many samples.
fn inputs(like: &Arrays, samples: usize) -> Tensors {
    like.map(|name, array| {
        let mut shape = array.shape().to_vec();
        if let Some(batch) = shape.first_mut() {
            *batch = samples;
        }
        Tensor::input(name, shape, array.dtype())
    })
}

/// The fewest samples of the data that the model can be trained on together, which there must be.
fn least_batch(trainer: &Trainer, feed: &Feed, samples: usize) -> Result<usize> {
    let least = trainer
        .model
        .least_batch_for(&feed.inputs.map(|_, array| array.meta()))?;
    if samples >= least && trainer.batch_size >= least {
        return Ok(least);
    }
    let alone = trainer
        .model
        .apply(&inputs(&feed.inputs, 1), &mut Context::train(0));
    let why = alone.values().find_map(|y| y.meta().err());
    let why = why.map(first_line).unwrap_or_default();
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
pub(super) fn check(trainer: &Trainer, data: &Dataset) -> Result<()> {
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
    if trainer.accumulate == 0 {
        return Err(Error::new(
            "a step cannot be taken in 0 parts; it has at least 1",
        ));
    }
    for callback in &trainer.callbacks {
        callback.check()?;
    }
    if trainer.sampling == Sampling::Stream {
        if data.running_text().is_none() {
            return Err(Error::new(format!(
                "sampling is \"stream\", which goes along a running text, and the data set {} is none",
                data.name
            )));
        }
        if trainer.accumulate > 1 {
            return Err(Error::new(
                "sampling is \"stream\", whose states belong to the places of whole batches: a step cannot be taken in parts",
            ));
        }
    }
    if data.train.is_empty() {
        return Err(Error::new(format!(
            "the data set {} has no samples to train on",
            data.name
        )));
    }
    Ok(())
}

/// Builds the model for the samples of the data set, and makes sure that it answers for every class.
pub(super) fn build(
    trainer: &Trainer,
    data: &Dataset,
    loader: &Loader,
    feed: &Feed,
) -> Result<SavedModel> {
    let name = trainer.name.as_deref().unwrap_or("the model");
    let ports = data.train.input_ports();
    let samples = match &ports[..] {
        [_] => format!("{:?}", data.shape()),
        ports => {
            let each: Vec<String> = ports.iter().map(ToString::to_string).collect();
            each.join(", ")
        }
    };
    let misfit = |why: String| {
        Error::new(format!(
            "{name} does not fit the data set {}, whose samples are {samples}: {why}",
            data.name
        ))
    };
    let metas = feed.inputs.map(|_, array| array.meta());
    trainer
        .model
        .build_for(&metas, trainer.seed)
        .map_err(|e| misfit(first_line(e)))?;
    let mut cx = Context::evaluate();
    let count = feed.len();
    let outputs = trainer.model.apply(&inputs(&feed.inputs, count), &mut cx);
    for output in outputs.values() {
        output.meta().map_err(|e| misfit(first_line(e)))?;
    }
    let loss = trainer
        .task
        .objective(&outputs, &inputs(&feed.targets, count));
    loss.meta().map_err(|e| misfit(first_line(e)))?;
    let classes = data.classes();
    if let Some(output) = outputs.only()
        && let &[_, given] = output.shape()?
        && given < classes
    {
        return Err(misfit(format!(
            "it gives {given} scores for {classes} classes"
        )));
    }
    let card = ModelCard {
        name: trainer.name.clone().unwrap_or_else(|| "model".into()),
        dataset: data.name.clone(),
        shape: data.shape().to_vec(),
        target: match &data.train.target_ports()[..] {
            [only] => only.name.to_string(),
            _ => "t".into(),
        },
        class_names: data.class_names.clone(),
        normalization: data.normalization.clone(),
        pictures: data.pictures,
    };
    let mut inputs = loader.input_ports();
    inputs.extend(trainer.model.state_ports());
    let context = match (data.running_text(), data.shape()) {
        (Some(_), &[context]) if context > 0 => Some(context),
        _ => None,
    };
    if let (Some(_), Some(port)) = (context, inputs.first_mut()) {
        // It goes on from texts of any length.
        port.axes = vec![BATCH.into(), "length".into()];
    }
    let mut model = SavedModel::of(trainer.model.clone(), inputs, card);
    if let Some(context) = context {
        model = model.with_context(context);
    }
    Ok(model
        .padded(trainer.padding.clone())
        .preprocessed(data.preprocessing.clone())
        .for_task(&*trainer.task))
}
