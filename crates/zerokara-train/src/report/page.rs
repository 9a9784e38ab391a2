//! The page: its head, its headline numbers and the order of its sections.

use super::html::escape;
use super::numbers::{percent, rate, significant, thousands};
use super::voice::Voice;
use super::{Report, Section, confusion, gallery, readings, tables};
use std::fmt::Write;
use zerokara_figures::{Figure, STYLE};

pub(crate) const PAGE_STYLE: &str = include_str!("style.css");

/// A figure below its heading, as it was drawn for wide and for narrow windows: text must stay readable, so that it is drawn
/// twice instead of being scaled.
pub(crate) fn drawn(heading: &str, wide: &Figure, narrow: &Figure) -> String {
    let heading = match heading {
        "" => String::new(),
        heading => format!("<figcaption><h3>{}</h3></figcaption>", escape(heading)),
    };
    format!(
        "<figure class=\"chart\">{heading}<div class=\"wide\">{}</div><div class=\"narrow\">{}</div></figure>",
        wide.svg(),
        narrow.svg()
    )
}

pub(super) fn render(report: &Report, voice: &Voice) -> String {
    let title = match report.title.trim() {
        "" => voice.say("Training report"),
        title => title.to_string(),
    };
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"{language}\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <title>{title}</title>\n<style>\n{STYLE}{PAGE_STYLE}</style>\n</head>\n<body>\n<main>\n<header>\n<h1>{title}</h1>\n{}{}</header>\n",
        subtitle(report),
        notices(report) + &headline(report, voice),
        language = voice.language().code(),
        title = escape(&title)
    );
    for Section { id, heading, html } in sections(report, voice) {
        let _ = write!(
            out,
            "<section id=\"{id}\">\n<h2>{heading}</h2>\n{html}\n</section>\n"
        );
    }
    let by = format!("Zerokara {}", report.version);
    let _ = write!(
        out,
        "<footer>{}</footer>\n</main>\n</body>\n</html>\n",
        voice.fill(
            "Made by {}. This page is one file and loads nothing.",
            &[&escape(by.trim())]
        )
    );
    out
}

/// The sections that have contents.
pub(super) fn sections(report: &Report, voice: &Voice) -> Vec<Section> {
    let sections = [
        ("curves", "Curves", curves(report, voice)),
        (
            "confusion",
            "Confusion matrix",
            report
                .confusion
                .as_ref()
                .map(|matrix| confusion::render(matrix, &report.classes, voice))
                .unwrap_or_default(),
        ),
        (
            "answers",
            "Answers",
            readings::render(&report.readings, &report.classes, voice),
        ),
        (
            "misclassified",
            "Misclassified",
            gallery::misclassified(report, voice),
        ),
        (
            "worst",
            "Rows that were most wrong",
            tables::worst(&report.worst, voice),
        ),
        (
            "filters",
            "First-layer filters",
            gallery::filters(report, voice),
        ),
        (
            "model",
            "Model",
            tables::summary(&report.layers, report.samples(), voice),
        ),
        (
            "times",
            "Time per layer",
            tables::times(&report.times, voice),
        ),
        ("run", "Run", details(report, voice)),
    ];
    let sections = sections.into_iter().filter(|(.., html)| !html.is_empty());
    let said = sections.map(|(id, name, html)| Section {
        id,
        heading: voice.say(name),
        html,
    });
    said.collect()
}

fn subtitle(report: &Report) -> String {
    let parts: Vec<String> = [&report.model, &report.dataset, &report.date]
        .into_iter()
        .filter(|part| !part.trim().is_empty())
        .map(|part| format!("<span>{}</span>", escape(part)))
        .collect();
    match parts.is_empty() {
        true => String::new(),
        false => format!("<p class=\"subtitle\">{}</p>\n", parts.join(" ")),
    }
}

/// What one has to know before the numbers: that the run ended early, that samples have no answer.
fn notices(report: &Report) -> String {
    let told = [&report.ended, &report.unanswered].into_iter().flatten();
    told.map(|text| format!("<p class=\"warning\" role=\"note\">{}</p>\n", escape(text)))
        .collect()
}

/// The curves, with a word on what those of an epoch are of.
fn curves(report: &Report, voice: &Voice) -> String {
    let curves = report.curves.render(report.best_epoch, voice);
    match report.train_sample(voice) {
        Some(of) if !curves.is_empty() && !report.curves.epochs.is_empty() => format!(
            "{curves}<p class=\"note\">{}</p>",
            voice.fill(
                "Training loss and accuracy of an epoch are {}, the same in every epoch.",
                &[&escape(&of)]
            )
        ),
        _ => curves,
    }
}

