//! Parts of a split: whatever the rule, they are disjoint and complete, and the same for the same seed.

use proptest::prelude::*;
use std::collections::HashMap;
use zerokara_core::Array;
use zerokara_data::{Columns, Dataset, Rule, Split};

fn labelled(labels: &[i64]) -> Split {
    Split::new(vec![0u8; labels.len()], &[1], labels.to_vec()).unwrap()
}

fn origins(split: &Split) -> Vec<usize> {
    (0..split.len())
        .map(|at| split.origin(at).unwrap())
        .collect()
}

/// Both parts are in order, and together they are all samples, each once.
fn complete(all: usize, (rest, aside): &(Split, Split)) -> bool {
    let (rest, aside) = (origins(rest), origins(aside));
    let mut joined = [&rest[..], &aside[..]].concat();
    joined.sort_unstable();
    rest.is_sorted() && aside.is_sorted() && joined == (0..all).collect::<Vec<_>>()
}

proptest! {
    #[test]
    fn parts_by_chance(n in 2usize..200, count: prop::sample::Index, seed: u64) {
        let split = labelled(&vec![0; n]);
        let count = 1 + count.index(n - 1);
        let parts = split.part(count, Rule::Random, seed).unwrap();
        prop_assert!(complete(n, &parts));
        prop_assert_eq!(parts.1.len(), count);
        let as_before = split.validation(count, seed).unwrap();
        prop_assert_eq!(origins(&parts.1), origins(&as_before.1));
    }

    #[test]
    fn classes_keep_their_share(
        labels in prop::collection::vec(0i64..6, 4..300), share in 0.05f64..0.95, seed: u64,
    ) {
        let split = labelled(&labels);
        let mut sizes: HashMap<i64, usize> = HashMap::new();
        labels.iter().for_each(|&label| *sizes.entry(label).or_default() += 1);
        let among: usize = sizes.values().filter(|&&n| n > 1).sum();
        let count = (share * labels.len() as f64).round() as usize;
        prop_assume!(count > 0 && count < among);
        let parts = split.part(share, Rule::Stratified, seed).unwrap();
        prop_assert!(complete(labels.len(), &parts));
        prop_assert_eq!(parts.1.len(), count);
        for (&label, &size) in &sizes {
            let found = parts.1.labels().iter().filter(|&&l| l == label).count() as f64;
            let exact = if size > 1 { count as f64 * size as f64 / among as f64 } else { 0.0 };
            prop_assert!((found - exact).abs() < 1.0, "{label}: {found} for {exact}");
        }
        let again = split.part(share, Rule::Stratified, seed).unwrap();
        prop_assert_eq!(origins(&parts.1), origins(&again.1));
    }

    #[test]
    fn groups_stay_whole(
        keys in prop::collection::vec(0u8..12, 2..150), share in 0.1f64..0.9, seed: u64,
    ) {
        prop_assume!(keys.iter().any(|&key| key != keys[0]));
        let n = keys.len();
        let count = (share * n as f64).round() as usize;
        prop_assume!(count > 0 && count < n);
        let split = labelled(&vec![0; n]);
        let parts = split.part(count, Rule::groups(&keys), seed).unwrap();
        prop_assert!(complete(n, &parts));
        prop_assert!(!parts.0.is_empty() && !parts.1.is_empty());
        let of = |split: &Split| origins(split).into_iter().map(|at| keys[at]).collect::<Vec<_>>();
        let (rest, aside) = (of(&parts.0), of(&parts.1));
        prop_assert!(aside.iter().all(|key| !rest.contains(key)));
        // No group that remains would have brought the number nearer, unless it were the last.
        let off = aside.len().abs_diff(count);
        let largest = (0..12).map(|k| keys.iter().filter(|&&key| key == k).count()).max().unwrap();
        prop_assert!(off <= largest);
        // A column of keys says the same.
        let column = Array::new([n], keys.iter().map(|&key| i64::from(key)).collect::<Vec<_>>());
        let by_column = Split::of(Columns::new().with("who", column)).unwrap();
        let by_column = by_column.part(count, Rule::grouped_by("who"), seed).unwrap();
        prop_assert_eq!(origins(&by_column.1), origins(&parts.1));
    }
}

#[test]
fn seeds_differ() {
    let split = labelled(&(0..100).map(|i| i % 2).collect::<Vec<_>>());
    for rule in [Rule::Random, Rule::Stratified, Rule::groups(0..100)] {
        let part = |seed| origins(&split.part(0.3, rule.clone(), seed).unwrap().1);
        assert_eq!(part(1), part(1));
        assert_ne!(part(1), part(2), "{rule:?}");
    }
}

#[test]
fn requests_that_make_no_sense_are_errors() {
    let split = labelled(&[0, 0, 1, 1, 2]);
    let error = |amount: f64, rule| split.part(amount, rule, 1).unwrap_err().to_string();
    let count = |count: usize, rule| split.part(count, rule, 1).unwrap_err().to_string();
    assert!(count(6, Rule::Random).contains("there are only 5"));
    assert!(count(5, Rule::Random).contains("nothing to train on"));
    assert!(error(0.01, Rule::Random).contains("nothing set aside"));
    assert!(error(1.5, Rule::Random).contains("share of 1.5"));
    assert!(error(f64::NAN, Rule::Random).contains("share of NaN"));
    assert!(
        count(4, Rule::Stratified).contains("4 samples are of classes that have more than one")
    );
    assert!(count(2, Rule::groups([1, 1, 1, 1, 1])).contains("one group"));
    assert!(count(2, Rule::groups([1, 2])).contains("2 groups are named for 5 samples"));
    assert!(count(2, Rule::grouped_by("who")).contains("no column \"who\""));
    let numbers = Columns::new().with("x", Array::new([3, 1], vec![0.0f32; 3]));
    let numbers = Split::of(numbers).unwrap();
    let error = numbers
        .part(1, Rule::Stratified, 1)
        .unwrap_err()
        .to_string();
    assert!(error.contains("no classes to stratify by"), "{error}");
    // Its only sample is left to learn from.
    let (_, aside) = split.part(2, Rule::Stratified, 1).unwrap();
    assert!(!aside.labels().contains(&2));
}

#[test]
fn parts_of_a_data_set_are_optional() {
    let split = labelled(&[0, 1, 0]);
    let names = ["no", "yes"];
    let judged = Dataset::new("judged", Split::empty(), split.clone(), names).unwrap();
    assert!(judged.train.is_empty() && judged.validation.is_empty());
    assert_eq!(
        (judged.shape(), judged.normalization.divisor()),
        (&[1][..], 255.0)
    );
    let none = Dataset::new("none", Split::empty(), Split::empty(), names).unwrap_err();
    assert!(none.to_string().contains("no sample"), "{none}");
    let other = Split::new(vec![0.0f32; 4], &[2], vec![0, 1]).unwrap();
    let error = judged.clone().validation(other).unwrap_err().to_string();
    assert!(error.contains("differ in their samples"), "{error}");
    let error = judged.train(labelled(&[2])).unwrap_err().to_string();
    assert!(
        error.contains("training set: label 2 of sample 0"),
        "{error}"
    );
}
