//! Which trial goes on next, and how far. Every decision is a function of the results of trials that are told beforehand, never
//! of which of them happened to end first.

use super::{State, Trial, cost};

/// So many trials before it a trial knows nothing of, so that they may run beside it. It does not depend on how many do: the
/// same seed gives the same trials.
pub(super) const LAG: usize = 4;

/// In Hyperband, one of so many trials goes on.
const ETA: u64 = 3;

/// The brackets of Hyperband (Li, Jamieson, DeSalvo, Rostamizadeh and Talwalkar, "Hyperband: A Novel Bandit-Based Approach to
/// Hyperparameter Optimization", 2018): in each, trials get few epochs, the best third of them three times as many, and so on
/// to all `R`. Bracket `s` begins with `R / 3^s` epochs, and has `(S + 1) / (s + 1) 3^s` of `n` trials, in proportion, where `S` is the
/// largest `s` with `3^s <= R`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Bracket {
    /// The numbers of its trials.
    pub trials: std::ops::Range<usize>,
    /// Epochs after which is chosen.
    pub rungs: Vec<u64>,
}

pub(super) fn brackets(trials: usize, epochs: u64) -> Vec<Bracket> {
    let most = (0..64)
        .take_while(|&s| ETA.checked_pow(s).is_some_and(|power| power <= epochs))
        .count() as u32;
    let weight = |s: u32| f64::from(most) / f64::from(s + 1) * (ETA as f64).powi(s as i32);
    let all: f64 = (0..most).map(weight).sum();
    let mut found = Vec::new();
    let (mut begun, mut sum) = (0, 0.0);
    for s in (0..most).rev() {
        sum += weight(s);
        // What is rounded here is made good by the next.
        let end = ((sum / all * trials as f64).round() as usize).clamp(begun, trials);
        let mut rungs: Vec<u64> = (0..=s)
            .rev()
            .map(|left| ((epochs as f64 / (ETA as f64).powi(left as i32)).round() as u64).max(1))
            .collect();
        rungs.dedup();
        if end > begun {
            found.push(Bracket {
                trials: begun..end,
                rungs,
            });
        }
        begun = end;
    }
    found
}

/// What a thread that has nothing to do is to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Next {
    /// Train this trial until it has so many epochs, or to its end.
    Train(usize, Option<u64>),
    /// This trial ends here.
    Prune(usize),
    /// Something must end before.
    Wait,
    /// All are done.
    Over,
}

/// The order of trials of random search and of the estimator: as they come, but for those that wait for results.
pub(super) fn in_order(trials: &[Trial], waits: bool) -> Next {
    let next = trials
        .iter()
        .position(|trial| matches!(trial.state, State::Waiting));
    match next {
        Some(at) if !waits || known(trials, at).iter().all(|trial| trial.state.is_final()) => {
            Next::Train(at, None)
        }
        Some(_) => Next::Wait,
        None if trials.iter().all(|trial| trial.state.is_final()) => Next::Over,
        None => Next::Wait,
    }
}

/// The trials that this one knows of.
pub(super) fn known(trials: &[Trial], at: usize) -> &[Trial] {
    &trials[..(at + 1).saturating_sub(LAG)]
}

/// The order of trials of Hyperband: those that are nearer to their end go first.
pub(super) fn by_brackets(trials: &[Trial], brackets: &[Bracket], higher: bool) -> Next {
    let mut begins = None;
    let mut goes_on: Option<(u64, usize)> = None;
    for bracket in brackets {
        let Some(of) = trials.get(bracket.trials.clone()) else {
            continue;
        };
        for (rung, &until) in bracket.rungs.iter().enumerate() {
            let target = (rung + 1 < bracket.rungs.len()).then_some(until);
            if rung == 0 {
                let waiting = of
                    .iter()
                    .position(|trial| matches!(trial.state, State::Waiting));
                begins =
                    begins.or(waiting.map(|at| Next::Train(bracket.trials.start + at, target)));
                continue;
            }
            let before = bracket.rungs[rung - 1];
            // Who has come to the rung before, or ended on the way; until all have, nothing is chosen.
            let there = |trial: &Trial| match trial.state {
                State::Waiting => false,
                State::Running => trial.until.is_none_or(|until| until > before),
                State::Paused => trial.curve.len() as u64 >= before,
                _ => true,
            };
            if !of.iter().all(there) {
                break;
            }
            let mut order: Vec<usize> = (0..of.len())
                .filter(|&at| of[at].curve.len() as u64 >= before)
                .collect();
            let value = |at: usize| {
                of[at]
                    .best_until(before, higher)
                    .map_or((f64::INFINITY, f64::INFINITY), |p| {
                        (cost(p.value, higher), p.loss)
                    })
            };
            order.sort_by(|&a, &b| {
                let ((x, l), (y, m)) = (value(a), value(b));
                x.total_cmp(&y).then(l.total_cmp(&m)).then(a.cmp(&b))
            });
            let stay = match of.len() as u64 / ETA.pow(rung as u32) {
                // Somebody comes to the end.
                0 => 1,
                stay => stay as usize,
            };
            for (rank, &at) in order.iter().enumerate() {
                let trial = &of[at];
                if !matches!(trial.state, State::Paused) || trial.curve.len() as u64 != before {
                    continue;
                }
                if rank >= stay {
                    return Next::Prune(bracket.trials.start + at);
                }
                if goes_on.is_none_or(|(most, _)| until > most) {
                    goes_on = Some((until, bracket.trials.start + at));
                    begins = Some(Next::Train(bracket.trials.start + at, target));
                }
            }
        }
    }
    match begins {
        Some(next) => next,
        None if trials.iter().all(|trial| trial.state.is_final()) => Next::Over,
        None => Next::Wait,
    }
}

