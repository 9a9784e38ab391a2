//! The exponential moving average of everything that training changes.

use super::TrainStep;
use zerokara_core::{Array, DType, Error, Parameter, Result, Tensor};

/// The averages of a step.
pub(super) struct Averages {
    decay: f64,
    /// Each parameter and running statistic with its path and its average.
    pub cells: Vec<Averaged>,
}

pub(super) struct Averaged {
    pub path: String,
    pub value: Parameter,
    pub average: Parameter,
}

impl Averages {
    /// How much of the new values enters at this update, counted from 1.
    ///
    /// An average from 0 on, `m = decay m + (1 - decay) w`, is too small by the factor `1 - decay^update` (Kingma and Ba,
    /// 2015, section 3). Divided by it, it is the walk `m += (w - m) (1 - decay) / (1 - decay^update)`: the mean of all
    /// values, of which each counts `decay` times as much as the next.
    pub fn share(&self, update: u64) -> f64 {
        // Beyond this, the power is 0.
        let update = update.min(i32::MAX as u64) as i32;
        (1.0 - self.decay) / (1.0 - self.decay.powi(update))
    }
}

/// The new averages, and the share that they take in as an input.
pub(super) struct Traced {
    pub share: Tensor,
    /// Each average, what it was, and what it becomes.
    pub updates: Vec<(Parameter, Tensor, Tensor)>,
}

impl TrainStep {
    /// Keeps the exponential moving average of parameters and running statistics beside them: after each update,
    /// `m += (w - m) (1 - decay) / (1 - decay^update)`. It wanders less than the last values do, and usually does better
    /// on new data (Polyak and Juditsky, 1992). A decay of 0.999 averages about the last thousand updates.
    ///
    /// Training goes on from the values themselves; [`TrainStep::averaged`] looks at the model with the average.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use zerokara_core::Tensor;
    /// use zerokara_nn::{Forward, MeanSquaredError, Module, Sequential, Sgd, TrainStep};
    ///
    /// let (x, t) = (Tensor::from([[1.0], [2.0]]).eval()?, Tensor::from([[3.0], [5.0]]).eval()?);
    /// let model = Arc::new(Sequential::new().linear(1));
    /// model.build(&x, 1)?;
    /// let weight = |model: &dyn Module| model.state().map(|state| state[0].1.to_f64s()[0]);
    /// let mut step = TrainStep::new(model.clone(), MeanSquaredError::new(), Sgd::new(0.1))?.ema(0.5)?;
    /// step.step(&x, &t, 0.1)?;
    /// let first = weight(&*model)?;
    /// step.step(&x, &t, 0.1)?;
    /// let second = weight(&*model)?;
    /// let average = step.averaged(|| weight(&*model))??;
    /// // 0.25 first + 0.5 second, divided by what these two shares are together.
    /// assert!((average - (first + 2.0 * second) / 3.0).abs() < 1e-6);
    /// assert_eq!(weight(&*model)?, second);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the decay is no number from 0 to below 1.
    #[doc(alias("exponential_moving_average", "ModelEma", "AveragedModel", "polyak"))]
    pub fn ema(mut self, decay: f64) -> Result<Self> {
        if !(0.0..1.0).contains(&decay) {
            return Err(Error::new(format!(
                "the decay of the moving average of the weights is {decay}; it must be a number from 0 to below 1, such as 0.999"
            )));
        }
        let all = (self.model.named_parameters()?.into_iter()).chain(self.model.named_buffers()?);
        let floats = all.filter(|(_, value)| value.meta().is_float());
        let cells = floats.map(|(path, value)| Averaged {
            average: Parameter::of_array(format!("{path}.average"), value.value()),
            path,
            value,
        });
        self.average = Some(Averages {
            decay,
            cells: cells.collect(),
        });
        self.programs = Default::default();
        Ok(self)
    }

    /// How much of the new values the average takes in at the next update, if there is one.
    pub(super) fn share_of_next(&self) -> Option<f64> {
        let average = self.average.as_ref()?;
        Some(average.share(self.updates + 1))
    }

    /// The averages after an update that stores these new values; what it leaves alone is as it is.
    pub(super) fn trace_average(&self, updates: &[(Parameter, Tensor)]) -> Option<Traced> {
        let averages = self.average.as_ref()?;
        let share = Tensor::input("average", [], DType::F32);
        let walk = |cell: &Averaged| {
            let stored = updates.iter().find(|(to, _)| to.id() == cell.value.id());
            let new = stored.map_or_else(|| cell.value.tensor(), |(_, new)| new.clone());
            let old = cell.average.tensor();
            let next = &old + (&new - &old) * share.cast(cell.value.meta().dtype);
            (cell.average.clone(), old, next)
        };
        Some(Traced {
            updates: averages.cells.iter().map(walk).collect(),
            share: share.clone(),
        })
    }

    /// What is said or done while the model has the average in place of its values, which it has again afterwards; without
    /// an average ([`TrainStep::ema`]) as it is.
    ///
    /// # Errors
    /// If a value cannot be set.
    pub fn averaged<T>(&mut self, look: impl FnOnce() -> T) -> Result<T> {
        if self.average.is_none() {
            return Ok(look());
        }
        self.exchange()?;
        let seen = look();
        self.exchange()?;
        // The values are those of before, and so is what was known of them.
        for group in &mut self.groups {
            let (bounds, waiting) = group.guard.knowledge();
            group.guard.restore(&self.cells, &bounds, waiting);
        }
        Ok(seen)
    }

    /// Gives the model the average for good, if there is one.
    ///
    /// # Errors
    /// If a value cannot be set.
    pub fn keep_average(self) -> Result<()> {
        self.exchange()
    }

    /// Values and averages change places.
    fn exchange(&self) -> Result<()> {
        for cell in self.average.iter().flat_map(|average| &average.cells) {
            let (value, average): (Array, Array) = (cell.value.value(), cell.average.value());
            cell.value.set_array(average)?;
            cell.average.set_array(value)?;
        }
        Ok(())
    }
}
