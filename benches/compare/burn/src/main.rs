//! Burn on the CPU ("flex") training or running the networks of the comparison.

#[path = "../../common.rs"]
mod common;

use burn::{
    module::Module,
    nn::{
        BatchNorm, BatchNormConfig, Dropout, DropoutConfig, Linear, LinearConfig, PaddingConfig2d,
        conv::{Conv2d, Conv2dConfig},
        loss::CrossEntropyLossConfig,
        pool::{MaxPool2d, MaxPool2dConfig},
    },
    optim::{AdamConfig, GradientsParams, SgdConfig},
    tensor::{Device, Int, Tensor, TensorData, activation},
};
use common::{CLASSES, Feed, Options, measure};

const VERSION: &str = "0.23.0-pre.1";

/// `relu(bn(conv(relu(bn(conv(x))))) + shortcut(x))`.
#[derive(Module, Debug)]
struct Block {
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    norm2: BatchNorm,
    shortcut: Option<(Conv2d, BatchNorm)>,
}

impl Block {
    fn new(from: usize, to: usize, stride: usize, device: &Device) -> Self {
        let norm = || BatchNormConfig::new(to).init(device);
        Self {
            conv1: conv(from, to, 3, stride, 1, false, device),
            norm1: norm(),
            conv2: conv(to, to, 3, 1, 1, false, device),
            norm2: norm(),
            shortcut: (stride != 1).then(|| (conv(from, to, 1, stride, 0, false, device), norm())),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let y = activation::relu(self.norm1.forward(self.conv1.forward(x.clone())));
        let y = self.norm2.forward(self.conv2.forward(y));
        let x = match &self.shortcut {
            Some((conv, norm)) => norm.forward(conv.forward(x)),
            None => x,
        };
        activation::relu(y + x)
    }
}

/// What stands before the last axis is flattened.
#[derive(Module, Debug)]
enum Image {
    Conv(Conv2d),
    ConvRelu(Conv2d),
    Norm(BatchNorm),
    Pool(MaxPool2d),
    Block(Block),
}

#[derive(Module, Debug)]
enum Row {
    Linear(Linear),
    Norm(BatchNorm),
    Dropout(Dropout),
}

#[derive(Module, Debug)]
struct Net {
    images: Vec<Image>,
    rows: Vec<Row>,
    #[module(skip)]
    mean: bool,
    /// Whether a row is followed by ReLU (1), by sigmoid (2) or by nothing.
    #[module(skip)]
    after: Vec<usize>,
}

impl Net {
    fn forward(&self, mut x: Tensor<4>) -> Tensor<2> {
        for layer in &self.images {
            x = match layer {
                Image::Conv(layer) => layer.forward(x),
                Image::ConvRelu(layer) => activation::relu(layer.forward(x)),
                Image::Norm(layer) => activation::relu(layer.forward(x)),
                Image::Pool(layer) => layer.forward(x),
                Image::Block(layer) => layer.forward(x),
            };
        }
        let mut x: Tensor<2> = if self.mean {
            x.flatten::<3>(2, 3).mean_dim(2).flatten(1, 2)
        } else {
            x.flatten(1, 3)
        };
        for (layer, after) in self.rows.iter().zip(&self.after) {
            x = match layer {
                Row::Linear(layer) => layer.forward(x),
                Row::Norm(layer) => layer.forward(x),
                Row::Dropout(layer) => layer.forward(x),
            };
            x = match after {
                1 => activation::relu(x),
                2 => activation::sigmoid(x),
                _ => x,
            };
        }
        x
    }
}

fn conv(
    from: usize,
    to: usize,
    kernel: usize,
    stride: usize,
    padding: usize,
    bias: bool,
    device: &Device,
) -> Conv2d {
    Conv2dConfig::new([from, to], [kernel, kernel])
        .with_stride([stride, stride])
        .with_padding(PaddingConfig2d::Explicit(
            padding, padding, padding, padding,
        ))
        .with_bias(bias)
        .init(device)
}

fn net(name: &str, device: &Device) -> Net {
    let linear = |from, to| Row::Linear(LinearConfig::new(from, to).init(device));
    let dropout = || Row::Dropout(DropoutConfig::new(0.5).init());
    let pool = || Image::Pool(MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init());
    let (mut images, mut rows, mut after) = (Vec::new(), Vec::new(), Vec::new());
    match name {
        "two-layer-net" => {
            rows.extend([linear(784, 50), linear(50, CLASSES)]);
            after.extend([2, 0]);
        }
        "multi-layer-net" => {
            for layer in 0..5 {
                rows.push(linear(if layer == 0 { 784 } else { 100 }, 100));
                rows.push(Row::Norm(BatchNormConfig::new(100).init(device)));
                rows.push(dropout());
                after.extend([0, 1, 0]);
            }
            rows.push(linear(100, CLASSES));
            after.push(0);
        }
        "simple-convnet" => {
            images.extend([Image::ConvRelu(conv(1, 30, 5, 1, 0, true, device)), pool()]);
            rows.extend([linear(4320, 100), linear(100, CLASSES)]);
            after.extend([1, 0]);
        }
        "deep-convnet" => {
            for (from, to, padding) in [(1, 16, 1), (16, 32, 2), (32, 64, 1)] {
                images.push(Image::ConvRelu(conv(from, to, 3, 1, 1, true, device)));
                images.push(Image::ConvRelu(conv(to, to, 3, 1, padding, true, device)));
                images.push(pool());
            }
            rows.extend([linear(1024, 50), dropout(), linear(50, CLASSES), dropout()]);
            after.extend([1, 0, 0, 0]);
        }
        "resnet20" => {
            images.push(Image::Conv(conv(3, 16, 3, 1, 1, false, device)));
            images.push(Image::Norm(BatchNormConfig::new(16).init(device)));
            let mut from = 16;
            for to in [16, 32, 64] {
                for _ in 0..3 {
                    images.push(Image::Block(Block::new(
                        from,
                        to,
                        if from == to { 1 } else { 2 },
                        device,
                    )));
                    from = to;
                }
            }
            rows.push(linear(64, CLASSES));
            after.push(0);
        }
        _ => panic!("no network {name}"),
    }
    Net {
        images,
        rows,
        after,
        mean: name == "resnet20",
    }
}

fn main() {
    let options = Options::read();
    let plain = Device::flex();
    let device = if options.infer {
        plain
    } else {
        plain.autodiff()
    };
    let net = net(&options.net, &device);
    let mut feed = Feed::new(&options);
    let [channels, height, width] = options.shape();
    let images = |x: Vec<f32>| {
        Tensor::<4>::from_data(
            TensorData::new(x, [options.batch, channels, height, width]),
            &device,
        )
    };
    if options.infer {
        return measure("burn", VERSION, &options, || {
            net.forward(images(feed.next().0)).into_data();
        });
    }
    let mut optimizer = if options.adam() {
        AdamConfig::new().init()
    } else {
        SgdConfig::new().init()
    };
    let rate = if options.adam() { 1e-3 } else { 0.1 };
    let loss = CrossEntropyLossConfig::new().init(&device);
    let mut model = Some(net);
    measure("burn", VERSION, &options, || {
        let (x, t) = feed.next();
        let t: Vec<i64> = t.into_iter().map(i64::from).collect();
        let t = Tensor::<1, Int>::from_data(TensorData::new(t, [options.batch]), &device);
        let Some(net) = model.take() else { return };
        let value = loss.forward(net.forward(images(x)), t);
        let gradients = GradientsParams::from_grads(value.backward(), &net);
        model = Some(optimizer.step(rate, net, gradients));
    });
}
