//! Training a model on a data set.

mod callbacks;
mod checkpoint;
mod ending;
mod every;
mod fit;
mod halves;
mod interrupt;
mod page;
mod profile;
mod rates;
mod readings;
mod rows;
mod run;
mod session;

pub use callbacks::{Callback, EarlyStopping, Flow};
pub use every::Every;
pub(crate) use interrupt::Interrupts;
pub use rates::LearningRates;
pub use run::Run;

use crate::{
    bytes::OfBytes,
    carried::Carried,
    description::{
        DataDescription, DataFacts, GroupDescription, ModelDescription, Pace, RunDescription,
        Sampling, Setup,
    },
    error::Result,
    language::{Language, TRAINING, Words},
    metrics::{Epoch, Record},
};
use std::{path::PathBuf, sync::Arc};
use zerokara_core::Arithmetic;
use zerokara_data::{Amount, Augment, Dataset, Loader, Pad, Split};
use zerokara_nn::{
    Adam, Clipping, Measure, Model, Optimizer, ParameterGroup, Schedule, Task, TrainStep,
};

/// Trains a model on a data set: epochs of shuffled batches, an evaluation after each, and a folder with what came out.
///
/// Unless told otherwise: Adam with learning rate 0.001, 3 epochs, batches of 100, a constant learning rate, seed 0, no
/// folder.
///
/// ```
/// use zerokara_data::{Dataset, Split};
/// use zerokara_nn::{Sequential, Sgd, SoftmaxCrossEntropy};
/// use zerokara_train::Trainer;
///
/// // Points left and right of 0.5.
/// let points: Vec<f32> = (0..64).map(|i| i as f32 / 64.0).collect();
/// let train = Split::new(points, &[1], (0..64).map(|i| i64::from(i >= 32)).collect())?;
/// let data = Dataset::new("sides", train.clone(), train, ["left", "right"])?;
///
/// let run = Trainer::new(Sequential::new().linear(2), SoftmaxCrossEntropy::new())
///     .optimizer(Sgd::new(1.0))
///     .epochs(40)
///     .batch_size(8)
///     .quiet()
///     .fit(&data)?;
/// assert!(run.test_accuracy() > 0.9);
/// # Ok::<(), zerokara_train::Error>(())
/// ```
pub struct Trainer {
    model: Arc<dyn Model>,
    name: Option<String>,
    task: Arc<dyn Task>,
    optimizer: Arc<dyn Optimizer>,
    epochs: u64,
    batch_size: usize,
    accumulate: usize,
    schedule: Course,
    clipping: Clipping,
    l2_penalty: f64,
    arithmetic: Option<Arithmetic>,
    seed: u64,
    validation: Option<Amount>,
    augment: Option<Augment>,
    ema: Option<f64>,
    sampling: Sampling,
    train_sample: usize,
    padding: Vec<(String, Pad)>,
    groups: Vec<ParameterGroup>,
    callbacks: Vec<Box<dyn Callback>>,
    watch: Option<Watch>,
    overseer: Option<Arc<dyn Overseer>>,
    folder: Option<Folder>,
    checkpoint_every: Option<Every>,
    /// What was asked for, if that was a description.
    asked: Option<RunDescription>,
    command: String,
    settings: Vec<(String, String)>,
    language: Language,
    quiet: bool,
    interrupts: bool,
}

/// What sees each record of a run.
type Watch = Box<dyn FnMut(&Record) -> Flow>;
/// Who makes several runs and compares them. Unlike a callback, it is no part of what a run does: one that was paused goes on
/// as if it had not been.
pub(crate) trait Overseer: Send + Sync {
    /// Whether the run is to pause after these epochs, with a checkpoint. `measure` is what the last of them was judged by on
    /// the validation samples, if it was in this process.
    fn pauses(&self, history: &[Epoch], measure: Option<&Measure>) -> bool;

    /// Whether the run is to pause after the current step.
    fn is_interrupted(&self) -> bool;
}

