//! Trainer, callbacks, run folders and reports of Zerokara.
//!
//! A training run leaves a folder ([`run_folder`]) with its numbers ([`metrics`]), its model and a page to look at
//! ([`report`]); while it runs, a line at the terminal tells how far it is ([`progress`]). Files are written whole or
//! not at all ([`atomic`]).

pub mod atomic;
pub mod metrics;
pub mod progress;
pub mod report;
pub mod run_folder;
