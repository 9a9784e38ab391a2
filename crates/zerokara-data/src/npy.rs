//! NumPy's files: `.npy`, one array, and `.npz`, several of them in a ZIP archive.

use crate::error::{Error, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use zerokara_core::{Array, DType, Meta};

/// What a file of NumPy holds.
#[derive(Clone, Debug)]
pub enum Npy {
    /// Numbers: bytes, truth values, `i64` for all other integers, `f32` for halves and floats, `f64` for doubles.
    Array(Array),
    /// Texts, with the shape that they have.
    Texts(Vec<String>, Vec<usize>),
}

/// The beginning of each file.
const MAGIC: &[u8] = b"\x93NUMPY";
/// The largest array.
const MOST_BYTES: u64 = 8 << 30;
/// The longest head; those that are written have some hundred letters.
const MOST_HEAD: usize = 1 << 16;
/// Arrays of an archive, at most.
const MOST_ARRAYS: usize = 1_000;

impl Npy {
    /// The shape.
    pub fn shape(&self) -> &[usize] {
        match self {
            Npy::Array(array) => array.shape(),
            Npy::Texts(_, shape) => shape,
        }
    }
}

/// Reads an array.
///
/// # Errors
///
/// The file cannot be read, is cut off or damaged, or holds what are no numbers or texts: Python objects, records, dates.
pub fn read(path: impl AsRef<Path>) -> Result<Npy> {
    let path = path.as_ref();
    let fail = |why: String| Error::file(path, why);
    let file = File::open(path).map_err(|error| fail(format!("cannot be opened: {error}")))?;
    read_from(file).map_err(fail)
}

/// Reads the arrays of an archive, in order, each with its name.
///
/// # Errors
///
/// As [`read`]; the file is no ZIP archive.
pub fn read_npz(path: impl AsRef<Path>) -> Result<Vec<(String, Npy)>> {
    let path = path.as_ref();
    let fail = |why: String| Error::file(path, why);
    let file = File::open(path).map_err(|error| fail(format!("cannot be opened: {error}")))?;
    let broken = |error: zip::result::ZipError| fail(format!("is no archive of arrays: {error}"));
    let mut archive = zip::ZipArchive::new(std::io::BufReader::new(file)).map_err(broken)?;
    if archive.len() > MOST_ARRAYS {
        return Err(fail(format!(
            "holds {} files; up to {MOST_ARRAYS} are read",
            archive.len()
        )));
    }
    let mut arrays = Vec::new();
    for at in 0..archive.len() {
        let entry = archive.by_index(at).map_err(broken)?;
        let name = entry.name().map_err(broken)?.into_owned();
        let Some(name) = name.strip_suffix(".npy").map(str::to_string) else {
            continue;
        };
        let array = read_from(entry).map_err(|why| fail(format!("array {name:?}: {why}")))?;
        arrays.push((name, array));
    }
    Ok(arrays)
}

/// What each element is.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Bool,
    Unsigned,
    Signed,
    Float,
    Text,
}

struct Head {
    kind: Kind,
    /// Bytes of an element.
    size: usize,
    is_big_endian: bool,
    by_columns: bool,
    shape: Vec<usize>,
}

fn read_from(mut input: impl Read) -> Result<Npy, String> {
    let head = head(&mut input)?;
    let elements = head
        .shape
        .iter()
        .try_fold(1usize, |product, &length| product.checked_mul(length));
    let bytes = elements.and_then(|count| count.checked_mul(head.size));
    let bytes = bytes
        .filter(|&bytes| bytes as u64 <= MOST_BYTES)
        .ok_or_else(|| {
            format!(
                "is too large: an array of shape {:?}; up to 8 GiB are read",
                head.shape
            )
        })?;
    // What is there is read, and not what the head says: a short file takes little memory.
    let mut values = Vec::new();
    input
        .take(bytes as u64)
        .read_to_end(&mut values)
        .map_err(|error| format!("cannot be read: {error}"))?;
    if values.len() != bytes {
        return Err(format!(
            "is cut off: {} of {bytes} bytes are there",
            values.len()
        ));
    }
    if head.by_columns && head.shape.len() > 1 {
        values = by_rows(&values, &head.shape, head.size);
    }
    made(&head, &values)
}

fn head(input: &mut impl Read) -> Result<Head, String> {
    let cut = |_| "is cut off, or no file of NumPy".to_string();
    let mut start = [0; 8];
    input.read_exact(&mut start).map_err(cut)?;
    if start[..6] != *MAGIC {
        return Err("is no file of NumPy".into());
    }
    let length = match start[6] {
        1 => {
            let mut length = [0; 2];
            input.read_exact(&mut length).map_err(cut)?;
            usize::from(u16::from_le_bytes(length))
        }
        2 | 3 => {
            let mut length = [0; 4];
            input.read_exact(&mut length).map_err(cut)?;
            u32::from_le_bytes(length) as usize
        }
        version => {
            return Err(format!(
                "is of version {version} of NumPy's format, which is not known"
            ));
        }
    };
    if length > MOST_HEAD {
        return Err("has too long a head".into());
    }
    let mut text = vec![0; length];
    input.read_exact(&mut text).map_err(cut)?;
    let text = String::from_utf8(text).map_err(|_| "has a damaged head".to_string())?;
    parsed(&text).ok_or_else(|| {
        format!(
            "holds neither numbers nor texts ({}); save plain arrays, without pickles",
            text.trim()
        )
    })
}

