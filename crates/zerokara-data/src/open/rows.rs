//! Tables as data sets.

use super::{ColumnUse, DataOptions, Learn};
use crate::columns::Columns;
use crate::dataset::Dataset;
use crate::error::{Error, Result, named};
use crate::preprocessing::{ColumnKind, Missing, Table, Unseen};
use crate::sheet::{Cells, Content, Contents, Sheet, is_missing, plain};
use crate::split::Split;
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::path::Path;
use zerokara_core::Array;

/// The name of the rows among a sample's columns.
const INPUT: &str = "x";

/// Names of columns that are to be learned, in lower case.
const TARGETS: [&str; 12] = [
    "target",
    "label",
    "labels",
    "class",
    "y",
    "t",
    "outcome",
    "result",
    "目的変数",
    "正解",
    "ラベル",
    "クラス",
];

/// A whole number of at most so many different values names classes.
const MOST_CLASSES_OF_NUMBERS: usize = 20;
/// Each of them is there so often, in the mean.
const TIMES: usize = 10;
/// Classes that a message names.
const SHOWN: usize = 10;

/// A data set of the tables to train on, to choose by and to judge by; the last two may be parts of the first.
pub(super) fn open(
    name: String,
    path: &Path,
    sheets: [Option<Sheet>; 3],
    options: &DataOptions,
) -> Result<Dataset> {
    let fail = |error: Error| match error.to_string().starts_with(&path.display().to_string()) {
        true => error,
        false => Error::file(path, error),
    };
    let [Some(first), ..] = &sheets else {
        return Err(Error::file(path, "there is no table to train on"));
    };
    let contents: Vec<Contents> = first.contents().collect();
    let plan = Plan::of(first, &contents, options).map_err(fail)?;
    let mut notes = plan.notes.clone();
    let parts: Vec<Option<Part>> = sheets
        .iter()
        .map(|sheet| {
            sheet
                .as_ref()
                .map(|sheet| Part::of(sheet, &plan.target, plan.learn, |sheet| plan.cells(sheet)))
                .transpose()
        })
        .collect::<Result<_>>()
        .map_err(fail)?;
    let mut parts = parts.into_iter();
    let (Some(Some(train)), validation, test) =
        (parts.next(), parts.next().flatten(), parts.next().flatten())
    else {
        return Err(Error::file(path, "there is no table to train on"));
    };
    let left_out = train.without_target;
    if left_out > 0 {
        notes.push(match left_out {
            1 => "1 row has no value in the target column, and is left out".to_string(),
            _ => format!("{left_out} rows have no value in the target column, and are left out"),
        });
    }
    let classes = match plan.learn {
        Learn::Classes => Some(train.classes(&plan.target).map_err(fail)?),
        Learn::Number => None,
    };
    // Which rows are trained on is known before anything is learned of them.
    let labels = match &classes {
        Some(classes) => train.labels(classes, &plan.target).map_err(fail)?,
        None => vec![0; train.rows.len()],
    };
    let stand_in = Split::new(vec![0u8; labels.len()], &[1], labels).map_err(fail)?;
    let has_own = [validation.is_some(), test.is_some()];
    let [trained_on, chosen_by, judged_by] = options
        .parts(&stand_in, classes.is_some(), has_own)
        .map_err(fail)?;
    let rows: Vec<&Vec<Cow<'_, str>>> = trained_on.iter().map(|&row| &train.rows[row]).collect();
    let table = Table::fit(plan.kinds(&rows), &rows).map_err(fail)?;
    let table = table.with_odd(
        plan.inputs
            .iter()
            .map(|input| (input.name.as_str(), &input.odd[..])),
    );
    let build = |part: &Part| part.samples(&table, classes.as_ref(), &plan.target, plan.port());
    let whole = build(&train).map_err(fail)?;
    let part = |places: &[usize], own: &Option<Part>| -> Result<Split> {
        match own {
            Some(part) => build(part),
            None if places.is_empty() => Ok(Split::empty()),
            None => whole.subset(places),
        }
    };
    let mut dataset = Dataset::of(name)
        .train(whole.subset(&trained_on)?)
        .and_then(|data| data.validation(part(&chosen_by, &validation)?))
        .and_then(|data| data.test(part(&judged_by, &test)?))
        .map_err(fail)?;
    if let Some(classes) = classes {
        dataset = dataset.class_names(classes.names).map_err(fail)?;
    }
    dataset = dataset.preprocess(INPUT, table);
    dataset.source = path.canonicalize().ok();
    dataset.notes = notes;
    dataset.contents = contents;
    Ok(dataset)
}

