//! What a run is to do, as one value: the command's flags build it, `run.json` keeps it, and resuming reads it back.

mod data;
mod model;

pub(crate) use data::amount_of;
pub use data::{DataDescription, DataFacts};
pub use model::ModelDescription;

use crate::{
    error::{Error, Result},
    recipe::network,
    run_folder::RunFolder,
    trainer::{EarlyStopping, Every, Trainer},
};
use data::amount;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fs, sync::Arc};
use zerokara_core::Arithmetic;
use zerokara_data::{Amount, Augment, Dataset, Pad, Vocabulary};
use zerokara_nn::{
    Clipping, Loss, Model, NegativeLogLikelihood, Optimizer, ParameterGroup, Schedule,
    SoftmaxCrossEntropy, losses, models, optimizers,
};

/// The version of the description. Later ones are not read; those of version 1 are read as this one ([`upgraded`]).
const VERSION: u64 = 2;

/// The part of `run.json` in which the description stands.
pub(crate) const KEY: &str = "description";

/// What a run is to do.
///
/// A run of a ready-made model on data that have a name is made from it alone ([`RunDescription::trainer`],
/// [`RunDescription::load_data`]). Where model or data are the caller's, they are named, and only the program that has them
/// can go on with the run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunDescription {
    /// The version of this description: 2.
    #[serde(default = "version")]
    pub version: u64,
    /// What is trained.
    pub model: ModelDescription,
    /// What it is trained on.
    pub data: DataDescription,
    /// The task: the loss by its name, with its settings.
    #[serde(rename = "loss")]
    pub task: Setup,
    /// The optimizer by its name, with its settings, `learning_rate` among them.
    pub optimizer: Setup,
    /// How the learning rate changes.
    #[serde(default)]
    pub schedule: Pace,
    /// How often the training data are gone through.
    pub epochs: u64,
    /// Samples in a step.
    pub batch_size: usize,
    /// Parts in which a step is taken.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub accumulate: usize,
    /// The seed of everything random.
    #[serde(default)]
    pub seed: u64,
    /// Samples that are held back to judge each epoch by.
    #[serde(default, with = "amount", skip_serializing_if = "Option::is_none")]
    pub validation: Option<Amount>,
    /// Training samples that the evaluation after each epoch takes.
    #[serde(default = "usual_train_sample")]
    pub train_sample: usize,
    /// How the training images are changed by chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<Augment>,
    /// How samples that differ in size become one array, by the column's name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub padding: BTreeMap<String, Pad>,
    /// How gradients are clipped.
    #[serde(default, with = "ClippingText", skip_serializing_if = "is_unclipped")]
    pub clipping: Clipping,
    /// The L2 penalty of the weights.
    #[serde(default)]
    pub l2_penalty: f64,
    /// How convolutions multiply and sum, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
    /// Groups of parameters that are trained in a way of their own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupDescription>,
    /// What looks at steps and epochs, such as early stopping, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub callbacks: Vec<Setup>,
    /// The decay of the moving average of the weights ([`Trainer::ema`]), if one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// The weight of each class in the loss, where they differ ([`SoftmaxCrossEntropy::class_weights`]).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub class_weights: Vec<f64>,
    /// Which samples an epoch takes.
    #[serde(default, skip_serializing_if = "is_usual_sampling")]
    pub sampling: Sampling,
    /// How often everything is saved; as [`Trainer::checkpoint_every`] says unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_every: Option<Every>,
}

/// Which samples an epoch of training takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// Each once, in an order of chance.
    #[default]
    Shuffled,
    /// As many, equally many of each class ([`Loader::balanced`](zerokara_data::Loader::balanced)).
    Balanced,
    /// The windows of a running text one after the other, a lane for each place of a batch
    /// ([`Loader::in_lanes`](zerokara_data::Loader::in_lanes)); the states of a recurrent model go on from batch to batch.
    Stream,
}

impl Sampling {
    /// The names, as descriptions have them.
    pub const NAMES: [&str; 3] = ["shuffled", "balanced", "stream"];
}

