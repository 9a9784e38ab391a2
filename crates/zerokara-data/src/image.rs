//! Image files as samples.

use std::path::Path;

use crate::digit::digit;
use crate::error::{Error, Result};
use crate::picture::{Picture, Plane};
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
    let picture = Picture::read(path)?;
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
        .map_err(|message| Error::file(path, message))
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
    check_sample_shape(&shape)?;
    if let (Pictures::Digits, [1, height, width]) = (fit, shape) {
        return digit_from_image(path, [height, width]);
    }
    Ok(sample(&Picture::read(path.as_ref())?, shape, fit))
}

/// A picture as stored pixels `[C, H, W]`.
pub(crate) fn picture_bytes(path: &Path, shape: [usize; 3], fit: Pictures) -> Result<Vec<u8>> {
    let values = match (fit, shape) {
        (Pictures::Digits, [1, height, width]) => digit_from_image(path, [height, width])?,
        _ => sample(&Picture::read(path)?, shape, fit),
    };
    Ok(values
        .into_iter()
        .map(|value| (value * 255.0).round() as u8)
        .collect())
}

fn sample(picture: &Picture, [channels, height, width]: [usize; 3], fit: Pictures) -> Vec<f32> {
    let planes = match channels {
        1 => vec![picture.grey(1.0)],
        _ => (0..3)
            .map(|channel| picture.channel(channel, 1.0))
            .collect(),
    };
    let fitted = planes.into_iter().flat_map(|plane| match fit {
        Pictures::Crop => covering(plane, height, width).values,
        _ => plane.resize(height, width).values,
    });
    fitted.collect()
}

/// The middle of the picture, of the proportions of the size, brought to it.
fn covering(plane: Plane, height: usize, width: usize) -> Plane {
    let scale = (plane.height as f64 / height as f64).min(plane.width as f64 / width as f64);
    let side =
        |wanted: usize, there: usize| ((wanted as f64 * scale).round() as usize).clamp(1, there);
    let (tall, wide) = (side(height, plane.height), side(width, plane.width));
    let middle = plane.crop(
        (plane.height - tall) / 2,
        (plane.width - wide) / 2,
        tall,
        wide,
    );
    middle.resize(height, width)
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
