//! Text inside HTML and SVG.

/// `text` with `&`, `<`, `>`, `"` and `'` as entities; characters that XML forbids become U+FFFD.
///
/// Safe between tags and inside quoted attributes.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(legal(c)),
        }
    }
    out
}

/// The character, or U+FFFD for one that XML forbids.
pub(crate) fn legal(c: char) -> char {
    match c {
        '\t' | '\n' | '\r' => c,
        '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
        c if c.is_control() => '\u{FFFD}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_can_open_a_tag_or_close_an_attribute() {
        assert_eq!(
            escape("<a href=\"x\" id='y'>&\u{0}\u{1b}[31m"),
            "&lt;a href=&quot;x&quot; id=&#39;y&#39;&gt;&amp;\u{FFFD}\u{FFFD}[31m"
        );
    }
}
