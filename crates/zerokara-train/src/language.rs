//! Languages: the code speaks English, and a table beside it says what stands for each text in Japanese.
//!
//! A table is a file of TOML with a line for each text. What varies in a text is `{}`:
//!
//! ```toml
//! "epoch" = "エポック"
//! "{} parameters in {} layers" = "{2}層に{1}個のパラメータ"
//! ```
//!
//! Programs say their texts in English, put together as they like, and look up what they have said: so a table needs no
//! names for texts, nothing is said twice in the code, and what a table lacks is found by a test that looks for it. Errors
//! and what other programs read stay English.

use crate::{Error, Result, report::numbers};
use std::{
    collections::{BTreeMap, HashMap},
    fmt::Display,
    sync::LazyLock,
};

/// A language that labs, help, progress and reports speak.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Japanese.
    Japanese,
}

impl Language {
    /// All of them, English first.
    pub const ALL: [Self; 2] = [Self::English, Self::Japanese];

    /// `en` or `ja`.
    pub fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Japanese => "ja",
        }
    }

    /// The language of this code.
    pub fn of_code(code: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.code() == code)
    }

    /// The one that the environment asks for by `LC_ALL`, `LC_MESSAGES` or `LANG`, the first of them that is set; English
    /// unless it begins with `ja`.
    pub fn of_environment() -> Self {
        let named = ["LC_ALL", "LC_MESSAGES", "LANG"]
            .iter()
            .find_map(|name| std::env::var_os(name).filter(|value| !value.is_empty()));
        match named.is_some_and(|value| value.as_encoded_bytes().starts_with(b"ja")) {
            true => Self::Japanese,
            false => Self::English,
        }
    }
}

/// A table of texts: English, and what stands for it in another language.
///
/// ```
/// use zerokara_train::language::Texts;
///
/// let texts = Texts::parse(r#"
///     "loss" = "損失"
///     "{} by {}" = "{2}ごとの{1}"
///     "epoch" = "エポック"
/// "#)?;
/// assert_eq!(texts.translate("loss by epoch").text, "エポックごとの損失");
/// assert!(texts.translate("0.98").is_complete); // numbers and signs need no translation
/// assert!(!texts.translate("accuracy by epoch").is_complete);
/// # Ok::<(), zerokara_train::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Texts {
    whole: HashMap<String, String>,
    /// Texts with `{}`, those with the most letters of their own first.
    patterns: Vec<Pattern>,
}

/// A text in another language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// What is said instead: the text itself where the table says nothing of it.
    pub text: String,
    /// Whether nothing in it was left as it was for want of a line in the table.
    pub is_complete: bool,
}

#[derive(Clone, Debug)]
struct Pattern {
    /// What stands between the parts that vary.
    fixed: Vec<String>,
    translation: String,
}

impl Pattern {
    fn letters(&self) -> usize {
        self.fixed.iter().map(String::len).sum()
    }

    /// The parts that vary, if the text is one of this pattern.
    fn parts<'t>(&self, text: &'t str) -> Option<Vec<&'t str>> {
        let (first, last) = (self.fixed.first()?, self.fixed.last()?);
        let mut rest = text
            .strip_prefix(first.as_str())?
            .strip_suffix(last.as_str())?;
        let mut parts = Vec::new();
        for between in &self.fixed[1..self.fixed.len() - 1] {
            // A part that varies is never empty.
            let skip = rest.chars().next()?.len_utf8();
            let at = skip + rest.get(skip..)?.find(between.as_str())?;
            parts.push(&rest[..at]);
            rest = &rest[at + between.len()..];
        }
        parts.push(rest);
        (!rest.is_empty()).then_some(parts)
    }
}

