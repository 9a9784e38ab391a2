//! The format safetensors: a header of JSON and the tensors' bytes, little endian
//! (<https://github.com/huggingface/safetensors>).
//!
//! ```text
//! 8 bytes   length of the header
//! header    {"__metadata__": {"key": "text"}, "name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..}
//! data      the tensors' elements, row by row, without gaps
//! ```

use crate::{atomic, json};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fs, path::Path};
use zerokara_core::{Array, DType, Elements, ElementsMut, Error, Meta, Result};

/// Headers longer than this are not read: no model needs one.
const LONGEST_HEADER: usize = 100_000_000;

/// What a file holds: tensors by name and free text by key.
///
/// ```
/// use zerokara_core::Array;
/// use zerokara_formats::SafeTensors;
/// let mut file = SafeTensors::default();
/// file.tensors.push(("weight".into(), Array::new([2], vec![1.0f32, 2.0])));
/// file.metadata.insert("format".into(), "demo".into());
/// let again = SafeTensors::from_bytes(&file.to_bytes()?)?;
/// assert_eq!(again, file);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SafeTensors {
    /// The tensors, in the order in which their elements lie in the file.
    pub tensors: Vec<(String, Array)>,
    /// The texts under `__metadata__`.
    pub metadata: BTreeMap<String, String>,
}

fn code(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "F32",
        DType::F64 => "F64",
        DType::I64 => "I64",
        DType::U8 => "U8",
        DType::Bool => "BOOL",
    }
}

fn dtype(code: &str) -> Result<DType, String> {
    DType::ALL
        .into_iter()
        .find(|&d| self::code(d) == code)
        .ok_or_else(|| {
            format!("elements of type {code} are not supported (F32, F64, I64, U8 and BOOL are)")
        })
}

impl SafeTensors {
    /// The tensor of this name.
    pub fn get(&self, name: &str) -> Option<&Array> {
        let found = self.tensors.iter().find(|(n, _)| n == name)?;
        Some(&found.1)
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// If a name occurs twice or is `__metadata__`.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = self.header()?;
        for (_, array) in self.in_order() {
            append(&mut bytes, array.valid()?);
        }
        Ok(bytes)
    }

    /// Larger elements first, so that all are aligned; then the order given.
    fn in_order(&self) -> Vec<&(String, Array)> {
        let mut tensors: Vec<_> = self.tensors.iter().collect();
        tensors.sort_by_key(|(_, array)| std::cmp::Reverse(array.dtype().size()));
        tensors
    }

    fn header(&self) -> Result<Vec<u8>> {
        let mut header = Map::new();
        if !self.metadata.is_empty() {
            let texts = self.metadata.iter();
            let texts = texts.map(|(k, v)| (k.clone(), Value::from(v.as_str())));
            header.insert("__metadata__".into(), Value::Object(texts.collect()));
        }
        let mut offset = 0;
        for (name, array) in self.in_order() {
            let end = offset + array.len() * array.dtype().size();
            let entry = json::object([
                ("dtype", Value::from(code(array.dtype()))),
                ("shape", Value::from(array.shape().to_vec())),
                ("data_offsets", Value::from(vec![offset, end])),
            ]);
            if name == "__metadata__" || header.insert(name.clone(), entry).is_some() {
                return Err(Error::new(format!("two tensors have the name {name}")));
            }
            offset = end;
        }
        let mut text = Value::Object(header).to_string().into_bytes();
        // The data begins at a multiple of 8.
        text.resize(text.len().next_multiple_of(8), b' ');
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.append(&mut text);
        Ok(bytes)
    }

    /// Reads a file's bytes.
    ///
    /// # Errors
    /// If the bytes are not those of a whole and sound file.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        parse(bytes).map_err(Error::new)
    }

    /// Reads a file.
    ///
    /// # Errors
    /// If there is no such file, or it is not a whole and sound one.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = fs::read(path)
            .map_err(|e| Error::new(format!("cannot read {}: {e}", path.display())))?;
        parse(&bytes).map_err(|e| Error::new(format!("{}: {e}", path.display())))
    }

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// If a name occurs twice, or the file cannot be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<()> {
        Ok(atomic::write(path, self.to_bytes()?)?)
    }
}

