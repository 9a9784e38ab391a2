//! Values with names: what a model takes and gives.

use crate::{Array, Error, Meta, Result, Tensor};
use std::sync::Arc;

/// Values with names, in order; each name is there once.
///
/// ```
/// use zerokara_core::{Tensor, Tensors};
/// let inputs = Tensors::from([("image", Tensor::zeros([2, 3])), ("age", Tensor::zeros([2]))]);
/// assert_eq!(inputs.tensor("age").shape()?, [2]);
/// println!("{}", inputs.tensor("size").eval().unwrap_err()); // which names there are, this line
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Named<T>(Vec<(Arc<str>, T)>);

/// Tensors with names.
pub type Tensors = Named<Tensor>;
/// Arrays with names.
pub type Arrays = Named<Array>;
/// Shapes and element types with names.
pub type Metas = Named<Meta>;

impl<T> Named<T> {
    /// No values.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// One value.
    pub fn one(name: impl Into<Arc<str>>, value: T) -> Self {
        Self(vec![(name.into(), value)])
    }

    /// These values and one more; it takes the place of one that has its name.
    pub fn with(mut self, name: impl Into<Arc<str>>, value: T) -> Self {
        self.insert(name, value);
        self
    }

    /// Puts a value at the end, or in the place of the one that has its name.
    pub fn insert(&mut self, name: impl Into<Arc<str>>, value: T) {
        let name = name.into();
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some((_, place)) => *place = value,
            None => self.0.push((name, value)),
        }
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&T> {
        let found = self.0.iter().find(|(known, _)| &**known == name);
        found.map(|(_, value)| value)
    }

    /// The value, if there is one and no other.
    pub fn only(&self) -> Option<&T> {
        match &self.0[..] {
            [(_, value)] => Some(value),
            _ => None,
        }
    }

    /// Name and value of this number, counted from 0.
    ///
    /// # Panics
    /// If there are no more than `number` values.
    pub fn entry(&self, number: usize) -> (&str, &T) {
        let (name, value) = &self.0[number];
        (name, value)
    }

    /// Names and values, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &T)> + Clone {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// The names, in order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        self.iter().map(|(name, _)| name)
    }

    /// The values, in order.
    pub fn values(&self) -> impl ExactSizeIterator<Item = &T> + Clone {
        self.iter().map(|(_, value)| value)
    }

    /// The values, in order, to be changed.
    pub fn values_mut(&mut self) -> impl ExactSizeIterator<Item = &mut T> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What `f` makes of each value, under the same names.
    pub fn map<U>(&self, mut f: impl FnMut(&str, &T) -> U) -> Named<U> {
        let made = self.0.iter().map(|(name, v)| (name.clone(), f(name, v)));
        Named(made.collect())
    }

    /// The names as a message lists them: `"x" and "mask"`.
    pub fn list(&self) -> String {
        let names: Vec<String> = self.names().map(|name| format!("{name:?}")).collect();
        match names.split_last() {
            None => "none".into(),
            Some((last, [])) => last.clone(),
            Some((last, before)) => format!("{} and {last}", before.join(", ")),
        }
    }

    /// The value of this name, or the only one if the name is empty.
    ///
    /// # Errors
    /// If there is none; the message lists the names that there are.
    pub fn find(&self, name: &str) -> Result<&T> {
        let found = match name {
            "" => self.only(),
            _ => self.get(name),
        };
        found.ok_or_else(|| {
            Error::new(match name {
                "" => format!("one value is needed, but there are {}", self.list()),
                _ => format!("there is no value {name:?}; there are {}", self.list()),
            })
        })
    }
}

impl<T> Default for Named<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl Tensors {
    /// The tensor of this name; if there is none, an invalid one that says which there are.
    #[track_caller]
    pub fn tensor(&self, name: &str) -> Tensor {
        match self.find(name) {
            Ok(tensor) => tensor.clone(),
            Err(error) => Tensor::invalid(error),
        }
    }

    /// The tensor that stands alone; if there are several or none, an invalid one that says which there are.
    #[track_caller]
    pub fn single(&self) -> Tensor {
        self.tensor("")
    }
}

impl<N: Into<Arc<str>>, T> FromIterator<(N, T)> for Named<T> {
    fn from_iter<I: IntoIterator<Item = (N, T)>>(pairs: I) -> Self {
        let mut named = Self::new();
        for (name, value) in pairs {
            named.insert(name, value);
        }
        named
    }
}

impl<N: Into<Arc<str>>, T, const COUNT: usize> From<[(N, T); COUNT]> for Named<T> {
    fn from(pairs: [(N, T); COUNT]) -> Self {
        pairs.into_iter().collect()
    }
}

impl<T> IntoIterator for Named<T> {
    type Item = (Arc<str>, T);
    type IntoIter = std::vec::IntoIter<(Arc<str>, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_there_once_and_keeps_its_place() {
        let named = Named::from([("a", 1), ("b", 2)]).with("a", 3);
        assert_eq!(named.iter().collect::<Vec<_>>(), [("a", &3), ("b", &2)]);
        assert_eq!((named.only(), named.get("c")), (None, None));
        assert_eq!(named.list(), "\"a\" and \"b\"");
    }

    #[test]
    fn what_is_missing_is_said_with_what_there_is() {
        let none = Tensors::from([("x", Tensor::zeros([1]))]).tensor("mask");
        let said = none.eval().unwrap_err().to_string();
        assert!(
            said.contains("no value \"mask\"; there are \"x\""),
            "{said}"
        );
        let two = Tensors::from([("x", Tensor::zeros([1])), ("m", Tensor::zeros([1]))]);
        let said = two.single().eval().unwrap_err().to_string();
        assert!(said.contains("\"x\" and \"m\""), "{said}");
    }
}
