//! Samples gathered into named arrays.

use crate::augment::{Levels, write_shares};
use crate::collate::{Pad, in_parts, place};
use crate::error::{Error, Result};
use crate::feed::Feed;
use crate::labels::check_labels;
use crate::loader::{Loader, Spread, is_class};
use crate::normalization::Normalization;
use crate::source::fixed_shape;
use crate::split::Split;
use std::sync::Arc;
use zerokara_core::{Array, Arrays, Axis, DType, Elements, ElementsMut, Meta, Port};

/// Samples to gather: in memory, by their numbers in the split, or made.
#[derive(Clone, Copy)]
pub(crate) enum Items<'a> {
    Stored(&'a Split, &'a [usize]),
    Made(&'a Split, &'a [Arrays]),
}

impl<'a> Items<'a> {
    pub(crate) fn len(self) -> usize {
        match self {
            Items::Stored(_, indices) => indices.len(),
            Items::Made(_, made) => made.len(),
        }
    }

    /// Elements and shape of a sample in the column of this number.
    pub(crate) fn get(self, at: usize, column: usize) -> Option<(Elements<'a>, &'a [usize])> {
        match self {
            Items::Stored(split, indices) => split.stored(indices[at], column),
            Items::Made(split, made) => {
                let array = made[at].get(&split.source().columns()[column].name)?;
                Some((array.elements(), array.shape()))
            }
        }
    }
}

/// Which arrays are fed, in order.
#[derive(Clone, Debug)]
pub(crate) struct FedArrays {
    pub inputs: Vec<FedArray>,
    pub targets: Vec<FedArray>,
}

/// One array that is fed: its column, and how that becomes it.
#[derive(Clone, Debug)]
pub(crate) struct FedArray {
    pub column: usize,
    pub name: Arc<str>,
    pub dtype: DType,
    /// The shape of one sample, if all have the same.
    fixed: Option<Vec<usize>>,
    /// What is fed is where the samples have values, rather than these.
    pub is_mask: bool,
    /// What is fed is the shares of so many classes in samples that are mixed, rather than the class of each.
    pub shares: Option<usize>,
    normalization: Option<Normalization>,
    pad: Option<Pad>,
}

impl Loader {
    /// Which arrays are fed.
    pub(crate) fn fed(&self) -> FedArrays {
        let (inputs, targets) = self.split.columns();
        let columns = self.split.source().columns();
        let list = |numbers: &[usize], are_inputs: bool| {
            let mut list = Vec::new();
            for (at, &column) in numbers.iter().enumerate() {
                let port = &columns[column];
                let normalization = match are_inputs {
                    // Pixels between pixels are no bytes.
                    true if self.raw => {
                        (at == 0 && self.augment.is_some()).then(Normalization::none)
                    }
                    true => self.normalizations[at].clone(),
                    false => None,
                };
                let pad = self.pads.iter().find(|(padded, _)| *padded == column);
                let pad = pad.map(|(_, pad)| *pad);
                let shares = !are_inputs && is_class(port) && self.mixes();
                let shares = shares.then_some(self.classes);
                let floats = normalization.is_some() || shares.is_some();
                let dtype = if floats { DType::F32 } else { port.dtype };
                let values = FedArray {
                    column,
                    name: Arc::clone(&port.name),
                    dtype,
                    fixed: shares.map_or_else(|| fixed_shape(port), |classes| Some(vec![classes])),
                    is_mask: false,
                    shares,
                    normalization,
                    pad,
                };
                let mask = pad.and_then(|pad| Some((pad.mask_type()?, pad.mask_name(&port.name)?)));
                let mask = mask.map(|(dtype, name)| FedArray {
                    name: name.into(),
                    dtype,
                    is_mask: true,
                    normalization: None,
                    ..values.clone()
                });
                list.push(values);
                list.extend(mask);
            }
            list
        };
        FedArrays {
            inputs: list(inputs, true),
            targets: list(targets, false),
        }
    }

