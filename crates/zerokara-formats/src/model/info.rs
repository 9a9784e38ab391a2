//! What one must know to use a model, as JSON.

use super::{ModelInfo, TaskInfo};
use crate::json;
use serde_json::{Map, Value};
use zerokara_core::{Error, Result};

/// The text of version 2.
pub(super) fn text(info: &ModelInfo) -> Result<Value> {
    let mut entry = Map::new();
    for (key, value) in [
        ("architecture", &info.architecture),
        ("dataset", &info.dataset),
    ] {
        if let Some(value) = value {
            entry.insert(key.into(), value.as_str().into());
        }
    }
    if let Some(task) = &info.task {
        let mut settings = Vec::new();
        for (name, value) in &task.settings {
            // JSON has no number for these.
            if !value.is_finite() {
                return Err(Error::new(format!(
                    "the setting {name} of the task {} must be finite, not {value}",
                    task.name
                )));
            }
            settings.push(Value::from(vec![name.as_str().into(), Value::from(*value)]));
        }
        let task = [
            ("name", task.name.as_str().into()),
            ("settings", settings.into()),
        ];
        entry.insert("task".into(), json::object(task));
    }
    let preprocessing = info.preprocessing.clone().into_iter();
    entry.insert(
        "preprocessing".into(),
        Value::Object(preprocessing.collect()),
    );
    let classes = info.classes.iter();
    let classes = classes.map(|(k, v)| (k.clone(), Value::from(v.clone())));
    entry.insert("classes".into(), Value::Object(classes.collect()));
    let notes = info.notes.iter();
    let notes = notes.map(|(k, v)| (k.clone(), Value::from(v.as_str())));
    entry.insert("notes".into(), Value::Object(notes.collect()));
    Ok(Value::Object(entry))
}

/// The object of this name, empty if there is none.
fn entries<'a>(value: &'a Value, name: &str) -> Result<Vec<(&'a String, &'a Value)>, String> {
    match value.get(name) {
        None => Ok(Vec::new()),
        Some(Value::Object(entries)) => Ok(entries.iter().collect()),
        Some(_) => Err(format!("{name} must be an object")),
    }
}

/// What all versions say in the same way.
fn common(value: &Value) -> Result<ModelInfo, String> {
    let optional = |name: &str| match value.get(name) {
        Some(_) => json::text(value, name).map(|text| Some(text.to_string())),
        None => Ok(None),
    };
    let mut info = ModelInfo {
        architecture: optional("architecture")?,
        dataset: optional("dataset")?,
        ..ModelInfo::default()
    };
    for (key, note) in entries(value, "notes")? {
        let note = note.as_str().ok_or("a note must be a text")?;
        info.notes.insert(key.clone(), note.to_string());
    }
    Ok(info)
}

pub(super) fn version2(value: &Value) -> Result<ModelInfo, String> {
    let mut info = common(value)?;
    if let Some(task) = value.get("task") {
        let mut settings = Vec::new();
        for pair in json::list(task, "settings")? {
            let named = match pair.as_array().map(Vec::as_slice) {
                Some([name, number]) => name.as_str().zip(number.as_f64()),
                _ => None,
            };
            let (name, number) = named.ok_or_else(|| format!("{pair} is no setting"))?;
            settings.push((name.to_string(), number));
        }
        info.task = Some(TaskInfo {
            name: json::text(task, "name")?.to_string(),
            settings,
        });
    }
    for (input, how) in entries(value, "preprocessing")? {
        info.preprocessing.insert(input.clone(), how.clone());
    }
    let classes = value.get("classes").unwrap_or(&Value::Null);
    for (target, _) in entries(value, "classes")? {
        info.classes
            .insert(target.clone(), json::texts(classes, target)?);
    }
    Ok(info)
}

/// Of a file for labelled images alone.
pub(super) fn version1(value: &Value) -> Result<ModelInfo, String> {
    let mut info = common(value)?;
    if value.get("classes").is_some() {
        let classes = json::texts(value, "classes")?;
        info.classes.insert("t".into(), classes);
    }
    if value.get("mean").is_some() || value.get("std").is_some() {
        let (mean, std) = (json::numbers(value, "mean")?, json::numbers(value, "std")?);
        if !(mean.is_empty() && std.is_empty()) {
            let scaling = [("mean", mean.into()), ("std", std.into())];
            info.preprocessing.insert("x".into(), json::object(scaling));
        }
    }
    Ok(info)
}
