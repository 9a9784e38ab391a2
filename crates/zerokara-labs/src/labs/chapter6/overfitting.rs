//! Overfitting (pages 190 to 197): 300 images learned by heart, weight decay, and dropout.

use crate::prelude::*;

lab!("overfitting", chapter 6, pages "190–197",
    Choice::count("images", "300", "training images, at most 5000"),
    Choice::count("epochs", "150", "epochs, at most 1000").quick("20"),
    Choice::number("decay", "0.1", "the factor λ of weight decay, from 0 to 10"),
    Choice::number("ratio", "0.2", "the share of neurons that dropout drops, from 0 to 0.9"),
);

/// What a training came to.
struct Outcome {
    /// Accuracies on training and test images after each epoch.
    curves: [Vec<f64>; 2],
    /// The final ones, of all test images.
    accuracies: [f64; 2],
    /// The root of the sum of all squared weights.
    norm: f64,
}

/// Six hidden layers of 100 neurons, SGD with learning rate 0.01, batches of 100.
fn train(
    decay: f64,
    ratio: f64,
    epochs: u64,
    data: &Dataset,
    seed: u64,
) -> Result<Outcome> {
    let model = models::MultiLayerNet::new(&[100; 6], 10).dropout(ratio).layers();
    let mut few = data.clone();
    few.test = few.test.take(500);
    let run = Trainer::new(model, SoftmaxCrossEntropy::new())
        .optimizer(Sgd::new(0.01))
        .l2_penalty(decay)
        .epochs(epochs)
        .seed(seed)
        .quiet()
        .catch_interrupts(false)
        .fit(&few)?;
    let curve = |of: fn(&zerokara::train::metrics::Epoch) -> Option<f64>| {
        run.history().iter().filter_map(of).collect::<Vec<f64>>()
    };
    let accuracy =
        |split| Ok::<_, Error>(run.model().evaluate(split)?.accuracy().unwrap_or(0.0));
    let mut squares = 0.0;
    for parameter in run.model().module().parameters()? {
        if parameter.meta().rank() == 2 {
            squares += parameter.tensor().square().sum().item()?;
        }
    }
    Ok(Outcome {
        curves: [curve(|epoch| epoch.train_accuracy), curve(|epoch| epoch.test_accuracy)],
        accuracies: [accuracy(&data.train)?, accuracy(&data.test)?],
        norm: squares.sqrt(),
    })
}

