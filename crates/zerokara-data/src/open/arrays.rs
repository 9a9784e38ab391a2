//! Arrays of NumPy as data sets.

use super::{DataOptions, Learn, PARTS, assembled};
use crate::columns::Columns;
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::npy::{self, Npy};
use crate::split::Split;
use std::collections::HashMap;
use std::path::Path;
use zerokara_core::{Array, Elements};

/// Names of inputs, and of targets, in lower case; those of parts have the part's name before or behind.
const INPUTS: [&str; 7] = [
    "x", "images", "data", "features", "inputs", "image", "samples",
];
const TARGETS: [&str; 7] = ["y", "t", "labels", "target", "targets", "label", "classes"];
/// Numbers of at most so many different values are classes, if all are whole.
const MOST_CLASSES: usize = 1_000;

/// A data set of the arrays of an archive.
pub(super) fn open(path: &Path, name: String, options: &DataOptions) -> Result<Dataset> {
    let fail = |why: String| Error::file(path, why);
    if path
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("npy"))
    {
        return Err(fail(
            "is one array alone; put inputs and targets into one file: numpy.savez(\"data.npz\", x=.., y=..)".into(),
        ));
    }
    let mut arrays: HashMap<String, Npy> = HashMap::new();
    for (name, array) in npy::read_npz(path)? {
        arrays.insert(name.to_lowercase(), array);
    }
    let mut names: Vec<String> = arrays.keys().cloned().collect();
    names.sort();
    let mut take = |what: &[&str], part: Option<&[&str]>| -> Option<Npy> {
        let whole = |what: &str| match part {
            None => vec![what.to_string()],
            Some(parts) => parts
                .iter()
                .flat_map(|part| [format!("{what}_{part}"), format!("{part}_{what}")])
                .collect(),
        };
        let name = what
            .iter()
            .flat_map(|what| whole(what))
            .find(|name| arrays.contains_key(name))?;
        arrays.remove(&name)
    };
    let mut parts =
        PARTS.map(|part| Some((take(&INPUTS, Some(part))?, take(&TARGETS, Some(part)))));
    if parts[0].is_none() {
        parts[0] = take(&INPUTS, None).map(|inputs| (inputs, take(&TARGETS, None)));
    }
    let mut notes = Vec::new();
    let mut parts = parts.into_iter();
    let Some(Some((inputs, Some(targets)))) = parts.next() else {
        return Err(fail(format!(
            "there are no arrays named x and y, or x_train, y_train, x_test and y_test; there are {}",
            names.join(", ")
        )));
    };
    let values = Values::of(&targets).map_err(fail)?;
    let classes = match options.learn.unwrap_or(values.learn()) {
        Learn::Number => None,
        Learn::Classes => Some(values.classes().map_err(fail)?),
    };
    notes.push(match &classes {
        Some(classes) => format!(
            "the target is learned as {} classes (classification)",
            classes.len()
        ),
        None => "the target is learned as a number (regression)".to_string(),
    });
    let split = |inputs: Npy, targets: Npy| -> Result<Split, String> {
        let x = samples(inputs)?;
        let count = x.shape()[0];
        let values = Values::of(&targets)?;
        let columns = match &classes {
            Some(classes) => {
                let labels = values.labels(classes)?;
                Columns::new()
                    .with("x", x)
                    .with("t", Array::new([labels.len()], labels))
            }
            None => {
                let numbers = values.numbers()?;
                Columns::new()
                    .with("x", x)
                    .with("t", Array::new([numbers.len(), 1], numbers))
            }
        };
        Split::of(columns).map_err(|error| format!("{count} samples: {error}"))
    };
    let whole = split(inputs, targets).map_err(fail)?;
    let mut own = [Split::empty(), Split::empty()];
    for (own, part) in own.iter_mut().zip(parts) {
        match part {
            Some((inputs, Some(targets))) => *own = split(inputs, targets).map_err(fail)?,
            Some((_, None)) => return Err(fail("a part has inputs, but no targets".into())),
            None => {}
        }
    }
    let mut data = assembled(name, path, whole, own, classes.unwrap_or_default(), options)?;
    data.notes = notes;
    Ok(data)
}

