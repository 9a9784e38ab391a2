//! A model together with what is needed to use it: the samples that it takes and what its answers mean.

mod explain;
mod file;

pub use explain::{ColumnImportance, PictureExplanation, TableExplanation};

use crate::{
    error::{Error, Result},
    evaluation::{Evaluation, Evaluator},
    report::LayerRow,
};
use std::{
    fmt,
    path::Path,
    sync::{Arc, OnceLock},
};
use zerokara_core::{Arithmetic, Array, Arrays, Axis, DType, Meta, Metas, Named, Port};
use zerokara_data::{
    Columns, DataOptions, Learned, Loader, Normalization, Pad, Pictures, Preprocessing, Raw, Split,
    Table, TextWindows, Vocabulary,
};
use zerokara_formats::model::TaskInfo;
use zerokara_nn::{
    Loss, Model, Predictor, SoftmaxCrossEntropy, Summary, Task, is_answer, losses,
    tasks::probabilities,
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
    /// What it tells: the name of the target, such as a table's column; `t` unless data have another.
    pub target: String,
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
    /// What makes inputs from raw values, by their names, but for the normalization of the first one.
    preprocessing: Named<Preprocessing>,
    task: Option<TaskInfo>,
    arithmetic: Option<Arithmetic>,
    /// The most tokens that it sees, if it takes running text.
    context: Option<usize>,
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
            preprocessing: Named::new(),
            task: None,
            arithmetic: None,
            context: None,
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

    /// What makes inputs from raw values, by their names, which its file keeps; the first input needs none if it is
    /// [normalized](ModelCard::normalization).
    pub fn preprocessed(mut self, preprocessing: Named<Preprocessing>) -> Self {
        self.preprocessing = preprocessing;
        self
    }

    /// Says that it takes running text, of up to so many tokens at once, which its file keeps.
    pub fn with_context(mut self, tokens: usize) -> Self {
        self.context = Some(tokens);
        self
    }

    /// The most tokens that it sees at once, if it takes running text.
    pub fn context(&self) -> Option<usize> {
        self.context
    }

    /// What its tokens stand for, if it takes a text.
    pub fn vocabulary(&self) -> Option<Vocabulary> {
        let mut inputs = self.given();
        let (input, None) = (inputs.next()?, inputs.next()) else {
            return None;
        };
        match self.preprocessing(&input.name)? {
            Preprocessing::Vocabulary(vocabulary) => Some(vocabulary),
            _ => None,
        }
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

    /// The name of the task that it was trained for, if its file has one; it may be one of another program's own.
    pub fn task_name(&self) -> Option<&str> {
        self.task.as_ref().map(|task| task.name.as_str())
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

    /// What makes an input from raw values: what was learned on the training set.
    pub fn preprocessing(&self, input: &str) -> Option<Preprocessing> {
        if let Some(named) = self.preprocessing.get(input) {
            return Some(named.clone());
        }
        let first = self.inputs.first()?;
        let is_normalized = &*first.name == input && first.dtype == DType::F32;
        is_normalized.then(|| self.card.normalization.clone().into())
    }

    /// The inputs of one sample from raw values by the inputs' names, as they were made of the samples trained on: with the
    /// same bits.
    ///
    /// # Errors
    /// If an input has no value, or one of another sort than it is made from; if there is no such input.
    pub fn encode(&self, raw: &[(&str, Raw<'_>)]) -> Result<Arrays> {
        let named: Vec<&Port> = self.given().collect();
        let names = || {
            named
                .iter()
                .map(|port| &*port.name)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let name = &self.card.name;
        if let Some((unknown, _)) = raw
            .iter()
            .find(|(given, _)| !named.iter().any(|port| &*port.name == *given))
        {
            let names = names();
            return Err(Error::new(format!(
                "the model {name} has no input {unknown}; it takes {names}"
            )));
        }
        let mut columns = Columns::new();
        for port in &named {
            let input = &*port.name;
            let fault =
                |what: &str| Error::new(format!("input {input} of the model {name}: {what}"));
            let Some((_, value)) = raw.iter().find(|(given, _)| *given == input) else {
                let names = names();
                return Err(fault(&format!(
                    "no value is given; the model takes {names}"
                )));
            };
            let how = self.preprocessing(input).ok_or_else(|| {
                fault(
                    "its file does not say how it is made from raw values; predict_all takes it as an array",
                )
            })?;
            let sample = how.array(*value).map_err(|e| fault(&e.to_string()))?;
            columns = match self.padding.iter().any(|(column, _)| column == input) {
                true => {
                    let axes = port.axes.iter().skip(1).cloned();
                    columns.ragged(Port::new(input, port.dtype, axes), [sample])
                }
                false => {
                    let shape = [&[1], sample.shape()].concat();
                    columns.with(input, sample.reshaped(shape))
                }
            };
        }
        let mut loader = Loader::new(&Split::of(columns)?, 1)?;
        for (column, pad) in &self.padding {
            loader = loader.pad(column, *pad)?;
        }
        Ok(loader.feed(0)?.inputs)
    }

    /// The inputs that are made from raw values: all but the masks, which are made where others are padded, and the states, which
    /// begin as zeros.
    pub fn given(&self) -> impl Iterator<Item = &Port> {
        let states = self.module.state_ports();
        let is_state = move |port: &Port| states.iter().any(|state| state.name == port.name);
        self.inputs
            .iter()
            .filter(move |port| !self.is_mask(port) && !is_state(port))
    }

    /// Whether an input is made where another one is padded.
    fn is_mask(&self, port: &Port) -> bool {
        let of =
            |(column, pad): &(String, Pad)| pad.mask_name(column).as_deref() == Some(&*port.name);
        self.padding.iter().any(of)
    }

    /// All outputs for one sample of raw values by the inputs' names: the cells of a row, a text, the bytes of pixels.
    ///
    /// ```
    /// use zerokara_core::{Array, Named};
    /// use zerokara_data::{ColumnKind, Columns, Dataset, Missing, Raw, Split, Table, Unseen};
    /// use zerokara_nn::{Adam, MeanSquaredError, Sequential};
    /// use zerokara_train::{SavedModel, Trainer};
    ///
    /// let rows = [["80", "brick"], ["55", "wood"], ["120", "brick"], ["95", "wood"]];
    /// let kinds = [
    ///     ("size", ColumnKind::Number(Missing::Mean)),
    ///     ("walls", ColumnKind::Categories(Unseen::Place)),
    /// ];
    /// let table = Table::fit(kinds, &rows)?; // learned on what is trained on
    /// let columns = Columns::new()
    ///     .with("house", table.rows(&rows)?)
    ///     .with("price", Array::new([4, 1], vec![3.0f32, 1.7, 4.2, 2.9]));
    /// let houses = Split::of(columns)?.targets(["price"])?;
    /// let dataset = Dataset::of("houses").train(houses)?.preprocess("house", table);
    ///
    /// let model = Sequential::new().linear(1);
    /// let trainer = Trainer::new(model, MeanSquaredError::new()).optimizer(Adam::new(0.1));
    /// let run = trainer.epochs(2).quiet().fit(&dataset)?;
    /// # let path = std::env::temp_dir().join(format!("houses-{}.safetensors", std::process::id()));
    /// run.model().save(&path)?;
    ///
    /// let model = SavedModel::load(&path)?; // no word of the table from here on
    /// let price = model.predict_raw(&[("house", Raw::Row(&["100", "wood"]))])?;
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`SavedModel::encode`]; if the values do not fit the model.
    pub fn predict_raw(&self, raw: &[(&str, Raw<'_>)]) -> Result<Arrays> {
        self.predict_all(&self.encode(raw)?)
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

    /// What makes its one input of the cells of a row, if it is made of such.
    pub fn table(&self) -> Option<Table> {
        let [input] = &self.inputs[..] else {
            return None;
        };
        match self.preprocessing(&input.name)? {
            Preprocessing::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Samples to judge it by, made of the data at this path as those that it was trained on ([`DataOptions::open_like`]).
    ///
    /// # Errors
    /// If the data cannot be read, or have columns or classes that the model does not know.
    pub fn samples(&self, path: impl AsRef<Path>) -> Result<Split> {
        let table = self.table();
        let vocabulary = self.vocabulary().filter(|_| self.context.is_some());
        let learned = Learned {
            table: table.as_ref(),
            vocabulary: vocabulary.as_ref(),
            shape: &self.card.shape,
            pictures: self.card.pictures,
            target: &self.card.target,
            class_names: &self.card.class_names,
        };
        Ok(DataOptions::new().open_like(path, &learned)?)
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

    /// Whether samples are sequences of tokens of a length that it takes, though not of that it was trained on.
    fn takes_length(&self, split: &Split) -> bool {
        match (split.shape(), self.context) {
            (&[tokens], Some(context)) => tokens <= context && self.takes_any_length(),
            _ => false,
        }
    }

    /// Whether sequences of tokens may be of any length up to its context.
    fn takes_any_length(&self) -> bool {
        let length = self.given().next().and_then(|port| port.axes.get(1));
        matches!(length, Some(Axis::Any(_)))
    }

    /// How likely it finds a running text: the loss of a character, and the other measures. The text is cut into windows of the
    /// model's context or somewhat less, so that hardly a character at its end counts for nothing; each is told from what stands
    /// before it in its window.
    ///
    /// # Errors
    /// If the model takes no running text, or the text has fewer than two characters; for a model of one length alone, if it has no
    /// more than that.
    pub fn score(&self, text: &str) -> Result<Evaluation> {
        let (Some(vocabulary), Some(context)) = (self.vocabulary(), self.context) else {
            return Err(Error::new(format!(
                "the model {} is none of language: it takes no running text",
                self.card.name
            )));
        };
        let told = vocabulary.encode(text).len().saturating_sub(1);
        if told == 0 {
            return Err(Error::new(
                "the text has no character that follows another one: at least 2 are needed",
            ));
        }
        let window = match self.takes_any_length() {
            true => told / told.div_ceil(context.max(1)),
            false => context,
        };
        let windows = TextWindows::new(text, &vocabulary, window)?;
        self.evaluate(&Split::of(windows)?)
    }

    /// Loss, measures and answers on samples, for a task.
    ///
    /// # Errors
    /// If the samples do not fit the model or the task, or a sample has no answer.
    pub fn evaluate_with(&self, task: impl Task + 'static, split: &Split) -> Result<Evaluation> {
        if split.shape() != self.card.shape && !self.takes_length(split) {
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

    /// Shapes and element types of so many samples: of a running text as many tokens as it sees, else as short as they can be.
    fn sample(&self, samples: usize) -> Result<Metas> {
        let short = self.context.unwrap_or(SHORT);
        let length = |name: &str| Some(if name == "batch" { samples } else { short });
        let metas = self
            .inputs
            .iter()
            .map(|port| Ok((port.name.clone(), port.meta(length)?)));
        metas.collect::<Result<Vec<_>>>().map(Metas::from_iter)
    }
}

/// A length that may be any, where only shapes are told.
const SHORT: usize = 8;

impl fmt::Debug for SavedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SavedModel({:?})", self.card)
    }
}
