//! Text from a model of language, character by character.

use crate::{
    error::{Error, Result},
    model::SavedModel,
    random::Random,
    trainer::{Flow, Interrupts},
};
use zerokara_core::{Array, Arrays, DType};
use zerokara_data::{Unit, Vocabulary};
use zerokara_nn::{Stream, tasks::first_largest};

/// Goes on with texts by a model of language: it asks the model how likely each character is, draws one, and asks again.
///
/// A model of attention sees the last characters up to its context, a recurrent one carries its states along. The same seed gives
/// the same text, on one thread or many. What stands for unknown characters and for padding is never drawn.
///
/// ```
/// use zerokara_data::{Dataset, Split, TextWindows, Vocabulary};
/// use zerokara_nn::{Adam, TokenCrossEntropy, models::RecurrentLanguageModel};
/// use zerokara_train::{Generator, Trainer};
///
/// let text = "abc".repeat(60);
/// let letters = Vocabulary::characters([&text])?;
/// let windows = Split::of(TextWindows::new(&text, &letters, 16)?)?;
/// let data = Dataset::of("abc").train(windows)?.preprocess("x", letters.clone());
/// let model = RecurrentLanguageModel::gru(letters.len()).layers(1).width(16);
/// let trainer = Trainer::new(model, TokenCrossEntropy::new()).optimizer(Adam::new(0.03));
/// let run = trainer.epochs(30).batch_size(4).quiet().fit(&data)?;
///
/// let generator = Generator::new(run.model())?.temperature(0.0)?;
/// assert_eq!(generator.text("ab", 7)?, "cabcabc");
/// # Ok::<(), zerokara_train::Error>(())
/// ```
#[doc(alias("sample", "complete", "sampling"))]
#[derive(Clone, Debug)]
pub struct Generator {
    model: SavedModel,
    vocabulary: Vocabulary,
    /// The name of the input.
    input: String,
    context: usize,
    /// Of the windows that the model takes, if it takes those of one length alone.
    fixed: Option<usize>,
    temperature: f64,
    top_k: usize,
    top_p: f64,
    seed: u64,
}

impl Generator {
    /// With temperature 1, any character, seed 0.
    ///
    /// # Errors
    /// If the model is none of language: it takes no running text, or not by characters or bytes.
    pub fn new(model: &SavedModel) -> Result<Self> {
        let name = &model.card().name;
        let takes: Vec<String> = model.inputs().iter().map(ToString::to_string).collect();
        let none = || {
            Error::new(format!(
                "the model {name} is none of language: it takes {}, and cannot go on with a text; `zerokara train TEXT.txt` makes one \
                 that can",
                takes.join(", ")
            ))
        };
        let (Some(vocabulary), Some(context)) = (model.vocabulary(), model.context()) else {
            return Err(none());
        };
        let input = model.given().next().ok_or_else(none)?;
        let fixed = match &input.axes[..] {
            [_, length] if input.dtype == DType::I64 => length.fixed(),
            _ => return Err(none()),
        };
        if vocabulary.unit() == Unit::Words {
            return Err(Error::new(format!(
                "the model {name} knows words, without what stands between them; texts are gone on with by characters or bytes"
            )));
        }
        Ok(Self {
            model: model.clone(),
            vocabulary,
            input: input.name.to_string(),
            context,
            fixed,
            temperature: 1.0,
            top_k: usize::MAX,
            top_p: 1.0,
            seed: 0,
        })
    }

    /// How freely it draws: scores are divided by it, so that below 1 likely characters become likelier; at 0 the likeliest one is
    /// always taken.
    ///
    /// # Errors
    /// If it is no number from 0 on.
    pub fn temperature(mut self, temperature: f64) -> Result<Self> {
        if !(temperature.is_finite() && temperature >= 0.0) {
            return Err(Error::new(format!(
                "the temperature is {temperature}; it must be 0 or a number above it"
            )));
        }
        self.temperature = temperature;
        Ok(self)
    }

    /// Draws among so many of the likeliest characters alone.
    ///
    /// # Errors
    /// If it is 0.
    pub fn top_k(mut self, characters: usize) -> Result<Self> {
        if characters == 0 {
            return Err(Error::new(
                "there is none among the 0 likeliest characters; at least 1 is needed",
            ));
        }
        self.top_k = characters;
        Ok(self)
    }

