//! Running text as a data set.

use std::fs;
use std::path::Path;
use zerokara_data::{
    DataOptions, Dataset, Loader, Position, Source, Split, TextWindows, Vocabulary,
};

/// Lines of words, no two alike.
fn story(lines: usize) -> String {
    let line = |at: usize| format!("In year {at} it rained {} days.\n", at * 7 % 365);
    (0..lines).map(line).collect()
}

fn open(options: &DataOptions, name: &str, bytes: &[u8]) -> zerokara_data::Result<Dataset> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, bytes).unwrap();
    options.open(path)
}

/// Inputs and targets of a part, as text.
fn texts(split: &Split, letters: &Vocabulary) -> Vec<[String; 2]> {
    let text = |at: usize, name: &str| {
        let sample = split.at(at).unwrap();
        letters.decode(sample.find(name).unwrap().as_slice::<i64>().unwrap())
    };
    (0..split.len())
        .map(|at| [text(at, "x"), text(at, "t")])
        .collect()
}

#[test]
fn windows_lie_side_by_side_and_the_parts_share_no_character() {
    let story = story(120);
    let data = open(
        &DataOptions::new().context(32),
        "story.txt",
        story.as_bytes(),
    )
    .unwrap();
    let letters = data.running_text().unwrap();
    let characters: Vec<char> = story.chars().collect();
    let held_back = (characters.len() as f64 * 0.1).round() as usize;
    let (train, rest) = characters.split_at(characters.len() - held_back);
    for (part, own) in [(&data.train, train), (&data.validation, rest)] {
        assert_eq!(part.len(), (own.len() - 1) / 32);
        for (at, [x, t]) in texts(part, letters).into_iter().enumerate() {
            let expected = |from: usize| own[from..from + 32].iter().collect::<String>();
            assert_eq!([x, t], [expected(at * 32), expected(at * 32 + 1)]);
        }
    }
    assert!(data.test.is_empty() && data.class_names.is_empty());
    assert_eq!(data.shape(), [32]);
    assert!(data.notes[0].contains("running text"), "{:?}", data.notes);
}

#[test]
fn shuffled_windows_are_drawn_anew_in_every_epoch_and_again_from_a_position() {
    let story = story(60);
    let data = open(
        &DataOptions::new().context(16),
        "story.txt",
        story.as_bytes(),
    )
    .unwrap();
    let letters = data.running_text().unwrap().clone();
    let loader = Loader::new(&data.train, 8).unwrap().shuffle(3);
    let mut feeder = loader.feeder();
    let mut seen = Vec::new();
    for epoch in 0..3 {
        feeder.set_epoch(epoch);
        while let Some(feed) = feeder.next_feed().unwrap() {
            let x = feed
                .inputs
                .find("x")
                .unwrap()
                .as_slice::<i64>()
                .unwrap()
                .to_vec();
            let t = feed
                .targets
                .find("t")
                .unwrap()
                .as_slice::<i64>()
                .unwrap()
                .to_vec();
            for (x, t) in x.chunks(16).zip(t.chunks(16)) {
                assert_eq!(x[1..], t[..15]);
                assert!(story.contains(&letters.decode(x)));
            }
            seen.push(x);
        }
    }
    let batches = loader.len();
    assert_eq!(seen.len(), 3 * batches);
    assert_ne!(seen[..batches], seen[batches..2 * batches]);
    // The same from a position on, and batch by batch without threads.
    let mut again = loader.feeder();
    again.seek(Position { epoch: 1, batch: 2 }).unwrap();
    let next = again.next_feed().unwrap().unwrap();
    let x = next
        .inputs
        .find("x")
        .unwrap()
        .as_slice::<i64>()
        .unwrap()
        .to_vec();
    assert_eq!(x, seen[batches + 2]);
    let mut plain = loader.clone().workers(0);
    plain.set_epoch(1);
    let feed = plain.feed(2).unwrap();
    assert_eq!(
        feed.inputs.find("x").unwrap().as_slice::<i64>().unwrap(),
        &x[..]
    );
    // Without shuffling it is the text, window by window.
    let plain = Loader::new(&data.train, 8).unwrap();
    let first = plain.feed(0).unwrap();
    let first = first
        .inputs
        .find("x")
        .unwrap()
        .as_slice::<i64>()
        .unwrap()
        .to_vec();
    assert_eq!(letters.decode(&first), story[..8 * 16]);
}

#[test]
fn characters_are_learned_on_the_training_part_alone() {
    let text = format!("{}{}", "abcdefghij".repeat(90), "aéb日".repeat(25));
    let data = open(&DataOptions::new().context(8), "a.md", text.as_bytes()).unwrap();
    let letters = data.running_text().unwrap();
    assert_eq!(letters.tokens().concat(), "abcdefghij");
    let held_back = texts(&data.validation, letters);
    assert_eq!(held_back[0][0], "a\u{fffd}b\u{fffd}a\u{fffd}b\u{fffd}");
    assert!(
        data.notes.iter().any(|note| note.contains("unknown")),
        "{:?}",
        data.notes
    );
    assert_eq!(data.preprocessing_of("x"), Some(letters.clone().into()));
}

