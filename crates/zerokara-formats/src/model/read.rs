//! Records of JSON, of every version.

use super::{CONSTANT, TENSOR};
use crate::json;
use serde_json::Value;
use std::collections::{HashMap, HashSet};
use zerokara_core::{
    Array, Attribute, Axis, DType, Port, Signature,
    record::{
        Along, BATCH, Body, Control, GraphRecord, Lengths, ModelRecord, NodeRecord, NodeSource,
        ParameterRecord, RecordedAttribute, RecordedAttributes, Series, Size,
    },
};

type Tensors = HashMap<String, Array>;

/// A graph with its signature.
pub(super) fn version2(graph: &Value, tensors: Tensors) -> Result<ModelRecord, String> {
    let mut states = Vec::new();
    for pair in json::list(graph, "states")? {
        let [input, output] = named(pair, "state")?;
        states.push((text(input)?.into(), text(output)?.into()));
    }
    let mut lengths = Lengths::new();
    let all = json::list(graph, "lengths")?;
    if all.len() > ModelRecord::MOST_PORTS {
        return Err(format!("it has {} lengths, too many", all.len()));
    }
    for pair in all {
        let [name, length] = named(pair, "length")?;
        let name = text(name)?;
        if lengths.get(name).is_some() {
            return Err(format!("the length {name:?} is there twice"));
        }
        lengths.insert(name, json::size(length)?);
    }
    let (parameters, constants, tensors) = values(graph, tensors)?;
    let record = ModelRecord {
        signature: Signature {
            inputs: ports(graph, "inputs")?,
            outputs: ports(graph, "outputs")?,
            states,
        },
        lengths,
        evaluate: nodes(json::field(graph, "evaluate")?, &tensors)?,
        train: nodes(json::field(graph, "train")?, &tensors)?,
        parameters,
        constants,
    };
    record.check().map_err(|e| e.to_string())?;
    Ok(record)
}

/// A graph with one input and one output, of which at most the batch may be any.
pub(super) fn version1(graph: &Value, tensors: Tensors) -> Result<ModelRecord, String> {
    let input = json::field(graph, "input")?;
    let shape = json::sizes(input, "shape")?;
    let mut lengths = Lengths::new();
    let mut axes: Vec<Axis> = shape.iter().map(|&length| length.into()).collect();
    if json::boolean(graph, "any_batch")?
        && let (Some(axis), Some(&batch)) = (axes.first_mut(), shape.first())
    {
        *axis = BATCH.into();
        lengths.insert(BATCH, batch);
    }
    let (parameters, constants, tensors) = values(graph, tensors)?;
    let mut record = ModelRecord {
        signature: Signature {
            inputs: vec![Port::new("x", dtype(input)?, axes)],
            outputs: vec![Port::new("y", DType::F32, [0])],
            states: Vec::new(),
        },
        lengths,
        evaluate: nodes(json::field(graph, "evaluate")?, &tensors)?,
        train: nodes(json::field(graph, "train")?, &tensors)?,
        parameters,
        constants,
    };
    record
        .check()
        .and_then(|()| record.infer_outputs(&["y"]))
        .map_err(|e| e.to_string())?;
    Ok(record)
}

/// Parameters, constants, and tensors that are attributes.
type Values = (Vec<ParameterRecord>, Vec<Array>, Vec<Array>);

/// The values of a graph; an error if a tensor is none of them.
fn values(graph: &Value, mut tensors: Tensors) -> Result<Values, String> {
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
    let mut numbered = |count: &Value, prefix: &str| -> Result<Vec<Array>, String> {
        let numbers = 0..json::size(count)?;
        numbers.map(|i| take(&format!("{prefix}{i}"))).collect()
    };
    let constants = numbered(json::field(graph, "constants")?, CONSTANT)?;
    // Version 1 has none.
    let attributes = numbered(graph.get("tensors").unwrap_or(&0.into()), TENSOR)?;
    match tensors.keys().min() {
        Some(name) => Err(format!(
            "there is a tensor {name} that the graph does not know"
        )),
        None => Ok((parameters, constants, attributes)),
    }
}

fn dtype(value: &Value) -> Result<DType, String> {
    let name = json::text(value, "dtype")?;
    DType::from_name(name).ok_or_else(|| format!("{name} is no element type"))
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("{value} is no text"))
}

/// The elements of a list of so many.
fn named<'a, const N: usize>(list: &'a Value, what: &str) -> Result<[&'a Value; N], String> {
    let elements = list.as_array().filter(|elements| elements.len() == N);
    let elements = elements.ok_or_else(|| format!("{list} is no {what}"))?;
    Ok(std::array::from_fn(|i| &elements[i]))
}

