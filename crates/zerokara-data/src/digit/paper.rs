//! From brightness to ink: the paper under the strokes, whatever light falls on it.

use super::filters::{self, NORMAL, blur, highest, lowest, median};
use crate::picture::Plane;

/// Ink for each pixel: by how much, on a scale from black to white, it differs from paper in the light of the middle.
pub(super) struct Ink {
    /// As precise as the picture, noise included, so that it may be below 0.
    pub sharp: Plane,
    /// Averaged over so many neighbours that noise is small.
    pub smooth: Plane,
    /// Pixels to each side over which `smooth` was averaged.
    pub reach: usize,
    /// The standard deviation of `smooth` on paper.
    pub noise: f32,
}

/// Share of the picture's longer side that a stroke is narrower than; what is wider, such as a shadow, is background.
const WIDEST_STROKE: f64 = 0.35;
/// Noise that needs no averaging.
const QUIET: f32 = 0.02;
/// The longer side of the grid to which the light is fitted.
const GRID: usize = 32;

/// What counts as paper under the strokes.
#[derive(Clone, Copy)]
pub(super) enum Paper {
    /// What lies around strokes narrower than so many pixels.
    Around(usize),
    /// The even light that most of the picture is in, so that strokes may be as wide as they like.
    Even,
}

impl Paper {
    /// Around strokes as wide as they are usually, in a picture of this size.
    pub(super) fn usual(plane: &Plane) -> Self {
        Paper::Around((plane.height.max(plane.width) as f64 * WIDEST_STROKE).ceil() as usize)
    }
}

impl Ink {
    /// Strokes on paper in this light.
    pub(super) fn of(plane: &Plane, light: &Light, paper: Paper) -> Self {
        let mut sharp = plane.clone();
        let (height, width) = (plane.height, plane.width);
        // What is between black (or white, for light strokes) and the paper; divided by the light, a stroke has the same
        // share of it in shadow and sun.
        let depth = |paper: f32| match light.dark_strokes {
            true => paper.max(DARKEST_PAPER),
            false => (1.0 - paper).max(DARKEST_PAPER),
        };
        let middle = depth(light.at(0.0, 0.0));
        for (y, row) in sharp.values.chunks_mut(width).enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                let left = match light.dark_strokes {
                    true => *value,
                    false => 1.0 - *value,
                };
                let here = depth(light.at(place(y, height), place(x, width)));
                *value = left / here * middle;
            }
        }
        let noise = filters::noise(&sharp);
        let wanted = ((noise / QUIET - 1.0) / 2.0).ceil().max(0.0) as usize;
        let reach = wanted.min(height.min(width) / 90);
        let mut smooth = blur(&sharp, reach);
        let paper = match paper {
            Paper::Around(stroke) => closing(&smooth, stroke.div_ceil(2)),
            Paper::Even => Plane {
                values: vec![middle; height * width],
                ..*plane
            },
        };
        for plane in [&mut smooth, &mut sharp] {
            let values = plane.values.iter_mut().zip(&paper.values);
            values.for_each(|(value, paper)| *value = paper - *value);
        }
        // Closings follow the crests of the noise. At least half of a picture is paper, so quantiles of all its ink, low
        // ones, are quantiles of the paper's: for normal noise, these are about a deviation apart.
        let mut all = smooth.values.clone();
        let low = filters::quantile(&mut all, 0.05);
        let quarter = filters::quantile(&mut all, 0.25);
        let noise = quarter - low;
        let crests = quarter + 0.67 * noise;
        for plane in [&mut smooth, &mut sharp] {
            plane.values.iter_mut().for_each(|value| *value -= crests);
        }
        Ink {
            sharp,
            smooth,
            reach,
            noise,
        }
    }
}

/// Fills what is dark and narrower than the window of so many pixels to each side from around it; edges of what is wider,
/// such as a shadow or a table, stay where they are.
fn closing(plane: &Plane, reach: usize) -> Plane {
    lowest(&highest(plane, reach), reach)
}

/// Darker paper than this is not told from black.
const DARKEST_PAPER: f32 = 0.05;

/// The brightness of the background as a polynomial of second degree of the place, from -1 to 1 along each side.
pub(super) struct Light {
    terms: [f64; TERMS],
    dark_strokes: bool,
}

const TERMS: usize = 6;

fn place(at: usize, side: usize) -> f64 {
    (2 * at + 1) as f64 / side as f64 - 1.0
}

fn powers(y: f64, x: f64) -> [f64; TERMS] {
    [1.0, x, y, x * x, x * y, y * y]
}

