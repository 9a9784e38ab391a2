//! Every lab runs on reduced work: what it states holds, and its page says everything in both languages and can be read
//! everywhere: wide and narrow, light and dark.

mod browser;

use std::collections::HashSet;
use zerokara_labs::{LABS, Language, Options, Report, gallery};

/// The parts of a text that do not vary and have words.
fn fixed(text: &str) -> impl Iterator<Item = &str> {
    let has_words = |part: &&str| part.bytes().filter(u8::is_ascii_alphabetic).count() > 3;
    text.split("{}").map(str::trim).filter(has_words)
}

#[test]
fn every_lab_runs_and_explains_all_that_it_does() {
    let networks = tempfile::tempdir().unwrap();
    let options = Options::new().quick().quiet().networks(networks.path());
    let mut reports = Vec::new();
    let (mut untranslated, mut stale) = (Vec::new(), Vec::new());
    for lab in LABS {
        let name = lab.name();
        let report = options.run(lab).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(!report.figures(Language::English).is_empty(), "{name} draws nothing");
        assert!(!report.facts(Language::English).is_empty(), "{name} states nothing");
        let said = lab.texts();
        let helps = lab.choices().iter().map(|choice| choice.help);
        untranslated.extend(
            (report.untranslated().iter().map(String::as_str))
                .chain(helps.filter(|help| !said.translate(help).is_complete))
                .map(|text| format!("{name}: {text}")),
        );
        for (text, _) in lab.own_texts().unwrap().lines() {
            let source = lab.source().replace("\\\"", "\"");
            if let Some(part) = fixed(&text).find(|part| !source.contains(part)) {
                stale.push(format!("{name}: {text} ({part})"));
            }
        }
        for language in [Language::English, Language::Japanese] {
            let text = lab.text(language);
            let told: Vec<&str> = text.sections.iter().map(|s| s.0).collect();
            assert_eq!(report.sections(), told, "{name}: sections and texts, {language:?}");
            assert!(
                !text.title.is_empty() && !text.introduction.trim().is_empty(),
                "{name}"
            );
            assert!(
                text.sections.iter().all(|s| !s.2.trim().is_empty()),
                "{name}: an empty text"
            );
        }
        let figures = Language::ALL.map(|language| report.figures(language)).concat();
        for figure in figures {
            let file = figure.file();
            let read = roxmltree::Document::parse(&file);
            assert!(read.is_ok(), "{name}: {}: {}", figure.title(), read.unwrap_err());
            assert!(
                !file.contains("NaN") && !file.contains("inf\""),
                "{name}: {}",
                figure.title()
            );
        }
        let page = report.page();
        assert!(!page.contains("merror"), "{name}: a formula that cannot be read");
        reports.push(report);
    }
    assert!(
        stale.is_empty() && untranslated.is_empty(),
        "tables translate what is not said:\n{}\nwithout a line in the table beside the lab:\n{}",
        stale.join("\n"),
        untranslated.join("\n")
    );
    let index = gallery(&reports, Language::English);
    assert!(LABS.iter().all(|lab| index.contains(&format!("{}.html", lab.name()))));
    look_at(&reports, index);
}

/// The largest page.
const MOST_BYTES: usize = 1_500_000;

/// Opens every page in a browser, at each width, in each language and theme.
fn look_at(reports: &[Report], index: String) {
    let mut pages: Vec<(String, String)> =
        reports.iter().map(|report| (report.lab().name(), report.page())).collect();
    pages.push(("index".into(), index));
    for (name, html) in &pages {
        assert!(html.len() < MOST_BYTES, "{name} has {} bytes", html.len());
    }
    let Some(found) = browser::look_at(&pages, include_str!("browser/pages.js")) else {
        return;
    };
    let mut problems = Vec::new();
    for (name, _) in &pages {
        let told = &found[name];
        match told.as_array() {
            Some(list) => {
                problems.extend(list.iter().map(|what| format!("{name}: {what}")))
            }
            None => problems.push(format!("{name}: {told}")),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn names_are_unique_and_defaults_are_taken() {
    let names: HashSet<String> = LABS.iter().map(|lab| lab.name()).collect();
    assert_eq!(names.len(), LABS.len());
    for lab in LABS {
        for choice in lab.choices() {
            for value in [choice.default, choice.quick] {
                let taken = choice.check(value);
                assert!(
                    taken.is_ok(),
                    "{} {}: {value}: {taken:?}",
                    lab.name(),
                    choice.name
                );
            }
        }
    }
}

#[test]
fn wrong_options_are_refused() {
    let lab = zerokara_labs::lab("softmax").unwrap();
    let refused = |name: &str, value: &str| {
        let report = Options::new().quiet().set(name, value).run(lab);
        report.err().map(|e| e.to_string()).unwrap_or_default()
    };
    assert!(refused("scores", "1,x").contains("numbers with commas"));
    assert!(refused("temperature", "1").contains("no option temperature"));
}

#[test]
fn trained_networks_are_trained_once() {
    let folder = tempfile::tempdir().unwrap();
    let lab = zerokara_labs::lab("softmax").unwrap();
    let options = Options::new().quick().quiet().networks(folder.path());
    let train =
        || zerokara_labs::with_session(lab, &options, |session| session.two_layer_net());
    let first = train().unwrap();
    let kept = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(kept, 1);
    let second = train().unwrap();
    assert_eq!(first.history.len(), 5);
    assert_eq!(first.test_accuracy(), second.test_accuracy());
    let test = zerokara::prelude::Mnist::load().unwrap().test.take(200);
    let accuracies = [&first, &second].map(|t| t.model.evaluate(&test).unwrap().accuracy());
    assert_eq!(accuracies[0], accuracies[1]);
    assert!(accuracies[0].unwrap() > 0.7);
}
