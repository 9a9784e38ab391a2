//! Running text as a data set: windows of characters.

use super::{DataOptions, PARTS};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::parts::Amount;
use crate::preprocessing::Vocabulary;
use crate::split::Split;
use crate::text::TextWindows;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest text that is read.
const MOST_BYTES: u64 = 4 << 30;
/// Characters of a window, unless the text is short.
const CONTEXT: usize = 64;
/// The fewest characters of a window, unless others are asked for.
const FEW: usize = 8;
/// A text has at least so many windows, unless these are of the fewest characters.
const WINDOWS: usize = 40;
/// The share of a text to choose by.
const VALIDATION: f64 = 0.1;
/// Lines that are looked at to tell a table from running text, and the share of them in hundredths that cells must have alike.
const LINES: usize = 100;
const ALIKE: usize = 80;

/// Whether a file is named as texts are, which tables are too.
pub(super) fn is_named_so(path: &Path) -> bool {
    let end = path.extension().unwrap_or_default();
    ["txt", "md"]
        .iter()
        .any(|known| end.eq_ignore_ascii_case(known))
}

/// Whether a file holds running text: it is named as texts are, and its first lines are not rows of cells. A file that cannot be
/// read is none.
pub(super) fn is_running(path: &Path) -> bool {
    const LOOKED_AT: u64 = 64 << 10;
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LOOKED_AT).read_to_end(&mut bytes));
    if !is_named_so(path) || path.is_dir() || read.is_err() || bytes.starts_with(&[0x1f, 0x8b]) {
        return false;
    }
    let whole = (bytes.len() as u64) < LOOKED_AT;
    let mut lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    if !whole && lines.len() > 1 {
        // The last one is cut off.
        lines.pop();
    }
    let lines = lines
        .into_iter()
        .filter(|line| !line.trim_ascii().is_empty());
    let lines: Vec<&[u8]> = lines.take(LINES).collect();
    let is_table = |delimiter: u8| {
        let count = |line: &&[u8]| line.iter().filter(|&&byte| byte == delimiter).count();
        let counts: Vec<usize> = lines.iter().map(count).collect();
        let most = counts
            .iter()
            .filter(|&&cells| cells > 0)
            .map(|cells| counts.iter().filter(|&other| other == cells).count())
            .max();
        lines.len() > 1 && most.unwrap_or(0) * 100 >= lines.len() * ALIKE
    };
    !b",\t;|".iter().any(|&delimiter| is_table(delimiter))
}

/// The texts of a folder that has nothing else in it, those to train on, to choose by and to judge by apart if they are named so.
/// Nothing if there is none, or something else.
pub(super) fn in_folder(folder: &Path) -> Option<[Vec<PathBuf>; 3]> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if entry.file_name().to_string_lossy().starts_with('.') {
            continue;
        }
        if path.is_dir() || !is_named_so(&path) {
            return None;
        }
        files.push(path);
    }
    files.sort();
    if files.is_empty() {
        return None;
    }
    let is_part = |path: &Path, names: &[&str]| {
        let stem = path.file_stem().unwrap_or_default();
        names.iter().any(|name| stem.eq_ignore_ascii_case(name))
    };
    if !files.iter().any(|path| is_part(path, PARTS[0])) {
        return Some([files, Vec::new(), Vec::new()]);
    }
    let part = |names: &[&str]| {
        let of = files.iter().filter(|path| is_part(path, names));
        of.cloned().collect::<Vec<_>>()
    };
    Some(PARTS.map(part))
}

/// The texts of these files, one behind the other, each ending a line.
fn read(files: &[PathBuf]) -> Result<String> {
    let mut all = String::new();
    for path in files {
        let fail = |message: String| Error::file(path, message);
        let mut bytes = Vec::new();
        File::open(path)
            .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
            .map_err(|error| fail(format!("cannot be read: {error}")))?;
        if bytes.len() as u64 + all.len() as u64 > MOST_BYTES {
            return Err(fail("the text is larger than 4 GiB".into()));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = error.utf8_error().valid_up_to();
            let before = &error.as_bytes()[..good];
            let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
            fail(format!(
                "line {line} is not UTF-8 (byte {good} of the file); save the text as UTF-8"
            ))
        })?;
        match all.is_empty() {
            true => all = text,
            false => all += &text,
        }
        if files.len() > 1 && !all.is_empty() && !all.ends_with('\n') {
            all.push('\n');
        }
    }
    Ok(all)
}

