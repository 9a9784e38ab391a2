//! The run's settings and report.

use super::{
    fit::what,
    profile, rows,
    session::{Session, Status},
};
use crate::{
    atomic,
    bytes::as_stored,
    description,
    error::Result,
    evaluation::Evaluation,
    language::{Language, TRAINING, Words},
    metrics::ACCURACY,
    recipe::Recipe,
    report::{Curves, Filters, LayerRow, LayerTime, Misclassified, Report, numbers::thousands},
    run_folder::RunFolder,
};
use std::path::Path;
use zerokara_core::Runtime;
use zerokara_data::Dataset;
use zerokara_nn::{Clipping, Model};

/// Wrong answers that the report keeps; the surest come first.
const MISCLASSIFIED: usize = 60;

/// The filters of the first convolution, if the model's first weights are one's.
pub(super) fn first_filters(model: &dyn Model) -> Result<Option<Filters>> {
    let parameters = model.named_parameters()?;
    let first = parameters.iter().find(|(_, p)| p.meta().rank() >= 2);
    Ok(first.and_then(|(_, parameter)| {
        let shape: [usize; 4] = parameter.meta().shape[..].try_into().ok()?;
        let weights = parameter.value().to_f64s();
        Some(Filters {
            shape,
            weights: weights.into_iter().map(|w| w as f32).collect(),
        })
    }))
}

/// Name and value of each setting that says how the run was made.
fn settings(session: &Session<'_>, words: Words) -> Vec<(String, String)> {
    let (trainer, all) = (session.trainer, session.train.len() as u64);
    let name = what(session.data);
    let told = |name: &str| name.replace('_', " ");
    let mut settings: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: String| {
        // These mean something else in the rest of a report.
        let meant = match (words.language(), name) {
            (Language::English, name) => name,
            (_, "loss") => "loss function",
            (_, "precision") => "arithmetic",
            (_, name) => name,
        };
        settings.push((words.say(meant), words.say(&value)));
    };
    set("epochs", trainer.epochs.to_string());
    set("batch size", trainer.batch_size.to_string());
    if let Some(last) = session.joined {
        let why = "what was too few for a batch joined the one before";
        set("last batch", format!("{last} {name}: {why}"));
    }
    set("optimizer", trainer.optimizer.name().to_string());
    set(
        "learning rate",
        trainer.optimizer.learning_rate().to_string(),
    );
    for (name, value) in trainer.optimizer.settings() {
        set(&told(name), value.to_string());
    }
    set("schedule", trainer.schedule_of(session.total).to_string());
    set("loss", told(trainer.task.title()));
    for (name, value) in trainer.task.options() {
        set(&told(name), value.to_string());
    }
    match trainer.clipping {
        Clipping::None => {}
        Clipping::Norm(norm) => set("gradient norm at most", norm.to_string()),
        Clipping::Value(value) => set("gradient elements at most", value.to_string()),
    }
    if trainer.accumulate > 1 {
        set("parts of a step", trainer.accumulate.to_string());
    }
    if trainer.l2_penalty != 0.0 {
        set("L2 penalty", trainer.l2_penalty.to_string());
    }
    if let Some(augment) = &trainer.augment {
        set("augmentation", augment.to_string());
    }
    if let Some(validation) = &session.validation {
        let (held, of) = (validation.len() as u64, session.data.train.len() as u64);
        set(
            "validation",
            match trainer.validation {
                Some(_) => format!("{} of {} training {name}", thousands(held), thousands(of)),
                None => format!("{} {name} of their own", thousands(held)),
            },
        );
    }
    let sample = session.train_sample() as u64;
    if sample < all {
        set(
            "training accuracy",
            format!(
                "measured on {} of {} {name}",
                thousands(sample),
                thousands(all)
            ),
        );
    }
    if let Some(arithmetic) = trainer.arithmetic
        && arithmetic != zerokara_core::Arithmetic::F32
    {
        set("precision", arithmetic.name().to_string());
    }
    settings.extend(trainer.settings.iter().cloned());
    settings
}

/// Writes into the folder what was asked for, and how the run stands.
pub(super) fn write_settings(
    session: &Session<'_>,
    folder: &RunFolder,
    status: &Status,
) -> Result<()> {
    let (trainer, data) = (session.trainer, session.data);
    let words = Words::new(Language::English, &TRAINING);
    let settings: serde_json::Map<String, serde_json::Value> = settings(session, words)
        .into_iter()
        .map(|(name, value)| (name.replace(' ', "_"), value.into()))
        .collect();
    let mut all = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "command": session.command,
        "model": trainer.name,
        "dataset": data.name,
        // Where the data were, so that the run can be evaluated from any folder; the model itself holds no path.
        "data": data.source.as_deref().and_then(Path::to_str),
        "seed": trainer.seed,
        "settings": settings,
        description::KEY: session.described,
        "status": status.word(),
        "steps": session.steps,
    });
    if let Status::Failed(why) = status {
        all["error"] = why.as_str().into();
    }
    Ok(atomic::write(folder.settings(), format!("{all:#}\n"))?)
}

