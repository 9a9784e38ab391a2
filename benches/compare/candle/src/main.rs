//! Candle training or running the networks of the comparison.

#[path = "../../common.rs"]
mod common;

use candle_core::{D, DType, Device, ModuleT, Result, Tensor};
use candle_nn::{
    AdamW, BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Dropout, Linear, Optimizer,
    ParamsAdamW, SGD, VarBuilder, VarMap, batch_norm, conv2d, conv2d_no_bias, linear, loss, ops,
};
use common::{CLASSES, Feed, Options, measure};

const VERSION: &str = "0.11.1";

/// `relu(bn(conv(relu(bn(conv(x))))) + shortcut(x))`.
struct Block {
    conv1: Conv2d,
    norm1: BatchNorm,
    conv2: Conv2d,
    norm2: BatchNorm,
    shortcut: Option<(Conv2d, BatchNorm)>,
}

impl Block {
    fn new(from: usize, to: usize, stride: usize, vb: VarBuilder) -> Result<Self> {
        let config = |stride, padding| Conv2dConfig {
            stride,
            padding,
            ..Default::default()
        };
        let norm = |name| batch_norm(to, BatchNormConfig::default(), vb.pp(name));
        Ok(Self {
            conv1: conv2d_no_bias(from, to, 3, config(stride, 1), vb.pp("conv1"))?,
            norm1: norm("norm1")?,
            conv2: conv2d_no_bias(to, to, 3, config(1, 1), vb.pp("conv2"))?,
            norm2: norm("norm2")?,
            shortcut: match stride {
                1 => None,
                _ => Some((
                    conv2d_no_bias(from, to, 1, config(stride, 0), vb.pp("conv3"))?,
                    norm("norm3")?,
                )),
            },
        })
    }

    fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        let y = self
            .norm1
            .forward_t(&self.conv1.forward_t(x, train)?, train)?
            .relu()?;
        let y = self
            .norm2
            .forward_t(&self.conv2.forward_t(&y, train)?, train)?;
        match &self.shortcut {
            Some((conv, norm)) => y + norm.forward_t(&conv.forward_t(x, train)?, train)?,
            None => y + x,
        }?
        .relu()
    }
}

enum Layer {
    Linear(Linear),
    Conv(Conv2d),
    Norm(BatchNorm),
    Block(Block),
    Dropout(Dropout),
    Relu,
    Sigmoid,
    Pool,
    Flatten,
    Mean,
}

impl Layer {
    fn forward(&self, x: &Tensor, train: bool) -> Result<Tensor> {
        match self {
            Self::Linear(layer) => layer.forward_t(x, train),
            Self::Conv(layer) => layer.forward_t(x, train),
            Self::Norm(layer) => layer.forward_t(x, train),
            Self::Block(layer) => layer.forward(x, train),
            Self::Dropout(layer) => layer.forward(x, train),
            Self::Relu => x.relu(),
            Self::Sigmoid => ops::sigmoid(x),
            Self::Pool => x.max_pool2d(2),
            Self::Flatten => x.flatten_from(1),
            Self::Mean => x.mean(D::Minus1)?.mean(D::Minus1),
        }
    }
}

