//! Line charts and bar charts as SVG.
//!
//! Colours are CSS classes `c0` to `c5`, so that a page's theme decides about them; what is not a number is a gap in
//! its line. Sizes are given in pixels because text must stay readable: a chart is drawn once for wide windows and once
//! for narrow ones instead of being scaled.

use super::html::escape;
use super::numbers::{significant, thousands};
use std::fmt::Write;
use zerokara_figures::axis::{Axis, Scale};

/// How a series is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A pale line in the background: measurements before smoothing.
    Raw,
    /// A line.
    Line,
    /// A line with a mark at each point, of a shape that depends on the colour.
    Marked,
}

/// Points that belong together.
#[derive(Clone, Debug)]
pub struct Series {
    /// Name in the legend; series with an empty name are not in the legend.
    pub name: String,
    /// Points, ordered by x. A point whose y is not finite is a gap.
    pub points: Vec<(f64, f64)>,
    /// How it is drawn.
    pub style: Style,
    /// Number of the colour, 0 to 5.
    pub color: usize,
}

/// A chart of lines.
#[derive(Clone, Debug, Default)]
pub struct LineChart {
    /// Title, read by screen readers.
    pub title: String,
    /// Name of the horizontal axis.
    pub x_name: String,
    /// Name of the vertical axis.
    pub y_name: String,
    /// Scale of the vertical axis.
    pub scale: Scale,
    /// The vertical axis never goes beyond these values.
    pub y_limits: Option<(f64, f64)>,
    /// Part of the vertical axis to show at least, instead of everything there is.
    pub y_focus: Option<(f64, f64)>,
    /// Start of the horizontal axis, instead of the first point.
    pub x_from: Option<f64>,
    /// Decimals of the values in the legend; `None` for four significant digits.
    pub decimals: Option<usize>,
    /// The lines; later ones are drawn over earlier ones.
    pub series: Vec<Series>,
}

/// Width and height in pixels.
pub type Size = (u32, u32);

const FONT: f64 = 12.0;

impl LineChart {
    /// Whether there is a finite point to draw.
    pub fn is_empty(&self) -> bool {
        self.finite().next().is_none()
    }

    fn finite(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.series
            .iter()
            .flat_map(|s| s.points.iter().copied())
            .filter(|(x, y)| x.is_finite() && y.is_finite())
    }

    /// The chart as an `<svg>` element; `id` must be unique within the page, `class` is the element's class.
    pub fn render(&self, id: &str, class: &str, (width, height): Size) -> String {
        let (width, height) = (f64::from(width.max(160)), f64::from(height.max(100)));
        let (x_low, x_high) = range(self.finite().map(|p| p.0)).unwrap_or((0.0, 1.0));
        let (y_low, y_high) = self
            .y_focus
            .or_else(|| range(self.finite().map(|p| p.1)))
            .unwrap_or((0.0, 1.0));
        let limits = self.y_limits.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
        let x_axis = Axis::exact(
            self.x_from.unwrap_or(x_low),
            x_high,
            (width / 80.0) as usize,
            true,
        );
        let y_axis = Axis::rounded(self.scale, y_low, y_high, limits, (height / 55.0) as usize);

        let label_width = y_axis.ticks.iter().map(|(_, l)| l.chars().count()).max();
        let left = 14.0 + 6.8 * label_width.unwrap_or(1) as f64;
        let (right, top, bottom) = (width - 14.0, 26.0, height - 40.0);
        let place = |x: f64, y: f64| {
            let x = left + x_axis.place(x)? * (right - left);
            let y = bottom - y_axis.place(y)? * (bottom - top);
            (x.is_finite() && y.is_finite()).then_some((x, y))
        };

        let mut out = open(id, class, width, height, &self.title, &self.describe());
        let _ = write!(
            out,
            "<clipPath id=\"{id}-clip\"><rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\"/></clipPath>",
            top - 6.0,
            right - left + 7.0,
            bottom - top + 7.0
        );
        for (value, text) in &y_axis.ticks {
            let Some(place) = y_axis.place(*value) else {
                continue;
            };
            let y = bottom - place * (bottom - top);
            let _ = write!(
                out,
                "<path class=\"grid\" d=\"M{left:.1} {y:.1}H{right:.1}\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 8.0,
                y + FONT * 0.35,
                escape(text)
            );
        }
        for (value, text) in &x_axis.ticks {
            let Some(place) = x_axis.place(*value) else {
                continue;
            };
            let x = left + place * (right - left);
            // A label at the end shall not stick out of the picture.
            let anchor = match x > width - 24.0 {
                true => "end",
                false => "middle",
            };
            let x_text = if anchor == "end" { x + 8.0 } else { x };
            let _ = write!(
                out,
                "<path class=\"tick\" d=\"M{x:.1} {bottom:.1}v4\"/>\
                 <text x=\"{x_text:.1}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{}</text>",
                bottom + 18.0,
                escape(text)
            );
        }
        let _ = write!(
            out,
            "<path class=\"axis\" d=\"M{left:.1} {bottom:.1}H{right:.1}\"/>\
             <text class=\"name\" x=\"0\" y=\"{FONT}\">{}</text>\
             <text class=\"name\" x=\"{right:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <g clip-path=\"url(#{id}-clip)\">",
            escape(&self.y_name),
            height - 4.0,
            escape(&self.x_name),
        );
        for series in &self.series {
            let color = series.color % 6;
            let class = match series.style {
                Style::Raw => "raw",
                Style::Line | Style::Marked => "line",
            };
            let thinned;
            let points = match series.style {
                Style::Marked => &series.points,
                _ => {
                    thinned = thin(&series.points, ((right - left) / 1.5) as usize);
                    &thinned
                }
            };
            let path = path(points.iter().map(|(x, y)| place(*x, *y)));
            if !path.is_empty() {
                let _ = write!(out, "<path class=\"{class} c{color}\" d=\"{path}\"/>");
            }
            if series.style == Style::Marked {
                for &(x, y) in points {
                    if let Some(at) = place(x, y) {
                        let _ = write!(
                            out,
                            "<path class=\"mark c{color}\" d=\"{}\"><title>{} {}, {} {}: {}</title></path>",
                            mark(color, at),
                            escape(&self.x_name),
                            significant(x, 6),
                            escape(&series.name),
                            escape(&self.y_name),
                            significant(y, 5),
                        );
                    }
                }
            }
        }
        out + "</g></svg>"
    }

