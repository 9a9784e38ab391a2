//! Samples in memory, column by column.

use crate::error::{Error, Result};
use crate::source::{Failure, Source, check_columns, fits};
use std::ops::Range;
use std::sync::Arc;
use zerokara_core::{Array, Arrays, Axis, Elements, ElementsMut, Meta, Port};

/// Named columns of samples in memory: arrays `[N, ...]` of any element type, or lists of samples that differ in size.
///
/// A column that does not fit is told by [`Split::of`](crate::Split::of), which takes the columns.
///
/// # Example
///
/// ```
/// use zerokara_core::{Array, DType, Port};
/// use zerokara_data::{Columns, Split};
///
/// let words = [vec![3i64, 1], vec![4, 1, 5]];
/// let columns = Columns::new()
///     .with("age", Array::new([2, 1], vec![0.5f32, 0.25]))
///     .ragged(
///         Port::new("tokens", DType::I64, ["length"]),
///         words.into_iter().map(|ids| Array::new([ids.len()], ids)),
///     )
///     .with("t", Array::new([2], vec![0i64, 1]));
/// let split = Split::of(columns)?;
/// assert_eq!(split.input_ports()[1].to_string(), "tokens: i64 [length]");
/// assert_eq!(split.labels(), [0, 1]);
/// # Ok::<(), zerokara_data::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Columns {
    ports: Vec<Port>,
    columns: Vec<Column>,
    len: Option<usize>,
    fault: Option<Error>,
}

#[derive(Clone, Debug)]
pub(crate) enum Column {
    /// `[N, ...]`.
    Dense(Array),
    Ragged(Arc<Ragged>),
}

/// Samples of different sizes, one after the other.
#[derive(Debug)]
pub(crate) struct Ragged {
    values: Array,
    /// Where each sample begins, and where the last one ends.
    starts: Vec<usize>,
    /// The shape of each sample.
    shapes: Vec<usize>,
    rank: usize,
}

impl Column {
    /// Elements and shape of a sample that is there.
    pub(crate) fn sample(&self, index: usize) -> (Elements<'_>, &[usize]) {
        match self {
            Column::Dense(array) => {
                let shape = &array.shape()[1..];
                let length = shape.iter().product::<usize>();
                let range = index * length..(index + 1) * length;
                (part(array.elements(), range), shape)
            }
            Column::Ragged(ragged) => {
                let range = ragged.starts[index]..ragged.starts[index + 1];
                let shape = &ragged.shapes[index * ragged.rank..(index + 1) * ragged.rank];
                (part(ragged.values.elements(), range), shape)
            }
        }
    }
}

