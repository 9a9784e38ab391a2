//! A matrix as shaded cells.

use crate::{
    Figure, Picture,
    axis::Axis,
    figure::{Draw, Drawing, Words, px, shortened, text, told, width_of},
    numbers::short,
    style::{COLORS, color},
};
use std::collections::BTreeMap;
use svg::node::element::{Element, Group, Image, Rectangle};

const FONT: f64 = 12.0;
/// Height of a cell, the gap to the next, and where in it a line of text stands.
const CELL: f64 = 34.0;
const GAP: f64 = 2.0;
const BASE: f64 = CELL / 2.0 + 3.2;
/// Width and height of a leaning text of length 1.
const LEANING: f64 = 0.71;
/// Of names that are longer, the beginning is drawn.
const MOST_OF_NAME: f64 = 130.0;
/// With more rows or columns than this, cells are pixels without numbers.
const MOST_NUMBERS: usize = 26;
/// Of more rows or columns, the first are drawn.
const MOST: usize = 2_000;
/// Width of the picture of pixels.
const PICTURE: f64 = 480.0;

/// A matrix of numbers in cells that are shaded, with names of rows and columns: which class was taken for which, what attends
/// to what. Of more than 26 rows or columns it is a picture with a pixel for each cell. Cells that are not set are empty.
///
/// ```
/// use zerokara_figures::Heatmap;
///
/// let figure = Heatmap::new("Answers", [2, 2])
///     .axes("answered", "label")
///     .names(["cat", "dog"], ["cat", "dog"])
///     .cell([0, 0], 48.0, 0, 0.96)
///     .cell([0, 1], 2.0, 1, 0.2)
///     .cell([1, 1], 50.0, 0, 1.0)
///     .right("recall", ["96.0", "100.0"])
///     .figure();
/// assert!(figure.svg().contains("<title>label cat, answered dog: 2</title>"));
/// ```
#[derive(Clone, Debug)]
pub struct Heatmap {
    title: String,
    draws_title: bool,
    description: String,
    rows: Side,
    columns: Side,
    cells: BTreeMap<[usize; 2], Cell>,
}

/// What stands at the rows, or at the columns.
#[derive(Clone, Debug, Default)]
struct Side {
    count: usize,
    axis: String,
    names: Vec<String>,
    /// What is told of each of them at the other end, and its name.
    margin: Option<(String, Vec<String>)>,
}

impl Side {
    /// The name of a row or column: its number unless it has one.
    fn name(&self, index: usize) -> String {
        match self.names.get(index) {
            Some(name) if !name.is_empty() => name.clone(),
            _ => index.to_string(),
        }
    }

    /// The room for the longest name.
    fn room(&self) -> f64 {
        let names = (0..self.count).map(|index| width_of(&self.name(index), FONT));
        names.fold(0.0, f64::max).min(MOST_OF_NAME)
    }

    /// `label cat`.
    fn told(&self, index: usize) -> String {
        format!("{} {}", self.axis, self.name(index))
            .trim()
            .to_string()
    }
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    value: f64,
    color: usize,
    strength: f64,
}

impl Cell {
    /// Half opaque at most, so that the number can be read.
    fn shade(&self, shape: Rectangle) -> Rectangle {
        shape
            .set("class", format!("shade c{}", self.color))
            .set("fill-opacity", (self.strength * 50.0).round() / 100.0)
    }
}

/// Text that goes up to the right.
fn leaning_text(at: (f64, f64), content: &str) -> Element {
    let turn = format!("rotate(-45 {} {})", px(at.0), px(at.1));
    let mut text = text(at, "start", "number", content);
    text.get_attributes_mut()
        .insert("transform".into(), turn.into());
    text
}

impl Heatmap {
    /// A matrix of `[rows, columns]` empty cells.
    pub fn new(title: impl Into<String>, [rows, columns]: [usize; 2]) -> Self {
        let side = |count: usize| Side {
            count: count.min(MOST),
            ..Side::default()
        };
        Self {
            title: title.into(),
            draws_title: true,
            description: String::new(),
            rows: side(rows),
            columns: side(columns),
            cells: BTreeMap::new(),
        }
    }

    /// What columns and rows stand for.
    pub fn axes(mut self, columns: impl Into<String>, rows: impl Into<String>) -> Self {
        (self.columns.axis, self.rows.axis) = (columns.into(), rows.into());
        self
    }

    /// Names of columns and rows; what has none is shown by its number.
    pub fn names<N: Into<String>>(
        mut self,
        columns: impl IntoIterator<Item = N>,
        rows: impl IntoIterator<Item = N>,
    ) -> Self {
        self.columns.names = columns.into_iter().map(Into::into).collect();
        self.rows.names = rows.into_iter().map(Into::into).collect();
        self
    }