    /// What the lines show, in words.
    fn describe(&self) -> String {
        let mut text = format!("{} by {}.", self.y_name, self.x_name);
        for series in self.series.iter().filter(|s| !s.name.is_empty()) {
            let finite = |p: &&(f64, f64)| p.1.is_finite();
            let first = series.points.iter().find(finite);
            let last = series.points.iter().rev().find(finite);
            if let (Some(first), Some(last)) = (first, last) {
                let _ = write!(
                    text,
                    " {}: from {} at {} to {} at {}.",
                    series.name,
                    significant(first.1, 4),
                    significant(first.0, 6),
                    significant(last.1, 4),
                    significant(last.0, 6)
                );
            }
        }
        text
    }
}

/// Bars beside each other's names, longest value first or in the order given.
#[derive(Clone, Debug, Default)]
pub struct BarChart {
    /// Title above the bars.
    pub title: String,
    /// A line below the title: what was measured, on which machine.
    pub subtitle: String,
    /// What the numbers count, such as `images/s`.
    pub unit: String,
    /// Name, value, and whether the bar is to stand out.
    pub bars: Vec<(String, f64, bool)>,
}

impl BarChart {
    /// The chart as an SVG file with its own light and dark colours, for documents.
    ///
    /// Values that are not finite or negative are drawn as a dash without a bar.
    pub fn render(&self, width: u32) -> String {
        let width = f64::from(width.max(320));
        let (row, thick) = (30.0, 18.0);
        let top = if self.subtitle.is_empty() { 44.0 } else { 64.0 };
        let height = top + row * self.bars.len() as f64 + 8.0;
        let valid = |v: f64| v.is_finite() && v >= 0.0;
        let most = self.bars.iter().map(|b| b.1).filter(|v| valid(*v));
        let most = most.fold(f64::MIN_POSITIVE, f64::max);
        let number = |v: f64| match v {
            v if !valid(v) => "–".to_string(),
            v if v >= 100.0 => thousands(v.round() as u64),
            v => significant(v, 3),
        };
        let longest = |texts: &mut dyn Iterator<Item = usize>| texts.max().unwrap_or(0) as f64;
        let names = longest(&mut self.bars.iter().map(|b| b.0.chars().count()));
        let numbers = longest(&mut self.bars.iter().map(|b| number(b.1).chars().count()));
        let left = (names * 8.2 + 14.0).min(width * 0.4);
        let unit = if self.unit.is_empty() {
            0.0
        } else {
            self.unit.chars().count() as f64 + 1.0
        };
        let room = (width - left - (numbers + unit) * 7.6 - 14.0).max(20.0);

        let values: Vec<String> = self
            .bars
            .iter()
            .map(|(name, value, _)| format!("{name}: {} {}", number(*value), self.unit))
            .collect();
        let mut out = open(
            "bars",
            "bars",
            width,
            height,
            &self.title,
            &values.join("; "),
        );
        out = out.replacen("<svg ", "<svg xmlns=\"http://www.w3.org/2000/svg\" ", 1);
        let _ = write!(
            out,
            "<style>{BAR_STYLE}</style><text class=\"head\" x=\"0\" y=\"18\">{}</text>",
            escape(&self.title)
        );
        if !self.subtitle.is_empty() {
            let _ = write!(
                out,
                "<text class=\"sub\" x=\"0\" y=\"40\">{}</text>",
                escape(&self.subtitle)
            );
        }
        for (i, (name, value, strong)) in self.bars.iter().enumerate() {
            let y = top + row * i as f64;
            let length = match valid(*value) {
                true => (value / most * room).max(1.0),
                false => 0.0,
            };
            let class = if *strong { "strong" } else { "plain" };
            let _ = write!(
                out,
                "<text class=\"{class}\" x=\"0\" y=\"{:.1}\">{}</text>\
                 <rect class=\"{class}\" x=\"{left:.1}\" y=\"{y:.1}\" width=\"{length:.1}\" height=\"{thick}\" rx=\"2\"/>\
                 <text class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\">{} {}</text>",
                y + 13.5,
                escape(name),
                left + length + 8.0,
                y + 13.5,
                number(*value),
                escape(&self.unit)
            );
        }
        out + "</svg>\n"
    }
}

