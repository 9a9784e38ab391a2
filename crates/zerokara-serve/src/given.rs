//! JSON as it was sent: nested numbers, texts, and fields by name.

use crate::refusal::{Outcome, Refusal};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, SeqAccess, Visitor},
};
use std::fmt;

/// A value of JSON. A list of numbers is kept as such: a body of millions of them takes little more room than it had as text.
#[derive(Debug, PartialEq)]
pub(crate) enum Given {
    Null,
    Bool(bool),
    Number(f64),
    Text(String),
    Numbers(Vec<f64>),
    List(Vec<Given>),
    Fields(Vec<(String, Given)>),
}

/// The name of what a body holds.
const INPUTS: &str = "inputs";

impl Given {
    /// What stands at `inputs` in a body.
    pub fn inputs(body: &[u8]) -> Outcome<Self> {
        let read = serde_json::from_slice(body);
        let read = read.map_err(|e| Refusal::malformed(format!("the body is no JSON: {e}")))?;
        let Given::Fields(fields) = read else {
            return Err(Refusal::unfit(format!(
                "the body must be an object such as {{\"inputs\": [..]}}, not {}",
                read.what()
            )));
        };
        let mut inputs = None;
        for (name, value) in fields {
            match name == INPUTS {
                true => inputs = Some(value),
                false => {
                    return Err(Refusal::unfit(format!(
                        "the body has a field {name:?}; only {INPUTS:?} is known"
                    )));
                }
            }
        }
        inputs.ok_or_else(|| Refusal::unfit(format!("the body has no field {INPUTS:?}")))
    }

    /// What it is, in words.
    pub fn what(&self) -> &'static str {
        match self {
            Given::Null => "null",
            Given::Bool(_) => "a truth value",
            Given::Number(_) => "a number",
            Given::Text(_) => "a text",
            Given::Numbers(_) | Given::List(_) => "a list",
            Given::Fields(_) => "an object",
        }
    }

    /// The lengths of nested lists of numbers; nothing where lists of one depth differ in length, or hold something else.
    pub fn shape(&self) -> Option<Vec<usize>> {
        match self {
            Given::Number(_) => Some(Vec::new()),
            Given::Numbers(numbers) => Some(vec![numbers.len()]),
            Given::List(items) => {
                let mut shapes = items.iter().map(Given::shape);
                let first = shapes.next()??;
                let alike = shapes.all(|shape| shape.as_ref() == Some(&first));
                alike.then(|| [&[items.len()], &first[..]].concat())
            }
            _ => None,
        }
    }

    /// All numbers, row by row.
    pub fn numbers(&self) -> Vec<f64> {
        fn collect(given: &Given, into: &mut Vec<f64>) {
            match given {
                Given::Number(number) => into.push(*number),
                Given::Numbers(numbers) => into.extend(numbers),
                Given::List(items) => items.iter().for_each(|item| collect(item, into)),
                _ => {}
            }
        }
        let mut numbers = Vec::new();
        collect(self, &mut numbers);
        numbers
    }

    /// What a list holds; nothing if this is none.
    pub fn items(self) -> Option<Vec<Given>> {
        match self {
            Given::List(items) => Some(items),
            Given::Numbers(numbers) => Some(numbers.into_iter().map(Given::Number).collect()),
            _ => None,
        }
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Given;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Given, E> {
        Ok(Given::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Given, E> {
        Ok(Given::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Given, E> {
        Ok(Given::Number(value as f64))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Given, E> {
        Ok(Given::Number(value as f64))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Given, E> {
        Ok(Given::Number(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Given, E> {
        Ok(Given::Text(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Given, A::Error> {
        let (mut numbers, mut items) = (Vec::new(), Vec::new());
        while let Some(next) = seq.next_element()? {
            match next {
                Given::Number(number) if items.is_empty() => numbers.push(number),
                next => {
                    items.extend(numbers.drain(..).map(Given::Number));
                    items.push(next);
                }
            }
        }
        Ok(match items.is_empty() {
            true => Given::Numbers(numbers),
            false => Given::List(items),
        })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Given, A::Error> {
        let mut fields: Vec<(String, Given)> = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(A::Error::custom(format!(
                "the field {:?} is there twice",
                pair[0]
            ))),
            None => Ok(Given::Fields(fields)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Given {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn numbers_know_their_shape() {
        assert_eq!(read("[[1, 2, 3], [4, 5, 6]]").shape(), Some(vec![2, 3]));
        assert_eq!(read("[[1, 2], [3]]").shape(), None);
        assert_eq!(read("[1, [2]]").shape(), None);
        assert_eq!(read("[1, \"2\"]").shape(), None);
        assert_eq!(read("7").shape(), Some(vec![]));
        assert_eq!(read("[[1, 2], [3, 4]]").numbers(), [1.0, 2.0, 3.0, 4.0]);
        let mixed = read("[1, null, 2]");
        assert_eq!(
            mixed,
            Given::List(vec![Given::Number(1.0), Given::Null, Given::Number(2.0)])
        );
    }

    #[test]
    fn a_body_is_an_object_with_inputs() {
        let status = |body: &str| Given::inputs(body.as_bytes()).unwrap_err().status.as_u16();
        for (body, expected) in [
            ("{\"inputs\": [1, NaN]}", 400),
            ("{\"inputs\": [1e999]}", 400),
            ("{\"inputs\": [1}", 400),
            ("", 400),
            ("{\"inputs\": 1, \"inputs\": 2}", 400),
            ("[1]", 422),
            ("{\"input\": 1}", 422),
            ("{\"inputs\": 1, \"more\": 2}", 422),
            ("{}", 422),
        ] {
            assert_eq!(status(body), expected, "{body}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(status(&deep), 400);
        assert_eq!(
            Given::inputs(b"{\"inputs\": []}").unwrap(),
            Given::Numbers(vec![])
        );
    }
}
