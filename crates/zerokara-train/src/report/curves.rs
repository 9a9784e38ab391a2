//! Curves over time: loss, accuracy, learning rate, norm of the gradient.

use super::chart::{LineChart, Series, Style};
use super::html::escape;
use super::numbers::{significant, thousands};
use crate::metrics::{Epoch, Record, Step};
use std::fmt::Write;
use zerokara_figures::axis::Scale;

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

    /// The section's figures; empty when there is nothing to draw.
    pub(super) fn render(&self) -> String {
        let fixed = |(id, chart): (&str, LineChart)| (id.to_string(), chart);
        let figures: Vec<String> = [self.loss(), self.accuracy()]
            .map(fixed)
            .into_iter()
            .chain(self.measures())
            .chain([self.learning_rate(), self.gradient_norm()].map(fixed))
            .filter(|(_, chart)| !chart.is_empty())
            .map(|(id, chart)| figure(&id, &chart))
            .collect();
        if figures.is_empty() {
            return String::new();
        }
        let mut out = format!("<div class=\"charts\">{}</div>", figures.concat());
        let broken = self.steps.iter().filter(|s| !s.loss.is_finite()).count();
        if broken > 0 {
            let _ = write!(
                out,
                "<p class=\"note warning\">The loss was not finite in {} of {} recorded steps; they are gaps in its curve.</p>",
                thousands(broken as u64),
                thousands(self.steps.len() as u64)
            );
        }
        out
    }

    fn loss(&self) -> (&'static str, LineChart) {
        let raw: Vec<_> = self.by_step(|s| Some(s.loss));
        let smooth = smooth(&raw);
        let mut series = Vec::new();
        if !raw.is_empty() {
            series.push(line("", raw, Style::Raw, 0));
            series.push(line("train", smooth.clone(), Style::Line, 0));
        }
        let by_epoch = |of: fn(&Epoch) -> Option<f64>| -> Vec<_> {
            let points = self.epochs.iter();
            points
                .filter_map(|e| Some((e.step as f64, of(e)?)))
                .collect()
        };
        if series.is_empty() {
            series.push(line("train", by_epoch(|e| e.train_loss), Style::Marked, 0));
        }
        series.push(line(
            "validation",
            by_epoch(|e| e.validation_loss),
            Style::Marked,
            1,
        ));
        series.push(line("test", by_epoch(|e| e.test_loss), Style::Marked, 2));
        series.retain(|s| !s.points.is_empty());

        // The range is that of the smooth curve and of the evaluations: single batches may leave it.
        let shown = || {
            let series = series.iter().filter(|s| s.style != Style::Raw);
            let points = series.flat_map(|s| s.points.iter().map(|p| p.1));
            points.filter(|v| v.is_finite())
        };
        let low = shown().fold(f64::INFINITY, f64::min);
        let high = shown().fold(f64::NEG_INFINITY, f64::max);
        let scale = match low > 0.0 && high / low > 12.0 {
            true => Scale::Log,
            false => Scale::Linear,
        };
        let chart = LineChart {
            title: "Loss".into(),
            x_name: "step".into(),
            y_name: match scale {
                Scale::Log => "loss (logarithmic)".into(),
                Scale::Linear => "loss".into(),
            },
            scale,
            y_limits: (low >= 0.0).then_some((0.0, f64::INFINITY)),
            y_focus: (low <= high).then_some((
                match scale {
                    Scale::Log => low * 0.6,
                    Scale::Linear => low.min(0.0),
                },
                high,
            )),
            series,
            ..LineChart::default()
        };
        ("loss", chart)
    }

    fn accuracy(&self) -> (&'static str, LineChart) {
        let by_epoch = |of: fn(&Epoch) -> Option<f64>| -> Vec<_> {
            let points = self.epochs.iter();
            points
                .filter_map(|e| Some((e.epoch as f64, of(e)? * 100.0)))
                .collect()
        };
        let mut series = vec![
            line("train", by_epoch(|e| e.train_accuracy), Style::Marked, 0),
            line(
                "validation",
                by_epoch(|e| e.validation_accuracy),
                Style::Marked,
                1,
            ),
            line("test", by_epoch(|e| e.test_accuracy), Style::Marked, 2),
        ];
        series.retain(|s| !s.points.is_empty());
        let evaluated = series
            .iter()
            .flat_map(|s| s.points.iter().map(|p| p.1))
            .filter(|v| v.is_finite());
        let (mut low, mut high) = evaluated.fold((f64::INFINITY, f64::NEG_INFINITY), |r, v| {
            (r.0.min(v), r.1.max(v))
        });

        // The accuracy of batches fills the way between few evaluations.
        let per_epoch = match self.epochs.last() {
            Some(last) if last.epoch > 0 && last.step > 0 => last.step as f64 / last.epoch as f64,
            _ => f64::NAN,
        };
        let batches: Vec<_> = self
            .by_step(|s| s.accuracy)
            .into_iter()
            .map(|(step, accuracy)| (step / per_epoch, accuracy * 100.0))
            .filter(|(x, _)| x.is_finite())
            .collect();
        if self.epochs.len() <= 12 && !batches.is_empty() {
            let batches = smooth(&batches);
            // From where the curve is after a tenth of the run: its start would flatten the rest.
            if let Some((_, start)) = batches.get(batches.len() / 10) {
                low = low.min(*start);
                high = high.max(*start);
            }
            series.insert(0, line("batches", batches, Style::Line, 3));
        }
        let chart = LineChart {
            title: "Accuracy".into(),
            x_name: "epoch".into(),
            y_name: "accuracy, %".into(),
            y_limits: Some((0.0, 100.0)),
            decimals: Some(2),
            y_focus: (low <= high).then_some((low, high)),
            x_from: Some(if self.epochs.len() <= 12 { 0.0 } else { 1.0 }),
            series,
            ..LineChart::default()
        };
        ("accuracy", chart)
    }

    /// A chart of each measure that is no accuracy.
    fn measures(&self) -> Vec<(String, LineChart)> {
        const PARTS: [&str; 3] = ["train", "validation", "test"];
        let names = self.epochs.iter().flat_map(|epoch| epoch.measures.keys());
        let names = names.filter_map(|key| {
            PARTS
                .iter()
                .find_map(|part| key.strip_prefix(part)?.strip_prefix('_'))
        });
        let names: std::collections::BTreeSet<&str> = names.collect();
        let chart = |name: &str| {
            let series = PARTS.iter().enumerate().map(|(color, part)| {
                let points = self.epochs.iter();
                let points = points.filter_map(|e| Some((e.epoch as f64, e.measure(part, name)?)));
                line(part, points.collect(), Style::Marked, color)
            });
            let told = name.replace('_', " ");
            LineChart {
                title: told.clone(),
                x_name: "epoch".into(),
                y_name: told,
                series: series.filter(|s| !s.points.is_empty()).collect(),
                ..LineChart::default()
            }
        };
        let slug = |name: &str| -> String {
            let plain = name
                .chars()
                .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' });
            plain.collect()
        };
        names
            .into_iter()
            .map(|name| (format!("measure-{}", slug(name)), chart(name)))
            .collect()
    }

    fn learning_rate(&self) -> (&'static str, LineChart) {
        let chart = LineChart {
            title: "Learning rate".into(),
            x_name: "step".into(),
            y_name: "learning rate".into(),
            y_limits: Some((0.0, f64::INFINITY)),
            series: vec![line(
                "learning rate",
                self.by_step(|s| Some(s.learning_rate)),
                Style::Line,
                4,
            )],
            ..LineChart::default()
        };
        ("learning-rate", chart)
    }

    fn gradient_norm(&self) -> (&'static str, LineChart) {
        let raw = self.by_step(|s| s.gradient_norm);
        let smooth = smooth(&raw);
        let chart = LineChart {
            title: "Norm of the gradient".into(),
            x_name: "step".into(),
            y_name: "norm".into(),
            y_limits: Some((0.0, f64::INFINITY)),
            series: vec![
                line("", raw, Style::Raw, 5),
                line("gradient", smooth, Style::Line, 5),
            ],
            ..LineChart::default()
        };
        ("gradient-norm", chart)
    }

    fn by_step(&self, of: impl Fn(&Step) -> Option<f64>) -> Vec<(f64, f64)> {
        self.steps
            .iter()
            .filter_map(|s| Some((s.step as f64, of(s)?)))
            .collect()
    }
}

