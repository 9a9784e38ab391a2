//! Arrays of NumPy, which NumPy has written (`tools/files.py`), and data sets of them.

#![cfg(feature = "arrays")]

use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use zerokara_core::{Array, DType};
use zerokara_data::npy::{self, Npy};
use zerokara_data::{DataOptions, Learn};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/files")
        .join(name)
}

fn array(name: &str) -> Array {
    match npy::read(file(name)).unwrap() {
        Npy::Array(array) => array,
        Npy::Texts(texts, _) => panic!("{texts:?}"),
    }
}

#[test]
fn every_sort_of_number_is_read() {
    let half = array("half.npy");
    let values = half.as_slice::<f32>().unwrap();
    assert_eq!(values[..3], [0.0, -1.5, 65504.0]);
    // The smallest half above 0 is 2^-24.
    assert_eq!((values[3], values[4]), (2f32.powi(-24), f32::INFINITY));
    let big = array("big.npy");
    assert_eq!(
        (big.shape(), big.as_slice::<f32>().unwrap()),
        (&[2, 2][..], &[1.0, 2.5, -3.0, 4.0][..])
    );
    let columns = array("columns.npy");
    assert_eq!(columns.shape(), [2, 3, 4]);
    assert_eq!(
        columns.as_slice::<i64>().unwrap(),
        (0..24).collect::<Vec<i64>>()
    );
    assert_eq!(
        array("signed.npy").as_slice::<i64>().unwrap(),
        [-1, -128, 127]
    );
    assert_eq!(array("bools.npy").dtype(), DType::Bool);
    assert_eq!(array("empty.npy").shape(), [0, 4]);
    match npy::read(file("texts.npy")).unwrap() {
        Npy::Texts(texts, shape) => assert_eq!(
            (texts, shape),
            (vec!["ab".into(), "日本".into(), String::new()], vec![3])
        ),
        Npy::Array(array) => panic!("{array:?}"),
    }
}

#[test]
fn what_is_no_array_is_told() {
    for (name, why) in [
        ("objects.npy", "holds neither numbers nor texts"),
        ("records.npy", "holds neither numbers nor texts"),
        ("colours.bmp", "is no file of NumPy"),
        ("none.npy", "cannot be opened"),
    ] {
        let error = npy::read(file(name)).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains(why), "{error}");
    }
    // Every cut and many a damage is an error, and none takes more than is there.
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("cut.npy");
    let whole = fs::read(file("columns.npy")).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(npy::read(&path).is_err(), "{length}");
    }
    for at in 0..128 {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x15;
        fs::write(&path, &damaged).unwrap();
        let _ = npy::read(&path);
    }
    let huge = "{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999, 99999999999), }";
    let mut bytes = b"\x93NUMPY\x01\0".to_vec();
    bytes.extend((huge.len() as u16).to_le_bytes());
    bytes.extend(huge.as_bytes());
    fs::write(&path, &bytes).unwrap();
    assert!(
        npy::read(&path)
            .unwrap_err()
            .to_string()
            .contains("is too large")
    );
    fs::write(
        folder.path().join("cut.npz"),
        &fs::read(file("rows.npz")).unwrap()[..100],
    )
    .unwrap();
    let error = npy::read_npz(folder.path().join("cut.npz"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("is no archive of arrays"), "{error}");
}

#[test]
fn archives_are_data_sets() {
    let rows = DataOptions::new()
        .test(0.25)
        .open(file("rows.npz"))
        .unwrap();
    assert_eq!(
        (rows.name.as_str(), rows.shape(), &rows.class_names[..]),
        ("rows", &[3][..], &["no".to_string(), "yes".into()][..])
    );
    assert_eq!((rows.train.len(), rows.test.len()), (15, 5));
    // Rows are scaled column by column, by what is learned on the training part.
    assert_eq!(rows.normalization.mean().len(), 3);

    let images = DataOptions::new().open(file("images.npz")).unwrap();
    assert_eq!(
        (images.shape(), &images.class_names[..]),
        (&[3, 6, 5][..], &["3", "7", "9"].map(String::from)[..])
    );
    assert_eq!((images.train.len(), images.test.len()), (12, 3));
    assert_eq!(images.test.labels(), [2, 0, 1]);
    // Channels stood last: those of a pixel follow one another in the file.
    let sample = images.test.sample(0);
    assert_eq!(
        (sample[0], sample[30], sample[60], sample[1]),
        (0.0, 1.0, 2.0, 3.0)
    );
    let numbers = DataOptions::new()
        .learn(Learn::Number)
        .open(file("images.npz"))
        .unwrap();
    assert_eq!(
        (numbers.classes(), numbers.train.target_ports()[0].dtype),
        (0, DType::F32)
    );

    let error = DataOptions::new()
        .open(file("big.npy"))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("is one array alone; put inputs and targets into one file"),
        "{error}"
    );
}
