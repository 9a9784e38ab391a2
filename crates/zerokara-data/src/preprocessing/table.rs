//! Rows of a table as rows of numbers.

use super::categories::{Categories, Unseen};
use crate::error::{Error, Result};
use crate::sheet::dates::{self, Moment};
use crate::sheet::{Cells, Sheet, is_missing, plain};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use zerokara_core::Array;

/// What becomes of a missing number. A cell is missing if it is empty, or `NA`, `N/A`, `NaN`, `null`, `None`
/// or `?`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// It is an error.
    #[default]
    Error,
    /// It is the column's mean.
    Mean,
    /// It is the column's mean, and a column of its own says that it was missing: 1, else 0.
    Indicator,
}

/// What a column of a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnKind {
    /// Numbers, brought to the mean 0 and the deviation 1.
    Number(Missing),
    /// One of a list of texts: a column for each, 1 where it is.
    Categories(Unseen),
    /// Dates, perhaps with times: how late it is, as a number; then where in the year, in the week and in the day, each as the
    /// sine and cosine of an angle that begins anew with the year, on Monday, at midnight.
    Date(Missing),
}

/// How the cells of a row become a row of f32, column by column: learned on rows to train on, then the same for every row.
///
/// # Example
///
/// ```
/// use zerokara_data::{ColumnKind, Missing, Table, Unseen};
///
/// let rows = [["20", "red"], ["40", "blue"], ["NA", "red"]];
/// let kinds = [
///     ("age", ColumnKind::Number(Missing::Indicator)),
///     ("colour", ColumnKind::Categories(Unseen::Place)),
/// ];
/// let table = Table::fit(kinds, &rows)?;
/// assert_eq!(table.names(), ["age", "age is missing", "colour = blue", "colour = red", "colour is another"]);
/// assert_eq!(table.row(&["40", "red"])?, [1.0, 0.0, 0.0, 1.0, 0.0]);
/// assert_eq!(table.row(&["", "green"])?, [0.0, 1.0, 0.0, 0.0, 1.0]);
/// let error = table.row(&["old", "red"]).unwrap_err().to_string();
/// assert_eq!(error, "column \"age\": \"old\" is not a number");
/// # Ok::<(), zerokara_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct Table {
    columns: Vec<(String, Encoding)>,
    /// Texts that stand for a missing number, by the column's name.
    odd: BTreeMap<String, Vec<String>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Encoding {
    Number(Scale),
    Categories(Categories),
    Date(Scale),
}

impl Encoding {
    /// How many numbers a cell becomes.
    fn width(&self) -> usize {
        match self {
            Encoding::Number(scale) => 1 + scale.indicator(false).iter().len(),
            Encoding::Date(scale) => 1 + CYCLES.len() + scale.indicator(false).iter().len(),
            Encoding::Categories(categories) => categories.len(),
        }
    }
}

/// How a number is brought to the mean 0 and the deviation 1, and what becomes of one that is missing.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Scale {
    mean: f64,
    std: f64,
    missing: Missing,
}

impl Scale {
    /// The scale of a file.
    fn read(column: &str, mean: f64, std: f64, missing: Missing) -> Result<Self> {
        match mean.is_finite() && std.is_finite() && std > 0.0 {
            true => Ok(Self { mean, std, missing }),
            false => Err(at(
                column,
                format!("the mean {mean} and the deviation {std} are none"),
            )),
        }
    }

