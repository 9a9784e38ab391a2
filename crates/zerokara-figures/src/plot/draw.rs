//! From a plot to SVG: the frame, the axes, the legend. What is inside of the frame is drawn by its series.

use super::{Dimension, Plot, Series, Shape};
use crate::{
    Figure,
    axis::{Axis, Scale},
    figure::{Draw, Drawing, Words, px, text, width_of},
    numbers::significant,
};
use svg::{
    Node,
    node::element::{Group, Path, TSpan},
};

pub(super) const FONT: f64 = 12.0;
/// Height of a line of the legend.
const ROW: f64 = 18.0;

/// Where things are drawn.
pub(super) struct Frame<'a> {
    pub left: f64,
    pub right: f64,
    pub top: f64,
    pub bottom: f64,
    pub x: Axis,
    pub y: Axis,
    pub x_name: &'a str,
    pub y_name: &'a str,
}

impl Frame<'_> {
    /// The pixel of a point, if it has a place.
    pub fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let x = self.left + self.x.place(x)? * (self.right - self.left);
        let y = self.bottom - self.y.place(y)? * (self.bottom - self.top);
        (x.is_finite() && y.is_finite()).then_some((x, y))
    }

    pub fn shows(&self, (x, y): (f64, f64)) -> bool {
        let slack = 0.5;
        (self.left - slack..=self.right + slack).contains(&x)
            && (self.top - slack..=self.bottom + slack).contains(&y)
    }
}

impl Plot {
    /// The plot, drawn.
    pub fn figure(&self) -> Figure {
        Figure::of(self.clone())
    }

    /// The same plot with other words.
    fn said(&self, words: Words) -> Self {
        let mut plot = self.clone();
        plot.title = words(&plot.title);
        for dimension in [&mut plot.x, &mut plot.y] {
            dimension.name = words(&dimension.name);
            for (_, label) in dimension.ticks.iter_mut().flatten() {
                *label = words(label);
            }
        }
        for series in &mut plot.series {
            series.name = words(&series.name);
            if let Shape::Upright(_, word) | Shape::Text(_, word) = &mut series.shape {
                *word = words(word);
            }
        }
        plot
    }
}

impl Draw for Plot {
    fn draw(&self, words: Words) -> Drawing {
        let plot = self.said(words);
        plot.drawn(words)
    }
}

