//! The lines of `metrics.jsonl`, read as they come: whole lines from where the last reading ended, columns of numbers.
//!
//! A file may be written to while it is read, may end in half a line, may have been cut and written on (a run that is gone on
//! with), and may hold anything: what is no record is passed over.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// A line: a step or the end of an epoch.
#[derive(Debug, Default, PartialEq)]
pub struct Line {
    pub is_epoch: bool,
    pub step: f64,
    pub epoch: f64,
    /// Since the start of the run for a step, of the epoch alone for an epoch.
    pub seconds: f64,
    pub values: Vec<(String, f64)>,
}

/// The most measures of a line: there are a dozen.
const MOST_VALUES: usize = 200;

impl Line {
    /// What a line says, if it is a record.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

impl<'de> Deserialize<'de> for Line {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Line;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a record")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Line, A::Error> {
                let (mut line, mut kind) = (Line::default(), String::new());
                while let Some(key) = map.next_key::<String>()? {
                    if key == "kind" {
                        kind = map.next_value()?;
                        continue;
                    }
                    let Field(value) = map.next_value()?;
                    match (&*key, value) {
                        (_, None) => {}
                        ("step", Some(value)) => line.step = value,
                        ("epoch", Some(value)) => line.epoch = value,
                        ("seconds", Some(value)) => line.seconds = value,
                        (_, Some(value)) if line.values.len() < MOST_VALUES => {
                            line.values.push((key, value));
                        }
                        _ => {}
                    }
                }
                line.is_epoch = match &*kind {
                    "epoch" => true,
                    "step" => false,
                    _ => return Err(serde::de::Error::custom("neither a step nor an epoch")),
                };
                Ok(line)
            }
        }
        input.deserialize_map(Fields)
    }
}

/// A number, also one that JSON does not have; nothing for what is none.
struct Field(Option<f64>);

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Field;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("anything")
            }
            fn visit_f64<E>(self, v: f64) -> Result<Field, E> {
                Ok(Field(Some(v)))
            }
            fn visit_u64<E>(self, v: u64) -> Result<Field, E> {
                Ok(Field(Some(v as f64)))
            }
            fn visit_i64<E>(self, v: i64) -> Result<Field, E> {
                Ok(Field(Some(v as f64)))
            }
            fn visit_str<E>(self, v: &str) -> Result<Field, E> {
                Ok(Field(match v {
                    "NaN" | "inf" | "-inf" => v.parse().ok(),
                    _ => None,
                }))
            }
            fn visit_bool<E>(self, _: bool) -> Result<Field, E> {
                Ok(Field(None))
            }
            fn visit_unit<E>(self) -> Result<Field, E> {
                Ok(Field(None))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut all: A,
            ) -> Result<Field, A::Error> {
                while all.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Field(None))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut all: A) -> Result<Field, A::Error> {
                while all.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Field(None))
            }
        }
        input.deserialize_any(Any)
    }
}

/// Numbers over time, a column for each measure.
#[derive(Debug, Default)]
pub struct Table {
    /// Step, epoch, and seconds since the start of each row.
    pub places: Vec<[f64; 3]>,
    /// As long as the places; NaN where a row lacks the measure.
    pub columns: BTreeMap<String, Vec<f64>>,
}

impl Table {
    fn add(&mut self, place: [f64; 3], values: Vec<(String, f64)>) {
        let rows = self.places.len();
        self.places.push(place);
        for (name, value) in values {
            if self.columns.len() >= MOST_VALUES && !self.columns.contains_key(&name) {
                continue;
            }
            let column = self.columns.entry(name).or_default();
            column.resize(rows, f64::NAN);
            column.push(value);
        }
        for column in self.columns.values_mut() {
            column.resize(rows + 1, f64::NAN);
        }
    }

    fn numbers(&self) -> usize {
        self.places.len() * (3 + self.columns.len())
    }
}

/// All numbers of a run, as far as its file was read.
#[derive(Debug, Default)]
pub struct Numbers {
    pub steps: Table,
    pub epochs: Table,
    /// Where the next whole line begins.
    offset: u64,
    /// The bytes in front of that, by which a file is known again that was cut and written on.
    before: Vec<u8>,
    /// Seconds since the start, as far as is known, and whether a step said so since the last epoch.
    seconds: f64,
    is_told: bool,
}

/// How many bytes a file is known again by.
const KNOWN_BY: usize = 64;
/// The most bytes of a file that are read: more than any training writes, which bounds the steps that it records.
const MOST_BYTES: u64 = 512 << 20;

impl Numbers {
    /// Reads what came since the last time; how many bytes that were.
    pub fn follow(&mut self, path: &Path) -> io::Result<u64> {
        let mut file = open(path)?;
        let length = file.metadata()?.len().min(MOST_BYTES);
        if length < self.offset || !self.is_known(&mut file)? {
            *self = Self::default();
        }
        file.seek(SeekFrom::Start(self.offset))?;
        let mut bytes = Vec::new();
        file.take(length - self.offset).read_to_end(&mut bytes)?;
        let whole = bytes
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        for line in bytes[..whole].split(|b| *b == b'\n') {
            if let Some(line) = Line::parse(line) {
                self.add(line);
            }
        }
        if whole > 0 {
            self.offset += whole as u64;
            self.before = bytes[whole.saturating_sub(KNOWN_BY)..whole].to_vec();
        }
        Ok(bytes.len() as u64)
    }

