//! How a report speaks.

use crate::language::{Language, TRAINING, Translation, Words};
use std::{cell::RefCell, collections::BTreeSet, fmt::Display};
use zerokara_figures::Figure;

/// Says a report's texts in its language, and remembers which of them are missing there.
pub(super) struct Voice {
    words: Words,
    untranslated: RefCell<BTreeSet<String>>,
}

impl Voice {
    pub fn new(language: Language) -> Self {
        Self {
            words: Words::new(language, &TRAINING),
            untranslated: RefCell::default(),
        }
    }

    pub fn language(&self) -> Language {
        self.words.language()
    }

    fn noted(&self, text: &str, said: Translation) -> String {
        if !said.is_complete {
            self.untranslated.borrow_mut().insert(text.to_string());
        }
        said.text
    }

    /// What stands for a text.
    pub fn say(&self, text: &str) -> String {
        self.noted(text, self.words.translate(text))
    }

    /// What stands for a text with these parts, which stay as they are.
    pub fn fill(&self, text: &str, parts: &[&dyn Display]) -> String {
        self.noted(text, self.words.translate_with(text, parts))
    }

    pub fn duration(&self, seconds: f64) -> String {
        self.words.duration(seconds)
    }

    /// The figure with what stands for each text of it; names, of classes or layers, stay as they are.
    pub fn figure(&self, figure: &Figure, names: &[String]) -> Figure {
        match self.language() {
            Language::English => figure.clone(),
            Language::Japanese => {
                figure.translated(&|text| match names.iter().any(|name| name == text) {
                    true => text.to_string(),
                    false => self.say(text),
                })
            }
        }
    }

    pub fn untranslated(self) -> Vec<String> {
        self.untranslated.into_inner().into_iter().collect()
    }
}