    /// Draws among the fewest of the likeliest characters alone that have this probability together (Holtzman et al., 2020).
    ///
    /// # Errors
    /// If it is not above 0 and at most 1.
    #[doc(alias("nucleus"))]
    pub fn top_p(mut self, probability: f64) -> Result<Self> {
        if !(probability > 0.0 && probability <= 1.0) {
            return Err(Error::new(format!(
                "the probability of the likeliest characters is {probability}; it must be above 0 and at most 1"
            )));
        }
        self.top_p = probability;
        Ok(self)
    }

    /// What decides the draws.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The characters of a text that the model does not know, each once: it takes them all for the same.
    pub fn unknown(&self, text: &str) -> Vec<char> {
        let mut found: Vec<char> = Vec::new();
        for c in text.chars() {
            let numbers = self.vocabulary.encode(c.encode_utf8(&mut [0; 4]));
            if numbers.contains(&Vocabulary::UNKNOWN) && !found.contains(&c) {
                found.push(c);
            }
        }
        found
    }

    /// Goes on with a text, without end: each item is the next character. Without a text it begins with a new line, if the model
    /// knows that.
    ///
    /// # Errors
    /// If the model cannot be applied.
    pub fn start(&self, prompt: &str) -> Result<Generation> {
        let mut tokens = self.vocabulary.encode(prompt);
        if tokens.is_empty() {
            tokens = self.vocabulary.encode("\n");
        }
        let mut sight = match self.model.module().states().is_empty() {
            true => Sight::Window(Vec::new()),
            false => Sight::States(Stream::new(self.model.module().clone())?),
        };
        let mut scores = Vec::new();
        match &mut sight {
            Sight::Window(seen) => *seen = tokens,
            Sight::States(stream) => {
                for token in tokens {
                    scores = self.step(stream, token)?;
                }
            }
        }
        Ok(Generation {
            generator: self.clone(),
            random: Random::new(self.seed, 0, "generate"),
            sight,
            scores,
            bytes: Vec::new(),
            failed: false,
        })
    }

    /// So many characters that go on with a text; the text itself is not repeated.
    ///
    /// # Errors
    /// As [`Generator::start`]; if a score is NaN.
    pub fn text(&self, prompt: &str, length: usize) -> Result<String> {
        self.start(prompt)?.take(length).collect()
    }

    /// Tells so many characters that go on with a text, each as soon as it is drawn, until `tell` says [`Flow::Stop`] or Ctrl-C (or
    /// SIGTERM) asks for the end; whether Ctrl-C did. A second one ends the process at once.
    ///
    /// # Errors
    /// As [`Generator::text`].
    pub fn tell(
        &self,
        prompt: &str,
        length: usize,
        mut tell: impl FnMut(&str) -> Flow,
    ) -> Result<bool> {
        let interrupts = Interrupts::watch()?;
        for character in self.start(prompt)?.take(length) {
            let flow = tell(&character?);
            if interrupts.requested() {
                return Ok(true);
            }
            if flow == Flow::Stop {
                break;
            }
        }
        Ok(false)
    }

    fn tokens(&self, tokens: Vec<i64>) -> Arrays {
        Arrays::one(&*self.input, Array::new([1, tokens.len()], tokens))
    }

    /// The scores behind one more token.
    fn step(&self, stream: &mut Stream, token: i64) -> Result<Vec<f64>> {
        let outputs = stream.step(&self.tokens(vec![token]))?;
        self.scores(&outputs, 0)
    }

    /// The scores behind the last of these tokens.
    fn ask(&self, seen: &[i64]) -> Result<Vec<f64>> {
        let last = &seen[seen.len().saturating_sub(self.context)..];
        let mut window = last.to_vec();
        if let (Some(length), Some(&token)) = (self.fixed, last.last()) {
            // What stands behind a token is not seen from it, or the model could not have been trained.
            window.resize(length, token);
        }
        let outputs = self.model.predict_all(&self.tokens(window))?;
        self.scores(&outputs, last.len().saturating_sub(1))
    }

