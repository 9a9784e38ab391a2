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

pub(crate) fn check_labels(labels: &[i64], classes: usize) -> Result<()> {
    match labels
        .iter()
        .position(|&label| label < 0 || label as u64 >= classes as u64)
    {
        None => Ok(()),
        Some(at) => Err(Error::new(format!(
            "label {} of sample {at} is out of range: with {classes} classes, labels are from 0 to {}",
            labels[at],
            classes as i64 - 1
        ))),
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
