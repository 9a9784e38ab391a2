//! The IDX file format, in which MNIST and its relatives are published, plain or compressed by gzip.
//!
//! A file is a header and the values in row-major order, all big-endian:
//!
//! ```text
//! byte 0, 1   0
//! byte 2      type of the values: 08 u8, 09 i8, 0B i16, 0C i32, 0D f32, 0E f64
//! byte 3      number of dimensions
//! then        each size, 4 bytes
//! then        the values
//! ```
//!
//! Source: <http://yann.lecun.com/exdb/mnist/>, "The IDX file format".

use std::fs::File;
use std::io::{BufRead, BufReader, Chain, Cursor, ErrorKind, Read};
use std::path::Path;

use flate2::bufread::GzDecoder;

use crate::error::{Error, Result};

/// Largest file that is read: 4 GiB of values.
const MAX_BYTES: u64 = 4 << 30;
/// MNIST-like sets have up to 4 dimensions.
const MAX_RANK: usize = 8;

/// The values of an IDX file, of the type that its header names.
#[derive(Clone, Debug, PartialEq)]
pub enum Values {
    /// Type 08.
    U8(Vec<u8>),
    /// Type 09.
    I8(Vec<i8>),
    /// Type 0B.
    I16(Vec<i16>),
    /// Type 0C.
    I32(Vec<i32>),
    /// Type 0D.
    F32(Vec<f32>),
    /// Type 0E.
    F64(Vec<f64>),
}

impl Values {
    /// Number of values.
    pub fn len(&self) -> usize {
        match self {
            Values::U8(values) => values.len(),
            Values::I8(values) => values.len(),
            Values::I16(values) => values.len(),
            Values::I32(values) => values.len(),
            Values::F32(values) => values.len(),
            Values::F64(values) => values.len(),
        }
    }

    /// Whether there is no value.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name of the type: `"u8"`, `"i8"`, `"i16"`, `"i32"`, `"f32"` or `"f64"`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Values::U8(_) => "u8",
            Values::I8(_) => "i8",
            Values::I16(_) => "i16",
            Values::I32(_) => "i32",
            Values::F32(_) => "f32",
            Values::F64(_) => "f64",
        }
    }
}

/// The contents of an IDX file.
#[derive(Clone, Debug, PartialEq)]
pub struct Idx {
    /// Sizes of the dimensions; the first is the number of samples.
    pub shape: Vec<usize>,
    /// The values, as many as the product of the shape.
    pub values: Values,
}

impl Idx {
    /// The bytes of an IDX file with these contents, not compressed.
    ///
    /// # Errors
    ///
    /// The shape has no dimension or more than 8, a size needs more than 32 bits, or the product of the shape is not
    /// the number of values.
    ///
    /// # Example
    ///
    /// ```
    /// use zerokara_data::idx::{Idx, Values};
    ///
    /// let labels = Idx { shape: vec![3], values: Values::U8(vec![5, 0, 4]) };
    /// assert_eq!(labels.to_bytes()?, [0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let product = self
            .shape
            .iter()
            .try_fold(1usize, |product, &size| product.checked_mul(size));
        if product != Some(self.values.len())
            || self.shape.is_empty()
            || self.shape.len() > MAX_RANK
        {
            return Err(Error::new(format!(
                "{} values cannot be written as IDX of shape {:?}",
                self.values.len(),
                self.shape
            )));
        }
        let code = match self.values {
            Values::U8(_) => 0x08,
            Values::I8(_) => 0x09,
            Values::I16(_) => 0x0b,
            Values::I32(_) => 0x0c,
            Values::F32(_) => 0x0d,
            Values::F64(_) => 0x0e,
        };
        let mut bytes = vec![0, 0, code, self.shape.len() as u8];
        for &size in &self.shape {
            let size = u32::try_from(size)
                .map_err(|_| Error::new(format!("IDX cannot hold the size {size}")))?;
            bytes.extend(size.to_be_bytes());
        }
        match &self.values {
            Values::U8(values) => bytes.extend(values),
            Values::I8(values) => bytes.extend(values.iter().map(|&value| value as u8)),
            Values::I16(values) => bytes.extend(values.iter().flat_map(|v| v.to_be_bytes())),
            Values::I32(values) => bytes.extend(values.iter().flat_map(|v| v.to_be_bytes())),
            Values::F32(values) => bytes.extend(values.iter().flat_map(|v| v.to_be_bytes())),
            Values::F64(values) => bytes.extend(values.iter().flat_map(|v| v.to_be_bytes())),
        }
        Ok(bytes)
    }
}

/// Reads an IDX file, plain or compressed by gzip (told apart by the first bytes, not by the name).
///
/// A file of gzip may have several members, one after the other, and whatever else behind its end, such as the zeros that
/// tapes and cards pad with: as for `gunzip`, that is no part of it. Each member's check sum must be right.
///
/// The header is not trusted: memory grows with the bytes that are there, up to what the header announces.
///
/// # Errors
///
/// The file cannot be opened, its gzip stream is damaged or cut, the header is not one of IDX, the sizes are absurd
/// (over 4 GiB), or the values are fewer or more than the header says. The message names the file.
///
/// # Example
///
/// ```no_run
/// let images = zerokara_data::idx::read("train-images-idx3-ubyte.gz")?;
/// assert_eq!(images.shape, [60_000, 28, 28]);
/// # Ok::<(), zerokara_data::Error>(())
/// ```
pub fn read(path: impl AsRef<Path>) -> Result<Idx> {
    let path = path.as_ref();
    let fail = |message: String| Error::file(path, message);
    let file = File::open(path).map_err(|error| fail(format!("cannot be opened: {error}")))?;
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let start = reader
        .fill_buf()
        .map_err(|error| fail(format!("cannot be read: {error}")))?;
    if start.starts_with(&[0x1f, 0x8b]) {
        parse(Members::of(reader), true).map_err(fail)
    } else {
        parse(reader, false).map_err(fail)
    }
}

