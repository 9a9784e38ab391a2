//! Files of pictures as pixels.

use crate::jpeg;
use crate::picture::{MAX_PIXELS, Picture, check_size, rgba};
use std::io::Cursor;

/// The chunk IEND: no contents, and their check sum.
const PNG_END: [u8; 12] = *b"\0\0\0\0IEND\xae\x42\x60\x82";

/// Bytes that decoders may take beside the pixels.
const MAX_MEMORY: usize = 8 * MAX_PIXELS as usize;

const UNKNOWN: &str =
    "is no picture that can be read: PNG, JPEG, BMP, WebP and GIF can; save it as one of these";

fn png_decoder(bytes: &[u8]) -> png::Decoder<Cursor<&[u8]>> {
    let limits = png::Limits { bytes: MAX_MEMORY };
    png::Decoder::new_with_limits(Cursor::new(bytes), limits)
}

fn broken_png(error: png::DecodingError) -> String {
    match error {
        png::DecodingError::LimitsExceeded => "is too large a picture".to_string(),
        error => format!("is a damaged PNG file: {error}"),
    }
}

impl Picture {
    /// The picture in these bytes, told by the first of them: PNG, JPEG, BMP, WebP, or the first frame of a GIF.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Picture, String> {
        match bytes {
            [] => Err("is empty".to_string()),
            [0x89, b'P', b'N', b'G', ..] => decode_png(bytes).or_else(|error| {
                // No pixel is missing where only the last chunk is.
                match bytes.ends_with(&PNG_END) {
                    true => Err(error),
                    false => {
                        let ended = [bytes, &PNG_END].concat();
                        decode_png(&ended).map_err(|_| error)
                    }
                }
            }),
            [0xff, 0xd8, ..] => decode_jpeg(bytes),
            [b'B', b'M', ..] => decode_bmp(bytes),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => decode_webp(bytes),
            [b'G', b'I', b'F', b'8', ..] => decode_gif(bytes),
            _ => Err(UNKNOWN.to_string()),
        }
    }

    /// Width and height as the head of the file tells them, upright or not; nothing is decoded.
    pub(crate) fn size(bytes: &[u8]) -> Result<[usize; 2], String> {
        match bytes {
            [] => Err("is empty".to_string()),
            [0x89, b'P', b'N', b'G', ..] => {
                let mut decoder = png_decoder(bytes);
                let header = decoder.read_header_info().map_err(broken_png)?;
                Ok([header.width as usize, header.height as usize])
            }
            [0xff, 0xd8, ..] => jpeg::Stream::of(bytes)
                .size()
                .map(|(width, height)| [width, height]),
            [b'B', b'M', ..] | [b'R', b'I', b'F', b'F', ..] | [b'G', b'I', b'F', b'8', ..] => {
                let size = imagesize::blob_size(bytes);
                let size = size.map_err(|error| format!("is a damaged picture: {error}"))?;
                Ok([size.width, size.height])
            }
            _ => Err(UNKNOWN.to_string()),
        }
    }
}

fn decode_png(bytes: &[u8]) -> Result<Picture, String> {
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
    let turned = reader
        .info()
        .exif_metadata
        .as_deref()
        .map_or(1, orientation);
    Ok(Picture::new(width, height, pixels)?.upright(turned))
}

fn decode_jpeg(bytes: &[u8]) -> Result<Picture, String> {
    let stream = jpeg::Stream::of(bytes);
    let orientation = orientation(stream.exif);
    let pixels = stream.decode()?;
    let picture = Picture::new(pixels.width, pixels.height, rgba(&pixels.values, 3))?;
    Ok(picture.upright(orientation))
}

fn decode_bmp(bytes: &[u8]) -> Result<Picture, String> {
    let broken = |error| format!("is a damaged BMP file: {error:?}");
    // The decoder makes room for what the header says, so that size is looked at first.
    let size =
        imagesize::blob_size(bytes).map_err(|error| format!("is a damaged BMP file: {error}"))?;
    let (width, height) = check_size(size.width as u64, size.height as u64)?;
    let mut decoder = zune_bmp::BmpDecoder::new(Cursor::new(bytes));
    let values = decoder.decode().map_err(broken)?;
    match values.len() / (width * height) {
        samples @ 1..=4 if values.len() == samples * width * height => {
            Picture::new(width, height, rgba(&values, samples))
        }
        _ => Err(format!(
            "is a damaged BMP file: {} values are not {width} × {height} pixels",
            values.len()
        )),
    }
}

fn decode_webp(bytes: &[u8]) -> Result<Picture, String> {
    let broken = |error: image_webp::DecodingError| format!("is a damaged WebP file: {error}");
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).map_err(broken)?;
    decoder.set_memory_limit(MAX_MEMORY);
    let (width, height) = decoder.dimensions();
    let (width, height) = check_size(width.into(), height.into())?;
    let turned = decoder.exif_metadata().map_err(broken)?;
    let turned = turned.as_deref().map_or(1, |exif| {
        orientation(exif.strip_prefix(b"Exif\0\0").unwrap_or(exif))
    });
    let samples = if decoder.has_alpha() { 4 } else { 3 };
    let mut values = vec![0; width * height * samples];
    decoder.read_image(&mut values).map_err(broken)?;
    Ok(Picture::new(width, height, rgba(&values, samples))?.upright(turned))
}

/// The first frame, on a ground that is transparent.
fn decode_gif(bytes: &[u8]) -> Result<Picture, String> {
    let broken = |error: gif::DecodingError| format!("is a damaged GIF file: {error}");
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    if let Some(limit) = std::num::NonZeroU64::new(MAX_MEMORY as u64) {
        options.set_memory_limit(gif::MemoryLimit::Bytes(limit));
    }
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(broken)?;
    let (width, height) = check_size(decoder.width().into(), decoder.height().into())?;
    let frame = decoder.read_next_frame().map_err(broken)?;
    let frame = frame.ok_or("is a GIF file without a picture")?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let wide = usize::from(frame.width);
    let mut pixels = vec![[0; 4]; width * height];
    let rows = frame.buffer.chunks_exact((4 * wide).max(1));
    // What lies outside of the picture is not shown.
    for (row, line) in rows.enumerate().take_while(|(row, _)| top + row < height) {
        let places = pixels[(top + row) * width..(top + row + 1) * width].iter_mut();
        for (place, pixel) in places.skip(left).zip(line.chunks_exact(4)) {
            place.copy_from_slice(pixel);
        }
    }
    Picture::new(width, height, pixels)
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

#[cfg(test)]
mod tests {
    use super::*;

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