/// The rows of a table as samples of a model that has learned this of its training set; those without a target are left out.
pub(super) fn like(
    sheet: &Sheet,
    table: &Table,
    target: &str,
    class_names: &[String],
) -> Result<Split> {
    let (learn, classes) = match class_names {
        [] => (Learn::Number, None),
        names => (Learn::Classes, Some(Classes::of(names.to_vec()))),
    };
    let part = Part::of(sheet, target, learn, |sheet| {
        table.cells(sheet, 0..sheet.len())
    })?;
    part.samples(table, classes.as_ref(), target, target)
}

/// What is done with a table: its target, and the columns that are inputs.
struct Plan {
    target: String,
    learn: Learn,
    inputs: Vec<Input>,
    notes: Vec<String>,
}

struct Input {
    name: String,
    using: ColumnUse,
    /// Texts among its numbers, which stand for a number that is missing.
    odd: Vec<String>,
}

impl Plan {
    fn of(sheet: &Sheet, contents: &[Contents], options: &DataOptions) -> Result<Self> {
        let mut notes = Vec::new();
        for name in options.columns.keys() {
            sheet.place(name)?;
        }
        let target = match &options.target {
            Some(name) => sheet.place(name)?,
            None => {
                let named = contents
                    .iter()
                    .rposition(|c| TARGETS.contains(&&*c.name.to_lowercase()));
                named.unwrap_or(contents.len() - 1)
            }
        };
        if contents.len() < 2 {
            return Err(Error::new(format!(
                "there is one column alone, {:?}; a table has a column to learn and others to tell it from (cells are parted by {})",
                contents[0].name,
                sheet.dialect().delimiter_name()
            )));
        }
        let rows = sheet.len();
        if rows < 2 {
            return Err(Error::new(
                "there is one row alone: there is nothing to learn from",
            ));
        }
        let found = &contents[target];
        let learn = match options.learn {
            Some(learn) => learn,
            None => learned(found, rows)?,
        };
        check_target(found, learn, rows)?;
        let name = &found.name;
        notes.push(match learn {
            Learn::Classes => format!(
                "column {name:?} is learned as {} classes (classification)",
                found.distinct
            ),
            Learn::Number => format!("column {name:?} is learned as a number (regression)"),
        });
        let (mut inputs, mut unused) = (Vec::new(), Vec::new());
        for (_, column) in contents.iter().enumerate().filter(|(at, _)| *at != target) {
            let using = match (options.columns.get(&column.name), column.content) {
                (Some(&using), _) => using,
                (None, Content::Number) => ColumnUse::Number,
                (None, Content::Category) => ColumnUse::Category,
                (None, Content::Date) => ColumnUse::Date,
                (None, content) => {
                    notes.push(format!(
                        "column {:?} is left out: it holds {content}",
                        column.name
                    ));
                    unused.push(format!("{:?} holds {content}", column.name));
                    continue;
                }
            };
            if using == ColumnUse::Ignore {
                unused.push(format!("{:?} is to be ignored", column.name));
                continue;
            }
            let odd: Vec<String> = column.odd.iter().map(|(text, _)| text.clone()).collect();
            if !odd.is_empty() && using == ColumnUse::Number {
                let texts: Vec<String> = odd.iter().map(|text| format!("{text:?}")).collect();
                notes.push(format!(
                    "column {:?} holds numbers; {} stands for one that is missing",
                    column.name,
                    texts.join(" or ")
                ));
            }
            inputs.push(Input {
                name: column.name.clone(),
                using,
                odd,
            });
        }
        if inputs.is_empty() {
            return Err(Error::new(format!(
                "beside the target {name:?} there is no column to learn from: {}",
                unused.join(", ")
            )));
        }
        Ok(Plan {
            target: name.clone(),
            learn,
            inputs,
            notes,
        })
    }

