//! SimpleConvNet (pages 228 to 233): conv, ReLU, pool, affine, ReLU, affine; forward, and backward layer by layer.

use crate::prelude::*;

lab!("simple_convnet", chapter 7, pages "228–233",
    Choice::count("batch", "100", "images in the batch whose gradient is shown, up to 10,000").quick("20"),
);

/// The book's network, with its layers as fields.
#[derive(Module, Clone)]
struct SimpleConvNet {
    conv1: Conv2d,
    pool1: MaxPool2d,
    linear1: Linear,
    linear2: Linear,
}

/// A layer's name, its function, and what it learns.
type Layer<'a> = (&'static str, Box<dyn Fn(&Tensor) -> Tensor + 'a>, Vec<Parameter>);

impl SimpleConvNet {
    fn new() -> Self {
        Self {
            conv1: Conv2d::new(30, 5),
            pool1: MaxPool2d::new(2),
            linear1: Linear::new(100),
            linear2: Linear::new(10),
        }
    }

    /// The layers in order, as in the book's `OrderedDict`.
    fn layers(&self) -> Result<Vec<Layer<'_>>> {
        let on = Context::evaluate;
        Ok(vec![
            (
                "Conv1",
                Box::new(move |x| self.conv1.forward(x, &mut on())),
                self.conv1.parameters()?,
            ),
            ("Relu1", Box::new(|x| x.relu()), vec![]),
            ("Pool1", Box::new(move |x| self.pool1.forward(x, &mut on())), vec![]),
            // The book's Affine flattens its input by itself.
            (
                "Affine1",
                Box::new(move |x| self.linear1.forward(&x.reshape([0, -1]), &mut on())),
                self.linear1.parameters()?,
            ),
            ("Relu2", Box::new(|x| x.relu()), vec![]),
            (
                "Affine2",
                Box::new(move |x| self.linear2.forward(x, &mut on())),
                self.linear2.parameters()?,
            ),
        ])
    }
}

impl Forward for SimpleConvNet {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let x = self.pool1.forward(&self.conv1.forward(x, cx).relu(), cx);
        self.linear2.forward(&self.linear1.forward(&x.reshape([0, -1]), cx).relu(), cx)
    }
}

