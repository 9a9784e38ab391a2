//! Parallel coordinates: many numbers of many things in one picture.

use crate::{
    Figure,
    figure::{Draw, Drawing, Words, px, shortened, text, told, width_of},
};
use std::fmt::Write;
use svg::node::element::{Group, Path};

const FONT: f64 = 12.0;
const SMALL: f64 = 10.5;
/// Between a mark of an axis and its label.
const GAP: f64 = 5.0;

/// Things as lines over parallel axes, one axis for each of their numbers (Inselberg, 1985): which settings the best trials of a search
/// share is seen by where their lines lie close together. An axis is a name and marks at places from 0 to 1.
///
/// ```
/// use zerokara_figures::Parallel;
///
/// let figure = Parallel::new("Trials")
///     .axis("learning rate", [(0.0, "0.001"), (0.5, "0.01"), (1.0, "0.1")])
///     .axis("accuracy", [(0.0, "90 %"), (1.0, "100 %")])
///     .line("trial 1", [Some(0.4), Some(0.9)])
///     .line("trial 2", [Some(0.9), Some(0.2)]).grey()
///     .figure();
/// assert!(figure.svg().contains("learning rate") && figure.svg().contains("trial 2"));
/// ```
#[derive(Clone, Debug)]
pub struct Parallel {
    title: String,
    draws_title: bool,
    size: (f64, f64),
    lying: bool,
    axes: Vec<Axis>,
    lines: Vec<Line>,
    legend: Vec<(String, Option<usize>)>,
}

#[derive(Clone, Debug)]
struct Axis {
    name: String,
    marks: Vec<(f64, String)>,
}

#[derive(Clone, Debug)]
struct Line {
    name: String,
    places: Vec<Option<f64>>,
    color: Option<usize>,
    strong: bool,
}

