//! Arrays: values in memory, dense and row-major.

use crate::{DType, Meta, Result, Runtime, limits};
use std::{fmt, sync::Arc};
use zerokara_kernels::{
    plan::{Elements, ElementsMut},
    storage::Storage,
};

/// A dense row-major array. Cloning shares the elements; writing to shared elements copies them first.
#[derive(Clone)]
pub struct Array {
    shape: Arc<[usize]>,
    storage: Arc<Storage>,
}

impl Array {
    /// An array of zeros.
    pub fn zeros(meta: &Meta) -> Self {
        Self {
            shape: meta.shape.as_slice().into(),
            storage: Arc::new(Storage::zeros(meta.dtype, meta.len())),
        }
    }

    /// An array of zeros.
    ///
    /// # Errors
    /// If it is more than [`Runtime::memory_limit`], or the memory is not there.
    pub fn try_zeros(meta: &Meta) -> Result<Self> {
        let meta = meta.clone().countable()?;
        Runtime::current()?.limits().check_value(&meta)?;
        match Storage::try_zeros(meta.dtype, meta.len()) {
            Some(storage) => Ok(Self {
                shape: meta.shape.into(),
                storage: Arc::new(storage),
            }),
            None => {
                let bytes = meta.bytes().unwrap_or(usize::MAX);
                Err(limits::no_memory(bytes, &format!("a value of {meta}")))
            }
        }
    }

    /// An array of this shape over these elements, row by row.
    ///
    /// # Panics
    /// If the number of elements is not the product of the shape.
    pub fn new(shape: impl Into<Vec<usize>>, elements: impl Into<Storage>) -> Self {
        let (shape, storage) = (shape.into(), elements.into());
        assert_eq!(
            shape.iter().product::<usize>(),
            storage.len(),
            "elements do not fill the shape {shape:?}"
        );
        Self {
            shape: shape.into(),
            storage: Arc::new(storage),
        }
    }

    /// A scalar of this element type.
    pub fn scalar(value: f64, dtype: DType) -> Self {
        let mut array = Self::zeros(&Meta::new([], dtype));
        array.fill(value);
        array
    }

