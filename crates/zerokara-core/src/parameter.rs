//! Parameters: named cells that hold a current value.

use crate::{Array, Error, Meta, Result, Tensor, ops::leaf::ParameterValue};
use std::{
    fmt,
    sync::{
        Arc, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak,
        atomic::{AtomicU64, Ordering},
    },
};
use zerokara_kernels::storage::Storage;

/// A named cell that holds a tensor's value, which training replaces. Cloning shares the cell.
///
/// [`Parameter::tensor`] is a tensor of the value that is current at the call; it keeps that value, also when the
/// cell moves on. A compiled program binds parameters by identity and reads their values when it runs.
///
/// ```
/// use zerokara_core::{Parameter, Tensor};
/// let weight = Parameter::new("weight", &Tensor::from([1.0, 2.0]))?;
/// let before = weight.tensor();
/// weight.set(&(&before * 10.0))?;
/// assert_eq!(before.to_vec::<f32>()?, [1.0, 2.0]);
/// assert_eq!(weight.tensor().to_vec::<f32>()?, [10.0, 20.0]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone)]
pub struct Parameter {
    cell: Arc<Cell>,
}

struct Cell {
    id: u64,
    name: String,
    meta: Meta,
    value: RwLock<Array>,
    /// How often the value has been open to writing.
    version: AtomicU64,
    /// The leaf that stands for the current value, so that all readers of one value share one node.
    leaf: RwLock<Weak<crate::tensor::Node>>,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Parameter {
    /// A cell that holds the tensor's value.
    ///
    /// # Errors
    /// If the tensor cannot be evaluated.
    pub fn new(name: impl Into<String>, value: &Tensor) -> Result<Self> {
        Ok(Self::of_array(name, value.eval()?))
    }

    /// A cell that holds this array. Of an invalid one, it gives invalid tensors.
    pub fn of_array(name: impl Into<String>, value: Array) -> Self {
        Self {
            cell: Arc::new(Cell {
                id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
                name: name.into(),
                meta: value.meta(),
                value: RwLock::new(value),
                version: AtomicU64::new(0),
                leaf: RwLock::new(Weak::new()),
            }),
        }
    }

    /// The name, as in `conv1.weight`.
    pub fn name(&self) -> &str {
        &self.cell.name
    }

    /// Shape and element type, which never change.
    pub fn meta(&self) -> &Meta {
        &self.cell.meta
    }

    /// The identity of the cell within this process.
    pub fn id(&self) -> u64 {
        self.cell.id
    }

    /// The current value.
    pub fn value(&self) -> Array {
        self.read().clone()
    }

    /// A tensor of the current value.
    pub fn tensor(&self) -> Tensor {
        let value = self.read();
        if let Err(error) = value.valid() {
            return Tensor::invalid(error);
        }
        let mut leaf = self.cell.leaf.write().unwrap_or_else(|e| e.into_inner());
        if let Some(node) = leaf.upgrade() {
            return Tensor { node };
        }
        let tensor = Tensor::leaf(
            ParameterValue { id: self.cell.id },
            self.cell.meta.clone(),
            Some(value.clone()),
            Some(self.clone()),
        );
        *leaf = Arc::downgrade(&tensor.node);
        tensor
    }

    /// Replaces the value by the tensor's, which is computed first.
    ///
    /// # Errors
    /// If the tensor cannot be evaluated, or has another shape or element type than the cell.
    pub fn set(&self, value: &Tensor) -> Result<()> {
        self.set_array(value.eval()?)
    }

    /// Replaces the value.
    ///
    /// # Errors
    /// If the array has another shape or element type than the cell.
    pub fn set_array(&self, value: Array) -> Result<()> {
        value.valid()?;
        if value.meta() != self.cell.meta {
            return Err(Error::new(format!(
                "parameter {} is {} and cannot take a value of {}",
                self.name(),
                self.cell.meta,
                value.meta()
            )));
        }
        *self.write() = value;
        Ok(())
    }

    /// How often the value has been open to writing: as long as the number is the same, so is the value.
    pub fn version(&self) -> u64 {
        self.cell.version.load(Ordering::Relaxed)
    }

    /// The cell, closed to writers.
    pub(crate) fn hold_to_read(&self) -> Held<'_> {
        Held::Read(self, self.read())
    }

    /// The cell, closed to everybody, with a value that nobody else holds.
    pub(crate) fn hold_to_write(&self) -> Held<'_> {
        let mut value = self.write();
        if value.unique_storage().is_none() {
            *value = value.copied();
        }
        Held::Write(value)
    }

    fn read(&self) -> RwLockReadGuard<'_, Array> {
        self.cell.value.read().unwrap_or_else(|e| e.into_inner())
    }

    /// The value to be replaced; leaves made before keep the old one.
    fn write(&self) -> RwLockWriteGuard<'_, Array> {
        let guard = self.cell.value.write().unwrap_or_else(|e| e.into_inner());
        *self.cell.leaf.write().unwrap_or_else(|e| e.into_inner()) = Weak::new();
        // Readers look at it under the lock.
        self.cell.version.fetch_add(1, Ordering::Relaxed);
        guard
    }
}

/// A cell that a run holds.
pub(crate) enum Held<'a> {
    /// Its value is read.
    Read(&'a Parameter, RwLockReadGuard<'a, Array>),
    /// Its value is replaced.
    Write(RwLockWriteGuard<'a, Array>),
    /// It is held no more.
    Released,
}

impl Held<'_> {
    /// Lets go of a cell that is read: what its value lies in, and a number that another value does not have.
    pub(crate) fn release_read(&mut self) -> Option<(Arc<Storage>, u64)> {
        let Held::Read(parameter, value) = self else {
            return None;
        };
        let found = (value.storage().clone(), parameter.version());
        *self = Held::Released;
        Some(found)
    }

    /// The storage of a value that is replaced.
    pub(crate) fn replaced(&mut self) -> Option<&mut Storage> {
        match self {
            Held::Write(value) => value.unique_storage(),
            _ => None,
        }
    }
}

impl fmt::Debug for Parameter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Parameter({}: {})", self.name(), self.meta())
    }
}