impl Parallel {
    /// No axes yet.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            draws_title: true,
            size: (720.0, 320.0),
            lying: false,
            axes: Vec::new(),
            lines: Vec::new(),
            legend: Vec::new(),
        }
    }

    /// Width and height in pixels; 720 by 320 unless set.
    pub fn size(mut self, width: u32, height: u32) -> Self {
        self.size = (f64::from(width.max(160)), f64::from(height.max(120)));
        self
    }

    /// Lays the axes below each other, for narrow windows. The height then follows from their number.
    pub fn lying(mut self) -> Self {
        self.lying = true;
        self
    }

    /// Leaves the title out of the picture, where the page says it; it stays the name of the picture.
    pub fn no_title(mut self) -> Self {
        self.draws_title = false;
        self
    }

    /// One more axis, with marks at places from 0 to 1.
    pub fn axis<L: Into<String>>(
        mut self,
        name: impl Into<String>,
        marks: impl IntoIterator<Item = (f64, L)>,
    ) -> Self {
        self.axes.push(Axis {
            name: name.into(),
            marks: marks
                .into_iter()
                .map(|(place, label)| (place, label.into()))
                .collect(),
        });
        self
    }

    /// One more line, with its place on each axis, from 0 to 1; it has a gap where it has none. Later lines are drawn above earlier ones.
    pub fn line(
        mut self,
        name: impl Into<String>,
        places: impl IntoIterator<Item = Option<f64>>,
    ) -> Self {
        self.lines.push(Line {
            name: name.into(),
            places: places.into_iter().collect(),
            color: Some(0),
            strong: false,
        });
        self
    }

    /// Draws the last line in this colour of the palette.
    pub fn color(mut self, number: usize) -> Self {
        if let Some(last) = self.lines.last_mut() {
            last.color = Some(number % crate::style::COLORS);
        }
        self
    }

    /// Draws the last line in pale grey, as one of many.
    pub fn grey(mut self) -> Self {
        if let Some(last) = self.lines.last_mut() {
            last.color = None;
        }
        self
    }

    /// Draws the last line thick.
    pub fn strong(mut self) -> Self {
        if let Some(last) = self.lines.last_mut() {
            last.strong = true;
        }
        self
    }

    /// One more entry of the legend: what lines of this colour are; `None` is grey.
    pub fn legend(mut self, name: impl Into<String>, color: Option<usize>) -> Self {
        self.legend.push((name.into(), color));
        self
    }

    /// The picture.
    pub fn figure(&self) -> Figure {
        Figure::of(self.clone())
    }

    fn drawn(&self) -> Drawing {
        let mut body = Group::new();
        let (width, mut height) = self.size;
        let mut top = 2.0;
        if self.draws_title && !self.title.is_empty() {
            body = body.add(text((0.0, 15.0), "start", "title", &self.title));
            top = 28.0;
        }
        let mut x = 0.0;
        for (name, color) in &self.legend {
            let needed = 24.0 + width_of(name, FONT) + 18.0;
            if x > 0.0 && x + needed > width {
                (x, top) = (0.0, top + 18.0);
            }
            let swatch = Path::new()
                .set("class", class(*color, false))
                .set("d", format!("M{} {}h18", px(x), px(top + 8.0)));
            body = body
                .add(swatch)
                .add(text((x + 24.0, top + 12.0), "start", "", name));
            x += needed;
        }
        if !self.legend.is_empty() {
            top += 28.0;
        }
        let count = self.axes.len().max(1);
        let gap;
        // Where a place on an axis lies.
        let at: Box<dyn Fn(usize, f64) -> (f64, f64)> = match self.lying {
            true => {
                gap = 62.0;
                let first = top + 24.0;
                height = first + gap * (count - 1) as f64 + 26.0;
                let (left, right) = (10.0, width - 10.0);
                Box::new(move |axis, place| {
                    (left + place * (right - left), first + gap * axis as f64)
                })
            }
            false => {
                let last = self
                    .axes
                    .last()
                    .map_or(0.0, |axis| widest(axis) + GAP + 4.0);
                let left = 10.0;
                gap = (width - left - last - 8.0) / (count.max(2) - 1) as f64;
                let (high, low) = (top + 26.0, height - 10.0);
                Box::new(move |axis, place| (left + gap * axis as f64, low - place * (low - high)))
            }
        };
        for number in 0..self.axes.len() {
            let ((x0, y0), (x1, y1)) = (at(number, 0.0), at(number, 1.0));
            let line = format!("M{} {}L{} {}", px(x0), px(y0), px(x1), px(y1));
            body = body.add(Path::new().set("class", "axis").set("d", line));
        }
        for line in &self.lines {
            let path = Path::new()
                .set("class", class(line.color, line.strong))
                .set("d", path(&line.places, &at));
            body = body.add(path.add(told(&line.name)));
        }
        for (number, axis) in self.axes.iter().enumerate() {
            body = body.add(self.marks(axis, number, gap, &at));
        }
        let names = self
            .axes
            .iter()
            .map(|axis| axis.name.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        let mut described = names;
        for line in self.lines.iter().rev().take(5) {
            let _ = write!(described, "; {}", line.name);
        }
        Drawing::new(&self.title, described, (width, height.ceil()), &body)
    }

    /// The name and the labels of an axis, above the lines.
    fn marks(
        &self,
        axis: &Axis,
        number: usize,
        gap: f64,
        at: &dyn Fn(usize, f64) -> (f64, f64),
    ) -> Group {
        let mut out = Group::new();
        let (start, end) = (at(number, 0.0), at(number, 1.0));
        let mut last: Option<f64> = None;
        for (place, label) in &axis.marks {
            let (x, y) = at(number, *place);
            if self.lying {
                // Some fonts have wider digits.
                let half = 2.0 + 0.6 * width_of(label, SMALL);
                let middle = x.clamp(
                    half.min(self.size.0 / 2.0),
                    (self.size.0 - half).max(self.size.0 / 2.0),
                );
                if last.is_some_and(|last| middle - half < last + 6.0) {
                    continue;
                }
                last = Some(middle + half);
                let tick = format!("M{} {}v4", px(x), px(y));
                out = out
                    .add(Path::new().set("class", "axis").set("d", tick))
                    .add(text((middle, y + 15.0), "middle", "small over", label));
            } else {
                if last.is_some_and(|last| last - y < FONT) {
                    continue;
                }
                last = Some(y);
                let label = shortened(label, SMALL, (gap - 2.0 * GAP).max(20.0));
                let tick = format!("M{} {}h4", px(x), px(y));
                out = out
                    .add(Path::new().set("class", "axis").set("d", tick))
                    .add(text(
                        (x + GAP + 1.0, y + 3.7),
                        "start",
                        "small over",
                        &label,
                    ));
            }
        }
        let is_last = !self.lying && number > 0 && number + 1 == self.axes.len();
        let room = match (self.lying, is_last) {
            (true, _) => self.size.0,
            (_, true) => gap * 0.6 + (self.size.0 - start.0),
            _ => gap - 8.0,
        };
        let name = shortened(&axis.name, FONT, room);
        let place = match (self.lying, is_last) {
            (true, _) => ((start.0 - 10.0, start.1 - 9.0), "start"),
            (_, true) => ((self.size.0, end.1 - 12.0), "end"),
            _ => (
                (start.0 - if number == 0 { 10.0 } else { 4.0 }, end.1 - 12.0),
                "start",
            ),
        };
        out.add(text(place.0, place.1, "strong over", &name))
    }
}

fn widest(axis: &Axis) -> f64 {
    axis.marks
        .iter()
        .map(|(_, label)| width_of(label, SMALL))
        .fold(0.0, f64::max)
}

fn class(color: Option<usize>, strong: bool) -> String {
    match (color, strong) {
        (Some(color), true) => format!("line c{color}"),
        (Some(color), false) => format!("line c{color} thin"),
        (None, _) => "line grey thin pale".to_string(),
    }
}

/// The line through these places; a single one between gaps is a short stroke.
fn path(places: &[Option<f64>], at: &dyn Fn(usize, f64) -> (f64, f64)) -> String {
    let mut out = String::new();
    let mut is_on = false;
    for (axis, place) in places.iter().enumerate() {
        let Some(place) = place.filter(|place| place.is_finite()) else {
            is_on = false;
            continue;
        };
        let (x, y) = at(axis, place.clamp(0.0, 1.0));
        let command = if is_on { 'L' } else { 'M' };
        let _ = write!(out, "{command}{} {}", px(x), px(y));
        if !is_on && places.get(axis + 1).copied().flatten().is_none() {
            let _ = write!(out, "h4");
        }
        is_on = true;
    }
    out
}

impl Draw for Parallel {
    fn draw(&self, words: Words) -> Drawing {
        let mut other = self.clone();
        other.title = words(&other.title);
        for axis in &mut other.axes {
            axis.name = words(&axis.name);
            axis.marks
                .iter_mut()
                .for_each(|(_, label)| *label = words(label));
        }
        other
            .lines
            .iter_mut()
            .for_each(|line| line.name = words(&line.name));
        other
            .legend
            .iter_mut()
            .for_each(|(name, _)| *name = words(name));
        other.drawn()
    }
}
