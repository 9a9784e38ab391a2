//! Decoded pictures, and planes of grey values to resize.

use std::borrow::Cow;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};

/// Largest file that is read.
const MAX_BYTES: u64 = 256 << 20;
/// Largest picture that is decoded: above that of any telephone.
pub(crate) const MAX_PIXELS: u64 = 64_000_000;

/// A picture of 8-bit red, green, blue and alpha, upright.
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pixels: Vec<[u8; 4]>,
}

impl Picture {
    /// Reads a file of a picture.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let fail = |message: String| Error::file(path, message);
        let file = File::open(path).map_err(|error| fail(format!("cannot be opened: {error}")))?;
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| fail(format!("cannot be read: {error}")))?;
        if bytes.len() as u64 > MAX_BYTES {
            return Err(fail("is larger than 256 MiB".to_string()));
        }
        Picture::decode(&bytes).map_err(fail)
    }

    pub(crate) fn new(
        width: usize,
        height: usize,
        pixels: Vec<[u8; 4]>,
    ) -> std::result::Result<Self, String> {
        if pixels.len() != width * height {
            return Err(format!(
                "decodes to {} pixels, not {width} × {height}",
                pixels.len()
            ));
        }
        Ok(Picture {
            width,
            height,
            pixels,
        })
    }

    /// Undoes the orientation of the Exif standard, 1 to 8: cameras store what the sensor saw and how it was held.
    pub(crate) fn upright(self, orientation: u16) -> Self {
        let (w, h) = (self.width, self.height);
        let swap = (5..=8).contains(&orientation);
        let (width, height) = if swap { (h, w) } else { (w, h) };
        let source = |x: usize, y: usize| match orientation {
            2 => (w - 1 - x, y),
            3 => (w - 1 - x, h - 1 - y),
            4 => (x, h - 1 - y),
            5 => (y, x),
            6 => (y, h - 1 - x),
            7 => (w - 1 - y, h - 1 - x),
            8 => (w - 1 - y, x),
            _ => (x, y),
        };
        if !(2..=8).contains(&orientation) {
            return self;
        }
        let pixels = (0..height)
            .flat_map(|y| (0..width).map(move |x| source(x, y)))
            .map(|(x, y)| self.pixels[y * w + x])
            .collect();
        Picture {
            width,
            height,
            pixels,
        }
    }

    /// Whether some pixel is not opaque.
    fn has_alpha(&self) -> bool {
        self.pixels.iter().any(|pixel| pixel[3] < 255)
    }

    /// Whether some pixel is clearly not grey.
    pub(crate) fn has_colour(&self) -> bool {
        self.pixels
            .iter()
            .any(|&[r, g, b, _]| r.max(g).max(b) - r.min(g).min(b) > 24)
    }

    /// One colour, 0 red to 2 blue, over a background of this brightness.
    pub(crate) fn channel(&self, channel: usize, background: f32) -> Plane {
        self.map(|[r, g, b, a]| {
            let value = [r, g, b][channel.min(2)];
            over(f32::from(value) / 255.0, a, background)
        })
    }

    /// Brightness from 0 to 1 (Rec. 601), over a background of this brightness.
    pub(crate) fn grey(&self, background: f32) -> Plane {
        self.map(|pixel| over(brightness(pixel), pixel[3], background))
    }

    /// Brightness, or one colour, of strokes on a background that they stand out from, where that is left open by
    /// transparency: white for dark strokes, black for light ones.
    pub(crate) fn strokes(&self, colour: Option<usize>) -> Plane {
        let seen = |background| match colour {
            Some(colour) => self.channel(colour, background),
            None => self.grey(background),
        };
        if !self.has_alpha() {
            return seen(1.0);
        }
        let (sum, weight) = self
            .pixels
            .iter()
            .fold((0.0, 0.0), |(sum, weight), &pixel| {
                let alpha = f64::from(pixel[3]);
                (sum + alpha * f64::from(brightness(pixel)), weight + alpha)
            });
        seen(if sum > 0.5 * weight { 0.0 } else { 1.0 })
    }

    fn map(&self, value: impl Fn([u8; 4]) -> f32) -> Plane {
        Plane {
            width: self.width,
            height: self.height,
            values: self.pixels.iter().map(|&pixel| value(pixel)).collect(),
        }
    }
}

pub(crate) fn check_size(width: u64, height: u64) -> std::result::Result<(usize, usize), String> {
    match width.checked_mul(height) {
        Some(0) => Err(format!("is a picture of {width} × {height} pixels")),
        Some(pixels) if pixels <= MAX_PIXELS => Ok((width as usize, height as usize)),
        _ => Err(format!(
            "is too large: {width} × {height} pixels; up to {} million are read",
            MAX_PIXELS / 1_000_000
        )),
    }
}

/// Pixels of 1 (grey), 2 (grey, alpha), 3 or 4 values.
pub(crate) fn rgba(values: &[u8], samples: usize) -> Vec<[u8; 4]> {
    values
        .chunks_exact(samples)
        .map(|pixel| match *pixel {
            [v] => [v, v, v, 255],
            [v, a] => [v, v, v, a],
            [r, g, b] => [r, g, b, 255],
            [r, g, b, a, ..] => [r, g, b, a],
            [] => [0; 4],
        })
        .collect()
}

fn brightness([r, g, b, _]: [u8; 4]) -> f32 {
    (0.299 * f32::from(r) + 0.587 * f32::from(g) + 0.114 * f32::from(b)) / 255.0
}

fn over(value: f32, alpha: u8, background: f32) -> f32 {
    let alpha = f32::from(alpha) / 255.0;
    value * alpha + background * (1.0 - alpha)
}

