//! Markdown with formulas, as HTML.

use pulldown_cmark::{CowStr, Event, Options, Parser};
use pulldown_latex::{RenderConfig, Storage, config::DisplayMode};
use zerokara::figures::html::escape;

/// Markdown as HTML; formulas between dollars as MathML, which browsers draw themselves.
pub(crate) fn html(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_MATH;
    let markdown = joined(markdown);
    let events = Parser::new_ext(&markdown, options).map(|event| match event {
        Event::InlineMath(formula) => {
            let is_long = formula.chars().count() > 36;
            let formula = math(&formula, DisplayMode::Inline);
            Event::InlineHtml(match is_long {
                // Browsers do not break formulas: on a narrow page it is moved within a box, too.
                true => format!("<span class=\"formula within\">{formula}</span>").into(),
                false => formula,
            })
        }
        Event::DisplayMath(formula) => {
            // What is wider than the page is moved within a box of its own.
            let formula = math(&formula, DisplayMode::Block);
            Event::InlineHtml(format!("<span class=\"formula\">{formula}</span>").into())
        }
        // Explanations are the project's own, but a stray `<` must not become a tag.
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        other => other,
    });
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, events);
    out
}

/// The text with lines that end and begin in Japanese made one: a browser would show the end of a line as a space, which
/// does not stand between Japanese letters.
fn joined(markdown: &str) -> String {
    let wide = |c: Option<char>| c.is_some_and(|c| c >= '\u{2E80}');
    let mut out = String::with_capacity(markdown.len());
    for line in markdown.lines() {
        if out.ends_with('\n')
            && wide(out.trim_end().chars().next_back())
            && wide(line.chars().next())
        {
            // An empty line between them ends with a second end of line.
            if !out.ends_with("\n\n") {
                out.pop();
            }
        }
        out += line;
        out.push('\n');
    }
    out
}

fn math(formula: &str, display_mode: DisplayMode) -> CowStr<'static> {
    let storage = Storage::new();
    let parser = pulldown_latex::Parser::new(formula, &storage);
    let mut out = String::new();
    let config = RenderConfig { display_mode, ..RenderConfig::default() };
    match pulldown_latex::push_mathml(&mut out, parser, config) {
        Ok(()) => out.into(),
        Err(_) => format!("<code>{}</code>", escape(formula)).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_japanese_are_joined_without_a_space() {
        assert_eq!(
            html("活性化\n関数。\n\n次の段落"),
            "<p>活性化関数。</p>\n<p>次の段落</p>\n"
        );
        assert!(html("a word\nmore").contains("a word\nmore"));
    }

    #[test]
    fn formulas_become_mathml_and_tags_stay_text() {
        let page = html("The *sum* $\\sum_i x_i$ of `x` <script>");
        assert!(
            page.contains("<em>sum</em>")
                && page.contains("<math")
                && page.contains("<code>x</code>")
        );
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"));
        assert!(!page.contains("merror") && !page.contains("formula"));
        let long = html(&format!("It is $1{}$.", "+1".repeat(30)));
        assert!(
            long.starts_with("<p>It is <span class=\"formula within\"><math"),
            "{long}"
        );
        assert!(html("$$x$$").contains("<span class=\"formula\"><math"));
    }
}
