//! Reading and writing values of JSON.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The value of a text. An object that has a key twice is an error that names it: readers differ in which of the two
/// they take, so that one file would be two.
pub fn parse(text: &[u8]) -> Result<Value, serde_json::Error> {
    let Whole(value) = serde_json::from_slice(text)?;
    Ok(value)
}

/// A value whose keys were looked at.
struct Whole(Value);

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Look).map(Whole)
    }
}

struct Look;

impl<'de> Visitor<'de> for Look {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Whole(value)) = from.next_element()? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((key, Whole(value))) = from.next_entry::<String, Whole>()? {
            if object.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {key:?} is there twice")));
            }
            object.insert(key, value);
        }
        Ok(Value::Object(object))
    }
}

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
