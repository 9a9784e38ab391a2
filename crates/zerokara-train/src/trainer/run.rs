//! What a training leaves.

use crate::{evaluation::Evaluation, metrics::Epoch, model::SavedModel, run_folder::RunFolder};

/// A training that is done: the model, how it does, and how it came there.
#[derive(Debug)]
pub struct Run {
    pub(super) model: SavedModel,
    pub(super) history: Vec<Epoch>,
    pub(super) test: Evaluation,
    pub(super) folder: Option<RunFolder>,
    pub(super) interrupted: bool,
    pub(super) seconds: f64,
    pub(super) losses: Vec<f64>,
}

impl Run {
    /// The trained model.
    pub fn model(&self) -> &SavedModel {
        &self.model
    }

    /// The evaluation after each epoch.
    pub fn history(&self) -> &[Epoch] {
        &self.history
    }

    /// The share of the test set that the model gets right; NaN if the loss does not know right and wrong, or training
    /// was interrupted while it was evaluated.
    pub fn test_accuracy(&self) -> f64 {
        self.test.accuracy().unwrap_or(f64::NAN)
    }

    /// The final evaluation on the test set.
    pub fn test(&self) -> &Evaluation {
        &self.test
    }

    /// The folder with the run's files, if one was asked for.
    pub fn folder(&self) -> Option<&RunFolder> {
        self.folder.as_ref()
    }

    /// Whether Ctrl-C ended the training early.
    pub fn interrupted(&self) -> bool {
        self.interrupted
    }

    /// Seconds that the training took, evaluations included.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// Number of steps taken.
    pub fn steps(&self) -> u64 {
        self.losses.len() as u64
    }

    /// The loss of the batch at each step, before its update; noisy, since every step sees another batch.
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }
}