    /// The cells of the inputs, row by row; empty where there is no value.
    fn cells<'s>(&self, sheet: &'s Sheet) -> Result<Vec<Vec<Cow<'s, str>>>> {
        let decimal_comma = sheet.dialect().decimal_comma;
        let columns: Vec<(&Cells, &Input)> = self
            .inputs
            .iter()
            .map(|input| Ok((sheet.column(&input.name)?, input)))
            .collect::<Result<_>>()?;
        let row = |row: usize| {
            let cell = |(cells, input): &(&'s Cells, &Input)| {
                let cell = cells.get(row).unwrap_or_default();
                let is_odd = || input.odd.iter().any(|odd| odd == cell);
                match input.using {
                    _ if is_missing(cell) => Cow::Borrowed(""),
                    ColumnUse::Number if is_odd() => Cow::Borrowed(""),
                    ColumnUse::Number => plain(cell, decimal_comma),
                    _ => Cow::Borrowed(cell),
                }
            };
            columns.iter().map(cell).collect()
        };
        Ok((0..sheet.len()).map(row).collect())
    }

    /// The name of the target among a sample's columns.
    fn port(&self) -> &str {
        match self.target.as_str() {
            INPUT => "t",
            name => name,
        }
    }

    /// The kinds of the columns: whether a cell may be missing is seen in the rows to train on.
    fn kinds<R: AsRef<[S]>, S: AsRef<str>>(&self, rows: &[R]) -> Vec<(String, ColumnKind)> {
        let kind = |(at, input): (usize, &Input)| {
            let is_missing = rows.iter().any(|row| row.as_ref()[at].as_ref().is_empty());
            let missing = match is_missing {
                true => Missing::Indicator,
                false => Missing::Mean,
            };
            let kind = match input.using {
                ColumnUse::Number => ColumnKind::Number(missing),
                ColumnUse::Date => ColumnKind::Date(missing),
                ColumnUse::Category | ColumnUse::Ignore => ColumnKind::Categories(Unseen::Place),
            };
            (input.name.clone(), kind)
        };
        self.inputs.iter().enumerate().map(kind).collect()
    }
}

/// Whether a column's values are classes or numbers.
fn learned(found: &Contents, rows: usize) -> Result<Learn> {
    let few = found.distinct <= MOST_CLASSES_OF_NUMBERS && found.distinct * TIMES <= rows;
    Ok(match found.content {
        Content::Number | Content::Identifier if found.range.is_some() => {
            match found.is_whole && (few || found.distinct == 2) {
                true => Learn::Classes,
                false => Learn::Number,
            }
        }
        Content::Date => {
            return Err(Error::new(format!(
                "the target {:?} holds dates; numbers and classes can be learned: name another target",
                found.name
            )));
        }
        _ => Learn::Classes,
    })
}

fn check_target(found: &Contents, learn: Learn, rows: usize) -> Result<()> {
    let name = &found.name;
    let why = match (learn, found.content) {
        (_, Content::Empty) => {
            format!("the target {name:?} has no value in any row; name another target")
        }
        (Learn::Classes, Content::Constant) => format!(
            "all {rows} rows have the same value {:?} in the target {name:?}: there is one class alone, and nothing to tell apart",
            found.common.first().map_or("", |(value, _)| value)
        ),
        (Learn::Classes, _) if found.distinct < 2 => {
            format!("the target {name:?} has one class alone: there is nothing to tell apart")
        }
        (Learn::Classes, _) if found.distinct + found.missing == rows && rows > 2 => format!(
            "every row has a value of its own in the target {name:?}: these are no classes; name another target"
        ),
        (Learn::Number, _) if found.range.is_none() => format!(
            "the target {name:?} holds {}, which are no numbers; learn classes of it, or name another target",
            found.content
        ),
        _ => return Ok(()),
    };
    Err(Error::new(why))
}

