//! All that a step is between two batches, as arrays with names, so that it can go on elsewhere with the same bits.

use super::TrainStep;
use zerokara_core::{Array, Arrays, DType, Error, Parameter, Result};

/// Names of what is no optimizer's state.
const COUNTERS: &str = "__counters";
const NORM: &str = "__norm";

impl TrainStep {
    /// The optimizer's state, each with its name (`conv1.weight.velocity`).
    pub fn optimizer_state(&self) -> Vec<(String, Parameter)> {
        let states = self.cells.iter().flat_map(|cell| &cell.state);
        states.map(|p| (p.name().to_string(), p.clone())).collect()
    }

    /// The moving averages, if there are some, as files name them.
    fn averages(&self) -> impl Iterator<Item = (String, Parameter)> {
        let cells = self.average.iter().flat_map(|average| &average.cells);
        cells.map(|cell| (format!("__average.{}", cell.path), cell.average.clone()))
    }

    /// All that the step is, without the model's own parameters and buffers ([`Module::state`](crate::Module::state) has
    /// these): what the optimizer remembers of each parameter, the numbers of steps and updates, and what the step has
    /// learned of the sizes of values. A step of the same settings that is given all this, and its model the values that it
    /// had, goes on with the same bits.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use zerokara_core::{Array, Tensor};
    /// # use zerokara_nn::{Adam, Forward, MeanSquaredError, Module, Sequential, TrainStep};
    /// # let x = Tensor::from([[1.0], [2.0]]).eval()?;
    /// # let model = Arc::new(Sequential::new().linear(1));
    /// # model.build(&x, 1)?;
    /// let new = || TrainStep::new(model.clone(), MeanSquaredError::new(), Adam::new(0.1));
    /// let mut step = new()?;
    /// step.step(&x, &x, 0.1)?;
    /// let (state, values) = (step.state(), model.state()?);
    /// let expected = step.step(&x, &x, 0.1)?;
    ///
    /// model.load_state(&values)?;
    /// let mut other = new()?;
    /// other.load_state(&state)?;
    /// assert_eq!(other.step(&x, &x, 0.1)?, expected);
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    pub fn state(&self) -> Arrays {
        let mut state: Arrays = self
            .optimizer_state()
            .into_iter()
            .map(|(name, cell)| (name, cell.value()))
            .collect();
        for (name, cell) in self.averages() {
            state.insert(name, cell.value());
        }
        let counters: &[i64] = &[self.steps as i64, self.updates as i64];
        state.insert(COUNTERS, Array::new([2], counters));
        state.insert(NORM, Array::scalar(self.norm, DType::F64));
        for (number, group) in self.groups.iter().enumerate() {
            let (bounds, waiting) = group.guard.knowledge();
            state.insert(bounds_name(number), Array::new([bounds.len()], bounds));
            let waiting: &[i64] = &[waiting as i64];
            state.insert(waiting_name(number), Array::new([1], waiting));
        }
        state
    }

    /// Becomes what another step was when it gave this state; all or, on an error, nothing. The model's parameters must
    /// have the values that they had then.
    ///
    /// # Errors
    /// If the state lacks a value, has one too many, or has one of another shape: it is of another model, optimizer or
    /// other groups.
    pub fn load_state(&mut self, state: &Arrays) -> Result<()> {
        let mut cells = self.optimizer_state();
        cells.extend(self.averages());
        let find = |name: &str| {
            let found = state.get(name);
            found.ok_or_else(|| Error::new(format!("the state of the training has no {name}")))
        };
        let mut values = Vec::with_capacity(cells.len());
        for (name, cell) in &cells {
            let value = find(name)?;
            if value.valid()?.meta() != *cell.meta() {
                return Err(Error::new(format!(
                    "{name} is {} and cannot take a value of {}",
                    cell.meta(),
                    value.meta()
                )));
            }
            values.push((cell, value.clone()));
        }
        let counters = find(COUNTERS)?.as_slice::<i64>()?;
        let (Ok([steps, updates]), Some(norm)) =
            (<[i64; 2]>::try_from(counters), find(NORM)?.get_f64(0))
        else {
            return Err(Error::new("the state of the training has damaged counters"));
        };
        let mut learned = Vec::new();
        for number in 0..self.groups.len() {
            let bounds = find(&bounds_name(number))?.as_slice::<f64>()?;
            let waiting = find(&waiting_name(number))?.as_slice::<i64>()?;
            let (true, [waiting]) = (bounds.len().is_multiple_of(2), waiting) else {
                return Err(Error::new("the state of the training has damaged bounds"));
            };
            learned.push((bounds, *waiting));
        }
        let known = cells.len() + 2 + 2 * self.groups.len();
        if state.len() != known {
            return Err(Error::new(format!(
                "the state of the training has {} values, and {known} are known: it is of another optimizer",
                state.len()
            )));
        }
        for (cell, value) in values {
            cell.set_array(value)?;
        }
        (self.steps, self.updates, self.norm) = (steps as u64, updates as u64, norm);
        for (group, (bounds, waiting)) in self.groups.iter_mut().zip(learned) {
            group.guard.restore(&self.cells, bounds, waiting as u64);
        }
        self.halves = None;
        Ok(())
    }
}

fn bounds_name(group: usize) -> String {
    format!("__bounds.{group}")
}

fn waiting_name(group: usize) -> String {
    format!("__waiting.{group}")
}
