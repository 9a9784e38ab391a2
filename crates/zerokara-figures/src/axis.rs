//! Axes: ranges with round ends, ticks at round numbers, linear or logarithmic.

use crate::numbers::{prefixed, significant, thousands};

/// How values are laid out along an axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scale {
    /// Equal differences are equally far apart.
    #[default]
    Linear,
    /// Equal ratios are equally far apart; values must be positive.
    Log,
}

/// An axis: its range, and its ticks with their labels.
#[derive(Clone, Debug, PartialEq)]
pub struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
    /// The marks: values and labels.
    pub ticks: Vec<(f64, String)>,
}

impl Axis {
    /// An axis that ends exactly at `low` and `high`, with about `count` ticks. With `whole`, ticks are whole numbers.
    pub fn exact(low: f64, high: f64, count: usize, whole: bool) -> Self {
        let (low, high) = widen(low, high, 1.0);
        let mut step = nice_step((high - low) / count.max(1) as f64);
        if whole {
            step = step.max(1.0);
        }
        Self {
            scale: Scale::Linear,
            low,
            high,
            ticks: linear_ticks(low, high, step),
        }
    }

    /// An axis that goes on to the next ticks beyond `low` and `high`, but not beyond `limits`.
    pub fn rounded(scale: Scale, low: f64, high: f64, limits: (f64, f64), count: usize) -> Self {
        if scale == Scale::Log && low > 0.0 {
            return Self::log(low, high.max(low));
        }
        let (low, high) = widen(low, high, low.abs().max(1e-3) * 0.1);
        let step = nice_step((high - low) / count.max(1) as f64);
        let low = ((low / step).floor() * step).max(limits.0);
        let high = ((high / step).ceil() * step).min(limits.1);
        let (low, high) = widen(low, high, step);
        Self {
            scale: Scale::Linear,
            low,
            high,
            ticks: linear_ticks(low, high, step),
        }
    }

    fn log(low: f64, high: f64) -> Self {
        let (low, high) = (
            low.clamp(1e-290, 1e290) / 1.15,
            high.clamp(1e-290, 1e290) * 1.15,
        );
        let decades = (high / low).log10();
        let multiples: &[f64] = match decades {
            d if d < 1.7 => &[1.0, 2.0, 5.0],
            d if d < 3.2 => &[1.0, 3.0],
            _ => &[1.0],
        };
        let stride = (decades / 6.0).ceil().max(1.0) as i32;
        let first = low.log10().floor() as i32;
        let last = high.log10().ceil() as i32;
        let mut ticks = Vec::new();
        for exponent in (first..=last).filter(|e| e.rem_euclid(stride) == 0) {
            for multiple in multiples {
                let value = multiple * 10f64.powi(exponent);
                if (low..=high).contains(&value) {
                    ticks.push((value, significant(value, 1)));
                }
            }
        }
        Self {
            scale: Scale::Log,
            low,
            high,
            ticks,
        }
    }

    /// The values at both ends, and whether equal ratios are equally far apart.
    pub fn ends(&self) -> (f64, f64, bool) {
        (self.low, self.high, self.scale == Scale::Log)
    }

    /// Where `value` lies: 0 at the low end, 1 at the high end, possibly outside; `None` when it has no place.
    pub fn place(&self, value: f64) -> Option<f64> {
        let place = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value > 0.0 => (value / self.low).ln() / (self.high / self.low).ln(),
            Scale::Log => return None,
        };
        // Far outside is drawn far outside, in numbers that a renderer can hold.
        place.is_finite().then_some(place.clamp(-10.0, 10.0))
    }
}

/// A range that is not empty and whose length is a number.
fn widen(low: f64, high: f64, by: f64) -> (f64, f64) {
    let (low, high) = (low.clamp(-1e300, 1e300), high.clamp(-1e300, 1e300));
    if high - low > low.abs().max(high.abs()) * 1e-12 {
        (low, high)
    } else {
        let by = by.max(low.abs() * 1e-6);
        (low - by, low + by)
    }
}

