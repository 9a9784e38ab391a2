//! Arrays and tensors as text.
//!
//! | format | numbers |
//! |---|---|
//! | `{x}` | as many significant digits as every number of the type holds: 6 of f32, 15 of f64 |
//! | `{x:.3}` | 3 digits behind the point, as Rust writes a float |
//! | `{x:e}`, `{x:.3e}` | scientific: all digits, or 3 behind the point |
//! | `{x:?}` of an array | all digits that it takes to read the same number back |
//!
//! Integers and truth values are written as they are. A width (`{x:8.3}`) is that of each number, and `{x:+}` signs them.

use crate::{Array, Tensor};
use std::{fmt, slice};
use zerokara_kernels::plan::Elements;

/// Arrays of more elements are shortened: axes of more than twice [`ENDS`] to their ends.
const MOST_SHOWN: usize = 1000;
const ENDS: usize = 3;

/// Arrays of more axes than NumPy has are not written.
const MOST_AXES: usize = 64;

/// How floats are written.
#[derive(Clone, Copy)]
enum Style {
    /// All digits if there is no number of them, else so many significant ones; none that are 0 at the end.
    Digits(Option<usize>),
    /// So many behind the point.
    Fixed(usize),
    /// With an exponent: all digits, or so many behind the point.
    Scientific(Option<usize>),
}

impl fmt::Display for Array {
    /// As NumPy writes: nested brackets, points below each other, large arrays shortened; see the [`Tensor`]'s formats.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = match self.elements() {
            Elements::F64(_) => f64::DIGITS,
            _ => f32::DIGITS,
        };
        let style = Style::Digits(Some(digits as usize));
        write_array(self, f, f.precision().map_or(style, Style::Fixed))
    }
}

impl fmt::Debug for Array {
    /// Element type, shape and elements, with all digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?} ", self.dtype(), self.shape())?;
        let style = f.precision().map_or(Style::Digits(None), Style::Fixed);
        write_array(self, f, style)
    }
}

impl fmt::LowerExp for Array {
    /// Floats with an exponent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_array(self, f, Style::Scientific(f.precision()))
    }
}

impl fmt::Display for Tensor {
    /// The value, computed if it is not yet known; or the error.
    ///
    /// Floats have as many significant digits as every number of their type holds, 6 of f32 and 15 of f64; all of them
    /// an exponent if that is needed to write one. `{x:.3}` asks for 3 digits behind the point, `{x:.3e}` for an exponent
    /// as well, and `{:?}` of the [`Array`] writes all digits.
    ///
    /// ```
    /// # use zerokara_core::{DType, Tensor};
    /// let x = Tensor::from([0.051082545, 2.0]);
    /// assert_eq!(x.to_string(), "[0.0510825, 2]");
    /// assert_eq!(format!("{x:.2} {x:.2e}"), "[0.05, 2.00] [5.11e-2, 2.00e0]");
    /// assert_eq!(format!("{:?}", x.eval()?), "f32[2] [0.051082544, 2]");
    /// assert_eq!(Tensor::scalar(0.510825457099338, DType::F64).to_string(), "0.510825457099338");
    /// # Ok::<(), zerokara_core::Error>(())
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.eval() {
            Ok(value) => fmt::Display::fmt(&value, f),
            Err(error) => write!(f, "{error}"),
        }
    }
}

impl fmt::LowerExp for Tensor {
    /// The value with exponents, computed if it is not yet known; or the error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.eval() {
            Ok(value) => fmt::LowerExp::fmt(&value, f),
            Err(error) => write!(f, "{error}"),
        }
    }
}

fn write_array(array: &Array, f: &mut fmt::Formatter<'_>, style: Style) -> fmt::Result {
    if let Err(error) = array.valid() {
        return write!(f, "{error}");
    }
    if array.shape().len() > MOST_AXES {
        let rank = array.shape().len();
        return write!(f, "[{} numbers along {rank} axes]", array.len());
    }
    // Empty axes count, so that many empty rows are shortened too.
    let rows: usize = array.shape().iter().map(|&n| n.max(1)).product();
    let shorten = rows > MOST_SHOWN;
    let mut places = Vec::new();
    shown(array.shape(), shorten, 0, &mut places);
    let sign = f.sign_plus();
    let mut words = match array.elements() {
        Elements::F32(x) => float_words(x, &places, style, sign),
        Elements::F64(x) => float_words(x, &places, style, sign),
        Elements::I64(x) if sign => places.iter().map(|&at| format!("{:+}", x[at])).collect(),
        Elements::I64(x) => places.iter().map(|&at| x[at].to_string()).collect(),
        Elements::U8(x) if sign => places.iter().map(|&at| format!("{:+}", x[at])).collect(),
        Elements::U8(x) => places.iter().map(|&at| x[at].to_string()).collect(),
        Elements::Bool(x) => places.iter().map(|&at| (x[at] != 0).to_string()).collect(),
    };
    let width = f.width().unwrap_or(0);
    words
        .iter_mut()
        .for_each(|word| *word = format!("{word:>width$}"));
    // Only rows that stand below each other have columns.
    let columns = match array.shape() {
        [] | [_] => [0; 2],
        _ => words.iter().fold([0; 2], |[left, right], word| {
            let (whole, rest) = at_point(word);
            [left.max(whole.len()), right.max(rest.len())]
        }),
    };
    write_axis(f, array.shape(), &mut words.iter(), columns, shorten, 0)
}

