//! Models in files.

use super::{ModelCard, SavedModel};
use crate::error::{Error, Result};
use serde_json::Value;
use std::{collections::BTreeMap, path::Path, sync::Arc};
use zerokara_core::{Axis, Named, Port, record::ModelRecord};
use zerokara_data::{Normalization, Pad, Pictures, Preprocessing};
use zerokara_formats::ModelInfo;
use zerokara_nn::{GraphModule, record};

/// The note of what stored values are divided by first, in files that have no kinds of preprocessing.
const DIVISOR: &str = "divisor";
/// The note of how picture files become samples: the name of a [`Pictures`].
const PICTURES: &str = "pictures";
/// The note with the name of the target.
const TARGET: &str = "target";
/// The note with the most tokens that a model of language sees.
const CONTEXT: &str = "context";
/// The largest context that is believed.
const MOST_CONTEXT: usize = 1 << 24;
/// The note of how samples that differ in size become one array: JSON, by the input's name.
const PADDING: &str = "padding";

impl SavedModel {
    /// Reads a model that [`SavedModel::save`] has written. It needs none of the code that the model was written in.
    ///
    /// # Errors
    /// If the file cannot be read, or is no model.
    #[doc(alias("load_params", "pickle"))]
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (record, info) = zerokara_formats::load_model(path)?;
        Self::of_record(record, info)
            .map_err(|error| Error::new(format!("{}: {error}", path.display())))
    }

    /// As [`SavedModel::load`], from the contents of such a file: one that is inside the program (`include_bytes!`), say.
    ///
    /// ```
    /// # use zerokara_data::{Dataset, Split};
    /// # use zerokara_nn::{Sequential, SoftmaxCrossEntropy};
    /// # use zerokara_train::{SavedModel, Trainer};
    /// # let points: Vec<f32> = (0..8).map(|i| i as f32 / 8.0).collect();
    /// # let train = Split::new(points, &[1], (0..8).map(|i| i64::from(i >= 4)).collect())?;
    /// # let data = Dataset::new("sides", train.clone(), train, ["left", "right"])?;
    /// # let run = Trainer::new(Sequential::new().linear(2), SoftmaxCrossEntropy::new()).quiet().fit(&data)?;
    /// # let path = std::env::temp_dir().join(format!("inside-{}.safetensors", std::process::id()));
    /// run.model().save(&path)?;
    /// let model = SavedModel::from_bytes(&std::fs::read(&path)?)?;
    /// assert_eq!(model.card().class_names, ["left", "right"]);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If they are no model.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (record, info) = zerokara_formats::model_from_bytes(bytes)?;
        Self::of_record(record, info)
    }

    fn of_record(record: ModelRecord, info: ModelInfo) -> Result<Self> {
        let bad = |what: String| Error::new(what);
        let inputs = record.signature.inputs.clone();
        // The first axis counts the samples; the others are those of one.
        let is_samples = |port: &&Port| matches!(&*port.axes, [_, sample @ ..] if !sample.contains(&Axis::Fixed(0)));
        let Some(first) = inputs.first().filter(is_samples) else {
            return Err(bad(format!(
                "the model takes {}, no samples",
                record.signature
            )));
        };
        let length = |axis: &Axis| axis.fixed().unwrap_or(0);
        let mut shape: Vec<usize> = first.axes[1..].iter().map(length).collect();
        let context = match info.notes.get(CONTEXT) {
            None => None,
            Some(text) => {
                let read = text.parse().ok();
                let read = read.filter(|tokens| (1..=MOST_CONTEXT).contains(tokens));
                Some(read.ok_or_else(|| bad(unknown_note(CONTEXT, text)))?)
            }
        };
        if let (Some(context), [length @ 0]) = (context, &mut shape[..]) {
            *length = context;
        }
        let (normalization, preprocessing) = read_preprocessing(&info, &first.name).map_err(bad)?;
        let channels = shape.first().copied().unwrap_or(1);
        let fits = normalization.check(channels);
        fits.map_err(|e| bad(e.to_string()))?;
        let pictures = match info.notes.get(PICTURES) {
            Some(text) => {
                Pictures::from_name(text).ok_or_else(|| bad(unknown_note(PICTURES, text)))?
            }
            // Files that were written before there was the note.
            None => match info.dataset.as_deref() == Some("fashion-mnist")
                || shape.first() != Some(&1)
            {
                true => Pictures::Plain,
                false => Pictures::Digits,
            },
        };
        let module = GraphModule::new(record).map_err(|e| bad(e.to_string()))?;
        let card = ModelCard {
            name: info.architecture.unwrap_or_else(|| "model".into()),
            dataset: info.dataset.unwrap_or_default(),
            shape,
            target: (info.notes.get(TARGET).cloned()).unwrap_or_else(|| "t".into()),
            class_names: info.classes.into_values().next().unwrap_or_default(),
            normalization,
            pictures,
        };
        let padding = match info.notes.get(PADDING) {
            None => BTreeMap::new(),
            Some(text) => {
                let read: serde_json::Result<BTreeMap<String, Pad>> = serde_json::from_str(text);
                read.map_err(|e| bad(format!("{}: {e}", unknown_note(PADDING, text))))?
            }
        };
        let model = Self::of(Arc::new(module), inputs, card)
            .preprocessed(preprocessing)
            .padded(padding.into_iter().collect());
        Ok(Self {
            task: info.task,
            context,
            ..model
        })
    }

    /// Writes the model into a file, whole or not at all: its forward graph, its parameters, and what is needed to use
    /// it.
    ///
    /// # Errors
    /// If the file cannot be written.
    #[doc(alias("save_params", "pickle"))]
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let is_free = |axis: &Axis| matches!(axis, Axis::Any(name) if &**name != "batch");
        let is_of_any_length = self.inputs.iter().any(|port| port.axes.iter().any(is_free));
        let of_this_length = || self.sample(1).map(|one| record::trace(&*self.module, &one));
        let record = match (is_of_any_length, self.context) {
            (true, None) => record::trace_ports(&*self.module, &self.inputs)?,
            // A model that sees few tokens cannot be tried with more.
            (true, Some(_)) => match record::trace_ports(&*self.module, &self.inputs) {
                Ok(record) => record,
                Err(_) => of_this_length()??,
            },
            (false, _) => of_this_length()??,
        };
        let normalization = &self.card.normalization;
        let mut numbers = normalization.mean().iter().chain(normalization.std());
        // JSON has no number for these.
        if let Some(number) = numbers.find(|v| !v.is_finite()) {
            return Err(Error::new(format!(
                "the means and deviations of a model's inputs must be finite, not {number}"
            )));
        }
        let named = self.preprocessing.iter();
        let mut preprocessing: BTreeMap<String, Value> = named
            .map(|(name, how)| (name.to_string(), how.to_json()))
            .collect();
        if let Some(first) = self.inputs.first()
            && let Some(how) = self.preprocessing(&first.name)
        {
            preprocessing.insert(first.name.to_string(), how.to_json());
        }
        let pictures = self.card.pictures.name().to_string();
        let target = self.card.target.clone();
        let mut notes = BTreeMap::from([
            (PICTURES.to_string(), pictures),
            (TARGET.to_string(), target.clone()),
        ]);
        if !self.padding.is_empty() {
            let padding: BTreeMap<&str, &Pad> = self
                .padding
                .iter()
                .map(|(column, pad)| (&**column, pad))
                .collect();
            let text = serde_json::to_string(&padding).map_err(|e| Error::new(e.to_string()))?;
            notes.insert(PADDING.to_string(), text);
        }
        if let Some(context) = self.context {
            notes.insert(CONTEXT.to_string(), context.to_string());
        }
        let info = ModelInfo {
            architecture: Some(self.card.name.clone()),
            dataset: Some(self.card.dataset.clone()),
            task: self.task.clone(),
            preprocessing,
            classes: [(target, self.card.class_names.clone())].into(),
            notes,
        };
        Ok(zerokara_formats::save_model(path, &record, &info)?)
    }
}