    /// The scores of a place among the outputs.
    fn scores(&self, outputs: &Arrays, place: usize) -> Result<Vec<f64>> {
        let states = self.model.module().states();
        let is_state = |name: &str| states.iter().any(|(_, output)| &**output == name);
        let scores = outputs.iter().find(|(name, _)| !is_state(name));
        let tokens = self.vocabulary.len();
        match scores {
            Some((_, array)) => match array.shape() {
                &[1, places, given] if given == tokens && place < places => {
                    let row = array.to_f64s();
                    Ok(row[place * tokens..(place + 1) * tokens].to_vec())
                }
                _ => Err(Error::new(format!(
                    "the model gives {}, not scores of {tokens} tokens at each place",
                    array.meta()
                ))),
            },
            None => Err(Error::new("the model gives no scores")),
        }
    }

    /// A token by these scores.
    fn choose(&self, scores: &[f64], random: &mut Random) -> Result<i64> {
        // The first numbers stand for no token of a text.
        const FIRST: usize = Vocabulary::UNKNOWN as usize + 1;
        let known = scores.get(FIRST..).unwrap_or_default();
        if known.iter().any(|score| score.is_nan())
            || known.iter().all(|&score| score == f64::NEG_INFINITY)
        {
            return Err(Error::new(
                "the model has no answer: a score is NaN, or all are minus infinity",
            ));
        }
        if self.temperature == 0.0 {
            return Ok((FIRST + first_largest(known)) as i64);
        }
        let mut order: Vec<usize> = (0..known.len()).collect();
        order.sort_by(|&a, &b| known[b].total_cmp(&known[a]).then(a.cmp(&b)));
        order.truncate(self.top_k);
        let most = known[order[0]];
        let weight = |&at: &usize| match known[at] == most {
            true => 1.0,
            false => ((known[at] - most) / self.temperature).exp(),
        };
        let mut weights: Vec<f64> = order.iter().map(weight).collect();
        let enough = weights.iter().sum::<f64>() * self.top_p;
        let mut sum = 0.0;
        let kept = weights.iter().position(|weight| {
            sum += weight;
            sum >= enough
        });
        weights.truncate(kept.map_or(weights.len(), |last| last + 1));
        let mut left = random.unit() * weights.iter().sum::<f64>();
        let drawn = weights.iter().position(|weight| {
            left -= weight;
            left < 0.0
        });
        let drawn = drawn.unwrap_or(weights.len() - 1);
        Ok((FIRST + order[drawn]) as i64)
    }
}

/// What a model sees of the text so far.
enum Sight {
    /// Its last tokens.
    Window(Vec<i64>),
    /// What its states keep.
    States(Stream),
}

/// A text that is gone on with: the next characters, one after the other, without end but for an error.
pub struct Generation {
    generator: Generator,
    random: Random,
    sight: Sight,
    /// What the states say of the next token.
    scores: Vec<f64>,
    /// Bytes that are no whole character yet.
    bytes: Vec<u8>,
    failed: bool,
}

impl Generation {
    fn token(&mut self) -> Result<i64> {
        let generator = &self.generator;
        if let Sight::Window(seen) = &self.sight {
            self.scores = generator.ask(seen)?;
        }
        let token = generator.choose(&self.scores, &mut self.random)?;
        match &mut self.sight {
            Sight::Window(seen) => {
                let most = generator.context;
                if seen.len() >= most.saturating_mul(2) {
                    seen.drain(..seen.len() - most);
                }
                seen.push(token);
            }
            Sight::States(stream) => self.scores = generator.step(stream, token)?,
        }
        Ok(token)
    }

    fn character(&mut self) -> Result<String> {
        if self.generator.vocabulary.unit() != Unit::Bytes {
            let token = self.token()?;
            return Ok(self.generator.vocabulary.decode(&[token]));
        }
        loop {
            match std::str::from_utf8(&self.bytes) {
                Ok("") => {}
                Ok(character) => {
                    let character = character.to_string();
                    self.bytes.clear();
                    return Ok(character);
                }
                Err(error) => {
                    if let Some(bad) = error.error_len() {
                        self.bytes.drain(..bad);
                        return Ok(char::REPLACEMENT_CHARACTER.to_string());
                    }
                }
            }
            let byte = self.token()? - Vocabulary::UNKNOWN - 1;
            self.bytes.push(byte as u8);
        }
    }
}

impl Iterator for Generation {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let next = self.character();
        self.failed = next.is_err();
        Some(next)
    }
}
