//! Data sets by name, from files, and from the program itself.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::idx::{self, Values};
use crate::labels::check_labels;
use crate::normalization::Normalization;
use crate::pictures::Pictures;
use crate::split::{Samples, Split};

/// A training set and a test set of labelled samples of one shape.
///
/// # Example
///
/// ```
/// use zerokara_data::{Dataset, Split};
///
/// let train = Split::new(vec![0.0f32, 0.1, 0.9, 1.0], &[1], vec![0, 0, 1, 1])?;
/// let test = train.subset(&[1, 2])?;
/// let dataset = Dataset::new("steps", train, test, ["low", "high"])?;
/// assert_eq!(dataset.classes(), 2);
/// # Ok::<(), zerokara_data::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Dataset {
    /// A short name, such as `mnist`.
    pub name: String,
    /// What is trained on.
    pub train: Split,
    /// What is held back to judge by.
    pub test: Split,
    /// A name for each label, from label 0.
    pub class_names: Vec<String>,
    /// How stored values become a network's inputs; `x / 255` for bytes unless it was changed.
    pub normalization: Normalization,
    /// How picture files become samples; what the training set looks like unless it was changed.
    pub pictures: Pictures,
    /// The folder that the data were read from, if they were, by its whole path.
    pub source: Option<PathBuf>,
}

impl Dataset {
    /// Puts a data set together; the normalization is `x / 255` for bytes and `x` for numbers.
    ///
    /// # Errors
    ///
    /// The training set is empty, the two sets differ in the shape or type of their samples, or a label has no name.
    pub fn new<T: Into<String>>(
        name: impl Into<String>,
        train: Split,
        test: Split,
        class_names: impl IntoIterator<Item = T>,
    ) -> Result<Self> {
        let name = name.into();
        let class_names: Vec<String> = class_names.into_iter().map(Into::into).collect();
        if train.is_empty() {
            return Err(Error::new(format!(
                "data set {name}: there is no sample to train on"
            )));
        }
        if train.shape() != test.shape() || train.is_u8() != test.is_u8() {
            return Err(Error::new(format!(
                "data set {name}: training set and test set differ in their samples: {train:?} and {test:?}"
            )));
        }
        for (part, split) in [("training", &train), ("test", &test)] {
            check_labels(split.labels(), class_names.len())
                .map_err(|error| Error::new(format!("data set {name}, {part} set: {error}")))?;
        }
        Ok(Dataset {
            name,
            normalization: Normalization::for_values(&train),
            pictures: Pictures::of(&train),
            source: None,
            train,
            test,
            class_names,
        })
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// Shape of one sample, `[C, H, W]` for images.
    pub fn shape(&self) -> &[usize] {
        self.train.shape()
    }

    /// The data set of this name: `mnist` (inside the program), `fashion-mnist` (installed on the machine), or the
    /// path of a folder as [`from_idx_folder`](Self::from_idx_folder) reads it.
    ///
    /// # Errors
    ///
    /// The name is not known and no folder has it, or the data cannot be read; the message says what is possible.
    ///
    /// # Example
    ///
    /// ```
    /// # #[cfg(feature = "mnist")]
    /// assert_eq!(zerokara_data::Dataset::by_name("mnist")?.train.len(), 60_000);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn by_name(name: &str) -> Result<Self> {
        match name {
            #[cfg(feature = "mnist")]
            "mnist" => Mnist::load(),
            #[cfg(not(feature = "mnist"))]
            "mnist" => Err(Error::new(
                "MNIST is not inside this program: build it with the feature `mnist`, \
                 or give the path of a folder with the four IDX files",
            )),
            "fashion-mnist" => FashionMnist::load(),
            path if Path::new(path).is_dir() => Dataset::from_idx_folder(path),
            path if Path::new(path).exists() => Err(Error::new(format!(
                "{path} is a file; a data set is one of mnist and fashion-mnist, or a folder with IDX files"
            ))),
            _ => Err(Error::new(format!(
                "no data set {name:?}: known are mnist and fashion-mnist, or give the path of a folder with the files \
                 train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte and \
                 t10k-labels-idx1-ubyte (plain or .gz)"
            ))),
        }
    }

