//! What turns raw values into inputs goes into a model's file, and makes the same bits of one raw sample as of the samples
//! that were trained on.

use std::path::PathBuf;
use zerokara_core::{Array, DType, Meta, Port, Tensors};
use zerokara_data::{
    ColumnKind, Columns, Dataset, Loader, Missing, Normalization, Pad, Raw, Split, Table, Unseen,
    Vocabulary,
};
use zerokara_nn::{
    Adam, Context, Embedding, Forward, Linear, MeanSquaredError, Model, Module, Sequential,
};
use zerokara_train::{ModelCard, SavedModel, Trainer};

const ROWS: [[&str; 2]; 4] = [
    ["80", "brick"],
    ["55", "wood"],
    ["", "brick"],
    ["95", "wood"],
];
const WORDS: [&str; 4] = ["old", "modern", "", "bad"];

/// A house by its row of a table and a word, of which the letters are averaged.
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
        let y = self.of_row.forward(&inputs.tensor("row"), cx) + word;
        Tensors::one("y", y)
    }
}

fn file(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!(
        "zerokara-raw-{name}-{}.safetensors",
        std::process::id()
    ))
}

fn table() -> Table {
    let kinds = [
        ("size", ColumnKind::Number(Missing::Mean)),
        ("walls", ColumnKind::Categories(Unseen::Error)),
    ];
    Table::fit(kinds, &ROWS).unwrap()
}

