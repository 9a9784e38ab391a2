//! Which pictures there are, and of which class each is.

use super::PARTS;
use crate::error::{Error, Result};
use crate::sheet::Sheet;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// A picture's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageFile {
    /// Where it is.
    pub path: PathBuf,
    /// The number of its class.
    pub class: usize,
}

/// Files of pictures by part and class, in the order of their names; none of them has been read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageFiles {
    /// The names of the classes.
    pub classes: Vec<String>,
    /// Pictures to train on, or all of them.
    pub train: Vec<ImageFile>,
    /// Pictures to choose by, if there is such a part.
    pub validation: Vec<ImageFile>,
    /// Pictures to judge by, if there is such a part.
    pub test: Vec<ImageFile>,
    /// Number of files that are no pictures, by their names.
    pub others: usize,
}

/// Endings of files that can be read.
const ENDINGS: [&str; 6] = ["png", "jpg", "jpeg", "bmp", "webp", "gif"];
/// Folders in folders, at most.
const DEPTH: usize = 16;
/// Names of columns with paths, in lower case.
const PATHS: [&str; 9] = [
    "path",
    "file",
    "filename",
    "file_name",
    "filepath",
    "image",
    "picture",
    "画像",
    "ファイル",
];

impl ImageFiles {
    /// The pictures in a folder of classes, or in its folders `train`, `val` and `test`, each with folders of classes.
    ///
    /// # Errors
    ///
    /// There are no such folders, one of them has no picture, or a class of another part is none of the training part.
    pub fn within(folder: &Path) -> Result<Self> {
        let folders = folders(folder)?;
        let part = |names: &[&str]| {
            folders
                .iter()
                .find(|path| names.contains(&&*name(path).to_lowercase()))
        };
        let parts = PARTS.map(part);
        let mut found = ImageFiles::default();
        let Some(train) = parts[0] else {
            found.train = found.of_classes(folder)?;
            return Ok(found);
        };
        found.train = found.of_classes(train)?;
        for (part, is_test) in [(parts[1], false), (parts[2], true)] {
            let Some(part) = part else { continue };
            let mut other = ImageFiles::default();
            let mut files = other.of_classes(part)?;
            for file in &mut files {
                let class = &other.classes[file.class];
                let known = found.classes.iter().position(|name| name == class);
                file.class = known.ok_or_else(|| {
                    Error::file(
                        part,
                        format_args!(
                            "there is a class {class:?}, but none of this name in {}",
                            train.display()
                        ),
                    )
                })?;
            }
            found.others += other.others;
            match is_test {
                true => found.test = files,
                false => found.validation = files,
            }
        }
        Ok(found)
    }

    /// The pictures of a folder with a folder for each class; finds the names of the classes.
    fn of_classes(&mut self, folder: &Path) -> Result<Vec<ImageFile>> {
        let mut files = Vec::new();
        let folders = folders(folder)?;
        if folders.is_empty() {
            let mut here = Vec::new();
            collect(folder, 1, &mut here, &mut 0)?;
            return Err(Error::file(
                folder,
                match here.len() {
                    0 => "there are no pictures in it, no tables train.csv and test.csv, and no IDX files".to_string(),
                    count => format!(
                        "there are {count} pictures, but no folder for each class; put the pictures of each class into a folder \
                         of its name"
                    ),
                },
            ));
        }
        for path in folders {
            let mut paths = Vec::new();
            collect(&path, DEPTH, &mut paths, &mut self.others)?;
            if paths.is_empty() {
                return Err(Error::file(
                    &path,
                    "there is no picture in it; put some of this class there, or remove the folder",
                ));
            }
            let class = self.classes.len();
            self.classes.push(name(&path));
            files.extend(paths.into_iter().map(|path| ImageFile { path, class }));
        }
        if let [only] = &self.classes[..] {
            return Err(Error::file(
                folder,
                format_args!("there is one class alone, {only:?}: there is nothing to tell apart"),
            ));
        }
        Ok(files)
    }

