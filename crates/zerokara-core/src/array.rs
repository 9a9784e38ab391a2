//! Arrays: values in memory, dense and row-major.

use crate::{
    DType, Error, Meta, Result, Runtime,
    limits::{self, Limits},
};
use std::{ops::Range, sync::Arc};
use zerokara_kernels::{
    plan::{Elements, ElementsMut},
    storage::Storage,
};

/// A dense row-major array. Cloning shares the elements; writing to shared elements copies them first.
///
/// An array that cannot be made is *invalid*, as a tensor is: it has no elements and carries the error, with the line of
/// the user's source, which whatever takes the array returns.
///
/// ```
/// use zerokara_core::{Array, Tensor};
/// let a = Array::new([2, 3], vec![1.0f32; 5]);
/// let error = a.valid().unwrap_err().to_string();
/// assert!(error.starts_with("array: 5 elements do not fill the shape [2, 3], which takes 6"));
/// assert_eq!(Tensor::from(a).sum().eval().unwrap_err().to_string(), error);
/// ```
#[derive(Clone)]
pub struct Array {
    shape: Arc<[usize]>,
    storage: Arc<Storage>,
    /// Why the array could not be made.
    fault: Option<Error>,
}

/// An error unless the element type has this number: whole numbers within its range for integers, 0 and 1 for truth
/// values. Floats round to the nearest, and overflow to infinity as IEEE 754 says.
pub(crate) fn represent(value: f64, dtype: DType) -> Result<(), String> {
    // 2^63, which is not in the range itself.
    const END: f64 = 9_223_372_036_854_775_808.0;
    match dtype {
        DType::F32 | DType::F64 => Ok(()),
        DType::I64 if value.fract() == 0.0 && (-END..END).contains(&value) => Ok(()),
        DType::U8 if value.fract() == 0.0 && (0.0..256.0).contains(&value) => Ok(()),
        DType::Bool if value == 0.0 || value == 1.0 => Ok(()),
        DType::I64 => Err(format!(
            "{value:?} is no {dtype}, which holds whole numbers from -2^63 to 2^63 - 1; round it, or cast the tensor to floats"
        )),
        DType::U8 => Err(format!(
            "{value:?} is no {dtype}, which holds whole numbers from 0 to 255; cast the tensor to i64 or floats"
        )),
        DType::Bool => Err(format!("{value:?} is no {dtype}, which holds 0 and 1")),
    }
}

impl Array {
    /// An array of zeros; invalid if the memory is not there.
    #[track_caller]
    pub fn zeros(meta: &Meta) -> Self {
        match Self::try_zeros(meta) {
            Ok(array) => array,
            Err(error) => Self::invalid("zeros", meta.dtype, error.to_string()),
        }
    }

    /// An array of zeros.
    ///
    /// # Errors
    /// If it is more than [`Runtime::memory_limit`], or the memory is not there.
    pub fn try_zeros(meta: &Meta) -> Result<Self> {
        Self::zeros_within(meta, &Runtime::current()?.limits())
    }

    /// An error if an array of this meta is more than [`Runtime::memory_limit`].
    pub(crate) fn check_room(meta: &Meta) -> Result<()> {
        Runtime::current()?.limits().check_value(meta)
    }

    /// An array of zeros, if it is within these limits.
    pub(crate) fn zeros_within(meta: &Meta, limits: &Limits) -> Result<Self> {
        let meta = meta.clone().countable()?;
        limits.check_value(&meta)?;
        match Storage::try_zeros(meta.dtype, meta.len()) {
            Some(storage) => Ok(Self {
                shape: meta.shape.into(),
                storage: Arc::new(storage),
                fault: None,
            }),
            None => {
                let bytes = meta.bytes().unwrap_or(usize::MAX);
                Err(limits::no_memory(bytes, &format!("a value of {meta}")))
            }
        }
    }

    /// An array of this shape over these elements, row by row; invalid if their number is not the product of the shape.
    #[track_caller]
    pub fn new(shape: impl Into<Vec<usize>>, elements: impl Into<Storage>) -> Self {
        Self::made_by("array", shape.into(), elements.into())
    }

