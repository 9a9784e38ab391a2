//! Model files: safetensors with the model's graph and what one must know to use it.
//!
//! Parameters and buffers are tensors under their paths (`conv1.weight`), so that any reader of safetensors finds
//! them; constants of the graph are `__constant__.0` and so on. Under the keys `zerokara.graph` and `zerokara.info` of
//! the metadata lie JSON texts of the graph in both modes and of the [`ModelInfo`].

use crate::{SafeTensors, json};
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, HashMap},
    path::Path,
};
use zerokara_core::{Array, Attribute, Attributes, DType, Error, Meta, Result};
use zerokara_nn::record::{GraphRecord, ModelRecord, NodeRecord, NodeSource, ParameterRecord};

/// The version of the graph's text. Files of a later version are not read.
const VERSION: u64 = 1;
const GRAPH: &str = "zerokara.graph";
const INFO: &str = "zerokara.info";
const CONSTANT: &str = "__constant__.";

/// What one must know to use a model: all of it optional.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelInfo {
    /// The name of the architecture, as `simple-convnet`.
    pub architecture: Option<String>,
    /// The data set that the model was trained on.
    pub dataset: Option<String>,
    /// What the outputs stand for, in order.
    pub classes: Vec<String>,
    /// Inputs are normalized to `(x - mean) / std`, per channel or all alike; empty for not at all.
    pub mean: Vec<f64>,
    /// See `mean`.
    pub std: Vec<f64>,
    /// Anything else: number of epochs, accuracy, the command line.
    pub notes: BTreeMap<String, String>,
}

/// Saves a model.
///
/// # Errors
/// If the file cannot be written.
pub fn save_model(path: impl AsRef<Path>, record: &ModelRecord, info: &ModelInfo) -> Result<()> {
    to_file(record, info)?.write(path)
}

/// Loads a model; [`zerokara_nn::GraphModule::new`] makes it run.
///
/// # Errors
/// If there is no such file, or it is damaged, or holds tensors only, or is of a later version.
pub fn load_model(path: impl AsRef<Path>) -> Result<(ModelRecord, ModelInfo)> {
    let path = path.as_ref();
    from_file(SafeTensors::read(path)?).map_err(|e| Error::new(format!("{}: {e}", path.display())))
}

/// The file of a model.
///
/// # Errors
/// If a parameter's name is one that the format needs, or a mean or deviation is not finite.
pub fn to_file(record: &ModelRecord, info: &ModelInfo) -> Result<SafeTensors> {
    let mut file = SafeTensors::default();
    for parameter in &record.parameters {
        if parameter.name.starts_with("__") {
            let name = &parameter.name;
            return Err(Error::new(format!(
                "a parameter cannot have the name {name}"
            )));
        }
        let (name, value) = (parameter.name.clone(), parameter.value.clone());
        file.tensors.push((name, value));
    }
    for (i, constant) in record.constants.iter().enumerate() {
        file.tensors
            .push((format!("{CONSTANT}{i}"), constant.clone()));
    }
    // JSON has no number for these.
    if let Some(number) = info.mean.iter().chain(&info.std).find(|v| !v.is_finite()) {
        return Err(Error::new(format!(
            "the means and deviations of a model's inputs must be finite, not {number}"
        )));
    }
    let graph = graph_text(record).to_string();
    file.metadata.insert(GRAPH.into(), graph);
    file.metadata
        .insert(INFO.into(), info_text(info).to_string());
    file.metadata.insert("format".into(), "zerokara".into());
    Ok(file)
}

/// The model in a file.
///
/// # Errors
/// If the file holds tensors only, is of a later version, or contradicts itself.
pub fn from_file(file: SafeTensors) -> Result<(ModelRecord, ModelInfo)> {
    let text = |key: &str| file.metadata.get(key).map(String::as_str);
    let graph = text(GRAPH).ok_or_else(|| {
        Error::new("the file holds tensors but no graph: it was not saved by zerokara")
    })?;
    let parse = |what: &str, text: &str| -> Result<Value> {
        json::parse(text.as_bytes()).map_err(|e| Error::new(format!("its {what} is damaged: {e}")))
    };
    let graph = parse("graph", graph)?;
    let info = parse("info", text(INFO).unwrap_or("{}"))?;
    let tensors = file.tensors.into_iter().collect();
    let record =
        record_of(&graph, tensors).map_err(|e| Error::new(format!("its graph is damaged: {e}")))?;
    let info = info_of(&info).map_err(|e| Error::new(format!("its info is damaged: {e}")))?;
    Ok((record, info))
}

