//! How much each field matters: functional analysis of variance over a forest.

use super::{Criterion, Found, Range, State, Trial};
use crate::random::Random;

/// With fewer trials than these nothing is said.
pub(super) const LEAST: usize = 10;
/// Trees of the forest.
const TREES: usize = 64;
/// The deepest tree.
const DEEPEST: usize = 24;

/// How much of the variance of the results one field explains by itself.
///
/// A forest of regression trees learns the measure from the varied fields, and the variance of what a tree predicts over the
/// whole space (uniform in each range, on its scale) is split up: with the mean `a_i(x)` of the predictions where field `i` has the value
/// `x`, and all others have any, its share is `Var a_i / Var f` (Hutter, Hoos and Leyton-Brown, "An Efficient Approach for Assessing
/// Hyperparameter Importance", 2014). What is left belongs to several fields together.
#[derive(Clone, Debug, PartialEq)]
pub struct Importance {
    /// The field.
    pub field: String,
    /// The mean share of the variance over all trees, from 0 to 1.
    pub share: f64,
    /// The standard deviation of the share over the trees: how sure it is.
    pub deviation: f64,
}

pub(super) fn of(found: &Found) -> Vec<Importance> {
    let Some(criterion) = &found.criterion else {
        return Vec::new();
    };
    let (rows, results) = table(&found.trials, &found.ranges, criterion);
    let first = results.first().copied().unwrap_or_default();
    if rows.len() < LEAST || results.iter().all(|result| *result == first) {
        return Vec::new();
    }
    let mut shares = vec![Vec::new(); found.ranges.len()];
    for tree in 0..TREES {
        let mut random = Random::new(tree as u64, rows.len() as u64, "forest");
        let drawn: Vec<usize> = (0..rows.len()).map(|_| random.below(rows.len())).collect();
        let leaves = Tree {
            rows: &rows,
            results: &results,
        }
        .leaves(drawn, &mut random);
        let mean: f64 = leaves.iter().map(|leaf| leaf.volume() * leaf.value).sum();
        let variance: f64 = leaves
            .iter()
            .map(|leaf| leaf.volume() * (leaf.value - mean).powi(2))
            .sum();
        if variance > 0.0 {
            for (at, shares) in shares.iter_mut().enumerate() {
                shares.push((marginal_variance(&leaves, at, mean) / variance).clamp(0.0, 1.0));
            }
        }
    }
    let mut all: Vec<Importance> = found
        .ranges
        .iter()
        .zip(shares)
        .filter(|(_, shares)| !shares.is_empty())
        .map(|(range, shares)| {
            let count = shares.len() as f64;
            let share = shares.iter().sum::<f64>() / count;
            let variance = shares.iter().map(|s| (s - share).powi(2)).sum::<f64>() / count;
            Importance {
                field: range.field.clone(),
                share,
                deviation: variance.sqrt(),
            }
        })
        .collect();
    all.sort_by(|a, b| {
        b.share
            .total_cmp(&a.share)
            .then_with(|| a.field.cmp(&b.field))
    });
    all
}

/// The places of the values of each trial that came to its end, and what it came to. A field that was not varied stands in the middle.
fn table(trials: &[Trial], ranges: &[Range], criterion: &Criterion) -> (Vec<Vec<f64>>, Vec<f64>) {
    let rows = trials
        .iter()
        .filter(|trial| trial.state == State::Complete)
        .filter_map(|trial| {
            let result = trial.best(criterion)?.1.value;
            let place = |range: &Range| {
                trial
                    .value(&range.field)
                    .and_then(|value| range.values.place(value))
                    .unwrap_or(0.5)
            };
            result
                .is_finite()
                .then(|| (ranges.iter().map(place).collect(), result))
        });
    rows.unzip()
}

struct Tree<'a> {
    rows: &'a [Vec<f64>],
    results: &'a [f64],
}

/// A box of the space, and what a tree predicts there.
struct Leaf {
    bounds: Vec<(f64, f64)>,
    value: f64,
}

impl Leaf {
    fn volume(&self) -> f64 {
        self.bounds.iter().map(|(low, high)| high - low).product()
    }
}

