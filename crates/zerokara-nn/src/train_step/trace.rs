//! The graph of a step: of the whole of it, or of one of its halves.

use super::{Care, LEAST_NORM, TrainStep};
use crate::{Context, Mode, Task, Totals, finite, given::Shapes, optimizers::ParameterSpec};
use zerokara_core::{
    DType, Error, Parameter, Result, Tensor, Tensors, gradients,
    scope::{Phase, enter, in_container},
};

/// What a step, or a half of one, computes.
pub(super) struct Traced {
    pub inputs: Vec<Tensor>,
    /// Of a step: loss, gradient norm, whether all is finite, and the task's sums. Of the gradients alone: loss, whether
    /// statistics are finite, and the sums. Of the update alone: norm, and whether all is finite.
    pub outputs: Vec<Tensor>,
    pub updates: Vec<(Parameter, Tensor)>,
    /// The new values of the updates, as they are if the step is good.
    pub stored: Vec<Tensor>,
    /// The names of the task's sums.
    pub sums: Vec<&'static str>,
}

/// Forward pass, loss and gradients.
struct Forward {
    inputs: Vec<Tensor>,
    loss: Tensor,
    sums: Vec<&'static str>,
    tallied: Vec<Tensor>,
    /// The parameters that are trained, as the pass read them.
    leaves: Vec<Tensor>,
    gradients: Vec<Tensor>,
    statistics: Vec<(Parameter, Tensor)>,
}

/// What a model makes, checked.
pub(crate) fn in_outputs(apply: impl FnOnce() -> Tensors) -> Result<Tensors> {
    let mut outputs = Tensors::new();
    in_container("", || {
        outputs = apply();
        outputs
            .values()
            .next()
            .cloned()
            .unwrap_or(Tensor::from(0.0f32))
    });
    if outputs.is_empty() {
        return Err(Error::new("the model has no output"));
    }
    for output in outputs.values() {
        output.meta()?;
    }
    Ok(outputs)
}

/// The names and values of a task's sums.
pub(crate) fn summed(
    task: &dyn Task,
    outputs: &Tensors,
    targets: &Tensors,
) -> Result<(Vec<&'static str>, Vec<Tensor>)> {
    let sums = task.tally(outputs, targets);
    if sums.len() > Totals::MOST {
        return Err(Error::new(format!(
            "the task {} has {} sums; there can be {} at most",
            task.title(),
            sums.len(),
            Totals::MOST
        )));
    }
    for (name, sum) in &sums {
        let meta = sum.meta()?;
        if meta.len() != 1 || !meta.is_float() {
            return Err(Error::new(format!(
                "the sum {name} of the task {} is {meta}; it must be one floating-point number",
                task.title()
            )));
        }
    }
    Ok(sums.into_iter().unzip())
}

impl TrainStep {
    /// Forward pass, loss and gradients of a batch; `step` is the number that random draws take.
    fn pass(&self, inputs: &Shapes, targets: &Shapes, step: &Tensor) -> Result<Forward> {
        let (x, t) = (inputs.tensors(), targets.tensors());
        let mut cx = Context::new(Mode::Train, self.seed, step.clone());
        let outputs = in_outputs(|| self.model.apply(&x, &mut cx))?;
        let statistics = cx.finish()?;
        let mut loss = self.task.objective(&outputs, &t);
        let meta = loss.meta()?;
        if meta.len() != 1 || !meta.is_float() {
            return Err(Error::new(format!(
                "the loss of the task {} is {meta}; it must be one floating-point number",
                self.task.title()
            )));
        }
        // Behind the pass, so that a leaf is made by the layer that reads it first.
        let leaves: Vec<Tensor> = self.cells.iter().map(|c| c.parameter.tensor()).collect();
        if self.penalty != 0.0 {
            let weights = leaves
                .iter()
                .filter(|w| w.meta().is_ok_and(|m| m.rank() >= 2));
            let squares = weights.map(|w| w.square().sum()).reduce(|a, b| a + b);
            if let Some(squares) = squares {
                loss = loss + squares * (0.5 * self.penalty);
            }
        }
        let wrt: Vec<&Tensor> = leaves.iter().collect();
        let gradients = gradients(&loss, &wrt);
        let (sums, tallied) = summed(&*self.task, &outputs, &t)?;
        Ok(Forward {
            inputs: x.values().chain(t.values()).cloned().collect(),
            loss,
            sums,
            tallied,
            leaves,
            gradients,
            statistics,
        })
    }