fn graph_text(record: &ModelRecord) -> Value {
    let parameters = record.parameters.iter().map(|p| {
        json::object([
            ("name", p.name.as_str().into()),
            ("trainable", p.trainable.into()),
        ])
    });
    json::object([
        ("version", VERSION.into()),
        (
            "input",
            json::object([
                ("shape", record.input.shape.clone().into()),
                ("dtype", record.input.dtype.name().into()),
            ]),
        ),
        ("any_batch", record.any_batch.into()),
        ("parameters", parameters.collect()),
        ("constants", record.constants.len().into()),
        ("evaluate", nodes_text(&record.evaluate)),
        ("train", nodes_text(&record.train)),
    ])
}

fn nodes_text(graph: &GraphRecord) -> Value {
    let nodes = graph.nodes.iter().map(|node| {
        let mut entry = Map::new();
        let mut put = |key: &str, value: Value| entry.insert(key.into(), value);
        match &node.source {
            NodeSource::Input => put("is", "input".into()),
            NodeSource::Step => put("is", "step".into()),
            NodeSource::Parameter(name) => put("parameter", name.as_str().into()),
            NodeSource::Constant(i) => put("constant", (*i).into()),
            NodeSource::Op {
                name,
                attributes,
                inputs,
            } => {
                if !attributes.is_empty() {
                    let list = attributes.iter();
                    // A list, since the order of attributes is part of an operation's identity.
                    let list = list.map(|(k, v)| Value::from(vec![k.into(), attribute_text(v)]));
                    put("attributes", list.collect());
                }
                put("op", name.as_str().into());
                put("inputs", inputs.clone().into())
            }
        };
        if let Some(layer) = &node.layer {
            put("layer", layer.as_str().into());
        }
        Value::Object(entry)
    });
    let updates = graph.updates.iter();
    let updates = updates.map(|(name, at)| vec![Value::from(name.as_str()), Value::from(*at)]);
    json::object([
        ("nodes", nodes.collect()),
        ("output", graph.output.into()),
        ("updates", updates.collect()),
    ])
}

/// Numbers with a fraction are texts, `{"float": "0.1"}`: JSON knows no infinity, and readers differ in digits.
fn attribute_text(attribute: &Attribute) -> Value {
    match attribute {
        Attribute::Int(v) => (*v).into(),
        Attribute::Ints(v) => v.clone().into(),
        Attribute::Float(v) => json::object([("float", format!("{v:?}").into())]),
        Attribute::Bool(v) => (*v).into(),
        Attribute::Text(v) => v.as_str().into(),
    }
}

fn attribute_of(value: &Value) -> Result<Attribute, String> {
    let bad = || format!("{value} is no attribute");
    Ok(match value {
        Value::Bool(v) => Attribute::Bool(*v),
        Value::Number(v) => Attribute::Int(v.as_i64().ok_or_else(bad)?),
        Value::String(v) => Attribute::Text(v.clone()),
        Value::Array(list) => {
            let numbers: Option<Vec<i64>> = list.iter().map(Value::as_i64).collect();
            Attribute::Ints(numbers.ok_or_else(bad)?)
        }
        Value::Object(_) => {
            let text = json::text(value, "float")?;
            Attribute::Float(text.parse().map_err(|_| bad())?)
        }
        Value::Null => return Err(bad()),
    })
}

fn record_of(graph: &Value, mut tensors: HashMap<String, Array>) -> Result<ModelRecord, String> {
    let version = json::field(graph, "version")?.as_u64();
    if version != Some(VERSION) {
        return Err(format!(
            "it is of version {}, and this program reads version {VERSION}",
            version.unwrap_or(0)
        ));
    }
    let input = json::field(graph, "input")?;
    let dtype = json::text(input, "dtype")?;
    let dtype = DType::from_name(dtype).ok_or_else(|| format!("{dtype} is no element type"))?;
    let mut take = |name: &str| {
        let found = tensors.remove(name);
        found.ok_or_else(|| format!("there is no tensor {name}"))
    };
    let mut parameters = Vec::new();
    for entry in json::list(graph, "parameters")? {
        let name = json::text(entry, "name")?;
        parameters.push(ParameterRecord {
            name: name.to_string(),
            trainable: json::boolean(entry, "trainable")?,
            value: take(name)?,
        });
    }
    let constants = (0..json::size(json::field(graph, "constants")?)?)
        .map(|i| take(&format!("{CONSTANT}{i}")))
        .collect::<Result<_, _>>()?;
    if let Some(name) = tensors.keys().min() {
        return Err(format!(
            "there is a tensor {name} that the graph does not know"
        ));
    }
    Ok(ModelRecord {
        input: Meta::new(json::sizes(input, "shape")?, dtype),
        any_batch: json::boolean(graph, "any_batch")?,
        evaluate: nodes_of(json::field(graph, "evaluate")?)?,
        train: nodes_of(json::field(graph, "train")?)?,
        parameters,
        constants,
    })
}

