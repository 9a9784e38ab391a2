//! Tables as files have them: named columns of text, and what each column holds.

mod contents;
pub(crate) mod dates;
mod dialect;
mod json;
#[cfg(feature = "parquet")]
mod parquet;
mod read;

pub use contents::{Content, Contents};
pub use dialect::Dialect;

pub(crate) use contents::{is_missing, plain};

use crate::error::{Error, Result, named};
use std::fmt;
use std::path::{Path, PathBuf};

/// A table of text cells, column by column, as a CSV or TSV file has it.
///
/// Reading finds out how the file is written ([`Dialect`]): what parts the cells, what quotes them, whether the first line names
/// the columns. [`contents`](Self::contents) says what each column holds: numbers, dates, categories, text.
///
/// # Example
///
/// ```
/// use zerokara_data::{Content, Sheet};
///
/// let sheet = Sheet::parse("size;city;sold\n80,5;Kyoto;2024-03-01\n55;\"Nara; old town\";2024-05-17\n;Kyoto;2024-06-30\n")?;
/// assert_eq!((sheet.len(), sheet.dialect().delimiter), (3, b';'));
/// assert_eq!(sheet.column("city")?.get(1), Some("Nara; old town"));
/// let contents = sheet.contents();
/// assert_eq!(contents.map(|c| c.content).collect::<Vec<_>>(), [Content::Number, Content::Category, Content::Date]);
/// # Ok::<(), zerokara_data::Error>(())
/// ```
#[derive(Clone)]
pub struct Sheet {
    path: Option<PathBuf>,
    dialect: Dialect,
    names: Vec<String>,
    columns: Vec<Cells>,
}

/// The cells of a column, from the first row on.
///
/// They lie one behind the other in one text, so that a million short cells take little more memory than their letters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cells {
    text: String,
    ends: Vec<usize>,
}

impl Cells {
    /// Number of cells.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The cell of a row, without the space around it.
    pub fn get(&self, row: usize) -> Option<&str> {
        let end = *self.ends.get(row)?;
        let start = match row {
            0 => 0,
            row => self.ends[row - 1],
        };
        self.text.get(start..end)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> + Clone {
        (0..self.len()).map(|row| self.get(row).unwrap_or_default())
    }

    /// Cells without a value, up to this number of cells.
    fn fill(&mut self, len: usize) {
        self.ends.resize(len.max(self.ends.len()), self.text.len());
    }

    fn push(&mut self, cell: &str) {
        self.text.push_str(cell.trim());
        self.ends.push(self.text.len());
    }
}

impl Sheet {
    /// Reads a table from a file: CSV, TSV or the like, JSON with an object for each row (in lines of their own, or in a list), all of
    /// them also with `.gz`; with the feature `parquet`, Parquet.
    ///
    /// # Errors
    ///
    /// The file cannot be read, is no text, has no rows, or a row has more or fewer cells than there are columns; the message
    /// names the line.
    pub fn read(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        if read::is_parquet(path) {
            #[cfg(feature = "parquet")]
            return parquet::sheet(path);
            #[cfg(not(feature = "parquet"))]
            return Err(Error::file(
                path,
                "is a Parquet file, which a program built with the feature `parquet` reads; or save the table as CSV",
            ));
        }
        let text = read::text_of(path)?;
        let sheet = Sheet::parse(&text).map_err(|error| Error::file(path, error))?;
        Ok(Sheet {
            path: Some(path.to_path_buf()),
            ..sheet
        })
    }

    /// The table in this text.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        match json::is_json(text) {
            true => json::sheet(text),
            false => Sheet::parse_as(text, Dialect::of(text)),
        }
    }

    /// The table in this text, written in this way.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn parse_as(text: &str, dialect: Dialect) -> Result<Self> {
        read::sheet(text, dialect)
    }

    /// The file that it was read from.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// How the file is written.
    pub fn dialect(&self) -> &Dialect {
        &self.dialect
    }

    /// Number of rows, without the one that names the columns.
    pub fn len(&self) -> usize {
        self.columns.first().map_or(0, Cells::len)
    }

    /// Whether there is no row; a sheet that was read has some.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names of the columns: those in the first line, else `column 1`, `column 2`, ..
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The cells of the column of this name.
    ///
    /// # Errors
    ///
    /// There is none; the message has the names that there are, the likeliest first.
    pub fn column(&self, name: &str) -> Result<&Cells> {
        Ok(&self.columns[self.place(name)?])
    }

    /// The cells of all columns, in order.
    pub fn columns(&self) -> &[Cells] {
        &self.columns
    }

    /// The number of the column of this name.
    ///
    /// # Errors
    ///
    /// As [`column`](Self::column).
    pub fn place(&self, name: &str) -> Result<usize> {
        let found = self.names.iter().position(|known| known == name);
        found.ok_or_else(|| {
            let mut near: Vec<&str> = self.names.iter().map(String::as_str).collect();
            let asked = name.to_lowercase();
            near.sort_by_cached_key(|known| strsim::levenshtein(&known.to_lowercase(), &asked));
            const SHOWN: usize = 12;
            Error::new(format!(
                "there is no column {name:?}; there are {}",
                named(&near, SHOWN)
            ))
        })
    }

    /// The cells of a row, in the order of the columns.
    pub fn row(&self, row: usize) -> Vec<&str> {
        self.columns
            .iter()
            .filter_map(|column| column.get(row))
            .collect()
    }

    /// What each column holds, in order.
    pub fn contents(&self) -> impl Iterator<Item = Contents> + '_ {
        let named = self.names.iter().zip(&self.columns);
        named.map(|(name, cells)| Contents::of(name, cells, &self.dialect))
    }
}

impl fmt::Debug for Sheet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sheet({} rows of {:?})", self.len(), self.names)
    }
}