fn ports(graph: &Value, what: &str) -> Result<Vec<Port>, String> {
    let port = |entry: &Value| {
        let axes = json::list(entry, "axes")?.iter().map(|axis| match axis {
            Value::String(name) => Ok(Axis::from(name.as_str())),
            length => json::size(length).map(Axis::from),
        });
        let axes = axes.collect::<Result<Vec<_>, String>>()?;
        Ok(Port::new(json::text(entry, "name")?, dtype(entry)?, axes))
    };
    let ports = json::list(graph, what)?.iter();
    ports
        .map(|entry| port(entry).map_err(|e: String| format!("{what}: {e}")))
        .collect()
}

/// A pass of any version: it has one `output` in version 1, and later `outputs`.
fn nodes(graph: &Value, tensors: &[Array]) -> Result<GraphRecord, String> {
    let mut updates = Vec::new();
    for update in json::list(graph, "updates")? {
        let [name, at] = named(update, "update")?;
        updates.push((text(name)?.to_string(), json::size(at)?));
    }
    Ok(GraphRecord {
        nodes: node_list(graph, tensors)?,
        outputs: match graph.get("output") {
            Some(output) => vec![json::size(output)?],
            None => json::sizes(graph, "outputs")?,
        },
        updates,
    })
}

fn node_list(graph: &Value, tensors: &[Array]) -> Result<Vec<NodeRecord>, String> {
    let nodes = json::list(graph, "nodes")?.iter().enumerate();
    nodes
        .map(|(at, entry)| node(entry, tensors).map_err(|e| format!("node {at}: {e}")))
        .collect()
}

fn body(entry: &Value, name: &str, tensors: &[Array]) -> Result<Body, String> {
    let body = json::field(entry, name)?;
    Ok(Body {
        nodes: node_list(body, tensors).map_err(|e| format!("{name}: {e}"))?,
        outputs: json::sizes(body, "outputs")?,
    })
}

/// A branch, a loop or a scan.
fn control(entry: &Value, tensors: &[Array]) -> Result<Control, String> {
    let place = |name: &str| match entry.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(place) => json::size(place).map(Some),
    };
    let along = |axis: &Value, reverse: &Value| match (axis.as_i64(), reverse.as_bool()) {
        (Some(axis), Some(reverse)) => Ok(Along { axis, reverse }),
        _ => Err(format!("{axis}, {reverse} is no axis with a direction")),
    };
    Ok(match json::text(entry, "is")? {
        "branch" => Control::Branch {
            condition: json::size(json::field(entry, "condition")?)?,
            then: body(entry, "then", tensors)?,
            otherwise: body(entry, "otherwise", tensors)?,
        },
        "loop" => Control::Loop {
            trips: place("trips")?,
            condition: place("condition")?,
            states: json::sizes(entry, "states")?,
            body: body(entry, "body", tensors)?,
        },
        "scan" => {
            let mut sequences = Vec::new();
            for sequence in json::list(entry, "sequences")? {
                let [at, axis, reverse] = named(sequence, "sequence")?;
                sequences.push((json::size(at)?, along(axis, reverse)?));
            }
            let mut stacks = Vec::new();
            for stack in json::list(entry, "stacks")? {
                let [axis, reverse] = named(stack, "stack")?;
                stacks.push(along(axis, reverse)?);
            }
            Control::Scan {
                states: json::sizes(entry, "states")?,
                sequences,
                stacks,
                body: body(entry, "body", tensors)?,
            }
        }
        other => return Err(format!("{other} is no kind of control flow")),
    })
}

