//! A list of samples, and the ways to look at it.

use crate::columns::{Columns, copy_into};
use crate::error::{Error, Result};
use crate::random::{Purpose, Random};
use crate::source::{Source, check_columns, fixed_shape, list, make};
use std::fmt;
use std::sync::{Arc, OnceLock};
use zerokara_core::{Array, Arrays, Axis, DType, Elements, Meta, Port};

/// The values of all samples of a set, one sample after the other.
#[derive(Clone, Debug, PartialEq)]
pub enum Samples {
    /// Bytes from 0 to 255, as pixels are stored.
    U8(Vec<u8>),
    /// Numbers, as tables hold them.
    F32(Vec<f32>),
}

impl Samples {
    /// Number of values, of all samples together.
    pub fn len(&self) -> usize {
        match self {
            Samples::U8(values) => values.len(),
            Samples::F32(values) => values.len(),
        }
    }

    /// Whether there is no value at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Vec<u8>> for Samples {
    fn from(values: Vec<u8>) -> Self {
        Samples::U8(values)
    }
}

impl From<Vec<f32>> for Samples {
    fn from(values: Vec<f32>) -> Self {
        Samples::F32(values)
    }
}

/// Samples to train on or to judge by: all of a [`Source`], or some of them, and which columns are inputs and which targets.
///
/// The source is shared: cloning a split, or cutting it with [`subset`](Split::subset), [`take`](Split::take),
/// [`validation`](Split::validation) or [`part`](Split::part), copies no sample.
///
/// # Example
///
/// Labelled samples of one shape, the inputs `x` with the targets `t`:
///
/// ```
/// use zerokara_data::Split;
///
/// // Three images of 1 × 2 × 2 pixels.
/// let pixels: Vec<u8> = (0..12).collect();
/// let split = Split::new(pixels, &[1, 2, 2], vec![0, 1, 0])?;
/// assert_eq!(split.len(), 3);
/// assert_eq!(split.sample(1), [4.0, 5.0, 6.0, 7.0]);
/// # Ok::<(), zerokara_data::Error>(())
/// ```
///
/// Any columns:
///
/// ```
/// use zerokara_core::Array;
/// use zerokara_data::{Columns, Split};
///
/// let columns = Columns::new()
///     .with("image", Array::new([2, 1, 2, 2], vec![0.0f32; 8]))
///     .with("author", Array::new([2], vec![7i64, 3]))
///     .with("score", Array::new([2, 1], vec![4.5f32, 2.0]));
/// let split = Split::of(columns)?.targets(["score"])?; // all others are inputs
/// assert_eq!(split.input_ports()[1].to_string(), "author: i64 []");
/// assert_eq!(split.column("score")?.shape(), [2, 1]);
/// # Ok::<(), zerokara_data::Error>(())
/// ```
#[derive(Clone)]
pub struct Split {
    source: Arc<dyn Source>,
    /// For a part of a set, the place of each of its samples in the source.
    places: Option<Arc<[usize]>>,
    /// Numbers of the columns.
    inputs: Arc<[usize]>,
    targets: Arc<[usize]>,
    /// Whether the inputs were named, rather than being all columns that are no targets.
    named: bool,
    /// Shape of one sample of the first input; a length that differs is 0.
    shape: Arc<[usize]>,
    /// Made when they are asked for.
    labels: OnceLock<Arc<[i64]>>,
}

impl Split {
    /// Makes a split of samples of the given shape, such as `[1, 28, 28]` for grey images (channels, height, width) or
    /// `[4]` for rows of a table, with one label each: the column `x` and the target `t`.
    ///
    /// # Errors
    ///
    /// The number of values is not the number of labels times the product of the shape, a size in the shape is 0, or
    /// a label is negative.
    pub fn new(samples: impl Into<Samples>, shape: &[usize], labels: Vec<i64>) -> Result<Self> {
        let samples = samples.into();
        let values = shape
            .iter()
            .try_fold(1usize, |product, &size| product.checked_mul(size))
            .filter(|&values| values > 0 && !shape.is_empty())
            .ok_or_else(|| {
                Error::new(format!(
                    "a sample cannot have the shape {shape:?}; every size must be at least 1"
                ))
            })?;
        if labels.len().checked_mul(values) != Some(samples.len()) {
            return Err(Error::new(format!(
                "{} values make {} samples of shape {shape:?} ({values} values each){}, but there are {} labels",
                samples.len(),
                samples.len() / values,
                match samples.len() % values {
                    0 => String::new(),
                    rest => format!(" with {rest} values left over"),
                },
                labels.len()
            )));
        }
        if let Some(at) = labels.iter().position(|&label| label < 0) {
            return Err(Error::new(format!(
                "label {} of sample {at} is negative; labels count from 0",
                labels[at]
            )));
        }
        let whole = [&[labels.len()], shape].concat();
        let values = match samples {
            Samples::U8(values) => Array::new(whole, values),
            Samples::F32(values) => Array::new(whole, values),
        };
        let columns = Columns::new()
            .with("x", values)
            .with("t", Array::new([labels.len()], labels));
        Split::of(columns)
    }

