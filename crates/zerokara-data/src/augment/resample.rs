//! Images made anew from places in them.

use super::geometry::Affine;

/// Makes images of one size anew, in room that is used again for each.
pub(super) struct Resampler {
    size: [usize; 2],
    before: Vec<f32>,
    /// How far each column of the changed image lies from its centre, before it was shifted.
    across: Vec<f64>,
    /// Where the pixels of a row come from, along `y` and `x`.
    places: [Places; 2],
}

/// Along one axis, the last pixel before each place and how far the place lies beyond it, from 0 to 1.
#[derive(Clone)]
struct Places {
    pixels: Vec<i32>,
    beyond: Vec<f32>,
}

impl Resampler {
    /// For images of this height and width.
    pub(super) fn new(size: [usize; 2]) -> Self {
        let width = size[1];
        let places = Places {
            pixels: vec![0; width],
            beyond: vec![0.0; width],
        };
        Resampler {
            size,
            before: Vec::new(),
            across: vec![0.0; width],
            places: [places.clone(), places],
        }
    }

    /// Gives each pixel of an image `[C, H, W]` the value of the place that it comes from, interpolated bilinearly where that
    /// lies between pixels, with the background of its channel beyond the image. The displacements, along `y` and `x` for each
    /// pixel, are added to the places.
    pub(super) fn run(
        &mut self,
        image: &mut [f32],
        affine: &Affine,
        displacements: Option<[&[f32]; 2]>,
        background: impl Fn(usize) -> f32,
    ) {
        self.before.clear();
        self.before.extend_from_slice(image);
        match (affine.whole(), displacements) {
            (Some(flips), None) => self.copy(image, affine.shift, flips, background),
            _ => self.interpolate(image, affine, displacements, background),
        }
    }

    /// Moves whole pixels.
    fn copy(
        &self,
        image: &mut [f32],
        [down, right]: [i64; 2],
        [vertical, horizontal]: [bool; 2],
        background: impl Fn(usize) -> f32,
    ) {
        let [height, width] = self.size;
        // The columns that come from inside the image, and where the first of them is before any flip.
        let start = right.clamp(0, width as i64) as usize;
        let end = (width as i64 + right).clamp(0, width as i64) as usize;
        let first = (-right).clamp(0, width as i64) as usize;
        let planes = image.chunks_exact_mut(height * width);
        for (channel, (after, before)) in planes
            .zip(self.before.chunks_exact(height * width))
            .enumerate()
        {
            let background = background(channel);
            for (y, row) in after.chunks_exact_mut(width).enumerate() {
                let from = y as i64 - down;
                if !(0..height as i64).contains(&from) || start >= end {
                    row.fill(background);
                    continue;
                }
                let from = match vertical {
                    true => height - 1 - from as usize,
                    false => from as usize,
                };
                let source = &before[from * width..(from + 1) * width];
                row[..start].fill(background);
                row[end..].fill(background);
                let row = &mut row[start..end];
                match horizontal {
                    false => row.copy_from_slice(&source[first..first + row.len()]),
                    true => {
                        let source = source.iter().rev().skip(first);
                        row.iter_mut()
                            .zip(source)
                            .for_each(|(to, from)| *to = *from);
                    }
                }
            }
        }
    }

    fn interpolate(
        &mut self,
        image: &mut [f32],
        affine: &Affine,
        displacements: Option<[&[f32]; 2]>,
        background: impl Fn(usize) -> f32,
    ) {
        let [height, width] = self.size;
        let from_centre =
            |axis: usize, at: usize| (at as i64 - affine.shift[axis]) as f64 - affine.middle[axis];
        for (x, across) in self.across.iter_mut().enumerate() {
            *across = from_centre(1, x);
        }
        for y in 0..height {
            let row = y * width..(y + 1) * width;
            let down = from_centre(0, y);
            for (axis, places) in self.places.iter_mut().enumerate() {
                let [by_row, by_column] = affine.matrix[axis];
                let start = affine.origin[axis] + by_row * down;
                let straight = self.across.iter().map(|across| start + by_column * across);
                let last = self.size[axis];
                match displacements {
                    None => places.find(straight, last),
                    Some(both) => {
                        let displaced = straight.zip(&both[axis][row.clone()]);
                        places.find(displaced.map(|(place, &by)| place + f64::from(by)), last);
                    }
                }
            }
            let planes = image.chunks_exact_mut(height * width);
            let planes = planes.zip(self.before.chunks_exact(height * width));
            for (channel, (after, before)) in planes.enumerate() {
                let row = &mut after[row.clone()];
                read(before, self.size, &self.places, row, background(channel));
            }
        }
    }
}