fn run(lab: &mut Session) -> Result<()> {
    lab.section("network");
    let mnist = lab.mnist()?;
    let batch = Loader::new(&mnist.train, 100)?.batch_of(
        &(0..lab.count("batch").min(mnist.train.len()).min(10_000)).collect::<Vec<_>>(),
    )?;
    let n = batch.len();
    let (x, t) = (Tensor::new(batch.shape, batch.images), Tensor::from(batch.labels));
    let network = SimpleConvNet::new();
    network.build(&x, lab.seed())?;
    let picture = GraphDrawing::new("SimpleConvNet")
        .name(&x, "x")
        .result(&network.forward(&x, &mut Context::evaluate()), "scores")
        .detail(Detail::Layers)
        .direction(Direction::Down)
        .figure()?;
    lab.figure(picture);
    let rows: Vec<Vec<String>> = network
        .named_parameters()?
        .iter()
        .map(|(name, p)| {
            vec![name.clone(), format!("{:?}", p.meta().shape), p.meta().len().to_string()]
        })
        .collect();
    lab.table(&["parameter", "shape", "numbers"], &rows);
    lab.fact("there are 433,890 numbers to learn", network.parameter_count()? == 433_890)?;

    lab.section("training");
    let trained = lab.simple_convnet()?;
    let curve =
        |of: fn(&zerokara::train::metrics::Epoch) -> Option<f64>| -> Vec<(f64, f64)> {
            let points =
                trained.history.iter().filter_map(|e| Some((e.epoch as f64, of(e)?)));
            points.collect()
        };
    let plot = Plot::new("Accuracy by epoch")
        .axes("epoch", "accuracy")
        .path("training images", curve(|e| e.train_accuracy))
        .path("test images", curve(|e| e.test_accuracy))
        .dashed()
        .x_range(0.5, trained.history.len() as f64 + 0.5)
        .x_ticks(trained.history.iter().map(|e| (e.epoch as f64, e.epoch.to_string())));
    lab.figure(plot.figure());
    lab.print(format!("test accuracy {:.2} %", trained.test_accuracy() * 100.0));
    if !lab.quick() {
        lab.fact(
            "at least 98 % of the test images are right",
            trained.test_accuracy() >= 0.98,
        )?;
    }
    // The trained values for the network of this file.
    let state = trained.model.module().state()?;
    for (name, parameter) in network.named_parameters()? {
        let same = state.iter().find(|(path, _)| path.ends_with(&name));
        let (_, value) =
            same.ok_or_else(|| Error::new(format!("nothing was trained for {name}")))?;
        parameter.set_array(value.clone())?;
    }

    lab.section("forward");
    // Every layer's input is kept, as the layers of the book keep theirs.
    let layers = network.layers()?;
    let mut inputs = vec![x.clone()];
    let mut rows = Vec::new();
    for (name, layer, parameters) in &layers {
        let y = Tensor::from(layer(&inputs[inputs.len() - 1]).eval()?);
        let count: usize = parameters.iter().map(|p| p.meta().len()).sum();
        rows.push(vec![
            name.to_string(),
            format!("{:?}", inputs[inputs.len() - 1].shape()?),
            format!("{:?}", y.shape()?),
            count.to_string(),
        ]);
        inputs.push(y);
    }
    lab.table(&["layer", "input", "output", "parameters"], &rows);
    let scores = inputs.pop().unwrap_or(x.clone());
    let whole = network.forward(&x, &mut Context::evaluate());
    lab.fact(
        "layer by layer gives what the network gives",
        (&scores - &whole).abs().max().item()? < 1e-4,
    )?;
    let loss = scores.cross_entropy(&t).mean();
    lab.print(format!("loss {:.5}", loss.item()?));

    lab.section("backward");
    // The gradient of the loss with respect to the scores: (y − t) / N.
    let mut dout = Tensor::from(grad(&loss, &scores).eval()?);
    let by_hand = (scores.softmax() - t.one_hot(10).cast(DType::F32)) / n as f64;
    lab.fact(
        "SoftmaxWithLoss begins with (y − t) / N",
        (&dout - by_hand).abs().max().item()? < 1e-6,
    )?;
    let norm = |t: &Tensor| t.square().sum().sqrt().item();
    let mut rows = vec![vec![
        "SoftmaxWithLoss".into(),
        String::new(),
        format!("{:?}", dout.shape()?),
        number(norm(&dout)?),
        String::new(),
        String::new(),
    ]];
    let mut sizes = Vec::new();
    let mut found = Vec::new();
    for ((name, layer, parameters), x) in layers.iter().zip(&inputs).rev() {
        let weights: Vec<Tensor> = parameters.iter().map(Parameter::tensor).collect();
        let wrt: Vec<&Tensor> = std::iter::once(x).chain(&weights).collect();
        // backward(dout): this layer's own gradient, multiplied by what comes from above.
        let mut parts = gradients(&(layer(x) * &dout).sum(), &wrt);
        let own = parts.split_off(1);
        let dx = Tensor::from(parts.remove(0).eval()?);
        let mut row = vec![
            name.to_string(),
            format!("{:?}", dout.shape()?),
            format!("{:?}", dx.shape()?),
            number(norm(&dx)?),
        ];
        for at in 0..2 {
            row.push(own.get(at).map(norm).transpose()?.map(number).unwrap_or_default());
        }
        rows.push(row);
        sizes.push((*name, norm(&dx)? / (dx.meta()?.len() as f64).sqrt()));
        found.splice(0..0, own);
        dout = dx;
    }
    lab.table(&["layer", "dout", "dx", "‖dx‖", "‖dW‖", "‖db‖"], &rows);
    let bars = sizes.iter().rev().enumerate().map(|(i, s)| (i as f64, s.1));
    let ticks = sizes.iter().rev().enumerate().map(|(i, s)| (i as f64, s.0));
    lab.figure(
        Plot::new("Size of the gradient at each layer's input")
            .axes("layer", "root mean square of dx")
            .path("", bars.collect::<Vec<_>>())
            .x_ticks(ticks.collect::<Vec<_>>())
            .log_y()
            .figure(),
    );
    lab.fact("each dx has the shape of the layer's input", dout.shape()? == x.shape()?)?;
    // All at once, from the graph of the whole network.
    let parameters: Vec<Tensor> =
        network.parameters()?.iter().map(Parameter::tensor).collect();
    let at_once =
        gradients(&whole.cross_entropy(&t).mean(), &parameters.iter().collect::<Vec<_>>());
    for ((a, b), (name, _)) in at_once.iter().zip(&found).zip(network.named_parameters()?) {
        let apart = norm(&(a - b))?;
        lab.fact(
            format!("{name}: backward layer by layer is the gradient of the whole"),
            apart <= 1e-4 * norm(a)?.max(1e-6),
        )?;
    }
    Ok(())
}

/// Three digits, in powers of ten where that is shorter.
fn number(value: f64) -> String {
    if (1e-3..1e4).contains(&value) {
        format!("{value:.4}")
    } else {
        format!("{value:.1e}")
    }
}
