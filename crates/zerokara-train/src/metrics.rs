//! The numbers of a run, one JSON object per line, so that a run that was cut off can still be read.
//!
//! ```text
//! {"kind":"step","step":1,"epoch":1,"loss":2.3026,"accuracy":0.11,"learning_rate":0.001,...}
//! {"kind":"epoch","epoch":1,"step":600,"train_loss":0.21,"test_accuracy":0.9812,...}
//! ```
//!
//! JSON has no NaN and no infinity; they are written as the strings `"NaN"`, `"inf"` and `"-inf"`, since a loss that is
//! not finite is exactly what one wants to find in the file afterwards.

use crate::atomic::FileError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The measure that has fields of its own.
pub(crate) const ACCURACY: &str = "accuracy";

/// One training step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Step {
    /// Number of the step since the start of the run, from 1.
    pub step: u64,
    /// Number of the epoch, from 1.
    pub epoch: u64,
    /// Loss of the batch.
    #[serde(with = "number")]
    pub loss: f64,
    /// Accuracy on the batch, from 0 to 1.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<f64>,
    /// Learning rate of this step.
    #[serde(with = "number")]
    pub learning_rate: f64,
    /// Training samples per second.
    #[serde(with = "number")]
    pub images_per_second: f64,
    /// Seconds since the start of the run.
    #[serde(with = "number")]
    pub seconds: f64,
    /// Euclidean norm of the gradient over all parameters.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    pub gradient_norm: Option<f64>,
    /// Other measures of the task on the batch, by their names.
    #[serde(flatten, with = "named")]
    pub measures: BTreeMap<String, f64>,
}

/// The evaluation at the end of an epoch.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Epoch {
    /// Number of the epoch, from 1.
    pub epoch: u64,
    /// Number of steps since the start of the run.
    pub step: u64,
    /// Loss on a sample of the training data, of the same samples in every epoch.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    pub train_loss: Option<f64>,
    /// Accuracy on that sample, from 0 to 1.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    pub train_accuracy: Option<f64>,
    /// Loss on the validation data.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    pub validation_loss: Option<f64>,
    /// Accuracy on the validation data, from 0 to 1.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    pub validation_accuracy: Option<f64>,
    /// Loss on the test data.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    pub test_loss: Option<f64>,
    /// Accuracy on the test data, from 0 to 1.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    pub test_accuracy: Option<f64>,
    /// Learning rate at the end of the epoch.
    #[serde(with = "optional", skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Training samples per second over the epoch, without the evaluation.
    #[serde(with = "number")]
    pub images_per_second: f64,
    /// Seconds that the epoch took, without the evaluation.
    #[serde(with = "number")]
    pub seconds: f64,
    /// Other measures of the task, as `test_rmse`.
    #[serde(flatten, with = "named")]
    pub measures: BTreeMap<String, f64>,
}

impl Epoch {
    /// A measure of a part: of `train`, `validation` or `test`.
    pub fn measure(&self, part: &str, name: &str) -> Option<f64> {
        match (part, name) {
            ("train", ACCURACY) => self.train_accuracy,
            ("validation", ACCURACY) => self.validation_accuracy,
            ("test", ACCURACY) => self.test_accuracy,
            _ => self.measures.get(&format!("{part}_{name}")).copied(),
        }
    }
}

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Record {
    /// A training step.
    Step(Step),
    /// The end of an epoch.
    Epoch(Epoch),
}

impl Record {
    /// The number of training steps done when the record was written.
    pub fn step(&self) -> u64 {
        match self {
            Self::Step(step) => step.step,
            Self::Epoch(epoch) => epoch.step,
        }
    }

    fn to_line(&self) -> io::Result<Vec<u8>> {
        let mut line = serde_json::to_vec(self)?;
        line.push(b'\n');
        Ok(line)
    }
}

impl From<Step> for Record {
    fn from(step: Step) -> Self {
        Self::Step(step)
    }
}

impl From<Epoch> for Record {
    fn from(epoch: Epoch) -> Self {
        Self::Epoch(epoch)
    }
}

/// Appends records to a file; each line reaches the operating system before [`write`](Self::write) returns. While it lives,
/// no other one writes to the file.
///
/// A line that could not be written waits, and is tried again with the next: the file holds whole lines, in their order.
#[derive(Debug)]
pub struct Writer {
    path: PathBuf,
    file: File,
    /// Bytes of whole lines in the file.
    written: u64,
    waiting: Vec<u8>,
}

