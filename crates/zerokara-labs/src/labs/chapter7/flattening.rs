//! Why not fully connected (page 207): a network of affine layers does not know which pixels are neighbours.

use crate::prelude::*;

lab!("flattening", chapter 7, pages "207–208",
    Choice::count("images", "8000", "training images").quick("600"),
    Choice::count("epochs", "4", "epochs of each training").quick("1"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("row");
    let mut plain = Mnist::load()?;
    plain.train = plain.train.take(lab.count("images"));
    plain.test = plain.test.take(lab.pick(10_000, 500));
    let digit = plain.test.sample(0);
    let flat =
        Tensor::new([1, 28, 28], digit.iter().map(|v| v / 255.0).collect::<Vec<_>>())
            .reshape([784]);
    let row = flat.to_vec::<f32>()?;
    let mut tiles =
        Tiles::new("One row of 784 pixels, four pieces of it").tile_size(600).columns(1);
    for (piece, part) in row.chunks(196).enumerate() {
        let tall: Vec<f32> = (0..8).flat_map(|_| part).copied().collect();
        if let Some(picture) = Picture::from_pixels(&tall, [1, 8, 196]) {
            tiles = tiles
                .add(picture, format!("pixels {} to {}", piece * 196, piece * 196 + 195));
        }
    }
    lab.figure(tiles.figure());
    let place = |r: usize, c: usize| r * 28 + c;
    lab.print(format!(
        "pixel (10, 14) is number {}, its right neighbour {}, its lower neighbour {}",
        place(10, 14),
        place(10, 15),
        place(11, 14)
    ));
    lab.fact(
        "in the row the neighbour below is 28 places away",
        place(11, 14) - place(10, 14) == 28,
    )?;

    lab.section("shuffle");
    let order = shuffled(lab.seed())?;
    let mixed = reordered(&plain, &order)?;
    let mut tiles = Tiles::new("The same digits, with one shuffle of the pixels for all")
        .tile_size(64)
        .columns(8);
    for data in [&plain, &mixed] {
        for i in 0..8 {
            let pixels: Vec<f32> = data.test.sample(i).iter().map(|v| v / 255.0).collect();
            if let Some(picture) = Picture::from_pixels(&pixels, [1, 28, 28]) {
                tiles = tiles.add(picture, data.test.labels()[i].to_string());
            }
        }
    }
    lab.figure(tiles.figure());
    let back = reordered(&mixed, &inverse(&order))?;
    lab.fact(
        "nothing is lost: the shuffle can be undone",
        (0..8).all(|i| back.test.sample(i) == plain.test.sample(i)),
    )?;

    lab.section("blind");
    let (a, b) = (affine(), affine());
    let images = |data: &Dataset| -> Result<Tensor> {
        let batch = Loader::new(&data.test, 100)?.batch(0)?;
        Ok(Tensor::new(batch.shape, batch.images))
    };
    let (x, x_mixed) = (images(&plain)?, images(&mixed)?);
    a.build(&x, lab.seed())?;
    b.build(&x, lab.seed())?;
    // The weights of each pixel follow it to its new place.
    let places = Tensor::from(order.iter().map(|&p| p as i64).collect::<Vec<_>>());
    let weight = b.named_parameters()?.remove(0).1;
    let axis = weight.meta().shape.iter().position(|&n| n == 784).unwrap_or(0);
    weight.set(&weight.tensor().index_select(axis as i64, &places))?;
    let scores = [
        a.forward(&x, &mut Context::evaluate()),
        b.forward(&x_mixed, &mut Context::evaluate()),
    ];
    let apart = (&scores[0] - &scores[1]).abs().max().item()?;
    lab.print(format!("largest difference between the scores of 100 images: {apart:.1e}"));
    lab.fact("with its weights in the same order it answers the same", apart < 1e-4)?;

    lab.section("training");
    let mut rows = Vec::new();
    let mut accuracies = Vec::new();
    let mut plot = Plot::new("Accuracy on test images").axes("epoch", "accuracy");
    let progress = lab.progress("four trainings", 4);
    for (name, model) in
        [("affine layers", affine as fn() -> Sequential), ("convolutions", convolutional)]
    {
        for (pixels, data) in [("in place", &plain), ("shuffled", &mixed)] {
            let run = Trainer::new(model(), SoftmaxCrossEntropy::new())
                .optimizer(Adam::new(1e-3))
                .epochs(lab.count("epochs") as u64)
                .batch_size(50)
                .seed(lab.seed())
                .catch_interrupts(false)
                .quiet()
                .fit(data)?;
            let curve: Vec<f64> =
                run.history().iter().filter_map(|e| e.test_accuracy).collect();
            plot = plot.path(
                format!("{name}, {pixels}"),
                curve.iter().enumerate().map(|(i, &a)| (i as f64 + 1.0, a)),
            );
            plot = plot.color(usize::from(name == "convolutions"));
            if pixels == "shuffled" {
                plot = plot.dashed();
            }
            rows.push(vec![
                name.to_string(),
                pixels.to_string(),
                format!("{:.2} %", run.test_accuracy() * 100.0),
            ]);
            accuracies.push(run.test_accuracy());
            progress.step();
        }
    }
    drop(progress);
    lab.figure(plot.figure());
    lab.table(&["network", "pixels", "test accuracy"], &rows);
    if lab.count("images") >= 8_000 && lab.count("epochs") >= 4 && !lab.quick() {
        lab.fact(
            "affine layers learn the shuffled digits as well, within 1 %",
            (accuracies[0] - accuracies[1]).abs() < 0.01,
        )?;
        lab.fact("convolutions lose more than 1 %", accuracies[2] - accuracies[3] > 0.01)?;
        lab.fact(
            "with the pixels in place convolutions are better than affine layers",
            accuracies[2] > accuracies[0],
        )?;
    }
    Ok(())
}

fn affine() -> Sequential {
    Sequential::new().flatten().linear(100).relu().linear(10)
}

fn convolutional() -> Sequential {
    Sequential::new()
        .conv2d(16, 5)
        .relu()
        .max_pool2d(2)
        .conv2d(32, 3)
        .relu()
        .max_pool2d(2)
        .flatten()
        .linear(10)
}

/// The numbers 0 to 783 in an order of chance.
fn shuffled(seed: u64) -> Result<Vec<usize>> {
    let keys = Tensor::uniform(seed, &Tensor::from(0), [784]).to_vec::<f32>()?;
    let mut order: Vec<usize> = (0..784).collect();
    order.sort_by(|&a, &b| keys[a].total_cmp(&keys[b]));
    Ok(order)
}

/// The order that undoes another.
fn inverse(order: &[usize]) -> Vec<usize> {
    let mut found = vec![0; order.len()];
    order.iter().enumerate().for_each(|(to, &from)| found[from] = to);
    found
}

/// The same images, with the pixel `order[i]` of each at place i.
fn reordered(data: &Dataset, order: &[usize]) -> Result<Dataset> {
    let split = |split: &Split| -> Result<Split> {
        let mut bytes = Vec::with_capacity(split.len() * 784);
        for i in 0..split.len() {
            let image = split.sample(i);
            bytes.extend(order.iter().map(|&from| image[from] as u8));
        }
        Ok(Split::new(bytes, split.shape(), split.labels().to_vec())?)
    };
    let mut mixed = data.clone();
    (mixed.train, mixed.test) = (split(&data.train)?, split(&data.test)?);
    Ok(mixed)
}