/// A part of the elements; it must lie within them.
pub(crate) fn part(elements: Elements<'_>, range: Range<usize>) -> Elements<'_> {
    match elements {
        Elements::F32(x) => Elements::F32(&x[range]),
        Elements::F64(x) => Elements::F64(&x[range]),
        Elements::I64(x) => Elements::I64(&x[range]),
        Elements::U8(x) => Elements::U8(&x[range]),
        Elements::Bool(x) => Elements::Bool(&x[range]),
    }
}

/// Copies elements into those of an array from `at` on; the types are equal and there is room.
pub(crate) fn copy_into(out: &mut Array, at: usize, from: Elements<'_>) {
    macro_rules! copy {
        ($($variant:ident)*) => {
            match (out.elements_mut(), from) {
                $((ElementsMut::$variant(to), Elements::$variant(from)) => {
                    to[at..at + from.len()].copy_from_slice(from);
                })*
                _ => {}
            }
        };
    }
    copy!(F32 F64 I64 U8 Bool);
}

impl Columns {
    /// No columns.
    pub fn new() -> Self {
        Columns::default()
    }

    /// These columns and one more, an array `[N, ...]`: the number of samples, then the shape of one. A class is `[N]`, a
    /// row of numbers `[N, D]`, an image `[N, C, H, W]`.
    pub fn with(mut self, name: impl Into<Arc<str>>, values: Array) -> Self {
        let name = name.into();
        let port = match (values.valid(), values.shape()) {
            (Err(error), _) => return self.refuse(format!("column {name:?}: {error}")),
            (Ok(_), []) => {
                return self.refuse(format!(
                    "column {name:?} is one number; a column is an array [N, ...] of N samples"
                ));
            }
            (Ok(_), [_, shape @ ..]) => Port::new(name, values.dtype(), shape.iter().copied()),
        };
        let samples = values.shape()[0];
        self.add(port, samples, Column::Dense(values));
        self
    }

    /// These columns and one more, of samples that differ in size: the axes of `port` that have a name are as long as each
    /// sample has them.
    pub fn ragged(mut self, port: Port, samples: impl IntoIterator<Item = Array>) -> Self {
        let samples: Vec<Array> = samples.into_iter().collect();
        let mut starts = vec![0];
        let mut shapes = Vec::with_capacity(samples.len() * port.axes.len());
        let mut end = 0usize;
        for (at, sample) in samples.iter().enumerate() {
            if let Err(error) = sample.valid() {
                return self.refuse(format!("column {:?}, sample {at}: {error}", port.name));
            }
            if !fits(&port, sample) {
                return self.refuse(format!(
                    "sample {at}, {}, does not fit the column {port}",
                    sample.meta()
                ));
            }
            end = end.saturating_add(sample.len());
            starts.push(end);
            shapes.extend_from_slice(sample.shape());
        }
        let mut values = match Array::try_zeros(&Meta::new([end], port.dtype)) {
            Ok(values) => values,
            Err(error) => return self.refuse(format!("column {:?}: {error}", port.name)),
        };
        for (sample, &start) in samples.iter().zip(&starts) {
            copy_into(&mut values, start, sample.elements());
        }
        let rank = port.axes.len();
        let ragged = Ragged {
            values,
            starts,
            shapes,
            rank,
        };
        self.add(port, samples.len(), Column::Ragged(Arc::new(ragged)));
        self
    }

    fn add(&mut self, port: Port, samples: usize, column: Column) {
        match self.len {
            Some(len) if len != samples => {
                let first = &self.ports[0].name;
                let why = format!(
                    "column {:?} has {samples} samples, but column {first:?} has {len}",
                    port.name
                );
                self.fault.get_or_insert(Error::new(why));
            }
            _ => {
                self.len = Some(samples);
                self.ports.push(port);
                self.columns.push(column);
            }
        }
    }

    fn refuse(mut self, why: String) -> Self {
        self.fault.get_or_insert(Error::new(why));
        self
    }

    /// Whether every column fits the others.
    pub(crate) fn check(&self) -> Result<()> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        check_columns(&self.ports)?;
        // Names of lengths mean the same in all columns of a sample.
        let mut named: Vec<(&str, usize, usize)> = Vec::new();
        for (column, port) in self.ports.iter().enumerate() {
            for (at, axis) in port.axes.iter().enumerate() {
                let Axis::Any(name) = axis else { continue };
                let Some(&(_, other, place)) = named.iter().find(|(known, ..)| *known == &**name)
                else {
                    named.push((name, column, at));
                    continue;
                };
                for index in 0..self.len() {
                    let length = self.columns[column].sample(index).1[at];
                    let known = self.columns[other].sample(index).1[place];
                    if length != known {
                        return Err(Error::new(format!(
                            "sample {index}: {name} is {known} in the column {}, but {length} in the column {port}",
                            self.ports[other]
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    /// The array `[N, ...]` of this column; `None` if there is no such column, or its samples differ in size.
    pub fn array(&self, name: &str) -> Option<&Array> {
        let at = self.ports.iter().position(|port| &*port.name == name)?;
        match &self.columns[at] {
            Column::Dense(array) => Some(array),
            Column::Ragged(_) => None,
        }
    }

    pub(crate) fn column(&self, at: usize) -> &Column {
        &self.columns[at]
    }
}

impl Source for Columns {
    fn len(&self) -> usize {
        self.len.unwrap_or(0)
    }

    fn columns(&self) -> &[Port] {
        &self.ports
    }

    fn sample(&self, index: usize) -> Result<Arrays, Failure> {
        if index >= Source::len(self) {
            return Err(format!("there are {} samples, numbered from 0", Source::len(self)).into());
        }
        let columns = self.ports.iter().zip(&self.columns);
        let copy = |(port, column): (&Port, &Column)| -> Result<_, Failure> {
            let (elements, shape) = column.sample(index);
            let mut array = Array::try_zeros(&Meta::new(shape, port.dtype))?;
            copy_into(&mut array, 0, elements);
            Ok((Arc::clone(&port.name), array))
        };
        columns.map(copy).collect()
    }

    fn length(&self, index: usize, column: &str) -> Option<usize> {
        let at = self.ports.iter().position(|port| &*port.name == column)?;
        let axis = self.ports[at]
            .axes
            .iter()
            .position(|axis| matches!(axis, Axis::Any(_)))?;
        (index < Source::len(self)).then(|| self.columns[at].sample(index).1[axis])
    }

    fn classes(&self, column: &str) -> Option<&[i64]> {
        let array = self.array(column)?;
        (array.shape().len() == 1).then(|| array.as_slice::<i64>().ok())?
    }

    fn in_memory(&self) -> Option<&Columns> {
        Some(self)
    }
}
