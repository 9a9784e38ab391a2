//! JPEG files as cameras, editors and damaged cards leave them, made into what decoders take.
//!
//! A file is a row of segments, `FF`, a marker, two bytes of length, contents; after a start of scan, compressed data up
//! to the next marker. Usual readers (libjpeg, and so Pillow and browsers) pass over bytes between segments, fill bytes
//! `FF` before a marker, markers without contents that are out of place, contents of `APP` segments that make no sense,
//! and all that follows the end of the image; and they do not miss the end where nothing else is missing.

use crate::picture::check_size;
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

const EOI: u8 = 0xd9;
const SOS: u8 = 0xda;
const APP0: u8 = 0xe0;
const APP1: u8 = 0xe1;
const APP14: u8 = 0xee;
const APP15: u8 = 0xef;

/// What is needed of a file.
pub(crate) struct Stream<'a> {
    /// The segments that say what the picture is, and the compressed data, from start to end of image.
    segments: Vec<u8>,
    /// The contents of the Exif segment.
    pub(crate) exif: &'a [u8],
    /// Whether the end of the image was there.
    ended: bool,
}

/// Red, green and blue, row by row.
pub(crate) struct Pixels {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<u8>,
}

impl<'a> Stream<'a> {
    /// Takes apart a file that begins with a start of image.
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        let mut stream = Stream {
            segments: Vec::with_capacity(bytes.len() + 2),
            exif: &[],
            ended: false,
        };
        stream.segments.extend([0xff, 0xd8]);
        let mut rest = bytes.get(2..).unwrap_or_default();
        while let Some((marker, after)) = next_marker(rest) {
            rest = after;
            match marker {
                EOI => {
                    stream.ended = true;
                    break;
                }
                // TEM, restarts out of place, starts of an image within it: no contents.
                0x01 | 0xd0..=0xd8 => continue,
                _ => {}
            }
            let length = rest.first_chunk().map_or(0, |&n| u16::from_be_bytes(n));
            let (contents, after) = rest.split_at(usize::from(length).min(rest.len()));
            rest = after;
            match marker {
                APP1 => {
                    let exif = contents.get(2..).and_then(|c| c.strip_prefix(b"Exif\0\0"));
                    stream.exif = exif.unwrap_or(stream.exif);
                }
                // Colours follow from what APP0 and APP14 say; a comment or the number of lines, given late, is not needed.
                APP0 | APP14 => stream.push(marker, contents),
                APP0..=APP15 | 0xfe | 0xdc => {}
                _ => stream.push(marker, contents),
            }
            if marker == SOS {
                let data = rest.len() - end_of_data(rest).len();
                stream.segments.extend(&rest[..data]);
                rest = &rest[data..];
            }
        }
        // The first byte of an end that is not all there.
        while !stream.ended && stream.segments.ends_with(&[0xff]) {
            stream.segments.pop();
        }
        stream
    }

    fn push(&mut self, marker: u8, contents: &[u8]) {
        self.segments.extend([0xff, marker]);
        self.segments.extend(contents);
    }

    /// Width and height.
    pub(crate) fn size(&self) -> Result<(usize, usize), String> {
        head(&mut decoder(&self.segments))
    }

    /// The pixels, if no more than can be read.
    pub(crate) fn decode(mut self) -> Result<Pixels, String> {
        let length = self.segments.len();
        let mut decoded = |fill: &[u8]| {
            self.segments.truncate(length);
            self.segments.extend(fill);
            self.segments.extend([0xff, EOI]);
            let mut decoder = decoder(&self.segments);
            let (width, height) = head(&mut decoder)?;
            check_size(width as u64, height as u64)?;
            let values = decoder.decode().map_err(broken)?;
            Ok(Pixels {
                width,
                height,
                values,
            })
        };
        if self.ended {
            return decoded(&[]);
        }
        // Only the end is missing if it makes no difference what stands where it should be.
        let (zeros, others) = (decoded(&[0; 64])?, decoded(&[0xa5; 64])?);
        match zeros.values == others.values {
            true => Ok(zeros),
            false => Err("is a damaged JPEG file: it ends before the picture does".into()),
        }
    }
}

/// The next marker, past what lies before it, and what follows.
fn next_marker(mut bytes: &[u8]) -> Option<(u8, &[u8])> {
    loop {
        let start = bytes.iter().position(|&b| b == 0xff)?;
        let code = bytes[start..].iter().position(|&b| b != 0xff)? + start;
        let after = &bytes[code + 1..];
        match bytes[code] {
            0 => bytes = after,
            marker => return Some((marker, after)),
        }
    }
}

/// What begins with the first marker that is no restart.
fn end_of_data(bytes: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(found) = bytes[at..].iter().position(|&b| b == 0xff) {
        at += found;
        let fill = bytes[at..].iter().take_while(|&&b| b == 0xff).count();
        match bytes.get(at + fill) {
            // A byte FF of the data, a restart.
            Some(0 | 0xd0..=0xd7) => at += fill + 1,
            Some(_) => return &bytes[at..],
            None => break,
        }
    }
    &[]
}

fn decoder(bytes: &[u8]) -> JpegDecoder<ZCursor<&[u8]>> {
    let options = DecoderOptions::new_safe()
        .set_strict_mode(true)
        .set_max_width(u16::MAX.into())
        .set_max_height(u16::MAX.into())
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    JpegDecoder::new_with_options(ZCursor::new(bytes), options)
}

/// Width and height, as the headers tell them.
fn head(decoder: &mut JpegDecoder<ZCursor<&[u8]>>) -> Result<(usize, usize), String> {
    decoder.decode_headers().map_err(broken)?;
    let size = decoder.dimensions();
    size.ok_or_else(|| "is a JPEG file without a picture".to_string())
}

fn broken(error: impl std::fmt::Debug) -> String {
    format!("is a damaged JPEG file, or one of an unusual kind: {error:?}")
}
