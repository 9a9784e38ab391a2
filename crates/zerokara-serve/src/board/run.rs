//! What a list says of a run, from the small files of its folder and the end of its metrics.

use super::records;
use serde_json::{Map, Value, json};
use std::{
    fs, io,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};
use zerokara_train::{atomic, run_folder::RunFolder};

/// The most bytes of a run's settings, recipe or tags that are read.
pub const MOST_SETTINGS: u64 = 4 << 20;
/// The most bytes of the facts of a report: pictures of sixty samples are in them.
pub const MOST_REPORT: u64 = 64 << 20;
/// The version of `tags.json`.
const TAGS_VERSION: u64 = 1;
/// The most tags of a run, and letters of a tag.
const MOST_TAGS: usize = 20;
const MOST_LETTERS: usize = 40;

/// How a file was when it was looked at: it is read again when it is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(u64, SystemTime);

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = fs::symlink_metadata(path).ok().filter(|m| m.is_file())?;
        Some(Self(found.len(), found.modified().unwrap_or(UNIX_EPOCH)))
    }
}

/// The files of a run.
#[derive(Clone, Debug)]
pub struct Files {
    pub folder: PathBuf,
    pub settings: PathBuf,
    pub metrics: PathBuf,
    pub tags: PathBuf,
    pub recipe: PathBuf,
    pub readings: PathBuf,
    pub facts: PathBuf,
    pub report: PathBuf,
}

impl Files {
    pub fn of(folder: PathBuf) -> Self {
        let run = RunFolder::at(&folder);
        Self {
            settings: run.settings(),
            metrics: run.metrics(),
            recipe: run.recipe(),
            readings: run.readings(),
            facts: run.facts(),
            report: run.report(),
            tags: folder.join("tags.json"),
            folder,
        }
    }

    /// How those are on which the list depends.
    pub fn stamps(&self) -> [Option<Stamp>; 5] {
        [
            &self.settings,
            &self.metrics,
            &self.tags,
            &self.readings,
            &self.facts,
        ]
        .map(|path| Stamp::of(path))
    }
}

/// A run in the list.
#[derive(Debug)]
pub struct Summary {
    pub json: Value,
    /// Bytes read for it.
    pub bytes: u64,
}

/// What there is to say of a run; what is missing or cannot be read is left out.
pub fn summary(name: &str, files: &Files) -> Summary {
    let settings = records::read(&files.settings, MOST_SETTINGS).unwrap_or_default();
    let mut bytes = settings.len() as u64;
    let all: Value = serde_json::from_slice(&settings).unwrap_or_default();
    let last = records::last(&files.metrics).unwrap_or_default();
    bytes += last.bytes;
    let mut values = Map::new();
    let mut names = [Vec::new(), Vec::new()];
    for (at, line) in [&last.step, &last.epoch].into_iter().enumerate() {
        for (name, value) in line.iter().flat_map(|line| &line.values) {
            names[at].push(name.clone());
            values.insert(name.clone(), number(*value));
        }
    }
    let [of_steps, of_epochs] = names;
    let told = &all["settings"];
    let epochs = last.epoch.as_ref().map(|line| line.epoch);
    let steps = last.step.as_ref().map_or(0.0, |line| line.step);
    let steps = last
        .epoch
        .as_ref()
        .map_or(steps, |line| line.step.max(steps));
    let json = json!({
        "name": name,
        "model": text(&all["model"]),
        "data": text(&all["dataset"]),
        "status": text(&all["status"]).unwrap_or_else(|| "unknown".into()),
        "error": text(&all["error"]),
        "seed": all["seed"].as_u64(),
        "settings": match told.as_object() {
            Some(told) => told.iter().filter_map(|(name, v)| Some((name.clone(), text(v)?.into()))).collect(),
            None => Map::new(),
        },
        "epochs": epochs,
        "of": text(&told["epochs"]).and_then(|n| n.parse::<f64>().ok()),
        "steps": steps,
        "seconds": last.step.as_ref().map(|line| number(line.seconds)),
        "values": values,
        "byStep": of_steps,
        "byEpoch": of_epochs,
        "tags": tags(&files.tags),
        "has": {
            "recipe": files.recipe.is_file(),
            "readings": files.readings.is_file(),
            "report": files.report.is_file(),
        },
        "changed": changed(files),
    });
    Summary { json, bytes }
}

/// A number for JSON, which has no infinity: these are texts, as in the metrics.
pub fn number(value: f64) -> Value {
    match value.is_finite() {
        true => value.into(),
        false => value.to_string().into(),
    }
}

/// A text of a bounded length.
fn text(value: &Value) -> Option<String> {
    const LONGEST: usize = 500;
    let text = value.as_str()?;
    Some(text.chars().take(LONGEST).collect())
}

/// When the run was last written to, in seconds since 1970.
fn changed(files: &Files) -> Option<u64> {
    let stamps = [Stamp::of(&files.metrics), Stamp::of(&files.settings)];
    let latest = stamps.into_iter().flatten().map(|stamp| stamp.1).max()?;
    Some(latest.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

/// The tags in a file; none where it holds something else.
fn tags(path: &Path) -> Vec<String> {
    let bytes = records::read(path, MOST_SETTINGS).unwrap_or_default();
    let all: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let is_known = all["version"].as_u64().is_some_and(|v| v <= TAGS_VERSION);
    let found = all["tags"].as_array().filter(|_| is_known);
    let found = found.into_iter().flatten().filter_map(text);
    tidy(found).unwrap_or_default()
}

/// Tags without what surrounds them, each once.
///
/// # Errors
/// What is wrong with one of them.
pub fn tidy(tags: impl IntoIterator<Item = String>) -> Result<Vec<String>, String> {
    let mut out: Vec<String> = Vec::new();
    for tag in tags {
        let tag = tag.trim();
        if tag.is_empty() || out.iter().any(|known| known == tag) {
            continue;
        }
        if tag.chars().count() > MOST_LETTERS || tag.chars().any(|c| c.is_control() || c == ',') {
            return Err(format!(
                "a tag has at most {MOST_LETTERS} letters, and no comma"
            ));
        }
        out.push(tag.to_string());
    }
    match out.len() > MOST_TAGS {
        true => Err(format!("a run has at most {MOST_TAGS} tags")),
        false => Ok(out),
    }
}

/// Writes the tags of a run, whole or not at all.
pub fn write_tags(files: &Files, tags: &[String]) -> io::Result<()> {
    // What a link leads to would be written.
    if fs::symlink_metadata(&files.tags).is_ok_and(|found| !found.is_file()) {
        return Err(io::Error::other("tags.json is no plain file"));
    }
    let all = json!({ "version": TAGS_VERSION, "tags": tags });
    atomic::write(&files.tags, format!("{all:#}\n")).map_err(io::Error::other)
}

/// Whether a process is writing to the run: trainings hold a lock on their metrics.
pub fn is_written(files: &Files) -> bool {
    let Ok(file) = records::open(&files.metrics) else {
        return false;
    };
    matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock))
}

/// Removes the folder with all that is in it; links in it are removed, and what they lead to stays.
pub fn delete(files: &Files) -> io::Result<()> {
    if !fs::symlink_metadata(&files.folder)?.is_dir() {
        return Err(io::Error::other("it is no folder"));
    }
    fs::remove_dir_all(&files.folder)
}
