//! Answers for the rows of a table (CSV), with a model that is inside the program: each row comes out with its answer behind it.

use std::{env, io::Read, process::ExitCode};
use zerokara::{
    data::Sheet,
    nn::{Answer, Loss},
    train::SavedModel,
};

/// The model, as `zerokara train` has saved it.
const MODEL: &[u8] = include_bytes!("model.safetensors");

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let Some(file) = env::args().nth(1) else {
        eprintln!("usage: {} TABLE.csv, or - for standard input", env!("CARGO_PKG_NAME"));
        return ExitCode::from(2);
    };
    match run(&file) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(file: &str) -> Result<(), Failure> {
    let sheet = match file {
        "-" => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text)?;
            Sheet::parse(&text)?
        }
        file => Sheet::read(file)?,
    };
    let model = SavedModel::from_bytes(MODEL)?;
    let table = model.table().ok_or("the model takes no rows of a table")?;
    let task = model.task().ok_or("the model's answers are not known here")?;
    // The columns that the model knows, wherever they stand, as numbers.
    let rows = table.cells(&sheet, 0..sheet.len())?;
    let output = model.predict(&table.rows(&rows)?)?;
    println!("{},prediction", line(sheet.names().iter().map(String::as_str)));
    for row in 0..sheet.len() {
        let said = match task.read(&output, row)? {
            Answer::Class { class, .. } => model.card().class_names[class].clone(),
            Answer::Numbers(numbers) => numbers.iter().map(f64::to_string).collect::<Vec<_>>().join(" "),
            _ => return Err("the model's answers are neither classes nor numbers".into()),
        };
        println!("{},{}", line(sheet.row(row)), quoted(&said));
    }
    Ok(())
}

fn line<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    cells.into_iter().map(quoted).collect::<Vec<_>>().join(",")
}

/// A cell of CSV: in quotes where it has a sign of the format.
fn quoted(cell: &str) -> String {
    match cell.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.to_string(),
    }
}