/// Parameters that are trained in a way of their own ([`ParameterGroup`]).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupDescription {
    /// Patterns of their paths.
    pub parameters: Vec<String>,
    /// Whether they keep their values.
    #[serde(default, skip_serializing_if = "is_false")]
    pub frozen: bool,
    /// Their own learning rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// Their own weight decay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
}

/// Something by its name and its settings, which stand beside the name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Setup {
    /// The name.
    pub name: String,
    /// Its settings.
    #[serde(flatten)]
    pub settings: BTreeMap<String, f64>,
}

impl Setup {
    /// A name with settings.
    pub fn new<'a>(
        name: impl Into<String>,
        settings: impl IntoIterator<Item = (&'a str, f64)>,
    ) -> Self {
        let settings = settings.into_iter().map(|(k, v)| (k.to_string(), v));
        Self {
            name: name.into(),
            settings: settings.collect(),
        }
    }
}

/// How the learning rate changes over the run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// Not at all.
    #[default]
    Constant,
    /// To a tenth after each third of the run.
    Step,
    /// Along a line to 0.
    Linear,
    /// Along half a cosine to 0.
    Cosine,
    /// In one cycle.
    OneCycle,
    /// Up along a line in the first twentieth of the run, 100 steps at most, then along half a cosine to a tenth.
    WarmUp,
    /// By a schedule that knows its steps.
    Own(#[serde(with = "ScheduleText")] Schedule),
}

impl Pace {
    /// The names of those that need no numbers.
    pub const NAMES: [&str; 6] = [
        "constant",
        "step",
        "linear",
        "cosine",
        "one-cycle",
        "warm-up",
    ];

    /// The one of this name.
    ///
    /// ```
    /// use zerokara_train::Pace;
    /// assert_eq!(Pace::by_name("one-cycle"), Some(Pace::OneCycle));
    /// ```
    pub fn by_name(name: &str) -> Option<Self> {
        Self::NAMES.contains(&name).then_some(())?;
        serde_json::from_value(name.into()).ok()
    }

    /// The name.
    pub fn name(&self) -> &'static str {
        match self {
            Pace::Constant => "constant",
            Pace::Step => "step",
            Pace::Linear => "linear",
            Pace::Cosine => "cosine",
            Pace::OneCycle => "one-cycle",
            Pace::WarmUp => "warm-up",
            Pace::Own(_) => "own",
        }
    }

    /// The schedule of a run of so many steps.
    pub fn over(&self, steps: u64) -> Schedule {
        match self {
            Pace::Constant => Schedule::Constant,
            Pace::Step => Schedule::Step {
                every: steps.div_ceil(3),
                gamma: 0.1,
            },
            Pace::Linear => Schedule::Linear { steps, last: 0.0 },
            Pace::Cosine => Schedule::Cosine { steps, last: 0.0 },
            Pace::OneCycle => Schedule::one_cycle(steps),
            Pace::WarmUp => {
                let rise = (steps / 20).min(100);
                let fall = Schedule::Cosine {
                    steps: steps - rise,
                    last: 0.1,
                };
                match rise {
                    0 => fall,
                    rise => fall.warm_up(rise),
                }
            }
            Pace::Own(schedule) => schedule.clone(),
        }
    }
}

fn version() -> u64 {
    VERSION
}

fn is_false(truth: &bool) -> bool {
    !truth
}

fn one() -> usize {
    1
}

fn is_one(number: &usize) -> bool {
    *number == 1
}

fn usual_train_sample() -> usize {
    5_000
}

fn is_usual_sampling(sampling: &Sampling) -> bool {
    *sampling == Sampling::default()
}

