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
    controls: Vec<Control>,
    data: Map<String, Value>,
    /// Texts among the values, each under the path of its keys.
    words: Vec<(Vec<String>, String)>,
    frames: Vec<Figure>,
}

#[derive(Clone, Debug)]
struct Control {
    name: &'static str,
    label: String,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    /// From, to, step, value; whether the value is an exponent of ten.
    Slider([f64; 4], bool),
    /// Values and what is said of them.
    Select(Vec<(String, String)>),
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

    fn control(mut self, name: &'static str, label: &str, kind: Kind) -> Self {
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
        let options = options.iter().map(|option| (option.to_string(), option.to_string()));
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
        self.words.push((vec![list.into(), name.into()], text.into()));
        self
    }

    /// In both languages.
    fn said(self, session: &Session<'_>) -> PlaySaid {
        let mut data = self.data;
        let about = KINDS.iter().find(|(kind, ..)| *kind == self.kind);
        let about = session.said(about.map_or(self.kind, |(_, about, _)| about));
        data.insert("about".into(), json!({ "en": about.english, "ja": about.japanese }));
        for (path, text) in &self.words {
            let said = session.said(text);
            let list = data.entry(path[0].clone()).or_insert_with(|| json!({}));
            list[path[1].as_str()] = json!({ "en": said.english, "ja": said.japanese });
        }
        let controls = self.controls.into_iter().map(|control| {
            let label = session.said(&control.label);
            let kind = match control.kind {
                Kind::Slider(numbers, power) => SaidKind::Slider(numbers, power),
                Kind::Select(options) => SaidKind::Select(
                    options.into_iter().map(|(v, t)| (v, session.said(&t))).collect(),
                ),
            };
            (control.name, label, kind)
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
    controls: Vec<(&'static str, Said, SaidKind)>,
    data: Value,
    frames: Vec<Drawn>,
}

#[derive(Clone, Debug)]
enum SaidKind {
    Slider([f64; 4], bool),
    Select(Vec<(String, Said)>),
}

impl PlaySaid {
    /// The controls and an empty stage.
    pub fn html(&self) -> String {
        let mut out = format!(
            "<div class=\"play\" data-play=\"{}\" data-values=\"{}\"><div class=\"controls\">",
            self.kind,
            escape(&self.data.to_string())
        );
        for (name, label, kind) in &self.controls {
            let _ = write!(out, "<label><span>{}</span>", label.html());
            let _ = match kind {
                SaidKind::Slider([low, high, step, value], power) => write!(
                    out,
                    "<input type=\"range\" name=\"{name}\" min=\"{low}\" max=\"{high}\" step=\"{step}\" value=\"{value}\"{}/><output></output>",
                    if *power { " data-power=\"10\"" } else { "" }
                ),
                SaidKind::Select(options) => {
                    let _ = write!(out, "<select name=\"{name}\">");
                    for (value, said) in options {
                        // An option holds no elements: a script says it in the page's language.
                        let _ = write!(
                            out,
                            "<option value=\"{}\" data-en=\"{}\" data-ja=\"{}\">{}</option>",
                            escape(value),
                            escape(&said.english),
                            escape(&said.japanese),
                            escape(&said.english)
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
    out += include_str!("page/play/page.js");
    if !kinds.is_empty() {
        out += include_str!("page/play/play.js");
    }
    for (_, _, script) in KINDS.iter().filter(|(kind, ..)| kinds.contains(kind)) {
        out += script;
    }
    out + "</script>"
}
