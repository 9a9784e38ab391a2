//! Rows of a table, and what a model says of them.

use super::class_name;
use crate::output::{self, Failure, Outcome, STDOUT};
use serde_json::{Map, Value, json};
use std::{
    io::Read,
    path::{Path, PathBuf},
};
use zerokara_core::printable;
use zerokara_data::{Sheet, Table};
use zerokara_nn::{Answer, Loss};
use zerokara_train::SavedModel;

/// Rows that are answered for together.
const TOGETHER: usize = 1_024;
/// The largest table on standard input.
const MOST_BYTES: u64 = 4 << 30;

/// Answers for the rows of these tables, `-` being standard input.
pub fn run(model: &SavedModel, table: &Table, files: &[PathBuf], as_json: bool) -> Outcome {
    let task = model.task().ok_or_else(|| {
        Failure::new(format!(
            "the model {} was trained for a task of a program's own, whose answers are not known here",
            model.card().name
        ))
    })?;
    for (number, file) in files.iter().enumerate() {
        let sheet = sheet(file)?;
        let fail = |why: String| Failure::new(format!("{}: {why}", file.display()));
        let mut written = csv::Writer::from_writer(Vec::new());
        let target = &model.card().target;
        if !as_json && number == 0 {
            let names = sheet.names().iter().map(String::as_str);
            let prediction = match sheet.names().contains(target) || target == "t" {
                true => "prediction",
                false => target.as_str(),
            };
            let probability = (!model.card().class_names.is_empty()).then_some("probability");
            record(&mut written, names.chain([prediction]).chain(probability))?;
        }
        for first in (0..sheet.len()).step_by(TOGETHER) {
            let range = first..sheet.len().min(first + TOGETHER);
            let inputs = table
                .cells(&sheet, range.clone())
                .map_err(|error| fail(error.to_string()))?;
            let rows: Vec<Vec<&str>> = range.map(|row| sheet.row(row)).collect();
            // A row is named by its number in the file, which counts from 1.
            let x = table.rows(&inputs).map_err(|error| {
                let bad = inputs.iter().position(|row| table.row(row).is_err());
                let why = bad
                    .and_then(|at| table.row(&inputs[at]).err())
                    .unwrap_or(error);
                fail(format!("row {}: {why}", first + bad.unwrap_or(0) + 1))
            })?;
            let output = model.predict(&x)?;
            for (at, row) in rows.iter().enumerate() {
                let answer = task.read(&output, at)?;
                let said = Said::of(model, &answer)?;
                match as_json {
                    true => output::print(&said.json(&sheet, row))?,
                    false => record(
                        &mut written,
                        row.iter()
                            .copied()
                            .chain(said.cells().iter().map(String::as_str)),
                    )?,
                }
            }
            if !as_json {
                flush(&mut written)?;
            }
        }
    }
    Ok(())
}

fn sheet(file: &Path) -> Outcome<Sheet> {
    if file.as_os_str() != STDOUT {
        return Ok(Sheet::read(file)?);
    }
    let mut text = String::new();
    std::io::stdin()
        .take(MOST_BYTES)
        .read_to_string(&mut text)
        .map_err(|error| Failure::new(format!("standard input cannot be read: {error}")))?;
    Sheet::parse(&text).map_err(|error| Failure::new(format!("standard input: {error}")))
}

fn record<'a>(written: &mut csv::Writer<Vec<u8>>, cells: impl Iterator<Item = &'a str>) -> Outcome {
    let record: Vec<&str> = cells.collect();
    let failed = |error: csv::Error| Failure::new(format!("a row cannot be written: {error}"));
    written.write_record(record).map_err(failed)
}

/// Prints what was written so far.
fn flush(written: &mut csv::Writer<Vec<u8>>) -> Outcome {
    let whole = std::mem::replace(written, csv::Writer::from_writer(Vec::new()));
    let bytes = whole
        .into_inner()
        .map_err(|error| Failure::new(error.to_string()))?;
    output::print(String::from_utf8_lossy(&bytes).trim_end_matches('\n'))
}

/// What the model says of a row.
struct Said {
    prediction: Value,
    probability: Option<f64>,
    probabilities: Vec<(String, f64)>,
}

impl Said {
    fn of(model: &SavedModel, answer: &Answer) -> Outcome<Self> {
        let name = |class: usize| class_name(model, class);
        Ok(match answer {
            Answer::Class {
                class,
                probabilities,
            } => Said {
                prediction: name(*class).into(),
                probability: probabilities.get(*class).copied(),
                probabilities: probabilities
                    .iter()
                    .enumerate()
                    .map(|(class, p)| (name(class), *p))
                    .collect(),
            },
            Answer::Numbers(numbers) => Said {
                prediction: match numbers[..] {
                    [number] => rounded(number),
                    _ => numbers.iter().map(|number| rounded(*number)).collect(),
                },
                probability: None,
                probabilities: Vec::new(),
            },
            _ => {
                return Err(Failure::new(format!(
                    "the answers of the model {} are neither classes nor numbers",
                    model.card().name
                )));
            }
        })
    }

    fn cells(&self) -> Vec<String> {
        let prediction = match &self.prediction {
            Value::String(name) => name.clone(),
            value => value.to_string(),
        };
        let probability = self.probability.map(|p| format!("{p:.4}"));
        [prediction].into_iter().chain(probability).collect()
    }

    fn json(&self, sheet: &Sheet, row: &[&str]) -> String {
        let cells: Map<String, Value> = sheet
            .names()
            .iter()
            .zip(row)
            .map(|(name, cell)| (name.clone(), (*cell).into()))
            .collect();
        let mut all = json!({ "row": cells, "prediction": self.prediction });
        if let Some(probability) = self.probability {
            let each: Map<String, Value> = self
                .probabilities
                .iter()
                .map(|(name, p)| (name.clone(), (*p).into()))
                .collect();
            all["probability"] = probability.into();
            all["probabilities"] = each.into();
        }
        printable(&all.to_string()).into_owned()
    }
}

/// The digits that f32 has.
fn rounded(number: f64) -> Value {
    let short: f64 = format!("{number:.7e}").parse().unwrap_or(number);
    short.into()
}
