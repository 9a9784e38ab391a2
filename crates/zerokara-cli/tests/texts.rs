//! The tables of the command and of trainings: each text that the code says is in them, and nothing else is.

mod common;

use common::succeed;
use std::{
    fs,
    path::{Path, PathBuf},
};
use zerokara_train::language::Texts;

/// The source files in this folder, as one text in which each string and each paragraph of docs is on one line.
fn source(folder: &str) -> String {
    let mut all = String::new();
    let mut places = vec![crates().join(folder)];
    while let Some(place) = places.pop() {
        if place.is_dir() {
            places.extend(
                fs::read_dir(place)
                    .unwrap()
                    .map(|entry| entry.unwrap().path()),
            );
        } else if place.extension().is_some_and(|ending| ending == "rs") {
            all += &fs::read_to_string(place).unwrap();
        }
    }
    let mut joined = String::new();
    // Strings go on behind a backslash, paragraphs of docs in the next line.
    let (mut string, mut docs) = (false, false);
    for line in all.lines() {
        let words = line.trim_start();
        let doc = words.strip_prefix("/// ");
        match (string, docs, doc) {
            (true, _, _) => joined += words,
            (false, true, Some(doc)) => {
                joined.push(' ');
                joined += doc;
            }
            _ => {
                joined.push('\n');
                joined += doc.unwrap_or(line);
            }
        }
        string = joined.ends_with('\\');
        docs = doc.is_some();
        if string {
            joined.pop();
        }
    }
    joined
}

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The texts that are looked up where they stand: `say("..")` and `fill("..", ..)`.
fn said(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for call in [".say(", ".fill("] {
        for (_, rest) in source
            .match_indices(call)
            .map(|(at, call)| source.split_at(at + call.len()))
        {
            let Some(text) = rest.trim_start().strip_prefix('"') else {
                continue;
            };
            let end = text.find('"').unwrap();
            found.push(text[..end].to_string());
        }
    }
    found
}

/// Each table, and the source that it is for.
fn tables() -> [(Texts, String); 2] {
    ["zerokara-train/src", "zerokara-cli/src"].map(|folder| {
        let table = crates().join(folder).join("texts.ja.toml");
        let table = fs::read_to_string(table).unwrap();
        (Texts::parse(&table).unwrap(), source(folder))
    })
}

#[test]
fn what_the_code_says_is_in_the_tables() {
    let [(training, trains), (command, commands)] = tables();
    let both = command.or(&training);
    for (texts, source) in [(training, trains), (both, commands)] {
        let said = said(&source);
        assert!(said.len() > 20, "{said:?}");
        for text in said {
            // The examples of docs have tables of their own.
            let is_example = ["all epochs", "5 epochs"].contains(&text.as_str());
            let is_known = texts.lines().any(|(line, _)| line == text);
            assert!(is_known || is_example, "{text:?}");
        }
    }
}

/// What is put together from parts that stand elsewhere.
const COMPOSED: [&str; 5] = [
    "shift by up to {}, turn by up to {}°",
    "{} images: what was too few for a batch joined the one before",
    "{} samples: what was too few for a batch joined the one before",
    "{} of {} test images have no answer: scores of theirs are NaN",
    "{} of {} test samples have no answer: scores of theirs are NaN",
];

/// The text with `{}` for what varies, whatever its name is in the code.
fn with_gaps(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out += before;
        out.push('{');
        rest = match after.split_once('}') {
            Some((inside, after)) if !inside.contains(['{', '\n', ' ']) => {
                out.push('}');
                after
            }
            _ => after,
        };
    }
    out + rest
}

#[test]
fn nothing_in_the_tables_is_left_over() {
    let folder = tempfile::tempdir().unwrap();
    // What others declare: names of settings and losses, descriptions of figures, what clap says of its own.
    let elsewhere = [
        "zerokara-nn/src",
        "zerokara-figures/src",
        "zerokara-data/src",
    ]
    .map(source);
    let help = ["-h", "--help"].into_iter().flat_map(|flag| {
        let commands = [&[][..], &["train"], &["lab"], &["lab", "gradient"]];
        commands.map(|command| succeed(folder.path(), &[command, &[flag]].concat()))
    });
    let all: String = elsewhere.into_iter().chain(help).collect();
    let all = with_gaps(&all);
    let mut left = Vec::new();
    for (texts, source) in tables() {
        let source = with_gaps(&source);
        for (line, _) in texts.lines() {
            // Words that vary too.
            let words = [
                "images", "samples", "steps", "image", "sample", "rises", "falls",
            ];
            let varied = words
                .iter()
                .fold(line.clone(), |line, word| line.replace(word, "{}"));
            let is_in = |text: &str| {
                let text = text.trim_end_matches('.');
                source.contains(text) || all.contains(text)
            };
            let is_used = is_in(&line)
                // Names of settings, files and measures have no blanks.
                || is_in(&line.replace(' ', "_"))
                || is_in(&varied)
                || COMPOSED.contains(&line.as_str());
            if !is_used {
                left.push(line);
            }
        }
    }
    left.sort();
    assert_eq!(left, [""; 0]);
}
