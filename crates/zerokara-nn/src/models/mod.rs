//! Ready-made models: those of the book, later ones, and models of language.
//!
//! Each is a [`Sequential`] behind a name; the sizes of inputs are learned when the model is built.

use crate::{
    Activation, BatchNorm1d, Context, Conv2d, Dropout, Forward, Initializer, Linear, Module,
    Residual, Sequential, Visitor,
};
use zerokara_core::Tensor;

mod language;

pub use language::{Gpt, RecurrentLanguageModel};

/// A model that passes everything on to the layers it is made of.
macro_rules! model {
    ($type:ident) => {
        impl Module for $type {
            fn visit(&self, visitor: &mut Visitor<'_>) {
                self.layers.visit(visitor);
            }
        }

        impl Forward for $type {
            fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
                self.layers.forward(x, cx)
            }
        }
    };
}

/// The names that [`by_name`] knows.
pub const NAMES: [&str; 6] = [
    "two-layer-net",
    "multi-layer-net",
    "simple-convnet",
    "deep-convnet",
    "lenet5",
    "resnet20",
];

/// The names of models of language, whose sizes follow from a text: [`Gpt`], and [`RecurrentLanguageModel`] of both kinds.
pub const OF_LANGUAGE: [&str; 3] = ["gpt", "lstm", "gru"];

/// A model by its name, with this many outputs.
pub fn by_name(name: &str, classes: usize) -> Option<Box<dyn Forward>> {
    Some(match name {
        "two-layer-net" => Box::new(TwoLayerNet::new(50, classes)),
        "multi-layer-net" => Box::new(MultiLayerNet::new(&[100; 6], classes).layers()),
        "simple-convnet" => Box::new(SimpleConvNet::new(classes)),
        "deep-convnet" => Box::new(DeepConvNet::new(classes)),
        "lenet5" => Box::new(LeNet5::new(classes)),
        "resnet20" => Box::new(ResNet20::new(classes)),
        _ => return None,
    })
}

/// The book's first network (`TwoLayerNet`, page 113): flatten, affine, sigmoid, affine. Weights begin as normal draws of
/// standard deviation 0.01.
#[derive(Clone, Debug)]
pub struct TwoLayerNet {
    layers: Sequential,
}

impl TwoLayerNet {
    /// With this many hidden neurons and outputs, and sigmoid between; the book has 50 and 10.
    pub fn new(hidden: usize, classes: usize) -> Self {
        Self::with_activation(hidden, classes, Activation::Sigmoid)
    }

    /// With another activation function between.
    pub fn with_activation(hidden: usize, classes: usize, activation: Activation) -> Self {
        let initial = Initializer::Normal { std: 0.01 };
        let layers = Sequential::new()
            .flatten()
            .add(Linear::new(hidden).initializer(initial))
            .activation(activation)
            .add(Linear::new(classes).initializer(initial));
        Self { layers }
    }
}

model!(TwoLayerNet);

/// The book's fully connected networks of chapter 6 (`MultiLayerNet`, `MultiLayerNetExtend`): flatten, then for each hidden
/// layer affine, batch normalization if wanted, activation, dropout if wanted, and a last affine layer.
///
/// The book's weight decay is a term of the loss: see [`crate::TrainStep::l2_penalty`].
///
/// ```
/// use zerokara_core::{DType, Meta};
/// use zerokara_nn::{Activation, Forward, Module, models::MultiLayerNet};
/// let model = MultiLayerNet::new(&[100, 100], 10)
///     .activation(Activation::Tanh)
///     .batch_norm(true)
///     .dropout(0.2)
///     .layers();
/// model.build(&Meta::new([1, 784], DType::F32), 0)?;
/// assert_eq!(model.parameters()?.len(), 3 * 2 + 2 * 2);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
#[doc(alias = "MultiLayerNetExtend")]
#[derive(Clone, Debug)]
pub struct MultiLayerNet {
    hidden: Vec<usize>,
    classes: usize,
    activation: Activation,
    initializer: Option<Initializer>,
    batch_norm: bool,
    dropout: f64,
}

impl MultiLayerNet {
    /// With these numbers of hidden neurons, and ReLU; the book has six layers of 100.
    pub fn new(hidden: &[usize], classes: usize) -> Self {
        Self {
            hidden: hidden.to_vec(),
            classes,
            activation: Activation::Relu,
            initializer: None,
            batch_norm: false,
            dropout: 0.0,
        }
    }

    /// The activation function.
    pub fn activation(mut self, activation: Activation) -> Self {
        self.activation = activation;
        self
    }

    /// The initial values of all weights. Unless set, those that go with the activation: He's for ReLU and its kin,
    /// the book's Xavier (LeCun's) for sigmoid and tanh.
    pub fn initializer(mut self, initializer: Initializer) -> Self {
        self.initializer = Some(initializer);
        self
    }

    /// Whether there is batch normalization before each activation.
    pub fn batch_norm(mut self, batch_norm: bool) -> Self {
        self.batch_norm = batch_norm;
        self
    }

    /// The ratio of elements that dropout drops after each activation; 0 for none.
    pub fn dropout(mut self, ratio: f64) -> Self {
        self.dropout = ratio;
        self
    }

