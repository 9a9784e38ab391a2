//! Data of one's own as data sets: tables, folders of pictures, lists.

#![cfg(feature = "images")]

use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use zerokara_core::DType;
use zerokara_data::{ColumnUse, DataOptions, Dataset, Learn, Pictures, Preprocessing, Raw};

fn written(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    if let Some(above) = path.parent() {
        fs::create_dir_all(above).unwrap();
    }
    fs::write(&path, text).unwrap();
    path
}

fn error_of(text: &str) -> String {
    error_with(&DataOptions::new(), text)
}

/// What is said of a table, without its path.
fn error_with(options: &DataOptions, text: &str) -> String {
    let folder = TempDir::new().unwrap();
    let path = written(&folder, "table.csv", text);
    let error = options.open(&path).unwrap_err().to_string();
    let at = format!("{}: ", path.display());
    error
        .strip_prefix(&at)
        .unwrap_or_else(|| panic!("{error}"))
        .to_string()
}

/// Rows of a table of flowers: a length for each kind, one missing in ten.
fn flowers() -> String {
    let row = |i: usize| {
        let kind = ["iris", "lily", "rose"][i % 3];
        let length = match i % 10 {
            7 => "unknown".to_string(),
            _ => format!("{:.1}", (i % 3) as f64 * 2.0 + 1.0 + (i % 7) as f64 * 0.1),
        };
        let colour = ["red", "blue", ""][i / 3 % 3];
        format!(
            "{},{length},{colour},2024-03-{:02},{kind}\n",
            i + 1,
            1 + i % 28
        )
    };
    let rows: String = (0..90).map(row).collect();
    format!("id,length,colour,picked,species\n{rows}")
}

#[test]
fn a_table_is_understood() {
    let folder = TempDir::new().unwrap();
    let path = written(&folder, "flowers.csv", &flowers());
    let data = DataOptions::new().open(&path).unwrap();
    assert_eq!(data.name, "flowers");
    assert_eq!(data.class_names, ["iris", "lily", "rose"]);
    // A fifth of each class is judged by.
    assert_eq!(
        (data.train.len(), data.validation.len(), data.test.len()),
        (72, 0, 18)
    );
    for class in 0..3 {
        assert_eq!(
            data.test
                .labels()
                .iter()
                .filter(|&&label| label == class)
                .count(),
            6
        );
    }
    assert_eq!(
        data.notes,
        [
            "column \"species\" is learned as 3 classes (classification)",
            "column \"id\" is left out: it holds identifiers",
            "column \"length\" holds numbers; \"unknown\" stands for one that is missing",
        ]
    );
    let Some(Preprocessing::Table(table)) = data.preprocessing_of("x") else {
        panic!("there is no table")
    };
    let names = table.names();
    assert_eq!(names[..2], ["length", "length is missing"]);
    assert_eq!(
        names[2..6],
        [
            "colour = ",
            "colour = blue",
            "colour = red",
            "colour is another"
        ]
    );
    assert_eq!(names[6], "picked");
    // The mean is that of the rows to train on: what is scaled has the mean 0 there.
    let lengths = data.train.column("x").unwrap();
    let width = table.width();
    let rows = lengths.as_slice::<f32>().unwrap().chunks(width);
    let there: Vec<f32> = rows.filter(|row| row[1] == 0.0).map(|row| row[0]).collect();
    let mean = there.iter().sum::<f32>() / there.len() as f32;
    assert!(mean.abs() < 1e-5, "{mean}");
    // Raw rows take the same way, with whatever says that there is no value.
    let row = |cells: [&str; 3]| table.row(&cells).unwrap();
    assert_eq!(
        row(["unknown", "?", "2024-03-01"]),
        row(["", "", "2024-03-01"])
    );
    assert_eq!(
        row(["1.0", "green", "2024-03-01"])[2..6],
        [0.0, 0.0, 0.0, 1.0]
    );
    let again = DataOptions::new().open(&path).unwrap();
    assert_eq!(again.test.labels(), data.test.labels());
    let other = DataOptions::new().seed(1).open(&path).unwrap();
    let origins = |data: &Dataset| (0..18).map(|at| data.test.origin(at)).collect::<Vec<_>>();
    assert_ne!(origins(&other), origins(&data));
}

