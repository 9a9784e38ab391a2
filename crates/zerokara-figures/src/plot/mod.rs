//! Plots: lines, dots, bars, arrows, contours and pictures over two axes.

mod draw;
mod series;

use crate::{Picture, axis::Scale, style::COLORS};
#[cfg(feature = "contours")]
use contour::ContourBuilder;

/// A plot over two axes. Series are added one after another; what follows one ([`Plot::color`], [`Plot::dashed`],
/// [`Plot::pale`]) changes the last that was added. Axes take the range of what is drawn unless they are told one.
/// Points that are not finite, or not positive on a logarithmic axis, are gaps.
///
/// ```
/// use zerokara_figures::Plot;
///
/// let curve = |f: fn(f64) -> f64| (-50..=50).map(move |i| (f64::from(i) / 10.0, f(f64::from(i) / 10.0)));
/// let figure = Plot::new("Activation functions")
///     .axes("x", "y")
///     .line("sigmoid", curve(|x| 1.0 / (1.0 + (-x).exp())))
///     .line("ReLU", curve(|x| x.max(0.0))).dashed()
///     .y_range(-0.1, 1.1)
///     .figure();
/// assert!(figure.svg().contains("sigmoid"));
/// ```
#[derive(Clone, Debug)]
pub struct Plot {
    title: String,
    size: (f64, f64),
    x: Dimension,
    y: Dimension,
    equal: bool,
    series: Vec<Series>,
    draws_title: bool,
    legend: bool,
    last_values: bool,
}

#[derive(Clone, Debug, Default)]
struct Dimension {
    name: String,
    scale: Scale,
    range: Option<(f64, f64)>,
    /// What to reach at least, and what not to go beyond, where no range is given.
    focus: Option<(f64, f64)>,
    limits: Option<(f64, f64)>,
    whole: bool,
    ticks: Option<Vec<(f64, String)>>,
}

#[derive(Clone, Debug)]
struct Series {
    name: String,
    shape: Shape,
    /// Number in the palette; `None` is grey.
    color: Option<usize>,
    dashed: bool,
    pale: bool,
    thin: bool,
}

#[derive(Clone, Debug)]
enum Shape {
    Line(Vec<(f64, f64)>),
    Dots(Vec<(f64, f64)>),
    /// The series' name at each point.
    Marks(Vec<(f64, f64)>),
    /// A line with a mark at each point.
    Path(Vec<(f64, f64)>),
    /// From zero up to y, this wide around x.
    Bars(Vec<(f64, f64)>, f64),
    /// From a point, by a vector.
    Arrows(Vec<[f64; 4]>),
    /// Lines that belong together, without an influence on the axes.
    #[cfg_attr(not(feature = "contours"), allow(dead_code))]
    Contours(Vec<Vec<(f64, f64)>>),
    /// An upright line at this x, with a word above.
    Upright(f64, String),
    Text((f64, f64), String),
    Picture(Picture, (f64, f64), (f64, f64)),
}

type Points = Vec<(f64, f64)>;