impl Tree<'_> {
    /// The leaves of a tree that is grown on these rows until each has equal results: at each node two thirds of the fields are
    /// tried, and the one is taken whose best cut leaves the least variance.
    fn leaves(&self, drawn: Vec<usize>, random: &mut Random) -> Vec<Leaf> {
        let fields = self.rows.first().map_or(0, Vec::len);
        let mut leaves = Vec::new();
        let mut open = vec![(drawn, vec![(0.0, 1.0); fields], 0)];
        while let Some((rows, bounds, depth)) = open.pop() {
            let cut = Some(depth)
                .filter(|&depth| depth < DEEPEST)
                .and_then(|_| self.cut(&rows, random));
            let Some((field, at)) = cut else {
                let sum: f64 = rows.iter().map(|&row| self.results[row]).sum();
                leaves.push(Leaf {
                    bounds,
                    value: sum / rows.len().max(1) as f64,
                });
                continue;
            };
            let (below, above): (Vec<usize>, Vec<usize>) = rows
                .into_iter()
                .partition(|&row| self.rows[row][field] <= at);
            let (low, high) = bounds[field];
            let with = |side| {
                let mut bounds = bounds.clone();
                bounds[field] = side;
                bounds
            };
            open.push((below, with((low, at)), depth + 1));
            open.push((above, with((at, high)), depth + 1));
        }
        leaves
    }

    fn cut(&self, rows: &[usize], random: &mut Random) -> Option<(usize, f64)> {
        let mut fields: Vec<usize> = (0..self.rows.first()?.len()).collect();
        let tried = (fields.len() * 2).div_ceil(3);
        for at in 0..tried {
            let other = at + random.below(fields.len() - at);
            fields.swap(at, other);
        }
        let mut best: Option<(f64, usize, f64)> = None;
        for &field in &fields[..tried] {
            let mut sorted: Vec<(f64, f64)> = rows
                .iter()
                .map(|&row| (self.rows[row][field], self.results[row]))
                .collect();
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            let all: f64 = sorted.iter().map(|row| row.1).sum();
            let count = sorted.len() as f64;
            let mut sum = 0.0;
            for (at, pair) in sorted.windows(2).enumerate() {
                sum += pair[0].1;
                if pair[0].0 == pair[1].0 {
                    continue;
                }
                // What is explained: n_l mean_l² + n_r mean_r² - n mean².
                let left = at as f64 + 1.0;
                let gain =
                    sum * sum / left + (all - sum).powi(2) / (count - left) - all * all / count;
                if gain > 1e-12 && best.is_none_or(|(most, ..)| gain > most) {
                    best = Some((gain, field, 0.5 * (pair[0].0 + pair[1].0)));
                }
            }
        }
        best.map(|(_, field, at)| (field, at))
    }
}

/// The variance of the mean prediction where a field has a value, over its values.
fn marginal_variance(leaves: &[Leaf], field: usize, mean: f64) -> f64 {
    let mut ends: Vec<f64> = leaves
        .iter()
        .flat_map(|leaf| [leaf.bounds[field].0, leaf.bounds[field].1])
        .collect();
    ends.sort_by(f64::total_cmp);
    ends.dedup();
    let part = |pair: &[f64]| {
        let (width, middle) = (pair[1] - pair[0], 0.5 * (pair[0] + pair[1]));
        let there = leaves
            .iter()
            .filter(|leaf| (leaf.bounds[field].0..leaf.bounds[field].1).contains(&middle));
        let value: f64 = there
            .map(|leaf| leaf.value * leaf.volume() / (leaf.bounds[field].1 - leaf.bounds[field].0))
            .sum();
        width * (value - mean).powi(2)
    };
    ends.windows(2).map(part).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::{Point, Values};

    fn found(count: usize, result: impl Fn(f64, f64) -> f64) -> Found {
        let range = |field: &str| Range {
            field: field.into(),
            values: Values::Number {
                low: 0.0,
                high: 1.0,
                log: false,
            },
            when: Vec::new(),
        };
        let ranges = vec![range("a"), range("b"), range("c")];
        let trials = (0..count).map(|at| {
            let draw = |name: &str| Random::new(3, at as u64, name).unit();
            let (a, b, c) = (draw("a"), draw("b"), draw("c"));
            Trial {
                values: vec![
                    ("a".into(), a.into()),
                    ("b".into(), b.into()),
                    ("c".into(), c.into()),
                ],
                curve: vec![Point {
                    value: result(a, b),
                    loss: 0.0,
                }],
                state: State::Complete,
                ..Trial::waiting(at + 1)
            }
        });
        Found {
            trials: trials.collect(),
            criterion: Some(Criterion {
                name: "accuracy".into(),
                higher: true,
                is_share: true,
            }),
            interrupted: false,
            folder: "nowhere".into(),
            ranges,
        }
    }

    /// For `2 a + b` with uniform fields the shares are 4/5, 1/5 and 0.
    #[test]
    fn shares_are_those_of_the_variance() {
        let all = found(400, |a, b| 2.0 * a + b).importance();
        let names: Vec<&str> = all.iter().map(|i| i.field.as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        for (importance, share) in all.iter().zip([0.8, 0.2, 0.0]) {
            assert!((importance.share - share).abs() < 0.06, "{all:?}");
        }
        // A product of both: what one explains alone leaves the rest to both.
        let both = found(400, |a, b| (a - 0.5) * (b - 0.5)).importance();
        assert!(both.iter().map(|i| i.share).sum::<f64>() < 0.35, "{both:?}");
    }

    #[test]
    fn little_is_known_of_few_trials_and_of_equal_ones() {
        assert_eq!(found(LEAST - 1, |a, _| a).importance(), []);
        assert_eq!(found(50, |_, _| 0.5).importance(), []);
    }
}
