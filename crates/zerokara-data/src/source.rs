//! Where samples come from: memory, or whatever makes them on demand.

use crate::columns::Columns;
use crate::error::{Error, Result};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use zerokara_core::{Array, Arrays, Axis, Port};

/// Why a sample could not be made: any error, so that `?` takes those of files and parsers.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Samples of named columns.
///
/// [`Columns`] holds them in memory, [`Lazy`] makes each by a function. A type of one's own says how many samples there are,
/// what their columns are, and how one is made; several threads make samples at once, ahead of the step
/// ([`Feeder`](crate::Feeder)).
///
/// # Example
///
/// ```
/// use std::path::PathBuf;
/// use zerokara_core::{Array, Arrays, DType, Port};
/// use zerokara_data::{Failure, Source, Split};
///
/// /// The bytes of files, however long each is.
/// struct Files {
///     paths: Vec<PathBuf>,
///     columns: [Port; 1],
/// }
///
/// impl Source for Files {
///     fn len(&self) -> usize {
///         self.paths.len()
///     }
///     fn columns(&self) -> &[Port] {
///         &self.columns
///     }
///     fn sample(&self, index: usize) -> Result<Arrays, Failure> {
///         let bytes = std::fs::read(&self.paths[index])?;
///         let tokens: Vec<i64> = bytes.into_iter().map(i64::from).collect();
///         Ok(Arrays::one("tokens", Array::new([tokens.len()], tokens)))
///     }
/// }
///
/// let columns = [Port::new("tokens", DType::I64, ["length"])];
/// let split = Split::of(Files { paths: vec!["Cargo.toml".into(), "gone".into()], columns })?;
/// assert!(split.at(0)?.get("tokens").is_some());
/// assert!(split.at(1).unwrap_err().to_string().starts_with("sample 1: "));
/// # Ok::<(), zerokara_data::Error>(())
/// ```
pub trait Source: Send + Sync {
    /// Number of samples.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name, element type and axes of each column, for one sample: an axis is of a fixed length, or has a name where its
    /// length differs from sample to sample. Axes of one sample that have the same name are of the same length.
    fn columns(&self) -> &[Port];

    /// Makes a sample: a value for each column. It is called from several threads at once, for numbers below
    /// [`len`](Self::len) in any order, and gives the same sample for the same number.
    ///
    /// # Errors
    ///
    /// Whatever hinders it. Whoever asked is told with the sample's number; so is a panic.
    fn sample(&self, index: usize) -> Result<Arrays, Failure>;

    /// Makes a sample for an epoch of a loader that shuffles by this seed ([`Loader::shuffle`](crate::Loader::shuffle)): the same
    /// one as [`sample`](Self::sample) unless a source draws its samples anew in every epoch. It gives the same for the same three
    /// numbers, so that a training that was cut off goes on with the same samples.
    ///
    /// # Errors
    ///
    /// As [`sample`](Self::sample).
    fn drawn(&self, index: usize, seed: u64, epoch: u64) -> Result<Arrays, Failure> {
        let _ = (seed, epoch);
        self.sample(index)
    }

    /// The length of a sample in this column, along the first axis that differs from sample to sample, if it is known
    /// without making the sample. Batches of samples of like lengths need it ([`Loader::bucket`](crate::Loader::bucket)).
    fn length(&self, index: usize, column: &str) -> Option<usize> {
        let _ = (index, column);
        None
    }

    /// The class of every sample in this column, if it holds classes and they are known without making samples. Splits that keep
    /// each class's share ([`Rule::Stratified`](crate::Rule::Stratified)) need it.
    fn classes(&self, column: &str) -> Option<&[i64]> {
        let _ = column;
        None
    }

    /// The columns, if they are in memory: batches are then copied straight out of them.
    fn in_memory(&self) -> Option<&Columns> {
        None
    }
}

type Make = dyn Fn(usize) -> Result<Arrays, Failure> + Send + Sync;

/// Samples made on demand by a function.
///
/// # Example
///
/// ```
/// use zerokara_core::{Array, Arrays, DType, Port};
/// use zerokara_data::{Lazy, Split};
///
/// let lines = ["one", "three", "seventeen"];
/// let texts = Lazy::new(lines.len(), [Port::new("tokens", DType::I64, ["length"])], move |index| {
///     let tokens: Vec<i64> = lines[index].bytes().map(i64::from).collect();
///     Ok(Arrays::one("tokens", Array::new([tokens.len()], tokens)))
/// });
/// assert_eq!(Split::of(texts)?.at(1)?.get("tokens").map(|tokens| tokens.len()), Some(5));
/// # Ok::<(), zerokara_data::Error>(())
/// ```
pub struct Lazy {
    len: usize,
    columns: Vec<Port>,
    lengths: Vec<(String, Vec<usize>)>,
    classes: Vec<(String, Vec<i64>)>,
    make: Box<Make>,
}

impl Lazy {
    /// So many samples of these columns, each made by `make` from its number.
    pub fn new(
        len: usize,
        columns: impl IntoIterator<Item = Port>,
        make: impl Fn(usize) -> Result<Arrays, Failure> + Send + Sync + 'static,
    ) -> Self {
        Lazy {
            len,
            columns: columns.into_iter().collect(),
            lengths: Vec::new(),
            classes: Vec::new(),
            make: Box::new(make),
        }
    }

