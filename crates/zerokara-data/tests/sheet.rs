//! Tables of every way of writing them.

use proptest::prelude::*;
use std::io::Write;
use zerokara_data::{Content, Dialect, Sheet};

fn contents(text: &str) -> Vec<(String, Content)> {
    let sheet = Sheet::parse(text).unwrap();
    sheet.contents().map(|c| (c.name, c.content)).collect()
}

#[test]
fn delimiters_quotes_and_headers_are_found() {
    let cases: [(&str, u8, bool, usize, usize); 16] = [
        ("a,b\n1,2\n", b',', true, 1, 2),
        ("a;b\n1,5;2\n2,5;3\n", b';', true, 2, 2),
        ("a\tb\r\n1\tx y\r\n", b'\t', true, 1, 2),
        ("a|b|c\n1|2|3\n", b'|', true, 1, 3),
        ("1,2\n3,4\n", b',', false, 2, 2),
        (
            "name,text\nann,\"one, two; three\"\nbob,\"a \"\"b\"\"\nc\"\n",
            b',',
            true,
            2,
            2,
        ),
        ("'a;x';b\n'c;y';d\n", b';', true, 1, 2),
        ("height\n170\n181\n", b',', true, 2, 1),
        ("170\n181\n", b',', false, 2, 1),
        ("red,small\nblue,large\nred,large\n", b',', false, 3, 2),
        ("colour,size\nblue,large\nred,large\n", b',', true, 2, 2),
        (",x\n0,0.5\n1,0.25\n", b',', true, 2, 2),
        // Names that are missing, or come twice, over numbers or dates.
        ("x,x,kind\n1,2,a\n3,4,b\n", b',', true, 2, 3),
        ("x,,kind\n1,a,b\n3,b,a\n", b',', true, 2, 3),
        (
            "kind,kind,when\na,b,2024-01-02\nb,c,2024-03-04\n",
            b',',
            true,
            2,
            3,
        ),
        ("a,a,b\nb,a,b\na,b,a\n", b',', false, 3, 3),
    ];
    for (text, delimiter, header, rows, columns) in cases {
        let sheet = Sheet::parse(text).unwrap_or_else(|e| panic!("{text:?}: {e}"));
        let found = (
            sheet.dialect().delimiter,
            sheet.dialect().header,
            sheet.len(),
            sheet.names().len(),
        );
        assert_eq!(found, (delimiter, header, rows, columns), "{text:?}");
    }
}

#[test]
fn what_columns_hold_is_found() {
    let text = "PassengerId,Age,Name,Sex,Cabin,Born,Zip,Score,Country,Nothing\n\
        1,22,\"Braund, Mr. Owen\",male,,1890-01-02,01234,1.5,X,\n\
        2,,\"Cumings, Mrs. John\",female,C85,1888-05-06,02345,n.d.,X,\n\
        5,26.5,\"Heikkinen, Miss\",female,,1886-12-31,01234,2e3,X,\n";
    let many = text.to_string()
        + &"7,30,\"Moran, Mr. James\",male,C85,1880-01-01,01234,-4,X,\n".repeat(30);
    let expected = [
        Content::Number,
        Content::Number,
        Content::Category,
        Content::Category,
        Content::Category,
        Content::Date,
        Content::Category,
        Content::Number,
        Content::Constant,
        Content::Empty,
    ];
    let found = contents(&many);
    for ((name, content), expected) in found.iter().zip(expected) {
        assert_eq!(*content, expected, "{name}");
    }
    assert_eq!(contents(text)[0].1, Content::Identifier);
    let sheet = Sheet::parse(&many).unwrap();
    let score = sheet.contents().nth(7).unwrap();
    assert_eq!(
        (score.missing, score.odd, score.range),
        (1, vec![("n.d.".to_string(), 1)], Some((-4.0, 2000.0)))
    );
}

