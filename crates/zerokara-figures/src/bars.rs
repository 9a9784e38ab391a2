//! Bars beside names.

use crate::{
    Figure,
    figure::{Draw, Drawing, Words, px, shortened, text, told, width_of},
    numbers::short,
    style::COLORS,
};
use svg::{
    Node,
    node::element::{Group, Rectangle, TSpan},
};

const FONT: f64 = 12.0;
const ROW: f64 = 24.0;
const THICK: f64 = 14.0;

/// Lying bars, each beside its name and in front of its number: times of layers, speeds of programs. A bar may be made of
/// several parts, which have colours and a legend. Parts that are negative or not finite are left out.
///
/// ```
/// use zerokara_figures::Bars;
///
/// let figure = Bars::new("Time of a step")
///     .parts(["forward", "backward"])
///     .unit("ms")
///     .bar("conv1", [1.82, 2.41]).note("84 %")
///     .bar("linear1", [0.30, 0.51]).note("16 %")
///     .figure();
/// assert!(figure.svg().contains("4.23 ms"));
/// ```
#[derive(Clone, Debug)]
pub struct Bars {
    title: String,
    draws_title: bool,
    width: f64,
    parts: Vec<String>,
    unit: String,
    bars: Vec<Bar>,
}

#[derive(Clone, Debug)]
struct Bar {
    name: String,
    parts: Vec<f64>,
    note: String,
    grey: bool,
}

impl Bar {
    fn length(&self) -> f64 {
        self.parts.iter().filter(is_drawn).sum()
    }
}

fn is_drawn(part: &&f64) -> bool {
    part.is_finite() && **part > 0.0
}

impl Bars {
    /// No bars yet.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            draws_title: true,
            width: 440.0,
            parts: Vec::new(),
            unit: String::new(),
            bars: Vec::new(),
        }
    }

    /// Width in pixels; 440 unless set. The height follows from the number of bars.
    pub fn width(mut self, pixels: u32) -> Self {
        self.width = f64::from(pixels.max(160));
        self
    }

    /// Names of the parts that bars are made of, for the legend.
    pub fn parts<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.parts = names.into_iter().map(Into::into).collect();
        self
    }

    /// What the numbers count, such as `ms`.
    pub fn unit(mut self, unit: impl Into<String>) -> Self {
        self.unit = unit.into();
        self
    }

    /// Leaves the title out of the picture, where the page says it; it stays the name of the picture.
    pub fn no_title(mut self) -> Self {
        self.draws_title = false;
        self
    }

    /// One more bar, of one part or several that follow each other.
    pub fn bar(mut self, name: impl Into<String>, parts: impl IntoIterator<Item = f64>) -> Self {
        self.bars.push(Bar {
            name: name.into(),
            parts: parts.into_iter().collect(),
            note: String::new(),
            grey: false,
        });
        self
    }

    /// Words behind the number of the last bar, such as its share.
    pub fn note(mut self, words: impl Into<String>) -> Self {
        if let Some(last) = self.bars.last_mut() {
            last.note = words.into();
        }
        self
    }

    /// Draws the last bar in grey, as one that others are compared with.
    pub fn grey(mut self) -> Self {
        if let Some(last) = self.bars.last_mut() {
            last.grey = true;
        }
        self
    }

    /// `4.23 ms`.
    fn number(&self, value: f64) -> String {
        format!("{} {}", short(value), self.unit).trim().to_string()
    }

    /// The number at the end of a bar; a dash if there is none.
    fn total(&self, bar: &Bar) -> String {
        match bar
            .parts
            .iter()
            .all(|part| part.is_finite() && *part >= 0.0)
            || bar.length() > 0.0
        {
            true => self.number(bar.length()),
            false => "–".to_string(),
        }
    }

    /// The bars, drawn.
    pub fn figure(&self) -> Figure {
        Figure::of(self.clone())
    }

    fn drawn(&self) -> Drawing {
        let widest = |texts: &mut dyn Iterator<Item = f64>| texts.fold(0.0, f64::max);
        let names = widest(&mut self.bars.iter().map(|bar| width_of(&bar.name, FONT)));
        let left = (names + 12.0).min(self.width * 0.38);
        let numbers =
            widest(&mut self.bars.iter().map(|bar| {
                width_of(&self.total(bar), FONT * 1.06) + width_of(&bar.note, FONT) + 10.0
            }));
        let room = (self.width - left - numbers - 6.0).max(20.0);
        let longest = widest(&mut self.bars.iter().map(Bar::length)).max(f64::MIN_POSITIVE);

        let mut body = Group::new();
        let mut y = 2.0;
        if self.draws_title && !self.title.is_empty() {
            body = body.add(text((0.0, 15.0), "start", "title", &self.title));
            y = 28.0;
        }
        if self.parts.len() > 1 {
            let mut x = 0.0;
            for (number, name) in self.parts.iter().enumerate() {
                let swatch = rectangle((x, y), 12.0, 12.0).set("class", class(number, false));
                body = body
                    .add(swatch)
                    .add(text((x + 18.0, y + 10.0), "start", "", name));
                x += 18.0 + width_of(name, FONT) + 16.0;
            }
            y += 24.0;
        }
        let mut words = Vec::new();
        for bar in &self.bars {
            let base = y + THICK / 2.0 + 4.2;
            let total = self.total(bar);
            words.push(
                format!("{}: {total} {}", bar.name, bar.note)
                    .trim()
                    .to_string(),
            );
            let name = shortened(&bar.name, FONT, left - 12.0);
            body = body.add(text((0.0, base), "start", "number", &name));
            let mut x = left;
            for (number, part) in bar
                .parts
                .iter()
                .enumerate()
                .filter(|(_, part)| is_drawn(part))
            {
                let length = part / longest * room;
                let mut what = vec![bar.name.as_str()];
                what.extend(self.parts.get(number).map(String::as_str));
                let drawn = rectangle((x, y), length.max(0.5), THICK)
                    .set("class", class(number, bar.grey))
                    .add(told(&format!(
                        "{}: {}",
                        what.join(", "),
                        self.number(*part)
                    )));
                body = body.add(drawn);
                x += length;
            }
            let mut number = text((x + 7.0, base), "start", "", "");
            number.append(TSpan::new(total).set("class", "strong"));
            number.append(TSpan::new(&bar.note));
            body = body.add(number);
            y += ROW;
        }
        let size = (self.width, (y + 2.0).ceil());
        Drawing::new(&self.title, words.join("; "), size, &body)
    }
}

impl Draw for Bars {
    fn draw(&self, words: Words) -> Drawing {
        let mut bars = self.clone();
        bars.title = words(&bars.title);
        bars.parts.iter_mut().for_each(|part| *part = words(part));
        bars.unit = words(&bars.unit);
        for bar in &mut bars.bars {
            (bar.name, bar.note) = (words(&bar.name), words(&bar.note));
        }
        bars.drawn()
    }
}

fn class(number: usize, grey: bool) -> String {
    match grey {
        true => "bar grey".to_string(),
        false => format!("bar c{}", number % COLORS),
    }
}

fn rectangle((x, y): (f64, f64), width: f64, height: f64) -> Rectangle {
    Rectangle::new()
        .set("x", px(x))
        .set("y", px(y))
        .set("width", px(width))
        .set("height", px(height))
}
