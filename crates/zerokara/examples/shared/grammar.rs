//! A text whose laws are known, for models of language: `yesterday the keys near the door fell quietly .`
//!
//! Which verb may follow is settled by the first noun (each has two verbs of its own), its number, and the first word (the
//! tense), however many nouns stand between. So a model must remember; and since the probability of each word is known, so
//! is the perplexity that no model can go below.

use super::shared::Dice;
use zerokara::prelude::*;

/// A noun and its plural, and two verbs, each in the forms for one, for many, and of the past.
const NOUNS: [[&str; 8]; 6] = [
    [
        "key", "keys", "turns", "turn", "turned", "falls", "fall", "fell",
    ],
    [
        "dog", "dogs", "barks", "bark", "barked", "sleeps", "sleep", "slept",
    ],
    [
        "bird", "birds", "sings", "sing", "sang", "flies", "fly", "flew",
    ],
    [
        "child", "children", "laughs", "laugh", "laughed", "reads", "read", "studied",
    ],
    [
        "door", "doors", "opens", "open", "opened", "closes", "close", "closed",
    ],
    [
        "boat", "boats", "sails", "sail", "sailed", "sinks", "sink", "sank",
    ],
];
const TIMES: [&str; 2] = ["today", "yesterday"];
const PLACES: [&str; 4] = ["near", "behind", "above", "below"];
const MANNERS: [&str; 3] = ["slowly", "quietly", "again"];
/// Ends a sentence; the number of this word is 0.
const END: &str = ".";

/// All words; a word's number is its place.
pub fn vocabulary() -> Vec<&'static str> {
    let mut words = vec![END, "the"];
    words.extend(NOUNS.as_flattened());
    words.extend([&TIMES[..], &PLACES, &MANNERS].concat());
    words
}

/// The verbs that fit, one for each of the noun's two.
fn verbs(noun: &[&'static str; 8], many: usize, past: usize) -> [&'static str; 2] {
    let form = if past == 1 { 2 } else { many };
    [noun[2 + form], noun[5 + form]]
}

/// About so many words of text, and the perplexity of who knows the grammar.
pub fn text(words: usize, seed: u64) -> (Vec<i64>, f64) {
    let vocabulary = vocabulary();
    let mut dice = Dice(seed);
    let (mut text, mut surprise) = (Vec::new(), 0.0);
    while text.len() < words {
        let mut say = |word: &str, of: f64| {
            text.push(vocabulary.iter().position(|w| *w == word).unwrap_or(0) as i64);
            surprise += of.ln();
        };
        let (past, head, many) = (dice.below(2), dice.below(6), dice.below(2));
        say(TIMES[past], 2.0);
        say("the", 1.0);
        say(NOUNS[head][many], 12.0);
        while dice.below(3) < 2 {
            say(PLACES[dice.below(4)], 4.0 * 1.5);
            say("the", 1.0);
            say(NOUNS[dice.below(6)][dice.below(2)], 12.0);
        }
        say(verbs(&NOUNS[head], many, past)[dice.below(2)], 2.0 * 3.0);
        say(MANNERS[dice.below(3)], 3.0);
        say(END, 1.0);
    }
    let best = (surprise / text.len() as f64).exp();
    (text, best)
}

/// Whether a sentence, without its end, keeps the laws.
pub fn is_right(sentence: &[&str]) -> bool {
    let [time, middle @ .., verb, manner] = sentence else {
        return false;
    };
    let find = |noun: &str| {
        let all = NOUNS.iter().flat_map(|n| [(n, 0), (n, 1)]);
        all.into_iter().find(|(n, many)| n[*many] == noun)
    };
    let phrases: Vec<&[&str]> = middle.split(|word| PLACES.contains(word)).collect();
    let are_nouns = phrases
        .iter()
        .all(|p| matches!(p, ["the", noun] if find(noun).is_some()));
    let past = TIMES.iter().position(|t| t == time);
    let head = phrases[0].last().and_then(|noun| find(noun));
    let (Some(past), Some((noun, many)), true) = (past, head, are_nouns) else {
        return false;
    };
    verbs(noun, many, past).contains(verb) && MANNERS.contains(manner)
}

/// A text cut into rows that are read side by side, `[rows, length]` from this column on, and the words that follow.
pub fn window(text: &[i64], rows: usize, from: usize, length: usize) -> (Array, Array) {
    let each = text.len() / rows;
    let cut = |from: usize| {
        let row = |r: usize| &text[r * each + from..r * each + from + length];
        Array::new(
            [rows, length],
            (0..rows).flat_map(row).copied().collect::<Vec<i64>>(),
        )
    };
    (cut(from), cut(from + 1))
}

/// Sentences as a model goes on behind one that it is given, with words drawn as its scores say: as many as there are rows.
pub fn write(
    model: impl Model + 'static,
    rows: usize,
    dice: &mut Dice,
) -> Result<Vec<Vec<&'static str>>> {
    const MOST: usize = 40;
    let words = vocabulary();
    let (given, _) = text(1, 0);
    let length = given.len() + MOST;
    let writer = Predictor::new(model)?;
    // What stands behind a word does not change the scores of what follows it.
    let mut tokens = [&given[..], &[0; MOST]].concat().repeat(rows);
    for at in given.len() - 1..length - 1 {
        let scores = writer
            .predict(&Array::new([rows, length], tokens.clone()))?
            .to_f64s();
        for row in 0..rows {
            let place = (row * length + at) * words.len();
            let chances = scores[place..place + words.len()].iter().map(|s| s.exp());
            let mut left =
                chances.clone().sum::<f64>() * dice.below(1 << 20) as f64 / f64::from(1 << 20);
            let drawn = chances.into_iter().position(|chance| {
                left -= chance;
                left < 0.0
            });
            tokens[row * length + at + 1] = drawn.unwrap_or(0) as i64;
        }
    }
    let sentence = |row: &[i64]| {
        let own = row[given.len()..].iter().take_while(|&&token| token != 0);
        own.map(|&token| words[token as usize]).collect()
    };
    Ok(tokens.chunks(length).map(sentence).collect())
}
