//! What is answered is what the library says of the same sample.

mod common;

use common::{Files, Running, classes, houses, options, pictures, png, sample};
use serde_json::{Value, json};
use std::{fs, sync::Arc};
use zerokara_core::{Array, Arrays, Axis, DType, Meta, Port, Tensors};
use zerokara_data::{
    ColumnKind, Columns, Dataset, Missing, Pad, Pictures, Raw, Split, Table, Vocabulary,
    digit_from_image, sample_from_image,
};
use zerokara_nn::{
    Adam, Context, Embedding, Forward, Linear, MeanSquaredError, Model, Module, Sequential,
};
use zerokara_train::{SavedModel, Trainer};

/// The fields of a class's answer, from probabilities.
fn class(probabilities: &[f64], names: &[&str]) -> Value {
    let class = (0..probabilities.len())
        .max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]))
        .unwrap();
    json!({
        "class": class,
        "name": names[class],
        "probability": probabilities[class],
        "probabilities": probabilities,
    })
}

const COLORS: [&str; 3] = ["red", "green", "blue"];
const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

#[test]
fn one_sample_or_a_list_of_stored_values() {
    let files = Files::new();
    let server = Running::start(vec![files.save("net", &classes(1))], options());
    let model = files.load("net");
    let expected = |number| class(&model.probabilities(&sample(number)).unwrap(), &COLORS);
    let one = json!({ "inputs": sample(7) }).to_string();
    assert_eq!(server.json("/predict", &one).good(), expected(7));
    assert_eq!(server.json("/models/net/predict", &one).good(), expected(7));
    // More than a batch.
    let all: Vec<_> = (0..100).map(sample).collect();
    let many = json!({ "inputs": all }).to_string();
    let answers: Vec<Value> = (0..100).map(expected).collect();
    assert_eq!(server.json("/predict", &many).good(), json!(answers));
    // A list of one stays a list.
    let list = json!({ "inputs": [sample(7)] }).to_string();
    assert_eq!(server.json("/predict", &list).good(), json!([expected(7)]));
}

#[test]
fn pictures_are_answered_as_the_command_does() {
    let files = Files::new();
    let sources = vec![
        files.save("digits", &pictures(1, Pictures::Digits)),
        files.save("plain", &pictures(3, Pictures::Plain)),
    ];
    let server = Running::start(sources, options());
    let path = files.folder().join("one.png");
    fs::write(&path, png(90, 120)).unwrap();
    let stored = |pixels: Vec<f32>| pixels.iter().map(|p| p * 255.0).collect::<Vec<f32>>();
    for (name, pixels) in [
        ("digits", digit_from_image(&path, [28, 28]).unwrap()),
        (
            "plain",
            sample_from_image(&path, [3, 28, 28], Pictures::Plain).unwrap(),
        ),
    ] {
        let model = files.load(name);
        let expected = class(&model.probabilities(&stored(pixels)).unwrap(), &DIGITS);
        let at = format!("/models/{name}/predict");
        let file = fs::read(&path).unwrap();
        let answer = server.post(&at, "image/png", &file);
        assert_eq!(answer.good(), expected, "{name}");
        // As a browser and curl send forms; other fields are passed over.
        let part = |field: &str| {
            let head = format!(
                "--XX\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"a.png\"\r\n\r\n"
            );
            [head.as_bytes(), &file, b"\r\n"].concat()
        };
        let form = "multipart/form-data; boundary=XX";
        let one = [&part("other")[..], &part("image"), b"--XX--\r\n"].concat();
        assert_eq!(server.post(&at, form, one).good(), expected);
        let two = [&part("image")[..], &part("image"), b"--XX--\r\n"].concat();
        assert_eq!(
            server.post(&at, form, two).good(),
            json!([expected, expected])
        );
    }
    // The same pixels as numbers, nested or not.
    let digits = files.load("digits");
    let pixels: Vec<f32> = (0..784).map(|at| (at % 256) as f32).collect();
    let rows: Vec<&[f32]> = pixels.chunks(28).collect();
    let expected = class(&digits.probabilities(&pixels).unwrap(), &DIGITS);
    for (inputs, expected) in [
        (json!(pixels), expected.clone()),
        (json!([rows]), expected.clone()),
        (json!([pixels, pixels]), json!([expected, expected])),
        (json!([[rows]]), json!([expected])),
    ] {
        let body = json!({ "inputs": inputs }).to_string();
        assert_eq!(server.json("/predict", &body).good(), expected);
    }
}

