//! A body beside a shortcut.

use super::sequential::AnyLayer;
use crate::{Context, Forward, Module, Place, Visitor};
use std::fmt;
use zerokara_core::Tensor;

/// A residual connection (He et al., 2016): `body(x) + x`, or `body(x) + shortcut(x)` where the body changes the shape.
///
/// ```
/// use zerokara_core::{Meta, DType};
/// use zerokara_nn::{Conv2d, Forward, Module, Residual, Sequential};
/// let block = Residual::new(Sequential::new().add(Conv2d::new(8, 3).padding(1)).relu())
///     .shortcut(Conv2d::new(8, 1));
/// block.build(&Meta::new([1, 3, 6, 6], DType::F32), 0)?;
/// let paths: Vec<_> = block.named_parameters()?.into_iter().map(|p| p.0).collect();
/// assert_eq!(paths, ["body.conv1.weight", "body.conv1.bias", "shortcut.weight", "shortcut.bias"]);
/// # Ok::<(), zerokara_core::Error>(())
/// ```
pub struct Residual {
    place: Place,
    body: Box<dyn AnyLayer>,
    shortcut: Option<Box<dyn AnyLayer>>,
}

impl Residual {
    /// `body(x) + x`.
    #[track_caller]
    pub fn new(body: impl Forward + Clone + 'static) -> Self {
        Self {
            place: Place::new("Residual"),
            body: Box::new(body),
            shortcut: None,
        }
    }

    /// `body(x) + shortcut(x)`.
    pub fn shortcut(mut self, shortcut: impl Forward + Clone + 'static) -> Self {
        self.shortcut = Some(Box::new(shortcut));
        self
    }
}

impl Module for Residual {
    fn visit(&self, visitor: &mut Visitor<'_>) {
        visitor.part("body", &self.body);
        visitor.part("shortcut", &self.shortcut);
        // Last, as its sum comes last.
        visitor.layer(&self.place);
    }
}

impl Forward for Residual {
    fn forward(&self, x: &Tensor, cx: &mut Context) -> Tensor {
        let y = self.body.forward(x, cx);
        let x = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x, cx),
            None => x.clone(),
        };
        self.place.run(|| y + x)
    }
}

impl Clone for Residual {
    fn clone(&self) -> Self {
        Self {
            place: self.place.clone(),
            body: (*self.body).copy(),
            shortcut: self.shortcut.as_ref().map(|s| (**s).copy()),
        }
    }
}

impl fmt::Debug for Residual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.place, f)
    }
}