    /// Length of each axis.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.storage.element()
    }

    /// Shape and element type.
    pub fn meta(&self) -> Meta {
        Meta::new(&*self.shape, self.dtype())
    }

    /// Whether shape and element type are these.
    pub fn is_like(&self, meta: &Meta) -> bool {
        *self.shape == *meta.shape && self.dtype() == meta.dtype
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.storage.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.storage.is_empty()
    }

    /// The same elements under another shape of as many elements.
    ///
    /// # Panics
    /// If the number of elements differs.
    pub fn reshaped(&self, shape: impl Into<Vec<usize>>) -> Self {
        let shape = shape.into();
        assert_eq!(
            shape.iter().product::<usize>(),
            self.len(),
            "{:?} cannot become {shape:?}",
            self.shape
        );
        Self {
            shape: shape.into(),
            storage: self.storage.clone(),
        }
    }

    /// The storage that holds the elements.
    pub(crate) fn storage(&self) -> &Arc<Storage> {
        &self.storage
    }

    /// The storage to write to, if no other array shares it.
    pub(crate) fn unique_storage(&mut self) -> Option<&mut Storage> {
        Arc::get_mut(&mut self.storage)
    }

    /// The same elements in a storage of their own.
    pub(crate) fn copied(&self) -> Self {
        Self {
            shape: self.shape.clone(),
            storage: Arc::new(Storage::clone(&self.storage)),
        }
    }

    /// The elements, whatever their type.
    pub fn elements(&self) -> Elements<'_> {
        self.storage.elements()
    }

    /// The elements to be written, whatever their type; shared elements are copied first.
    pub fn elements_mut(&mut self) -> ElementsMut<'_> {
        Arc::make_mut(&mut self.storage).elements_mut()
    }

    /// Sets every element (to the nearest value of the element type; truth values to `value != 0`).
    pub fn fill(&mut self, value: f64) {
        match self.elements_mut() {
            ElementsMut::F32(x) => x.fill(value as f32),
            ElementsMut::F64(x) => x.fill(value),
            ElementsMut::I64(x) => x.fill(value as i64),
            ElementsMut::Bool(x) => x.fill((value != 0.0) as u8),
        }
    }

    /// The element at this place, counted row by row, as a 64-bit float; `None` beyond the last.
    pub fn get_f64(&self, at: usize) -> Option<f64> {
        match self.elements() {
            Elements::F32(x) => x.get(at).map(|&v| v as f64),
            Elements::F64(x) => x.get(at).copied(),
            Elements::I64(x) => x.get(at).map(|&v| v as f64),
            Elements::Bool(x) => x.get(at).map(|&v| v as f64),
        }
    }

    /// The elements as 64-bit floats, row by row.
    pub fn to_f64s(&self) -> Vec<f64> {
        match self.elements() {
            Elements::F32(x) => x.iter().map(|&v| v as f64).collect(),
            Elements::F64(x) => x.to_vec(),
            Elements::I64(x) => x.iter().map(|&v| v as f64).collect(),
            Elements::Bool(x) => x.iter().map(|&v| v as f64).collect(),
        }
    }

    /// The elements as another element type: floats round to nearest, floats become integers by truncation,
    /// anything that is not 0 is true.
    pub fn cast(&self, dtype: DType) -> Self {
        if dtype == self.dtype() {
            return self.clone();
        }
        let mut out = Self::zeros(&Meta::new(&*self.shape, dtype));
        match (self.elements(), out.elements_mut()) {
            (Elements::I64(x), ElementsMut::Bool(y)) => {
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = (x != 0) as u8)
            }
            (Elements::Bool(x), ElementsMut::I64(y)) => {
                y.iter_mut().zip(x).for_each(|(y, &x)| *y = x as i64)
            }
            (_, y) => {
                let x = self.to_f64s();
                match y {
                    ElementsMut::F32(y) => y.iter_mut().zip(x).for_each(|(y, x)| *y = x as f32),
                    ElementsMut::F64(y) => y.copy_from_slice(&x),
                    ElementsMut::I64(y) => y.iter_mut().zip(x).for_each(|(y, x)| *y = x as i64),
                    ElementsMut::Bool(y) => {
                        y.iter_mut().zip(x).for_each(|(y, x)| *y = (x != 0.0) as u8)
                    }
                }
            }
        }
        out
    }
}

/// A Rust type whose values are elements of arrays.
pub trait Scalar: Copy + Send + Sync + 'static {
    /// The element type it stands for.
    const DTYPE: DType;
    /// The elements of an array of this type, else `None`.
    fn of(array: &Array) -> Option<&[Self]>;
    /// The elements to be written of an array of this type, else `None`.
    fn of_mut(array: &mut Array) -> Option<&mut [Self]>;
    /// A storage of these elements.
    fn storage(elements: &[Self]) -> Storage;
}

macro_rules! scalar {
    ($type:ty, $dtype:ident, $variant:ident) => {
        impl Scalar for $type {
            const DTYPE: DType = DType::$dtype;
            fn of(array: &Array) -> Option<&[Self]> {
                match array.elements() {
                    Elements::$variant(x) => Some(x),
                    _ => None,
                }
            }
            fn of_mut(array: &mut Array) -> Option<&mut [Self]> {
                match array.elements_mut() {
                    ElementsMut::$variant(x) => Some(x),
                    _ => None,
                }
            }
            fn storage(elements: &[Self]) -> Storage {
                Storage::from(elements)
            }
        }
    };
}
scalar!(f32, F32, F32);
scalar!(f64, F64, F64);
scalar!(i64, I64, I64);

impl Array {
    /// The elements, for an operation whose `infer` admits no other type.
    pub fn slice<T: Scalar>(&self) -> &[T] {
        T::of(self).unwrap_or_else(|| panic!("the array holds {}, not {}", self.dtype(), T::DTYPE))
    }

