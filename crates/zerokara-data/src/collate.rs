//! Batches of samples: how samples of different sizes become one array, and how each is copied to its place.

use crate::error::{Error, Result};
use crate::loader::Spread;
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, PoisonError};
use zerokara_core::{Array, DType};

/// How samples of different sizes become one array: each axis that differs is as long as that of the longest sample of the
/// batch, and what a sample lacks is filled with a value.
///
/// # Example
///
/// ```
/// use zerokara_core::{Array, DType, Port};
/// use zerokara_data::{Columns, Loader, Pad, Split};
///
/// let texts = [vec![5i64, 6, 7], vec![8]].map(|ids| Array::new([ids.len()], ids));
/// let columns = Columns::new().ragged(Port::new("tokens", DType::I64, ["length"]), texts);
/// let loader = Loader::new(&Split::of(columns)?, 2)?.pad("tokens", Pad::with(0.0).multiple_of(4).mask())?;
/// let feed = loader.feed(0)?;
/// assert_eq!(feed.inputs.find("tokens")?.as_slice::<i64>()?, [5, 6, 7, 0, 8, 0, 0, 0]);
/// assert_eq!(feed.inputs.find("tokens_mask")?.as_bools()?, [1, 1, 1, 0, 1, 0, 0, 0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// As JSON, for the description of a run: `{"value": 0.0, "multiple": 4, "mask": "bool"}`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pad {
    value: f64,
    multiple: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    #[serde(default, with = "type_name", skip_serializing_if = "Option::is_none")]
    mask: Option<DType>,
}

/// An element type by its name.
mod type_name {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use zerokara_core::DType;

    pub fn serialize<S: Serializer>(dtype: &Option<DType>, out: S) -> Result<S::Ok, S::Error> {
        dtype.map(DType::name).serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<DType>, D::Error> {
        let name = Option::<String>::deserialize(input)?;
        let known = name.map(|name| {
            let unknown = || serde::de::Error::custom(format!("no element type is called {name}"));
            DType::from_name(&name).ok_or_else(unknown)
        });
        known.transpose()
    }
}

impl Pad {
    /// Fills with this value, up to the longest sample of a batch.
    pub fn with(value: f64) -> Self {
        Pad {
            value,
            multiple: 1,
            length: None,
            mask: None,
        }
    }

    /// Rounds lengths up to a multiple of this number. A step is compiled for each length that comes, so that lengths of all
    /// kinds mean many programs; with multiples of 32 there are few, and little is calculated in vain.
    pub fn multiple_of(mut self, multiple: usize) -> Self {
        self.multiple = multiple;
        self
    }

    /// Always as long as this, so that one program serves all batches; longer samples are an error.
    pub fn to(mut self, length: usize) -> Self {
        self.length = Some(length);
        self
    }

    /// Adds the truth values `NAME_mask`, `[N, length]`: where the sample has a value of its own.
    pub fn mask(mut self) -> Self {
        self.mask = Some(DType::Bool);
        self
    }

    /// As [`mask`](Self::mask), of 0 and 1 in this element type, such as f32 to multiply by.
    pub fn mask_as(mut self, dtype: DType) -> Self {
        self.mask = Some(dtype);
        self
    }

    /// The name of the mask of a column, if there is one: the column's with `_mask` behind it.
    pub fn mask_name(&self, column: &str) -> Option<String> {
        self.mask.map(|_| format!("{column}_mask"))
    }

    pub(crate) fn mask_type(&self) -> Option<DType> {
        self.mask
    }

    pub(crate) fn value(&self) -> f64 {
        self.value
    }

    /// Whether two rules give equal lengths.
    pub(crate) fn is_as_long_as(&self, other: &Pad) -> bool {
        (self.multiple, self.length) == (other.multiple, other.length)
    }

    /// Whether the rule can be followed for this element type.
    pub(crate) fn check(&self, dtype: DType) -> Result<()> {
        Array::scalar(self.value, dtype).valid()?;
        if self.multiple == 0 {
            return Err(Error::new(
                "lengths cannot be a multiple of 0; the number must be at least 1",
            ));
        }
        if let Some(length) = self.length
            && !length.is_multiple_of(self.multiple)
        {
            return Err(Error::new(format!(
                "the length {length} is no multiple of {}",
                self.multiple
            )));
        }
        Ok(())
    }

    /// The length of an axis in a batch whose longest sample is so long.
    pub(crate) fn length(&self, longest: usize) -> Result<usize> {
        match self.length {
            Some(length) if length < longest => Err(Error::new(format!(
                "a sample of length {longest} is longer than {length}, to which samples are padded"
            ))),
            Some(length) => Ok(length),
            None => longest
                .checked_next_multiple_of(self.multiple)
                .ok_or_else(|| Error::new(format!("samples of length {longest} are too long"))),
        }
    }
}

/// Copies a dense block of this shape to the beginning of a block that is as large along every axis or larger.
pub(crate) fn place<T: Copy>(from: &[T], shape: &[usize], to: &mut [T], room: &[usize]) {
    if shape == room {
        to.copy_from_slice(from);
        return;
    }
    let (Some((&row, outer)), Some((&room_row, outer_room))) =
        (shape.split_last(), room.split_last())
    else {
        return;
    };
    if row == 0 {
        return;
    }
    for (at, values) in from.chunks_exact(row).enumerate() {
        // The place of this row among the rows of the room.
        let (mut rest, mut place, mut stride) = (at, 0, 1);
        for (&length, &room) in outer.iter().zip(outer_room).rev() {
            place += rest % length * stride;
            rest /= length;
            stride *= room;
        }
        to[place * room_row..place * room_row + row].copy_from_slice(values);
    }
}

/// Parts that a batch is cut into at most.
const PARTS: usize = 16;

/// Values that a part has at least: fewer are copied sooner than handed to another thread.
const PART_VALUES: usize = 1 << 13;

/// Cuts the room of a batch of `samples` into parts and has each filled: `fill(first, room)` writes the samples from the
/// number `first` on, as many as there is room for.
pub(crate) fn in_parts<T: Send>(
    room: &mut [T],
    samples: usize,
    spread: &Spread<'_>,
    fill: &(dyn Fn(usize, &mut [T]) + Sync),
) {
    let parts = (room.len() / PART_VALUES).clamp(1, PARTS);
    let part = samples.div_ceil(parts).max(1);
    let parts = samples.div_ceil(part);
    if parts <= 1 {
        return fill(0, room);
    }
    let length = room.len() / samples;
    let mut left = room.chunks_mut((part * length).max(1));
    // Each part is taken by the one unit of its number.
    let cells: [_; PARTS] = std::array::from_fn(|_| Mutex::new(left.next()));
    spread(parts, &|unit| {
        let mut cell = cells[unit].lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(room) = cell.take() {
            fill(unit * part, room);
        }
    });
}
