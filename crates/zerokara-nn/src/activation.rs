//! Activation functions by name.

use zerokara_core::Tensor;

/// An activation function.
#[doc(alias("activation_function", "Relu", "Sigmoid"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Activation {
    /// `max(x, 0)` (page 51 of the book).
    Relu,
    /// `x` where positive, else `0.01 x`.
    LeakyRelu,
    /// `x` where positive, else `e^x - 1`.
    Elu,
    /// `x Phi(x)`, Phi the normal distribution function.
    Gelu,
    /// [`Activation::Gelu`] with the hyperbolic tangent for the distribution function.
    GeluTanh,
    /// `x / (1 + e^-x)`, also called swish.
    Silu,
    /// `x tanh(ln(1 + e^x))`.
    Mish,
    /// `x min(max(x / 6 + 1/2, 0), 1)`.
    HardSwish,
    /// The exponential linear unit scaled so that mean and variance stay 0 and 1.
    Selu,
    /// `x` where positive, else `e^x - 1`, whose slope is continuous for other scales too.
    Celu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `ln(1 + e^x)`.
    Softplus,
    /// `1 / (1 + e^-x)` (page 46).
    Sigmoid,
    /// `min(max(x / 6 + 1/2, 0), 1)`.
    HardSigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x` beyond -1/2 and 1/2, 0 between.
    Hardshrink,
    /// `x` nearer to 0 by 1/2, 0 between -1/2 and 1/2.
    Softshrink,
}

impl Activation {
    /// All of them.
    pub const ALL: [Activation; 18] = [
        Activation::Relu,
        Activation::LeakyRelu,
        Activation::Elu,
        Activation::Gelu,
        Activation::GeluTanh,
        Activation::Silu,
        Activation::Mish,
        Activation::HardSwish,
        Activation::Selu,
        Activation::Celu,
        Activation::Relu6,
        Activation::Softplus,
        Activation::Sigmoid,
        Activation::HardSigmoid,
        Activation::Tanh,
        Activation::Softsign,
        Activation::Hardshrink,
        Activation::Softshrink,
    ];

    /// The function of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|f| f.name() == name)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Relu => "relu",
            Activation::LeakyRelu => "leaky_relu",
            Activation::Elu => "elu",
            Activation::Gelu => "gelu",
            Activation::Silu => "silu",
            Activation::Softplus => "softplus",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
            Activation::GeluTanh => "gelu_tanh",
            Activation::Mish => "mish",
            Activation::HardSwish => "hard_swish",
            Activation::Selu => "selu",
            Activation::Celu => "celu",
            Activation::Relu6 => "relu6",
            Activation::HardSigmoid => "hard_sigmoid",
            Activation::Softsign => "softsign",
            Activation::Hardshrink => "hardshrink",
            Activation::Softshrink => "softshrink",
        }
    }

    /// The function of every element.
    #[track_caller]
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Activation::Relu => x.relu(),
            Activation::LeakyRelu => x.leaky_relu(0.01),
            Activation::Elu => x.elu(1.0),
            Activation::Gelu => x.gelu(),
            Activation::Silu => x.silu(),
            Activation::Softplus => x.softplus(),
            Activation::Sigmoid => x.sigmoid(),
            Activation::Tanh => x.tanh(),
            Activation::GeluTanh => x.gelu_tanh(),
            Activation::Mish => x.mish(),
            Activation::HardSwish => x.hard_swish(),
            Activation::Selu => x.selu(),
            Activation::Celu => x.celu(1.0),
            Activation::Relu6 => x.clamp(0.0, 6.0),
            Activation::HardSigmoid => x.hard_sigmoid(1.0 / 6.0, 0.5),
            Activation::Softsign => x.softsign(),
            Activation::Hardshrink => x.shrink(0.5, 0.0),
            Activation::Softshrink => x.shrink(0.5, 0.5),
        }
    }
}
