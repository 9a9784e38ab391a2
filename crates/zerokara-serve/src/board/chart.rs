//! Curves of several runs and histograms of one, drawn by the crate that draws those of reports.

use super::records::Numbers;
use std::sync::{Mutex, PoisonError};
use zerokara_figures::{Picture, Plot, color};
use zerokara_train::{
    language::Words,
    readings::{Histogram, Readings},
};

/// What is on the horizontal axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Across {
    Step,
    Epoch,
    /// Seconds since the start of the run.
    Time,
}

impl Across {
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "step" => Self::Step,
            "epoch" => Self::Epoch,
            "time" => Self::Time,
            _ => return None,
        })
    }
}

/// What a chart is to be.
#[derive(Clone, Debug)]
pub struct Wanted {
    pub metric: String,
    pub across: Across,
    pub log: bool,
    /// How much of the average each point keeps, from 0 to below 1.
    pub smooth: f64,
    pub size: (u32, u32),
}

/// The colours of the palette.
const COLORS: usize = 6;

/// A measure of several runs, each with its name and the number of its look: the colour and, from the seventh on, dashes.
pub fn curves(wanted: &Wanted, runs: &[(String, usize, &Mutex<Numbers>)], words: Words) -> String {
    let across = match wanted.across {
        Across::Step => "step",
        Across::Epoch => "epoch",
        Across::Time => "seconds",
    };
    let name = words.say(&wanted.metric.replace('_', " "));
    let mut plot = Plot::new(&name)
        .no_title()
        .no_legend()
        .axes(words.say(across), "")
        .size(wanted.size.0, wanted.size.1);
    if wanted.across != Across::Time {
        plot = plot.whole_x();
    }
    if wanted.log {
        plot = plot.log_y();
    }
    for (run, look, numbers) in runs {
        let raw = points(
            wanted,
            &numbers.lock().unwrap_or_else(PoisonError::into_inner),
        );
        let styled = |plot: Plot| {
            let plot = plot.color(look % COLORS);
            if look / COLORS % 2 == 1 {
                plot.dashed()
            } else {
                plot
            }
        };
        if wanted.smooth > 0.0 {
            let smooth = smoothed(&raw, wanted.smooth);
            plot = styled(plot.line("", raw)).pale().thin();
            plot = styled(plot.line(run, smooth));
        } else {
            plot = styled(plot.line(run, raw));
        }
    }
    page_svg(&plot.figure().svg())
}

/// The points of a measure: by epochs where those have it, else by steps.
fn points(wanted: &Wanted, numbers: &Numbers) -> Vec<(f64, f64)> {
    let tables = [&numbers.epochs, &numbers.steps];
    let found = tables
        .into_iter()
        .find_map(|table| Some((table, table.columns.get(&wanted.metric)?)));
    let Some((table, values)) = found else {
        return Vec::new();
    };
    let at = match wanted.across {
        Across::Step => 0,
        Across::Epoch => 1,
        Across::Time => 2,
    };
    let points = table
        .places
        .iter()
        .map(|place| place[at])
        .zip(values.iter().copied());
    // A logarithm has no place for what is not above 0.
    points
        .filter(|(_, y)| !wanted.log || *y > 0.0 || y.is_nan())
        .collect()
}

/// The exponential average without bias at the start: `m_t = Σ β^(t-i) y_i / Σ β^(t-i)`. What is not finite is a gap, and is
/// left out of the average.
fn smoothed(points: &[(f64, f64)], beta: f64) -> Vec<(f64, f64)> {
    let (mut sum, mut weight) = (0.0, 0.0);
    let mean = |&(x, y): &(f64, f64)| {
        if !y.is_finite() {
            return (x, f64::NAN);
        }
        sum = sum * beta + y;
        weight = weight * beta + 1.0;
        (x, sum / weight)
    };
    points.iter().map(mean).collect()
}

/// The most columns and the rows of a strip.
const COLUMNS: usize = 400;
const ROWS: usize = 64;

