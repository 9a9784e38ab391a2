//! Data of one's own: a table, a folder of pictures, a list of them, as a data set.

#[cfg(feature = "arrays")]
mod arrays;
#[cfg(feature = "images")]
mod files;
#[cfg(feature = "images")]
mod images;
mod rows;
mod texts;

#[cfg(feature = "images")]
pub use files::{ImageFile, ImageFiles};

#[cfg(any(feature = "images", feature = "arrays"))]
use crate::columns::Columns;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
#[cfg(any(feature = "images", feature = "arrays"))]
use crate::normalization::Normalization;
use crate::parts::{Amount, Rule};
use crate::pictures::Pictures;
use crate::preprocessing::{Table, Vocabulary};
use crate::sets::NamedSet;
use crate::sheet::Sheet;
use crate::split::Split;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What is learned of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learn {
    /// Which of several classes it is: classification.
    Classes,
    /// How large a number is: regression.
    Number,
}

/// What is done with a column of a table, if that is not found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnUse {
    /// Its cells are numbers.
    Number,
    /// Its cells are one of some texts.
    Category,
    /// Its cells are dates.
    Date,
    /// It is left out.
    Ignore,
}

/// What a model has learned of the data that it was trained on, as far as it says how others become samples.
#[derive(Clone, Copy, Debug)]
pub struct Learned<'a> {
    /// How the cells of a row become numbers, if it takes rows.
    pub table: Option<&'a Table>,
    /// What its tokens stand for, if it takes running text.
    pub vocabulary: Option<&'a Vocabulary>,
    /// The shape of its samples.
    pub shape: &'a [usize],
    /// How pictures become samples.
    pub pictures: Pictures,
    /// What it tells.
    pub target: &'a str,
    /// The names of its classes; none if it tells numbers.
    pub class_names: &'a [String],
}

/// What is told of a long reading: how much is done, and how much there is.
pub type Reading = dyn Fn(usize, usize) + Send + Sync;

/// How data of one's own become a data set. Whatever is not said is found out, and the data set's
/// [notes](Dataset::notes) say what was found.
///
/// - A table, CSV or TSV, plain or `.gz`: one column is the target (`target`, else a column of such a name as `label`, else the
///   last one), the others are inputs, each as its [contents](crate::Contents) say. Columns from which nothing can be learned are left
///   out. A target of few different values, or of texts, makes classes, any other numbers.
/// - A folder with such tables named `train`, `val` and `test`.
/// - A folder of pictures: a folder for each class, perhaps within `train`, `val` and `test` (feature `images`).
/// - A list of pictures: a table of paths, from the list's own folder, and labels.
/// - A folder of IDX files, as [`Dataset::from_idx_folder`] reads it.
/// - Running text, `.txt` or `.md` in UTF-8, or a folder of such files: windows of characters ([`TextWindows`](crate::TextWindows)),
///   to tell the next one. The last tenth is held back to choose by. (A `.txt` whose lines have cells is a table.)
/// - Arrays of NumPy, `.npz` (feature `arrays`): `x` and `y`, or `x_train`, `y_train`, `x_test`, `y_test`, also under like names;
///   images `[N, H, W]`, `[N, H, W, C]` or `[N, C, H, W]`, rows `[N, D]`.
///
/// A test part is cut off by chance, with each class in its share, unless there is one; of a running text none, unless it is asked for. Means, deviations, lists of categories and
/// all else that is learned of the data is learned on the training part alone.
///
/// # Example
///
/// ```
/// use zerokara_data::DataOptions;
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("houses.csv");
/// let row = |i: usize| format!("{},{},{}\n", 50 + i * 7 % 40, ["brick", "wood"][i % 2], 1000.5 * (50 + i * 7 % 40) as f64);
/// let rows = (0..40).map(row);
/// std::fs::write(&path, format!("size,walls,price\n{}", rows.collect::<String>()))?;
///
/// let houses = DataOptions::new().target("price").test(0.25).open(&path)?;
/// assert_eq!((houses.train.len(), houses.test.len()), (30, 10));
/// assert_eq!(houses.shape(), [4]); // the size, and a place for each kind of walls, unseen ones among them
/// assert_eq!(houses.classes(), 0); // prices are numbers
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct DataOptions {
    pub(crate) target: Option<String>,
    pub(crate) learn: Option<Learn>,
    pub(crate) columns: BTreeMap<String, ColumnUse>,
    pub(crate) size: Option<[usize; 2]>,
    pub(crate) channels: Option<usize>,
    pub(crate) fit: Option<Pictures>,
    pub(crate) skip_unreadable: bool,
    pub(crate) context: Option<usize>,
    pub(crate) test: Option<Amount>,
    pub(crate) validation: Option<Amount>,
    pub(crate) seed: u64,
    pub(crate) memory: u64,
    pub(crate) reading: Option<Arc<Reading>>,
}