/// A schedule, perhaps one that waits for the number of steps.
enum Course {
    Paced(Pace),
    Over(Box<dyn Fn(u64) -> Schedule>),
}

/// Where the run's folder is to be.
enum Folder {
    /// A new folder in this one, named by date, model and data set.
    Within(PathBuf),
    /// This very folder.
    At(PathBuf),
    /// The folder of a run that was begun.
    Resume(PathBuf),
}

impl Trainer {
    /// A trainer of this model for this task: a loss, for models of one output and data of one target, or a task of one's
    /// own. The model need not be built: [`Trainer::fit`] builds it for the samples of the data set; what is built already is
    /// trained on.
    pub fn new(model: impl Model + 'static, task: impl Task + 'static) -> Self {
        Self {
            model: Arc::new(model),
            name: None,
            task: Arc::new(task),
            optimizer: Arc::new(Adam::new(1e-3)),
            epochs: 3,
            batch_size: 100,
            accumulate: 1,
            schedule: Course::Paced(Pace::Constant),
            clipping: Clipping::None,
            l2_penalty: 0.0,
            arithmetic: None,
            seed: 0,
            validation: None,
            augment: None,
            ema: None,
            sampling: Sampling::default(),
            train_sample: 5_000,
            padding: Vec::new(),
            groups: Vec::new(),
            callbacks: Vec::new(),
            watch: None,
            overseer: None,
            folder: None,
            checkpoint_every: None,
            asked: None,
            command: String::new(),
            settings: Vec::new(),
            language: Language::English,
            quiet: false,
            interrupts: true,
        }
    }

    /// The model's name, for the folder and the report.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How gradients change parameters, and the learning rate.
    pub fn optimizer(mut self, optimizer: impl Optimizer + 'static) -> Self {
        self.optimizer = Arc::new(optimizer);
        self
    }

