//! `zerokara graph`

use crate::{
    options,
    output::{self, Failure, Outcome},
};
use clap::Args;
use std::path::PathBuf;
use zerokara_core::{DType, Tensor, Tensors, gradients};
use zerokara_figures::{Detail, Direction, GraphDrawing, numbers::thousands};
use zerokara_nn::{Context, Loss, SoftmaxCrossEntropy};
use zerokara_train::{SavedModel, language::Words};

/// More nodes than this make no picture that anybody could read.
const MOST_NODES: usize = 10_000;

/// Draw a model's computational graph as an SVG picture.
///
/// Operations of a layer stand in a box with its name. With --backward a second column holds the gradients of the loss
/// with respect to all parameters, from bottom to top; what they take from the forward part is drawn with dashes.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The file to write, - for standard output; the model's name with .svg unless given
    #[arg(short, long, value_name = "FILE", value_parser = options::file_of("svg"))]
    output: Option<PathBuf>,
    /// Draws the backward part too; implies --train
    #[arg(long)]
    backward: bool,
    /// Draws the graph of a training step, in which batch normalization and dropout differ
    #[arg(long)]
    train: bool,
    /// Draws one node for each layer
    #[arg(long)]
    layers: bool,
    /// Samples in a batch
    #[arg(
        long,
        value_name = "N",
        default_value = "1",
        allow_hyphen_values = true,
        value_parser = options::count::<{ options::MOST_IN_A_BATCH }>
    )]
    batch: usize,
    #[command(flatten)]
    model: options::Model,
}

const EXAMPLES: &str = "\
Examples:
  zerokara graph simple-convnet                         writes simple-convnet.svg
  zerokara graph two-layer-net --backward -o both.svg   forward and backward, side by side
  zerokara graph resnet20 --layers --input 3,32,32      one node for each layer
  zerokara graph runs/latest                            the model that was trained last
  zerokara graph two-layer-net -o - | gzip > net.svgz   for another program to read";

pub fn run(options: &Options, words: Words) -> Outcome {
    let model = options.model.load()?;
    let drawing = drawing(options, &model, words)?;
    let nodes = drawing.node_count()?;
    if nodes > MOST_NODES {
        let why = match options.layers {
            true => "too many to draw",
            false => "too many to draw; --layers draws one node for each layer",
        };
        return Err(Failure::new(format!(
            "the graph has {} nodes, {why}",
            thousands(nodes as u64)
        )));
    }
    // Nodes have names of operations, layers and values, which are single words.
    let figure = drawing
        .figure()?
        .translated(&|text| match text.contains(' ') {
            true => words.say(text),
            false => text.to_string(),
        });
    let path = options
        .output
        .clone()
        .unwrap_or_else(|| PathBuf::from(format!("{}.svg", file_name(&model.card().name))));
    output::file(&path, figure.file())?;
    let (width, height) = figure.size();
    let told = words.fill(
        "{}: {} nodes, {} x {} pixels",
        &[&path.display(), &thousands(nodes as u64), &width, &height],
    );
    if output::is_stream(&path) {
        output::note(&told);
        return Ok(());
    }
    output::print(&told)
}

fn drawing(options: &Options, model: &SavedModel, words: Words) -> Outcome<GraphDrawing> {
    let card = model.card();
    let shape = [&[options.batch], &card.shape[..]].concat();
    let dtype = model.inputs().first().map_or(DType::F32, |port| port.dtype);
    let x = Tensor::input("x", shape, dtype);
    let mut context = match options.train || options.backward {
        true => Context::train(0),
        false => Context::evaluate(),
    };
    let inputs = model.given().count();
    if inputs != 1 {
        return Err(Failure::new(format!(
            "the model {} has {inputs} inputs; only models of one are drawn",
            card.name
        )));
    }
    let y = model
        .module()
        .apply(&Tensors::one("x", x), &mut context)
        .single();
    let shape = y.shape()?.to_vec();
    let title = match (options.backward, options.train) {
        (true, _) => words.fill("{}, forward and backward", &[&card.name]),
        (false, true) => words.fill("{}, training", &[&card.name]),
        (false, false) => words.fill("{}, forward", &[&card.name]),
    };
    let mut drawing =
        GraphDrawing::new(title)
            .direction(Direction::Down)
            .detail(match options.layers {
                true => Detail::Layers,
                false => Detail::Operations,
            });
    if !options.backward {
        return Ok(drawing.result(&y, "y"));
    }
    if shape.len() != 2 {
        return Err(Failure::new(format!(
            "the backward part starts at a loss of scores [N, classes]; the model gives {shape:?}"
        )));
    }
    let labels = Tensor::input("t", [options.batch], DType::I64);
    let loss = SoftmaxCrossEntropy::new().loss(&y, &labels);
    let parameters = model.module().named_parameters()?;
    let values: Vec<Tensor> = parameters.iter().map(|(_, p)| p.tensor()).collect();
    let found = gradients(&loss, &values.iter().collect::<Vec<_>>());
    drawing = drawing.result(&loss, "loss");
    for ((name, _), gradient) in parameters.iter().zip(&found) {
        drawing = drawing.result(gradient, format!("∂ {name}"));
    }
    Ok(drawing)
}

/// The model's name as the name of a file in this folder.
fn file_name(name: &str) -> String {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | ' ');
    let name: String = name.chars().filter(|&c| fits(c)).take(80).collect();
    match name.trim() {
        "" => "model".to_string(),
        name => name.to_string(),
    }
}