/// Names of the parts to train on, to choose by and to judge by.
const PARTS: [&[&str]; 3] = [
    &["train", "training"],
    &["val", "valid", "validation", "dev"],
    &["test", "testing"],
];
/// The share of the samples to judge by, where the data have no such part.
const TEST: f64 = 0.2;
/// Pictures that take more memory than this are decoded anew whenever they are wanted.
const MEMORY: u64 = 2 << 30;

impl Default for DataOptions {
    fn default() -> Self {
        DataOptions {
            target: None,
            learn: None,
            columns: BTreeMap::new(),
            size: None,
            channels: None,
            fit: None,
            skip_unreadable: false,
            context: None,
            test: None,
            validation: None,
            seed: 0,
            memory: MEMORY,
            reading: None,
        }
    }
}

impl fmt::Debug for DataOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataOptions")
            .field("target", &self.target)
            .field("learn", &self.learn)
            .field("columns", &self.columns)
            .field("size", &self.size)
            .field("channels", &self.channels)
            .field("fit", &self.fit)
            .finish_non_exhaustive()
    }
}

impl DataOptions {
    /// Everything is found out.
    pub fn new() -> Self {
        Self::default()
    }

    /// The column of a table that is to be learned.
    pub fn target(mut self, column: impl Into<String>) -> Self {
        self.target = Some(column.into());
        self
    }

    /// Whether the target is one of several classes, or a number.
    pub fn learn(mut self, learn: Learn) -> Self {
        self.learn = Some(learn);
        self
    }

    /// What is done with a column of a table.
    pub fn column(mut self, name: impl Into<String>, using: ColumnUse) -> Self {
        self.columns.insert(name.into(), using);
        self
    }

    /// Height and width that pictures are brought to. Unless said: their own, if all are of one size of at most 64, else 64.
    pub fn size(mut self, height: usize, width: usize) -> Self {
        self.size = Some([height, width]);
        self
    }

    /// Channels of pictures: 1 for grey, 3 for colour. Unless said: 3 if there is colour in one of some that are looked at.
    pub fn channels(mut self, channels: usize) -> Self {
        self.channels = Some(channels);
        self
    }

    /// How pictures are brought to their size. Unless said: stretched where that changes the proportions of none by much, else
    /// scaled and cut ([`Pictures::Crop`]).
    pub fn fit(mut self, fit: Pictures) -> Self {
        self.fit = Some(fit);
        self
    }

    /// The characters of a window of running text; a file is then taken for running text, whatever it looks like. Unless said: 64, of a
    /// short text fewer.
    pub fn context(mut self, characters: usize) -> Self {
        self.context = Some(characters);
        self
    }

    /// Leaves out pictures that cannot be read, instead of failing with the first one's name.
    pub fn skip_unreadable(mut self, skip: bool) -> Self {
        self.skip_unreadable = skip;
        self
    }

    /// How much is set aside to judge by, where the data have no test part; a fifth unless said.
    pub fn test(mut self, amount: impl Into<Amount>) -> Self {
        self.test = Some(amount.into());
        self
    }

    /// How much of the training part is set aside to choose by while training, where the data have no such part.
    pub fn validation(mut self, amount: impl Into<Amount>) -> Self {
        self.validation = Some(amount.into());
        self
    }

    /// The seed of what is set aside.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Bytes that decoded pictures may take to be kept in memory; 2 GiB unless said. Larger sets are decoded anew in every epoch, by
    /// threads ahead of the training.
    pub fn memory(mut self, bytes: u64) -> Self {
        self.memory = bytes;
        self
    }

    /// What is told while pictures are read: how many are, and how many there are.
    pub fn reading(mut self, tell: impl Fn(usize, usize) + Send + Sync + 'static) -> Self {
        self.reading = Some(Arc::new(tell));
        self
    }

