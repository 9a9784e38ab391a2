//! Models by name: their files, their queues, and the threads that compute.

use crate::{
    loaded::Loaded,
    metrics::ModelMetrics,
    options::Options,
    queue::{Job, Queue},
    refusal::Refusal,
};
use axum::http::StatusCode;
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};
use zerokara_core::Arrays;
use zerokara_train::{Error, Result, SavedModel};

/// A model's file, and the name under which it answers.
#[derive(Clone, Debug)]
pub struct Source {
    name: String,
    path: PathBuf,
}

/// The longest name of a model.
const LONGEST_NAME: usize = 64;

/// What names are made of, so that they stand in addresses as they are.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}

impl Source {
    /// The model in this file under this name.
    ///
    /// # Errors
    /// If the name has other characters than letters, digits, `-`, `_` and `.`, or is none or too long.
    pub fn new(name: &str, path: impl Into<PathBuf>) -> Result<Self> {
        let is_path = matches!(name, "." | "..");
        if name.is_empty() || name.len() > LONGEST_NAME || is_path || !name.chars().all(is_plain) {
            return Err(Error::new(format!(
                "a model cannot be named {name:?}: a name has up to {LONGEST_NAME} letters of ASCII, digits, -, _ and ."
            )));
        }
        Ok(Self {
            name: name.into(),
            path: path.into(),
        })
    }

    /// The model in this file under the name of the file, or of another path that stands for it, such as a run's folder.
    ///
    /// ```
    /// use zerokara_serve::Source;
    /// let source = Source::named_after("digits.safetensors".as_ref(), "digits.safetensors");
    /// assert_eq!(source.name(), "digits");
    /// ```
    pub fn named_after(known_as: &Path, path: impl Into<PathBuf>) -> Self {
        let stem = match known_as.extension() {
            Some(ending) if ending == "safetensors" => known_as.file_stem(),
            _ => known_as.file_name(),
        };
        let stem = stem.map(|stem| stem.to_string_lossy()).unwrap_or_default();
        let plain = stem.chars().map(|c| if is_plain(c) { c } else { '-' });
        let name: String = plain.take(LONGEST_NAME).collect();
        let is_name = !matches!(&*name, "" | "." | "..");
        Self {
            name: if is_name { name } else { "model".into() },
            path: path.into(),
        }
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What tells one state of a file from another without reading it; nothing where there is no file.
pub(crate) type Stamp = Option<(SystemTime, u64)>;

fn stamp(path: &Path) -> Stamp {
    let data = fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len()))
}

/// A model that answers under a name.
pub(crate) struct Served {
    source: Source,
    current: Mutex<Arc<Loaded>>,
    /// The file when it was last read.
    seen: Mutex<Stamp>,
    sizes: Vec<usize>,
    pub queue: Queue,
    pub metrics: ModelMetrics,
}

impl Served {
    /// Loads the model.
    pub fn load(source: Source, options: &Options) -> Result<Self> {
        let sizes = options.sizes();
        // Before the file is read: what changes meanwhile is seen later.
        let seen = stamp(&source.path);
        let loaded = Loaded::new(SavedModel::load(&source.path)?, &sizes)?;
        Ok(Self {
            source,
            current: Mutex::new(Arc::new(loaded)),
            seen: Mutex::new(seen),
            sizes,
            queue: Queue::new(options.queue.max(1)),
            metrics: ModelMetrics::new(),
        })
    }

    pub fn name(&self) -> &str {
        &self.source.name
    }

    /// The model as it is now.
    pub fn current(&self) -> Arc<Loaded> {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        current.clone()
    }

    /// Looks at the file, and loads it if it changed; nothing if it did not. Where it cannot be loaded, the model stays that
    /// it was.
    pub fn look(&self) -> Option<Result<()>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = stamp(&self.source.path);
        if *seen == now {
            return None;
        }
        *seen = now;
        let loaded = match now {
            Some(_) => {
                SavedModel::load(&self.source.path).and_then(|m| Loaded::new(m, &self.sizes))
            }
            None => Err(Error::new(format!(
                "{}: there is no such file any more",
                self.source.path.display()
            ))),
        };
        self.metrics.load(loaded.is_ok());
        Some(loaded.map(|loaded| {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            *current = Arc::new(loaded);
        }))
    }

    /// Computes what waits, until the queue is closed and empty.
    pub fn work(&self, wait: Duration) {
        while let Some(jobs) = self.queue.take(wait) {
            self.compute(jobs);
        }
    }

    fn compute(&self, jobs: Vec<Job>) {
        let Some(first) = jobs.first() else {
            return;
        };
        self.metrics.batch(jobs.len());
        let inputs: Vec<&Arrays> = jobs.iter().map(|job| &job.inputs).collect();
        let model = &first.model;
        // A fault in the library must not end the thread that answers.
        let answers = catch_unwind(AssertUnwindSafe(|| model.answers(&inputs)));
        match answers {
            Ok(Ok(answers)) => {
                for (job, answer) in jobs.into_iter().zip(answers) {
                    // Whoever asked may have gone.
                    let _ = job.reply.send(answer);
                }
            }
            // One that cannot be computed, such as a token that the model does not know, takes no other with it.
            _ if jobs.len() > 1 => jobs.into_iter().for_each(|job| self.compute(vec![job])),
            failed => {
                let refusal = match failed {
                    Ok(Err(error)) => {
                        let text = error.to_string();
                        Refusal::unfit(text.lines().next().unwrap_or_default())
                    }
                    _ => Refusal::new(
                        StatusCode::INTERNAL_SERVER_ERROR,
                        "the model could not be computed",
                    ),
                };
                for job in jobs {
                    let _ = job.reply.send(Err(refusal.clone()));
                }
            }
        }
    }
}
