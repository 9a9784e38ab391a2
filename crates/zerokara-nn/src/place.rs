//! The places of layers: the path and the line by which messages, summaries and profiles name a layer.

use std::{
    fmt,
    panic::Location,
    sync::{Arc, PoisonError, RwLock},
};
use zerokara_core::{Error, Tensor, scope};

/// A path in a model, which is known once the model is built.
#[derive(Default)]
pub(crate) struct Path(RwLock<Option<Arc<str>>>);

impl Path {
    pub(crate) fn get(&self) -> Option<Arc<str>> {
        let path = self.0.read();
        path.unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set(&self, to: &str) {
        let path = self.0.write();
        *path.unwrap_or_else(PoisonError::into_inner) = Some(to.into());
    }
}

impl Clone for Path {
    fn clone(&self) -> Self {
        Self(RwLock::new(self.get()))
    }
}

/// Where a layer stands: its kind, the line that made it, and, once its model is built, its path in the model.
///
/// A layer of one's own that holds a place and runs its forward pass in [`Place::run`] has its path and its line in
/// error messages, summaries and profiles, as the layers of this crate have.
#[derive(Clone)]
pub struct Place {
    kind: &'static str,
    location: &'static Location<'static>,
    path: Path,
}

impl Place {
    /// The place of a layer of this kind (`Conv2d`), made on the caller's line.
    #[track_caller]
    pub fn new(kind: &'static str) -> Self {
        Self {
            kind,
            location: Location::caller(),
            path: Path::default(),
        }
    }

    /// The kind of layer.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The line that made the layer.
    pub fn location(&self) -> &'static Location<'static> {
        self.location
    }

    /// The path in the model, once it is known.
    pub fn path(&self) -> Option<Arc<str>> {
        self.path.get()
    }

    pub(crate) fn set_path(&self, path: &str) {
        self.path.set(path);
    }

    /// Runs a layer's forward pass: what is built in it carries the layer's path and line.
    pub fn run(&self, body: impl FnOnce() -> Tensor) -> Tensor {
        match self.path().filter(|path| !path.is_empty()) {
            Some(path) => scope::at_layer(path, Some(self.location), body),
            // A model that is one layer has an empty path; its kind says more.
            None => scope::in_layer(self.kind, Some(self.location), body),
        }
    }

    /// An invalid tensor that says why the layer cannot be applied, with its path and its line.
    pub fn invalid(&self, why: impl fmt::Display) -> Tensor {
        let path = match self.path() {
            Some(path) if !path.is_empty() => format!(" (in layer {path})"),
            _ => String::new(),
        };
        Tensor::invalid(Error::new(format!(
            "{}: {why}{path}\n  at {}",
            self.kind, self.location
        )))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            Some(path) => write!(f, "{} at {path}", self.kind),
            None => write!(f, "{} of {}", self.kind, self.location),
        }
    }
}
