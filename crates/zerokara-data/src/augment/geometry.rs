//! Flips, shifts, turns, zooms and windows, as one affine map from the pixels of the changed image to places in the image.

use super::settings::{Scale, Settings};
use crate::random::{Purpose, Random};

/// What was drawn for one image. In this order: the window is cut out and fills the image, which is then flipped, scaled
/// and turned about its centre, and shifted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Geometry {
    pub window: Window,
    /// Top to bottom and left to right.
    pub flips: [bool; 2],
    pub zoom: f64,
    /// In radians, clockwise in image coordinates, where `y` grows downwards.
    pub angle: f64,
    /// Whole pixels, down and right.
    pub shift: [i64; 2],
}

/// A part of the image, along `y` and `x`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// The window's share of the image's sides.
    pub sides: [f64; 2],
    /// Where it lies between the two ends, from -1 to 1.
    pub place: [f64; 2],
}

impl Geometry {
    /// Leaves images as they are.
    pub(super) const NONE: Geometry = Geometry {
        window: Window {
            sides: [1.0; 2],
            place: [0.0; 2],
        },
        flips: [false; 2],
        zoom: 1.0,
        angle: 0.0,
        shift: [0; 2],
    };

    /// What is done to this sample in this epoch. Each kind of change draws from a stream of its own, so that it does not
    /// depend on which others are set.
    pub(super) fn draw(settings: &Settings, index: usize, epoch: u64, size: [usize; 2]) -> Self {
        let stream = |purpose| Random::new(settings.seed, purpose, epoch, index as u64);
        let mut random = stream(Purpose::Augment);
        let mut step = |side: usize| {
            let share = (settings.shift_share * side as f64).round() as usize;
            // A shift beyond any image is as good as the largest.
            let limit = settings.shift.max(share).min(1 << 30);
            random.below(2 * limit + 1) as i64 - limit as i64
        };
        let shift = size.map(&mut step);
        let mut drawn = Geometry {
            shift,
            angle: (settings.degrees * random.symmetric()).to_radians(),
            ..Geometry::NONE
        };
        if settings.flip || settings.flip_vertical {
            let mut random = stream(Purpose::Flip);
            let chances = [random.below(2) == 1, random.below(2) == 1];
            drawn.flips = [
                settings.flip_vertical && chances[0],
                settings.flip && chances[1],
            ];
        }
        if let Some(Scale { from, to }) = settings.scale {
            drawn.zoom = stream(Purpose::Scale).between(from, to);
        }
        if let Some(from) = settings.crop {
            drawn.window = Window::draw(from, &mut stream(Purpose::Crop));
        }
        drawn
    }

    /// Where the pixels of an image of this size come from.
    pub(super) fn affine(&self, size: [usize; 2]) -> Affine {
        let middle = size.map(|side| (side as f64 - 1.0) / 2.0);
        let (sin, cos) = self.angle.sin_cos();
        let turn = [[cos, -sin], [sin, cos]];
        let mut affine = Affine {
            shift: self.shift,
            middle,
            origin: middle,
            matrix: turn,
        };
        for axis in 0..2 {
            let side = self.window.sides[axis];
            // Centres of pixels stay between those at the edges, so that a window takes nothing from outside.
            affine.origin[axis] += self.window.place[axis] * middle[axis] * (1.0 - side);
            let sign = if self.flips[axis] { -1.0 } else { 1.0 };
            // Products with 1 change no bit: shifts and turns alone are what they are without the rest.
            let factor = sign * side / self.zoom;
            affine.matrix[axis] = turn[axis].map(|entry| factor * entry);
        }
        affine
    }
}

impl Window {
    /// A share `a` of the area, uniform from `from` to 1, and sides `sqrt(a r)` and `sqrt(a / r)` of the image's, with the
    /// logarithm of `r` uniform between 3/4 and 4/3 as far as both sides are at most 1.
    fn draw(from: f64, random: &mut Random) -> Self {
        let area = random.between(from, 1.0);
        let ratio = random.log_between((3.0f64 / 4.0).max(area), (4.0f64 / 3.0).min(1.0 / area));
        let sides = [area / ratio, area * ratio].map(|square| square.sqrt().min(1.0));
        Window {
            sides,
            place: [random.symmetric(), random.symmetric()],
        }
    }
}

/// From a pixel `p` of the changed image, along `y` and `x`, to its place in the image:
/// `origin + matrix · (p − shift − middle)`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Affine {
    pub shift: [i64; 2],
    /// The centre of the changed image.
    pub middle: [f64; 2],
    /// Where that comes from.
    pub origin: [f64; 2],
    pub matrix: [[f64; 2]; 2],
}

impl Affine {
    /// Whether each axis is flipped, if pixels go to pixels and nothing lies between them.
    pub(super) fn whole(&self) -> Option<[bool; 2]> {
        let [[yy, yx], [xy, xx]] = self.matrix;
        let whole = yx == 0.0
            && xy == 0.0
            && yy.abs() == 1.0
            && xx.abs() == 1.0
            && self.origin == self.middle;
        whole.then_some([yy < 0.0, xx < 0.0])
    }

