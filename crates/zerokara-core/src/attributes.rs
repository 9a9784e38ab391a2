//! The attributes of an operation: with its name, they are its identity.

use crate::{Array, DType, Elements, op::Padding};
use std::{
    borrow::Cow,
    fmt,
    hash::{Hash, Hasher},
};

/// The value of one attribute.
///
/// Attributes are an operation's identity, so they are equal if operations with them do the same: 0 differs from -0, and
/// every NaN equals every other. A tensor is known by its element type, its shape and its bits.
///
/// ```
/// use zerokara_core::{Array, Attribute};
/// assert_ne!(Attribute::Float(0.0), Attribute::Float(-0.0));
/// assert_eq!(Attribute::Float(f64::NAN), Attribute::Float(-f64::NAN));
/// let tensor = |shape, numbers: [f32; 2]| Attribute::Tensor(Array::new(shape, numbers));
/// assert_eq!(tensor([2, 1], [0.0, 1.0]), tensor([2, 1], [0.0, 1.0]));
/// assert_ne!(tensor([2, 1], [0.0, 1.0]), tensor([2, 1], [-0.0, 1.0]));
/// assert_ne!(tensor([2, 1], [0.0, 1.0]), tensor([1, 2], [0.0, 1.0]));
/// ```
#[derive(Clone, Debug)]
pub enum Attribute {
    /// An integer.
    Int(i64),
    /// A list of integers.
    Ints(Vec<i64>),
    /// A real number.
    Float(f64),
    /// A list of real numbers.
    Floats(Vec<f64>),
    /// A truth value.
    Bool(bool),
    /// A list of truth values.
    Bools(Vec<bool>),
    /// A text.
    Text(String),
    /// A list of texts.
    Texts(Vec<String>),
    /// A whole tensor.
    Tensor(Array),
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

    /// These attributes and then those.
    pub(crate) fn and(mut self, more: Attributes) -> Self {
        self.0.extend(more.0);
        self
    }