    /// Reads a data set published as MNIST is: the files `train-images-idx3-ubyte`, `train-labels-idx1-ubyte`,
    /// `t10k-images-idx3-ubyte` and `t10k-labels-idx1-ubyte`, plain or with `.gz`, also spelt `train-images.idx3-ubyte`.
    ///
    /// Images are `[N, H, W]` (taken as one channel), `[N, C, H, W]` or rows `[N, columns]`, of bytes or `f32`; labels
    /// are whole numbers from 0. The classes are named by their numbers, the data set by the folder.
    ///
    /// # Errors
    ///
    /// A file is missing or damaged (see [`idx::read`]), the numbers of images and labels differ, a label is
    /// negative, or training and test images differ in shape.
    ///
    /// # Example
    ///
    /// ```no_run
    /// let dataset = zerokara_data::Dataset::from_idx_folder("downloads/kmnist")?;
    /// println!("{} training images", dataset.train.len());
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn from_idx_folder(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref();
        let train = read_split(folder, "train")?;
        let test = read_split(folder, "t10k")?;
        let classes = train
            .labels()
            .iter()
            .chain(test.labels())
            .max()
            .map_or(0, |&label| label + 1);
        if classes > MAX_CLASSES {
            return Err(Error::file(
                folder,
                format_args!("the largest label is {}; are these labels?", classes - 1),
            ));
        }
        // `.` and `..` have no name of their own.
        let whole = folder.canonicalize().ok();
        let name = whole.as_ref().and_then(|path| {
            path.file_name()
                .map(|name| name.to_string_lossy().into_owned())
        });
        let mut dataset = Dataset::new(
            name.unwrap_or_else(|| folder.display().to_string()),
            train,
            test,
            (0..classes).map(|class| class.to_string()),
        )
        .map_err(|error| Error::file(folder, error))?;
        dataset.source = whole;
        Ok(dataset)
    }
}

/// A million classes would need a gigabyte of names and weights; a file of such labels holds something else.
const MAX_CLASSES: i64 = 1 << 20;

fn read_split(folder: &Path, part: &str) -> Result<Split> {
    let images_path = find(folder, part, "images", "idx3")?;
    let labels_path = find(folder, part, "labels", "idx1")?;
    let images = idx::read(&images_path)?;
    let labels = idx::read(&labels_path)?;
    let shape = match images.shape[..] {
        [_, height, width] => vec![1, height, width],
        [_, channels, height, width] => vec![channels, height, width],
        [_, columns] => vec![columns],
        _ => {
            return Err(Error::file(
                &images_path,
                format_args!(
                    "has the shape {:?}; images are [N, H, W] or [N, C, H, W]",
                    images.shape
                ),
            ));
        }
    };
    if labels.shape.len() != 1 {
        return Err(Error::file(
            &labels_path,
            format_args!("has the shape {:?}; labels are a plain list", labels.shape),
        ));
    }
    if images.shape[0] != labels.shape[0] {
        return Err(Error::file(
            &labels_path,
            format_args!(
                "has {} labels, but {} has {} images",
                labels.shape[0],
                images_path.display(),
                images.shape[0]
            ),
        ));
    }
    let samples = match images.values {
        Values::U8(values) => Samples::U8(values),
        Values::F32(values) => Samples::F32(values),
        other => {
            return Err(Error::file(
                &images_path,
                format_args!(
                    "has values of type {}; u8 and f32 are read",
                    other.type_name()
                ),
            ));
        }
    };
    let labels = match labels.values {
        Values::U8(values) => values.into_iter().map(i64::from).collect(),
        Values::I8(values) => values.into_iter().map(i64::from).collect(),
        Values::I16(values) => values.into_iter().map(i64::from).collect(),
        Values::I32(values) => values.into_iter().map(i64::from).collect(),
        other => {
            return Err(Error::file(
                &labels_path,
                format_args!(
                    "has values of type {}; labels are whole numbers",
                    other.type_name()
                ),
            ));
        }
    };
    Split::new(samples, &shape, labels).map_err(|error| Error::file(&labels_path, error))
}

