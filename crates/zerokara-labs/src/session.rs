//! What a lab can do while it runs: say numbers, draw, and state facts.

use crate::{
    Lab, Options, Report,
    lab::Text,
    page::{Block, Section},
    words::{Drawn, Said, starts_as_number, without_sign},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{
    cell::RefCell, collections::BTreeSet, fmt::Display, panic::Location, time::Instant,
};
use zerokara::{
    Error, Result,
    figures::Figure,
    train::report::terminal::{Align, table},
};

/// A lab that is running. What it says goes to the terminal and into the page, in the order in which it is said.
pub struct Session<'a> {
    pub(crate) lab: &'static Lab,
    pub(crate) options: &'a Options,
    say: &'a mut dyn FnMut(&str) -> Result<()>,
    /// The first error of `say`, which ends the lab when it is done.
    failed: Option<Error>,
    titles: Text<'static>,
    /// What the tables have no translation of.
    untranslated: RefCell<BTreeSet<String>>,
    sections: Vec<Section>,
    start: Instant,
}

impl<'a> Session<'a> {
    pub(crate) fn new(
        lab: &'static Lab,
        options: &'a Options,
        say: &'a mut dyn FnMut(&str) -> Result<()>,
    ) -> Self {
        Self {
            lab,
            options,
            say,
            failed: None,
            titles: lab.text(options.language),
            untranslated: RefCell::default(),
            sections: Vec::new(),
            start: Instant::now(),
        }
    }

    pub(crate) fn finish(self) -> Result<Report> {
        match self.failed {
            Some(error) => Err(error),
            None => Ok(Report {
                lab: self.lab,
                options: self.options.clone(),
                sections: self.sections,
                untranslated: self.untranslated.into_inner().into_iter().collect(),
                seconds: self.start.elapsed().as_secs_f64(),
            }),
        }
    }

    /// A text in both languages.
    pub(crate) fn said(&self, text: &str) -> Said {
        Said { english: text.to_string(), japanese: self.translated(text) }
    }

    /// A picture in both languages.
    pub(crate) fn drawn(&self, figure: Figure) -> Drawn {
        let japanese = figure.translated(&|text| self.translated(text));
        Drawn::new(figure, japanese)
    }

    fn translated(&self, text: &str) -> String {
        let translation = self.lab.texts().translate(text);
        if !translation.is_complete {
            self.untranslated.borrow_mut().insert(text.to_string());
        }
        translation.text
    }

    fn tell(&mut self, text: &str) {
        if self.failed.is_none()
            && let Err(error) = (self.say)(text)
        {
            self.failed = Some(error);
        }
    }

    pub(crate) fn block(&mut self, block: Block) {
        if self.sections.is_empty() {
            self.sections.push(Section::new("", 0));
        }
        if let Some(section) = self.sections.last_mut() {
            section.blocks.push(block);
        }
    }

    /// Begins a section: the explanation has its title and text under this id, and the page shows beside it the source
    /// from this line on.
    #[track_caller]
    pub fn section(&mut self, id: &'static str) {
        self.sections.push(Section::new(id, Location::caller().line()));
        let found = self.titles.sections.iter().find(|s| s.0 == id);
        let title = found.map_or(id, |s| s.1);
        self.tell(&format!("\n{}", console::style(title).bold()));
    }

    /// Says something: a line, or several.
    pub fn print(&mut self, text: impl Display) {
        let text = self.said(&text.to_string());
        self.tell(text.of(self.options.language));
        // Lines in a row are one piece of the page.
        if let Some(Block::Text(last)) =
            self.sections.last_mut().and_then(|s| s.blocks.last_mut())
        {
            last.push_line(&text);
            return;
        }
        self.block(Block::Text(text));
    }

