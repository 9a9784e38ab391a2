//! What a step takes: one array, or arrays with names.

use std::sync::Arc;
use zerokara_core::{Array, Arrays, DType, Meta, Result};

/// One array, for models of one input and data of one target, or arrays with names.
pub trait Given {
    /// Number of arrays.
    fn count(&self) -> usize;

    /// The name and the array of a number below [`Given::count`]. An array alone has no name: it is taken for what is
    /// there.
    fn at(&self, number: usize) -> (&str, &Array);
}

impl Given for Array {
    fn count(&self) -> usize {
        1
    }

    fn at(&self, _: usize) -> (&str, &Array) {
        ("", self)
    }
}

impl Given for Arrays {
    fn count(&self) -> usize {
        self.len()
    }

    fn at(&self, number: usize) -> (&str, &Array) {
        self.entry(number)
    }
}

/// Number of samples: the first axis of the first array that has one.
pub(crate) fn samples(given: &(impl Given + ?Sized)) -> usize {
    let mut lengths = (0..given.count()).filter_map(|at| given.at(at).1.shape().first().copied());
    lengths.next().unwrap_or(1)
}

/// The inputs of a program, kept from run to run, so that a run need not allocate what it has had before.
#[derive(Default)]
pub(crate) struct Inputs {
    arrays: Vec<Array>,
    used: usize,
}

impl Inputs {
    /// Begins anew; what is there is room for what comes.
    pub fn begin(&mut self) {
        self.used = 0;
    }

    /// Adds these arrays.
    pub fn put(&mut self, given: &(impl Given + ?Sized)) {
        for at in 0..given.count() {
            self.push(given.at(at).1.clone());
        }
    }

    fn push(&mut self, array: Array) {
        match self.arrays.get_mut(self.used) {
            Some(place) => *place = array,
            None => self.arrays.push(array),
        }
        self.used += 1;
    }

    /// Adds a scalar.
    pub fn number(&mut self, value: f64, dtype: DType) -> Result<()> {
        match self.arrays.get_mut(self.used) {
            Some(place) if place.shape().is_empty() && place.dtype() == dtype => {
                place.fill(value)?;
                self.used += 1;
            }
            _ => self.push(Array::scalar(value, dtype)),
        }
        Ok(())
    }

    /// All that was added.
    pub fn all(&self) -> &[Array] {
        &self.arrays[..self.used]
    }
}

/// Names, shapes and element types of what a step was given, and how it is called if it has no name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shapes {
    entries: Vec<(Arc<str>, Meta)>,
    unnamed: &'static str,
}

impl Shapes {
    /// Those of these arrays.
    pub fn of(given: &(impl Given + ?Sized), unnamed: &'static str) -> Self {
        let entries = (0..given.count()).map(|at| {
            let (name, array) = given.at(at);
            (name.into(), array.meta())
        });
        Self {
            entries: entries.collect(),
            unnamed,
        }
    }

    /// That of one array.
    pub fn one(name: &'static str, meta: &Meta) -> Self {
        Self {
            entries: vec![("".into(), meta.clone())],
            unnamed: name,
        }
    }

    /// Number of values.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether these arrays have the same names, shapes and element types.
    pub fn fit(&self, given: &(impl Given + ?Sized)) -> bool {
        self.entries.len() == given.count()
            && self.entries.iter().enumerate().all(|(at, (name, meta))| {
                let (own, array) = given.at(at);
                **name == *own && array.is_like(meta)
            })
    }

    /// Tensors that stand for them in a graph.
    pub fn tensors(&self) -> zerokara_core::Tensors {
        let named = self.entries.iter().map(|(name, meta)| {
            let name: Arc<str> = match &**name {
                "" => self.unnamed.into(),
                _ => name.clone(),
            };
            let tensor = zerokara_core::Tensor::input(&*name, meta.shape.clone(), meta.dtype);
            (name, tensor)
        });
        named.collect()
    }
}