/// Reads IDX from bytes, plain or compressed by gzip.
///
/// # Errors
///
/// As [`read`], without the name of a file.
///
/// # Example
///
/// ```
/// let labels = zerokara_data::idx::from_bytes(&[0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4])?;
/// assert_eq!(labels.shape, [3]);
/// # Ok::<(), zerokara_data::Error>(())
/// ```
pub fn from_bytes(bytes: &[u8]) -> Result<Idx> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        parse(Members::of(bytes), true)
    } else {
        parse(bytes, false)
    }
    .map_err(|message| Error::new(format!("IDX data: {message}")))
}

/// The contents of all members of a gzip file.
struct Members<R> {
    /// The member that is read, whose first bytes may have been looked at before; none behind the last.
    current: Option<GzDecoder<Chain<Cursor<Vec<u8>>, R>>>,
}

impl<R: BufRead> Members<R> {
    fn of(reader: R) -> Self {
        Members {
            current: Some(GzDecoder::new(Cursor::new(Vec::new()).chain(reader))),
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        while let Some(current) = &mut self.current {
            let count = current.read(into)?;
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            // The start of a member was read before what follows it.
            let Some(mut rest) = self.current.take().map(|ended| ended.into_inner()) else {
                break;
            };
            let mut start = Vec::new();
            loop {
                start.clear();
                rest.by_ref().take(1).read_to_end(&mut start)?;
                if start != [0] {
                    break;
                }
            }
            rest.by_ref().take(1).read_to_end(&mut start)?;
            if start == [0x1f, 0x8b] {
                let (_, reader) = rest.into_inner();
                self.current = Some(GzDecoder::new(Cursor::new(start).chain(reader)));
            }
        }
        Ok(0)
    }
}

fn parse(mut reader: impl Read, gzip: bool) -> std::result::Result<Idx, String> {
    let broken = |error: std::io::Error| match (error.kind(), gzip) {
        (ErrorKind::UnexpectedEof, true) => {
            "the gzip stream is cut short; fetch the file again".to_string()
        }
        (_, true) => format!("the gzip stream is damaged ({error}); fetch the file again"),
        (_, false) => format!("cannot be read: {error}"),
    };
    // A plain file that ends early is told apart from a cut gzip stream by reading what is there.
    let mut take = |count: u64| {
        let mut bytes = Vec::new();
        reader
            .by_ref()
            .take(count)
            .read_to_end(&mut bytes)
            .map(|_| bytes)
            .map_err(broken)
    };

    let magic = take(4)?;
    if magic.len() < 4 {
        return Err(format!(
            "is not an IDX file: it has only {} bytes",
            magic.len()
        ));
    }
    let [0, 0, code, rank] = magic[..] else {
        return Err(format!(
            "is not an IDX file: it starts with {}, an IDX file with 00 00, the type and the number of dimensions",
            magic
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<Vec<_>>()
                .join(" ")
        ));
    };
    let width = match code {
        0x08 | 0x09 => 1,
        0x0b => 2,
        0x0c | 0x0d => 4,
        0x0e => 8,
        _ => {
            return Err(format!(
                "has values of the unknown type {code:02x}; IDX knows 08 (u8), 09 (i8), 0B (i16), 0C (i32), \
                 0D (f32) and 0E (f64)"
            ));
        }
    };
    let rank = rank as usize;
    if rank == 0 || rank > MAX_RANK {
        return Err(format!(
            "has {rank} dimensions; from 1 to {MAX_RANK} are possible"
        ));
    }
    let sizes = take(4 * rank as u64)?;
    if sizes.len() < 4 * rank {
        return Err(format!(
            "ends within the header, which should name {rank} sizes"
        ));
    }
    let shape: Vec<usize> = sizes
        .chunks_exact(4)
        .map(|size| u32::from_be_bytes([size[0], size[1], size[2], size[3]]) as usize)
        .collect();
    let length = shape
        .iter()
        .try_fold(width, |product: u64, &size| {
            product.checked_mul(size as u64)
        })
        .filter(|&length| length <= MAX_BYTES)
        .ok_or_else(|| {
            format!(
                "has a header with the absurd shape {shape:?}: the values would take over 4 GiB"
            )
        })?;
    // One byte more than announced, to see whether the file goes on; reading on also lets gzip check its sum.
    let bytes = take(length + 1)?;
    let found = bytes.len() as u64;
    if found != length {
        return Err(if found < length {
            format!(
                "is cut short: shape {shape:?} needs {length} bytes of values, {found} are there"
            )
        } else {
            format!("goes on after the {length} bytes of values that shape {shape:?} needs")
        });
    }
    let values = match code {
        0x08 => Values::U8(bytes),
        0x09 => Values::I8(bytes.into_iter().map(|byte| byte as i8).collect()),
        0x0b => Values::I16(numbers(&bytes, i16::from_be_bytes)),
        0x0c => Values::I32(numbers(&bytes, i32::from_be_bytes)),
        0x0d => Values::F32(numbers(&bytes, f32::from_be_bytes)),
        _ => Values::F64(numbers(&bytes, f64::from_be_bytes)),
    };
    Ok(Idx { shape, values })
}

fn numbers<T, const WIDTH: usize>(bytes: &[u8], from: fn([u8; WIDTH]) -> T) -> Vec<T> {
    let (chunks, _) = bytes.as_chunks::<WIDTH>();
    chunks.iter().map(|&chunk| from(chunk)).collect()
}
