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

/// The text with lines of a Japanese sentence made one: a browser would show the end of a line as a space, which stands
/// neither between Japanese letters, nor between these and digits or Latin words, nor after Japanese punctuation.
fn joined(markdown: &str) -> String {
    let mut out = String::with_capacity(markdown.len());
    for line in markdown.lines() {
        // An empty line before this one ends with a second end of line.
        let before = out.strip_suffix('\n').filter(|before| !before.ends_with('\n'));
        if before.is_some_and(|before| is_one_sentence(before, line)) {
            out.pop();
        }
        out += line;
        out.push('\n');
    }
    out
}

/// Whether no space stands between a line and the next.
fn is_one_sentence(before: &str, after: &str) -> bool {
    let wide = |c: char| c >= '\u{2E80}';
    let (Some(last), Some(first)) = (before.chars().next_back(), after.chars().next())
    else {
        return false;
    };
    // A number with a point begins an item of a list, and two signs a formula or code of their own.
    let begins_item =
        after.trim_start_matches(|c: char| c.is_ascii_digit()).starts_with('.');
    let begins_block = after.starts_with("$$") || after.starts_with("```");
    match (wide(last), wide(first)) {
        (true, true) => true,
        (true, false) if first.is_ascii_alphanumeric() => !begins_item,
        (true, false) if "$`".contains(first) => {
            "、。（）：".contains(last) && !begins_block
        }
        (false, true) => last.is_ascii_alphanumeric(),
        _ => false,
    }
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
        assert_eq!(html("本の\nTwoLayerNet\nと\n2乗"), "<p>本のTwoLayerNetと2乗</p>\n");
        assert_eq!(html("すると、\n`x`\nです"), "<p>すると、<code>x</code>\nです</p>\n");
        assert!(html("次の\n`x`").contains("次の\n<code>"));
        assert!(html("順に。\n1. 一つ").contains("<li>一つ"));
        assert!(html("順に。\n- 一つ").contains("<li>一つ"));
        assert!(html("式は。\n$$x$$").contains("式は。\n<span"));
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
