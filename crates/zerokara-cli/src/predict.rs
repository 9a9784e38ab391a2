//! `zerokara predict`

mod table;
mod text;

use crate::{
    options,
    output::{self, Failure, Outcome},
};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use zerokara_core::Arithmetic;
use zerokara_data::{ImageFiles, Pictures, sample_from_image};
use zerokara_train::{SavedModel, language::Words, report::terminal};

/// Say what a model makes of pictures, of rows of a table, or of texts.
///
/// Pictures are PNG, JPEG, BMP, WebP or GIF of any size, or folders of them. For a model whose training images were prepared as
/// MNIST's are, a picture shows one digit, dark on light or light on dark, drawn or photographed: it is found beside specks,
/// rules and shadows, cropped, scaled and centred. For other models the picture is brought to the input's size as those trained
/// on were. Which it is stands in the model's file. What cannot be read is told, and the others are answered for all the same.
///
/// For a model of a table, rows come from CSV, TSV or JSON (an object for each row), columns by their names, and go out as CSV with the
/// answers behind them. A row that cannot be read is told, and goes out without an answer.
///
/// Of a text, a model of language says how likely it is: the loss of a character, the perplexity, and how often the likeliest
/// character is the one that comes. `zerokara generate` lets it write.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// A model's file, or the folder of a run
    model: PathBuf,
    /// Pictures, folders of pictures, tables, or texts; - is a table or a text on standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Take pictures as they are: no cropping, no turning of dark into light
    #[arg(long)]
    plain: bool,
    /// How convolutions multiply and sum: f32; direct, by direct sums alone, so that exact zeros stay exact; or bf16, which
    /// needs a CPU with AVX512-BF16
    #[arg(long, value_name = "NAME", default_value = "f32", value_parser = options::precision)]
    precision: Arithmetic,
    /// Print one JSON object a line for each picture, row or text
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  zerokara predict runs/latest seven.png
  zerokara predict digits.safetensors *.jpg --json
  zerokara predict runs/latest new-photos
  zerokara predict runs/latest new-rows.csv > answers.csv
  cat rows.csv | zerokara predict runs/latest -
  zerokara predict runs/latest sonnet.txt";

/// Classes that are listed for people.
const LISTED: usize = 10;
/// Columns of a class's name.
const NAME: usize = 12;
/// Columns of the longest bar.
const BAR: usize = 30;

pub fn run(options: &Options, words: Words) -> Outcome {
    options::use_threads(None, false, words)?;
    options::use_precision(options.precision)?;
    let model = options::load_model(&options.model)?;
    if let Some(table) = model.table() {
        return table::run(&model, &table, &options.files, options.json);
    }
    if model.context().is_some() {
        return text::run(&model, &options.files, options.json);
    }
    picture_shape(&model)?;
    let mut images = Vec::new();
    for path in &options.files {
        match path.is_dir() {
            true => images.extend(ImageFiles::paths_within(path)?),
            false => images.push(path.clone()),
        }
    }
    if images.is_empty() {
        return Err(Failure::new("there are no pictures in the folder"));
    }
    let mut answered = 0;
    for image in &images {
        match answer(&model, image, options, answered > 0) {
            Ok(text) => output::print(&text)?,
            // One that cannot be read does not keep the others from being answered.
            Err(Failure::Message(message)) => {
                output::error(&message);
                continue;
            }
            Err(failure) => return Err(failure),
        }
        answered += 1;
    }
    match (images.len(), images.len() - answered) {
        (_, 0) => Ok(()),
        (1, _) => Err(Failure::Told),
        (all, failed) => Err(Failure::new(format!(
            "{failed} of {all} pictures could not be answered for"
        ))),
    }
}

/// What the model sees in one picture.
fn answer(model: &SavedModel, image: &Path, options: &Options, another: bool) -> Outcome<String> {
    let pixels = read(model, image, options.plain)?;
    let scale = model.card().normalization.divisor();
    let stored: Vec<f32> = pixels.iter().map(|p| p * scale).collect();
    let probabilities = model.probabilities(&stored)?;
    Ok(match options.json {
        true => json(model, image, &probabilities),
        false => page(model, image, &pixels, &probabilities, another),
    })
}

/// The shape of the pictures that the model takes.
pub fn picture_shape(model: &SavedModel) -> Outcome<[usize; 3]> {
    let card = model.card();
    let inputs = model.given().count();
    if inputs > 1 {
        return Err(Failure::new(format!(
            "the model {} has {inputs} inputs; only pictures can be answered for",
            card.name
        )));
    }
    <[usize; 3]>::try_from(&card.shape[..]).map_err(|_| {
        Failure::new(format!(
            "the model {} takes samples of shape {:?}, not pictures",
            card.name, card.shape
        ))
    })
}

/// Brightness of the picture as the model takes it, from 0 to 1.
pub fn read(model: &SavedModel, image: &Path, plain: bool) -> Outcome<Vec<f32>> {
    let card = model.card();
    let [channels, height, width] = picture_shape(model)?;
    let pictures = match plain {
        true => Pictures::Plain,
        false => card.pictures,
    };
    Ok(sample_from_image(
        image,
        [channels, height, width],
        pictures,
    )?)
}

pub fn class_name(model: &SavedModel, class: usize) -> String {
    let names = &model.card().class_names;
    names.get(class).cloned().unwrap_or(class.to_string())
}

/// The name on one line.
fn shown_name(model: &SavedModel, class: usize) -> String {
    terminal::line(&class_name(model, class))
}

/// The classes, the most probable first.
fn ranking(probabilities: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|&a, &b| {
        probabilities[b]
            .total_cmp(&probabilities[a])
            .then(a.cmp(&b))
    });
    order
}

fn json(model: &SavedModel, image: &Path, probabilities: &[f64]) -> String {
    let class = ranking(probabilities)[0];
    json!({
        "image": image.display().to_string(),
        "class": class,
        "name": class_name(model, class),
        "probability": probabilities[class],
        "probabilities": probabilities,
    })
    .to_string()
}

fn page(
    model: &SavedModel,
    image: &Path,
    pixels: &[f32],
    probabilities: &[f64],
    another: bool,
) -> String {
    let order = ranking(probabilities);
    let mut text = String::new();
    if another {
        text.push('\n');
    }
    text += &format!(
        "{}: {} ({:.2} %)\n",
        image.display(),
        shown_name(model, order[0]),
        probabilities[order[0]] * 100.0
    );
    let bars: Vec<String> = order
        .iter()
        .take(LISTED)
        .map(|&class| {
            let share = probabilities[class];
            let bar = "█".repeat((share * BAR as f64).round() as usize);
            let name = shown_name(model, class);
            let blank = " ".repeat(NAME.saturating_sub(terminal::width(&name)));
            format!("{blank}{name} {:>7.2} %  {bar}", share * 100.0)
        })
        .collect();
    let picture = match model.card().shape[..] {
        [1, height, width] => terminal::digit(pixels, height, width),
        _ => String::new(),
    };
    let picture: Vec<&str> = picture.lines().collect();
    let wide = picture.iter().map(|l| l.chars().count()).max().unwrap_or(0);
    for row in 0..bars.len().max(picture.len()) {
        let left = picture.get(row).copied().unwrap_or("");
        let pad = wide - left.chars().count();
        let right = bars.get(row).map_or("", String::as_str);
        text += format!("{left}{}{right}", " ".repeat(pad)).trim_end();
        text.push('\n');
    }
    text.trim_end().to_string()
}
