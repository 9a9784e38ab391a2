//! Files as the command meets them: models that say odd things, data sets that move.

mod common;

use common::{run, stderr, succeed};
use std::{fs, path::Path};
use zerokara_data::{
    Dataset, Mnist, Normalization, Pictures, Split,
    idx::{Idx, Values},
};
use zerokara_train::SavedModel;

/// Writes a data set's files into a folder, `count` images of each part.
fn write_idx(folder: &Path, train: &Split, test: &Split, count: usize) {
    fs::create_dir_all(folder).unwrap();
    for (part, split) in [("train", train), ("t10k", test)] {
        let [_, height, width] = split.shape() else {
            panic!("{:?}", split.shape())
        };
        let pixels = (0..count).flat_map(|i| split.bytes(i).unwrap().to_vec());
        let labels = split.labels()[..count].iter().map(|&label| label as u8);
        for (name, shape, values) in [
            (
                "images-idx3",
                vec![count, *height, *width],
                pixels.collect(),
            ),
            ("labels-idx1", vec![count], labels.collect()),
        ] {
            let idx = Idx {
                shape,
                values: Values::U8(values),
            };
            let path = folder.join(format!("{part}-{name}-ubyte"));
            fs::write(path, idx.to_bytes().unwrap()).unwrap();
        }
    }
}

fn train(at: &Path, data: &str, output: &str) {
    let fixed = "--model two-layer-net --epochs 1 --quiet --output";
    let arguments = ["train", data].into_iter().chain(fixed.split(' '));
    let arguments: Vec<&str> = arguments.chain([output]).collect();
    succeed(at, &arguments);
}

#[test]
fn a_run_is_evaluated_from_any_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (home, elsewhere) = (folder.path().join("home"), folder.path().join("elsewhere"));
    fs::create_dir_all(&elsewhere).unwrap();
    let mnist = Mnist::load().unwrap();
    write_idx(&home.join("my digits"), &mnist.train, &mnist.test, 300);
    train(&home, "my digits", "run");
    let here = succeed(&home, &["eval", "run", "--json"]);
    let there = succeed(&elsewhere, &["eval", "../home/run", "--json"]);
    assert_eq!(here, there);
    assert!(here.contains("\"samples\":300"), "{here}");

    // The model itself holds the name alone.
    let model = fs::read(home.join("run/model.safetensors")).unwrap();
    let home_text = home.to_str().unwrap().as_bytes();
    assert!(!model.windows(home_text.len()).any(|part| part == home_text));
    fs::copy(
        home.join("run/model.safetensors"),
        elsewhere.join("m.safetensors"),
    )
    .unwrap();
    let output = run(&elsewhere, &["eval", "m.safetensors"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("\"my digits\""), "{text}");
    assert!(text.contains("eval m.safetensors DATA"), "{text}");
    let named = succeed(
        &elsewhere,
        &["eval", "m.safetensors", "../home/my digits", "--json"],
    );
    assert_eq!(here, named);

    fs::rename(home.join("my digits"), home.join("moved")).unwrap();
    let output = run(&elsewhere, &["eval", "../home/run"]);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(text.lines().count(), 1, "{text}");
    assert!(
        text.contains("no longer where the model was trained on it"),
        "{text}"
    );
    assert!(
        text.contains("my digits") && text.contains("run DATA"),
        "{text}"
    );
    let named = succeed(
        &elsewhere,
        &["eval", "../home/run", "../home/moved", "--json"],
    );
    assert!(named.contains("\"samples\":300"), "{named}");
}

/// The same images as MNIST's, but stretched so that they fill their frames, as clothes do.
fn stretched(split: &Split) -> Split {
    let pixels = (0..300).flat_map(|i| {
        let bytes = split.bytes(i).unwrap().to_vec();
        (0..784).map(move |at| bytes[(4 + at / 28 * 20 / 28) * 28 + 4 + at % 28 * 20 / 28])
    });
    Split::new(
        pixels.collect::<Vec<u8>>(),
        &[1, 28, 28],
        split.labels()[..300].to_vec(),
    )
    .unwrap()
}

/// What a model's pictures are like is seen in what it was trained on, and written into its file, whatever the name of the
/// data set.
#[test]
fn how_pictures_are_read_is_a_note_of_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let mnist = Mnist::load().unwrap();
    assert_eq!(mnist.pictures, Pictures::Digits);
    write_idx(&at.join("fashion-mnist"), &mnist.train, &mnist.test, 300);
    let (train_part, test_part) = (stretched(&mnist.train), stretched(&mnist.test));
    write_idx(&at.join("clothes"), &train_part, &test_part, 300);
    train(at, "./fashion-mnist", "digits");
    train(at, "clothes", "plain");
    let path = |run: &str| at.join(run).join("model.safetensors");
    for (run, expected) in [("digits", Pictures::Digits), ("plain", Pictures::Plain)] {
        let model = SavedModel::load(path(run)).unwrap();
        assert_eq!(model.card().pictures, expected, "{run}");
    }

    // A small dark square in the corner of a white picture: moved to the middle as a digit, else where it is, on white.
    let side = 56;
    let pixels: Vec<u8> = (0..side * side)
        .map(|i| {
            if i / side < 20 && i % side < 20 && i / side > 4 && i % side > 4 {
                0
            } else {
                255
            }
        })
        .collect();
    let file = fs::File::create(at.join("square.png")).unwrap();
    let mut encoder = png::Encoder::new(file, side as u32, side as u32);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    let shown = |run: &str, more: &[&str]| {
        let arguments = [&["predict", run, "square.png"], more].concat();
        let text = succeed(at, &arguments);
        text.matches('█').count()
    };
    let (digits, plain) = (shown("digits", &[]), shown("plain", &[]));
    assert!(digits < 300 && plain > 300, "{digits} {plain}");
    assert!(shown("digits", &["--plain"]) > 300);
}