    /// Mean and deviation of what is read from the cells of a column.
    fn fit<'a>(
        name: &str,
        what: &str,
        cells: impl Iterator<Item = &'a str>,
        missing: Missing,
        read: impl Fn(&str) -> Result<Option<f64>>,
    ) -> Result<Self> {
        let mut found = Vec::new();
        for (row, cell) in cells.enumerate() {
            let wrong = |error: Error| Error::new(format!("row {row}, column {name:?}: {error}"));
            match read(cell).map_err(wrong)? {
                Some(number) => found.push(number),
                None if missing == Missing::Error => {
                    return Err(wrong(Error::new(format!("the {what} is missing"))));
                }
                None => {}
            }
        }
        let Some(&first) = found.first() else {
            return Err(at(
                name,
                format!("there is no {what} to learn the mean from"),
            ));
        };
        // Of equal numbers the mean is that number, whatever their sum rounds to.
        let (mean, std) = match found.iter().all(|&x| x == first) {
            true => (first, 1.0),
            false => {
                let count = found.len() as f64;
                let mean = found.iter().sum::<f64>() / count;
                let variance = found.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
                (mean, variance.sqrt())
            }
        };
        if !(mean.is_finite() && std.is_finite() && std > 0.0) {
            return Err(at(
                name,
                "the numbers are too large or too near to each other to be scaled",
            ));
        }
        Ok(Self { mean, std, missing })
    }

    /// The number that says whether one is missing, if that is asked for.
    fn indicator(self, is_missing: bool) -> Option<f32> {
        (self.missing == Missing::Indicator).then_some(f32::from(u8::from(is_missing)))
    }

    /// The scaled number; 0, the mean, for one that is missing.
    fn of(self, name: &str, what: &str, number: Option<f64>) -> Result<f32> {
        match number {
            None if self.missing == Missing::Error => {
                Err(at(name, format!("the {what} is missing")))
            }
            None => Ok(0.0),
            Some(number) => Ok(((number - self.mean) / self.std) as f32),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    columns: Vec<ColumnRecord>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    odd: BTreeMap<String, Vec<String>>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum ColumnRecord {
    Number {
        name: String,
        mean: f64,
        std: f64,
        #[serde(default)]
        missing: Missing,
    },
    Categories {
        name: String,
        values: Vec<String>,
        #[serde(default)]
        unseen: Unseen,
    },
    Date {
        name: String,
        mean: f64,
        std: f64,
        #[serde(default)]
        missing: Missing,
    },
}

/// What is told of a date beside how late it is.
const CYCLES: [&str; 6] = [
    "sine of the year",
    "cosine of the year",
    "sine of the week",
    "cosine of the week",
    "sine of the day",
    "cosine of the day",
];

/// The angles of a date as sines and cosines.
fn cycles(moment: Moment) -> [f32; CYCLES.len()] {
    let mut out = [0.0; CYCLES.len()];
    for (pair, turn) in out
        .chunks_mut(2)
        .zip([moment.year(), moment.week(), moment.day()])
    {
        let (sine, cosine) = (turn * std::f64::consts::TAU).sin_cos();
        (pair[0], pair[1]) = (sine as f32, cosine as f32);
    }
    out
}

impl From<Table> for Record {
    fn from(table: Table) -> Self {
        let record = |(name, encoding)| match encoding {
            Encoding::Number(Scale { mean, std, missing }) => ColumnRecord::Number {
                name,
                mean,
                std,
                missing,
            },
            Encoding::Categories(categories) => ColumnRecord::Categories {
                name,
                values: categories.values().to_vec(),
                unseen: categories.unseen(),
            },
            Encoding::Date(Scale { mean, std, missing }) => ColumnRecord::Date {
                name,
                mean,
                std,
                missing,
            },
        };
        Record {
            columns: table.columns.into_iter().map(record).collect(),
            odd: table.odd,
        }
    }
}

impl TryFrom<Record> for Table {
    type Error = Error;

    fn try_from(record: Record) -> Result<Self> {
        let read = |record| match record {
            ColumnRecord::Number {
                name,
                mean,
                std,
                missing,
            } => {
                let scale = Scale::read(&name, mean, std, missing)?;
                Ok((name, Encoding::Number(scale)))
            }
            ColumnRecord::Date {
                name,
                mean,
                std,
                missing,
            } => {
                let scale = Scale::read(&name, mean, std, missing)?;
                Ok((name, Encoding::Date(scale)))
            }
            ColumnRecord::Categories {
                name,
                values,
                unseen,
            } => {
                let categories = match unseen {
                    Unseen::Error => Categories::of(values),
                    Unseen::Place => Categories::of(values).map(Categories::with_place),
                };
                let categories = categories.map_err(|error| at(&name, error))?;
                Ok((name, Encoding::Categories(categories)))
            }
        };
        let columns = record
            .columns
            .into_iter()
            .map(read)
            .collect::<Result<_>>()?;
        let odd = record.odd;
        Table { columns, odd }.checked()
    }
}

fn at(column: &str, error: impl std::fmt::Display) -> Error {
    Error::new(format!("column {column:?}: {error}"))
}

/// The date in a cell, or none if it is missing.
fn date(cell: &str) -> Result<Option<Moment>> {
    let cell = cell.trim();
    if is_missing(cell) {
        return Ok(None);
    }
    let found = dates::parse(cell);
    found.map(Some).ok_or_else(|| {
        Error::new(format!(
            "{cell:?} is not a date such as 2024-03-31 or 2024-03-31 14:30"
        ))
    })
}

/// The number in a cell, or none if it is missing.
fn number(cell: &str) -> Result<Option<f64>> {
    let cell = cell.trim();
    if is_missing(cell) {
        return Ok(None);
    }
    match cell.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Some(number)),
        Ok(_) => Err(Error::new(format!("{cell:?} is not finite"))),
        Err(_) => Err(Error::new(format!("{cell:?} is not a number"))),
    }
}

