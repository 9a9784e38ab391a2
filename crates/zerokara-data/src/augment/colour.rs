//! Brightness, contrast and saturation.

use super::levels::Levels;
use super::settings::Settings;
use crate::random::{Purpose, Random};

/// The shares of red, green and blue in a grey (ITU-R BT.601).
const GREY: [f32; 3] = [0.299, 0.587, 0.114];

/// What was drawn for one image.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Colour {
    brightness: f32,
    contrast: f32,
    saturation: f32,
}

impl Colour {
    /// What is done to this sample in this epoch, if anything.
    pub(super) fn draw(settings: &Settings, index: usize, epoch: u64) -> Option<Self> {
        if settings.colour == 0.0 {
            return None;
        }
        let mut random = Random::new(settings.seed, Purpose::Colour, epoch, index as u64);
        let mut factor = || (1.0 + settings.colour * random.symmetric()) as f32;
        Some(Colour {
            brightness: factor(),
            contrast: factor(),
            saturation: factor(),
        })
    }

    /// Changes an image `[C, H, W]`. With black at 0 and white at 1, `b`, `c` and `s` the three factors, `m` the mean grey of the
    /// image and `g` the grey of a pixel, each value becomes `b (c (s x + (1 − s) g) + (1 − c) m)`.
    pub(super) fn apply(self, image: &mut [f32], plane: usize, levels: Levels<'_>) {
        let mut scales = [Scale::default(); 3];
        if image.len() == 3 * plane {
            for (channel, scale) in scales.iter_mut().enumerate() {
                *scale = Scale::new(levels, channel);
            }
            let (red, rest) = image.split_at_mut(plane);
            let (green, blue) = rest.split_at_mut(plane);
            self.colours([red, green, blue], scales, levels);
        } else {
            self.greys(image, plane, levels);
        }
    }

    /// Three channels are red, green and blue.
    fn colours(self, [red, green, blue]: [&mut [f32]; 3], scales: [Scale; 3], levels: Levels<'_>) {
        let grey = |x: [f32; 3]| x[0] * GREY[0] + x[1] * GREY[1] + x[2] * GREY[2];
        let unit =
            |r: f32, g: f32, b: f32| [scales[0].unit(r), scales[1].unit(g), scales[2].unit(b)];
        let mut range = Range::new(levels);
        let mut sum = 0.0;
        for ((&r, &g), &b) in red.iter().zip(&*green).zip(&*blue) {
            let x = unit(r, g, b);
            range.widen(x[0].min(x[1]).min(x[2]), x[0].max(x[1]).max(x[2]));
            sum += f64::from(grey(x));
        }
        let mean = (sum / red.len() as f64) as f32;
        for ((r, g), b) in red.iter_mut().zip(green).zip(blue) {
            let x = unit(*r, *g, *b);
            let grey = (1.0 - self.saturation) * grey(x);
            let [x, y, z] =
                x.map(|x| range.hold(self.contrasted(self.saturation * x + grey, mean)));
            (*r, *g, *b) = (scales[0].back(x), scales[1].back(y), scales[2].back(z));
        }
    }

    /// What has no colours has no saturation.
    fn greys(self, image: &mut [f32], plane: usize, levels: Levels<'_>) {
        let mut range = Range::new(levels);
        let mut sum = 0.0;
        for (channel, plane) in image.chunks_exact(plane).enumerate() {
            let scale = Scale::new(levels, channel);
            for &x in plane {
                let x = scale.unit(x);
                range.widen(x, x);
                sum += f64::from(x);
            }
        }
        let mean = (sum / image.len() as f64) as f32;
        for (channel, plane) in image.chunks_exact_mut(plane).enumerate() {
            let scale = Scale::new(levels, channel);
            for x in plane {
                *x = scale.back(range.hold(self.contrasted(scale.unit(*x), mean)));
            }
        }
    }

    fn contrasted(self, x: f32, mean: f32) -> f32 {
        self.brightness * (self.contrast * x + (1.0 - self.contrast) * mean)
    }
}

/// From the values of a channel to those with black at 0 and white at 1, and back.
#[derive(Clone, Copy, Default)]
struct Scale {
    black: f32,
    white: f32,
    /// 1 over their difference.
    inverse: f32,
}

impl Scale {
    fn new(levels: Levels<'_>, channel: usize) -> Self {
        let (black, white) = (levels.black(channel), levels.white(channel));
        Scale {
            black,
            white,
            inverse: 1.0 / (white - black),
        }
    }

    fn unit(self, x: f32) -> f32 {
        (x - self.black) * self.inverse
    }

    fn back(self, x: f32) -> f32 {
        // Exact at both ends, so that nothing leaves the range by rounding.
        x * self.white + (1.0 - x) * self.black
    }
}

/// Values stay between black and white; numbers, which may lie beyond, stay where those of the image are.
struct Range {
    low: f32,
    high: f32,
    bounded: bool,
}

impl Range {
    fn new(levels: Levels<'_>) -> Self {
        Range {
            low: 0.0,
            high: 1.0,
            bounded: levels.is_bounded(),
        }
    }

    fn widen(&mut self, low: f32, high: f32) {
        if !self.bounded {
            (self.low, self.high) = (self.low.min(low), self.high.max(high));
        }
    }

