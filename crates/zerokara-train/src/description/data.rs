//! The data of a run: which they are, how they are read, and by what they are known again.

use super::is_false;
use crate::{
    error::{Error, Result},
    fingerprint::Fingerprint,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use zerokara_data::{Amount, ColumnUse, DataOptions, Dataset, Learn, Pictures, Split};

/// Data by their name or their place, and how they are read: see [`DataOptions`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataDescription {
    /// The name of the data set.
    #[serde(default)]
    pub name: String,
    /// Whether they are the caller's own, and no data set of this name or path.
    #[serde(default, skip_serializing_if = "is_false")]
    pub own: bool,
    /// The file or folder that they are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The column of a table that is learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What is learned of it: `classes` or `number`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learn: Option<String>,
    /// What columns of a table hold: `number`, `category`, `date`, or `ignore`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
    /// Height and width that pictures are brought to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// Channels of pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// How pictures are brought to their size, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fit: Option<String>,
    /// Characters of a window of running text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<usize>,
    /// Whether pictures that cannot be read are left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub skip_unreadable: bool,
    /// What is set aside to judge by, where there is no such part.
    #[serde(default, with = "amount", skip_serializing_if = "Option::is_none")]
    pub test: Option<Amount>,
    /// Only so many samples of each part are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<usize>,
    /// What was found when they were read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub found: Option<DataFacts>,
    /// The run's seed and what it holds back, since tables learn their scales on what remains.
    #[serde(skip)]
    pub(crate) seed: u64,
    #[serde(skip)]
    pub(crate) validation: Option<Amount>,
}

impl DataDescription {
    /// The data set, read from where it is. Data of one's own part off what is held back for validation as they are read.
    ///
    /// # Errors
    /// If the data are a program's own, are not where they were, or cannot be read.
    pub fn load(&self) -> Result<Dataset> {
        self.load_telling(|_, _| ())
    }

    /// As [`DataDescription::load`], telling while pictures are read how many are, and how many there are.
    ///
    /// # Errors
    /// As [`DataDescription::load`].
    pub fn load_telling(
        &self,
        tell: impl Fn(usize, usize) + Send + Sync + 'static,
    ) -> Result<Dataset> {
        if self.own {
            return Err(Error::new(format!(
                "the data {} are those of a program: it alone can go on with the run (Trainer::resume)",
                self.name
            )));
        }
        let mut data = match &self.path {
            Some(path) => self.options()?.reading(tell).open(path)?,
            None => match Dataset::is_named(&self.name) {
                true => Dataset::by_name(&self.name)?,
                false => self.options()?.reading(tell).open(&self.name)?,
            },
        };
        if let Some(limit) = self.limit {
            data.train = data.train.take(limit);
            data.test = data.test.take(limit);
        }
        Ok(data)
    }

    /// Whether they are known by their name, and lie nowhere that is said.
    pub fn is_named(&self) -> bool {
        self.path.is_none() && Dataset::is_named(&self.name)
    }

    /// How they are read.
    fn options(&self) -> Result<DataOptions> {
        let mut options = DataOptions::new()
            .seed(self.seed)
            .skip_unreadable(self.skip_unreadable);
        if let Some(target) = &self.target {
            options = options.target(target);
        }
        if let Some(learn) = &self.learn {
            options = options.learn(match learn.as_str() {
                "classes" => Learn::Classes,
                "number" => Learn::Number,
                other => {
                    return Err(Error::new(format!(
                        "{other:?} cannot be learned; classes or number can"
                    )));
                }
            });
        }
        for (column, using) in &self.columns {
            options = options.column(
                column,
                match using.as_str() {
                    "number" => ColumnUse::Number,
                    "category" => ColumnUse::Category,
                    "date" => ColumnUse::Date,
                    "ignore" => ColumnUse::Ignore,
                    other => {
                        return Err(Error::new(format!(
                            "column {column:?} cannot be used as {other:?}"
                        )));
                    }
                },
            );
        }
        if let Some([height, width]) = self.size {
            options = options.size(height, width);
        }
        if let Some(channels) = self.channels {
            options = options.channels(channels);
        }
        if let Some(fit) = &self.fit {
            let fit = Pictures::from_name(fit).ok_or_else(|| {
                Error::new(format!("pictures cannot be brought to a size by {fit:?}"))
            })?;
            options = options.fit(fit);
        }
        if let Some(context) = self.context {
            options = options.context(context);
        }
        if let Some(test) = self.test {
            options = options.test(test);
        }
        if let Some(validation) = self.validation {
            options = options.validation(validation);
        }
        Ok(options)
    }
}

