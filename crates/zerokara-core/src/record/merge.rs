//! One graph for any lengths from traces with several.

use super::{
    GraphRecord, NodeRecord, NodeSource, RecordedAttribute, RecordedAttributes, Series, Size,
    fit::Points,
    trace::{Trace, TracedNode, TracedSource},
};
use crate::{Array, Attribute, Attributes, Axis, Error, Meta, Port, Result};
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

/// The graph of traces with the first of these lengths, and its outputs; `None` if more traces are needed to tell.
///
/// # Errors
/// If the traces differ in a way that does not follow from lengths; the message says where.
pub(super) fn merge(
    traces: &[Trace],
    points: &Points<'_>,
    constants: &mut Constants,
) -> Result<Option<(GraphRecord, Vec<Port>)>> {
    let Some((first, others)) = traces.split_first() else {
        return Ok(None);
    };
    let merging = Merging {
        points,
        is_last: traces.len() == points.lengths.len(),
    };
    for other in others {
        let names = |trace: &Trace| -> Vec<_> {
            let outputs = trace.outputs.iter();
            outputs
                .map(|(n, at, m)| (n.clone(), *at, m.dtype))
                .collect()
        };
        let is_alike = first.nodes.len() == other.nodes.len()
            && names(first) == names(other)
            && first.updates == other.updates;
        // What is said first is where they part.
        if !is_alike && first.nodes.iter().zip(&other.nodes).all(alike) {
            return Err(Error::new(
                "it computes something else for one length than for another",
            ));
        }
    }
    let mut nodes = Vec::with_capacity(first.nodes.len());
    for (at, node) in first.nodes.iter().enumerate() {
        let each: Vec<&TracedNode> = traces.iter().filter_map(|t| t.nodes.get(at)).collect();
        let same = each.len() == traces.len() && each.iter().all(|&n| alike((node, n)));
        if !same {
            return Err(part(
                node,
                "is something else for one length than for another",
            ));
        }
        let Some(source) = merging.source(&each, constants)? else {
            return Ok(None);
        };
        nodes.push(NodeRecord {
            source,
            layer: node.layer.clone(),
        });
    }
    let mut ports = Vec::new();
    for (at, (name, _, meta)) in first.outputs.iter().enumerate() {
        let metas: Vec<&Meta> = traces.iter().map(|t| &t.outputs[at].2).collect();
        let Some(axes) = merging.axes(name, meta, &metas)? else {
            return Ok(None);
        };
        ports.push(Port::new(name.clone(), meta.dtype, axes));
    }
    let graph = GraphRecord {
        nodes,
        outputs: first.outputs.iter().map(|(_, at, _)| *at).collect(),
        updates: first.updates.clone(),
    };
    Ok(Some((graph, ports)))
}

/// Whether two nodes are the same but for numbers.
fn alike((a, b): (&TracedNode, &TracedNode)) -> bool {
    let sources = match (&a.source, &b.source) {
        (TracedSource::Constant(a), TracedSource::Constant(b)) => {
            a.dtype() == b.dtype() && a.shape().len() == b.shape().len()
        }
        (
            TracedSource::Op { name, inputs, .. },
            TracedSource::Op {
                name: other,
                inputs: others,
                ..
            },
        ) => name == other && inputs == others,
        (a, b) => a == b,
    };
    sources && a.layer == b.layer
}

/// An error about a node.
fn part(node: &TracedNode, what: &str) -> Error {
    let name = match &node.source {
        TracedSource::Op { name, .. } => name,
        TracedSource::Constant(_) => "a constant",
        _ => "an input",
    };
    let layer = node.layer.as_deref().filter(|layer| !layer.is_empty());
    let layer = layer
        .map(|l| format!(" (in layer {l})"))
        .unwrap_or_default();
    Error::new(format!("{name}{layer} {what}\n  at {}", node.location))
}

struct Merging<'a> {
    points: &'a Points<'a>,
    /// Whether all traces are there.
    is_last: bool,
}