impl Places {
    fn find(&mut self, places: impl Iterator<Item = f64>, side: usize) {
        let side = side as f64;
        let found = self.pixels.iter_mut().zip(&mut self.beyond);
        for ((pixel, beyond), place) in found.zip(places) {
            let floor = floor(place);
            *beyond = (place - floor) as f32;
            // All places far outside are alike, so that they fit into fewer bits.
            let near = if floor < -2.0 { -2.0 } else { floor };
            let near = if near > side { side } else { near };
            *pixel = (near + WHOLE).to_bits() as i32;
        }
    }
}

/// 1.5 · 2^52: numbers of this size are whole and have the low bits of an integer, so that a sum with it is rounded, to the
/// nearest, and its bits are those of the rounded number. The processor does this for several at once; conversions it does not.
const WHOLE: f64 = 6_755_399_441_055_744.0;

/// The largest whole number that is not above, of numbers far below 2^51.
fn floor(x: f64) -> f64 {
    let near = (x + WHOLE) - WHOLE;
    near - if near > x { 1.0 } else { 0.0 }
}

/// Reads a row's pixels from one channel.
fn read(
    before: &[f32],
    [height, width]: [usize; 2],
    places: &[Places; 2],
    row: &mut [f32],
    background: f32,
) {
    let inside = |y: i32, x: i32| {
        let there = (0..height as i32).contains(&y) && (0..width as i32).contains(&x);
        if there {
            before[y as usize * width + x as usize]
        } else {
            background
        }
    };
    let pixels = places[0].pixels.iter().zip(&places[1].pixels);
    let beyond = places[0].beyond.iter().zip(&places[1].beyond);
    for ((out, (&top, &left)), (&down, &right)) in row.iter_mut().zip(pixels).zip(beyond) {
        // As unsigned numbers, those below 0 are the largest.
        let within = (top as u32) < height as u32 - 1 && (left as u32) < width as u32 - 1;
        let (upper, lower) = if within {
            let four = &before[top as usize * width + left as usize..][..width + 2];
            (
                four[0] * (1.0 - right) + four[1] * right,
                four[width] * (1.0 - right) + four[width + 1] * right,
            )
        } else {
            (
                inside(top, left) * (1.0 - right) + inside(top, left + 1) * right,
                inside(top + 1, left) * (1.0 - right) + inside(top + 1, left + 1) * right,
            )
        };
        *out = upper * (1.0 - down) + lower * down;
    }
}

#[cfg(test)]
mod tests {
    use super::super::geometry::{Geometry, Window};
    use super::*;

    #[test]
    fn floor_is_that_of_the_library() {
        let near = (-40..40).flat_map(|n| {
            let x = f64::from(n) / 4.0;
            [x, x.next_up(), x.next_down()]
        });
        let far = [3e10, -3e10, 1e-300, -1e-300, 123_456.75, -0.0];
        for x in near.chain(far) {
            assert_eq!(floor(x), x.floor(), "{x}");
        }
    }

    fn changed(image: &[f32], size: [usize; 2], drawn: Geometry, background: f32) -> Vec<f32> {
        let mut image = image.to_vec();
        let affine = drawn.affine(size);
        Resampler::new(size).run(&mut image, &affine, None, |_| background);
        image
    }

    fn close(found: &[f32], expected: &[f32]) {
        let near = found
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(
            near && found.len() == expected.len(),
            "{found:?} is not {expected:?}"
        );
    }

    fn nine() -> Vec<f32> {
        (1..=9).map(|x| x as f32).collect()
    }

    #[test]
    fn shift_moves_whole_pixels_and_fills_with_background() {
        let drawn = |down, right| Geometry {
            shift: [down, right],
            ..Geometry::NONE
        };
        let b = -5.0;
        assert_eq!(
            changed(&nine(), [3, 3], drawn(1, -1), b),
            [b, b, b, 2.0, 3.0, b, 5.0, 6.0, b]
        );
        assert_eq!(
            changed(&nine(), [3, 3], drawn(0, 2), b),
            [b, b, 1.0, b, b, 4.0, b, b, 7.0]
        );
        for far in [3, -3, 1 << 30, -(1 << 30)] {
            assert_eq!(changed(&nine(), [3, 3], drawn(0, far), b), [b; 9]);
            assert_eq!(changed(&nine(), [3, 3], drawn(far, 0), b), [b; 9]);
            // Turned besides, nothing comes nearer.
            let turned = Geometry {
                angle: 1.0,
                ..drawn(far, far)
            };
            if far.abs() > 3 {
                close(&changed(&nine(), [3, 3], turned, b), &[b; 9]);
            }
        }
    }

