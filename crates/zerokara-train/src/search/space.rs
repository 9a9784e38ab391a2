//! The space that is searched: ranges, and on what they depend.

use super::{Range, State, Trial, draw, good_of, plan};
use crate::error::{Error, Result};
use crate::random::Random;
use serde_json::Value;

/// The ranges, each behind those that its conditions ask about.
pub(super) struct Space {
    ranges: Vec<Range>,
    order: Vec<usize>,
    /// What is not varied.
    base: Value,
}

impl Space {
    pub fn new(ranges: Vec<Range>, base: Value) -> Result<Self> {
        let mut order: Vec<usize> = Vec::new();
        while order.len() < ranges.len() {
            let is_ready = |at: &usize| {
                let asked = ranges[*at].when.iter().map(|(field, _)| field);
                let mut ranged =
                    asked.filter_map(|field| ranges.iter().position(|range| range.field == *field));
                !order.contains(at) && ranged.all(|other| order.contains(&other))
            };
            let Some(next) = (0..ranges.len()).find(is_ready) else {
                let left = (0..ranges.len())
                    .find(|at| !order.contains(at))
                    .unwrap_or(0);
                return Err(Error::new(format!(
                    "whether {} is varied depends on itself, by the conditions of the ranges",
                    ranges[left].field
                )));
            };
            order.push(next);
        }
        Ok(Self {
            ranges,
            order,
            base,
        })
    }

    pub fn ranges(&self) -> &[Range] {
        &self.ranges
    }

    /// The values of a trial, whose places `place` gives by the range's number; those alone whose conditions hold.
    fn values(&self, mut place: impl FnMut(usize) -> f64) -> Vec<(String, Value)> {
        let mut chosen: Vec<Option<Value>> = vec![None; self.ranges.len()];
        for &at in &self.order {
            let range = &self.ranges[at];
            let holds = |(field, among): &(String, Vec<Value>)| {
                let varied = self.ranges.iter().position(|range| range.field == *field);
                let value = match varied.and_then(|at| chosen[at].as_ref()) {
                    Some(value) => Some(value),
                    None => lookup(&self.base, field),
                };
                value.is_some_and(|value| among.iter().any(|known| same(known, value)))
            };
            if range.when.iter().all(holds) {
                chosen[at] = Some(range.values.at(place(at)));
            }
        }
        let named = self.ranges.iter().zip(chosen);
        named
            .filter_map(|(range, value)| Some((range.field.clone(), value?)))
            .collect()
    }

    /// Values by chance.
    pub fn by_chance(&self, seed: u64, trial: usize) -> Vec<(String, Value)> {
        self.values(|at| Random::new(seed, trial as u64, &self.ranges[at].field).unit())
    }

    /// The estimator's proposal from trials that are done, `best` of them the best first.
    pub fn proposed(&self, seed: u64, trial: usize, known: &[&Trial]) -> Vec<(String, Value)> {
        let good = good_of(known.len());
        self.values(|at| {
            let range = &self.ranges[at];
            let mut random = Random::new(seed, trial as u64, &range.field);
            let places = |trials: &[&Trial]| -> Vec<f64> {
                let values = trials.iter().filter_map(|trial| trial.value(&range.field));
                values
                    .filter_map(|value| range.values.place(value))
                    .collect()
            };
            draw::proposal(
                &range.values,
                &places(&known[..good]),
                &places(&known[good..]),
                &mut random,
            )
        })
    }
}

/// The trials that a proposal goes by, from the best to the worst: those that came to their end, those that ended early, by how far they
/// came, and those that failed.
pub(super) fn by_merit(trials: &[Trial], at: usize, higher: bool) -> Vec<&Trial> {
    let mut known: Vec<&Trial> = plan::known(trials, at).iter().collect();
    let key = |trial: &Trial| {
        let best = trial.best_until(u64::MAX, higher);
        let order = best.map_or((f64::INFINITY, f64::INFINITY), |best| {
            super::order(best, higher)
        });
        match trial.state {
            State::Complete => (0, 0, order),
            State::Failed(_) => (2, 0, order),
            _ => (1, usize::MAX - trial.curve.len(), order),
        }
    };
    known.sort_by(|a, b| {
        let ((s, e, x), (t, f, y)) = (key(a), key(b));
        s.cmp(&t)
            .then(e.cmp(&f))
            .then(x.0.total_cmp(&y.0))
            .then(x.1.total_cmp(&y.1))
            .then(a.number.cmp(&b.number))
    });
    known
}

/// The value at a path.
fn lookup<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    path.split('.').try_fold(value, |value, part| {
        let (name, items) = part.split_at(part.find('[').unwrap_or(part.len()));
        let numbers = items.split(['[', ']']).filter(|text| !text.is_empty());
        numbers
            .map(str::parse::<usize>)
            .try_fold(value.get(name)?, |value, at| value.get(at.ok()?))
    })
}

/// Whether two values are the same, as 1 and 1.0 are.
fn same(a: &Value, b: &Value) -> bool {
    a == b || a.as_f64().is_some_and(|a| Some(a) == b.as_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::Recipe;
    use serde_json::json;

    fn space(text: &str) -> Result<Space> {
        let recipe = Recipe::parse(text, "recipe.toml")?;
        Space::new(
            recipe.ranges()?,
            json!({"optimizer": {"name": "adam"}, "epochs": 3}),
        )
    }

    #[test]
    fn conditions_hold_for_values_that_were_drawn_and_for_those_that_are_said() {
        let space = space(
            r#"
            [search.ranges]
            "optimizer.name" = { choices = ["sgd", "momentum"] }
            "optimizer.momentum" = { low = 0.5, high = 0.9, when = { "optimizer.name" = "momentum" } }
            batch_size = { low = 8, high = 64, scale = "log", when = { epochs = [3, 4] } }
            l2_penalty = { low = 0, high = 1, when = { epochs = 5 } }
            "#,
        )
        .unwrap();
        let drawn: Vec<_> = (0..40)
            .map(|trial| super::super::table(&space.by_chance(7, trial)))
            .collect();
        assert!(
            drawn
                .iter()
                .all(|d| d.contains_key("batch_size") && !d.contains_key("l2_penalty"))
        );
        assert!(
            drawn.iter().all(
                |d| (d["optimizer.name"] == "momentum") == d.contains_key("optimizer.momentum")
            )
        );
        let with = drawn
            .iter()
            .filter(|d| d.contains_key("optimizer.momentum"))
            .count();
        assert!((8..32).contains(&with), "{with}");
        assert_eq!(drawn[3], super::super::table(&space.by_chance(7, 3)));
        assert_ne!(drawn[3], super::super::table(&space.by_chance(8, 3)));
    }

    #[test]
    fn conditions_that_go_around_are_refused() {
        let error = space(
            r#"
            [search.ranges]
            batch_size = { choices = [8, 16], when = { epochs = 3 } }
            epochs = { choices = [3, 4], when = { batch_size = 8 } }
            "#,
        );
        let error = error.err().unwrap().to_string();
        assert!(error.contains("depends on itself"), "{error}");
    }

    #[test]
    fn values_are_found_by_their_paths() {
        let value = json!({"model": {"layers": ["relu", {"layer": "linear", "outputs": 3}]}});
        assert_eq!(lookup(&value, "model.layers[1].outputs"), Some(&3.into()));
        assert_eq!(lookup(&value, "model.layers[2].outputs"), None);
        assert!(same(&1.into(), &1.0.into()) && !same(&"1".into(), &1.into()));
    }
}