    /// The data set at this path.
    ///
    /// # Errors
    ///
    /// There is nothing that is known, a file cannot be read, or nothing can be learned from it; one sentence says why.
    pub fn open(&self, path: impl AsRef<Path>) -> Result<Dataset> {
        let path = path.as_ref();
        if path.is_dir() {
            return self.open_folder(path);
        }
        if !path.exists() {
            return Err(Error::file(path, "there is no such file or folder"));
        }
        if is_arrays(path) {
            #[cfg(feature = "arrays")]
            return arrays::open(path, name_of(path), self);
            #[cfg(not(feature = "arrays"))]
            return Err(Error::file(
                path,
                "arrays of NumPy are read with the feature `arrays`",
            ));
        }
        let text = || {
            let files = [vec![path.to_path_buf()], Vec::new(), Vec::new()];
            texts::open(name_of(path), path, files, self)
        };
        if self.context.is_some() {
            return text();
        }
        let is_told = self.target.is_some() || self.learn.is_some() || !self.columns.is_empty();
        let sheet = Sheet::read(path);
        let is_table = |sheet: &Sheet| sheet.names().len() > 1;
        if !is_told && !sheet.as_ref().is_ok_and(is_table) && texts::is_running(path) {
            return text();
        }
        let sheet = sheet?;
        #[cfg(feature = "images")]
        if let Some(files) = ImageFiles::listed(&sheet, self.target.as_deref())? {
            return images::open(files, name_of(path), path, self);
        }
        rows::open(name_of(path), path, [Some(sheet), None, None], self)
    }

    /// Samples to judge a model by, made of the data at this path as those that it was trained on: all of them, or the test part, if there
    /// is one.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open); a class or a column is none that the model knows.
    pub fn open_like(&self, path: impl AsRef<Path>, model: &Learned<'_>) -> Result<Split> {
        let path = path.as_ref();
        let table_of = |path: &Path| -> Result<Sheet> {
            match path.is_dir() {
                false => Sheet::read(path),
                true => {
                    let test = table_named(path, PARTS[2]);
                    Sheet::read(
                        test.ok_or_else(|| Error::file(path, "there is no table test.csv in it"))?,
                    )
                }
            }
        };
        if let (Some(vocabulary), &[context]) = (model.vocabulary, model.shape) {
            return texts::like(path, vocabulary, context);
        }
        if let Some(table) = model.table {
            return rows::like(&table_of(path)?, table, model.target, model.class_names);
        }
        #[cfg(feature = "images")]
        if let &[channels, height, width] = model.shape
            && !is_idx_folder(path)
            && !is_arrays(path)
        {
            let files = match path.is_dir() {
                true => Some(ImageFiles::within(path)?),
                false => ImageFiles::listed(&Sheet::read(path)?, self.target.as_deref())?,
            };
            if let Some(files) = files {
                return images::like(
                    &files,
                    model.class_names,
                    [channels, height, width],
                    model.pictures,
                    self,
                );
            }
        }
        Ok(self.open(path)?.test)
    }

    fn open_folder(&self, folder: &Path) -> Result<Dataset> {
        if is_idx_folder(folder) {
            return Dataset::from_idx_folder(folder);
        }
        if let Some(set) = NamedSet::recognized(folder) {
            return set.from_folder(folder);
        }
        let tables = PARTS.map(|names| table_named(folder, names));
        let is_running = |path: &PathBuf| self.context.is_some() || texts::is_running(path);
        if tables[0].as_ref().is_none_or(is_running)
            && let Some(files) = texts::in_folder(folder)
        {
            return texts::open(name_of(folder), folder, files, self);
        }
        if let [Some(_), ..] = tables {
            let read = |path: Option<PathBuf>| path.map(Sheet::read).transpose();
            let [train, validation, test] = tables;
            let sheets = [read(train)?, read(validation)?, read(test)?];
            return rows::open(name_of(folder), folder, sheets, self);
        }
        #[cfg(feature = "images")]
        {
            images::open(ImageFiles::within(folder)?, name_of(folder), folder, self)
        }
        #[cfg(not(feature = "images"))]
        Err(Error::file(
            folder,
            "there are no tables train.csv and test.csv and no IDX files in it; pictures are read with the feature `images`",
        ))
    }

