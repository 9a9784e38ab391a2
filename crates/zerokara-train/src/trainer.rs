//! Training a model on a data set.

mod callbacks;
mod fit;
mod interrupt;
mod page;
mod profile;
mod run;

pub use callbacks::{Callback, EarlyStopping, Flow};
pub use run::Run;

use crate::{error::Result, run_folder::RunFolder};
use std::{path::PathBuf, sync::Arc};
use zerokara_core::Arithmetic;
use zerokara_data::{Amount, Augment, Dataset};
use zerokara_nn::{Adam, Clipping, Forward, Loss, Optimizer, Schedule, TrainStep};

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
    model: Arc<dyn Forward>,
    name: Option<String>,
    loss: Arc<dyn Loss>,
    optimizer: Arc<dyn Optimizer>,
    epochs: u64,
    batch_size: usize,
    schedule: Plan,
    clipping: Clipping,
    l2_penalty: f64,
    arithmetic: Option<Arithmetic>,
    seed: u64,
    validation: Option<Amount>,
    augment: Option<Augment>,
    train_sample: usize,
    callbacks: Vec<Box<dyn Callback>>,
    folder: Option<Place>,
    command: String,
    settings: Vec<(String, String)>,
    quiet: bool,
    interrupts: bool,
}

/// A schedule, perhaps one that waits for the number of steps.
enum Plan {
    Fixed(Schedule),
    Over(Box<dyn Fn(u64) -> Schedule>),
}

/// Where the run's folder is to be.
enum Place {
    /// A new folder in this one, named by date, model and data set.
    Within(PathBuf),
    /// This very folder.
    At(PathBuf),
}

impl Trainer {
    /// A trainer of this model with this loss. The model need not be built: [`Trainer::fit`] builds it for the samples of
    /// the data set; what is built already is trained on.
    pub fn new(model: impl Forward + 'static, loss: impl Loss + 'static) -> Self {
        Self {
            model: Arc::new(model),
            name: None,
            loss: Arc::new(loss),
            optimizer: Arc::new(Adam::new(1e-3)),
            epochs: 3,
            batch_size: 100,
            schedule: Plan::Fixed(Schedule::Constant),
            clipping: Clipping::None,
            l2_penalty: 0.0,
            arithmetic: None,
            seed: 0,
            validation: None,
            augment: None,
            train_sample: 5_000,
            callbacks: Vec::new(),
            folder: None,
            command: String::new(),
            settings: Vec::new(),
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

    /// How the learning rate changes.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = Plan::Fixed(schedule);
        self
    }

    /// How the learning rate changes, for a schedule that needs the number of steps of the whole training, such as
    /// `Schedule::one_cycle`.
    pub fn schedule_over(mut self, schedule: impl Fn(u64) -> Schedule + 'static) -> Self {
        self.schedule = Plan::Over(Box::new(schedule));
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

    /// How many of the training samples the evaluation after each epoch takes, drawn once by chance; 5000 unless set. The
    /// training loss and accuracy of progress, metrics and report are of these.
    pub fn train_sample(mut self, samples: usize) -> Self {
        self.train_sample = samples;
        self
    }

    /// Adds a look at each step and epoch.
    pub fn callback(mut self, callback: impl Callback + 'static) -> Self {
        self.callbacks.push(Box::new(callback));
        self
    }

    /// Writes metrics, model and report into exactly this folder, which must not hold a run already.
    pub fn run_folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(Place::At(folder.into()));
        self
    }

    /// Writes metrics, model and report into a new folder in this one, named by date, model and data set.
    pub fn run_folder_in(mut self, base: impl Into<PathBuf>) -> Self {
        self.folder = Some(Place::Within(base.into()));
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
    /// If the model does not fit the data's shape or number of classes, a setting cannot work, or there are too few samples
    /// for a step: then nothing was done. If a file cannot be written, or a step is not finite: in the last case
    /// ([`Error::not_finite`](crate::Error::not_finite)) nothing was changed by that step. However a run ends, also by an
    /// error or a callback that panics, its folder holds what it had: the model (with a validation split the best epoch's,
    /// else that of the last good step), metrics, a report, and in `run.json` how it ended.
    #[doc(alias = "train")]
    pub fn fit(self, data: &Dataset) -> Result<Run> {
        fit::fit(self, data)
    }

    /// The step of training as it is set.
    fn step(&self) -> Result<TrainStep> {
        let (model, loss) = (self.model.clone(), self.loss.clone());
        let step = TrainStep::new(model, loss, self.optimizer.clone())?
            .clipping(self.clipping)
            .l2_penalty(self.l2_penalty)
            .seed(self.seed);
        match self.arithmetic {
            Some(arithmetic) => Ok(step.precision(arithmetic)?),
            None => Ok(step),
        }
    }

    fn folder(&self, dataset: &str) -> Result<Option<RunFolder>> {
        let name = self.name.as_deref().unwrap_or("model");
        Ok(match &self.folder {
            None => None,
            Some(Place::At(path)) => Some(RunFolder::create_at(path)?),
            Some(Place::Within(base)) => Some(RunFolder::create(base, name, dataset)?),
        })
    }
}
