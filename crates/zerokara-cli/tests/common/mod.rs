//! Running the command.

// Each test file uses a part of these.
#![allow(dead_code)]

use std::{
    path::Path,
    process::{Command, Output, Stdio},
};

/// The variables that choose a language.
const LOCALE: [&str; 3] = ["LC_ALL", "LC_MESSAGES", "LANG"];

/// The command, in this folder, in English wherever the tests run.
pub fn zerokara(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_zerokara"));
    for name in LOCALE {
        command.env_remove(name);
    }
    command.current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs the command to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    zerokara(folder).args(arguments).output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs the command and expects success; its standard output.
#[track_caller]
pub fn succeed(folder: &Path, arguments: &[&str]) -> String {
    let output = run(folder, arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        stderr(&output)
    );
    stdout(&output)
}

/// Runs a command that fails with this exit code and says so in one line.
#[track_caller]
pub fn told_in_one_line(folder: &Path, arguments: &[&str], code: i32, told: &str) {
    let output = run(folder, arguments);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    assert!(stdout(&output).is_empty());
    let error = stderr(&output);
    assert!(
        error.starts_with("error: ") && error.contains(told),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
}

/// Trains two-layer-net on a few images into the folder `run`.
#[track_caller]
pub fn small_run(folder: &Path, name: &str) {
    succeed(
        folder,
        &[
            "train",
            "--model",
            "two-layer-net",
            "--limit",
            "500",
            "--epochs",
            "3",
            "--quiet",
            "--output",
            name,
        ],
    );
}
