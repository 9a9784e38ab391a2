//! A record as JSON.

use super::{OPERATIONS, VERSION};
use crate::json;
use serde_json::{Map, Value};
use zerokara_core::{
    Array, Attribute, Axis, Port,
    record::{GraphRecord, ModelRecord, NodeSource, RecordedAttribute, Size},
};

/// The text of a graph, and the tensors that attributes are.
pub(super) fn graph(record: &ModelRecord) -> (Value, Vec<Array>) {
    let mut tensors = Vec::new();
    let parameters = record.parameters.iter().map(|p| {
        json::object([
            ("name", p.name.as_str().into()),
            ("trainable", p.trainable.into()),
        ])
    });
    let signature = &record.signature;
    let states = signature.states.iter();
    let states = states.map(|(input, output)| Value::from(vec![&**input, &**output]));
    let lengths = record.lengths.iter();
    let lengths =
        lengths.map(|(name, &length)| Value::from(vec![Value::from(name), Value::from(length)]));
    let lengths: Vec<Value> = lengths.collect();
    let [evaluate, train] =
        [&record.evaluate, &record.train].map(|graph| nodes(graph, &mut tensors));
    let text = json::object([
        ("version", VERSION.into()),
        ("operations", OPERATIONS.into()),
        ("inputs", signature.inputs.iter().map(port).collect()),
        ("outputs", signature.outputs.iter().map(port).collect()),
        ("states", states.collect()),
        ("lengths", lengths.into()),
        ("parameters", parameters.collect()),
        ("constants", record.constants.len().into()),
        ("tensors", tensors.len().into()),
        ("evaluate", evaluate),
        ("train", train),
    ]);
    (text, tensors)
}

fn port(port: &Port) -> Value {
    let axes = port.axes.iter().map(|axis| match axis {
        Axis::Fixed(length) => Value::from(*length),
        Axis::Any(name) => Value::from(&**name),
    });
    json::object([
        ("name", (&*port.name).into()),
        ("dtype", port.dtype.name().into()),
        ("axes", axes.collect()),
    ])
}

fn nodes(graph: &GraphRecord, tensors: &mut Vec<Array>) -> Value {
    let mut nodes = Vec::with_capacity(graph.nodes.len());
    for node in &graph.nodes {
        let mut entry = Map::new();
        let mut put = |key: &str, value: Value| entry.insert(key.into(), value);
        match &node.source {
            NodeSource::Input(name) => put("input", name.as_str().into()),
            NodeSource::Step => put("is", "step".into()),
            NodeSource::Parameter(name) => put("parameter", name.as_str().into()),
            NodeSource::Constant(i) => put("constant", (*i).into()),
            NodeSource::Series(series) => {
                let steps = series.steps.iter().map(|step| number(*step));
                put(
                    "series",
                    json::object([
                        ("dtype", series.dtype.name().into()),
                        ("shape", series.shape.iter().map(size).collect()),
                        ("start", number(series.start)),
                        ("steps", steps.collect()),
                    ]),
                )
            }
            NodeSource::Op {
                name,
                attributes,
                inputs,
            } => {
                if !attributes.is_empty() {
                    // A list, since the order of attributes is part of an operation's identity.
                    let list = attributes.iter().map(|(name, value)| {
                        Value::from(vec![name.into(), recorded(value, tensors)])
                    });
                    put("attributes", list.collect());
                }
                put("op", name.as_str().into());
                put("inputs", inputs.clone().into())
            }
        };
        if let Some(layer) = &node.layer {
            put("layer", layer.as_str().into());
        }
        nodes.push(Value::Object(entry));
    }
    let updates = graph.updates.iter();
    let updates = updates.map(|(name, at)| vec![Value::from(name.as_str()), Value::from(*at)]);
    json::object([
        ("nodes", nodes.into()),
        ("outputs", graph.outputs.clone().into()),
        ("updates", updates.collect()),
    ])
}

/// A text: JSON knows no infinity, and readers differ in digits.
fn number(number: f64) -> Value {
    format!("{number:?}").into()
}

/// A number, or a list of terms: each a list of a coefficient and the lengths that it is multiplied by.
fn size(size: &Size) -> Value {
    match size.known() {
        Some(number) => number.into(),
        None => {
            let term = |(coefficient, names): (i64, &[std::sync::Arc<str>])| {
                let names = names.iter().map(|name| Value::from(&**name));
                Value::Array([coefficient.into()].into_iter().chain(names).collect())
            };
            size.terms().map(term).collect()
        }
    }
}

fn recorded(value: &RecordedAttribute, tensors: &mut Vec<Array>) -> Value {
    match value {
        RecordedAttribute::Known(value) => attribute(value, tensors),
        RecordedAttribute::Size(one) => json::object([("size", size(one))]),
        RecordedAttribute::Sizes(all) => json::object([("sizes", all.iter().map(size).collect())]),
    }
}

/// Numbers with a fraction are texts, `{"float": "0.1"}`. A tensor is the number of one beside the parameters, `{"tensor": 0}`.
/// A list without a word before it is one of integers.
fn attribute(attribute: &Attribute, tensors: &mut Vec<Array>) -> Value {
    match attribute {
        Attribute::Int(v) => (*v).into(),
        Attribute::Ints(v) => v.clone().into(),
        Attribute::Float(v) => json::object([("float", number(*v))]),
        Attribute::Floats(v) => json::object([("floats", v.iter().map(|v| number(*v)).collect())]),
        Attribute::Bool(v) => (*v).into(),
        Attribute::Bools(v) => json::object([("bools", v.clone().into())]),
        Attribute::Text(v) => v.as_str().into(),
        Attribute::Texts(v) => json::object([("texts", v.clone().into())]),
        Attribute::Tensor(v) => {
            tensors.push(v.clone());
            json::object([("tensor", (tensors.len() - 1).into())])
        }
    }
}
