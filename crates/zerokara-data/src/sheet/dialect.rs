//! How a table is written, found out from its beginning.

use super::contents::{is_missing, is_number_in};
use super::dates;
use std::collections::{HashMap, HashSet};

/// How a table is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialect {
    /// What parts the cells: a comma, a semicolon, a tab or a bar.
    pub delimiter: u8,
    /// What stands around cells that hold the delimiter.
    pub quote: u8,
    /// Whether the first line names the columns.
    pub header: bool,
    /// Whether numbers have a comma in front of their decimals, as in much of Europe.
    pub decimal_comma: bool,
}

const DELIMITERS: [u8; 4] = *b",\t;|";
const QUOTES: [u8; 2] = *b"\"'";
/// How much of a file is looked at.
const LOOKED_AT: usize = 256 << 10;
/// How many rows of that.
const ROWS: usize = 500;

impl Dialect {
    /// The way in which a text is written, found out from its first rows.
    ///
    /// The delimiter is the one by which the most rows have the same number of cells; the first row names the columns unless its
    /// cells are like those below.
    ///
    /// ```
    /// use zerokara_data::Dialect;
    ///
    /// let dialect = Dialect::of("weight\theight\n61,5\t170\n80,2\t181\n");
    /// assert_eq!((dialect.delimiter, dialect.header, dialect.decimal_comma), (b'\t', true, true));
    /// assert!(!Dialect::of("1,2\n3,4\n").header);
    /// ```
    pub fn of(text: &str) -> Self {
        let beginning = beginning(text);
        let candidates = DELIMITERS.iter().flat_map(|&delimiter| {
            QUOTES.map(|quote| Dialect {
                delimiter,
                quote,
                header: false,
                decimal_comma: false,
            })
        });
        // The first of those that fit alike is taken: commas before others, double quotes before single ones.
        let mut best: Option<(Fit, Dialect, Vec<Vec<String>>)> = None;
        for dialect in candidates {
            let rows = dialect.rows(beginning);
            let score = fit(&rows);
            if best.as_ref().is_none_or(|(least, ..)| score > *least) {
                best = Some((score, dialect, rows));
            }
        }
        let Some((_, mut dialect, rows)) = best else {
            return Dialect {
                delimiter: b',',
                quote: b'"',
                header: false,
                decimal_comma: false,
            };
        };
        dialect.decimal_comma = dialect.delimiter != b',' && has_decimal_commas(&rows);
        dialect.header = is_header(&rows, dialect.decimal_comma);
        dialect
    }

    /// `a comma`, `a tab`.
    pub fn delimiter_name(&self) -> String {
        match self.delimiter {
            b',' => "a comma".into(),
            b'\t' => "a tab".into(),
            b';' => "a semicolon".into(),
            b'|' => "a bar".into(),
            other => format!("{:?}", char::from(other)),
        }
    }

    pub(super) fn reader<'t>(&self, text: &'t str) -> csv::Reader<&'t [u8]> {
        csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(self.delimiter)
            .quote(self.quote)
            .from_reader(text.as_bytes())
    }

    fn rows(&self, text: &str) -> Vec<Vec<String>> {
        let records = self
            .reader(text)
            .into_records()
            .take(ROWS)
            .map_while(Result::ok);
        let cells =
            |record: csv::StringRecord| record.iter().map(|c| c.trim().to_string()).collect();
        records.map(cells).collect()
    }
}

/// Whole lines from the beginning of a text.
fn beginning(text: &str) -> &str {
    if text.len() <= LOOKED_AT {
        return text;
    }
    let mut end = LOOKED_AT;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let part = &text[..end];
    part.rsplit_once('\n').map_or(part, |(lines, _)| lines)
}

/// How many rows of a hundred have the commonest number of cells, if that is more than one; whether no quotes are left at the
/// beginning of cells; that number.
type Fit = (usize, bool, usize);

/// How well rows make a table.
fn fit(rows: &[Vec<String>]) -> Fit {
    let mut counts: HashMap<usize, usize> = HashMap::new();
    for row in rows {
        *counts.entry(row.len()).or_default() += 1;
    }
    let commonest = counts
        .into_iter()
        .max_by_key(|&(cells, rows)| (rows, cells));
    match commonest {
        Some((cells, count)) if cells > 1 => {
            let mut all = rows.iter().flatten();
            let is_bare = all.all(|cell| !cell.starts_with(['"', '\'']));
            (count * 100 / rows.len().max(1), is_bare, cells)
        }
        // One cell in each row is a table only where nothing else is.
        Some(_) => (1, false, 1),
        None => (0, false, 0),
    }
}

fn has_decimal_commas(rows: &[Vec<String>]) -> bool {
    let cells = rows.iter().flatten();
    let with_comma = cells.clone().filter(|cell| cell.contains(','));
    let numbers = with_comma
        .clone()
        .filter(|cell| is_number_in(cell, true))
        .count();
    let with_point = cells
        .filter(|cell| cell.contains('.') && is_number_in(cell, false))
        .count();
    numbers > 0 && numbers * 2 > with_comma.count() && numbers > with_point
}

/// Whether the first row names the columns. No name is a number or a date. Where a column is numbers or dates from the second row on,
/// that is enough, whatever stands beside its name: nothing, or the same name twice. Else each column has a name of its own (but the
/// first may be without, as for numbers of rows), and somewhere below are numbers or dates, or no name is a value of its column.
fn is_header(rows: &[Vec<String>], decimal_comma: bool) -> bool {
    let Some((first, below)) = rows.split_first() else {
        return false;
    };
    let is_value = |cell: &str| is_number_in(cell, decimal_comma) || dates::parse(cell).is_some();
    if first.iter().any(|cell| is_value(cell)) {
        return false;
    }
    let is_name = |cell: &str| !cell.is_empty() && (!is_missing(cell) || cell.chars().count() > 2);
    let stands_over_values = |(at, name): (usize, &String)| {
        let cells = below.iter().filter_map(|row| row.get(at));
        let mut cells = cells.filter(|cell| !is_missing(cell)).peekable();
        is_name(name) && cells.peek().is_some() && cells.all(|cell| is_value(cell))
    };
    if below.len() > 1 && first.iter().enumerate().any(stands_over_values) {
        return true;
    }
    let names: HashSet<&str> = first.iter().map(String::as_str).collect();
    let mut named = first.iter().enumerate();
    if names.len() != first.len() || !named.all(|(at, cell)| at == 0 || is_name(cell)) {
        return false;
    }
    if below.is_empty() {
        return true;
    }
    if below.iter().flatten().any(|cell| is_value(cell)) {
        return true;
    }
    first.iter().enumerate().all(|(at, name)| {
        below
            .iter()
            .all(|row| row.get(at).is_none_or(|cell| cell != name))
    })
}
