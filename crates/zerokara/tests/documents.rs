//! The documents agree with the code and with each other.

use std::{fs, path::PathBuf};

const DOCUMENTS: [&str; 6] = [
    "README.md",
    "README.ja.md",
    "CONTRIBUTING.md",
    "ARCHITECTURE.md",
    "docs/book.md",
    "docs/performance.md",
];

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
fn links_lead_somewhere() {
    for document in DOCUMENTS {
        let folder = root().join(document).parent().expect("a folder").to_owned();
        for link in read(document).split("](").skip(1) {
            let link = link.split(')').next().unwrap_or_default();
            if link.starts_with("http") || link.starts_with('#') {
                continue;
            }
            let path = folder.join(link.split('#').next().unwrap_or_default());
            assert!(path.exists(), "{document} links to {link}");
        }
    }
}
