//! A record as JSON.

use super::{OPERATIONS, VERSION};
use crate::json;
use serde_json::{Map, Value};
use zerokara_core::{
    Array, Attribute, Axis, Port,
    record::{
        Along, Body, Control, GraphRecord, ModelRecord, NodeRecord, NodeSource, RecordedAttribute,
        Size,
    },
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
    let updates = graph.updates.iter();
    let updates = updates.map(|(name, at)| vec![Value::from(name.as_str()), Value::from(*at)]);
    json::object([
        ("nodes", node_list(&graph.nodes, tensors)),
        ("outputs", graph.outputs.clone().into()),
        ("updates", updates.collect()),
    ])
}

fn body(body: &Body, tensors: &mut Vec<Array>) -> Value {
    json::object([
        ("nodes", node_list(&body.nodes, tensors)),
        ("outputs", body.outputs.clone().into()),
    ])
}

/// A branch, a loop or a scan, with its bodies.
fn control(control: &Control, tensors: &mut Vec<Array>) -> Value {
    let along = |along: &Along| vec![Value::from(along.axis), along.reverse.into()];
    match control {
        Control::Branch {
            condition,
            then,
            otherwise,
        } => json::object([
            ("is", "branch".into()),
            ("condition", (*condition).into()),
            ("then", body(then, tensors)),
            ("otherwise", body(otherwise, tensors)),
        ]),
        Control::Loop {
            trips,
            condition,
            states,
            body: own,
        } => json::object([
            ("is", "loop".into()),
            ("trips", (*trips).into()),
            ("condition", (*condition).into()),
            ("states", states.clone().into()),
            ("body", body(own, tensors)),
        ]),
        Control::Scan {
            states,
            sequences,
            stacks,
            body: own,
        } => {
            let sequences = sequences.iter().map(|(at, walked)| {
                let at = [Value::from(*at)].into_iter();
                at.chain(along(walked)).collect::<Value>()
            });
            json::object([
                ("is", "scan".into()),
                ("states", states.clone().into()),
                ("sequences", sequences.collect()),
                ("stacks", stacks.iter().map(along).collect()),
                ("body", body(own, tensors)),
            ])
        }
    }
}

fn node_list(list: &[NodeRecord], tensors: &mut Vec<Array>) -> Value {
    let mut nodes = Vec::with_capacity(list.len());
    for node in list {
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
            NodeSource::Control(flow) => put("control", control(flow, tensors)),
            NodeSource::Result { of, number } => put("result", vec![*of, *number].into()),
            NodeSource::Given(at) => put("given", (*at).into()),
            NodeSource::Outer(at) => put("outer", (*at).into()),
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
    nodes.into()
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