    /// Which samples are trained on, chosen by and judged by, where the last two are no parts of their own (`has_own`). Each class in its
    /// share, if the samples are of classes.
    fn parts(&self, all: &Split, are_classes: bool, has_own: [bool; 2]) -> Result<[Vec<usize>; 3]> {
        let [has_validation, has_test] = has_own;
        let places = |part: &Split| -> Vec<usize> {
            (0..part.len()).filter_map(|at| part.origin(at)).collect()
        };
        let cut = |rest: &mut Split, amount: Amount, seed: u64| -> Result<Vec<usize>> {
            let rule = match are_classes {
                true => Rule::Stratified,
                false => Rule::Random,
            };
            let (left, aside) = rest.part(amount, rule, seed)?;
            *rest = left;
            Ok(places(&aside))
        };
        let mut rest = all.clone();
        let test = match has_test {
            true => Vec::new(),
            false if all.len() < 2 => {
                return Err(Error::new(
                    "there is 1 sample; at least 2 are needed, to train on one and to judge by the other",
                ));
            }
            false => {
                let usual = Amount::Fraction(TEST);
                cut(&mut rest, self.test.unwrap_or(usual), self.seed)?
            }
        };
        let validation = match self.validation {
            Some(amount) if !has_validation => cut(&mut rest, amount, self.seed ^ 1)?,
            _ => Vec::new(),
        };
        Ok([places(&rest), validation, test])
    }
}

/// A data set's name: that of the file or folder, without ending.
fn name_of(path: &Path) -> String {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
    let name = match whole.is_dir() {
        true => whole.file_name(),
        // `houses.csv.gz` is named `houses`.
        false => whole
            .file_stem()
            .map(Path::new)
            .and_then(|stem| match stem.extension() {
                Some(end)
                    if ["csv", "tsv", "jsonl"]
                        .iter()
                        .any(|e| end.eq_ignore_ascii_case(e)) =>
                {
                    stem.file_stem()
                }
                _ => stem.file_name(),
            }),
    };
    match name {
        Some(name) => name.to_string_lossy().into_owned(),
        None => path.display().to_string(),
    }
}

fn is_arrays(path: &Path) -> bool {
    let end = path
        .extension()
        .unwrap_or_default()
        .to_string_lossy()
        .to_lowercase();
    !path.is_dir() && matches!(&*end, "npz" | "npy")
}

/// Samples of which a mean and a deviation are learned.
#[cfg(any(feature = "images", feature = "arrays"))]
const LEARNED_FROM: usize = 2_000;

/// A data set of samples, with parts of their own where these are not empty; values are normalized by what is learned on the training
/// part.
#[cfg(any(feature = "images", feature = "arrays"))]
fn assembled(
    name: String,
    path: &Path,
    whole: Split,
    own: [Split; 2],
    class_names: Vec<String>,
    options: &DataOptions,
) -> Result<Dataset> {
    let fail = |error: Error| Error::file(path, error);
    let has_own = own.each_ref().map(|part| !part.is_empty());
    let places = options
        .parts(&whole, !class_names.is_empty(), has_own)
        .map_err(fail)?;
    let cut = |places: &[usize]| match places.len() == whole.len() {
        true => Ok(whole.clone()),
        false => whole.subset(places),
    };
    let part = |own: Split, places: &[usize]| match own.is_empty() {
        true if places.is_empty() => Ok(Split::empty()),
        true => cut(places),
        false => Ok(own),
    };
    let [validation, test] = own;
    let train = cut(&places[0])?;
    let some = evenly(train.len(), LEARNED_FROM);
    let values = Columns::new().with("x", train.subset(&some)?.column("x")?);
    let normalization = Normalization::of(&Split::of(values)?)?;
    let mut dataset = Dataset::of(name)
        .train(train)?
        .validation(part(validation, &places[1])?)
        .map_err(fail)?
        .test(part(test, &places[2])?)
        .map_err(fail)?;
    if !class_names.is_empty() {
        dataset = dataset.class_names(class_names)?;
    }
    dataset.normalization = normalization;
    dataset.source = path.canonicalize().ok();
    Ok(dataset)
}

/// Numbers below `len`, at most so many, evenly spread.
#[cfg(any(feature = "images", feature = "arrays"))]
fn evenly(len: usize, most: usize) -> Vec<usize> {
    let every = len.div_ceil(most).max(1);
    (0..len).step_by(every).collect()
}

fn is_idx_folder(folder: &Path) -> bool {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .any(|name| name.ends_with("-ubyte") || name.ends_with("-ubyte.gz"))
}

fn table_named(folder: &Path, names: &[&str]) -> Option<PathBuf> {
    let endings = [
        "csv", "tsv", "txt", "jsonl", "json", "csv.gz", "tsv.gz", "jsonl.gz",
    ];
    let all = names.iter().flat_map(|name| {
        endings
            .iter()
            .map(move |ending| folder.join(format!("{name}.{ending}")))
    });
    all.into_iter().find(|path| path.is_file())
}
