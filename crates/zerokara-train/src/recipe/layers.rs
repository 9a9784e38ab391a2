//! Layers as a recipe lists them.

use super::{
    fields::{Field, Form, field},
    sequences,
};
use crate::error::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};
use zerokara_nn::{
    Activation, AvgPool1d, AvgPool2d, BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, Conv3d,
    ConvTranspose1d, ConvTranspose2d, Dropout, Embedding, Glu, GroupNorm, InstanceNorm, LayerNorm,
    Linear, LocalResponseNorm, MaxPool1d, MaxPool2d, Prelu, Residual, RmsNorm, Sequential, SwiGlu,
    Upsample,
};

/// A layer of a recipe: its kind and its settings. In TOML `{ layer = "conv2d", filters = 16, kernel = 3 }`, or the kind alone, such as
/// `"relu"`, where nothing is set.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerDescription {
    /// The kind.
    pub layer: String,
    /// Its settings.
    pub settings: Map<String, Value>,
}

impl LayerDescription {
    /// A setting that is a whole number.
    pub(super) fn whole(&self, name: &str) -> Option<usize> {
        let number = self.settings.get(name).and_then(Value::as_u64);
        number.map(|n| n as usize)
    }

    /// One that the layer cannot do without.
    pub(super) fn needed(&self, name: &str) -> Result<usize> {
        self.whole(name).ok_or_else(|| {
            Error::new(format!(
                "{} needs {name}, such as {{ layer = {:?}, {name} = 16 }}",
                self.layer, self.layer
            ))
        })
    }

    /// A setting that is true or false.
    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        self.settings.get(name).and_then(Value::as_bool)
    }

    /// A setting that is any number.
    pub(super) fn number(&self, name: &str) -> Option<f64> {
        self.settings.get(name).and_then(Value::as_f64)
    }
}

/// The field that says the kind.
const KEY: &str = "layer";

impl Serialize for LayerDescription {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        if self.settings.is_empty() {
            return self.layer.serialize(out);
        }
        let mut all = self.settings.clone();
        all.insert(KEY.into(), self.layer.clone().into());
        all.serialize(out)
    }
}

impl<'de> Deserialize<'de> for LayerDescription {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        match Value::deserialize(input)? {
            Value::String(layer) => Ok(Self {
                layer,
                settings: Map::new(),
            }),
            Value::Object(mut settings) => match settings.remove(KEY) {
                Some(Value::String(layer)) => Ok(Self { layer, settings }),
                _ => Err(D::Error::custom("a layer has no kind")),
            },
            _ => Err(D::Error::custom("a layer is its kind, or a table with it")),
        }
    }
}

pub(super) fn size() -> Form {
    Form::Whole {
        least: 1,
        most: 1 << 24,
    }
}

/// One number for height and width, or one for each.
fn pair(least: u64) -> Form {
    let number = || Form::Whole {
        least,
        most: 1 << 16,
    };
    Form::Either(vec![number(), Form::pair(number())])
}

/// One number for depth, height and width, or one for each.
fn triple(least: u64) -> Form {
    let number = || Form::Whole {
        least,
        most: 1 << 16,
    };
    let three = Form::List {
        of: Box::new(number()),
        least: 3,
        most: 3,
    };
    Form::Either(vec![number(), three])
}