    /// Fills a feed whose indices are there; arrays that are of the right size are used again.
    pub(crate) fn fill_feed(
        &self,
        fed: &FedArrays,
        items: Items<'_>,
        feed: &mut Feed,
        spread: &Spread<'_>,
    ) -> Result<()> {
        let labels = self.labels_to_mix(fed, items)?;
        self.fill_arrays(&fed.inputs, items, &mut feed.inputs, spread)?;
        self.fill_arrays(&fed.targets, items, &mut feed.targets, spread)?;
        let (Some(augment), Some(first), Some(images)) = (
            &self.augment,
            fed.inputs.first(),
            feed.inputs.values_mut().next(),
        ) else {
            return Ok(());
        };
        let bytes = self.split.source().columns()[first.column].dtype == DType::U8;
        let levels = Levels::new(first.normalization.as_ref(), bytes);
        let (images, shape) = (images.as_mut_slice::<f32>()?, self.split.shape());
        let (indices, epoch) = (&feed.indices, self.epoch());
        augment.apply_with(images, shape, indices, epoch, levels, spread)?;
        if let (Some(labels), Some(shares)) = (labels, feed.targets.values_mut().next()) {
            let mixes = augment.mixed(images, shape, indices, epoch, spread)?;
            let shares = shares.as_mut_slice::<f32>()?;
            write_shares(shares, &labels, self.classes, mixes.as_deref());
        }
        Ok(())
    }

    /// The classes of the samples, if their shares are fed.
    fn labels_to_mix(&self, fed: &FedArrays, items: Items<'_>) -> Result<Option<Vec<i64>>> {
        let Some(target) = fed.targets.first().filter(|fed| fed.shares.is_some()) else {
            return Ok(None);
        };
        if self.classes == 0 {
            return Err(Error::new(
                "targets of samples that are mixed are shares of classes; say by `Loader::classes` how many there are",
            ));
        }
        let label = |at| match items.get(at, target.column) {
            Some((Elements::I64(&[label]), _)) => Some(label),
            _ => None,
        };
        let labels: Vec<i64> = (0..items.len()).filter_map(label).collect();
        check_labels(&labels, self.classes)?;
        Ok(Some(labels))
    }

    fn fill_arrays(
        &self,
        all: &[FedArray],
        items: Items<'_>,
        arrays: &mut Arrays,
        spread: &Spread<'_>,
    ) -> Result<()> {
        if arrays.len() != all.len() {
            let none = |fed: &FedArray| {
                let array = Array::zeros(&Meta::new([0], fed.dtype));
                (Arc::clone(&fed.name), array)
            };
            *arrays = all.iter().map(none).collect();
        }
        for (fed, array) in all.iter().zip(arrays.values_mut()) {
            let made;
            let shape = match &fed.fixed {
                Some(shape) => shape,
                None => {
                    made = self.batch_shape(fed, items)?;
                    &made
                }
            };
            let fits = array.dtype() == fed.dtype
                && array.shape().first() == Some(&items.len())
                && array.shape()[1..] == shape[..];
            if !fits {
                let whole = [&[items.len()], &shape[..]].concat();
                *array = Array::try_zeros(&Meta::new(whole, fed.dtype))?;
            }
            // They are known when the images are mixed.
            if fed.shares.is_some() {
                continue;
            }
            fill(
                fed,
                self.split.source().columns(),
                items,
                array,
                shape,
                spread,
            );
        }
        Ok(())
    }

    /// The shape of one sample's room in a batch of samples of different sizes.
    fn batch_shape(&self, fed: &FedArray, items: Items<'_>) -> Result<Vec<usize>> {
        let port = &self.split.source().columns()[fed.column];
        let mut shape = Vec::with_capacity(port.axes.len());
        for (axis, length) in port.axes.iter().enumerate() {
            let Axis::Any(name) = length else {
                if let (Axis::Fixed(length), false) = (length, fed.is_mask) {
                    shape.push(*length);
                }
                continue;
            };
            let lengths = || {
                (0..items.len())
                    .filter_map(|at| items.get(at, fed.column))
                    .map(|(_, shape)| shape[axis])
            };
            let longest = lengths().max().unwrap_or(0);
            let padded = match &fed.pad {
                Some(pad) => pad
                    .length(longest)
                    .map_err(|error| Error::new(format!("column {port}: {error}")))?,
                None => match lengths().find(|&length| length != longest) {
                    None => longest,
                    Some(other) => {
                        return Err(Error::new(format!(
                            "samples differ in the {name} of the column {port}: {other} and {longest}; say by \
                             `Loader::pad` how they become one array"
                        )));
                    }
                },
            };
            shape.push(padded);
        }
        Ok(shape)
    }
}