#[test]
fn numbers_are_learned_as_numbers_or_as_classes() {
    let folder = TempDir::new().unwrap();
    let rows: String = (0..60)
        .map(|i| format!("{};{},5\n", i % 6, 100 + i * 37 % 61))
        .collect();
    let path = written(&folder, "prices.csv", &format!("rooms;price\n{rows}"));
    let data = DataOptions::new().validation(0.25).open(&path).unwrap();
    assert_eq!(data.classes(), 0);
    assert_eq!(
        (data.train.len(), data.validation.len(), data.test.len()),
        (36, 12, 12)
    );
    let prices = data.train.column("price").unwrap();
    assert_eq!((prices.dtype(), prices.shape()), (DType::F32, &[36, 1][..]));
    assert!(
        prices
            .as_slice::<f32>()
            .unwrap()
            .iter()
            .all(|price| price.fract() == 0.5)
    );
    let data = DataOptions::new().target("rooms").open(&path).unwrap();
    assert_eq!(data.class_names, ["0", "1", "2", "3", "4", "5"]);
    let data = DataOptions::new()
        .target("rooms")
        .learn(Learn::Number)
        .open(&path)
        .unwrap();
    assert_eq!(data.classes(), 0);
    // Classes that are numbers stand in the order of numbers.
    let rows: String = (0..60).map(|i| format!("{},{}\n", i, 8 + i % 3)).collect();
    let path = written(&folder, "grades.csv", &format!("x,grade\n{rows}"));
    let data = DataOptions::new()
        .column("x", ColumnUse::Number)
        .open(&path)
        .unwrap();
    assert_eq!(data.class_names, ["8", "9", "10"]);
}

#[test]
fn parts_may_be_files_of_their_own() {
    let folder = TempDir::new().unwrap();
    written(
        &folder,
        "t/train.csv",
        "a,b,label\n1,x,no\n2,y,yes\n3,x,no\n4,y,yes\n5.5,y,no\n",
    );
    written(&folder, "t/test.csv", "label,b,a\nyes,z,7\nno,x,\n");
    let data = DataOptions::new().open(folder.path().join("t")).unwrap();
    assert_eq!(
        (data.name.as_str(), data.train.len(), data.test.len()),
        ("t", 5, 2)
    );
    assert_eq!(data.test.labels(), [1, 0]);
    // The columns are found by their names; an unseen text and a missing number have defined answers.
    let x = data.test.column("x").unwrap();
    assert_eq!(
        x.as_slice::<f32>().unwrap()[1..],
        [0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]
    );

    let fails = |test: &str, why: &str| {
        written(&folder, "t/test.csv", test);
        let error = DataOptions::new()
            .open(folder.path().join("t"))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("test.csv: ") && error.contains(why),
            "{error}"
        );
    };
    fails("a,label\n7,yes\n", "there is no column \"b\"; there are ");
    fails("a,b\n7,x\n", "there is no column \"label\"");
    fails(
        "a,b,label\n7,x,maybe\n",
        "the class \"maybe\" of the target \"label\" does not come in the training part",
    );
    fails(
        "a,b,label\nseven,x,yes\n",
        "column \"a\": \"seven\" is not a number",
    );
    fails("a,b,label\n", "no rows");
}

