//! A model together with what is needed to use it: the samples that it takes and what its answers mean.

use crate::{
    error::{Error, Result},
    evaluation::{Evaluation, Evaluator},
    report::LayerRow,
};
use std::{
    collections::BTreeMap,
    fmt,
    path::Path,
    sync::{Arc, OnceLock},
};
use zerokara_core::{Arithmetic, Array, Arrays, Axis, DType, Meta, Metas, Port};
use zerokara_data::{Normalization, Pad, Pictures, Split};
use zerokara_formats::model::TaskInfo;
use zerokara_nn::{
    GraphModule, Loss, Model, Predictor, SoftmaxCrossEntropy, Summary, Task, is_answer, losses,
    record, tasks::probabilities,
};

/// What one must know of a model to use it: its name, what it was trained on, its inputs and outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelCard {
    /// The model's name.
    pub name: String,
    /// The data set that it was trained on.
    pub dataset: String,
    /// Shape of one sample of the first input, `[C, H, W]` for images; a length that differs is 0.
    pub shape: Vec<usize>,
    /// A name for each class.
    pub class_names: Vec<String>,
    /// How stored values become inputs.
    pub normalization: Normalization,
    /// How picture files become samples.
    pub pictures: Pictures,
}

/// A model that was trained or loaded, with what is needed to use it.
#[derive(Clone)]
pub struct SavedModel {
    module: Arc<dyn Model>,
    card: ModelCard,
    /// What it takes: name, element type and axes, `[batch, ...]`.
    inputs: Vec<Port>,
    padding: Vec<(String, Pad)>,
    task: Option<TaskInfo>,
    arithmetic: Option<Arithmetic>,
    /// Made when it is first needed; its programs serve all clones.
    predictor: Arc<OnceLock<Predictor>>,
}

impl SavedModel {
    /// A model that was built, for samples as `card` says.
    pub fn new(module: impl Model + 'static, card: ModelCard) -> Self {
        let axes = card.shape.iter().map(|&length| Axis::from(length));
        let axes = std::iter::once(Axis::from("batch")).chain(axes);
        let input = Port::new("x", DType::F32, axes);
        Self::of(Arc::new(module), vec![input], card)
    }

    /// A model that was built, for inputs of these names, element types and axes, the first of which is that of the samples.
    pub fn of(module: Arc<dyn Model>, inputs: Vec<Port>, card: ModelCard) -> Self {
        Self {
            module,
            card,
            inputs,
            padding: Vec::new(),
            task: None,
            arithmetic: None,
            predictor: Arc::default(),
        }
    }

    /// Says what it was trained for, which its file keeps.
    pub fn for_task(mut self, task: &dyn Task) -> Self {
        let options = task.options().into_iter();
        self.task = Some(TaskInfo {
            name: task.title().to_string(),
            settings: options
                .map(|(name, value)| (name.to_string(), value))
                .collect(),
        });
        self
    }

    /// How samples that differ in size become one array when it is evaluated.
    pub fn padded(mut self, padding: Vec<(String, Pad)>) -> Self {
        self.padding = padding;
        self
    }

    /// How convolutions multiply and sum in predictions and evaluations, as the
    /// [runtime](zerokara_core::Runtime::precision) says unless told otherwise.
    ///
    /// # Errors
    /// If this CPU, or the instruction set that `ZEROKARA_ISA` asks for, lacks the arithmetic ([`Arithmetic::offer`]).
    pub fn precision(mut self, arithmetic: Arithmetic) -> Result<Self> {
        let predictor = Predictor::new(self.module.clone())?.precision(arithmetic)?;
        self.arithmetic = Some(arithmetic);
        self.predictor = Arc::new(OnceLock::from(predictor));
        Ok(self)
    }

    /// The layers and parameters.
    pub fn module(&self) -> &Arc<dyn Model> {
        &self.module
    }