fn is_unclipped(clipping: &Clipping) -> bool {
    *clipping == Clipping::None
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Clipping", rename_all = "kebab-case")]
enum ClippingText {
    None,
    Norm(f64),
    Value(f64),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Schedule", rename_all = "kebab-case")]
enum ScheduleText {
    Constant,
    Step {
        every: u64,
        gamma: f64,
    },
    Cosine {
        steps: u64,
        last: f64,
    },
    Linear {
        steps: u64,
        last: f64,
    },
    OneCycle {
        steps: u64,
        rise: f64,
        first: f64,
        last: f64,
    },
    WarmUp {
        steps: u64,
        #[serde(with = "boxed")]
        then: Box<Schedule>,
    },
}

mod boxed {
    use super::{Schedule, ScheduleText};
    use serde::{Deserializer, Serializer};

    // The signature is serde's.
    #[allow(clippy::borrowed_box)]
    pub fn serialize<S: Serializer>(value: &Box<Schedule>, out: S) -> Result<S::Ok, S::Error> {
        ScheduleText::serialize(value, out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Box<Schedule>, D::Error> {
        ScheduleText::deserialize(input).map(Box::new)
    }
}

/// A description of version 1 as one of this version: settings stand beside their names.
fn upgraded(mut run: Value) -> Value {
    let flat = |setup: &mut Value| {
        if let Some(Value::Object(settings)) =
            setup.as_object_mut().and_then(|s| s.remove("settings"))
        {
            settings
                .into_iter()
                .for_each(|(name, value)| setup[&name] = value);
        }
    };
    let Some(fields) = run.as_object_mut() else {
        return run;
    };
    if let Some(loss) = fields.remove("task") {
        fields.insert("loss".into(), loss);
    }
    for name in ["loss", "optimizer"] {
        fields.get_mut(name).into_iter().for_each(flat);
    }
    for name in ["callbacks", "groups"] {
        let list = fields.get_mut(name).and_then(Value::as_array_mut);
        list.into_iter().flatten().for_each(flat);
    }
    for group in fields
        .get_mut("groups")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        let patterns = group.as_object_mut().and_then(|group| group.remove("name"));
        let patterns = patterns
            .as_ref()
            .and_then(Value::as_str)
            .unwrap_or_default();
        group["parameters"] = patterns.split(" or ").collect::<Vec<_>>().into();
        if group.get("frozen").is_some() {
            group["frozen"] = true.into();
        }
    }
    if let Some(folder) = fields
        .get_mut("data")
        .and_then(|data| data.as_object_mut()?.remove("folder"))
    {
        fields["data"]["path"] = folder;
    }
    if let Some(amount) = fields.get_mut("validation") {
        let number = amount.get("samples").or_else(|| amount.get("share"));
        *amount = number.cloned().unwrap_or_default();
    }
    fields.insert("version".into(), VERSION.into());
    run
}

impl RunDescription {
    /// The names of the optimizers that a description can ask for.
    pub const OPTIMIZERS: [&str; 11] = [
        "sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw", "radam", "lamb",
        "lion", "muon",
    ];

    /// The name of a model that is described by its layers.
    pub const OF_LAYERS: &str = "layers";

    /// A run of a ready-made model on a data set, as [`Trainer`] has it unless told otherwise, with the cross entropy of
    /// classification.
    ///
    /// ```
    /// use zerokara_train::{RunDescription, Setup};
    /// let mut run = RunDescription::new("two-layer-net", "mnist");
    /// run.optimizer = Setup::new("sgd", [("learning_rate", 0.1)]);
    /// let text = serde_json::to_string(&run)?;
    /// assert_eq!(serde_json::from_str::<RunDescription>(&text)?, run);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn new(model: impl Into<String>, data: impl Into<String>) -> Self {
        Self {
            version: VERSION,
            model: ModelDescription {
                name: model.into(),
                ..ModelDescription::default()
            },
            data: DataDescription {
                name: data.into(),
                ..DataDescription::default()
            },
            task: Setup::new("softmax_cross_entropy", []),
            optimizer: Setup::new("adam", [("learning_rate", 1e-3)]),
            schedule: Pace::Constant,
            epochs: 3,
            batch_size: 100,
            accumulate: 1,
            seed: 0,
            validation: None,
            train_sample: usual_train_sample(),
            augment: None,
            padding: BTreeMap::new(),
            clipping: Clipping::None,
            l2_penalty: 0.0,
            precision: None,
            groups: Vec::new(),
            callbacks: Vec::new(),
            ema: None,
            class_weights: Vec::new(),
            sampling: Sampling::default(),
            checkpoint_every: None,
        }
    }

    /// What the run in this folder is to do.
    ///
    /// # Errors
    /// If there is no run, or its description is of a later version or damaged.
    pub fn read(folder: &RunFolder) -> Result<Self> {
        let path = folder.settings();
        let at = folder.path().display();
        let text = fs::read(&path).map_err(|e| {
            Error::new(format!(
                "cannot go on with the run {at}: it has no run.json ({e})"
            ))
        })?;
        let damaged =
            |e: serde_json::Error| Error::new(format!("{}: it is damaged: {e}", path.display()));
        let mut all: Value = serde_json::from_slice(&text).map_err(damaged)?;
        let description = all.get_mut(KEY).map(Value::take).ok_or_else(|| {
            Error::new(format!(
                "the run {at} cannot be gone on with: it was made by a version that kept no checkpoints"
            ))
        })?;
        match description.get("version").and_then(Value::as_u64) {
            Some(1) => Ok(serde_json::from_value(upgraded(description)).map_err(damaged)?),
            Some(VERSION) => Ok(serde_json::from_value(description).map_err(damaged)?),
            version => Err(Error::new(format!(
                "the run {at} is described in version {}, and this program reads version {VERSION}",
                version.unwrap_or(0)
            ))),
        }
    }

    /// The data set, read from where it is.
    ///
    /// # Errors
    /// If the data are the caller's, or not where they were.
    pub fn load_data(&self) -> Result<Dataset> {
        self.whole_data().load()
    }

    /// The description of the data, with all that decides which samples are in which part.
    pub fn whole_data(&self) -> DataDescription {
        DataDescription {
            seed: self.seed,
            validation: self.validation,
            ..self.data.clone()
        }
    }

    /// The trainer that does this run on these data, without a folder.
    ///
    /// # Errors
    /// If the model is the caller's, or a name is not known.
    pub fn trainer(&self, data: &Dataset) -> Result<Trainer> {
        let own = |what: &str| {
            Error::new(format!(
                "{what} is that of a program: it alone can go on with the run (Trainer::resume)"
            ))
        };
        if self.model.own {
            return Err(own(&format!("the model {}", self.model.name)));
        }
        let text = data.running_text();
        let outputs = text.map_or(data.classes().max(1), Vocabulary::len);
        let name = self.model.name.as_str();
        let model: Arc<dyn Model> = match name {
            Self::OF_LAYERS if self.model.layers.is_empty() => {
                return Err(Error::new("the model has no layers"));
            }
            Self::OF_LAYERS => Arc::new(network(&self.model.layers, outputs)?),
            name if models::OF_LANGUAGE.contains(&name) => match (text, data.shape()) {
                (Some(_), &[context]) => self.model.of_language(outputs, context)?,
                _ => {
                    return Err(Error::new(format!(
                        "the model {name} is one of language, and the data set {} is no running text",
                        data.name
                    )));
                }
            },
            name => {
                let made = models::by_name(name, outputs);
                Arc::new(made.ok_or_else(|| Error::new(format!("there is no model {name}")))?)
            }
        };
        let loss = self
            .loss()?
            .ok_or_else(|| own(&format!("the task {}", self.task.name)))?;
        let mut trainer = Trainer::new(model, loss)
            .name(&self.model.name)
            .optimizer(optimizer(&self.optimizer)?)
            .pace(self.schedule.clone())
            .epochs(self.epochs)
            .batch_size(self.batch_size)
            .accumulate(self.accumulate)
            .seed(self.seed)
            .train_sample(self.train_sample)
            .clipping(self.clipping)
            .l2_penalty(self.l2_penalty)
            .sampling(self.sampling)
            .described_by(self);
        if let Some(decay) = self.ema {
            trainer = trainer.ema(decay);
        }
        // What data of one's own hold back was parted off as they were read.
        if let Some(amount) = self.validation.filter(|_| data.validation.is_empty()) {
            trainer = trainer.validation(amount);
        }
        if let Some(augment) = self.augment.as_ref().filter(|a| a.changes()) {
            trainer = trainer.augment(augment.clone());
        }
        for (column, pad) in &self.padding {
            trainer = trainer.pad(column, *pad);
        }
        for group in &self.groups {
            trainer = trainer.group(group.group()?);
        }
        if let Some(name) = &self.precision {
            let known = Arithmetic::ALL.into_iter().find(|a| a.name() == name);
            trainer = trainer.precision(
                known.ok_or_else(|| Error::new(format!("there is no precision {name}")))?,
            );
        }
        if let Some(every) = self.checkpoint_every {
            trainer = trainer.checkpoint_every(every);
        }
        for callback in &self.callbacks {
            let setting = |name: &str| callback.settings.get(name).copied();
            trainer = match callback.name.as_str() {
                EarlyStopping::NAME => trainer.callback(
                    EarlyStopping::new(setting("patience").unwrap_or(1.0) as u64)
                        .min_delta(setting("min_delta").unwrap_or(0.0)),
                ),
                name => return Err(own(&format!("the callback {name}"))),
            };
        }
        Ok(trainer)
    }

    /// The loss, if there is one of its name.
    fn loss(&self) -> Result<Option<Arc<dyn Loss>>> {
        let settings: Vec<(String, f64)> = self.task.settings.clone().into_iter().collect();
        if self.class_weights.is_empty() {
            return Ok(losses::by_name(&self.task.name, &settings));
        }
        let setting = |name: &str| self.task.settings.get(name).copied();
        let ignored = setting("ignore_index").map(|label| label as i64);
        let weights = self.class_weights.clone();
        let softmax = SoftmaxCrossEntropy::new()
            .label_smoothing(setting("label_smoothing").unwrap_or(0.0))
            .class_weights(weights.clone());
        let likelihood = NegativeLogLikelihood::new().class_weights(weights);
        if self.task.name == softmax.name() {
            Ok(Some(Arc::new(match ignored {
                Some(label) => softmax.ignore_index(label),
                None => softmax,
            })))
        } else if self.task.name == likelihood.name() {
            Ok(Some(Arc::new(match ignored {
                Some(label) => likelihood.ignore_index(label),
                None => likelihood,
            })))
        } else {
            Err(Error::new(format!(
                "class_weights go with the losses {} and {}; {} has no classes to weigh",
                softmax.name(),
                likelihood.name(),
                self.task.name
            )))
        }
    }

    /// The first thing in which another run differs from this one, in words; nothing if they do the same. How often is
    /// saved, and where the data lie, is no difference.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let flat = |run: &Self| {
            let run = Self {
                checkpoint_every: None,
                data: DataDescription {
                    path: None,
                    ..run.data.clone()
                },
                ..run.clone()
            };
            let mut all = Vec::new();
            if let Ok(value) = serde_json::to_value(run) {
                flatten(String::new(), value, &mut all);
            }
            all.into_iter().collect::<BTreeMap<String, Value>>()
        };
        let (own, others) = (flat(self), flat(other));
        let names: std::collections::BTreeSet<_> = own.keys().chain(others.keys()).collect();
        let told = |value: Option<&Value>| value.map_or("none".to_string(), Value::to_string);
        let differs = |name: &&&String| own.get(**name) != others.get(**name);
        // Of data that differ, what can be seen is told rather than the fingerprint.
        let mut found: Vec<_> = names.iter().filter(differs).collect();
        found.sort_by_key(|name| name.ends_with("fingerprint"));
        found.first().map(|name| {
            format!(
                "{} is {} there and {} here",
                name.replace(".settings", "").replace('_', " "),
                told(own.get(**name)),
                told(others.get(**name))
            )
        })
    }
}