impl Table {
    /// Learns how these columns become numbers from rows to train on, whose cells are in the order of the columns.
    ///
    /// # Errors
    ///
    /// There is no row, or one that has another number of cells; a cell is no number, or is missing where that is an error; a
    /// column has no number at all, or two have one name.
    pub fn fit<N: Into<String>, R: AsRef<[S]>, S: AsRef<str>>(
        columns: impl IntoIterator<Item = (N, ColumnKind)>,
        rows: &[R],
    ) -> Result<Self> {
        let kinds: Vec<(String, ColumnKind)> = columns
            .into_iter()
            .map(|(name, kind)| (name.into(), kind))
            .collect();
        for (row, cells) in rows.iter().enumerate() {
            check_width(cells.as_ref().len(), kinds.len())
                .map_err(|error| Error::new(format!("row {row}: {error}")))?;
        }
        let learned = kinds.into_iter().enumerate().map(|(place, (name, kind))| {
            let cells = rows.iter().map(|cells| cells.as_ref()[place].as_ref());
            let encoding = match kind {
                ColumnKind::Number(missing) => {
                    Encoding::Number(Scale::fit(&name, "number", cells, missing, number)?)
                }
                ColumnKind::Date(missing) => {
                    let days = |cell: &str| Ok(date(cell)?.map(Moment::days));
                    Encoding::Date(Scale::fit(&name, "date", cells, missing, days)?)
                }
                ColumnKind::Categories(unseen) => {
                    let categories = Categories::fit(cells.map(str::trim), unseen);
                    Encoding::Categories(categories.map_err(|error| at(&name, error))?)
                }
            };
            Ok((name, encoding))
        });
        Table {
            columns: learned.collect::<Result<_>>()?,
            odd: BTreeMap::new(),
        }
        .checked()
    }

