//! What each layer of a step costs.

use std::sync::Arc;
use zerokara_core::{StepTime, scope::Phase};

/// What the kernels of a layer take together in a pass.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Seconds.
    pub seconds: f64,
    /// Operations of products and convolutions.
    pub flops: f64,
    /// Bytes read and written.
    pub bytes: f64,
}

impl Cost {
    /// Adds another cost.
    pub fn add(&mut self, other: Cost) {
        self.seconds += other.seconds;
        self.flops += other.flops;
        self.bytes += other.bytes;
    }
}

/// A layer's cost, forward and backward.
#[derive(Clone, Debug, PartialEq)]
pub struct LayerCost {
    /// The layer's path, or `loss`, or `norm and update`.
    pub name: Arc<str>,
    /// Forward and backward; of the update, the latter alone.
    pub passes: [Cost; 2],
}

/// The layers of a step in the order of `known`, others behind them; then the loss; then norm, clipping, update and what
/// else is done with finished gradients. A kernel that computes nodes of several layers is shared among them
/// ([`StepTime::parts`]); the costs of all sum to those of the step.
pub fn by_layer(steps: &[StepTime], known: &[String]) -> Vec<LayerCost> {
    let none = [Cost::default(); 2];
    let mut layers: Vec<LayerCost> = Vec::new();
    let mut loss = none;
    let mut update = none;
    for step in steps {
        for part in &step.parts {
            let pass = usize::from(part.label.phase != Phase::Forward);
            let passes = match (&part.label.layer, part.label.phase) {
                (_, Phase::Update) => &mut update,
                (None, _) => &mut loss,
                (Some(layer), _) => {
                    let at = layers.iter().position(|known| known.name == *layer);
                    let at = at.unwrap_or_else(|| {
                        layers.push(LayerCost {
                            name: layer.clone(),
                            passes: none,
                        });
                        layers.len() - 1
                    });
                    &mut layers[at].passes
                }
            };
            passes[pass].add(Cost {
                seconds: step.duration.as_secs_f64() * part.share,
                flops: step.flops as f64 * part.flops_share,
                bytes: step.bytes as f64 * part.share,
            });
        }
    }
    let place = |layer: &LayerCost| known.iter().position(|path| **path == *layer.name);
    layers.sort_by_key(|layer| place(layer).unwrap_or(usize::MAX));
    for (name, passes) in [("loss", loss), ("norm and update", update)] {
        if passes != none {
            let name = name.into();
            layers.push(LayerCost { name, passes });
        }
    }
    layers
}
