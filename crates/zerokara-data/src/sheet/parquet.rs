//! Tables in Parquet, by the crate `parquet` without Arrow: each value becomes the text that a CSV file would have.

use super::{Cells, Dialect, Sheet, read::unique};
use crate::error::{Error, Result};
use jiff::{Timestamp, ToSpan, civil::Date};
use parquet::{
    file::reader::{FileReader, SerializedFileReader},
    record::Field,
};
use std::{fs::File, path::Path};

/// The table in this file.
pub(super) fn sheet(path: &Path) -> Result<Sheet> {
    let fail = |why: String| Error::file(path, why);
    let damaged =
        |e: parquet::errors::ParquetError| fail(format!("cannot be read as Parquet: {e}"));
    let file = File::open(path).map_err(|e| fail(format!("cannot be opened: {e}")))?;
    let reader = SerializedFileReader::new(file).map_err(damaged)?;
    let fields = reader.metadata().file_metadata().schema().get_fields();
    let names: Vec<String> = fields
        .iter()
        .map(|field| field.name().to_string())
        .collect();
    let mut columns = vec![Cells::default(); names.len()];
    let mut rows = 0usize;
    for row in reader.get_row_iter(None).map_err(damaged)? {
        let row = row.map_err(damaged)?;
        for (cells, (name, value)) in columns.iter_mut().zip(row.get_column_iter()) {
            let text = text(value).map_err(|what| {
                fail(format!(
                    "row {}: the column {name:?} holds {what}, not one value",
                    rows + 1
                ))
            })?;
            cells.push(&text);
        }
        rows += 1;
    }
    if rows == 0 {
        return Err(fail("the table has no rows".into()));
    }
    Ok(Sheet {
        path: Some(path.to_path_buf()),
        dialect: Dialect {
            delimiter: b',',
            quote: b'"',
            header: true,
            decimal_comma: false,
        },
        names: unique(names),
        columns,
    })
}

/// A value as text; nothing where it is missing.
fn text(value: &Field) -> std::result::Result<String, &'static str> {
    Ok(match value {
        Field::Null => String::new(),
        Field::Bool(truth) => truth.to_string(),
        Field::Byte(n) => n.to_string(),
        Field::Short(n) => n.to_string(),
        Field::Int(n) => n.to_string(),
        Field::Long(n) => n.to_string(),
        Field::UByte(n) => n.to_string(),
        Field::UShort(n) => n.to_string(),
        Field::UInt(n) => n.to_string(),
        Field::ULong(n) => n.to_string(),
        Field::Float16(x) => x.to_f32().to_string(),
        Field::Float(x) => x.to_string(),
        Field::Double(x) => x.to_string(),
        Field::Decimal(_) => value.to_string(),
        Field::Str(text) => text.clone(),
        Field::Date(days) => {
            let epoch = Date::constant(1970, 1, 1);
            epoch
                .checked_add(i64::from(*days).days())
                .map_err(|_| "a date that is none")?
                .to_string()
        }
        Field::TimestampMillis(n) => moment(Timestamp::from_millisecond(*n))?,
        Field::TimestampMicros(n) => moment(Timestamp::from_microsecond(*n))?,
        Field::TimeMillis(_) | Field::TimeMicros(_) => value.to_string(),
        Field::Bytes(_) => return Err("bytes"),
        Field::Group(_) => return Err("a group of columns"),
        Field::ListInternal(_) => return Err("a list"),
        Field::MapInternal(_) => return Err("a map"),
    })
}

/// A moment as tables write it: date and time in UTC.
fn moment(
    found: std::result::Result<Timestamp, jiff::Error>,
) -> std::result::Result<String, &'static str> {
    let moment = found.map_err(|_| "a moment that is none")?;
    Ok(moment.strftime("%Y-%m-%d %H:%M:%S").to_string())
}