    /// With texts that stand for a missing number in a column of numbers, such as `unknown`.
    ///
    /// ```
    /// use zerokara_data::{ColumnKind, Missing, Table};
    ///
    /// let table = Table::fit([("age", ColumnKind::Number(Missing::Mean))], &[["20"], ["40"]])?;
    /// let table = table.with_odd([("age", &["unknown"][..])]);
    /// assert_eq!(table.row(&["unknown"])?, [0.0]);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn with_odd<'a, T: ToString + 'a>(
        mut self,
        odd: impl IntoIterator<Item = (&'a str, &'a [T])>,
    ) -> Self {
        let said = odd.into_iter().filter(|(_, texts)| !texts.is_empty());
        self.odd = said
            .map(|(name, texts)| (name.to_string(), texts.iter().map(T::to_string).collect()))
            .collect();
        self
    }

    fn checked(self) -> Result<Self> {
        if self.columns.is_empty() {
            return Err(Error::new("a table without columns gives no numbers"));
        }
        let mut names: Vec<&str> = self.columns.iter().map(|(name, _)| &**name).collect();
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(Error::new(format!("two columns are named {:?}", pair[0]))),
            None => Ok(self),
        }
    }

    /// The cells that it takes from rows of a sheet, by the names of the columns; in their order where a sheet names none. Numbers are
    /// written with a point.
    ///
    /// # Errors
    ///
    /// The sheet lacks a column.
    pub fn cells<'s>(
        &self,
        sheet: &'s Sheet,
        rows: Range<usize>,
    ) -> Result<Vec<Vec<Cow<'s, str>>>> {
        let are_unnamed = !sheet.dialect().header && sheet.names().len() == self.columns.len();
        let mut columns = Vec::with_capacity(self.columns.len());
        for (at, (name, encoding)) in self.columns.iter().enumerate() {
            let cells = match are_unnamed {
                true => &sheet.columns()[at],
                false => sheet.column(name)?,
            };
            let has_commas =
                sheet.dialect().decimal_comma && matches!(encoding, Encoding::Number(_));
            columns.push((cells, has_commas));
        }
        let row = |row: usize| {
            let cell = |&(cells, has_commas): &(&'s Cells, bool)| {
                plain(cells.get(row).unwrap_or_default(), has_commas)
            };
            columns.iter().map(cell).collect()
        };
        Ok(rows.map(row).collect())
    }

    /// The names of the columns whose cells it takes, in order.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = &str> {
        self.columns.iter().map(|(name, _)| &**name)
    }

    /// What each number of a row says.
    pub fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (name, encoding) in &self.columns {
            match encoding {
                Encoding::Number(scale) | Encoding::Date(scale) => {
                    names.push(name.clone());
                    if matches!(encoding, Encoding::Date(_)) {
                        names.extend(CYCLES.iter().map(|cycle| format!("{name}: {cycle}")));
                    }
                    if scale.missing == Missing::Indicator {
                        names.push(format!("{name} is missing"));
                    }
                }
                Encoding::Categories(categories) => {
                    names.extend(categories.values().iter().map(|v| format!("{name} = {v}")));
                    if categories.unseen() == Unseen::Place {
                        names.push(format!("{name} is another"));
                    }
                }
            }
        }
        names
    }

    /// About what stood in the cells of a row, from the numbers that it became: by the columns' names, for who looks at what a
    /// model was given. Dates are left out, and what was missing.
    ///
    /// ```
    /// use zerokara_data::{ColumnKind, Missing, Table, Unseen};
    /// let kinds = [
    ///     ("size", ColumnKind::Number(Missing::Mean)),
    ///     ("walls", ColumnKind::Categories(Unseen::Error)),
    /// ];
    /// let table = Table::fit(kinds, &[["80", "brick"], ["55", "wood"]])?;
    /// let row = table.row(&["55", "brick"])?;
    /// assert_eq!(table.told(&row), [("size", "55".to_string()), ("walls", "brick".into())]);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn told(&self, row: &[f32]) -> Vec<(&str, String)> {
        let mut told = Vec::new();
        let mut rest = row;
        for (name, encoding) in &self.columns {
            let Some((numbers, behind)) = rest.split_at_checked(encoding.width()) else {
                break;
            };
            rest = behind;
            let text = match encoding {
                Encoding::Number(_) if numbers.get(1).is_some_and(|&missing| missing > 0.5) => None,
                Encoding::Number(scale) => numbers.first().map(|&number| {
                    let value = f64::from(number) * scale.std + scale.mean;
                    // As many digits as f32 has kept.
                    let short: f64 = format!("{value:.5e}").parse().unwrap_or(value);
                    short.to_string()
                }),
                Encoding::Categories(categories) => {
                    let place = numbers.iter().position(|&number| number > 0.5);
                    place.and_then(|at| categories.name(at)).map(String::from)
                }
                Encoding::Date(_) => None,
            };
            told.extend(text.map(|text| (name.as_str(), text)));
        }
        told
    }

    /// How many numbers a row becomes.
    pub fn width(&self) -> usize {
        self.columns
            .iter()
            .map(|(_, encoding)| encoding.width())
            .sum()
    }

    /// The name of each column, and the places of its numbers among those of a row.
    pub fn places(&self) -> impl Iterator<Item = (&str, Range<usize>)> {
        self.columns.iter().scan(0, |end, (name, encoding)| {
            let start = *end;
            *end += encoding.width();
            Some((name.as_str(), start..*end))
        })
    }

    /// The numbers of a row.
    ///
    /// # Errors
    ///
    /// There is another number of cells; a cell is no number, or is missing or unseen where that is an error.
    pub fn row<S: AsRef<str>>(&self, cells: &[S]) -> Result<Vec<f32>> {
        let mut row = Vec::with_capacity(self.width());
        self.write(cells, &mut row)?;
        Ok(row)
    }

    /// The numbers of many rows, `[N, D]`.
    ///
    /// # Errors
    ///
    /// As [`row`](Self::row); the row is named.
    pub fn rows<R: AsRef<[S]>, S: AsRef<str>>(&self, rows: &[R]) -> Result<Array> {
        let mut numbers = Vec::with_capacity(rows.len().saturating_mul(self.width()));
        for (row, cells) in rows.iter().enumerate() {
            self.write(cells.as_ref(), &mut numbers)
                .map_err(|error| Error::new(format!("row {row}: {error}")))?;
        }
        Ok(Array::new([rows.len(), self.width()], numbers))
    }

    fn write<S: AsRef<str>>(&self, cells: &[S], row: &mut Vec<f32>) -> Result<()> {
        check_width(cells.len(), self.columns.len())?;
        for ((name, encoding), cell) in self.columns.iter().zip(cells) {
            let cell = cell.as_ref().trim();
            let is_odd = |odd: &Vec<String>| odd.iter().any(|text| text == cell);
            let cell = if self.odd.get(name).is_some_and(is_odd) {
                ""
            } else {
                cell
            };
            match encoding {
                Encoding::Number(scale) => {
                    let found = number(cell).map_err(|error| at(name, error))?;
                    let value = scale.of(name, "number", found)?;
                    if !value.is_finite() {
                        return Err(at(name, format!("{cell:?} is too large")));
                    }
                    row.push(value);
                    row.extend(scale.indicator(found.is_none()));
                }
                Encoding::Date(scale) => {
                    let found = date(cell).map_err(|error| at(name, error))?;
                    row.push(scale.of(name, "date", found.map(Moment::days))?);
                    row.extend(found.map_or([0.0; CYCLES.len()], cycles));
                    row.extend(scale.indicator(found.is_none()));
                }
                Encoding::Categories(categories) => {
                    // All that says that there is no value is one category, if there was one.
                    let none = is_missing(cell) && categories.number(cell).is_none();
                    let cell = if none { "" } else { cell };
                    let hot = categories.index(cell).map_err(|error| at(name, error))?;
                    row.extend((0..categories.len()).map(|at| f32::from(u8::from(at == hot))));
                }
            }
        }
        Ok(())
    }
}

fn check_width(cells: usize, columns: usize) -> Result<()> {
    match cells == columns {
        true => Ok(()),
        false => Err(Error::new(format!(
            "it has {cells} cells, but there are {columns} columns"
        ))),
    }
}
