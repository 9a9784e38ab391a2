//! Augmentation: old seeds and files give the same bits, samples do not depend on their company, settings are checked.

use proptest::prelude::*;
use zerokara_core::{Array, DType};
use zerokara_data::{Augment, Columns, Feed, Loader, Normalization, Split};

/// SplitMix64 as published, seeded by folding words into the state: where every draw comes from.
struct SplitMix(u64);

impl SplitMix {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

    fn mix(mut z: u64) -> u64 {
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn new(seed: u64, epoch: u64, index: u64) -> Self {
        let start = Self::mix(seed.wrapping_add(Self::GAMMA));
        SplitMix([4, epoch, index].iter().fold(start, |state, word| {
            Self::mix(state.wrapping_add(Self::GAMMA) ^ word)
        }))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(Self::GAMMA);
        Self::mix(self.0)
    }

    fn below(&mut self, bound: u64) -> u64 {
        loop {
            let product = u128::from(self.next()) * u128::from(bound);
            if product as u64 >= bound.wrapping_neg() % bound {
                return (product >> 64) as u64;
            }
        }
    }
}

/// Shift and turn, pixel by pixel as the definition says: two draws for the shift, one for the angle, the inverse rotation
/// about the centre, bilinear interpolation, 0 outside.
fn moved(
    image: &[f32],
    [height, width]: [usize; 2],
    shift: u64,
    degrees: f64,
    draws: &mut SplitMix,
) -> Vec<f32> {
    let mut step = || draws.below(2 * shift + 1) as i64 - shift as i64;
    let (down, right) = (step(), step());
    let unit = (draws.next() >> 11) as f64 / (1u64 << 53) as f64;
    let angle = (degrees * (2.0 * unit - 1.0)).to_radians();
    let at = |y: i64, x: i64| match y >= 0 && x >= 0 && y < height as i64 && x < width as i64 {
        true => image[y as usize * width + x as usize],
        false => 0.0,
    };
    let (sin, cos) = angle.sin_cos();
    let (middle_y, middle_x) = ((height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0);
    let pixel = |number: usize| {
        let (y, x) = (
            (number / width) as i64 - down,
            (number % width) as i64 - right,
        );
        if angle == 0.0 {
            return at(y, x);
        }
        let (dy, dx) = (y as f64 - middle_y, x as f64 - middle_x);
        let (sy, sx) = (
            middle_y + cos * dy - sin * dx,
            middle_x + sin * dy + cos * dx,
        );
        let (top, left) = (sy.floor(), sx.floor());
        let (fy, fx) = ((sy - top) as f32, (sx - left) as f32);
        let (top, left) = (top as i64, left as i64);
        let upper = at(top, left) * (1.0 - fx) + at(top, left + 1) * fx;
        let lower = at(top + 1, left) * (1.0 - fx) + at(top + 1, left + 1) * fx;
        upper * (1.0 - fy) + lower * fy
    };
    (0..height * width).map(pixel).collect()
}

fn noise(count: usize, seed: u64) -> Vec<f32> {
    let mut draws = SplitMix(seed);
    (0..count)
        .map(|_| (draws.next() >> 40) as f32 / (1u64 << 24) as f32)
        .collect()
}

proptest! {
    /// Runs that were described before there were other changes go on with the same images, to the bit.
    #[test]
    fn files_with_shift_and_degrees_alone_give_the_bits_they_always_gave(
        seed: u64, epoch in 0u64..100, shift in 0usize..5, turn in 0usize..5, channels in 1usize..4,
        height in 1usize..12, width in 1usize..12,
    ) {
        let degrees = [0.0, 1e-12, 15.0, 90.0, 180.0][turn];
        let text = format!(r#"{{"seed":{seed},"shift":{shift},"degrees":{degrees:?}}}"#);
        let augment: Augment = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(serde_json::to_string(&augment).unwrap(), text);
        let before = noise(3 * channels * height * width, seed);
        let mut after = before.clone();
        let indices = [5, 0, 77];
        augment.apply(&mut after, &[channels, height, width], &indices, epoch).unwrap();
        for (place, (before, after)) in before.chunks(height * width).zip(after.chunks(height * width)).enumerate() {
            let mut draws = SplitMix::new(seed, epoch, indices[place / channels] as u64);
            let expected = moved(before, [height, width], shift as u64, degrees, &mut draws);
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(after), bits(&expected));
        }
    }

    /// Any settings, shapes and values: results are finite and, for a flat image, nothing but that value and background.
    #[test]
    fn whatever_is_set_values_stay_between_those_of_the_image_and_background(
        seed: u64, channels in 1usize..5, height in 1usize..9, width in 1usize..9, zoom in 0.1f64..10.0,
        share in 0.01f64..1.0, amount in 0.0f64..1.0, alpha in 0.0f64..50.0, sigma in 0.1f64..9.0,
    ) {
        let augment = Augment::new(seed).flip().flip_vertical().shift_by(share).unwrap().rotate(180.0 * amount).unwrap()
            .scale(zoom.min(1.0), zoom.max(1.0)).unwrap().crop(share).unwrap().erase(amount, share).unwrap()
            .colour(amount).unwrap().elastic(alpha, sigma).unwrap();
        let image = noise(channels * height * width, seed);
        for seen in augment.preview(&image, &[channels, height, width], 4).unwrap() {
            prop_assert!(seen.iter().all(|x| (0.0..=1.0 + 1e-6).contains(x)), "{:?}", seen);
        }
    }
}

fn everything(seed: u64) -> Augment {
    let moves = Augment::new(seed)
        .flip()
        .shift(1)
        .rotate(15.0)
        .unwrap()
        .scale(0.9, 1.2)
        .unwrap();
    let looks = moves
        .crop(0.5)
        .unwrap()
        .elastic(5.0, 2.0)
        .unwrap()
        .colour(0.3)
        .unwrap();
    looks.erase(0.5, 0.3).unwrap()
}

/// `n` images of three channels with a class each.
fn images(n: usize) -> Split {
    let pixels: Vec<u8> = (0..n * 3 * 12 * 12)
        .map(|at| (at * 37 % 251) as u8)
        .collect();
    Split::new(pixels, &[3, 12, 12], (0..n as i64).map(|i| i % 5).collect()).unwrap()
}

#[test]
fn a_sample_does_not_depend_on_its_batch_or_on_threads() {
    let split = images(60);
    let loader = |batch_size| {
        let loader = Loader::new(&split, batch_size).unwrap();
        let normalization = Normalization::unit()
            .standard(&[0.5, 0.4, 0.3], &[0.2, 0.25, 0.3])
            .unwrap();
        loader
            .normalization(normalization)
            .unwrap()
            .augment(everything(4))
            .unwrap()
    };
    let all = |loader: &Loader| {
        loader
            .iter()
            .flat_map(|batch| batch.images)
            .collect::<Vec<_>>()
    };
    let mut one = loader(60);
    let expected = all(&one);
    assert_eq!(all(&loader(7)), expected);
    assert_eq!(
        loader(7)
            .feed_of(&[59])
            .unwrap()
            .inputs
            .find("x")
            .unwrap()
            .as_slice::<f32>()
            .unwrap(),
        &expected[59 * 432..]
    );
    let (mut images, mut labels) = (vec![0.0; 60 * 432], [0; 60]);
    let indices: Vec<usize> = (0..60).collect();
    let threads = |units: usize, work: &(dyn Fn(usize) + Sync)| {
        std::thread::scope(|scope| {
            for unit in (0..units).rev() {
                scope.spawn(move || work(unit));
            }
        });
    };
    one.gather_parallel(&indices, &mut images, &mut labels, &threads)
        .unwrap();
    assert_eq!(images, expected);
    one.set_epoch(1);
    assert_ne!(all(&one), expected);
    assert_ne!(
        all(&Loader::new(&split, 60)
            .unwrap()
            .augment(everything(5))
            .unwrap()),
        expected
    );
}

/// Two samples of one image are changed differently, and one sample differently in two epochs.
#[test]
fn samples_and_epochs_differ() {
    let image = noise(144, 3);
    let seen = everything(1).preview(&image, &[1, 12, 12], 2).unwrap();
    assert_ne!(seen[0], seen[1]);
    let mut other = image.clone();
    everything(1)
        .apply(&mut other, &[1, 12, 12], &[1], 0)
        .unwrap();
    assert_ne!(other, seen[0]);
    let again = everything(1).preview(&image, &[1, 12, 12], 2).unwrap();
    assert_eq!(again, seen);
}

#[test]
fn flips_come_half_of_the_time_and_copy_exactly() {
    let image: Vec<f32> = (1..=9).map(|x| x as f32).collect();
    let mirrored = [3.0, 2.0, 1.0, 6.0, 5.0, 4.0, 9.0, 8.0, 7.0];
    let seen = Augment::new(2)
        .flip()
        .preview(&image, &[1, 3, 3], 400)
        .unwrap();
    let flipped = seen.iter().filter(|seen| **seen == mirrored).count();
    assert!(seen.iter().all(|seen| *seen == mirrored || *seen == image));
    // Five deviations.
    assert!((150..=250).contains(&flipped), "{flipped}");
    let upside_down = [7.0, 8.0, 9.0, 4.0, 5.0, 6.0, 1.0, 2.0, 3.0];
    let seen = Augment::new(2)
        .flip_vertical()
        .preview(&image, &[1, 3, 3], 50)
        .unwrap();
    assert!(seen.iter().any(|seen| *seen == upside_down));
    assert!(
        seen.iter()
            .all(|seen| *seen == upside_down || *seen == image)
    );
}

/// Bytes that are normalized, raw or stored as numbers look the same after their colours have changed.
#[test]
fn colours_know_the_range_of_what_is_stored() {
    let split = images(10);
    let loader = Loader::new(&split, 10)
        .unwrap()
        .augment(Augment::new(3).colour(0.8).unwrap())
        .unwrap();
    let values = |feed: Feed| {
        feed.inputs
            .find("x")
            .unwrap()
            .as_slice::<f32>()
            .unwrap()
            .to_vec()
    };
    let unit = values(loader.feed(0).unwrap());
    let raw = values(loader.clone().raw().feed(0).unwrap());
    let normalization = Normalization::unit()
        .standard(&[0.1, 0.5, 0.9], &[0.2, 2.0, 0.5])
        .unwrap();
    let standard = values(
        loader
            .normalization(normalization.clone())
            .unwrap()
            .feed(0)
            .unwrap(),
    );
    assert!(raw.iter().all(|x| (0.0..=255.0).contains(x)) && raw.contains(&255.0));
    for (unit, raw) in unit.iter().zip(&raw) {
        assert!((unit - raw / 255.0).abs() < 1e-5);
    }
    let mut expected = raw.clone();
    expected
        .chunks_mut(432)
        .for_each(|image| normalization.apply(image, 3).unwrap());
    assert!(
        standard
            .iter()
            .zip(&expected)
            .all(|(a, b)| (a - b).abs() < 1e-4)
    );
    let bytes = (0..10)
        .flat_map(|index| split.sample(index))
        .map(|x| x / 255.0)
        .collect::<Vec<f32>>();
    let numbers = Split::new(bytes, &[3, 12, 12], vec![0; 10]).unwrap();
    let loader = Loader::new(&numbers, 10)
        .unwrap()
        .augment(Augment::new(3).colour(0.8).unwrap())
        .unwrap();
    let found = values(loader.feed(0).unwrap());
    assert!(found.iter().zip(&unit).all(|(a, b)| (a - b).abs() < 1e-5));
}

/// What lies outside is a stored 0, whatever is done to colours.
#[test]
fn background_stays_background() {
    let split = Split::new(vec![200u8; 4 * 25], &[1, 5, 5], vec![0; 4]).unwrap();
    let normalization = Normalization::unit().standard(&[0.5], &[0.25]).unwrap();
    let augment = Augment::new(1)
        .colour(0.9)
        .unwrap()
        .scale(0.2, 0.2)
        .unwrap()
        .erase(1.0, 0.1)
        .unwrap();
    let loader = Loader::new(&split, 4)
        .unwrap()
        .normalization(normalization)
        .unwrap()
        .augment(augment)
        .unwrap();
    for image in loader.batch(0).unwrap().images.chunks(25) {
        assert!([0, 4, 20, 24].iter().all(|&corner| image[corner] == -2.0));
    }
}

#[test]
fn mixed_targets_are_shares_and_images_are_mixed_by_them() {
    // Each image has one value, its class, so that shares can be read from the image.
    let split = Split::new(
        (0..40).map(|i| (i % 4) as f32).collect::<Vec<_>>(),
        &[1, 1, 1],
        (0..40).map(|i| i % 4).collect(),
    )
    .unwrap();
    let loader = |augment: Augment| {
        Loader::new(&split, 8)
            .unwrap()
            .shuffle(1)
            .augment(augment)
            .unwrap()
            .classes(4)
    };
    let both = |feed: &Feed| {
        let shares = feed.targets.find("t").unwrap();
        assert_eq!(
            (shares.shape(), shares.dtype()),
            (&[feed.len(), 4][..], DType::F32)
        );
        (
            feed.inputs
                .find("x")
                .unwrap()
                .as_slice::<f32>()
                .unwrap()
                .to_vec(),
            shares.as_slice::<f32>().unwrap().to_vec(),
        )
    };
    let mixup = loader(Augment::new(5).mixup(1.0).unwrap());
    let mut feeder = mixup.feeder();
    let mut mixed = 0;
    for epoch in 0..3 {
        feeder.set_epoch(epoch);
        let mut batch = 0;
        while let Some(feed) = feeder.next_feed().unwrap() {
            let (x, shares) = both(feed);
            let mut own = mixup.clone();
            own.set_epoch(epoch);
            assert_eq!(*feed, own.feed(batch).unwrap());
            for (x, row) in x.iter().zip(shares.chunks(4)) {
                let value: f32 = row
                    .iter()
                    .enumerate()
                    .map(|(class, share)| class as f32 * share)
                    .sum();
                assert!((value - x).abs() < 1e-5 && (row.iter().sum::<f32>() - 1.0).abs() < 1e-6);
                mixed += usize::from(row.iter().filter(|&&share| share > 0.0).count() == 2);
            }
            batch += 1;
        }
    }
    assert!(mixed > 60, "{mixed} of 120");
    // A single pixel is either one's or the other's.
    let (x, shares) = both(
        &loader(Augment::new(5).cutmix(1.0).unwrap())
            .feed(0)
            .unwrap(),
    );
    for (x, row) in x.iter().zip(shares.chunks(4)) {
        assert_eq!(row[*x as usize], 1.0);
    }
    // Alone, nothing can be mixed.
    let (x, shares) = both(&mixup.feed_of(&[6]).unwrap());
    assert_eq!((x, shares), (vec![2.0], vec![0.0, 0.0, 1.0, 0.0]));
    let ports = mixup.target_ports();
    assert_eq!(ports[0].to_string(), "t: f32 [batch, 4]");
    // Plain batches have whole classes.
    let batch = mixup.batch(0).unwrap();
    assert!(
        batch
            .images
            .iter()
            .zip(&batch.labels)
            .all(|(&x, &label)| x == label as f32)
    );
    // Without mixing, the number of classes changes nothing.
    let plain = loader(Augment::new(5)).feed(0).unwrap();
    assert_eq!(plain.targets.find("t").unwrap().dtype(), DType::I64);
}

#[test]
fn what_cannot_be_mixed_says_why() {
    let mixup = || Augment::new(1).mixup(0.2).unwrap();
    let split = images(10);
    let loader = Loader::new(&split, 5).unwrap().augment(mixup()).unwrap();
    let error = loader.feed(0).unwrap_err().to_string();
    assert!(error.contains("Loader::classes"), "{error}");
    let error = loader.classes(4).feed(0).unwrap_err().to_string();
    assert!(error.contains("label 4"), "{error}");
    let image = Array::new([2, 1, 2, 2], vec![0.0f32; 8]);
    let columns = || Columns::new().with("image", image.clone());
    let number = columns().with("score", Array::new([2], vec![0.5f32, 1.0]));
    let two = columns()
        .with("class", Array::new([2], vec![0i64, 1]))
        .with("age", Array::new([2], vec![3.0f32, 4.0]));
    for (columns, target) in [(number, "score"), (two, "class")] {
        let split = Split::of(columns).unwrap().targets([target]).unwrap();
        let loader = Loader::new(&split, 2).unwrap();
        let error = loader.clone().augment(mixup()).unwrap_err().to_string();
        assert!(
            error.contains("one image and one class") && error.contains("image: f32 [1, 2, 2]"),
            "{error}"
        );
        assert!(loader.augment(Augment::new(1).flip()).is_ok());
    }
    let mut images = vec![0.0; 8];
    let mix =
        |images: &mut [f32], labels: &[i64]| mixup().mix(images, &[1, 2, 2], labels, 3, &[0, 1], 0);
    assert!(
        mix(&mut images, &[0, 3])
            .unwrap_err()
            .to_string()
            .contains("label 3")
    );
    assert!(
        mix(&mut images, &[0])
            .unwrap_err()
            .to_string()
            .contains("1 labels")
    );
    assert!(
        mix(&mut images[..7], &[0, 1])
            .unwrap_err()
            .to_string()
            .contains("7 values")
    );
    assert_eq!(mix(&mut images, &[0, 2]).unwrap().len(), 6);
}

#[test]
fn settings_that_mean_nothing_are_refused() {
    let new = || Augment::new(0);
    let refused = [
        (new().rotate(-1.0), "turned"),
        (new().rotate(f64::NAN), "turned"),
        (new().shift_by(1.5), "shifted"),
        (new().scale(1.2, 0.8), "smaller first"),
        (new().scale(0.0, 1.0), "0.1 to 10"),
        (new().scale(1.0, f64::INFINITY), "0.1 to 10"),
        (new().crop(0.0), "cropped"),
        (new().crop(1.1), "cropped"),
        (new().erase(1.1, 0.5), "chance"),
        (new().erase(0.5, 0.0), "share above 0"),
        (new().colour(-0.1), "colours"),
        (new().colour(f64::NAN), "colours"),
        (new().elastic(-1.0, 4.0), "alpha"),
        (new().elastic(1.0, 0.0), "sigma"),
        (new().mixup(0.0), "mixup"),
        (new().cutmix(f64::INFINITY), "cutmix"),
    ];
    for (result, word) in refused {
        let error = result.unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
    for text in [
        r#"{"seed":1,"degrees":400}"#,
        r#"{"seed":1,"shift":1,"shift_share":0.5}"#,
        r#"{"seed":1,"crop":2.0}"#,
        r#"{"seed":1,"erase":{"chance":0.5}}"#,
        r#"{"seed":1,"scale":{"from":1.0,"to":1.1,"by":2.0}}"#,
        r#"{"seed":1,"solarize":0.5}"#,
    ] {
        assert!(serde_json::from_str::<Augment>(text).is_err(), "{text}");
    }
    // The later of two shifts holds.
    assert_eq!(
        new().shift(3).shift_by(0.5).unwrap(),
        new().shift_by(0.5).unwrap()
    );
    assert_eq!(new().shift_by(0.5).unwrap().shift(3), new().shift(3));
}

#[test]
fn settings_go_through_json_and_are_said_in_words() {
    let all = everything(u64::MAX)
        .flip_vertical()
        .mixup(0.2)
        .unwrap()
        .cutmix(1.0)
        .unwrap();
    let text = serde_json::to_string(&all).unwrap();
    assert_eq!(serde_json::from_str::<Augment>(&text).unwrap(), all);
    assert_eq!(
        all.to_string(),
        "shift by up to 1, turn by up to 15°, flip left to right, flip top to bottom, scale by 0.9 to 1.2, crop to 50% of the \
         area or more, distort with alpha 5 and sigma 2, change colours by up to 30%, erase up to 30% of 50% of the images, \
         mixup with alpha 0.2, cutmix with alpha 1"
    );
    assert_eq!(Augment::new(1).to_string(), "none");
    assert_eq!(
        Augment::new(1).shift_by(0.07).unwrap().to_string(),
        "shift by up to 7% of each side"
    );
    assert_eq!(
        serde_json::to_string(&Augment::new(1).flip()).unwrap(),
        r#"{"seed":1,"shift":0,"degrees":0.0,"flip":true}"#
    );
    assert_eq!(
        serde_json::from_str::<Augment>(r#"{"seed":7}"#).unwrap(),
        Augment::new(7)
    );
}

/// Odd sizes, and shapes that are none.
#[test]
fn sizes_that_are_small_or_wrong() {
    let augment = everything(1).mixup(1.0).unwrap().cutmix(1.0).unwrap();
    for shape in [
        [1, 1, 1],
        [3, 1, 1],
        [1, 1, 9],
        [3, 9, 1],
        [2, 3, 2],
        [4, 1, 2],
    ] {
        let length = shape.iter().product();
        for seen in augment.preview(&vec![0.5; length], &shape, 20).unwrap() {
            assert!(seen.len() == length && seen.iter().all(|x| (0.0..=1.0).contains(x)));
        }
        let mut images = vec![0.5; 2 * length];
        let shares = augment
            .mix(&mut images, &shape, &[0, 1], 2, &[0, 1], 0)
            .unwrap();
        assert!(shares.len() == 4 && images.iter().all(|&x| x == 0.5));
    }
    augment.apply(&mut [], &[3, 8, 8], &[], 0).unwrap();
    augment.apply(&mut [], &[0, 8, 8], &[1, 2], 0).unwrap();
    augment.apply(&mut [], &[usize::MAX, 2, 4], &[], 0).unwrap();
    assert_eq!(
        augment.mix(&mut [], &[3, 8, 8], &[], 2, &[], 0).unwrap(),
        [0.0; 0]
    );
    assert_eq!(
        augment.mix(&mut [], &[1, 0, 8], &[1], 2, &[9], 0).unwrap(),
        [0.0, 1.0]
    );
    let error = augment
        .preview(&[0.0; 7], &[1, 2, 4], 1)
        .unwrap_err()
        .to_string();
    assert!(error.contains("7 values are not 1 images"), "{error}");
    assert!(
        augment
            .preview(&[0.0; 8], &[2, 4], 1)
            .unwrap_err()
            .to_string()
            .contains("[C, H, W]")
    );
    assert!(
        augment
            .apply(&mut [0.0; 8], &[usize::MAX, 2, 4], &[0, 1], 0)
            .is_err()
    );
    assert_eq!(augment.preview(&[0.0; 8], &[1, 2, 4], 0).unwrap().len(), 0);
}
