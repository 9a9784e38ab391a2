//! Layers as a recipe lists them.

use super::fields::{Field, Form, field};
use crate::error::{Error, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use serde_json::{Map, Value};
use zerokara_nn::{
    Activation, AvgPool2d, BatchNorm1d, BatchNorm2d, Conv2d, Dropout, Embedding, Glu, LayerNorm,
    Linear, MaxPool2d, Prelu, Residual, Sequential, SwiGlu,
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

fn size() -> Form {
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
                field(
                    "filters",
                    size(),
                    "Number of filters, which is that of the output's channels",
                ),
                kernel(),
                stride(),
                padding(),
                field("dilation", pair(1), "Steps between the filter's elements"),
                field(
                    "groups",
                    size(),
                    "Groups of channels that are convolved by themselves",
                ),
                bias(),
            ],
        ),
        ("batch_norm1d", vec![momentum()]),
        ("batch_norm2d", vec![momentum()]),
        ("layer_norm", Vec::new()),
        (
            "dropout",
            vec![field(
                "ratio",
                Form::share(),
                "The share of elements that are dropped",
            )],
        ),
        ("max_pool2d", vec![kernel(), stride(), padding()]),
        ("avg_pool2d", vec![kernel(), stride(), padding()]),
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
    let whole = |name: &str| {
        layer
            .settings
            .get(name)
            .and_then(Value::as_u64)
            .map(|n| n as usize)
    };
    let needed = |name: &str| {
        whole(name).ok_or_else(|| {
            Error::new(format!(
                "{} needs {name}, such as {{ layer = {:?}, {name} = 16 }}",
                layer.layer, layer.layer
            ))
        })
    };
    let sides = |name: &str| -> Option<[usize; 2]> {
        match layer.settings.get(name)? {
            Value::Array(sides) => {
                let side = |at: usize| sides.get(at).and_then(Value::as_u64).map(|n| n as usize);
                Some([side(0)?, side(1)?])
            }
            side => side.as_u64().map(|side| [side as usize; 2]),
        }
    };
    let kernel = || {
        sides("kernel").ok_or_else(|| {
            Error::new(format!(
                "{} needs a kernel, such as {{ layer = {:?}, kernel = 2 }}",
                layer.layer, layer.layer
            ))
        })
    };
    let number = |name: &str| layer.settings.get(name).and_then(Value::as_f64);
    let has_bias = layer
        .settings
        .get("bias")
        .and_then(Value::as_bool)
        .unwrap_or(true);
    let within = |name: &str| -> Result<Vec<LayerDescription>> {
        let layers = layer
            .settings
            .get(name)
            .cloned()
            .unwrap_or_else(|| Value::Array(Vec::new()));
        Ok(serde_json::from_value(layers)?)
    };
    macro_rules! pooling {
        ($kind:ident) => {{
            let mut pool = $kind::new(kernel()?);
            if let Some(stride) = sides("stride") {
                pool = pool.stride(stride);
            }
            network.add(pool.padding(sides("padding").unwrap_or([0, 0])))
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
        "conv2d" => network.add(
            Conv2d::new(needed("filters")?, kernel()?)
                .stride(sides("stride").unwrap_or([1, 1]))
                .padding(sides("padding").unwrap_or([0, 0]))
                .dilation(sides("dilation").unwrap_or([1, 1]))
                .groups(whole("groups").unwrap_or(1))
                .bias(has_bias),
        ),
        "batch_norm1d" => norm!(BatchNorm1d),
        "batch_norm2d" => norm!(BatchNorm2d),
        "layer_norm" => network.add(LayerNorm::new()),
        "dropout" => network.add(Dropout::new(number("ratio").unwrap_or(0.5))),
        "max_pool2d" => pooling!(MaxPool2d),
        "avg_pool2d" => pooling!(AvgPool2d),
        "global_avg_pool2d" => network.global_avg_pool2d(),
        "flatten" => network.flatten(),
        "embedding" => network.add(Embedding::new(needed("count")?, needed("features")?)),
        "prelu" => {
            let per_channel = layer.settings.get("per_channel").and_then(Value::as_bool);
            network.add(Prelu::new().per_channel(per_channel.unwrap_or(false)))
        }
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
            None => return Err(Error::new(format!("there is no layer {name}"))),
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
                    Form::Choice(names) => json!(names[0]),
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
