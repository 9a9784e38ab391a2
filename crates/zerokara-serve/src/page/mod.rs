//! The page on which models can be tried. It loads nothing from elsewhere, and knows nothing of the models by itself: its
//! script asks `/models`, with the token that its address may have.

use axum::{
    body::Body,
    http::{
        HeaderName, HeaderValue,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
    },
    response::Response,
};
use std::sync::LazyLock;
use zerokara_figures::STYLE;
use zerokara_train::language::{Language, Texts, Words};

pub(crate) const STYLE_PATH: &str = "/page.css";
pub(crate) const SCRIPT_PATH: &str = "/page.js";

const HTML: &str = include_str!("page.html");
const SCRIPT: &str = include_str!("page.js");
const OWN_STYLE: &str = include_str!("page.css");

static TEXTS: LazyLock<Texts> =
    LazyLock::new(|| Texts::parse(include_str!("texts.ja.toml")).unwrap_or_default());

/// Scripts, styles and questions of this server alone; pictures that were drawn or chosen; in no frame of another page.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src blob: data:; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// The page in a language.
pub(crate) struct Page {
    html: String,
    script: String,
}

impl Page {
    pub fn new(language: Language) -> Self {
        let words = Words::new(language, &TEXTS);
        let html = said(HTML, words).replace("{language}", language.code());
        Self {
            html,
            script: said(SCRIPT, words),
        }
    }

    pub fn html(&self) -> Response {
        let mut response = file("text/html; charset=utf-8", &self.html);
        let headers = response.headers_mut();
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
        let values: [(HeaderName, _); 1] = [(REFERRER_POLICY, "no-referrer")];
        for (name, value) in values {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }

    pub fn style(&self) -> Response {
        file("text/css; charset=utf-8", &format!("{STYLE}{OWN_STYLE}"))
    }

    pub fn script(&self) -> Response {
        file("text/javascript; charset=utf-8", &self.script)
    }
}

pub(crate) fn file(kind: &'static str, text: &str) -> Response {
    let mut response = Response::new(Body::from(text.to_string()));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// What stands between `{{` and `}}`.
pub(crate) fn texts(template: &str) -> impl Iterator<Item = &str> {
    let parts = template.split("{{").skip(1);
    parts.filter_map(|part| part.split_once("}}").map(|(text, _)| text))
}

/// The template with its texts in a language. They hold nothing that would end a string or open a tag.
pub(crate) fn said(template: &str, words: Words) -> String {
    let mut out = template.to_string();
    for text in texts(template) {
        out = out.replace(&format!("{{{{{text}}}}}"), &words.say(text));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_text_has_its_line_and_each_line_its_text() {
        let mut used: Vec<&str> = texts(HTML).chain(texts(SCRIPT)).collect();
        used.sort_unstable();
        used.dedup();
        let table = Texts::parse(include_str!("texts.ja.toml")).unwrap();
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
        for text in [HTML, SCRIPT, OWN_STYLE] {
            assert!(!text.contains("://") && !text.contains("@import"));
        }
        assert!(HTML.contains(STYLE_PATH) && HTML.contains(SCRIPT_PATH));
    }
}
