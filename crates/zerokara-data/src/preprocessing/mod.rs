//! From raw values to the inputs of a model: learned on the training samples, kept in the model's file, and applied outside of
//! training with the same bits.

mod categories;
mod table;
mod vocabulary;

pub use categories::{Categories, Unseen};
pub use table::{ColumnKind, Missing, Table};
pub use vocabulary::{Unit, Vocabulary};

use crate::error::{Error, Result};
use crate::normalization::Normalization;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use zerokara_core::{Array, DType, Elements, Meta};

/// What turns raw values into one input of a model, or names the classes of a target.
///
/// As JSON it is one object with its `kind` and the `version` of its shape; what this program does not know is refused by name.
///
/// # Example
///
/// ```
/// use zerokara_data::{ColumnKind, Missing, Preprocessing, Raw, Table, Unseen};
///
/// let rows = [["31", "nurse"], ["45", "baker"], ["", "nurse"]];
/// let kinds = [
///     ("age", ColumnKind::Number(Missing::Mean)),
///     ("job", ColumnKind::Categories(Unseen::Error)),
/// ];
/// let table = Table::fit(kinds, &rows)?;
/// let trained_on = table.rows(&rows)?; // [3, 3]: the age, and a column for each job
///
/// let text = Preprocessing::from(table).to_json().to_string();
/// let read = Preprocessing::from_json(serde_json::from_str(&text)?)?;
/// let row = read.array(Raw::Row(&["45", "baker"]))?;
/// assert_eq!(row.as_slice::<f32>()?, &trained_on.as_slice::<f32>()?[3..6]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
#[non_exhaustive]
pub enum Preprocessing {
    /// Pixels or numbers, divided, and brought to the mean 0 and the deviation 1.
    Normalization(Normalization),
    /// The cells of a row of a table, as one row of numbers.
    Table(Table),
    /// A text that is one of a list, as its number in the list.
    Categories(Categories),
    /// A text, as the numbers of its characters, words or bytes.
    Vocabulary(Vocabulary),
}

/// One raw sample of an input.
#[derive(Clone, Copy, Debug)]
pub enum Raw<'a> {
    /// Stored values, such as the bytes of pixels `[C, H, W]`.
    Values(&'a Array),
    /// A text, or one cell of a table.
    Text(&'a str),
    /// The cells of a row of a table.
    Row(&'a [&'a str]),
}

impl Raw<'_> {
    fn what(&self) -> String {
        match self {
            Raw::Values(array) => format!("values {}", array.meta()),
            Raw::Text(_) => "a text".into(),
            Raw::Row(cells) => format!("a row of {} cells", cells.len()),
        }
    }
}

/// The shape of what is written; a change that older programs would misread counts one up.
const VERSION: u64 = 1;

