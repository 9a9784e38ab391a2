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
    /// What this makes of each language.
    pub fn of_each(mut text: impl FnMut(Language) -> String) -> Self {
        let [english, japanese] = Language::ALL.map(&mut text);
        Self { english, japanese }
    }

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
        match self.english == self.japanese {
            true => escape(&self.english),
            false => self.tagged("span", ""),
        }
    }

    /// Both as elements of this name and class; one if they are the same.
    pub fn tagged(&self, tag: &str, class: &str) -> String {
        let html = |text: &str| escape(text.trim_end());
        let japanese = (self.english != self.japanese).then(|| html(&self.japanese));
        tagged(tag, class, &html(&self.english), japanese.as_deref())
    }
}

/// Contents in both languages as elements of this name and class, of which the page shows one; one element if they are the
/// same.
pub(crate) fn tagged(
    tag: &str,
    class: &str,
    english: &str,
    japanese: Option<&str>,
) -> String {
    let element = |language: &str, content: &str| {
        let class = format!("{class} {language}");
        let named = match class.trim() {
            "" => String::new(),
            class => format!(" class=\"{class}\""),
        };
        let spoken = match language {
            "" => String::new(),
            language => format!(" lang=\"{language}\""),
        };
        format!("<{tag}{named}{spoken}>{content}</{tag}>")
    };
    let [en, ja] = Language::ALL.map(Language::code);
    match japanese {
        None => element("", english),
        Some(japanese) => element(en, english) + &element(ja, japanese),
    }
}

/// A cell without the sign in front of it.
pub(crate) fn without_sign(cell: &str) -> &str {
    cell.trim_start_matches(['−', '-', '+', '<', '±'])
}

/// Whether a cell says a number, perhaps with its unit or its range.
pub(crate) fn starts_as_number(cell: &str) -> bool {
    without_sign(cell).starts_with(|c: char| c.is_ascii_digit())
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

    /// Both in elements of this name and class; one if they are the same.
    pub fn tagged(&self, tag: &str, class: &str) -> String {
        let japanese = self.japanese.as_ref().map(Figure::svg);
        tagged(tag, class, &self.english.svg(), japanese.as_deref())
    }
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
