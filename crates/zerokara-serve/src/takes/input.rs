//! One input of a model: what it is made from.

use crate::{
    given::Given,
    refusal::{Outcome, Refusal},
};
use serde_json::{Value, json};
use std::sync::Arc;
use zerokara_core::{Array, DType, Port};
use zerokara_data::{Preprocessing, Raw, Unseen};

/// One input.
pub(crate) struct Input {
    pub name: Arc<str>,
    pub dtype: DType,
    /// The shape of one sample; a length that is free is 0.
    pub shape: Vec<usize>,
    pub how: How,
}

/// What an input is made from.
pub(crate) enum How {
    /// Stored values, which are normalized.
    Values,
    /// Numbers as they are.
    Plain,
    /// The cells of a row; its columns as JSON, with their names.
    Row(Vec<(String, Value)>),
    /// One of these texts, or another if there is a place for others.
    Choice { values: Vec<String>, others: bool },
    /// Any text.
    Text,
}

/// What was sent for one input, as preprocessing takes it.
pub(super) enum Owned {
    Values(Array),
    Text(String),
    Row(Vec<String>),
}

impl Owned {
    /// The cells of a row.
    pub fn cells(&self) -> Vec<&str> {
        match self {
            Self::Row(cells) => cells.iter().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// What preprocessing takes; `cells` are its own.
    pub fn raw<'a>(&'a self, cells: &'a [&'a str]) -> Raw<'a> {
        match self {
            Self::Values(array) => Raw::Values(array),
            Self::Text(text) => Raw::Text(text),
            Self::Row(_) => Raw::Row(cells),
        }
    }
}

impl How {
    pub fn of(preprocessing: Option<Preprocessing>) -> Self {
        match preprocessing {
            Some(Preprocessing::Normalization(_)) => Self::Values,
            Some(table @ Preprocessing::Table(_)) => {
                let columns = table.to_json()["columns"].take();
                let columns = match columns {
                    Value::Array(columns) => columns,
                    _ => Vec::new(),
                };
                let named = columns.into_iter().map(|column| {
                    let name = column["name"].as_str().unwrap_or_default();
                    (name.to_string(), described(&column))
                });
                Self::Row(named.collect())
            }
            Some(Preprocessing::Categories(categories)) => Self::Choice {
                values: categories.values().to_vec(),
                others: categories.unseen() == Unseen::Place,
            },
            Some(_) => Self::Text,
            None => Self::Plain,
        }
    }
}

/// A column without what was learned of its numbers.
fn described(column: &Value) -> Value {
    let mut out = json!({ "name": column["name"], "kind": column["kind"] });
    for field in ["values", "unseen", "missing"] {
        if let Some(value) = column.get(field) {
            out[field] = value.clone();
        }
    }
    out
}

/// The largest whole number that is told apart from its neighbours as JSON's numbers are read.
const LARGEST_WHOLE: f64 = 9_007_199_254_740_992.0;

impl Input {
    pub fn new(port: &Port, preprocessing: Option<Preprocessing>) -> Self {
        let lengths = port.axes.iter().skip(1);
        Self {
            name: port.name.clone(),
            dtype: port.dtype,
            shape: lengths.map(|axis| axis.fixed().unwrap_or(0)).collect(),
            how: How::of(preprocessing),
        }
    }

    /// What it is made from, in words.
    pub fn wanted(&self) -> String {
        match &self.how {
            How::Values | How::Plain => {
                let free = |&n: &usize| if n == 0 { "any".into() } else { n.to_string() };
                let shape: Vec<String> = self.shape.iter().map(free).collect();
                format!("numbers of shape [{}]", shape.join(", "))
            }
            How::Row(columns) => {
                let names: Vec<&str> = columns.iter().map(|(name, _)| &**name).collect();
                format!("an object with the columns {}", names.join(", "))
            }
            How::Choice { .. } | How::Text => "a text".into(),
        }
    }

    /// Whether this is one sample; else it is a list of them, or nothing of use.
    pub fn is_one(&self, given: &Given) -> Outcome<bool> {
        Ok(match &self.how {
            How::Row(_) => match given {
                Given::Numbers(numbers) => !numbers.is_empty(),
                Given::List(items) => items.iter().all(|item| cell(item).is_some()),
                given => matches!(given, Given::Fields(_)),
            },
            How::Choice { .. } | How::Text => cell(given).is_some(),
            How::Values | How::Plain => {
                if let Given::Fields(_) | Given::Text(_) | Given::Null | Given::Bool(_) = given {
                    return Ok(false);
                }
                let shape = given.shape().ok_or_else(|| {
                    Refusal::unfit(format!(
                        "the model takes {}, or a list of such; what was sent is no evenly nested list of numbers",
                        self.wanted()
                    ))
                })?;
                let fits = |shape: &[usize]| self.fits(shape);
                match (fits(&shape), shape.split_first()) {
                    (true, _) => true,
                    (false, Some((_, inner))) if fits(inner) || shape == [0] => false,
                    _ => {
                        return Err(Refusal::unfit(format!(
                            "the model takes {}, or a list of such, not numbers of shape {shape:?}",
                            self.wanted()
                        )));
                    }
                }
            }
        })
    }

