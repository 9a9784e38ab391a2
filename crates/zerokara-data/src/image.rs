//! Image files as samples.

use std::path::Path;

use crate::error::{Error, Result};
use crate::picture::{Picture, Plane};

/// Reads a picture of one digit, of any size, dark on light or light on dark, and prepares it as the authors of MNIST
/// prepared theirs: brightness `[H, W]` from 0, the background, to 1.
///
/// The background is the median brightness of the border; ink is what differs from it, to the side that differs most.
/// The ink is cropped, scaled to fit a box of 20/28 of each side with its proportions kept, and set so that its centre of
/// mass is in the middle. `[28, 28]` gives what a network trained on MNIST expects.
///
/// PNG and JPEG are read. A transparent background counts as light under dark strokes and as dark under light ones.
///
/// Source: LeCun, Cortes and Burges, <http://yann.lecun.com/exdb/mnist/>.
///
/// # Errors
///
/// The file cannot be read, is damaged, is no PNG or JPEG, or is larger than 64 million pixels; nothing stands out from
/// the background; or a side of the shape is 0 or above 4096.
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
    digit(picture.strokes(), shape).map_err(|message| Error::file(path, message))
}

/// Reads a picture as a sample of shape `[C, H, W]`, values from 0 to 1: grey for one channel, red, green and blue for
/// three. The picture is stretched to the shape; what is transparent is white.
///
/// # Errors
///
/// The file cannot be read, is damaged, is no PNG or JPEG, or is larger than 64 million pixels; the shape has other than
/// 1 or 3 channels, or a side that is 0 or above 4096.
///
/// # Example
///
/// ```no_run
/// let pixels = zerokara_data::sample_from_image("cat.jpg", [3, 32, 32])?;
/// assert_eq!(pixels.len(), 3 * 32 * 32);
/// # Ok::<(), zerokara_data::Error>(())
/// ```
pub fn sample_from_image(path: impl AsRef<Path>, shape: [usize; 3]) -> Result<Vec<f32>> {
    let [channels, height, width] = shape;
    check_sides(&[height, width])?;
    if channels != 1 && channels != 3 {
        return Err(Error::new(format!(
            "a picture cannot become a sample of shape {shape:?}: it has 1 channel (grey) or 3 (colour)"
        )));
    }
    let picture = Picture::read(path.as_ref())?;
    let planes = match channels {
        1 => vec![picture.grey(1.0)],
        _ => (0..3)
            .map(|channel| picture.channel(channel, 1.0))
            .collect(),
    };
    Ok(planes
        .into_iter()
        .flat_map(|plane| plane.resize(height, width).values)
        .collect())
}

fn check_sides(sides: &[usize]) -> Result<()> {
    match sides.iter().find(|side| !(1..=4096).contains(*side)) {
        None => Ok(()),
        Some(side) => Err(Error::new(format!(
            "a picture cannot be resized to a side of {side} pixels; from 1 to 4096 are possible"
        ))),
    }
}

/// Below this difference to the background, on a scale from 0 to 1, nothing counts as ink.
const MIN_CONTRAST: f32 = 0.1;
/// Share of the full ink above which a pixel counts for the bounding box.
const BOX_LEVEL: f32 = 0.1;