/// Puts every value that is no object under its path.
fn flatten(path: String, value: Value, into: &mut Vec<(String, Value)>) {
    match value {
        Value::Object(fields) => {
            let fields: Map<String, Value> = fields;
            for (name, value) in fields {
                let path = match path.as_str() {
                    "" => name,
                    path => format!("{path}.{name}"),
                };
                flatten(path, value, into);
            }
        }
        value => into.push((path, value)),
    }
}

/// The optimizer of this name with these settings.
fn optimizer(setup: &Setup) -> Result<Arc<dyn Optimizer>> {
    let mut settings = setup.settings.clone();
    let rate = settings
        .remove("learning_rate")
        .ok_or_else(|| Error::new(format!("the optimizer {} has no learning rate", setup.name)))?;
    let settings: Vec<(String, f64)> = settings.into_iter().collect();
    optimizers::by_name(&setup.name, rate, &settings).ok_or_else(|| {
        let names: Vec<&str> = settings.iter().map(|(name, _)| name.as_str()).collect();
        Error::new(format!(
            "there is no optimizer {} with the settings {}; known are {}",
            setup.name,
            names.join(", "),
            RunDescription::OPTIMIZERS.join(", ")
        ))
    })
}

impl GroupDescription {
    /// What a trainer takes.
    fn group(&self) -> Result<ParameterGroup> {
        let Some((first, others)) = self.parameters.split_first() else {
            return Err(Error::new("a group of parameters has no patterns of paths"));
        };
        let matching = ParameterGroup::matching(first);
        let mut group = others
            .iter()
            .fold(matching, |group, pattern| group.or(pattern));
        if self.frozen {
            group = group.frozen();
        }
        if let Some(rate) = self.learning_rate {
            group = group.learning_rate(rate);
        }
        if let Some(decay) = self.weight_decay {
            group = group.weight_decay(decay);
        }
        Ok(group)
    }