    fn hold(&self, x: f32) -> f32 {
        x.max(self.low).min(self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalization::Normalization;

    const NONE: Colour = Colour {
        brightness: 1.0,
        contrast: 1.0,
        saturation: 1.0,
    };

    fn bytes(colour: Colour, image: &[f32], plane: usize) -> Vec<f32> {
        let mut image = image.to_vec();
        colour.apply(&mut image, plane, Levels::new(None, true));
        image
    }

    fn close(found: &[f32], expected: &[f32]) {
        let near = found
            .iter()
            .zip(expected)
            .all(|(a, b)| (a - b).abs() < 1e-3);
        assert!(
            near && found.len() == expected.len(),
            "{found:?} is not {expected:?}"
        );
    }

    #[test]
    fn each_factor_does_what_its_name_says() {
        let brighter = Colour {
            brightness: 1.5,
            ..NONE
        };
        close(
            &bytes(brighter, &[0.0, 40.0, 100.0, 200.0], 4),
            &[0.0, 60.0, 150.0, 255.0],
        );
        // About the mean, 100.
        let flatter = Colour {
            contrast: 0.5,
            ..NONE
        };
        close(
            &bytes(flatter, &[0.0, 60.0, 100.0, 240.0], 4),
            &[50.0, 80.0, 100.0, 170.0],
        );
        let grey = Colour {
            saturation: 0.0,
            ..NONE
        };
        let luma = 0.299 * 200.0 + 0.587 * 100.0 + 0.114 * 50.0;
        close(&bytes(grey, &[200.0, 100.0, 50.0], 1), &[luma; 3]);
        let deeper = Colour {
            saturation: 1.2,
            ..NONE
        };
        close(
            &bytes(deeper, &[200.0, 100.0, 50.0], 1),
            &[200.0, 100.0, 50.0].map(|x| 1.2 * x - 0.2 * luma),
        );
        // Two channels are no colours.
        close(&bytes(grey, &[200.0, 100.0], 1), &[200.0, 100.0]);
    }

    /// First saturation, then contrast about the mean grey, then brightness.
    #[test]
    fn factors_go_together() {
        let all = Colour {
            brightness: 0.9,
            contrast: 0.5,
            saturation: 0.25,
        };
        let image = [[10.0f32, 50.0], [20.0, 60.0], [30.0, 90.0]];
        let grey = |at: usize| 0.299 * image[0][at] + 0.587 * image[1][at] + 0.114 * image[2][at];
        let mean = (grey(0) + grey(1)) / 2.0;
        let expected: Vec<f32> = image
            .iter()
            .flat_map(|channel| {
                (0..2).map(|at| 0.9 * (0.5 * (0.25 * channel[at] + 0.75 * grey(at)) + 0.5 * mean))
            })
            .collect();
        close(&bytes(all, image.as_flattened(), 2), &expected);
    }

    /// Normalized values are changed as those are from which they were made.
    #[test]
    fn normalized_images_are_changed_alike() {
        let normalization = Normalization::unit()
            .standard(&[0.5, 0.4, 0.3], &[0.2, 0.25, 0.3])
            .unwrap();
        let pixels: Vec<f32> = (0..12).map(|at| (at * 97 % 256) as f32).collect();
        let colour = Colour {
            brightness: 1.8,
            contrast: 1.4,
            saturation: 0.7,
        };
        let mut expected = bytes(colour, &pixels, 4);
        assert!(expected.contains(&255.0));
        normalization.apply(&mut expected, 3).unwrap();
        let mut found = pixels;
        normalization.apply(&mut found, 3).unwrap();
        colour.apply(&mut found, 4, Levels::new(Some(&normalization), true));
        assert!(
            found
                .iter()
                .zip(&expected)
                .all(|(a, b)| (a - b).abs() < 1e-5)
        );
        for (channel, plane) in found.chunks_exact(4).enumerate() {
            let (low, high) = (
                normalization.value(channel, 0.0),
                normalization.value(channel, 255.0),
            );
            assert!(plane.iter().all(|x| (low..=high).contains(x)));
        }
    }

    /// Numbers lie from 0 to 1, or wherever those of the image do.
    #[test]
    fn numbers_stay_in_their_range() {
        let brighter = Colour {
            brightness: 2.0,
            ..NONE
        };
        let run = |mut image: Vec<f32>| {
            brighter.apply(&mut image, 2, Levels::plain());
            image
        };
        assert_eq!(run(vec![0.25, 0.75]), [0.5, 1.0]);
        assert_eq!(run(vec![-3.0, 2.0]), [-3.0, 2.0]);
        assert_eq!(run(vec![-0.5, 3.0]), [-0.5, 3.0]);
    }

    #[test]
    fn factors_stay_within_limits_and_reach_them() {
        let settings = Settings {
            seed: 2,
            colour: 0.4,
            ..Settings::default()
        };
        let all: Vec<Colour> = (0..2000)
            .filter_map(|index| Colour::draw(&settings, index, 1))
            .collect();
        assert_eq!(all.len(), 2000);
        let factors: [fn(&Colour) -> f32; 3] = [|c| c.brightness, |c| c.contrast, |c| c.saturation];
        for factor in factors {
            let factors = || all.iter().map(factor);
            assert!(factors().all(|f| (0.6..=1.4).contains(&f)));
            assert!(factors().any(|f| f < 0.61) && factors().any(|f| f > 1.39));
        }
        assert_eq!(Colour::draw(&Settings::default(), 0, 0), None);
    }
}