impl Plot {
    /// An empty plot.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            size: (440.0, 320.0),
            x: Dimension::default(),
            y: Dimension::default(),
            equal: false,
            series: Vec::new(),
            draws_title: true,
            legend: true,
            last_values: false,
        }
    }

    /// Width and height in pixels; 440 by 320 unless set.
    pub fn size(mut self, width: u32, height: u32) -> Self {
        self.size = (f64::from(width.max(120)), f64::from(height.max(100)));
        self
    }

    /// Names of the axes, with their units.
    pub fn axes(mut self, x: impl Into<String>, y: impl Into<String>) -> Self {
        (self.x.name, self.y.name) = (x.into(), y.into());
        self
    }

    /// The part of the horizontal axis to show.
    pub fn x_range(mut self, low: f64, high: f64) -> Self {
        self.x.range = Some((low, high));
        self
    }

    /// The part of the vertical axis to show.
    pub fn y_range(mut self, low: f64, high: f64) -> Self {
        self.y.range = Some((low, high));
        self
    }

    /// The part of the vertical axis to show at least, instead of all that is drawn; it goes on to the next round numbers.
    /// What lies beyond is cut off: for curves whose outliers would flatten the rest.
    pub fn y_focus(mut self, low: f64, high: f64) -> Self {
        self.y.focus = Some((low, high)).filter(|_| low.is_finite() && high.is_finite());
        self
    }

    /// Values that the vertical axis does not go beyond when it goes on to round numbers: 0 and 1 for shares.
    pub fn y_limits(mut self, low: f64, high: f64) -> Self {
        self.y.limits = Some((low, high));
        self
    }

    /// Marks the horizontal axis at whole numbers alone: for epochs and steps.
    pub fn whole_x(mut self) -> Self {
        self.x.whole = true;
        self
    }

    /// Makes the horizontal axis logarithmic.
    pub fn log_x(mut self) -> Self {
        self.x.scale = Scale::Log;
        self
    }

    /// Makes the vertical axis logarithmic.
    pub fn log_y(mut self) -> Self {
        self.y.scale = Scale::Log;
        self
    }

    /// The marks of the horizontal axis, with their labels.
    pub fn x_ticks<L: Into<String>>(mut self, ticks: impl IntoIterator<Item = (f64, L)>) -> Self {
        self.x.ticks = Some(ticks.into_iter().map(|(v, l)| (v, l.into())).collect());
        self
    }

    /// The marks of the vertical axis, with their labels.
    pub fn y_ticks<L: Into<String>>(mut self, ticks: impl IntoIterator<Item = (f64, L)>) -> Self {
        self.y.ticks = Some(ticks.into_iter().map(|(v, l)| (v, l.into())).collect());
        self
    }

    /// Makes one unit as long on both axes: for planes, in which angles mean something. Both ranges must be given.
    pub fn equal(mut self) -> Self {
        self.equal = true;
        self
    }

    /// Leaves the title out of the picture, where the page says it; it stays the name of the picture.
    pub fn no_title(mut self) -> Self {
        self.draws_title = false;
        self
    }

    /// Tells the last value of each line in the legend.
    ///
    /// ```
    /// use zerokara_figures::Plot;
    ///
    /// // Losses by epoch; their last values beside their names, and the epoch that was kept.
    /// let figure = Plot::new("Loss")
    ///     .axes("epoch", "loss")
    ///     .whole_x()
    ///     .path("train", [(1.0, 0.91), (2.0, 0.42), (3.0, 0.25)])
    ///     .path("validation", [(1.0, 0.88), (2.0, 0.51), (3.0, 0.53)])
    ///     .last_values()
    ///     .x_mark(2.0, "best")
    ///     .figure();
    /// assert!(figure.svg().contains("0.53") && figure.svg().contains("best"));
    /// ```
    pub fn last_values(mut self) -> Self {
        self.last_values = true;
        self
    }

    /// Leaves the legend out.
    pub fn no_legend(mut self) -> Self {
        self.legend = false;
        self
    }

    fn add(mut self, name: impl Into<String>, shape: Shape) -> Self {
        let named = self.series.iter().filter(|s| !s.name.is_empty()).count();
        self.series.push(Series {
            name: name.into(),
            shape,
            color: Some(named % COLORS),
            dashed: false,
            pale: false,
            thin: false,
        });
        self
    }

    /// A line. Series without a name are not in the legend.
    pub fn line(
        self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        self.add(name, Shape::Line(points.into_iter().collect()))
    }

    /// A line over the numbers 1, 2, 3, ..: values by step or epoch.
    pub fn curve(self, name: impl Into<String>, values: &[f64]) -> Self {
        let points = values.iter().enumerate().map(|(i, &y)| ((i + 1) as f64, y));
        self.line(name, points.collect::<Points>())
    }

    /// Dots.
    pub fn dots(
        self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        self.add(name, Shape::Dots(points.into_iter().collect()))
    }

    /// The name itself at each point: for points of more classes than there are colours. It needs no legend.
    pub fn marks(
        self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        self.add(name, Shape::Marks(points.into_iter().collect()))
    }

    /// A line with a mark at each of its points: a circle, a square, a triangle or a diamond by the number of its colour, so
    /// that lines differ also without colours.
    pub fn path(
        self,
        name: impl Into<String>,
        points: impl IntoIterator<Item = (f64, f64)>,
    ) -> Self {
        self.add(name, Shape::Path(points.into_iter().collect()))
    }

    /// Bars from zero up to y, `width` wide around x.
    pub fn bars(
        self,
        name: impl Into<String>,
        bars: impl IntoIterator<Item = (f64, f64)>,
        width: f64,
    ) -> Self {
        self.add(name, Shape::Bars(bars.into_iter().collect(), width))
    }

    /// How many of the values lie in each of `bins` equal parts of the range; those outside are left out.
    pub fn histogram(
        self,
        name: impl Into<String>,
        values: &[f64],
        (low, high): (f64, f64),
        bins: usize,
    ) -> Self {
        let bins = bins.max(1);
        let width = (high - low) / bins as f64;
        let mut counts = vec![0.0; bins];
        for value in values {
            let at = (value - low) / width;
            // The upper end belongs to the last bin.
            if (0.0..=bins as f64).contains(&at) {
                counts[(at as usize).min(bins - 1)] += 1.0;
            }
        }
        let bars = counts.into_iter().enumerate();
        let bars: Points = bars
            .map(|(i, n)| (low + (i as f64 + 0.5) * width, n))
            .collect();
        self.bars(name, bars, width)
    }

    /// An arrow for each point and vector, `[x, y, dx, dy]`.
    pub fn arrows(
        self,
        name: impl Into<String>,
        arrows: impl IntoIterator<Item = [f64; 4]>,
    ) -> Self {
        self.add(name, Shape::Arrows(arrows.into_iter().collect()))
    }

    /// The lines on which a function has each of the levels, within the given ranges of x and y.
    #[cfg(feature = "contours")]
    pub fn contours(
        mut self,
        name: impl Into<String>,
        f: impl Fn(f64, f64) -> f64,
        levels: &[f64],
        x: (f64, f64),
        y: (f64, f64),
    ) -> Self {
        // The lines are closed along the border of the samples, which therefore lies outside of what is shown.
        const CELLS: usize = 120;
        let step = |(low, high): (f64, f64)| (high - low) / CELLS as f64;
        let (dx, dy) = (step(x), step(y));
        let at = |low: f64, d: f64, i: usize| low + (i as f64 - 3.0) * d;
        let count = CELLS + 7;
        let mut values = Vec::with_capacity(count * count);
        for row in 0..count {
            values.extend((0..count).map(|column| f(at(x.0, dx, column), at(y.0, dy, row))));
        }
        let found = ContourBuilder::new(count, count, true).lines(&values, levels);
        let mut lines = Vec::new();
        for level in found.iter().flatten() {
            for line in level.geometry() {
                // A sample stands in the middle of its cell.
                let points = line.0.iter();
                lines.push(
                    points
                        .map(|c| (x.0 + (c.x - 3.5) * dx, y.0 + (c.y - 3.5) * dy))
                        .collect(),
                );
            }
        }
        self = self.add(name, Shape::Contours(lines));
        if let Some(last) = self.series.last_mut() {
            last.color = None;
        }
        self
    }

    /// An upright dashed line at this x with a word above it: the epoch that did best, the limit of what was tried. It has no
    /// influence on the axes.
    pub fn x_mark(self, x: f64, word: impl Into<String>) -> Self {
        self.add("", Shape::Upright(x, word.into())).grey().dashed()
    }

    /// A line of text that begins at the point.
    pub fn text(self, x: f64, y: f64, content: impl Into<String>) -> Self {
        self.add("", Shape::Text((x, y), content.into()))
    }

    /// A picture behind everything, over the given ranges of x and y; its first row is at the high end of y.
    pub fn picture(self, picture: Picture, x: (f64, f64), y: (f64, f64)) -> Self {
        self.add("", Shape::Picture(picture, x, y))
    }

    /// The number of the last series' colour in the palette, 0 to 5.
    pub fn color(mut self, number: usize) -> Self {
        if let Some(last) = self.series.last_mut() {
            last.color = Some(number % COLORS);
        }
        self
    }

    /// Draws the last series in grey.
    pub fn grey(mut self) -> Self {
        if let Some(last) = self.series.last_mut() {
            last.color = None;
        }
        self
    }

    /// Dashes the last series.
    pub fn dashed(mut self) -> Self {
        if let Some(last) = self.series.last_mut() {
            last.dashed = true;
        }
        self
    }

    /// Draws the last series pale, as a background to others.
    pub fn pale(mut self) -> Self {
        if let Some(last) = self.series.last_mut() {
            last.pale = true;
        }
        self
    }

    /// Draws the lines of the last series thin.
    pub fn thin(mut self) -> Self {
        if let Some(last) = self.series.last_mut() {
            last.thin = true;
        }
        self
    }
}
