//! Tells of pictures what they show, with a model that is inside the program.

use std::{env, process::ExitCode};
use zerokara::{data::sample_from_image, train::SavedModel};

/// The model, as `zerokara train` has saved it.
const MODEL: &[u8] = include_bytes!("model.safetensors");

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let files: Vec<String> = env::args().skip(1).collect();
    if files.is_empty() {
        eprintln!("usage: {} PICTURE..", env!("CARGO_PKG_NAME"));
        return ExitCode::from(2);
    }
    let model = match SavedModel::from_bytes(MODEL) {
        Ok(model) => model,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut code = ExitCode::SUCCESS;
    for file in &files {
        match answer(&model, file) {
            Ok((class, probability)) => println!("{file}: {class} ({:.1} %)", probability * 100.0),
            Err(error) => {
                eprintln!("error: {error}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

/// The most probable class of a picture, and its probability.
fn answer(model: &SavedModel, file: &str) -> Result<(String, f64), Failure> {
    let card = model.card();
    let shape = <[usize; 3]>::try_from(card.shape.as_slice())?;
    // Brightness from 0 to 1; the model takes numbers as the training data stored them.
    let pixels = sample_from_image(file, shape, card.pictures)?;
    let scale = card.normalization.divisor();
    let stored: Vec<f32> = pixels.iter().map(|pixel| pixel * scale).collect();
    let probabilities = model.probabilities(&stored)?;
    let best = (0..probabilities.len()).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]));
    let class = best.ok_or("the model has no classes")?;
    Ok((card.class_names[class].clone(), probabilities[class]))
}
