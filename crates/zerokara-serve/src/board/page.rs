//! The board's page. It loads nothing from elsewhere.

use crate::page::{file, said};
use axum::{
    http::{
        HeaderName, HeaderValue,
        header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY},
    },
    response::Response,
};
use std::sync::LazyLock;
use zerokara_figures::{SCRIPT as CURVES, STYLE};
use zerokara_train::{
    language::{Language, TRAINING, Texts, Words},
    report::Report,
};

const HTML: &str = include_str!("page.html");
const SCRIPTS: [&str; 4] = [
    include_str!("page.js"),
    include_str!("table.js"),
    include_str!("curves.js"),
    include_str!("details.js"),
];
const OWN_STYLE: &str = include_str!("page.css");

fn own_texts() -> Texts {
    Texts::parse(include_str!("texts.ja.toml")).unwrap_or_default()
}

static TEXTS: LazyLock<Texts> = LazyLock::new(|| own_texts().or(&TRAINING));

/// Scripts, styles and questions of this server alone, and pictures that are part of what it answers; in no frame of another
/// page.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// A report is a page of its own, whose style is in it; whatever else is in the file runs nothing and knows nothing of the board.
const REPORT_POLICY: HeaderValue = HeaderValue::from_static(
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'",
);

/// The words of the board in a language.
pub fn words(language: Language) -> Words {
    Words::new(language, &TEXTS)
}

/// The page in a language.
pub struct Page {
    html: String,
    style: String,
    script: String,
}

impl Page {
    pub fn new(language: Language) -> Self {
        let words = words(language);
        let own = SCRIPTS.concat();
        Self {
            html: said(HTML, words).replace("{language}", language.code()),
            style: format!("{STYLE}{}{OWN_STYLE}", Report::STYLE),
            script: format!("{CURVES}{}", said(&own, words)),
        }
    }

    pub fn html(&self) -> Response {
        guarded(file("text/html; charset=utf-8", &self.html), POLICY)
    }

    pub fn style(&self) -> Response {
        file("text/css; charset=utf-8", &self.style)
    }

    pub fn script(&self) -> Response {
        file("text/javascript; charset=utf-8", &self.script)
    }
}

/// The report of a run.
pub fn report(html: &str) -> Response {
    guarded(file("text/html; charset=utf-8", html), REPORT_POLICY)
}

fn guarded(mut response: Response, policy: HeaderValue) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    let values: [(HeaderName, _); 1] = [(REFERRER_POLICY, "no-referrer")];
    for (name, value) in values {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::texts;

    #[test]
    fn each_text_has_its_line_and_each_line_its_text() {
        // Those that the server says where it draws.
        const SAID: [&str; 3] = ["memory, MB", "seconds", "images per second"];
        let scripts = SCRIPTS.concat();
        let mut used: Vec<&str> = texts(HTML).chain(texts(&scripts)).chain(SAID).collect();
        used.sort_unstable();
        used.dedup();
        let table = own_texts();
        let mut known: Vec<String> = table.lines().map(|(line, _)| line).collect();
        known.sort_unstable();
        assert_eq!(used, known);
        let marks = ['"', '\'', '`', '<', '>', '&', '\\', '$'];
        for text in used {
            let japanese = table.translate(text).text;
            assert!(!text.contains(marks) && !japanese.contains(marks), "{text}");
        }
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for text in [HTML, &SCRIPTS.concat(), OWN_STYLE, CURVES] {
            let outside = text.replace("http://www.w3.org/2000/svg", "");
            assert!(!outside.contains("://") && !outside.contains("@import"));
        }
    }
}
