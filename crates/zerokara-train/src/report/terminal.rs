//! Pictures and tables for a terminal.

use std::borrow::Cow;
use zerokara_core::printable;

/// A picture `[H, W]` of values from 0 (dark) to 1 (bright) as text: each character is two pixels, one above the other.
///
/// Half blocks are drawn where a pixel is at least half as bright as the brightest one. Rows are joined by newlines; an
/// empty string when the shape does not fit.
///
/// ```
/// use zerokara_train::report::terminal::digit;
///
/// assert_eq!(digit(&[1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0], 4, 2), "█▄\n▄▀");
/// ```
pub fn digit(pixels: &[f32], height: usize, width: usize) -> String {
    if width == 0 || height.checked_mul(width) != Some(pixels.len()) {
        return String::new();
    }
    let finite = || pixels.iter().copied().filter(|v| v.is_finite());
    let low = finite().fold(f32::INFINITY, f32::min);
    let high = finite().fold(f32::NEG_INFINITY, f32::max);
    let on = |y: usize, x: usize| {
        y < height && high > low && pixels[y * width + x] >= low + (high - low) * 0.5
    };
    let rows: Vec<String> = (0..height)
        .step_by(2)
        .map(|y| {
            let row: String = (0..width)
                .map(|x| match (on(y, x), on(y + 1, x)) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                })
                .collect();
            row.trim_end().to_string()
        })
        .collect();
    rows.join("\n")
}

/// Where the text of a column stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// At the left: words.
    Left,
    /// At the right: numbers.
    Right,
}

/// A table with a line under its head. Each column has a name and an alignment; missing cells are blank, cells beyond
/// the last column are left out. What commands a terminal or ends a line within a cell is spelt out ([`line()`]).
///
/// ```
/// use zerokara_train::report::terminal::{Align, table};
///
/// let text = table(
///     &[("layer", Align::Left), ("parameters", Align::Right)],
///     &[vec!["conv".into(), "780".into()], vec!["linear".into(), "432,100".into()]],
/// );
/// assert_eq!(text, "\
/// layer   parameters
/// ──────  ──────────
/// conv           780
/// linear     432,100
/// ");
/// ```
pub fn table(columns: &[(&str, Align)], rows: &[Vec<String>]) -> String {
    let rows: Vec<Vec<String>> = rows
        .iter()
        .map(|row| row.iter().map(|cell| line(cell)).collect())
        .collect();
    let widths: Vec<usize> = columns
        .iter()
        .enumerate()
        .map(|(i, (name, _))| {
            let cells = rows.iter().filter_map(|row| row.get(i));
            cells
                .map(|cell| width(cell))
                .max()
                .unwrap_or(0)
                .max(width(name))
        })
        .collect();
    let joined = |cell: &dyn Fn(usize) -> String| {
        let cells: Vec<String> = (0..columns.len())
            .map(|i| {
                let text = cell(i);
                let blank = " ".repeat(widths[i].saturating_sub(width(&text)));
                match columns[i].1 {
                    Align::Left => text + &blank,
                    Align::Right => blank + &text,
                }
            })
            .collect();
        cells.join("  ").trim_end().to_string() + "\n"
    };
    let mut out = joined(&|i| columns[i].0.to_string());
    out += &joined(&|i| "─".repeat(widths[i]));
    for row in &rows {
        out += &joined(&|i| row.get(i).cloned().unwrap_or_default());
    }
    out
}

/// A name from a file on one line, as [`printable`] with newlines and tabs spelt too.
///
/// ```
/// assert_eq!(zerokara_train::report::terminal::line("a\nb\u{1b}"), "a\\nb\\u001b");
/// ```
pub fn line(text: &str) -> String {
    printable(text).replace('\n', "\\n").replace('\t', "\\t")
}

/// Columns that a text takes: most Chinese, Japanese and Korean characters take two.
///
/// ```
/// assert_eq!(zerokara_train::report::terminal::width("層 1"), 4);
/// ```
pub fn width(text: &str) -> usize {
    console::measure_text_width(text)
}

/// The beginning of a text that takes at most so many columns.
///
/// ```
/// assert_eq!(zerokara_train::report::terminal::cut("層1の出力", 4), "層1");
/// ```
pub fn cut(text: &str, most: usize) -> Cow<'_, str> {
    console::truncate_str(text, most, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_of_odd_height_and_of_no_contrast() {
        assert_eq!(digit(&[0.0, 5.0, 5.0], 3, 1), "▄\n▀");
        assert_eq!(digit(&[1.0, 1.0], 2, 1), "");
        assert_eq!(digit(&[1.0, f32::NAN], 1, 2), "");
        assert_eq!(digit(&[0.0; 3], 2, 2), "");
        assert_eq!(digit(&[], 0, 0), "");
    }

    #[test]
    fn tables_align_also_in_japanese_and_with_ragged_rows() {
        let columns = [("層", Align::Left), ("n", Align::Right)];
        let rows = [
            vec!["畳み込み".into(), "7".into()],
            vec!["x".into()],
            vec![],
        ];
        assert_eq!(
            table(&columns, &rows),
            "層        n\n────────  ─\n畳み込み  7\nx\n\n"
        );
        assert_eq!(table(&[], &[]), "\n\n");
    }
}
