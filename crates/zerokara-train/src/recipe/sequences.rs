//! Layers of recipes for sequences.

use super::{
    fields::{Field, Form, field},
    layers::{LayerDescription, size},
};
use crate::error::{Error, Result};
use zerokara_nn::{
    Gru, LearnedPositions, Lstm, MultiHeadAttention, Rnn, Sequential, SinusoidalPositions,
    TransformerBlock,
};

/// The kinds with their settings.
pub(super) fn kinds() -> Vec<(&'static str, Vec<Field>)> {
    let recurrent = || {
        vec![
            field("hidden", size(), "Numbers in the state"),
            field(
                "depth",
                size(),
                "How many layers, one on the states of the other",
            ),
            field(
                "bidirectional",
                Form::Flag,
                "Whether each layer also goes from the end to the beginning; false unless set",
            ),
            field(
                "dropout",
                Form::share(),
                "The share of what goes from layer to layer that is dropped",
            ),
            field(
                "last",
                Form::Flag,
                "Whether the output is the state behind the whole sequence alone; false unless set",
            ),
        ]
    };
    let heads = || {
        field(
            "heads",
            size(),
            "Heads of attention, which divide the number of features",
        )
    };
    let causal = || {
        field(
            "causal",
            Form::Flag,
            "Whether a position sees what is before it and itself alone; false unless set",
        )
    };
    let bias = || {
        field(
            "bias",
            Form::Flag,
            "Whether biases are added; true unless set",
        )
    };
    vec![
        ("rnn", recurrent()),
        ("lstm", recurrent()),
        ("gru", recurrent()),
        (
            "attention",
            vec![
                heads(),
                causal(),
                field(
                    "groups",
                    size(),
                    "Heads of keys and values, which neighbouring heads share; one for each unless set",
                ),
                field(
                    "rotary",
                    Form::Positive,
                    "The base of rotary positions, such as 10000; none unless set",
                ),
                bias(),
            ],
        ),
        (
            "transformer_block",
            vec![
                heads(),
                causal(),
                bias(),
                field(
                    "expansion",
                    size(),
                    "Hidden neurons for each feature; 4 unless set",
                ),
                field(
                    "dropout",
                    Form::share(),
                    "The share of what is added that is dropped",
                ),
            ],
        ),
        (
            "learned_positions",
            vec![field("most", size(), "The length of the longest sequence")],
        ),
        ("sinusoidal_positions", Vec::new()),
    ]
}

/// The network with such a layer behind it.
///
/// # Errors
/// If it is none of these, or lacks a setting.
pub(super) fn added(network: Sequential, layer: &LayerDescription) -> Result<Sequential> {
    macro_rules! recurrent {
        ($kind:ident) => {{
            let layers = $kind::new(layer.needed("hidden")?)
                .layers(layer.whole("depth").unwrap_or(1))
                .bidirectional(layer.flag("bidirectional").unwrap_or(false))
                .dropout(layer.number("dropout").unwrap_or(0.0))
                .last(layer.flag("last").unwrap_or(false));
            network.add(layers)
        }};
    }
    Ok(match layer.layer.as_str() {
        "rnn" => recurrent!(Rnn),
        "lstm" => recurrent!(Lstm),
        "gru" => recurrent!(Gru),
        "attention" => {
            let heads = layer.needed("heads")?;
            let mut attention = MultiHeadAttention::new(heads)
                .causal(layer.flag("causal").unwrap_or(false))
                .groups(layer.whole("groups").unwrap_or(heads))
                .bias(layer.flag("bias").unwrap_or(true));
            if let Some(base) = layer.number("rotary") {
                attention = attention.rotary(base);
            }
            network.add(attention)
        }
        "transformer_block" => {
            let block = TransformerBlock::new(layer.needed("heads")?)
                .causal(layer.flag("causal").unwrap_or(false))
                .expansion(layer.whole("expansion").unwrap_or(4))
                .dropout(layer.number("dropout").unwrap_or(0.0))
                .bias(layer.flag("bias").unwrap_or(true));
            network.add(block)
        }
        "learned_positions" => network.add(LearnedPositions::new(layer.needed("most")?)),
        "sinusoidal_positions" => network.add(SinusoidalPositions::new()),
        name => return Err(Error::new(format!("there is no layer {name}"))),
    })
}
