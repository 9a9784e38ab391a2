//! Text from files and arguments, as it may be shown.

use std::borrow::Cow;

/// `text` with characters that command a terminal, or turn the direction of writing, as `\u001b` and the like; lines and
/// tabs stay.
///
/// A name in a file may hold an escape sequence that colours, moves or sends; whoever prints what a file says prints it
/// through this function. Messages of [`Error`](crate::Error) have been through it.
///
/// ```
/// assert_eq!(zerokara_core::printable("red \u{1b}[31m\n"), "red \\u001b[31m\n");
/// ```
pub fn printable(text: &str) -> Cow<'_, str> {
    match text.chars().any(commands) {
        false => text.into(),
        true => {
            let mut shown = String::with_capacity(text.len() + 16);
            for c in text.chars() {
                match commands(c) {
                    // Also what JSON writes for it.
                    true => shown += &format!("\\u{:04x}", c as u32),
                    false => shown.push(c),
                }
            }
            shown.into()
        }
    }
}

fn commands(c: char) -> bool {
    let turns =
        matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || (c.is_control() && c != '\n' && c != '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_commands_a_terminal_is_spelt() {
        assert_eq!(printable("畳み込み\t1\n"), "畳み込み\t1\n");
        let hostile = "a\u{1b}]0;x\u{7}\r\u{8}\u{7f}\u{9b}2J\u{0}\u{202e}z";
        let shown = "a\\u001b]0;x\\u0007\\u000d\\u0008\\u007f\\u009b2J\\u0000\\u202ez";
        assert_eq!(printable(hostile), shown);
    }
}
