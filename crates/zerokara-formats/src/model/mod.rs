//! Model files: safetensors with the model's graph in the metadata and what one must know to use it.
//!
//! Parameters and buffers are tensors under their paths (`conv1.weight`), so that any reader of safetensors finds
//! them; constants of the graph are `__constant__.0` and so on, tensors that are attributes `__tensor__.0`. Under the keys
//! `zerokara.graph` and `zerokara.info` of the metadata lie JSON texts: of the graph in both modes with its signature, and
//! of the [`ModelInfo`].
//!
//! Files are of version 2. Those of version 1, which had one input and one output and at most the batch free, are read as
//! such models: their input is `x`, their output `y`, their classes are those of the target `t`, and what they said of the
//! inputs' mean and deviation is the preprocessing `{"mean": [..], "std": [..]}` of `x`.

mod info;
mod read;
mod write;

use crate::{SafeTensors, json};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path};
use zerokara_core::{Error, Result, record::ModelRecord};

/// The version of the files that are written. Files of a later version are not read.
const VERSION: u64 = 2;
/// The version of the operations: what each computes and which attributes it takes. It grows when a graph that was saved
/// would compute something else.
const OPERATIONS: u64 = 1;
const GRAPH: &str = "zerokara.graph";
const INFO: &str = "zerokara.info";
const CONSTANT: &str = "__constant__.";
const TENSOR: &str = "__tensor__.";

/// What one must know to use a model: all of it optional.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ModelInfo {
    /// The name of the architecture, as `simple-convnet`.
    pub architecture: Option<String>,
    /// The data set that the model was trained on.
    pub dataset: Option<String>,
    /// What the model was trained for.
    pub task: Option<TaskInfo>,
    /// What turns raw data into inputs (scaling, encodings of columns, a vocabulary), by the input's name: a value of JSON
    /// that its maker understands, and that is carried here as it is.
    pub preprocessing: BTreeMap<String, Value>,
    /// Names of classes or labels, in order, by the target's name.
    pub classes: BTreeMap<String, Vec<String>>,
    /// Anything else: number of epochs, accuracy, the command line.
    pub notes: BTreeMap<String, String>,
}

/// What a model was trained for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskInfo {
    /// The name, as `softmax_cross_entropy`.
    pub name: String,
    /// Name and value of each setting.
    pub settings: Vec<(String, f64)>,
}

/// Saves a model.
///
/// # Errors
/// As [`to_file`], or if the file cannot be written.
pub fn save_model(path: impl AsRef<Path>, record: &ModelRecord, info: &ModelInfo) -> Result<()> {
    to_file(record, info)?.write(path)
}

/// Loads a model; `zerokara_nn::GraphModule::new` makes it run and train.
///
/// # Errors
/// If there is no such file, or it is damaged, or holds tensors only, or is of a later version.
pub fn load_model(path: impl AsRef<Path>) -> Result<(ModelRecord, ModelInfo)> {
    let path = path.as_ref();
    from_file(SafeTensors::read(path)?).map_err(|e| Error::new(format!("{}: {e}", path.display())))
}

/// As [`load_model`], from the contents of a file.
///
/// # Errors
/// If they are no model.
pub fn model_from_bytes(bytes: &[u8]) -> Result<(ModelRecord, ModelInfo)> {
    from_file(SafeTensors::from_bytes(bytes)?)
}

/// The file of a model.
///
/// # Errors
/// If the record contradicts itself, a parameter's name is one that the format needs, or a setting of the task is not finite.
pub fn to_file(record: &ModelRecord, info: &ModelInfo) -> Result<SafeTensors> {
    record.check()?;
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
    let (graph, tensors) = write::graph(record);
    for (prefix, list) in [(CONSTANT, &record.constants), (TENSOR, &tensors)] {
        let named = list.iter().enumerate();
        let named = named.map(|(i, array)| (format!("{prefix}{i}"), array.clone()));
        file.tensors.extend(named);
    }
    file.metadata.insert(GRAPH.into(), graph.to_string());
    file.metadata
        .insert(INFO.into(), info::text(info)?.to_string());
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
    let damaged = |what: &str, e: String| Error::new(format!("its {what} is damaged: {e}"));
    let version = json::field(&graph, "version").and_then(json::size);
    let version = version.map_err(|e| damaged("graph", e))? as u64;
    let later = |what: &str, found: u64, known: u64| {
        Error::new(format!(
            "its {what} of version {found}, and this program reads versions up to {known}: a later zerokara reads it"
        ))
    };
    if version > VERSION {
        return Err(later("graph is", version, VERSION));
    }
    let record = match version {
        1 => read::version1(&graph, tensors),
        2 => {
            let operations = json::field(&graph, "operations").and_then(json::size);
            let operations = operations.map_err(|e| damaged("graph", e))? as u64;
            if operations > OPERATIONS {
                return Err(later("operations are", operations, OPERATIONS));
            }
            read::version2(&graph, tensors)
        }
        _ => Err(format!("there is no version {version}")),
    };
    let record = record.map_err(|e| damaged("graph", e))?;
    let info = match version {
        1 => info::version1(&info),
        _ => info::version2(&info),
    };
    Ok((record, info.map_err(|e| damaged("info", e))?))
}