    /// The elements to be written, for an operation whose `infer` admits no other type.
    pub fn slice_mut<T: Scalar>(&mut self) -> &mut [T] {
        let dtype = self.dtype();
        T::of_mut(self).unwrap_or_else(|| panic!("the array holds {dtype}, not {}", T::DTYPE))
    }

    /// The truth values, bytes 0 and 1.
    pub fn bools(&self) -> &[u8] {
        self.storage.bools().expect("the array holds truth values")
    }

    /// The truth values to be written, bytes 0 and 1.
    pub fn bools_mut(&mut self) -> &mut [u8] {
        Arc::make_mut(&mut self.storage)
            .bools_mut()
            .expect("the array holds truth values")
    }
}

impl PartialEq for Array {
    fn eq(&self, other: &Self) -> bool {
        let same = match (self.elements(), other.elements()) {
            (Elements::F32(a), Elements::F32(b)) => a == b,
            (Elements::F64(a), Elements::F64(b)) => a == b,
            (Elements::I64(a), Elements::I64(b)) => a == b,
            (Elements::Bool(a), Elements::Bool(b)) => a == b,
            _ => false,
        };
        same && self.shape == other.shape
    }
}

impl fmt::Debug for Array {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?} {self}", self.dtype(), self.shape)
    }
}

/// Axes longer than this are shortened to their ends when an array of more than 1000 elements is printed.
const SHOWN_ENDS: usize = 3;

impl fmt::Display for Array {
    /// As NumPy prints: nested brackets, columns aligned, large arrays shortened.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let precision = f.precision().unwrap_or(4);
        let words: Vec<String> = match self.elements() {
            Elements::I64(x) => x.iter().map(|v| v.to_string()).collect(),
            Elements::Bool(x) => x.iter().map(|&v| (v != 0).to_string()).collect(),
            _ => float_words(&self.to_f64s(), precision),
        };
        let width = words.iter().map(String::len).max().unwrap_or(0);
        let shorten = words.len() > 1000;
        write_axis(f, &self.shape, &words, width, shorten, 0)
    }
}

fn float_words(values: &[f64], precision: usize) -> Vec<String> {
    let largest = values
        .iter()
        .filter(|v| v.is_finite())
        .fold(0.0f64, |m, v| m.max(v.abs()));
    let smallest = values
        .iter()
        .filter(|v| v.is_finite() && **v != 0.0)
        .fold(f64::INFINITY, |m, v| m.min(v.abs()));
    let scientific = largest >= 1e8
        || smallest < 1e-4 && largest < 1e-1
        || (largest > 0.0 && largest / smallest > 1e7);
    values
        .iter()
        .map(|&v| {
            if !v.is_finite() {
                return v.to_string();
            }
            let text = if scientific {
                format!("{v:.precision$e}")
            } else {
                format!("{v:.precision$}")
            };
            match (scientific, text.contains('.')) {
                (false, true) => text.trim_end_matches('0').trim_end_matches('.').to_string(),
                _ => text,
            }
        })
        .collect()
}

fn write_axis(
    f: &mut fmt::Formatter<'_>,
    shape: &[usize],
    words: &[String],
    width: usize,
    shorten: bool,
    depth: usize,
) -> fmt::Result {
    let Some((&length, inner)) = shape.split_first() else {
        return write!(f, "{}", words.first().map_or("", String::as_str));
    };
    let step: usize = inner.iter().product();
    write!(f, "[")?;
    let mut i = 0;
    while i < length {
        if i > 0 {
            if inner.is_empty() {
                write!(f, ", ")?;
            } else {
                // One empty line more for each further axis, as NumPy does.
                write!(f, ",{}{}", "\n".repeat(inner.len()), " ".repeat(depth + 1))?;
            }
        }
        if shorten && length > 2 * SHOWN_ENDS && i == SHOWN_ENDS {
            write!(f, "...")?;
            i = length - SHOWN_ENDS;
            continue;
        }
        let part = &words[i * step..(i + 1) * step];
        if inner.is_empty() {
            write!(f, "{:>width$}", part[0])?;
        } else {
            write_axis(f, inner, part, width, shorten, depth + 1)?;
        }
        i += 1;
    }
    write!(f, "]")
}