    /// What one must know to use it.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// What it takes: name, element type and axes of each input, the samples first.
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// The task that it was trained for, if that is one of this library.
    pub fn task(&self) -> Option<Arc<dyn Loss>> {
        let task = self.task.as_ref()?;
        losses::by_name(&task.name, &task.settings)
    }

    /// The output for samples `[N, ...]` that have been normalized; the first, if there are several. Many threads may ask at
    /// once: they share one copy of the parameters, and none waits for another.
    ///
    /// # Errors
    /// If the samples do not fit the model.
    pub fn predict(&self, x: &Array) -> Result<Array> {
        match &self.inputs[..] {
            [input] => {
                let inputs = Arrays::one(input.name.clone(), x.clone());
                self.with_predictor(|predictor| predictor.predict(&inputs))
            }
            inputs => Err(Error::new(format!(
                "the model {} has {} inputs; predict_all takes them by their names",
                self.card.name,
                inputs.len()
            ))),
        }
    }

    /// All outputs for inputs by their names.
    ///
    /// # Errors
    /// If the inputs do not fit the model.
    pub fn predict_all(&self, inputs: &Arrays) -> Result<Arrays> {
        self.with_predictor(|predictor| predictor.predict_all(inputs))
    }

    fn with_predictor<T>(
        &self,
        ask: impl FnOnce(&Predictor) -> zerokara_core::Result<T>,
    ) -> Result<T> {
        let predictor = match self.predictor.get() {
            Some(predictor) => predictor,
            None => {
                let predictor = Predictor::new(self.module.clone())?;
                self.predictor.get_or_init(|| predictor)
            }
        };
        Ok(ask(predictor)?)
    }

    /// The probability of each class for one sample of stored values, such as the bytes of pixels as numbers from 0 to
    /// 255: normalizes, applies the model, takes the softmax.
    ///
    /// # Errors
    /// If the sample does not fit the model, or the model's outputs are no scores, or no answer: a score is NaN.
    pub fn probabilities(&self, sample: &[f32]) -> Result<Vec<f64>> {
        let shape = [&[1], &self.card.shape[..]].concat();
        if self.inputs.len() != 1 {
            return Err(Error::new(format!(
                "the model {} has {} inputs, and takes no single sample",
                self.card.name,
                self.inputs.len()
            )));
        }
        if let Some(task) = self
            .task
            .as_ref()
            .filter(|t| t.name != SoftmaxCrossEntropy::new().title())
        {
            return Err(Error::new(format!(
                "the model {} was trained for the task {}, and gives no probabilities of classes",
                self.card.name, task.name
            )));
        }
        if sample.len() != self.card.shape.iter().product::<usize>() {
            return Err(Error::new(format!(
                "the model takes samples of shape {:?}, not {} values",
                self.card.shape,
                sample.len()
            )));
        }
        let mut values = sample.to_vec();
        let channels = self.card.shape.first().copied().unwrap_or(1);
        self.card.normalization.apply(&mut values, channels)?;
        let mut x = Array::zeros(&Meta::new(shape, DType::F32));
        x.as_mut_slice::<f32>()?.copy_from_slice(&values);
        let scores = self.predict(&x)?;
        match scores.shape() {
            [1, classes] if *classes > 0 => {
                let scores = scores.to_f64s();
                match is_answer(&scores) {
                    true => Ok(probabilities(&scores)),
                    false => Err(Error::new(format!(
                        "the model has no answer: a score is NaN, or all are minus infinity{}",
                        self.not_finite()?
                    ))),
                }
            }
            _ => Err(Error::new(format!(
                "the model's output {} is no list of scores",
                scores.meta()
            ))),
        }
    }

    /// Which of its numbers cannot be: `; of linear2.bias 1 of 10 numbers is not finite`. Nothing if all are finite.
    fn not_finite(&self) -> Result<String> {
        for (path, values) in self.module.state()? {
            let bad = values.to_f64s().iter().filter(|v| !v.is_finite()).count();
            if bad > 0 {
                let all = values.len();
                return Ok(format!("; {bad} of {all} numbers of {path} are not finite"));
            }
        }
        Ok(String::new())
    }

