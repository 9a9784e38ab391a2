//! Small changes of images that leave their meaning, made anew in every epoch.

use crate::error::{Error, Result};
use crate::random::{Purpose, Random};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Shifts and turns each image by chance.
///
/// What is done to a sample depends on the seed, the epoch and the sample's number only, not on the batch it is in.
/// Pixels from outside the image are background.
///
/// # Example
///
/// ```
/// use zerokara_data::Augment;
///
/// let augment = Augment::new(1).shift(2).rotate(10.0)?;
/// // One image of 1 × 3 × 3 pixels, the sample number 7, in epoch 0.
/// let mut images = vec![0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
/// augment.apply(&mut images, &[1, 3, 3], &[7], 0)?;
/// # Ok::<(), zerokara_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct Augment {
    seed: u64,
    shift: usize,
    degrees: f64,
}

/// As files have it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    seed: u64,
    #[serde(default)]
    shift: usize,
    #[serde(default)]
    degrees: f64,
}

impl From<Augment> for Record {
    fn from(augment: Augment) -> Self {
        Record {
            seed: augment.seed,
            shift: augment.shift,
            degrees: augment.degrees,
        }
    }
}

impl TryFrom<Record> for Augment {
    type Error = Error;

    fn try_from(record: Record) -> Result<Self> {
        let augment = Augment::new(record.seed).shift(record.shift);
        augment.rotate(record.degrees)
    }
}

/// In words, as reports say it: `shift by up to 2, turn by up to 10°`.
impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = Vec::new();
        if self.shift > 0 {
            told.push(format!("shift by up to {}", self.shift));
        }
        if self.degrees > 0.0 {
            told.push(format!("turn by up to {}°", self.degrees));
        }
        match told.is_empty() {
            true => f.write_str("none"),
            false => f.write_str(&told.join(", ")),
        }
    }
}

impl Augment {
    /// Changes nothing yet.
    pub fn new(seed: u64) -> Self {
        Augment {
            seed,
            shift: 0,
            degrees: 0.0,
        }
    }

    /// Shifts by a whole number of pixels from `-pixels` to `pixels`, along each axis by itself.
    pub fn shift(mut self, pixels: usize) -> Self {
        self.shift = pixels;
        self
    }

    /// Turns about the centre by an angle from `-degrees` to `degrees`; values between pixels are interpolated
    /// linearly.
    ///
    /// # Errors
    ///
    /// The angle is negative or above 180.
    pub fn rotate(mut self, degrees: f64) -> Result<Self> {
        if !(0.0..=180.0).contains(&degrees) {
            return Err(Error::new(format!(
                "images cannot be turned by up to {degrees} degrees; give an angle from 0 to 180"
            )));
        }
        self.degrees = degrees;
        Ok(self)
    }

    /// Changes images `[N, C, H, W]` in place; `shape` is `[C, H, W]`, `indices` are the numbers of the `N` samples.
    /// The background is 0.
    ///
    /// # Errors
    ///
    /// The shape is not `[C, H, W]`, or the number of values is not `N · C · H · W`.
    pub fn apply(
        &self,
        images: &mut [f32],
        shape: &[usize],
        indices: &[usize],
        epoch: u64,
    ) -> Result<()> {
        self.apply_with(images, shape, indices, epoch, |_| 0.0)
    }

    /// [`apply`](Self::apply), with the background of each channel.
    pub(crate) fn apply_with(
        &self,
        images: &mut [f32],
        shape: &[usize],
        indices: &[usize],
        epoch: u64,
        background: impl Fn(usize) -> f32,
    ) -> Result<()> {
        let (height, width) = Self::check(shape)?;
        let plane = height * width;
        let sample = shape[0] * plane;
        if Some(images.len()) != indices.len().checked_mul(sample) {
            return Err(Error::new(format!(
                "{} values are not {} images of shape {shape:?}",
                images.len(),
                indices.len()
            )));
        }
        if sample == 0 {
            return Ok(());
        }
        let mut before = vec![0.0; plane];
        for (image, &index) in images.chunks_exact_mut(sample).zip(indices) {
            let change = self.draw(index, epoch);
            for (channel, plane) in image.chunks_exact_mut(plane).enumerate() {
                before.copy_from_slice(plane);
                change.resample(&before, plane, width, background(channel));
            }
        }
        Ok(())
    }

    /// Height and width of images of this shape.
    pub(crate) fn check(shape: &[usize]) -> Result<(usize, usize)> {
        match *shape {
            [_, height, width] => Ok((height, width)),
            _ => Err(Error::new(format!(
                "only images [C, H, W] can be shifted and turned, not samples of shape {shape:?}"
            ))),
        }
    }