    /// The whole step: gradients, clipping, updates.
    pub(super) fn trace(&self, inputs: &Shapes, targets: &Shapes, care: Care) -> Result<Traced> {
        let step = Tensor::input("step", [], DType::I64);
        let pass = self.pass(inputs, targets, &step)?;
        let mut update = self.trace_update(&pass.leaves, &pass.gradients, care)?;
        let _update = enter(Phase::Update);
        let looked_at = match care {
            Care::Bounds => Vec::new(),
            Care::Everything => update.stored.clone(),
        };
        let statistics = pass.statistics.iter().map(|(_, new)| new.clone());
        let seen: Vec<Tensor> = looked_at.into_iter().chain(statistics).collect();
        let mut ok = pass.loss.is_finite().logical_and(&update.norm_is_good);
        if let Some(all) = finite::all_finite(&seen) {
            ok = ok.logical_and(&all);
        }
        for (cell, new) in pass.statistics {
            update.old.push(cell.tensor());
            update.stored.push(new.clone());
            update.updates.push((cell, new));
        }
        update.average(self);
        for ((_, new), old) in update.updates.iter_mut().zip(&update.old) {
            *new = ok.select(new, old);
        }
        let heads = [step, update.largest].into_iter();
        let heads = pass.inputs.into_iter().chain(heads);
        let told = [pass.loss, update.norm, ok].into_iter();
        Ok(Traced {
            inputs: heads.chain(update.scalars).collect(),
            outputs: told.chain(pass.tallied).collect(),
            updates: update.updates,
            stored: update.stored,
            sums: pass.sums,
        })
    }

    /// The first half: the gradients of a batch, times its share, put in the places of gradients or added to what is there.
    pub(super) fn trace_gradients(
        &self,
        inputs: &Shapes,
        targets: &Shapes,
        is_first: bool,
    ) -> Result<Traced> {
        let step = Tensor::input("step", [], DType::I64);
        let share = Tensor::input("share", [], DType::F32);
        let pass = self.pass(inputs, targets, &step)?;
        let _update = enter(Phase::Update);
        let mut updates: Vec<(Parameter, Tensor)> = Vec::new();
        for (place, gradient) in self.gradients.iter().zip(&pass.gradients) {
            let part = gradient * share.cast(place.meta().dtype);
            let sum = match is_first {
                true => part,
                false => place.tensor() + part,
            };
            updates.push((place.clone(), sum));
        }
        let seen: Vec<Tensor> = pass.statistics.iter().map(|(_, new)| new.clone()).collect();
        let ok = finite::all_finite(&seen).unwrap_or(Tensor::scalar(1.0, DType::Bool));
        updates.extend(pass.statistics);
        let heads = [step, share].into_iter();
        let told = [pass.loss, ok].into_iter();
        Ok(Traced {
            inputs: pass.inputs.into_iter().chain(heads).collect(),
            outputs: told.chain(pass.tallied).collect(),
            stored: updates.iter().map(|(_, new)| new.clone()).collect(),
            updates,
            sums: pass.sums,
        })
    }

