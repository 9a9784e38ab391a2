//! Filters of planes: means and extremes of the neighbourhood, medians, noise.

use crate::picture::Plane;
use std::collections::VecDeque;

/// The mean of the `2 reach + 1` pixels squared around each, as far as they lie in the picture.
pub(super) fn blur(plane: &Plane, reach: usize) -> Plane {
    lines(plane, |line, out| {
        if reach == 0 {
            out.copy_from_slice(line);
            return;
        }
        // In f64, so that the running sum stays the sum of what is in it.
        let mut sum: f64 = line.iter().take(reach).map(|&v| f64::from(v)).sum();
        for at in 0..line.len() {
            if let Some(&next) = line.get(at + reach) {
                sum += f64::from(next);
            }
            if at > reach {
                sum -= f64::from(line[at - reach - 1]);
            }
            let count = (at + reach).min(line.len() - 1) + 1 - at.saturating_sub(reach);
            out[at] = (sum / count as f64) as f32;
        }
    })
}

/// The largest of the `2 reach + 1` pixels squared around each.
pub(super) fn highest(plane: &Plane, reach: usize) -> Plane {
    lines(plane, largest_in_line(reach))
}

/// The largest of the `2 reach + 1` pixels above, at and below each.
pub(super) fn highest_in_columns(plane: &Plane, reach: usize) -> Plane {
    columns(plane, largest_in_line(reach))
}

fn largest_in_line(reach: usize) -> impl FnMut(&[f32], &mut [f32]) {
    // Places whose values fall: the first is that of the largest value in the window.
    let mut window: VecDeque<usize> = VecDeque::new();
    move |line, out| {
        window.clear();
        for next in 0..line.len() + reach {
            if let Some(&value) = line.get(next) {
                while window.back().is_some_and(|&last| line[last] <= value) {
                    window.pop_back();
                }
                window.push_back(next);
            }
            if let Some(at) = next.checked_sub(reach) {
                while window.front().is_some_and(|&first| first + reach < at) {
                    window.pop_front();
                }
                out[at] = window.front().map_or(0.0, |&first| line[first]);
            }
        }
    }
}

/// The smallest of the `2 reach + 1` pixels squared around each.
pub(super) fn lowest(plane: &Plane, reach: usize) -> Plane {
    negated(highest(&negated(plane.clone()), reach))
}

fn negated(mut plane: Plane) -> Plane {
    plane.values.iter_mut().for_each(|value| *value = -*value);
    plane
}

/// Applies a filter of lines to all rows, then to all columns.
fn lines(plane: &Plane, mut filter: impl FnMut(&[f32], &mut [f32])) -> Plane {
    let mut rows = plane.clone();
    let (from, to) = (plane.values.chunks(plane.width), plane.width);
    for (line, out) in from.zip(rows.values.chunks_mut(to)) {
        filter(line, out);
    }
    columns(&rows, filter)
}

fn columns(rows: &Plane, mut filter: impl FnMut(&[f32], &mut [f32])) -> Plane {
    let plane = rows;
    let mut columns = rows.clone();
    let mut line = vec![0.0; plane.height];
    let mut out = line.clone();
    for x in 0..plane.width {
        let column = rows.values[x..].iter().step_by(plane.width);
        line.iter_mut().zip(column).for_each(|(to, &v)| *to = v);
        filter(&line, &mut out);
        let column = columns.values[x..].iter_mut().step_by(plane.width);
        column.zip(&out).for_each(|(to, &v)| *to = v);
    }
    columns
}

/// The value in the middle; 0 of nothing.
pub(super) fn median(values: &mut [f32]) -> f32 {
    quantile(values, 0.5)
}

/// The value that this share of the values is below; 0 of nothing.
pub(super) fn quantile(values: &mut [f32], share: f64) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let at = ((values.len() as f64 * share) as usize).min(values.len() - 1);
    *values.select_nth_unstable_by(at, f32::total_cmp).1
}

/// The standard deviation that normal values with this median of absolute deviations have.
pub(super) const NORMAL: f32 = 1.4826;

/// The standard deviation of the pixels' noise, from the differences of neighbours, few of which lie at an edge.
pub(super) fn noise(plane: &Plane) -> f32 {
    let mut differences: Vec<f32> = plane
        .values
        .chunks(plane.width)
        .flat_map(|row| row.windows(2).map(|pair| (pair[1] - pair[0]).abs()))
        .collect();
    median(&mut differences) * NORMAL / std::f32::consts::SQRT_2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plane(height: usize, width: usize) -> Plane {
        let mut state = 7u32;
        let values = (0..height * width).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 20) as f32 / 4096.0
        });
        let values = values.collect();
        Plane {
            width,
            height,
            values,
        }
    }

    /// Against plain loops over each neighbourhood, also where it is larger than the picture.
    #[test]
    fn neighbourhoods_are_those_of_plain_loops() {
        for (height, width) in [(1, 1), (1, 9), (7, 1), (6, 11)] {
            let picture = plane(height, width);
            for reach in [0, 1, 2, 5, 20] {
                let (means, highs) = (blur(&picture, reach), highest(&picture, reach));
                let lows = lowest(&picture, reach);
                for y in 0..height {
                    for x in 0..width {
                        let mut all = Vec::new();
                        for v in y.saturating_sub(reach)..(y + reach + 1).min(height) {
                            for u in x.saturating_sub(reach)..(x + reach + 1).min(width) {
                                all.push(picture.values[v * width + u]);
                            }
                        }
                        let at = y * width + x;
                        let mean = all.iter().sum::<f32>() / all.len() as f32;
                        assert!((means.values[at] - mean).abs() < 1e-5);
                        assert_eq!(highs.values[at], all.iter().copied().fold(0.0, f32::max));
                        assert_eq!(lows.values[at], all.iter().copied().fold(1.0, f32::min));
                    }
                }
            }
        }
    }

    #[test]
    fn uniform_noise_has_its_deviation() {
        // Uniform from 0 to 1: 1 / sqrt(12); the median difference of two such is 1 - sqrt(1 / 2).
        let expected = (1.0 - 0.5f32.sqrt()) * NORMAL / 2f32.sqrt();
        assert!((noise(&plane(100, 100)) - expected).abs() < 0.01);
    }
}