impl Preprocessing {
    fn kind(&self) -> &'static str {
        match self {
            Preprocessing::Normalization(_) => "normalization",
            Preprocessing::Table(_) => "table",
            Preprocessing::Categories(_) => "categories",
            Preprocessing::Vocabulary(_) => "vocabulary",
        }
    }

    /// The input that a raw sample becomes, without the batch's axis.
    ///
    /// # Errors
    ///
    /// The sample is of another sort than what was learned on; a cell is no number, or is missing or unseen where that is
    /// an error.
    pub fn array(&self, raw: Raw<'_>) -> Result<Array> {
        match (self, raw) {
            (Preprocessing::Normalization(normalization), Raw::Values(array)) => {
                normalized(normalization, array)
            }
            (Preprocessing::Table(table), Raw::Row(cells)) => {
                let row = table.row(cells)?;
                Ok(Array::new([row.len()], row))
            }
            (Preprocessing::Categories(categories), Raw::Text(text)) => {
                let index = categories.index(text)?;
                Ok(Array::new([], vec![index as i64]))
            }
            (Preprocessing::Vocabulary(vocabulary), Raw::Text(text)) => {
                let tokens = vocabulary.encode(text);
                Ok(Array::new([tokens.len()], tokens))
            }
            (_, raw) => Err(Error::new(format!(
                "this input is made from {}, not from {}",
                match self {
                    Preprocessing::Normalization(_) => "values",
                    Preprocessing::Table(_) => "a row of cells",
                    Preprocessing::Categories(_) | Preprocessing::Vocabulary(_) => "a text",
                },
                raw.what()
            ))),
        }
    }

    /// As JSON, for the model's file.
    pub fn to_json(&self) -> Value {
        let value = match self {
            Preprocessing::Normalization(x) => serde_json::to_value(x),
            Preprocessing::Table(x) => serde_json::to_value(x),
            Preprocessing::Categories(x) => serde_json::to_value(x),
            Preprocessing::Vocabulary(x) => serde_json::to_value(x),
        };
        // All of them are objects of texts and finite numbers.
        let mut value = value.unwrap_or_default();
        value["kind"] = self.kind().into();
        value["version"] = VERSION.into();
        value
    }

    /// What [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    ///
    /// The kind is not known, the version is newer than this program, or a value makes no sense.
    pub fn from_json(value: Value) -> Result<Self> {
        let Value::Object(mut fields) = value else {
            return Err(Error::new(format!(
                "preprocessing is an object with a `kind`, not {value}"
            )));
        };
        let kind = fields.remove("kind").unwrap_or_default();
        let version = fields.remove("version").unwrap_or_default();
        match version.as_u64() {
            Some(version) if version <= VERSION => {}
            Some(version) => {
                return Err(Error::new(format!(
                    "the preprocessing is of version {version}, newer than this program, which reads up to {VERSION}"
                )));
            }
            None => {
                return Err(Error::new(format!(
                    "the version of the preprocessing is {version}, not a number"
                )));
            }
        }
        let rest = Value::Object(fields);
        fn read<T: DeserializeOwned>(kind: &str, value: Value) -> Result<T> {
            serde_json::from_value(value)
                .map_err(|error| Error::new(format!("preprocessing of kind {kind}: {error}")))
        }
        match kind.as_str() {
            Some(kind @ "normalization") => read(kind, rest).map(Preprocessing::Normalization),
            Some(kind @ "table") => read(kind, rest).map(Preprocessing::Table),
            Some(kind @ "categories") => read(kind, rest).map(Preprocessing::Categories),
            Some(kind @ "vocabulary") => read(kind, rest).map(Preprocessing::Vocabulary),
            _ => Err(Error::new(format!(
                "preprocessing of the kind {kind} is not known to this program"
            ))),
        }
    }
}

fn normalized(normalization: &Normalization, array: &Array) -> Result<Array> {
    let (elements, channels) = (
        array.valid()?.elements(),
        array.shape().first().copied().unwrap_or(1),
    );
    if !matches!(elements, Elements::U8(_) | Elements::F32(_)) {
        return Err(Error::new(format!(
            "values {} cannot be normalized; bytes and f32 can",
            array.meta()
        )));
    }
    normalization.check(channels)?;
    let mut out = Array::try_zeros(&Meta::new(array.shape(), DType::F32))?;
    normalization.write(elements, channels, out.as_mut_slice::<f32>()?);
    Ok(out)
}

impl From<Preprocessing> for Value {
    fn from(preprocessing: Preprocessing) -> Self {
        preprocessing.to_json()
    }
}

impl TryFrom<Value> for Preprocessing {
    type Error = Error;

    fn try_from(value: Value) -> Result<Self> {
        Preprocessing::from_json(value)
    }
}

macro_rules! from_kinds {
    ($($kind:ident)*) => {$(
        impl From<$kind> for Preprocessing {
            fn from(value: $kind) -> Self {
                Preprocessing::$kind(value)
            }
        }
    )*};
}
from_kinds!(Normalization Table Categories Vocabulary);