fn unknown_note(name: &str, value: &str) -> String {
    format!("the note {name:?} is {value:?}, which this program does not know")
}

/// How the first input is normalized, and what else a file says of inputs, by their names.
fn read_preprocessing(
    info: &ModelInfo,
    first: &str,
) -> std::result::Result<(Normalization, Named<Preprocessing>), String> {
    let (mut normalization, mut others) = (None, Named::new());
    for (name, value) in &info.preprocessing {
        if value.get("kind").is_none() {
            continue;
        }
        let how = Preprocessing::from_json(value.clone());
        match how.map_err(|e| format!("input {name}: {e}"))? {
            Preprocessing::Normalization(how) if name == first => normalization = Some(how),
            how => others.insert(&**name, how),
        }
    }
    let normalization = match (normalization, others.get(first)) {
        (Some(normalization), _) => normalization,
        (None, Some(_)) => Normalization::none(),
        (None, None) => older_normalization(info, first)?,
    };
    Ok((normalization, others))
}

/// The normalization in files without kinds: means and deviations by the input's name, the divisor in a note.
fn older_normalization(
    info: &ModelInfo,
    input: &str,
) -> std::result::Result<Normalization, String> {
    let numbers = |name: &str| -> std::result::Result<Vec<f32>, String> {
        let Some(numbers) = info.preprocessing.get(input).and_then(|how| how.get(name)) else {
            return Ok(Vec::new());
        };
        let all = numbers.as_array().map(|all| all.iter().map(Value::as_f64));
        let all: Option<Vec<f64>> = all.and_then(Iterator::collect);
        let all = all.ok_or_else(|| format!("its {name} {numbers} is no list of numbers"))?;
        Ok(all.into_iter().map(|v| v as f32).collect())
    };
    let (mean, std) = (numbers("mean")?, numbers("std")?);
    let base = match info.notes.get(DIVISOR) {
        None => Normalization::none(),
        Some(text) => match text.parse().map(Normalization::divided_by) {
            Ok(base) => base.map_err(|e| e.to_string())?,
            Err(_) => return Err(unknown_note(DIVISOR, text)),
        },
    };
    match mean.is_empty() && std.is_empty() {
        true => Ok(base),
        false => base.standard(&mean, &std).map_err(|e| e.to_string()),
    }
}
