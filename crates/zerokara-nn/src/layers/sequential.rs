//! Layers one after another.

use super::{
    Activate, AvgPool1d, AvgPool2d, BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, ConvTranspose2d,
    Dropout, Factor, Flatten, GlobalAvgPool1d, GlobalAvgPool2d, GroupNorm, LayerNorm, Linear,
    MaxPool1d, MaxPool2d, Pair, RmsNorm, Upsample,
};
use crate::{Activation, Context, Forward, Module, Visitor};
use std::{
    collections::{HashMap, HashSet},
    fmt,
};
use zerokara_core::{Tensor, scope};

/// A layer behind a pointer that can be copied.
pub(crate) trait AnyLayer: Forward {
    fn copy(&self) -> Box<dyn AnyLayer>;
}

impl<L: Forward + Clone + 'static> AnyLayer for L {
    fn copy(&self) -> Box<dyn AnyLayer> {
        Box::new(self.clone())
    }
}

/// Layers one after another: the output of each is the input of the next.
///
/// Layers are named by what they are and counted per kind: `conv1`, `relu1`, `conv2`, `relu2`, `linear1`, so that
/// adding a ReLU renames no weight. [`Sequential::add_named`] gives a name of one's own.
///
/// ```
/// use zerokara_nn::{Conv2d, Sequential};
/// let model = Sequential::new()
///     .add(Conv2d::new(16, 3).padding(1).bias(false)).batch_norm2d().relu()
///     .max_pool2d(2)
///     .flatten()
///     .linear(10);
/// ```
#[doc(alias = "OrderedDict")]
#[derive(Default)]
pub struct Sequential {
    layers: Vec<(String, Box<dyn AnyLayer>)>,
    /// The names of the layers.
    names: HashSet<String>,
    /// For each kind of layer, the number that was given last.
    numbers: HashMap<String, usize>,
}

