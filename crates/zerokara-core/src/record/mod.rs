//! Models as data: nodes, parameters, constants and a signature, without the code or the layers that they come from.
//!
//! A [`ModelRecord`] is what is saved, exported and imported. It is made by tracing a forward pass
//! ([`ModelRecord::trace`]) or node by node, and computes by itself ([`ModelRecord::run`]).

mod control;
mod fit;
mod merge;
mod run;
mod size;
mod trace;
mod validate;

pub use control::{Along, Body, Control};
pub use run::{Applied, Pass};
pub use size::{Lengths, Size};
pub use trace::{Cell, Passed, nodes};

use crate::{Array, Attribute, Attributes, DType, Metas, Result, Signature};
use std::{borrow::Cow, sync::Arc};

/// A model as data, whatever its forward pass was written in.
///
/// ```
/// use zerokara_core::{Array, DType, Metas, Meta, Port, Signature, record::*};
/// // y = 2 x, for any number of rows.
/// let node = |source| NodeRecord { source, layer: None };
/// let double = GraphRecord {
///     nodes: vec![
///         node(NodeSource::Input("x".into())),
///         node(NodeSource::op("add", [], [0, 0])),
///     ],
///     outputs: vec![1],
///     updates: vec![],
/// };
/// let record = ModelRecord {
///     signature: Signature {
///         inputs: vec![Port::new("x", DType::F32, ["batch"])],
///         outputs: vec![Port::new("y", DType::F32, ["batch"])],
///         states: vec![],
///     },
///     lengths: Lengths::one("batch", 1),
///     evaluate: double.clone(),
///     train: double,
///     parameters: vec![],
///     constants: vec![],
/// };
/// record.check()?;
/// let y = record.run(&[("x", Array::new([3], vec![1.0f32, 2.0, 3.0]))].into())?;
/// assert_eq!(y.find("y")?.as_slice::<f32>()?, [2.0, 4.0, 6.0]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ModelRecord {
    /// What the model takes and gives, and which lengths may be any.
    pub signature: Signature,
    /// Those lengths as they were when the model was recorded; limits of work are for inputs of such sizes.
    pub lengths: Lengths,
    /// The forward pass of evaluation.
    pub evaluate: GraphRecord,
    /// The forward pass of training, with the updates of running statistics.
    pub train: GraphRecord,
    /// Parameters and buffers, in the order of the model's parts.
    pub parameters: Vec<ParameterRecord>,
    /// The constants that nodes name by number.
    pub constants: Vec<Array>,
}

/// A forward pass as data.
#[derive(Clone, Debug, PartialEq)]
pub struct GraphRecord {
    /// The nodes, inputs before those that use them.
    pub nodes: Vec<NodeRecord>,
    /// The position of each output, in the order of the signature.
    pub outputs: Vec<usize>,
    /// Names of buffers, each with the position of the value that it takes after a step.
    pub updates: Vec<(String, usize)>,
}

/// A node of a forward pass.
#[derive(Clone, Debug, PartialEq)]
pub struct NodeRecord {
    /// Where its value comes from.
    pub source: NodeSource,
    /// The path of the layer that it belongs to.
    pub layer: Option<String>,
}

/// Where a node's value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum NodeSource {
    /// The input of this name.
    Input(String),
    /// The number of the step, which random draws take.
    Step,
    /// The parameter or buffer of this name.
    Parameter(String),
    /// The constant of this number.
    Constant(usize),
    /// Evenly spaced numbers, in a shape that may follow from lengths which may be any.
    Series(Series),
    /// A branch or a loop, which has several results.
    Control(Box<Control>),
    /// A result of a branch or loop.
    Result {
        /// The position of the branch or loop.
        of: usize,
        /// Which of its results.
        number: usize,
    },
    /// In a body: what it is given at this place.
    Given(usize),
    /// In a body: the node at this position of the graph around it.
    Outer(usize),
    /// An operation of the registry.
    Op {
        /// Its name.
        name: String,
        /// Its attributes.
        attributes: RecordedAttributes,
        /// The positions of its inputs.
        inputs: Vec<usize>,
    },
}

