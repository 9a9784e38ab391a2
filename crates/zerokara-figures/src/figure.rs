//! A picture that is done, and what all pictures are made of.

use crate::{
    html::{escape, legal},
    style::STYLE,
};
use std::{
    fmt::{self, Write},
    sync::Arc,
};
use svg::node::element::{Element, Group, Text, Title};

/// What stands for a text in another language; the text itself if it needs none.
pub(crate) type Words<'a> = &'a dyn Fn(&str) -> String;

/// What can be drawn, and be drawn again with other words: they change how much room things need.
pub(crate) trait Draw: Send + Sync {
    /// The picture, in which each text is what `words` makes of it.
    fn draw(&self, words: Words<'_>) -> Drawing;
}

/// A picture as elements of SVG.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Drawing {
    title: String,
    description: String,
    width: f64,
    height: f64,
    /// The elements inside of `<svg>`.
    body: String,
}

impl Drawing {
    pub fn new(
        title: &str,
        description: String,
        (width, height): (f64, f64),
        body: &Group,
    ) -> Self {
        Self {
            title: title.to_string(),
            description,
            width,
            height,
            body: body.to_string(),
        }
    }
}

/// One picture, drawn.
#[derive(Clone)]
pub struct Figure {
    source: Arc<dyn Draw>,
    drawing: Drawing,
}

impl fmt::Debug for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.drawing.fmt(f)
    }
}

impl PartialEq for Figure {
    fn eq(&self, other: &Self) -> bool {
        self.drawing == other.drawing
    }
}

impl Figure {
    pub(crate) fn of(source: impl Draw + 'static) -> Self {
        Self {
            drawing: source.draw(&str::to_string),
            source: Arc::new(source),
        }
    }

    /// The same picture in another language: each title, label and word in it, and each sentence of its description, is
    /// what `words` makes of the one that was given. Everything is laid out anew for them.
    ///
    /// ```
    /// use zerokara_figures::Bars;
    ///
    /// let figure = Bars::new("Loss").bar("first step", [2.3]).bar("last step", [0.4]).figure();
    /// let japanese = figure.translated(&|text| match text {
    ///     "Loss" => "損失".into(),
    ///     "first step" => "最初のステップ".into(),
    ///     "last step" => "最後のステップ".into(),
    ///     other => other.into(),
    /// });
    /// assert_eq!((figure.title(), japanese.title()), ("Loss", "損失"));
    /// assert!(japanese.svg().contains("最後のステップ"));
    /// ```
    pub fn translated(&self, words: &dyn Fn(&str) -> String) -> Self {
        Self {
            source: self.source.clone(),
            drawing: self.source.draw(words),
        }
    }

    /// What it shows.
    pub fn title(&self) -> &str {
        &self.drawing.title
    }

    /// Width and height in pixels at the size at which its text is best read.
    pub fn size(&self) -> (f64, f64) {
        (self.drawing.width, self.drawing.height)
    }

    /// The `<svg>` element for a page that has [`STYLE`]. It shrinks with the room that it is given, as long as its text
    /// can be read.
    pub fn svg(&self) -> String {
        self.element("")
    }

    /// The picture as an SVG file of its own.
    pub fn file(&self) -> String {
        let paper = format!(
            "<style>{STYLE}</style><rect class=\"paper\" width=\"{}\" height=\"{}\" rx=\"6\"/>",
            self.drawing.width, self.drawing.height
        );
        self.element(&paper) + "\n"
    }

    fn element(&self, first: &str) -> String {
        let mut out = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"figure\" role=\"img\" width=\"{w}\" height=\"{h}\" style=\"min-width:{least}px\" viewBox=\"0 0 {w} {h}\"><title>{}</title>",
            escape(&self.drawing.title),
            w = self.drawing.width,
            h = self.drawing.height,
            // Text that is smaller than this can hardly be read: rather than shrink more, it is scrolled.
            least = (self.drawing.width * 0.7).floor(),
        );
        if !self.drawing.description.is_empty() {
            let _ = write!(out, "<desc>{}</desc>", escape(&self.drawing.description));
        }
        out + first + &self.drawing.body + "</svg>"
    }
}

/// A number of pixels, to a tenth.
pub(crate) fn px(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// A line of text; `anchor` is `start`, `middle` or `end`.
pub(crate) fn text(at: (f64, f64), anchor: &str, class: &str, content: &str) -> Element {
    // The writer of SVG escapes what opens tags, not what XML forbids.
    let text = Text::new(content.chars().map(legal).collect::<String>())
        .set("x", px(at.0))
        .set("y", px(at.1))
        .set("text-anchor", anchor);
    match class {
        "" => text.into(),
        class => text.set("class", class).into(),
    }
}

/// The width of text of this size in pixels, about: letters that are wide in East Asia count twice.
pub(crate) fn width_of(text: &str, size: f64) -> f64 {
    let units = |c: char| match c {
        'i' | 'j' | 'l' | '.' | ',' | ':' | ' ' | '|' | '(' | ')' | '[' | ']' | '1' => 0.42,
        'm' | 'w' | 'M' | 'W' => 0.85,
        c if u32::from(c) >= 0x2E80 => 1.0,
        _ => 0.58,
    };
    text.chars().map(units).sum::<f64>() * size
}

/// What is told of an element to who points at it.
pub(crate) fn told(content: &str) -> Title {
    Title::new(content.chars().map(legal).collect::<String>())
}

/// As much of the text as is this wide, with an ellipsis for what is left out.
pub(crate) fn shortened(text: &str, size: f64, most: f64) -> String {
    if width_of(text, size) <= most {
        return text.to_string();
    }
    let mut out = String::new();
    let mut width = size; // of the ellipsis
    for c in text.chars() {
        width += width_of(c.encode_utf8(&mut [0; 4]), size);
        if width > most {
            break;
        }
        out.push(c);
    }
    out + "…"
}
