//! The runs of a folder, as they are on the disk: whatever is known of them is read again when their files change.

use super::{
    records::Numbers,
    run::{self, Files, Stamp, Summary},
};
use serde_json::Value;
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

/// The numbers of runs' curves that are kept, of the runs that were asked for last.
const KEPT_NUMBERS: usize = 24_000_000;

/// A folder of runs.
pub struct Store {
    base: PathBuf,
    runs: Mutex<BTreeMap<String, Entry>>,
    numbers: Mutex<HashMap<String, Kept>>,
    /// One look at the folder at a time: what changed is told once.
    looking: Mutex<()>,
    asked: AtomicU64,
    /// Bytes that were read for the list, and for curves.
    pub listed: AtomicU64,
    pub drawn: AtomicU64,
}

struct Entry {
    files: Files,
    stamps: [Option<Stamp>; 5],
    summary: Arc<Summary>,
}

struct Kept {
    numbers: Arc<Mutex<Numbers>>,
    stamp: Option<Stamp>,
    asked: u64,
    len: usize,
}

/// What a look at the folder found.
#[derive(Debug, Default)]
pub struct Changes {
    pub changed: Vec<(String, Arc<Summary>)>,
    pub gone: Vec<String>,
}

impl Changes {
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.gone.is_empty()
    }

    /// For the page.
    pub fn json(&self) -> Value {
        let changed = self.changed.iter().map(|(_, summary)| &summary.json);
        serde_json::json!({ "runs": changed.collect::<Vec<_>>(), "gone": self.gone })
    }
}

/// A lock that a thread which panicked may have left.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    pub fn new(base: PathBuf) -> Self {
        Self {
            base,
            runs: Mutex::default(),
            numbers: Mutex::default(),
            looking: Mutex::default(),
            asked: AtomicU64::new(0),
            listed: AtomicU64::new(0),
            drawn: AtomicU64::new(0),
        }
    }

    pub fn base(&self) -> &Path {
        &self.base
    }

    /// Looks at the folder, and reads what changed. A run is a folder in it with settings or metrics; links, such as `latest`,
    /// are none. What vanishes meanwhile is gone.
    ///
    /// # Errors
    /// If the folder itself cannot be read.
    pub fn look(&self) -> io::Result<Changes> {
        let _one = locked(&self.looking);
        let mut changes = Changes::default();
        let mut there = HashSet::new();
        for entry in fs::read_dir(&self.base)? {
            let Ok(entry) = entry else { continue };
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if !is_folder || name.starts_with('.') {
                continue;
            }
            let known = (locked(&self.runs).get(&name)).map(|e| (e.files.clone(), e.stamps));
            let (files, before) = match known {
                Some((files, stamps)) => (files, Some(stamps)),
                None => (Files::of(entry.path()), None),
            };
            // Before they are read: what is written meanwhile is read at the next look.
            let stamps = files.stamps();
            if stamps[0].is_none() && stamps[1].is_none() {
                continue;
            }
            there.insert(name.clone());
            if before == Some(stamps) {
                continue;
            }
            let summary = Arc::new(run::summary(&name, &files));
            self.listed.fetch_add(summary.bytes, Ordering::Relaxed);
            let entry = Entry {
                files,
                stamps,
                summary: summary.clone(),
            };
            locked(&self.runs).insert(name.clone(), entry);
            changes.changed.push((name, summary));
        }
        let mut runs = locked(&self.runs);
        changes.gone = (runs.keys())
            .filter(|name| !there.contains(*name))
            .cloned()
            .collect();
        for name in &changes.gone {
            runs.remove(name);
            locked(&self.numbers).remove(name);
        }
        Ok(changes)
    }

    /// What the list says of each run.
    pub fn summaries(&self) -> Vec<Arc<Summary>> {
        locked(&self.runs)
            .values()
            .map(|entry| entry.summary.clone())
            .collect()
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        locked(&self.runs).len()
    }

    /// The files of the run of this name, if the list has it: no other name leads to any file.
    pub fn files(&self, name: &str) -> Option<Files> {
        locked(&self.runs)
            .get(name)
            .map(|entry| entry.files.clone())
    }

    /// What the list says of one run.
    #[cfg(test)]
    fn summary(&self, name: &str) -> Option<Arc<Summary>> {
        locked(&self.runs)
            .get(name)
            .map(|entry| entry.summary.clone())
    }

    /// The numbers of a run over time, which are read as far as its file has grown.
    pub fn numbers(&self, name: &str) -> Option<Arc<Mutex<Numbers>>> {
        let files = self.files(name)?;
        let now = files.stamps()[1];
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        let (numbers, is_fresh) = {
            let mut all = locked(&self.numbers);
            let kept = all.entry(name.to_string()).or_insert_with(|| Kept {
                numbers: Arc::default(),
                stamp: None,
                asked,
                len: 0,
            });
            kept.asked = asked;
            (
                kept.numbers.clone(),
                kept.stamp.is_some() && kept.stamp == now,
            )
        };
        if !is_fresh {
            let mut held = locked(&numbers);
            // A file that cannot be read has no curves now.
            let read = held.follow(&files.metrics).unwrap_or(0);
            self.drawn.fetch_add(read, Ordering::Relaxed);
            let len = held.len();
            drop(held);
            let mut all = locked(&self.numbers);
            if let Some(kept) = all.get_mut(name) {
                (kept.stamp, kept.len) = (now, len);
            }
            forget(&mut all, asked);
        }
        Some(numbers)
    }
}