    /// Whether the image stays as it is.
    pub(super) fn is_identity(&self) -> bool {
        self.shift == [0; 2] && self.whole() == Some([false; 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(settings: &Settings, size: [usize; 2]) -> Vec<Geometry> {
        (0..2000)
            .map(|index| Geometry::draw(settings, index, 5, size))
            .collect()
    }

    /// The smallest and the largest of these numbers.
    fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
            (low.min(x), high.max(x))
        })
    }

    #[test]
    fn draws_stay_within_limits_and_reach_them() {
        let settings = Settings {
            seed: 3,
            shift: 2,
            degrees: 15.0,
            flip: true,
            scale: Some(Scale { from: 0.5, to: 1.5 }),
            crop: Some(0.25),
            ..Settings::default()
        };
        let all = draws(&settings, [8, 8]);
        for axis in 0..2 {
            assert_eq!(range(all.iter().map(|g| g.shift[axis] as f64)), (-2.0, 2.0));
            let (low, high) = range(all.iter().map(|g| g.window.place[axis]));
            assert!((-1.0..-0.98).contains(&low) && high <= 1.0 && high > 0.98);
            let (low, high) = range(all.iter().map(|g| g.window.sides[axis]));
            // The shortest side is that of a quarter of the area, at 4/3.
            let shortest = (0.25f64 * 3.0 / 4.0).sqrt();
            assert!(low >= shortest - 1e-12 && low < shortest + 0.02 && high <= 1.0 && high > 0.98);
        }
        let (low, high) = range(all.iter().map(|g| g.angle.to_degrees()));
        assert!((-15.0..-14.8).contains(&low) && high <= 15.0 && high > 14.8);
        let (low, high) = range(all.iter().map(|g| g.zoom));
        assert!((0.5..0.51).contains(&low) && high <= 1.5 && high > 1.49);
        let (low, high) = range(all.iter().map(|g| g.window.sides[0] * g.window.sides[1]));
        assert!((0.25 - 1e-12..0.26).contains(&low) && high <= 1.0 && high > 0.98);
        let (low, high) = range(all.iter().map(|g| g.window.sides[1] / g.window.sides[0]));
        assert!((0.75 - 1e-12..0.76).contains(&low) && high <= 4.0 / 3.0 + 1e-12 && high > 1.32);
        // Half of them, within five deviations.
        let flipped = all.iter().filter(|g| g.flips[1]).count();
        assert!((890..=1110).contains(&flipped), "{flipped}");
        assert!(all.iter().all(|g| !g.flips[0]));
    }

    #[test]
    fn a_shift_by_a_share_follows_each_side() {
        let settings = Settings {
            shift_share: 0.25,
            ..Settings::default()
        };
        let all = draws(&settings, [8, 20]);
        assert_eq!(range(all.iter().map(|g| g.shift[0] as f64)), (-2.0, 2.0));
        assert_eq!(range(all.iter().map(|g| g.shift[1] as f64)), (-5.0, 5.0));
    }

    /// What is added later leaves the draws of what was there.
    #[test]
    fn each_change_has_draws_of_its_own() {
        let turned = Settings {
            seed: 9,
            shift: 3,
            degrees: 20.0,
            ..Settings::default()
        };
        let more = Settings {
            flip: true,
            flip_vertical: true,
            scale: Some(Scale { from: 1.0, to: 2.0 }),
            crop: Some(0.5),
            ..turned.clone()
        };
        for (few, many) in draws(&turned, [9, 9]).iter().zip(draws(&more, [9, 9])) {
            assert_eq!((few.shift, few.angle), (many.shift, many.angle));
        }
    }

    #[test]
    fn whole_pixels_are_told_from_places_between_them() {
        let flipped = Geometry {
            flips: [true, false],
            shift: [3, -1],
            ..Geometry::NONE
        };
        assert_eq!(flipped.affine([4, 5]).whole(), Some([true, false]));
        assert!(!flipped.affine([4, 5]).is_identity());
        assert!(Geometry::NONE.affine([1, 7]).is_identity());
        let turned = Geometry {
            angle: 1e-9,
            ..Geometry::NONE
        };
        assert_eq!(turned.affine([4, 5]).whole(), None);
    }

    /// The corners of every window come from inside the image.
    #[test]
    fn windows_lie_inside() {
        let settings = Settings {
            crop: Some(0.1),
            ..Settings::default()
        };
        for drawn in draws(&settings, [7, 12]) {
            let affine = drawn.affine([7, 12]);
            for (y, x) in [(0.0, 0.0), (0.0, 11.0), (6.0, 0.0), (6.0, 11.0)] {
                let (dy, dx) = (y - affine.middle[0], x - affine.middle[1]);
                let from_y = affine.origin[0] + affine.matrix[0][0] * dy + affine.matrix[0][1] * dx;
                let from_x = affine.origin[1] + affine.matrix[1][0] * dy + affine.matrix[1][1] * dx;
                assert!((-1e-9..=6.0 + 1e-9).contains(&from_y), "{from_y}");
                assert!((-1e-9..=11.0 + 1e-9).contains(&from_x), "{from_x}");
            }
        }
    }
}
