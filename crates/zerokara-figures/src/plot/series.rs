//! What is inside of a plot's frame: lines, dots, bars and the rest, and their signs in the legend.

use super::{
    Series, Shape,
    draw::{FONT, Frame, path},
};
use crate::{
    figure::{px, text, told, width_of},
    html::legal,
    numbers::significant,
};
use std::fmt::Write;
use svg::node::element::{Circle, Element, Group, Image, Rectangle};

impl Series {
    fn class(&self, kind: &str) -> String {
        let mut class = match self.color {
            Some(color) => format!("{kind} c{color}"),
            None => format!("{kind} grey"),
        };
        for (is_so, looks) in [
            (self.dashed, " dashed"),
            (self.pale, " pale"),
            (self.thin, " thin"),
        ] {
            if is_so {
                class += looks;
            }
        }
        class
    }

    /// The first and the last point of a line that are numbers.
    pub fn ends(&self) -> Option<((f64, f64), (f64, f64))> {
        let (Shape::Line(points) | Shape::Path(points)) = &self.shape else {
            return None;
        };
        let mut finite = points.iter().filter(|p| p.1.is_finite());
        let first = *finite.next()?;
        Some((first, finite.next_back().copied().unwrap_or(first)))
    }

    /// The points that the axes must reach.
    pub fn extent(&self, of_y: bool) -> Vec<(f64, f64)> {
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
            Shape::Contours(_) | Shape::Text(..) | Shape::Upright(..) => Vec::new(),
        }
    }

    pub fn draw(&self, frame: &Frame) -> Group {
        let mut out = Group::new();
        match &self.shape {
            Shape::Line(points) | Shape::Path(points) => {
                out = out.add(self.line(points, frame, "line"))
            }
            Shape::Dots(points) => {
                for (at, words) in self.seen(points, frame) {
                    out = out.add(circle(&self.class("dot"), at, 3.6).add(told(&words)));
                }
            }
            Shape::Upright(x, word) => {
                if let Some(at) = frame.x.place(*x).filter(|at| (0.0..=1.0).contains(at)) {
                    let x = frame.left + at * (frame.right - frame.left);
                    let line = format!("M{} {}V{}", px(x), px(frame.top), px(frame.bottom));
                    // The word stands between the name of the other axis and the end of the picture.
                    let half = width_of(word, FONT) / 2.0;
                    let first = width_of(frame.y_name, FONT) + 10.0 + half;
                    let middle = x.min(frame.right + 14.0 - half).max(first);
                    out = out.add(path(&self.class("line thin"), &line)).add(text(
                        (middle, frame.top - 5.0),
                        "middle",
                        "small",
                        word,
                    ));
                }
            }
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
                    let mut line = self.line(line, frame, "line thin");
                    // Lines of one height tell no values of their own.
                    line.get_attributes_mut().remove("data-name");
                    out = out.add(line);
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
                    // Near the right end a text stands to the left of its point.
                    let room = width_of(content, FONT * 1.08);
                    let ends = at.0 + room > frame.right + 14.0;
                    let anchor = if ends { "end" } else { "start" };
                    out = out.add(text(at, anchor, "strong over", content));
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

    /// A line through the points; a point alone between two gaps is a dot.
    fn line(&self, points: &[(f64, f64)], frame: &Frame, kind: &str) -> Element {
        // More than an extreme of each sign for a pixel or two cannot be seen.
        let columns = ((frame.right - frame.left) / 1.5) as usize;
        let mut d = String::new();
        let mut run = 0;
        for place in thin(points, columns).map(|p| frame.place(p)).chain([None]) {
            match place {
                Some((x, y)) => {
                    let _ = write!(d, "{}{} {}", if run == 0 { 'M' } else { 'L' }, px(x), px(y));
                    run += 1;
                }
                None => {
                    if run == 1 {
                        d.push_str("h.01");
                    }
                    run = 0;
                }
            }
        }
        path(&self.class(kind), &d)
            .set(
                "data-name",
                self.name.chars().map(legal).collect::<String>(),
            )
            .into()
    }

    /// A mark at each point. Where they would cover the line, only some of them are seen, from the last one back; the others
    /// still tell their values.
    pub fn marks(&self, points: &[(f64, f64)], frame: &Frame) -> Group {
        const APART: f64 = 18.0;
        let seen = self.seen(points, frame);
        let room = (frame.right - frame.left) / APART;
        let every = (seen.len() as f64 / room).ceil().max(1.0) as usize;
        let marks = seen.iter().rev().enumerate().rev();
        marks.fold(Group::new(), |out, (from_last, (at, words))| {
            let mark = self.mark(*at).add(told(words));
            out.add(match from_last % every {
                0 => mark,
                _ => mark.set("opacity", 0),
            })
        })
    }

    fn mark(&self, at: (f64, f64)) -> svg::node::element::Path {
        path(&self.class("dot"), &mark(self.color.unwrap_or(0), at))
    }

    /// The points within the frame, each with what is told of it: `epoch 3, test accuracy: 0.98`.
    fn seen(&self, points: &[(f64, f64)], frame: &Frame) -> Vec<((f64, f64), String)> {
        let join = |parts: &[&str]| {
            let parts: Vec<&str> = parts.iter().copied().filter(|p| !p.is_empty()).collect();
            parts.join(" ")
        };
        let what = match join(&[&self.name, frame.y_name]) {
            none if none.is_empty() => none,
            what => what + ":",
        };
        let seen = points.iter().filter_map(|&(x, y)| {
            let at = frame.place((x, y)).filter(|at| frame.shows(*at))?;
            let x = join(&[frame.x_name, &significant(x, 6)]);
            Some((at, format!("{x}, {}", join(&[&what, &significant(y, 5)]))))
        });
        seen.collect()
    }

    /// The series' sign in the legend, 18 pixels wide.
    pub fn swatch(&self, x: f64, y: f64) -> Group {
        let line = |kind| path(&self.class(kind), &format!("M{} {}h18", px(x), px(y + 5.0)));
        let middle = (x + 9.0, y + 5.0);
        match &self.shape {
            Shape::Dots(_) => Group::new().add(circle(&self.class("dot"), middle, 4.0)),
            Shape::Path(_) => Group::new().add(line("line")).add(self.mark(middle)),
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
            Shape::Line(_)
            | Shape::Marks(_)
            | Shape::Upright(..)
            | Shape::Text(..)
            | Shape::Picture(..) => Group::new().add(line("line")),
        }
    }
}

fn circle(class: &str, at: (f64, f64), radius: f64) -> Circle {
    Circle::new()
        .set("class", class)
        .set("cx", px(at.0))
        .set("cy", px(at.1))
        .set("r", radius)
}

/// A circle, a square, a triangle or a diamond.
fn mark(shape: usize, (x, y): (f64, f64)) -> String {
    let (x, y) = (px(x), px(y));
    match shape % 4 {
        0 => format!(
            "M{} {y}a3.6 3.6 0 1 0 7.2 0a3.6 3.6 0 1 0 -7.2 0z",
            px(x - 3.6)
        ),
        1 => format!("M{} {}h6.4v6.4h-6.4z", px(x - 3.2), px(y - 3.2)),
        2 => format!("M{x} {}l4.2 7.4h-8.4z", px(y - 4.6)),
        _ => format!("M{x} {}l4.6 4.6l-4.6 4.6l-4.6 -4.6z", px(y - 4.6)),
    }
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

/// At most two points for each of so many columns, its lowest and its highest, so that no peak is lost. A column without a
/// number stays a gap.
fn thin(points: &[(f64, f64)], columns: usize) -> impl Iterator<Item = (f64, f64)> + '_ {
    let columns = columns.max(1);
    let stretch = match points.len() <= 2 * columns {
        true => 1,
        false => points.len().div_ceil(columns),
    };
    points.chunks(stretch).flat_map(|part| {
        let finite = || (0..part.len()).filter(|&i| part[i].1.is_finite());
        let low = finite().min_by(|&a, &b| part[a].1.total_cmp(&part[b].1));
        let high = finite().max_by(|&a, &b| part[a].1.total_cmp(&part[b].1));
        let (low, high) = (low.unwrap_or(0), high.unwrap_or(0));
        let both = [part[low.min(high)], part[low.max(high)]];
        both.into_iter().take(if low == high { 1 } else { 2 })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_are_thinned_without_losing_peaks() {
        let mut points: Vec<_> = (0..100_000).map(|i| (f64::from(i), 0.5)).collect();
        points[54_321].1 = 9.0;
        points[77_777].1 = -9.0;
        points[77_778].1 = f64::NAN;
        for gap in &mut points[20_000..30_000] {
            gap.1 = f64::NAN;
        }
        let thinned: Vec<_> = thin(&points, 200).collect();
        assert!(thinned.len() <= 400);
        assert!(thinned.contains(&points[54_321]) && thinned.contains(&points[77_777]));
        assert!(thinned.is_sorted_by(|a, b| a.0 < b.0));
        assert!(thinned.iter().any(|p| p.1.is_nan()));
    }
}