/// The next number at least as big as `rough` of the form 1, 2 or 5 times a power of ten.
fn nice_step(rough: f64) -> f64 {
    if !(rough.is_finite() && rough > 0.0) {
        return 1.0;
    }
    let power = 10f64.powi(rough.log10().floor() as i32);
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|m| m * power)
        .find(|step| *step >= rough * 0.999_999)
        .unwrap_or(10.0 * power)
}

fn linear_ticks(low: f64, high: f64, step: f64) -> Vec<(f64, String)> {
    let slack = step * 1e-6;
    let first = ((low - slack) / step).ceil();
    let mut ticks = Vec::new();
    // Bounded, whatever the range.
    for i in 0..50 {
        let value = (first + f64::from(i)) * step;
        if value > high + slack {
            break;
        }
        ticks.push((value, label(value, step)));
    }
    ticks
}

fn label(value: f64, step: f64) -> String {
    if value.abs() < step * 1e-6 {
        return "0".to_string();
    }
    let text = if value.abs() >= 1e6 {
        prefixed(value.abs())
    } else if step >= 1.0 {
        thousands(value.abs().round() as u64)
    } else if step < 1e-5 {
        significant(value.abs(), 3)
    } else {
        let decimals = (-step.log10() + 1e-9).ceil().max(0.0) as usize;
        format!("{:.decimals$}", value.abs())
    };
    match value < 0.0 {
        true => format!("−{text}"),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(axis: &Axis) -> Vec<&str> {
        axis.ticks.iter().map(|(_, l)| l.as_str()).collect()
    }

    #[test]
    fn ticks_are_round() {
        let axis = Axis::rounded(Scale::Linear, 0.013, 2.31, (0.0, f64::INFINITY), 5);
        assert_eq!(labels(&axis), ["0", "0.5", "1.0", "1.5", "2.0", "2.5"]);
        let axis = Axis::exact(1.0, 1800.0, 6, true);
        assert_eq!(labels(&axis), ["500", "1,000", "1,500"]);
        let axis = Axis::exact(0.0, 3.0, 6, true);
        assert_eq!(labels(&axis), ["0", "1", "2", "3"]);
        let axis = Axis::rounded(Scale::Linear, 96.3, 99.4, (0.0, 100.0), 5);
        assert_eq!(labels(&axis), ["96", "97", "98", "99", "100"]);
    }

    #[test]
    fn logarithmic_ticks() {
        let axis = Axis::rounded(Scale::Log, 0.012, 2.3, (0.0, f64::INFINITY), 5);
        assert_eq!(labels(&axis), ["0.03", "0.1", "0.3", "1"]);
        let half = axis.place((0.012f64 * 2.3).sqrt()).unwrap();
        assert!((half - 0.5).abs() < 1e-9);
        assert_eq!(axis.place(0.0), None);
        assert_eq!(axis.place(f64::NAN), None);
    }

    #[test]
    fn any_range_gives_a_usable_axis() {
        let odd = [
            0.0,
            -0.0,
            1.0,
            1e-300,
            1e300,
            f64::MAX,
            f64::MIN,
            0.1,
            1.0 + 1e-15,
        ];
        for low in odd {
            for high in odd {
                for axis in [
                    Axis::exact(low, high, 5, false),
                    Axis::rounded(Scale::Linear, low, high, (f64::MIN, f64::MAX), 5),
                    Axis::rounded(Scale::Log, low, high, (f64::MIN, f64::MAX), 5),
                ] {
                    assert!(axis.high > axis.low, "{low} {high} {axis:?}");
                    assert!(axis.ticks.len() <= 50, "{low} {high}");
                    assert!(axis.place(axis.low).is_some(), "{low} {high} {axis:?}");
                }
            }
        }
    }
}