    /// Whether numbers nested so are one sample: nested as the input is, or one list of as many.
    fn fits(&self, shape: &[usize]) -> bool {
        let nested = shape.len() == self.shape.len()
            && (shape.iter().zip(&self.shape)).all(|(&n, &own)| n == own || (own == 0 && n > 0));
        let all = self
            .shape
            .iter()
            .try_fold(1, |n: usize, &m| n.checked_mul(m));
        let is_free = self.shape.contains(&0) || self.shape.is_empty();
        nested || (!is_free && shape.len() == 1 && Some(shape[0]) == all)
    }

    pub(super) fn owned(&self, given: &Given) -> Outcome<Owned> {
        let unfit = |what: &str| {
            Refusal::unfit(format!(
                "the input {:?} takes {}, not {what}",
                self.name,
                self.wanted()
            ))
        };
        match &self.how {
            How::Choice { .. } | How::Text => {
                let text = cell(given).ok_or_else(|| unfit(given.what()))?;
                Ok(Owned::Text(text))
            }
            How::Row(columns) => self.cells(columns, given).map(Owned::Row),
            How::Values | How::Plain => {
                let shape = given.shape().ok_or_else(|| unfit(given.what()))?;
                if !self.fits(&shape) {
                    return Err(unfit(&format!("numbers of shape {shape:?}")));
                }
                let shape = match self.shape.contains(&0) {
                    true => shape,
                    false => self.shape.clone(),
                };
                let dtype = match self.how {
                    How::Values => DType::F32,
                    _ => self.dtype,
                };
                array(shape, dtype, given.numbers()).map(Owned::Values)
            }
        }
    }

    /// The cells of a row: an object by column, or a list.
    fn cells(&self, columns: &[(String, Value)], given: &Given) -> Outcome<Vec<String>> {
        let text = |name: &str, given: &Given| {
            let what = given.what();
            cell(given).ok_or_else(|| {
                Refusal::unfit(format!(
                    "the column {name:?} takes a text or a number, not {what}"
                ))
            })
        };
        match given {
            Given::Fields(fields) => {
                let known = |name: &str| columns.iter().any(|(column, _)| column == name);
                if let Some((unknown, _)) = fields.iter().find(|(name, _)| !known(name)) {
                    return Err(Refusal::unfit(format!(
                        "there is no column {unknown:?}; the model takes {}",
                        self.wanted()
                    )));
                }
                let value = |(name, _): &(String, Value)| {
                    let found = fields.iter().find(|(field, _)| field == name);
                    let (_, value) = found.ok_or_else(|| {
                        Refusal::unfit(format!(
                            "no value is given for the column {name:?}; null says that it is missing"
                        ))
                    })?;
                    text(name, value)
                };
                columns.iter().map(value).collect()
            }
            Given::Numbers(numbers) => Ok(numbers.iter().map(f64::to_string).collect()),
            Given::List(items) => {
                let names = columns.iter().map(|(name, _)| &**name);
                // Whoever sends too many is told so by the table.
                let names = names.chain(std::iter::repeat(""));
                items.iter().zip(names).map(|(v, n)| text(n, v)).collect()
            }
            given => Err(Refusal::unfit(format!(
                "the model takes {}, not {}",
                self.wanted(),
                given.what()
            ))),
        }
    }
}

/// The text of a cell.
fn cell(given: &Given) -> Option<String> {
    match given {
        Given::Null => Some(String::new()),
        Given::Bool(value) => Some(value.to_string()),
        Given::Number(number) => Some(number.to_string()),
        Given::Text(text) => Some(text.clone()),
        _ => None,
    }
}

/// Numbers as elements of this type, if they are such.
fn array(shape: Vec<usize>, dtype: DType, numbers: Vec<f64>) -> Outcome<Array> {
    let whole = |least: f64, most: f64| {
        let not = |x: &&f64| x.fract() != 0.0 || !(least..=most).contains(*x);
        match numbers.iter().find(not) {
            Some(number) => Err(Refusal::unfit(format!(
                "{number} is no whole number from {least} to {most}, which the model takes"
            ))),
            None => Ok(()),
        }
    };
    match dtype {
        DType::F32 => {
            let values: Vec<f32> = numbers.iter().map(|&x| x as f32).collect();
            match values.iter().position(|x| !x.is_finite()) {
                Some(at) => Err(Refusal::unfit(format!(
                    "{} is too large a number for 32 bits",
                    numbers[at]
                ))),
                None => Ok(Array::new(shape, values)),
            }
        }
        DType::F64 => Ok(Array::new(shape, numbers)),
        DType::I64 => {
            whole(-LARGEST_WHOLE, LARGEST_WHOLE)?;
            let values: Vec<i64> = numbers.iter().map(|&x| x as i64).collect();
            Ok(Array::new(shape, values))
        }
        DType::U8 => {
            whole(0.0, 255.0)?;
            let values: Vec<u8> = numbers.iter().map(|&x| x as u8).collect();
            Ok(Array::new(shape, values))
        }
        other => Err(Refusal::unfit(format!(
            "the model takes {other}, which cannot be sent"
        ))),
    }
}
