//! Learning rates that change during training.

use std::{f64::consts::PI, fmt};
use zerokara_core::{Error, Result};

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

    /// Whether it gives a learning rate for each of so many steps.
    ///
    /// # Errors
    /// A factor that is negative, infinite or NaN, a rise that is no share, or a [`Schedule::Step`] that never drops.
    pub fn check(&self, steps: u64) -> Result<()> {
        let number = |what: &str, value: f64| match value.is_finite() && value >= 0.0 {
            true => Ok(()),
            false => Err(Error::new(format!(
                "the schedule's {what} is {value}; it must be a number from 0 on"
            ))),
        };
        match self {
            Schedule::Constant => {}
            Schedule::Step { every, gamma } => {
                number("gamma", *gamma)?;
                if *every == 0 {
                    return Err(Error::new(
                        "the schedule drops every 0 steps; it must be at least 1",
                    ));
                }
            }
            Schedule::Cosine { last, .. } | Schedule::Linear { last, .. } => {
                number("last factor", *last)?;
            }
            Schedule::OneCycle {
                rise, first, last, ..
            } => {
                number("first factor", *first)?;
                number("last factor", *last)?;
                if !(0.0..=1.0).contains(rise) {
                    return Err(Error::new(format!(
                        "the schedule's rise is {rise}; it is a share of the steps, from 0 to 1"
                    )));
                }
            }
            Schedule::WarmUp { steps: rise, then } => then.check(steps.saturating_sub(*rise))?,
        }
        // Only the powers of a gamma above 1 grow; the last is the largest.
        let last = steps.saturating_sub(1);
        number(&format!("factor at step {}", last + 1), self.factor(last))
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

/// `1000 steps`, `1 step`.
fn counted(steps: u64) -> String {
    format!("{steps} step{}", if steps == 1 { "" } else { "s" })
}

/// In words, as reports say it.
///
/// ```
/// use zerokara_nn::Schedule;
/// let schedule = Schedule::Linear { steps: 900, last: 0.0 }.warm_up(100);
/// assert_eq!(schedule.to_string(), "rises for 100 steps, then falls along a line to 0 in 900 steps");
/// ```
impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let toward = |last: f64| if last > 1.0 { "rises" } else { "falls" };
        match self {
            Schedule::Constant => f.write_str("constant"),
            Schedule::Step { every, gamma } => {
                write!(f, "times {gamma} every {}", counted(*every))
            }
            Schedule::Cosine { steps, last } => {
                let (way, steps) = (toward(*last), counted(*steps));
                write!(f, "{way} along a cosine to {last} in {steps}")
            }
            Schedule::Linear { steps, last } => {
                let (way, steps) = (toward(*last), counted(*steps));
                write!(f, "{way} along a line to {last} in {steps}")
            }
            Schedule::OneCycle {
                steps,
                rise,
                first,
                last,
            } => write!(
                f,
                "one cycle of {}: from {first} to 1 in {:.0} %, then to {last}",
                counted(*steps),
                rise * 100.0
            ),
            Schedule::WarmUp { steps, then } => {
                write!(f, "rises for {}, then {then}", counted(*steps))
            }
        }
    }
}
