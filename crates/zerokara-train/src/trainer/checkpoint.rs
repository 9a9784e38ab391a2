//! Everything that a run is, saved whole and restored whole.
//!
//! A checkpoint is a file of tensors: the parameters and buffers (`model.*`), all that the step is (`step.*`), the best epoch's
//! parameters (`best.*`), what callbacks remember (`callback.0.*`), the losses of all steps; and in the metadata, as
//! JSON, the counters, the place in the data, the history, and how long the metrics file was. Random numbers are functions of
//! the seed and the counters, and the learning rate is one of the step, so that nothing else needs to be kept.
//!
//! A new checkpoint is written beside the last one and takes its name when it is whole; the last one stays under another name.
//! Whatever is cut off in between, one of the names has a whole one.

use super::{
    Callback, Every, Trainer,
    session::{Best, Reached, Session},
};
use crate::{
    atomic::{self, FileError},
    carried,
    description::RunDescription,
    error::{Error, Result},
    fingerprint::Fingerprint,
    language::Words,
    metrics::{self, Epoch, Record, Writer},
    run_folder::RunFolder,
};
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::Path,
    time::{Duration, Instant},
};
use zerokara_core::{Array, Arrays};
use zerokara_formats::SafeTensors;
use zerokara_nn::TrainStep;

/// The version of checkpoints. Later ones are not read.
const VERSION: u64 = 1;
const SESSION: &str = "zerokara.session";
const CHECKSUM: &str = "zerokara.checksum";
/// Unless told otherwise, checkpoints are at least so long apart.
const APART: Duration = Duration::from_secs(5);

/// When it is asked whether a checkpoint is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    /// After a step within an epoch.
    Step,
    /// After an epoch and its evaluation.
    Epoch,
}

/// Writes the checkpoints of a run.
pub(super) struct Checkpoints {
    folder: RunFolder,
    every: Option<Every>,
    /// Whether the command can go on with the run.
    by_command: bool,
    /// When the last one was tried, and its steps and epochs.
    tried: (Instant, u64, u64),
    /// The step of the last one that is whole.
    kept: Option<u64>,
    /// Whether the file of the last one is damaged, and must not take the place of the one before.
    damaged: bool,
}

/// What is no tensor.
#[derive(Debug, Serialize, Deserialize)]
struct Header {
    version: u64,
    steps: u64,
    #[serde(rename = "place")]
    reached: Reached,
    trained: (u64, f64),
    seconds: f64,
    /// Bytes of the metrics file.
    metrics: u64,
    history: Vec<Epoch>,
}

/// A checkpoint that was read.
pub(super) struct Checkpoint {
    header: Header,
    tensors: Vec<(String, Array)>,
}

impl Checkpoints {
    pub fn new(
        folder: RunFolder,
        run: &RunDescription,
        kept: Option<(u64, u64)>,
        damaged: bool,
    ) -> Self {
        let (steps, epochs) = kept.unwrap_or_default();
        Self {
            folder,
            every: run.checkpoint_every,
            by_command: !run.model.own && !run.data.own,
            tried: (Instant::now(), steps, epochs),
            kept: kept.map(|(steps, _)| steps),
            damaged,
        }
    }

    /// The step of the last checkpoint, if there is one.
    pub fn kept(&self) -> Option<u64> {
        self.kept
    }

    /// What to do to go on with the run.
    pub fn how_to_go_on(&self, at: &dyn std::fmt::Display, words: Words) -> String {
        let how = match self.by_command {
            true => format!("zerokara train --resume {at}"),
            false => format!("Trainer::resume({:?})", at.to_string()),
        };
        words.fill("to go on: {}", &[&how])
    }

    pub fn is_due(&self, now: Moment, steps: u64, epochs: u64) -> bool {
        let (time, last_step, last_epoch) = self.tried;
        match (self.every, now) {
            (None, Moment::Epoch) => time.elapsed() >= APART,
            (None, Moment::Step) => false,
            (Some(Every::Steps(n)), _) => steps - last_step >= n,
            (Some(Every::Epochs(n)), Moment::Epoch) => epochs - last_epoch >= n,
            (Some(Every::Epochs(_)), Moment::Step) => false,
            (Some(Every::Time(apart)), _) => time.elapsed() >= apart,
        }
    }