#[test]
fn rows_of_raw_values() {
    let files = Files::new();
    let server = Running::start(vec![files.save("houses", &houses())], options());
    let model = files.load("houses");
    let expected = |cells: [&str; 2]| {
        let outputs = model.predict_raw(&[("house", Raw::Row(&cells))]).unwrap();
        json!({ "values": outputs.only().unwrap().to_f64s() })
    };
    let (brick, wood) = (expected(["80", "brick"]), expected(["", "wood"]));
    for (inputs, expected) in [
        (json!([80, "brick"]), brick.clone()),
        (json!({ "size": 80, "walls": "brick" }), brick.clone()),
        (json!({ "walls": "wood", "size": null }), wood.clone()),
        (
            json!([["80", "brick"], { "size": "", "walls": "wood" }]),
            json!([brick, wood]),
        ),
    ] {
        let body = json!({ "inputs": inputs }).to_string();
        assert_eq!(server.json("/predict", &body).good(), expected, "{body}");
    }
    // Columns in another order, and one that the model does not know.
    let rows = "\u{feff}walls,price,size\nbrick,3,80\nwood,,\n";
    let answer = server.post("/predict", "text/csv; charset=utf-8", rows);
    assert_eq!(answer.good(), json!([brick, wood]));
    for (inputs, told) in [
        (json!({ "size": 80 }), "walls"),
        (json!({ "size": 80, "walls": "brick", "age": 3 }), "age"),
        (json!({ "size": 80, "walls": "straw" }), "straw"),
        (json!([80]), "cells"),
        (json!({ "size": [80], "walls": "brick" }), "size"),
        (json!("brick"), "size"),
    ] {
        let body = json!({ "inputs": inputs }).to_string();
        let sentence = server.json("/predict", &body).refused(422);
        assert!(sentence.contains(told), "{sentence}");
    }
    let headless = server
        .post("/predict", "text/csv", "80,brick\n")
        .refused(422);
    assert!(headless.contains("size"), "{headless}");
    server
        .post("/predict", "text/csv", "size,walls\n80\n")
        .refused(400);
}

/// The mean of a text's letters, and a row of a table.
#[derive(Module)]
struct Price {
    letters: Embedding,
    of_word: Linear,
    of_row: Linear,
}

impl Model for Price {
    fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
        let there = inputs.tensor("word_mask").unsqueeze(2);
        let letters = self.letters.forward(&inputs.tensor("word"), cx) * &there;
        let word = letters.sum_axes(&[1], false) / (there.sum_axes(&[1], false) + 1.0);
        let word = self.of_word.forward(&word, cx);
        let row = self.of_row.forward(&inputs.tensor("row"), cx);
        Tensors::one("y", row + word)
    }
}

