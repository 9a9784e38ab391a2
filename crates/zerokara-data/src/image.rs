//! Image files as samples.

use std::path::Path;

use crate::digit::digit;
use crate::error::{Error, Result};
use crate::picture::Picture;
use crate::pictures::Pictures;

/// Reads a picture of one digit, of any size, dark on light or light on dark, and prepares it as the authors of MNIST
/// prepared theirs: brightness `[H, W]` from 0, the background, to 1.
///
/// The picture may be a photograph: uneven light and shadows are divided out, noise is averaged where decisions are made,
/// and of what is darker than the paper around it (or lighter) the connected ink that looks most like one digit is taken,
/// with parts near it, without specks, rules and whatever lies along the border. It is cropped, scaled to fit a box of
/// 20/28 of each side with its proportions kept, and set so that its centre of mass is in the middle. `[28, 28]` gives what
/// a network trained on MNIST expects. Pictures of more than 1024 pixels along a side are scaled down first.
///
/// PNG, JPEG, BMP, WebP and GIF are read. A transparent background counts as light under dark strokes and as dark under light ones.
///
/// Source: LeCun, Cortes and Burges, <http://yann.lecun.com/exdb/mnist/>.
///
/// # Errors
///
/// The file cannot be read, is damaged, is no picture, or is larger than 64 million pixels; nothing stands out from
/// the paper; or a side of the shape is 0 or above 4096.
///
/// # Example
///
/// ```no_run
/// let pixels = zerokara_data::digit_from_image("seven.png", [28, 28])?;
/// assert_eq!(pixels.len(), 28 * 28);
/// # Ok::<(), zerokara_data::Error>(())
/// ```
pub fn digit_from_image(path: impl AsRef<Path>, shape: [usize; 2]) -> Result<Vec<f32>> {
    let path = path.as_ref();
    check_sides(&shape)?;
    digit_in(&Picture::read(path)?, shape).map_err(|message| Error::file(path, message))
}

fn digit_in(picture: &Picture, shape: [usize; 2]) -> std::result::Result<Vec<f32>, String> {
    // Ink may be as bright as the paper, yellow on white say, and yet differ from it in a colour.
    let colours = if picture.has_colour() {
        &[2, 1, 0][..]
    } else {
        &[]
    };
    let mut others = colours
        .iter()
        .map(|&colour| digit(picture.strokes(Some(colour)), shape));
    digit(picture.strokes(None), shape)
        .or_else(|blank| others.find(|found| found.is_ok()).unwrap_or(Err(blank)))
}

/// Reads a picture as a sample of shape `[C, H, W]`, values from 0 to 1: grey for one channel, red, green and blue for
/// three. The picture is brought to the shape as [`Pictures`] says; what is transparent is white.
///
/// # Errors
///
/// The file cannot be read, is damaged, is no picture, or is larger than 64 million pixels; the shape has other than
/// 1 or 3 channels, or a side that is 0 or above 4096.
///
/// # Example
///
/// ```no_run
/// use zerokara_data::{Pictures, sample_from_image};
///
/// let pixels = sample_from_image("cat.jpg", [3, 32, 32], Pictures::Crop)?;
/// assert_eq!(pixels.len(), 3 * 32 * 32);
/// # Ok::<(), zerokara_data::Error>(())
/// ```
pub fn sample_from_image(
    path: impl AsRef<Path>,
    shape: [usize; 3],
    fit: Pictures,
) -> Result<Vec<f32>> {
    let path = path.as_ref();
    check_sample_shape(&shape)?;
    values(&Picture::read(path)?, shape, fit).map_err(|message| Error::file(path, message))
}

/// As [`sample_from_image`], of a file that is in memory.
///
/// # Errors
///
/// As there.
pub fn sample_from_bytes(bytes: &[u8], shape: [usize; 3], fit: Pictures) -> Result<Vec<f32>> {
    check_sample_shape(&shape)?;
    let picture = Picture::decode(bytes).map_err(of_bytes)?;
    values(&picture, shape, fit).map_err(of_bytes)
}

/// Width and height of a picture's file that is in memory, as its head tells them: nothing is decoded, so that whoever has no
/// room for a large picture can refuse it.
///
/// # Errors
///
/// It is no picture that can be read, or its head is damaged.
///
/// # Example
///
/// ```
/// let error = zerokara_data::size_of_image(b"%PDF-1.4").unwrap_err();
/// assert!(error.to_string().contains("is no picture that can be read"));
/// ```
pub fn size_of_image(bytes: &[u8]) -> Result<[usize; 2]> {
    Picture::size(bytes).map_err(of_bytes)
}

fn of_bytes(message: String) -> Error {
    Error::new(format!("the picture {message}"))
}

/// A picture as stored pixels `[C, H, W]`.
pub(crate) fn picture_bytes(path: &Path, shape: [usize; 3], fit: Pictures) -> Result<Vec<u8>> {
    check_sample_shape(&shape)?;
    let picture = Picture::read(path)?;
    match (fit, shape[0]) {
        (Pictures::Digits, 1) => {
            let values =
                values(&picture, shape, fit).map_err(|message| Error::file(path, message))?;
            let byte = |value: f32| (value * 255.0).round() as u8;
            Ok(values.into_iter().map(byte).collect())
        }
        _ => Ok(picture.fitted_bytes(shape, fit)),
    }
}

fn values(
    picture: &Picture,
    shape: [usize; 3],
    fit: Pictures,
) -> std::result::Result<Vec<f32>, String> {
    let [channels, height, width] = shape;
    if let (Pictures::Digits, 1) = (fit, channels) {
        return digit_in(picture, [height, width]);
    }
    let mut values = picture.fitted(shape, fit);
    values.iter_mut().for_each(|value| *value /= 255.0);
    Ok(values)
}

/// Whether pictures can become samples of this shape.
pub(crate) fn check_sample_shape(shape: &[usize; 3]) -> Result<()> {
    let [channels, height, width] = *shape;
    check_sides(&[height, width])?;
    match channels {
        1 | 3 => Ok(()),
        _ => Err(Error::new(format!(
            "a picture cannot become a sample of shape {shape:?}: it has 1 channel (grey) or 3 (colour)"
        ))),
    }
}

fn check_sides(sides: &[usize]) -> Result<()> {
    match sides.iter().find(|side| !(1..=4096).contains(*side)) {
        None => Ok(()),
        Some(side) => Err(Error::new(format!(
            "a picture cannot be resized to a side of {side} pixels; from 1 to 4096 are possible"
        ))),
    }
}
