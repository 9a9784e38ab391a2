//! From raw values to inputs: what was learned, its file, and the same bits outside of training.

use proptest::prelude::*;
use zerokara_core::Array;
use zerokara_data::{
    Augment, Categories, ColumnKind, Loader, Missing, Normalization, Position, Preprocessing, Raw,
    Split, Table, Unit, Unseen, Vocabulary,
};

fn through_text(preprocessing: impl Into<Preprocessing>) -> Preprocessing {
    let preprocessing = preprocessing.into();
    let text = serde_json::to_string(&preprocessing).unwrap();
    let read: Preprocessing = serde_json::from_str(&text).unwrap();
    assert_eq!(read, preprocessing);
    read
}

proptest! {
    #[test]
    fn a_file_keeps_every_bit(
        divisor in 1e-30f32..1e30, mean in prop::collection::vec(-1e30f32..1e30, 1..4), std in 1e-30f32..1e30,
        values in prop::collection::vec(-1e20f64..1e20, 2..20),
    ) {
        let std = vec![std; mean.len()];
        let normalization = Normalization::divided_by(divisor).unwrap().standard(&mean, &std).unwrap();
        through_text(normalization);
        let rows: Vec<[String; 1]> = values.iter().map(|x| [x.to_string()]).collect();
        if let Ok(table) = Table::fit([("x", ColumnKind::Number(Missing::Error))], &rows) {
            let read = through_text(table.clone());
            for row in &rows {
                let array = read.array(Raw::Row(&[&row[0]])).unwrap();
                prop_assert_eq!(array.as_slice::<f32>().unwrap()[0].to_bits(), table.row(row).unwrap()[0].to_bits());
            }
        }
    }

    #[test]
    fn texts_come_back(texts in prop::collection::vec("\\PC{0,20}", 1..5)) {
        let bytes = Vocabulary::bytes();
        for text in &texts {
            prop_assert_eq!(&bytes.decode(&bytes.encode(text)), text);
        }
        let Ok(characters) = Vocabulary::characters(&texts) else { return Ok(()) };
        for text in &texts {
            let tokens = characters.encode(text);
            prop_assert!(tokens.iter().all(|&n| n >= 2 && n < characters.len() as i64));
            prop_assert_eq!(&characters.decode(&tokens), text);
        }
        through_text(characters);
    }
}

/// Pixels of one picture become what training was fed.
#[test]
fn one_raw_sample_is_what_training_saw() {
    let pixels: Vec<u8> = (0..4 * 8).map(|i| (i * 37 % 256) as u8).collect();
    let split = Split::new(pixels.clone(), &[2, 2, 2], vec![0; 4]).unwrap();
    let normalization = Normalization::of(&split).unwrap();
    let loader = Loader::new(&split, 4)
        .unwrap()
        .normalization(normalization.clone())
        .unwrap();
    let fed = loader.feed(0).unwrap();
    let read = through_text(normalization);
    for (at, pixels) in pixels.chunks(8).enumerate() {
        let image = Array::new([2, 2, 2], pixels);
        let one = read.array(Raw::Values(&image)).unwrap();
        let x = fed.inputs.find("x").unwrap().as_slice::<f32>().unwrap();
        assert_eq!(one.as_slice::<f32>().unwrap(), &x[at * 8..at * 8 + 8]);
    }
    let error = read.array(Raw::Text("seven")).unwrap_err().to_string();
    assert_eq!(error, "this input is made from values, not from a text");
    let wrong = Array::new([2], vec![1i64, 2]);
    assert!(
        read.array(Raw::Values(&wrong))
            .unwrap_err()
            .to_string()
            .contains("i64")
    );
}