    /// Writes one; the last good one stays until it is whole.
    pub fn write(
        &mut self,
        session: &mut Session<'_>,
        step: &TrainStep,
        callbacks: &[Box<dyn Callback>],
    ) -> Result<()> {
        // Not tried again at every step.
        self.tried = (Instant::now(), session.steps, session.reached.epochs);
        let metrics = match &mut session.metrics {
            Some(metrics) => metrics.sync()?,
            None => 0,
        };
        let bytes = gather(session, step, callbacks, metrics)?.to_bytes()?;
        let (next, last) = (self.folder.next_checkpoint(), self.folder.checkpoint());
        atomic::write(&next, bytes)?;
        let rename = |from: &Path, to: &Path| {
            fs::rename(from, to).map_err(|e| FileError::new(to, "write", e))
        };
        if last.exists() && !self.damaged {
            rename(&last, &self.folder.previous_checkpoint())?;
        }
        rename(&next, &last)?;
        self.kept = Some(session.steps);
        self.damaged = false;
        Ok(())
    }
}

fn gather(
    session: &Session<'_>,
    step: &TrainStep,
    callbacks: &[Box<dyn Callback>],
    metrics: u64,
) -> Result<SafeTensors> {
    let mut file = SafeTensors::default();
    let mut put = |group: &str, name: &str, value: Array| {
        file.tensors.push((format!("{group}.{name}"), value));
    };
    for (path, value) in session.trainer.model.state()? {
        put("model", &path, value);
    }
    for (name, value) in step.state().iter() {
        put("step", name, value.clone());
    }
    for cell in carried::cells(&**step.model())? {
        put("carried", cell.name(), cell.value());
    }
    if let Some(best) = &session.best {
        for (path, value) in &best.state {
            put("best", path, value.clone());
        }
        let epoch = session.best_epoch.map_or(f64::NAN, |epoch| epoch as f64);
        let score = Array::new([3], vec![best.value, best.loss, epoch]);
        put("score", "best", score);
    }
    for (at, callback) in callbacks.iter().enumerate() {
        for (name, value) in callback.state().iter() {
            put(&format!("callback.{at}"), name, value.valid()?.clone());
        }
    }
    let losses = session.losses.clone();
    put("losses", "all", Array::new([losses.len()], losses));
    let header = Header {
        version: VERSION,
        steps: session.steps,
        reached: session.reached.clone(),
        trained: session.trained,
        seconds: session.seconds(),
        metrics,
        history: session.history.clone(),
    };
    let header = serde_json::to_string(&header)
        .map_err(|e| Error::new(format!("the state of the run cannot be written: {e}")))?;
    let sum = checksum(&header, &file.tensors);
    file.metadata.insert(SESSION.into(), header);
    file.metadata.insert(CHECKSUM.into(), sum);
    Ok(file)
}

/// A number made of all that a checkpoint holds.
fn checksum(header: &str, tensors: &[(String, Array)]) -> String {
    let mut sum = Fingerprint::default();
    sum.bytes(header.as_bytes());
    // The file has an order of its own.
    let mut tensors: Vec<_> = tensors.iter().collect();
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, array) in tensors {
        sum.bytes(name.as_bytes());
        sum.array(array);
    }
    sum.text()
}

/// What a writing that was cut off left takes the name that it was to have, if it is what is gone on from, or goes.
fn tidy(folder: &RunFolder, read: &Path) {
    let (next, last) = (folder.next_checkpoint(), folder.checkpoint());
    // Where that cannot be, the next checkpoint says so.
    let _ = if read == next {
        fs::rename(&next, &last)
    } else if read == last {
        fs::remove_file(&next)
    } else {
        Ok(())
    };
}

/// Why a checkpoint is not read.
enum Unread {
    Missing,
    Damaged(String),
    /// It is of a later version, which another program reads.
    Later(u64),
}

