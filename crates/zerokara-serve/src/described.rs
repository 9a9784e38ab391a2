//! What a model takes and answers, for programs (JSON Schema) and for the page.

use crate::{
    body::PICTURES,
    loaded::Loaded,
    takes::{How, Input},
};
use serde_json::{Map, Value, json};
use zerokara_core::DType;
use zerokara_nn::{BinaryCrossEntropy, Loss, SoftmaxCrossEntropy, TokenCrossEntropy};

/// What answers are like.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Answers {
    Class,
    Labels,
    Tokens,
    Numbers,
}

impl Loaded {
    fn answers_like(&self) -> Answers {
        match self.reads.name() {
            name if name == SoftmaxCrossEntropy::new().name() => Answers::Class,
            name if name == BinaryCrossEntropy.name() => Answers::Labels,
            name if name == TokenCrossEntropy::new().name() => Answers::Tokens,
            _ => Answers::Numbers,
        }
    }

    /// What the page needs to know.
    pub fn described(&self, name: &str) -> Value {
        let card = self.model.card();
        let inputs = self.takes.inputs_by_name().iter().map(Input::described);
        let picture = self.takes.picture().map(|[channels, height, width]| {
            json!({
                "channels": channels,
                "height": height,
                "width": width,
                "kind": card.pictures.name(),
            })
        });
        let answers = match self.answers_like() {
            Answers::Class => "class",
            Answers::Labels => "labels",
            Answers::Tokens => "tokens",
            Answers::Numbers => "numbers",
        };
        json!({
            "name": name,
            "model": card.name,
            "dataset": card.dataset,
            "answers": answers,
            "classes": card.class_names,
            "picture": picture,
            "inputs": inputs.collect::<Vec<_>>(),
        })
    }

    /// The bodies that it takes, by their kinds.
    pub fn bodies(&self, most: usize) -> Value {
        let sample = self.sample_schema();
        let list = json!({ "type": "array", "items": sample, "minItems": 1, "maxItems": most });
        let body = json!({
            "type": "object",
            "required": ["inputs"],
            "properties": { "inputs": { "anyOf": [sample, list] } },
            "additionalProperties": false,
        });
        let mut bodies = json!({ "application/json": { "schema": body } });
        if self.takes.picture().is_some() {
            let file = json!({ "type": "string", "format": "binary" });
            for kind in PICTURES {
                bodies[kind] = json!({ "schema": {} });
            }
            bodies["multipart/form-data"] = json!({ "schema": {
                "type": "object", "required": ["image"], "properties": { "image": file },
            } });
        }
        if let Ok(columns) = self.takes.columns() {
            let columns = columns.join(", ");
            bodies["text/csv"] = json!({ "schema": {
                "type": "string",
                "description": format!("Rows below a head with the columns {columns}; others are passed over."),
            } });
        }
        bodies
    }

    fn sample_schema(&self) -> Value {
        match self.takes.inputs_by_name() {
            [input] => input.schema(),
            inputs => {
                let names: Vec<&str> = inputs.iter().map(|input| &*input.name).collect();
                let fields = inputs.iter().map(|i| (i.name.to_string(), i.schema()));
                object(&names, fields.collect())
            }
        }
    }

    /// What is answered: for one sample, or a list of such.
    pub fn answer_schema(&self) -> Value {
        let numbers = json!({ "type": "array", "items": { "type": "number" } });
        let index = json!({ "type": "integer", "minimum": 0 });
        let share = json!({ "type": "number", "minimum": 0, "maximum": 1 });
        let shares = json!({ "type": "array", "items": share });
        let one = match self.answers_like() {
            Answers::Class => fields(&[
                ("class", index),
                ("name", json!({ "type": "string" })),
                ("probability", share),
                ("probabilities", shares),
            ]),
            Answers::Labels => fields(&[
                (
                    "labels",
                    json!({ "type": "array", "items": { "type": "string" } }),
                ),
                ("probabilities", shares),
            ]),
            Answers::Tokens => fields(&[
                ("next", json!({ "type": "array", "items": index })),
                ("probabilities", shares),
            ]),
            Answers::Numbers => {
                let by_name = json!({ "type": "object", "additionalProperties": numbers });
                json!({ "oneOf": [fields(&[("values", numbers)]), fields(&[("outputs", by_name)])] })
            }
        };
        json!({ "oneOf": [one, { "type": "array", "items": one }] })
    }
}

fn fields(fields: &[(&str, Value)]) -> Value {
    let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
    let fields = fields.iter().map(|(name, v)| (name.to_string(), v.clone()));
    object(&names, fields.collect())
}

fn object(required: &[&str], properties: Map<String, Value>) -> Value {
    json!({
        "type": "object",
        "required": required,
        "properties": properties,
        "additionalProperties": false,
    })
}

impl Input {
    fn described(&self) -> Value {
        let mut out = json!({ "name": *self.name });
        let kind = match &self.how {
            How::Values | How::Plain => {
                out["shape"] = json!(self.shape);
                out["type"] = json!(self.dtype.to_string());
                "numbers"
            }
            How::Row(columns) => {
                out["columns"] = columns.iter().map(|(_, column)| column.clone()).collect();
                "row"
            }
            How::Choice { values, others } => {
                out["values"] = json!(values);
                out["others"] = json!(others);
                "choice"
            }
            How::Text => "text",
        };
        out["kind"] = kind.into();
        out
    }

    fn schema(&self) -> Value {
        match &self.how {
            How::Values | How::Plain => {
                let is_whole =
                    matches!(self.how, How::Plain) && matches!(self.dtype, DType::I64 | DType::U8);
                let number = json!({ "type": if is_whole { "integer" } else { "number" } });
                let list = |items: Value, &length: &usize| match length {
                    0 => json!({ "type": "array", "items": items, "minItems": 1 }),
                    length => json!({
                        "type": "array", "items": items, "minItems": length, "maxItems": length,
                    }),
                };
                let nested = self.shape.iter().rev().fold(number.clone(), list);
                match self.shape.len() > 1 && !self.shape.contains(&0) {
                    true => {
                        let flat = list(number, &self.shape.iter().product());
                        json!({ "anyOf": [nested, flat] })
                    }
                    false => nested,
                }
            }
            How::Row(columns) => {
                let cell = json!({ "type": ["string", "number", "boolean", "null"] });
                let names: Vec<&str> = columns.iter().map(|(name, _)| &**name).collect();
                let fields = names.iter().map(|name| (name.to_string(), cell.clone()));
                let (named, count) = (object(&names, fields.collect()), names.len());
                json!({ "anyOf": [
                    named,
                    { "type": "array", "items": cell, "minItems": count, "maxItems": count },
                ] })
            }
            How::Choice {
                values,
                others: false,
            } => json!({ "enum": values }),
            How::Choice { .. } | How::Text => json!({ "type": "string" }),
        }
    }
}
