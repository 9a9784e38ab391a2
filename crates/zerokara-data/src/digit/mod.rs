//! One digit out of a picture of it, prepared as the authors of MNIST prepared theirs.
//!
//! ```text
//! brightness -> paper.rs   the light on the paper divided out, ink as the difference to the paper around it
//!            -> rules.rs   without the rules of lined paper
//!            -> parts.rs   connected ink: the digit, without specks, rules, shadows and edges of the table
//!            -> here       cropped, scaled into the middle 20/28, its centre of mass in the middle
//! ```

mod filters;
mod paper;
mod parts;
mod rules;

use crate::picture::Plane;
use paper::{Ink, Light, Paper};
use parts::Digit;

/// The longer side of the picture that is looked at; a larger one is scaled down, which averages its noise too.
const LARGEST_SIDE: usize = 1024;
/// Share of the full ink above which a pixel counts for the bounding box.
const BOX_LEVEL: f32 = 0.1;

/// Of a digit 20 pixels high: strokes wider than this are thinned to the other, a usual width.
const WIDEST: f64 = 3.9;
const USUAL: f64 = 3.0;

/// The digit `[height, width]`, from 0 for paper to 1 for ink.
pub(crate) fn digit(
    plane: Plane,
    [height, width]: [usize; 2],
) -> std::result::Result<Vec<f32>, String> {
    let longer = plane.height.max(plane.width);
    let plane = match longer > LARGEST_SIDE {
        true => {
            let scaled = |side: usize| (side * LARGEST_SIDE).div_ceil(longer).max(1);
            plane.resize(scaled(plane.height), scaled(plane.width))
        }
        false => plane,
    };
    let light = Light::of(&plane);
    let look = |paper: Paper, at_border: bool| {
        let mut ink = Ink::of(&plane, &light, paper);
        rules::remove(&mut ink);
        let found = parts::find(&ink, at_border)?;
        Some((ink, found))
    };
    let first = look(Paper::usual(&plane), true).map(|(ink, found)| {
        // The paper closer to the strokes, if there is something faint around them.
        let width = (2.2 * found.stroke) as usize + 4 + 2 * ink.reach;
        let again = found.blurred.then(|| look(Paper::Around(width), true));
        again.flatten().unwrap_or((ink, found))
    });
    let blank = "is blank: nothing stands out from the background";
    let (ink, found) = first
        .filter(|(_, found)| found.plausible)
        .or_else(|| look(Paper::Even, false))
        .ok_or(blank)?;
    let level = (BOX_LEVEL * found.contrast).max(4.0 * ink.noise);
    let (sharp, smooth) = match thinning(&found) {
        0 => (found.ink, ink.smooth),
        by => {
            let mut smooth = ink.smooth;
            let values = smooth.values.iter_mut().zip(&found.mask);
            values.for_each(|(value, &inside)| *value *= f32::from(inside));
            let thin = filters::lowest(&smooth, by);
            (thin.clone(), thin)
        }
    };
    let inked = |at: usize| found.mask[at] && smooth.values[at] > level;
    let ([top, left], [rows, columns]) =
        bounding_box(plane.height, plane.width, inked).ok_or(blank)?;
    let digit = sharp.crop(top, left, rows, columns);

    let inner = |side: usize| ((side * 20) as f64 / 28.0).round().max(1.0);
    let scale = (inner(height) / rows as f64).min(inner(width) / columns as f64);
    let scaled =
        |side: usize, limit: usize| ((side as f64 * scale).round() as usize).clamp(1, limit);
    let mut digit = digit.resize(scaled(rows, height), scaled(columns, width));
    // Thin strokes of a large picture turn faint when it shrinks.
    let peak = digit.values.iter().copied().fold(0.0, f32::max);
    if peak <= 0.0 {
        return Err(blank.into());
    }
    for value in &mut digit.values {
        *value = (*value / peak).max(0.0);
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

/// Pixels to take away on each side of strokes that are wider than any of MNIST's.
fn thinning(digit: &Digit) -> usize {
    let pixel = digit.size as f64 / 20.0;
    match digit.stroke / pixel {
        // The width of strokes of a few pixels is known too roughly.
        wide if wide > WIDEST && pixel >= 2.5 => ((wide - USUAL) / 2.0 * pixel).round() as usize,
        _ => 0,
    }
}

/// Top, left and size of what is inked.
fn bounding_box(
    height: usize,
    width: usize,
    inked: impl Fn(usize) -> bool,
) -> Option<([usize; 2], [usize; 2])> {
    let mut rows = (0..height).filter(|y| (0..width).any(|x| inked(y * width + x)));
    let top = rows.next()?;
    let bottom = rows.next_back().unwrap_or(top);
    let mut columns = (0..width).filter(|x| (top..=bottom).any(|y| inked(y * width + x)));
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