    /// [`Array::new`] for the function of this name.
    #[track_caller]
    pub(crate) fn made_by(name: &str, shape: Vec<usize>, storage: Storage) -> Self {
        match wrong_length(&shape, storage.len()) {
            None => Self::of(shape, storage),
            Some(reason) => Self::invalid(name, storage.element(), reason),
        }
    }

    /// Of a storage that fills the shape.
    fn of(shape: impl Into<Arc<[usize]>>, storage: Storage) -> Self {
        Self {
            shape: shape.into(),
            storage: Arc::new(storage),
            fault: None,
        }
    }

    /// The array that the function of this name could not make.
    #[track_caller]
    fn invalid(name: &str, dtype: DType, reason: String) -> Self {
        Self {
            fault: Some(Error::here(name, reason)),
            ..Self::of([0], Storage::zeros(dtype, 0))
        }
    }

    /// The array itself.
    ///
    /// # Errors
    /// The error that an invalid array carries.
    pub fn valid(&self) -> Result<&Self> {
        match &self.fault {
            None => Ok(self),
            Some(error) => Err(error.clone()),
        }
    }

    /// A scalar of this element type, rounded to the nearest float; invalid if the number is none of an integer type or
    /// of the truth values 0 and 1.
    #[track_caller]
    pub fn scalar(value: f64, dtype: DType) -> Self {
        if let Err(reason) = represent(value, dtype) {
            return Self::invalid("scalar", dtype, reason);
        }
        let mut array = Self::of(Vec::new(), Storage::zeros(dtype, 1));
        array.set(value);
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
        self.fault.is_none() && *self.shape == *meta.shape && self.dtype() == meta.dtype
    }

    /// Number of elements.
    pub fn len(&self) -> usize {
        self.storage.len()
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.storage.is_empty()
    }

    /// The same elements under another shape; invalid if it takes another number of them.
    #[track_caller]
    pub fn reshaped(&self, shape: impl Into<Vec<usize>>) -> Self {
        let shape = shape.into();
        if self.fault.is_some() {
            return self.clone();
        }
        match wrong_length(&shape, self.len()) {
            Some(reason) => Self::invalid("reshaped", self.dtype(), reason),
            None => Self {
                shape: shape.into(),
                ..self.clone()
            },
        }
    }