/// Writes the normalized values of the samples from the number `first` on.
pub(crate) fn write_normalized(
    items: Items<'_>,
    first: usize,
    column: usize,
    normalization: &Normalization,
    room: &mut [f32],
    length: usize,
) {
    if length == 0 {
        return;
    }
    for (at, room) in room.chunks_exact_mut(length).enumerate() {
        if let Some((values, shape)) = items.get(first + at, column) {
            normalization.write(values, shape.first().copied().unwrap_or(1), room);
        }
    }
}

/// Fills an array `[N, ...]` of the right type and size with the samples' values, or with where they have some.
fn fill(
    fed: &FedArray,
    columns: &[Port],
    items: Items<'_>,
    array: &mut Array,
    dims: &[usize],
    spread: &Spread<'_>,
) {
    let length = dims.iter().product::<usize>();
    if length == 0 || items.len() == 0 {
        return;
    }
    let axes = &columns[fed.column].axes;
    let value = fed.pad.map_or(0.0, |pad| pad.value());
    macro_rules! masked {
        ($room:ident, $type:ty) => {{
            let one = vec![1 as $type; length];
            in_parts($room, items.len(), spread, &|first, room| {
                for (at, room) in room.chunks_exact_mut(length).enumerate() {
                    room.fill(0 as $type);
                    let Some((_, shape)) = items.get(first + at, fed.column) else {
                        continue;
                    };
                    let free = axes.iter().zip(shape);
                    let shape: Vec<usize> = free
                        .filter(|(axis, _)| matches!(axis, Axis::Any(_)))
                        .map(|(_, &length)| length)
                        .collect();
                    let ones = shape.iter().product::<usize>();
                    place(&one[..ones], &shape, room, dims);
                }
            });
        }};
    }
    macro_rules! copied {
        ($room:ident, $variant:ident, $type:ty) => {
            in_parts($room, items.len(), spread, &|first, room| {
                for (at, room) in room.chunks_exact_mut(length).enumerate() {
                    let Some((Elements::$variant(values), shape)) =
                        items.get(first + at, fed.column)
                    else {
                        continue;
                    };
                    if shape != dims {
                        room.fill(value as $type);
                    }
                    place(values, shape, room, dims);
                }
            })
        };
    }
    match (array.elements_mut(), &fed.normalization, fed.is_mask) {
        (ElementsMut::F32(room), Some(normalization), false) if fed.fixed.is_some() => {
            in_parts(room, items.len(), spread, &|first, room| {
                write_normalized(items, first, fed.column, normalization, room, length);
            });
        }
        (ElementsMut::F32(room), Some(normalization), false) => {
            in_parts(room, items.len(), spread, &|first, room| {
                for (at, room) in room.chunks_exact_mut(length).enumerate() {
                    let Some((values, shape)) = items.get(first + at, fed.column) else {
                        continue;
                    };
                    let mut own = vec![0.0; shape.iter().product::<usize>()];
                    normalization.write(values, shape.first().copied().unwrap_or(1), &mut own);
                    room.fill(value as f32);
                    place(&own, shape, room, dims);
                }
            });
        }
        (ElementsMut::F32(room), _, true) => masked!(room, f32),
        (ElementsMut::F64(room), _, true) => masked!(room, f64),
        (ElementsMut::I64(room), _, true) => masked!(room, i64),
        (ElementsMut::U8(room) | ElementsMut::Bool(room), _, true) => masked!(room, u8),
        (ElementsMut::F32(room), None, false) => copied!(room, F32, f32),
        (ElementsMut::F64(room), _, false) => copied!(room, F64, f64),
        (ElementsMut::I64(room), _, false) => copied!(room, I64, i64),
        (ElementsMut::U8(room), _, false) => copied!(room, U8, u8),
        (ElementsMut::Bool(room), _, false) => copied!(room, Bool, u8),
    }
}