impl NodeSource {
    /// An operation with these attributes and the positions of its inputs.
    pub fn op<const A: usize, const I: usize>(
        name: impl Into<String>,
        attributes: [(&'static str, RecordedAttribute); A],
        inputs: [usize; I],
    ) -> Self {
        let mut found = RecordedAttributes::default();
        for (name, value) in attributes {
            found = found.with(name, value);
        }
        NodeSource::Op {
            name: name.into(),
            attributes: found,
            inputs: inputs.into(),
        }
    }
}

/// Numbers evenly spaced along each axis, as positions in a sequence are: at index `i` stands
/// `start + steps[0] i[0] + steps[1] i[1] + ..`, computed in f64.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// The element type.
    pub dtype: DType,
    /// The length of each axis.
    pub shape: Vec<Size>,
    /// The first number.
    pub start: f64,
    /// The distance of neighbours along each axis.
    pub steps: Vec<f64>,
}

/// A parameter or buffer as data.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterRecord {
    /// Its path in the model.
    pub name: String,
    /// Whether gradients change it.
    pub trainable: bool,
    /// Its value.
    pub value: Array,
}

/// The value of an operation's attribute, which may follow from lengths that may be any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedAttribute {
    /// The same for all lengths.
    Known(Attribute),
    /// An integer that follows from lengths.
    Size(Size),
    /// A list of integers, some of which follow from lengths.
    Sizes(Vec<Size>),
}

impl<A: Into<Attribute>> From<A> for RecordedAttribute {
    fn from(attribute: A) -> Self {
        RecordedAttribute::Known(attribute.into())
    }
}

/// The attributes of a recorded operation, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordedAttributes(Vec<(Cow<'static, str>, RecordedAttribute)>);

impl RecordedAttributes {
    /// These attributes and one more.
    pub fn with(
        mut self,
        name: impl Into<Cow<'static, str>>,
        value: impl Into<RecordedAttribute>,
    ) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// The names and values, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &RecordedAttribute)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The attributes for these lengths.
    ///
    /// # Errors
    /// As [`Size::value`].
    pub fn at(&self, lengths: &Lengths) -> Result<Attributes> {
        let mut found = Attributes::none();
        for (name, value) in &self.0 {
            let value = match value {
                RecordedAttribute::Known(attribute) => attribute.clone(),
                RecordedAttribute::Size(size) => Attribute::Int(size.value(lengths)?),
                RecordedAttribute::Sizes(sizes) => {
                    let sizes = sizes.iter().map(|size| size.value(lengths));
                    Attribute::Ints(sizes.collect::<Result<_>>()?)
                }
            };
            found = found.with(name.clone(), value);
        }
        Ok(found)
    }
}

impl From<Attributes> for RecordedAttributes {
    fn from(attributes: Attributes) -> Self {
        let known = |(name, value): (&str, &Attribute)| {
            let value = RecordedAttribute::Known(value.clone());
            (Cow::Owned(name.to_string()), value)
        };
        Self(attributes.iter().map(known).collect())
    }
}

impl ModelRecord {
    /// Shapes and element types of inputs as they were when the model was recorded, with at least two samples where
    /// `batch` may be any: one sample has no variance.
    ///
    /// # Errors
    /// If the record does not say a length.
    pub fn sample(&self) -> Result<Metas> {
        let lengths = self.sample_lengths();
        self.signature.metas(&lengths)
    }

    /// The most inputs, outputs, states and lengths, of each: they are looked up by going through all.
    pub const MOST_PORTS: usize = 1000;

    fn sample_lengths(&self) -> Lengths {
        self.lengths.map(|name, &length| match name {
            BATCH => length.max(2),
            _ => length,
        })
    }
}

/// The name of the samples' axis where nobody says another.
pub const BATCH: &str = "batch";

impl Signature {
    /// The length of each axis that may be any, as these inputs have it.
    ///
    /// # Errors
    /// If an input is missing, or does not have the element type or the axes of its port, or two inputs differ where they
    /// must agree: the message names both.
    pub fn lengths(&self, inputs: &Metas) -> Result<Lengths> {
        validate::bind(&self.inputs, inputs)
    }

    /// Shapes and element types of the inputs for these lengths.
    ///
    /// # Errors
    /// If one is not known.
    pub fn metas(&self, lengths: &Lengths) -> Result<Metas> {
        let each = self.inputs.iter().map(|port| {
            let meta = port.meta(|name| lengths.get(name).copied())?;
            Ok::<_, crate::Error>((port.name.clone(), meta))
        });
        each.collect::<Result<Vec<(Arc<str>, _)>>>()
            .map(|pairs| pairs.into_iter().collect())
    }
}