#[test]
fn numbers_with_decimal_commas_and_dates_of_many_lands() {
    let sheet = Sheet::parse("preis;tag\n1.234,50;31.12.2024\n-7,25;1.1.2025\n").unwrap();
    assert!(sheet.dialect().decimal_comma);
    assert_eq!(
        sheet.contents().next().unwrap().range,
        Some((-7.25, 1234.5))
    );
    for day in [
        "2024-02-29",
        "2/29/2024",
        "29.2.2024",
        "2024年2月29日",
        "2024-02-29T23:59:59.5Z",
        "2024/02/29 07:30",
        "2024-02-29 10:00+09:00",
    ] {
        let text = format!("d;x\n{day};1\n2023-01-01;2\n");
        assert_eq!(contents(&text)[0].1, Content::Date, "{day}");
    }
    for day in [
        "2023-02-29",
        "2024-13-01",
        "2024-00-10",
        "31.4.2024",
        "2024-1",
        "10:30",
        "2024-02-29T24:00",
        "1-2-3-4",
    ] {
        let text = format!("d;x\n{day};1\n2023-01-01;2\n2023-01-01;3\n");
        assert_ne!(contents(&text)[0].1, Content::Date, "{day}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let error = |text: &str| Sheet::parse(text).unwrap_err().to_string();
    assert_eq!(
        error("a,b\n1,2\n3\n4,5\n"),
        "line 3 has 1 cell, but there are 2 columns (cells are parted by a comma)"
    );
    assert_eq!(
        error("a,b\n"),
        "the table has a line that names its columns, but no rows"
    );
    assert_eq!(error(""), "the table is empty");
    assert_eq!(error("\n\n"), "the table is empty");
    let sheet = Sheet::parse("price,rooms\n1,2\n3,4\n").unwrap();
    let error = sheet.column("prise").unwrap_err().to_string();
    assert!(
        error.starts_with("there is no column \"prise\"; there are \"price\""),
        "{error}"
    );
}

#[test]
fn files_of_every_encoding_are_read_and_others_refused() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    let text = "名前,値\n春,1\n夏,2\n";
    let utf16 = |order: fn(u16) -> [u8; 2], mark: [u8; 2]| {
        [mark.to_vec(), text.encode_utf16().flat_map(order).collect()].concat()
    };
    let mut zipped = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    zipped.write_all(text.as_bytes()).unwrap();
    for (name, bytes) in [
        ("plain.csv", text.as_bytes().to_vec()),
        ("mark.csv", ["\u{feff}", text].concat().into_bytes()),
        ("little.csv", utf16(u16::to_le_bytes, [0xff, 0xfe])),
        ("big.csv", utf16(u16::to_be_bytes, [0xfe, 0xff])),
        ("zipped.csv.gz", zipped.finish().unwrap()),
    ] {
        let sheet = Sheet::read(write(name, &bytes)).unwrap();
        assert_eq!(sheet.names(), ["名前", "値"], "{name}");
        assert_eq!(sheet.row(1), ["夏", "2"], "{name}");
    }
    for (name, bytes, why) in [
        (
            "latin.csv",
            b"a,b\n1,caf\xe9\n".to_vec(),
            "line 2 is not UTF-8",
        ),
        ("binary.csv", b"\x89PNG\0\0\xff".to_vec(), "not a text file"),
        ("zeros.csv", b"a,b\n\0,1\n".to_vec(), "not a text file"),
        (
            "cut.csv",
            utf16(u16::to_le_bytes, [0xff, 0xfe])[..9].to_vec(),
            "",
        ),
    ] {
        let read = Sheet::read(write(name, &bytes));
        if !why.is_empty() {
            let error = read.unwrap_err().to_string();
            assert!(
                error.contains(name) && error.contains(why),
                "{name}: {error}"
            );
        }
    }
    assert!(Sheet::read(folder.path()).is_err());
    assert!(
        Sheet::read(folder.path().join("gone.csv"))
            .unwrap_err()
            .to_string()
            .contains("gone.csv")
    );
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\n\r\t\"';,|äé日]{0,200}") {
        if let Ok(sheet) = Sheet::parse(&text) {
            prop_assert!(!sheet.is_empty());
            prop_assert_eq!(sheet.contents().count(), sheet.names().len());
            prop_assert!((0..sheet.len()).all(|row| sheet.row(row).len() == sheet.names().len()));
        }
    }

    #[test]
    fn what_is_written_is_read(
        rows in prop::collection::vec(prop::collection::vec("[a-z ,;\"\n']{1,8}", 3), 2..20),
        delimiter in prop::sample::select(vec![b',', b';', b'\t', b'|']),
    ) {
        let mut out = csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
        for row in &rows {
            out.write_record(row).unwrap();
        }
        let text = String::from_utf8(out.into_inner().unwrap()).unwrap();
        let dialect = Dialect { delimiter, quote: b'"', header: false, decimal_comma: false };
        let sheet = Sheet::parse_as(&text, dialect).unwrap();
        for (at, row) in rows.iter().enumerate() {
            let trimmed: Vec<&str> = row.iter().map(|cell| cell.trim()).collect();
            prop_assert_eq!(sheet.row(at), trimmed);
        }
    }
}

#[cfg(not(feature = "parquet"))]
#[test]
fn parquet_is_known_where_it_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("houses.parquet");
    std::fs::write(&path, b"PAR1 and more PAR1").unwrap();
    let error = Sheet::read(&path).err().unwrap().to_string();
    assert!(
        error.contains("feature `parquet`") && error.contains("CSV"),
        "{error}"
    );
}

#[test]
fn rows_are_objects_in_json() {
    let lines = "{\"size\": 80.5, \"city\": \"Nara; old town\", \"new\": true}\n\n{\"city\": null, \"size\": 55}\n{\"sold\": \"2024-03-01\"}\n";
    let list = format!(
        "\u{feff} [{}]",
        lines
            .trim()
            .replace("}\n\n{", "}, {")
            .replace("}\n{", "},\n{")
    );
    for text in [lines, &list] {
        let sheet = Sheet::parse(text).unwrap();
        assert_eq!(sheet.names(), ["size", "city", "new", "sold"]);
        let rows: Vec<Vec<&str>> = (0..sheet.len()).map(|row| sheet.row(row)).collect();
        assert_eq!(
            rows,
            [
                ["80.5", "Nara; old town", "true", ""],
                ["55", "", "", ""],
                ["", "", "", "2024-03-01"],
            ]
        );
    }
    for (text, why) in [
        (
            "{\"a\": 1}\n{\"a\": [1, 2]}\n",
            "row 2: \"a\" is a list; a cell is",
        ),
        ("{\"a\": 1}\n{\"a\": {}}\n", "row 2: \"a\" is an object"),
        (
            "{\"a\": 1}\n{\"a\": 1, \"a\": 2}\n",
            "row 2 has two values for \"a\"",
        ),
        ("{\"a\": 1}\n{\"a\": 1", "line 2"),
        ("{\"a\": 1}\n7\n", "an object with a value for each column"),
        ("[{\"a\": 1}", "line 1"),
        ("{}\n{}", "no row has a value"),
    ] {
        let error = Sheet::parse(text).unwrap_err().to_string();
        assert!(error.contains(why), "{text:?}: {error}");
    }
    // No object, but a text that begins like one.
    let sheet = Sheet::parse("{x,y\n1,2\n").unwrap();
    assert_eq!(sheet.names(), ["{x", "y"]);
}
