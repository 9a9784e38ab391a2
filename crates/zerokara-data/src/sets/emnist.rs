//! EMNIST: an archive with a pair of IDX files for each part, whose pictures are turned and mirrored (columns stand where rows
//! should), and whose letters are numbered from 1.

use crate::{
    error::{Error, Result},
    idx::{self, Idx},
    split::Split,
};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

const ARCHIVE: &str = "gzip.zip";
/// Bytes of a compressed file at most: several times what the largest has.
const MOST: u64 = 1 << 30;

/// A file of a part: its pictures or labels.
fn name(part: &str, of: &str, what: &str) -> String {
    let form = if what == "images" { "idx3" } else { "idx1" };
    format!("emnist-{part}-{of}-{what}-{form}-ubyte")
}

/// Such a file as it was unpacked, plain or compressed.
fn plain(folder: &Path, name: &str) -> Option<PathBuf> {
    let folders = [folder.to_path_buf(), folder.join("gzip")];
    let mut paths = folders
        .iter()
        .flat_map(|at| [at.join(name), at.join(format!("{name}.gz"))]);
    paths.find(|path| path.is_file())
}

/// Whether a folder has the part: in the archive, or unpacked.
pub(super) fn is_in(folder: &Path, part: &str) -> bool {
    folder.join(ARCHIVE).is_file() || plain(folder, &name(part, "train", "images")).is_some()
}

/// What is trained on, and what is judged by.
pub(super) fn read(folder: &Path, part: &str) -> Result<[Split; 2]> {
    let mut archive = None;
    let mut file = |name: String| -> Result<Idx> {
        if let Some(path) = plain(folder, &name) {
            return idx::read(path);
        }
        let path = folder.join(ARCHIVE);
        let fail = |why: String| Error::file(&path, why);
        let archive = match &mut archive {
            Some(archive) => archive,
            none => {
                let file = File::open(&path).map_err(|e| fail(format!("cannot be opened: {e}")))?;
                let opened = zip::ZipArchive::new(file)
                    .map_err(|e| fail(format!("is no whole archive ({e}); fetch it again")))?;
                none.insert(opened)
            }
        };
        let inner = format!("gzip/{name}.gz");
        let entry = archive
            .by_name(&inner)
            .map_err(|e| fail(format!("{inner} cannot be read: {e}")))?;
        let mut bytes = Vec::new();
        entry
            .take(MOST)
            .read_to_end(&mut bytes)
            .map_err(|e| fail(format!("{inner} is damaged ({e}); fetch it again")))?;
        idx::from_bytes(&bytes).map_err(|e| fail(format!("{inner}: {e}")))
    };
    let mut both = Vec::new();
    for of in ["train", "test"] {
        let (images, labels) = (
            file(name(part, of, "images"))?,
            file(name(part, of, "labels"))?,
        );
        both.push(split(images, labels, part).map_err(|why| Error::file(folder, why))?);
    }
    let test = both.pop();
    match (both.pop(), test) {
        (Some(train), Some(test)) => Ok([train, test]),
        _ => Err(Error::file(folder, "it has no samples")),
    }
}

fn split(images: Idx, labels: Idx, part: &str) -> std::result::Result<Split, String> {
    let (idx::Values::U8(pixels), idx::Values::U8(labels)) = (images.values, labels.values) else {
        return Err("pictures and labels of EMNIST are bytes".into());
    };
    let &[samples, height, width] = images.shape.as_slice() else {
        return Err(format!(
            "its pictures have the shape {:?}; they are [N, 28, 28]",
            images.shape
        ));
    };
    if samples != labels.len() {
        return Err(format!(
            "it has {samples} pictures, but {} labels",
            labels.len()
        ));
    }
    let mut upright = Vec::with_capacity(pixels.len());
    for picture in pixels.chunks_exact((height * width).max(1)) {
        for row in 0..width {
            upright.extend((0..height).map(|column| picture[column * width + row]));
        }
    }
    let (first, classes) = (u8::from(part == "letters"), super::signs(part).len());
    let labels = labels.into_iter().map(|label| {
        let class = label.checked_sub(first).map(usize::from);
        match class.filter(|&class| class < classes) {
            Some(class) => Ok(class as i64),
            None => Err(format!("the label {label} is none of EMNIST's {part}")),
        }
    });
    let labels = labels.collect::<std::result::Result<Vec<_>, _>>()?;
    Split::new(upright, &[1, width, height], labels).map_err(|e| e.to_string())
}
