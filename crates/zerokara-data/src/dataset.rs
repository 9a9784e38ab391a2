//! Data sets by name, from files, and from the program itself.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::idx::{self, Values};
use crate::labels::check_labels;
use crate::normalization::Normalization;
use crate::open::DataOptions;
use crate::pictures::Pictures;
use crate::preprocessing::{Categories, Preprocessing, Vocabulary};
use crate::sets::NamedSet;
use crate::sheet::Contents;
use crate::split::{Samples, Split};
use std::sync::Arc;
use zerokara_core::{DType, Named, Port};

/// Samples to train on, to validate on and to judge by, each part optional: a part that is not there is an empty split.
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
///
/// Prices of houses, which are no classes:
///
/// ```
/// use zerokara_core::Array;
/// use zerokara_data::{Columns, Dataset, Split};
///
/// let columns = Columns::new()
///     .with("x", Array::new([4, 2], vec![80.0f32, 3.0, 55.0, 2.0, 120.0, 5.0, 95.0, 4.0]))
///     .with("price", Array::new([4, 1], vec![300.0f32, 210.0, 480.0, 370.0]));
/// let houses = Split::of(columns)?.targets(["price"])?;
/// let (train, validation) = houses.validation(1, 1)?;
/// let dataset = Dataset::of("houses").train(train)?.validation(validation)?;
/// assert!(dataset.test.is_empty() && dataset.class_names.is_empty());
/// # Ok::<(), zerokara_data::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Dataset {
    /// A short name, such as `mnist`.
    pub name: String,
    /// What is trained on; empty in a data set that only judges.
    pub train: Split,
    /// What is looked at while training, to choose by; empty if there is none.
    pub validation: Split,
    /// What is held back to judge by; empty if there is none.
    pub test: Split,
    /// A name for each label, from label 0; none where the target is no class.
    pub class_names: Vec<String>,
    /// How stored values of the first input become a network's inputs; `x / 255` for bytes unless it was changed.
    pub normalization: Normalization,
    /// How raw values became other inputs, and the names of other targets' classes, by the column's name: learned on the
    /// training set, kept in a model's file.
    pub preprocessing: Named<Preprocessing>,
    /// How picture files become samples; what the training set looks like unless it was changed.
    pub pictures: Pictures,
    /// The file or folder that the data were read from, if they were, by its whole path.
    pub source: Option<PathBuf>,
    /// What was found out while they were read, a sentence each: what is learned, what was left out, and why.
    pub notes: Vec<String>,
    /// What the columns of a table hold that was read, in order; none for other data.
    pub contents: Vec<Contents>,
}

impl Dataset {
    /// Puts a data set of classes together; the normalization is `x / 255` for bytes and `x` for numbers. Either part may be
    /// empty.
    ///
    /// # Errors
    ///
    /// There is no sample at all, the two sets differ in the shape or type of their samples, or a label has no name.
    pub fn new<T: Into<String>>(
        name: impl Into<String>,
        train: Split,
        test: Split,
        class_names: impl IntoIterator<Item = T>,
    ) -> Result<Self> {
        let dataset = Dataset::of(name).train(train)?.test(test)?;
        if dataset.any().is_empty() {
            return Err(dataset.error("there is no sample in it"));
        }
        dataset.class_names(class_names)
    }

    /// A data set of this name without samples, to which parts are added: any columns, any targets.
    pub fn of(name: impl Into<String>) -> Self {
        Dataset {
            name: name.into(),
            train: Split::empty(),
            validation: Split::empty(),
            test: Split::empty(),
            class_names: Vec::new(),
            normalization: Normalization::none(),
            preprocessing: Named::new(),
            pictures: Pictures::Plain,
            source: None,
            notes: Vec::new(),
            contents: Vec::new(),
        }
    }

    /// With these samples to train on. Unless there is another part, they say how values are normalized and what pictures
    /// look like.
    ///
    /// # Errors
    ///
    /// The columns differ from those of another part.
    pub fn train(mut self, split: Split) -> Result<Self> {
        self.train = Split::empty();
        self.with_part("training", &split)?;
        self.train = split;
        Ok(self)
    }

    /// With these samples to validate on, while training.
    ///
    /// # Errors
    ///
    /// The columns differ from those of another part.
    pub fn validation(mut self, split: Split) -> Result<Self> {
        self.validation = Split::empty();
        self.with_part("validation", &split)?;
        self.validation = split;
        Ok(self)
    }

    /// With these samples to judge by.
    ///
    /// # Errors
    ///
    /// The columns differ from those of another part.
    pub fn test(mut self, split: Split) -> Result<Self> {
        self.test = Split::empty();
        self.with_part("test", &split)?;
        self.test = split;
        Ok(self)
    }

