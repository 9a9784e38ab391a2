//! Reading and writing values of JSON.

use serde_json::{Map, Value};

/// An object of these fields.
pub fn object<const N: usize>(fields: [(&str, Value); N]) -> Value {
    let fields = fields.into_iter().map(|(k, v)| (k.to_string(), v));
    Value::Object(fields.collect::<Map<_, _>>())
}

/// The field of this name.
pub fn field<'a>(value: &'a Value, name: &str) -> Result<&'a Value, String> {
    value.get(name).ok_or_else(|| format!("{name} is missing"))
}

/// The text of this name.
pub fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str, String> {
    field(value, name)?
        .as_str()
        .ok_or_else(|| format!("{name} must be a text"))
}

/// The truth value of this name.
pub fn boolean(value: &Value, name: &str) -> Result<bool, String> {
    field(value, name)?
        .as_bool()
        .ok_or_else(|| format!("{name} must be true or false"))
}

/// The list of this name.
pub fn list<'a>(value: &'a Value, name: &str) -> Result<&'a [Value], String> {
    match field(value, name)? {
        Value::Array(list) => Ok(list),
        _ => Err(format!("{name} must be a list")),
    }
}

/// A number that is not negative.
pub fn size(value: &Value) -> Result<usize, String> {
    value
        .as_u64()
        .and_then(|n| usize::try_from(n).ok())
        .ok_or_else(|| format!("{value} is no size"))
}

/// The list of numbers of this name, none of them negative.
pub fn sizes(value: &Value, name: &str) -> Result<Vec<usize>, String> {
    list(value, name)?
        .iter()
        .map(|v| size(v).map_err(|e| format!("{name}: {e}")))
        .collect()
}

/// The numbers of this name.
pub fn numbers(value: &Value, name: &str) -> Result<Vec<f64>, String> {
    list(value, name)?
        .iter()
        .map(|v| {
            v.as_f64()
                .ok_or_else(|| format!("{name}: {v} is no number"))
        })
        .collect()
}

/// The texts of this name.
pub fn texts(value: &Value, name: &str) -> Result<Vec<String>, String> {
    list(value, name)?
        .iter()
        .map(|v| {
            v.as_str()
                .map(str::to_string)
                .ok_or_else(|| format!("{name}: {v} is no text"))
        })
        .collect()
}
