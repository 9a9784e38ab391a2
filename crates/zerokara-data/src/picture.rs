//! Decoded pictures, and planes of grey values.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::error::{Error, Result};
use crate::pictures::Pictures;
use crate::scale::scaled;

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

    /// Values `[C, H, W]` from 0 to 255: grey for one channel, else red, green and blue; over white, and brought to the size.
    pub(crate) fn fitted(&self, [channels, height, width]: [usize; 3], fit: Pictures) -> Vec<f32> {
        let (tall, wide) = match fit {
            Pictures::Crop => self.covering(height, width),
            _ => (self.height, self.width),
        };
        let (top, left) = ((self.height - tall) / 2, (self.width - wide) / 2);
        let has_alpha = self.has_alpha();
        let line = |y: usize, row: &mut [[f32; 4]]| {
            let pixels = &self.pixels[(top + y) * self.width + left..];
            for (values, pixel) in row.iter_mut().zip(pixels) {
                *values = pixel.map(f32::from);
                if has_alpha {
                    *values = values.map(|value| over(value, pixel[3], 255.0));
                }
            }
        };
        let pixels = scaled([tall, wide], [height, width], line);
        match channels {
            1 => pixels.into_iter().map(brightness).collect(),
            _ => planes(&pixels),
        }
    }

    /// As [`fitted`](Self::fitted), rounded to bytes.
    pub(crate) fn fitted_bytes(&self, shape: [usize; 3], fit: Pictures) -> Vec<u8> {
        // Most folders were brought to one size before, by other programs.
        if shape == [3, self.height, self.width] && !self.has_alpha() {
            return planes(&self.pixels);
        }
        // A conversion cuts off what follows the point.
        let round = |value| (value + 0.5) as u8;
        self.fitted(shape, fit).into_iter().map(round).collect()
    }

    /// Height and width of the largest part that has the proportions of a size.
    fn covering(&self, height: usize, width: usize) -> (usize, usize) {
        let scale = (self.height as f64 / height as f64).min(self.width as f64 / width as f64);
        let side = |wanted: usize, there: usize| {
            ((wanted as f64 * scale).round() as usize).clamp(1, there)
        };
        (side(height, self.height), side(width, self.width))
    }

    /// Whether some pixel is not opaque.
    fn has_alpha(&self) -> bool {
        let all = self.pixels.iter().fold(255, |all, pixel| all & pixel[3]);
        all < 255
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

    /// Brightness from 0 to 1, over a background of this brightness.
    pub(crate) fn grey(&self, background: f32) -> Plane {
        self.map(|pixel| over(shade(pixel), pixel[3], background))
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
                (sum + alpha * f64::from(shade(pixel)), weight + alpha)
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

/// Red, green and blue, each as a plane.
fn planes<T: Copy + Default>(pixels: &[[T; 4]]) -> Vec<T> {
    let mut values = vec![T::default(); 3 * pixels.len()];
    for (colour, plane) in values.chunks_exact_mut(pixels.len().max(1)).enumerate() {
        let places = plane.iter_mut().zip(pixels);
        places.for_each(|(place, pixel)| *place = pixel[colour]);
    }
    values
}

/// Brightness from 0 to 1.
fn shade(pixel: [u8; 4]) -> f32 {
    brightness(pixel.map(f32::from)) / 255.0
}

/// Of red, green and blue (Rec. 601).
fn brightness([r, g, b, _]: [f32; 4]) -> f32 {
    0.299 * r + 0.587 * g + 0.114 * b
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

    /// Resized to `height × width`.
    pub(crate) fn resize(&self, height: usize, width: usize) -> Plane {
        let line = |y: usize, row: &mut [[f32; 1]]| {
            let values = &self.values[y * self.width..][..self.width];
            row.as_flattened_mut().copy_from_slice(values);
        };
        let pixels = scaled([self.height, self.width], [height, width], line);
        Plane {
            width,
            height,
            values: pixels.into_flattened(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_transparent_is_white_and_the_middle_is_cut_out() {
        let pixels = vec![
            [9, 9, 9, 255],
            [0, 100, 200, 255],
            [0, 0, 0, 0],
            [7, 7, 7, 255],
        ];
        let picture = Picture::new(4, 1, pixels).unwrap();
        let fitted = picture.fitted([3, 1, 2], Pictures::Crop);
        assert_eq!(fitted, [0.0, 255.0, 100.0, 255.0, 200.0, 255.0]);
        let grey = picture.fitted([1, 1, 4], Pictures::Plain);
        for (value, expected) in grey.iter().zip([9.0, 81.5, 255.0, 7.0]) {
            assert!((value - expected).abs() < 1e-4, "{grey:?}");
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