    /// The cell at `[row, column]`: its number, a colour of the palette, 0 to 5, and how strong it is, from 0 to 1.
    pub fn cell(mut self, at: [usize; 2], value: f64, color: usize, strength: f64) -> Self {
        if at[0] < self.rows.count && at[1] < self.columns.count {
            let strength = if strength.is_finite() {
                strength.clamp(0.0, 1.0)
            } else {
                0.0
            };
            let color = color % COLORS;
            self.cells.insert(
                at,
                Cell {
                    value,
                    color,
                    strength,
                },
            );
        }
        self
    }

    /// What is told of each row behind its cells, and what that is. A picture has no room for it.
    pub fn right<T: Into<String>>(
        mut self,
        name: impl Into<String>,
        texts: impl IntoIterator<Item = T>,
    ) -> Self {
        self.rows.margin = Some((name.into(), texts.into_iter().map(Into::into).collect()));
        self
    }

    /// What is told of each column below its cells, and what that is; one text more stands in the corner.
    pub fn below<T: Into<String>>(
        mut self,
        name: impl Into<String>,
        texts: impl IntoIterator<Item = T>,
    ) -> Self {
        self.columns.margin = Some((name.into(), texts.into_iter().map(Into::into).collect()));
        self
    }

    /// What it shows, in words, for who cannot see it.
    pub fn description(mut self, words: impl Into<String>) -> Self {
        self.description = words.into();
        self
    }

    /// Leaves the title out of the picture, where the page says it; it stays the name of the picture.
    pub fn no_title(mut self) -> Self {
        self.draws_title = false;
        self
    }

    /// The matrix, drawn.
    pub fn figure(&self) -> Figure {
        Figure::of(self.clone())
    }

    fn drawn(&self) -> Drawing {
        let mut body = Group::new();
        let mut top = 2.0;
        if self.draws_title && !self.title.is_empty() {
            body = body.add(text((0.0, 15.0), "start", "title", &self.title));
            top = 28.0;
        }
        let (size, body) = match self.rows.count.max(self.columns.count) > MOST_NUMBERS {
            true => self.pixels(body, top),
            false => self.numbers(body, top),
        };
        let size = (size.0.ceil(), size.1.ceil());
        Drawing::new(&self.title, self.description.clone(), size, &body)
    }

    /// Cells with numbers, and what stands around them.
    fn numbers(&self, mut body: Group, mut top: f64) -> ((f64, f64), Group) {
        let margins = [&self.rows.margin, &self.columns.margin];
        let texts = margins
            .iter()
            .copied()
            .flatten()
            .flat_map(|(_, texts)| texts);
        let widths = (self
            .cells
            .values()
            .map(|cell| width_of(&short(cell.value), FONT)))
        .chain(texts.map(|text| width_of(text, FONT)));
        let width = widths.fold(26.0, f64::max) + 18.0;
        let [right_name, below_name] =
            margins.map(|margin| margin.as_ref().map_or("", |(name, _)| name));
        let left = (self.rows.room())
            .max(width_of(&self.rows.axis, FONT))
            .max(width_of(below_name, FONT))
            + 8.0;
        // Names of columns that are wider than their cells lean.
        let names = self.columns.room();
        let leaning = names > width - 4.0;
        if !self.columns.axis.is_empty() {
            body = body.add(text(
                (left, top + 11.0),
                "start",
                "name",
                &self.columns.axis,
            ));
            top += 18.0;
        }
        top += if leaning {
            names * LEANING + 14.0
        } else {
            20.0
        };
        let x = |column: usize| left + column as f64 * width;
        let y = |row: usize| top + row as f64 * CELL;
        let (end, bottom) = (x(self.columns.count), y(self.rows.count));

        body = body.add(text(
            (left - 8.0, top - 6.0),
            "end",
            "name",
            &self.rows.axis,
        ));
        for column in 0..self.columns.count {
            let name = shortened(&self.columns.name(column), FONT, MOST_OF_NAME);
            let at = (x(column) + (width - GAP) / 2.0, top - 6.0);
            body = body.add(match leaning {
                false => text(at, "middle", "number", &name),
                true => leaning_text(at, &name),
            });
        }
        for row in 0..self.rows.count {
            let name = shortened(&self.rows.name(row), FONT, MOST_OF_NAME);
            let at = (left - 8.0, y(row) + BASE);
            body = body.add(text(at, "end", "number", &name));
            for column in 0..self.columns.count {
                let shape = Rectangle::new()
                    .set("x", px(x(column)))
                    .set("y", px(y(row)))
                    .set("width", px(width - GAP))
                    .set("height", px(CELL - GAP))
                    .set("rx", 3);
                body = body.add(shape.clone().set("class", "cell empty"));
                let Some(cell) = self.cells.get(&[row, column]) else {
                    continue;
                };
                let (row_name, column_name) = (self.rows.told(row), self.columns.told(column));
                let number = short(cell.value);
                let at = (x(column) + (width - GAP) / 2.0, y(row) + BASE);
                body = body.add(
                    Group::new()
                        .add(told(&format!("{row_name}, {column_name}: {number}")))
                        .add(cell.shade(shape))
                        .add(text(at, "middle", "number", &number)),
                );
            }
        }

        let mut size = (end + 1.0, bottom + 2.0);
        if leaning && self.columns.count > 0 {
            let last = shortened(
                &self.columns.name(self.columns.count - 1),
                FONT,
                MOST_OF_NAME,
            );
            let from = x(self.columns.count - 1) + width / 2.0;
            size.0 = size.0.max(from + width_of(&last, FONT) * LEANING + 10.0);
        }
        let margin = end + width.max(width_of(right_name, FONT) + 10.0);
        if let Some((name, texts)) = &self.rows.margin {
            let told = texts.iter().take(self.rows.count).enumerate();
            body = told.fold(body, |body, (row, words)| {
                body.add(text((margin, y(row) + BASE), "end", "", words))
            });
            body = body.add(text((margin, top - 6.0), "end", "", name));
            size.0 = size.0.max(margin + 1.0);
        }
        if let Some((name, texts)) = &self.columns.margin {
            body = body.add(text((left - 8.0, bottom + 15.0), "end", "", name));
            for (column, words) in texts.iter().take(self.columns.count).enumerate() {
                let at = (x(column) + (width - GAP) / 2.0, bottom + 15.0);
                body = body.add(text(at, "middle", "", words));
            }
            if let Some(corner) = texts.get(self.columns.count) {
                body = body.add(text((margin, bottom + 15.0), "end", "strong", corner));
                size.0 = size.0.max(margin + 1.0);
            }
            size.1 = bottom + 21.0;
        }
        (size, body)
    }