impl Writer {
    /// Starts a new file.
    ///
    /// # Errors
    ///
    /// A [`FileError`] when the file exists or cannot be created.
    pub fn create(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        Self::with(
            path.into(),
            OpenOptions::new().append(true).create_new(true),
        )
    }

    /// Goes on with a file, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// A [`FileError`] when the file cannot be opened, or another process writes to it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, FileError> {
        Self::with(path.into(), OpenOptions::new().append(true).create(true))
    }

    fn with(path: PathBuf, options: &OpenOptions) -> Result<Self, FileError> {
        let fail = |e| FileError::new(&path, "open", e);
        let file = options.open(&path).map_err(fail)?;
        // Some file systems have no locks; then nothing is known of others.
        if matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)) {
            let why = io::Error::other("another process is writing to it: the run is going on");
            return Err(fail(why).advise("wait for its end, or stop it"));
        }
        let written = file.metadata().map_err(fail)?.len();
        Ok(Self {
            path,
            file,
            written,
            waiting: Vec::new(),
        })
    }

    /// Leaves of the file so many bytes; whether there were as many.
    ///
    /// # Errors
    ///
    /// A [`FileError`] when it cannot be written.
    pub fn cut(&mut self, bytes: u64) -> Result<bool, FileError> {
        let whole = self.written >= bytes;
        self.waiting.clear();
        self.shorten(bytes.min(self.written))?;
        Ok(whole)
    }

    fn shorten(&mut self, bytes: u64) -> Result<(), FileError> {
        let cut = self.file.set_len(bytes);
        cut.map_err(|e| FileError::new(&self.path, "write", e))?;
        self.written = bytes;
        Ok(())
    }

    /// Appends one line.
    ///
    /// # Errors
    ///
    /// A [`FileError`] when it cannot be written; it is tried again with the next.
    pub fn write(&mut self, record: &Record) -> Result<(), FileError> {
        let line = record.to_line();
        self.waiting
            .extend(line.map_err(|e| FileError::new(&self.path, "write", e))?);
        self.flush()
    }

    /// Tries again what could not be written.
    ///
    /// # Errors
    ///
    /// A [`FileError`] when it cannot be written still.
    pub fn flush(&mut self) -> Result<(), FileError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        // One call for all: the file has no buffer of its own.
        match self.file.write_all(&self.waiting) {
            Ok(()) => {
                self.written += self.waiting.len() as u64;
                self.waiting.clear();
                Ok(())
            }
            Err(error) => {
                // A part of it may be there.
                let _ = self.file.set_len(self.written);
                Err(FileError::new(&self.path, "write", error))
            }
        }
    }

    /// Makes sure that all lines survive a power failure; the number of bytes that they take.
    ///
    /// # Errors
    ///
    /// A [`FileError`] when they cannot be written.
    pub fn sync(&mut self) -> Result<u64, FileError> {
        self.flush()?;
        let synced = self.file.sync_data();
        synced.map_err(|e| FileError::new(&self.path, "write", e))?;
        Ok(self.written)
    }
}

/// Reads all records. A last line that is torn, because the run was cut off while writing it, is left out.
///
/// # Errors
///
/// A [`FileError`] when the file cannot be read or a line before the last is damaged; it names the line.
pub fn read(path: impl AsRef<Path>) -> Result<Vec<Record>, FileError> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|e| FileError::new(path, "read", e))?;
    let lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
    let last = lines.iter().rposition(|line| !is_blank(line));
    let mut records = Vec::new();
    for (i, line) in lines.iter().enumerate().filter(|(_, line)| !is_blank(line)) {
        match serde_json::from_slice(line) {
            Ok(record) => records.push(record),
            Err(_) if Some(i) == last => {}
            Err(e) => {
                let why = format!("line {} is not a record ({e})", i + 1);
                return Err(FileError::new(
                    path,
                    "read",
                    io::Error::new(io::ErrorKind::InvalidData, why),
                )
                .advise("remove or mend that line"));
            }
        }
    }
    Ok(records)
}

fn is_blank(line: &[u8]) -> bool {
    line.iter().all(u8::is_ascii_whitespace)
}

/// A number that may be NaN or infinite.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Number {
    Finite(f64),
    Text(String),
}

impl Number {
    fn new(value: f64) -> Self {
        match value.is_finite() {
            true => Self::Finite(value),
            false => Self::Text(value.to_string()),
        }
    }

