//! Printing, and how commands fail.
//!
//! All that the command prints goes through here, and what in it could command the terminal, in a name from a model's file
//! for example, is spelt out ([`printable`]).

use std::{
    io::{self, ErrorKind, IsTerminal, Write},
    path::Path,
};
use zerokara_core::printable;
use zerokara_train::{
    atomic::{self, FileError},
    language::Words,
    report::terminal::{self, Align},
};

/// The name of a file that stands for standard output.
pub const STDOUT: &str = "-";

/// Why a command ends early.
pub enum Failure {
    /// What to tell the user, in one line.
    Message(String),
    /// Standard output was closed by its reader.
    ClosedPipe,
    /// Ctrl-C, after which everything was saved.
    Interrupted,
    /// Something failed, and the user was told when it did.
    Told,
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

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        match error.kind() {
            ErrorKind::BrokenPipe => Self::ClosedPipe,
            _ => Self::Message(error.to_string()),
        }
    }
}

/// Writes a file, whole or not at all; `-` is standard output. What a command is asked to write goes through here.
pub fn file(path: &Path, bytes: impl AsRef<[u8]>) -> Outcome {
    match path.as_os_str() == STDOUT {
        true => to_stdout(|out| out.write_all(bytes.as_ref())),
        false => Ok(atomic::write(path, bytes)?),
    }
}

/// Whether a file of this name comes out of the command as through a pipe, so that messages must not mix with it.
pub fn is_stream(path: &Path) -> bool {
    path.as_os_str() == STDOUT || atomic::is_stream(path)
}

/// Prints a line on standard output.
pub fn print(text: &str) -> Outcome {
    to_stdout(|out| writeln!(out, "{}", printable(text)))
}

/// Prints a piece of a text at once, without a line's end. What could command a terminal is spelt out where it goes to one.
pub fn piece(text: &str) -> Outcome {
    to_stdout(|out| match io::stdout().is_terminal() {
        true => write!(out, "{}", printable(text)),
        false => write!(out, "{text}"),
    })
}

/// A table ([`terminal::table`]) whose columns have their names in a language.
pub fn table(columns: &[(&str, Align)], rows: &[Vec<String>], words: Words) -> String {
    let names: Vec<String> = columns.iter().map(|(name, _)| words.say(name)).collect();
    let aligned = names.iter().zip(columns);
    let columns: Vec<(&str, Align)> = aligned.map(|(name, c)| (name.as_str(), c.1)).collect();
    terminal::table(&columns, rows)
}

fn to_stdout(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Outcome {
    let mut out = io::stdout().lock();
    match write(&mut out).and_then(|()| out.flush()) {
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
    let _ = writeln!(io::stderr(), "{}", printable(text));
}

/// Prints an error as one line on standard error.
pub fn error(message: &str) {
    let lines: Vec<&str> = message.lines().map(str::trim).collect();
    note(&format!("error: {}", lines.join(" ")));
}