impl Texts {
    /// The table of a file.
    ///
    /// # Errors
    /// If it is not TOML with a text for each text, or a translation names a part that its text does not have.
    pub fn parse(table: &str) -> Result<Self> {
        let lines: BTreeMap<String, String> =
            toml::from_str(table).map_err(|e| Error::new(format!("a table of texts: {e}")))?;
        let mut texts = Self::default();
        for (text, translation) in lines {
            let fixed: Vec<String> = text.split("{}").map(str::to_string).collect();
            let count = fixed.len() - 1;
            if let Err(told) = fill(&translation, &vec![""; count]) {
                return Err(Error::new(format!(
                    "the translation of {text:?} names {{{told}}}"
                )));
            }
            match count {
                0 => drop(texts.whole.insert(text, translation)),
                _ => texts.patterns.push(Pattern { fixed, translation }),
            }
        }
        texts.sort();
        Ok(texts)
    }

    fn sort(&mut self) {
        self.patterns
            .sort_by_key(|pattern| std::cmp::Reverse(pattern.letters()));
    }

    /// This table and, for what it does not have, another.
    pub fn or(mut self, other: &Self) -> Self {
        for (text, translation) in &other.whole {
            self.whole
                .entry(text.clone())
                .or_insert_with(|| translation.clone());
        }
        self.patterns.extend(other.patterns.iter().cloned());
        self.sort();
        self
    }

    /// What stands for a text of one line or several. Each line is looked up by itself, whole, then as one of the patterns, of
    /// which the one with the most letters of its own is taken; what varies in it is looked up in turn. What has no two
    /// letters in a row, such as numbers, is the same in every language; what is Japanese stays, since descriptions of
    /// figures name labels that were translated before.
    pub fn translate(&self, text: &str) -> Translation {
        let mut out = Translation {
            text: String::with_capacity(text.len()),
            is_complete: true,
        };
        for (at, line) in text.split('\n').enumerate() {
            if at > 0 {
                out.text.push('\n');
            }
            let words = line.trim();
            let (before, after) = line
                .split_once(words)
                .filter(|_| !words.is_empty())
                .unwrap_or((line, ""));
            out.text += before;
            out.is_complete &= self.line(words, &mut out.text);
            out.text += after;
        }
        out
    }

    /// Says a line, and whether all of it was found.
    fn line(&self, text: &str, out: &mut String) -> bool {
        if let Some(translation) = self.whole.get(text) {
            out.push_str(translation);
            return true;
        }
        if !has_words(text) {
            out.push_str(text);
            return true;
        }
        let mut found = self
            .patterns
            .iter()
            .filter_map(|p| Some((p, p.parts(text)?)));
        let Some((pattern, parts)) = found.next() else {
            out.push_str(text);
            return is_japanese(text);
        };
        // Each part is shorter than the text: this ends.
        let parts: Vec<Translation> = parts.iter().map(|part| self.translate(part)).collect();
        let said: Vec<&str> = parts.iter().map(|part| part.text.as_str()).collect();
        match fill(&pattern.translation, &said) {
            Ok(text) => out.push_str(&text),
            Err(_) => out.push_str(text), // checked when it was read
        }
        parts.iter().all(|part| part.is_complete)
    }

    /// What stands for a text of one line in which what varies is `{}`, with these parts in the places of `{}`. They stay as
    /// they are, unlike in [`translate`](Self::translate): so names and paths, which may look like words, are kept.
    ///
    /// ```
    /// use zerokara_train::language::Texts;
    ///
    /// let texts = Texts::parse("\"{} on {}\" = \"{2}での{1}\"\n\"loss\" = \"損失\"")?;
    /// assert_eq!(texts.fill("{} on {}", &[&"loss", &"MNIST"]).text, "MNISTでのloss");
    /// # Ok::<(), zerokara_train::Error>(())
    /// ```
    pub fn fill(&self, text: &str, parts: &[&dyn Display]) -> Translation {
        let parts: Vec<String> = parts.iter().map(ToString::to_string).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let is_it = |p: &&Pattern| p.fixed.iter().map(String::as_str).eq(text.split("{}"));
        let found = match self.whole.get(text) {
            Some(translation) => Some(translation),
            None => (self.patterns.iter().find(is_it)).map(|pattern| &pattern.translation),
        };
        let filled = found.and_then(|translation| fill(translation, &parts).ok());
        Translation {
            is_complete: filled.is_some(),
            text: filled.unwrap_or_else(|| fill(text, &parts).unwrap_or_else(|_| text.to_string())),
        }
    }

