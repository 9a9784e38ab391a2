//! A score that is NaN is no answer, and the commands say so.

mod common;

use common::{run, small_run, stderr, stdout};
use std::fs;
use zerokara_core::Array;
use zerokara_train::SavedModel;

#[test]
fn a_model_without_answers_is_not_judged() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    small_run(at, "run");
    let file = at.join("run/model.safetensors");
    let model = SavedModel::load(&file).unwrap();
    let (path, bias) = model.module().named_parameters().unwrap().pop().unwrap();
    let mut values = bias.value().to_f64s();
    values[3] = f64::NAN;
    let values: Vec<f32> = values.into_iter().map(|v| v as f32).collect();
    bias.set_array(Array::new([values.len()], values.as_slice()))
        .unwrap();
    model.save(&file).unwrap();

    let output = run(at, &["eval", "run"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert_eq!(stdout(&output), "");
    let told = stderr(&output);
    assert!(
        told.contains("10,000 of 10,000 samples have no answer: scores of theirs are NaN"),
        "{told}"
    );
    assert!(
        told.contains(&format!("1 of 10 numbers of {path} are not finite")),
        "{told}"
    );

    let picture = at.join("one.png");
    let mut encoder = png::Encoder::new(fs::File::create(&picture).unwrap(), 28, 28);
    encoder.set_color(png::ColorType::Grayscale);
    let pixels: Vec<u8> = (0..784)
        .map(|i| if (12..16).contains(&(i % 28)) { 255 } else { 0 })
        .collect();
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&pixels)
        .unwrap();
    let output = run(at, &["predict", "--plain", "run", "one.png"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    assert!(
        stderr(&output).contains("the model has no answer"),
        "{}",
        stderr(&output)
    );
}
