//! Tables in Parquet.
#![cfg(feature = "parquet")]

use parquet::{
    data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, Int32Type, Int64Type},
    file::writer::SerializedFileWriter,
    schema::parser::parse_message_type,
};
use std::{fs, path::Path, sync::Arc};
use zerokara_data::{Content, DataOptions, Sheet};

/// Houses: sizes of which some are missing, cities, days, moments, truth values.
fn houses(path: &Path, rows: usize) {
    let schema = "message houses {
        optional double size;
        required binary city (UTF8);
        required int32 sold (DATE);
        required int64 seen (TIMESTAMP_MILLIS);
        required boolean new;
    }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let file = fs::File::create(path).unwrap();
    let mut writer = SerializedFileWriter::new(file, schema, Default::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut at = 0;
    while let Some(mut column) = group.next_column().unwrap() {
        match at {
            0 => {
                let levels: Vec<i16> = (0..rows).map(|row| i16::from(row != 1)).collect();
                let sizes: Vec<f64> = (0..rows)
                    .filter(|&row| row != 1)
                    .map(|row| 50.5 + row as f64)
                    .collect();
                column
                    .typed::<DoubleType>()
                    .write_batch(&sizes, Some(&levels), None)
                    .unwrap();
            }
            1 => {
                let names = ["Kyoto", "Nara, old town"];
                let cities: Vec<ByteArray> = (0..rows)
                    .map(|row| ByteArray::from(names[row % 2]))
                    .collect();
                column
                    .typed::<ByteArrayType>()
                    .write_batch(&cities, None, None)
                    .unwrap();
            }
            2 => {
                let days: Vec<i32> = (0..rows).map(|row| 19_783 + row as i32).collect();
                column
                    .typed::<Int32Type>()
                    .write_batch(&days, None, None)
                    .unwrap();
            }
            3 => {
                let moments: Vec<i64> = (0..rows)
                    .map(|row| 1_709_294_400_000 + 60_000 * row as i64)
                    .collect();
                column
                    .typed::<Int64Type>()
                    .write_batch(&moments, None, None)
                    .unwrap();
            }
            _ => {
                let new: Vec<bool> = (0..rows).map(|row| row % 3 == 0).collect();
                column
                    .typed::<BoolType>()
                    .write_batch(&new, None, None)
                    .unwrap();
            }
        };
        column.close().unwrap();
        at += 1;
    }
    group.close().unwrap();
    writer.close().unwrap();
}

#[test]
fn values_are_those_that_a_csv_file_would_have() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("houses.parquet");
    houses(&path, 60);
    let sheet = Sheet::read(&path).unwrap();
    assert_eq!(sheet.names(), ["size", "city", "sold", "seen", "new"]);
    assert_eq!(
        sheet.row(0),
        ["50.5", "Kyoto", "2024-03-01", "2024-03-01 12:00:00", "true"]
    );
    assert_eq!(sheet.row(1)[..2], ["", "Nara, old town"]);
    let contents: Vec<Content> = sheet.contents().map(|column| column.content).collect();
    assert_eq!(
        contents[..4],
        [
            Content::Number,
            Content::Category,
            Content::Date,
            Content::Date
        ]
    );

    let data = DataOptions::new().target("city").open(&path).unwrap();
    assert_eq!(data.train.len() + data.test.len(), 60);
    assert_eq!(data.class_names, ["Kyoto", "Nara, old town"]);
}

#[test]
fn files_that_are_damaged_or_empty_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("houses.parquet");
    houses(&path, 20);
    let whole = fs::read(&path).unwrap();
    for cut in [4, 5, whole.len() / 2, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        let error = Sheet::read(&path).err().unwrap().to_string();
        assert!(
            error.contains("houses.parquet") && error.contains("Parquet"),
            "{error}"
        );
    }
    houses(&path, 0);
    let error = Sheet::read(&path).err().unwrap().to_string();
    assert!(error.contains("no rows"), "{error}");
}
