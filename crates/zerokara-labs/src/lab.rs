//! What a lab is: one record, from which the list, the command's options, the pages and the tests are made.

use crate::{Language, Session};
use std::sync::LazyLock;
use zerokara::{Result, figures::numbers::thousands, train::language::Texts};

/// The largest count that any lab takes.
const MOST: usize = 1_000_000;

/// A laboratory.
pub struct Lab {
    /// The name of its files.
    pub(crate) stem: &'static str,
    /// The book's chapter; 0 for what goes beyond the book.
    pub(crate) chapter: u8,
    /// Pages of the Japanese edition.
    pub(crate) pages: &'static str,
    /// What the reader can vary, beside the seed.
    pub(crate) choices: &'static [Choice],
    /// Its source, to be shown.
    pub(crate) source: &'static str,
    /// The explanation, in Markdown.
    pub(crate) english: &'static str,
    /// The same in Japanese.
    pub(crate) japanese: &'static str,
    /// What stands in Japanese for each text that the lab says or draws.
    pub(crate) table: &'static str,
    /// The table, and what all labs have in common, read when they are needed first.
    pub(crate) texts: LazyLock<Texts>,
    pub(crate) run: fn(&mut Session<'_>) -> Result<()>,
}

/// Declares the lab of a file, which has a function `run`: its files' name, the book's chapter and pages, and what can be
/// varied. Beside it lie the explanations, `.en.md` and `.ja.md`, and the table of its texts, `.ja.toml`.
macro_rules! lab {
    ($stem:literal, chapter $chapter:literal, pages $pages:literal $(, $choice:expr)* $(,)?) => {
        pub(crate) static LAB: Lab = Lab {
            stem: $stem,
            chapter: $chapter,
            pages: $pages,
            choices: &[$($choice),*],
            source: include_str!(concat!($stem, ".rs")),
            english: include_str!(concat!($stem, ".en.md")),
            japanese: include_str!(concat!($stem, ".ja.md")),
            table: include_str!(concat!($stem, ".ja.toml")),
            texts: std::sync::LazyLock::new(|| {
                LAB.own_texts().unwrap_or_default().or(&$crate::words::COMMON)
            }),
            run,
        };
    };
}
pub(crate) use lab;

/// What kind of value an option of a lab takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// A number.
    Number,
    /// A whole number from 1 to a million; labs say where less is sensible.
    Count,
    /// Numbers with commas between them.
    Numbers,
    /// One of these words.
    Word(&'static [&'static str]),
}

/// Something that the reader can vary.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// The option's name, without the dashes.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Its value unless given.
    pub default: &'static str,
    /// Its value in quick mode unless given.
    pub quick: &'static str,
    /// One line about it.
    pub help: &'static str,
}

impl Choice {
    const fn new(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self { name, kind, default, quick: default, help }
    }

    /// A number.
    pub const fn number(
        name: &'static str,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new(name, Kind::Number, default, help)
    }

    /// A whole number from 1 to a million.
    pub const fn count(
        name: &'static str,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new(name, Kind::Count, default, help)
    }

    /// Numbers with commas between them.
    pub const fn numbers(
        name: &'static str,
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new(name, Kind::Numbers, default, help)
    }

    /// One of these words.
    pub const fn word(
        name: &'static str,
        words: &'static [&'static str],
        default: &'static str,
        help: &'static str,
    ) -> Self {
        Self::new(name, Kind::Word(words), default, help)
    }

    /// The value in quick mode.
    pub const fn quick(mut self, value: &'static str) -> Self {
        self.quick = value;
        self
    }

    /// Whether the option takes this text.
    ///
    /// # Errors
    /// What it takes instead.
    pub fn check(&self, text: &str) -> Result<(), String> {
        let number = |text: &str| text.trim().parse::<f64>().is_ok_and(f64::is_finite);
        let (fits, takes) = match self.kind {
            Kind::Number => (number(text), "a number".to_string()),
            Kind::Count => {
                let fits = text.parse().is_ok_and(|n| (1..=MOST).contains(&n));
                (fits, format!("a whole number from 1 to {}", thousands(MOST as u64)))
            }
            Kind::Numbers => (
                text.split(',').all(number),
                "numbers with commas between them".to_string(),
            ),
            Kind::Word(words) => {
                (words.contains(&text), format!("one of {}", words.join(", ")))
            }
        };
        match fits {
            true => Ok(()),
            false => Err(format!("it takes {takes}")),
        }
    }
}

impl Lab {
    /// The name by which it is called: `numerical-differentiation`.
    pub fn name(&self) -> String {
        self.stem.replace('_', "-")
    }

    /// The book's chapter; 0 for what goes beyond the book.
    pub fn chapter(&self) -> u8 {
        self.chapter
    }

    /// Pages of the Japanese edition; empty for what goes beyond the book.
    pub fn pages(&self) -> &'static str {
        self.pages
    }

    /// What the reader can vary, beside the seed.
    pub fn choices(&self) -> &'static [Choice] {
        self.choices
    }

    /// The Rust code.
    pub fn source(&self) -> &'static str {
        self.source
    }

    /// The explanation in one of the languages.
    pub fn text(&self, language: Language) -> Text<'static> {
        match language {
            Language::English => Text::of(self.english),
            Language::Japanese => Text::of(self.japanese),
        }
    }

    /// What stands for the texts that it says and draws, in its own table and in the one that all labs have in common.
    pub fn texts(&self) -> &Texts {
        &self.texts
    }

    /// What an option is for, in one of the languages.
    pub fn help(&self, choice: &Choice, language: Language) -> String {
        match language {
            Language::English => choice.help.to_string(),
            Language::Japanese => self.texts().translate(choice.help).text,
        }
    }

    /// The lines of the lab's own table.
    ///
    /// # Errors
    /// If the table is not one: an error of the lab's author.
    pub fn own_texts(&self) -> Result<Texts> {
        Texts::parse(self.table)
    }
}

/// An explanation: Markdown with a title (`# Title`), an introduction, and sections (`## Title {#id}`).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text<'a> {
    /// The title.
    pub title: &'a str,
    /// What stands before the first section.
    pub introduction: String,
    /// For each section its id, its title and what it says.
    pub sections: Vec<(&'a str, &'a str, String)>,
}

impl<'a> Text<'a> {
    fn of(markdown: &'a str) -> Self {
        let mut text = Self::default();
        for line in markdown.lines() {
            if let Some(title) = line.strip_prefix("# ") {
                text.title = title.trim();
            } else if let Some(heading) = line.strip_prefix("## ") {
                let (title, id) = heading.split_once("{#").unwrap_or((heading, ""));
                text.sections.push((
                    id.trim_end().trim_end_matches('}'),
                    title.trim(),
                    String::new(),
                ));
            } else {
                let part = match text.sections.last_mut() {
                    Some((_, _, body)) => body,
                    None => &mut text.introduction,
                };
                part.push_str(line);
                part.push('\n');
            }
        }
        text
    }
}