/// Forgets the runs that nobody has asked for longest, until the rest is within bounds.
fn forget(all: &mut HashMap<String, Kept>, but: u64) {
    let mut held: usize = all.values().map(|kept| kept.len).sum();
    while held > KEPT_NUMBERS {
        let oldest = all.iter().filter(|(_, kept)| kept.asked != but);
        let oldest = oldest.min_by_key(|(_, kept)| kept.asked);
        let Some((name, len)) = oldest.map(|(name, kept)| (name.clone(), kept.len)) else {
            break;
        };
        all.remove(&name);
        held -= len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::OpenOptions, io::Write};

    /// What a run of so many epochs writes.
    fn metrics(epochs: usize) -> String {
        let line = |epoch: usize| {
            let loss = 2.3 / (1.0 + epoch as f64);
            format!(
                "{{\"kind\":\"epoch\",\"epoch\":{epoch},\"step\":{},\"train_loss\":{loss},\"train_accuracy\":0.91,\"test_loss\":{loss},\"test_accuracy\":0.9,\"learning_rate\":0.001,\"images_per_second\":12345.6,\"seconds\":4.5}}\n",
                epoch * 600
            )
        };
        (1..=epochs).map(line).collect()
    }

    #[test]
    fn a_thousand_runs_of_a_thousand_epochs_are_listed_from_their_ends() {
        const RUNS: usize = 1000;
        let base = tempfile::tempdir().unwrap();
        let text = metrics(1000);
        let first = base.path().join("run-0000");
        fs::create_dir(&first).unwrap();
        fs::write(first.join("metrics.jsonl"), &text).unwrap();
        for at in 0..RUNS {
            let folder = base.path().join(format!("run-{at:04}"));
            if at > 0 {
                fs::create_dir(&folder).unwrap();
                // One file under many names: two hundred megabytes need not be written.
                fs::hard_link(first.join("metrics.jsonl"), folder.join("metrics.jsonl")).unwrap();
            }
            let settings = "{\"model\":\"m\",\"dataset\":\"d\",\"status\":\"complete\"}";
            fs::write(folder.join("run.json"), settings).unwrap();
        }
        let store = Store::new(base.path().to_path_buf());
        let listed = || store.listed.load(Ordering::Relaxed);
        let changes = store.look().unwrap();
        assert_eq!((changes.changed.len(), store.len()), (RUNS, RUNS));
        let json = &store.summary("run-0999").unwrap().json;
        assert_eq!(
            (&json["epochs"], &json["status"]),
            (&1000.0.into(), &"complete".into())
        );
        // Of two hundred kilobytes of each run a few are read, and nothing of its curves.
        assert!(
            text.len() > 150_000 && listed() / RUNS as u64 <= 10_000,
            "{}",
            listed()
        );
        assert_eq!(store.drawn.load(Ordering::Relaxed), 0);

        // What has not changed is not read again.
        let before = listed();
        assert!(store.look().unwrap().is_empty() && listed() == before);

        // One that is written to is read alone, the others are not touched.
        fs::write(
            base.path().join("run-0500/tags.json"),
            "{\"version\":1,\"tags\":[\"a\"]}",
        )
        .unwrap();
        let changes = store.look().unwrap();
        assert_eq!(changes.changed.len(), 1);
        assert_eq!(changes.changed[0].1.json["tags"][0], "a");
        assert!(listed() - before <= 10_000);

        // Curves are read of those that are asked for, and then what was added to them.
        let numbers = store.numbers("run-0001").unwrap();
        assert_eq!(locked(&numbers).epochs.places.len(), 1000);
        let once = store.drawn.load(Ordering::Relaxed);
        assert_eq!(once, text.len() as u64);
        store.numbers("run-0001").unwrap();
        assert_eq!(store.drawn.load(Ordering::Relaxed), once);
        let mut file = OpenOptions::new()
            .append(true)
            .open(first.join("metrics.jsonl"))
            .unwrap();
        let more = metrics(1);
        file.write_all(more.as_bytes()).unwrap();
        store.numbers("run-0001").unwrap();
        assert_eq!(
            store.drawn.load(Ordering::Relaxed),
            once + more.len() as u64
        );

        fs::remove_dir_all(base.path().join("run-0001")).unwrap();
        assert_eq!(store.look().unwrap().gone, ["run-0001"]);
        assert!(store.numbers("run-0001").is_none() && store.len() == RUNS - 1);
    }

    #[test]
    fn what_is_no_run_is_passed_over() {
        let base = tempfile::tempdir().unwrap();
        for (path, text) in [
            ("good/metrics.jsonl", ""),
            ("broken/run.json", "{ nonsense"),
            ("empty/other.txt", ""),
            (".hidden/run.json", "{}"),
        ] {
            let path = base.path().join(path);
            fs::create_dir(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        fs::write(base.path().join("file"), "").unwrap();
        // A folder where a file should be.
        fs::create_dir_all(base.path().join("odd/metrics.jsonl")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("good", base.path().join("latest")).unwrap();
        let store = Store::new(base.path().to_path_buf());
        store.look().unwrap();
        let names: Vec<String> = locked(&store.runs).keys().cloned().collect();
        assert_eq!(names, ["broken", "good"]);
        assert_eq!(store.summary("broken").unwrap().json["status"], "unknown");
        assert!(store.files("../good").is_none() && store.files("latest").is_none());
        fs::remove_dir_all(base.path()).unwrap();
        assert!(store.look().is_err());
    }
}