/// By what data are known again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataFacts {
    /// Inputs and targets of a sample: name, element type and shape.
    pub columns: Vec<String>,
    /// Number of training samples, those that are held back from them among them.
    pub training_samples: usize,
    /// Number of validation samples of their own.
    pub validation_samples: usize,
    /// Number of test samples.
    pub test_samples: usize,
    /// A number made of all values and labels.
    pub fingerprint: String,
}

/// A whole number is a number of samples, any other a share.
pub(super) mod amount {
    use serde::{Deserialize, Deserializer, Serializer};
    use serde_json::Value;
    use zerokara_data::Amount;

    pub fn serialize<S: Serializer>(value: &Option<Amount>, out: S) -> Result<S::Ok, S::Error> {
        match value {
            None => out.serialize_none(),
            Some(Amount::Count(count)) => out.serialize_u64(*count as u64),
            Some(Amount::Fraction(share)) => out.serialize_f64(*share),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Amount>, D::Error> {
        let value = Option::<Value>::deserialize(input)?;
        Ok(value.as_ref().and_then(super::amount_of))
    }
}

/// A number as an amount.
pub(crate) fn amount_of(value: &Value) -> Option<Amount> {
    match (value.as_u64(), value.as_f64()) {
        (Some(count), _) => Some(Amount::Count(count as usize)),
        (None, share) => share.map(Amount::Fraction),
    }
}

impl DataFacts {
    /// What these data are.
    ///
    /// # Errors
    /// If a sample cannot be made.
    pub(crate) fn of(data: &Dataset) -> Result<Self> {
        let mut all = Fingerprint::default();
        // All of a text is in memory, and its windows are soon made.
        let is_whole = data.running_text().is_some();
        for part in [&data.train, &data.validation, &data.test] {
            add(&mut all, part, is_whole)?;
        }
        let ports = data.train.input_ports().into_iter();
        let ports = ports.chain(data.train.target_ports());
        Ok(Self {
            columns: ports.map(|port| port.to_string()).collect(),
            training_samples: data.train.len(),
            validation_samples: data.validation.len(),
            test_samples: data.test.len(),
            fingerprint: all.text(),
        })
    }
}

/// Samples that are made on demand are known again by so many of them: making all would be as much work as an epoch.
const LOOKED_AT: usize = 64;

fn add(all: &mut Fingerprint, split: &Split, is_whole: bool) -> Result<()> {
    all.word(split.len() as u64);
    for &label in split.labels() {
        all.word(label as u64);
    }
    // The commonest case, without making arrays: bytes with labels.
    if split.is_in_memory() && split.is_u8() && !split.labels().is_empty() {
        (0..split.len())
            .filter_map(|at| split.bytes(at))
            .for_each(|bytes| all.bytes(bytes));
        return Ok(());
    }
    let every = match is_whole || split.is_in_memory() {
        true => 1,
        false => split.len().div_ceil(LOOKED_AT).max(1),
    };
    for at in (0..split.len()).step_by(every) {
        for (name, values) in split.at(at)?.iter() {
            all.bytes(name.as_bytes());
            values.shape().iter().for_each(|&n| all.word(n as u64));
            all.array(values);
        }
    }
    Ok(())
}
