//! Data sets from names and folders, and splits.

use proptest::prelude::*;
use tempfile::TempDir;
use zerokara_data::idx::{Idx, Values};
use zerokara_data::{Dataset, NamedSet, Split, one_hot};

struct Folder(TempDir);

impl Folder {
    fn write(&self, name: &str, shape: &[usize], values: Values) {
        let idx = Idx {
            shape: shape.to_vec(),
            values,
        };
        std::fs::write(self.0.path().join(name), idx.to_bytes().unwrap()).unwrap();
    }

    fn error(&self) -> String {
        Dataset::from_idx_folder(&self.0).unwrap_err().to_string()
    }
}

/// Four training images of 2 × 3 and two test images, labels 0 to 2.
fn small() -> Folder {
    let folder = Folder(
        tempfile::Builder::new()
            .prefix("zerokara-read")
            .tempdir()
            .unwrap(),
    );
    folder.write(
        "train-images-idx3-ubyte",
        &[4, 2, 3],
        Values::U8((0..24).collect()),
    );
    folder.write(
        "train-labels-idx1-ubyte",
        &[4],
        Values::U8(vec![0, 1, 2, 1]),
    );
    folder.write(
        "t10k-images.idx3-ubyte",
        &[2, 2, 3],
        Values::U8(vec![9; 12]),
    );
    folder.write("t10k-labels.idx1-ubyte", &[2], Values::U8(vec![2, 0]));
    folder
}

#[test]
fn a_folder_is_read() {
    let folder = small();
    let dataset = Dataset::by_name(folder.0.path().to_str().unwrap()).unwrap();
    assert_eq!(dataset.shape(), [1, 2, 3]);
    assert_eq!(dataset.train.labels(), [0, 1, 2, 1]);
    assert_eq!(dataset.test.labels(), [2, 0]);
    assert_eq!(dataset.class_names, ["0", "1", "2"]);
    assert_eq!(
        dataset.train.sample(3),
        [18.0, 19.0, 20.0, 21.0, 22.0, 23.0]
    );
    assert!(dataset.name.starts_with("zerokara-read"));
}

#[test]
fn a_folder_with_faults_is_refused() {
    let folder = small();
    folder.write("train-labels-idx1-ubyte", &[3], Values::U8(vec![0, 1, 2]));
    let error = folder.error();
    assert!(
        error.contains("3 labels") && error.contains("4 images"),
        "{error}"
    );

    folder.write(
        "train-labels-idx1-ubyte",
        &[4],
        Values::I8(vec![0, 1, -2, 1]),
    );
    assert!(folder.error().contains("label -2 of sample 2"));

    folder.write("train-labels-idx1-ubyte", &[4], Values::F32(vec![0.0; 4]));
    assert!(folder.error().contains("f32"));

    folder.write(
        "train-labels-idx1-ubyte",
        &[4],
        Values::I32(vec![i32::MAX; 4]),
    );
    assert!(folder.error().contains("2147483647"));

    folder.write("train-labels-idx1-ubyte", &[2, 2], Values::U8(vec![0; 4]));
    assert!(folder.error().contains("[2, 2]"));

    folder.write("train-labels-idx1-ubyte", &[4], Values::U8(vec![0; 4]));
    folder.write(
        "t10k-images.idx3-ubyte",
        &[2, 3, 2],
        Values::U8(vec![9; 12]),
    );
    let error = folder.error();
    assert!(
        error.contains("differ") && error.contains("[1, 3, 2]"),
        "{error}"
    );

    std::fs::remove_file(folder.0.path().join("t10k-labels.idx1-ubyte")).unwrap();
    assert!(folder.error().contains("no file t10k-labels-idx1-ubyte"));
}

#[test]
fn labels_above_the_names_are_refused() {
    let folder = small();
    folder.write(
        "train-labels-idx1-ubyte",
        &[4],
        Values::U8(vec![0, 1, 12, 1]),
    );
    let error = NamedSet::by_name("fashion-mnist")
        .unwrap()
        .from_folder(&folder.0)
        .unwrap_err()
        .to_string();
    assert!(error.contains("label 12 of sample 2"), "{error}");
}