    fn draw(&self, index: usize, epoch: u64) -> Change {
        let mut random = Random::new(self.seed, Purpose::Augment, epoch, index as u64);
        // A shift beyond any image is as good as the largest.
        let limit = self.shift.min(1 << 30);
        let mut step = || random.below(2 * limit + 1) as i64 - limit as i64;
        let (down, right) = (step(), step());
        Change {
            down,
            right,
            angle: (self.degrees * random.symmetric()).to_radians(),
        }
    }
}

struct Change {
    down: i64,
    right: i64,
    angle: f64,
}

impl Change {
    fn resample(&self, before: &[f32], after: &mut [f32], width: usize, background: f32) {
        let height = before.len() / width;
        let (rows, columns) = (height as i64, width as i64);
        let inside = |y: i64, x: i64| {
            let there = (0..rows).contains(&y) && (0..columns).contains(&x);
            if there {
                before[y as usize * width + x as usize]
            } else {
                background
            }
        };
        let (sin, cos) = self.angle.sin_cos();
        let (middle_y, middle_x) = ((height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0);
        for (y, row) in after.chunks_exact_mut(width).enumerate() {
            for (x, out) in row.iter_mut().enumerate() {
                let (from_y, from_x) = (y as i64 - self.down, x as i64 - self.right);
                if self.angle == 0.0 {
                    *out = inside(from_y, from_x);
                    continue;
                }
                // The inverse rotation: where the pixel comes from.
                let (dy, dx) = (from_y as f64 - middle_y, from_x as f64 - middle_x);
                let (sy, sx) = (
                    middle_y + cos * dy - sin * dx,
                    middle_x + sin * dy + cos * dx,
                );
                let (top, left) = (floor(sy), floor(sx));
                let (fy, fx) = ((sy - top as f64) as f32, (sx - left as f64) as f32);
                let within = top >= 0 && left >= 0 && top + 1 < rows && left + 1 < columns;
                if within {
                    let at = top as usize * width + left as usize;
                    let upper = before[at] * (1.0 - fx) + before[at + 1] * fx;
                    let lower = before[at + width] * (1.0 - fx) + before[at + width + 1] * fx;
                    *out = upper * (1.0 - fy) + lower * fy;
                    continue;
                }
                let upper = inside(top, left) * (1.0 - fx) + inside(top, left + 1) * fx;
                let lower = inside(top + 1, left) * (1.0 - fx) + inside(top + 1, left + 1) * fx;
                *out = upper * (1.0 - fy) + lower * fy;
            }
        }
    }
}

/// `f64::floor` calls into the C library where the processor's own instruction is not assumed.
fn floor(x: f64) -> i64 {
    let cut = x as i64;
    cut - i64::from(cut as f64 > x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shift_moves_whole_pixels_and_fills_with_background() {
        let before: Vec<f32> = (1..=9).map(|x| x as f32).collect();
        let mut after = vec![0.0; 9];
        let change = Change {
            down: 1,
            right: -1,
            angle: 0.0,
        };
        change.resample(&before, &mut after, 3, -5.0);
        assert_eq!(after, [-5.0, -5.0, -5.0, 2.0, 3.0, -5.0, 5.0, 6.0, -5.0]);
    }

    /// A quarter turn, clockwise in image coordinates, has a closed form.
    #[test]
    fn quarter_turn() {
        let before: Vec<f32> = (1..=9).map(|x| x as f32).collect();
        let mut after = vec![0.0; 9];
        let change = Change {
            down: 0,
            right: 0,
            angle: std::f64::consts::FRAC_PI_2,
        };
        change.resample(&before, &mut after, 3, 0.0);
        let turned = [7.0, 4.0, 1.0, 8.0, 5.0, 2.0, 9.0, 6.0, 3.0];
        assert!(
            after
                .iter()
                .zip(turned)
                .all(|(a, b): (&f32, f32)| (a - b).abs() < 1e-5),
            "{after:?}"
        );
    }

    #[test]
    fn draws_stay_within_limits_and_reach_them() {
        let augment = Augment::new(3).shift(2).rotate(15.0).unwrap();
        let changes: Vec<Change> = (0..1000).map(|index| augment.draw(index, 5)).collect();
        let limit = 15f64.to_radians();
        assert!(
            changes
                .iter()
                .all(|c| c.down.abs() <= 2 && c.right.abs() <= 2)
        );
        assert!(changes.iter().all(|c| c.angle.abs() <= limit));
        for edge in [-2, 2] {
            assert!(changes.iter().any(|c| c.down == edge));
            assert!(changes.iter().any(|c| c.right == edge));
        }
        assert!(changes.iter().any(|c| c.angle > 0.9 * limit));
        assert!(changes.iter().any(|c| c.angle < -0.9 * limit));
    }
}
