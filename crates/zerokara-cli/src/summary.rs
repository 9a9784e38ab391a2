//! `zerokara summary`

use crate::{
    options,
    output::{self, Failure, Outcome},
};
use clap::Args;
use std::{path::PathBuf, sync::Arc};
use zerokara_core::{DType, Meta};
use zerokara_data::Normalization;
use zerokara_nn::{Forward, models};
use zerokara_train::{
    ModelInfo, SavedModel,
    report::{
        numbers::{prefixed, thousands},
        terminal::{Align, table},
    },
};

/// Show a model's layers: the shapes of their outputs, their parameters, their operations.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// two-layer-net, multi-layer-net, simple-convnet, deep-convnet, lenet5, resnet20; a model's file; or a run's folder
    model: String,
    /// For a model by name: the shape of one sample
    #[arg(long, value_name = "SIZES", default_value = "1,28,28", value_delimiter = ',', value_parser = options::at_least_one)]
    input: Vec<usize>,
    /// For a model by name: the number of classes
    #[arg(long, value_name = "N", default_value = "10", value_parser = options::at_least_one)]
    classes: usize,
}

const EXAMPLES: &str = "\
Examples:
  zerokara summary simple-convnet
  zerokara summary resnet20 --input 3,32,32 --classes 100
  zerokara summary runs/latest";

pub fn run(options: &Options) -> Outcome {
    let model = match models::by_name(&options.model, options.classes) {
        Some(module) => built(&options.model, module, &options.input, options.classes)?,
        None => {
            let path = PathBuf::from(&options.model);
            let named = path.exists() || options.model.contains(['/', '.']);
            if !named {
                return Err(Failure::new(format!(
                    "there is no model {:?}: known are {}, or name a model's file",
                    options.model,
                    models::NAMES.join(", ")
                )));
            }
            options::load_model(&path)?
        }
    };
    let info = model.info();
    let rows = model.layers()?;
    let operations: u64 = rows.iter().map(|row| row.flops).sum();
    let parameters = model.module().parameter_count()? as u64;
    output::print(&format!(
        "{}: samples {:?}, {} parameters, {} forward\n",
        info.name,
        info.shape,
        thousands(parameters),
        operations_text(operations)
    ))?;
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
    output::print(table(&columns, &cells).trim_end())
}

/// `1.73 MFLOP`, `625,024 FLOP`.
fn operations_text(operations: u64) -> String {
    let number = prefixed(operations as f64);
    match number.ends_with(char::is_alphabetic) {
        true => format!("{number}FLOP"),
        false => format!("{number} FLOP"),
    }
}

/// A model by name, built for samples of this shape.
fn built(
    name: &str,
    module: Box<dyn Forward>,
    shape: &[usize],
    classes: usize,
) -> Outcome<SavedModel> {
    let module: Arc<dyn Forward> = Arc::from(module);
    let sample = Meta::new([&[1], shape].concat(), DType::F32);
    module.build(&sample, 0).map_err(|e| {
        let text = e.to_string();
        let why = text.lines().next().unwrap_or_default();
        Failure::new(format!(
            "{name} does not fit samples of shape {shape:?}: {why}"
        ))
    })?;
    Ok(SavedModel::new(
        module,
        ModelInfo {
            name: name.into(),
            dataset: String::new(),
            shape: shape.to_vec(),
            class_names: (0..classes).map(|c| c.to_string()).collect(),
            normalization: Normalization::none(),
        },
    ))
}
