//! The run's settings and report.

use super::{Trainer, fit::Session, profile};
use crate::{
    atomic,
    error::Result,
    evaluation::{Evaluation, gather},
    report::{Curves, Filters, LayerRow, LayerTime, Misclassified, Report},
    run_folder::RunFolder,
};
use zerokara_core::Runtime;
use zerokara_data::{Dataset, Loader};
use zerokara_nn::{Forward, Schedule};

/// Wrong answers that the report keeps; the surest come first.
const MISCLASSIFIED: usize = 60;

/// The filters of the first convolution, if the model's first weights are one's.
pub(super) fn first_filters(model: &dyn Forward) -> Result<Option<Filters>> {
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
fn settings(trainer: &Trainer, steps: u64) -> Vec<(String, String)> {
    let mut settings = vec![
        ("epochs", trainer.epochs.to_string()),
        ("batch size", trainer.batch_size.to_string()),
        ("optimizer", trainer.optimizer.name().to_string()),
        (
            "learning rate",
            trainer.optimizer.learning_rate().to_string(),
        ),
        ("loss", trainer.loss.name().to_string()),
    ];
    // A name that the caller gave says more than the schedule's numbers.
    if !trainer.settings.iter().any(|(name, _)| name == "schedule") {
        match &trainer.schedule {
            super::Plan::Fixed(Schedule::Constant) => {}
            super::Plan::Fixed(schedule) => settings.push(("schedule", format!("{schedule:?}"))),
            super::Plan::Over(schedule) => {
                settings.push(("schedule", format!("{:?}", schedule(steps))))
            }
        }
    }
    if let zerokara_nn::Clipping::Norm(norm) = trainer.clipping {
        settings.push(("gradient norm at most", norm.to_string()));
    }
    if trainer.l2_penalty != 0.0 {
        settings.push(("L2 penalty", trainer.l2_penalty.to_string()));
    }
    if let Some(arithmetic) = trainer.arithmetic
        && arithmetic != zerokara_core::Arithmetic::F32
    {
        settings.push(("precision", arithmetic.name().to_string()));
    }
    settings
        .into_iter()
        .map(|(name, value)| (name.to_string(), value))
        .chain(trainer.settings.iter().cloned())
        .collect()
}

/// Writes what was asked for into the folder.
pub(super) fn write_settings(
    trainer: &Trainer,
    data: &Dataset,
    steps: u64,
    folder: &RunFolder,
) -> Result<()> {
    let settings: serde_json::Map<String, serde_json::Value> = settings(trainer, steps)
        .into_iter()
        .map(|(name, value)| (name.replace(' ', "_"), value.into()))
        .collect();
    let all = serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "command": trainer.command,
        "model": trainer.name,
        "dataset": data.name,
        "seed": trainer.seed,
        "settings": settings,
    });
    Ok(atomic::write(folder.settings(), format!("{all:#}\n"))?)
}

/// Writes the report into the folder.
pub(super) fn write(
    session: &Session<'_>,
    folder: &RunFolder,
    filters_before: Option<Filters>,
    test: &Evaluation,
    seconds: f64,
) -> Result<()> {
    let (trainer, data) = (session.trainer, session.data);
    let runtime = Runtime::current()?;
    let layers = session.model.layers()?;
    let last = session.history.last();
    let name = session.model.info().name.clone();
    let (images, trained) = session.trained;
    let report = Report {
        title: format!("{name} on {}", data.name),
        model: name,
        dataset: data.name.clone(),
        date: jiff::ZonedDateTime::now()
            .strftime("%Y-%m-%d %H:%M")
            .to_string(),
        command: trainer.command.clone(),
        seed: Some(trainer.seed),
        threads: Some(runtime.threads()),
        isa: runtime.isa().name().to_string(),
        version: env!("CARGO_PKG_VERSION").to_string(),
        settings: settings(trainer, session.total),
        seconds: Some(seconds),
        images_per_second: (trained > 0.0).then(|| images as f64 / trained),
        parameters: Some(trainer.model.parameter_count()? as u64),
        train_accuracy: last.and_then(|e| e.train_accuracy),
        validation_accuracy: last.and_then(|e| e.validation_accuracy),
        test_accuracy: test.accuracy(),
        test_loss: (test.samples > 0).then_some(test.loss),
        classes: data.class_names.clone(),
        curves: Curves {
            steps: session.recorded.clone(),
            epochs: session.history.clone(),
        },
        confusion: (!test.answers.is_empty())
            .then(|| test.confusion(data.test.labels(), data.classes())),
        misclassified: misclassified(data, test),
        filters_before,
        filters_after: first_filters(&*trainer.model)?,
        times: times(session, &layers)?,
        layers,
    };
    Ok(atomic::write(folder.report(), report.render())?)
}

fn misclassified(data: &Dataset, test: &Evaluation) -> Vec<Misclassified> {
    let shape = match *data.shape() {
        [c, h, w] => [c, h, w],
        _ => return Vec::new(),
    };
    let mut wrong: Vec<usize> = (0..test.answers.len())
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
    let loader = Loader::new(&session.train, session.trainer.batch_size)?
        .normalization(session.data.normalization.clone())?;
    let (x, t) = gather(&loader, 0)?;
    let names: Vec<String> = layers.iter().map(|row| row.name.clone()).collect();
    profile::layer_times(session.trainer, &names, &x, &t)
}