    /// The layers.
    pub fn layers(&self) -> Sequential {
        let initializer = self.initializer.unwrap_or(match self.activation {
            Activation::Sigmoid | Activation::Tanh => Initializer::LeCunNormal,
            _ => Initializer::HeNormal,
        });
        let mut layers = Sequential::new().flatten();
        for &neurons in &self.hidden {
            layers = layers.add(Linear::new(neurons).initializer(initializer));
            if self.batch_norm {
                layers = layers.add(BatchNorm1d::new());
            }
            layers = layers.activation(self.activation);
            if self.dropout != 0.0 {
                layers = layers.add(Dropout::new(self.dropout));
            }
        }
        layers.add(Linear::new(self.classes).initializer(initializer))
    }
}

/// The book's `SimpleConvNet` (page 229): convolution of 30 filters 5x5, ReLU, pooling 2x2, affine 100, ReLU, affine.
///
/// Weights begin as He's initial values; [`SimpleConvNet::of`] takes the book's normal draws of standard deviation 0.01.
#[derive(Clone, Debug)]
pub struct SimpleConvNet {
    layers: Sequential,
}

impl SimpleConvNet {
    /// The book's sizes.
    pub fn new(classes: usize) -> Self {
        Self::of(30, 5, 100, classes, Initializer::HeNormal)
    }

    /// With this many filters of this size, hidden neurons and outputs.
    pub fn of(
        filters: usize,
        kernel: usize,
        hidden: usize,
        classes: usize,
        initializer: Initializer,
    ) -> Self {
        let layers = Sequential::new()
            .add(Conv2d::new(filters, kernel).initializer(initializer))
            .relu()
            .max_pool2d(2)
            .flatten()
            .add(Linear::new(hidden).initializer(initializer))
            .relu()
            .add(Linear::new(classes).initializer(initializer));
        Self { layers }
    }
}

model!(SimpleConvNet);

/// The book's `DeepConvNet` (page 241), 99.4 % on MNIST: three times two convolutions 3x3 with ReLU and a pooling (16,
/// 16, 32, 32, 64, 64 filters; the fourth with padding 2), affine 50, ReLU, dropout, affine, dropout. He's initial values.
#[derive(Clone, Debug)]
pub struct DeepConvNet {
    layers: Sequential,
}

impl DeepConvNet {
    /// The book's sizes, with this many outputs.
    pub fn new(classes: usize) -> Self {
        let mut layers = Sequential::new();
        for (filters, second_padding) in [(16, 1), (32, 2), (64, 1)] {
            layers = layers
                .add(Conv2d::new(filters, 3).padding(1))
                .relu()
                .add(Conv2d::new(filters, 3).padding(second_padding))
                .relu()
                .max_pool2d(2);
        }
        let layers = layers
            .flatten()
            .linear(50)
            .relu()
            .dropout(0.5)
            .linear(classes)
            .dropout(0.5);
        Self { layers }
    }
}

model!(DeepConvNet);

/// LeNet-5 (LeCun et al., 1998) as it is usually built today: two convolutions 5x5 of 6 and 16 filters with tanh and
/// average pooling, then 120, 84 and the outputs. Images of 28x28 are padded by 2, those of 32x32 need none:
/// [`LeNet5::new`] pads.
#[derive(Clone, Debug)]
pub struct LeNet5 {
    layers: Sequential,
}

impl LeNet5 {
    /// With this many outputs.
    pub fn new(classes: usize) -> Self {
        let initial = Initializer::XavierUniform;
        let layers = Sequential::new()
            .add(Conv2d::new(6, 5).padding(2).initializer(initial))
            .tanh()
            .avg_pool2d(2)
            .add(Conv2d::new(16, 5).initializer(initial))
            .tanh()
            .avg_pool2d(2)
            .flatten()
            .add(Linear::new(120).initializer(initial))
            .tanh()
            .add(Linear::new(84).initializer(initial))
            .tanh()
            .add(Linear::new(classes).initializer(initial));
        Self { layers }
    }
}

model!(LeNet5);

/// ResNet-20 (He et al., 2016, section 4.2): a convolution, then three stages of three residual blocks with 16, 32 and 64
/// filters, the mean of each channel, and an affine layer. Where the shape changes, the shortcut is a convolution 1x1.
#[derive(Clone, Debug)]
pub struct ResNet20 {
    layers: Sequential,
}

impl ResNet20 {
    /// With this many outputs. Images of any size and number of channels.
    pub fn new(classes: usize) -> Self {
        let conv = |filters, stride| {
            Conv2d::new(filters, 3)
                .padding(1)
                .stride(stride)
                .bias(false)
        };
        let mut layers = Sequential::new().add(conv(16, 1)).batch_norm2d().relu();
        let mut channels = 16;
        for filters in [16, 32, 64] {
            for _ in 0..3 {
                let stride = if filters == channels { 1 } else { 2 };
                let body = Sequential::new()
                    .add(conv(filters, stride))
                    .batch_norm2d()
                    .relu()
                    .add(conv(filters, 1))
                    .batch_norm2d();
                let mut block = Residual::new(body);
                if stride != 1 {
                    let project = Conv2d::new(filters, 1).stride(stride).bias(false);
                    block = block.shortcut(Sequential::new().add(project).batch_norm2d());
                }
                layers = layers.add(block).relu();
                channels = filters;
            }
        }
        let layers = layers.global_avg_pool2d().linear(classes);
        Self { layers }
    }
}

model!(ResNet20);
