//! From series to SVG.

use super::{Dimension, Plot, Series, Shape};
use crate::{
    Figure,
    axis::{Axis, Scale},
    figure::{px, text, width_of},
    numbers::significant,
};
use std::fmt::Write;
use svg::node::element::{Circle, Element, Group, Image, Path, Rectangle, Title};

const FONT: f64 = 12.0;
/// Height of a line of the legend.
const ROW: f64 = 18.0;
/// Lines are drawn with at most this many points; more cannot be seen.
const MOST_POINTS: usize = 700;

/// Where things are drawn.
struct Frame {
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
    x: Axis,
    y: Axis,
}

impl Frame {
    /// The pixel of a point, if it has a place.
    fn place(&self, (x, y): (f64, f64)) -> Option<(f64, f64)> {
        let x = self.left + self.x.place(x)? * (self.right - self.left);
        let y = self.bottom - self.y.place(y)? * (self.bottom - self.top);
        (x.is_finite() && y.is_finite()).then_some((x, y))
    }

    fn shows(&self, (x, y): (f64, f64)) -> bool {
        let slack = 0.5;
        (self.left - slack..=self.right + slack).contains(&x)
            && (self.top - slack..=self.bottom + slack).contains(&y)
    }
}

impl Plot {
    /// The plot, drawn.
    pub fn figure(&self) -> Figure {
        let (width, mut height) = self.size;
        let legend = self.legend_rows(width);
        let mut top = if self.title.is_empty() { 10.0 } else { 28.0 };
        let legend_top = top;
        top += ROW * legend.len() as f64;
        if !self.y.name.is_empty() {
            top += 18.0;
        }
        let x_name = if self.x.name.is_empty() { 0.0 } else { 18.0 };
        let mut bottom = height - 24.0 - x_name;
        let y = self
            .y
            .axis(&self.series, |p| p.1, ((bottom - top) / 45.0) as usize);
        let labels = y.ticks.iter().map(|(_, l)| width_of(l, FONT));
        let left = 16.0 + labels.fold(8.0, f64::max);
        let right = width - 16.0;
        let x = self
            .x
            .axis(&self.series, |p| p.0, ((right - left) / 75.0) as usize);
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
        };

        // Curves that leave the frame are cut by an inner picture, which needs no name that is unique in a page.
        let mut inside = svg::node::element::SVG::new()
            .set("x", px(left))
            .set("y", px(top))
            .set("width", px(right - left))
            .set("height", px(bottom - top))
            .set(
                "viewBox",
                (px(left), px(top), px(right - left), px(bottom - top)),
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
                Shape::Dots(_) | Shape::Marks(_) | Shape::Text(..) => {
                    above = above.add(series.draw(&frame))
                }
                _ => inside = inside.add(series.draw(&frame)),
            }
        }
        let mut body = Group::new();
        if !self.title.is_empty() {
            body = body.add(text((0.0, 15.0), "start", "title", &self.title).clone());
        }
        body = body
            .add(frame.axes(&self.x, &self.y))
            .add(inside)
            .add(above);
        for (row, entries) in legend.iter().enumerate() {
            let y = legend_top + ROW * row as f64;
            for (x, series) in entries {
                body = body.add(series.swatch(*x, y));
                body = body.add(text((x + 24.0, y + 9.0), "start", "", &series.name));
            }
        }
        Figure::new(&self.title, self.describe(), (width, height.ceil()), &body)
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
            let room = 24.0 + width_of(&series.name, FONT) + 16.0;
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

    /// What the plot shows, in words.
    fn describe(&self) -> String {
        let mut out = match (self.y.name.as_str(), self.x.name.as_str()) {
            ("", "") => String::new(),
            (y, x) => format!("{y} by {x}."),
        };
        for series in self.series.iter().filter(|s| !s.name.is_empty()) {
            let (Shape::Line(points) | Shape::Path(points)) = &series.shape else {
                continue;
            };
            if let (Some(first), Some(last)) = (points.first(), points.last()) {
                let show = |v: f64| significant(v, 4);
                let _ = write!(
                    out,
                    " {}: from {} at {} to {} at {}.",
                    series.name,
                    show(first.1),
                    show(first.0),
                    show(last.1),
                    show(last.0)
                );
            }
        }
        out.trim().to_string()
    }
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
        let mut axis = match (self.range, self.scale) {
            (Some((low, high)), Scale::Linear) => Axis::exact(low, high, count, false),
            (Some((low, high)), Scale::Log) => {
                Axis::rounded(Scale::Log, low, high, (low, high), count)
            }
            (None, Scale::Linear) if !of_y => Axis::exact(low, high, count, false),
            (None, scale) => {
                Axis::rounded(scale, low, high, (f64::NEG_INFINITY, f64::INFINITY), count)
            }
        };
        if let Some(ticks) = &self.ticks {
            axis.ticks = ticks.clone();
        }
        axis
    }
}