fn net(name: &str, vb: &VarBuilder) -> Result<Vec<Layer>> {
    let mut layers = Vec::new();
    let at = |n: usize| vb.pp(format!("layer{n}"));
    let affine = |n, from, to| Ok::<_, candle_core::Error>(Layer::Linear(linear(from, to, at(n))?));
    match name {
        "two-layer-net" => layers.extend([
            Layer::Flatten,
            affine(1, 784, 50)?,
            Layer::Sigmoid,
            affine(2, 50, CLASSES)?,
        ]),
        "multi-layer-net" => {
            layers.push(Layer::Flatten);
            for layer in 0..5 {
                layers.push(affine(2 * layer, if layer == 0 { 784 } else { 100 }, 100)?);
                layers.push(Layer::Norm(batch_norm(
                    100,
                    BatchNormConfig::default(),
                    at(2 * layer + 1),
                )?));
                layers.extend([Layer::Relu, Layer::Dropout(Dropout::new(0.5))]);
            }
            layers.push(affine(10, 100, CLASSES)?);
        }
        "simple-convnet" => {
            let conv = conv2d(1, 30, 5, Conv2dConfig::default(), at(0))?;
            layers.extend([Layer::Conv(conv), Layer::Relu, Layer::Pool, Layer::Flatten]);
            layers.extend([affine(1, 4320, 100)?, Layer::Relu, affine(2, 100, CLASSES)?]);
        }
        "deep-convnet" => {
            for (n, (from, to, second)) in [(1, 16, 1), (16, 32, 2), (32, 64, 1)]
                .into_iter()
                .enumerate()
            {
                for (m, (from, padding)) in [(from, 1), (to, second)].into_iter().enumerate() {
                    let config = Conv2dConfig {
                        padding,
                        ..Default::default()
                    };
                    layers.extend([
                        Layer::Conv(conv2d(from, to, 3, config, at(2 * n + m))?),
                        Layer::Relu,
                    ]);
                }
                layers.push(Layer::Pool);
            }
            layers.extend([
                Layer::Flatten,
                affine(6, 1024, 50)?,
                Layer::Relu,
                Layer::Dropout(Dropout::new(0.5)),
            ]);
            layers.extend([affine(7, 50, CLASSES)?, Layer::Dropout(Dropout::new(0.5))]);
        }
        "resnet20" => {
            let config = Conv2dConfig {
                padding: 1,
                ..Default::default()
            };
            layers.push(Layer::Conv(conv2d_no_bias(3, 16, 3, config, at(0))?));
            layers.extend([
                Layer::Norm(batch_norm(16, BatchNormConfig::default(), at(1))?),
                Layer::Relu,
            ]);
            let mut from = 16;
            for (n, to) in [16, 16, 16, 32, 32, 32, 64, 64, 64].into_iter().enumerate() {
                let stride = if from == to { 1 } else { 2 };
                layers.push(Layer::Block(Block::new(from, to, stride, at(n + 2))?));
                from = to;
            }
            layers.extend([Layer::Mean, affine(11, 64, CLASSES)?]);
        }
        _ => panic!("no network {name}"),
    }
    Ok(layers)
}

fn main() -> Result<()> {
    let options = Options::read();
    let device = Device::Cpu;
    let variables = VarMap::new();
    let layers = net(
        &options.net,
        &VarBuilder::from_varmap(&variables, DType::F32, &device),
    )?;
    let mut feed = Feed::new(&options);
    let [channels, height, width] = options.shape();
    let images =
        |x: Vec<f32>| Tensor::from_vec(x, (options.batch, channels, height, width), &device);
    let forward = |mut x: Tensor, train| {
        for layer in &layers {
            x = layer.forward(&x, train)?;
        }
        Ok::<_, candle_core::Error>(x)
    };
    if options.infer {
        measure("candle", VERSION, &options, || {
            let (x, _) = feed.next();
            images(x)
                .and_then(|x| forward(x, false))
                .expect("an output");
        });
        return Ok(());
    }
    let trainable = variables.all_vars();
    let mut sgd = SGD::new(trainable.clone(), 0.1)?;
    // Without decay AdamW is Adam.
    let mut adam = AdamW::new(
        trainable,
        ParamsAdamW {
            lr: 1e-3,
            weight_decay: 0.0,
            ..Default::default()
        },
    )?;
    measure("candle", VERSION, &options, || {
        let (x, t) = feed.next();
        let gradients = images(x)
            .and_then(|x| forward(x, true))
            .and_then(|y| loss::cross_entropy(&y, &Tensor::from_vec(t, options.batch, &device)?))
            .and_then(|loss| loss.backward())
            .expect("gradients");
        if options.adam() {
            adam.step(&gradients)
        } else {
            sgd.step(&gradients)
        }
        .expect("an update");
    });
    Ok(())
}