    /// A pixel for each cell, transparent where there is none, and axes around them.
    fn pixels(&self, mut body: Group, top: f64) -> ((f64, f64), Group) {
        let (rows, columns) = (self.rows.count, self.columns.count);
        let mut rgba = vec![0; rows * columns * 4];
        for (&[row, column], cell) in &self.cells {
            let [red, green, blue] = color(cell.color);
            let pixel = [red, green, blue, (cell.strength * 255.0).round() as u8];
            let at = (row * columns + column) * 4;
            rgba[at..at + 4].copy_from_slice(&pixel);
        }
        let picture = Picture {
            width: columns,
            height: rows,
            rgba,
        };
        let axis = |count: usize| Axis::exact(0.0, count.saturating_sub(1) as f64, 6, true);
        let (down, across) = (axis(rows), axis(columns));
        let labels = down.ticks.iter().map(|(_, label)| width_of(label, FONT));
        let left = labels.fold(width_of(&self.rows.axis, FONT), f64::max) + 8.0;
        let top = top + 40.0;
        let pixel = PICTURE / rows.max(columns).max(1) as f64;
        let (width, height) = (columns as f64 * pixel, rows as f64 * pixel);
        body = body
            .add(text(
                (left, top - 29.0),
                "start",
                "name",
                &self.columns.axis,
            ))
            .add(text(
                (left - 8.0, top - 9.0),
                "end",
                "name",
                &self.rows.axis,
            ));
        let middle = |value: f64| (value + 0.5) * pixel;
        for (value, label) in &across.ticks {
            let at = (left + middle(*value), top - 9.0);
            body = body.add(text(at, "middle", "", label));
        }
        for (value, label) in &down.ticks {
            let at = (left - 8.0, top + middle(*value) + 4.2);
            body = body.add(text(at, "end", "", label));
        }
        let frame = |class: &str| {
            Rectangle::new()
                .set("class", class)
                .set("x", px(left))
                .set("y", px(top))
                .set("width", px(width))
                .set("height", px(height))
        };
        let image = Image::new()
            .set("href", picture.data_uri())
            .set("x", px(left))
            .set("y", px(top))
            .set("width", px(width))
            .set("height", px(height))
            .set("preserveAspectRatio", "none");
        let body = body.add(frame("cell")).add(image);
        ((left + width + 14.0, top + height + 2.0), body)
    }
}

impl Draw for Heatmap {
    fn draw(&self, words: Words) -> Drawing {
        let mut map = self.clone();
        map.title = words(&map.title);
        map.description = words(&map.description);
        for side in [&mut map.rows, &mut map.columns] {
            side.axis = words(&side.axis);
            side.names.iter_mut().for_each(|name| *name = words(name));
            if let Some((name, texts)) = &mut side.margin {
                *name = words(name);
                texts.iter_mut().for_each(|text| *text = words(text));
            }
        }
        map.drawn()
    }
}
