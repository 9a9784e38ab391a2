//! The documents agree with the code and with each other.

use std::{fs, path::PathBuf};

/// The guide in each language, and where its chapters lie.
const GUIDES: [&str; 2] = ["docs/guide/en/src", "docs/guide/ja/src"];

fn documents() -> Vec<String> {
    let single = [
        "README.md",
        "README.ja.md",
        "CONTRIBUTING.md",
        "ARCHITECTURE.md",
        "docs/performance.md",
    ];
    let chapters = GUIDES.into_iter().flat_map(|folder| {
        let names = chapters(folder);
        names
            .into_iter()
            .map(move |name| format!("{folder}/{name}"))
    });
    single
        .into_iter()
        .map(String::from)
        .chain(chapters)
        .collect()
}

/// The files of a guide, in order.
fn chapters(folder: &str) -> Vec<String> {
    let entries = fs::read_dir(root().join(folder)).expect("the guide");
    let names = entries.map(|entry| entry.expect("a file").file_name());
    let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| name.ends_with(".md"));
    names.sort();
    names
}

fn root() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "..", ".."].iter().collect()
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// The lines from the first one with `from` to the end of its block of code, without those that documents hide.
fn example(text: &str, from: &str) -> Vec<String> {
    text.lines()
        .skip_while(|line| !line.contains(from))
        .take_while(|line| !line.starts_with("```"))
        .filter(|line| !line.starts_with("# "))
        .map(str::to_string)
        .collect()
}

#[test]
fn the_readme_shows_the_example_of_the_crate() {
    let source = read("crates/zerokara/src/lib.rs");
    let front = source
        .lines()
        .filter_map(|line| line.strip_prefix("//!"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect::<Vec<_>>()
        .join("\n");
    let shown = example(&read("README.md"), "use zerokara::prelude::*;");
    assert!(shown.len() > 15, "{shown:#?}");
    assert_eq!(shown, example(&front, "use zerokara::prelude::*;"));
}

#[test]
fn the_lines_for_quick_programs_in_development_are_told() {
    for (document, prefix) in [
        ("README.md", ""),
        ("README.ja.md", ""),
        ("crates/zerokara/src/lib.rs", "//! "),
    ] {
        let lines = format!("{prefix}[profile.dev.package.\"*\"]\n{prefix}opt-level = 3\n");
        assert!(read(document).contains(&lines), "{document}");
    }
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let folder = root()
            .join(&document)
            .parent()
            .expect("a folder")
            .to_owned();
        for link in read(&document).split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            if link.starts_with("http") || link.starts_with('#') {
                continue;
            }
            let path = folder.join(link.split('#').next().unwrap_or_default());
            assert!(path.exists(), "{document} links to {link}");
        }
    }
}

#[test]
fn the_guide_says_the_same_in_both_languages() {
    let [english, japanese] = GUIDES;
    assert_eq!(chapters(english), chapters(japanese));
    for name in chapters(english) {
        let [english, japanese] = GUIDES.map(|folder| read(&format!("{folder}/{name}")));
        let count = |text: &str, what: &str| text.lines().filter(|l| l.starts_with(what)).count();
        for what in ["```", "## ", "![", "| "] {
            let counts = (count(&english, what), count(&japanese, what));
            assert_eq!(counts.0, counts.1, "{name}: lines that begin with {what}");
        }
        // The code is the same but for its comments.
        let code = |text: &str| -> Vec<String> {
            let lines = text.split("```").skip(1).step_by(2).flat_map(str::lines);
            let uncommented = |l: &str| {
                l.split("//")
                    .next()?
                    .split(" # ")
                    .next()
                    .map(str::to_string)
            };
            let lines = lines.filter_map(|l| Some(uncommented(l)?.trim().to_string()));
            lines.filter(|l| !l.is_empty()).collect()
        };
        assert_eq!(code(&english), code(&japanese), "{name}");
        // All chapters are in the table of contents.
        let contents = read(&format!("{}/SUMMARY.md", GUIDES[0]));
        assert!(name == "SUMMARY.md" || contents.contains(&name), "{name}");
    }
}