    /// Loss, measures and answers on samples, for the task that its file names; classification, if it names none.
    ///
    /// # Errors
    /// If the samples do not fit the model, the task is one of another program's own ([`SavedModel::evaluate_with`] takes it), a
    /// label is no class, or a sample has no answer, since a score of its is NaN.
    pub fn evaluate(&self, split: &Split) -> Result<Evaluation> {
        let task: Arc<dyn Loss> = match (&self.task, self.task()) {
            (_, Some(task)) => task,
            (None, None) => Arc::new(SoftmaxCrossEntropy::new()),
            (Some(task), None) => {
                return Err(Error::new(format!(
                    "the model {} was trained for the task {}, which this program does not know; the program that has the task \
                     can evaluate the model with it (evaluate_with)",
                    self.card.name, task.name
                )));
            }
        };
        self.evaluate_with(task, split)
    }

    /// Loss, measures and answers on samples, for a task.
    ///
    /// # Errors
    /// If the samples do not fit the model or the task, or a sample has no answer.
    pub fn evaluate_with(&self, task: impl Task + 'static, split: &Split) -> Result<Evaluation> {
        if split.shape() != self.card.shape {
            return Err(Error::new(format!(
                "the model {} takes samples of shape {:?}, not {:?}",
                self.card.name,
                self.card.shape,
                split.shape()
            )));
        }
        let mut evaluator = Evaluator::new(
            self.module.clone(),
            Arc::new(task),
            self.card.normalization.clone(),
            self.padding.clone(),
            self.arithmetic,
        )?;
        let found = evaluator.run(split, &mut || true)?.unwrap_or_default();
        match found.no_answers("samples") {
            None => Ok(found),
            Some(why) => Err(Error::new(format!(
                "the model {} cannot be judged: {why}{}",
                self.card.name,
                self.not_finite()?
            ))),
        }
    }

    /// The layers with the shapes of their outputs, their parameters and operations, for one sample.
    ///
    /// # Errors
    /// If the model does not take samples of its shape.
    pub fn layers(&self) -> Result<Vec<LayerRow>> {
        // As it is trained, so that nothing is left out; what is said is for one.
        let samples = self.module.least_batch_for(&self.sample(1)?)?;
        let summary = Summary::of(&*self.module, &self.sample(samples)?)?;
        Ok(summary
            .rows
            .into_iter()
            .map(|row| LayerRow {
                name: match row.path.as_str() {
                    "" => row.kind,
                    path => path.to_string(),
                },
                output: row.output.get(1..).unwrap_or_default().to_vec(),
                parameters: row.parameters as u64,
                flops: row.flops / samples as u64,
            })
            .collect())
    }

    /// Shapes and element types of so many samples, as short as they can be.
    fn sample(&self, samples: usize) -> Result<Metas> {
        let length = |name: &str| Some(if name == "batch" { samples } else { SHORT });
        let metas = self
            .inputs
            .iter()
            .map(|port| Ok((port.name.clone(), port.meta(length)?)));
        metas.collect::<Result<Vec<_>>>().map(Metas::from_iter)
    }