    /// The texts of the table, each with its translation; what varies is `{}`.
    pub fn lines(&self) -> impl Iterator<Item = (String, &str)> {
        let whole = self
            .whole
            .iter()
            .map(|(text, translation)| (text.clone(), translation.as_str()));
        whole.chain(
            self.patterns
                .iter()
                .map(|p| (p.fixed.join("{}"), p.translation.as_str())),
        )
    }
}

/// A language, and the table by which a part of the program speaks it.
///
/// ```
/// use std::sync::LazyLock;
/// use zerokara_train::language::{Language, Texts, Words};
///
/// static TEXTS: LazyLock<Texts> = LazyLock::new(|| {
///     Texts::parse("\"{} epochs\" = \"{}エポック\"").unwrap_or_default()
/// });
/// let [english, japanese] = Language::ALL.map(|language| Words::new(language, &TEXTS));
/// assert_eq!(english.fill("{} epochs", &[&3]), "3 epochs");
/// assert_eq!(japanese.fill("{} epochs", &[&3]), "3エポック");
/// assert_eq!(japanese.say("5 epochs"), "5エポック");
/// assert_eq!(japanese.say("all epochs"), "all epochs");
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Words {
    language: Language,
    texts: &'static LazyLock<Texts>,
}

impl Words {
    /// The words of this language in this table, which is not read for English.
    pub fn new(language: Language, texts: &'static LazyLock<Texts>) -> Self {
        Self { language, texts }
    }

    /// The language.
    pub fn language(&self) -> Language {
        self.language
    }

    /// What stands for a text ([`Texts::translate`]), or the text itself where not all of it is in the table: names that
    /// users gave may look like a sentence with gaps.
    pub fn translate(&self, text: &str) -> Translation {
        let said = match self.language {
            Language::English => None,
            Language::Japanese => Some(self.texts.translate(text)),
        };
        let is_complete = said.as_ref().is_none_or(|said| said.is_complete);
        let said = said.filter(|said| said.is_complete);
        Translation {
            text: said.map_or_else(|| text.to_string(), |said| said.text),
            is_complete,
        }
    }

    /// [`translate`](Self::translate), but for whether it was complete.
    pub fn say(&self, text: &str) -> String {
        self.translate(text).text
    }

    /// What stands for a text with these parts, which stay as they are ([`Texts::fill`]).
    pub fn translate_with(&self, text: &str, parts: &[&dyn Display]) -> Translation {
        match self.language {
            // The text stands for itself.
            Language::English => Translation {
                is_complete: true,
                ..Texts::default().fill(text, parts)
            },
            Language::Japanese => self.texts.fill(text, parts),
        }
    }

    /// [`translate_with`](Self::translate_with), but for whether it was complete.
    pub fn fill(&self, text: &str, parts: &[&dyn Display]) -> String {
        self.translate_with(text, parts).text
    }

    /// A duration: `3 min 20 s`, `3分20秒`.
    pub fn duration(&self, seconds: f64) -> String {
        let english = numbers::duration(seconds);
        let parts: Vec<&str> = english.split(' ').collect();
        match parts[..] {
            [seconds, "s"] => self.fill("{} s", &[&seconds]),
            [minutes, "min", seconds, "s"] => self.fill("{} min {} s", &[&minutes, &seconds]),
            [hours, "h", minutes, "min"] => self.fill("{} h {} min", &[&hours, &minutes]),
            _ => english,
        }
    }
}

