//! How likely a model of language finds texts.

use crate::{
    generate::standard_input,
    output::{self, Failure, Outcome},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use zerokara_train::{
    SavedModel,
    report::{numbers::thousands, terminal::line},
};

pub fn run(model: &SavedModel, files: &[PathBuf], is_json: bool) -> Outcome {
    let mut failed = 0;
    for path in files {
        match answer(model, path, is_json) {
            Ok(text) => output::print(&text)?,
            // One that cannot be read does not keep the others from being answered.
            Err(Failure::Message(message)) => {
                output::error(&message);
                failed += 1;
            }
            Err(failure) => return Err(failure),
        }
    }
    match (files.len(), failed) {
        (_, 0) => Ok(()),
        (1, _) => Err(Failure::Told),
        (all, failed) => Err(Failure::new(format!(
            "{failed} of {all} texts could not be answered for"
        ))),
    }
}

fn answer(model: &SavedModel, path: &Path, is_json: bool) -> Outcome<String> {
    let named = |error: String| Failure::new(format!("{}: {error}", path.display()));
    let text = match path.as_os_str() == output::STDOUT {
        true => standard_input()?,
        false => {
            let bytes =
                fs::read(path).map_err(|error| named(format!("cannot be read: {error}")))?;
            String::from_utf8(bytes).map_err(|error| {
                let good = error.utf8_error().valid_up_to();
                named(format!("is not UTF-8 from byte {good} on"))
            })?
        }
    };
    let found = model
        .score(&text)
        .map_err(|error| named(error.to_string()))?;
    let characters = text.chars().count();
    if is_json {
        let measures = (found.measures.iter()).map(|m| (m.name.to_string(), m.value.into()));
        return Ok(json!({
            "text": path.display().to_string(),
            "characters": characters,
            "loss": found.loss,
            "measures": Value::Object(measures.collect()),
        })
        .to_string());
    }
    let told =
        (found.measures.iter()).map(|m| format!(", {} {:.4}", m.name.replace('_', " "), m.value));
    Ok(format!(
        "{}: {} characters, loss {:.4}{}",
        line(&path.display().to_string()),
        thousands(characters as u64),
        found.loss,
        told.collect::<String>()
    ))
}