    /// Reads a model that [`SavedModel::save`] has written. It needs none of the code that the model was written in.
    ///
    /// # Errors
    /// If the file cannot be read, or is no model.
    #[doc(alias("load_params", "pickle"))]
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let (record, info) = zerokara_formats::load_model(path)?;
        let bad = |what: String| Error::new(format!("{}: {what}", path.display()));
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
        let shape: Vec<usize> = first.axes[1..].iter().map(length).collect();
        let scaling = info.preprocessing.get(&*first.name);
        let numbers = |name: &str| -> Result<Vec<f32>> {
            let Some(numbers) = scaling.and_then(|scaling| scaling.get(name)) else {
                return Ok(Vec::new());
            };
            let all = numbers.as_array().map(|all| all.iter().map(|v| v.as_f64()));
            let all: Option<Vec<f64>> = all.and_then(Iterator::collect);
            let all =
                all.ok_or_else(|| bad(format!("its {name} {numbers} is no list of numbers")))?;
            Ok(all.into_iter().map(|v| v as f32).collect())
        };
        let (mean, std) = (numbers("mean")?, numbers("std")?);
        let note = |name: &str| info.notes.get(name).map(String::as_str);
        let unknown = |name: &str, value: &str| {
            bad(format!(
                "the note {name:?} is {value:?}, which this program does not know"
            ))
        };
        let base = match note(DIVISOR) {
            None => Normalization::none(),
            Some(text) => match text.parse().map(Normalization::divided_by) {
                Ok(base) => base.map_err(|e| bad(e.to_string()))?,
                Err(_) => return Err(unknown(DIVISOR, text)),
            },
        };
        let pictures = match note(PICTURES) {
            Some(text) => Pictures::from_name(text).ok_or_else(|| unknown(PICTURES, text))?,
            // Files that were written before there was the note.
            None => match info.dataset.as_deref() == Some("fashion-mnist")
                || shape.first() != Some(&1)
            {
                true => Pictures::Plain,
                false => Pictures::Digits,
            },
        };
        let normalization = match mean.is_empty() && std.is_empty() {
            true => base,
            false => base.standard(&mean, &std).map_err(|e| bad(e.to_string()))?,
        };
        normalization
            .check(shape.first().copied().unwrap_or(1))
            .map_err(|e| bad(e.to_string()))?;
        let task = info.task.clone();
        let module = GraphModule::new(record).map_err(|e| bad(e.to_string()))?;
        let card = ModelCard {
            name: info.architecture.unwrap_or_else(|| "model".into()),
            dataset: info.dataset.unwrap_or_default(),
            shape,
            class_names: info.classes.into_values().next().unwrap_or_default(),
            normalization,
            pictures,
        };
        Ok(Self {
            task,
            ..Self::of(Arc::new(module), inputs, card)
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
        let record = match self.inputs.iter().any(|port| port.axes.iter().any(is_free)) {
            true => record::trace_ports(&*self.module, &self.inputs)?,
            false => record::trace(&*self.module, &self.sample(1)?)?,
        };
        let normalization = &self.card.normalization;
        let (mean, std) = (normalization.mean(), normalization.std());
        let mut preprocessing = BTreeMap::new();
        // JSON has no number for these.
        if let Some(number) = mean.iter().chain(std).find(|v| !v.is_finite()) {
            return Err(Error::new(format!(
                "the means and deviations of a model's inputs must be finite, not {number}"
            )));
        }
        if !mean.is_empty() {
            let scaling = serde_json::json!({ "mean": mean, "std": std });
            let input = self.inputs.first().map_or("x", |port| &*port.name);
            preprocessing.insert(input.to_string(), scaling);
        }
        let info = zerokara_formats::ModelInfo {
            architecture: Some(self.card.name.clone()),
            dataset: Some(self.card.dataset.clone()),
            task: self.task.clone(),
            preprocessing,
            classes: [("t".to_string(), self.card.class_names.clone())].into(),
            notes: [
                (DIVISOR.to_string(), normalization.divisor().to_string()),
                (PICTURES.to_string(), self.card.pictures.name().to_string()),
            ]
            .into(),
        };
        Ok(zerokara_formats::save_model(path, &record, &info)?)
    }
}

/// A length that may be any, where only shapes are told.
const SHORT: usize = 8;
/// The note in a model's file of what stored values are divided by first.
const DIVISOR: &str = "divisor";
/// The note of how picture files become samples: the name of a [`Pictures`].
const PICTURES: &str = "pictures";

impl fmt::Debug for SavedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SavedModel({:?})", self.card)
    }
}