fn find(folder: &Path, part: &str, what: &str, kind: &str) -> Result<PathBuf> {
    for separator in ["-", "."] {
        for end in ["", ".gz"] {
            let path = folder.join(format!("{part}-{what}{separator}{kind}-ubyte{end}"));
            if path.is_file() {
                return Ok(path);
            }
        }
    }
    Err(Error::file(
        folder,
        format_args!(
            "there is no file {part}-{what}-{kind}-ubyte or {part}-{what}-{kind}-ubyte.gz"
        ),
    ))
}

/// MNIST, inside the program: 60,000 training and 10,000 test images `[1, 28, 28]` of handwritten digits, light on dark.
///
/// By Yann LeCun and Corinna Cortes, licence CC BY-SA 3.0.
#[doc(alias = "load_mnist")]
#[cfg(feature = "mnist")]
#[derive(Clone, Copy, Debug)]
pub struct Mnist;

#[cfg(feature = "mnist")]
impl Mnist {
    /// Unpacks MNIST, in about a tenth of a second.
    ///
    /// # Errors
    ///
    /// The data inside the program are damaged.
    ///
    /// # Example
    ///
    /// ```
    /// let mnist = zerokara_data::Mnist::load()?;
    /// assert_eq!(mnist.train.labels()[0], 5);
    /// assert_eq!(mnist.shape(), [1, 28, 28]);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    #[doc(alias = "load_mnist")]
    pub fn load() -> Result<Dataset> {
        let mnist = zerokara_mnist::load()?;
        let split = |images: Vec<u8>, labels: Vec<u8>| {
            let labels = labels.into_iter().map(i64::from).collect();
            Split::new(
                images,
                &[1, zerokara_mnist::SIDE, zerokara_mnist::SIDE],
                labels,
            )
        };
        Dataset::new(
            "mnist",
            split(mnist.train_images, mnist.train_labels)?,
            split(mnist.test_images, mnist.test_labels)?,
            (0..10).map(|digit| digit.to_string()),
        )
    }
}

/// Fashion-MNIST (Xiao, Rasul and Vollgraf, 2017): images of ten kinds of clothing, in the shape of MNIST.
///
/// The files are not inside the program; Debian and Ubuntu have them as the package `dataset-fashion-mnist`.
#[derive(Clone, Copy, Debug)]
pub struct FashionMnist;

impl FashionMnist {
    /// Where packages put the files.
    const FOLDERS: [&'static str; 2] = [
        "/usr/share/datasets/fashion-mnist",
        "/usr/local/share/datasets/fashion-mnist",
    ];

    const CLASSES: [&'static str; 10] = [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ];

    /// Reads the files where the package puts them.
    ///
    /// # Errors
    ///
    /// They are not installed (the message says how to install them), or damaged.
    ///
    /// # Example
    ///
    /// ```no_run
    /// let fashion = zerokara_data::FashionMnist::load()?;
    /// assert_eq!(fashion.class_names[9], "Ankle boot");
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn load() -> Result<Dataset> {
        match Self::FOLDERS
            .iter()
            .find(|folder| Path::new(folder).is_dir())
        {
            // Found by its name, wherever the machine has it.
            Some(folder) => Ok(Dataset {
                source: None,
                ..Self::from_folder(folder)?
            }),
            None => Err(Error::new(format!(
                "Fashion-MNIST is not installed: there is no folder {}. On Debian and Ubuntu, \
                 `apt install dataset-fashion-mnist` installs it; elsewhere, put the four files of \
                 https://github.com/zalandoresearch/fashion-mnist into a folder and give its path",
                Self::FOLDERS.join(" or ")
            ))),
        }
    }

    /// Reads the four files from a folder.
    ///
    /// # Errors
    ///
    /// As [`Dataset::from_idx_folder`], or a label is above 9.
    pub fn from_folder(folder: impl AsRef<Path>) -> Result<Dataset> {
        let found = Dataset::from_idx_folder(folder)?;
        Ok(Dataset {
            source: found.source,
            ..Dataset::new("fashion-mnist", found.train, found.test, Self::CLASSES)?
        })
    }
}
