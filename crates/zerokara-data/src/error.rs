//! The error of this crate.

use std::fmt;
use std::path::Path;

/// What went wrong with data, in words that name the file or value and say what to do.
///
/// # Example
///
/// ```
/// let error = zerokara_data::Dataset::by_name("mnits").unwrap_err();
/// assert!(error.to_string().contains("fashion-mnist"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error(Box<str>);

/// `Result` with this crate's [`Error`], unless another is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Error(message.into().into_boxed_str())
    }

    /// An error about a file: its path stands before the message.
    pub(crate) fn file(path: &Path, message: impl fmt::Display) -> Self {
        Error::new(format!("{}: {message}", path.display()))
    }
}

/// Names in quotes, as a message lists them: the first so many, and how many more there are.
pub(crate) fn named<S: AsRef<str>>(names: &[S], most: usize) -> String {
    let some: Vec<String> = names
        .iter()
        .take(most)
        .map(|name| format!("{:?}", name.as_ref()))
        .collect();
    match names.len().saturating_sub(most) {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({:?})", self.0)
    }
}

impl std::error::Error for Error {}

impl From<zerokara_core::Error> for Error {
    fn from(error: zerokara_core::Error) -> Self {
        Error::new(error.to_string())
    }
}

#[cfg(feature = "mnist")]
impl From<zerokara_mnist::Error> for Error {
    fn from(error: zerokara_mnist::Error) -> Self {
        Error::new(error.to_string())
    }
}