fn nodes_of(graph: &Value) -> Result<GraphRecord, String> {
    let nodes = json::list(graph, "nodes")?.iter().enumerate();
    let nodes = nodes.map(|(at, node)| node_of(node).map_err(|e| format!("node {at}: {e}")));
    let mut updates = Vec::new();
    for update in json::list(graph, "updates")? {
        let [name, at] = update.as_array().map_or(&[][..], Vec::as_slice) else {
            return Err(format!("{update} is no update"));
        };
        let name = name.as_str().ok_or_else(|| format!("{name} is no name"))?;
        if updates.iter().any(|(known, _)| known == name) {
            return Err(format!("it updates {name:?} twice"));
        }
        updates.push((name.to_string(), json::size(at)?));
    }
    Ok(GraphRecord {
        nodes: nodes.collect::<Result<_, _>>()?,
        output: json::size(json::field(graph, "output")?)?,
        updates,
    })
}

fn node_of(node: &Value) -> Result<NodeRecord, String> {
    let source = if let Some(is) = node.get("is") {
        match is.as_str() {
            Some("input") => NodeSource::Input,
            Some("step") => NodeSource::Step,
            _ => return Err(format!("{is} is no kind of node")),
        }
    } else if node.get("parameter").is_some() {
        NodeSource::Parameter(json::text(node, "parameter")?.to_string())
    } else if let Some(constant) = node.get("constant") {
        NodeSource::Constant(json::size(constant)?)
    } else {
        let mut attributes = Attributes::none();
        if node.get("attributes").is_some() {
            for pair in json::list(node, "attributes")? {
                let [name, value] = pair.as_array().map_or(&[][..], Vec::as_slice) else {
                    return Err(format!("{pair} is no attribute"));
                };
                let name = name.as_str().ok_or_else(|| format!("{name} is no name"))?;
                if attributes.iter().any(|(known, _)| known == name) {
                    return Err(format!("the attribute {name:?} is there twice"));
                }
                attributes = attributes.with(name.to_string(), attribute_of(value)?);
            }
        }
        NodeSource::Op {
            name: json::text(node, "op")?.to_string(),
            attributes,
            inputs: json::sizes(node, "inputs")?,
        }
    };
    let layer = match node.get("layer") {
        Some(_) => Some(json::text(node, "layer")?.to_string()),
        None => None,
    };
    Ok(NodeRecord { source, layer })
}

fn info_text(info: &ModelInfo) -> Value {
    let mut entry = Map::new();
    for (key, value) in [
        ("architecture", &info.architecture),
        ("dataset", &info.dataset),
    ] {
        if let Some(value) = value {
            entry.insert(key.into(), value.as_str().into());
        }
    }
    entry.insert("classes".into(), info.classes.clone().into());
    entry.insert("mean".into(), info.mean.clone().into());
    entry.insert("std".into(), info.std.clone().into());
    let notes = info.notes.iter();
    let notes = notes.map(|(k, v)| (k.clone(), Value::from(v.as_str())));
    entry.insert("notes".into(), Value::Object(notes.collect()));
    Value::Object(entry)
}

fn info_of(value: &Value) -> Result<ModelInfo, String> {
    let optional = |name: &str| match value.get(name) {
        Some(_) => json::text(value, name).map(|text| Some(text.to_string())),
        None => Ok(None),
    };
    let mut info = ModelInfo {
        architecture: optional("architecture")?,
        dataset: optional("dataset")?,
        ..ModelInfo::default()
    };
    if value.get("classes").is_some() {
        info.classes = json::texts(value, "classes")?;
    }
    if value.get("mean").is_some() || value.get("std").is_some() {
        info.mean = json::numbers(value, "mean")?;
        info.std = json::numbers(value, "std")?;
    }
    if let Some(notes) = value.get("notes") {
        for (key, note) in notes.as_object().ok_or("notes must be an object")? {
            let note = note.as_str().ok_or("a note must be a text")?;
            info.notes.insert(key.clone(), note.to_string());
        }
    }
    Ok(info)
}