    /// The pictures that a table names, if it is such a list: a column of paths, from the folder of the table, and one of labels.
    ///
    /// # Errors
    ///
    /// A path leads out of the folder, there is no column of labels, or one class alone.
    pub fn listed(sheet: &Sheet, target: Option<&str>) -> Result<Option<Self>> {
        let is_list = |at: &usize| {
            let cells = &sheet.columns()[*at];
            let pictures = cells
                .iter()
                .filter(|cell| is_picture(Path::new(cell)))
                .count();
            pictures * 10 >= cells.len() * 9
        };
        let named = |at: &usize| PATHS.contains(&&*sheet.names()[*at].to_lowercase());
        let lists: Vec<usize> = (0..sheet.names().len()).filter(is_list).collect();
        let Some(&paths) = lists.iter().find(|at| named(at)).or(lists.first()) else {
            return Ok(None);
        };
        let labels = match target {
            Some(target) => sheet.place(target)?,
            None => match (0..sheet.names().len())
                .filter(|at| *at != paths)
                .collect::<Vec<_>>()[..]
            {
                [only] => only,
                [] => {
                    return Err(Error::new(
                        "it lists pictures, but has no column of labels: write path,label in each line",
                    ));
                }
                ref several => {
                    let label = several.iter().find(|at| {
                        matches!(
                            &*sheet.names()[**at].to_lowercase(),
                            "label" | "class" | "target" | "ラベル" | "クラス"
                        )
                    });
                    *label.ok_or_else(|| {
                        Error::new(format!(
                            "it lists pictures, but which column has their labels is not clear; name it as the target: {}",
                            several.iter().map(|at| format!("{:?}", sheet.names()[*at])).collect::<Vec<_>>().join(", ")
                        ))
                    })?
                }
            },
        };
        let base = sheet.path().and_then(Path::parent).unwrap_or(Path::new(""));
        let names: BTreeSet<&str> = sheet.columns()[labels].iter().collect();
        let classes: Vec<String> = names.into_iter().map(str::to_string).collect();
        if let [only] = &classes[..] {
            return Err(Error::new(format!(
                "there is one class alone, {only:?}: there is nothing to tell apart"
            )));
        }
        let rows = sheet.columns()[paths]
            .iter()
            .zip(sheet.columns()[labels].iter());
        let file = |(path, label): (&str, &str)| {
            let leads_out = Path::new(path).components().any(|part| {
                !matches!(
                    part,
                    std::path::Component::Normal(_) | std::path::Component::CurDir
                )
            });
            if leads_out {
                return Err(Error::new(format!(
                    "the path {path:?} leads out of the list's folder; paths begin there"
                )));
            }
            let class = classes.binary_search_by(|name| name.as_str().cmp(label));
            Ok(ImageFile {
                path: base.join(path),
                class: class.unwrap_or(0),
            })
        };
        let train = rows.map(file).collect::<Result<_>>()?;
        Ok(Some(ImageFiles {
            classes,
            train,
            ..ImageFiles::default()
        }))
    }

    /// All pictures in a folder and in those in it, in the order of their names, whatever they show.
    ///
    /// # Errors
    ///
    /// A folder cannot be read.
    pub fn paths_within(folder: impl AsRef<Path>) -> Result<Vec<PathBuf>> {
        let mut paths = Vec::new();
        collect(folder.as_ref(), DEPTH, &mut paths, &mut 0)?;
        Ok(paths)
    }

    /// All of them, part by part.
    pub fn all(&self) -> impl Iterator<Item = &ImageFile> {
        self.train.iter().chain(&self.validation).chain(&self.test)
    }
}

fn name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// Whether a file's name is that of a picture.
pub(super) fn is_picture(path: &Path) -> bool {
    let ending = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    ENDINGS.contains(&ending.as_str())
}

/// What is in a folder, by name, without what is hidden.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let unread = |error| Error::file(folder, format_args!("cannot be read: {error}"));
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        if !name(&path).starts_with('.') {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?
        .into_iter()
        .filter(|path| path.is_dir())
        .collect())
}

/// The pictures in a folder and in those in it.
fn collect(
    folder: &Path,
    depth: usize,
    paths: &mut Vec<PathBuf>,
    others: &mut usize,
) -> Result<()> {
    for path in entries(folder)? {
        if path.is_dir() {
            // Links may lead in circles.
            if depth > 1 && !path.is_symlink() {
                collect(&path, depth - 1, paths, others)?;
            }
        } else if is_picture(&path) {
            paths.push(path);
        } else {
            *others += 1;
        }
    }
    Ok(())
}
