//! Callbacks: a look at every step and every epoch, and a word in whether training goes on.

use crate::{
    error::{Error, Result},
    metrics::{Epoch, Step},
};
use zerokara_core::{Array, Arrays, DType};
use zerokara_nn::{Module, TrainStep};

/// Whether training goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It does.
    Continue,
    /// It ends here, as if this had been the last epoch.
    Stop,
}

/// Something that looks at a training run.
///
/// ```
/// use zerokara_nn::{Module, Sequential};
/// use zerokara_train::{Callback, Flow, metrics::Step};
///
/// /// Stops once the loss of a batch is small.
/// struct GoodEnough(f64);
///
/// impl Callback for GoodEnough {
///     fn on_step(&mut self, step: &Step, _: &dyn Module) -> Flow {
///         if step.loss < self.0 { Flow::Stop } else { Flow::Continue }
///     }
/// }
/// let step = Step { loss: 0.01, ..Step::default() };
/// assert_eq!(GoodEnough(0.05).on_step(&step, &Sequential::new()), Flow::Stop);
/// ```
///
/// One that remembers something from step to step gives it in [`Callback::state`] and takes it in [`Callback::restore`], so
/// that a run which was cut off goes on as if it had not been.
pub trait Callback {
    /// The name, by which a run that goes on knows it again.
    fn name(&self) -> &str {
        "callback"
    }

    /// Name and value of each setting.
    fn settings(&self) -> Vec<(&'static str, f64)> {
        Vec::new()
    }

    /// What it remembers.
    fn state(&self) -> Arrays {
        Arrays::new()
    }

    /// Remembers what another one like it has given as its state.
    ///
    /// # Errors
    /// If it is no such state.
    fn restore(&mut self, state: &Arrays) -> Result<()> {
        let _ = state;
        Ok(())
    }

    /// Before the run begins.
    ///
    /// # Errors
    /// If it has a setting that cannot work.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Whether it wants to see the gradients of each step before they are used ([`Callback::on_gradients`]).
    fn wants_gradients(&self) -> bool {
        false
    }

    /// Between the two halves of a step: `step` has the gradients in their places
    /// ([`TrainStep::gradients`]), and what lies there afterwards is what is clipped and used. Called if
    /// [`Callback::wants_gradients`] says so; a step is then taken in two halves, which gives the bits of the whole but for
    /// rounding.
    ///
    /// # Errors
    /// Whatever hinders the step; the run ends by it.
    fn on_gradients(&mut self, _step: &TrainStep) -> Result<()> {
        Ok(())
    }

    /// After each step.
    fn on_step(&mut self, _step: &Step, _model: &dyn Module) -> Flow {
        Flow::Continue
    }

    /// After each epoch and its evaluation.
    fn on_epoch(&mut self, _epoch: &Epoch, _model: &dyn Module) -> Flow {
        Flow::Continue
    }
}

/// Ends training when the validation loss (without a validation split: the training loss) has not become smaller for
/// some epochs.
///
/// ```
/// use zerokara_nn::Sequential;
/// use zerokara_train::{Callback, EarlyStopping, Flow, metrics::Epoch};
/// let model = Sequential::new();
/// let mut stop = EarlyStopping::new(2);
/// let flow: Vec<Flow> = [0.5, 0.4, 0.41, 0.42]
///     .map(|loss| stop.on_epoch(&Epoch { validation_loss: Some(loss), ..Epoch::default() }, &model))
///     .to_vec();
/// assert_eq!(flow, [Flow::Continue, Flow::Continue, Flow::Continue, Flow::Stop]);
/// ```
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    patience: u64,
    min_delta: f64,
    best: f64,
    waited: u64,
}

impl EarlyStopping {
    /// Its name in the description of a run.
    pub const NAME: &str = "early_stopping";

    /// Stops after this many epochs without a new best.
    pub fn new(patience: u64) -> Self {
        Self {
            patience: patience.max(1),
            min_delta: 0.0,
            best: f64::INFINITY,
            waited: 0,
        }
    }

    /// A new best must be smaller than the old one by more than this, a number from 0 on.
    pub fn min_delta(mut self, min_delta: f64) -> Self {
        self.min_delta = min_delta;
        self
    }
}

impl Callback for EarlyStopping {
    fn name(&self) -> &str {
        Self::NAME
    }

    fn settings(&self) -> Vec<(&'static str, f64)> {
        vec![
            ("patience", self.patience as f64),
            ("min_delta", self.min_delta),
        ]
    }

    fn state(&self) -> Arrays {
        Arrays::from([
            ("best", Array::new([], vec![self.best])),
            ("waited", Array::scalar(self.waited as f64, DType::I64)),
        ])
    }

    fn restore(&mut self, state: &Arrays) -> Result<()> {
        let number = |name: &str| -> Result<f64> {
            let found = state.find(name)?.get_f64(0);
            found.ok_or_else(|| Error::new(format!("early stopping has no number {name}")))
        };
        (self.best, self.waited) = (number("best")?, number("waited")? as u64);
        Ok(())
    }

    fn check(&self) -> Result<()> {
        match self.min_delta.is_finite() && self.min_delta >= 0.0 {
            true => Ok(()),
            false => Err(Error::new(format!(
                "early stopping has the least difference {}; it must be a number from 0 on",
                self.min_delta
            ))),
        }
    }

    fn on_epoch(&mut self, epoch: &Epoch, _: &dyn Module) -> Flow {
        let Some(loss) = epoch.validation_loss.or(epoch.train_loss) else {
            return Flow::Continue;
        };
        if loss < self.best - self.min_delta {
            (self.best, self.waited) = (loss, 0);
        } else {
            self.waited += 1;
        }
        match self.waited >= self.patience {
            true => Flow::Stop,
            false => Flow::Continue,
        }
    }
}