    fn value<E: serde::de::Error>(self) -> Result<f64, E> {
        match self {
            Self::Finite(value) => Ok(value),
            Self::Text(text) => text
                .parse()
                .map_err(|_| E::custom(format!("{text:?} is not a number"))),
        }
    }
}

/// Measures beside the fields that have names of their own. What is no number is of a later version, and left out.
mod named {
    use super::Number;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::IgnoredAny};
    use std::collections::BTreeMap;

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Field {
        Number(Number),
        Other(IgnoredAny),
    }

    pub fn serialize<S: Serializer>(
        value: &BTreeMap<String, f64>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        let all: BTreeMap<&String, Number> = value
            .iter()
            .map(|(name, &v)| (name, Number::new(v)))
            .collect();
        all.serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<BTreeMap<String, f64>, D::Error> {
        let all = BTreeMap::<String, Field>::deserialize(input)?;
        let numbers = all.into_iter().filter_map(|(name, field)| match field {
            Field::Number(number) => number.value::<D::Error>().ok().map(|v| (name, v)),
            Field::Other(_) => None,
        });
        Ok(numbers.collect())
    }
}

mod number {
    use super::Number;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &f64, out: S) -> Result<S::Ok, S::Error> {
        Number::new(*value).serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<f64, D::Error> {
        Number::deserialize(input)?.value()
    }
}

mod optional {
    use super::Number;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(value: &Option<f64>, out: S) -> Result<S::Ok, S::Error> {
        value.map(Number::new).serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<f64>, D::Error> {
        Option::<Number>::deserialize(input)?
            .map(Number::value)
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: u64, loss: f64) -> Record {
        Step {
            step,
            epoch: 1,
            loss,
            learning_rate: 0.001,
            images_per_second: 12_345.6,
            ..Step::default()
        }
        .into()
    }

    #[test]
    fn records_return_as_written_also_when_not_finite() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let epoch = Epoch {
            epoch: 1,
            step: 3,
            test_accuracy: Some(0.98),
            train_loss: Some(f64::NEG_INFINITY),
            ..Epoch::default()
        };
        let records = [step(1, 0.1), step(2, f64::INFINITY), epoch.into()];
        let mut writer = Writer::create(&path).unwrap();
        for record in &records {
            writer.write(record).unwrap();
        }
        writer.write(&step(4, f64::NAN)).unwrap();
        let read = read(&path).unwrap();
        assert_eq!(read[..3], records);
        let Record::Step(last) = &read[3] else {
            panic!("{read:?}")
        };
        assert!(last.loss.is_nan());
        assert!(Writer::create(&path).is_err());
    }

    #[test]
    fn a_line_reads_as_documented() {
        let line = String::from_utf8(step(7, 0.25).to_line().unwrap()).unwrap();
        assert_eq!(
            line,
            "{\"kind\":\"step\",\"step\":7,\"epoch\":1,\"loss\":0.25,\"learning_rate\":0.001,\
             \"images_per_second\":12345.6,\"seconds\":0.0}\n"
        );
    }

    #[test]
    fn a_torn_last_line_is_left_out_and_going_on_removes_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut writer = Writer::create(&path).unwrap();
        for i in 1..=3 {
            writer.write(&step(i, 0.5)).unwrap();
        }
        let whole = fs::read(&path).unwrap();
        // Torn at every place, in the middle of a number or of a name.
        let start = whole.len() / 3 * 2;
        for end in start + 1..whole.len() - 1 {
            fs::write(&path, &whole[..end]).unwrap();
            assert_eq!(read(&path).unwrap().len(), 2, "torn at {end}");
        }
        drop(writer);
        let mut writer = Writer::open(&path).unwrap();
        assert!(Writer::open(&path).is_err(), "two write at once");
        assert!(writer.cut(whole.len() as u64 / 3).unwrap());
        writer.write(&step(2, 0.25)).unwrap();
        assert_eq!(read(&path).unwrap(), [step(1, 0.5), step(2, 0.25)]);
        assert!(!writer.cut(1 << 20).unwrap());
    }

    #[test]
    fn damage_in_the_middle_is_an_error_that_names_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        fs::write(
            &path,
            "{\"kind\":\"step\",\"step\":1}\n\nnonsense\n{\"kind\":\"epoch\"}\n",
        )
        .unwrap();
        let error = read(&path).unwrap_err();
        assert!(error.to_string().contains("line 3"), "{error}");
        fs::write(&path, "").unwrap();
        assert_eq!(read(&path).unwrap(), []);
    }
}