/// The table of what trainings say, and their reports.
pub static TRAINING: LazyLock<Texts> =
    LazyLock::new(|| Texts::parse(include_str!("texts.ja.toml")).unwrap_or_default());

/// Puts parts in the place of `{}`, in their order, and of `{1}`, `{2}`, by their number.
///
/// # Errors
/// What stands in brackets for a part that is not there.
fn fill(translation: &str, parts: &[&str]) -> Result<String, String> {
    let mut out = String::with_capacity(translation.len());
    let (mut rest, mut next) = (translation, 0);
    while let Some((before, after)) = rest.split_once('{') {
        out += before;
        // A bracket that holds anything else is text.
        let Some((number, after)) = after
            .split_once('}')
            .filter(|(number, _)| number.bytes().all(|b| b.is_ascii_digit()))
        else {
            out.push('{');
            rest = after;
            continue;
        };
        let index: usize = match number {
            "" => {
                next += 1;
                next
            }
            number => number.parse().unwrap_or(0),
        };
        let part = index.checked_sub(1).and_then(|index| parts.get(index));
        out += part.ok_or_else(|| number.to_string())?;
        rest = after;
    }
    Ok(out + rest)
}

/// Whether there are two letters of the Latin alphabet in a row, as in every word that needs a translation.
fn has_words(text: &str) -> bool {
    text.as_bytes()
        .windows(2)
        .any(|pair| pair.iter().all(u8::is_ascii_alphabetic))
}

/// Whether there is a letter of Japanese alone, kana or kanji.
fn is_japanese(text: &str) -> bool {
    text.chars()
        .any(|c| matches!(c, '\u{3040}'..='\u{30ff}' | '\u{4e00}'..='\u{9fff}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts() -> Texts {
        Texts::parse(
            r#"
            "loss" = "損失"
            "Adam" = "Adam"
            "{} of {}" = "{2}の{1}"
            "{} of {} epochs" = "{}/{}エポック"
            "the smallest {}" = "最小の{}"
            "{{x} is kept" = "{{x}は残る"
            "#,
        )
        .unwrap()
    }

    #[test]
    fn the_most_fitting_line_is_taken_and_parts_are_translated() {
        let texts = texts();
        let said = |text: &str| texts.translate(text).text;
        assert_eq!(said("the smallest loss of Adam"), "最小のAdamの損失");
        assert_eq!(said("3 of 5 epochs"), "3/5エポック");
        assert_eq!(said("  loss\n\nloss  "), "  損失\n\n損失  ");
        assert_eq!(said("{x} is kept"), "{x} is kept");
        assert_eq!(said("{{x} is kept"), "{{x}は残る");
    }

    #[test]
    fn what_is_missing_is_told() {
        let texts = texts();
        for (text, is_complete) in [
            ("", true),
            ("−0.5 × 10⁻³ (x₁, y)", true),
            ("Adam", true),
            ("Affine層", true),
            ("Affine層 of Adam", true),
            ("Affine層 of SGD", false),
            ("SGD", false),
            ("the smallest SGD", false),
            ("the smallest Affineの損失", true),
            ("the smallest ", false),
            (" of ", false),
        ] {
            let translation = texts.translate(text);
            assert_eq!(translation.is_complete, is_complete, "{text}");
        }
        assert_eq!(texts.translate("the smallest SGD").text, "最小のSGD");
    }

    #[test]
    fn tables_join_and_wrong_ones_are_refused() {
        let other = Texts::parse("\"loss\" = \"x\"\n\"SGD\" = \"SGD\"").unwrap();
        let both = texts().or(&other);
        assert_eq!(
            both.translate("the smallest loss of SGD").text,
            "最小のSGDの損失"
        );
        for wrong in [
            "\"a\" = 1",
            "a",
            "\"a {}\" = \"{2}\"",
            "\"a\" = \"{}\"",
            "\"a {}\" = \"{0}\"",
        ] {
            assert!(Texts::parse(wrong).is_err(), "{wrong}");
        }
    }
}