    /// These rows `[range, ...]` of an array `[N, ...]`: some samples of a batch. Invalid if there are no such rows.
    ///
    /// ```
    /// use zerokara_core::Array;
    /// let batch = Array::new([3, 2], vec![0i64, 1, 2, 3, 4, 5]);
    /// assert_eq!(batch.rows(1..3), Array::new([2, 2], vec![2i64, 3, 4, 5]));
    /// let error = batch.rows(2..4).valid().unwrap_err().to_string();
    /// assert!(error.starts_with("rows: there are no rows 2..4 in i64[3, 2]"), "{error}");
    /// ```
    #[track_caller]
    pub fn rows(&self, range: Range<usize>) -> Self {
        if self.fault.is_some() {
            return self.clone();
        }
        let all = self.shape.first().copied().unwrap_or(0);
        if range.start > range.end || range.end > all || self.shape.is_empty() {
            let reason = format!("there are no rows {range:?} in {}", self.meta());
            return Self::invalid("rows", self.dtype(), reason);
        }
        let row = self.len() / all.max(1);
        let shape = [&[range.len()], &self.shape[1..]].concat();
        let part = range.start * row..range.end * row;
        let storage = match self.elements() {
            Elements::F32(x) => Storage::from(&x[part]),
            Elements::F64(x) => Storage::from(&x[part]),
            Elements::I64(x) => Storage::from(&x[part]),
            Elements::U8(x) => Storage::from(&x[part]),
            Elements::Bool(x) => Storage::bools_from(x[part].iter().map(|&truth| truth != 0)),
        };
        Self::of(shape, storage)
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
            storage: Arc::new(Storage::clone(&self.storage)),
            ..self.clone()
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

    /// Sets every element, to the nearest value of a float type.
    ///
    /// # Errors
    /// If the number is none of an integer type, or of the truth values 0 and 1; then nothing is changed.
    #[track_caller]
    pub fn fill(&mut self, value: f64) -> Result<()> {
        self.valid()?;
        if let Err(reason) = represent(value, self.dtype()) {
            return Err(Error::here("fill", reason));
        }
        self.set(value);
        Ok(())
    }

    /// Sets every element to a number that the element type has, up to the rounding of floats.
    pub(crate) fn set(&mut self, value: f64) {
        match self.elements_mut() {
            ElementsMut::F32(x) => x.fill(value as f32),
            ElementsMut::F64(x) => x.fill(value),
            ElementsMut::I64(x) => x.fill(value as i64),
            ElementsMut::U8(x) => x.fill(value as u8),
            ElementsMut::Bool(x) => x.fill((value != 0.0) as u8),
        }
    }

    /// Whether the arrays have the same shape, element type and bits: 0 differs from -0, and a NaN is itself.
    pub fn is_identical(&self, other: &Self) -> bool {
        let same = match (self.elements(), other.elements()) {
            (Elements::F32(a), Elements::F32(b)) => a
                .iter()
                .map(|v| v.to_bits())
                .eq(b.iter().map(|v| v.to_bits())),
            (Elements::F64(a), Elements::F64(b)) => a
                .iter()
                .map(|v| v.to_bits())
                .eq(b.iter().map(|v| v.to_bits())),
            (Elements::I64(a), Elements::I64(b)) => a == b,
            (Elements::U8(a), Elements::U8(b)) => a == b,
            (Elements::Bool(a), Elements::Bool(b)) => a == b,
            _ => false,
        };
        same && self.shape == other.shape && self.fault.is_none() && other.fault.is_none()
    }

    /// The element at this place, counted row by row, as a 64-bit float; `None` beyond the last.
    pub fn get_f64(&self, at: usize) -> Option<f64> {
        match self.elements() {
            Elements::F32(x) => x.get(at).map(|&v| v as f64),
            Elements::F64(x) => x.get(at).copied(),
            Elements::I64(x) => x.get(at).map(|&v| v as f64),
            Elements::U8(x) | Elements::Bool(x) => x.get(at).map(|&v| v as f64),
        }
    }

    /// The elements as 64-bit floats, row by row.
    pub fn to_f64s(&self) -> Vec<f64> {
        match self.elements() {
            Elements::F32(x) => x.iter().map(|&v| v as f64).collect(),
            Elements::F64(x) => x.to_vec(),
            Elements::I64(x) => x.iter().map(|&v| v as f64).collect(),
            Elements::U8(x) | Elements::Bool(x) => x.iter().map(|&v| v as f64).collect(),
        }
    }

    /// The elements as another element type: what a float type cannot hold rounds to nearest. Floats become integers by
    /// truncation; those beyond the range become its nearest end, and NaN becomes 0. Integers become bytes by their lowest
    /// eight bits, as in PyTorch. Anything that is not 0 is true.
    pub fn cast(&self, dtype: DType) -> Self {
        if dtype == self.dtype() || self.fault.is_some() {
            return self.clone();
        }
        let mut out = Self::zeros(&Meta::new(&*self.shape, dtype));
        // Straight from one type to the other, so that nothing is rounded twice.
        macro_rules! convert {
            ($x:ident) => {
                match out.elements_mut() {
                    ElementsMut::F32(y) => each(y, $x, |v| v as f32),
                    ElementsMut::F64(y) => each(y, $x, |v| v as f64),
                    ElementsMut::I64(y) => each(y, $x, |v| v as i64),
                    ElementsMut::U8(y) => each(y, $x, |v| v as u8),
                    ElementsMut::Bool(y) => each(y, $x, |v| u8::from(v != Default::default())),
                }
            };
        }
        match self.elements() {
            Elements::F32(x) => convert!(x),
            Elements::F64(x) => convert!(x),
            Elements::I64(x) => convert!(x),
            Elements::U8(x) | Elements::Bool(x) => convert!(x),
        }
        out
    }
}

/// `to[i] = f(from[i])`.
fn each<T: Copy, U>(to: &mut [U], from: &[T], f: impl Fn(T) -> U) {
    to.iter_mut()
        .zip(from)
        .for_each(|(to, &from)| *to = f(from));
}

/// What is wrong with so many elements under this shape.
fn wrong_length(shape: &[usize], elements: usize) -> Option<String> {
    let takes = match Meta::new(shape, DType::Bool).countable() {
        Ok(meta) if meta.len() == elements => return None,
        Ok(meta) => meta.len().to_string(),
        Err(_) => "more than any memory holds".into(),
    };
    let plural = if elements == 1 {
        "element does"
    } else {
        "elements do"
    };
    Some(format!(
        "{elements} {plural} not fill the shape {shape:?}, which takes {takes}"
    ))
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
scalar!(u8, U8, U8);

impl Array {
    /// The elements, row by row.
    ///
    /// ```
    /// use zerokara_core::Array;
    /// let labels = Array::new([3], vec![2i64, 0, 1]);
    /// assert_eq!(labels.as_slice::<i64>()?, [2, 0, 1]);
    /// assert!(labels.as_slice::<f32>().unwrap_err().to_string().contains("i64, not f32"));
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// If they are of another type; the error of an invalid array.
    #[track_caller]
    pub fn as_slice<T: Scalar>(&self) -> Result<&[T]> {
        self.valid()?;
        match T::of(self) {
            Some(elements) => Ok(elements),
            None => Err(other_type(self.dtype(), T::DTYPE)),
        }
    }

    /// The elements to be written, row by row; shared elements are copied first.
    ///
    /// # Errors
    /// If they are of another type; the error of an invalid array.
    #[track_caller]
    pub fn as_mut_slice<T: Scalar>(&mut self) -> Result<&mut [T]> {
        self.valid()?;
        let dtype = self.dtype();
        let elements = match dtype == T::DTYPE {
            true => T::of_mut(self),
            // To ask would be to copy shared elements.
            false => None,
        };
        match elements {
            Some(elements) => Ok(elements),
            None => Err(other_type(dtype, T::DTYPE)),
        }
    }

    /// The truth values, row by row, as bytes 0 and 1.
    ///
    /// # Errors
    /// If the elements are of another type; the error of an invalid array.
    #[track_caller]
    pub fn as_bools(&self) -> Result<&[u8]> {
        self.valid()?;
        match self.storage.bools() {
            Some(bools) => Ok(bools),
            None => Err(other_type(self.dtype(), DType::Bool)),
        }
    }

    /// The elements, for an operation whose `infer` admits no other type.
    ///
    /// # Panics
    /// If they are of another type.
    pub(crate) fn slice<T: Scalar>(&self) -> &[T] {
        T::of(self).unwrap_or_else(|| unreachable!("{} instead of {}", self.dtype(), T::DTYPE))
    }

    /// The elements to be written, for an operation whose `infer` admits no other type.
    ///
    /// # Panics
    /// If they are of another type.
    pub(crate) fn slice_mut<T: Scalar>(&mut self) -> &mut [T] {
        let dtype = self.dtype();
        T::of_mut(self).unwrap_or_else(|| unreachable!("{dtype} instead of {}", T::DTYPE))
    }

    /// The truth values, bytes 0 and 1, for an operation whose `infer` admits no other type.
    ///
    /// # Panics
    /// If the elements are of another type.
    pub(crate) fn bools(&self) -> &[u8] {
        let dtype = self.dtype();
        let bools = self.storage.bools();
        bools.unwrap_or_else(|| unreachable!("{dtype} instead of truth values"))
    }

    /// The truth values to be written, for an operation whose `infer` admits no other type.
    ///
    /// # Panics
    /// If the elements are of another type.
    pub(crate) fn bools_mut(&mut self) -> &mut [u8] {
        let dtype = self.dtype();
        let bools = Arc::make_mut(&mut self.storage).bools_mut();
        bools.unwrap_or_else(|| unreachable!("{dtype} instead of truth values"))
    }
}

#[track_caller]
fn other_type(held: DType, wanted: DType) -> Error {
    let reason = format!("it holds {held}, not {wanted}; cast it first");
    Error::here("array", reason)
}

impl PartialEq for Array {
    /// Whether shapes, element types and numbers are equal; an invalid array equals none.
    fn eq(&self, other: &Self) -> bool {
        let same = match (self.elements(), other.elements()) {
            (Elements::F32(a), Elements::F32(b)) => a == b,
            (Elements::F64(a), Elements::F64(b)) => a == b,
            (Elements::I64(a), Elements::I64(b)) => a == b,
            (Elements::U8(a), Elements::U8(b)) => a == b,
            (Elements::Bool(a), Elements::Bool(b)) => a == b,
            _ => false,
        };
        same && self.shape == other.shape && self.fault.is_none() && other.fault.is_none()
    }
}