    /// All samples of a source. Until [`inputs`](Self::inputs) and [`targets`](Self::targets) say otherwise, the column
    /// named `t` is the target, if there is one, and all others are inputs.
    ///
    /// # Errors
    ///
    /// Columns do not fit each other: numbers of samples differ, a name is there twice, a sample is not what its column says.
    pub fn of(source: impl Source + 'static) -> Result<Self> {
        if let Some(columns) = source.in_memory() {
            columns.check()?;
        }
        check_columns(source.columns())?;
        let (targets, inputs) =
            (0..source.columns().len()).partition(|&at| &*source.columns()[at].name == "t");
        Ok(Split::over(Arc::new(source)).with_columns(inputs, targets))
    }

    /// No samples: what stands for a part that a data set does not have.
    pub fn empty() -> Self {
        Split::over(Arc::new(Columns::new()))
    }

    /// All samples of a source, of which no column is an input or a target yet.
    fn over(source: Arc<dyn Source>) -> Self {
        Split {
            source,
            places: None,
            inputs: Arc::default(),
            targets: Arc::default(),
            named: false,
            shape: Arc::default(),
            labels: OnceLock::new(),
        }
    }

    fn with_columns(mut self, inputs: Vec<usize>, targets: Vec<usize>) -> Self {
        let first = inputs.first().map(|&at| &self.source.columns()[at]);
        let length = |axis: &Axis| axis.fixed().unwrap_or(0);
        self.shape = first
            .map(|port| port.axes.iter().map(length).collect())
            .unwrap_or_default();
        self.labels = OnceLock::new();
        self.inputs = inputs.into();
        self.targets = targets.into();
        self
    }

    fn numbers<N: AsRef<str>>(&self, names: impl IntoIterator<Item = N>) -> Result<Vec<usize>> {
        let mut numbers = Vec::new();
        for name in names {
            let at = self.number(name.as_ref())?;
            if numbers.contains(&at) {
                return Err(Error::new(format!(
                    "the column {:?} is named twice",
                    name.as_ref()
                )));
            }
            numbers.push(at);
        }
        Ok(numbers)
    }

    fn number(&self, name: &str) -> Result<usize> {
        let columns = self.source.columns();
        let found = columns.iter().position(|port| &*port.name == name);
        found.ok_or_else(|| {
            Error::new(format!(
                "there is no column {name:?}; there are {}",
                list(columns)
            ))
        })
    }

    /// The columns that a model is given, in this order; a column may be both input and target.
    ///
    /// # Errors
    ///
    /// There is no such column.
    pub fn inputs<N: AsRef<str>>(mut self, names: impl IntoIterator<Item = N>) -> Result<Self> {
        self.named = true;
        let inputs = self.numbers(names)?;
        let targets = self.targets.to_vec();
        Ok(self.with_columns(inputs, targets))
    }

    /// The columns that a model is to learn, in this order. Unless [`inputs`](Self::inputs) names the inputs, they are all other
    /// columns. A target may be a class (`i64 []`), several classes (`f32 [C]` of 0 and 1), numbers (`f32 [D]`), or tokens
    /// (`i64 [length]`); there may be none.
    ///
    /// # Errors
    ///
    /// There is no such column.
    pub fn targets<N: AsRef<str>>(self, names: impl IntoIterator<Item = N>) -> Result<Self> {
        let targets = self.numbers(names)?;
        let inputs = match self.named {
            true => self.inputs.to_vec(),
            false => (0..self.source.columns().len())
                .filter(|at| !targets.contains(at))
                .collect(),
        };
        Ok(self.with_columns(inputs, targets))
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        match &self.places {
            None => self.source.len(),
            Some(places) => places.len(),
        }
    }