impl Plot {
    fn drawn(&self, words: Words) -> Drawing {
        let (width, mut height) = self.size;
        let legend = self.legend_rows(width);
        let title = self.draws_title && !self.title.is_empty();
        let mut top = if title { 28.0 } else { 10.0 };
        let legend_top = if title { top } else { 2.0 };
        top += ROW * legend.len() as f64;
        if !self.y.name.is_empty() {
            top += 20.0;
        }
        let x_name = if self.x.name.is_empty() { 0.0 } else { 18.0 };
        let mut bottom = height - 24.0 - x_name;
        let y = self
            .y
            .axis(&self.series, |p| p.1, ((bottom - top) / 45.0) as usize);
        let labels = y.ticks.iter().map(|(_, l)| width_of(l, FONT));
        let left = 16.0 + labels.fold(8.0, f64::max);
        let right = width - 16.0;
        let mut count = ((right - left) / 62.0) as usize;
        let mut x = loop {
            let axis = self.x.axis(&self.series, |p| p.0, count);
            // With fewer marks their labels lie further apart.
            match count > 2 && self.x.ticks.is_none() && !touching(&axis, right - left).is_empty() {
                true => count -= 1,
                false => break axis,
            }
        };
        for tick in touching(&x, right - left) {
            x.ticks[tick].1.clear();
        }
        if self.equal
            && let (Some((x0, x1)), Some((y0, y1))) = (self.x.range, self.y.range)
        {
            bottom = top + (right - left) * ((y1 - y0) / (x1 - x0)).abs().clamp(0.1, 4.0);
            height = bottom + 24.0 + x_name;
        }
        let frame = Frame {
            left,
            right,
            top,
            bottom,
            x,
            y,
            x_name: &self.x.name,
            y_name: &self.y.name,
        };

        // Curves that leave the frame are cut by an inner picture, which needs no name that is unique in a page. It is wider
        // by half a line, so that what lies on the frame is drawn whole.
        let (width_inside, height_inside) = (right - left + 2.0, bottom - top + 2.0);
        let corner = (px(left - 1.0), px(top - 1.0));
        let mut inside = svg::node::element::SVG::new()
            .set("x", corner.0)
            .set("y", corner.1)
            .set("width", px(width_inside))
            .set("height", px(height_inside))
            .set(
                "viewBox",
                (corner.0, corner.1, px(width_inside), px(height_inside)),
            );
        let mut above = Group::new();
        let pictures = self
            .series
            .iter()
            .filter(|s| matches!(s.shape, Shape::Picture(..)));
        for series in pictures {
            inside = inside.add(series.draw(&frame));
        }
        for series in &self.series {
            match series.shape {
                Shape::Picture(..) => {}
                Shape::Dots(_) | Shape::Marks(_) | Shape::Text(..) | Shape::Upright(..) => {
                    above = above.add(series.draw(&frame))
                }
                Shape::Path(ref points) => {
                    inside = inside.add(series.draw(&frame));
                    // A mark at the edge is shown as a whole.
                    above = above.add(series.marks(points, &frame));
                }
                _ => inside = inside.add(series.draw(&frame)),
            }
        }
        let mut body = Group::new();
        if title {
            body = body.add(text((0.0, 15.0), "start", "title", &self.title));
        }
        // For scripts that tell values: where the axes begin and end in the picture, and what stands there.
        let ends = |from: f64, to: f64, axis: &Axis| {
            let (low, high, is_log) = axis.ends();
            let log = if is_log { " 1" } else { "" };
            format!("{} {} {low} {high}{log}", px(from), px(to))
        };
        let inside = inside
            .set("data-x", ends(left, right, &frame.x))
            .set("data-y", ends(bottom, top, &frame.y));
        body = body
            .add(frame.axes(&self.x, &self.y))
            .add(inside)
            .add(above);
        for (row, entries) in legend.iter().enumerate() {
            let y = legend_top + ROW * row as f64;
            for (x, series) in entries {
                let mut name = text((x + 24.0, y + 9.0), "start", "", &series.name);
                if let Some(last) = self.last_value(series) {
                    name.append(TSpan::new(last).set("class", "strong"));
                }
                body = body.add(series.swatch(*x, y)).add(name);
            }
        }
        let size = (width, height.ceil());
        Drawing::new(&self.title, self.describe(words), size, &body)
    }

    /// The entries of the legend by rows, each with its left end.
    fn legend_rows(&self, width: f64) -> Vec<Vec<(f64, &Series)>> {
        let mut rows: Vec<Vec<(f64, &Series)>> = Vec::new();
        let mut next = 0.0;
        for series in self
            .series
            .iter()
            .filter(|s| self.legend && !s.name.is_empty() && !matches!(s.shape, Shape::Marks(_)))
        {
            let last = self.last_value(series);
            let last = last.map_or(0.0, |last| width_of(&last, FONT * 1.06) + 5.0);
            let room = 24.0 + width_of(&series.name, FONT) + last + 16.0;
            if rows.is_empty() || next + room - 16.0 > width {
                rows.push(Vec::new());
                next = 0.0;
            }
            if let Some(row) = rows.last_mut() {
                row.push((next, series));
            }
            next += room;
        }
        rows
    }

    /// What the legend tells of the line's end.
    fn last_value(&self, series: &Series) -> Option<String> {
        let (_, last) = series.ends().filter(|_| self.last_values)?;
        Some(significant(last.1, 4))
    }

    /// What the plot shows, in words.
    fn describe(&self, words: Words) -> String {
        let mut sentences = Vec::new();
        if !self.y.name.is_empty() && !self.x.name.is_empty() {
            sentences.push(format!("{} by {}.", self.y.name, self.x.name));
        }
        let show = |v: f64| significant(v, 4);
        for series in &self.series {
            if let Shape::Upright(x, word) = &series.shape {
                sentences.push(format!("{word}: at {}.", show(*x)));
            }
            if let Some((first, last)) = series.ends().filter(|_| !series.name.is_empty()) {
                sentences.push(format!(
                    "{}: from {} at {} to {} at {}.",
                    series.name,
                    show(first.1),
                    show(first.0),
                    show(last.1),
                    show(last.0)
                ));
            }
        }
        let sentences: Vec<String> = sentences.iter().map(|said| words(said)).collect();
        sentences.join(" ")
    }
}