    fn is_known(&self, file: &mut File) -> io::Result<bool> {
        let mut found = vec![0; self.before.len()];
        file.seek(SeekFrom::Start(self.offset - self.before.len() as u64))?;
        file.read_exact(&mut found)?;
        Ok(found == self.before)
    }

    fn add(&mut self, line: Line) {
        if line.is_epoch {
            // The duration of an epoch leaves its evaluation out; steps know the time since the start.
            if !self.is_told {
                self.seconds += line.seconds.max(0.0);
            }
            self.is_told = false;
            let place = [line.step, line.epoch, self.seconds];
            self.epochs.add(place, line.values);
        } else {
            (self.seconds, self.is_told) = (line.seconds, true);
            let place = [line.step, line.epoch, line.seconds];
            self.steps.add(place, line.values);
        }
    }

    /// How many numbers it holds.
    pub fn len(&self) -> usize {
        self.steps.numbers() + self.epochs.numbers()
    }
}

/// The last whole records of a file, an epoch and a step, and how many bytes were read for them.
#[derive(Debug, Default)]
pub struct Last {
    pub epoch: Option<Line>,
    pub step: Option<Line>,
    pub bytes: u64,
}

/// How many bytes from its end a file is first looked at, and at most: an epoch with thousands of steps behind it is found, and
/// a file without any is not read whole.
const FIRST_LOOK: u64 = 8 << 10;
const LAST_LOOK: u64 = 2 << 20;

/// Looks at the end of a file alone: a list of runs needs no more, however long they are.
pub fn last(path: &Path) -> io::Result<Last> {
    let mut file = open(path)?;
    let length = file.metadata()?.len();
    let mut look = FIRST_LOOK;
    let mut read = 0;
    loop {
        let start = length.saturating_sub(look);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        (&mut file).take(length - start).read_to_end(&mut bytes)?;
        read += bytes.len() as u64;
        let whole = bytes
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        let mut found = Last {
            bytes: read,
            ..Last::default()
        };
        // The first piece may be the end of a line that begins before, which is no JSON then.
        for line in bytes[..whole]
            .rsplit(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
        {
            let Some(line) = Line::parse(line) else {
                continue;
            };
            let place = match line.is_epoch {
                true => &mut found.epoch,
                false => &mut found.step,
            };
            if place.is_none() {
                *place = Some(line);
            }
            if found.epoch.is_some() && (found.step.is_some() || look > FIRST_LOOK) {
                break;
            }
        }
        if found.epoch.is_some() || start == 0 || look >= LAST_LOOK {
            return Ok(found);
        }
        look *= 16;
    }
}

/// Opens a plain file: a link may lead anywhere, and a pipe would be waited for.
pub fn open(path: &Path) -> io::Result<File> {
    let is_plain = std::fs::symlink_metadata(path)?.is_file();
    match is_plain {
        true => File::open(path),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// A plain file of at most so many bytes, whole.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(most + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, OpenOptions};
    use std::io::Write;

    fn epoch(number: u32, loss: f64) -> String {
        format!(
            "{{\"kind\":\"epoch\",\"epoch\":{number},\"step\":{},\"test_loss\":{loss},\"seconds\":2.0}}\n",
            number * 10
        )
    }

    #[test]
    fn what_is_appended_is_read_and_half_a_line_waits() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let half = epoch(2, 0.25);
        let text = epoch(1, 0.5) + "nonsense\n{\"kind\":\"other\"}\n" + &half[..20];
        fs::write(&path, text).unwrap();
        let mut numbers = Numbers::default();
        numbers.follow(&path).unwrap();
        assert_eq!(numbers.epochs.columns["test_loss"], [0.5]);
        assert_eq!(last(&path).unwrap().epoch.unwrap().epoch, 1.0);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(&half.as_bytes()[20..]).unwrap();
        assert_eq!(numbers.follow(&path).unwrap(), half.len() as u64);
        assert_eq!(numbers.epochs.columns["test_loss"], [0.5, 0.25]);
        assert_eq!(numbers.epochs.places[1], [20.0, 2.0, 4.0]);
        // A run that is gone on with is cut to its checkpoint, and may be longer than before when it is looked at next.
        let other = epoch(1, 0.75) + &epoch(2, 0.5) + &epoch(3, 0.125) + &epoch(4, 0.1);
        fs::write(&path, other).unwrap();
        numbers.follow(&path).unwrap();
        assert_eq!(numbers.epochs.columns["test_loss"], [0.75, 0.5, 0.125, 0.1]);
    }

    #[test]
    fn lines_are_read_as_they_are_written() {
        let line = Line::parse(
            b"{\"kind\":\"step\",\"step\":3,\"loss\":\"NaN\",\"new\":[1,{}],\"x\":null,\"seconds\":1.5}",
        )
        .unwrap();
        assert!(!line.is_epoch && line.step == 3.0 && line.seconds == 1.5);
        assert!(line.values.len() == 1 && line.values[0].1.is_nan());
        assert_eq!(Line::parse(b"[1]"), None);
    }

    #[test]
    fn an_epoch_far_from_the_end_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let step = "{\"kind\":\"step\",\"step\":11,\"epoch\":2,\"loss\":0.5,\"seconds\":9.0}\n";
        fs::write(&path, epoch(1, 0.5) + &step.repeat(1000)).unwrap();
        let found = last(&path).unwrap();
        assert_eq!(found.epoch.unwrap().epoch, 1.0);
        assert_eq!(found.step.unwrap().seconds, 9.0);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&file, "secret").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(read(&link, 100).is_err() && read(&file, 100).is_ok());
        assert!(read(&file, 5).is_err());
    }
}
