//! Random erasing.

use super::settings::{Erase, Settings};
use crate::random::{Purpose, Random};
use std::ops::Range;

/// The tallest and the widest rectangle, as height by width.
const RATIOS: [f64; 2] = [0.3, 1.0 / 0.3];

/// The rows and columns that are erased from this sample in this epoch, if any.
pub(super) fn draw(
    settings: &Settings,
    index: usize,
    epoch: u64,
    [height, width]: [usize; 2],
) -> Option<[Range<usize>; 2]> {
    let Erase { chance, share } = settings.erase?;
    let mut random = Random::new(settings.seed, Purpose::Erase, epoch, index as u64);
    if random.unit() >= chance {
        return None;
    }
    let area = share * random.unit() * (height * width) as f64;
    let ratio = random.log_between(RATIOS[0], RATIOS[1]);
    // Rounded down, so that the rectangle is never larger than was asked for. It is as wide as the area allows for its
    // height, also where the image is too low for the ratio.
    let rows = ((area * ratio).sqrt() as usize).clamp(1, height);
    let columns = ((area / rows as f64) as usize).min(width);
    let top = random.below(height - rows + 1);
    let left = random.below(width - columns + 1);
    (columns > 0).then_some([top..top + rows, left..left + columns])
}

/// Sets a rectangle of an image `[C, H, W]` to the background of each channel.
pub(super) fn apply(
    image: &mut [f32],
    [height, width]: [usize; 2],
    [rows, columns]: [Range<usize>; 2],
    background: impl Fn(usize) -> f32,
) {
    for (channel, plane) in image.chunks_exact_mut(height * width).enumerate() {
        let background = background(channel);
        for row in plane
            .chunks_exact_mut(width)
            .skip(rows.start)
            .take(rows.len())
        {
            row[columns.clone()].fill(background);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draws(chance: f64, share: f64, size: [usize; 2]) -> Vec<Option<[Range<usize>; 2]>> {
        let settings = Settings {
            seed: 4,
            erase: Some(Erase { chance, share }),
            ..Settings::default()
        };
        (0..2000)
            .map(|index| draw(&settings, index, 3, size))
            .collect()
    }

    #[test]
    fn rectangles_lie_inside_and_keep_to_their_share() {
        for (size, share) in [
            ([20, 30], 0.25),
            ([20, 30], 1.0),
            ([5, 5], 0.1),
            ([1, 9], 0.5),
            ([1, 1], 1.0),
        ] {
            let [height, width] = size;
            let mut largest = 0;
            for [rows, columns] in draws(1.0, share, size).into_iter().flatten() {
                assert!(rows.end <= height && columns.end <= width && !columns.is_empty());
                let area = rows.len() * columns.len();
                assert!(area as f64 <= share * (height * width) as f64, "{size:?}");
                largest = largest.max(area);
            }
            // Less than one row or column is lost by rounding.
            let limit = share * (height * width) as f64;
            assert!(largest as f64 > 0.85 * limit - 1.0, "{largest} of {limit}");
        }
        // A pixel is more than a tenth of four.
        assert!(draws(1.0, 0.1, [2, 2]).iter().all(Option::is_none));
    }

    #[test]
    fn the_chance_is_the_share_of_images() {
        assert!(draws(0.0, 0.5, [8, 8]).iter().all(Option::is_none));
        let erased = draws(0.3, 1.0, [50, 50]).iter().flatten().count();
        // Five deviations of a binomial number; a rectangle of less than a pixel is rare here.
        assert!((495..=703).contains(&erased), "{erased}");
    }

    #[test]
    fn a_rectangle_becomes_background_in_every_channel() {
        let mut image = vec![1.0; 24];
        apply(&mut image, [3, 4], [1..3, 2..3], |channel| {
            -(channel as f32)
        });
        for (at, &x) in image.iter().enumerate() {
            let (channel, y, x_at) = (at / 12, at / 4 % 3, at % 4);
            let erased = y >= 1 && x_at == 2;
            assert_eq!(x, if erased { -(channel as f32) } else { 1.0 });
        }
    }
}
