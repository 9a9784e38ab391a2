//! Groups of parameters that are trained in ways of their own: frozen, with another learning rate, without weight decay.

use crate::{Optimizer, Scalars, bounds::Guard, optimizers, optimizers::ParameterSpec};
use std::sync::Arc;
use zerokara_core::{Array, Error, Parameter, Result};

/// A way to train the parameters whose names match a pattern.
///
/// ```
/// use std::sync::Arc;
/// use zerokara_core::{Array, Tensor};
/// use zerokara_nn::{AdamW, Forward, MeanSquaredError, Module, ParameterGroup, Sequential, TrainStep};
///
/// let x = Tensor::from([[1.0], [2.0], [3.0]]).eval()?;
/// let model = Arc::new(Sequential::new().linear(4).relu().linear(1));
/// model.build(&x, 1)?;
/// let before = model.state()?;
/// let mut step = TrainStep::new(model.clone(), MeanSquaredError::new(), AdamW::new(0.1))?
///     .group(ParameterGroup::matching("linear1.*").frozen())?
///     .group(ParameterGroup::matching("*.bias").weight_decay(0.0))?;
/// step.step(&x, &x, 0.1)?;
/// let after = model.state()?;
/// assert_eq!(before[0], after[0]); // linear1.weight
/// assert_ne!(before[2], after[2]); // linear2.weight
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[derive(Clone)]
pub struct ParameterGroup {
    patterns: Vec<String>,
    frozen: bool,
    learning_rate: Option<f64>,
    weight_decay: Option<f64>,
    optimizer: Option<Arc<dyn Optimizer>>,
}

impl ParameterGroup {
    /// The parameters whose path matches: `*` stands for any characters, also dots (`encoder.*`, `*.bias`).
    pub fn matching(pattern: impl Into<String>) -> Self {
        Self {
            patterns: vec![pattern.into()],
            frozen: false,
            learning_rate: None,
            weight_decay: None,
            optimizer: None,
        }
    }

    /// Also those that match this one.
    pub fn or(mut self, pattern: impl Into<String>) -> Self {
        self.patterns.push(pattern.into());
        self
    }

    /// They keep their values: no gradient of theirs is computed.
    pub fn frozen(mut self) -> Self {
        self.frozen = true;
        self
    }

    /// Their own learning rate, which schedules scale as they scale the optimizer's.
    pub fn learning_rate(mut self, rate: f64) -> Self {
        self.learning_rate = Some(rate);
        self
    }

    /// Their own weight decay: 0 for biases and the gains of normalizations, say.
    pub fn weight_decay(mut self, decay: f64) -> Self {
        self.weight_decay = Some(decay);
        self
    }

    /// Their own optimizer, with its own learning rate.
    pub fn optimizer(mut self, optimizer: impl Optimizer + 'static) -> Self {
        self.learning_rate.get_or_insert(optimizer.learning_rate());
        self.optimizer = Some(Arc::new(optimizer));
        self
    }

    /// The patterns of its parameters.
    pub fn patterns(&self) -> &[String] {
        &self.patterns
    }

    /// Whether a parameter of this path belongs to it.
    pub fn holds(&self, path: &str) -> bool {
        self.patterns.iter().any(|pattern| matches(pattern, path))
    }

    /// In words, as reports list it: `weight decay 0`.
    pub fn settings(&self) -> Vec<(&'static str, f64)> {
        let frozen = self.frozen.then_some(("frozen", 1.0));
        let rate = self.learning_rate.map(|rate| ("learning_rate", rate));
        let decay = self.weight_decay.map(|decay| ("weight_decay", decay));
        frozen.into_iter().chain(rate).chain(decay).collect()
    }

    /// How its parameters are updated; `None` if not at all.
    fn way(&self, usual: &Arc<dyn Optimizer>) -> Result<Option<Arc<dyn Optimizer>>> {
        if self.frozen {
            return Ok(None);
        }
        let optimizer = self.optimizer.as_ref().unwrap_or(usual);
        let Some(decay) = self.weight_decay else {
            return Ok(Some(optimizer.clone()));
        };
        let changed = |(name, value): (&str, f64)| match name {
            "weight_decay" => (name.to_string(), decay),
            _ => (name.to_string(), value),
        };
        let usual = optimizer.settings();
        let known = usual.iter().any(|(name, _)| *name == "weight_decay");
        let settings: Vec<_> = usual.into_iter().map(changed).collect();
        let (name, rate) = (optimizer.name(), optimizer.learning_rate());
        let changed = optimizers::by_name(name, rate, &settings).filter(|_| known);
        match changed {
            Some(optimizer) => Ok(Some(optimizer)),
            None => Err(Error::new(format!(
                "the group {} has a weight decay of its own, but the optimizer {} has none that could be changed; give \
                 the group an optimizer of its own",
                self.patterns.join(", "),
                optimizer.name()
            ))),
        }
    }
}