impl Light {
    /// First a plane that most of the picture is near to: strokes are where the picture differs from it. Then the
    /// polynomial through what is no stroke.
    pub(super) fn of(plane: &Plane) -> Self {
        let scale = (GRID as f64 / plane.width.max(plane.height) as f64).min(1.0);
        let side = |side: usize| ((side as f64 * scale).round() as usize).max(1);
        let mut grid = plane.resize(side(plane.height), side(plane.width));
        let mut points: Vec<Point> = (0..grid.values.len())
            .map(|at| {
                let y = place(at / grid.width, grid.height);
                let x = place(at % grid.width, grid.width);
                Point {
                    y,
                    x,
                    value: f64::from(grid.values[at]),
                    // At the border there may be something else than paper.
                    trust: (0.25 + 3.0 * (1.0 - y.abs().max(x.abs()))).min(1.0),
                }
            })
            .collect();
        let level = f64::from(median(&mut grid.values.clone()));
        let mut light = Light {
            terms: fit(&points, 3, level),
            dark_strokes: true,
        };
        let mut dark = 0.0;
        for point in &points {
            let difference = f64::from(light.at(point.y, point.x)) - point.value;
            // A table's edge or a hand at the border counts little.
            let middle = 0.02 + (1.0 - point.y.powi(2)) * (1.0 - point.x.powi(2));
            if difference.abs() > 0.03 {
                dark += middle * difference;
            }
        }
        light.dark_strokes = dark >= 0.0;

        let sign = if light.dark_strokes { 1.0 } else { -1.0 };
        for (value, point) in grid.values.iter_mut().zip(&points) {
            *value = sign * (*value - light.at(point.y, point.x));
        }
        let stroke = grid.height.max(grid.width) as f64 * WIDEST_STROKE;
        let closed = closing(&grid, (stroke / 2.0).ceil() as usize);
        let mut papers = 0;
        for ((point, closed), value) in points.iter_mut().zip(&closed.values).zip(&grid.values) {
            let paper = closed - value < 0.03;
            papers += usize::from(paper);
            point.trust = if paper { 1.0 } else { 1e-6 };
        }
        if papers * 5 > points.len() {
            light.terms = fit(&points, TERMS, light.terms[0]);
        }
        light
    }

    fn at(&self, y: f64, x: f64) -> f32 {
        let terms = powers(y, x).into_iter().zip(self.terms);
        terms.map(|(power, term)| power * term).sum::<f64>() as f32
    }
}

/// The mean brightness around a place.
struct Point {
    y: f64,
    x: f64,
    value: f64,
    /// Its weight from the start.
    trust: f64,
}

/// The first so many terms of the polynomial that most points are near to: least squares with weights that leave out, from
/// round to round, what lies far from the fit.
fn fit(points: &[Point], count: usize, level: f64) -> [f64; TERMS] {
    let mut terms = [0.0; TERMS];
    terms[0] = level;
    for round in 0..16 {
        let at = |point: &Point| -> f64 {
            let powers = powers(point.y, point.x).into_iter().zip(terms);
            powers.map(|(power, term)| power * term).sum()
        };
        let residuals: Vec<f64> = points.iter().map(|p| (p.value - at(p)).abs()).collect();
        let mut sorted: Vec<f32> = residuals.iter().map(|&r| r as f32).collect();
        // First the smallest sum of absolute values; then what lies beyond some deviations has no say (Tukey).
        let reach = f64::from(median(&mut sorted) * NORMAL).max(0.01) * 4.685;
        let weights = points.iter().zip(&residuals).map(|(point, r)| {
            point.trust
                * match round {
                    0..8 => 1.0 / r.max(1e-3),
                    _ => (1.0 - (r / reach).min(1.0).powi(2)).powi(2),
                }
        });
        terms = least_squares(points.iter().zip(weights), count, terms[0]);
    }
    terms
}

/// Weighted least squares: the normal equations, solved by elimination.
fn least_squares<'a>(
    points: impl Iterator<Item = (&'a Point, f64)>,
    count: usize,
    level: f64,
) -> [f64; TERMS] {
    let mut rows = [[0.0; TERMS + 1]; TERMS];
    let mut total = 0.0;
    for (point, weight) in points {
        let powers = powers(point.y, point.x);
        total += weight;
        for (row, p) in rows.iter_mut().zip(powers) {
            for (cell, q) in row.iter_mut().zip(powers) {
                *cell += weight * p * q;
            }
            row[TERMS] += weight * p * point.value;
        }
    }
    // Where the points leave a term open (a picture of one row), it is 0.
    let hold = 1e-6 * f64::max(total, 1e-3);
    for (at, row) in rows.iter_mut().enumerate() {
        row[at] += hold;
    }
    rows[0][TERMS] += hold * level;
    // The matrix is positive definite, so its diagonal serves as pivots.
    for pivot in 0..count {
        let row = rows[pivot];
        for other in rows.iter_mut().take(count).skip(pivot + 1) {
            let factor = other[pivot] / row[pivot];
            other
                .iter_mut()
                .zip(row)
                .for_each(|(o, r)| *o -= factor * r);
        }
    }
    let mut terms = [0.0; TERMS];
    for at in (0..count).rev() {
        let known: f64 = (at + 1..count).map(|k| rows[at][k] * terms[k]).sum();
        terms[at] = (rows[at][TERMS] - known) / rows[at][at];
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A fifth of the picture covered, the rest a slanted and bent surface: it is found.
    #[test]
    fn the_light_is_found_beside_what_covers_it() {
        let surface = |y: f64, x: f64| 0.7 + 0.12 * x - 0.05 * y - 0.1 * x * x + 0.03 * x * y;
        let (height, width) = (90, 120);
        let values = (0..height * width).map(|at| {
            let (y, x) = (at / width, at % width);
            match (30..60).contains(&y) && (20..100).contains(&x) {
                true => 0.1,
                false => surface(place(y, height), place(x, width)) as f32,
            }
        });
        let plane = Plane {
            width,
            height,
            values: values.collect(),
        };
        let light = Light::of(&plane);
        assert!(light.dark_strokes);
        for (y, x) in [
            (-0.9, -0.9),
            (0.9, -0.9),
            (-0.9, 0.9),
            (0.9, 0.9),
            (0.0, 0.0),
        ] {
            let (found, expected) = (light.at(y, x), surface(y, x) as f32);
            assert!(
                (found - expected).abs() < 0.01,
                "{y} {x}: {found} {expected}"
            );
        }
    }
}
