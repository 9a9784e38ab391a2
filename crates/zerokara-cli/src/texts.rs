//! The languages of the command.
//!
//! What it says to people is in their language. What other programs read is English in every language: errors, JSON, and the
//! lines in which `train` and `eval` tell the test accuracy.

use std::{ffi::OsString, sync::LazyLock};
use zerokara_train::language::{Language, TRAINING, Texts, Words};

/// What stands for the command's texts, and for those of trainings.
static TEXTS: LazyLock<Texts> = LazyLock::new(|| own().or(&TRAINING));

/// The command's own table.
pub fn own() -> Texts {
    Texts::parse(include_str!("texts.ja.toml")).unwrap_or_default()
}

pub fn words(language: Language) -> Words {
    Words::new(language, &TEXTS)
}

/// The language that is asked for by these arguments, which may make no sense otherwise, or by the environment: help must
/// know it, and asking for help ends the reading of arguments.
pub fn asked_for(arguments: &[OsString]) -> Language {
    let mut found = None;
    let mut arguments = arguments.iter().filter_map(|argument| argument.to_str());
    while let Some(argument) = arguments.next() {
        let code = match argument {
            "--" => break,
            "--language" => arguments.next(),
            _ => argument.strip_prefix("--language="),
        };
        found = code.and_then(Language::of_code).or(found);
    }
    found.unwrap_or_else(Language::of_environment)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_is_found_wherever_it_stands() {
        let asked = |arguments: &str| {
            let arguments: Vec<OsString> = arguments.split(' ').map(OsString::from).collect();
            asked_for(&arguments)
        };
        assert_eq!(asked("zerokara --language ja train"), Language::Japanese);
        assert_eq!(asked("zerokara train --language=ja -h"), Language::Japanese);
        assert_eq!(
            asked("zerokara --language ja --language en"),
            Language::English
        );
    }
}