impl Frame {
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
            out = out.add(text((0.0, self.top - 9.0), "start", "name", &y.name));
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

impl Series {
    fn class(&self, kind: &str) -> String {
        let mut class = match self.color {
            Some(color) => format!("{kind} c{color}"),
            None => format!("{kind} grey"),
        };
        if self.dashed {
            class += " dashed";
        }
        if self.pale {
            class += " pale";
        }
        class
    }

    /// The points that the axes must reach.
    fn extent(&self, of_y: bool) -> Vec<(f64, f64)> {
        match &self.shape {
            Shape::Line(points)
            | Shape::Dots(points)
            | Shape::Marks(points)
            | Shape::Path(points) => points.clone(),
            Shape::Bars(bars, width) => {
                let ends = |&(x, y): &(f64, f64)| [(x - width / 2.0, 0.0), (x + width / 2.0, y)];
                bars.iter().flat_map(ends).collect()
            }
            Shape::Arrows(arrows) => {
                let ends = |a: &[f64; 4]| [(a[0], a[1]), (a[0] + a[2], a[1] + a[3])];
                arrows.iter().flat_map(ends).collect()
            }
            Shape::Picture(_, x, y) => match of_y {
                true => vec![(x.0, y.0), (x.0, y.1)],
                false => vec![(x.0, y.0), (x.1, y.0)],
            },
            Shape::Contours(_) | Shape::Text(..) => Vec::new(),
        }
    }

    fn draw(&self, frame: &Frame) -> Group {
        let mut out = Group::new();
        match &self.shape {
            Shape::Line(points) => out = out.add(self.line(points, frame, "line")),
            Shape::Path(points) => {
                out = out.add(self.line(points, frame, "line"));
                out = self.dots(out, points, frame, 2.6);
            }
            Shape::Dots(points) => out = self.dots(out, points, frame, 3.6),
            Shape::Marks(points) => {
                let places = points.iter().filter_map(|&point| frame.place(point));
                for (x, y) in places.filter(|at| frame.shows(*at)) {
                    out = out.add(text(
                        (x, y + 4.0),
                        "middle",
                        &self.class("mark"),
                        &self.name,
                    ));
                }
            }
            Shape::Contours(lines) => {
                for line in lines {
                    out = out.add(self.line(line, frame, "line thin"));
                }
            }
            Shape::Bars(bars, width) => {
                for &(x, y) in bars {
                    let corners = (
                        frame
                            .place((x - width / 2.0, 0.0))
                            .or_else(|| frame.place((x - width / 2.0, y))),
                        frame.place((x + width / 2.0, y)),
                    );
                    if let (Some(a), Some(b)) = corners {
                        // On a logarithmic axis, a bar begins at the lower end.
                        let base = if frame.y.place(0.0).is_some() {
                            a.1
                        } else {
                            frame.bottom
                        };
                        let gap = if b.0 - a.0 > 4.0 { 0.5 } else { 0.0 };
                        out = out.add(
                            Rectangle::new()
                                .set("class", self.class("bar"))
                                .set("x", px(a.0 + gap))
                                .set("y", px(b.1.min(base)))
                                .set("width", px((b.0 - a.0 - 2.0 * gap).max(0.5)))
                                .set("height", px((b.1 - base).abs())),
                        );
                    }
                }
            }
            Shape::Arrows(arrows) => {
                for a in arrows {
                    let ends = (
                        frame.place((a[0], a[1])),
                        frame.place((a[0] + a[2], a[1] + a[3])),
                    );
                    if let (Some(from), Some(to)) = ends {
                        out = out.add(path(&self.class("arrow"), &arrow(from, to)));
                    }
                }
            }
            Shape::Text(at, content) => {
                if let Some(at) = frame.place(*at).filter(|at| frame.shows(*at)) {
                    out = out.add(text(at, "start", "strong", content));
                }
            }
            Shape::Picture(picture, x, y) => {
                if let (Some(a), Some(b)) = (frame.place((x.0, y.1)), frame.place((x.1, y.0))) {
                    out = out.add(
                        Image::new()
                            .set("href", picture.data_uri())
                            .set("x", px(a.0))
                            .set("y", px(a.1))
                            .set("width", px(b.0 - a.0))
                            .set("height", px(b.1 - a.1))
                            .set("preserveAspectRatio", "none"),
                    );
                }
            }
        }
        out
    }

