//! How labs are run.

use crate::{Lab, Report, Session};
use std::{collections::BTreeMap, path::PathBuf};
use zerokara::{Error, Result, train::language::Language};

/// How a lab is run: with which seed and values, how long, and where it speaks.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) seed: u64,
    pub(crate) quick: bool,
    pub(crate) language: Language,
    pub(crate) values: BTreeMap<String, String>,
    pub(crate) networks: Option<PathBuf>,
    pub(crate) quiet: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

impl Options {
    /// Seed 0, full work, English, trained networks not kept.
    pub fn new() -> Self {
        Self {
            seed: 0,
            quick: false,
            language: Language::English,
            values: BTreeMap::new(),
            networks: None,
            quiet: false,
        }
    }

    /// The seed of all that is random.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Reduced work: everything is done, with fewer images and steps.
    pub fn quick(mut self) -> Self {
        self.quick = true;
        self
    }

    /// The language at the terminal, and the one that the page shows first; the page has both.
    pub fn language(mut self, language: Language) -> Self {
        self.language = language;
        self
    }

    /// The value of something that the lab lets vary.
    pub fn set(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.values.insert(name.into(), value.into());
        self
    }

    /// The folder in which trained networks are kept, to be used again.
    pub fn networks(mut self, folder: impl Into<PathBuf>) -> Self {
        self.networks = Some(folder.into());
        self
    }

    /// Shows no progress.
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    /// Runs the lab without a word at the terminal.
    ///
    /// # Errors
    /// If a value is not one that the lab takes, or the lab fails; if something that it states does not hold.
    pub fn run(&self, lab: &'static Lab) -> Result<Report> {
        self.run_with(lab, &mut |_| Ok(()))
    }

    /// Runs the lab; `say` is given each line for the terminal.
    ///
    /// # Errors
    /// If a value is not one that the lab takes, or the lab fails; if something that it states does not hold; the error of
    /// `say`.
    pub fn run_with(
        &self,
        lab: &'static Lab,
        say: &mut dyn FnMut(&str) -> Result<()>,
    ) -> Result<Report> {
        for (name, value) in &self.values {
            let known = lab.choices().iter().find(|choice| choice.name == name);
            let choice = known.ok_or_else(|| {
                Error::new(format!("the lab {} has no option {name}", lab.name()))
            })?;
            choice
                .check(value)
                .map_err(|why| Error::new(format!("{name}: {why}, not {value:?}")))?;
        }
        let mut session = Session::new(lab, self, say);
        (lab.run)(&mut session)?;
        session.finish()
    }
}
