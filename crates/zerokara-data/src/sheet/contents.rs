//! What a column holds.

use super::{Cells, Dialect, dates};
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;

/// What a column of a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Numbers.
    Number,
    /// Dates, perhaps with times.
    Date,
    /// Texts, each of which comes again and again.
    Category,
    /// Texts of which hardly one comes twice: names, remarks, addresses.
    Text,
    /// A number or text of its own for each row, which tells nothing of the next: row numbers, keys.
    Identifier,
    /// The same everywhere.
    Constant,
    /// Nothing at all.
    Empty,
}

impl Content {
    /// `numbers`, `categories`.
    pub fn name(self) -> &'static str {
        match self {
            Content::Number => "numbers",
            Content::Date => "dates",
            Content::Category => "categories",
            Content::Text => "text",
            Content::Identifier => "identifiers",
            Content::Constant => "a constant",
            Content::Empty => "nothing",
        }
    }

    /// Whether a model can learn from it.
    pub fn is_useful(self) -> bool {
        matches!(self, Content::Number | Content::Date | Content::Category)
    }
}

impl fmt::Display for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A column, and what was found in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Contents {
    /// The column's name.
    pub name: String,
    /// What it holds.
    pub content: Content,
    /// Number of cells without a value.
    pub missing: usize,
    /// Number of different values.
    pub distinct: usize,
    /// Texts among numbers, each with how often it comes: they are taken as missing.
    pub odd: Vec<(String, usize)>,
    /// Smallest and largest number.
    pub range: Option<(f64, f64)>,
    /// Whether all numbers are whole.
    pub is_whole: bool,
    /// The commonest values, each with how often it comes.
    pub common: Vec<(String, usize)>,
}

/// Of a column of numbers, so many of a hundred cells may be something else before it is a column of texts.
const MOST_ODD: usize = 5;
/// So many different texts among numbers are ways to say that the number is missing.
const MOST_ODD_TEXTS: usize = 3;
/// With at most so many different values, texts are categories, however few rows there are.
const FEW: usize = 10;
/// With more, each is there so often, in the mean.
const TIMES: usize = 3;
/// More categories than these are none.
const MOST_CATEGORIES: usize = 1_000;
const SHOWN: usize = 8;

/// Whether a cell of a table says that there is no value: it is empty, or `NA`, `N/A`, `NaN`, `null`, `None` or `?`.
pub(crate) fn is_missing(cell: &str) -> bool {
    matches!(
        cell,
        "" | "NA" | "N/A" | "n/a" | "NaN" | "nan" | "null" | "NULL" | "None" | "?"
    )
}

/// The number in a cell.
pub(crate) fn number_in(cell: &str, decimal_comma: bool) -> Option<f64> {
    // Rust's parser takes `inf` and `nan` too, which are no numbers of a table.
    let is_sign =
        |b: u8| b.is_ascii_digit() || matches!(b, b'.' | b',' | b'+' | b'-' | b'e' | b'E');
    if cell.is_empty() || !cell.bytes().all(is_sign) {
        return None;
    }
    let number: f64 = match decimal_comma {
        true => cell.replace('.', "").replace(',', ".").parse().ok()?,
        false => cell.parse().ok()?,
    };
    number.is_finite().then_some(number)
}

/// The number in a cell as Rust reads it; what is no number stays as it is.
pub(crate) fn plain(cell: &str, decimal_comma: bool) -> Cow<'_, str> {
    match number_in(cell, decimal_comma).filter(|_| decimal_comma) {
        Some(number) => Cow::Owned(number.to_string()),
        None => Cow::Borrowed(cell),
    }
}

pub(super) fn is_number_in(cell: &str, decimal_comma: bool) -> bool {
    number_in(cell, decimal_comma).is_some()
}

/// Whether a cell is a code rather than a number: `01234`.
fn is_code(cell: &str) -> bool {
    let digits = cell.strip_prefix(['+', '-']).unwrap_or(cell);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit())
}

