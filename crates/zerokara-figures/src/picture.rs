//! Pictures of pixels, as PNG data inside of a page or figure.

use crate::style::color;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A picture of 8-bit pixels in red, green, blue and alpha.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Four bytes for each pixel, row by row from the top.
    pub rgba: Vec<u8>,
}

impl Picture {
    /// A picture of pixel values `[C, H, W]`; `None` when the shape does not fit the data or is too big to show.
    ///
    /// One channel is grey, three are red, green and blue; of any other number the first is shown. Values from 0 to 1
    /// are taken as they are; if some lie outside, the picture's range is stretched. What is not finite is red.
    pub fn from_pixels(pixels: &[f32], shape: [usize; 3]) -> Option<Self> {
        let [channels, height, width] = shape;
        let area = area(pixels.len(), channels, height, width)?;
        let finite = || pixels.iter().copied().filter(|v| v.is_finite());
        let low = finite().fold(f32::INFINITY, f32::min);
        let high = finite().fold(f32::NEG_INFINITY, f32::max);
        let (low, high) = match low >= 0.0 && high <= 1.0 {
            true => (0.0, 1.0),
            false => (low, high),
        };
        let colour = channels == 3;
        let mut rgba = Vec::with_capacity(area * 4);
        for i in 0..area {
            let value = |c: usize| pixels[if colour { c * area + i } else { i }];
            let rgb = [value(0), value(1), value(2)];
            match rgb.iter().all(|v| v.is_finite()) {
                true => rgba.extend(rgb.map(|v| unit((v - low) / (high - low)))),
                false => rgba.extend(color(1)),
            }
            rgba.push(255);
        }
        Some(Self {
            width,
            height,
            rgba,
        })
    }

    /// A picture of weights `[C, H, W]`: with three channels their colours, else the mean over the channels, from blue
    /// (`-scale`) over white to orange (`scale`).
    pub fn from_weights(weights: &[f32], shape: [usize; 3], scale: f32) -> Option<Self> {
        let [channels, height, width] = shape;
        let area = area(weights.len(), channels, height, width)?;
        let scale = if scale > 0.0 { scale } else { 1.0 };
        let mut rgba = Vec::with_capacity(area * 4);
        for i in 0..area {
            let value = |c: usize| weights[c * area + i] / scale;
            if channels == 3 {
                rgba.extend([0, 1, 2].map(|c| unit(value(c) * 0.5 + 0.5)));
            } else {
                let mean = (0..channels).map(value).sum::<f32>() / channels as f32;
                rgba.extend(diverging(mean));
            }
            rgba.push(255);
        }
        Some(Self {
            width,
            height,
            rgba,
        })
    }

    /// `data:image/png;base64,…`; empty when the picture is.
    pub fn data_uri(&self) -> String {
        self.png()
            .map(|png| format!("data:image/png;base64,{}", STANDARD.encode(png)))
            .unwrap_or_default()
    }

    /// The PNG file: grey when all pixels are, without alpha when all are opaque.
    fn png(&self) -> Option<Vec<u8>> {
        let pixels = self.rgba.chunks_exact(4);
        let opaque = pixels.clone().all(|p| p[3] == 255);
        let grey = pixels.clone().all(|p| p[0] == p[1] && p[1] == p[2]);
        let (kind, data): (_, Vec<u8>) = match (opaque, grey) {
            (true, true) => (png::ColorType::Grayscale, pixels.map(|p| p[0]).collect()),
            (true, false) => (
                png::ColorType::Rgb,
                pixels.flat_map(|p| p[..3].iter().copied()).collect(),
            ),
            _ => (png::ColorType::Rgba, self.rgba.clone()),
        };
        let mut out = Vec::new();
        let (width, height) = (self.width.try_into().ok()?, self.height.try_into().ok()?);
        let mut encoder = png::Encoder::new(&mut out, width, height);
        encoder.set_color(kind);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        let mut writer = encoder.write_header().ok()?;
        writer.write_image_data(&data).ok()?;
        writer.finish().ok()?;
        Some(out)
    }
}

/// `H · W` when the shape is not empty, fits the data and is at most a million pixels.
fn area(length: usize, channels: usize, height: usize, width: usize) -> Option<usize> {
    let area = height.checked_mul(width)?;
    let fits = channels.checked_mul(area)? == length;
    (fits && length > 0 && area <= 1_000_000).then_some(area)
}

fn unit(value: f32) -> u8 {
    (value.clamp(0.0, 1.0) * 255.0).round() as u8
}

/// The palette's blue at -1, nearly white at 0, its vermilion at 1; grey for what is not a number.
fn diverging(value: f32) -> [u8; 3] {
    const MIDDLE: [f32; 3] = [247.0, 247.0, 245.0];
    if !value.is_finite() {
        return [128, 128, 128];
    }
    let end = color(usize::from(value > 0.0)).map(f32::from);
    let share = value.abs().min(1.0);
    [0, 1, 2].map(|i| (MIDDLE[i] + (end[i] - MIDDLE[i]) * share).round() as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(picture: &Picture) -> (png::ColorType, Vec<u8>) {
        let uri = picture.data_uri();
        let base64 = uri.strip_prefix("data:image/png;base64,").unwrap();
        let bytes = STANDARD.decode(base64).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes))
            .read_info()
            .unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        (info.color_type, pixels)
    }

    #[test]
    fn grey_pixels_return_from_the_png() {
        let picture = Picture::from_pixels(&[0.0, 0.5, 1.0, 0.2], [1, 2, 2]).unwrap();
        assert_eq!(
            decode(&picture),
            (png::ColorType::Grayscale, vec![0, 128, 255, 51])
        );
    }

    #[test]
    fn normalised_pixels_are_stretched_and_colours_stay() {
        let picture = Picture::from_pixels(&[-1.0, 3.0, 1.0, 1.0], [1, 1, 4]).unwrap();
        assert_eq!(decode(&picture).1, [0, 255, 128, 128]);
        let picture = Picture::from_pixels(&[1.0, 0.0, 0.0], [3, 1, 1]).unwrap();
        assert_eq!(decode(&picture), (png::ColorType::Rgb, vec![255, 0, 0]));
        let constant = Picture::from_pixels(&[2.0, 2.0], [1, 1, 2]).unwrap();
        assert_eq!(decode(&constant).1.len(), 2);
        assert!(Picture::from_pixels(&[f32::NAN], [1, 1, 1]).is_some());
    }

    #[test]
    fn weights_diverge_from_white() {
        let picture = Picture::from_weights(&[-2.0, 0.0, 2.0], [1, 1, 3], 2.0).unwrap();
        assert_eq!(decode(&picture).1, [0, 114, 178, 247, 247, 245, 213, 94, 0]);
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        assert!(Picture::from_pixels(&[0.0; 3], [1, 2, 2]).is_none());
        assert!(Picture::from_pixels(&[], [1, 0, 5]).is_none());
        assert!(Picture::from_pixels(&[0.0; 3], [usize::MAX, 2, 2]).is_none());
        assert!(Picture::from_weights(&[0.0; 3], [3, 2, 2], 1.0).is_none());
    }
}
