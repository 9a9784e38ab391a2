//! A learned map of the digits: a network that has only two numbers to say what it saw.

use crate::prelude::*;
use zerokara::figures::numbers::percent;

lab!("embedding", chapter 0, pages "",
    Choice::count("epochs", "3", "epochs of training (at most 100)").quick("10"),
    Choice::count("images", "60000", "training images (at most 60000)").quick("1000"),
    Choice::count("shown", "600", "test images in the pictures (at most 3000)").quick("200"),
);

fn run(lab: &mut Session) -> Result<()> {
    lab.section("bottleneck");
    let (epochs, images) = (lab.count("epochs"), lab.count("images"));
    let shown = lab.count("shown");
    if epochs > 100 || images > 60_000 || shown > 3_000 {
        return Err(Error::new("at most 100 epochs, 60000 training images and 3000 shown"));
    }
    let mut mnist = lab.mnist()?;
    mnist.train = mnist.train.take(images);
    let trainer = Trainer::new(DigitMap::new(), SoftmaxCrossEntropy::new())
        .optimizer(Adam::new(3e-3))
        .schedule_over(Schedule::one_cycle)
        .batch_size(lab.pick(100, 25))
        .epochs(epochs as u64);
    let name = format!("embedding-{images}-images-{epochs}-epochs");
    let trained = lab.trained(&name, trainer, &mnist)?;
    let accuracy = trained.test_accuracy();
    lab.print(format!("{} of the test images are right", percent(accuracy)));
    if images == 60_000 && epochs >= 3 && !lab.quick() {
        lab.fact("two numbers are enough to name 95 % of the digits", accuracy >= 0.95)?;
    }
    // What holds once something has been learned.
    let learned = accuracy > 0.3;

    lab.section("map");
    // The same network, this time with a name for its middle.
    let network = DigitMap::new();
    network.build(&Tensor::zeros([1, 1, 28, 28]), 0)?;
    network.load_state(&trained.model.module().state()?)?;
    let test = mnist.test.take(3_000);
    let (x, labels) = (pixels(&test)?, test.labels());
    let z = network.map.forward(&x, &mut Context::evaluate());
    let scores = network.classes.forward(&z, &mut Context::evaluate());
    let [z, scores] = [&z, &scores].map(|t| t.to_vec::<f32>());
    let (z, scores) = (points(&z?), scores?);
    let classes = Regions::new(&network.classes)?;
    let answers: Vec<usize> = scores.chunks(10).map(best).collect();
    let here = |&(u, v): &(f64, f64)| best(&classes.scores(u, v).map(|s| s as f32));
    let same = z.iter().zip(&answers).filter(|(z, answer)| here(z) == **answer).count();
    lab.fact(
        "the region in which a digit lies is the network's answer (but for 0.1 % of rounding)",
        same * 1000 >= z.len() * 999,
    )?;
    let mut plot = scatter("The learned map", &z[..shown.min(z.len())], labels)
        .axes("first number", "second number");
    let (x_range, y_range) = (range(&z, |p| p.0), range(&z, |p| p.1));
    for class in 0..10 {
        let lead = |u, v| classes.lead(class, u, v);
        plot = plot.contours("", lead, &[0.0], x_range, y_range);
    }
    lab.figure(plot.figure());

    lab.section("borders");
    let mut by_margin: Vec<(f64, usize)> =
        z.iter().map(|&(u, v)| classes.margin(u, v)).zip(0..).collect();
    by_margin.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut tiles = Tiles::new("Nearest to a border: label, and the two candidates");
    for &(_, i) in by_margin.iter().take(20) {
        let mut order: Vec<usize> = (0..10).collect();
        let score = |class: usize| scores[i * 10 + class];
        order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
        if let Some(picture) = Picture::from_pixels(&unit(&test.sample(i)), [1, 28, 28]) {
            tiles =
                tiles.add(picture, format!("{}: {} or {}", labels[i], order[0], order[1]));
        }
    }
    lab.figure(tiles.columns(7).tile_size(48).figure());
    let right = |part: &[(f64, usize)]| {
        let right = part.iter().filter(|(_, i)| answers[*i] as i64 == labels[*i]);
        right.count() as f64 / part.len().max(1) as f64
    };
    let (near, far) = by_margin.split_at(by_margin.len() / 10);
    lab.print(format!(
        "right: {} of the tenth nearest to a border,\n       {} of the others",
        percent(right(near)),
        percent(right(far))
    ));
    if learned {
        lab.fact("near borders the network errs more often", right(near) < right(far))?;
    }

    lab.section("linear");
    let principal = principal_axes(&pixels(&mnist.train.take(5_000))?)?;
    let project = |x: &Tensor| -> Result<Vec<(f64, f64)>> {
        Ok(points(&x.reshape([0, -1]).matmul(&principal).to_vec::<f32>()?))
    };
    let flat = project(&x)?;
    lab.figure(
        scatter(
            "The first two principal components",
            &flat[..shown.min(flat.len())],
            labels,
        )
        .axes("first component", "second component")
        .figure(),
    );
    let few = mnist.train.take(2_000);
    let places =
        network.map.forward(&pixels(&few)?, &mut Context::evaluate()).to_vec::<f32>()?;
    let by_map = nearest_centre(&points(&places), few.labels(), &z, labels);
    let by_components =
        nearest_centre(&project(&pixels(&few)?)?, few.labels(), &flat, labels);
    lab.table(
        &["plane", "named right by the nearest class centre"],
        &[
            vec!["learned by the network".into(), percent(by_map)],
            vec!["principal components".into(), percent(by_components)],
        ],
    );
    if learned {
        lab.fact(
            "the learned map separates the classes better than the best linear view",
            by_map > by_components,
        )?;
    }
    Ok(())
}

