//! The report of a run: one HTML file that needs nothing else, neither network nor other files nor scripts.
//!
//! [`Report`] holds plain data; [`Report::render`] makes the page. Sections without data are left out. Text is
//! escaped, numbers that are not finite are gaps or dashes.

mod confusion;
mod curves;
mod facts;
mod gallery;
mod page;
mod readings;
mod tables;
pub mod terminal;
mod voice;

use crate::{evaluation::Reading, language::Language};
use serde::{Deserialize, Serialize};
use voice::Voice;

pub use curves::Curves;
pub(crate) use page::{PAGE_STYLE, drawn};
pub use zerokara_figures::{html, numbers};
pub use zerokara_nn::metrics::ConfusionMatrix;

/// Everything that a report can show. What is unknown stays `None` or empty.
///
/// ```
/// use zerokara_train::report::Report;
///
/// let html = Report {
///     title: "LeNet on MNIST".into(),
///     test_accuracy: Some(0.9843),
///     ..Report::default()
/// }
/// .render();
/// assert!(html.contains("98.43 %"));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The language of the page. What the other fields say is in this language already.
    pub language: Language,
    /// Title of the page.
    pub title: String,
    /// Name of the model.
    pub model: String,
    /// Name of the data set.
    pub dataset: String,
    /// Date and time of the run.
    pub date: String,
    /// The command that made the run.
    pub command: String,
    /// Seed of all random numbers.
    pub seed: Option<u64>,
    /// Number of threads.
    pub threads: Option<usize>,
    /// Instruction set of the kernels.
    pub isa: String,
    /// Version of the program.
    pub version: String,
    /// Further settings to list, such as optimizer and batch size: name and value.
    pub settings: Vec<(String, String)>,
    /// How the run ended, if it did not come to its end: a sentence.
    pub ended: Option<String>,
    /// How many test samples have no answer, if some have none.
    pub unanswered: Option<String>,
    /// What the samples are called in English, such as `samples`; `images` if empty.
    pub samples: String,
    /// How many of how many training samples training loss and accuracy are of, if not of all.
    pub train_sample: Option<(u64, u64)>,
    /// Duration of the training in seconds.
    pub seconds: Option<f64>,
    /// Training samples per second.
    pub images_per_second: Option<f64>,
    /// Number of trained parameters.
    pub parameters: Option<u64>,
    /// Accuracy on the training data, from 0 to 1.
    pub train_accuracy: Option<f64>,
    /// Accuracy on the validation data, from 0 to 1.
    pub validation_accuracy: Option<f64>,
    /// Accuracy on the test data, from 0 to 1.
    pub test_accuracy: Option<f64>,
    /// Loss on the test data.
    pub test_loss: Option<f64>,
    /// Other measures of the task on the test data: name, value, and whether it is a share from 0 to 1.
    pub measures: Vec<(String, f64, bool)>,
    /// What the task reads for test samples, where that are labels or numbers.
    pub readings: Vec<Reading>,
    /// Names of the classes; a class without a name is shown by its number.
    pub classes: Vec<String>,
    /// Loss, accuracy and learning rate over time.
    pub curves: Curves,
    /// The epoch whose parameters were kept because it did best on the validation data.
    pub best_epoch: Option<u64>,
    /// How often each class was answered for each label.
    pub confusion: Option<ConfusionMatrix>,
    /// Samples that were answered wrongly. The page shows the 60 with the highest probabilities.
    pub misclassified: Vec<Misclassified>,
    /// Rows of a table, or other samples that are no pictures, whose answers were most wrong, worst first.
    pub worst: Vec<WorstRow>,
    /// Weights of the first convolution before training.
    pub filters_before: Option<Filters>,
    /// Weights of the first convolution after training.
    pub filters_after: Option<Filters>,
    /// The model's layers.
    pub layers: Vec<LayerRow>,
    /// Where the time of a training step goes.
    pub times: Vec<LayerTime>,
}

/// A sample and the wrong answer to it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Misclassified {
    /// Number of the sample in its data set.
    pub index: Option<u64>,
    /// Pixels `[C, H, W]`.
    pub pixels: Vec<f32>,
    /// Channels, height and width.
    pub shape: [usize; 3],
    /// The right class.
    pub label: usize,
    /// The class that the model gave.
    pub answer: usize,
    /// The probability that the model gave to its answer.
    pub probability: f32,
}

/// A row of a table, or another sample that is no picture, whose answer was wrong.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WorstRow {
    /// Number of the row in its data set.
    pub index: Option<u64>,
    /// Names and contents of its cells, as far as they are known.
    pub cells: Vec<(String, String)>,
    /// What is right.
    pub wanted: String,
    /// What the model answered.
    pub given: String,
    /// How wrong that is: the probability that the model gave to its answer, or the difference.
    pub error: String,
}

/// A section of a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// Its name for programs, such as `confusion`.
    pub id: &'static str,
    /// Its heading, in the report's language.
    pub heading: String,
    /// Its contents: HTML for a page that has the style sheet of figures and [`Report::STYLE`].
    pub html: String,
}

/// Weights of a convolution.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filters {
    /// Output channels, input channels, height and width of the kernel: `[O, C, KH, KW]`.
    pub shape: [usize; 4],
    /// The weights, `O · C · KH · KW` of them.
    pub weights: Vec<f32>,
}

/// A line of the model's summary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerRow {
    /// Name or kind of the layer.
    pub name: String,
    /// Shape of its output, without the batch axis.
    pub output: Vec<usize>,
    /// Number of its parameters.
    pub parameters: u64,
    /// Floating-point operations of its forward pass for one sample.
    pub flops: u64,
}

/// The time that a layer takes in a training step.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LayerTime {
    /// Name or kind of the layer.
    pub name: String,
    /// Milliseconds forward.
    pub forward: f64,
    /// Milliseconds backward.
    pub backward: f64,
}

impl Report {
    /// The page as HTML.
    ///
    /// It follows the reader's light or dark theme, or the one named by `data-theme="light"` or `"dark"` on `<html>`.
    pub fn render(&self) -> String {
        page::render(self, &Voice::new(self.language))
    }

    /// The looks of a report beside those of figures, for a page that shows sections of it.
    pub const STYLE: &str = page::PAGE_STYLE;

    /// The sections that have contents, in their order.
    pub fn sections(&self) -> Vec<Section> {
        page::sections(self, &Voice::new(self.language))
    }

    /// What the page says in English, for want of a translation into its language.
    pub fn untranslated(&self) -> Vec<String> {
        let voice = Voice::new(self.language);
        page::render(self, &voice);
        voice.untranslated()
    }

    /// What the samples are called.
    fn samples(&self) -> &str {
        match self.samples.trim() {
            "" => "images",
            samples => samples,
        }
    }

    /// `of 5,000 of 60,000 images`, if the training accuracy is not of all.
    fn train_sample(&self, voice: &Voice) -> Option<String> {
        let (some, all) = self.train_sample?;
        let (some, all) = (numbers::thousands(some), numbers::thousands(all));
        Some(voice.say(&format!("of {some} of {all} {}", self.samples())))
    }

    fn class(&self, index: usize) -> String {
        class_name(&self.classes, index)
    }
}

fn class_name(classes: &[String], index: usize) -> String {
    match classes.get(index) {
        Some(name) if !name.is_empty() => name.clone(),
        _ => index.to_string(),
    }
}
