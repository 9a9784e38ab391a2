//! Samples mixed with others of their batch, and the shares of classes that they then have.

use super::settings::Settings;
use crate::collate::in_parts;
use crate::loader::Spread;
use crate::random::{Purpose, Random};
use std::ops::Range;

/// How one sample of a batch is mixed.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mix {
    /// The place of the other in the batch.
    pub other: usize,
    /// The sample's own share; the rest is the other's.
    pub share: f32,
    /// The rows and columns that are the other's; if there are none, all pixels are weighted means.
    window: Option<[Range<usize>; 2]>,
}

/// How each sample of a batch is mixed in this epoch; none is where no sample has another beside it.
pub(super) fn draw(
    settings: &Settings,
    indices: &[usize],
    epoch: u64,
    size: [usize; 2],
) -> Option<Vec<Mix>> {
    let count = indices.len();
    if count < 2 || (settings.mixup.is_none() && settings.cutmix.is_none()) {
        return None;
    }
    let each = indices.iter().enumerate().map(|(at, &index)| {
        let mut random = Random::new(settings.seed, Purpose::Mix, epoch, index as u64);
        // The sample's numbers come before the one that depends on the batch's size.
        let cut = match (settings.mixup, settings.cutmix) {
            (Some(_), Some(_)) => random.below(2) == 1,
            (_, cutmix) => cutmix.is_some(),
        };
        let alpha = if cut { settings.cutmix } else { settings.mixup };
        let share = random.beta(alpha.unwrap_or(1.0));
        let (share, window) = match cut {
            true => {
                let window = window(share, &mut random, size);
                let cut = window[0].len() * window[1].len();
                (1.0 - cut as f64 / (size[0] * size[1]) as f64, Some(window))
            }
            false => (share, None),
        };
        Mix {
            other: (at + 1 + random.below(count - 1)) % count,
            share: share as f32,
            window,
        }
    });
    Some(each.collect())
}

/// A rectangle of the image's shape and of `1 − share` of its area, centred on a pixel, without what lies beyond the image.
fn window(share: f64, random: &mut Random, size: [usize; 2]) -> [Range<usize>; 2] {
    size.map(|side| {
        let length = (side as f64 * (1.0 - share).sqrt()).round() as usize;
        let centre = random.below(side);
        let start = centre.saturating_sub(length / 2);
        let end = (centre + length - length / 2).min(side);
        start..end
    })
}

/// Mixes the images `[N, C, H, W]`, of which one has the shape `[C, H, W]`.
pub(super) fn apply(
    images: &mut [f32],
    [channels, height, width]: [usize; 3],
    mixes: &[Mix],
    spread: &Spread<'_>,
) {
    let plane = height * width;
    let sample = channels * plane;
    // Others are read as they were before anything was mixed.
    let before = images.to_vec();
    let mix = |first: usize, room: &mut [f32]| {
        for (image, mix) in room.chunks_exact_mut(sample).zip(&mixes[first..]) {
            let other = &before[mix.other * sample..][..sample];
            let Some([rows, columns]) = &mix.window else {
                let share = mix.share;
                let pairs = image.iter_mut().zip(other);
                pairs.for_each(|(x, other)| *x = share * *x + (1.0 - share) * other);
                continue;
            };
            for (image, other) in image.chunks_exact_mut(plane).zip(other.chunks_exact(plane)) {
                for y in rows.clone() {
                    let row = y * width + columns.start..y * width + columns.end;
                    image[row.clone()].copy_from_slice(&other[row]);
                }
            }
        }
    };
    in_parts(images, mixes.len(), spread, &mix);
}

