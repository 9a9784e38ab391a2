//! Things to play with: controls, and what a script of the page draws for their values.

use crate::{
    Session,
    words::{Drawn, Said},
};
use serde_json::{Map, Value, json};
use std::{fmt::Write, ops::RangeInclusive};
use zerokara::figures::{Figure, html::escape};

/// Something to play with: its kind, which is a script in `page/play/`, the controls, and values that the script needs.
#[derive(Clone, Debug)]
pub struct Play {
    kind: &'static str,
    controls: Vec<Control<String>>,
    data: Map<String, Value>,
    /// Texts among the values: list, name and text.
    words: Vec<[String; 3]>,
    frames: Vec<Figure>,
}

/// A control, with texts in English or in both languages.
#[derive(Clone, Debug)]
struct Control<T> {
    name: &'static str,
    label: T,
    kind: Kind<T>,
}

#[derive(Clone, Debug)]
enum Kind<T> {
    /// From, to, step, value; whether the value is an exponent of ten.
    Slider([f64; 4], bool),
    /// Words to choose from, known to the script in English.
    Select(Vec<T>),
}

impl Play {
    /// Something of this kind, without controls yet.
    pub fn new(kind: &'static str) -> Self {
        Self {
            kind,
            controls: Vec::new(),
            data: Map::new(),
            words: Vec::new(),
            frames: Vec::new(),
        }
    }

    fn control(mut self, name: &'static str, label: &str, kind: Kind<String>) -> Self {
        self.controls.push(Control { name, label: label.to_string(), kind });
        self
    }

    /// A slider over numbers, `step` apart, that stands at `value`.
    pub fn slider(
        self,
        name: &'static str,
        label: &str,
        range: RangeInclusive<f64>,
        step: f64,
        value: f64,
    ) -> Self {
        let kind = Kind::Slider([*range.start(), *range.end(), step, value], false);
        self.control(name, label, kind)
    }

    /// A slider over powers of ten, whose exponents are `step` apart.
    pub fn powers(
        self,
        name: &'static str,
        label: &str,
        exponents: RangeInclusive<f64>,
        step: f64,
        exponent: f64,
    ) -> Self {
        let kind =
            Kind::Slider([*exponents.start(), *exponents.end(), step, exponent], true);
        self.control(name, label, kind)
    }

    /// A choice of words; the first one is chosen.
    pub fn select(self, name: &'static str, label: &str, options: &[&str]) -> Self {
        let options = options.iter().map(ToString::to_string);
        self.control(name, label, Kind::Select(options.collect()))
    }

    /// Numbers that the script knows by this name: a list, or rows of a matrix.
    pub fn numbers(mut self, name: &str, numbers: impl Into<Value>) -> Self {
        self.data.insert(name.into(), numbers.into());
        self
    }

    /// A text that the script knows by this name, under `words`.
    pub fn word(self, name: &str, text: &str) -> Self {
        self.word_in("words", name, text)
    }

    /// A text in a list of its own.
    pub fn word_in(mut self, list: &str, name: &str, text: &str) -> Self {
        self.words.push([list, name, text].map(Into::into));
        self
    }

    /// In both languages.
    fn said(self, session: &Session<'_>) -> PlaySaid {
        let both = |text: &str| {
            let said = session.said(text);
            json!({ "en": said.english, "ja": said.japanese })
        };
        let mut data = self.data;
        let about = KINDS.iter().find(|(kind, ..)| *kind == self.kind);
        data.insert("about".into(), both(about.map_or(self.kind, |(_, about, _)| about)));
        for [list, name, text] in self.words {
            let list = data.entry(list).or_insert_with(|| json!({}));
            list[name] = both(&text);
        }
        let controls = self.controls.into_iter().map(|control| Control {
            name: control.name,
            label: session.said(&control.label),
            kind: match control.kind {
                Kind::Slider(numbers, power) => Kind::Slider(numbers, power),
                Kind::Select(options) => Kind::Select(
                    options.iter().map(|option| session.said(option)).collect(),
                ),
            },
        });
        PlaySaid {
            kind: self.kind,
            controls: controls.collect(),
            data: Value::Object(data),
            frames: self.frames.into_iter().map(|figure| session.drawn(figure)).collect(),
        }
    }
}