impl Checkpoint {
    /// The newest checkpoint of a run that is whole, and what is to be said of those that are not. `None` if none was
    /// written yet.
    ///
    /// # Errors
    /// If one is of a later version, or there are some, but none that is whole.
    pub fn newest(folder: &RunFolder, words: Words) -> Result<Option<(Self, Vec<String>)>> {
        let mut damaged = Vec::new();
        for path in [
            folder.checkpoint(),
            folder.next_checkpoint(),
            folder.previous_checkpoint(),
        ] {
            let at = path.display();
            match Self::read(&path) {
                Ok(found) => {
                    tidy(folder, &path);
                    let mut told: Vec<String> = damaged
                        .iter()
                        .map(|(at, why)| words.fill("{} is damaged: {}", &[at, why]))
                        .collect();
                    if !told.is_empty() {
                        told.push(words.fill(
                            "going on from the checkpoint before, of step {}",
                            &[&found.header.steps],
                        ));
                    }
                    return Ok(Some((found, told)));
                }
                Err(Unread::Missing) => {}
                Err(Unread::Damaged(why)) => damaged.push((at.to_string(), why)),
                Err(Unread::Later(version)) => {
                    return Err(Error::new(format!(
                        "{at} is of version {version}, and this program reads version {VERSION}"
                    )));
                }
            }
        }
        if damaged.is_empty() {
            return Ok(None);
        }
        let damaged: Vec<String> = damaged
            .iter()
            .map(|(at, why)| format!("{at} is damaged: {why}"))
            .collect();
        Err(Error::new(format!(
            "the run cannot be gone on with: {}; without these files it would begin anew",
            damaged.join("; ")
        )))
    }

    fn read(path: &Path) -> Result<Self, Unread> {
        let damaged = |why: String| Unread::Damaged(why);
        let bytes = fs::read(path).map_err(|e| match e.kind() {
            io::ErrorKind::NotFound => Unread::Missing,
            _ => damaged(e.to_string()),
        })?;
        let file = SafeTensors::from_bytes(&bytes).map_err(|e| damaged(e.to_string()))?;
        drop(bytes);
        let text = |key: &str| file.metadata.get(key).cloned();
        let header = text(SESSION).ok_or_else(|| damaged("it is no checkpoint".into()))?;
        let value: serde_json::Value =
            serde_json::from_str(&header).map_err(|e| damaged(e.to_string()))?;
        match value.get("version").and_then(serde_json::Value::as_u64) {
            Some(VERSION) => {}
            Some(version) => return Err(Unread::Later(version)),
            None => return Err(damaged("it has no version".into())),
        }
        if text(CHECKSUM) != Some(checksum(&header, &file.tensors)) {
            return Err(damaged(
                "its numbers are not those that were written".into(),
            ));
        }
        Ok(Self {
            header: serde_json::from_value(value).map_err(|e| damaged(e.to_string()))?,
            tensors: file.tensors,
        })
    }

    /// Steps and epochs that are done.
    pub fn reached(&self) -> (u64, u64) {
        (self.header.steps, self.header.reached.epochs)
    }

    /// The tensors of a group, without its name.
    fn group(&self, group: &str) -> Vec<(String, Array)> {
        let tensors = self.tensors.iter();
        let own = tensors.filter_map(|(name, value)| {
            let rest = name.strip_prefix(group)?.strip_prefix('.')?;
            Some((rest.to_string(), value.clone()))
        });
        own.collect()
    }

    /// Makes the session, the step and the callbacks what they were.
    ///
    /// # Errors
    /// If they are of another kind; the message says what differs.
    pub fn restore(
        self,
        session: &mut Session<'_>,
        step: &mut TrainStep,
        callbacks: &mut [Box<dyn Callback>],
    ) -> Result<()> {
        let differs = |e: zerokara_core::Error| {
            let text = e.to_string();
            Error::new(format!(
                "the model is not the one of the run: {}",
                text.lines().next().unwrap_or_default()
            ))
        };
        session
            .trainer
            .model
            .load_state(&self.group("model"))
            .map_err(differs)?;
        let state: Arrays = self.group("step").into_iter().collect();
        step.load_state(&state)?;
        let states = self.group("carried");
        for cell in carried::cells(&**step.model())? {
            if let Some((_, value)) = states.iter().find(|(name, _)| name == cell.name()) {
                cell.set_array(value.clone())?;
            }
        }
        for (at, callback) in callbacks.iter_mut().enumerate() {
            let state: Arrays = self.group(&format!("callback.{at}")).into_iter().collect();
            callback.restore(&state)?;
        }
        let losses = self.group("losses");
        let losses = losses.first().map(|(_, all)| all.to_f64s());
        session.losses.extend(losses.unwrap_or_default());
        let score = self.group("score").pop().map(|(_, score)| score.to_f64s());
        // Files of before do not tell the epoch.
        let epoch = score.as_ref().and_then(|score| score.get(2).copied());
        session.best_epoch = epoch
            .filter(|epoch| *epoch >= 0.0)
            .map(|epoch| epoch as u64);
        session.best = score.and_then(|score| {
            Some(Best {
                value: *score.first()?,
                loss: *score.get(1)?,
                state: self.group("best"),
            })
        });
        session.steps = self.header.steps;
        session.reached = self.header.reached;
        session.trained = self.header.trained;
        session.before = self.header.seconds;
        session.history = self.header.history;
        Ok(())
    }
}

