//! Signatures: names, element types and axes of what a model takes and gives, where a length may be any.

use crate::{DType, Error, Meta, Result};
use std::{fmt, sync::Arc};

/// The length of an axis: a number, or a name that stands for any number, the same one wherever it appears.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Axis {
    /// So long.
    Fixed(usize),
    /// Of any length: `batch`, `length`.
    Any(Arc<str>),
}

impl Axis {
    /// The length, if it is a number.
    pub fn fixed(&self) -> Option<usize> {
        match self {
            Axis::Fixed(length) => Some(*length),
            Axis::Any(_) => None,
        }
    }
}

impl From<usize> for Axis {
    fn from(length: usize) -> Self {
        Axis::Fixed(length)
    }
}

impl From<&str> for Axis {
    fn from(name: &str) -> Self {
        Axis::Any(name.into())
    }
}

impl fmt::Display for Axis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Axis::Fixed(length) => write!(f, "{length}"),
            Axis::Any(name) => f.write_str(name),
        }
    }
}

/// One value that a model takes or gives.
///
/// ```
/// use zerokara_core::{DType, Port};
/// let tokens = Port::new("tokens", DType::I64, ["batch", "length"]);
/// assert_eq!(tokens.to_string(), "tokens: i64 [batch, length]");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The name.
    pub name: Arc<str>,
    /// The element type.
    pub dtype: DType,
    /// The length of each axis.
    pub axes: Vec<Axis>,
}

impl Port {
    /// A value of this name, element type and axes.
    pub fn new<A: Into<Axis>>(
        name: impl Into<Arc<str>>,
        dtype: DType,
        axes: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            name: name.into(),
            dtype,
            axes: axes.into_iter().map(Into::into).collect(),
        }
    }

    /// Shape and element type where the lengths that may be any are as `lengths` says.
    ///
    /// # Errors
    /// If `lengths` does not know a name.
    pub fn meta(&self, lengths: impl Fn(&str) -> Option<usize>) -> Result<Meta> {
        let length = |axis: &Axis| match axis {
            Axis::Fixed(length) => Ok(*length),
            Axis::Any(name) => lengths(name)
                .ok_or_else(|| Error::new(format!("{self} has a length {name} that is not known"))),
        };
        let shape = self.axes.iter().map(length).collect::<Result<Vec<_>>>()?;
        Ok(Meta::new(shape, self.dtype))
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} [", self.name, self.dtype)?;
        for (at, axis) in self.axes.iter().enumerate() {
            write!(f, "{}{axis}", if at > 0 { ", " } else { "" })?;
        }
        f.write_str("]")
    }
}

/// What a model takes and gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signature {
    /// What it takes, in order.
    pub inputs: Vec<Port>,
    /// What it gives, in order.
    pub outputs: Vec<Port>,
    /// States that are carried from step to step: the name of an input, and that of the output which is its next value.
    pub states: Vec<(Arc<str>, Arc<str>)>,
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |ports: &[Port]| {
            let each: Vec<String> = ports.iter().map(Port::to_string).collect();
            each.join(", ")
        };
        write!(f, "({}) -> ({})", list(&self.inputs), list(&self.outputs))
    }
}