/// The indices along an axis that are written; between them, `None` stands for what is left out.
fn indices(length: usize, shorten: bool) -> impl Iterator<Item = Option<usize>> {
    let cut = shorten && length > 2 * ENDS;
    let front = if cut { ENDS } else { length };
    let back = if cut { length - ENDS } else { length };
    let gap = cut.then_some(None);
    (0..front)
        .map(Some)
        .chain(gap)
        .chain((back..length).map(Some))
}

/// The places of the elements that are written, in their order.
fn shown(shape: &[usize], shorten: bool, start: usize, places: &mut Vec<usize>) {
    let Some((&length, inner)) = shape.split_first() else {
        places.push(start);
        return;
    };
    let step: usize = inner.iter().product();
    if step > 0 {
        for i in indices(length, shorten).flatten() {
            shown(inner, shorten, start + i * step, places);
        }
    }
}

/// What stands before the point of a number, and the rest.
fn at_point(word: &str) -> (&str, &str) {
    // Letters alone are no number.
    let is_number = word.contains(|c: char| c.is_ascii_digit());
    match word.find(['.', 'e']) {
        Some(at) if is_number => word.split_at(at),
        _ => (word, ""),
    }
}

/// The elements at these places as words.
fn float_words<T>(all: &[T], places: &[usize], style: Style, sign: bool) -> Vec<String>
where
    T: Copy + Into<f64> + fmt::Display + fmt::LowerExp,
{
    let sizes = || {
        let finite = places.iter().map(|&at| all[at].into().abs());
        finite.filter(|v| v.is_finite() && *v != 0.0)
    };
    let (largest, smallest) = (
        sizes().fold(0.0, f64::max),
        sizes().fold(f64::INFINITY, f64::min),
    );
    let word = |value: T| {
        let number: f64 = value.into();
        if !number.is_finite() {
            return number.to_string();
        }
        match style {
            Style::Fixed(digits) => format!("{value:.digits$}"),
            Style::Scientific(Some(digits)) => format!("{value:.digits$e}"),
            Style::Scientific(None) => format!("{value:e}"),
            Style::Digits(digits) => {
                let whole = 10f64.powi(digits.unwrap_or(0).max(8) as i32);
                let wide = largest >= whole
                    || smallest < 1e-4 && largest < 1e-1
                    || largest / smallest > 1e7;
                let scientific = match digits {
                    Some(digits) => format!("{value:.*e}", digits - 1),
                    None => format!("{value:e}"),
                };
                let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
                match digits {
                    _ if wide => format!("{}e{exponent}", without_zeros(mantissa)),
                    None => value.to_string(),
                    Some(digits) => {
                        let exponent: isize = exponent.parse().unwrap_or(0);
                        let behind = (digits as isize - 1 - exponent).max(0) as usize;
                        without_zeros(&format!("{value:.behind$}")).to_string()
                    }
                }
            }
        }
    };
    let signed = |value: T| {
        let word = word(value);
        let positive = !value.into().is_nan() && !word.starts_with('-');
        if sign && positive {
            format!("+{word}")
        } else {
            word
        }
    };
    places.iter().map(|&at| signed(all[at])).collect()
}

/// A number without the zeros at the end of its fraction.
fn without_zeros(number: &str) -> &str {
    match number.contains('.') {
        true => number.trim_end_matches('0').trim_end_matches('.'),
        false => number,
    }
}

fn write_axis(
    f: &mut fmt::Formatter<'_>,
    shape: &[usize],
    words: &mut slice::Iter<'_, String>,
    columns: [usize; 2],
    shorten: bool,
    depth: usize,
) -> fmt::Result {
    let Some((&length, inner)) = shape.split_first() else {
        return f.write_str(words.next().map_or("", String::as_str));
    };
    f.write_str("[")?;
    // Spaces behind a number, if another follows.
    let mut behind = 0;
    for (position, index) in indices(length, shorten).enumerate() {
        if position > 0 && inner.is_empty() {
            write!(f, ",{}", " ".repeat(1 + behind))?;
        } else if position > 0 {
            // One empty line more for each further axis, as NumPy does.
            write!(f, ",{}{}", "\n".repeat(inner.len()), " ".repeat(depth + 1))?;
        }
        behind = 0;
        match (index, inner) {
            (None, _) => f.write_str("...")?,
            (_, []) => {
                let word = words.next().map_or("", String::as_str);
                let (whole, rest) = at_point(word);
                let [left, right] = columns;
                write!(f, "{whole:>left$}{rest}")?;
                behind = right.saturating_sub(rest.len());
            }
            _ => write_axis(f, inner, words, columns, shorten, depth + 1)?,
        }
    }
    f.write_str("]")
}