    /// What a group does.
    pub(crate) fn of(group: &ParameterGroup) -> Self {
        let settings = group.settings();
        let setting = |name: &str| {
            settings
                .iter()
                .find(|(n, _)| *n == name)
                .map(|(_, value)| *value)
        };
        Self {
            parameters: group.patterns().to_vec(),
            frozen: setting("frozen").is_some(),
            learning_rate: setting("learning_rate"),
            weight_decay: setting("weight_decay"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zerokara_core::DType;

    #[test]
    fn every_schedule_and_setting_returns_from_json() {
        let mut run = RunDescription::new("lenet5", "mnist");
        let cosine = Schedule::Cosine {
            steps: 90,
            last: 0.1,
        };
        let paces = Pace::NAMES.map(|name| Pace::by_name(name).unwrap());
        assert_eq!(paces.clone().map(|pace| pace.name()), Pace::NAMES);
        for pace in paces.into_iter().chain([Pace::Own(cosine.warm_up(10))]) {
            run.schedule = pace;
            run.validation = Some(Amount::Count(7));
            run.clipping = Clipping::Norm(0.3);
            let pad = Pad::with(-1.0).multiple_of(4).to(8).mask_as(DType::F32);
            run.padding = [("tokens".to_string(), pad)].into();
            run.checkpoint_every = Some(Every::Steps(5));
            run.callbacks = vec![Setup::new(EarlyStopping::NAME, [("patience", 3.0)])];
            let text = serde_json::to_string(&run).unwrap();
            let again: RunDescription = serde_json::from_str(&text).unwrap();
            assert_eq!(again, run, "{text}");
            assert_eq!(again.difference(&run), None);
        }
        run.validation = Some(Amount::Fraction(0.5));
        let text = serde_json::to_string(&run).unwrap();
        assert_eq!(serde_json::from_str::<RunDescription>(&text).unwrap(), run);
    }

    #[test]
    fn what_differs_is_named() {
        let run = RunDescription::new("lenet5", "mnist");
        let mut other = run.clone();
        other.optimizer.settings.insert("learning_rate".into(), 0.5);
        other.checkpoint_every = Some(Every::Epochs(2));
        assert_eq!(
            run.difference(&other).unwrap(),
            "optimizer.learning rate is 0.001 there and 0.5 here"
        );
        let unknown = serde_json::json!({"version": 1, "madel": "lenet5"});
        assert!(serde_json::from_value::<RunDescription>(unknown).is_err());
    }

    #[test]
    fn every_optimizer_is_made_by_its_name() {
        for name in RunDescription::OPTIMIZERS {
            let setup = Setup::new(name, [("learning_rate", 0.25), ("weight_decay", 0.5)]);
            let made = optimizer(&setup).unwrap();
            assert_eq!((made.name(), made.learning_rate()), (name, 0.25));
            assert!(made.settings().contains(&("weight_decay", 0.5)), "{name}");
        }
        let setup = Setup::new("sgd", [("learning_rate", 0.25), ("beta1", 0.5)]);
        assert!(optimizer(&setup).is_err());
    }
}