/// Whether the text matches a pattern in which `*` stands for any characters.
fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// A parameter that is trained, with what the optimizer remembers of it.
pub(crate) struct Cell {
    pub path: String,
    pub parameter: Parameter,
    pub state: Vec<Parameter>,
    /// The number of its group.
    pub group: usize,
}

/// Parameters that are updated alike.
pub(crate) struct Group {
    pub optimizer: Arc<dyn Optimizer>,
    /// Its learning rate is so many times the step's.
    pub rate: f64,
    pub guard: Guard,
    /// The numbers of the next update.
    pub scalars: Scalars,
}

/// Deals the parameters to groups: the first whose pattern matches, else the group of the usual optimizer.
pub(crate) fn deal(
    parameters: Vec<(String, Parameter)>,
    usual: &Arc<dyn Optimizer>,
    wanted: &[ParameterGroup],
) -> Result<(Vec<Cell>, Vec<Group>)> {
    let paths = || parameters.iter().map(|(path, _)| path.as_str());
    let mut ways: Vec<Option<Arc<dyn Optimizer>>> = Vec::new();
    for group in wanted {
        if let Some(nothing) =
            (group.patterns.iter()).find(|p| !paths().any(|path| matches(p, path)))
        {
            let some: Vec<&str> = paths().take(4).collect();
            return Err(Error::new(format!(
                "no parameter matches the pattern {nothing:?}; there are {}{}",
                some.join(", "),
                if parameters.len() > some.len() {
                    ", .."
                } else {
                    ""
                }
            )));
        }
        let way = group.way(usual)?;
        if let Some(optimizer) = &way {
            optimizer.check()?;
        }
        if let Some(rate) = group.learning_rate
            && !(rate.is_finite() && rate >= 0.0)
        {
            return Err(Error::new(format!(
                "the group {} has the learning rate {rate}; it must be a number from 0 on",
                group.patterns.join(", ")
            )));
        }
        if group.learning_rate.is_some() && usual.learning_rate() == 0.0 {
            return Err(Error::new(
                "where the optimizer's learning rate is 0, a group cannot have one of its own: schedules scale both",
            ));
        }
        ways.push(way);
    }
    let mut cells = Vec::new();
    // The group of each way that has parameters; the usual one stands behind all others.
    let mut numbers: Vec<Option<usize>> = vec![None; wanted.len() + 1];
    let mut found: Vec<(Arc<dyn Optimizer>, f64)> = Vec::new();
    for (path, parameter) in parameters {
        let own = wanted.iter().position(|group| group.holds(&path));
        let optimizer = match own {
            None => usual,
            Some(own) => match &ways[own] {
                Some(optimizer) => optimizer,
                None => continue,
            },
        };
        let place = own.unwrap_or(wanted.len());
        let group = *numbers[place].get_or_insert_with(|| {
            let rate = own.and_then(|own| wanted[own].learning_rate);
            let rate = rate.map_or(1.0, |rate| rate / usual.learning_rate());
            found.push((optimizer.clone(), rate));
            found.len() - 1
        });
        let slot = ParameterSpec {
            name: &path,
            meta: parameter.meta(),
        };
        let state = optimizer.states(&slot).into_iter().map(|state| {
            let mut value = Array::try_zeros(&state.meta)?;
            value.fill(state.initial)?;
            Ok(Parameter::of_array(format!("{path}.{}", state.name), value))
        });
        let state = state.collect::<Result<_>>()?;
        cells.push(Cell {
            path,
            parameter,
            state,
            group,
        });
    }
    let groups = found.into_iter().enumerate();
    let groups = groups.map(|(number, (optimizer, rate))| Group {
        guard: Guard::new(&*optimizer, &cells, number),
        optimizer,
        rate,
        scalars: Scalars::from([]),
    });
    let groups = groups.collect();
    Ok((cells, groups))
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_stand_for_any_characters() {
        for (pattern, text, expected) in [
            ("conv1.weight", "conv1.weight", true),
            ("conv1.weight", "conv1.weights", false),
            ("*", "", true),
            ("*.bias", "a.b.bias", true),
            ("*.bias", "bias", false),
            ("block*.norm*.gain", "block1.norm2.gain", true),
            ("block*.norm*.gain", "block1.norm2.bias", false),
            ("a*a", "a", false),
            ("*a*b*", "xbxaxb", true),
            ("*ab", "aab", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
