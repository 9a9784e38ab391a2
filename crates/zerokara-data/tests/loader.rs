//! Loaders: what an epoch holds, determinism, normalization, augmentation.

use proptest::prelude::*;
use zerokara_data::{Augment, Batch, Loader, Normalization, Split};

/// `n` samples of shape `[1, 2, 2]`: sample `i` has the label `i` and four pixels `i % 256`.
fn numbered(n: usize) -> Split {
    let pixels: Vec<u8> = (0..4 * n).map(|at| (at / 4) as u8).collect();
    Split::new(pixels, &[1, 2, 2], (0..n as i64).collect()).unwrap()
}

proptest! {
    /// Every sample once an epoch, with its own pixels and label, full batches but for the last.
    #[test]
    fn an_epoch_holds_each_sample_once(
        n in 1usize..150, batch_size in 1usize..170, shuffle: bool, seed: u64, epoch in 0u64..1000,
    ) {
        let split = numbered(n);
        let mut loader = Loader::new(&split, batch_size).unwrap();
        if shuffle {
            loader = loader.shuffle(seed);
        }
        loader.set_epoch(epoch);
        let batches: Vec<Batch> = loader.iter().collect();
        prop_assert_eq!(batches.len(), n.div_ceil(batch_size));
        prop_assert_eq!(batches.len(), loader.len());
        let mut seen = Vec::new();
        for (number, batch) in batches.iter().enumerate() {
            let expected = batch_size.min(n - number * batch_size);
            prop_assert_eq!(&batch.shape, &[expected, 1, 2, 2]);
            prop_assert_eq!(batch.len(), expected);
            for (at, &index) in batch.indices.iter().enumerate() {
                prop_assert_eq!(batch.labels[at], index as i64);
                let pixel = (index % 256) as f32 / 255.0;
                prop_assert_eq!(&batch.images[4 * at..4 * at + 4], &[pixel; 4]);
                seen.push(index);
            }
        }
        if shuffle {
            seen.sort_unstable();
        }
        prop_assert_eq!(seen, (0..n).collect::<Vec<_>>());
    }
}

#[test]
fn partial_batches_can_be_dropped() {
    let sizes = |n, batch_size| {
        let loader = Loader::new(&numbered(n), batch_size)
            .unwrap()
            .drop_last(true);
        loader.iter().map(|batch| batch.len()).collect::<Vec<_>>()
    };
    assert_eq!(sizes(10, 4), [4, 4]);
    assert_eq!(sizes(8, 4), [4, 4]);
    // A batch size beyond the split's is the whole split.
    assert_eq!(sizes(3, usize::MAX), [3]);
}

#[test]
fn faults_are_errors() {
    let split = numbered(3);
    assert!(
        Loader::new(&split, 0)
            .unwrap_err()
            .to_string()
            .contains("batch size is 0")
    );
    assert!(
        Loader::new(&split.take(0), 1)
            .unwrap_err()
            .to_string()
            .contains("empty")
    );
    let loader = Loader::new(&split, 2).unwrap();
    assert!(loader.batch(2).unwrap_err().to_string().contains("batch 2"));
    assert!(
        loader
            .batch_of(&[3])
            .unwrap_err()
            .to_string()
            .contains("sample 3")
    );
    let error = loader.gather(0, &mut [0.0; 7], &mut [0; 2]).unwrap_err();
    assert!(error.to_string().contains("8 values"), "{error}");
    assert!(loader.gather(0, &mut [0.0; 8], &mut [0; 1]).is_err());
    let three = Normalization::unit()
        .standard(&[0.0; 3], &[1.0; 3])
        .unwrap();
    assert!(
        loader
            .clone()
            .normalization(three)
            .unwrap_err()
            .to_string()
            .contains("3 means")
    );
    let table = Split::new(vec![0.0f32; 4], &[2], vec![0, 1]).unwrap();
    let loader = Loader::new(&table, 2).unwrap();
    assert!(
        loader
            .augment(Augment::new(0))
            .unwrap_err()
            .to_string()
            .contains("images")
    );
    assert!(Normalization::unit().standard(&[0.0], &[0.0]).is_err());
    assert!(Augment::new(0).rotate(-1.0).is_err());
}

/// These orders are part of the interface: they may never change. They were computed apart from this crate, by a
/// Python program that follows the published SplitMix64 and the documented shuffle.
#[test]
fn orders_are_fixed_forever() {
    let order = |seed, epoch| {
        let mut loader = Loader::new(&numbered(12), 12).unwrap().shuffle(seed);
        loader.set_epoch(epoch);
        loader.indices(0).unwrap().to_vec()
    };
    assert_eq!(order(1, 0), [2, 3, 5, 8, 7, 6, 11, 10, 9, 0, 4, 1]);
    assert_eq!(order(1, 1), [9, 10, 8, 4, 2, 6, 1, 11, 7, 5, 0, 3]);
    assert_eq!(
        numbered(100).random_indices(8, 42, 3),
        [31, 81, 62, 25, 90, 30, 20, 42]
    );
    let (_, validation) = numbered(20).validation(6, 9).unwrap();
    assert_eq!(validation.labels(), [0, 5, 7, 8, 15, 18]);
}