/// The place of a character in a text, or its end.
fn place(text: &str, character: usize) -> usize {
    let mut places = text.char_indices();
    places.nth(character).map_or(text.len(), |(place, _)| place)
}

/// How many characters a part has that is asked for as a share, or as a number of windows.
fn characters(amount: Amount, all: usize, context: usize) -> usize {
    match amount {
        Amount::Fraction(share) => (all as f64 * share.clamp(0.0, 1.0)).round() as usize,
        Amount::Count(0) => 0,
        Amount::Count(windows) => windows.saturating_mul(context).saturating_add(1),
    }
}

/// A data set of the texts to train on, to choose by and to judge by; what the last two lack is cut off the end of the first.
pub(super) fn open(
    name: String,
    path: &Path,
    files: [Vec<PathBuf>; 3],
    options: &DataOptions,
) -> Result<Dataset> {
    let fail = |message: String| Error::file(path, message);
    let [train, validation, test] = [read(&files[0])?, read(&files[1])?, read(&files[2])?];
    let all = train.chars().count();
    if all == 0 {
        return Err(fail("the text is empty".into()));
    }
    let context = match options.context {
        Some(context) => context,
        None => (all / WINDOWS).clamp(FEW, CONTEXT),
    };
    // A window, and the character behind it.
    let least = context.saturating_add(1);
    let own = |text: String, amount: Option<Amount>| match text.is_empty() {
        true => amount.map_or(0, |amount| characters(amount, all, context)),
        false => 0,
    };
    let test_length = own(test.clone(), options.test);
    let usual = Amount::Fraction(VALIDATION);
    let mut validation_length = own(
        validation.clone(),
        Some(options.validation.unwrap_or(usual)),
    );
    if options.validation.is_none() && validation.is_empty() {
        validation_length = validation_length.max(least);
    }
    let rest = all.checked_sub(validation_length.saturating_add(test_length));
    if rest.is_none_or(|rest| rest < least) {
        return Err(fail(format!(
            "the text has {all} characters, too few for a context of {context}: at least {} are needed, so that there is one \
             to train on and one to choose by; a smaller [data] context needs less",
            least.saturating_mul(2)
        )));
    }
    let rest = rest.unwrap_or(0);
    let cuts = [place(&train, rest), place(&train, rest + validation_length)];
    let vocabulary = Vocabulary::characters([&train[..cuts[0]]])?;
    let split = |text: &str| match text.is_empty() {
        true => Ok(Split::empty()),
        false => TextWindows::new(text, &vocabulary, context)
            .and_then(Split::of)
            .map_err(|error| Error::file(path, error)),
    };
    let part = |own: &str, cut: &str| match own.is_empty() {
        true => split(cut),
        false => split(own),
    };
    let mut dataset = Dataset::of(name)
        .train(split(&train[..cuts[0]])?)?
        .validation(part(&validation, &train[cuts[0]..cuts[1]])?)?
        .test(part(&test, &train[cuts[1]..])?)?
        .preprocess("x", vocabulary.clone())
        .preprocess("t", vocabulary.clone());
    dataset.source = path.canonicalize().ok();
    dataset.notes.push(format!(
        "running text of {all} characters, {} different ones to train on, in windows of {context}",
        vocabulary.tokens().len()
    ));
    if validation_length > 0 {
        dataset.notes.push(format!(
            "the last {} characters are held back to choose by",
            validation_length + test_length
        ));
    }
    let held_back = [&train[cuts[0]..], &validation, &test];
    let numbers = held_back.map(|text| TextWindows::unknown(text, &vocabulary));
    let unknown: usize = numbers.iter().sum();
    if unknown > 0 {
        dataset.notes.push(format!(
            "characters that the training part lacks: {unknown} places of the rest, which count as unknown"
        ));
    }
    Ok(dataset)
}

/// The whole text at a path as windows, by what a model knows.
pub(super) fn like(path: &Path, vocabulary: &Vocabulary, context: usize) -> Result<Split> {
    let files = match path.is_dir() {
        false => vec![path.to_path_buf()],
        true => {
            let found = in_folder(path);
            let [train, _, test] = found
                .ok_or_else(|| Error::file(path, "there is no text in it, or something else"))?;
            match test.is_empty() {
                true => train,
                false => test,
            }
        }
    };
    let text = read(&files)?;
    TextWindows::new(&text, vocabulary, context)
        .and_then(Split::of)
        .map_err(|error| Error::file(path, error))
}
