//! Rows of a table, and what a model says of them.

use super::class_name;
use crate::output::{self, Failure, Outcome, STDOUT};
use serde_json::{Map, Value, json};
use std::{
    io::Read,
    path::{Path, PathBuf},
};
use zerokara_core::{Array, printable};
use zerokara_data::{Sheet, Table};
use zerokara_nn::{Answer, Loss};
use zerokara_train::SavedModel;

/// Rows that are answered for together.
const TOGETHER: usize = 1_024;
/// Rows without an answer of which it is said why.
const TOLD: usize = 10;
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
    let (mut all, mut bad) = (0, 0);
    for (number, file) in files.iter().enumerate() {
        let sheet = sheet(file)?;
        let named = |why: String| match file.as_os_str() == STDOUT {
            true => of_input(why),
            false => format!("{}: {why}", file.display()),
        };
        let mut written = csv::Writer::from_writer(Vec::new());
        let target = &model.card().target;
        let has_probability = !model.card().class_names.is_empty();
        if !as_json && number == 0 {
            let names = sheet.names().iter().map(String::as_str);
            let prediction = match sheet.names().contains(target) || target == "t" {
                true => "prediction",
                false => target.as_str(),
            };
            let probability = has_probability.then_some("probability");
            record(&mut written, names.chain([prediction]).chain(probability))?;
        }
        all += sheet.len();
        for first in (0..sheet.len()).step_by(TOGETHER) {
            let range = first..sheet.len().min(first + TOGETHER);
            let inputs = table
                .cells(&sheet, range.clone())
                .map_err(|error| Failure::new(named(error.to_string())))?;
            // Each row is encoded once; the numbers of those that can be are answered for together.
            let (mut numbers, mut faults) = (Vec::new(), Vec::new());
            for cells in &inputs {
                let row = table.row(cells).map(|row| numbers.extend(row));
                faults.push(row.err().map(|error| error.to_string()));
            }
            let good = faults.iter().filter(|fault| fault.is_none()).count();
            let x = Array::new([good, table.width()], numbers);
            let mut answers = answers(model, &*task, &x)?.into_iter();
            for (at, fault) in range.zip(faults) {
                let row = sheet.row(at);
                // One that cannot be read does not keep the others from being answered, and stays in its place.
                let said = fault.is_none().then(|| answers.next()).flatten();
                if let Some(why) = &fault {
                    bad += 1;
                    if bad <= TOLD {
                        // A row is named by its number in the file, which counts from 1.
                        output::error(&named(format!("row {}: {why}", at + 1)));
                    }
                }
                if as_json {
                    let why = fault.unwrap_or_default();
                    output::print(&match said {
                        Some(said) => said.json(&sheet, &row),
                        None => Said::nothing(&sheet, &row, &why),
                    })?;
                    continue;
                }
                let nothing = || vec![String::new(); 1 + usize::from(has_probability)];
                let cells = said.map_or_else(nothing, |said| said.cells());
                let cells = cells.iter().map(String::as_str);
                record(&mut written, row.iter().copied().chain(cells))?;
            }
            if !as_json {
                flush(&mut written)?;
            }
        }
    }
    match bad {
        0 => Ok(()),
        1 if all == 1 => Err(Failure::Told),
        _ => Err(Failure::new(format!(
            "{bad} of {all} rows could not be answered for"
        ))),
    }
}

/// What the model says of these rows.
fn answers(model: &SavedModel, task: &dyn Loss, x: &Array) -> Outcome<Vec<Said>> {
    let rows = x.shape().first().copied().unwrap_or(0);
    if rows == 0 {
        return Ok(Vec::new());
    }
    let output = model.predict(x)?;
    let said = |row| Said::of(model, &task.read(&output, row)?);
    (0..rows).map(said).collect()
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
    Sheet::parse(&text).map_err(|error| Failure::new(of_input(error)))
}

/// What is said of standard input.
fn of_input(why: impl std::fmt::Display) -> String {
    format!("standard input: {why}")
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

    /// A row for which there is no answer, and why.
    fn nothing(sheet: &Sheet, row: &[&str], why: &str) -> String {
        let all = json!({ "row": cells_of(sheet, row), "error": why });
        printable(&all.to_string()).into_owned()
    }

    fn json(&self, sheet: &Sheet, row: &[&str]) -> String {
        let mut all = json!({ "row": cells_of(sheet, row), "prediction": self.prediction });
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

/// The cells of a row by their columns' names.
fn cells_of(sheet: &Sheet, row: &[&str]) -> Map<String, Value> {
    let cells = sheet.names().iter().zip(row);
    cells
        .map(|(name, cell)| (name.clone(), (*cell).into()))
        .collect()
}

/// The digits that f32 has.
fn rounded(number: f64) -> Value {
    let short: f64 = format!("{number:.7e}").parse().unwrap_or(number);
    short.into()
}
