//! The folder of a training run: its numbers, its model, its report.
//!
//! ```text
//! runs/
//!   latest                                    leads to the newest run: a link or, where there are none, its name
//!   2026-11-24-142903-lenet-mnist/
//!     run.json  recipe.toml  metrics.jsonl  readings.jsonl  model.safetensors  report.html  report.json
//!     checkpoint.safetensors  checkpoint.previous.safetensors
//! ```

use crate::atomic::{self, FileError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The name that stands for the newest run.
pub const LATEST: &str = "latest";

/// A folder that holds one training run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Creates `base/<date-time>-<model>-<dataset>` (and `base` itself) and makes it the latest run of `base`: the link
    /// `base/latest` leads there. Where the system has no links, `latest` is a file that holds the run's name.
    ///
    /// The time is the local one. Of `model` and `dataset`, letters and digits stay, in lower case; anything else
    /// becomes `-`. A second run in the same second gets `-2` at its end.
    ///
    /// # Errors
    ///
    /// A [`FileError`] when `base` is a file or a folder cannot be created or written.
    pub fn create(base: impl AsRef<Path>, model: &str, dataset: &str) -> Result<Self, FileError> {
        let base = base.as_ref();
        create_folders(base)?;
        let now = jiff::ZonedDateTime::now()
            .strftime("%Y-%m-%d-%H%M%S")
            .to_string();
        let name = [now, slug(model), slug(dataset)]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("-");
        let mut count = 1;
        loop {
            let name = match count {
                1 => name.clone(),
                _ => format!("{name}-{count}"),
            };
            let path = base.join(&name);
            match fs::create_dir(&path) {
                Ok(()) => {
                    point_to(base, &name)?;
                    return Ok(Self { path });
                }
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => count += 1,
                Err(e) => return Err(FileError::new(path, "create the folder", e)),
            }
        }
    }

    /// Uses exactly the folder `path`, creating it when it does not exist.
    ///
    /// # Errors
    ///
    /// A [`FileError`] when `path` is a file, already holds a run, cannot be created or cannot be written.
    pub fn create_at(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let folder = Self {
            path: path.as_ref().to_path_buf(),
        };
        create_folders(&folder.path)?;
        if folder.metrics().exists() {
            return Err(FileError::new(
                &folder.path,
                "start a run in",
                io::Error::new(io::ErrorKind::AlreadyExists, "it already holds a run"),
            )
            .advise("remove it or choose another path"));
        }
        // Finds out now, and not after an hour of training, that the folder cannot be written.
        let probe = folder.probe();
        atomic::write(&probe, "")
            .and_then(|()| fs::remove_file(&probe).map_err(|e| FileError::new(&probe, "remove", e)))
            .map_err(|e| {
                FileError::new(&folder.path, "write into", e.kind().into())
                    .advise("allow writing there (chmod, chown) or choose another path")
            })?;
        Ok(folder)
    }

    /// What is written and removed to find out whether the folder can be written.
    fn probe(&self) -> PathBuf {
        self.path.join(".writable")
    }

    /// The run in this folder, whether or not there is one.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Opens an existing run: the folder `run` itself, the run of that name in `base`, or with `latest` the newest
    /// run of `base`.
    ///
    /// # Errors
    ///
    /// A [`FileError`] when there is no such folder.
    pub fn open(base: impl AsRef<Path>, run: &str) -> Result<Self, FileError> {
        let base = base.as_ref();
        if run == LATEST {
            return Self::latest(base)?.ok_or_else(|| {
                FileError::new(base, "find a run in", io::ErrorKind::NotFound.into())
                    .advise("train a model first or name the run's folder")
            });
        }
        for path in [PathBuf::from(run), base.join(run)] {
            if path.is_dir() {
                return Ok(Self { path });
            }
        }
        Err(
            FileError::new(run, "open the run", io::ErrorKind::NotFound.into()).advise(format!(
                "name one of the folders in {} or \"{LATEST}\"",
                base.display()
            )),
        )
    }

    /// The newest run of `base`: the one that `base/latest` leads to or names or, if that is gone, the one whose name
    /// sorts last.
    ///
    /// # Errors
    ///
    /// A [`FileError`] when `base` exists and cannot be read.
    pub fn latest(base: impl AsRef<Path>) -> Result<Option<Self>, FileError> {
        let base = base.as_ref();
        if let Ok(target) = fs::read_link(base.join(LATEST)) {
            let path = base.join(target);
            if path.is_dir() {
                return Ok(Some(Self { path }));
            }
        } else if let Ok(name) = fs::read_to_string(base.join(LATEST)) {
            let name = name.trim();
            // Only a plain name: an edited file shall not lead out of the folder.
            let plain = !name.is_empty() && Path::new(name).file_name() == Some(name.as_ref());
            let path = base.join(name);
            if plain && path.is_dir() {
                return Ok(Some(Self { path }));
            }
        }
        let fail = |e| FileError::new(base, "read the folder", e);
        let entries = match fs::read_dir(base) {
            Ok(entries) => entries,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(fail(e)),
        };
        let mut newest: Option<PathBuf> = None;
        for entry in entries {
            let path = entry.map_err(fail)?.path();
            let dated = path
                .file_name()
                .is_some_and(|name| has_date(&name.to_string_lossy()));
            if dated && path.is_dir() && newest.as_ref().is_none_or(|n| *n < path) {
                newest = Some(path);
            }
        }
        Ok(newest.map(|path| Self { path }))
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The last part of the path.
    pub fn name(&self) -> String {
        match self.path.file_name() {
            Some(name) => name.to_string_lossy().into_owned(),
            None => self.path.display().to_string(),
        }
    }

    /// `run.json`: what was asked for, and how the run stands.
    pub fn settings(&self) -> PathBuf {
        self.path.join("run.json")
    }

    /// The recipe that does the run again.
    pub fn recipe(&self) -> PathBuf {
        self.path.join("recipe.toml")
    }

    /// `metrics.jsonl`: one [record](crate::metrics::Record) per line.
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// `readings.jsonl`: how weights, gradients and activations lie, one [record](crate::readings::Readings) per line.
    pub fn readings(&self) -> PathBuf {
        self.path.join("readings.jsonl")
    }

    /// `model.safetensors`: the trained model.
    pub fn model(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// `checkpoint.safetensors`: everything that the run is, to go on with it.
    pub fn checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.safetensors")
    }

    /// `checkpoint.next.safetensors`: a checkpoint that is about to take the place of the last one.
    pub(crate) fn next_checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.next.safetensors")
    }

    /// `checkpoint.previous.safetensors`: the checkpoint before the last one.
    pub fn previous_checkpoint(&self) -> PathBuf {
        self.path.join("checkpoint.previous.safetensors")
    }

    /// The command that began the run; empty if it is not known.
    pub(crate) fn command(&self) -> String {
        let text = fs::read(self.settings()).unwrap_or_default();
        let all = serde_json::from_slice::<serde_json::Value>(&text).unwrap_or_default();
        all["command"].as_str().unwrap_or_default().to_string()
    }

    /// Removes temporary files that a process which was killed has left. Nobody may be writing into the folder.
    pub(crate) fn sweep(&self) {
        let own = [
            self.probe(),
            self.settings(),
            self.recipe(),
            self.model(),
            self.checkpoint(),
            self.next_checkpoint(),
            self.report(),
            self.facts(),
            self.readings(),
        ];
        let is_left = |name: &str| {
            own.iter().any(|path| {
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                name.strip_prefix('.')
                    .is_some_and(|n| n.starts_with(&format!("{file}.")))
            }) && name.ends_with(".tmp")
        };
        for entry in fs::read_dir(&self.path).into_iter().flatten().flatten() {
            if entry.file_name().to_str().is_some_and(is_left) {
                // What cannot be removed is in nobody's way.
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// `report.json`: what the report shows, but for the curves, which are those of the metrics.
    pub fn facts(&self) -> PathBuf {
        self.path.join("report.json")
    }

    /// `report.html`: the page to look at.
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }
}

/// Makes `base/latest` lead to this run.
fn point_to(base: &Path, name: &str) -> Result<(), FileError> {
    let latest = base.join(LATEST);
    #[cfg(unix)]
    {
        if atomic::link(name, &latest).is_ok() {
            return Ok(());
        }
        // Some file systems have no links. An old one, made elsewhere, would be followed.
        if fs::symlink_metadata(&latest).is_ok_and(|m| m.is_symlink()) {
            let _ = fs::remove_file(&latest);
        }
    }
    atomic::write(latest, format!("{name}\n"))
}

fn create_folders(path: &Path) -> Result<(), FileError> {
    if path.exists() && !path.is_dir() {
        return Err(FileError::new(
            path,
            "create the folder",
            io::ErrorKind::AlreadyExists.into(),
        )
        .advise("a file has this name: rename it or choose another path"));
    }
    fs::create_dir_all(path).map_err(|e| FileError::new(path, "create the folder", e))
}

/// Lower-case letters, digits, `.` and single dashes; at most 40 characters.
fn slug(text: &str) -> String {
    let mut slug = String::new();
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() || (c == '.' && !slug.is_empty()) {
            slug.push(c);
        } else if !slug.ends_with('-') && !slug.is_empty() {
            slug.push('-');
        }
    }
    let short: String = slug.chars().take(40).collect();
    short.trim_end_matches(['-', '.']).to_string()
}

/// Whether `name` begins like `2026-11-24-142903`.
fn has_date(name: &str) -> bool {
    let pattern = "0000-00-00-000000";
    name.len() >= pattern.len()
        && pattern.bytes().zip(name.bytes()).all(|(p, c)| match p {
            b'0' => c.is_ascii_digit(),
            _ => c == p,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_carry_date_model_and_dataset() {
        let base = tempfile::tempdir().unwrap();
        let run = RunFolder::create(base.path().join("runs"), "Le Net/5", "MNIST").unwrap();
        assert!(has_date(&run.name()), "{}", run.name());
        assert!(run.name().ends_with("-le-net-5-mnist"), "{}", run.name());
        assert!(run.report().starts_with(run.path()));
    }

    #[test]
    fn hostile_names_stay_inside() {
        assert_eq!(slug("../../etc/passwd"), "etc-passwd");
        assert_eq!(slug("..."), "");
        assert_eq!(slug("手書き 数字"), "手書き-数字");
        assert_eq!(slug(&"x".repeat(500)).len(), 40);
    }

    #[test]
    fn two_runs_in_one_second_differ_and_the_second_is_latest() {
        let base = tempfile::tempdir().unwrap();
        let first = RunFolder::create(base.path(), "m", "d").unwrap();
        let second = RunFolder::create(base.path(), "m", "d").unwrap();
        assert_ne!(first, second);
        assert_eq!(RunFolder::open(base.path(), LATEST).unwrap(), second);
        assert_eq!(RunFolder::open(base.path(), &first.name()).unwrap(), first);
    }

    #[cfg(unix)]
    #[test]
    fn latest_is_a_link_and_replaces_the_file_that_was_there() {
        let base = tempfile::tempdir().unwrap();
        let old = base.path().join("2026-01-02-030405-a");
        fs::create_dir(&old).unwrap();
        fs::write(base.path().join(LATEST), "2026-01-02-030405-a\n").unwrap();
        let read = RunFolder::latest(base.path()).unwrap().unwrap();
        assert_eq!(read.path(), old);
        let run = RunFolder::create(base.path(), "m", "d").unwrap();
        fs::write(run.report(), "the page").unwrap();
        let page = base.path().join(LATEST).join("report.html");
        assert_eq!(fs::read_to_string(page).unwrap(), "the page");
        let link = fs::read_link(base.path().join(LATEST)).unwrap();
        assert_eq!(
            link,
            Path::new(&run.name()),
            "a folder that moves with its runs"
        );
        assert_eq!(RunFolder::latest(base.path()).unwrap().unwrap(), run);
        // A link that leads nowhere any more is none.
        fs::remove_dir_all(run.path()).unwrap();
        let newest = RunFolder::latest(base.path()).unwrap().unwrap();
        assert_eq!(newest.path(), old);
        assert_eq!(fs::read_dir(base.path()).unwrap().count(), 2);
    }

    #[test]
    fn latest_falls_back_to_names_when_the_pointer_is_gone_or_edited() {
        let base = tempfile::tempdir().unwrap();
        assert_eq!(RunFolder::latest(base.path()).unwrap(), None);
        assert_eq!(RunFolder::latest(base.path().join("none")).unwrap(), None);
        for name in ["2026-01-02-030405-a", "2026-01-02-030406-a", "zzz"] {
            fs::create_dir(base.path().join(name)).unwrap();
        }
        for pointer in ["..", "gone", ""] {
            fs::write(base.path().join(LATEST), pointer).unwrap();
            let latest = RunFolder::latest(base.path()).unwrap().unwrap();
            assert_eq!(latest.name(), "2026-01-02-030406-a", "{pointer:?}");
        }
    }

    #[test]
    fn errors_are_clear() {
        let base = tempfile::tempdir().unwrap();
        let file = base.path().join("file");
        fs::write(&file, "").unwrap();
        for error in [
            RunFolder::create(&file, "m", "d").unwrap_err(),
            RunFolder::create_at(&file).unwrap_err(),
        ] {
            assert!(
                error.to_string().contains("a file has this name"),
                "{error}"
            );
        }
        let below = RunFolder::create_at(file.join("run")).unwrap_err();
        assert!(below.to_string().contains("is a file"), "{below}");
        let none = RunFolder::open(base.path(), LATEST).unwrap_err();
        assert!(none.to_string().contains("train a model first"), "{none}");
        let run = RunFolder::create_at(base.path().join("run")).unwrap();
        fs::write(run.metrics(), "").unwrap();
        let again = RunFolder::create_at(run.path()).unwrap_err();
        assert!(again.to_string().contains("already holds a run"), "{again}");
    }
}