#[test]
fn numbers_of_a_table_are_standardized() {
    let rows = [["1", "a"], ["3", "b"], ["5", "a"], ["7", "a"]];
    let kinds = |missing, unseen| {
        [
            ("n", ColumnKind::Number(missing)),
            ("c", ColumnKind::Categories(unseen)),
        ]
    };
    let table = Table::fit(kinds(Missing::Mean, Unseen::Error), &rows).unwrap();
    // The mean of 1, 3, 5, 7 is 4, their variance 5.
    let expected = (-3.0 / 5f64.sqrt()) as f32;
    assert_eq!(table.row(&rows[0]).unwrap(), [expected, 1.0, 0.0]);
    assert_eq!(table.row(&[" ", " b "]).unwrap(), [0.0, 0.0, 1.0]);
    assert_eq!(table.rows(&rows).unwrap().shape(), [4, table.width()]);
    let error = |result: zerokara_data::Result<Vec<f32>>| result.unwrap_err().to_string();
    assert!(error(table.row(&["1", "z"])).contains("column \"c\": \"z\" was not there"));
    assert!(error(table.row(&["1e400", "a"])).contains("not finite"));
    assert!(error(table.row(&["1e300", "a"])).contains("too large"));
    assert!(error(table.row(&["1"])).contains("1 cells, but there are 2"));
    let strict = Table::fit(kinds(Missing::Error, Unseen::Place), &rows).unwrap();
    assert!(error(strict.row(&["?", "a"])).contains("missing"));
    assert_eq!(strict.row(&["4", "z"]).unwrap(), [0.0, 0.0, 0.0, 1.0]);
    through_text(strict);
    // Equal numbers have no deviation; theirs is 1.
    let equal = Table::fit([("n", ColumnKind::Number(Missing::Error))], &[["0.1"]; 3]).unwrap();
    assert_eq!(equal.row(&["0.1"]).unwrap(), [0.0]);
    assert_eq!(equal.row(&["1.1"]).unwrap(), [1.0]);
}

#[test]
fn dates_are_late_and_stand_somewhere_in_year_week_and_day() {
    let dates = ["1970-01-01", "1999-12-31", "2000-03-01 06:30", ""];
    let rows = dates.map(|date| [date]);
    let table = Table::fit([("born", ColumnKind::Date(Missing::Indicator))], &rows).unwrap();
    assert_eq!(table.names().len(), table.width());
    assert_eq!(table.names()[7], "born is missing");
    // Days since 1970, sines and cosines from Python's `datetime` and `math`.
    let days = [0.0, 10956.0, 11017.270833333334];
    let mean = days.iter().sum::<f64>() / 3.0;
    let std = (days.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / 3.0).sqrt();
    let expected = [
        ("1970-01-01", 0.0, [0.0, 1.0, 0.433884, -0.900969, 0.0, 1.0]),
        (
            "29.2.2024 18:00",
            19782.75,
            [0.856198, 0.516647, -0.222521, -0.974928, -1.0, 0.0],
        ),
        (
            "03/01/2000 06:30",
            11017.270833333334,
            [0.860793, 0.508955, 0.892698, -0.450655, 0.991445, -0.130526],
        ),
        (
            "1890年1月2日",
            -29218.0,
            [0.017202, 0.999852, 0.433884, -0.900969, 0.0, 1.0],
        ),
    ];
    for (cell, day, cycles) in expected {
        let row = table.row(&[cell]).unwrap();
        assert!(
            (f64::from(row[0]) - (day - mean) / std).abs() < 1e-6,
            "{cell}: {row:?}"
        );
        for (found, expected) in row[1..7].iter().zip(cycles) {
            assert!(
                (f64::from(*found) - expected).abs() < 2e-6,
                "{cell}: {row:?}"
            );
        }
        assert_eq!(row[7], 0.0);
    }
    assert_eq!(
        table.row(&["NA"]).unwrap(),
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0]
    );
    let error = table.row(&["yesterday"]).unwrap_err().to_string();
    assert!(
        error.contains("\"born\"") && error.contains("\"yesterday\" is not a date"),
        "{error}"
    );
    through_text(table);
}

#[test]
fn tables_that_teach_nothing_are_refused() {
    let number = |missing| [("n", ColumnKind::Number(missing))];
    let error = |result: zerokara_data::Result<Table>| result.unwrap_err().to_string();
    assert!(error(Table::fit(number(Missing::Mean), &[["NA"], [""]])).contains("no number"));
    assert!(error(Table::fit(number(Missing::Mean), &[] as &[[&str; 1]])).contains("no number"));
    assert!(
        error(Table::fit(number(Missing::Error), &[["1"], [""]])).contains("row 1, column \"n\"")
    );
    assert!(
        error(Table::fit(number(Missing::Error), &[["1"], ["x"]]))
            .contains("\"x\" is not a number")
    );
    assert!(
        error(Table::fit(number(Missing::Error), &[vec!["1", "2"]]))
            .contains("row 0: it has 2 cells")
    );
    let twice = [("n", ColumnKind::Number(Missing::Mean)); 2];
    assert!(error(Table::fit(twice, &[["1", "2"]])).contains("two columns are named \"n\""));
    assert!(
        error(Table::fit(
            [] as [(&str, ColumnKind); 0],
            &[[] as [&str; 0]]
        ))
        .contains("without columns")
    );
}