/// The classes, each with its number.
struct Classes {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Classes {
    fn of(names: Vec<String>) -> Self {
        let numbers = names.iter().cloned().zip(0..).collect();
        Classes { names, numbers }
    }
}

/// The rows of one table, as far as they are used.
struct Part<'s> {
    /// Which file, for errors.
    at: String,
    rows: Vec<Vec<Cow<'s, str>>>,
    targets: Vec<Cow<'s, str>>,
    without_target: usize,
}

impl<'s> Part<'s> {
    /// The rows that have a target, of all cells of the inputs.
    fn of(
        sheet: &'s Sheet,
        target: &str,
        learn: Learn,
        cells: impl FnOnce(&'s Sheet) -> Result<Vec<Vec<Cow<'s, str>>>>,
    ) -> Result<Self> {
        let at = sheet
            .path()
            .map_or(String::new(), |path| format!("{}: ", path.display()));
        let fail = |error: Error| Error::new(format!("{at}{error}"));
        let all = sheet.column(target).map_err(fail)?;
        let rows = cells(sheet).map_err(fail)?;
        let decimal_comma = sheet.dialect().decimal_comma && learn == Learn::Number;
        let (targets, rows): (Vec<_>, Vec<_>) = all
            .iter()
            .zip(rows)
            .filter(|(target, _)| !is_missing(target))
            .map(|(target, row)| (plain(target, decimal_comma), row))
            .unzip();
        Ok(Part {
            without_target: sheet.len() - rows.len(),
            at,
            rows,
            targets,
        })
    }

    /// The rows as samples: inputs by the table, targets as classes, or as numbers where there are none, under the name `port`.
    fn samples(
        &self,
        table: &Table,
        classes: Option<&Classes>,
        target: &str,
        port: &str,
    ) -> Result<Split> {
        let inputs = table
            .rows(&self.rows)
            .map_err(|error| Error::new(format!("{}{error}", self.at)))?;
        let targets = match classes {
            Some(classes) => {
                let labels = self.labels(classes, target)?;
                Array::new([labels.len()], labels)
            }
            None => {
                let numbers = self.numbers(target)?;
                Array::new([numbers.len(), 1], numbers)
            }
        };
        let columns = Columns::new().with(INPUT, inputs).with(port, targets);
        Split::of(columns)?.targets([port])
    }

    /// The classes in the order of their numbers, or of their letters.
    fn classes(&self, target: &str) -> Result<Classes> {
        let distinct: HashSet<&str> = self.targets.iter().map(AsRef::as_ref).collect();
        let mut names: Vec<String> = distinct.into_iter().map(str::to_string).collect();
        names.sort();
        // Numbers in the order of numbers: 10 comes behind 9.
        let number = |name: &str| name.parse::<f64>().unwrap_or(f64::NAN);
        if names.iter().all(|name| number(name).is_finite()) {
            names.sort_by(|a, b| number(a).total_cmp(&number(b)));
        }
        if names.len() < 2 {
            return Err(Error::new(format!(
                "the target {target:?} has one class alone: there is nothing to tell apart"
            )));
        }
        Ok(Classes::of(names))
    }

    fn labels(&self, classes: &Classes, target: &str) -> Result<Vec<i64>> {
        let label = |name: &Cow<'_, str>| match classes.numbers.get(&**name) {
            Some(&number) => Ok(number as i64),
            None => Err(Error::new(format!(
                "{}the class {name:?} of the target {target:?} does not come in the training part; known are {}",
                self.at,
                named(&classes.names, SHOWN)
            ))),
        };
        self.targets.iter().map(label).collect()
    }

    fn numbers(&self, target: &str) -> Result<Vec<f32>> {
        let number = |(row, cell): (usize, &Cow<'_, str>)| match cell.parse::<f32>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(Error::new(format!(
                "{}row {}, target {target:?}: {cell:?} is not a number",
                self.at,
                row + 1
            ))),
        };
        self.targets.iter().enumerate().map(number).collect()
    }
}