/// Replaces a text of the model's info by one that is as long.
fn change(file: &Path, from: &str, to: &str) {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(file).unwrap();
    let at = bytes
        .windows(from.len())
        .position(|part| part == from.as_bytes());
    let at = at.unwrap_or_else(|| panic!("{from} is not in {}", file.display()));
    bytes[at..at + from.len()].copy_from_slice(to.as_bytes());
    fs::write(file, bytes).unwrap();
}

#[test]
fn notes_of_a_model_are_honoured_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    common::small_run(at, "run");
    let good = at.join("run/model.safetensors");
    let file = at.join("changed.safetensors");
    let changed = |from: &str, to: &str| {
        fs::copy(&good, &file).unwrap();
        change(&file, from, to);
        SavedModel::load(&file)
    };
    let divisor = r#"divisor\":255.0"#;
    for (text, expected) in [
        ("128.0", 128.0),
        ("1.500", 1.5),
        ("1.0e3", 1000.0),
        ("255.0", 255.0),
    ] {
        let model = changed(divisor, &divisor.replace("255.0", text)).unwrap();
        assert_eq!(
            model.card().normalization,
            Normalization::divided_by(expected).unwrap()
        );
    }
    for text in ["abcde", "1e999", "-25.0", "0.000", "1,500", "true "] {
        let error = changed(divisor, &divisor.replace("255.0", text))
            .unwrap_err()
            .to_string();
        assert!(error.contains("changed.safetensors"), "{text}: {error}");
    }
    for text in ["-25.0", "0.000"] {
        let error = changed(divisor, &divisor.replace("255.0", text)).unwrap_err();
        assert!(error.to_string().contains("divided by"), "{text}: {error}");
    }
    let error = changed("normalization", "denaturations").unwrap_err();
    assert!(error.to_string().contains("not known"), "{error}");
    let error = changed("digits", "sepias").unwrap_err().to_string();
    assert!(error.contains("\"pictures\" is \"sepias\""), "{error}");
    // Files from before there was the note.
    let old = changed("pictures", "pictuxxx").unwrap();
    assert_eq!(old.card().pictures, Pictures::Digits);
}

#[test]
fn what_a_file_says_cannot_command_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    common::small_run(at, "run");
    let model = SavedModel::load(at.join("run/model.safetensors")).unwrap();
    let hostile = "x\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\r\u{202e}\ny";
    let mut card = model.card().clone();
    card.name = hostile.into();
    card.class_names = vec![hostile.into(); 10];
    let file = at.join("hostile.safetensors");
    SavedModel::new(model.module().clone(), card)
        .save(&file)
        .unwrap();
    let mnist = Mnist::load().unwrap();
    let named = Dataset::new(
        "named",
        mnist.train.take(10),
        mnist.test.take(10),
        vec![hostile; 10],
    );
    assert_eq!(named.unwrap().class_names[0], hostile);

    let seven: Vec<u8> = mnist.test.bytes(0).unwrap().to_vec();
    let mut encoder = png::Encoder::new(fs::File::create(at.join("7.png")).unwrap(), 28, 28);
    encoder.set_color(png::ColorType::Grayscale);
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&seven).unwrap();
    writer.finish().unwrap();
    for arguments in [
        &["summary", "hostile.safetensors"][..],
        &["predict", "hostile.safetensors", "7.png"],
        &["predict", "hostile.safetensors", "7.png", "--json"],
        &["eval", "hostile.safetensors", "mnist"],
        &["eval", "hostile.safetensors", "mnist", "--json"],
        &["graph", "hostile.safetensors", "-o", "g.svg"],
        &["eval", "hostile.safetensors", "no\u{1b}[31m\u{9b}such"],
        &["summary", "no/such\u{1b}[31m"],
    ] {
        let output = run(at, arguments);
        let text = format!("{}{}", common::stdout(&output), stderr(&output));
        let bad = text
            .chars()
            .find(|&c| c.is_control() && c != '\n' || c == '\u{202e}');
        assert_eq!(bad, None, "{arguments:?}: {text:?}");
        if arguments[0] != "graph" {
            assert!(text.contains("\\u"), "{arguments:?}: {text:?}");
        }
        if arguments.contains(&"--json") {
            let json: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
            assert!(json.to_string().contains("owned"));
        }
    }
    let drawing = fs::read_to_string(at.join("g.svg")).unwrap();
    assert!(!drawing.contains(|c: char| c.is_control() && !"\n\r".contains(c)));
}