/// How values lay over the epochs: a column for each reading, the stronger the more values lie there.
pub fn strip(title: &str, found: &[(u64, &Histogram)], size: (u32, u32), words: Words) -> String {
    let found: Vec<&(u64, &Histogram)> = found.iter().rev().take(COLUMNS).rev().collect();
    let finite = |h: &Histogram| h.low.is_finite() && h.high.is_finite() && !h.counts.is_empty();
    let shown = found.iter().filter(|(_, h)| finite(h));
    let range = shown
        .map(|(_, h)| (h.low, h.high))
        .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
    let (low, high) = match range {
        Some((low, high)) if high > low => (low, high),
        Some((low, _)) => (low - 0.5, low + 0.5),
        None => return String::new(),
    };
    let columns: Vec<Vec<f64>> = found.iter().map(|(_, h)| column(h, low, high)).collect();
    let [r, g, b] = color(0);
    let mut rgba = Vec::with_capacity(ROWS * columns.len() * 4);
    for row in (0..ROWS).rev() {
        for column in &columns {
            let most = column.iter().copied().fold(0.0, f64::max);
            // A root, so that thin tails are seen beside what most values are.
            let share = if most > 0.0 {
                (column[row] / most).sqrt()
            } else {
                0.0
            };
            rgba.extend([r, g, b, (share * 255.0) as u8]);
        }
    }
    let picture = Picture {
        width: columns.len(),
        height: ROWS,
        rgba,
    };
    let (first, last) = (found[0].0 as f64, found[found.len() - 1].0 as f64);
    let plot = Plot::new(title)
        .no_title()
        .no_legend()
        .axes(words.say("epoch"), "")
        .whole_x()
        .size(size.0, size.1)
        .x_range(first - 0.5, last + 0.5)
        .y_range(low, high)
        .picture(picture, (first - 0.5, last + 0.5), (low, high));
    page_svg(&plot.figure().svg())
}

/// How much of a histogram lies in each row between two values.
fn column(histogram: &Histogram, low: f64, high: f64) -> Vec<f64> {
    let mut out = vec![0.0; ROWS];
    let (bins, height) = (histogram.counts.len() as f64, (high - low) / ROWS as f64);
    let width = (histogram.high - histogram.low) / bins;
    for (bin, &count) in histogram.counts.iter().enumerate() {
        let from = histogram.low + width * bin as f64;
        if width <= 0.0 {
            let at = ((from - low) / height) as usize;
            out[at.min(ROWS - 1)] += f64::from(count);
            continue;
        }
        // Shared among the rows that the bin covers.
        let (first, last) = ((from - low) / height, (from + width - low) / height);
        let rows = (first as usize).min(ROWS - 1)..=(last.ceil() as usize).clamp(1, ROWS) - 1;
        for row in rows {
            let within = last.min(row as f64 + 1.0) - first.max(row as f64);
            out[row] += f64::from(count) * (within / (last - first)).clamp(0.0, 1.0);
        }
    }
    out
}

/// A name, and its histograms with their epochs.
pub type Over<'a> = (&'a str, Vec<(u64, &'a Histogram)>);

/// The histograms of a kind: `weights`, `gradients` or `activations`, in the order of their names' first reading.
pub fn of_kind<'a>(readings: &'a [Readings], kind: &str) -> Vec<Over<'a>> {
    let mut found: Vec<Over<'_>> = Vec::new();
    for line in readings {
        let all = match kind {
            "weights" => &line.weights,
            "gradients" => &line.gradients,
            _ => &line.activations,
        };
        for (name, histogram) in all {
            match found.iter_mut().find(|(known, _)| known == name) {
                Some((_, of)) => of.push((line.epoch, histogram)),
                None => found.push((name, vec![(line.epoch, histogram)])),
            }
        }
    }
    found
}

/// Megabytes of memory over the epochs; empty where the system told none.
pub fn memory(readings: &[Readings], size: (u32, u32), words: Words) -> String {
    let points = readings
        .iter()
        .filter_map(|line| Some((line.epoch as f64, line.memory? as f64 / 1e6)));
    let points: Vec<(f64, f64)> = points.collect();
    if points.is_empty() {
        return String::new();
    }
    let name = words.say("memory, MB");
    let plot = Plot::new(&name)
        .no_title()
        .no_legend()
        .axes(words.say("epoch"), "")
        .whole_x()
        .size(size.0, size.1)
        .y_limits(0.0, f64::INFINITY)
        .path(&name, points)
        .color(2);
    page_svg(&plot.figure().svg())
}

/// The picture for a page whose policy allows no styles in attributes: what is there is set by its script.
pub fn page_svg(svg: &str) -> String {
    svg.replace(" style=\"min-width:", " data-least=\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_begin_at_the_first_value_and_leave_gaps() {
        let raw = [(0.0, 4.0), (1.0, f64::NAN), (2.0, 0.0)];
        let found = smoothed(&raw, 0.5);
        assert_eq!(found[0], (0.0, 4.0));
        assert!(found[1].1.is_nan());
        assert!((found[2].1 - 4.0 * 0.5 / 1.5).abs() < 1e-12, "{found:?}");
    }

    #[test]
    fn a_histogram_keeps_its_sum_on_other_rows() {
        let histogram = Histogram::of(&(0..1000).map(f64::from).collect::<Vec<_>>());
        for (low, high) in [(0.0, 999.0), (-500.0, 2000.0)] {
            let sum: f64 = column(&histogram, low, high).iter().sum();
            assert!((sum - 1000.0).abs() < 1e-6, "{sum}");
        }
        let one = column(&Histogram::of(&[3.0; 7]), 0.0, 6.0);
        assert_eq!((one[32], one.iter().sum::<f64>()), (7.0, 7.0));
    }
}
