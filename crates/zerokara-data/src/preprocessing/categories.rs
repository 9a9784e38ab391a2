//! Texts that are one of a list.

use crate::error::{Error, Result, named};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// What becomes of a text that was not there when the list was learned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unseen {
    /// It is an error.
    #[default]
    Error,
    /// All such texts share a place of their own, behind the list.
    Place,
}

/// A list of texts, each of which has a number: the values of a column, or the names of a target's classes.
///
/// # Example
///
/// ```
/// use zerokara_data::{Categories, Unseen};
///
/// let jobs = Categories::fit(["nurse", "baker", "nurse"], Unseen::Place)?;
/// assert_eq!((jobs.index("nurse")?, jobs.index("pilot")?, jobs.len()), (1, 2, 3));
/// assert_eq!(jobs.one_hot("baker")?, [1.0, 0.0, 0.0]);
///
/// let animals = Categories::of(["cat", "dog"])?;
/// assert_eq!(animals.name(1), Some("dog"));
/// assert!(animals.index("cow").unwrap_err().to_string().contains("\"cat\""));
/// # Ok::<(), zerokara_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct Categories {
    values: Vec<String>,
    unseen: Unseen,
    numbers: HashMap<String, usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    values: Vec<String>,
    #[serde(default)]
    unseen: Unseen,
}

impl From<Categories> for Record {
    fn from(categories: Categories) -> Self {
        Record {
            values: categories.values,
            unseen: categories.unseen,
        }
    }
}

impl TryFrom<Record> for Categories {
    type Error = Error;

    fn try_from(record: Record) -> Result<Self> {
        Categories::listed(record.values, record.unseen)
    }
}

impl Categories {
    /// These texts in this order; any other is an error.
    ///
    /// # Errors
    ///
    /// A text is there twice, or there is none.
    pub fn of<T: Into<String>>(values: impl IntoIterator<Item = T>) -> Result<Self> {
        let values = values.into_iter().map(Into::into).collect();
        Categories::listed(values, Unseen::Error)
    }

    /// The texts that are there, each once, in the order of their characters. An empty text is one like any other.
    ///
    /// # Errors
    ///
    /// There is no text.
    pub fn fit<T: Into<String>>(
        values: impl IntoIterator<Item = T>,
        unseen: Unseen,
    ) -> Result<Self> {
        let values: BTreeSet<String> = values.into_iter().map(Into::into).collect();
        Categories::listed(values.into_iter().collect(), unseen)
    }

    /// The same list, in which texts that are not in it have a place of their own.
    pub fn with_place(mut self) -> Self {
        self.unseen = Unseen::Place;
        self
    }

    fn listed(values: Vec<String>, unseen: Unseen) -> Result<Self> {
        if values.is_empty() {
            return Err(Error::new("there is no value to make a list of"));
        }
        let mut numbers = HashMap::with_capacity(values.len());
        for (number, value) in values.iter().enumerate() {
            if numbers.insert(value.clone(), number).is_some() {
                return Err(Error::new(format!("{value:?} is in the list twice")));
            }
        }
        Ok(Categories {
            values,
            unseen,
            numbers,
        })
    }

    /// How many numbers there are, that of unseen texts included.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.values.len() + usize::from(self.unseen == Unseen::Place)
    }

    /// The texts, in the order of their numbers.
    pub fn values(&self) -> &[String] {
        &self.values
    }

    /// What becomes of other texts.
    pub fn unseen(&self) -> Unseen {
        self.unseen
    }

    /// The number of a text of the list.
    pub(crate) fn number(&self, value: &str) -> Option<usize> {
        self.numbers.get(value).copied()
    }

    /// The number of a text.
    ///
    /// # Errors
    ///
    /// It is not in the list, and [`Unseen::Error`] was asked for.
    pub fn index(&self, value: &str) -> Result<usize> {
        match (self.numbers.get(value), self.unseen) {
            (Some(&number), _) => Ok(number),
            (None, Unseen::Place) => Ok(self.values.len()),
            (None, Unseen::Error) => {
                const SHOWN: usize = 10;
                Err(Error::new(format!(
                    "{value:?} was not there when the list was learned; known are {}",
                    named(&self.values, SHOWN)
                )))
            }
        }
    }

    /// The text of a number; `None` for that of unseen texts, and beyond.
    pub fn name(&self, index: usize) -> Option<&str> {
        self.values.get(index).map(String::as_str)
    }

    /// [`len`](Self::len) numbers, 1 at the number of the text and 0 elsewhere.
    ///
    /// # Errors
    ///
    /// As [`index`](Self::index).
    pub fn one_hot(&self, value: &str) -> Result<Vec<f32>> {
        let mut row = vec![0.0; self.len()];
        row[self.index(value)?] = 1.0;
        Ok(row)
    }
}
