//! Printing, and how commands fail.

use std::io::{self, ErrorKind, Write};

/// Why a command ends early.
pub enum Failure {
    /// What to tell the user, in one line.
    Message(String),
    /// Standard output was closed by its reader.
    ClosedPipe,
    /// Ctrl-C, after which everything was saved.
    Interrupted,
}

/// The result of a command.
pub type Outcome<T = ()> = Result<T, Failure>;

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self::Message(message.into())
    }
}

macro_rules! from_errors {
    ($($error:ty),*) => {$(
        impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                Self::Message(error.to_string())
            }
        }
    )*};
}
from_errors!(
    zerokara_train::Error,
    zerokara_data::Error,
    zerokara_core::Error
);

/// Prints a line on standard output.
pub fn print(text: &str) -> Outcome {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Err(Failure::ClosedPipe),
        Err(e) => Err(Failure::new(format!(
            "cannot write to standard output: {e}"
        ))),
    }
}

/// Prints a line on standard error.
pub fn note(text: &str) {
    // There is nobody left to tell if standard error is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Prints an error as one line on standard error.
pub fn error(message: &str) {
    let lines: Vec<&str> = message.lines().map(str::trim).collect();
    note(&format!("error: {}", lines.join(" ")));
}