/// Grey values `[height, width]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plane {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<f32>,
}

impl Plane {
    /// The part from `(top, left)` of this size, which must lie within.
    pub(crate) fn crop(&self, top: usize, left: usize, height: usize, width: usize) -> Plane {
        let rows = self.values[top * self.width..].chunks(self.width);
        let mut values = Vec::with_capacity(height * width);
        for row in rows.take(height) {
            values.extend_from_slice(&row[left..left + width]);
        }
        Plane {
            width,
            height,
            values,
        }
    }

    /// Resized to `height × width`: along an axis that shrinks, the mean of what a pixel covers; along one that grows,
    /// linear interpolation.
    pub(crate) fn resize(&self, height: usize, width: usize) -> Plane {
        let narrow = match width == self.width {
            true => Cow::Borrowed(&self.values),
            false => Cow::Owned(self.of_width(width)),
        };
        if height == self.height {
            return Plane {
                width,
                height,
                values: narrow.into_owned(),
            };
        }
        let mut values = vec![0.0f32; height * width];
        for (out, (start, weights)) in values
            .chunks_mut(width)
            .zip(weights(self.height, height).iter())
        {
            let rows = narrow[start * width..].chunks(width);
            for (row, weight) in rows.zip(weights) {
                out.iter_mut().zip(row).for_each(|(o, v)| *o += weight * v);
            }
        }
        Plane {
            width,
            height,
            values,
        }
    }

    /// The values of rows that are brought to this width.
    fn of_width(&self, width: usize) -> Vec<f32> {
        let columns = weights(self.width, width);
        let mut values = Vec::with_capacity(self.height * width);
        for row in self.values.chunks(self.width) {
            for (start, weights) in &columns {
                let covered = &row[*start..start + weights.len()];
                let products = covered.iter().zip(weights).map(|(v, w)| v * w);
                values.push(products.sum::<f32>());
            }
        }
        values
    }
}

/// For each of `to` pixels, the first of the `from` pixels that it is made of, and their weights, which sum to 1.
fn weights(from: usize, to: usize) -> Vec<(usize, Vec<f32>)> {
    let scale = from as f64 / to as f64;
    (0..to)
        .map(|pixel| {
            if from > to {
                let (begin, end) = (pixel as f64 * scale, (pixel + 1) as f64 * scale);
                let first = begin as usize;
                let last = (end.ceil() as usize).min(from);
                let covered =
                    |at: usize| (end.min((at + 1) as f64) - begin.max(at as f64)).max(0.0) / scale;
                (first, (first..last).map(|at| covered(at) as f32).collect())
            } else {
                let centre = ((pixel as f64 + 0.5) * scale - 0.5).clamp(0.0, (from - 1) as f64);
                let first = centre as usize;
                let share = (centre - first as f64) as f32;
                if first + 1 < from {
                    (first, vec![1.0 - share, share])
                } else {
                    (first, vec![1.0])
                }
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(height: usize, width: usize, values: &[f32]) -> Plane {
        Plane {
            width,
            height,
            values: values.to_vec(),
        }
    }

    #[test]
    fn shrinking_averages_what_is_covered() {
        let square = plane(2, 4, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        assert_eq!(square.resize(1, 2), plane(1, 2, &[3.5, 5.5]));
        // 3 to 2: each takes one pixel and half of the middle one.
        let line = plane(1, 3, &[0.0, 3.0, 9.0]).resize(1, 2);
        assert!((line.values[0] - 1.0).abs() < 1e-6 && (line.values[1] - 7.0).abs() < 1e-6);
    }

    #[test]
    fn growing_interpolates() {
        let line = plane(1, 2, &[0.0, 1.0]);
        assert_eq!(line.resize(1, 4).values, [0.0, 0.25, 0.75, 1.0]);
        assert_eq!(line.resize(2, 2).values, [0.0, 1.0, 0.0, 1.0]);
    }

    #[test]
    fn weights_sum_to_one() {
        for (from, to) in [
            (1, 1),
            (1, 7),
            (7, 1),
            (5, 5),
            (1000, 28),
            (29, 28),
            (28, 29),
        ] {
            let rows = weights(from, to);
            assert_eq!(rows.len(), to);
            for (first, weights) in rows {
                assert!(first + weights.len() <= from);
                let sum: f32 = weights.iter().sum();
                assert!((sum - 1.0).abs() < 1e-5, "{from} to {to}: {sum}");
            }
        }
    }

    /// The letter F, stored as each orientation stores it, comes out upright.
    #[test]
    fn every_orientation_is_undone() {
        let f = ["##", "#.", "#."];
        // Row and column of the stored picture, as the Exif standard (tag 274) describes each value.
        let stored: [(u16, &[&str]); 8] = [
            (1, &["##", "#.", "#."]),
            (2, &["##", ".#", ".#"]),
            (3, &[".#", ".#", "##"]),
            (4, &["#.", "#.", "##"]),
            (5, &["###", "#.."]),
            (6, &["#..", "###"]),
            (7, &["..#", "###"]),
            (8, &["###", "..#"]),
        ];
        for (orientation, rows) in stored {
            let pixels = rows
                .iter()
                .flat_map(|row| row.bytes().map(|byte| [byte, byte, byte, 255]))
                .collect();
            let picture = Picture::new(rows[0].len(), rows.len(), pixels).unwrap();
            let upright = picture.upright(orientation);
            let text: Vec<String> = upright
                .pixels
                .chunks(upright.width)
                .map(|row| row.iter().map(|pixel| pixel[0] as char).collect())
                .collect();
            assert_eq!(text, f, "orientation {orientation}");
        }
    }
}