/// Writes the shares of classes `[N, classes]`; labels are below the number of classes.
pub(crate) fn write_shares(
    shares: &mut [f32],
    labels: &[i64],
    classes: usize,
    mixes: Option<&[Mix]>,
) {
    shares.fill(0.0);
    for (at, row) in shares.chunks_exact_mut(classes).enumerate() {
        let own = labels[at] as usize;
        let Some(mix) = mixes.map(|mixes| &mixes[at]) else {
            row[own] = 1.0;
            continue;
        };
        let other = labels[mix.other] as usize;
        match own == other {
            true => row[own] = 1.0,
            false => (row[own], row[other]) = (mix.share, 1.0 - mix.share),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(mixup: Option<f64>, cutmix: Option<f64>) -> Settings {
        Settings {
            seed: 6,
            mixup,
            cutmix,
            ..Settings::default()
        }
    }

    fn serial(units: usize, work: &(dyn Fn(usize) + Sync)) {
        (0..units).for_each(work);
    }

    #[test]
    fn each_is_mixed_with_another() {
        let indices: Vec<usize> = (0..50).collect();
        let mut all = std::collections::HashSet::new();
        for epoch in 0..40 {
            let mixes = draw(&settings(Some(0.4), None), &indices, epoch, [2, 2]).unwrap();
            for (at, mix) in mixes.iter().enumerate() {
                assert!(mix.other != at && mix.other < 50 && (0.0..=1.0).contains(&mix.share));
                assert_eq!(mix.window, None);
                all.insert((mix.other + 50 - at) % 50);
            }
        }
        assert_eq!(all.len(), 49, "any other may be drawn");
        // Alone, a sample stays as it is.
        assert_eq!(draw(&settings(Some(0.4), None), &[3], 0, [2, 2]), None);
        assert_eq!(draw(&settings(Some(0.4), None), &[], 0, [2, 2]), None);
        assert_eq!(draw(&settings(None, None), &indices, 0, [2, 2]), None);
    }

    /// The share does not depend on the batch; only the other does.
    #[test]
    fn shares_are_the_samples_own() {
        for (mixup, cutmix) in [(Some(0.4), None), (None, Some(1.0)), (Some(1.0), Some(1.0))] {
            let settings = settings(mixup, cutmix);
            let few = draw(&settings, &[7, 4, 1], 2, [9, 8]).unwrap();
            let many = draw(&settings, &[0, 1, 2, 3, 4, 5, 6, 7], 2, [9, 8]).unwrap();
            for (at, index) in [(0, 7), (1, 4), (2, 1)] {
                assert_eq!(few[at].share, many[index].share);
                assert_eq!(few[at].window, many[index].window);
            }
        }
    }

    /// With both, each has its half; the share of a cut is what is left of the image to the pixel.
    #[test]
    fn cuts_have_the_share_that_is_seen() {
        let indices: Vec<usize> = (0..2000).collect();
        let mixes = draw(&settings(Some(1.0), Some(1.0)), &indices, 0, [6, 10]).unwrap();
        let cuts: Vec<&Mix> = mixes.iter().filter(|mix| mix.window.is_some()).collect();
        // Five deviations.
        assert!((888..=1112).contains(&cuts.len()));
        let mut images = vec![0.0; 4 * 2 * 60];
        for mix in &cuts {
            let [rows, columns] = mix.window.clone().unwrap();
            assert!(rows.end <= 6 && columns.end <= 10);
            images[..120].fill(0.0);
            images[120..].fill(1.0);
            let own = Mix {
                other: 2,
                ..(*mix).clone()
            };
            let still = Mix {
                other: 0,
                share: 1.0,
                window: None,
            };
            let all = [own, still.clone(), still.clone(), still];
            let last = images[360..].to_vec();
            apply(&mut images, [2, 6, 10], &all, &serial);
            assert_eq!(images[360..], last);
            for channel in images[..120].chunks(60) {
                let seen = channel.iter().filter(|&&x| x == 0.0).count();
                assert!((seen as f32 / 60.0 - mix.share).abs() < 1e-6);
            }
        }
        assert!(cuts.iter().any(|mix| mix.share < 0.3) && cuts.iter().any(|mix| mix.share == 1.0));
    }

    #[test]
    fn means_and_shares_are_weighted_alike() {
        let mixes = [
            Mix {
                other: 1,
                share: 0.75,
                window: None,
            },
            Mix {
                other: 2,
                share: 0.25,
                window: None,
            },
            Mix {
                other: 0,
                share: 0.5,
                window: None,
            },
        ];
        let mut images = vec![0.0, 4.0, 8.0, 16.0, 100.0, 0.0];
        apply(&mut images, [1, 1, 2], &mixes, &serial);
        assert_eq!(images, [2.0, 7.0, 77.0, 4.0, 50.0, 2.0]);
        let mut shares = vec![9.0; 9];
        write_shares(&mut shares, &[2, 0, 2], 3, Some(&mixes));
        assert_eq!(shares, [0.25, 0.0, 0.75, 0.25, 0.0, 0.75, 0.0, 0.0, 1.0]);
        write_shares(&mut shares, &[2, 0, 1], 3, None);
        assert_eq!(shares, [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0]);
    }
}
