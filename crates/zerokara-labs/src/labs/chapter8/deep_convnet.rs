//! A deep network for handwritten digits (pages 241 to 246): how good it is, where it errs, what augmentation gives.

use crate::prelude::*;
use zerokara::{
    figures::numbers::{percent, thousands},
    train::metrics::Epoch,
};

lab!("deep_convnet", chapter 8, pages "241–246",
    Choice::count("images", "2000", "training images for the comparison of augmentation (at most 60000)").quick("500"),
    Choice::count("epochs", "30", "epochs of that comparison (at most 100)").quick("2"),
    Choice::count("shift", "2", "by how many pixels images are shifted at most (at most 14)"),
    Choice::number("degrees", "10", "by what angle images are turned at most (0 to 180)"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("network");
    let trained = lab.deep_convnet()?;
    let layers = trained.model.layers()?;
    let rows: Vec<Vec<String>> = layers
        .iter()
        .filter(|layer| layer.parameters > 0 || layer.name.starts_with("max_pool"))
        .map(|layer| {
            vec![
                layer.name.clone(),
                format!("{:?}", layer.output),
                thousands(layer.parameters),
                thousands(layer.flops),
            ]
        })
        .collect();
    lab.table(&["layer", "output", "parameters", "operations"], &rows);
    let parameters = trained.model.module().parameter_count()?;
    lab.fact(
        format!("it has {} parameters", thousands(parameters as u64)),
        parameters == 123_552,
    )?;

    lab.section("accuracy");
    let mnist = lab.mnist()?;
    let test = &mnist.test;
    let result = trained.model.evaluate(test)?;
    let accuracy = result.accuracy().unwrap_or(f64::NAN);
    let wrong: Vec<usize> = (0..test.len())
        .filter(|&i| result.answers[i].class as i64 != test.labels()[i])
        .collect();
    lab.print(format!(
        "{} right of {} test images; {} wrong",
        percent(accuracy),
        thousands(test.len() as u64),
        wrong.len()
    ));
    let curve = |part: fn(&Epoch) -> Option<f64>| {
        trained.history.iter().filter_map(part).collect::<Vec<_>>()
    };
    lab.figure(
        Plot::new("DeepConvNet on MNIST")
            .axes("epoch", "accuracy")
            .curve("training images", &curve(|epoch| epoch.train_accuracy))
            .curve("test images", &curve(|epoch| epoch.test_accuracy))
            .figure(),
    );
    if !lab.quick() {
        lab.fact("the accuracy is at least 99.3 %", accuracy >= 0.993)?;
    }

    lab.section("mistakes");
    let mut tiles = Tiles::new("Wrong answers: label → answer").columns(8).tile_size(56);
    for &i in wrong.iter().take(32) {
        let caption = format!("{} → {}", test.labels()[i], result.answers[i].class);
        tiles = tiles.add(picture(&test.sample(i)), caption);
    }
    lab.figure(tiles.figure());
    let rows: Vec<Vec<String>> = result
        .confusion(test.labels(), 10)
        .worst(5)
        .into_iter()
        .map(|(label, answer, count)| {
            vec![format!("{label} taken for {answer}"), count.to_string()]
        })
        .collect();
    lab.table(&["most frequent", "images"], &rows);
    let sure = |right: bool| {
        let among = (0..test.len()).filter(|i| wrong.contains(i) != right);
        mean(among.map(|i| result.answers[i].probability))
    };
    lab.print(format!(
        "probability of its answer:\n{:.3} where right, {:.3} where wrong",
        sure(true),
        sure(false)
    ));
    if !lab.quick() {
        lab.fact("where it errs, it is less sure of itself", sure(false) < sure(true))?;
    }

    lab.section("augmentation");
    let (images, epochs) = (lab.count("images"), lab.count("epochs") as u64);
    let (shift, degrees) = (lab.count("shift"), lab.number("degrees"));
    if images > 60_000 || epochs > 100 || shift > 14 {
        return Err(Error::new(
            "at most 60000 images, 100 epochs and a shift of 14 pixels",
        ));
    }
    let augment = Augment::new(lab.seed()).shift(shift).rotate(degrees)?;
    let mut tiles =
        Tiles::new("One image, and what the network sees of it, epoch by epoch")
            .columns(8)
            .tile_size(56)
            .add(picture(&mnist.train.sample(0)), "original");
    for epoch in 0..7 {
        let mut image = mnist.train.sample(0);
        augment.apply(&mut image, &[1, 28, 28], &[0], epoch)?;
        tiles = tiles.add(picture(&image), format!("epoch {}", epoch + 1));
    }
    lab.figure(tiles.figure());

    lab.section("comparison");
    let mut few = mnist.clone();
    few.train = few.train.take(images);
    let train = |augment: Option<&Augment>| {
        let trainer =
            Trainer::new(models::DeepConvNet::new(10), SoftmaxCrossEntropy::new())
                .optimizer(Adam::new(2e-3))
                .schedule_over(Schedule::one_cycle)
                .batch_size(50)
                .epochs(epochs);
        let name = format!("deep-convnet-{images}-images-{epochs}-epochs");
        match augment {
            None => lab.trained(&name, trainer, &few),
            Some(changes) => lab.trained(
                &format!("{name}-shift-{shift}-turn-{degrees}"),
                trainer.augment(changes.clone()),
                &few,
            ),
        }
    };
    let (plain, augmented) = (train(None)?, train(Some(&augment))?);
    let both = [("as they are", &plain), ("augmented", &augmented)];
    let mut plot = Plot::new("Learning from few images")
        .axes("epoch", "test accuracy")
        .y_range(lab.pick(0.9, 0.0), 1.0);
    for (name, trained) in both {
        let curve: Vec<f64> =
            trained.history.iter().filter_map(|e| e.test_accuracy).collect();
        plot = plot.curve(name, &curve);
    }
    lab.figure(plot.figure());

    // The same test images, changed more and more.
    let some = test.take(lab.pick(1_000, 100));
    let steps: [usize; 7] = std::array::from_fn(|step| step);
    let shifts = steps.map(|step| Ok(Augment::new(1).shift(step)));
    let turns = steps.map(|step| Augment::new(1).rotate(10.0 * step as f64));
    let mut figures = Vec::new();
    let mut rows = Vec::new();
    let mut gains = Vec::new();
    for (what, unit, size, changes) in
        [("shifted", "pixels", 1, shifts), ("turned", "degrees", 10, turns)]
    {
        let changes = changes.into_iter().collect::<Result<Vec<_>, _>>()?;
        let test = changed(&some, &changes)?;
        let (a, b) = (accuracies(&plain, &test, 7)?, accuracies(&augmented, &test, 7)?);
        for (step, (a, b)) in a.iter().zip(&b).enumerate() {
            gains.push(b - a);
            let name = format!("{what} by up to {} {unit}", step * size);
            rows.push(vec![name, percent(*a), percent(*b)]);
        }
        let path = |values: Vec<f64>| {
            values.into_iter().enumerate().map(move |(step, v)| ((step * size) as f64, v))
        };
        figures.push(
            Plot::new(format!("Test images {what}"))
                .axes(format!("by up to … {unit}"), "accuracy")
                .size(310, 250)
                .path(both[0].0, path(a))
                .path(both[1].0, path(b))
                .figure(),
        );
    }
    lab.figures(figures);
    lab.table(&["test images", both[0].0, both[1].0], &rows);
    if !lab.quick() && (2..=4).contains(&shift) && epochs >= 20 && images >= 1_000 {
        lab.fact(
            "shifted by up to 3 pixels, digits are read better after augmentation",
            gains[3] > 0.0,
        )?;
    }
    Ok(())
}

/// The images of a split once for each of the changes, in one split.
fn changed(split: &Split, changes: &[Augment]) -> Result<Split> {
    let numbers: Vec<usize> = (0..split.len()).collect();
    let (mut bytes, mut labels) = (Vec::new(), Vec::new());
    for change in changes {
        let mut images: Vec<f32> = numbers.iter().flat_map(|&i| split.sample(i)).collect();
        change.apply(&mut images, split.shape(), &numbers, 0)?;
        bytes.extend(images.iter().map(|v| v.round() as u8));
        labels.extend(split.labels());
    }
    Ok(Split::new(bytes, split.shape(), labels)?)
}

/// The accuracy on each of so many equal parts of a split.
fn accuracies(trained: &Trained, split: &Split, parts: usize) -> Result<Vec<f64>> {
    let answers = trained.model.evaluate(split)?.answers;
    let right: Vec<f64> = answers
        .iter()
        .zip(split.labels())
        .map(|(answer, label)| f64::from(u8::from(answer.class as i64 == *label)))
        .collect();
    let part = split.len() / parts;
    Ok(right.chunks(part).map(|right| mean(right.iter().copied())).collect())
}

/// A digit of bytes, as a picture.
fn picture(bytes: &[f32]) -> Picture {
    let rgba = bytes.iter().flat_map(|&v| [v as u8, v as u8, v as u8, 255]).collect();
    Picture { width: 28, height: 28, rgba }
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = values.fold((0.0, 0.0), |(s, n), v| (s + v, n + 1.0));
    sum / count
}
