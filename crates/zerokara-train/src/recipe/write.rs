//! A description as a recipe that people read: TOML with comments.

use super::fields::{Field, Form, recipe};
use crate::{
    description::RunDescription,
    error::{Error, Result},
};
use serde_json::{Map, Value};

/// Values of a line beyond this are put below each other.
const WIDE: usize = 100;

/// The recipe; `about` are lines of comment at its beginning.
pub(super) fn written(run: &RunDescription, about: &[String]) -> Result<String> {
    if run.model.own || run.data.own {
        return Err(Error::new(
            "a run of a program's own model or data has no recipe that others could run",
        ));
    }
    let Value::Object(mut values) = serde_json::to_value(run)? else {
        return Err(Error::new("a description is a table"));
    };
    if let Some(data) = values.get_mut("data").and_then(Value::as_object_mut) {
        data.remove("found");
    }
    // What is seldom changed stands only where it was.
    let usual = serde_json::to_value(RunDescription::new("", ""))?;
    for name in ["train_sample", "l2_penalty", "accumulate"] {
        if values.get(name) == usual.get(name) {
            values.remove(name);
        }
    }
    let mut text = String::new();
    for line in about {
        text += &format!("# {line}\n");
    }
    let Form::Table(fields) = recipe() else {
        return Err(Error::new("a recipe is a table"));
    };
    let is_table = |value: &Value| match value {
        Value::Object(_) => true,
        Value::Array(items) => items.iter().all(Value::is_object) && !items.is_empty(),
        _ => false,
    };
    // A table ends where the next begins, so that plain values stand first.
    for field in &fields {
        if let Some(value) = values
            .get(field.name)
            .filter(|value| !is_table(value) && !value.is_null())
        {
            text += &format!("\n# {}\n{}\n", field.about, line(field.name, value));
        }
    }
    for field in &fields {
        match values.get(field.name).filter(|value| is_table(value)) {
            Some(Value::Object(table)) if !table.is_empty() => {
                text += &format!("\n# {}\n[{}]\n", field.about, field.name);
                text += &body(table, &field.form);
            }
            Some(Value::Array(tables)) => {
                for table in tables.iter().filter_map(Value::as_object) {
                    text += &format!("\n# {}\n[[{}]]\n", field.about, field.name);
                    text += &body(table, &field.form);
                }
            }
            _ => {}
        }
    }
    Ok(text.trim_start().to_string())
}

/// The lines of a table, those first that the form names first.
fn body(table: &Map<String, Value>, form: &Form) -> String {
    let fields = fields_of(form, table);
    let place = |name: &str| fields.iter().position(|field| field.name == name);
    let mut names: Vec<&String> = table
        .keys()
        .filter(|name| !table[*name].is_null())
        .collect();
    names.sort_by_key(|name| (*name != "name", place(name).unwrap_or(usize::MAX)));
    let mut text = String::new();
    for name in names {
        let line = line(name, &table[name]);
        let about = place(name).map(|at| fields[at].about);
        text += &match about {
            Some(about) if line.contains('\n') || line.len() + about.len() + 4 > WIDE => {
                format!("# {about}\n{line}\n")
            }
            Some(about) => format!("{line}  # {about}\n"),
            None => format!("{line}\n"),
        };
    }
    text
}

/// What a table of this form may have.
fn fields_of(form: &Form, table: &Map<String, Value>) -> Vec<Field> {
    match form {
        Form::Table(fields) => fields.clone(),
        Form::List { of, .. } => fields_of(of, table),
        Form::Named { key, kinds } => {
            let kind = kinds
                .iter()
                .find(|(name, _)| table.get(*key).is_some_and(|said| said == name));
            kind.map(|(_, fields)| fields.clone()).unwrap_or_default()
        }
        _ => Vec::new(),
    }
}

fn line(name: &str, value: &Value) -> String {
    let key = key(name);
    let inline = inline(value);
    match value {
        Value::Array(items) if key.len() + inline.len() + 3 > WIDE => {
            let items: String = items
                .iter()
                .map(|item| format!("    {},\n", self::inline(item)))
                .collect();
            format!("{key} = [\n{items}]")
        }
        _ => format!("{key} = {inline}"),
    }
}

fn key(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    match !name.is_empty() && name.chars().all(is_bare) {
        true => name.to_string(),
        false => text(name),
    }
}

/// A text in quotes: what JSON escapes is escaped in TOML alike, but for one sign.
fn text(text: &str) -> String {
    Value::from(text).to_string().replace('\u{7f}', "\\u007f")
}

fn inline(value: &Value) -> String {
    match value {
        Value::String(string) => text(string),
        Value::Array(items) => {
            let items: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            // The kind of a layer stands first.
            let mut names: Vec<&String> = fields.keys().collect();
            names.sort_by_key(|name| !matches!(name.as_str(), "layer" | "name"));
            let fields: Vec<String> = names
                .iter()
                .map(|name| format!("{} = {}", key(name), inline(&fields[*name])))
                .collect();
            format!("{{ {} }}", fields.join(", "))
        }
        value => value.to_string(),
    }
}