    /// The names and values, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Attribute)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value))
    }

    /// These attributes, and this one if there is none of its name.
    ///
    /// ```
    /// use zerokara_core::Attributes;
    /// let given = Attributes::none().with("groups", 2usize);
    /// let all = given.or("groups", 1usize).or("stride", [1, 1]);
    /// assert_eq!((all.size("groups")?, all.pair("stride")?), (2, [1, 1]));
    /// # Ok::<(), String>(())
    /// ```
    pub fn or(self, name: impl Into<Cow<'static, str>>, default: impl Into<Attribute>) -> Self {
        let name = name.into();
        match self.has(&name) {
            true => self,
            false => self.with(name, default),
        }
    }

    /// Whether there is one of this name.
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|(own, _)| own == name)
    }

    /// Those of them that are to be kept.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&str, &Attribute) -> bool) {
        self.0.retain(|(name, value)| keep(name, value));
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

    /// The list of numbers of this name.
    pub fn floats(&self, name: &str) -> Result<Cow<'_, [f64]>, String> {
        match self.get(name)? {
            Attribute::Floats(values) => Ok(values.into()),
            Attribute::Ints(values) => Ok(values.iter().map(|&v| v as f64).collect()),
            other => Err(format!(
                "attribute {name} must be a list of numbers, not {other}"
            )),
        }
    }

    /// The list of truth values of this name.
    pub fn bools(&self, name: &str) -> Result<&[bool], String> {
        match self.get(name)? {
            Attribute::Bools(values) => Ok(values),
            // A list without elements is of any type.
            Attribute::Ints(none) if none.is_empty() => Ok(&[]),
            other => Err(format!(
                "attribute {name} must be a list of true and false, not {other}"
            )),
        }
    }

    /// The list of texts of this name.
    pub fn texts(&self, name: &str) -> Result<&[String], String> {
        match self.get(name)? {
            Attribute::Texts(values) => Ok(values),
            Attribute::Ints(none) if none.is_empty() => Ok(&[]),
            other => Err(format!(
                "attribute {name} must be a list of words, not {other}"
            )),
        }
    }

    /// The tensor of this name.
    pub fn tensor(&self, name: &str) -> Result<&Array, String> {
        match self.get(name)? {
            Attribute::Tensor(value) => {
                let valid = value.valid();
                valid.map_err(|error| format!("attribute {name}: {error}"))
            }
            other => Err(format!("attribute {name} must be a tensor, not {other}")),
        }
    }

    /// The padding of this name.
    pub(crate) fn padding(&self, name: &str) -> Result<Padding, String> {
        match self.sizes(name)?[..] {
            [down, across] => Ok([down, across].into()),
            [above, left, below, right] => Ok([above, left, below, right].into()),
            _ => Err(format!(
                "attribute {name} must hold two integers (above and below, left and right) or four (above, left, below, \
                 right)"
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

/// Those of a list.
fn all_bits(values: &[f64]) -> impl Iterator<Item = u64> {
    values.iter().map(|&v| bits(v))
}

/// Whether tensors are the same to the bit; those that could not be made are alike.
fn is_same(a: &Array, b: &Array) -> bool {
    a.is_identical(b) || (a.valid().is_err() && b.valid().is_err())
}

fn hash_tensor<H: Hasher>(array: &Array, state: &mut H) {
    if array.valid().is_err() {
        return;
    }
    (array.shape(), array.dtype()).hash(state);
    match array.elements() {
        Elements::F32(x) => x.iter().for_each(|v| v.to_bits().hash(state)),
        Elements::F64(x) => x.iter().for_each(|v| v.to_bits().hash(state)),
        Elements::I64(x) => x.hash(state),
        Elements::U8(x) | Elements::Bool(x) => x.hash(state),
    }
}

impl PartialEq for Attribute {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Attribute::Int(a), Attribute::Int(b)) => a == b,
            (Attribute::Ints(a), Attribute::Ints(b)) => a == b,
            (Attribute::Float(a), Attribute::Float(b)) => bits(*a) == bits(*b),
            (Attribute::Floats(a), Attribute::Floats(b)) => all_bits(a).eq(all_bits(b)),
            (Attribute::Bool(a), Attribute::Bool(b)) => a == b,
            (Attribute::Bools(a), Attribute::Bools(b)) => a == b,
            (Attribute::Text(a), Attribute::Text(b)) => a == b,
            (Attribute::Texts(a), Attribute::Texts(b)) => a == b,
            (Attribute::Tensor(a), Attribute::Tensor(b)) => is_same(a, b),
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
            Attribute::Floats(v) => all_bits(v).for_each(|bits| bits.hash(state)),
            Attribute::Bool(v) => v.hash(state),
            Attribute::Bools(v) => v.hash(state),
            Attribute::Text(v) => v.hash(state),
            Attribute::Texts(v) => v.hash(state),
            Attribute::Tensor(v) => hash_tensor(v, state),
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Attribute::Int(v) => write!(f, "{v}"),
            Attribute::Ints(v) => write!(f, "{v:?}"),
            Attribute::Float(v) => write!(f, "{v}"),
            Attribute::Floats(v) => write!(f, "{v:?}"),
            Attribute::Bool(v) => write!(f, "{v}"),
            Attribute::Bools(v) => write!(f, "{v:?}"),
            Attribute::Text(v) => write!(f, "{v}"),
            Attribute::Texts(v) => write!(f, "[{}]", v.join(", ")),
            // Its elements may be many.
            Attribute::Tensor(v) => match v.valid() {
                Ok(v) => write!(f, "{}", v.meta()),
                Err(error) => write!(f, "{error}"),
            },
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

impl From<Vec<f64>> for Attribute {
    fn from(v: Vec<f64>) -> Self {
        Attribute::Floats(v)
    }
}

impl From<Vec<bool>> for Attribute {
    fn from(v: Vec<bool>) -> Self {
        Attribute::Bools(v)
    }
}

impl From<Vec<String>> for Attribute {
    fn from(v: Vec<String>) -> Self {
        Attribute::Texts(v)
    }
}

impl From<Array> for Attribute {
    fn from(v: Array) -> Self {
        Attribute::Tensor(v)
    }
}

impl From<Padding> for Attribute {
    /// Two numbers if it is the same before and behind, else four.
    fn from(padding: Padding) -> Self {
        let Padding { before, behind } = padding;
        match padding.is_even() {
            true => before.into(),
            false => [before, behind].as_flattened().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

    /// Attributes that are the same have the same hash, and are the same only as themselves.
    #[test]
    fn attributes_are_known_by_their_bits() {
        let floats = |v: &[f64]| Attribute::Floats(v.to_vec());
        let broken = || Attribute::Tensor(Array::new([3], [1.0f32]));
        let all = [
            Attribute::Ints(vec![]),
            floats(&[]),
            Attribute::Bools(vec![]),
            Attribute::Texts(vec![]),
            floats(&[0.0, f64::NAN]),
            floats(&[-0.0, f64::NAN]),
            Attribute::Bools(vec![true, false]),
            Attribute::Texts(vec!["a".into(), "b".into()]),
            Attribute::Text("[a, b]".into()),
            Attribute::Tensor(Array::new([2], [0.0f32, f32::NAN])),
            Attribute::Tensor(Array::new([2], [0.0f64, f64::NAN])),
            Attribute::Tensor(Array::new([2, 1], [0.0f32, f32::NAN])),
            Attribute::Tensor(Array::new([2], [1u8, 0])),
            Attribute::Tensor(Array::new([2], [1i64, 0])),
            Attribute::Tensor(Array::new([2], vec![true, false])),
            broken(),
        ];
        let hashes = BuildHasherDefault::<DefaultHasher>::default();
        for (i, a) in all.iter().enumerate() {
            for (j, b) in all.iter().enumerate() {
                assert_eq!(a == b, i == j, "{a} {b}");
            }
            assert_eq!(hashes.hash_one(a), hashes.hash_one(a.clone()));
        }
        assert_eq!(floats(&[f64::NAN]), floats(&[-f64::NAN]));
        assert_eq!(
            hashes.hash_one(floats(&[f64::NAN])),
            hashes.hash_one(floats(&[-f64::NAN]))
        );
    }

    #[test]
    fn lists_and_tensors_are_read_as_what_they_are() {
        let a = Attributes::none()
            .with("ints", &[1i64, 2][..])
            .with("floats", vec![0.5, 1.0])
            .with("bools", vec![true])
            .with("texts", vec!["x".to_string()])
            .with("none", Attribute::Ints(vec![]))
            .with("tensor", Array::new([1], [7u8]))
            .with("broken", Array::new([2], [7u8]));
        assert_eq!(a.floats("ints").unwrap()[..], [1.0, 2.0]);
        assert_eq!(a.floats("floats").unwrap()[..], [0.5, 1.0]);
        assert_eq!(
            (a.bools("bools"), a.bools("none")),
            (Ok(&[true][..]), Ok(&[][..]))
        );
        assert_eq!(a.texts("texts").unwrap(), ["x"]);
        assert!(a.texts("none").unwrap().is_empty() && a.floats("none").unwrap().is_empty());
        assert_eq!(a.tensor("tensor").unwrap().as_slice::<u8>().unwrap(), [7]);
        assert!(
            a.tensor("broken")
                .unwrap_err()
                .contains("1 element does not fill")
        );
        assert!(a.tensor("gone").unwrap_err().contains("is missing"));
        assert!(a.bools("ints").unwrap_err().contains("not [1, 2]"));
        assert!(a.ints("floats").is_err() && a.tensor("texts").is_err());
        let text = "ints=[1, 2], floats=[0.5, 1.0], bools=[true], texts=[x], none=[], tensor=u8[1]";
        assert!(a.to_string().starts_with(text), "{a}");
    }
}
