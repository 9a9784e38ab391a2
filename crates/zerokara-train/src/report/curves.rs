//! Curves over time: loss, accuracy, learning rate, norm of the gradient.

use super::numbers::thousands;
use super::page::drawn;
use super::voice::Voice;
use crate::metrics::{Epoch, Record, Step};
use std::collections::BTreeSet;
use std::fmt::Write;
use zerokara_figures::Plot;

/// What epochs are judged on, with the number of its colour: the same as in all other figures for training and test data.
const PARTS: [(&str, usize); 3] = [("train", 0), ("validation", 2), ("test", 1)];
/// With more epochs than this, the accuracy of batches is not needed between them.
const FEW_EPOCHS: usize = 12;

type Points = Vec<(f64, f64)>;

/// The numbers of a run over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Curves {
    /// The steps, in their order.
    pub steps: Vec<Step>,
    /// The evaluations, in their order.
    pub epochs: Vec<Epoch>,
}

impl Curves {
    /// The curves of what [`metrics::read`](crate::metrics::read) returned.
    pub fn from_records(records: impl IntoIterator<Item = Record>) -> Self {
        let mut curves = Self::default();
        for record in records {
            match record {
                Record::Step(step) => curves.steps.push(step),
                Record::Epoch(epoch) => curves.epochs.push(epoch),
            }
        }
        curves
    }

    /// The section's figures; empty when there is nothing to draw. `best` is the epoch whose parameters were kept.
    pub(super) fn render(&self, best: Option<u64>, voice: &Voice) -> String {
        let figures: Vec<String> = [self.loss(best), self.accuracy(best)]
            .into_iter()
            .chain(self.measures(best).into_iter().map(Some))
            .chain([self.learning_rate(), self.gradient_norm()])
            .flatten()
            .map(|plot| figure(plot, voice))
            .collect();
        if figures.is_empty() {
            return String::new();
        }
        let mut out = format!("<div class=\"charts\">{}</div>", figures.concat());
        let broken = self.steps.iter().filter(|s| !s.loss.is_finite()).count();
        if broken > 0 {
            let _ = write!(
                out,
                "<p class=\"note warning\">{}</p>",
                voice.fill(
                    "The loss was not finite in {} of {} recorded steps; they are gaps in its curve.",
                    &[
                        &thousands(broken as u64),
                        &thousands(self.steps.len() as u64)
                    ]
                )
            );
        }
        out
    }

    fn loss(&self, best: Option<u64>) -> Option<Plot> {
        let raw = self.by_step(|s| Some(s.loss));
        let smooth = smooth(&raw);
        let mut evaluated = [
            self.by_epoch(|e| Some((e.step, e.train_loss?))),
            self.by_epoch(|e| Some((e.step, e.validation_loss?))),
            self.by_epoch(|e| Some((e.step, e.test_loss?))),
        ];
        if !raw.is_empty() {
            evaluated[0].clear();
        }
        // The range is that of the smooth curve and of the evaluations: single batches may leave it.
        let shown = range(evaluated.iter().flatten().chain(&smooth));
        let logarithmic = shown.is_some_and(|(low, high)| low > 0.0 && high / low > 12.0);
        let mut plot = by_step("Loss", "loss");
        if !raw.is_empty() {
            plot = smoothed(plot, "train", raw, smooth, 0);
        }
        if let Some((low, high)) = shown {
            plot = match logarithmic {
                true => plot
                    .axes("step", "loss (logarithmic)")
                    .log_y()
                    .y_focus(low * 0.6, high),
                false => plot.y_focus(low.min(0.0), high),
            };
            if low >= 0.0 {
                plot = plot.y_limits(0.0, f64::INFINITY);
            }
        }
        let step = self.epochs.iter().find(|e| Some(e.epoch) == best);
        shown.map(|_| judged(plot, evaluated, step.map(|e| e.step)))
    }

    fn accuracy(&self, best: Option<u64>) -> Option<Plot> {
        let evaluated = [
            self.by_epoch(|e| Some((e.epoch, e.train_accuracy? * 100.0))),
            self.by_epoch(|e| Some((e.epoch, e.validation_accuracy? * 100.0))),
            self.by_epoch(|e| Some((e.epoch, e.test_accuracy? * 100.0))),
        ];
        let few = self.epochs.len() <= FEW_EPOCHS;
        // The accuracy of batches fills the way between few evaluations.
        let per_epoch = match self.epochs.last() {
            Some(last) if last.epoch > 0 && last.step > 0 => last.step as f64 / last.epoch as f64,
            _ => f64::NAN,
        };
        let mut batches: Points = self
            .by_step(|s| s.accuracy)
            .into_iter()
            .map(|(step, accuracy)| (step / per_epoch, accuracy * 100.0))
            .filter(|(x, _)| few && x.is_finite())
            .collect();
        batches = smooth(&batches);
        // From where the curve is after a tenth of the run: its start would flatten the rest.
        let start = batches.get(batches.len() / 10);
        let shown = range(evaluated.iter().flatten().chain(start));
        let all = || evaluated.iter().flatten().chain(&batches);
        let end = all().map(|p| p.0).fold(f64::NEG_INFINITY, f64::max);
        let any = range(all()).is_some();

        let mut plot = Plot::new("Accuracy")
            .axes("epoch", "accuracy, %")
            .whole_x()
            .y_limits(0.0, 100.0)
            .x_range(if few { 0.0 } else { 1.0 }, end);
        if let Some((low, high)) = shown {
            plot = plot.y_focus(low, high);
        }
        if !batches.is_empty() {
            plot = plot.line("batches", batches).color(4);
        }
        any.then(|| judged(plot, evaluated, best))
    }

