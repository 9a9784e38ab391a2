//! Activation functions by name.

use zerokara_core::Tensor;

/// An activation function.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    /// `max(x, 0)` (page 51 of the book).
    Relu,
    /// `1 / (1 + e^-x)` (page 46).
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
}

impl Activation {
    /// All of them, with the names that [`Activation::by_name`] knows.
    pub const ALL: [(&'static str, Activation); 3] = [
        ("relu", Activation::Relu),
        ("sigmoid", Activation::Sigmoid),
        ("tanh", Activation::Tanh),
    ];

    /// The function of this name.
    pub fn by_name(name: &str) -> Option<Self> {
        let found = Self::ALL.iter().find(|(n, _)| *n == name)?;
        Some(found.1)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Activation::Relu => "relu",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
        }
    }

    /// The function of every element.
    #[track_caller]
    pub fn apply(self, x: &Tensor) -> Tensor {
        match self {
            Activation::Relu => x.relu(),
            Activation::Sigmoid => x.sigmoid(),
            Activation::Tanh => x.tanh(),
        }
    }
}
