//! Trainer, callbacks, run folders and reports of Zerokara.
//!
//! A [`Trainer`] trains a model on a data set. A training run leaves a folder ([`run_folder`]) with its numbers
//! ([`metrics`]), its model and a page to look at ([`report`]); while it runs, a line at the terminal tells how far it is
//! ([`progress`]); [`profile`] tells what each layer of a step costs; both speak more than English ([`language`]). Files are
//! written whole or not at all ([`atomic`]).

mod bytes;
mod carried;
mod description;
mod error;
mod evaluation;
mod fingerprint;
mod generate;
pub mod language;
pub mod metrics;
mod model;
pub mod profile;
pub mod progress;
mod random;
pub mod readings;
mod recipe;
pub mod report;
pub mod run_folder;
pub mod search;
pub mod system;
mod trainer;

pub use description::{
    DataDescription, DataFacts, GroupDescription, ModelDescription, Pace, RunDescription, Sampling,
    Setup,
};
pub use error::{Error, NotFinite, Result};
pub use evaluation::{Answer, Evaluation, Reading};
pub use generate::{Generation, Generator};
pub use model::{ColumnImportance, ModelCard, PictureExplanation, SavedModel, TableExplanation};
pub use recipe::{LayerDescription, Recipe};
pub use trainer::{Callback, EarlyStopping, Every, Flow, LearningRates, Run, Trainer};
pub use zerokara_formats::atomic;