/// The head, such as `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
fn parsed(text: &str) -> Option<Head> {
    let after = |key: &str| Some(text.split_once(&format!("'{key}':"))?.1.trim_start());
    let descr = after("descr")?.strip_prefix('\'')?;
    let descr = descr.split_once('\'')?.0;
    let order = descr.chars().next()?;
    let is_big_endian = match order {
        '<' | '|' | '=' => false,
        '>' => true,
        _ => return None,
    };
    let letter = descr.chars().nth(1)?;
    let number: usize = descr.get(2..)?.parse().ok()?;
    let (kind, size) = match (letter, number) {
        ('b', 1) => (Kind::Bool, 1),
        ('u', 1 | 2 | 4 | 8) => (Kind::Unsigned, number),
        ('i', 1 | 2 | 4 | 8) => (Kind::Signed, number),
        ('f', 2 | 4 | 8) => (Kind::Float, number),
        // Each letter has four bytes.
        ('U', 0..=10_000) => (Kind::Text, 4 * number),
        _ => return None,
    };
    let by_columns = after("fortran_order")?.starts_with("True");
    let shape = after("shape")?.strip_prefix('(')?.split_once(')')?.0;
    let lengths = shape
        .split(',')
        .map(str::trim)
        .filter(|length| !length.is_empty());
    Some(Head {
        kind,
        size,
        is_big_endian,
        by_columns,
        shape: lengths
            .map(|length| length.parse().ok())
            .collect::<Option<_>>()?,
    })
}

/// The elements of an array that lies column by column, row by row.
fn by_rows(values: &[u8], shape: &[usize], size: usize) -> Vec<u8> {
    let count = shape.iter().product::<usize>();
    let mut strides = vec![1; shape.len()];
    for axis in 1..shape.len() {
        strides[axis] = strides[axis - 1] * shape[axis - 1];
    }
    let mut out = Vec::with_capacity(values.len());
    let mut index = vec![0; shape.len()];
    for _ in 0..count {
        let place: usize = index
            .iter()
            .zip(&strides)
            .map(|(i, stride)| i * stride)
            .sum();
        out.extend_from_slice(&values[place * size..(place + 1) * size]);
        for axis in (0..shape.len()).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}

fn made(head: &Head, values: &[u8]) -> Result<Npy, String> {
    let shape = &head.shape[..];
    let elements = || values.chunks_exact(head.size.max(1));
    // The bytes of an element, the least first.
    let whole = |bytes: &[u8]| -> u64 {
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        match head.is_big_endian {
            true => bytes.iter().fold(0, add),
            false => bytes.iter().rev().fold(0, add),
        }
    };
    let array = match (head.kind, head.size) {
        (Kind::Bool, _) => {
            let mut array =
                Array::try_zeros(&Meta::new(shape, DType::Bool)).map_err(|e| e.to_string())?;
            if let zerokara_core::ElementsMut::Bool(to) = array.elements_mut() {
                to.iter_mut()
                    .zip(values)
                    .for_each(|(to, &from)| *to = u8::from(from != 0));
            }
            array
        }
        (Kind::Unsigned, 1) => Array::new(shape, values.to_vec()),
        (Kind::Unsigned, 8) => {
            let numbers: Option<Vec<i64>> = elements()
                .map(|bytes| i64::try_from(whole(bytes)).ok())
                .collect();
            Array::new(
                shape,
                numbers.ok_or("holds whole numbers that are too large")?,
            )
        }
        (Kind::Unsigned, _) => Array::new(
            shape,
            elements()
                .map(|bytes| whole(bytes) as i64)
                .collect::<Vec<_>>(),
        ),
        (Kind::Signed, size) => {
            // The sign stands in the highest bit.
            let free = 64 - 8 * size as u32;
            let signed = |bytes: &[u8]| (whole(bytes) << free) as i64 >> free;
            Array::new(shape, elements().map(signed).collect::<Vec<_>>())
        }
        (Kind::Float, 2) => Array::new(
            shape,
            elements()
                .map(|bytes| half(whole(bytes) as u16))
                .collect::<Vec<_>>(),
        ),
        (Kind::Float, 4) => {
            let float = |bytes: &[u8]| f32::from_bits(whole(bytes) as u32);
            Array::new(shape, elements().map(float).collect::<Vec<_>>())
        }
        (Kind::Float, _) => {
            let double = |bytes: &[u8]| f64::from_bits(whole(bytes));
            Array::new(shape, elements().map(double).collect::<Vec<_>>())
        }
        (Kind::Text, 0) => {
            return Ok(Npy::Texts(
                vec![String::new(); shape.iter().product()],
                shape.to_vec(),
            ));
        }
        (Kind::Text, _) => {
            let letter = |bytes: &[u8]| char::from_u32(whole(bytes) as u32);
            let text = |bytes: &[u8]| -> Option<String> {
                let letters: Option<String> = bytes.chunks_exact(4).map(letter).collect();
                letters.map(|text| text.trim_end_matches('\0').to_string())
            };
            let texts: Option<Vec<String>> = elements().map(text).collect();
            return Ok(Npy::Texts(
                texts.ok_or("holds damaged texts")?,
                shape.to_vec(),
            ));
        }
    };
    array.valid().map_err(|error| error.to_string())?;
    Ok(Npy::Array(array))
}

/// A number of 16 bits: a sign, five bits of exponent, ten of the fraction.
fn half(bits: u16) -> f32 {
    let sign = if bits & 0x8000 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f32::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f32.powi(-24),
        31 if fraction == 0.0 => f32::INFINITY,
        31 => f32::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f32.powi(exponent - 15),
    }
}