const BAR_STYLE: &str = "text{font:13px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#55585c;\
font-variant-numeric:tabular-nums}text.head{font-size:17px;font-weight:600;fill:#1c1e21}\
text.strong{font-weight:600;fill:#1c1e21}rect.plain{fill:#b9bdc2}rect.strong{fill:#0072b2}\
@media(prefers-color-scheme:dark){text{fill:#a5a9ae}text.head,text.strong{fill:#e9e9e6}\
rect.plain{fill:#53575c}rect.strong{fill:#56b4e9}}";

fn open(id: &str, class: &str, width: f64, height: f64, title: &str, text: &str) -> String {
    format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" \
         aria-labelledby=\"{id}-t {id}-d\"><title id=\"{id}-t\">{}</title><desc id=\"{id}-d\">{}</desc>",
        escape(title),
        escape(text)
    )
}

/// The smallest and the largest of the values.
fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |range, v| match range {
        None => Some((v, v)),
        Some((low, high)) => Some((f64::min(low, v), f64::max(high, v))),
    })
}

/// At most two points for each of `columns` columns, its lowest and its highest, so that no peak is lost. Gaps stay.
fn thin(points: &[(f64, f64)], columns: usize) -> Vec<(f64, f64)> {
    if points.len() <= columns.max(1) * 2 {
        return points.to_vec();
    }
    let chunk = points.len().div_ceil(columns.max(1));
    let mut out = Vec::new();
    for chunk in points.chunks(chunk) {
        let finite = || (0..chunk.len()).filter(|i| chunk[*i].1.is_finite());
        let low = finite().min_by(|a, b| chunk[*a].1.total_cmp(&chunk[*b].1));
        let high = finite().max_by(|a, b| chunk[*a].1.total_cmp(&chunk[*b].1));
        match (low, high) {
            (Some(low), Some(high)) if low != high => {
                out.push(chunk[low.min(high)]);
                out.push(chunk[low.max(high)]);
            }
            (Some(only), _) => out.push(chunk[only]),
            _ => out.extend(chunk.first()),
        }
    }
    out
}

/// The `d` of a path through the places; `None` interrupts it. A point alone between two gaps is a dot.
fn path(places: impl Iterator<Item = Option<(f64, f64)>>) -> String {
    let mut out = String::new();
    let mut length = 0;
    let dot = |out: &mut String, length: usize| {
        if length == 1 {
            out.push_str("h.01");
        }
    };
    for place in places {
        match place {
            Some((x, y)) => {
                let command = if length == 0 { 'M' } else { 'L' };
                let _ = write!(out, "{command}{x:.1} {y:.1}");
                length += 1;
            }
            None => {
                dot(&mut out, length);
                length = 0;
            }
        }
    }
    dot(&mut out, length);
    out
}

