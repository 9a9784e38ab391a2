//! What a report shows, as a file from which it can be shown again: `report.json`.
//!
//! Curves are left out, which are those of `metrics.jsonl`, and what a report reads of each test sample, which is much. Pixels
//! and weights are kept in 255 steps between the smallest and the largest: they are looked at.

use super::{ConfusionMatrix, Filters, LayerRow, LayerTime, Misclassified, Report, WorstRow};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

/// The version that is written; newer ones are not read.
const VERSION: u32 = 1;
/// The step that stands for what is not finite.
const NOT_FINITE: u8 = 255;
/// The most classes of a confusion matrix that is read: it is drawn.
const MOST_CLASSES: usize = 100_000;

/// Label, answer and count.
type Cell = (usize, usize, u64);

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Facts {
    version: u32,
    samples: String,
    classes: Vec<String>,
    parameters: Option<u64>,
    images_per_second: Option<f64>,
    seconds: Option<f64>,
    best_epoch: Option<u64>,
    test_accuracy: Option<f64>,
    test_loss: Option<f64>,
    /// How many classes, and label, answer and count of each cell that is not 0.
    confusion: Option<(usize, Vec<Cell>)>,
    misclassified: Vec<Wrong>,
    worst: Vec<WorstRow>,
    filters_before: Option<Weights>,
    filters_after: Option<Weights>,
    layers: Vec<LayerRow>,
    times: Vec<LayerTime>,
}

#[derive(Serialize, Deserialize)]
struct Wrong {
    index: Option<u64>,
    shape: [usize; 3],
    pixels: Packed,
    label: usize,
    answer: usize,
    probability: Option<f32>,
}

#[derive(Serialize, Deserialize)]
struct Weights {
    shape: [usize; 4],
    weights: Packed,
}

/// Numbers in steps.
#[derive(Serialize, Deserialize)]
struct Packed {
    low: f32,
    high: f32,
    steps: String,
}

impl Packed {
    fn of(values: &[f32]) -> Self {
        let finite = values.iter().copied().filter(|v| v.is_finite());
        let range = finite
            .map(|v| (v, v))
            .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let (low, high) = range.unwrap_or((0.0, 0.0));
        let step = |&value: &f32| match value.is_finite() {
            true if high > low => ((value - low) / (high - low) * 254.0).round() as u8,
            true => 0,
            false => NOT_FINITE,
        };
        let steps: Vec<u8> = values.iter().map(step).collect();
        Self {
            low,
            high,
            steps: STANDARD.encode(steps),
        }
    }

    fn values(&self) -> Option<Vec<f32>> {
        let steps = STANDARD.decode(&self.steps).ok()?;
        let value = |step: u8| match step {
            NOT_FINITE => f32::NAN,
            step => self.low + (self.high - self.low) * f32::from(step) / 254.0,
        };
        Some(steps.into_iter().map(value).collect())
    }
}

impl Weights {
    fn of(filters: &Filters) -> Self {
        Self {
            shape: filters.shape,
            weights: Packed::of(&filters.weights),
        }
    }

    fn filters(&self) -> Option<Filters> {
        Some(Filters {
            shape: self.shape,
            weights: self.weights.values()?,
        })
    }
}

impl Report {
    /// What the report shows, but for curves and what is read of each sample, as JSON.
    pub fn facts(&self) -> String {
        let wrong = |sample: &Misclassified| Wrong {
            index: sample.index,
            shape: sample.shape,
            pixels: Packed::of(&sample.pixels),
            label: sample.label,
            answer: sample.answer,
            probability: Some(sample.probability).filter(|p| p.is_finite()),
        };
        let confusion = self.confusion.as_ref();
        let facts = Facts {
            version: VERSION,
            samples: self.samples.clone(),
            classes: self.classes.clone(),
            parameters: self.parameters,
            images_per_second: self.images_per_second,
            seconds: self.seconds,
            best_epoch: self.best_epoch,
            test_accuracy: self.test_accuracy,
            test_loss: self.test_loss,
            confusion: confusion.map(|matrix| (matrix.classes(), matrix.counts().collect())),
            misclassified: self.misclassified.iter().map(wrong).collect(),
            worst: self.worst.clone(),
            filters_before: self.filters_before.as_ref().map(Weights::of),
            filters_after: self.filters_after.as_ref().map(Weights::of),
            layers: self.layers.clone(),
            times: self.times.clone(),
        };
        // There are no maps with odd keys, the one reason why this could fail.
        serde_json::to_string(&facts).unwrap_or_default()
    }

    /// The report of such facts; nothing if they are of a newer version, or none.
    ///
    /// ```
    /// use zerokara_train::report::Report;
    /// let report = Report { test_accuracy: Some(0.75), ..Report::default() };
    /// assert_eq!(Report::of_facts(report.facts().as_bytes()).unwrap().test_accuracy, Some(0.75));
    /// assert!(Report::of_facts(b"{\"version\": 99}").is_none());
    /// ```
    pub fn of_facts(json: &[u8]) -> Option<Self> {
        let facts: Facts = serde_json::from_slice(json).ok()?;
        if !(1..=VERSION).contains(&facts.version) {
            return None;
        }
        let confusion = facts
            .confusion
            .filter(|(classes, _)| *classes <= MOST_CLASSES);
        let wrong = |sample: Wrong| {
            Some(Misclassified {
                index: sample.index,
                pixels: sample.pixels.values()?,
                shape: sample.shape,
                label: sample.label,
                answer: sample.answer,
                probability: sample.probability.unwrap_or(f32::NAN),
            })
        };
        Some(Self {
            samples: facts.samples,
            classes: facts.classes,
            parameters: facts.parameters,
            images_per_second: facts.images_per_second,
            seconds: facts.seconds,
            best_epoch: facts.best_epoch,
            test_accuracy: facts.test_accuracy,
            test_loss: facts.test_loss,
            confusion: confusion.map(|(classes, cells)| ConfusionMatrix::of_counts(classes, cells)),
            misclassified: facts.misclassified.into_iter().filter_map(wrong).collect(),
            worst: facts.worst,
            filters_before: facts.filters_before.and_then(|f| f.filters()),
            filters_after: facts.filters_after.and_then(|f| f.filters()),
            layers: facts.layers,
            times: facts.times,
            ..Self::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_its_facts_shows_the_same() {
        let mut confusion = ConfusionMatrix::new(3);
        for (label, answer) in [(0, 0), (1, 2), (2, 2)] {
            confusion.add(label, answer);
        }
        let report = Report {
            classes: ["a", "b", "c"].map(String::from).to_vec(),
            confusion: Some(confusion),
            misclassified: vec![Misclassified {
                pixels: vec![0.0, 0.5, 1.0, f32::NAN],
                shape: [1, 2, 2],
                label: 1,
                answer: 2,
                probability: f32::NAN,
                ..Misclassified::default()
            }],
            filters_after: Some(Filters {
                shape: [1, 1, 1, 2],
                weights: vec![-1.0, 1.0],
            }),
            worst: vec![WorstRow {
                index: Some(7),
                cells: vec![("size".into(), "3".into())],
                wanted: "a".into(),
                given: "b".into(),
                error: "90 %".into(),
            }],
            ..Report::default()
        };
        let again = Report::of_facts(report.facts().as_bytes()).unwrap();
        assert_eq!(again.sections(), report.sections());
        let ids: Vec<&str> = again.sections().iter().map(|section| section.id).collect();
        assert_eq!(ids, ["confusion", "misclassified", "worst", "filters"]);
    }
}