/// The saved model, and the output for the samples that it was trained on.
fn trained(name: &str) -> (SavedModel, Vec<f32>) {
    let (table, letters) = (table(), Vocabulary::characters(WORDS).unwrap());
    let rows = table.rows(&ROWS).unwrap();
    let tokens = WORDS.map(|word| letters.encode(word));
    let tokens = tokens.map(|ids| Array::new([ids.len()], ids));
    let columns = Columns::new()
        .with("row", rows)
        .ragged(Port::new("word", DType::I64, ["length"]), tokens)
        .with("price", Array::new([4, 1], vec![3.0f32, 1.7, 4.2, 2.9]));
    let split = Split::of(columns)
        .unwrap()
        .inputs(["row", "word"])
        .unwrap()
        .targets(["price"])
        .unwrap();
    let data = Dataset::of("houses")
        .train(split)
        .unwrap()
        .preprocess("row", table)
        .preprocess("word", letters.clone());
    let model = Price {
        letters: Embedding::new(letters.len(), 4),
        of_word: Linear::new(1),
        of_row: Linear::new(1),
    };
    let pad = Pad::with(0.0).multiple_of(4).mask_as(DType::F32);
    let trainer = Trainer::new(model, MeanSquaredError::new()).optimizer(Adam::new(0.1));
    let run = trainer
        .pad("word", pad)
        .epochs(2)
        .quiet()
        .fit(&data)
        .unwrap();
    let path = file(name);
    run.model().save(&path).unwrap();
    let loaded = SavedModel::load(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    // A loader of one's own sees what the trainer's saw.
    let loader = Loader::new(&data.train, 4)
        .unwrap()
        .pad("word", pad)
        .unwrap();
    let all = loaded.predict_all(&loader.feed(0).unwrap().inputs).unwrap();
    let all = all.find("y").unwrap().as_slice::<f32>().unwrap().to_vec();
    assert!(
        loaded
            .evaluate(&data.train)
            .unwrap()
            .measure("rmse")
            .is_some()
    );
    (loaded, all)
}

#[test]
fn raw_values_give_what_the_encoded_samples_give() {
    let (model, all) = trained("values");
    let table = table();
    for ((row, word), whole) in ROWS.iter().zip(WORDS).zip(all) {
        let raw = [("word", Raw::Text(word)), ("row", Raw::Row(row))];
        let encoded = model.encode(&raw).unwrap();
        let own = encoded.find("row").unwrap();
        assert_eq!(own.shape(), [1, 3]);
        assert_eq!(own.as_slice::<f32>().unwrap(), table.row(row).unwrap());
        let length = word.len().next_multiple_of(4);
        assert_eq!(encoded.find("word").unwrap().shape(), [1, length]);
        let mask = encoded.find("word_mask").unwrap().to_f64s();
        assert_eq!(mask.iter().sum::<f64>(), word.len() as f64);
        let alone = model.predict_raw(&raw).unwrap();
        let alone = alone.find("y").unwrap().as_slice::<f32>().unwrap()[0];
        assert!(
            (alone - whole).abs() <= 1e-5 * whole.abs(),
            "{alone} and {whole}"
        );
    }
}

#[test]
fn what_cannot_be_encoded_is_told_by_the_inputs_name() {
    let (model, _) = trained("errors");
    let told = |raw: &[(&str, Raw<'_>)]| model.predict_raw(raw).unwrap_err().to_string();
    let row = ("row", Raw::Row(&ROWS[0]));
    assert!(told(&[row]).contains("input word"), "{}", told(&[row]));
    assert!(told(&[row]).contains("no value is given"));
    let unknown = told(&[row, ("text", Raw::Text("old"))]);
    assert!(
        unknown.contains("no input text; it takes row, word"),
        "{unknown}"
    );
    let swapped = told(&[("row", Raw::Text("old")), ("word", Raw::Text("old"))]);
    assert!(swapped.contains("input row"), "{swapped}");
    assert!(swapped.contains("a row of cells"), "{swapped}");
    let unseen = told(&[
        ("row", Raw::Row(&["80", "straw"])),
        ("word", Raw::Text("old")),
    ]);
    assert!(unseen.contains("straw"), "{unseen}");
    let few = told(&[("row", Raw::Row(&["80"])), ("word", Raw::Text("old"))]);
    assert!(few.contains("input row"), "{few}");
}

#[test]
fn pixels_are_normalized_as_the_file_says() {
    let normalization = Normalization::divided_by(255.0).unwrap();
    let card = ModelCard {
        name: "one".into(),
        dataset: "pixels".into(),
        shape: vec![1, 2, 2],
        target: "t".into(),
        class_names: Vec::new(),
        normalization: normalization.standard(&[0.5], &[0.25]).unwrap(),
        pictures: zerokara_data::Pictures::Plain,
    };
    let layers = Sequential::new().flatten().linear(1);
    layers
        .build(&Meta::new([1, 1, 2, 2], DType::F32), 1)
        .unwrap();
    let path = file("pixels");
    SavedModel::new(layers, card.clone()).save(&path).unwrap();
    let loaded = SavedModel::load(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(loaded.card(), &card);
    let pixels = Array::new([1, 2, 2], vec![0u8, 255, 51, 102]);
    let encoded = loaded.encode(&[("x", Raw::Values(&pixels))]).unwrap();
    let x = encoded.find("x").unwrap();
    assert_eq!(x.shape(), [1, 1, 2, 2]);
    for (own, expected) in x.to_f64s().into_iter().zip([-2.0, 2.0, -1.2, -0.4]) {
        assert!((own - expected).abs() < 1e-6, "{own} and {expected}");
    }
    // An input that nothing is known of is told so.
    let port = Port::new("z", DType::I64, ["batch", "length"]);
    let module = loaded.module().clone();
    let other = SavedModel::of(module, vec![port], card);
    let error = other.encode(&[("z", Raw::Text("a"))]).unwrap_err();
    assert!(error.to_string().contains("does not say how"), "{error}");
}

/// Files without kinds of preprocessing have means and deviations by themselves, and what they are divided by in a note.
#[test]
fn what_older_files_say_of_inputs_is_read() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../zerokara-formats/tests/data/version1.safetensors"
    );
    let model = SavedModel::load(path).unwrap();
    let normalization = Normalization::divided_by(255.0).unwrap();
    let expected = normalization.standard(&[0.1307, 1.0 / 3.0], &[0.3081, 0.25]);
    assert_eq!(model.card().normalization, expected.unwrap());
    assert_eq!(model.card().class_names.len(), 4);
    // Written again, they have a kind.
    let path = file("older");
    model.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let again = SavedModel::load(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    assert_eq!(again.card(), model.card());
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains(r#"\"kind\":\"normalization\""#));
}
