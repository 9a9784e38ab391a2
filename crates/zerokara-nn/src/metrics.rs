//! Measures of a classifier, counted on the host.

use std::collections::BTreeMap;
use zerokara_core::{Array, DType, Error, Result};

/// The scores `[N, C]` row by row with the labels `[N]`.
fn rows(scores: &Array, labels: &Array) -> Result<Vec<(Vec<f64>, usize)>> {
    let (scores, labels) = (scores.valid()?, labels.valid()?);
    let (&[n, classes], &[count]) = (scores.shape(), labels.shape()) else {
        return Err(Error::new(format!(
            "needs scores [N, C] and labels [N], not {} and {}",
            scores.meta(),
            labels.meta()
        )));
    };
    if n != count || labels.dtype() != DType::I64 {
        return Err(Error::new(format!(
            "{n} rows of scores do not go with labels {}",
            labels.meta()
        )));
    }
    let (scores, labels) = (scores.to_f64s(), labels.as_slice::<i64>()?);
    labels
        .iter()
        .enumerate()
        .map(|(row, &label)| {
            let label = usize::try_from(label).ok().filter(|&l| l < classes);
            let label = label.ok_or_else(|| {
                Error::new(format!(
                    "label {} is not one of {classes} classes",
                    labels[row]
                ))
            })?;
            Ok((scores[row * classes..(row + 1) * classes].to_vec(), label))
        })
        .collect()
}

/// The number of scores that come before the label's: larger ones, and equal ones of smaller index; NaN comes first.
fn rank(scores: &[f64], label: usize) -> usize {
    let own = scores[label];
    scores
        .iter()
        .enumerate()
        .filter(|&(i, &s)| s > own || (s == own && i < label) || (s.is_nan() && i != label))
        .count()
}

/// The share of rows whose largest score is the label's.
///
/// # Errors
/// If the shapes do not go together or a label is no class.
pub fn accuracy(scores: &Array, labels: &Array) -> Result<f64> {
    top_k_accuracy(scores, labels, 1)
}

/// The share of rows in which the label is among the k largest scores; 0 if there are no rows.
///
/// # Errors
/// If the shapes do not go together or a label is no class.
pub fn top_k_accuracy(scores: &Array, labels: &Array, k: usize) -> Result<f64> {
    let rows = rows(scores, labels)?;
    let right = rows
        .iter()
        .filter(|(s, l)| !s[*l].is_nan() && rank(s, *l) < k);
    Ok(right.count() as f64 / rows.len().max(1) as f64)
}

/// The confusion matrix of a classifier: how often each class was predicted (columns) for samples of each class (rows).
///
/// ```
/// use zerokara_nn::metrics::ConfusionMatrix;
/// let mut matrix = ConfusionMatrix::new(2);
/// for (label, predicted) in [(0, 0), (0, 1), (1, 1), (1, 1)] {
///     matrix.add(label, predicted);
/// }
/// assert_eq!(matrix.accuracy(), 0.75);
/// assert_eq!((matrix.recall(0), matrix.precision(0)), (Some(0.5), Some(1.0)));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    /// By label and predicted class, those that are not 0: they take memory as samples come, however many classes there are.
    counts: BTreeMap<(usize, usize), u64>,
}