    /// With a name for each class.
    ///
    /// # Errors
    ///
    /// A label has no name.
    pub fn class_names<T: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = T>,
    ) -> Result<Self> {
        self.class_names = names.into_iter().map(Into::into).collect();
        for (part, split) in self.parts() {
            check_labels(split.labels(), self.classes()).map_err(|error| {
                Error::new(format!("data set {}, {part} set: {error}", self.name))
            })?;
        }
        Ok(self)
    }

    /// With what made the input or target of this name from raw values, such as a [`Table`](crate::Table) or a
    /// [`Vocabulary`](crate::Vocabulary) that was fitted to the training set.
    ///
    /// ```
    /// use zerokara_core::{Array, DType, Port};
    /// use zerokara_data::{Columns, Dataset, Split, Vocabulary};
    ///
    /// let lines = ["no", "yes", "oh yes"];
    /// let letters = Vocabulary::characters(lines)?;
    /// let tokens = lines.map(|line| letters.encode(line));
    /// let columns = Columns::new()
    ///     .ragged(Port::new("tokens", DType::I64, ["length"]), tokens.map(|ids| Array::new([ids.len()], ids)));
    /// let dataset = Dataset::of("words").train(Split::of(columns)?)?.preprocess("tokens", letters);
    /// assert!(dataset.preprocessing_of("tokens").is_some());
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn preprocess(
        mut self,
        column: impl Into<Arc<str>>,
        preprocessing: impl Into<Preprocessing>,
    ) -> Self {
        self.preprocessing.insert(column, preprocessing.into());
        self
    }

    /// What makes the column of this name from raw values: what was [named](Self::preprocess), else the normalization for the
    /// first input, and the names of the classes for the target.
    pub fn preprocessing_of(&self, column: &str) -> Option<Preprocessing> {
        if let Some(named) = self.preprocessing.get(column) {
            return Some(named.clone());
        }
        let split = self.any();
        let is = |ports: &[Port]| ports.first().is_some_and(|port| &*port.name == column);
        let (inputs, targets) = (split.input_ports(), split.target_ports());
        if is(&inputs) && matches!(inputs[0].dtype, DType::U8 | DType::F32) {
            return Some(self.normalization.clone().into());
        }
        let is_only = targets.len() == 1 && is(&targets);
        let names = is_only.then(|| Categories::of(self.class_names.iter().cloned()));
        names?.ok().map(Preprocessing::from)
    }

    /// What the tokens of a running text stand for, if the data are one: sequences of tokens, and of the tokens that come next.
    ///
    /// ```
    /// use zerokara_data::{Dataset, Split, TextWindows, Vocabulary};
    ///
    /// let text = "to be, or not to be";
    /// let letters = Vocabulary::characters([text])?;
    /// let windows = Split::of(TextWindows::new(text, &letters, 4)?)?;
    /// let data = Dataset::of("hamlet").train(windows)?.preprocess("x", letters);
    /// assert!(data.running_text().is_some_and(|letters| letters.tokens().len() == 8));
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn running_text(&self) -> Option<&Vocabulary> {
        let split = self.any();
        let (inputs, targets) = (split.input_ports(), split.target_ports());
        let is_tokens = |port: &Port| port.dtype == DType::I64 && port.axes.len() == 1;
        match (&inputs[..], &targets[..]) {
            ([x], [t]) if is_tokens(x) && is_tokens(t) => match self.preprocessing.get(&x.name)? {
                Preprocessing::Vocabulary(vocabulary) => Some(vocabulary),
                _ => None,
            },
            _ => None,
        }
    }

    fn error(&self, why: impl std::fmt::Display) -> Error {
        Error::new(format!("data set {}: {why}", self.name))
    }

    fn parts(&self) -> [(&'static str, &Split); 3] {
        [
            ("training", &self.train),
            ("validation", &self.validation),
            ("test", &self.test),
        ]
    }

    /// A part that has samples, the training set first.
    fn any(&self) -> &Split {
        let mut parts = self.parts().into_iter().map(|(_, split)| split);
        parts.find(|split| !split.is_empty()).unwrap_or(&self.train)
    }

    /// Looks whether a part goes together with the others.
    fn with_part(&mut self, name: &str, split: &Split) -> Result<()> {
        if split.is_empty() {
            return Ok(());
        }
        let like = |other: &Split| {
            other.input_ports() == split.input_ports()
                && other.target_ports() == split.target_ports()
        };
        let other = self
            .parts()
            .into_iter()
            .find(|(_, other)| !other.is_empty() && !like(other));
        if let Some((other, of)) = other {
            return Err(self.error(format_args!(
                "{other} set and {name} set differ in their samples: {of:?} and {split:?}"
            )));
        }
        if !self.class_names.is_empty() {
            check_labels(split.labels(), self.classes())
                .map_err(|error| self.error(format_args!("{name} set: {error}")))?;
        }
        if self.any().is_empty() {
            self.normalization = Normalization::for_values(split);
            self.pictures = Pictures::of(split);
        }
        Ok(())
    }

    /// Number of classes; 0 where the target is no class.
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// Shape of one sample of the first input, `[C, H, W]` for images.
    pub fn shape(&self) -> &[usize] {
        self.any().shape()
    }

    /// The data set of this name: `mnist` (inside the program), another one that is published ([`NamedSet`]), or the
    /// path of data of one's own, as [`DataOptions`] reads them where nothing is said.
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
            name => match NamedSet::by_name(name) {
                Some(set) => set.load(),
                None if Path::new(name).exists() => DataOptions::new().open(name),
                None => Err(unknown(name)),
            },
        }
    }

    /// Whether [`by_name`](Self::by_name) takes this as a name, rather than as a path.
    pub fn is_named(name: &str) -> bool {
        NamedSet::by_name(name).is_some()
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

/// Neither a name nor a path.
fn unknown(name: &str) -> Error {
    let names: Vec<&str> = NamedSet::all().iter().map(NamedSet::name).collect();
    Error::new(format!(
        "no data set {name:?}: known are {}, or give the path of a table (CSV, TSV), of a text, of a folder of pictures by class, or of \
         one with IDX files",
        names.join(", ")
    ))
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

/// Whether a folder has all four files of a set that is published as MNIST is.
pub(crate) fn has_idx_files(folder: &Path) -> bool {
    let kinds = [("images", "idx3"), ("labels", "idx1")];
    ["train", "t10k"].iter().all(|part| {
        kinds
            .iter()
            .all(|(what, kind)| find(folder, part, what, kind).is_ok())
    })
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