#[test]
fn bytes_stay_as_they_are_and_large_vocabularies_work() {
    let text = format!("\u{feff}one\r\ntwo\r\n{}", "x y\r\n".repeat(60));
    let data = open(&DataOptions::new().context(10), "a.txt", text.as_bytes()).unwrap();
    let letters = data.running_text().unwrap();
    assert_eq!(texts(&data.train, letters)[0][0], "\u{feff}one\r\ntwo\r");
    // More tokens than a byte has values, and words.
    let many: String = ('\u{4e00}'..'\u{5000}').collect();
    let letters = Vocabulary::characters([&many]).unwrap();
    assert!(letters.len() > 500);
    let windows = TextWindows::new(&many, &letters, 100).unwrap();
    let sample = windows.sample(3).unwrap();
    let x = letters.decode(sample.find("x").unwrap().as_slice::<i64>().unwrap());
    assert_eq!(x, many.chars().skip(300).take(100).collect::<String>());
    let words = Vocabulary::words(["to be or not to be"], 10).unwrap();
    let windows = TextWindows::new("not to be", &words, 2).unwrap();
    assert_eq!(
        (
            windows.len(),
            windows.sample(0).is_ok(),
            windows.sample(1).is_ok()
        ),
        (1, true, false)
    );
}

#[test]
fn parts_of_other_sizes_and_a_test_part() {
    let story = story(100);
    let options = DataOptions::new().context(20).validation(0.2).test(0.25);
    let data = open(&options, "story.txt", story.as_bytes()).unwrap();
    let all = story.chars().count() as f64;
    let windows = |share: f64| ((all * share).round() as usize - 1) / 20;
    assert_eq!(
        (data.validation.len(), data.test.len()),
        (windows(0.2), windows(0.25))
    );
    let options = DataOptions::new().context(20).validation(3);
    assert_eq!(
        open(&options, "story.txt", story.as_bytes())
            .unwrap()
            .validation
            .len(),
        3
    );
    let options = DataOptions::new().context(20).validation(0);
    assert!(
        open(&options, "story.txt", story.as_bytes())
            .unwrap()
            .validation
            .is_empty()
    );
}

#[test]
fn folders_of_texts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    fs::write(path.join("b.txt"), story(30)).unwrap();
    fs::write(path.join("a.txt"), "First of all").unwrap();
    fs::write(path.join(".hidden"), [0xff]).unwrap();
    let data = DataOptions::new().context(12).open(path).unwrap();
    let letters = data.running_text().unwrap();
    let all = texts(&data.train, letters);
    assert_eq!([&all[0][0], &all[1][0]], ["First of all", "\nIn year 0 i"]);

    let parts = tempfile::tempdir().unwrap();
    let path = parts.path();
    for (name, lines) in [("train.txt", 60), ("val.txt", 20), ("test.txt", 10)] {
        fs::write(path.join(name), story(lines)).unwrap();
    }
    let data = DataOptions::new().open(path).unwrap();
    let windows = |lines: usize| (story(lines).len() - 1) / data.shape()[0];
    let sizes = [data.train.len(), data.validation.len(), data.test.len()];
    assert_eq!(sizes, [60, 20, 10].map(windows));
}

#[test]
fn short_texts_have_a_short_context() {
    let context = |text: String| {
        let data = open(&DataOptions::new(), "a.txt", text.as_bytes()).unwrap();
        data.shape()[0]
    };
    assert_eq!(context(story(4)), 8);
    assert_eq!(context(story(30)), story(30).len() / 40);
    assert_eq!(context(story(1000)), 64);
}

#[test]
fn tables_in_text_files_stay_tables() {
    let rows: String = (0..40)
        .map(|i| format!("{}\t{}\t{}\n", i, i * 3 % 7, ["a", "b"][i % 2]))
        .collect();
    let data = open(
        &DataOptions::new(),
        "rows.txt",
        format!("size\tage\tkind\n{rows}").as_bytes(),
    )
    .unwrap();
    assert_eq!(data.classes(), 2);
    // A table with a broken row is told as a table.
    let broken = format!("size\tage\tkind\n{rows}1\t2\n");
    let error = open(&DataOptions::new(), "rows.txt", broken.as_bytes()).unwrap_err();
    assert!(error.to_string().contains("line 42 has 2 cells"), "{error}");
    let text = open(&DataOptions::new().context(8), "rows.csv", rows.as_bytes()).unwrap();
    assert!(text.running_text().is_some());
}

#[test]
fn what_cannot_be_learned_from_is_told_in_a_sentence() {
    let error = |options: &DataOptions, bytes: &[u8]| {
        let error = open(options, "story.txt", bytes).unwrap_err().to_string();
        assert!(
            error.contains("story.txt") && error.lines().count() == 1,
            "{error}"
        );
        error
    };
    let plain = DataOptions::new();
    assert!(error(&plain, b"").contains("the text is empty"));
    assert!(
        error(&plain, b"It rained.\n")
            .contains("11 characters, too few for a context of 8: at least 18")
    );
    let fits = open(&plain, "story.txt", b"It rained all day\n");
    assert_eq!(fits.unwrap().train.len(), 1);
    let long = DataOptions::new().context(usize::MAX);
    assert!(error(&long, b"It rained.\n").contains("too few"));
    let none = DataOptions::new().context(0);
    assert!(error(&none, b"It rained.\n").contains("context of 0"));
    let all = DataOptions::new().context(8).validation(0.99);
    assert!(error(&all, story(9).as_bytes()).contains("too few"));
    let bad = [b"one\ntwo ".as_slice(), &[0xff], &story(9).into_bytes()].concat();
    assert!(error(&plain, &bad).contains("line 2 is not UTF-8 (byte 8 of the file)"));
    assert!(TextWindows::new("abc", &Vocabulary::bytes(), 3).is_err());
    assert!(
        DataOptions::new()
            .context(8)
            .open(Path::new("gone.txt"))
            .is_err()
    );
}
