//! Markdown with formulas, as HTML.

use pulldown_cmark::{CowStr, Event, Options, Parser};
use pulldown_latex::{RenderConfig, Storage, config::DisplayMode};
use zerokara::figures::html::escape;

/// Markdown as HTML; formulas between dollars as MathML, which browsers draw themselves.
pub(crate) fn html(markdown: &str) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_MATH;
    let events = Parser::new_ext(markdown, options).map(|event| match event {
        Event::InlineMath(formula) => {
            Event::InlineHtml(math(&formula, DisplayMode::Inline))
        }
        Event::DisplayMath(formula) => {
            Event::InlineHtml(math(&formula, DisplayMode::Block))
        }
        // Explanations are the project's own, but a stray `<` must not become a tag.
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        other => other,
    });
    let mut out = String::new();
    pulldown_cmark::html::push_html(&mut out, events);
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
    fn formulas_become_mathml_and_tags_stay_text() {
        let page = html("The *sum* $\\sum_i x_i$ of `x` <script>");
        assert!(
            page.contains("<em>sum</em>")
                && page.contains("<math")
                && page.contains("<code>x</code>")
        );
        assert!(page.contains("&lt;script&gt;") && !page.contains("<script>"));
        assert!(!page.contains("merror"));
    }
}