#[test]
fn an_epochs_order_does_not_depend_on_the_path_to_it() {
    let split = numbered(50);
    let mut straight = Loader::new(&split, 7).unwrap().shuffle(3);
    straight.set_epoch(5);
    let mut winding = straight.clone();
    (0..6).rev().for_each(|epoch| winding.set_epoch(epoch));
    winding.set_epoch(5);
    assert!(straight.iter().eq(winding.iter()));
    winding.set_epoch(6);
    assert_ne!(straight.indices(0).unwrap(), winding.indices(0).unwrap());
}

#[test]
fn random_batches_are_drawn_with_replacement() {
    let loader = Loader::new(&numbered(10), 10).unwrap();
    let drawn: Vec<usize> = (0..100)
        .flat_map(|draw| loader.random_batch(1, draw).unwrap().indices)
        .collect();
    let count = |index| drawn.iter().filter(|&&i| i == index).count();
    // 1000 draws of ten: binomial, mean 100 and deviation 9.5; five deviations.
    assert!((0..10).all(|index| (53..=147).contains(&count(index))));
    assert!(drawn.chunks(10).any(|batch| {
        let mut batch = batch.to_vec();
        batch.sort_unstable();
        batch.windows(2).any(|pair| pair[0] == pair[1])
    }));
}

/// As `torchvision`'s `ToTensor` and `Normalize` compute it: `(x / 255 - mean) / std`, each step rounded to f32.
#[test]
fn normalization_is_exact() {
    let split = Split::new((0..=255).collect::<Vec<u8>>(), &[2, 8, 16], vec![0]).unwrap();
    let plain = Loader::new(&split, 1).unwrap();
    let normalization = Normalization::unit()
        .standard(&[0.1307, 0.5], &[0.3081, 0.25])
        .unwrap();
    let standard = plain.clone().normalization(normalization.clone()).unwrap();
    let (plain, standard) = (plain.batch(0).unwrap(), standard.batch(0).unwrap());
    for x in 0..256 {
        // Rounding the quotient of two exact numbers once is what f64 arithmetic followed by rounding gives here.
        let unit = (x as f64 / 255.0) as f32;
        assert_eq!(plain.images[x], unit);
        let (mean, std) = if x < 128 {
            (0.1307f32, 0.3081f32)
        } else {
            (0.5, 0.25)
        };
        assert_eq!(standard.images[x], (unit - mean) / std);
    }
    let mut values: Vec<f32> = (0..256).map(|x| x as f32).collect();
    normalization.apply(&mut values, 2).unwrap();
    assert_eq!(values, standard.images);
}

#[test]
fn statistics_standardize_each_channel() {
    // Two columns, one of them constant.
    let table = Split::new(
        vec![1.0f32, 7.0, 3.0, 7.0, 5.0, 7.0, 7.0, 7.0],
        &[2],
        vec![0; 4],
    )
    .unwrap();
    let normalization = Normalization::of(&table).unwrap();
    assert_eq!(normalization.mean(), [4.0, 7.0]);
    // Variance of 1, 3, 5, 7 about 4: 5.
    assert!((normalization.std()[0] - 5f32.sqrt()).abs() < 1e-6);
    assert_eq!(normalization.std()[1], 1.0);
    let nan = Split::new(vec![f32::NAN], &[1], vec![0]).unwrap();
    assert!(Normalization::of(&nan).is_err());
    assert!(Normalization::of(&table.take(0)).is_err());
}

#[test]
fn augmentation_depends_on_sample_and_epoch_only() {
    let pixels: Vec<u8> = (0..40 * 25).map(|at| (at * 7 % 251) as u8).collect();
    let split = Split::new(pixels, &[1, 5, 5], (0..40).collect()).unwrap();
    let augment = Augment::new(11).shift(1).rotate(20.0).unwrap();
    let normalization = Normalization::unit().standard(&[0.5], &[0.5]).unwrap();
    let loader = |batch_size| {
        let loader = Loader::new(&split, batch_size).unwrap();
        let loader = loader.normalization(normalization.clone()).unwrap();
        loader.augment(augment.clone()).unwrap()
    };
    let images = |loader: &Loader| {
        loader
            .iter()
            .flat_map(|batch| batch.images)
            .collect::<Vec<_>>()
    };
    let mut one = loader(8);
    assert_eq!(images(&one), images(&loader(40)));
    assert_ne!(
        images(&one),
        Loader::new(&split, 40).unwrap().batch(0).unwrap().images
    );
    let first = images(&one);
    one.set_epoch(1);
    assert_ne!(first, images(&one));
    // The background is a normalized 0, so nothing can fall below it.
    assert!(first.iter().all(|&x| (-1.0 - 1e-6..=1.0).contains(&x)));
    assert!(first.iter().any(|&x| x == -1.0));
}
