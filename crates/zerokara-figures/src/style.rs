//! The one palette, light and dark, and the looks of figures.

/// How many colours there are for data.
pub(crate) const COLORS: usize = 6;

/// The colours of all pages and figures as variables, and the looks of what figures are made of: for the style sheet of a
/// page.
///
/// | variable | colour of |
/// |---|---|
/// | `--paper`, `--panel` | the page, and what stands out from it: code, empty cells |
/// | `--ink`, `--soft`, `--faint` | text, text beside it, signs that are hardly read |
/// | `--rule` | lines that part things |
/// | `--c0` to `--c5` | data, by number: Okabe and Ito's blue, vermilion, green, purple, sky blue and yellow |
///
/// Follows the reader's light or dark theme, or the one named by `data-theme="light"` or `"dark"` on `<html>`.
pub const STYLE: &str = concat!(
    ":root {\n",
    include_str!("style/light.css"),
    "}\n@media (prefers-color-scheme: dark) { :root {\n",
    include_str!("style/dark.css"),
    "} }\n:root[data-theme=\"light\"] { color-scheme: light;\n",
    include_str!("style/light.css"),
    "}\n:root[data-theme=\"dark\"] { color-scheme: dark;\n",
    include_str!("style/dark.css"),
    "}\n",
    include_str!("style/figure.css"),
);

/// Red, green and blue of a colour of the palette by its number, as in its light form: for pixels, which know no style sheet.
///
/// ```
/// assert_eq!(zerokara_figures::color(0), [0x00, 0x72, 0xb2]); // Okabe and Ito's blue
/// ```
pub fn color(number: usize) -> [u8; 3] {
    const LIGHT: [[u8; 3]; COLORS] = read(include_str!("style/light.css").as_bytes());
    LIGHT[number % COLORS]
}

/// The colours of data in a style sheet: `--c0: #0072b2`.
const fn read(sheet: &[u8]) -> [[u8; 3]; COLORS] {
    let mut colors = [[0; 3]; COLORS];
    let mut rest = sheet;
    while let [_, tail @ ..] = rest {
        if let [
            b'-',
            b'-',
            b'c',
            n @ b'0'..=b'5',
            b':',
            b' ',
            b'#',
            r,
            s,
            g,
            h,
            b,
            c,
            ..,
        ] = rest
        {
            let color = [byte(*r, *s), byte(*g, *h), byte(*b, *c)];
            colors[(*n - b'0') as usize] = color;
        }
        rest = tail;
    }
    colors
}

const fn byte(high: u8, low: u8) -> u8 {
    const fn digit(letter: u8) -> u8 {
        match letter {
            b'0'..=b'9' => letter - b'0',
            _ => letter - b'a' + 10,
        }
    }
    digit(high) * 16 + digit(low)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_themes_have_every_variable_that_is_used() {
        let names = |sheet: &str| -> Vec<String> {
            let parts = sheet.split(';').filter_map(|part| part.split_once(':'));
            parts.map(|(name, _)| name.trim().to_string()).collect()
        };
        let light = names(include_str!("style/light.css"));
        assert_eq!(light, names(include_str!("style/dark.css")));
        for used in include_str!("style/figure.css").split("var(").skip(1) {
            let name = used.split(')').next().unwrap_or_default();
            // `--c` is that of the element's class.
            assert!(name == "--c" || light.iter().any(|n| n == name), "{name}");
        }
        assert!((0..COLORS).all(|number| light.contains(&format!("--c{number}"))));
    }

    #[test]
    fn pixels_have_the_colors_of_the_style_sheet() {
        for number in 0..COLORS {
            let [r, g, b] = color(number);
            let declared = format!("--c{number}: #{r:02x}{g:02x}{b:02x};");
            assert!(
                include_str!("style/light.css").contains(&declared),
                "{declared}"
            );
        }
    }
}
