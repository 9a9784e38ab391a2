//! Texts as numbers.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// A character.
    Characters,
    /// A word, a run of letters, digits, `_` and `'`, or any other character that is no space.
    Words,
    /// A byte of UTF-8.
    Bytes,
}

/// Numbers for the characters, words or bytes of texts. The number 0 fills up ([`PADDING`](Self::PADDING)), 1 stands for what is
/// not in the vocabulary ([`UNKNOWN`](Self::UNKNOWN)).
///
/// # Example
///
/// ```
/// use zerokara_data::Vocabulary;
///
/// let letters = Vocabulary::characters(["banana"])?;
/// assert_eq!(letters.encode("nab"), [4, 2, 3]);
/// assert_eq!(letters.encode("cab"), [Vocabulary::UNKNOWN, 2, 3]);
/// assert_eq!(letters.decode(&[3, 2, 4, 0, 0]), "ban");
///
/// let words = Vocabulary::words(["the cat, the hat"], 2)?; // the two most frequent
/// assert_eq!(words.decode(&words.encode("the hat, the rat")), "the \u{fffd} , the \u{fffd}");
/// assert_eq!(Vocabulary::bytes().encode("é"), [0xc3 + 2, 0xa9 + 2]);
/// # Ok::<(), zerokara_data::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct Vocabulary {
    unit: Unit,
    /// What the numbers from 2 on stand for; empty for bytes.
    tokens: Vec<String>,
    numbers: HashMap<String, i64>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    unit: Unit,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tokens: Vec<String>,
}

impl From<Vocabulary> for Record {
    fn from(vocabulary: Vocabulary) -> Self {
        Record {
            unit: vocabulary.unit,
            tokens: vocabulary.tokens,
        }
    }
}

impl TryFrom<Record> for Vocabulary {
    type Error = Error;

    fn try_from(record: Record) -> Result<Self> {
        Vocabulary::of(record.unit, record.tokens)
    }
}

impl Vocabulary {
    /// What fills a text up to the length of others.
    pub const PADDING: i64 = 0;
    /// What stands for a token that is not in the vocabulary.
    pub const UNKNOWN: i64 = 1;
    /// The first number of a token of the vocabulary.
    const FIRST: i64 = 2;

    /// The characters of these texts, in their order.
    ///
    /// # Errors
    ///
    /// There is no character.
    pub fn characters<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Result<Self> {
        let mut characters = std::collections::BTreeSet::new();
        for text in texts {
            characters.extend(text.as_ref().chars());
        }
        let tokens = characters.into_iter().map(String::from).collect();
        Vocabulary::of(Unit::Characters, tokens)
    }

    /// The most frequent words of these texts, at most `most` of them; of equally frequent ones, the first by their
    /// characters.
    ///
    /// # Errors
    ///
    /// There is no word.
    pub fn words<T: AsRef<str>>(texts: impl IntoIterator<Item = T>, most: usize) -> Result<Self> {
        let mut counts: HashMap<String, usize> = HashMap::new();
        for text in texts {
            for word in words(text.as_ref()) {
                match counts.get_mut(word) {
                    Some(count) => *count += 1,
                    None => {
                        counts.insert(word.into(), 1);
                    }
                }
            }
        }
        let mut found: Vec<(String, usize)> = counts.into_iter().collect();
        found.sort_unstable_by(|(a, m), (b, n)| n.cmp(m).then_with(|| a.cmp(b)));
        found.truncate(most);
        let tokens = found.into_iter().map(|(word, _)| word).collect();
        Vocabulary::of(Unit::Words, tokens)
    }

    /// All 256 bytes, from 2 on: nothing is unknown.
    pub fn bytes() -> Self {
        Vocabulary {
            unit: Unit::Bytes,
            tokens: Vec::new(),
            numbers: HashMap::new(),
        }
    }

    /// These tokens in this order, the first of them as the number 2.
    ///
    /// # Errors
    ///
    /// There is no token, or one is there twice or is none of its unit; bytes have no list.
    pub fn of(unit: Unit, tokens: Vec<String>) -> Result<Self> {
        match unit {
            Unit::Bytes if tokens.is_empty() => return Ok(Vocabulary::bytes()),
            Unit::Bytes => return Err(Error::new("a vocabulary of bytes has no list of tokens")),
            _ if tokens.is_empty() => {
                return Err(Error::new("there is no token to make a vocabulary of"));
            }
            _ => {}
        }
        let mut numbers = HashMap::with_capacity(tokens.len());
        for (token, number) in tokens.iter().zip(Self::FIRST..) {
            let is_one = match unit {
                Unit::Characters => token.chars().count() == 1,
                _ => words(token).eq([&**token]),
            };
            if !is_one {
                return Err(Error::new(format!(
                    "{token:?} is not one of the {}",
                    match unit {
                        Unit::Characters => "characters",
                        _ => "words",
                    }
                )));
            }
            if numbers.insert(token.clone(), number).is_some() {
                return Err(Error::new(format!("{token:?} is in the vocabulary twice")));
            }
        }
        Ok(Vocabulary {
            unit,
            tokens,
            numbers,
        })
    }

    /// What a token is.
    pub fn unit(&self) -> Unit {
        self.unit
    }

    /// How many numbers there are, those of padding and unknown tokens included.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        2 + match self.unit {
            Unit::Bytes => 256,
            _ => self.tokens.len(),
        }
    }

    /// The tokens in the order of their numbers, from 2 on; none for bytes.
    pub fn tokens(&self) -> &[String] {
        &self.tokens
    }

    /// The numbers of a text.
    pub fn encode(&self, text: &str) -> Vec<i64> {
        let number = |token: &str| self.numbers.get(token).copied().unwrap_or(Self::UNKNOWN);
        match self.unit {
            Unit::Bytes => text.bytes().map(|b| i64::from(b) + Self::FIRST).collect(),
            Unit::Words => words(text).map(number).collect(),
            Unit::Characters => {
                let mut room = [0; 4];
                text.chars()
                    .map(|c| number(c.encode_utf8(&mut room)))
                    .collect()
            }
        }
    }

    /// The text of these numbers: padding is left out, `\u{fffd}` stands for what is unknown, spaces stand between words.
    pub fn decode(&self, numbers: &[i64]) -> String {
        let kept = numbers.iter().filter(|&&n| n != Self::PADDING);
        let place = |n: &i64| {
            n.checked_sub(Self::FIRST)
                .and_then(|n| usize::try_from(n).ok())
        };
        if self.unit == Unit::Bytes {
            // What is no byte is no UTF-8 either.
            let byte = |n: &i64| place(n).and_then(|n| u8::try_from(n).ok()).unwrap_or(0xff);
            let bytes: Vec<u8> = kept.map(byte).collect();
            return String::from_utf8_lossy(&bytes).into_owned();
        }
        let token = |n: &i64| {
            let token = place(n).and_then(|n| self.tokens.get(n));
            token.map_or("\u{fffd}", String::as_str)
        };
        let tokens: Vec<&str> = kept.map(token).collect();
        tokens.join(match self.unit {
            Unit::Words => " ",
            _ => "",
        })
    }
}

/// The words of a text.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_' || c == '\'';
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        let first = rest.chars().next()?;
        let end = match is_letter(first) {
            true => rest.find(|c| !is_letter(c)).unwrap_or(rest.len()),
            false => first.len_utf8(),
        };
        let (word, after) = rest.split_at(end);
        rest = after;
        Some(word)
    })
}
