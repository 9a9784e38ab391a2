//! The model of a run.

use super::{RunDescription, is_false};
use crate::{
    error::{Error, Result},
    recipe::LayerDescription,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use zerokara_nn::{
    Model,
    models::{Gpt, RecurrentLanguageModel},
};

fn of_layers() -> String {
    RunDescription::OF_LAYERS.into()
}

/// A model by its name, or by its layers.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelDescription {
    /// The name; [`RunDescription::OF_LAYERS`] for one of the layers below.
    #[serde(default = "of_layers")]
    pub name: String,
    /// Whether it is the caller's own, and no ready-made one of this name.
    #[serde(default, skip_serializing_if = "is_false")]
    pub own: bool,
    /// Its layers, from input to output.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerDescription>,
    /// Of a model of language: how many layers, or blocks, it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<usize>,
    /// Of one of attention: the heads of each block.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heads: Option<usize>,
    /// Of a model of language: the numbers that it has of each token, and of what it has seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<usize>,
    /// Of a model of language: the share that is dropped in training.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropout: Option<f64>,
}

impl ModelDescription {
    /// The model of language for so many tokens, which sees up to `context` of them.
    pub(super) fn of_language(&self, tokens: usize, context: usize) -> Result<Arc<dyn Model>> {
        let depth = self.depth.unwrap_or(if self.name == "gpt" { 4 } else { 2 });
        let width = self.width.unwrap_or(128);
        let dropout = self.dropout.unwrap_or(0.0);
        if self.name == "gpt" {
            let heads = self.heads.unwrap_or(4);
            if heads == 0 || !width.is_multiple_of(heads) {
                return Err(Error::new(format!(
                    "model.width is {width}, which {heads} heads cannot share alike"
                )));
            }
            let model = Gpt::new(tokens, context).layers(depth).heads(heads);
            return Ok(Arc::new(model.width(width).dropout(dropout)));
        }
        if self.heads.is_some() {
            return Err(Error::new(format!(
                "model.heads goes with the model gpt; {} has none",
                self.name
            )));
        }
        let model = match self.name.as_str() {
            "lstm" => RecurrentLanguageModel::lstm(tokens),
            _ => RecurrentLanguageModel::gru(tokens),
        };
        Ok(Arc::new(model.layers(depth).width(width).dropout(dropout)))
    }
}
