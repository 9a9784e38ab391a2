//! Decoded pictures: PNG and JPEG files, and planes of grey values to resize.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::Path;

use crate::error::{Error, Result};
use crate::jpeg;

/// Largest file that is read.
const MAX_BYTES: u64 = 256 << 20;
/// Largest picture that is decoded: above that of any telephone.
const MAX_PIXELS: u64 = 64_000_000;

/// The chunk IEND: no contents, and their check sum.
const PNG_END: [u8; 12] = *b"\0\0\0\0IEND\xae\x42\x60\x82";

const UNKNOWN: &str = "is not a PNG or JPEG file; save the picture as one of these";

fn png_decoder(bytes: &[u8]) -> png::Decoder<Cursor<&[u8]>> {
    let limits = png::Limits {
        bytes: 8 * MAX_PIXELS as usize,
    };
    png::Decoder::new_with_limits(Cursor::new(bytes), limits)
}

fn broken_png(error: png::DecodingError) -> String {
    match error {
        png::DecodingError::LimitsExceeded => "is too large a picture".to_string(),
        error => format!("is a damaged PNG file: {error}"),
    }
}

/// A picture of 8-bit red, green, blue and alpha, upright.
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pixels: Vec<[u8; 4]>,
}

impl Picture {
    /// Reads a PNG or JPEG file, told apart by the first bytes.
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

    pub(crate) fn decode(bytes: &[u8]) -> std::result::Result<Self, String> {
        match bytes {
            [] => Err("is empty".to_string()),
            [0x89, b'P', b'N', b'G', ..] => Picture::decode_png(bytes).or_else(|error| {
                // No pixel is missing where only the last chunk is.
                match bytes.ends_with(&PNG_END) {
                    true => Err(error),
                    false => {
                        let ended = [bytes, &PNG_END].concat();
                        Picture::decode_png(&ended).map_err(|_| error)
                    }
                }
            }),
            [0xff, 0xd8, ..] => Picture::decode_jpeg(bytes),
            _ => Err(UNKNOWN.to_string()),
        }
    }

    /// Width and height as the head of the file tells them; nothing is decoded.
    pub(crate) fn size(bytes: &[u8]) -> std::result::Result<[usize; 2], String> {
        match bytes {
            [] => Err("is empty".to_string()),
            [0x89, b'P', b'N', b'G', ..] => {
                let mut decoder = png_decoder(bytes);
                let header = decoder.read_header_info().map_err(broken_png)?;
                Ok([header.width as usize, header.height as usize])
            }
            [0xff, 0xd8, ..] => {
                let (width, height) = jpeg::Stream::of(bytes).size()?;
                Ok([width, height])
            }
            _ => Err(UNKNOWN.to_string()),
        }
    }

    fn decode_png(bytes: &[u8]) -> std::result::Result<Self, String> {
        let mut decoder = png_decoder(bytes);
        decoder.set_transformations(png::Transformations::normalize_to_color8());
        let header = decoder.read_header_info().map_err(broken_png)?;
        let (width, height) = check_size(header.width.into(), header.height.into())?;
        let mut reader = decoder.read_info().map_err(broken_png)?;
        let size = reader
            .output_buffer_size()
            .ok_or("is too large a picture")?;
        let mut values = vec![0; size];
        let frame = reader.next_frame(&mut values).map_err(broken_png)?;
        let pixels = rgba(&values, frame.color_type.samples());
        Picture::new(width, height, pixels)
    }

    fn decode_jpeg(bytes: &[u8]) -> std::result::Result<Self, String> {
        let stream = jpeg::Stream::of(bytes);
        let (width, height) = stream.size()?;
        check_size(width as u64, height as u64)?;
        let orientation = orientation(stream.exif);
        let pixels = stream.decode()?;
        let picture = Picture::new(pixels.width, pixels.height, rgba(&pixels.values, 3))?;
        Ok(picture.upright(orientation))
    }

    fn new(width: usize, height: usize, pixels: Vec<[u8; 4]>) -> std::result::Result<Self, String> {
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
    fn upright(self, orientation: u16) -> Self {
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

fn check_size(width: u64, height: u64) -> std::result::Result<(usize, usize), String> {
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
fn rgba(values: &[u8], samples: usize) -> Vec<[u8; 4]> {
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

/// The orientation that an Exif block names; 1, upright, if it names none or is damaged.
fn orientation(exif: &[u8]) -> u16 {
    fn find(exif: &[u8]) -> Option<u16> {
        let little = match exif.get(..4)? {
            b"II*\0" => true,
            b"MM\0*" => false,
            _ => return None,
        };
        let u16_at = |at: usize| {
            let bytes = exif.get(at..at.checked_add(2)?)?.try_into().ok()?;
            Some(if little {
                u16::from_le_bytes(bytes)
            } else {
                u16::from_be_bytes(bytes)
            })
        };
        let u32_at = |at: usize| {
            let bytes = exif.get(at..at.checked_add(4)?)?.try_into().ok()?;
            Some(if little {
                u32::from_le_bytes(bytes)
            } else {
                u32::from_be_bytes(bytes)
            })
        };
        let directory = u32_at(4)? as usize;
        let entries = usize::from(u16_at(directory)?);
        (0..entries)
            .map(|entry| directory.saturating_add(2 + 12 * entry))
            .find(|&at| u16_at(at) == Some(0x0112))
            .and_then(|at| u16_at(at.saturating_add(8)))
    }
    find(exif).unwrap_or(1)
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
        let values = self.values[top * self.width..]
            .chunks(self.width)
            .take(height)
            .flat_map(|row| &row[left..left + width])
            .copied()
            .collect();
        Plane {
            width,
            height,
            values,
        }
    }

    /// Resized to `height × width`: along an axis that shrinks, the mean of what a pixel covers; along one that grows,
    /// linear interpolation.
    pub(crate) fn resize(&self, height: usize, width: usize) -> Plane {
        let columns = weights(self.width, width);
        let narrow: Vec<f32> = self
            .values
            .chunks(self.width)
            .flat_map(|row| {
                columns.iter().map(move |(start, weights)| {
                    let values = &row[*start..start + weights.len()];
                    values.iter().zip(weights).map(|(v, w)| v * w).sum::<f32>()
                })
            })
            .collect();
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

    #[test]
    fn orientation_is_read_from_exif() {
        let little = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0\0\0\0\0";
        assert_eq!(orientation(little), 6);
        assert_eq!(orientation(big), 3);
        for length in 0..20 {
            assert_eq!(orientation(&little[..length.min(18)]), 1);
        }
        assert_eq!(orientation(b"II*\0\xff\xff\xff\xff"), 1);
    }
}