    /// A table: names of the columns, and rows. Columns of numbers stand at the right.
    pub fn table(&mut self, columns: &[&str], rows: &[Vec<String>]) {
        let numeric = |column: usize| {
            let cells = rows
                .iter()
                .filter_map(|row| row.get(column))
                .filter(|cell| !cell.is_empty());
            let is_one = |cell: &String| {
                let unsigned = without_sign(cell);
                starts_as_number(cell) || ["inf", "NaN", "∞", "–"].contains(&unsigned)
            };
            column > 0 && cells.clone().next().is_some() && cells.clone().all(is_one)
        };
        let aligns: Vec<Align> = (0..columns.len())
            .map(|column| if numeric(column) { Align::Right } else { Align::Left })
            .collect();
        let columns: Vec<Said> = columns.iter().map(|column| self.said(column)).collect();
        let said = |row: &Vec<String>| row.iter().map(|cell| self.said(cell)).collect();
        let rows: Vec<Vec<Said>> = rows.iter().map(said).collect();
        let language = self.options.language;
        let heads = columns.iter().map(|column| column.of(language));
        let heads: Vec<(&str, Align)> = heads.zip(aligns.iter().copied()).collect();
        let cells =
            |row: &Vec<Said>| row.iter().map(|c| c.of(language).to_string()).collect();
        let cells: Vec<Vec<String>> = rows.iter().map(cells).collect();
        self.tell(table(&heads, &cells).trim_end());
        self.block(Block::Table {
            columns,
            numeric: aligns.iter().map(|a| *a == Align::Right).collect(),
            rows,
        });
    }

    /// A picture.
    pub fn figure(&mut self, figure: Figure) {
        self.figures([figure]);
    }

    /// Pictures side by side, as many as there is room for.
    pub fn figures(&mut self, figures: impl IntoIterator<Item = Figure>) {
        let figures = figures.into_iter().map(|figure| self.drawn(figure)).collect();
        self.block(Block::Figures(figures));
    }

    /// States something that must be true.
    ///
    /// # Errors
    /// If it is not.
    pub fn fact(&mut self, what: impl Display, holds: bool) -> Result<()> {
        if !holds {
            return Err(Error::new(format!(
                "the lab {} finds it untrue that {what}",
                self.lab.name()
            )));
        }
        let what = self.said(&what.to_string());
        let told = what.of(self.options.language);
        self.tell(&format!("{} {told}", console::style("✓").green()));
        self.block(Block::Fact(what));
        Ok(())
    }

    /// A bar at the terminal for this many pieces of work.
    pub fn progress(&self, what: &str, pieces: usize) -> Progress {
        let bar = ProgressBar::with_draw_target(
            Some(pieces as u64),
            if self.options.quiet {
                ProgressDrawTarget::hidden()
            } else {
                ProgressDrawTarget::stderr()
            },
        );
        let left = Said::common("{eta} left");
        let left = left.of(self.options.language);
        if let Ok(style) = ProgressStyle::with_template(&format!(
            "{{msg}}  {{bar:28.cyan/238}}  {{pos}}/{{len}}  {left}"
        )) {
            bar.set_style(style.progress_chars("━━─"));
        }
        bar.set_message(self.said(what).of(self.options.language).to_string());
        Progress(bar)
    }

    /// The seed of all that is random.
    pub fn seed(&self) -> u64 {
        self.options.seed
    }

    /// Whether little time is to be taken.
    pub fn quick(&self) -> bool {
        self.options.quick
    }

    /// The first value, or the second in quick mode.
    pub fn pick<T>(&self, full: T, quick: T) -> T {
        if self.options.quick { quick } else { full }
    }

    /// Whether none of these options was given: some facts hold only for their default values.
    pub fn usual(&self, names: &[&str]) -> bool {
        !names.iter().any(|name| self.options.values.contains_key(*name))
    }

    /// The value of an option of this lab, as text.
    ///
    /// # Panics
    /// If the lab has not declared the option: an error of the lab's author that its test shows.
    pub fn word(&self, name: &str) -> &str {
        let choice = self.lab.choices().iter().find(|choice| choice.name == name);
        let choice = choice.unwrap_or_else(|| {
            panic!("the lab {} declares no option {name}", self.lab.name())
        });
        match self.options.values.get(name) {
            Some(value) => value,
            None => self.pick(choice.default, choice.quick),
        }
    }

    /// The value of an option that takes a number.
    pub fn number(&self, name: &str) -> f64 {
        self.word(name).trim().parse().unwrap_or(f64::NAN)
    }

    /// The value of an option that takes a whole number from 1 to a million.
    pub fn count(&self, name: &str) -> usize {
        self.word(name).parse().unwrap_or(1)
    }

    /// The value of an option that takes several numbers.
    pub fn numbers(&self, name: &str) -> Vec<f64> {
        self.word(name).split(',').map(|n| n.trim().parse().unwrap_or(f64::NAN)).collect()
    }
}

/// A bar that shows how much of a lab's work is done; it goes when it is dropped.
pub struct Progress(ProgressBar);

impl Progress {
    /// One more piece is done.
    pub fn step(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