fn node(entry: &Value, tensors: &[Array]) -> Result<NodeRecord, String> {
    let source = if let Some(is) = entry.get("is") {
        match is.as_str() {
            // The only one of version 1.
            Some("input") => NodeSource::Input("x".into()),
            Some("step") => NodeSource::Step,
            _ => return Err(format!("{is} is no kind of node")),
        }
    } else if entry.get("input").is_some() {
        NodeSource::Input(json::text(entry, "input")?.to_string())
    } else if entry.get("parameter").is_some() {
        NodeSource::Parameter(json::text(entry, "parameter")?.to_string())
    } else if let Some(constant) = entry.get("constant") {
        NodeSource::Constant(json::size(constant)?)
    } else if let Some(series) = entry.get("series") {
        NodeSource::Series(series_of(series)?)
    } else if let Some(flow) = entry.get("control") {
        NodeSource::Control(Box::new(control(flow, tensors)?))
    } else if let Some(result) = entry.get("result") {
        let [of, number] = named(result, "result")?;
        NodeSource::Result {
            of: json::size(of)?,
            number: json::size(number)?,
        }
    } else if let Some(given) = entry.get("given") {
        NodeSource::Given(json::size(given)?)
    } else if let Some(outer) = entry.get("outer") {
        NodeSource::Outer(json::size(outer)?)
    } else {
        let mut attributes = RecordedAttributes::default();
        if entry.get("attributes").is_some() {
            let mut known = HashSet::new();
            for pair in json::list(entry, "attributes")? {
                let [name, value] = named(pair, "attribute")?;
                let name = text(name)?;
                if !known.insert(name) {
                    return Err(format!("the attribute {name:?} is there twice"));
                }
                let value = recorded(value, tensors)?;
                attributes = attributes.with(name.to_string(), value);
            }
        }
        NodeSource::Op {
            name: json::text(entry, "op")?.to_string(),
            attributes,
            inputs: json::sizes(entry, "inputs")?,
        }
    };
    let layer = match entry.get("layer") {
        Some(_) => Some(json::text(entry, "layer")?.to_string()),
        None => None,
    };
    Ok(NodeRecord { source, layer })
}

fn series_of(value: &Value) -> Result<Series, String> {
    let shape = json::list(value, "shape")?.iter().map(size);
    let steps = json::list(value, "steps")?.iter().map(number);
    Ok(Series {
        dtype: dtype(value)?,
        shape: shape.collect::<Result<_, _>>()?,
        start: number(json::field(value, "start")?)?,
        steps: steps.collect::<Result<_, _>>()?,
    })
}

/// A number that stands as a text.
fn number(value: &Value) -> Result<f64, String> {
    let number = value.as_str().and_then(|text| text.parse().ok());
    number.ok_or_else(|| format!("{value} is no number"))
}

fn size(value: &Value) -> Result<Size, String> {
    let bad = || format!("{value} is no size");
    let Value::Array(terms) = value else {
        return Ok(value.as_i64().ok_or_else(bad)?.into());
    };
    let term = |term: &Value| {
        let (coefficient, names) = term.as_array()?.split_first()?;
        let names = names.iter().map(|name| name.as_str().map(str::to_string));
        Some((coefficient.as_i64()?, names.collect::<Option<Vec<_>>>()?))
    };
    let terms = terms.iter().map(term).collect::<Option<Vec<_>>>();
    Size::new(terms.ok_or_else(bad)?).map_err(|e| e.to_string())
}

fn recorded(value: &Value, tensors: &[Array]) -> Result<RecordedAttribute, String> {
    if let Some(one) = value.get("size") {
        return Ok(RecordedAttribute::Size(size(one)?));
    }
    if value.get("sizes").is_some() {
        let all = json::list(value, "sizes")?.iter().map(size);
        return Ok(RecordedAttribute::Sizes(all.collect::<Result<_, _>>()?));
    }
    attribute(value, tensors).map(RecordedAttribute::Known)
}

fn attribute(value: &Value, tensors: &[Array]) -> Result<Attribute, String> {
    let bad = || format!("{value} is no attribute");
    Ok(match value {
        Value::Bool(v) => Attribute::Bool(*v),
        Value::Number(v) => Attribute::Int(v.as_i64().ok_or_else(bad)?),
        Value::String(v) => Attribute::Text(v.clone()),
        Value::Array(list) => {
            let numbers: Option<Vec<i64>> = list.iter().map(Value::as_i64).collect();
            Attribute::Ints(numbers.ok_or_else(bad)?)
        }
        Value::Object(object) if object.contains_key("floats") => {
            let numbers = json::list(value, "floats")?.iter().map(number);
            Attribute::Floats(numbers.collect::<Result<_, _>>()?)
        }
        Value::Object(object) if object.contains_key("bools") => {
            let words = json::list(value, "bools")?.iter().map(Value::as_bool);
            Attribute::Bools(words.collect::<Option<_>>().ok_or_else(bad)?)
        }
        Value::Object(object) if object.contains_key("texts") => {
            Attribute::Texts(json::texts(value, "texts")?)
        }
        Value::Object(object) if object.contains_key("tensor") => {
            let at = json::size(&object["tensor"])?;
            let tensor = tensors
                .get(at)
                .ok_or_else(|| format!("there is no tensor {at}"))?;
            Attribute::Tensor(tensor.clone())
        }
        Value::Object(_) => Attribute::Float(number(json::field(value, "float")?)?),
        Value::Null => return Err(bad()),
    })
}
