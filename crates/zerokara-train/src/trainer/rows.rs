//! Which rows of a table were most wrong.

use crate::{
    evaluation::Evaluation,
    report::{
        WorstRow,
        numbers::{percent, significant},
    },
};
use zerokara_data::{Dataset, Preprocessing, Table};
use zerokara_nn::Answer;

/// Rows that the report keeps.
const ROWS: usize = 30;

/// The rows whose answers were most wrong: the surest wrong classes, or the numbers that are furthest off. None for pictures,
/// which are shown as such.
pub(super) fn worst(data: &Dataset, test: &Evaluation) -> Vec<WorstRow> {
    if data.shape().len() == 3 {
        return Vec::new();
    }
    let table = table(data);
    let class = |at: usize| match data.class_names.get(at) {
        Some(name) if !name.is_empty() => name.clone(),
        _ => at.to_string(),
    };
    let mut found: Vec<(f64, usize, [String; 3])> = Vec::new();
    if !test.answers.is_empty() {
        for (at, (answer, &label)) in test.answers.iter().zip(data.test.labels()).enumerate() {
            if answer.is_given() && answer.class as i64 != label {
                let label = usize::try_from(label).map_or("–".into(), class);
                let told = [label, class(answer.class), percent(answer.probability)];
                found.push((answer.probability, at, told));
            }
        }
    } else {
        for (at, reading) in test.readings.iter().enumerate() {
            if let (Answer::Numbers(given), &[wanted]) = (&reading.answer, &reading.target[..])
                && let &[given] = &given[..]
            {
                let off = (given - wanted).abs();
                let told = [wanted, given, off].map(|number| significant(number, 5));
                found.push((if off.is_nan() { f64::INFINITY } else { off }, at, told));
            }
        }
    }
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    found.truncate(ROWS);
    let row = |(_, at, [wanted, given, error]): (f64, usize, [String; 3])| WorstRow {
        index: data.test.origin(at).map(|origin| origin as u64),
        cells: cells(data, table.as_ref(), at),
        wanted,
        given,
        error,
    };
    found.into_iter().map(row).collect()
}

/// What made the rows from a table's cells, and the name of the input.
fn table(data: &Dataset) -> Option<(String, Table)> {
    let ports = data.test.input_ports();
    ports
        .iter()
        .find_map(|port| match data.preprocessing_of(&port.name) {
            Some(Preprocessing::Table(table)) => Some((port.name.to_string(), table)),
            _ => None,
        })
}

fn cells(data: &Dataset, table: Option<&(String, Table)>, at: usize) -> Vec<(String, String)> {
    let Some((name, table)) = table else {
        return Vec::new();
    };
    let sample = data.test.at(at).ok();
    let row = sample.and_then(|sample| sample.get(name).map(|row| row.to_f64s()));
    let row: Vec<f32> = row.into_iter().flatten().map(|v| v as f32).collect();
    let told = table.told(&row).into_iter();
    told.map(|(name, text)| (name.to_string(), text)).collect()
}