impl Session<'_> {
    /// Something to play with, below what was drawn: it is there where scripts run.
    pub fn play(&mut self, play: Play) {
        let said = play.said(self);
        self.block(crate::page::Block::Play(said));
    }

    /// Pictures of which a slider shows one, each under a name of its position.
    pub fn frames(
        &mut self,
        label: &str,
        frames: impl IntoIterator<Item = (String, Figure)>,
        first: usize,
    ) {
        let (names, frames): (Vec<String>, Vec<Figure>) = frames.into_iter().unzip();
        let count = frames.len().max(1) as f64;
        let mut play = Play::new("frames")
            .slider("frame", label, 1.0..=count, 1.0, (first + 1) as f64)
            .numbers("names", names);
        play.frames = frames;
        self.play(play);
    }
}

/// Something to play with, in both languages.
#[derive(Clone, Debug)]
pub(crate) struct PlaySaid {
    pub kind: &'static str,
    controls: Vec<Control<Said>>,
    data: Value,
    frames: Vec<Drawn>,
}

impl PlaySaid {
    /// The controls and an empty stage.
    pub fn html(&self) -> String {
        let mut out = format!(
            "<div class=\"play\" data-play=\"{}\" data-values=\"{}\"><div class=\"controls\">",
            self.kind,
            escape(&self.data.to_string())
        );
        for Control { name, label, kind } in &self.controls {
            let _ = write!(out, "<label><span>{}</span>", label.html());
            let _ = match kind {
                Kind::Slider([low, high, step, value], power) => write!(
                    out,
                    "<input type=\"range\" name=\"{name}\" min=\"{low}\" max=\"{high}\" step=\"{step}\" value=\"{value}\"{}/><output></output>",
                    if *power { " data-power=\"10\"" } else { "" }
                ),
                Kind::Select(options) => {
                    let _ = write!(out, "<select name=\"{name}\">");
                    for said in options {
                        // An option holds no elements: a script says it in the page's language.
                        let _ = write!(
                            out,
                            "<option value=\"{0}\" data-en=\"{0}\" data-ja=\"{1}\">{0}</option>",
                            escape(&said.english),
                            escape(&said.japanese)
                        );
                    }
                    write!(out, "</select>")
                }
            };
            out += "</label>";
        }
        out += "</div><div class=\"stage\">";
        for frame in &self.frames {
            let _ =
                write!(out, "<div class=\"frame\">{}</div>", frame.tagged("div", "scroll"));
        }
        out + "</div></div>"
    }
}

/// The kinds of things: what each shows, and its script.
const KINDS: [(&str, &str, &str); 9] = [
    ("valley", "the path of an optimizer in a valley", include_str!("page/play/valley.js")),
    (
        "tangent",
        "a curve and the line by a numerical slope",
        include_str!("page/play/tangent.js"),
    ),
    (
        "perceptron",
        "the line of a perceptron in the plane",
        include_str!("page/play/perceptron.js"),
    ),
    ("sigmoid", "a sigmoid, steep and shifted", include_str!("page/play/sigmoid.js")),
    ("windows", "a filter that slides over an image", include_str!("page/play/windows.js")),
    (
        "im2col",
        "an image and the matrix of its windows",
        include_str!("page/play/im2col.js"),
    ),
    ("temperature", "softmax at a temperature", include_str!("page/play/temperature.js")),
    (
        "shopping",
        "a graph of prices with values and gradients",
        include_str!("page/play/shopping.js"),
    ),
    ("frames", "pictures of which one is shown", include_str!("page/play/frames.js")),
];

/// The scripts of these kinds of things, and of what every page does.
pub(crate) fn scripts(kinds: &[&str]) -> String {
    let mut out = String::from("<script>\n");
    out += zerokara::figures::SCRIPT;
    out += include_str!("page/play/page.js");
    if !kinds.is_empty() {
        out += include_str!("page/play/play.js");
    }
    for (_, _, script) in KINDS.iter().filter(|(kind, ..)| kinds.contains(kind)) {
        out += script;
    }
    out + "</script>"
}
