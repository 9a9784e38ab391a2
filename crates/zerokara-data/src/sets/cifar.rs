//! CIFAR-10 and CIFAR-100 in their binary form: records of labels and 3072 bytes, which are the red, green and blue values of
//! 32 x 32 pixels, row by row (<https://www.cs.toronto.edu/~kriz/cifar.html>).

use crate::{
    error::{Error, Result},
    split::Split,
};
use flate2::read::GzDecoder;
use std::{
    fs::{self, File},
    io::Read,
    path::Path,
};

const SHAPE: [usize; 3] = [3, 32, 32];
const PIXELS: usize = 3 * 32 * 32;
/// Bytes of a file at most: ten times what a batch has.
const MOST: u64 = 2 << 30;

/// The archive, the folder in it, its files to train on and its file to judge by.
fn names(classes: usize) -> (&'static str, &'static str, Vec<String>, &'static str) {
    match classes {
        10 => (
            "cifar-10-binary.tar.gz",
            "cifar-10-batches-bin",
            (1..=5).map(|n| format!("data_batch_{n}.bin")).collect(),
            "test_batch.bin",
        ),
        _ => (
            "cifar-100-binary.tar.gz",
            "cifar-100-binary",
            vec!["train.bin".into()],
            "test.bin",
        ),
    }
}

/// Whether a folder has the set: the archive, or its files, beside others or in the archive's folder.
pub(super) fn is_in(folder: &Path, classes: usize) -> bool {
    let (archive, inner, _, test) = names(classes);
    [archive, test]
        .iter()
        .any(|name| folder.join(name).is_file())
        || folder.join(inner).join(test).is_file()
}

/// What is trained on, and what is judged by.
pub(super) fn read(folder: &Path, classes: usize) -> Result<[Split; 2]> {
    let (archive, inner, batches, test) = names(classes);
    let mut wanted: Vec<&str> = batches.iter().map(String::as_str).collect();
    wanted.push(test);
    let plain = [folder.to_path_buf(), folder.join(inner)]
        .into_iter()
        .find(|at| at.join(test).is_file());
    let mut found: Vec<Vec<u8>> = match plain {
        Some(at) => wanted
            .iter()
            .map(|name| {
                let path = at.join(name);
                let long = fs::metadata(&path).map_or(0, |meta| meta.len()) > MOST;
                if long {
                    return Err(Error::file(&path, "is too long for a batch of CIFAR"));
                }
                fs::read(&path).map_err(|e| Error::file(&path, format!("cannot be read: {e}")))
            })
            .collect::<Result<_>>()?,
        None => unpacked(&folder.join(archive), &wanted)?,
    };
    let test_records = found.pop().unwrap_or_default();
    let train = split(&found, classes).map_err(|why| Error::file(folder, why))?;
    let test = split(&[test_records], classes).map_err(|why| Error::file(folder, why))?;
    Ok([train, test])
}

/// The contents of these files of an archive.
fn unpacked(path: &Path, wanted: &[&str]) -> Result<Vec<Vec<u8>>> {
    let broken = |e: std::io::Error| {
        Error::file(
            path,
            format!("the archive is damaged ({e}); fetch it again"),
        )
    };
    let file = File::open(path).map_err(|e| Error::file(path, format!("cannot be opened: {e}")))?;
    let mut archive = tar::Archive::new(GzDecoder::new(file));
    let mut found: Vec<Option<Vec<u8>>> = vec![None; wanted.len()];
    for entry in archive.entries().map_err(broken)? {
        let entry = entry.map_err(broken)?;
        let name = entry.path().map_err(broken)?.into_owned();
        let place = wanted
            .iter()
            .position(|wanted| name.file_name().is_some_and(|name| name == *wanted));
        if let Some(place) = place {
            let mut bytes = Vec::new();
            entry.take(MOST).read_to_end(&mut bytes).map_err(broken)?;
            found[place] = Some(bytes);
        }
    }
    let named = found.into_iter().zip(wanted);
    named
        .map(|(bytes, name)| {
            bytes.ok_or_else(|| Error::file(path, format!("there is no {name} in the archive")))
        })
        .collect()
}

/// The samples of these records. Those of CIFAR-100 have a coarse label before the fine one.
fn split(files: &[Vec<u8>], classes: usize) -> std::result::Result<Split, String> {
    let labels_of_one = if classes > 10 { 2 } else { 1 };
    let record = labels_of_one + PIXELS;
    let samples: usize = files.iter().map(|bytes| bytes.len() / record).sum();
    let (mut images, mut labels) = (
        Vec::with_capacity(samples * PIXELS),
        Vec::with_capacity(samples),
    );
    for bytes in files {
        if bytes.is_empty() || !bytes.len().is_multiple_of(record) {
            return Err(format!(
                "a batch has {} bytes, which are no whole number of records of {record}; is it cut short?",
                bytes.len()
            ));
        }
        for one in bytes.chunks_exact(record) {
            let (own, pixels) = one.split_at(labels_of_one);
            let label = own[labels_of_one - 1];
            if usize::from(label) >= classes {
                return Err(format!(
                    "a record has the label {label}, but there are {classes} classes"
                ));
            }
            labels.push(i64::from(label));
            images.extend_from_slice(pixels);
        }
    }
    Split::new(images, &SHAPE, labels).map_err(|e| e.to_string())
}