/// Whether a trial is to end after these epochs: from a quarter of them on, if the best value that it has had is worse than the
/// median of those that the trials it knows of had had after as many. They must be as many as four.
///
/// The median stopping rule (Golovin et al., "Google Vizier", 2017), with the best value so far on both sides.
pub(super) fn is_pruned(costs: &[f64], epochs: u64, others: &[Vec<f64>]) -> bool {
    let after = costs.len();
    if after == 0 || (after as u64).saturating_mul(4) < epochs {
        return false;
    }
    let best = |costs: &[f64]| costs.iter().copied().fold(f64::INFINITY, f64::min);
    let mut there: Vec<f64> = others
        .iter()
        .filter(|c| c.len() >= after)
        .map(|c| best(&c[..after]))
        .collect();
    there.sort_by(f64::total_cmp);
    let middle = there.len() / 2;
    let median = match there.len() {
        0..LAG => return false,
        n if n % 2 == 1 => there[middle],
        _ => 0.5 * (there[middle - 1] + there[middle]),
    };
    best(costs) > median
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn brackets_are_those_of_the_paper() {
        // Table 1 of the paper: R = 81, 81 + 34 + 15 + 8 + 5 trials, of whose numbers these are the shares.
        let found = brackets(143, 81);
        let rungs: Vec<&[u64]> = found.iter().map(|b| &b.rungs[..]).collect();
        assert_eq!(
            rungs,
            [
                &[1, 3, 9, 27, 81][..],
                &[3, 9, 27, 81],
                &[9, 27, 81],
                &[27, 81],
                &[81]
            ]
        );
        let sizes: Vec<usize> = found.iter().map(|b| b.trials.len()).collect();
        assert_eq!(sizes, [81, 34, 15, 8, 5]);
        assert_eq!(
            brackets(4, 1),
            [Bracket {
                trials: 0..4,
                rungs: vec![1]
            }]
        );
        assert_eq!(
            brackets(5, 10)
                .iter()
                .map(|b| b.trials.len())
                .sum::<usize>(),
            5
        );
    }

    /// Whatever ends first, and wherever the search is cut off, the same trials come to the same epochs.
    #[test]
    fn hyperband_does_not_hang_on_the_order_of_ends() {
        let brackets = brackets(30, 27);
        let point = |trial: usize, epoch: u64| super::super::Point {
            value: Random::new(1, trial as u64, "curve").unit() + 0.01 * epoch as f64,
            loss: 0.0,
        };
        let ends = |seed: u64| {
            let mut random = Random::new(seed, 0, "order");
            let mut trials: Vec<Trial> = (1..=30).map(Trial::waiting).collect();
            let mut running: Vec<(usize, Option<u64>)> = Vec::new();
            loop {
                let next = match running.len() < 1 + seed as usize % 4 {
                    true => by_brackets(&trials, &brackets, true),
                    false => Next::Wait,
                };
                match next {
                    Next::Over => return trials,
                    Next::Prune(at) => trials[at].state = State::Pruned,
                    Next::Train(at, until) => {
                        (trials[at].state, trials[at].until) = (State::Running, until);
                        running.push((at, until));
                    }
                    Next::Wait => {
                        let (at, until) = running.swap_remove(random.below(running.len()));
                        // Sometimes it is cut off, and stands where it stood.
                        let is_cut = random.below(4) == 0;
                        let trial = &mut trials[at];
                        trial.until = None;
                        trial.state = match (is_cut, until) {
                            (true, _) if trial.curve.is_empty() => State::Waiting,
                            (true, _) => State::Paused,
                            (false, until) => {
                                let epochs = until.unwrap_or(27);
                                trial.curve = (1..=epochs).map(|epoch| point(at, epoch)).collect();
                                until.map_or(State::Complete, |_| State::Paused)
                            }
                        };
                    }
                }
            }
        };
        let first = ends(0);
        assert!(first.iter().any(|trial| trial.state == State::Complete));
        for seed in 1..40 {
            assert_eq!(ends(seed), first, "{seed}");
        }
    }

    #[test]
    fn the_median_decides_from_a_quarter_on() {
        let others: Vec<Vec<f64>> = [1.0, 2.0, 3.0, 4.0].iter().map(|&x| vec![x; 8]).collect();
        assert!(!is_pruned(&[9.0], 8, &others));
        assert!(is_pruned(&[9.0, 3.0], 8, &others));
        assert!(!is_pruned(&[2.0, 9.0], 8, &others), "the best counts");
        assert!(
            !is_pruned(&[9.0, 2.5], 8, &others),
            "the median itself is not worse"
        );
        assert!(
            !is_pruned(&[9.0, 9.0], 8, &others[1..]),
            "three are too few"
        );
        let short: Vec<Vec<f64>> = others.iter().map(|c| c[..1].to_vec()).collect();
        assert!(!is_pruned(&[9.0, 9.0], 8, &short));
    }
}
