//! The laboratories from the command line.

mod common;

use common::{run, stderr, succeed};
use std::fs;

#[test]
fn the_list_names_every_lab_with_its_chapter() {
    let folder = tempfile::tempdir().unwrap();
    let list = succeed(folder.path(), &["lab"]);
    for lab in zerokara_labs::LABS {
        let chapter = match lab.chapter() {
            0 => "beyond".to_string(),
            chapter => chapter.to_string(),
        };
        // Words of a name stand in titles too.
        let named = list.lines().any(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.first() == Some(&chapter.as_str()) && words.contains(&lab.name().as_str())
        });
        assert!(
            named,
            "{} of chapter {chapter} is not in the list",
            lab.name()
        );
    }
    // Looking at the list leaves nothing behind.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_lab_writes_its_page_and_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let arguments = [
        "lab",
        "softmax",
        "--scores",
        "-1,2.5",
        "--pictures",
        "pictures",
        "--seed",
        "3",
    ];
    let told = succeed(at, &arguments);
    assert!(
        told.contains("✓ the outputs sum to 1") && told.contains("labs/softmax.html"),
        "{told}"
    );
    let page = fs::read_to_string(at.join("labs/softmax.html")).unwrap();
    assert!(
        page.contains("zerokara lab softmax --seed 3 --scores -1,2.5"),
        "the command"
    );
    assert!(
        page.contains("ソフトマックス") && page.contains("Softmax"),
        "both languages"
    );
    assert!(
        page.contains("lab.section") || page.contains("a.exp()"),
        "the source"
    );
    for number in 1..=2 {
        let picture =
            fs::read_to_string(at.join(format!("pictures/softmax-{number}.svg"))).unwrap();
        assert!(picture.starts_with("<svg") && picture.contains("prefers-color-scheme"));
    }
    let japanese = succeed(at, &["lab", "softmax", "--language", "ja"]);
    assert!(japanese.contains("オーバーフロー"), "{japanese}");
}

#[test]
fn wrong_names_and_values_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |arguments: &[&str], told: &str| {
        let output = run(folder.path(), arguments);
        assert!(!output.status.success(), "{arguments:?}");
        let error = stderr(&output);
        assert!(
            error.contains(told) && error.trim().lines().count() == 1,
            "{arguments:?}: {error}"
        );
    };
    fails(&["lab", "softmaxx"], "softmaxx");
    fails(
        &["lab", "softmax", "--scores", "1,x"],
        "numbers with commas between them",
    );
    fails(&["lab", "softmax", "--temperature", "2"], "--temperature");
    fails(&["lab", "--all", "softmax"], "leave it out");
    fs::write(folder.path().join("file"), "").unwrap();
    fails(
        &["lab", "softmax", "--out", "file"],
        "cannot create the folder file",
    );
}