fn prices() -> SavedModel {
    let (rows, words) = ([["80"], ["55"], ["95"]], ["old", "modern", "bad"]);
    let table = Table::fit([("size", ColumnKind::Number(Missing::Mean))], &rows).unwrap();
    let letters = Vocabulary::characters(words).unwrap();
    let tokens = words.map(|word| letters.encode(word));
    let tokens = tokens.map(|ids| Array::new([ids.len()], ids));
    let columns = Columns::new()
        .with("row", table.rows(&rows).unwrap())
        .ragged(Port::new("word", DType::I64, ["length"]), tokens)
        .with("price", Array::new([3, 1], vec![3.0f32, 1.7, 2.9]));
    let split = Split::of(columns).unwrap().inputs(["row", "word"]);
    let split = split.unwrap().targets(["price"]).unwrap();
    let model = Price {
        letters: Embedding::new(letters.len(), 4),
        of_word: Linear::new(1),
        of_row: Linear::new(1),
    };
    let data = Dataset::of("prices")
        .train(split)
        .unwrap()
        .preprocess("row", table)
        .preprocess("word", letters);
    let pad = Pad::with(0.0).multiple_of(4).mask_as(DType::F32);
    let trainer = Trainer::new(model, MeanSquaredError::new()).optimizer(Adam::new(0.1));
    let trainer = trainer.pad("word", pad).epochs(1).quiet();
    trainer.fit(&data).unwrap().model().clone()
}

#[test]
fn several_inputs_and_texts_of_any_length() {
    let files = Files::new();
    let server = Running::start(vec![files.save("prices", &prices())], options());
    let model = files.load("prices");
    let expected = |size: &str, word: &str| {
        let raw = [("row", Raw::Row(&[size])), ("word", Raw::Text(word))];
        let outputs = model.predict_raw(&raw).unwrap();
        json!({ "values": outputs.only().unwrap().to_f64s() })
    };
    let one = json!({ "inputs": { "row": { "size": 70 }, "word": "old" } });
    let answer = server.json("/predict", &one.to_string());
    assert_eq!(answer.good(), expected("70", "old"));
    let words = ["old", "modern", "a", "", "a rather longer text"];
    let list: Vec<Value> = words
        .iter()
        .map(|word| json!({ "row": [70], "word": word }))
        .collect();
    let answers: Vec<Value> = words.iter().map(|word| expected("70", word)).collect();
    let answer = server.json("/predict", &json!({ "inputs": list }).to_string());
    assert_eq!(answer.good(), json!(answers));
    for (inputs, told) in [
        (json!({ "row": [70] }), "\"word\""),
        (json!({ "row": [70], "word": "a", "wrod": "b" }), "\"wrod\""),
        (json!({ "row": [70], "word": ["a"] }), "a text"),
        (json!("old"), "an object with the inputs row, word"),
    ] {
        let body = json!({ "inputs": inputs }).to_string();
        let sentence = server.json("/predict", &body).refused(422);
        assert!(sentence.contains(told), "{sentence}");
    }
}

#[test]
fn whole_numbers_as_they_are_and_one_that_the_model_does_not_know() {
    let files = Files::new();
    let layers = Sequential::new()
        .add(Embedding::new(5, 2))
        .flatten()
        .linear(3);
    layers.build(&Meta::new([1, 4], DType::I64), 1).unwrap();
    let card = classes(1).card().clone();
    let axes = [Axis::from("batch"), Axis::from(4)];
    let port = Port::new("tokens", DType::I64, axes);
    let model = SavedModel::of(Arc::new(layers), vec![port], card);
    let server = Running::start(vec![files.save("tokens", &model)], options());
    let model = files.load("tokens");
    let answer = |tokens: [i64; 4]| {
        let inputs = Arrays::one("tokens", Array::new([1, 4], tokens.to_vec()));
        let scores = model.predict_all(&inputs).unwrap();
        let scores = scores.only().unwrap().to_f64s();
        class(&zerokara_nn::tasks::probabilities(&scores), &COLORS)
    };
    let both = json!({ "inputs": [[0, 1, 2, 3], [4, 4, 0, 1]] }).to_string();
    let expected = json!([answer([0, 1, 2, 3]), answer([4, 4, 0, 1])]);
    assert_eq!(server.json("/predict", &both).good(), expected);
    for inputs in [json!([0, 1, 2, 2.5]), json!([0, 1, 2, 5])] {
        let body = json!({ "inputs": inputs }).to_string();
        server.json("/predict", &body).refused(422);
    }
}