impl ConfusionMatrix {
    /// An empty matrix of this many classes.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: BTreeMap::new(),
        }
    }

    /// The matrix of `rows[label][predicted]`; rows that are missing or too short are filled with zeros.
    pub fn from_rows(rows: &[Vec<u64>]) -> Self {
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut matrix = Self::new(longest.max(rows.len()));
        for (label, row) in rows.iter().enumerate() {
            for (predicted, count) in row.iter().enumerate() {
                if *count > 0 {
                    matrix.counts.insert((label, predicted), *count);
                }
            }
        }
        matrix
    }

    /// The matrix of so many classes with these [counts](Self::counts): label, predicted class, how often. Classes beyond it are
    /// left out.
    pub fn of_counts(
        classes: usize,
        counts: impl IntoIterator<Item = (usize, usize, u64)>,
    ) -> Self {
        let mut matrix = Self::new(classes);
        for (label, predicted, count) in counts {
            if label < classes && predicted < classes && count > 0 {
                matrix.counts.insert((label, predicted), count);
            }
        }
        matrix
    }

    /// Counts one sample. Classes beyond the matrix are ignored.
    pub fn add(&mut self, label: usize, predicted: usize) {
        if label < self.classes && predicted < self.classes {
            *self.counts.entry((label, predicted)).or_default() += 1;
        }
    }

    /// Counts a batch: the label of each row of scores `[N, C]` against the class of its largest score.
    ///
    /// # Errors
    /// If the shapes do not go together, or there is another number of classes.
    pub fn add_scores(&mut self, scores: &Array, labels: &Array) -> Result<()> {
        let rows = rows(scores, labels)?;
        if scores.shape()[1] != self.classes {
            return Err(Error::new(format!(
                "a confusion matrix of {} classes cannot take scores {}",
                self.classes,
                scores.meta()
            )));
        }
        for (scores, label) in rows {
            let predicted = (0..scores.len()).find(|&c| rank(&scores, c) == 0);
            self.add(label, predicted.unwrap_or(0));
        }
        Ok(())
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The counts that are not 0, row by row: label, predicted class, how often.
    pub fn counts(&self) -> impl Iterator<Item = (usize, usize, u64)> {
        (self.counts.iter()).map(|(&(label, predicted), &count)| (label, predicted, count))
    }

    /// How often `predicted` was given for a sample of class `label`; 0 beyond the matrix.
    pub fn count(&self, label: usize, predicted: usize) -> u64 {
        self.counts.get(&(label, predicted)).copied().unwrap_or(0)
    }

    /// Number of samples of a class.
    pub fn samples(&self, label: usize) -> u64 {
        let row = self.counts.range((label, 0)..=(label, usize::MAX));
        row.map(|(_, count)| count).sum()
    }

    /// Number of all samples.
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Number of samples on the diagonal.
    pub fn correct(&self) -> u64 {
        let right = self
            .counts()
            .filter(|(label, predicted, _)| label == predicted);
        right.map(|(.., count)| count).sum()
    }

    /// The share of samples on the diagonal; 0 if there are none.
    pub fn accuracy(&self) -> f64 {
        self.correct() as f64 / self.total().max(1) as f64
    }

    /// Of the samples of this class, the share that was recognised; `None` if there are none.
    pub fn recall(&self, class: usize) -> Option<f64> {
        share(self.count(class, class), self.samples(class))
    }

    /// Of the samples that were given this class, the share that has it; `None` if there are none.
    pub fn precision(&self, class: usize) -> Option<f64> {
        let given = self
            .counts()
            .filter(|(_, predicted, _)| *predicted == class);
        share(
            self.count(class, class),
            given.map(|(.., count)| count).sum(),
        )
    }

    /// The harmonic mean of precision and recall of this class, `2 right / (samples + given)`; `None` if it neither comes nor is given.
    pub fn f1(&self, class: usize) -> Option<f64> {
        let given = self
            .counts()
            .filter(|(_, predicted, _)| *predicted == class);
        let given: u64 = given.map(|(.., count)| count).sum();
        share(2 * self.count(class, class), self.samples(class) + given)
    }

    /// The mean of a measure over the classes that come, where one that has no value counts as 0: every class counts alike, however
    /// rare it is. `None` if no class comes.
    ///
    /// ```
    /// use zerokara_nn::metrics::ConfusionMatrix;
    /// let matrix = ConfusionMatrix::from_rows(&[vec![98, 0], vec![2, 0]]);
    /// assert_eq!(matrix.accuracy(), 0.98);
    /// assert_eq!(matrix.macro_mean(ConfusionMatrix::recall), Some(0.5)); // the rare class is never found
    /// ```
    #[doc(alias("macro", "balanced_accuracy", "macro_f1"))]
    pub fn macro_mean(&self, measure: impl Fn(&Self, usize) -> Option<f64>) -> Option<f64> {
        let there = (0..self.classes).filter(|&class| self.samples(class) > 0);
        let values: Vec<f64> = there
            .map(|class| measure(self, class).unwrap_or(0.0))
            .collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }

    /// The most frequent errors, as label, predicted class and count; at most `limit`.
    pub fn worst(&self, limit: usize) -> Vec<(usize, usize, u64)> {
        let wrong = self
            .counts()
            .filter(|(label, predicted, _)| label != predicted);
        let mut cells: Vec<_> = wrong.collect();
        cells.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
        cells.truncate(limit);
        cells
    }
}

