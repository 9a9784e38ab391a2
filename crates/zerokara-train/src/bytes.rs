//! Bytes that stay bytes until they are in the compiled step.

use std::sync::Arc;
use zerokara_core::{DType, Port, Tensors};
use zerokara_data::{Loader, Normalization, Split};
use zerokara_nn::{Context, Model, Module, Visitor};

/// A model whose inputs of bytes are widened and normalized in the graph; other inputs come normalized.
pub(crate) struct OfBytes {
    model: Arc<dyn Model>,
    /// Of the first input; further ones of bytes are divided by 255.
    normalization: Normalization,
}

impl OfBytes {
    pub(crate) fn new(model: Arc<dyn Model>, normalization: Normalization) -> Self {
        Self {
            model,
            normalization,
        }
    }
}

impl Module for OfBytes {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        self.model.visit(visitor);
    }
}

impl Model for OfBytes {
    fn apply(&self, inputs: &Tensors, cx: &mut Context) -> Tensors {
        let first = inputs.names().next();
        let inputs = inputs.map(|name, x| match x.dtype() {
            Ok(DType::U8) if Some(name) == first => self.normalization.tensor(x),
            Ok(DType::U8) => Normalization::unit().tensor(x),
            _ => x.clone(),
        });
        self.model.apply(&inputs, cx)
    }

    fn states(&self) -> Vec<(Arc<str>, Arc<str>)> {
        self.model.states()
    }

    fn state_ports(&self) -> Vec<Port> {
        self.model.state_ports()
    }
}

/// Feeds bytes as they are stored, if the samples are bytes.
pub(crate) fn as_stored(loader: Loader, split: &Split) -> Loader {
    match split.is_u8() {
        true => loader.raw(),
        false => loader,
    }
}