#[test]
fn unknown_names_list_the_known_ones() {
    let error = Dataset::by_name("cifar").unwrap_err().to_string();
    assert!(error.contains("mnist") && error.contains("fashion-mnist") && error.contains("folder"));
    // A file is read as a table, which this one is not.
    let error = Dataset::by_name("Cargo.toml").unwrap_err().to_string();
    assert!(
        error.starts_with("Cargo.toml: ") && error.contains("columns"),
        "{error}"
    );
}

/// Where the package is installed, the published facts hold; elsewhere the error says how to install it.
#[test]
fn fashion_mnist_is_found_or_explained() {
    match Dataset::by_name("fashion-mnist") {
        Ok(fashion) => {
            assert_eq!((fashion.train.len(), fashion.test.len()), (60_000, 10_000));
            let count = |split: &Split, class| {
                split
                    .labels()
                    .iter()
                    .filter(|&&label| label == class)
                    .count()
            };
            assert!((0..10).all(|class| count(&fashion.train, class) == 6000));
            assert!((0..10).all(|class| count(&fashion.test, class) == 1000));
            assert_eq!(
                fashion.class_names[fashion.train.labels()[0] as usize],
                "Ankle boot"
            );
        }
        Err(error) => assert!(
            error
                .to_string()
                .contains("apt install dataset-fashion-mnist"),
            "{error}"
        ),
    }
}

#[cfg(feature = "mnist")]
#[test]
fn mnist_is_inside() {
    let mnist = Dataset::by_name("mnist").unwrap();
    assert_eq!((mnist.train.len(), mnist.test.len()), (60_000, 10_000));
    assert_eq!(mnist.train.labels()[..5], [5, 0, 4, 1, 9]);
    assert_eq!(mnist.test.labels()[..5], [7, 2, 1, 0, 4]);
    assert_eq!(mnist.shape(), [1, 28, 28]);
    let normalization = zerokara_data::Normalization::of(&mnist.train).unwrap();
    assert!((normalization.mean()[0] - 0.1307).abs() < 5e-5);
    assert!((normalization.std()[0] - 0.3081).abs() < 5e-5);
}

#[test]
fn splits_check_their_parts() {
    let error = |samples: Vec<u8>, shape: &[usize], labels: Vec<i64>| {
        Split::new(samples, shape, labels).unwrap_err().to_string()
    };
    assert!(error(vec![0; 7], &[3], vec![0, 0]).contains("1 values left over"));
    assert!(error(vec![0; 6], &[3], vec![0]).contains("2 samples"));
    assert!(error(vec![], &[3, 0], vec![]).contains("at least 1"));
    assert!(error(vec![], &[], vec![]).contains("at least 1"));
    assert!(error(vec![], &[usize::MAX, 3], vec![]).contains("shape"));
    assert!(error(vec![0; 2], &[1], vec![0, -1]).contains("label -1"));
    let split = Split::new(vec![0u8; 2], &[1], vec![0, 1]).unwrap();
    assert!(
        split
            .subset(&[0, 2])
            .unwrap_err()
            .to_string()
            .contains("sample 2")
    );
    assert!(
        split
            .validation(3, 0)
            .unwrap_err()
            .to_string()
            .contains("only 2")
    );
    for share in [-0.1, 1.5, f64::NAN] {
        assert!(split.validation(share, 0).is_err());
    }
    assert_eq!(split.take(9).len(), 2);
    assert!(
        one_hot(&[0, 3], 3)
            .unwrap_err()
            .to_string()
            .contains("label 3")
    );
    assert!(one_hot(&[0], 0).is_err());
}

proptest! {
    /// Training and validation part hold every sample once, with its own label and pixels.
    #[test]
    fn validation_divides_the_samples(n in 1usize..200, share in 0.0f64..=1.0, seed: u64) {
        let values: Vec<f32> = (0..n).map(|x| x as f32).collect();
        let split = Split::new(values, &[1], (0..n as i64).collect()).unwrap();
        let (train, validation) = split.validation(share, seed).unwrap();
        prop_assert_eq!(validation.len(), (share * n as f64).round() as usize);
        let mut seen = Vec::new();
        for part in [&train, &validation] {
            for index in 0..part.len() {
                let origin = part.origin(index).unwrap();
                prop_assert_eq!(part.labels()[index], origin as i64);
                prop_assert_eq!(part.sample(index), vec![origin as f32]);
                seen.push(origin);
            }
        }
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..n).collect::<Vec<_>>());
    }
}
