//! From a file's bytes to cells.

use super::{Cells, Dialect, Sheet};
use crate::error::{Error, Result};
use flate2::read::MultiGzDecoder;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Largest text that is read.
const MOST_BYTES: u64 = 4 << 30;
/// Most columns of a table; a file of more is none.
const MOST_COLUMNS: usize = 100_000;

/// Whether a file begins as Parquet files do.
pub(super) fn is_parquet(path: &Path) -> bool {
    let mut start = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && &start == b"PAR1"
}

/// The text of a file: UTF-8, or UTF-16 with its mark, plain or compressed by gzip.
pub(super) fn text_of(path: &Path) -> Result<String> {
    let fail = |message: String| Error::file(path, message);
    let mut file = File::open(path).map_err(|e| fail(format!("cannot be opened: {e}")))?;
    let mut bytes = Vec::new();
    let unread = |e: std::io::Error| fail(format!("cannot be read: {e}"));
    let mut first = [0; 2];
    let count = (&mut file).take(2).read(&mut first).map_err(unread)?;
    let whole = std::io::Cursor::new(first[..count].to_vec()).chain(file);
    match first[..count] == [0x1f, 0x8b] {
        true => MultiGzDecoder::new(whole)
            .take(MOST_BYTES + 1)
            .read_to_end(&mut bytes),
        false => whole.take(MOST_BYTES + 1).read_to_end(&mut bytes),
    }
    .map_err(unread)?;
    if bytes.len() as u64 > MOST_BYTES {
        return Err(fail("is larger than 4 GiB".into()));
    }
    decoded(bytes).map_err(fail)
}

fn decoded(bytes: Vec<u8>) -> Result<String, String> {
    let units = |from: fn([u8; 2]) -> u16| {
        let pairs = bytes[2..].chunks(2);
        let units = pairs.map(|pair| from([pair[0], pair.get(1).copied().unwrap_or(0)]));
        char::decode_utf16(units)
            .collect::<Result<String, _>>()
            .map_err(|_| "is damaged UTF-16".to_string())
    };
    match bytes[..] {
        [0xff, 0xfe, ..] => units(u16::from_le_bytes),
        [0xfe, 0xff, ..] => units(u16::from_be_bytes),
        _ => String::from_utf8(bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let bytes = error.as_bytes();
            if bytes.contains(&0) {
                return "is not a text file".to_string();
            }
            let line = 1 + bytes[..good].iter().filter(|&&byte| byte == b'\n').count();
            format!("line {line} is not UTF-8; save the table as UTF-8")
        }),
    }
    .and_then(|text| match text.contains('\0') {
        true => Err("is not a text file".to_string()),
        false => Ok(text),
    })
}

/// The cells of the text.
pub(super) fn sheet(text: &str, dialect: Dialect) -> Result<Sheet> {
    let broken = |error: csv::Error| Error::new(format!("cannot be read as a table: {error}"));
    let mut reader = dialect.reader(text);
    let mut record = csv::StringRecord::new();
    let mut names: Vec<String> = Vec::new();
    if dialect.header {
        reader.read_record(&mut record).map_err(broken)?;
        names = record.iter().map(|name| name.trim().to_string()).collect();
    }
    let mut columns: Vec<Cells> = vec![Cells::default(); names.len()];
    let mut rows = 0usize;
    while reader.read_record(&mut record).map_err(broken)? {
        if rows == 0 && !dialect.header {
            columns = vec![Cells::default(); record.len()];
        }
        if columns.len() > MOST_COLUMNS {
            return Err(Error::new(format!(
                "it has {} columns; is it a table?",
                columns.len()
            )));
        }
        if record.len() != columns.len() {
            let line = record.position().map_or(0, csv::Position::line);
            return Err(Error::new(format!(
                "line {line} has {}, but there are {} columns (cells are parted by {})",
                match record.len() {
                    1 => "1 cell".to_string(),
                    cells => format!("{cells} cells"),
                },
                columns.len(),
                dialect.delimiter_name(),
            )));
        }
        for (cells, cell) in columns.iter_mut().zip(&record) {
            cells.push(cell);
        }
        rows += 1;
    }
    if rows == 0 {
        return Err(Error::new(match dialect.header {
            true => "the table has a line that names its columns, but no rows",
            false => "the table is empty",
        }));
    }
    names.resize(columns.len(), String::new());
    Ok(Sheet {
        path: None,
        dialect,
        names: unique(names),
        columns,
    })
}

/// A name for each column: its number where it has none, and a number behind it where another has the same.
pub(super) fn unique(mut names: Vec<String>) -> Vec<String> {
    let mut times: HashMap<String, usize> = HashMap::new();
    for name in &names {
        *times.entry(name.clone()).or_default() += 1;
    }
    let mut taken: HashMap<String, usize> = HashMap::new();
    for (at, name) in names.iter_mut().enumerate() {
        if name.is_empty() {
            *name = format!("column {}", at + 1);
        } else if times[&*name] > 1 {
            let number = taken.entry(name.clone()).or_default();
            *number += 1;
            if *number > 1 {
                *name = format!("{name} ({number})");
            }
        }
    }
    names
}