/// The marks of a horizontal axis of this length whose labels touch one before them that is shown.
fn touching(axis: &Axis, length: f64) -> Vec<usize> {
    let mut end = f64::NEG_INFINITY;
    let mut touching = Vec::new();
    for (number, (value, label)) in axis.ticks.iter().enumerate() {
        let Some(place) = axis.place(*value) else {
            continue;
        };
        let half = width_of(label, FONT) / 2.0;
        match place * length - half < end + 6.0 {
            true => touching.push(number),
            false => end = place * length + half,
        }
    }
    touching
}

impl Dimension {
    /// The axis for these series, with about `count` ticks unless some are given.
    fn axis(&self, series: &[Series], part: impl Fn(&(f64, f64)) -> f64, count: usize) -> Axis {
        let count = count.max(2);
        let of_y = part(&(0.0, 1.0)) == 1.0;
        let mut low = f64::INFINITY;
        let mut high = f64::NEG_INFINITY;
        for point in series.iter().flat_map(|s| s.extent(of_y)) {
            let value = part(&point);
            if value.is_finite() && (self.scale == Scale::Linear || value > 0.0) {
                (low, high) = (low.min(value), high.max(value));
            }
        }
        let (low, high) = if low <= high { (low, high) } else { (0.0, 1.0) };
        let (low, high) = self.focus.unwrap_or((low, high));
        let limits = self.limits.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        let mut axis = match (self.range, self.scale) {
            (Some((low, high)), Scale::Linear) => Axis::exact(low, high, count, self.whole),
            (Some((low, high)), Scale::Log) => {
                Axis::rounded(Scale::Log, low, high, (low, high), count)
            }
            (None, Scale::Linear) if !of_y => Axis::exact(low, high, count, self.whole),
            (None, scale) => Axis::rounded(scale, low, high, limits, count),
        };
        if let Some(ticks) = &self.ticks {
            axis.ticks = ticks.clone();
        }
        axis
    }
}

impl Frame<'_> {
    fn axes(&self, x: &Dimension, y: &Dimension) -> Group {
        let mut out = Group::new();
        for (value, label) in &self.y.ticks {
            let Some(place) = self
                .y
                .place(*value)
                .filter(|p| (-1e-9..=1.0 + 1e-9).contains(p))
            else {
                continue;
            };
            let at = self.bottom - place * (self.bottom - self.top);
            out = out
                .add(path(
                    "grid",
                    &format!("M{} {}H{}", px(self.left), px(at), px(self.right)),
                ))
                .add(text((self.left - 7.0, at + FONT * 0.35), "end", "", label));
        }
        for (value, label) in &self.x.ticks {
            let Some(place) = self
                .x
                .place(*value)
                .filter(|p| (-1e-9..=1.0 + 1e-9).contains(p))
            else {
                continue;
            };
            let at = self.left + place * (self.right - self.left);
            // A label at the end shall not stick out of the picture.
            let half = width_of(label, FONT) / 2.0;
            let label_at = at.min(self.right + 14.0 - half);
            out = out
                .add(path(
                    "grid",
                    &format!("M{} {}V{}", px(at), px(self.top), px(self.bottom)),
                ))
                .add(text((label_at, self.bottom + 17.0), "middle", "", label));
        }
        out = out.add(path(
            "axis",
            &format!(
                "M{} {}V{}H{}",
                px(self.left),
                px(self.top),
                px(self.bottom),
                px(self.right)
            ),
        ));
        if !y.name.is_empty() {
            out = out.add(text((0.0, self.top - 11.0), "start", "name", &y.name));
        }
        if !x.name.is_empty() {
            out = out.add(text(
                (self.right, self.bottom + 35.0),
                "end",
                "name",
                &x.name,
            ));
        }
        out
    }
}

pub(super) fn path(class: &str, d: &str) -> Path {
    Path::new().set("class", class).set("d", d)
}