/// The kinds of layers with their settings.
fn kinds() -> Vec<(&'static str, Vec<Field>)> {
    let bias = || {
        field(
            "bias",
            Form::Flag,
            "Whether a bias is added; true unless set",
        )
    };
    let kernel = || field("kernel", pair(1), "Height and width of the window");
    let stride = || field("stride", pair(1), "Steps of the window");
    let padding = || field("padding", pair(0), "Zeros around the image");
    let filters = || {
        field(
            "filters",
            size(),
            "Number of filters, which is that of the output's channels",
        )
    };
    let groups = || {
        field(
            "groups",
            size(),
            "Groups of channels that are convolved by themselves",
        )
    };
    let dilation = |form: Form| field("dilation", form, "Steps between the filter's elements");
    // Along one axis.
    let whole = |least: u64| Form::Whole {
        least,
        most: 1 << 16,
    };
    let length = || field("kernel", whole(1), "Length of the window");
    let steps = || field("stride", whole(1), "Steps of the window");
    let zeros = || field("padding", whole(0), "Padding before and behind");
    let longer = |form: Form| {
        field(
            "output_padding",
            form,
            "By how much the output is longer at its end",
        )
    };
    let spread = |form: Form| field("dilation", form, "Steps between the window's elements");
    let ceil = || {
        field(
            "ceil",
            Form::Flag,
            "Whether a last window that reaches beyond the input counts; false unless set",
        )
    };
    let affine = |about: &'static str| field("affine", Form::Flag, about);
    let eps = || {
        field(
            "eps",
            Form::Positive,
            "What is added so that nothing is divided by 0",
        )
    };
    let momentum = || {
        field(
            "momentum",
            Form::share(),
            "How much of each batch enters the running statistics",
        )
    };
    let mut kinds = vec![
        (
            "linear",
            vec![
                field(
                    "outputs",
                    size(),
                    "Number of outputs; as many as the data have classes (or 1 for a number) unless set",
                ),
                bias(),
            ],
        ),
        (
            "conv2d",
            vec![
                filters(),
                kernel(),
                stride(),
                padding(),
                dilation(pair(1)),
                groups(),
                bias(),
            ],
        ),
        (
            "conv1d",
            vec![
                filters(),
                length(),
                steps(),
                zeros(),
                field(
                    "causal",
                    Form::Flag,
                    "Whether no output sees a later input: all padding lies before",
                ),
                dilation(whole(1)),
                groups(),
                bias(),
            ],
        ),
        (
            "conv3d",
            vec![
                filters(),
                field("kernel", triple(1), "Depth, height and width of the window"),
                field("stride", triple(1), "Steps of the window"),
                field("padding", triple(0), "Zeros around the volume"),
                dilation(triple(1)),
                groups(),
                bias(),
            ],
        ),
        (
            "conv_transpose1d",
            vec![
                filters(),
                length(),
                steps(),
                zeros(),
                longer(whole(0)),
                dilation(whole(1)),
                groups(),
                bias(),
            ],
        ),
        (
            "conv_transpose2d",
            vec![
                filters(),
                kernel(),
                stride(),
                padding(),
                longer(pair(0)),
                dilation(pair(1)),
                groups(),
                bias(),
            ],
        ),
        (
            "upsample",
            vec![
                field("factor", Form::Positive, "By how much each axis grows"),
                field(
                    "mode",
                    Form::Choice(vec!["nearest", "linear", "cubic"]),
                    "What lies between elements; nearest unless set",
                ),
                field(
                    "align_corners",
                    Form::Flag,
                    "Whether the first and the last element stay so; false unless set",
                ),
            ],
        ),
        ("batch_norm1d", vec![momentum()]),
        ("batch_norm2d", vec![momentum()]),
        ("layer_norm", vec![eps(), bias()]),
        ("rms_norm", vec![eps()]),
        (
            "group_norm",
            vec![
                field("groups", size(), "Groups of channels that are normalized"),
                eps(),
                affine(
                    "Whether a factor and a summand of each channel are learned; true unless set",
                ),
            ],
        ),
        (
            "instance_norm",
            vec![
                eps(),
                affine(
                    "Whether a factor and a summand of each channel are learned; false unless set",
                ),
            ],
        ),
        (
            "local_response_norm",
            vec![
                field("size", size(), "Number of channels that are summed"),
                field("alpha", Form::any(), "The share of the squares"),
                field("beta", Form::any(), "The exponent"),
                field("bias", Form::any(), "What is added to the squares"),
            ],
        ),
        (
            "dropout",
            vec![field(
                "ratio",
                Form::share(),
                "The share of elements that are dropped",
            )],
        ),
        (
            "max_pool2d",
            vec![kernel(), stride(), padding(), spread(pair(1)), ceil()],
        ),
        (
            "avg_pool2d",
            vec![kernel(), stride(), padding(), spread(pair(1)), ceil()],
        ),
        (
            "max_pool1d",
            vec![length(), steps(), zeros(), spread(whole(1)), ceil()],
        ),
        (
            "avg_pool1d",
            vec![length(), steps(), zeros(), spread(whole(1)), ceil()],
        ),
        ("global_avg_pool1d", Vec::new()),
        ("global_avg_pool2d", Vec::new()),
        ("flatten", Vec::new()),
        (
            "embedding",
            vec![
                field("count", size(), "Number of different tokens"),
                field("features", size(), "Numbers for each"),
            ],
        ),
        (
            "prelu",
            vec![field(
                "per_channel",
                Form::Flag,
                "Whether each channel has a slope of its own; one for all unless set",
            )],
        ),
        (
            "glu",
            vec![
                field(
                    "gate",
                    Form::Choice(Activation::ALL.map(Activation::name).to_vec()),
                    "The function of the gates; sigmoid unless set",
                ),
                field(
                    "axis",
                    Form::Whole { least: 1, most: 7 },
                    "The axis that is halved, 1 for channels; the last unless set",
                ),
            ],
        ),
        (
            "swiglu",
            vec![field(
                "hidden",
                size(),
                "Number of hidden neurons between input and output",
            )],
        ),
        (
            "residual",
            vec![
                field(
                    "layers",
                    Form::Layers,
                    "The layers whose output is added to the input",
                ),
                field(
                    "shortcut",
                    Form::Layers,
                    "What the input goes through beside them; nothing unless set",
                ),
            ],
        ),
    ];
    kinds.extend(sequences::kinds());
    kinds.extend(Activation::ALL.map(|function| (function.name(), Vec::new())));
    kinds
}

