//! Buffers of numbers, aligned to cache lines.

use std::{
    alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error},
    fmt,
    ptr::NonNull,
};

use crate::plan::{Element, Elements, ElementsMut};

/// Every buffer starts at a multiple of this many bytes: a cache line, and the widest vector.
pub const ALIGNMENT: usize = 64;
/// Numbers in a cache line.
pub(crate) const LINE: usize = ALIGNMENT / size_of::<f32>();

/// An owned buffer of `len` elements of one type; it starts on a cache line.
///
/// ```
/// use zerokara_kernels::{plan::Element, storage::Storage};
///
/// let mut s = Storage::zeros(Element::F32, 3);
/// s.f32s_mut().unwrap()[1] = 2.5;
/// assert_eq!(s.f32s(), Some(&[0.0, 2.5, 0.0][..]));
/// assert_eq!(s.i64s(), None); // it holds no integers
/// assert_eq!(Storage::from(vec![1_i64, 2]).len(), 2);
/// ```
pub struct Storage {
    pointer: NonNull<u8>,
    len: usize,
    element: Element,
}

// SAFETY: a storage owns its bytes alone; they are plain numbers, reached only through `&self` and `&mut self`.
unsafe impl Send for Storage {}
// SAFETY: as above; shared references only read.
unsafe impl Sync for Storage {}

/// Bytes behind the last element that may be read: compiled loops load bytes eight at a time.
const SLACK: usize = 7;

fn try_layout(element: Element, len: usize) -> Option<Layout> {
    let slack = if element.size() == 1 { SLACK } else { 0 };
    // Whole cache lines, so that a vector that ends in the last line never leaves the allocation.
    len.checked_mul(element.size())
        .and_then(|bytes| bytes.checked_add(slack))
        .and_then(|bytes| bytes.max(1).checked_next_multiple_of(ALIGNMENT))
        .and_then(|bytes| Layout::from_size_align(bytes, ALIGNMENT).ok())
}

fn layout(element: Element, len: usize) -> Layout {
    try_layout(element, len).unwrap_or_else(|| {
        panic!("a buffer of {len} elements of {element:?} is larger than the address space")
    })
}

impl Storage {
    /// A buffer of zeros.
    ///
    /// # Panics
    /// If its size in bytes exceeds the address space; like `Vec`, it aborts when the memory is not there.
    pub fn zeros(element: Element, len: usize) -> Storage {
        let layout = layout(element, len);
        Storage::try_zeros(element, len).unwrap_or_else(|| handle_alloc_error(layout))
    }

    /// A buffer of zeros, or `None` if the memory is not there.
    pub fn try_zeros(element: Element, len: usize) -> Option<Storage> {
        let layout = try_layout(element, len)?;
        // SAFETY: the layout's size is not 0.
        let pointer = NonNull::new(unsafe { alloc_zeroed(layout) })?;
        Some(Storage {
            pointer,
            len,
            element,
        })
    }

    /// A buffer of truth values.
    pub fn bools_from(values: impl ExactSizeIterator<Item = bool>) -> Storage {
        let mut storage = Storage::zeros(Element::Bool, values.len());
        if let Some(bytes) = storage.bools_mut() {
            bytes
                .iter_mut()
                .zip(values)
                .for_each(|(byte, value)| *byte = u8::from(value));
        }
        storage
    }

    fn copy_bytes(element: Element, source: *const u8, len: usize) -> Storage {
        let layout = layout(element, len);
        // SAFETY: the layout's size is not 0.
        let pointer = unsafe { alloc(layout) };
        let Some(pointer) = NonNull::new(pointer) else {
            handle_alloc_error(layout)
        };
        let bytes = len * element.size();
        // SAFETY: callers pass a slice of `len` elements of this size; the new allocation has at least that many
        // bytes, and what remains of the last line is zeroed.
        unsafe {
            pointer.as_ptr().copy_from_nonoverlapping(source, bytes);
            pointer
                .as_ptr()
                .add(bytes)
                .write_bytes(0, layout.size() - bytes);
        }
        Storage {
            pointer,
            len,
            element,
        }
    }

    /// The type of its elements.
    pub fn element(&self) -> Element {
        self.element
    }

    /// The number of its elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its size in bytes, without the padding to whole cache lines.
    pub fn bytes(&self) -> usize {
        self.len * self.element.size()
    }

    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.pointer.as_ptr()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.pointer.as_ptr()
    }

    /// Its elements, whatever their type.
    pub fn elements(&self) -> Elements<'_> {
        let p = self.pointer.as_ptr();
        // SAFETY: the allocation holds `len` elements of the type that is matched, aligned to 64 bytes and
        // initialised when it was made; every bit pattern of these types is a value.
        unsafe {
            match self.element {
                Element::F32 => Elements::F32(std::slice::from_raw_parts(p.cast(), self.len)),
                Element::F64 => Elements::F64(std::slice::from_raw_parts(p.cast(), self.len)),
                Element::I64 => Elements::I64(std::slice::from_raw_parts(p.cast(), self.len)),
                Element::U8 => Elements::U8(std::slice::from_raw_parts(p, self.len)),
                Element::Bool => Elements::Bool(std::slice::from_raw_parts(p, self.len)),
            }
        }
    }

    /// Its elements, whatever their type, to be written. Truth values must stay 0 or 1.
    pub fn elements_mut(&mut self) -> ElementsMut<'_> {
        let p = self.pointer.as_ptr();
        // SAFETY: as in `elements`, and `&mut self` is the only way to the bytes.
        unsafe {
            match self.element {
                Element::F32 => {
                    ElementsMut::F32(std::slice::from_raw_parts_mut(p.cast(), self.len))
                }
                Element::F64 => {
                    ElementsMut::F64(std::slice::from_raw_parts_mut(p.cast(), self.len))
                }
                Element::I64 => {
                    ElementsMut::I64(std::slice::from_raw_parts_mut(p.cast(), self.len))
                }
                Element::U8 => ElementsMut::U8(std::slice::from_raw_parts_mut(p, self.len)),
                Element::Bool => ElementsMut::Bool(std::slice::from_raw_parts_mut(p, self.len)),
            }
        }
    }
}

