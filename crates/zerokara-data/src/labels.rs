//! Labels and shapes.

use crate::error::{Error, Result};

/// One row for each label, 1 at the label and 0 elsewhere: `[N, classes]`.
///
/// # Errors
///
/// A label is negative or not below `classes`.
///
/// # Example
///
/// ```
/// let rows = zerokara_data::one_hot(&[2, 0], 3)?;
/// assert_eq!(rows, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0]);
/// # Ok::<(), zerokara_data::Error>(())
/// ```
pub fn one_hot(labels: &[i64], classes: usize) -> Result<Vec<f32>> {
    let length = labels.len().checked_mul(classes).ok_or_else(|| {
        Error::new(format!(
            "{} labels of {classes} classes are too many",
            labels.len()
        ))
    })?;
    check_labels(labels, classes)?;
    let mut rows = vec![0.0; length];
    for (row, &label) in labels.iter().enumerate() {
        rows[row * classes + label as usize] = 1.0;
    }
    Ok(rows)
}

/// One row for each list of labels, 1 at each label and 0 elsewhere: `[N, classes]`, the targets of samples that are of several
/// classes at once, or of none.
///
/// # Errors
///
/// A label is negative or not below `classes`.
///
/// # Example
///
/// ```
/// let rows = zerokara_data::multi_hot(&[vec![2, 0], vec![]], 3)?;
/// assert_eq!(rows, [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
/// # Ok::<(), zerokara_data::Error>(())
/// ```
pub fn multi_hot<L: AsRef<[i64]>>(labels: &[L], classes: usize) -> Result<Vec<f32>> {
    let length = labels.len().checked_mul(classes).ok_or_else(|| {
        Error::new(format!(
            "{} rows of {classes} classes are too many",
            labels.len()
        ))
    })?;
    let mut rows = vec![0.0; length];
    for (sample, labels) in labels.iter().enumerate() {
        for &label in labels.as_ref() {
            if label < 0 || label as u64 >= classes as u64 {
                return Err(out_of_range(label, sample, classes));
            }
            rows[sample * classes + label as usize] = 1.0;
        }
    }
    Ok(rows)
}

fn out_of_range(label: i64, sample: usize, classes: usize) -> Error {
    Error::new(format!(
        "label {label} of sample {sample} is out of range: with {classes} classes, labels are from 0 to {}",
        classes as i128 - 1
    ))
}

pub(crate) fn check_labels(labels: &[i64], classes: usize) -> Result<()> {
    match labels
        .iter()
        .position(|&label| label < 0 || label as u64 >= classes as u64)
    {
        None => Ok(()),
        Some(at) => Err(out_of_range(labels[at], at, classes)),
    }
}

/// The shape after flattening all axes but the first: `[N, C, H, W]` becomes `[N, C·H·W]`. The values stay where they
/// are.
///
/// ```
/// assert_eq!(zerokara_data::flatten(&[100, 1, 28, 28]), [100, 784]);
/// ```
pub fn flatten(shape: &[usize]) -> Vec<usize> {
    match shape {
        [] => Vec::new(),
        [n, rest @ ..] => vec![*n, rest.iter().product()],
    }
}