/// A convolutional network that ends in two numbers, and ten classes told from these.
#[derive(Module, Clone)]
struct DigitMap {
    map: Sequential,
    classes: Linear,
}

impl DigitMap {
    fn new() -> Self {
        let map = Sequential::new()
            .conv2d(16, 5)
            .relu()
            .max_pool2d(2)
            .conv2d(24, 5)
            .relu()
            .max_pool2d(2)
            .flatten()
            .linear(64)
            .relu()
            .linear(2);
        Self { map, classes: Linear::new(10) }
    }
}

impl Forward for DigitMap {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let z = self.map.forward(x, cx);
        self.classes.forward(&z, cx)
    }
}

/// The last layer: a score for each class at each place of the plane.
struct Regions {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Regions {
    fn new(classes: &Linear) -> Result<Self> {
        let parameters = classes.parameters()?;
        let values = |at: usize| parameters[at].tensor().to_vec::<f32>();
        Ok(Self { weight: values(0)?, bias: values(1)? })
    }

    fn scores(&self, u: f64, v: f64) -> [f64; 10] {
        std::array::from_fn(|k| {
            let [a, b, c] = [self.weight[2 * k], self.weight[2 * k + 1], self.bias[k]];
            f64::from(a) * u + f64::from(b) * v + f64::from(c)
        })
    }

    /// By how much a class leads before all others; 0 at the border of its region.
    fn lead(&self, class: usize, u: f64, v: f64) -> f64 {
        let scores = self.scores(u, v);
        let others = (0..10).filter(|&k| k != class).map(|k| scores[k]);
        scores[class] - others.fold(f64::NEG_INFINITY, f64::max)
    }

    /// By how much the best class leads before the second.
    fn margin(&self, u: f64, v: f64) -> f64 {
        (0..10).map(|class| self.lead(class, u, v)).fold(f64::NEG_INFINITY, f64::max)
    }
}

/// The two directions in which images differ most: the leading eigenvectors of their covariance, by orthogonal
/// iteration.
fn principal_axes(x: &Tensor) -> Result<Tensor> {
    let rows = x.reshape([0, -1]);
    let centred = &rows - rows.mean_axes(&[0], true);
    let covariance = Tensor::from(centred.t().matmul(&centred).eval()?);
    let mut axes = Tensor::normal(1, &Tensor::scalar(0.0, DType::I64), [784, 2]);
    for _ in 0..50 {
        let moved = covariance.matmul(&axes);
        let (a, b) = (moved.narrow(1, 0, 1), moved.narrow(1, 1, 1));
        let a = &a / a.square().sum().sqrt();
        let b = &b - &a * (&a * &b).sum();
        let b = &b / b.square().sum().sqrt();
        axes = Tensor::from(Tensor::concat(&[&a, &b], 1).eval()?);
    }
    Ok(axes)
}

/// The share of points that lie nearest to the mean of their own class.
fn nearest_centre(
    known: &[(f64, f64)],
    of: &[i64],
    points: &[(f64, f64)],
    labels: &[i64],
) -> f64 {
    let mut centres = [(0.0, 0.0, 0.0); 10];
    for (point, &label) in known.iter().zip(of) {
        let c = &mut centres[label as usize];
        *c = (c.0 + point.0, c.1 + point.1, c.2 + 1.0);
    }
    let centres = centres.map(|(u, v, n)| (u / n, v / n));
    let nearest = |p: &(f64, f64)| {
        let far = centres.map(|c| -(c.0 - p.0).hypot(c.1 - p.1) as f32);
        best(&far) as i64
    };
    let right = points.iter().zip(labels).filter(|(p, label)| nearest(p) == **label);
    right.count() as f64 / points.len() as f64
}

/// Every point as its digit, in the digit's colour.
fn scatter(title: &str, points: &[(f64, f64)], labels: &[i64]) -> Plot {
    let (x, y) = (range(points, |p| p.0), range(points, |p| p.1));
    let mut plot = Plot::new(title).size(560, 480).x_range(x.0, x.1).y_range(y.0, y.1);
    for class in 0..10 {
        let of_class = points.iter().zip(labels).filter(|(_, label)| **label == class);
        plot =
            plot.marks(class.to_string(), of_class.map(|(p, _)| *p)).color(class as usize);
    }
    plot
}

/// From the lowest to the highest, and a little beyond.
fn range(points: &[(f64, f64)], part: fn(&(f64, f64)) -> f64) -> (f64, f64) {
    let (low, high) = points
        .iter()
        .map(part)
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
            (low.min(v), high.max(v))
        });
    (low - 0.04 * (high - low), high + 0.04 * (high - low))
}

fn pixels(split: &Split) -> Result<Tensor> {
    let batch = Loader::new(split, split.len())?.batch(0)?;
    Ok(Tensor::new(batch.shape, batch.images))
}

fn points(pairs: &[f32]) -> Vec<(f64, f64)> {
    pairs.chunks_exact(2).map(|p| (f64::from(p[0]), f64::from(p[1]))).collect()
}

fn unit(bytes: &[f32]) -> Vec<f32> {
    bytes.iter().map(|v| v / 255.0).collect()
}

/// The number of the largest value.
fn best(values: &[f32]) -> usize {
    let mut at = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[at] {
            at = i;
        }
    }
    at
}