impl Merging<'_> {
    fn source(
        &self,
        each: &[&TracedNode],
        constants: &mut Constants,
    ) -> Result<Option<NodeSource>> {
        let node = each[0];
        Ok(Some(match &node.source {
            TracedSource::Input(name) => NodeSource::Input(name.clone()),
            TracedSource::Step => NodeSource::Step,
            TracedSource::Parameter(name) => NodeSource::Parameter(name.clone()),
            TracedSource::Constant(value) => {
                let values: Vec<&Array> = each
                    .iter()
                    .filter_map(|node| match &node.source {
                        TracedSource::Constant(value) => Some(value),
                        _ => None,
                    })
                    .collect();
                if values.iter().all(|other| other.is_identical(value)) {
                    return Ok(Some(NodeSource::Constant(constants.number(value))));
                }
                match self.series(&values) {
                    Some(source) => source,
                    None if !self.is_last => return Ok(None),
                    None => {
                        let [a, b] = [values[0], values[1]].map(|v| v.meta());
                        return Err(part(
                            node,
                            &format!(
                                "is made on the host and differs with a length ({a} and {b}): only numbers that are the same everywhere or evenly spaced, as positions are, can be recorded for any length; compute it from such numbers with operations of tensors, or take it as an input"
                            ),
                        ));
                    }
                }
            }
            TracedSource::Op {
                name,
                attributes,
                inputs,
            } => {
                let lists: Vec<&Attributes> = each
                    .iter()
                    .filter_map(|node| match &node.source {
                        TracedSource::Op { attributes, .. } => Some(attributes),
                        _ => None,
                    })
                    .collect();
                let attributes = match lists.iter().all(|other| *other == attributes) {
                    true => attributes.clone().into(),
                    false => match self.attributes(&lists) {
                        Some(attributes) => attributes,
                        None if !self.is_last => return Ok(None),
                        None => {
                            return Err(part(
                                node,
                                &format!(
                                    "has attributes that do not follow from lengths as sums of products do: {} and {}",
                                    lists[0], lists[1]
                                ),
                            ));
                        }
                    },
                };
                NodeSource::Op {
                    name: name.to_string(),
                    attributes,
                    inputs: inputs.clone(),
                }
            }
        }))
    }

    fn attributes(&self, lists: &[&Attributes]) -> Option<RecordedAttributes> {
        let mut found = RecordedAttributes::default();
        let lists: Vec<Vec<(&str, &Attribute)>> =
            lists.iter().map(|list| list.iter().collect()).collect();
        for (at, &(name, first)) in lists[0].iter().enumerate() {
            let each: Option<Vec<&Attribute>> = lists
                .iter()
                .map(|list| list.get(at).filter(|(n, _)| *n == name).map(|(_, a)| *a))
                .collect();
            let each = each.filter(|_| lists.iter().all(|list| list.len() == lists[0].len()))?;
            let value = if each.iter().all(|other| *other == first) {
                RecordedAttribute::Known(first.clone())
            } else if let Attribute::Ints(numbers) = first {
                let sizes = (0..numbers.len()).map(|i| {
                    let each = each.iter().map(|a| match a {
                        Attribute::Ints(others) if others.len() == numbers.len() => Some(others[i]),
                        _ => None,
                    });
                    self.points.fit(&each.collect::<Option<Vec<i64>>>()?)
                });
                RecordedAttribute::Sizes(sizes.collect::<Option<_>>()?)
            } else {
                let each = each.iter().map(|a| match a {
                    Attribute::Int(number) => Some(*number),
                    _ => None,
                });
                RecordedAttribute::Size(self.points.fit(&each.collect::<Option<Vec<i64>>>()?)?)
            };
            found = found.with(name.to_string(), value);
        }
        Some(found)
    }

    /// The shape of metas that have as many axes; the places of those that do not follow from lengths are empty.
    fn shape(&self, metas: &[Meta]) -> Vec<Option<Size>> {
        let axes = metas.first().map_or(0, Meta::rank);
        let axis = |axis: usize| {
            let each = metas.iter().map(|meta| meta.shape.get(axis));
            let each = each.map(|length| i64::try_from(*length?).ok());
            self.points.fit(&each.collect::<Option<Vec<i64>>>()?)
        };
        (0..axes).map(axis).collect()
    }

    /// Constants of several lengths as what makes them for any.
    fn series(&self, values: &[&Array]) -> Option<NodeSource> {
        let metas: Vec<Meta> = values.iter().map(|value| value.meta()).collect();
        let shape: Vec<Size> = self.shape(&metas).into_iter().collect::<Option<_>>()?;
        let value = values[0];
        let start = value.get_f64(0)?;
        let strides = crate::shape::row_major(value.shape());
        let steps = value.shape().iter().zip(strides).map(|(&length, stride)| {
            match (length, value.get_f64(stride as usize)) {
                (2.., Some(next)) => next - start,
                _ => 0.0,
            }
        });
        let series = Series {
            dtype: value.dtype(),
            shape,
            start,
            steps: steps.collect(),
        };
        let is_right = |value: &&Array| {
            let made = series.array(value.shape());
            made.is_ok_and(|made| made.is_identical(value))
        };
        if !values.iter().all(is_right) {
            return None;
        }
        if series.steps.iter().any(|step| *step != 0.0) {
            return Some(NodeSource::Series(series));
        }
        // The same everywhere: an operation that need not be stored.
        let fill = RecordedAttributes::default()
            .with("value", start)
            .with("shape", RecordedAttribute::Sizes(series.shape))
            .with("dtype", series.dtype);
        Some(NodeSource::Op {
            name: "fill".into(),
            attributes: fill,
            inputs: Vec::new(),
        })
    }

    fn axes(&self, name: &str, meta: &Meta, metas: &[&Meta]) -> Result<Option<Vec<Axis>>> {
        if metas.iter().any(|other| other.rank() != meta.rank()) {
            return Err(Error::new(format!(
                "the output {name} has another number of axes for one length than for another"
            )));
        }
        let metas: Vec<Meta> = metas.iter().map(|&meta| meta.clone()).collect();
        let sizes = self.shape(&metas);
        if !self.is_last && sizes.iter().any(Option::is_none) {
            return Ok(None);
        }
        let axes = sizes.into_iter().enumerate().map(|(at, size)| match size {
            Some(size) => match (size.known(), size.name()) {
                (Some(length), _) => Axis::Fixed(usize::try_from(length).unwrap_or(0)),
                (None, Some(name)) => Axis::Any(name.clone()),
                (None, None) => Axis::Any(size.to_string().into()),
            },
            None => Axis::Any(format!("{name}.{at}").into()),
        });
        Ok(Some(axes.collect()))
    }
}

