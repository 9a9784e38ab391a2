//! Texts and pictures in both languages, as pages have them.

use crate::Language;
use std::sync::LazyLock;
use zerokara::{
    figures::{Figure, html::escape},
    train::language::Texts,
};

/// What labs have in common, and the frame around them.
pub(crate) static COMMON: LazyLock<Texts> =
    LazyLock::new(|| Texts::parse(COMMON_TABLE).unwrap_or_default());

pub(crate) const COMMON_TABLE: &str = include_str!("words.ja.toml");

/// A text in both languages.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub english: String,
    pub japanese: String,
}

impl Said {
    /// A text of the frame around labs.
    pub fn common(english: &str) -> Self {
        Self { english: english.to_string(), japanese: COMMON.translate(english).text }
    }

    pub fn of(&self, language: Language) -> &str {
        match language {
            Language::English => &self.english,
            Language::Japanese => &self.japanese,
        }
    }

    pub fn push_line(&mut self, next: &Self) {
        for (text, line) in
            [(&mut self.english, &next.english), (&mut self.japanese, &next.japanese)]
        {
            text.push('\n');
            text.push_str(line);
        }
    }

    /// Both as HTML, of which the page shows one; once if they are the same.
    pub fn html(&self) -> String {
        self.tagged("span", "")
    }

    /// Both as elements of this name and class.
    pub fn tagged(&self, tag: &str, class: &str) -> String {
        let of = |language: Language| {
            let (code, text) = (language.code(), escape(self.of(language).trim_end()));
            format!("<{tag} class=\"{}\" lang=\"{code}\">{text}</{tag}>", join(class, code))
        };
        match self.english == self.japanese {
            true if tag == "span" && class.is_empty() => escape(&self.english),
            true => {
                format!(
                    "<{tag} class=\"{class}\">{}</{tag}>",
                    escape(self.english.trim_end())
                )
            }
            false => Language::ALL.map(of).concat(),
        }
    }
}

/// A picture in both languages.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    english: Figure,
    /// If it differs.
    japanese: Option<Figure>,
}

impl Drawn {
    pub fn new(english: Figure, japanese: Figure) -> Self {
        let japanese = Some(japanese).filter(|japanese| *japanese != english);
        Self { english, japanese }
    }

    pub fn of(&self, language: Language) -> &Figure {
        match language {
            Language::English => &self.english,
            Language::Japanese => self.japanese.as_ref().unwrap_or(&self.english),
        }
    }

    /// Both in elements of this name and class, of which the page shows one; once if they are the same.
    pub fn tagged(&self, tag: &str, class: &str) -> String {
        let of = |language: Language| {
            let (code, svg) = (language.code(), self.of(language).svg());
            format!("<{tag} class=\"{}\" lang=\"{code}\">{svg}</{tag}>", join(class, code))
        };
        match self.japanese {
            None => format!("<{tag} class=\"{class}\">{}</{tag}>", self.english.svg()),
            Some(_) => Language::ALL.map(of).concat(),
        }
    }
}

fn join(class: &str, code: &str) -> String {
    format!("{class} {code}").trim().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_what_labs_have_in_common_can_be_read() {
        assert!(Texts::parse(COMMON_TABLE).unwrap().lines().count() > 10);
    }

    #[test]
    fn what_is_alike_is_said_once() {
        let said = Said { english: "a < b".into(), japanese: "a < b".into() };
        assert_eq!(said.html(), "a &lt; b");
        let said = Said { english: "loss".into(), japanese: "損失".into() };
        assert_eq!(
            said.tagged("td", "number"),
            "<td class=\"number en\" lang=\"en\">loss</td><td class=\"number ja\" lang=\"ja\">損失</td>"
        );
    }
}