fn run(lab: &mut Session) -> Result<()> {
    let within = |name: &str, high: f64| {
        let value = lab.number(name);
        match (0.0..=high).contains(&value) {
            true => Ok(value),
            false => {
                Err(Error::new(format!("{name}: a number from 0 to {high} is needed")))
            }
        }
    };
    let (decay, ratio) = (within("decay", 10.0)?, within("ratio", 0.9)?);
    let epochs = lab.count("epochs").min(1_000) as u64;
    let seed = lab.seed();
    let usual = lab.usual(&["images", "epochs", "decay", "ratio"]);

    lab.section("overfitting");
    let mut data = lab.mnist()?;
    data.train = data.train.take(lab.count("images").min(5_000));
    let cases =
        [("nothing", 0.0, 0.0), ("weight decay", decay, 0.0), ("dropout", 0.0, ratio)];
    let trained = lab.parallel("three trainings", cases.len(), |at| {
        train(cases[at].1, cases[at].2, epochs, &data, seed)
    })?;
    let figure = |at: usize, title: String| {
        let [train, test] = &trained[at].curves;
        Plot::new(title)
            .axes("epoch", "accuracy")
            .y_range(0.0, 1.05)
            .curve(format!("{} training images", data.train.len()), train)
            .curve("test images", test)
            .dashed()
            .figure()
    };
    let gap = |at: usize| trained[at].accuracies[0] - trained[at].accuracies[1];
    let row = |at: usize| {
        let [train, test] = trained[at].accuracies.map(numbers::percent);
        vec![
            cases[at].0.to_string(),
            train,
            test,
            format!("{:.1}", gap(at) * 100.0),
            format!("{:.1}", trained[at].norm),
        ]
    };
    let columns = ["against it", "training", "test", "gap, points", "norm of the weights"];
    lab.table(&columns, &[row(0)]);
    lab.figure(figure(0, "Overfitting".into()));
    if usual && !lab.quick() {
        lab.fact(
            format!(
                "nearly all of the 300 training images are right, and {:.1} % of the test images wrong",
                100.0 - trained[0].accuracies[1] * 100.0
            ),
            trained[0].accuracies[0] > 0.97 && gap(0) > 0.1,
        )?;
    }

    lab.section("decay");
    lab.figure(figure(1, format!("Weight decay, λ = {decay}")));
    lab.table(&columns, &[row(0), row(1)]);
    let w = Tensor::from([[3.0, -1.0], [0.5, 2.0]]);
    let penalty = w.square().sum() * (0.5 * decay);
    lab.fact(
        "the gradient of ½ λ W² is λ W",
        (grad(&penalty, &w) - &w * decay).abs().max().item()? <= 1e-6 * (1.0 + decay),
    )?;
    if usual {
        lab.fact("weight decay leaves smaller weights", trained[1].norm < trained[0].norm)?;
        if !lab.quick() {
            lab.fact(
                format!(
                    "and a smaller gap: {:.1} points instead of {:.1}",
                    gap(1) * 100.0,
                    gap(0) * 100.0
                ),
                gap(1) < gap(0),
            )?;
        }
    }

    lab.section("dropout");
    lab.figure(figure(2, format!("Dropout, ratio {ratio}")));
    lab.table(&columns, &(0..cases.len()).map(row).collect::<Vec<_>>());
    if usual && !lab.quick() {
        lab.fact(
            format!(
                "dropout makes the gap smaller: {:.1} points instead of {:.1}",
                gap(2) * 100.0,
                gap(0) * 100.0
            ),
            gap(2) < gap(0),
        )?;
    }

    lab.section("scaling");
    let x = Tensor::from([1.0, 2.0, -3.0, 0.5]);
    let (p, draws) = (ratio, 10_000);
    let random = Tensor::uniform(
        stream_key(seed, "dropout", 0),
        &Tensor::scalar(0.0, DType::I64),
        [draws, 4],
    );
    let kept = random.greater_equal(&Tensor::from(p as f32)).cast(DType::F32);
    let book = &kept * &x; // in training: drop; in evaluation: x (1 − p)
    let inverted = &book / (1.0 - p); // in training: drop and scale; in evaluation: x
    lab.print(format!(
        "mean of {draws} trainings, the book's    {}\n  its evaluation, x (1 − p)          {}\nmean of {draws} trainings, the library's {}\n  its evaluation, x                  {x}",
        book.mean_axes(&[0], false),
        &x * (1.0 - p),
        inverted.mean_axes(&[0], false),
    ));
    // Five standard errors of the mean of 10,000 draws of 0 or 1 / (1 − p).
    let error = 5.0 * (p / (1.0 - p)).sqrt() / 100.0;
    let off = |mean: Tensor, expected: Tensor, scale: f64| {
        Ok::<_, Error>(
            ((mean - expected) / (&x * scale)).abs().max().item()? < error + 1e-5,
        )
    };
    lab.fact(
        "both: what evaluation gives is what training gives on average",
        off(book.mean_axes(&[0], false), &x * (1.0 - p), 1.0 - p)?
            && off(inverted.mean_axes(&[0], false), x.clone(), 1.0)?,
    )?;
    let layer = Sequential::new().dropout(ratio);
    let ones = Tensor::ones([10_000]);
    layer.build(&ones, seed)?;
    let dropped = layer.forward(&ones, &mut Context::train(seed)).to_vec::<f32>()?;
    let scaled = (1.0 / (1.0 - p)) as f32;
    lab.fact(
        "the layer Dropout gives 0 or x / (1 − p) in training, and x in evaluation",
        dropped.iter().all(|y| *y == 0.0 || (y - scaled).abs() < 1e-6)
            && layer.forward(&ones, &mut Context::evaluate()).to_vec::<f32>()?
                == vec![1.0; 10_000],
    )?;
    Ok(())
}