impl Series {
    /// The numbers in a shape that `shape` stands for.
    ///
    /// # Errors
    /// If there is no memory for them.
    pub(super) fn array(&self, shape: &[usize]) -> Result<Array> {
        let meta = Meta::new(shape, crate::DType::F64);
        let mut numbers = Array::try_zeros(&meta)?;
        for (at, number) in numbers.as_mut_slice::<f64>()?.iter_mut().enumerate() {
            *number = self.start;
            let mut rest = at;
            for (&length, &step) in shape.iter().zip(&self.steps).rev() {
                // So that adding nothing leaves a zero's sign.
                if step != 0.0 {
                    *number += (rest % length) as f64 * step;
                }
                rest /= length;
            }
        }
        Ok(numbers.cast(self.dtype))
    }
}

/// The constants of a record; those of the same bits share a number.
#[derive(Default)]
pub(super) struct Constants {
    pub list: Vec<Array>,
    /// The numbers of constants by a hash of what they hold.
    known: HashMap<u64, Vec<usize>>,
}

impl Constants {
    fn number(&mut self, value: &Array) -> usize {
        let mut hash = DefaultHasher::new();
        value.meta().hash(&mut hash);
        // A few elements tell most apart; the rest is compared.
        for at in (0..value.len()).take(16) {
            value.get_f64(at).map(f64::to_bits).hash(&mut hash);
        }
        let alike = self.known.entry(hash.finish()).or_default();
        let same = alike.iter().find(|&&at| self.list[at].is_identical(value));
        if let Some(&at) = same {
            return at;
        }
        alike.push(self.list.len());
        self.list.push(value.clone());
        self.list.len() - 1
    }
}