fn line(name: &str, points: Vec<(f64, f64)>, style: Style, color: usize) -> Series {
    Series {
        name: name.into(),
        points,
        style,
        color,
    }
}

/// An exponential average over about a sixtieth of the points, without bias at the start:
/// `m_t = Σ β^(t-i) y_i / Σ β^(t-i)`. What is not finite is a gap and is left out of the average.
fn smooth(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
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

/// A chart with its heading and legend, drawn for a wide and for a narrow window.
fn figure(id: &str, chart: &LineChart) -> String {
    let mut legend = String::new();
    let named = chart.series.iter().filter(|s| !s.name.is_empty());
    let many = named.clone().count() > 1;
    for series in named {
        let last = series.points.iter().rev().find(|p| p.1.is_finite());
        let last = match (last, chart.decimals) {
            (Some((_, y)), Some(decimals)) => format!("{y:.decimals$}"),
            (Some((_, y)), None) => significant(*y, 4),
            (None, _) => String::new(),
        };
        let key = match series.style {
            Style::Marked => super::chart::mark(series.color % 6, (9.0, 6.0)),
            _ => "M1 6H17".to_string(),
        };
        let class = match series.style {
            Style::Marked => "mark",
            _ => "line",
        };
        let name = if many {
            escape(&series.name)
        } else {
            "last".to_string()
        };
        let _ = write!(
            legend,
            "<li><svg class=\"key\" viewBox=\"0 0 18 12\" width=\"18\" height=\"12\" aria-hidden=\"true\">\
             <path class=\"{class} c{}\" d=\"{key}\"/></svg>{name} <b>{last}</b></li>",
            series.color % 6
        );
    }
    format!(
        "<figure class=\"chart\"><figcaption><h3>{}</h3><ul class=\"legend\">{legend}</ul></figcaption>{}{}</figure>",
        escape(&chart.title),
        chart.render(&format!("{id}-wide"), "wide", (540, 280)),
        chart.render(&format!("{id}-narrow"), "narrow", (328, 240)),
    )
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