/// A run that is gone on with: its folder, the metrics file, its last checkpoint if there is one, and what is to be said.
pub(super) struct Resumed {
    pub folder: RunFolder,
    pub metrics: Writer,
    pub checkpoint: Option<Checkpoint>,
    pub recorded: Vec<metrics::Step>,
    /// The command that began it.
    pub command: String,
    /// Whether a checkpoint is damaged.
    pub damaged: bool,
    pub told: Vec<String>,
}

impl Resumed {
    /// Opens the run in this folder.
    ///
    /// # Errors
    /// If there is no run, it does something else than `run`, it goes on in another process, or its checkpoints are damaged.
    pub fn open(folder: RunFolder, run: &RunDescription, words: Words) -> Result<Self> {
        let saved = RunDescription::read(&folder)?;
        let at = folder.path().display().to_string();
        if let Some(difference) = saved.difference(run) {
            return Err(Error::new(format!(
                "the run {at} is another one: {difference}"
            )));
        }
        let mut metrics = Writer::open(folder.metrics())?;
        // Only now is it sure that nobody else writes.
        folder.sweep();
        let (checkpoint, mut told) = match Checkpoint::newest(&folder, words)? {
            Some((checkpoint, told)) => (Some(checkpoint), told),
            None => (None, Vec::new()),
        };
        let damaged = !told.is_empty();
        let length = checkpoint.as_ref().map_or(0, |c| c.header.metrics);
        if !metrics.cut(length)? {
            told.push(words.fill(
                "{} is shorter than it was; what is missing stays missing",
                &[&folder.metrics().display()],
            ));
        }
        let recorded = metrics::read(folder.metrics())?;
        let recorded = recorded.into_iter().filter_map(|record| match record {
            Record::Step(step) => Some(step),
            Record::Epoch(_) => None,
        });
        Ok(Self {
            recorded: recorded.collect(),
            command: folder.command(),
            folder,
            metrics,
            checkpoint,
            damaged,
            told,
        })
    }
}

/// In words, how far a run that is gone on with had come.
pub(super) fn how_far(session: &Session<'_>, trainer: &Trainer, batches: usize) -> String {
    let (reached, words) = (&session.reached, trainer.words());
    let at = session.folder.as_ref();
    let at = at.map_or_else(String::new, |folder| folder.path().display().to_string());
    if reached.stopped || reached.epochs == trainer.epochs {
        return words.fill(
            "the run {} is finished after step {}: there is nothing left to train",
            &[&at, &session.steps],
        );
    }
    match session.steps {
        0 => words.fill(
            "the run {} has no checkpoint yet: it begins at its start",
            &[&at],
        ),
        steps => words.fill(
            "going on with the run {} after step {} (epoch {}, batch {} of {})",
            &[
                &at,
                &steps,
                &(reached.epochs + 1),
                &reached.batches,
                &batches,
            ],
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_in_checkpoints_stay() {
        let written = concat!(
            r#"{"version":1,"steps":7,"place":{"epochs":1,"batches":2,"samples":64,"seconds":0.5,"#,
            r#""learning_rate":0.25,"stopped":false},"trained":[320,2.5],"seconds":4.0,"metrics":99,"history":[]}"#,
        );
        let header: Header = serde_json::from_str(written).unwrap();
        assert_eq!((header.reached.epochs, header.reached.batches), (1, 2));
        assert_eq!(serde_json::to_string(&header).unwrap(), written);
    }
}