/// Up to four big numbers, each with a small line below.
fn headline(report: &Report, voice: &Voice) -> String {
    let mut tiles = Vec::new();
    let errors = report.confusion.as_ref().filter(|c| c.total() > 0);
    let errors = errors.map(|c| {
        let wrong = thousands(c.total() - c.correct());
        voice.fill("{} of {} wrong", &[&wrong, &thousands(c.total())])
    });
    let accuracies = [
        ("test accuracy", report.test_accuracy, errors),
        ("validation accuracy", report.validation_accuracy, None),
        (
            "training accuracy",
            report.train_accuracy,
            report.train_sample(voice),
        ),
    ];
    if let Some((name, accuracy, below)) = accuracies.into_iter().find(|a| a.1.is_some()) {
        let name = voice.say(name);
        tiles.push((name, percent(accuracy.unwrap_or(f64::NAN)), below));
    } else if let Some((name, value, is_share)) = report.measures.first() {
        tiles.push((
            voice.fill("test {}", &[&escape(&voice.say(name))]),
            measured(*value, *is_share),
            None,
        ));
    }
    if let Some(seconds) = report.seconds {
        let epochs = report.curves.epochs.len() as u64;
        let below = match epochs {
            0 => None,
            1 => Some(voice.say("1 epoch")),
            n => Some(voice.fill("{} epochs", &[&thousands(n)])),
        };
        tiles.push((voice.say("training time"), voice.duration(seconds), below));
    }
    if let Some(speed) = report.images_per_second {
        let below = report.threads.map(|t| match t {
            1 => voice.say("1 thread"),
            t => voice.fill("{} threads", &[&thousands(t as u64)]),
        });
        tiles.push((
            voice.say(&format!("{} per second", report.samples())),
            rate(speed),
            below,
        ));
    }
    if let Some(parameters) = report.parameters {
        let layers = report.layers.iter().filter(|l| l.parameters > 0).count() as u64;
        let below = match layers {
            0 => None,
            1 => Some(voice.say("in 1 layer")),
            n => Some(voice.fill("in {} layers", &[&thousands(n)])),
        };
        tiles.push((voice.say("parameters"), thousands(parameters), below));
    }
    if tiles.is_empty() {
        return String::new();
    }
    let mut out = String::from("<dl class=\"headline\">");
    for (name, value, below) in tiles {
        let _ = write!(
            out,
            "<div><dt>{name}</dt><dd>{value}</dd><dd class=\"below\">{}</dd></div>",
            below.unwrap_or_default()
        );
    }
    out + "</dl>\n"
}

fn measured(value: f64, is_share: bool) -> String {
    match is_share {
        true => percent(value),
        false => significant(value, 4),
    }
}

/// How to get the same run again.
fn details(report: &Report, voice: &Voice) -> String {
    let measures: Vec<(String, String)> = report
        .measures
        .iter()
        .map(|(name, value, is_share)| {
            let name = voice.fill("test {}", &[&voice.say(name)]);
            (name, measured(*value, *is_share))
        })
        .collect();
    let mut rows: Vec<(String, String)> = Vec::new();
    let mut row = |name: String, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.is_empty()) {
            rows.push((name, value));
        }
    };
    row(voice.say("model"), Some(report.model.clone()));
    row(voice.say("data set"), Some(report.dataset.clone()));
    row(
        voice.say("best epoch"),
        report.best_epoch.map(|epoch| epoch.to_string()),
    );
    let train_accuracy = report.train_accuracy.map(percent);
    row(
        voice.say("training accuracy"),
        train_accuracy.map(|share| match report.train_sample(voice) {
            Some(of) => voice.fill("{} ({})", &[&share, &of]),
            None => share,
        }),
    );
    row(
        voice.say("validation accuracy"),
        report.validation_accuracy.map(percent),
    );
    row(
        voice.say("test accuracy"),
        report.test_accuracy.map(percent),
    );
    row(
        voice.say("test loss"),
        report.test_loss.map(|loss| significant(loss, 4)),
    );
    for (name, value) in measures {
        row(name, Some(value));
    }
    for (name, value) in &report.settings {
        row(name.clone(), Some(value.clone()));
    }
    row(voice.say("seed"), report.seed.map(|seed| seed.to_string()));
    row(voice.say("threads"), report.threads.map(|t| t.to_string()));
    row(voice.say("instruction set"), Some(report.isa.clone()));
    row(voice.say("date"), Some(report.date.clone()));
    let mut out = String::new();
    if !report.command.trim().is_empty() {
        let _ = write!(
            out,
            "<pre class=\"command\"><code>{}</code></pre>",
            escape(&report.command)
        );
    }
    if !rows.is_empty() {
        out.push_str("<dl class=\"details\">");
        for (name, value) in rows {
            let _ = write!(
                out,
                "<div><dt>{}</dt><dd>{}</dd></div>",
                escape(&name),
                escape(&value)
            );
        }
        out.push_str("</dl>");
    }
    out
}
