//! Running text as samples: windows of its characters.

use crate::error::{Error, Result};
use crate::preprocessing::Vocabulary;
use crate::random::{Purpose, Random};
use crate::source::{Failure, Source};
use std::collections::HashMap;
use std::fmt;
use zerokara_core::{Array, Arrays, DType, Port};

/// Windows of a running text, for models that tell the next token: the input `x [context]` (i64) are tokens that follow one another,
/// the target `t [context]` the same ones moved on by one, so that at each place the target is what comes next.
///
/// There are as many windows as the text has contexts. In order they lie side by side, as a model is judged; where a loader
/// shuffles ([`Loader::shuffle`](crate::Loader::shuffle)), each begins at a place of its own that seed, epoch and its number decide,
/// so that a model sees every token at every place of a window. What is to judge by is therefore parted off the text, not off its
/// windows. The text is in memory once, a byte for each token where the
/// vocabulary allows it.
///
/// ```
/// use zerokara_data::{Source, Split, TextWindows, Vocabulary};
///
/// let text = "row, row, row your boat";
/// let letters = Vocabulary::characters([text])?;
/// let windows = TextWindows::new(text, &letters, 4)?;
/// assert_eq!(windows.len(), 5);
/// let second = Split::of(windows)?.at(1)?;
/// assert_eq!(letters.decode(second.find("x")?.as_slice::<i64>()?), " row");
/// assert_eq!(letters.decode(second.find("t")?.as_slice::<i64>()?), "row,");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[doc(alias("language model", "char-rnn", "nanoGPT"))]
pub struct TextWindows {
    tokens: Tokens,
    context: usize,
    columns: [Port; 2],
}

/// Tokens, as small as their vocabulary allows.
enum Tokens {
    Bytes(Vec<u8>),
    Shorts(Vec<u16>),
    Longs(Vec<i64>),
}

impl Tokens {
    fn of(text: &str, vocabulary: &Vocabulary) -> Self {
        match vocabulary.len() {
            // Each number is below the length.
            length if length <= 1 << 8 => {
                Tokens::Bytes(numbers(text, vocabulary).map(|n| n as u8).collect())
            }
            length if length <= 1 << 16 => {
                Tokens::Shorts(numbers(text, vocabulary).map(|n| n as u16).collect())
            }
            _ => Tokens::Longs(numbers(text, vocabulary).collect()),
        }
    }

    fn len(&self) -> usize {
        match self {
            Tokens::Bytes(all) => all.len(),
            Tokens::Shorts(all) => all.len(),
            Tokens::Longs(all) => all.len(),
        }
    }

    /// So many tokens from a place on, all of which are there.
    fn window(&self, start: usize, length: usize) -> Vec<i64> {
        let range = start..start + length;
        match self {
            Tokens::Bytes(all) => all[range].iter().map(|&n| i64::from(n)).collect(),
            Tokens::Shorts(all) => all[range].iter().map(|&n| i64::from(n)).collect(),
            Tokens::Longs(all) => all[range].to_vec(),
        }
    }
}

/// The numbers of a text, one after the other. Each character, or word, is looked up once.
fn numbers<'t>(text: &'t str, vocabulary: &'t Vocabulary) -> impl Iterator<Item = i64> + 't {
    let mut known: HashMap<char, i64> = HashMap::new();
    let by_characters = vocabulary.unit() == crate::Unit::Characters;
    let characters = text.chars().filter(move |_| by_characters).map(move |c| {
        *known.entry(c).or_insert_with(|| {
            let numbers = vocabulary.encode(c.encode_utf8(&mut [0; 4]));
            numbers.first().copied().unwrap_or(Vocabulary::UNKNOWN)
        })
    });
    let others = match by_characters {
        true => Vec::new(),
        false => vocabulary.encode(text),
    };
    characters.chain(others)
}

impl TextWindows {
    /// The windows of `context` tokens of a text.
    ///
    /// # Errors
    ///
    /// The context is 0, or the text has no window with a token behind it.
    pub fn new(text: &str, vocabulary: &Vocabulary, context: usize) -> Result<Self> {
        if context == 0 {
            return Err(Error::new(
                "a context of 0 tokens tells nothing; it must be at least 1",
            ));
        }
        let tokens = Tokens::of(text, vocabulary);
        if tokens.len() <= context {
            return Err(Error::new(format!(
                "a text of {} tokens has no window of {context} with a token behind it",
                tokens.len()
            )));
        }
        let column = |name| Port::new(name, DType::I64, [context]);
        Ok(TextWindows {
            tokens,
            context,
            columns: [column("x"), column("t")],
        })
    }

    /// How many tokens of a text are not in the vocabulary.
    pub(crate) fn unknown(text: &str, vocabulary: &Vocabulary) -> usize {
        let all = numbers(text, vocabulary);
        all.filter(|&number| number == Vocabulary::UNKNOWN).count()
    }

    fn at(&self, start: usize) -> Arrays {
        let both = self.tokens.window(start, self.context + 1);
        let array = |part: &[i64]| Array::new([self.context], part.to_vec());
        Arrays::from_iter([
            ("x", array(&both[..self.context])),
            ("t", array(&both[1..])),
        ])
    }
}

impl Source for TextWindows {
    fn len(&self) -> usize {
        (self.tokens.len() - 1) / self.context
    }

    fn columns(&self) -> &[Port] {
        &self.columns
    }

    fn sample(&self, index: usize) -> Result<Arrays, Failure> {
        match index < self.len() {
            true => Ok(self.at(index * self.context)),
            false => Err(format!("there are {} windows", self.len()).into()),
        }
    }

    fn drawn(&self, index: usize, seed: u64, epoch: u64) -> Result<Arrays, Failure> {
        let places = self.tokens.len() - self.context;
        let mut random = Random::new(seed, Purpose::Window, epoch, index as u64);
        Ok(self.at(random.below(places)))
    }
}

impl fmt::Debug for TextWindows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (tokens, context) = (self.tokens.len(), self.context);
        write!(f, "TextWindows({tokens} tokens, {context} in a window)")
    }
}
