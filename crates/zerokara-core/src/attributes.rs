//! The attributes of an operation: with its name, they are its identity.

use crate::DType;
use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
};

/// The value of one attribute.
///
/// Attributes are an operation's identity, so they are equal if operations with them do the same: 0 differs from -0, and
/// every NaN equals every other.
///
/// ```
/// use zerokara_core::Attribute;
/// assert_ne!(Attribute::Float(0.0), Attribute::Float(-0.0));
/// assert_eq!(Attribute::Float(f64::NAN), Attribute::Float(-f64::NAN));
/// ```
#[derive(Clone, Debug)]
pub enum Attribute {
    /// An integer.
    Int(i64),
    /// A list of integers.
    Ints(Vec<i64>),
    /// A real number.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A word.
    Text(String),
}

/// Named attributes in the order in which the operation lists them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes(Vec<(Cow<'static, str>, Attribute)>);

impl Attributes {
    /// No attributes.
    pub fn none() -> Self {
        Self::default()
    }

    /// These attributes and one more.
    pub fn with(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<Attribute>) -> Self {
        self.0.push((name.into(), value.into()));
        self
    }

    /// The names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attribute)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn get(&self, name: &str) -> Result<&Attribute, String> {
        self.iter()
            .find(|(n, _)| *n == name)
            .map(|(_, value)| value)
            .ok_or_else(|| format!("attribute {name} is missing"))
    }

    /// The integer of this name.
    pub fn int(&self, name: &str) -> Result<i64, String> {
        match self.get(name)? {
            Attribute::Int(value) => Ok(*value),
            other => Err(format!("attribute {name} must be an integer, not {other}")),
        }
    }

    /// The non-negative integer of this name.
    pub fn size(&self, name: &str) -> Result<usize, String> {
        usize::try_from(self.int(name)?)
            .map_err(|_| format!("attribute {name} must not be negative"))
    }

    /// The list of integers of this name.
    pub fn ints(&self, name: &str) -> Result<&[i64], String> {
        match self.get(name)? {
            Attribute::Ints(values) => Ok(values),
            other => Err(format!(
                "attribute {name} must be a list of integers, not {other}"
            )),
        }
    }

    /// The list of non-negative integers of this name.
    pub fn sizes(&self, name: &str) -> Result<Vec<usize>, String> {
        self.ints(name)?
            .iter()
            .map(|&v| {
                usize::try_from(v)
                    .map_err(|_| format!("attribute {name} must not hold negative numbers"))
            })
            .collect()
    }

    /// The two non-negative integers of this name.
    pub fn pair(&self, name: &str) -> Result<[usize; 2], String> {
        self.sizes(name)?
            .try_into()
            .map_err(|_| format!("attribute {name} must hold two integers"))
    }

    /// The number of this name.
    pub fn float(&self, name: &str) -> Result<f64, String> {
        match self.get(name)? {
            Attribute::Float(value) => Ok(*value),
            Attribute::Int(value) => Ok(*value as f64),
            other => Err(format!("attribute {name} must be a number, not {other}")),
        }
    }

    /// The truth value of this name.
    pub fn bool(&self, name: &str) -> Result<bool, String> {
        match self.get(name)? {
            Attribute::Bool(value) => Ok(*value),
            other => Err(format!(
                "attribute {name} must be true or false, not {other}"
            )),
        }
    }

    /// The word of this name.
    pub fn text(&self, name: &str) -> Result<&str, String> {
        match self.get(name)? {
            Attribute::Text(value) => Ok(value),
            other => Err(format!("attribute {name} must be a word, not {other}")),
        }
    }

    /// The element type of this name.
    pub fn dtype(&self, name: &str) -> Result<DType, String> {
        let word = self.text(name)?;
        DType::from_name(word).ok_or_else(|| format!("{word} is no element type"))
    }
}

/// The bits of a number, the same ones of every NaN.
fn bits(value: f64) -> u64 {
    if value.is_nan() { f64::NAN } else { value }.to_bits()
}

impl PartialEq for Attribute {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Attribute::Int(a), Attribute::Int(b)) => a == b,
            (Attribute::Ints(a), Attribute::Ints(b)) => a == b,
            (Attribute::Float(a), Attribute::Float(b)) => bits(*a) == bits(*b),
            (Attribute::Bool(a), Attribute::Bool(b)) => a == b,
            (Attribute::Text(a), Attribute::Text(b)) => a == b,
            _ => false,
        }
    }
}

impl Eq for Attribute {}

impl Hash for Attribute {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        match self {
            Attribute::Int(v) => v.hash(state),
            Attribute::Ints(v) => v.hash(state),
            Attribute::Float(v) => bits(*v).hash(state),
            Attribute::Bool(v) => v.hash(state),
            Attribute::Text(v) => v.hash(state),
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::Int(v) => write!(f, "{v}"),
            Attribute::Ints(v) => write!(f, "{v:?}"),
            Attribute::Float(v) => write!(f, "{v}"),
            Attribute::Bool(v) => write!(f, "{v}"),
            Attribute::Text(v) => write!(f, "{v}"),
        }
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, (name, value)) in self.iter().enumerate() {
            write!(f, "{}{name}={value}", if i > 0 { ", " } else { "" })?;
        }
        Ok(())
    }
}

impl From<i64> for Attribute {
    fn from(v: i64) -> Self {
        Attribute::Int(v)
    }
}

impl From<usize> for Attribute {
    fn from(v: usize) -> Self {
        Attribute::Int(v as i64)
    }
}

impl From<f64> for Attribute {
    fn from(v: f64) -> Self {
        Attribute::Float(v)
    }
}

impl From<bool> for Attribute {
    fn from(v: bool) -> Self {
        Attribute::Bool(v)
    }
}

impl From<&str> for Attribute {
    fn from(v: &str) -> Self {
        Attribute::Text(v.to_string())
    }
}

impl From<DType> for Attribute {
    fn from(v: DType) -> Self {
        Attribute::Text(v.to_string())
    }
}

impl From<&[i64]> for Attribute {
    fn from(v: &[i64]) -> Self {
        Attribute::Ints(v.to_vec())
    }
}

impl From<&[usize]> for Attribute {
    fn from(v: &[usize]) -> Self {
        Attribute::Ints(v.iter().map(|&x| x as i64).collect())
    }
}

impl From<[usize; 2]> for Attribute {
    fn from(v: [usize; 2]) -> Self {
        v.as_slice().into()
    }
}
