//! Elastic distortion: neighbouring pixels are displaced alike.

use super::settings::{Elastic, Settings};
use crate::random::{Purpose, Random};

/// Displacements of the pixels of images of one size, in room that is used again for each image.
pub(super) struct Field {
    size: [usize; 2],
    kernel: Vec<f32>,
    alpha: f32,
    /// Along `y` and `x`.
    displacements: [Vec<f32>; 2],
    room: Vec<f32>,
}

impl Field {
    /// For images of this height and width.
    pub(super) fn new(Elastic { alpha, sigma }: Elastic, size: [usize; 2]) -> Self {
        let pixels = size[0] * size[1];
        Field {
            size,
            kernel: gaussian(sigma),
            alpha: alpha as f32,
            displacements: [vec![0.0; pixels], vec![0.0; pixels]],
            room: vec![0.0; pixels],
        }
    }

    /// The displacements of this sample in this epoch, along `y` and `x`.
    pub(super) fn draw(&mut self, settings: &Settings, index: usize, epoch: u64) -> [&[f32]; 2] {
        let mut random = Random::new(settings.seed, Purpose::Elastic, epoch, index as u64);
        for field in &mut self.displacements {
            field.fill_with(|| random.symmetric() as f32 * self.alpha);
            smooth(field, &mut self.room, self.size, &self.kernel);
        }
        self.displacements.each_ref().map(Vec::as_slice)
    }
}

/// The weights `exp(-d² / (2 sigma²))` for distances `d` up to three deviations, with the sum 1.
fn gaussian(sigma: f64) -> Vec<f32> {
    let radius = (3.0 * sigma).ceil() as i32;
    let weight = |d: i32| (-f64::from(d * d) / (2.0 * sigma * sigma)).exp();
    let sum: f64 = (-radius..=radius).map(weight).sum();
    (-radius..=radius)
        .map(|d| (weight(d) / sum) as f32)
        .collect()
}

/// Convolves with the kernel along both axes; beyond the edges there are zeros. What is given lies with its columns as rows,
/// `[W, H]`, so that both axes are rows once; what comes out is `[H, W]`.
fn smooth(field: &mut [f32], room: &mut [f32], [height, width]: [usize; 2], kernel: &[f32]) {
    smooth_rows(field, room, height, kernel);
    for (y, row) in field.chunks_exact_mut(width).enumerate() {
        let column = room.iter().skip(y).step_by(height);
        row.iter_mut()
            .zip(column)
            .for_each(|(to, from)| *to = *from);
    }
    room.copy_from_slice(field);
    smooth_rows(room, field, width, kernel);
}

/// Makes each row the weighted sum of those around it.
fn smooth_rows(from: &[f32], to: &mut [f32], width: usize, kernel: &[f32]) {
    let (rows, radius) = (from.len() / width, kernel.len() / 2);
    to.fill(0.0);
    for (tap, &weight) in kernel.iter().enumerate() {
        // The rows that have another `tap - radius` below, and which that is of the first.
        let start = radius.saturating_sub(tap).min(rows);
        let first = tap.saturating_sub(radius).min(rows);
        let pairs = to[start * width..].iter_mut().zip(&from[first * width..]);
        pairs.for_each(|(to, from)| *to += weight * from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A single one becomes the product of two bells, cut off at the edges.
    #[test]
    fn smoothing_spreads_a_point_as_the_bell_does() {
        let bell = |d: f64, sigma: f64| {
            let weight = |d: f64| (-d * d / (2.0 * sigma * sigma)).exp();
            let radius = (3.0 * sigma).ceil();
            let sum: f64 = (0..=2 * radius as i32)
                .map(|at| weight(f64::from(at) - radius))
                .sum();
            if d.abs() > radius {
                0.0
            } else {
                weight(d) / sum
            }
        };
        for (size, sigma) in [
            ([9, 7], 1.5),
            ([9, 7], 0.3),
            ([1, 1], 2.0),
            ([1, 6], 10.0),
            ([5, 1], 1.0),
        ] {
            let [height, width] = size;
            for at in 0..height * width {
                let mut field = vec![0.0; height * width];
                field[at % width * height + at / width] = 1.0;
                smooth(
                    &mut field,
                    &mut vec![7.0; height * width],
                    size,
                    &gaussian(sigma),
                );
                for (to, &found) in field.iter().enumerate() {
                    let away = |a: usize, b: usize| a as f64 - b as f64;
                    let expected = bell(away(to / width, at / width), sigma)
                        * bell(away(to % width, at % width), sigma);
                    assert!(
                        (f64::from(found) - expected).abs() < 1e-6,
                        "{size:?} {sigma} {at} {to}"
                    );
                }
            }
        }
    }

    /// Far from the edges the mean is 0 and the deviation `alpha / (2 sigma sqrt(3π))`; none exceeds alpha.
    #[test]
    fn displacements_have_their_deviation() {
        let elastic = Elastic {
            alpha: 34.0,
            sigma: 4.0,
        };
        let settings = Settings {
            seed: 1,
            elastic: Some(elastic),
            ..Settings::default()
        };
        let mut field = Field::new(elastic, [41, 41]);
        let (mut sum, mut squares, mut count) = (0.0, 0.0, 0.0);
        for index in 0..400 {
            for along in field.draw(&settings, index, 2) {
                assert!(along.iter().all(|d| d.abs() <= 34.0));
                // Pixels this far apart share little.
                for at in [14 * 41 + 14, 14 * 41 + 26, 26 * 41 + 14, 26 * 41 + 26] {
                    let d = f64::from(along[at]);
                    (sum, squares, count) = (sum + d, squares + d * d, count + 1.0);
                }
            }
        }
        let expected = 34.0 / (8.0 * (3.0 * std::f64::consts::PI).sqrt());
        let deviation = f64::sqrt(squares / count);
        assert!(
            (deviation / expected - 1.0).abs() < 0.08,
            "{deviation} for {expected}"
        );
        assert!(
            (sum / count).abs() < 5.0 * expected / f64::sqrt(count),
            "{sum}"
        );
    }
}