macro_rules! typed {
    ($variant:ident, $type:ty, $read:ident, $write:ident, $what:literal) => {
        impl Storage {
            #[doc = concat!("Its elements, if it holds ", $what, ".")]
            pub fn $read(&self) -> Option<&[$type]> {
                match self.elements() {
                    Elements::$variant(x) => Some(x),
                    _ => None,
                }
            }

            #[doc = concat!("Its elements to be written, if it holds ", $what, ".")]
            pub fn $write(&mut self) -> Option<&mut [$type]> {
                match self.elements_mut() {
                    ElementsMut::$variant(x) => Some(x),
                    _ => None,
                }
            }
        }
    };
}
typed!(F32, f32, f32s, f32s_mut, "32-bit floats");
typed!(F64, f64, f64s, f64s_mut, "64-bit floats");
typed!(I64, i64, i64s, i64s_mut, "64-bit integers");
typed!(U8, u8, u8s, u8s_mut, "unsigned bytes");
typed!(Bool, u8, bools, bools_mut, "truth values (bytes 0 and 1)");

macro_rules! from_slice {
    ($variant:ident, $type:ty) => {
        impl From<&[$type]> for Storage {
            fn from(slice: &[$type]) -> Storage {
                Storage::copy_bytes(Element::$variant, slice.as_ptr().cast(), slice.len())
            }
        }

        impl From<Vec<$type>> for Storage {
            fn from(vec: Vec<$type>) -> Storage {
                Storage::from(vec.as_slice())
            }
        }

        impl<const N: usize> From<[$type; N]> for Storage {
            fn from(array: [$type; N]) -> Storage {
                Storage::from(array.as_slice())
            }
        }
    };
}
from_slice!(F32, f32);
from_slice!(F64, f64);
from_slice!(I64, i64);
from_slice!(U8, u8);

impl From<&[bool]> for Storage {
    fn from(slice: &[bool]) -> Storage {
        Storage::bools_from(slice.iter().copied())
    }
}

impl From<Vec<bool>> for Storage {
    fn from(vec: Vec<bool>) -> Storage {
        Storage::from(vec.as_slice())
    }
}

impl Clone for Storage {
    fn clone(&self) -> Storage {
        Storage::copy_bytes(self.element, self.as_ptr(), self.len)
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // SAFETY: allocated with this very layout.
        unsafe { dealloc(self.pointer.as_ptr(), layout(self.element, self.len)) }
    }
}

impl PartialEq for Storage {
    /// Same type, same length, equal elements (so NaN makes it false).
    fn eq(&self, other: &Storage) -> bool {
        match (self.elements(), other.elements()) {
            (Elements::F32(a), Elements::F32(b)) => a == b,
            (Elements::F64(a), Elements::F64(b)) => a == b,
            (Elements::I64(a), Elements::I64(b)) => a == b,
            (Elements::U8(a), Elements::U8(b)) => a == b,
            (Elements::Bool(a), Elements::Bool(b)) => a == b,
            _ => false,
        }
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.elements().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_on_a_cache_line_and_is_zero() {
        for element in Element::ALL {
            for len in [0, 1, 7, 16, 1000] {
                let s = Storage::zeros(element, len);
                assert_eq!(s.as_ptr() as usize % ALIGNMENT, 0);
                assert_eq!(
                    (s.len(), s.bytes(), s.element()),
                    (len, len * element.size(), element)
                );
                let zero = match s.elements() {
                    Elements::F32(x) => x.iter().all(|&x| x.to_bits() == 0),
                    Elements::F64(x) => x.iter().all(|&x| x.to_bits() == 0),
                    Elements::I64(x) => x.iter().all(|&x| x == 0),
                    Elements::U8(x) | Elements::Bool(x) => x.iter().all(|&x| x == 0),
                };
                assert!(zero);
            }
        }
    }

    #[test]
    fn a_clone_is_a_copy() {
        let mut a = Storage::from(vec![1.0_f32, 2.0, 3.0]);
        let b = a.clone();
        a.f32s_mut().unwrap()[0] = 9.0;
        assert_eq!(a.f32s().unwrap(), [9.0, 2.0, 3.0]);
        assert_eq!(b.f32s().unwrap(), [1.0, 2.0, 3.0]);
        assert_ne!(a, b);
    }

    #[test]
    fn only_the_right_type_is_given() {
        let mut s = Storage::from(vec![true, false]);
        assert_eq!(s.bools(), Some(&[1, 0][..]));
        assert!(s.f32s().is_none() && s.f64s().is_none() && s.i64s_mut().is_none());
        assert_eq!(Storage::from([1.5_f64]).f64s(), Some(&[1.5][..]));
        let bytes = Storage::from([7_u8, 255]);
        assert_eq!((bytes.u8s(), bytes.bools()), (Some(&[7, 255][..]), None));
    }
}
