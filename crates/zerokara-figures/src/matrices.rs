//! Matrices of numbers side by side, with signs between them.

use crate::{
    Figure,
    figure::{Draw, Drawing, Words, px, text, width_of},
    numbers::significant,
    style::COLORS,
};
use std::ops::Range;
use svg::node::element::{Group, Rectangle};

const FONT: f64 = 12.0;
const CELL: f64 = 24.0;
const GAP: f64 = 12.0;

/// Matrices of numbers in a row: a product, a convolution, the windows of a pooling.
///
/// ```
/// use zerokara_figures::Matrices;
///
/// let figure = Matrices::new("A window and a filter")
///     .add(&[1.0, 2.0, 3.0, 4.0], [2, 2], "x").mark(0..1, 0..2, 1)
///     .sign("·")
///     .add(&[0.5, 0.0, 0.0, -1.0], [2, 2], "w")
///     .figure();
/// assert!(figure.svg().contains("0.5"));
/// ```
#[derive(Clone, Debug)]
pub struct Matrices {
    title: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug)]
enum Part {
    Matrix(Matrix),
    Sign(String),
}

#[derive(Clone, Debug)]
struct Matrix {
    /// Row by row; a cell without a number is empty.
    cells: Vec<String>,
    shape: [usize; 2],
    caption: String,
    marks: Vec<(Range<usize>, Range<usize>, usize)>,
}

impl Matrix {
    fn cell_width(&self) -> f64 {
        let widest = self.cells.iter().map(|c| width_of(c, FONT));
        (widest.fold(0.0, f64::max) + 10.0).max(CELL)
    }

    fn width(&self) -> f64 {
        let cells = self.cell_width() * self.shape[1] as f64;
        cells.max(width_of(&self.caption, FONT))
    }
}

impl Matrices {
    /// No matrices yet.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            parts: Vec::new(),
        }
    }

    /// One more matrix of `[rows, columns]`, row by row, with a line below it. Cells beyond the values are empty; of
    /// more than 64 rows or columns the first 64 are drawn.
    pub fn add(
        self,
        values: &[f64],
        [rows, columns]: [usize; 2],
        caption: impl Into<String>,
    ) -> Self {
        let texts = values.iter().map(|&v| significant(v, 3));
        self.add_texts(texts, [rows, columns], caption)
    }

    /// One more matrix, of texts.
    pub fn add_texts<T: Into<String>>(
        mut self,
        cells: impl IntoIterator<Item = T>,
        [rows, columns]: [usize; 2],
        caption: impl Into<String>,
    ) -> Self {
        const MOST: usize = 64;
        let cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        let shape = [rows.min(MOST), columns.min(MOST)];
        let mut shown = Vec::with_capacity(shape[0] * shape[1]);
        for row in 0..shape[0] {
            let first = row.saturating_mul(columns);
            for column in 0..shape[1] {
                let cell = cells.get(first.saturating_add(column));
                shown.push(cell.cloned().unwrap_or_default());
            }
        }
        self.parts.push(Part::Matrix(Matrix {
            cells: shown,
            shape,
            caption: caption.into(),
            marks: Vec::new(),
        }));
        self
    }

    /// Shades these rows and columns of the last matrix in a colour of the palette, 0 to 5.
    pub fn mark(mut self, rows: Range<usize>, columns: Range<usize>, color: usize) -> Self {
        if let Some(Part::Matrix(last)) = self.parts.last_mut() {
            let within = |range: Range<usize>, most: usize| {
                range.start.min(most)..range.end.min(most).max(range.start.min(most))
            };
            let (rows, columns) = (within(rows, last.shape[0]), within(columns, last.shape[1]));
            last.marks.push((rows, columns, color % COLORS));
        }
        self
    }

    /// A sign between the last matrix and the next.
    pub fn sign(mut self, sign: impl Into<String>) -> Self {
        self.parts.push(Part::Sign(sign.into()));
        self
    }

    /// The matrices, drawn.
    pub fn figure(&self) -> Figure {
        Figure::of(self.clone())
    }

    fn drawn(&self) -> Drawing {
        let matrices = || {
            self.parts.iter().filter_map(|part| match part {
                Part::Matrix(matrix) => Some(matrix),
                Part::Sign(_) => None,
            })
        };
        let top = if self.title.is_empty() { 2.0 } else { 28.0 };
        let rows = matrices().map(|m| m.shape[0]).max().unwrap_or(0);
        let tallest = rows as f64 * CELL;
        let captions = matrices().any(|m| !m.caption.is_empty());

        let mut body = Group::new();
        if !self.title.is_empty() {
            body = body.add(text((0.0, 15.0), "start", "title", &self.title));
        }
        let mut x = 1.0;
        for part in &self.parts {
            match part {
                Part::Sign(sign) => {
                    let width = width_of(sign, FONT + 4.0);
                    let at = (x + width / 2.0, top + tallest / 2.0 + 5.0);
                    body = body.add(text(at, "middle", "strong", sign));
                    x += width + GAP;
                }
                Part::Matrix(matrix) => {
                    let room = matrix.width();
                    let cells = matrix.cell_width() * matrix.shape[1] as f64;
                    let corner = (
                        x + (room - cells) / 2.0,
                        top + (tallest - matrix.shape[0] as f64 * CELL) / 2.0,
                    );
                    body = draw(body, matrix, corner);
                    if !matrix.caption.is_empty() {
                        let at = (x + room / 2.0, top + tallest + 15.0);
                        body = body.add(text(at, "middle", "", &matrix.caption));
                    }
                    x += room + GAP;
                }
            }
        }
        let width = (x - GAP + 1.0).max(width_of(&self.title, 15.5));
        let height = top + tallest + if captions { 22.0 } else { 2.0 };
        let words: Vec<&str> = matrices().map(|m| m.caption.as_str()).collect();
        let description = words.join("; ");
        Drawing::new(
            &self.title,
            description,
            (width.ceil(), height.ceil()),
            &body,
        )
    }
}

