//! `zerokara explain`

use crate::{
    options,
    output::{self, Failure, Outcome},
    page::{escaped, page},
    predict::{class_name, picture_shape, read},
};
use clap::Args;
use serde_json::json;
use std::path::{Path, PathBuf};
use zerokara_figures::{Bars, Picture, Tiles};
use zerokara_train::{
    SavedModel,
    language::Words,
    report::{
        numbers::significant,
        terminal::{Align, cut, line},
    },
};

/// Explain what a model's answers hang on: the pixels of a picture, or the columns of a table.
///
/// For a picture, one place after the other is covered, and what the likeliest class loses is drawn (occlusion); beside it stands
/// how strongly its score changes with each pixel (saliency). For a table with its target, the cells of one column after the other
/// are exchanged for those of other rows, and what the model's measure loses says how much the column tells (permutation
/// importance).
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// A model's file, or the folder of a run
    model: PathBuf,
    /// A picture, or a table with the target's column
    file: PathBuf,
    /// The page's file; - is standard output
    #[arg(long, value_name = "FILE", default_value = "explain.html", value_parser = options::file_of("html"))]
    output: PathBuf,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  zerokara explain runs/latest seven.png
  zerokara explain runs/latest flowers.csv --output flowers.html";

/// Width of a picture on the page.
const TILE: u32 = 220;
/// Columns that are listed in the terminal.
const LISTED: usize = 20;
/// Columns of the terminal that a name may take.
const WIDE: usize = 40;

pub fn run(options: &Options, words: Words) -> Outcome {
    options::use_threads(None, options.json, words)?;
    let model = options::load_model(&options.model)?;
    match model.table() {
        Some(_) => explain_table(&model, options, words),
        None => explain_picture(&model, options, words),
    }
}

/// Says where the page is, unless it was printed.
fn written(path: &Path, words: Words) {
    if !output::is_stream(path) {
        output::note(&words.fill("page    {}", &[&path.display()]));
    }
}

fn explain_table(model: &SavedModel, options: &Options, words: Words) -> Outcome {
    let found = model.explain_table(&options.file)?;
    let measure = found.measure.replace('_', " ");
    let mut bars = Bars::new(words.fill("How much worse {} gets without the column", &[&measure]));
    for column in &found.columns {
        bars = bars.bar(column.column.as_str(), [column.importance.max(0.0)]);
    }
    let told = words.fill(
        "{} is {} with all columns. Of each column, the cells were exchanged for those of other rows, five times.",
        &[&measure, &significant(found.value, 4)],
    );
    let body = format!(
        "<p>{}</p>\n<figure>{}</figure>\n",
        escaped(&told),
        bars.figure().svg()
    );
    let title = words.fill("What the model of {} learns from", &[&model.card().dataset]);
    output::file(&options.output, page(&title, &body, words))?;
    if options.json {
        let columns = found.columns.iter().map(|column| {
            json!({ "column": column.column, "importance": column.importance, "deviation": column.deviation })
        });
        return output::print(
            &json!({ "measure": found.measure, "value": found.value, "columns": columns.collect::<Vec<_>>() })
                .to_string(),
        );
    }
    if !output::is_stream(&options.output) {
        let rows: Vec<Vec<String>> = (found.columns.iter().take(LISTED))
            .map(|column| {
                vec![
                    cut(&line(&column.column), WIDE).into_owned(),
                    format!("{:.4}", column.importance),
                    format!("{:.4}", column.deviation),
                ]
            })
            .collect();
        let columns = [
            ("column", Align::Left),
            ("importance", Align::Right),
            ("deviation", Align::Right),
        ];
        output::print(output::table(&columns, &rows, words).trim_end())?;
    }
    written(&options.output, words);
    Ok(())
}

fn explain_picture(model: &SavedModel, options: &Options, words: Words) -> Outcome {
    let shape = picture_shape(model)?;
    let [_, height, width] = shape;
    let pixels = read(model, &options.file, false)?;
    let scale = model.card().normalization.divisor();
    let stored: Vec<f32> = pixels.iter().map(|p| p * scale).collect();
    let found = model.explain_picture(&stored)?;
    let name = class_name(model, found.class);
    let too_large = || Failure::new("the picture is too large to be drawn");
    let map = |values: &[f32]| {
        let most = values.iter().fold(0.0f32, |most, v| most.max(v.abs()));
        Picture::from_weights(values, [1, height, width], most).ok_or_else(too_large)
    };
    let tiles = Tiles::new("")
        .columns(3)
        .tile_size(TILE)
        .add(
            Picture::from_pixels(&pixels, shape).ok_or_else(too_large)?,
            words.say("as the model sees it"),
        )
        .add(
            map(&found.occlusion)?,
            words.say("what covering a place loses"),
        )
        .add(
            map(&found.saliency)?,
            words.say("how much the score changes with a pixel"),
        );
    let answer = format!("{name} ({:.2} %)", found.probability * 100.0);
    let told = words.say(
        "Orange places speak for the class: covered, its probability falls. Blue ones speak against it. In the picture at the \
         right, the score changes most where it is orange.",
    );
    let body = format!(
        "<p><strong>{}</strong></p>\n<figure>{}</figure>\n<p>{}</p>\n",
        escaped(&answer),
        tiles.figure().svg(),
        escaped(&told)
    );
    let title = words.fill(
        "Why the model of {} says {}",
        &[&model.card().dataset, &name],
    );
    output::file(&options.output, page(&title, &body, words))?;
    if options.json {
        return output::print(
            &json!({
                "image": options.file.display().to_string(),
                "class": found.class,
                "name": name,
                "probability": found.probability,
                "shape": [height, width],
                "occlusion": found.occlusion,
                "saliency": found.saliency,
            })
            .to_string(),
        );
    }
    if !output::is_stream(&options.output) {
        output::print(&format!("{}: {}", options.file.display(), line(&answer)))?;
    }
    written(&options.output, words);
    Ok(())
}