#[test]
fn wrong_tables_get_one_sentence() {
    assert!(error_of("").contains("empty"));
    assert!(error_of("a,b\n").contains("no rows"));
    assert!(
        error_of("a,b\n1,2.5\n").contains("there is 1 sample")
            || error_of("a,b\n1,2.5\n").contains("nothing")
    );
    let one_class = "a,kind\n1,x\n2,x\n3,x\n";
    assert!(
        error_of(one_class).contains("all 3 rows have the same value \"x\" in the target \"kind\"")
    );
    let names: String = (0..30).map(|i| format!("{},name{i}\n", i % 4)).collect();
    assert!(
        error_of(&format!("a,name\n{names}"))
            .contains("every row has a value of its own in the target \"name\"")
    );
    let target = DataOptions::new().target("prize");
    assert!(
        error_with(&target, "size,price\n1,2\n2,3\n")
            .contains("there is no column \"prize\"; there are \"price\"")
    );
    let number = DataOptions::new().learn(Learn::Number);
    assert!(
        error_with(&number, "a,b\n1,x\n2,y\n3,x\n")
            .contains("holds categories, which are no numbers")
    );
    let ignore = DataOptions::new().column("a", ColumnUse::Ignore);
    assert!(error_with(&ignore, "a,b\n1,x\n2,y\n3,x\n4,y\n").contains("no column to learn from"));
    assert!(error_with(&ignore, "b\nx\ny\n").contains("there is no column \"a\""));
    assert!(
        error_of("a,b\n7,x\n7,y\n7,x\n7,y\n")
            .contains("no column to learn from: \"a\" holds a constant")
    );
    assert!(error_of("a,b\n7,x\n").contains("there is one row alone"));
    assert!(error_of("only\nx\ny\nx\ny\n").contains("one column alone"));
}

/// A picture of one colour with a darker left half.
fn picture(path: &Path, width: u32, height: u32, colour: [u8; 3]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixels: Vec<u8> = (0..width * height)
        .flat_map(|at| {
            colour.map(|value| {
                if at % width < width / 2 {
                    value / 2
                } else {
                    value
                }
            })
        })
        .collect();
    let file = fs::File::create(path).unwrap();
    let mut encoder = png::Encoder::new(file, width, height);
    encoder.set_color(png::ColorType::Rgb);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&pixels)
        .unwrap();
}

fn album(folder: &TempDir, parts: &[&str]) {
    for part in parts {
        for at in 0..10u8 {
            let base = folder.path().join("album").join(part);
            picture(
                &base.join(format!("day/{at}.png")),
                12,
                10,
                [200 + at, 220, 240],
            );
            picture(
                &base.join(format!("night/{at}.png")),
                12,
                10,
                [10 + at, 0, 40],
            );
        }
    }
}

#[test]
fn a_folder_of_pictures_is_understood() {
    let folder = TempDir::new().unwrap();
    album(&folder, &[""]);
    written(&folder, "album/day/notes.txt", "sunny");
    let path = folder.path().join("album");
    let data = DataOptions::new().open(&path).unwrap();
    assert_eq!(data.class_names, ["day", "night"]);
    assert_eq!(
        (data.train.len(), data.test.len(), data.shape()),
        (16, 4, &[3, 10, 12][..])
    );
    assert_eq!(data.test.labels().iter().sum::<i64>(), 2);
    assert_eq!(
        (data.pictures, data.normalization.mean().len()),
        (Pictures::Plain, 3)
    );
    assert!(data.train.is_in_memory() && data.train.is_u8());
    // The pixels are those of the files: `day/0.png` begins with half of 200, 220 and 240.
    let whole = DataOptions::new().test(2).seed(3).open(&path).unwrap();
    let at = (0..whole.train.len())
        .find(|&at| whole.train.labels()[at] == 0)
        .unwrap();
    let bytes = whole.train.bytes(at).unwrap();
    assert_eq!((bytes[120], bytes[240], bytes[131]), (110, 120, 220));

    // With little memory, pictures are decoded when they are wanted, to the same samples.
    let lazy = DataOptions::new().memory(100).open(&path).unwrap();
    assert!(!lazy.train.is_in_memory());
    assert_eq!(lazy.test.labels(), data.test.labels());
    for at in 0..data.train.len() {
        assert_eq!(lazy.train.sample(at), data.train.sample(at));
    }
    assert_eq!(lazy.normalization, data.normalization);
    // Raw pixels take the same way.
    let raw = data.train.at(0).unwrap();
    let made = data
        .preprocessing_of("x")
        .unwrap()
        .array(Raw::Values(raw.get("x").unwrap()));
    assert!(made.is_ok());

    let small = DataOptions::new()
        .size(4, 4)
        .channels(1)
        .open(&path)
        .unwrap();
    assert_eq!(
        (small.shape(), small.pictures),
        (&[1, 4, 4][..], Pictures::Plain)
    );
    let cut = DataOptions::new().size(4, 12).open(&path).unwrap();
    assert_eq!(cut.pictures, Pictures::Crop);
}