/// What a list of layers holds.
pub(super) fn form() -> Form {
    let names = kinds().iter().map(|(name, _)| *name).collect();
    Form::Either(vec![
        Form::Choice(names),
        Form::Named {
            key: KEY,
            kinds: kinds(),
        },
    ])
}

/// The network of these layers, for so many outputs.
pub(crate) fn network(layers: &[LayerDescription], outputs: usize) -> Result<Sequential> {
    let mut network = Sequential::new();
    for (at, layer) in layers.iter().enumerate() {
        network = added(network, layer, outputs)
            .map_err(|error| Error::new(format!("model.layers[{at}]: {error}")))?;
    }
    Ok(network)
}

fn added(network: Sequential, layer: &LayerDescription, outputs: usize) -> Result<Sequential> {
    let whole = |name: &str| layer.whole(name);
    let needed = |name: &str| layer.needed(name);
    let sides = |name: &str| -> Option<[usize; 2]> {
        match layer.settings.get(name)? {
            Value::Array(sides) => {
                let side = |at: usize| sides.get(at).and_then(Value::as_u64).map(|n| n as usize);
                Some([side(0)?, side(1)?])
            }
            side => side.as_u64().map(|side| [side as usize; 2]),
        }
    };
    let volume = |name: &str| -> Option<[usize; 3]> {
        match layer.settings.get(name)? {
            Value::Array(sides) => {
                let side = |at: usize| sides.get(at).and_then(Value::as_u64).map(|n| n as usize);
                Some([side(0)?, side(1)?, side(2)?])
            }
            side => side.as_u64().map(|side| [side as usize; 3]),
        }
    };
    let no_kernel = || {
        Error::new(format!(
            "{} needs a kernel, such as {{ layer = {:?}, kernel = 2 }}",
            layer.layer, layer.layer
        ))
    };
    let length = || whole("kernel").ok_or_else(no_kernel);
    let flag = |name: &str| layer.flag(name);
    let number = |name: &str| layer.number(name);
    let kernel = || sides("kernel").ok_or_else(no_kernel);
    let has_bias = flag("bias").unwrap_or(true);
    let within = |name: &str| -> Result<Vec<LayerDescription>> {
        let layers = layer
            .settings
            .get(name)
            .cloned()
            .unwrap_or_else(|| Value::Array(Vec::new()));
        Ok(serde_json::from_value(layers)?)
    };
    macro_rules! pooling {
        ($kind:ident, $kernel:expr, $sizes:expr) => {{
            let mut pool = $kind::new($kernel);
            if let Some(stride) = $sizes("stride") {
                pool = pool.stride(stride);
            }
            if let Some(padding) = $sizes("padding") {
                pool = pool.padding(padding);
            }
            if let Some(dilation) = $sizes("dilation") {
                pool = pool.dilation(dilation);
            }
            network.add(pool.ceil(flag("ceil").unwrap_or(false)))
        }};
    }
    // The settings that all convolutions have, where they are set.
    macro_rules! convolution {
        ($conv:expr, $sizes:expr) => {{
            let mut conv = $conv.groups(whole("groups").unwrap_or(1)).bias(has_bias);
            if let Some(stride) = $sizes("stride") {
                conv = conv.stride(stride);
            }
            if let Some(padding) = $sizes("padding") {
                conv = conv.padding(padding);
            }
            if let Some(dilation) = $sizes("dilation") {
                conv = conv.dilation(dilation);
            }
            conv
        }};
    }
    macro_rules! eps {
        ($norm:expr) => {{
            let norm = $norm;
            match number("eps") {
                Some(eps) => norm.eps(eps),
                None => norm,
            }
        }};
    }
    macro_rules! norm {
        ($kind:ident) => {{
            let norm = $kind::new();
            network.add(match number("momentum") {
                Some(momentum) => norm.momentum(momentum),
                None => norm,
            })
        }};
    }
    Ok(match layer.layer.as_str() {
        "linear" => network.add(Linear::new(whole("outputs").unwrap_or(outputs)).bias(has_bias)),
        "conv2d" => network.add(convolution!(
            Conv2d::new(needed("filters")?, kernel()?),
            sides
        )),
        "conv1d" => {
            let conv = convolution!(Conv1d::new(needed("filters")?, length()?), whole);
            network.add(match flag("causal") {
                Some(true) => conv.causal(),
                _ => conv,
            })
        }
        "conv3d" => {
            let kernel = volume("kernel").ok_or_else(no_kernel)?;
            network.add(convolution!(
                Conv3d::new(needed("filters")?, kernel),
                volume
            ))
        }
        "conv_transpose1d" => {
            let conv = ConvTranspose1d::new(needed("filters")?, length()?);
            let conv = conv.output_padding(whole("output_padding").unwrap_or(0));
            network.add(convolution!(conv, whole))
        }
        "conv_transpose2d" => {
            let conv = ConvTranspose2d::new(needed("filters")?, kernel()?);
            let conv = conv.output_padding(sides("output_padding").unwrap_or([0, 0]));
            network.add(convolution!(conv, sides))
        }
        "upsample" => {
            let factor = number("factor").unwrap_or(2.0);
            let mode = layer.settings.get("mode").and_then(Value::as_str);
            let up = match mode.unwrap_or("nearest") {
                "linear" => Upsample::linear(factor),
                "cubic" => Upsample::cubic(factor),
                _ => Upsample::nearest(factor),
            };
            network.add(up.align_corners(flag("align_corners").unwrap_or(false)))
        }
        "batch_norm1d" => norm!(BatchNorm1d),
        "batch_norm2d" => norm!(BatchNorm2d),
        "layer_norm" => network.add(eps!(LayerNorm::new()).bias(has_bias)),
        "rms_norm" => network.add(eps!(RmsNorm::new())),
        "group_norm" => {
            let norm = eps!(GroupNorm::new(needed("groups")?));
            network.add(norm.affine(flag("affine").unwrap_or(true)))
        }
        "instance_norm" => {
            let norm = eps!(InstanceNorm::new());
            network.add(norm.affine(flag("affine").unwrap_or(false)))
        }
        "local_response_norm" => {
            let mut norm = LocalResponseNorm::new(needed("size")?);
            if let Some(alpha) = number("alpha") {
                norm = norm.alpha(alpha);
            }
            if let Some(beta) = number("beta") {
                norm = norm.beta(beta);
            }
            if let Some(bias) = number("bias") {
                norm = norm.bias(bias);
            }
            network.add(norm)
        }
        "dropout" => network.add(Dropout::new(number("ratio").unwrap_or(0.5))),
        "max_pool2d" => pooling!(MaxPool2d, kernel()?, sides),
        "avg_pool2d" => pooling!(AvgPool2d, kernel()?, sides),
        "max_pool1d" => pooling!(MaxPool1d, length()?, whole),
        "avg_pool1d" => pooling!(AvgPool1d, length()?, whole),
        "global_avg_pool1d" => network.global_avg_pool1d(),
        "global_avg_pool2d" => network.global_avg_pool2d(),
        "flatten" => network.flatten(),
        "embedding" => network.add(Embedding::new(needed("count")?, needed("features")?)),
        "prelu" => network.add(Prelu::new().per_channel(flag("per_channel").unwrap_or(false))),
        "glu" => {
            let glu = match layer.settings.get("gate").and_then(Value::as_str) {
                Some(name) => Glu::new().gate(
                    Activation::by_name(name)
                        .ok_or_else(|| Error::new(format!("there is no function {name}")))?,
                ),
                None => Glu::new(),
            };
            network.add(match whole("axis") {
                Some(axis) => glu.axis(axis as i64),
                None => glu,
            })
        }
        "swiglu" => network.add(SwiGlu::new(needed("hidden")?)),
        "residual" => {
            let body = within("layers")?;
            if body.is_empty() {
                return Err(Error::new("residual needs layers, a list of at least one"));
            }
            let block = Residual::new(inner(&body, outputs)?);
            let shortcut = within("shortcut")?;
            network.add(match shortcut.is_empty() {
                true => block,
                false => block.shortcut(inner(&shortcut, outputs)?),
            })
        }
        name => match Activation::by_name(name) {
            Some(function) => network.activation(function),
            None => sequences::added(network, layer)?,
        },
    })
}

fn inner(layers: &[LayerDescription], outputs: usize) -> Result<Sequential> {
    layers.iter().try_fold(Sequential::new(), |network, layer| {
        added(network, layer, outputs)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// Every kind can be made with the settings that it declares.
    #[test]
    fn every_kind_is_made() {
        for (name, fields) in kinds() {
            let mut settings = Map::new();
            for field in &fields {
                let value = match &field.form {
                    Form::Flag => json!(true),
                    Form::Layers => json!(["relu"]),
                    Form::Number { .. } => json!(0.5),
                    Form::Choice(words) => json!(words[0]),
                    _ => json!(1),
                };
                settings.insert(field.name.into(), value);
            }
            let layer = LayerDescription {
                layer: name.into(),
                settings,
            };
            let again: LayerDescription =
                serde_json::from_value(serde_json::to_value(&layer).unwrap()).unwrap();
            assert_eq!(again, layer);
            assert_eq!(network(&[layer], 3).unwrap().len(), 1, "{name}");
        }
    }
}