/// The area under the ROC curve: how often a sample of the class has a higher score than one that is not, ties counting half
/// (Hanley and McNeil, 1982). `None` unless there are samples of both sorts, and no score is NaN.
///
/// ```
/// use zerokara_nn::metrics::roc_auc;
/// assert_eq!(roc_auc(&[(0.9, true), (0.4, true), (0.5, false), (0.1, false)]), Some(0.75));
/// ```
#[doc(alias("roc_auc_score", "AUROC"))]
pub fn roc_auc(scored: &[(f64, bool)]) -> Option<f64> {
    let sorted = sorted(scored)?;
    let positives = scored.iter().filter(|(_, is)| *is).count() as f64;
    let negatives = scored.len() as f64 - positives;
    // Pairs in the right order, counted twice.
    let (mut below, mut pairs) = (0.0, 0.0);
    for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
        let is = ties.iter().filter(|(_, is)| *is).count() as f64;
        let is_not = ties.len() as f64 - is;
        pairs += is * (2.0 * below + is_not);
        below += is_not;
    }
    (positives > 0.0 && negatives > 0.0).then(|| pairs / (2.0 * positives * negatives))
}

/// The area under the curve of precision against recall, by steps: the mean of the precision at each sample of the class, from the
/// highest score down. `None` unless there is a sample of the class, and no score is NaN.
///
/// ```
/// use zerokara_nn::metrics::average_precision;
/// let found = average_precision(&[(0.9, true), (0.4, true), (0.5, false), (0.1, false)]);
/// assert!((found.unwrap() - (1.0 + 2.0 / 3.0) / 2.0).abs() < 1e-12);
/// ```
#[doc(alias("average_precision_score", "pr_auc", "AUPRC"))]
pub fn average_precision(scored: &[(f64, bool)]) -> Option<f64> {
    let mut sorted = sorted(scored)?;
    sorted.reverse();
    let positives = scored.iter().filter(|(_, is)| *is).count() as f64;
    let (mut seen, mut found, mut sum) = (0.0, 0.0, 0.0);
    for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
        let is = ties.iter().filter(|(_, is)| *is).count() as f64;
        seen += ties.len() as f64;
        found += is;
        sum += is * found / seen;
    }
    (positives > 0.0).then(|| sum / positives)
}

/// The samples by their scores, the lowest first.
fn sorted(scored: &[(f64, bool)]) -> Option<Vec<(f64, bool)>> {
    if scored.iter().any(|(score, _)| score.is_nan()) {
        return None;
    }
    let mut sorted = scored.to_vec();
    // Zero has two signs, and is one score.
    sorted.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
    Some(sorted)
}

/// The expected calibration error: samples are put into bins by the probability of their answer, and in each the share of right
/// answers is compared with the mean probability; the mean of the differences, weighted by the bins' samples (Guo et al., 2017,
/// <https://arxiv.org/abs/1706.04599>). 0 where of answers with 80 % eight of ten are right. `None` without samples.
///
/// ```
/// use zerokara_nn::metrics::calibration_error;
/// let answers = [(0.75, true), (0.75, true), (0.75, true), (0.75, false), (0.95, false)];
/// assert!((calibration_error(&answers, 10).unwrap() - 0.95 / 5.0).abs() < 1e-12);
/// ```
#[doc(alias("ECE", "expected_calibration_error"))]
pub fn calibration_error(answers: &[(f64, bool)], bins: usize) -> Option<f64> {
    let mut sums = vec![(0.0, 0.0); bins.max(1)];
    for &(probability, right) in answers {
        let bin = ((probability * bins as f64).ceil() as usize).clamp(1, bins.max(1)) - 1;
        sums[bin].0 += probability;
        sums[bin].1 += f64::from(u8::from(right));
    }
    let differences: f64 = sums.iter().map(|(sum, right)| (sum - right).abs()).sum();
    (!answers.is_empty()).then(|| differences / answers.len() as f64)
}