#[test]
fn words_are_counted() {
    let words = Vocabulary::words(["It's so, so good.", "so it is"], 3).unwrap();
    // Three times `so`; the others once, in the order of their characters.
    assert_eq!(words.tokens(), ["so", ",", "."]);
    assert_eq!(words.encode("so. what"), [2, 4, Vocabulary::UNKNOWN]);
    through_text(words);
    assert_eq!(Vocabulary::bytes().len(), 258);
    through_text(Vocabulary::bytes());
    assert!(Vocabulary::characters([""]).is_err());
    assert!(Vocabulary::of(Unit::Characters, vec!["ab".into()]).is_err());
    assert!(Vocabulary::of(Unit::Words, vec!["a b".into()]).is_err());
    assert!(Vocabulary::of(Unit::Words, vec!["a".into(), "a".into()]).is_err());
    // Numbers from outside may be any.
    let letters = Vocabulary::characters(["ab"]).unwrap();
    assert_eq!(
        letters.decode(&[i64::MIN, -1, 99, i64::MAX, 2]),
        "\u{fffd}\u{fffd}\u{fffd}\u{fffd}a"
    );
    assert_eq!(Vocabulary::bytes().decode(&[i64::MIN, 99]), "\u{fffd}a");
}

#[test]
fn classes_have_names() {
    let classes = Categories::of(["cat", "dog"]).unwrap();
    let read = through_text(classes);
    assert_eq!(
        read.array(Raw::Text("dog"))
            .unwrap()
            .as_slice::<i64>()
            .unwrap(),
        [1]
    );
    assert!(Categories::of(["cat", "cat"]).is_err());
    assert!(Categories::of([] as [&str; 0]).is_err());
    let many = Categories::of((0..100).map(|i| i.to_string())).unwrap();
    let error = many.index("x").unwrap_err().to_string();
    assert!(
        error.contains("\"9\" and 90 more") && error.len() < 200,
        "{error}"
    );
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let error = |text: &str| {
        let value = serde_json::from_str(text).unwrap();
        Preprocessing::from_json(value).unwrap_err().to_string()
    };
    assert!(error(r#"{"kind":"spectrum","version":1}"#).contains("kind \"spectrum\" is not known"));
    assert!(error(r#"{"kind":"table","version":2}"#).contains("version 2, newer"));
    assert!(error(r#"{"kind":"table","version":1}"#).contains("columns"));
    assert!(error(r#"{"kind":"normalization","version":1,"divisor":0}"#).contains("divided by 0"));
    assert!(
        error(r#"{"kind":"normalization","version":1,"divisor":1,"mode":"x"}"#).contains("mode")
    );
    assert!(error(r#"{"kind":"table","version":1,"columns":[{"kind":"number","name":"a","mean":0,"std":0}]}"#).contains("deviation 0"));
    assert!(
        error(r#"{"kind":"table","version":1,"columns":[{"kind":"hash","name":"a"}]}"#)
            .contains("hash")
    );
    assert!(error(r#"{"divisor":1}"#).contains("version"));
    assert!(error("[1]").contains("object"));
}

#[test]
fn what_a_run_is_goes_through_json() {
    let augment = Augment::new(u64::MAX).shift(2).rotate(10.5).unwrap();
    let text = serde_json::to_string(&augment).unwrap();
    assert_eq!(serde_json::from_str::<Augment>(&text).unwrap(), augment);
    assert!(serde_json::from_str::<Augment>(r#"{"seed":1,"degrees":400}"#).is_err());
    let position = Position {
        epoch: u64::MAX,
        batch: 3,
    };
    let text = serde_json::to_string(&position).unwrap();
    assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), position);
}