impl Sequential {
    /// No layers: the output is the input.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds any layer, named by its type: a `Block` is `block1`.
    #[expect(
        clippy::should_implement_trait,
        reason = "what is added are layers, and the word is the field's"
    )]
    pub fn add(self, layer: impl Forward + Clone + 'static) -> Self {
        let stem = stem(std::any::type_name_of_val(&layer));
        self.push(&stem, layer)
    }

    /// Adds any layer under this name.
    pub fn add_named(
        mut self,
        name: impl Into<String>,
        layer: impl Forward + Clone + 'static,
    ) -> Self {
        let name = name.into();
        self.names.insert(name.clone());
        self.layers.push((name, Box::new(layer)));
        self
    }

    fn push(mut self, stem: &str, layer: impl Forward + Clone + 'static) -> Self {
        let number = self.numbers.entry(stem.to_string()).or_insert(0);
        // Others may have been given such names by hand.
        let name = loop {
            *number += 1;
            let name = format!("{stem}{number}");
            if !self.names.contains(&name) {
                break name;
            }
        };
        self.add_named(name, layer)
    }

    /// Adds a [`Conv2d`] of this many filters of this size.
    #[doc(alias = "convolution")]
    #[track_caller]
    pub fn conv2d(self, outputs: usize, kernel: impl Into<Pair>) -> Self {
        self.add(Conv2d::new(outputs, kernel))
    }

    /// Adds a [`Conv1d`] of this many filters of this length.
    #[track_caller]
    pub fn conv1d(self, outputs: usize, kernel: usize) -> Self {
        self.add(Conv1d::new(outputs, kernel))
    }

    /// Adds a [`ConvTranspose2d`] of filters of this size for this many channels.
    #[track_caller]
    pub fn conv_transpose2d(self, outputs: usize, kernel: impl Into<Pair>) -> Self {
        self.add(ConvTranspose2d::new(outputs, kernel))
    }

    /// Adds a [`Linear`] layer of this many neurons.
    #[doc(alias = "affine")]
    #[track_caller]
    pub fn linear(self, outputs: usize) -> Self {
        self.add(Linear::new(outputs))
    }

    /// Adds an activation function.
    #[track_caller]
    pub fn activation(self, function: Activation) -> Self {
        self.push(function.name(), Activate::new(function))
    }

    /// Adds `max(x, 0)`.
    #[track_caller]
    pub fn relu(self) -> Self {
        self.activation(Activation::Relu)
    }

    /// Adds `1 / (1 + e^-x)`.
    #[track_caller]
    pub fn sigmoid(self) -> Self {
        self.activation(Activation::Sigmoid)
    }

    /// Adds the hyperbolic tangent.
    #[track_caller]
    pub fn tanh(self) -> Self {
        self.activation(Activation::Tanh)
    }

    /// Adds a [`MaxPool2d`] of windows of this size, side by side.
    #[doc(alias = "pooling")]
    #[track_caller]
    pub fn max_pool2d(self, kernel: impl Into<Pair>) -> Self {
        self.add(MaxPool2d::new(kernel))
    }

    /// Adds an [`AvgPool2d`] of windows of this size, side by side.
    #[track_caller]
    pub fn avg_pool2d(self, kernel: impl Into<Pair>) -> Self {
        self.add(AvgPool2d::new(kernel))
    }

    /// Adds a [`MaxPool1d`] of windows of this length, side by side.
    #[track_caller]
    pub fn max_pool1d(self, kernel: usize) -> Self {
        self.add(MaxPool1d::new(kernel))
    }

    /// Adds an [`AvgPool1d`] of windows of this length, side by side.
    #[track_caller]
    pub fn avg_pool1d(self, kernel: usize) -> Self {
        self.add(AvgPool1d::new(kernel))
    }

    /// Adds a [`GlobalAvgPool1d`].
    #[track_caller]
    pub fn global_avg_pool1d(self) -> Self {
        self.add(GlobalAvgPool1d::new())
    }

    /// Adds an [`Upsample`] that repeats each element this many times along each axis.
    #[track_caller]
    pub fn upsample(self, factor: impl Into<Factor>) -> Self {
        self.add(Upsample::nearest(factor))
    }

    /// Adds a [`GlobalAvgPool2d`].
    #[track_caller]
    pub fn global_avg_pool2d(self) -> Self {
        self.add(GlobalAvgPool2d::new())
    }

    /// Adds a [`BatchNorm2d`].
    #[track_caller]
    pub fn batch_norm2d(self) -> Self {
        self.add(BatchNorm2d::new())
    }

    /// Adds a [`BatchNorm1d`].
    #[track_caller]
    pub fn batch_norm1d(self) -> Self {
        self.add(BatchNorm1d::new())
    }

    /// Adds a [`LayerNorm`].
    #[track_caller]
    pub fn layer_norm(self) -> Self {
        self.add(LayerNorm::new())
    }

    /// Adds an [`RmsNorm`].
    #[track_caller]
    pub fn rms_norm(self) -> Self {
        self.add(RmsNorm::new())
    }

    /// Adds a [`GroupNorm`] of this many groups.
    #[track_caller]
    pub fn group_norm(self, groups: usize) -> Self {
        self.add(GroupNorm::new(groups))
    }

    /// Adds a [`Flatten`].
    #[track_caller]
    pub fn flatten(self) -> Self {
        self.add(Flatten::new())
    }

    /// Adds a [`Dropout`] of this ratio.
    #[track_caller]
    pub fn dropout(self, ratio: f64) -> Self {
        self.add(Dropout::new(ratio))
    }

    /// Number of layers.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there are no layers.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// The names of the layers, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.layers.iter().map(|(name, _)| name.as_str())
    }
}

/// `path::MaxPool2d<..>` becomes `max_pool`.
fn stem(type_name: &str) -> String {
    let name = type_name.split('<').next().unwrap_or(type_name);
    let name = name.rsplit("::").next().unwrap_or(name);
    let name = name
        .strip_suffix("2d")
        .or(name.strip_suffix("1d"))
        .or(name.strip_suffix("3d"))
        .unwrap_or(name);
    let mut stem = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !stem.is_empty() {
            stem.push('_');
        }
        stem.extend(c.to_lowercase());
    }
    stem
}

impl Module for Sequential {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        for (name, layer) in &self.layers {
            visitor.part(name, layer);
        }
    }
}

impl Forward for Sequential {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        // A layer of one's own that holds no place has its operations named by this one.
        let apply = |x: Tensor, (name, layer): &(String, Box<dyn AnyLayer>)| {
            scope::in_container(name, || layer.forward(&x, cx))
        };
        self.layers.iter().fold(x.clone(), apply)
    }
}

impl Clone for Sequential {
    fn clone(&self) -> Self {
        let copy = |(name, layer): &(String, Box<dyn AnyLayer>)| (name.clone(), (**layer).copy());
        Self {
            layers: self.layers.iter().map(copy).collect(),
            names: self.names.clone(),
            numbers: self.numbers.clone(),
        }
    }
}

impl fmt::Debug for Sequential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::stem;

    #[test]
    fn names_come_from_types() {
        assert_eq!(stem("zerokara_nn::layers::pool::MaxPool2d"), "max_pool");
        assert_eq!(stem("app::Block<f32, a::B>"), "block");
    }
}