/// The bytes of the elements, the lowest byte of each first.
pub(crate) fn append(bytes: &mut Vec<u8>, array: &Array) {
    match array.elements() {
        Elements::F32(x) => x.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
        Elements::F64(x) => x.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
        Elements::I64(x) => x.iter().for_each(|v| bytes.extend(v.to_le_bytes())),
        Elements::U8(x) | Elements::Bool(x) => bytes.extend(x),
    }
}

fn parse(bytes: &[u8]) -> Result<SafeTensors, String> {
    let foreign = "this is no safetensors file";
    let (length, rest) = bytes
        .split_first_chunk::<8>()
        .ok_or(format!("{foreign}: it is shorter than 8 bytes"))?;
    let length = u64::from_le_bytes(*length);
    let length = usize::try_from(length)
        .ok()
        .filter(|&n| n <= LONGEST_HEADER)
        .ok_or(format!(
            "{foreign}: its header would be {length} bytes long"
        ))?;
    let (header, data) = rest.split_at_checked(length).ok_or_else(|| {
        if rest.first() == Some(&b'{') {
            format!("the file is cut: its header of {length} bytes is not all there")
        } else {
            foreign.to_string()
        }
    })?;
    let header = json::parse(header).map_err(|e| match e.is_data() {
        true => format!("its header contradicts itself: {e}"),
        false => format!("{foreign}: its header is no JSON ({e})"),
    })?;
    let Value::Object(header) = header else {
        return Err(format!("{foreign}: its header is no JSON object"));
    };

    let mut found = SafeTensors::default();
    let mut entries = Vec::new();
    for (name, value) in header {
        if name == "__metadata__" {
            for (key, text) in value.as_object().ok_or("the metadata is no JSON object")? {
                let text = text
                    .as_str()
                    .ok_or("the metadata holds something that is no text")?;
                found.metadata.insert(key.clone(), text.to_string());
            }
            continue;
        }
        let entry = entry(&value).map_err(|e| format!("tensor {name}: {e}"))?;
        entries.push((name, entry));
    }
    entries.sort_by_key(|(_, entry)| (entry.start, entry.end));

    let mut offset = 0;
    for (name, entry) in entries {
        if entry.start != offset {
            return Err(format!(
                "tensor {name}: its bytes overlap others or leave a gap"
            ));
        }
        let bytes = data.get(entry.start..entry.end).ok_or(format!(
            "the file is cut: the bytes of tensor {name} are not all there"
        ))?;
        offset = entry.end;
        let array = array(&entry.meta, bytes).map_err(|e| format!("tensor {name}: {e}"))?;
        found.tensors.push((name, array));
    }
    if offset != data.len() {
        let more = data.len() - offset;
        return Err(format!("there are {more} bytes after the last tensor"));
    }
    Ok(found)
}

struct Entry {
    meta: Meta,
    start: usize,
    end: usize,
}

fn entry(value: &Value) -> Result<Entry, String> {
    let meta = Meta::new(
        json::sizes(value, "shape")?,
        dtype(json::text(value, "dtype")?)?,
    );
    let &[start, end] = json::sizes(value, "data_offsets")?.as_slice() else {
        return Err("data_offsets must be two numbers".into());
    };
    if end
        .checked_sub(start)
        .is_none_or(|n| Some(n) != meta.bytes())
    {
        return Err(format!(
            "{meta} does not take the bytes from {start} to {end}"
        ));
    }
    Ok(Entry { meta, start, end })
}

/// An array of so many elements from bytes as [`append`] writes them.
pub(crate) fn array(meta: &Meta, bytes: &[u8]) -> Result<Array, String> {
    fn read<const N: usize, T: Copy>(bytes: &[u8], to: &mut [T], of: fn([u8; N]) -> T) {
        let (chunks, _) = bytes.as_chunks::<N>();
        to.iter_mut().zip(chunks).for_each(|(to, &c)| *to = of(c));
    }
    let mut array = Array::try_zeros(meta).map_err(|error| error.to_string())?;
    match array.elements_mut() {
        ElementsMut::F32(x) => read(bytes, x, f32::from_le_bytes),
        ElementsMut::F64(x) => read(bytes, x, f64::from_le_bytes),
        ElementsMut::I64(x) => read(bytes, x, i64::from_le_bytes),
        ElementsMut::U8(x) => x.copy_from_slice(bytes),
        ElementsMut::Bool(x) => {
            if let Some(other) = bytes.iter().find(|&&b| b > 1) {
                return Err(format!("a truth value cannot be {other}"));
            }
            x.copy_from_slice(bytes);
        }
    }
    Ok(array)
}