    fn line(&self, points: &[(f64, f64)], frame: &Frame, kind: &str) -> Element {
        let mut d = String::new();
        let mut pen_down = false;
        for point in thin(points) {
            match frame.place(point) {
                Some((x, y)) => {
                    let _ = write!(d, "{}{} {}", if pen_down { 'L' } else { 'M' }, px(x), px(y));
                    pen_down = true;
                }
                None => pen_down = false,
            }
        }
        path(&self.class(kind), &d).into()
    }

    fn dots(&self, mut out: Group, points: &[(f64, f64)], frame: &Frame, radius: f64) -> Group {
        for &point in points {
            if let Some((x, y)) = frame.place(point).filter(|at| frame.shows(*at)) {
                let told = format!("{}, {}", significant(point.0, 5), significant(point.1, 5));
                out = out.add(
                    Circle::new()
                        .set("class", self.class("dot"))
                        .set("cx", px(x))
                        .set("cy", px(y))
                        .set("r", radius)
                        .add(Title::new(told)),
                );
            }
        }
        out
    }

    /// The series' sign in the legend, 18 pixels wide.
    fn swatch(&self, x: f64, y: f64) -> Group {
        let line = |kind| path(&self.class(kind), &format!("M{} {}h18", px(x), px(y + 5.0)));
        let dot = |radius: f64| {
            Circle::new()
                .set("class", self.class("dot"))
                .set("cx", px(x + 9.0))
                .set("cy", px(y + 5.0))
                .set("r", radius)
        };
        match &self.shape {
            Shape::Dots(_) => Group::new().add(dot(4.0)),
            Shape::Path(_) => Group::new().add(line("line")).add(dot(3.0)),
            Shape::Bars(..) => Group::new().add(
                Rectangle::new()
                    .set("class", self.class("bar"))
                    .set("x", px(x + 3.0))
                    .set("y", px(y - 1.0))
                    .set("width", 12)
                    .set("height", 12),
            ),
            Shape::Arrows(_) => Group::new().add(path(
                &self.class("arrow"),
                &arrow((x, y + 5.0), (x + 18.0, y + 5.0)),
            )),
            Shape::Contours(_) => Group::new().add(line("line thin")),
            Shape::Line(_) | Shape::Marks(_) | Shape::Text(..) | Shape::Picture(..) => {
                Group::new().add(line("line"))
            }
        }
    }
}

fn path(class: &str, d: &str) -> Path {
    Path::new().set("class", class).set("d", d)
}

/// A shaft and a head; the head alone for what is too short.
fn arrow(from: (f64, f64), to: (f64, f64)) -> String {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy);
    if length < 0.5 {
        return format!("M{} {}h.1", px(from.0), px(from.1));
    }
    let (ux, uy) = (dx / length, dy / length);
    let head = (length * 0.4).min(6.0);
    let (bx, by) = (to.0 - ux * head, to.1 - uy * head);
    let side = head * 0.45;
    format!(
        "M{} {}L{} {}M{} {}L{} {}L{} {}Z",
        px(from.0),
        px(from.1),
        px(bx),
        px(by),
        px(to.0),
        px(to.1),
        px(bx - uy * side),
        px(by + ux * side),
        px(bx + uy * side),
        px(by - ux * side),
    )
}

/// At most [`MOST_POINTS`] of the points: the lowest and the highest of each stretch, so that no peak is lost.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(MOST_POINTS / 2);
    let mut kept = Vec::with_capacity(MOST_POINTS + 1);
    for part in points.chunks(stretch) {
        let by_y = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        if let (Some(low), Some(high)) = (part.iter().min_by(by_y), part.iter().max_by(by_y)) {
            let (first, second) = if low.0 <= high.0 {
                (low, high)
            } else {
                (high, low)
            };
            kept.extend([*first, *second]);
        }
    }
    kept.extend(points.last());
    kept
}
