//! What the lab of DeepConvNet states (pages 241 to 246), shown by the library alone.

use zerokara::prelude::*;

/// Three pairs of 3x3 convolutions, 16, 32 and 64 filters; affine 1024 -> 50 -> 10. Sizes by `(n + 2p - k) / s + 1`.
#[test]
fn the_network_has_the_books_sizes() {
    let model = models::DeepConvNet::new(10);
    let sample = Tensor::zeros([1, 1, 28, 28]);
    model.build(&sample, 0).unwrap();
    let conv = |inputs: usize, outputs: usize| outputs * inputs * 9 + outputs;
    let expected = conv(1, 16)
        + conv(16, 16)
        + conv(16, 32)
        + conv(32, 32)
        + conv(32, 64)
        + conv(64, 64)
        + (64 * 4 * 4 * 50 + 50)
        + (50 * 10 + 10);
    assert_eq!(expected, 123_552);
    assert_eq!(model.parameter_count().unwrap(), expected);
    let summary = Summary::of(&model, &sample).unwrap();
    let pooled: Vec<&[usize]> = summary
        .rows
        .iter()
        .filter(|row| row.path.starts_with("max_pool"))
        .map(|row| &row.output[1..])
        .collect();
    assert_eq!(pooled, [&[16, 14, 14][..], &[32, 8, 8], &[64, 4, 4]]);
}

/// A shift by whole pixels moves every pixel, and what comes in is background.
#[test]
fn augmentation_moves_a_digit_and_keeps_its_ink() {
    let mut image = vec![0.0f32; 28 * 28];
    image[14 * 28 + 14] = 1.0;
    let mut seen = std::collections::BTreeSet::new();
    for epoch in 0..400 {
        let mut moved = image.clone();
        Augment::new(3).shift(3).apply(&mut moved, &[1, 28, 28], &[0], epoch).unwrap();
        assert_eq!(moved.iter().sum::<f32>(), 1.0);
        let at = moved.iter().position(|&v| v == 1.0).unwrap();
        seen.insert((at / 28, at % 28));
    }
    // All of the 7 x 7 places, and no other.
    assert_eq!(seen.len(), 49);
    assert!(seen.iter().all(|(y, x)| (11..=17).contains(y) && (11..=17).contains(x)));
}

#[test]
fn right_and_wrong_answers_are_told_by_their_labels() {
    let mut mnist = Mnist::load().unwrap();
    (mnist.train, mnist.test) = (mnist.train.take(500), mnist.test.take(300));
    let run =
        Trainer::new(Sequential::new().flatten().linear(10), SoftmaxCrossEntropy::new())
            .optimizer(Adam::new(5e-3))
            .epochs(3)
            .catch_interrupts(false)
            .quiet()
            .fit(&mnist)
            .unwrap();
    let result = run.model().evaluate(&mnist.test).unwrap();
    let wrong: Vec<usize> = (0..mnist.test.len())
        .filter(|&i| result.answers[i].class as i64 != mnist.test.labels()[i])
        .collect();
    assert_eq!(Some(mnist.test.len() - wrong.len()), result.correct);
    let confusion = result.confusion(mnist.test.labels(), 10);
    let off_diagonal: u64 = confusion.worst(90).iter().map(|pair| pair.2).sum();
    assert_eq!(off_diagonal, wrong.len() as u64);
    for &i in &wrong {
        let answer = result.answers[i];
        assert!(answer.label_probability <= answer.probability);
    }
}
