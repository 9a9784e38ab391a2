//! What a search keeps in files. Each is written whole or not at all, so that whatever is cut off, what was finished is there.

use super::{Criterion, Point, State, Trial};
use crate::{
    atomic::{self, FileError},
    error::{Error, Result},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
};

/// The version of these files. Later ones are not read.
const VERSION: u64 = 1;

/// `search.json`: what is searched.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Searched {
    pub version: u64,
    /// The recipe with its table `[search]`.
    pub recipe: Value,
    /// By what the data are known again.
    pub data: Value,
    /// What decides which trials there are.
    pub plan: Value,
    /// What trials are judged by, once it is known.
    #[serde(default)]
    pub criterion: Option<Criterion>,
}

/// `trial.json`: what came out of a trial.
#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    version: u64,
    trial: usize,
    state: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    values: Map<String, Value>,
    /// Measure and loss after each epoch; null for what is no finite number.
    curve: Vec<(Option<f64>, Option<f64>)>,
    seconds: f64,
}

/// The files of a search. While it lives, no other process searches there.
pub(super) struct Journal {
    folder: PathBuf,
    _lock: File,
}

impl Journal {
    pub fn open(folder: &Path) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|e| FileError::new(folder, "create the folder", e))?;
        let path = folder.join("search.lock");
        let fail = |e| FileError::new(&path, "open", e);
        let lock = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(fail)?;
        // Some file systems have no locks; then nothing is known of others.
        if matches!(lock.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(Error::new(format!(
                "{}: another process is searching there; wait for its end, or stop it",
                folder.display()
            )));
        }
        let journal = Self {
            folder: folder.to_path_buf(),
            _lock: lock,
        };
        journal.sweep();
        Ok(journal)
    }

    /// Removes temporary files that a process which was killed has left.
    fn sweep(&self) {
        let own = [
            ".search.json.",
            ".best.toml.",
            ".search.html.",
            ".trial.json.",
        ];
        let entries = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten();
        let trials = entries(&self.folder).filter(|entry| {
            let name = entry.file_name();
            name.to_string_lossy().starts_with("trial-")
        });
        let folders = [self.folder.clone()]
            .into_iter()
            .chain(trials.map(|entry| entry.path()));
        for entry in folders.flat_map(|folder| entries(&folder)) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(".tmp") && own.iter().any(|file| name.starts_with(file)) {
                // What cannot be removed is in nobody's way.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    pub fn trial_folder(&self, trial: &Trial) -> PathBuf {
        self.folder.join(trial.folder())
    }

    pub fn write_search(&self, searched: &Searched) -> Result<()> {
        let value = serde_json::to_value(searched)?;
        Ok(atomic::write(
            self.folder.join("search.json"),
            format!("{value:#}\n"),
        )?)
    }

    pub fn write_trial(&self, trial: &Trial) -> Result<()> {
        let finite = |value: f64| Some(value).filter(|value| value.is_finite());
        let result = Outcome {
            version: VERSION,
            trial: trial.number,
            state: trial.state.word().to_string(),
            why: match &trial.state {
                State::Failed(why) => Some(why.clone()),
                _ => None,
            },
            values: super::table(&trial.values),
            curve: trial
                .curve
                .iter()
                .map(|p| (finite(p.value), finite(p.loss)))
                .collect(),
            seconds: trial.seconds,
        };
        let folder = self.trial_folder(trial);
        fs::create_dir_all(&folder).map_err(|e| FileError::new(&folder, "create the folder", e))?;
        let value = serde_json::to_value(&result)?;
        Ok(atomic::write(
            folder.join("trial.json"),
            format!("{value:#}\n"),
        )?)
    }

    /// What came out of this trial before, if something did.
    pub fn read_trial(&self, number: usize) -> Result<Option<Trial>> {
        let mut trial = Trial::waiting(number);
        let path = self.trial_folder(&trial).join("trial.json");
        let Some(value) = read(&path)? else {
            return Ok(None);
        };
        let result: Outcome = serde_json::from_value(value).map_err(|e| damaged(&path, &e))?;
        trial.state = match result.state.as_str() {
            "complete" => State::Complete,
            "pruned" => State::Pruned,
            "failed" => State::Failed(result.why.unwrap_or_default()),
            "paused" => State::Paused,
            other => {
                return Err(Error::new(format!(
                    "{}: there is no state {other:?}",
                    path.display()
                )));
            }
        };
        trial.values = result.values.into_iter().collect();
        let number = |value: Option<f64>| value.unwrap_or(f64::NAN);
        trial.curve = result
            .curve
            .iter()
            .map(|&(value, loss)| Point {
                value: number(value),
                loss: number(loss),
            })
            .collect();
        trial.seconds = result.seconds;
        Ok(Some(trial))
    }
}

/// What is searched in this folder, if there is a search.
pub(super) fn read_search(folder: &Path) -> Result<Option<Searched>> {
    let path = folder.join("search.json");
    let Some(value) = read(&path)? else {
        return Ok(None);
    };
    Ok(Some(
        serde_json::from_value(value).map_err(|e| damaged(&path, &e))?,
    ))
}

fn damaged(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::new(format!("{}: it is damaged: {why}", path.display()))
}

fn read(path: &Path) -> Result<Option<Value>> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(FileError::new(path, "read", e).into()),
    };
    let value: Value = serde_json::from_slice(&text).map_err(|e| damaged(path, &e))?;
    match value.get("version").and_then(Value::as_u64) {
        Some(VERSION) => Ok(Some(value)),
        version => Err(Error::new(format!(
            "{} is of version {}, and this program reads version {VERSION}",
            path.display(),
            version.unwrap_or(0)
        ))),
    }
}