/// Writes into the folder the recipe that repeats the run, if others can run it.
pub(super) fn write_recipe(session: &Session<'_>, folder: &RunFolder) -> Result<()> {
    let Some(run) = session
        .described
        .as_ref()
        .filter(|run| !run.model.own && !run.data.own)
    else {
        return Ok(());
    };
    let path = folder.recipe();
    let about = format!(
        "zerokara train {} does this run again, to the bit.",
        path.display()
    );
    Ok(atomic::write(path, Recipe::written(run, &[about])?)?)
}

/// Writes the report into the folder.
pub(super) fn write(
    session: &Session<'_>,
    folder: &RunFolder,
    filters_before: Option<Filters>,
    test: &Evaluation,
    seconds: f64,
    status: &Status,
) -> Result<()> {
    let (trainer, data) = (session.trainer, session.data);
    let runtime = Runtime::current()?;
    let layers = session.model.layers()?;
    let last = session.history.last();
    let name = session.model.card().name.clone();
    let (images, trained) = session.trained;
    let (steps, words) = (&session.steps, trainer.words());
    let ended = match status {
        Status::Running | Status::Complete => None,
        Status::Stopped => Some(words.fill("Ended by a callback after step {}.", &[steps])),
        Status::Interrupted => Some(words.fill("Interrupted after step {}.", &[steps])),
        Status::Failed(why) => Some(words.fill("Ended early, at step {}: {}", &[steps, why])),
    };
    let (sample, all) = (session.train_sample() as u64, session.train.len() as u64);
    let report = Report {
        language: trainer.language,
        title: words.fill("{} on {}", &[&name, &data.name]),
        model: name,
        dataset: data.name.clone(),
        date: jiff::ZonedDateTime::now()
            .strftime("%Y-%m-%d %H:%M")
            .to_string(),
        command: session.command.clone(),
        seed: Some(trainer.seed),
        threads: Some(runtime.threads()),
        isa: runtime.isa().name().to_string(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        settings: settings(session, words),
        ended,
        unanswered: (test.no_answers(&format!("test {}", what(data)))).map(|told| words.say(&told)),
        samples: what(data).into(),
        train_sample: (sample < all).then_some((sample, all)),
        seconds: Some(seconds),
        images_per_second: (trained > 0.0).then(|| images as f64 / trained),
        parameters: Some(trainer.model.parameter_count()? as u64),
        train_accuracy: last.and_then(|e| e.train_accuracy),
        validation_accuracy: last.and_then(|e| e.validation_accuracy),
        test_accuracy: test.accuracy(),
        measures: measures(test),
        readings: test.readings.clone(),
        test_loss: (test.samples > 0).then_some(test.loss),
        classes: data.class_names.clone(),
        curves: Curves {
            steps: session.recorded.clone(),
            epochs: session.history.clone(),
        },
        best_epoch: session.best_epoch,
        confusion: (!test.answers.is_empty())
            .then(|| test.confusion(data.test.labels(), data.classes())),
        misclassified: misclassified(data, test),
        worst: rows::worst(data, test),
        filters_before,
        filters_after: first_filters(&*trainer.model)?,
        // A step that failed would fail again; beside other runs times would tell nothing.
        times: match status {
            Status::Failed(_) => Vec::new(),
            _ if trainer.overseer.is_some() => Vec::new(),
            _ => times(session, &layers)?,
        },
        layers,
    };
    let page = atomic::write(folder.report(), report.render());
    atomic::write(folder.facts(), report.facts() + "\n")?;
    Ok(page?)
}

/// The measures that are no accuracy.
fn measures(test: &Evaluation) -> Vec<(String, f64, bool)> {
    let all = test
        .measures
        .iter()
        .filter(|measure| measure.name != ACCURACY);
    all.map(|m| (m.name.replace('_', " "), m.value, m.is_share))
        .collect()
}

fn misclassified(data: &Dataset, test: &Evaluation) -> Vec<Misclassified> {
    let shape = match *data.shape() {
        [c, h, w] => [c, h, w],
        _ => return Vec::new(),
    };
    let mut wrong: Vec<usize> = (0..test.answers.len())
        .filter(|&i| test.answers[i].is_given())
        .filter(|&i| test.answers[i].class as i64 != data.test.labels()[i])
        .collect();
    wrong.sort_by(|&a, &b| {
        let surer = test.answers[b]
            .probability
            .total_cmp(&test.answers[a].probability);
        surer.then(a.cmp(&b))
    });
    wrong.truncate(MISCLASSIFIED);
    let scale = if data.test.is_u8() { 255.0 } else { 1.0 };
    wrong
        .into_iter()
        .map(|i| Misclassified {
            index: data.test.origin(i).map(|i| i as u64),
            pixels: data.test.sample(i).iter().map(|p| p / scale).collect(),
            shape,
            label: data.test.labels()[i] as usize,
            answer: test.answers[i].class,
            probability: test.answers[i].probability as f32,
        })
        .collect()
}

fn times(session: &Session<'_>, layers: &[LayerRow]) -> Result<Vec<LayerTime>> {
    let trainer = session.trainer;
    let loader = trainer.loader(session.data, &session.train, trainer.batch_size)?;
    let feed = as_stored(loader, &session.train).feed(0)?;
    let names: Vec<String> = layers.iter().map(|row| row.name.clone()).collect();
    profile::layer_times(trainer, session.data, &names, &feed)
}
