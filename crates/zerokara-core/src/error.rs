//! Errors as values: what went wrong, where in the user's source, in which layer.

use crate::{Meta, printable};
use std::{fmt, panic::Location, sync::Arc};

/// What can go wrong when a graph is built, compiled or run.
#[derive(Clone, Debug)]
pub struct Error(Arc<Inner>);

#[derive(Debug)]
enum Inner {
    Graph(GraphError),
    Run(GraphError),
    Message(String),
}

/// The first operation of an expression that could not apply, or that rejected a value.
#[derive(Debug)]
struct GraphError {
    op: String,
    inputs: Vec<Meta>,
    reason: String,
    location: &'static Location<'static>,
    path: Option<Arc<str>>,
}

/// A result with Zerokara's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error with this message.
    pub fn new(message: impl Into<String>) -> Self {
        Self(Arc::new(Inner::Message(shown(message.into()))))
    }

    /// What the function of this name refuses, on the line of its caller.
    #[track_caller]
    pub(crate) fn here(name: &str, reason: String) -> Self {
        let (path, location) = crate::scope::current();
        let location = location.unwrap_or(Location::caller());
        Self::graph(name.into(), Vec::new(), reason, location, path)
    }

    pub(crate) fn graph(
        op: String,
        inputs: Vec<Meta>,
        reason: String,
        location: &'static Location<'static>,
        path: Option<Arc<str>>,
    ) -> Self {
        Self(Arc::new(Inner::Graph(GraphError {
            op: shown(op),
            inputs,
            reason: shown(reason),
            location,
            path: path.map(|path| printable(&path).into()),
        })))
    }

    /// An operation rejected a value.
    pub(crate) fn run(
        op: &str,
        reason: String,
        location: &'static Location<'static>,
        path: Option<Arc<str>>,
    ) -> Self {
        Self(Arc::new(Inner::Run(GraphError {
            op: op.into(),
            inputs: Vec::new(),
            reason: shown(reason),
            location,
            path: path.map(|path| printable(&path).into()),
        })))
    }

    /// Whether an operation could not apply to its inputs (as opposed to a failure while running).
    pub fn is_graph_error(&self) -> bool {
        matches!(*self.0, Inner::Graph(_))
    }

    /// For an error of an operation, the line of the user's source that built the operation.
    pub fn location(&self) -> Option<&'static Location<'static>> {
        match &*self.0 {
            Inner::Graph(e) | Inner::Run(e) => Some(e.location),
            Inner::Message(_) => None,
        }
    }
}

/// Messages quote names from files, which must not command whoever's terminal shows them.
fn shown(text: String) -> String {
    match printable(&text) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(shown) => shown,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            Inner::Message(message) => f.write_str(message),
            Inner::Graph(e) | Inner::Run(e) => {
                write!(f, "{}", e.op)?;
                if !e.inputs.is_empty() {
                    write!(f, " of ")?;
                    for (i, meta) in e.inputs.iter().enumerate() {
                        write!(f, "{}{meta}", if i > 0 { " and " } else { "" })?;
                    }
                }
                write!(f, ": {}", e.reason)?;
                if let Some(path) = &e.path {
                    write!(f, " (in layer {path})")?;
                }
                write!(
                    f,
                    "\n  at {}:{}:{}",
                    e.location.file(),
                    e.location.line(),
                    e.location.column()
                )
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}