#[test]
fn parts_of_a_folder_are_kept() {
    let folder = TempDir::new().unwrap();
    album(&folder, &["train", "val", "test"]);
    let path = folder.path().join("album");
    let data = DataOptions::new().open(&path).unwrap();
    assert_eq!(
        (data.train.len(), data.validation.len(), data.test.len()),
        (20, 20, 20)
    );
    picture(&path.join("test/dusk/1.png"), 12, 10, [90, 60, 60]);
    let error = DataOptions::new().open(&path).unwrap_err().to_string();
    assert!(
        error.contains("there is a class \"dusk\", but none of this name in"),
        "{error}"
    );
}

#[test]
fn wrong_folders_get_one_sentence() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("album");
    let error = |options: &DataOptions| options.open(&path).unwrap_err().to_string();
    let plain = DataOptions::new();
    assert!(error(&plain).contains("there is no such file or folder"));
    fs::create_dir_all(&path).unwrap();
    assert!(error(&plain).contains("there are no pictures in it"));
    picture(&path.join("1.png"), 4, 4, [1, 2, 3]);
    assert!(error(&plain).contains("there are 1 pictures, but no folder for each class"));
    picture(&path.join("a/1.png"), 4, 4, [1, 2, 3]);
    assert!(error(&plain).contains("there is one class alone, \"a\""));
    fs::create_dir_all(path.join("b")).unwrap();
    let said = error(&plain);
    assert!(
        said.contains("album/b: there is no picture in it"),
        "{said}"
    );
    for at in 0..5 {
        picture(&path.join(format!("a/{at}.png")), 4, 4, [1, 2, 3]);
        picture(&path.join(format!("b/{at}.png")), 4, 4, [1, 90, 3]);
    }
    fs::write(path.join("b/broken.png"), b"\x89PNG and no more").unwrap();
    let said = error(&plain);
    assert!(
        said.contains("broken.png: is a damaged PNG file") && said.contains("skip_unreadable"),
        "{said}"
    );
    let said = error(&DataOptions::new().memory(1));
    assert!(said.contains("broken.png: is a damaged PNG file"), "{said}");
    for memory in [1, 1 << 30] {
        let data = DataOptions::new()
            .skip_unreadable(true)
            .memory(memory)
            .open(&path)
            .unwrap();
        assert_eq!(data.train.len() + data.test.len(), 10);
        assert!(
            data.notes.iter().any(|note| note.contains("broken.png")),
            "{:?}",
            data.notes
        );
    }
    assert!(
        error(&DataOptions::new().skip_unreadable(true).channels(2))
            .contains("1 channel (grey) or 3 (colour)")
    );
}

#[test]
fn a_list_of_pictures() {
    let folder = TempDir::new().unwrap();
    let mut rows = String::from("path,label\n");
    for at in 0..10u8 {
        picture(
            &folder.path().join(format!("p/{at}.png")),
            6,
            6,
            [at * 20, 0, 0],
        );
        rows += &format!("p/{at}.png,{}\n", if at < 5 { "dark" } else { "light" });
    }
    let path = written(&folder, "list.csv", &rows);
    let data = DataOptions::new().open(&path).unwrap();
    assert_eq!(
        (data.class_names.as_slice(), data.shape()),
        (&["dark".to_string(), "light".into()][..], &[3, 6, 6][..])
    );
    assert_eq!(data.train.len() + data.test.len(), 10);
    let path = written(
        &folder,
        "out.csv",
        "path,label\n../secret.png,a\np/1.png,b\n",
    );
    let error = DataOptions::new().open(&path).unwrap_err().to_string();
    assert!(error.contains("leads out of the list's folder"), "{error}");
    let path = written(&folder, "gone.csv", "path,label\np/1.png,a\np/gone.png,b\n");
    let error = DataOptions::new().open(&path).unwrap_err().to_string();
    assert!(error.contains("gone.png: cannot be opened"), "{error}");
}
