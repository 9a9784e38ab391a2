//! What a training records beside its numbers, and that recording changes nothing.

use std::fs;
use zerokara_data::{ColumnKind, Columns, Dataset, Missing, Split, Table, Unseen};
use zerokara_nn::{Adam, MeanSquaredError, Module, Sequential, SoftmaxCrossEntropy};
use zerokara_train::{Trainer, readings, report::Report, run_folder::RunFolder};

/// Points on two sides, with layers that draw and keep statistics.
fn trainer() -> Trainer {
    let net = Sequential::new()
        .linear(8)
        .batch_norm1d()
        .relu()
        .dropout(0.25)
        .linear(2);
    Trainer::new(net, SoftmaxCrossEntropy::new())
        .optimizer(Adam::new(0.01))
        .epochs(4)
        .batch_size(16)
        .quiet()
}

fn sides() -> Dataset {
    let points: Vec<f32> = (0..128)
        .map(|i| (i * 37 % 128) as f32 / 64.0 - 1.0)
        .collect();
    let labels = points.iter().map(|&x| i64::from(x > 0.0)).collect();
    let train = Split::new(points, &[1], labels).unwrap();
    Dataset::new("sides", train.clone(), train, ["left", "right"]).unwrap()
}

#[test]
fn readings_are_recorded_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let kept = trainer().run_folder(&path).fit(&sides()).unwrap();
    let alone = trainer().fit(&sides()).unwrap();
    assert_eq!(kept.losses(), alone.losses());
    let states = [&kept, &alone].map(|run| run.model().module().state().unwrap());
    assert_eq!(states[0], states[1]);

    let run = RunFolder::at(&path);
    let lines = readings::parse(&fs::read(run.readings()).unwrap());
    let last = lines.last().unwrap();
    assert_eq!((last.epoch, last.step), (4, 32));
    let weights: Vec<&str> = last.weights.keys().map(String::as_str).collect();
    assert!(weights.contains(&"linear1.weight"), "{weights:?}");
    assert!(last.gradients.keys().eq(last.weights.keys()));
    assert!(last.activations.len() >= 4, "{:?}", last.activations.keys());
    // As many values as there are: 8 weights, and 8 outputs of each of 32 samples.
    let sum = |counts: &[u32]| counts.iter().sum::<u32>();
    assert_eq!(sum(&last.weights["linear1.weight"].counts), 8);
    assert_eq!(sum(&last.activations["linear1"].counts), 8 * 32);
    let slopes = &last.gradients["linear2.weight"];
    assert!(slopes.low < slopes.high && slopes.not_finite == 0);
}

#[test]
fn the_rows_that_are_most_wrong_come_with_their_cells() {
    let rows: Vec<[String; 2]> = (0..40)
        .map(|i| [i.to_string(), ["brick", "wood"][i % 2].to_string()])
        .collect();
    let kinds = [
        ("size", ColumnKind::Number(Missing::Mean)),
        ("walls", ColumnKind::Categories(Unseen::Error)),
    ];
    let table = Table::fit(kinds, &rows).unwrap();
    // One price is nothing like the others.
    let price = |i: usize| if i == 21 { 50.0 } else { i as f32 / 10.0 };
    let columns = Columns::new()
        .with("house", table.rows(&rows).unwrap())
        .with(
            "price",
            zerokara_core::Array::new([40, 1], (0..40).map(price).collect::<Vec<f32>>()),
        );
    let split = Split::of(columns).unwrap().targets(["price"]).unwrap();
    let data = Dataset::of("houses")
        .train(split.clone())
        .unwrap()
        .test(split)
        .unwrap()
        .preprocess("house", table);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    let trainer = Trainer::new(Sequential::new().linear(1), MeanSquaredError::new());
    let trainer = trainer.optimizer(Adam::new(0.05)).epochs(3).quiet();
    trainer.run_folder(&path).fit(&data).unwrap();
    let run = RunFolder::at(&path);
    let report = Report::of_facts(&fs::read(run.facts()).unwrap()).unwrap();
    let worst = &report.worst[0];
    assert_eq!(worst.index, Some(21));
    assert_eq!(worst.wanted, "50");
    let cells = [("size", "21"), ("walls", "wood")]
        .map(|(name, text)| (name.to_string(), text.to_string()));
    assert_eq!(worst.cells, cells);
    let page = fs::read_to_string(run.report()).unwrap();
    assert!(
        page.contains("Rows that were most wrong") && page.contains("<th scope=\"col\">walls</th>")
    );
}