    /// Whether there is no sample.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Name, element type and axes of each input, for one sample.
    pub fn input_ports(&self) -> Vec<Port> {
        self.ports(&self.inputs)
    }

    /// Name, element type and axes of each target, for one sample.
    pub fn target_ports(&self) -> Vec<Port> {
        self.ports(&self.targets)
    }

    fn ports(&self, columns: &[usize]) -> Vec<Port> {
        let all = self.source.columns();
        columns.iter().map(|&at| all[at].clone()).collect()
    }

    /// Whether the samples lie in memory, rather than being made on demand.
    pub fn is_in_memory(&self) -> bool {
        self.source.in_memory().is_some()
    }

    /// Shape of one sample of the first input, `[C, H, W]` for images; a length that differs from sample to sample is 0.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of values of one sample: the product of [`shape`](Split::shape).
    pub fn sample_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// How many samples each of so many classes has; where labels are not known beforehand ([`labels`](Self::labels)), none.
    ///
    /// ```
    /// use zerokara_data::Split;
    ///
    /// let split = Split::new(vec![0u8; 4], &[1], vec![2, 0, 2, 2])?;
    /// assert_eq!(split.class_counts(4), [1, 0, 3, 0]);
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn class_counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &label in self.labels() {
            if let Some(count) = counts.get_mut(label as usize) {
                *count += 1;
            }
        }
        counts
    }

    /// The labels, in the order of the samples; empty unless the target is one class, `i64 [N]`, that is known
    /// without making samples.
    pub fn labels(&self) -> &[i64] {
        let Some(all) = self.classes() else {
            return &[];
        };
        match &self.places {
            None => all,
            Some(places) => self
                .labels
                .get_or_init(|| places.iter().map(|&place| all[place]).collect()),
        }
    }

    /// The classes of all samples of the source.
    fn classes(&self) -> Option<&[i64]> {
        let &[target] = &*self.targets else {
            return None;
        };
        self.source.classes(&self.source.columns()[target].name)
    }

    /// Whether the values of the first input are bytes, as pixels are.
    pub fn is_u8(&self) -> bool {
        let first = self.inputs.first();
        first.is_some_and(|&at| self.source.columns()[at].dtype == DType::U8)
    }

    /// The number that sample `index` of this split has in its source; `None` if there is no such sample.
    ///
    /// ```
    /// let split = zerokara_data::Split::new(vec![0u8; 5], &[1], vec![0; 5])?;
    /// assert_eq!(split.subset(&[4, 2])?.subset(&[1])?.origin(0), Some(2));
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    pub fn origin(&self, index: usize) -> Option<usize> {
        (index < self.len()).then(|| self.place(index))
    }

    pub(crate) fn place(&self, index: usize) -> usize {
        match &self.places {
            None => index,
            Some(places) => places[index],
        }
    }

    /// The first input's values of sample `index` as they are stored, not normalized, as numbers; empty if there is no such
    /// sample, or it cannot be made.
    pub fn sample(&self, index: usize) -> Vec<f32> {
        let Some(&column) = self.inputs.first() else {
            return Vec::new();
        };
        if let Some((elements, _)) = self.stored(index, column) {
            return floats(elements);
        }
        let name = &self.source.columns()[column].name;
        let made = self.at(index).unwrap_or_default();
        made.get(name)
            .map(|array| floats(array.elements()))
            .unwrap_or_default()
    }

    /// All columns of sample `index`.
    ///
    /// # Errors
    ///
    /// There is no such sample, or its source cannot make it.
    pub fn at(&self, index: usize) -> Result<Arrays> {
        self.check_index(index)?;
        make(&*self.source, self.place(index), None)
    }

    /// A column of all samples, `[N, ...]`.
    ///
    /// # Errors
    ///
    /// There is no such column, its samples differ in size, or a sample cannot be made.
    pub fn column(&self, name: &str) -> Result<Array> {
        let at = self.number(name)?;
        let port = &self.source.columns()[at];
        let Some(shape) = fixed_shape(port) else {
            return Err(Error::new(format!(
                "samples of the column {port} differ in size; they are no array"
            )));
        };
        if let (None, Some(columns)) = (&self.places, self.source.in_memory())
            && let Some(array) = columns.array(name)
        {
            return Ok(array.clone());
        }
        let length = shape.iter().product::<usize>();
        let whole = [&[self.len()], &shape[..]].concat();
        let mut out = Array::try_zeros(&Meta::new(whole, port.dtype))?;
        for index in 0..self.len() {
            match self.stored(index, at) {
                Some((elements, _)) => copy_into(&mut out, index * length, elements),
                None => {
                    let made = self.at(index)?;
                    copy_into(&mut out, index * length, made.find(name)?.elements());
                }
            }
        }
        Ok(out)
    }

    /// The bytes of the first input of sample `index`; `None` if the values are not bytes in memory or there is no such
    /// sample.
    pub fn bytes(&self, index: usize) -> Option<&[u8]> {
        match self.stored(index, *self.inputs.first()?)? {
            (Elements::U8(bytes), _) => Some(bytes),
            _ => None,
        }
    }

    /// Elements and shape of a sample in memory.
    pub(crate) fn stored(&self, index: usize, column: usize) -> Option<(Elements<'_>, &[usize])> {
        let columns = self.source.in_memory()?;
        Some(columns.column(column).sample(self.origin(index)?))
    }

    /// The first input of a sample in memory.
    pub(crate) fn first(&self, index: usize) -> Option<Elements<'_>> {
        Some(self.stored(index, *self.inputs.first()?)?.0)
    }

    pub(crate) fn source(&self) -> &Arc<dyn Source> {
        &self.source
    }

    /// The numbers of the inputs and the targets among the columns of the source.
    pub(crate) fn columns(&self) -> (&[usize], &[usize]) {
        (&self.inputs, &self.targets)
    }

    /// How long a sample is in this column, if that is known without making it.
    pub(crate) fn length(&self, index: usize, column: &str) -> Option<usize> {
        self.source.length(self.origin(index)?, column)
    }

    pub(crate) fn check_index(&self, index: usize) -> Result<()> {
        match index < self.len() {
            true => Ok(()),
            false => Err(Error::new(format!(
                "sample {index} is out of range: there are {} samples, numbered from 0",
                self.len()
            ))),
        }
    }

    fn at_places(&self, places: Arc<[usize]>) -> Split {
        Split {
            places: Some(places),
            labels: OnceLock::new(),
            ..self.clone()
        }
    }

    /// The samples with these numbers, in this order; a number may appear more than once.
    ///
    /// # Errors
    ///
    /// A number is not below [`len`](Split::len).
    pub fn subset(&self, indices: &[usize]) -> Result<Split> {
        for &index in indices {
            self.check_index(index)?;
        }
        Ok(self.at_places(indices.iter().map(|&index| self.place(index)).collect()))
    }

    /// The first `n` samples, or all if there are fewer.
    pub fn take(&self, n: usize) -> Split {
        let n = n.min(self.len());
        self.at_places((0..n).map(|index| self.place(index)).collect())
    }

    /// Numbers of `n` samples drawn by chance with replacement, as the book's `np.random.choice(train_size, n)` does:
    /// a sample may come twice. Empty if the split is. `draw` tells one draw from the next.
    ///
    /// ```
    /// let split = zerokara_data::Split::new(vec![0u8; 100], &[1], vec![0; 100])?;
    /// assert_eq!(split.random_indices(10, 1, 0), split.random_indices(10, 1, 0));
    /// assert_ne!(split.random_indices(10, 1, 0), split.random_indices(10, 1, 1));
    /// # Ok::<(), zerokara_data::Error>(())
    /// ```
    #[doc(alias("choice", "mini_batch"))]
    pub fn random_indices(&self, n: usize, seed: u64, draw: u64) -> Vec<usize> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut random = Random::new(seed, Purpose::Choice, draw, 0);
        (0..n).map(|_| random.below(self.len())).collect()
    }
}

fn floats(elements: Elements<'_>) -> Vec<f32> {
    match elements {
        Elements::F32(x) => x.to_vec(),
        Elements::F64(x) => x.iter().map(|&x| x as f32).collect(),
        Elements::I64(x) => x.iter().map(|&x| x as f32).collect(),
        Elements::U8(x) | Elements::Bool(x) => x.iter().map(|&x| f32::from(x)).collect(),
    }
}

impl fmt::Debug for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (inputs, targets) = (self.input_ports(), self.target_ports());
        let samples = self.len();
        write!(
            f,
            "Split({samples} samples of {} -> {})",
            list(&inputs),
            list(&targets)
        )
    }
}