    #[test]
    fn flips_mirror_and_are_then_shifted() {
        let drawn = |vertical, horizontal, shift| Geometry {
            flips: [vertical, horizontal],
            shift,
            ..Geometry::NONE
        };
        let run = |drawn| changed(&nine(), [3, 3], drawn, 0.0);
        assert_eq!(
            run(drawn(false, true, [0, 0])),
            [3.0, 2.0, 1.0, 6.0, 5.0, 4.0, 9.0, 8.0, 7.0]
        );
        assert_eq!(
            run(drawn(true, false, [0, 0])),
            [7.0, 8.0, 9.0, 4.0, 5.0, 6.0, 1.0, 2.0, 3.0]
        );
        assert_eq!(
            run(drawn(true, true, [0, 0])),
            [9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
        );
        assert_eq!(
            run(drawn(false, true, [0, 1])),
            [0.0, 3.0, 2.0, 0.0, 6.0, 5.0, 0.0, 9.0, 8.0]
        );
        assert_eq!(
            run(drawn(false, true, [1, -1])),
            [0.0, 0.0, 0.0, 2.0, 1.0, 0.0, 5.0, 4.0, 0.0]
        );
        // Even and odd sides alike.
        assert_eq!(
            changed(
                &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0],
                [2, 4],
                drawn(true, true, [0, 0]),
                0.0
            ),
            [8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]
        );
    }

    /// Quarter turns, clockwise in image coordinates, have closed forms.
    #[test]
    fn quarter_turns() {
        let turned = |quarters: f64| {
            let drawn = Geometry {
                angle: quarters * std::f64::consts::FRAC_PI_2,
                ..Geometry::NONE
            };
            changed(&nine(), [3, 3], drawn, 0.0)
        };
        close(&turned(1.0), &[7.0, 4.0, 1.0, 8.0, 5.0, 2.0, 9.0, 6.0, 3.0]);
        close(&turned(2.0), &[9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0, 2.0, 1.0]);
        close(
            &turned(-1.0),
            &[3.0, 6.0, 9.0, 2.0, 5.0, 8.0, 1.0, 4.0, 7.0],
        );
    }

    /// Twice as large about the centre: every second pixel is one of the image's, the others are means of their neighbours.
    #[test]
    fn scale_by_two() {
        let zoomed = |zoom| Geometry {
            zoom,
            ..Geometry::NONE
        };
        close(
            &changed(&nine(), [3, 3], zoomed(2.0), 0.0),
            &[3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0],
        );
        // Half as large, the corners are background.
        close(
            &changed(&nine(), [3, 3], zoomed(0.5), -1.0),
            &[-1.0, -1.0, -1.0, -1.0, 5.0, -1.0, -1.0, -1.0, -1.0],
        );
    }

    /// The lower right quarter of a ramp, stretched to the whole: the ramp at half its slope.
    #[test]
    fn a_window_fills_the_image() {
        let ramp: Vec<f32> = (0..25).map(|at| (10 * (at / 5) + at % 5) as f32).collect();
        let drawn = Geometry {
            window: Window {
                sides: [0.5, 0.5],
                place: [1.0, 1.0],
            },
            ..Geometry::NONE
        };
        let expected: Vec<f32> = (0..25)
            .map(|at| 10.0 * (2.0 + (at / 5) as f32 / 2.0) + 2.0 + (at % 5) as f32 / 2.0)
            .collect();
        close(&changed(&ramp, [5, 5], drawn, -9.0), &expected);
    }

    /// On a ramp, bilinear interpolation is exact.
    #[test]
    fn displacements_are_added_to_places() {
        let ramp: Vec<f32> = (0..25).map(|at| (10 * (at / 5) + at % 5) as f32).collect();
        let down: Vec<f32> = (0..25).map(|at| (at as f32).sin()).collect();
        let right: Vec<f32> = (0..25).map(|at| (at as f32).cos()).collect();
        let mut image = ramp.clone();
        let affine = Geometry::NONE.affine([5, 5]);
        Resampler::new([5, 5]).run(&mut image, &affine, Some([&down, &right]), |_| 0.0);
        for y in 1..4 {
            for x in 1..4 {
                let at = 5 * y + x;
                let expected = ramp[at] + 10.0 * down[at] + right[at];
                assert!((image[at] - expected).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn images_of_one_row_or_pixel_and_of_several_channels() {
        let half = Geometry {
            angle: std::f64::consts::PI,
            ..Geometry::NONE
        };
        close(&changed(&[4.0], [1, 1], half, 0.0), &[4.0]);
        close(
            &changed(&[1.0, 2.0, 3.0, 4.0], [1, 4], half, 0.0),
            &[4.0, 3.0, 2.0, 1.0],
        );
        close(
            &changed(&[1.0, 2.0, 3.0, 4.0], [4, 1], half, 0.0),
            &[4.0, 3.0, 2.0, 1.0],
        );
        let affine = Geometry {
            angle: std::f64::consts::FRAC_PI_2,
            shift: [0, 1],
            ..Geometry::NONE
        };
        let mut image: Vec<f32> = (1..=8).map(|x| x as f32).collect();
        let affine = affine.affine([2, 2]);
        Resampler::new([2, 2]).run(&mut image, &affine, None, |channel| 10.0 * channel as f32);
        close(&image, &[0.0, 3.0, 0.0, 4.0, 10.0, 7.0, 10.0, 8.0]);
    }
}