/// Inputs as samples: images `[C, H, W]`, or rows.
fn samples(inputs: Npy) -> Result<Array, String> {
    let Npy::Array(array) = inputs else {
        return Err("the inputs are texts, and no numbers".into());
    };
    let shape = array.shape().to_vec();
    if shape.len() < 2 || shape.contains(&0) {
        return Err(format!(
            "the inputs have the shape {shape:?}; rows [N, D] and images [N, H, W], [N, H, W, C] or [N, C, H, W] can be learned from"
        ));
    }
    let array = match array.elements() {
        Elements::U8(_) | Elements::F32(_) => array,
        Elements::Bool(values) => Array::new(&shape[..], values.to_vec()),
        _ => {
            let numbers: Vec<f32> = array.to_f64s().into_iter().map(|x| x as f32).collect();
            Array::new(&shape[..], numbers)
        }
    };
    if let Ok(values) = array.as_slice::<f32>()
        && let Some(at) = values.iter().position(|x| !x.is_finite())
    {
        let each: usize = shape[1..].iter().product();
        return Err(format!(
            "sample {} of the inputs holds {}, which is no number to learn from",
            at / each,
            values[at]
        ));
    }
    Ok(match shape[..] {
        [n, h, w] => array.reshaped([n, 1, h, w]),
        // Channels stand last in images of most programs.
        [n, h, w, c @ (1 | 3 | 4)] if h > 4 && w > 4 => channels_first(&array, [n, h, w, c]),
        _ => array,
    })
}

fn channels_first(array: &Array, [n, h, w, c]: [usize; 4]) -> Array {
    fn turned<T: Copy>(from: &[T], [n, h, w, c]: [usize; 4]) -> Vec<T> {
        let mut to = Vec::with_capacity(from.len());
        for image in 0..n {
            for channel in 0..c {
                let first = image * h * w * c + channel;
                to.extend((0..h * w).map(|pixel| from[first + pixel * c]));
            }
        }
        to
    }
    match array.elements() {
        Elements::U8(values) => Array::new([n, c, h, w], turned(values, [n, h, w, c])),
        Elements::F32(values) => Array::new([n, c, h, w], turned(values, [n, h, w, c])),
        _ => array.clone(),
    }
}

/// Targets: whole numbers, other numbers, or texts, one for each sample.
enum Values {
    Whole(Vec<i64>),
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

impl Values {
    fn of(targets: &Npy) -> Result<Self, String> {
        let shape = targets.shape();
        if !matches!(shape, [_] | [_, 1]) {
            return Err(format!(
                "the targets have the shape {shape:?}; one for each sample, [N], can be learned"
            ));
        }
        Ok(match targets {
            Npy::Texts(texts, _) => Values::Texts(texts.clone()),
            Npy::Array(array) => match array.elements() {
                Elements::I64(x) => Values::Whole(x.to_vec()),
                Elements::U8(x) | Elements::Bool(x) => {
                    Values::Whole(x.iter().map(|&x| i64::from(x)).collect())
                }
                _ => {
                    let numbers = array.to_f64s();
                    if let Some(at) = numbers.iter().position(|x| !x.is_finite()) {
                        return Err(format!(
                            "target {at} is {}, which is no number to learn",
                            numbers[at]
                        ));
                    }
                    Values::Numbers(numbers)
                }
            },
        })
    }

    fn learn(&self) -> Learn {
        match self {
            Values::Texts(_) => Learn::Classes,
            Values::Numbers(_) => Learn::Number,
            Values::Whole(values) => {
                let mut distinct = values.clone();
                distinct.sort_unstable();
                distinct.dedup();
                match distinct.len() <= MOST_CLASSES
                    && (distinct.len() == 2 || distinct.len() * 2 <= values.len())
                {
                    true => Learn::Classes,
                    false => Learn::Number,
                }
            }
        }
    }

    fn names(&self) -> Vec<String> {
        match self {
            Values::Texts(texts) => texts.clone(),
            Values::Whole(values) => values.iter().map(i64::to_string).collect(),
            Values::Numbers(values) => values.iter().map(f64::to_string).collect(),
        }
    }

    /// The classes, in the order of their numbers or letters.
    fn classes(&self) -> Result<Vec<String>, String> {
        let mut names = self.names();
        names.sort();
        names.dedup();
        if !matches!(self, Values::Texts(_)) {
            let number = |name: &String| name.parse::<f64>().unwrap_or(0.0);
            names.sort_by(|a, b| number(a).total_cmp(&number(b)));
        }
        match &names[..] {
            [] => Err("there are no samples".into()),
            [only] => Err(format!(
                "all targets are {only}: there is one class alone, and nothing to tell apart"
            )),
            _ => Ok(names),
        }
    }

    fn labels(&self, classes: &[String]) -> Result<Vec<i64>, String> {
        let places: HashMap<&str, i64> = classes.iter().map(String::as_str).zip(0..).collect();
        let label = |name: &String| {
            places
                .get(name.as_str())
                .copied()
                .ok_or_else(|| format!("the class {name:?} does not come in the training part"))
        };
        self.names().iter().map(label).collect()
    }

    fn numbers(&self) -> Result<Vec<f32>, String> {
        match self {
            Values::Whole(values) => Ok(values.iter().map(|&x| x as f32).collect()),
            Values::Numbers(values) => Ok(values.iter().map(|&x| x as f32).collect()),
            Values::Texts(_) => {
                Err("the targets are texts, which are no numbers; learn classes of them".into())
            }
        }
    }
}
