//! How the numbers of a model lie while it is trained: `readings.jsonl`, one JSON object per line.
//!
//! ```text
//! {"version":1,"epoch":1,"step":600,"memory":104857600,"weights":{"conv1.weight":{"low":-0.4,"high":0.3,"counts":[..]}},..}
//! ```

use crate::atomic::{self, FileError};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write,
    path::Path,
};

/// The version of the lines that are written; lines of a newer one are passed over.
pub const VERSION: u32 = 1;
/// Bins of a histogram.
pub const BINS: usize = 32;
/// The most values that a histogram is made of: of more, every so manieth is taken.
const MOST_VALUES: usize = 1 << 16;

/// How many values lie in each of equal parts between the smallest and the largest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The smallest value that is finite.
    pub low: f64,
    /// The largest value that is finite.
    pub high: f64,
    /// How many lie in each part.
    pub counts: Vec<u32>,
    /// How many are not finite, and in no part.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub not_finite: u32,
}

fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Histogram {
    /// The histogram of these values; of very many, a sample at equal distances.
    ///
    /// ```
    /// use zerokara_train::readings::Histogram;
    /// let found = Histogram::of(&[0.0, 1.0, 1.0, f64::NAN]);
    /// assert_eq!((found.low, found.high, found.not_finite), (0.0, 1.0, 1));
    /// assert_eq!((found.counts[0], found.counts[31]), (1, 2));
    /// ```
    pub fn of(values: &[f64]) -> Self {
        let every = values.len().div_ceil(MOST_VALUES).max(1);
        let all = || values.iter().step_by(every).copied();
        let finite = || all().filter(|v| v.is_finite());
        let Some((low, high)) = finite()
            .map(|v| (v, v))
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
        else {
            return Self {
                not_finite: all().count() as u32,
                ..Self::default()
            };
        };
        let mut counts = vec![0; BINS];
        let width = high - low;
        for value in finite() {
            // The upper end belongs to the last part; of equal values all lie in the first.
            let at = (value - low) / width * BINS as f64;
            counts[(at as usize).min(BINS - 1)] += 1;
        }
        Self {
            low,
            high,
            not_finite: all().filter(|v| !v.is_finite()).count() as u32,
            counts,
        }
    }
}

/// One line.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Readings {
    /// The version of the line.
    pub version: u32,
    /// Number of the epoch at whose end it was taken.
    pub epoch: u64,
    /// Number of steps since the start of the run.
    pub step: u64,
    /// Bytes of memory of the process, where the system tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Values of the parameters, by their paths.
    pub weights: BTreeMap<String, Histogram>,
    /// The gradients of the loss of a few training samples, by the parameters' paths.
    pub gradients: BTreeMap<String, Histogram>,
    /// What the layers give for these samples, by the layers' paths.
    pub activations: BTreeMap<String, Histogram>,
}

/// Appends a line.
///
/// # Errors
/// A [`FileError`] when it cannot be written.
pub fn append(path: &Path, readings: &Readings) -> Result<(), FileError> {
    let fail = |e| FileError::new(path, "write", e);
    let mut line = serde_json::to_vec(readings).map_err(|e| fail(e.into()))?;
    line.push(b'\n');
    let file = OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(&line))
        .map_err(fail)
}

/// The lines of these bytes, as far as they are whole and known.
pub fn parse(bytes: &[u8]) -> Vec<Readings> {
    let lines = bytes.split(|b| *b == b'\n');
    let found = lines.filter_map(|line| serde_json::from_slice::<Readings>(line).ok());
    found
        .filter(|line| (1..=VERSION).contains(&line.version))
        .collect()
}

/// Leaves the lines up to this step, for a run that is gone on with from there.
///
/// # Errors
/// A [`FileError`] when it cannot be written.
pub fn cut(path: &Path, step: u64) -> Result<(), FileError> {
    let Ok(bytes) = fs::read(path) else {
        return Ok(());
    };
    let lines = bytes.split_inclusive(|b| *b == b'\n');
    let kept = lines.filter(|line| parse(line).iter().any(|found| found.step <= step));
    atomic::write(path, kept.collect::<Vec<_>>().concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_return_and_are_cut() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("readings.jsonl");
        for epoch in 1..=3 {
            let weights = BTreeMap::from([("w".to_string(), Histogram::of(&[epoch as f64, 9.0]))]);
            let line = Readings {
                version: VERSION,
                epoch,
                step: epoch * 10,
                weights,
                ..Readings::default()
            };
            append(&path, &line).unwrap();
        }
        let mut bytes = fs::read(&path).unwrap();
        assert_eq!(parse(&bytes)[2].weights["w"].low, 3.0);
        bytes.extend(b"{\"version\":2,\"epoch\":4}\n{\"version\":1,\"ep");
        fs::write(&path, &bytes).unwrap();
        assert_eq!(parse(&bytes).len(), 3);
        cut(&path, 20).unwrap();
        let left: Vec<u64> = parse(&fs::read(&path).unwrap())
            .iter()
            .map(|l| l.epoch)
            .collect();
        assert_eq!(left, [1, 2]);
    }

    #[test]
    fn histograms_bear_anything() {
        assert_eq!(Histogram::of(&[]), Histogram::default());
        assert_eq!(Histogram::of(&[f64::INFINITY]).not_finite, 1);
        assert_eq!(Histogram::of(&[2.0; 5]).counts[0], 5);
        let many: Vec<f64> = (0..200_000).map(f64::from).collect();
        let counts = Histogram::of(&many).counts;
        assert!(
            counts.iter().all(|&n| (1500..=1700).contains(&n)),
            "{counts:?}"
        );
    }
}