    /// A chart of each measure that is no accuracy.
    fn measures(&self, best: Option<u64>) -> Vec<Plot> {
        let names = self.epochs.iter().flat_map(|epoch| epoch.measures.keys());
        let names: BTreeSet<&str> = names
            .filter_map(|key| {
                let of = |(part, _): &(&str, usize)| key.strip_prefix(part)?.strip_prefix('_');
                PARTS.iter().find_map(of)
            })
            .collect();
        let chart = |name: &str| {
            let told = name.replace('_', " ");
            let plot = Plot::new(&told).axes("epoch", &told).whole_x();
            let of = |part| self.by_epoch(|e| Some((e.epoch, e.measure(part, name)?)));
            let evaluated = PARTS.map(|(part, _)| of(part));
            range(evaluated.iter().flatten()).map(|_| judged(plot, evaluated, best))
        };
        names.into_iter().filter_map(chart).collect()
    }

    fn learning_rate(&self) -> Option<Plot> {
        let points = self.by_step(|s| Some(s.learning_rate));
        range(&points)?;
        let plot = by_step("Learning rate", "learning rate").y_limits(0.0, f64::INFINITY);
        Some(plot.line("last", points).color(3))
    }

    fn gradient_norm(&self) -> Option<Plot> {
        let raw = self.by_step(|s| s.gradient_norm);
        range(&raw)?;
        let smooth = smooth(&raw);
        let plot = by_step("Norm of the gradient", "norm").y_limits(0.0, f64::INFINITY);
        Some(smoothed(plot, "last", raw, smooth, 5))
    }

    fn by_step(&self, of: impl Fn(&Step) -> Option<f64>) -> Points {
        let steps = self.steps.iter();
        steps
            .filter_map(|s| Some((s.step as f64, of(s)?)))
            .collect()
    }

    fn by_epoch(&self, of: impl Fn(&Epoch) -> Option<(u64, f64)>) -> Points {
        let epochs = self.epochs.iter();
        epochs.filter_map(of).map(|(x, y)| (x as f64, y)).collect()
    }
}

fn by_step(title: &str, y: &str) -> Plot {
    Plot::new(title).axes("step", y).whole_x()
}

/// With a curve before a pale one of what it was smoothed from.
fn smoothed(plot: Plot, name: &str, raw: Points, smooth: Points, color: usize) -> Plot {
    let plot = plot.line("", raw).color(color).pale().thin();
    plot.line(name, smooth).color(color)
}

/// With what the evaluations of each part say, and a line at the best epoch, if one was chosen.
fn judged(plot: Plot, evaluated: [Points; 3], best: Option<u64>) -> Plot {
    let parts = PARTS.into_iter().zip(evaluated);
    let plot = parts
        .filter(|(_, points)| !points.is_empty())
        .fold(plot, |plot, ((part, color), points)| {
            plot.path(part, points).color(color)
        });
    match best {
        Some(at) => plot.x_mark(at as f64, "best"),
        None => plot,
    }
}

/// The smallest and the largest finite value.
fn range<'a>(points: impl IntoIterator<Item = &'a (f64, f64)>) -> Option<(f64, f64)> {
    let finite = points.into_iter().map(|p| p.1).filter(|y| y.is_finite());
    finite
        .map(|y| (y, y))
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
}

/// An exponential average over about a sixtieth of the points, without bias at the start:
/// `m_t = Σ β^(t-i) y_i / Σ β^(t-i)`. What is not finite is a gap and is left out of the average.
fn smooth(points: &[(f64, f64)]) -> Points {
    let span = (points.len() as f64 / 60.0).max(1.0);
    let beta = 1.0 - 1.0 / span;
    let (mut sum, mut weight) = (0.0, 0.0);
    points
        .iter()
        .map(|&(x, y)| {
            if !y.is_finite() {
                return (x, f64::NAN);
            }
            sum = sum * beta + y;
            weight = weight * beta + 1.0;
            (x, sum / weight)
        })
        .collect()
}

/// A chart below its heading, with the last values in its legend.
fn figure(plot: Plot, voice: &Voice) -> String {
    let plot = plot.no_title().last_values();
    let [wide, narrow] = [(540, 300), (328, 250)].map(|(w, h)| {
        let figure = plot.clone().size(w, h).figure();
        voice.figure(&figure, &[])
    });
    drawn(wide.title(), &wide, &narrow)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_keeps_constants_and_starts_at_the_first_value() {
        let constant: Vec<_> = (0..600).map(|i| (f64::from(i), 2.5)).collect();
        assert!(smooth(&constant).iter().all(|p| (p.1 - 2.5).abs() < 1e-12));
        let falling: Vec<_> = (0..600).map(|i| (f64::from(i), -f64::from(i))).collect();
        let smooth = smooth(&falling);
        assert_eq!(smooth[0].1, 0.0);
        // A line is followed at the distance of the average's memory: 10 - 1 = 9 steps.
        assert!((smooth[599].1 - -590.0).abs() < 1e-6, "{:?}", smooth[599]);
    }

    #[test]
    fn smoothing_does_not_spread_nan() {
        let mut points: Vec<_> = (0..600).map(|i| (f64::from(i), 1.0)).collect();
        points[300].1 = f64::NAN;
        let smooth = smooth(&points);
        assert!(smooth[300].1.is_nan());
        assert!((smooth[301].1 - 1.0).abs() < 1e-12);
    }
}
