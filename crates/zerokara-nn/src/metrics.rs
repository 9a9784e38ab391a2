//! Measures of a classifier, counted on the host.

use zerokara_core::{Array, DType, Error, Result};

/// The scores `[N, C]` row by row with the labels `[N]`.
fn rows(scores: &Array, labels: &Array) -> Result<Vec<(Vec<f64>, usize)>> {
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
    let (scores, labels) = (scores.to_f64s(), labels.slice::<i64>());
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

/// Counts of true classes (rows) against predicted ones (columns).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// No counts yet.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * classes],
        }
    }

    /// Counts a batch: each row's label against the class of its largest score.
    ///
    /// # Errors
    /// If the shapes do not go together, or there is another number of classes.
    pub fn add(&mut self, scores: &Array, labels: &Array) -> Result<()> {
        let rows = rows(scores, labels)?;
        if scores.shape()[1] != self.classes {
            return Err(Error::new(format!(
                "counts of {} classes cannot take scores {}",
                self.classes,
                scores.meta()
            )));
        }
        for (scores, label) in rows {
            let predicted = (0..scores.len()).find(|&c| rank(&scores, c) == 0);
            self.counts[label * self.classes + predicted.unwrap_or(0)] += 1;
        }
        Ok(())
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How often `predicted` was given for a sample of class `label`.
    pub fn count(&self, label: usize, predicted: usize) -> u64 {
        self.counts[label * self.classes + predicted]
    }

    /// Number of samples counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The share of samples on the diagonal; 0 if there are none.
    pub fn accuracy(&self) -> f64 {
        let right: u64 = (0..self.classes).map(|c| self.count(c, c)).sum();
        right as f64 / self.total().max(1) as f64
    }

    /// Of the samples given this class, the share that has it; 0 if none was given it.
    pub fn precision(&self, class: usize) -> f64 {
        let given: u64 = (0..self.classes).map(|l| self.count(l, class)).sum();
        self.count(class, class) as f64 / given.max(1) as f64
    }

    /// Of the samples of this class, the share that was given it; 0 if there are none.
    pub fn recall(&self, class: usize) -> f64 {
        let of: u64 = (0..self.classes).map(|p| self.count(class, p)).sum();
        self.count(class, class) as f64 / of.max(1) as f64
    }
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
        let mut counts = Confusion::new(3);
        counts.add(&scores, &labels).unwrap();
        assert_eq!((counts.count(1, 1), counts.count(1, 0)), (1, 1));
        assert_eq!((counts.count(2, 1), counts.count(0, 2)), (1, 1));
        assert_eq!((counts.total(), counts.accuracy()), (4, 0.25));
        assert_eq!((counts.precision(1), counts.recall(1)), (0.5, 0.5));
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let (scores, _) = arrays();
        let bad: &[i64] = &[0, 1, 3, 0];
        let error = accuracy(&scores, &Array::new([4], bad)).unwrap_err();
        assert_eq!(error.to_string(), "label 3 is not one of 3 classes");
        assert!(Confusion::new(4).add(&scores, &arrays().1).is_err());
    }
}
