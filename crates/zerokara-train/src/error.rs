//! The error of training.

use crate::atomic::FileError;
use std::fmt;
use zerokara_core::printable;
use zerokara_nn::NonFinite;

/// What went wrong while training, loading or saving, in words that say what to do.
///
/// Errors of the other crates (graphs, data, files) turn into it with `?`, so that a program needs one `Result`. Its
/// `Debug` is its message: a `main` that returns it prints a readable line.
#[derive(Clone)]
pub struct Error(std::sync::Arc<Inner>);

enum Inner {
    Message(String),
    Core(zerokara_core::Error),
    NotFinite(NotFinite),
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A step whose loss, gradient or update was not finite. The parameters are those before the step.
#[derive(Clone, Debug)]
pub struct NotFinite {
    /// The number of the step, from 1.
    pub step: u64,
    /// The number of the epoch, from 1.
    pub epoch: u64,
    /// The loss of the step.
    pub loss: f64,
    /// The norm of its gradient.
    pub gradient_norm: f64,
    /// Where the first such value arose, if it was found.
    pub origin: Option<NonFinite>,
    /// Where the good parameters were saved.
    pub saved: Option<std::path::PathBuf>,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match (self.loss.is_finite(), self.gradient_norm.is_finite()) {
            (false, _) => format!("the loss is {}", self.loss),
            (true, false) => "the gradient is not finite".to_string(),
            (true, true) => "the update is not finite".to_string(),
        };
        write!(f, "{what} at step {} (epoch {})", self.step, self.epoch)?;
        if let Some(origin) = &self.origin {
            let text = origin.to_string();
            // The origin's source line stands on a line of its own, which would break this one.
            write!(f, ": {}", text.lines().next().unwrap_or_default())?;
        }
        f.write_str("; training stopped before this step's update")?;
        if let Some(path) = &self.saved {
            write!(f, ", the good parameters are in {}", path.display())?;
        }
        f.write_str("; a smaller learning rate or gradient clipping may help")
    }
}

impl Error {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Inner::Message(printable(&message.into()).into_owned()).into()
    }

    /// If training stopped at a step that was not finite, that step.
    pub fn not_finite(&self) -> Option<&NotFinite> {
        match &*self.0 {
            Inner::NotFinite(step) => Some(step),
            _ => None,
        }
    }
}

impl From<Inner> for Error {
    fn from(inner: Inner) -> Self {
        Self(std::sync::Arc::new(inner))
    }
}

impl From<zerokara_core::Error> for Error {
    fn from(error: zerokara_core::Error) -> Self {
        Inner::Core(error).into()
    }
}

impl From<zerokara_data::Error> for Error {
    fn from(error: zerokara_data::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl From<FileError> for Error {
    fn from(error: FileError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<NotFinite> for Error {
    fn from(step: NotFinite) -> Self {
        Inner::NotFinite(step).into()
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::new(error.to_string())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Inner::Message(message) => f.write_str(message),
            Inner::Core(error) => error.fmt(f),
            Inner::NotFinite(step) => step.fmt(f),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &*self.0 {
            Inner::Core(error) => Some(error),
            _ => None,
        }
    }
}

/// What a description says that none can say.
impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Self {
        Error::new(format!("the description of the run is wrong: {error}"))
    }
}