    /// Says of which class each sample is in a column, where that is known beforehand ([`Source::classes`]).
    pub fn classes(mut self, column: impl Into<String>, classes: Vec<i64>) -> Self {
        self.classes.push((column.into(), classes));
        self
    }

    /// Says how long each sample is in a column, where that is known beforehand ([`Source::length`]).
    pub fn lengths(mut self, column: impl Into<String>, lengths: Vec<usize>) -> Self {
        self.lengths.push((column.into(), lengths));
        self
    }
}

impl fmt::Debug for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lazy({} samples of {})", self.len, list(&self.columns))
    }
}

impl Source for Lazy {
    fn len(&self) -> usize {
        self.len
    }

    fn columns(&self) -> &[Port] {
        &self.columns
    }

    fn sample(&self, index: usize) -> Result<Arrays, Failure> {
        (self.make)(index)
    }

    fn classes(&self, column: &str) -> Option<&[i64]> {
        let (_, classes) = self.classes.iter().find(|(name, _)| name == column)?;
        (classes.len() == self.len).then_some(&classes[..])
    }

    fn length(&self, index: usize, column: &str) -> Option<usize> {
        let (_, lengths) = self.lengths.iter().find(|(name, _)| name == column)?;
        lengths.get(index).copied()
    }
}

/// Ports as a message lists them.
pub(crate) fn list(ports: &[Port]) -> String {
    match ports {
        [] => "nothing".into(),
        ports => {
            let each: Vec<String> = ports.iter().map(Port::to_string).collect();
            each.join(", ")
        }
    }
}

/// What is wrong with the columns of a source.
pub(crate) fn check_columns(columns: &[Port]) -> Result<()> {
    for (at, port) in columns.iter().enumerate() {
        if port.name.is_empty() {
            return Err(Error::new(format!("column {at} has no name; give it one")));
        }
        if columns[..at].iter().any(|other| other.name == port.name) {
            return Err(Error::new(format!(
                "two columns are named {:?}; give each a name of its own",
                port.name
            )));
        }
        if port.axes.contains(&Axis::Fixed(0)) {
            return Err(Error::new(format!(
                "the column {port} has a length of 0; every size must be at least 1"
            )));
        }
    }
    Ok(())
}

/// The epoch that a sample is drawn for.
#[derive(Clone, Copy)]
pub(crate) struct Draw {
    pub seed: u64,
    pub epoch: u64,
}

/// Makes a sample and looks whether it is what the columns say. Errors, panics of the source among them, are told with the
/// sample's number.
pub(crate) fn make(source: &dyn Source, index: usize, draw: Option<Draw>) -> Result<Arrays> {
    // The text of an error is its author's code too, and so is its end.
    let made = catch_unwind(AssertUnwindSafe(|| {
        let made = match draw {
            None => source.sample(index),
            Some(Draw { seed, epoch }) => source.drawn(index, seed, epoch),
        };
        let made = made.map_err(|failure| failure.to_string())?;
        check_sample(source.columns(), &made)?;
        Ok(made)
    }));
    let why = match made {
        Ok(Ok(made)) => return Ok(made),
        Ok(Err(why)) => why,
        Err(panic) => {
            let words = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_string())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            // What was thrown may panic again where it ends.
            std::mem::forget(panic);
            match words {
                Some(words) => format!("the source panicked: {words}"),
                None => "the source panicked".into(),
            }
        }
    };
    Err(Error::new(format!("sample {index}: {why}")))
}

/// Whether a sample has a fitting value for each column.
fn check_sample(columns: &[Port], made: &Arrays) -> Result<(), String> {
    let mut lengths: Vec<(&str, usize, &Port)> = Vec::new();
    for port in columns {
        let Some(array) = made.get(&port.name) else {
            return Err(format!(
                "there is no value for the column {port}; there are {}",
                made.list()
            ));
        };
        array.valid().map_err(|error| error.to_string())?;
        if !fits(port, array) {
            return Err(format!("{} does not fit the column {port}", array.meta()));
        }
        for (axis, &length) in port.axes.iter().zip(array.shape()) {
            let Axis::Any(name) = axis else { continue };
            match lengths.iter().find(|(known, ..)| *known == &**name) {
                None => lengths.push((name, length, port)),
                Some((_, known, _)) if *known == length => {}
                Some((_, known, other)) => {
                    return Err(format!(
                        "{name} is {known} in the column {other}, but {length} in the column {port}"
                    ));
                }
            }
        }
    }
    Ok(())
}

/// Whether the value of one sample is what the column says.
pub(crate) fn fits(port: &Port, array: &Array) -> bool {
    array.dtype() == port.dtype
        && array.shape().len() == port.axes.len()
        && port
            .axes
            .iter()
            .zip(array.shape())
            .all(|(axis, &length)| axis.fixed().is_none_or(|fixed| fixed == length))
}

/// Whether all samples of the column have the same shape.
pub(crate) fn is_fixed(port: &Port) -> bool {
    port.axes.iter().all(|axis| axis.fixed().is_some())
}

/// The shape of one sample, if all samples have the same.
pub(crate) fn fixed_shape(port: &Port) -> Option<Vec<usize>> {
    port.axes.iter().map(Axis::fixed).collect()
}