impl Contents {
    pub(super) fn of(name: &str, cells: &Cells, dialect: &Dialect) -> Self {
        let mut times: HashMap<&str, usize> = HashMap::new();
        let mut missing = 0;
        for cell in cells.iter() {
            match is_missing(cell) {
                true => missing += 1,
                false => *times.entry(cell).or_default() += 1,
            }
        }
        let present = cells.len() - missing;
        let number = |cell: &str| number_in(cell, dialect.decimal_comma);
        let mut found = Contents {
            name: name.to_string(),
            content: Content::Empty,
            missing,
            distinct: times.len(),
            odd: Vec::new(),
            range: None,
            is_whole: false,
            common: common(&times),
        };
        if present == 0 {
            return found;
        }

        let mut odd: HashMap<&str, usize> = HashMap::new();
        for (&cell, &count) in times.iter().filter(|(cell, _)| number(cell).is_none()) {
            odd.insert(cell, count);
        }
        let odd_cells: usize = odd.values().sum();
        let is_rare = odd_cells * 100 <= present * MOST_ODD && odd.len() <= MOST_ODD_TEXTS;
        // One text alone among many different numbers, such as `unknown`, may come often.
        let is_one_word =
            odd.len() == 1 && odd_cells * 2 <= present && times.len() - odd.len() > FEW;
        let are_numbers = (is_rare || is_one_word)
            && odd_cells < present
            && !times.keys().any(|cell| is_code(cell));
        if are_numbers {
            let numbers = || times.keys().filter_map(|cell| number(cell));
            let low = numbers().fold(f64::INFINITY, f64::min);
            let high = numbers().fold(f64::NEG_INFINITY, f64::max);
            found.range = Some((low, high));
            found.is_whole = numbers().all(|x| x.fract() == 0.0);
            found.missing += odd_cells;
            found.distinct -= odd.len();
            found.odd = common(&odd);
            let first = cells.iter().filter_map(number).next().unwrap_or(0.0);
            let counts_rows = || {
                let rows = cells.iter().enumerate();
                rows.clone()
                    .all(|(row, cell)| number(cell) == Some(first + row as f64))
            };
            found.content = match found.distinct {
                1 if found.missing == 0 => Content::Constant,
                distinct
                    if distinct == cells.len()
                        && cells.len() > 2
                        && (counts_rows() || (found.is_whole && names_a_key(name))) =>
                {
                    Content::Identifier
                }
                _ => Content::Number,
            };
            return found;
        }
        if times.keys().all(|cell| dates::parse(cell).is_some()) {
            found.content = match found.distinct {
                1 if missing == 0 => Content::Constant,
                _ => Content::Date,
            };
            return found;
        }
        let letters: usize = times.keys().map(|cell| cell.chars().count()).sum();
        let is_long = letters > 60 * times.len();
        found.content = match found.distinct {
            1 if missing == 0 => Content::Constant,
            distinct
                if distinct == present
                    && present > FEW
                    && (names_a_key(name) || !is_long && !has_spaces(&times)) =>
            {
                Content::Identifier
            }
            distinct if is_long && distinct > FEW => Content::Text,
            distinct if distinct <= FEW => Content::Category,
            distinct if distinct <= MOST_CATEGORIES && distinct * TIMES <= present => {
                Content::Category
            }
            _ => Content::Text,
        };
        found
    }
}

fn has_spaces(times: &HashMap<&str, usize>) -> bool {
    times.keys().filter(|cell| cell.contains(' ')).count() * 2 > times.len()
}

/// Whether a column's name says that it holds keys: `id`, `user_id`, `PassengerId`, `row number`.
fn names_a_key(name: &str) -> bool {
    let lower = name.to_lowercase();
    let words: Vec<&str> = lower.split(|c: char| !c.is_alphanumeric()).collect();
    let last = words.last().copied().unwrap_or_default();
    matches!(last, "id" | "key" | "uuid" | "guid" | "index")
        || name.ends_with("Id")
        || name.ends_with("ID")
        || matches!(lower.as_str(), "no" | "nr" | "row number" | "番号")
}

fn common(times: &HashMap<&str, usize>) -> Vec<(String, usize)> {
    let mut all: Vec<(&str, usize)> = times.iter().map(|(cell, count)| (*cell, *count)).collect();
    all.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
    all.truncate(SHOWN);
    all.into_iter()
        .map(|(cell, count)| (cell.to_string(), count))
        .collect()
}
