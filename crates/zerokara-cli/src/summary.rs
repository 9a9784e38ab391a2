//! `zerokara summary`

use crate::{
    options,
    output::{self, Outcome},
};
use clap::Args;
use zerokara_train::{
    language::Words,
    report::{
        numbers::{prefixed, thousands},
        terminal::{Align, line},
    },
};

/// Show a model's layers: the shapes of their outputs, their parameters, their operations.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    #[command(flatten)]
    model: options::Model,
}

const EXAMPLES: &str = "\
Examples:
  zerokara summary simple-convnet
  zerokara summary resnet20 --input 3,32,32 --classes 100
  zerokara summary runs/latest";

pub fn run(options: &Options, words: Words) -> Outcome {
    let model = options.model.load()?;
    let card = model.card();
    let rows = model.layers()?;
    let operations: u64 = rows.iter().map(|row| row.flops).sum();
    let parameters = model.module().parameter_count()? as u64;
    let inputs: Vec<_> = model.given().collect();
    let samples = match &inputs[..] {
        [_] => format!("{:?}", card.shape),
        inputs => {
            let all: Vec<String> = inputs.iter().map(ToString::to_string).collect();
            line(&all.join(", "))
        }
    };
    let told = words.fill(
        "{}: samples {}, {} parameters, {} forward",
        &[
            &line(&card.name),
            &samples,
            &thousands(parameters),
            &operations_text(operations),
        ],
    );
    output::print(&format!("{told}\n"))?;
    let cells: Vec<Vec<String>> = rows
        .iter()
        .map(|row| {
            vec![
                row.name.clone(),
                format!("{:?}", row.output),
                thousands(row.parameters),
                prefixed(row.flops as f64),
            ]
        })
        .collect();
    let columns = [
        ("layer", Align::Left),
        ("output", Align::Left),
        ("parameters", Align::Right),
        ("FLOP", Align::Right),
    ];
    output::print(output::table(&columns, &cells, words).trim_end())
}

/// `1.73 MFLOP`, `625,024 FLOP`.
fn operations_text(operations: u64) -> String {
    let number = prefixed(operations as f64);
    match number.ends_with(char::is_alphabetic) {
        true => format!("{number}FLOP"),
        false => format!("{number} FLOP"),
    }
}