    /// The second half: clipping and updates from the gradients in their places. `good` says whether what came before was
    /// finite.
    pub(super) fn trace_second(&self, care: Care) -> Result<Traced> {
        let good = Tensor::input("good", [], DType::Bool);
        let leaves: Vec<Tensor> = self.cells.iter().map(|c| c.parameter.tensor()).collect();
        let gradients: Vec<Tensor> = self.gradients.iter().map(Parameter::tensor).collect();
        let mut update = self.trace_update(&leaves, &gradients, care)?;
        let _update = enter(Phase::Update);
        let mut ok = good.logical_and(&update.norm_is_good);
        if care == Care::Everything
            && let Some(all) = finite::all_finite(&update.stored)
        {
            ok = ok.logical_and(&all);
        }
        update.average(self);
        for ((_, new), old) in update.updates.iter_mut().zip(&update.old) {
            *new = ok.select(new, old);
        }
        let heads = [good, update.largest].into_iter();
        Ok(Traced {
            inputs: heads.chain(update.scalars).collect(),
            outputs: vec![update.norm, ok],
            updates: update.updates,
            stored: update.stored,
            sums: Vec::new(),
        })
    }

    /// The norm of the gradients, and what the optimizers make of parameters and states.
    fn trace_update(&self, leaves: &[Tensor], gradients: &[Tensor], care: Care) -> Result<Update> {
        let _update = enter(Phase::Update);
        let largest = Tensor::input("largest", [], DType::F32);
        let mut scalars: Vec<Vec<Tensor>> = Vec::new();
        for group in &self.groups {
            let count = group.optimizer.scalars(1, 0.0).len();
            let numbers = (0..count).map(|i| Tensor::input(format!("scalar{i}"), [], DType::F32));
            scalars.push(numbers.collect());
        }
        let (norm, clipped) = match care {
            Care::Bounds => finite::plain(gradients, self.clipping),
            Care::Everything => finite::scaled(gradients, self.clipping),
        };
        let mut updates: Vec<(Parameter, Tensor)> = Vec::new();
        let mut old_values = Vec::new();
        for ((cell, old), gradient) in self.cells.iter().zip(leaves).zip(&clipped) {
            let dtype = cell.parameter.meta().dtype;
            let numbers = scalars[cell.group].iter().map(|s| s.cast(dtype));
            let numbers: Vec<Tensor> = numbers.collect();
            let old_state: Vec<Tensor> = cell.state.iter().map(Parameter::tensor).collect();
            let slot = ParameterSpec {
                name: &cell.path,
                meta: cell.parameter.meta(),
            };
            let optimizer = &self.groups[cell.group].optimizer;
            let (new, new_state) = optimizer.update_of(&slot, old, gradient, &old_state, &numbers);
            if new_state.len() != cell.state.len() {
                return Err(Error::new(format!(
                    "the optimizer {} has {} state tensors, but its update gives {}",
                    optimizer.name(),
                    cell.state.len(),
                    new_state.len()
                )));
            }
            updates.push((cell.parameter.clone(), new));
            updates.extend(cell.state.iter().cloned().zip(new_state));
            old_values.push(old.clone());
            old_values.extend(old_state);
        }
        let norm_is_good = match care {
            Care::Bounds => norm
                .less_equal(&largest)
                .logical_and(&norm.greater_equal(&Tensor::from(LEAST_NORM as f32))),
            Care::Everything => norm.is_finite(),
        };
        Ok(Update {
            largest,
            scalars: scalars.into_iter().flatten().collect(),
            norm,
            norm_is_good,
            stored: updates.iter().map(|(_, new)| new.clone()).collect(),
            updates,
            old: old_values,
        })
    }
}

/// What clipping and updates are made of.
struct Update {
    /// The largest norm for which the results are known to be finite.
    largest: Tensor,
    scalars: Vec<Tensor>,
    norm: Tensor,
    norm_is_good: Tensor,
    updates: Vec<(Parameter, Tensor)>,
    stored: Vec<Tensor>,
    /// The values that they are to replace.
    old: Vec<Tensor>,
}

impl Update {
    /// The moving averages follow what is stored, if there are some.
    fn average(&mut self, step: &TrainStep) {
        let Some(average) = step.trace_average(&self.updates) else {
            return;
        };
        self.scalars.push(average.share);
        for (cell, old, new) in average.updates {
            self.old.push(old);
            self.stored.push(new.clone());
            self.updates.push((cell, new));
        }
    }
}
