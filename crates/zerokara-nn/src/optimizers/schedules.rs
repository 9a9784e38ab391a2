//! Learning rates that change during training.

use std::f64::consts::PI;

/// A schedule: the factor on the learning rate, as a function of the step.
///
/// ```
/// use zerokara_nn::Schedule;
/// let schedule = Schedule::Cosine { steps: 100, last: 0.0 }.warm_up(10);
/// assert_eq!(schedule.factor(4), 0.5);
/// assert_eq!(schedule.factor(10), 1.0);
/// assert!(schedule.factor(60) - 0.5 < 1e-12);
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Schedule {
    /// Always 1.
    #[default]
    Constant,
    /// `gamma^floor(step / every)`.
    Step {
        /// Steps between drops.
        every: u64,
        /// What each drop multiplies by.
        gamma: f64,
    },
    /// From 1 along half a cosine to `last`, where it stays (Loshchilov and Hutter, 2017).
    Cosine {
        /// Steps until `last` is reached.
        steps: u64,
        /// The last factor.
        last: f64,
    },
    /// From 1 along a line to `last`, where it stays.
    Linear {
        /// Steps until `last` is reached.
        steps: u64,
        /// The last factor.
        last: f64,
    },
    /// One cycle (Smith and Topin, 2018): along a cosine from `first` to 1, then to `last`. The learning rate is the
    /// cycle's peak.
    OneCycle {
        /// Steps of the whole cycle.
        steps: u64,
        /// The share of the steps in which the factor rises.
        rise: f64,
        /// The first factor.
        first: f64,
        /// The last factor.
        last: f64,
    },
    /// Rising along a line from `1 / steps` to 1, then another schedule, which starts at its step 0.
    WarmUp {
        /// Steps of the rise.
        steps: u64,
        /// What follows.
        then: Box<Schedule>,
    },
}

/// From `a` to `b` along half a cosine, as `t` goes from 0 to 1.
fn cosine(a: f64, b: f64, t: f64) -> f64 {
    b + (a - b) * 0.5 * (1.0 + (PI * t.clamp(0.0, 1.0)).cos())
}

impl Schedule {
    /// One cycle of this many steps as PyTorch's `OneCycleLR` has it by default: 30 % of the steps rise from 1/25, the
    /// rest fall to 1/250000.
    pub fn one_cycle(steps: u64) -> Self {
        Schedule::OneCycle {
            steps,
            rise: 0.3,
            first: 1.0 / 25.0,
            last: 1.0 / 25.0 / 1e4,
        }
    }

    /// This schedule after a rise of this many steps.
    pub fn warm_up(self, steps: u64) -> Self {
        Schedule::WarmUp {
            steps,
            then: Box::new(self),
        }
    }

    /// The factor of a step, counted from 0.
    pub fn factor(&self, step: u64) -> f64 {
        let share = |steps: u64| (step as f64 / steps.max(1) as f64).min(1.0);
        match self {
            Schedule::Constant => 1.0,
            Schedule::Step { every, gamma } => gamma.powf((step / (*every).max(1)) as f64),
            Schedule::Cosine { steps, last } => cosine(1.0, *last, share(*steps)),
            Schedule::Linear { steps, last } => 1.0 + (last - 1.0) * share(*steps),
            Schedule::OneCycle {
                steps,
                rise,
                first,
                last,
            } => {
                // As in PyTorch: the last step of all, number steps - 1, has the last factor.
                let top = rise * *steps as f64 - 1.0;
                let end = steps.saturating_sub(1) as f64;
                let at = step as f64;
                if at <= top {
                    cosine(*first, 1.0, at / top.max(f64::MIN_POSITIVE))
                } else {
                    cosine(1.0, *last, (at - top) / (end - top).max(f64::MIN_POSITIVE))
                }
            }
            Schedule::WarmUp { steps, .. } if step < *steps => (step + 1) as f64 / *steps as f64,
            Schedule::WarmUp { steps, then } => then.factor(step - steps),
        }
    }
}
