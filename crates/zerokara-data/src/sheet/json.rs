//! Tables as JSON: an object for each row, one in a line (JSON Lines) or all in a list.

use super::{Cells, Dialect, Sheet};
use crate::error::{Error, Result};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use std::collections::HashMap;
use std::fmt;

/// Whether a text begins as such a table does: with an object that has a name, perhaps in a list.
pub(super) fn is_json(text: &str) -> bool {
    let rest = text.trim_start();
    let rest = rest.strip_prefix('[').unwrap_or(rest).trim_start();
    let inner = rest.strip_prefix('{').map(str::trim_start);
    inner.is_some_and(|inner| inner.starts_with(['"', '}']))
}

/// Names and values of an object, in the order in which they stand there.
struct Row(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with a value for each column")
            }

            fn visit_map<A: MapAccess<'de>>(
                self,
                mut map: A,
            ) -> std::result::Result<Row, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Row(fields))
            }
        }

        from.deserialize_map(Fields)
    }
}

/// The cells of the text. A column is there for every name that some row has; rows without it have no value there.
pub(super) fn sheet(text: &str) -> Result<Sheet> {
    let rows = match text.trim_start().starts_with('[') {
        true => serde_json::from_str::<Vec<Row>>(text),
        false => serde_json::Deserializer::from_str(text)
            .into_iter::<Row>()
            .collect(),
    }
    .map_err(|error| Error::new(format!("cannot be read as a table in JSON: {error}")))?;
    if rows.is_empty() {
        return Err(Error::new("the table is empty"));
    }
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut columns: Vec<Cells> = Vec::new();
    let mut names = Vec::new();
    for (number, Row(fields)) in rows.into_iter().enumerate() {
        for (name, value) in fields {
            let cell = cell(&value).ok_or_else(|| {
                Error::new(format!(
                    "row {}: {name:?} is {}; a cell is a text, a number, true, false or null",
                    number + 1,
                    if value.is_array() {
                        "a list"
                    } else {
                        "an object"
                    }
                ))
            })?;
            let at = *places.entry(name).or_insert_with_key(|name| {
                names.push(name.clone());
                columns.push(Cells::default());
                columns.len() - 1
            });
            if columns[at].len() > number {
                return Err(Error::new(format!(
                    "row {} has two values for {:?}",
                    number + 1,
                    names[at]
                )));
            }
            columns[at].fill(number);
            columns[at].push(&cell);
        }
        columns.iter_mut().for_each(|cells| cells.fill(number + 1));
    }
    if names.is_empty() {
        return Err(Error::new("no row has a value"));
    }
    Ok(Sheet {
        path: None,
        dialect: Dialect {
            delimiter: b',',
            quote: b'"',
            header: true,
            decimal_comma: false,
        },
        names: super::read::unique(names),
        columns,
    })
}

/// A value as a cell has it; `None` if it is no single value.
fn cell(value: &Value) -> Option<String> {
    Some(match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::Array(_) | Value::Object(_) => return None,
    })
}