fn share(part: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| part as f64 / all as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrays() -> (Array, Array) {
        let scores: &[f32] = &[0.1, 0.7, 0.2, 0.5, 0.3, 0.2, 0.2, 0.4, 0.4, 0.0, 0.0, 1.0];
        let labels: &[i64] = &[1, 1, 2, 0];
        (Array::new([4, 3], scores), Array::new([4], labels))
    }

    #[test]
    fn shares_are_counted_by_hand() {
        let (scores, labels) = arrays();
        // Rows: right; second; second (a tie goes to the smaller class); second of a tie (class 0 comes first).
        assert_eq!(accuracy(&scores, &labels).unwrap(), 0.25);
        assert_eq!(top_k_accuracy(&scores, &labels, 2).unwrap(), 1.0);
        assert_eq!(top_k_accuracy(&scores, &labels, 0).unwrap(), 0.0);
    }

    #[test]
    fn confusion_counts_labels_against_predictions() {
        let (scores, labels) = arrays();
        let mut counts = ConfusionMatrix::new(3);
        counts.add_scores(&scores, &labels).unwrap();
        assert_eq!((counts.count(1, 1), counts.count(1, 0)), (1, 1));
        assert_eq!((counts.count(2, 1), counts.count(0, 2)), (1, 1));
        assert_eq!((counts.total(), counts.accuracy()), (4, 0.25));
        assert_eq!(
            (counts.precision(1), counts.recall(1)),
            (Some(0.5), Some(0.5))
        );
    }

    /// Values of scikit-learn 1.9.
    #[test]
    fn areas_and_means_are_those_of_scikit_learn() {
        let scores = [0.1, 0.4, 0.35, 0.8, 0.4, 0.9, 0.2, 0.6, 0.6, 0.05];
        let is = [0, 0, 1, 1, 1, 1, 0, 0, 1, 0];
        let scored: Vec<(f64, bool)> = scores.into_iter().zip(is.map(|is| is == 1)).collect();
        assert!((roc_auc(&scored).unwrap() - 0.84).abs() < 1e-12);
        assert!((average_precision(&scored).unwrap() - 0.8261904761904761).abs() < 1e-12);
        assert_eq!(roc_auc(&[(0.5, true)]), None);
        assert_eq!(average_precision(&[(0.5, false)]), None);
        assert_eq!(roc_auc(&[(f64::NAN, true), (0.1, false)]), None);
        assert_eq!(roc_auc(&[(0.0, true), (-0.0, false)]), Some(0.5));

        let mut matrix = ConfusionMatrix::new(4);
        let labels = [0, 0, 0, 1, 1, 2, 2, 2, 2, 1];
        let given = [0, 1, 0, 1, 1, 2, 0, 2, 1, 2];
        labels
            .into_iter()
            .zip(given)
            .for_each(|(label, given)| matrix.add(label, given));
        let near = |found: Option<f64>, expected: f64| (found.unwrap() - expected).abs() < 1e-12;
        assert!(
            near(matrix.f1(0), 2.0 / 3.0)
                && near(matrix.f1(1), 4.0 / 7.0)
                && near(matrix.f1(2), 4.0 / 7.0)
        );
        // The fourth class never comes, and is not counted.
        assert_eq!((matrix.f1(3), matrix.recall(3)), (None, None));
        assert!(near(
            matrix.macro_mean(ConfusionMatrix::f1),
            0.6031746031746031
        ));
        assert!(near(
            matrix.macro_mean(ConfusionMatrix::precision),
            0.6111111111111112
        ));
        assert!(near(
            matrix.macro_mean(ConfusionMatrix::recall),
            0.6111111111111112
        ));
        assert_eq!(
            ConfusionMatrix::new(3).macro_mean(ConfusionMatrix::f1),
            None
        );
        assert_eq!(calibration_error(&[], 15), None);
        assert_eq!(
            calibration_error(&[(1.0, true), (0.0, false)], 15),
            Some(0.0)
        );
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let (scores, _) = arrays();
        let bad: &[i64] = &[0, 1, 3, 0];
        let error = accuracy(&scores, &Array::new([4], bad)).unwrap_err();
        assert_eq!(error.to_string(), "label 3 is not one of 3 classes");
        assert!(
            ConfusionMatrix::new(4)
                .add_scores(&scores, &arrays().1)
                .is_err()
        );
    }

    #[test]
    fn a_matrix_takes_any_number_of_classes() {
        let mut matrix = ConfusionMatrix::new(usize::MAX);
        matrix.add(usize::MAX - 1, 3);
        matrix.add(7, 7);
        assert_eq!((matrix.total(), matrix.correct()), (2, 1));
        assert_eq!(matrix.worst(5), [(usize::MAX - 1, 3, 1)]);
        assert_eq!(
            (matrix.recall(7), matrix.precision(3)),
            (Some(1.0), Some(0.0))
        );
    }

    fn matrix() -> ConfusionMatrix {
        ConfusionMatrix::from_rows(&[vec![8, 2, 0], vec![1, 4], vec![]])
    }

    #[test]
    fn recall_precision_and_errors() {
        let m = matrix();
        assert_eq!((m.classes(), m.total(), m.correct()), (3, 15, 12));
        assert_eq!(m.recall(0), Some(0.8));
        assert_eq!(m.precision(1), Some(4.0 / 6.0));
        assert_eq!((m.recall(2), m.precision(2)), (None, None));
        assert_eq!(m.worst(5), [(0, 1, 2), (1, 0, 1)]);
        assert_eq!(m.count(7, 0), 0);
        let mut n = ConfusionMatrix::new(2);
        n.add(1, 0);
        n.add(2, 0);
        assert_eq!((n.total(), n.count(1, 0)), (1, 1));
    }
}