fn digit(mut plane: Plane, [height, width]: [usize; 2]) -> std::result::Result<Vec<f32>, String> {
    ink(&mut plane)?;
    let ([top, left], [rows, columns]) =
        bounding_box(&plane).ok_or("is blank: there is no digit in the picture")?;
    let digit = plane.crop(top, left, rows, columns);

    let inner = |side: usize| ((side * 20) as f64 / 28.0).round().max(1.0);
    let scale = (inner(height) / rows as f64).min(inner(width) / columns as f64);
    let scaled =
        |side: usize, limit: usize| ((side as f64 * scale).round() as usize).clamp(1, limit);
    let mut digit = digit.resize(scaled(rows, height), scaled(columns, width));
    // Thin strokes of a large picture turn faint when it shrinks.
    let peak = digit.values.iter().copied().fold(0.0, f32::max);
    if peak > 0.0 {
        digit.values.iter_mut().for_each(|value| *value /= peak);
    }

    let (y, x) = centre_of_mass(&digit);
    // In MNIST the centre of mass is from 13.5 to below 14.5, in pixels counted from 0.
    let place = |side: usize, inner: usize, centre: f64| {
        let start = ((side / 2) as f64 - centre - 0.5).ceil();
        start.clamp(0.0, (side - inner) as f64) as usize
    };
    let (top, left) = (place(height, digit.height, y), place(width, digit.width, x));
    let mut pixels = vec![0.0; height * width];
    for (row, values) in digit.values.chunks(digit.width).enumerate() {
        let start = (top + row) * width + left;
        pixels[start..start + digit.width].copy_from_slice(values);
    }
    Ok(pixels)
}

/// Turns brightness into ink: 0 for the background, 1 for what differs most from it.
fn ink(plane: &mut Plane) -> std::result::Result<(), String> {
    let mut border = border(plane);
    let background = median(&mut border);
    border
        .iter_mut()
        .for_each(|value| *value = (*value - background).abs());
    let noise = median(&mut border);
    let (low, high) = plane
        .values
        .iter()
        .fold((f32::MAX, f32::MIN), |(low, high), &value| {
            (low.min(value), high.max(value))
        });
    let (darker, lighter) = (background - low, high - background);
    let contrast = darker.max(lighter);
    // Paper in a photograph is not even: three times the border's median deviation is background too.
    let floor = 3.0 * noise / contrast;
    if contrast < MIN_CONTRAST || floor > 0.5 {
        return Err("is blank: nothing stands out from the background".to_string());
    }
    let sign = if darker > lighter { -1.0 } else { 1.0 };
    for value in &mut plane.values {
        let share = sign * (*value - background) / contrast;
        *value = ((share - floor) / (1.0 - floor)).clamp(0.0, 1.0);
    }
    Ok(())
}

/// The values of a frame around the picture, a fortieth of its shorter side wide.
fn border(plane: &Plane) -> Vec<f32> {
    let (height, width) = (plane.height, plane.width);
    let frame = (height.min(width) / 40).max(1);
    let within = |at: usize, side: usize| at >= frame && at + frame < side;
    let mut values = Vec::new();
    for (y, row) in plane.values.chunks(width).enumerate() {
        if !within(y, height) || width <= 2 * frame {
            values.extend_from_slice(row);
        } else {
            values.extend_from_slice(&row[..frame]);
            values.extend_from_slice(&row[width - frame..]);
        }
    }
    values
}

fn median(values: &mut [f32]) -> f32 {
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// Top, left and size of what is inked.
fn bounding_box(plane: &Plane) -> Option<([usize; 2], [usize; 2])> {
    let inked = |value: &f32| *value > BOX_LEVEL;
    let mut rows = plane
        .values
        .chunks(plane.width)
        .enumerate()
        .filter(|(_, row)| row.iter().any(inked))
        .map(|(y, _)| y);
    let top = rows.next()?;
    let bottom = rows.next_back().unwrap_or(top);
    let mut columns =
        (0..plane.width).filter(|&x| plane.values[x..].iter().step_by(plane.width).any(inked));
    let left = columns.next()?;
    let right = columns.next_back().unwrap_or(left);
    Some(([top, left], [bottom - top + 1, right - left + 1]))
}

fn centre_of_mass(plane: &Plane) -> (f64, f64) {
    let (mut mass, mut down, mut right) = (0.0, 0.0, 0.0);
    for (y, row) in plane.values.chunks(plane.width).enumerate() {
        for (x, &value) in row.iter().enumerate() {
            let value = f64::from(value);
            mass += value;
            down += value * y as f64;
            right += value * x as f64;
        }
    }
    (down / mass, right / mass)
}
