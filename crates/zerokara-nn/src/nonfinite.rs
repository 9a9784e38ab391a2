//! Where the first value that is not finite arose.

use std::{fmt, panic::Location};
use zerokara_core::{Array, Tensor, op::Kind, scope::Phase};

/// The first value of a step that is not finite.
#[derive(Clone, Debug)]
pub struct NonFinite {
    /// The layer's path; `None` outside of layers.
    pub layer: Option<String>,
    /// The operation, or what kind of leaf holds the value.
    pub op: String,
    /// Whether the value belongs to the gradients, not to the forward pass.
    pub in_gradient: bool,
    /// Whether the value belongs to what is done with finite gradients: the optimizer's update of a parameter.
    pub in_update: bool,
    /// In an update, the path of the parameter.
    pub updated: Option<String>,
    /// How many elements are not finite.
    pub count: usize,
    /// How many elements there are.
    pub of: usize,
    /// The line of the user's source.
    pub location: &'static Location<'static>,
}

impl NonFinite {
    /// What to say of a value, if it is not finite. Nodes made after the loss belong to the gradients.
    pub(crate) fn of(tensor: &Tensor, value: &Array, loss: u64) -> Option<Self> {
        let node = tensor.node_view();
        // A constant may well be infinite: the limit of a clamp, the filling of a maximum.
        let constant = matches!(node.op.kind(), Kind::Fill(_))
            || (node.value.is_some() && node.parameter.is_none());
        if constant || !value.meta().is_float() {
            return None;
        }
        let count = value.to_f64s().iter().filter(|v| !v.is_finite()).count();
        (count > 0).then(|| Self {
            layer: node.path.map(str::to_string),
            op: match node.parameter {
                Some(parameter) => format!("parameter {}", parameter.name()),
                None if node.op.kind() == Kind::Leaf => {
                    format!("input {}", node.op.attributes().text("name").unwrap_or("?"))
                }
                None => node.op.name().to_string(),
            },
            in_gradient: node.id > loss && node.phase != Phase::Update,
            in_update: node.phase == Phase::Update,
            updated: None,
            count,
            of: value.len(),
            location: node.location,
        })
    }
}

impl NonFinite {
    /// Says which parameter the update was to change; its layer is what stands before the last dot.
    pub(crate) fn updates(&mut self, path: &str) {
        self.updated = Some(path.to_string());
        self.layer = path.rsplit_once('.').map(|(layer, _)| layer.to_string());
    }
}

impl fmt::Display for NonFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { op, count, of, .. } = self;
        write!(f, "{count} of {of} elements of {op} are not finite")?;
        if self.in_update {
            match &self.updated {
                Some(name) => write!(f, " (in the update of {name})")?,
                None => write!(f, " (in the update)")?,
            }
            return write!(f, "\n  at {}", self.location);
        }
        match (&self.layer, self.in_gradient) {
            (Some(layer), true) => write!(f, " (in the gradients of layer {layer})")?,
            (Some(layer), false) => write!(f, " (in layer {layer})")?,
            (None, true) => write!(f, " (in the gradients)")?,
            (None, false) => {}
        }
        write!(f, "\n  at {}", self.location)
    }
}