/// A circle, a square, a triangle or a diamond, so that lines differ also without colours.
pub(super) fn mark(shape: usize, (x, y): (f64, f64)) -> String {
    match shape % 4 {
        0 => format!("M{:.1} {y:.1}a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z", x - 4.0),
        1 => format!("M{:.1} {:.1}h7v7h-7z", x - 3.5, y - 3.5),
        2 => format!("M{x:.1} {:.1}l4.6 8h-9.2z", y - 5.0),
        _ => format!("M{x:.1} {:.1}l5 5l-5 5l-5 -5z", y - 5.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>, style: Style) -> LineChart {
        LineChart {
            title: "Loss".into(),
            x_name: "step".into(),
            y_name: "loss".into(),
            series: vec![Series {
                name: "train".into(),
                points,
                style,
                color: 0,
            }],
            ..LineChart::default()
        }
    }

    fn line<'a>(svg: &'a roxmltree::Document<'a>) -> &'a str {
        svg.descendants()
            .find(|n| n.attribute("class") == Some("line c0"))
            .and_then(|n| n.attribute("d"))
            .unwrap()
    }

    #[test]
    fn points_land_where_the_axes_say() {
        // y from 0 to 2 in steps of 0.5; left margin 14 + 3 letters · 6.8, right 14, top 26, bottom 40.
        let svg =
            chart(vec![(0.0, 2.0), (10.0, 0.0)], Style::Line).render("a", "chart", (400, 300));
        let svg = roxmltree::Document::parse(&svg).unwrap();
        assert_eq!(line(&svg), "M34.4 26.0L386.0 260.0");
    }

    #[test]
    fn values_that_are_not_finite_are_gaps() {
        let points = vec![
            (1.0, 1.0),
            (2.0, f64::NAN),
            (3.0, 1.0),
            (4.0, 2.0),
            (5.0, f64::INFINITY),
        ];
        for scale in [Scale::Linear, Scale::Log] {
            let mut chart = chart(points.clone(), Style::Line);
            chart.scale = scale;
            let svg = chart.render("a", "chart", (400, 300));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            let svg = roxmltree::Document::parse(&svg).unwrap();
            assert_eq!(line(&svg).matches('M').count(), 2, "{}", line(&svg));
            assert_eq!(line(&svg).matches('L').count(), 1, "{}", line(&svg));
        }
    }

    #[test]
    fn long_lines_are_thinned_without_losing_peaks() {
        let mut points: Vec<_> = (0..100_000).map(|i| (f64::from(i), 0.5)).collect();
        points[54_321].1 = 9.0;
        points[77_777].1 = -9.0;
        let thinned = thin(&points, 200);
        assert!(thinned.len() <= 400);
        assert!(thinned.contains(&points[54_321]) && thinned.contains(&points[77_777]));
        assert!(thinned.is_sorted_by(|a, b| a.0 < b.0));
    }

    #[test]
    fn marks_say_their_values() {
        let svg = chart(vec![(1.0, 0.98)], Style::Marked).render("a", "chart", (400, 300));
        assert!(
            svg.contains("<title>step 1, train loss: 0.98</title>"),
            "{svg}"
        );
        roxmltree::Document::parse(&svg).unwrap();
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let chart = BarChart {
            title: "Speed <b>".into(),
            unit: "images/s".into(),
            bars: vec![
                ("Zerokara".into(), 40_000.0, true),
                ("a & b".into(), 10_000.0, false),
                ("broken".into(), f64::NAN, false),
            ],
            ..BarChart::default()
        };
        let svg = chart.render(720);
        let svg = roxmltree::Document::parse(&svg).unwrap();
        let widths: Vec<f64> = svg
            .descendants()
            .filter(|n| n.has_tag_name(("http://www.w3.org/2000/svg", "rect")))
            .map(|n| n.attribute("width").unwrap().parse().unwrap())
            .collect();
        assert!((widths[0] / widths[1] - 4.0).abs() < 0.01, "{widths:?}");
        assert_eq!(widths[2], 0.0);
        let right = 720.0 - widths[0];
        assert!(right > 200.0, "room for the number: {right}");
    }
}