    /// How often the training data are gone through.
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.epochs = epochs;
        self
    }

    /// Samples in a step; the last step of an epoch takes what is left. If that is one sample, and the model cannot be
    /// trained on one alone (batch normalization of rows), it joins the step before.
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.batch_size = batch_size;
        self
    }

    /// Takes each step in so many parts: the gradients of parts of the batch are computed one after the other and added in
    /// this order, and one update follows. A large batch then takes the memory of a small one. Batch statistics are of
    /// parts.
    #[doc(alias("gradient_accumulation", "micro_batch"))]
    pub fn accumulate(mut self, parts: usize) -> Self {
        self.accumulate = parts;
        self
    }

    /// How the learning rate changes.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = Course::Paced(Pace::Own(schedule));
        self
    }

    /// How the learning rate changes, for a schedule that needs the number of steps of the whole training, such as
    /// `Schedule::one_cycle`.
    pub fn schedule_over(mut self, schedule: impl Fn(u64) -> Schedule + 'static) -> Self {
        self.schedule = Course::Over(Box::new(schedule));
        self
    }

    /// How the learning rate changes over the whole run, however many steps it has.
    pub fn pace(mut self, pace: Pace) -> Self {
        self.schedule = Course::Paced(pace);
        self
    }

    /// How gradients are clipped.
    pub fn clipping(mut self, clipping: Clipping) -> Self {
        self.clipping = clipping;
        self
    }

    /// Scales gradients down whose norm, over all parameters, is larger than this.
    pub fn clip_norm(mut self, norm: f64) -> Self {
        self.clipping = Clipping::Norm(norm);
        self
    }

    /// Adds `penalty / 2 * |W|^2` for every weight to the loss, as the book does (page 193).
    pub fn l2_penalty(mut self, penalty: f64) -> Self {
        self.l2_penalty = penalty;
        self
    }

    /// How convolutions multiply and sum in training, as the [runtime](zerokara_core::Runtime::precision) says unless told
    /// otherwise; [`Arithmetic`] says what each promises. [`Trainer::fit`] fails if this CPU, or the instruction set that
    /// `ZEROKARA_ISA` asks for, lacks it. Evaluations are by direct sums if training is, and else in f32.
    pub fn precision(mut self, arithmetic: Arithmetic) -> Self {
        self.arithmetic = Some(arithmetic);
        self
    }

    /// The seed of everything that is random: initial values, the order of samples, dropout, augmentation of the data,
    /// the validation split. The same seed gives the same bits, on one thread or many.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets samples of the training data aside (a share such as `0.1` or a number such as `5000`), evaluates on them after
    /// each epoch, and keeps the parameters of the epoch that did best there instead of the last one's.
    pub fn validation(mut self, amount: impl Into<Amount>) -> Self {
        self.validation = Some(amount.into());
        self
    }

    /// Changes the training images by chance, anew in every epoch.
    pub fn augment(mut self, augment: Augment) -> Self {
        self.augment = Some(augment);
        self
    }

    /// Keeps a moving average of weights and running statistics beside them ([`TrainStep::ema`]); it is what is evaluated
    /// after each epoch, saved and given in the end, while training goes on from the weights themselves. A decay of 0.999
    /// averages about the last thousand steps.
    #[doc(alias("exponential_moving_average", "average"))]
    pub fn ema(mut self, decay: f64) -> Self {
        self.ema = Some(decay);
        self
    }

    /// Which samples an epoch takes: each once unless set.
    pub fn sampling(mut self, sampling: Sampling) -> Self {
        self.sampling = sampling;
        self
    }

    /// How many of the training samples the evaluation after each epoch takes, drawn once by chance; 5000 unless set. The
    /// training loss and accuracy of progress, metrics and report are of these.
    pub fn train_sample(mut self, samples: usize) -> Self {
        self.train_sample = samples;
        self
    }

    /// How samples of a column that differ in size become one array in a batch ([`Loader::pad`]).
    pub fn pad(mut self, column: impl Into<String>, pad: Pad) -> Self {
        self.padding.push((column.into(), pad));
        self
    }

    /// Trains some parameters in a way of their own, or not at all ([`TrainStep::group`]).
    pub fn group(mut self, group: ParameterGroup) -> Self {
        self.groups.push(group);
        self
    }

    /// Adds a look at each step and epoch.
    pub fn callback(mut self, callback: impl Callback + 'static) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Shows each record, of a step or an epoch, as it is made: to a display of one's own, say. It is no part of what the run is, as
    /// a [`Callback`] is. With [`Flow::Stop`] it asks for what Ctrl-C asks for: the run is saved, and can be gone on with.
    pub fn watch(mut self, watch: impl FnMut(&Record) -> Flow + 'static) -> Self {
        self.watch = Some(Box::new(watch));
        self
    }

    /// Writes metrics, model and report into exactly this folder, which must not hold a run already.
    pub fn run_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(Folder::At(folder.into()));
        self
    }

    /// Writes metrics, model and report into a new folder in this one, named by date, model and data set.
    pub fn run_folder_in(mut self, base: impl Into<PathBuf>) -> Self {
        self.folder = Some(Folder::Within(base.into()));
        self
    }

    /// Goes on with the run in this folder, which was cut off, from its last checkpoint (from its start, if there is none
    /// yet), and ends as if it had never stopped: the model has the same bits, and so have the metrics, but for times. Model, data
    /// and settings must be those with which it was begun. A run that is complete is not trained further.
    ///
    /// ```
    /// use zerokara_data::{Dataset, Split};
    /// use zerokara_nn::{Sequential, SoftmaxCrossEntropy};
    /// use zerokara_train::{Every, Trainer};
    /// let points: Vec<f32> = (0..64).map(|i| i as f32 / 64.0).collect();
    /// let train = Split::new(points, &[1], (0..64).map(|i| i64::from(i >= 32)).collect())?;
    /// let data = Dataset::new("sides", train.clone(), train, ["left", "right"])?;
    /// # let folder = std::env::temp_dir().join(format!("zerokara-resume-{}", std::process::id()));
    /// let trainer = || {
    ///     let model = Sequential::new().linear(2);
    ///     Trainer::new(model, SoftmaxCrossEntropy::new()).checkpoint_every(Every::Steps(2)).quiet()
    /// };
    /// let run = trainer().run_folder(&folder).fit(&data)?;
    /// // Had it been cut off, by a power failure for example, this would go on with it.
    /// let again = trainer().resume(&folder).fit(&data)?;
    /// assert_eq!(again.losses(), run.losses());
    /// # std::fs::remove_dir_all(folder)?;
    /// # Ok::<(), zerokara_train::Error>(())
    /// ```
    pub fn resume(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(Folder::Resume(folder.into()));
        self
    }

    /// How often everything that a run is gets saved into its folder, so that it can be gone on with. Unless set: at the end
    /// of an epoch, but not sooner than 5 seconds after the last time.
    ///
    /// What cannot be written while training (the disk is full, the folder is gone) is said once and tried again the next time;
    /// training goes on, and the last good checkpoint stays. What cannot be written at the end of the run is an error.
    pub fn checkpoint_every(mut self, every: Every) -> Self {
        self.checkpoint_every = Some(every);
        self
    }

    /// The command that made the run, for the report.
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = command.into();
        self
    }

    /// A further setting for the report to list.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// The language of progress and report; English unless set. What a run is does not depend on it, nor do its other files.
    ///
    /// ```
    /// use zerokara_nn::{Sequential, SoftmaxCrossEntropy};
    /// use zerokara_train::{Trainer, language::Language};
    ///
    /// let model = Sequential::new().linear(10);
    /// let trainer = Trainer::new(model, SoftmaxCrossEntropy::new()).language(Language::Japanese);
    /// ```
    pub fn language(mut self, language: Language) -> Self {
        self.language = language;
        self
    }

    /// Shows no progress.
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Whether Ctrl-C (or SIGTERM) finishes the current step, saves and returns; true unless set. A second one ends the
    /// process at once.
    pub fn catch_interrupts(mut self, catch: bool) -> Self {
        self.interrupts = catch;
        self
    }

    /// Trains. Ctrl-C ends training early but well: then [`Run::interrupted`] is true.
    ///
    /// # Errors
    /// If the model does not fit the data's shapes or number of classes, a setting cannot work, or there are too few samples
    /// for a step: then nothing was done. If a file cannot be written, or a step is not finite: in the last case
    /// ([`Error::not_finite`](crate::Error::not_finite)) nothing was changed by that step. However a run ends, also by an
    /// error or a callback that panics, its folder holds what it had: the model (with a validation split the best epoch's,
    /// else that of the last good step), metrics, a report, and in `run.json` how it ended.
    #[doc(alias = "train")]
    pub fn fit(self, data: &Dataset) -> Result<Run> {
        fit::fit(self, data)
    }

    /// Steps of the whole training on these data, if nothing ends it early. (Where the model needs several samples in a step, the last
    /// step of an epoch may be taken with the one before.)
    ///
    /// # Errors
    /// If there is nothing to train on.
    pub fn steps(&self, data: &Dataset) -> Result<u64> {
        let (train, _) = fit::parted(self, data)?;
        let batch = self.batch_size.clamp(1, train.len().max(1));
        let steps = match self.sampling {
            Sampling::Stream => train.len() / batch,
            _ => train.len().div_ceil(batch),
        };
        Ok((steps as u64).saturating_mul(self.epochs))
    }

    /// The step of training as it is set, for these data.
    fn step(&self, data: &Dataset) -> Result<TrainStep> {
        let model: Arc<dyn Model> = match self.sampling {
            Sampling::Stream => {
                let (train, _) = fit::parted(self, data)?;
                let lanes = self.batch_size.min(train.len());
                Arc::new(Carried::new(self.model.clone(), lanes)?)
            }
            _ => self.model.clone(),
        };
        let model = OfBytes::new(model, data.normalization.clone());
        let mut step = TrainStep::new(model, self.task.clone(), self.optimizer.clone())?
            .clipping(self.clipping)
            .l2_penalty(self.l2_penalty)
            .seed(self.seed);
        for group in &self.groups {
            step = step.group(group.clone())?;
        }
        if let Some(decay) = self.ema {
            step = step.ema(decay)?;
        }
        match self.arithmetic {
            Some(arithmetic) => Ok(step.precision(arithmetic)?),
            None => Ok(step),
        }
    }

    /// What progress and report are said with.
    fn words(&self) -> Words {
        Words::new(self.language, &TRAINING)
    }

    /// Batches of these samples, as the model takes them.
    fn loader(&self, data: &Dataset, split: &Split, batch_size: usize) -> Result<Loader> {
        let loader = Loader::new(split, batch_size)?.normalization(data.normalization.clone())?;
        self.padded(loader)
    }

    fn padded(&self, mut loader: Loader) -> Result<Loader> {
        for (column, pad) in &self.padding {
            loader = loader.pad(column, *pad)?;
        }
        Ok(loader)
    }

    /// Lets another look over the run.
    pub(crate) fn overseen_by(mut self, overseer: Arc<dyn Overseer>) -> Self {
        self.overseer = Some(overseer);
        self
    }

    /// Made from this description, which stays in the run's folder.
    pub(crate) fn described_by(mut self, run: &RunDescription) -> Self {
        self.asked = Some(run.clone());
        self
    }

    /// The schedule of a run of so many steps.
    fn schedule_of(&self, steps: u64) -> Schedule {
        match &self.schedule {
            Course::Paced(pace) => pace.over(steps),
            Course::Over(schedule) => schedule(steps),
        }
    }

    /// What a run of so many steps on these data is to do.
    fn describe(
        &self,
        data: &Dataset,
        steps: u64,
        callbacks: &[Box<dyn Callback>],
    ) -> Result<RunDescription> {
        let asked = self.asked.as_ref();
        let own_data = DataDescription {
            name: data.name.clone(),
            own: true,
            ..DataDescription::default()
        };
        let mut optimizer = Setup::new(self.optimizer.name(), self.optimizer.settings());
        let rate = self.optimizer.learning_rate();
        optimizer.settings.insert("learning_rate".into(), rate);
        let mut run =
            RunDescription::new(self.name.as_deref().unwrap_or("model"), data.name.as_str());
        run.model = match asked {
            Some(run) => run.model.clone(),
            None => ModelDescription {
                own: true,
                ..run.model
            },
        };
        run.data = DataDescription {
            found: Some(DataFacts::of(data)?),
            name: data.name.clone(),
            path: data
                .source
                .as_deref()
                .and_then(|p| p.to_str())
                .map(str::to_string),
            ..asked.map_or(own_data, |run| run.data.clone())
        };
        run.task = Setup::new(self.task.title(), self.task.options());
        let groups = self.groups.iter();
        run.groups = groups.map(GroupDescription::of).collect();
        run.optimizer = optimizer;
        run.schedule = match &self.schedule {
            Course::Paced(pace) => pace.clone(),
            Course::Over(schedule) => Pace::Own(schedule(steps)),
        };
        run.epochs = self.epochs;
        run.batch_size = self.batch_size;
        run.accumulate = self.accumulate;
        run.seed = self.seed;
        let parted_off = asked.and_then(|run| run.validation);
        run.validation = self.validation.or(parted_off);
        run.train_sample = self.train_sample;
        // What changes nothing is kept where it was asked for: it says that nothing is to be changed.
        let unchanged = || asked.and_then(|run| run.augment.clone());
        run.augment = self.augment.clone().or_else(unchanged);
        run.ema = self.ema;
        run.sampling = self.sampling;
        run.class_weights = self.task.weights().to_vec();
        run.padding = self.padding.iter().cloned().collect();
        run.clipping = self.clipping;
        run.l2_penalty = self.l2_penalty;
        run.precision = self.arithmetic.map(|a| a.name().to_string());
        let callbacks = callbacks.iter();
        run.callbacks = callbacks
            .map(|c| Setup::new(c.name(), c.settings()))
            .collect();
        run.checkpoint_every = self.checkpoint_every;
        Ok(run)
    }
}