impl Draw for Matrices {
    fn draw(&self, words: Words) -> Drawing {
        let mut matrices = self.clone();
        matrices.title = words(&matrices.title);
        for part in &mut matrices.parts {
            match part {
                Part::Matrix(matrix) => {
                    matrix.caption = words(&matrix.caption);
                    matrix.cells.iter_mut().for_each(|cell| *cell = words(cell));
                }
                Part::Sign(sign) => *sign = words(sign),
            }
        }
        matrices.drawn()
    }
}

fn draw(mut body: Group, matrix: &Matrix, (left, top): (f64, f64)) -> Group {
    let width = matrix.cell_width();
    let frame = |rows: &Range<usize>, columns: &Range<usize>| {
        Rectangle::new()
            .set("x", px(left + columns.start as f64 * width))
            .set("y", px(top + rows.start as f64 * CELL))
            .set("width", px(columns.len() as f64 * width))
            .set("height", px(rows.len() as f64 * CELL))
    };
    for row in 0..matrix.shape[0] {
        for column in 0..matrix.shape[1] {
            let cell = frame(&(row..row + 1), &(column..column + 1));
            body = body.add(cell.set("class", "cell"));
        }
    }
    for (rows, columns, color) in &matrix.marks {
        let class = format!("mark c{color}");
        body = body.add(frame(rows, columns).set("class", class));
    }
    for (at, words) in matrix.cells.iter().enumerate() {
        let (row, column) = (at / matrix.shape[1], at % matrix.shape[1]);
        let middle = (
            left + (column as f64 + 0.5) * width,
            top + (row as f64 + 0.5) * CELL + 4.3,
        );
        if !words.is_empty() {
            body = body.add(text(middle, "middle", "number", words));
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_marks_stand_in_their_cells() {
        let figure = Matrices::new("")
            .add(&[1.0, -2.5, 3.0], [2, 2], "")
            .mark(0..1, 1..9, 2)
            .figure();
        let svg = figure.svg();
        assert!(svg.contains(">-2.5<") || svg.contains(">−2.5<"), "{svg}");
        // Four cells, one of them without a number, and a mark that ends with the matrix.
        assert_eq!(svg.matches("class=\"cell\"").count(), 4);
        assert_eq!(svg.matches("class=\"number\"").count(), 3);
        let mark = svg
            .split("<rect")
            .find(|part| part.contains("mark c2"))
            .unwrap();
        let width = svg
            .split("<rect")
            .find(|part| part.contains("class=\"cell\""))
            .unwrap();
        let of = |part: &str| {
            part.split("width=\"")
                .nth(1)
                .unwrap()
                .split('"')
                .next()
                .unwrap()
                .to_string()
        };
        assert_eq!(of(mark), of(width));
    }

    #[test]
    fn large_and_empty_matrices_are_drawn() {
        let svg = Matrices::new("Many")
            .add(&[0.5; 10_000], [100, 100], "")
            .figure()
            .svg();
        assert_eq!(svg.matches("class=\"cell\"").count(), 64 * 64);
        let empty = Matrices::new("None")
            .add(&[], [0, 0], "")
            .sign("=")
            .figure();
        assert!(empty.size().1 > 0.0);
    }
}
