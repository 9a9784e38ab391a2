//! Pages: of a lab that has run, and of all labs.

mod code;
mod folds;
mod markdown;

use crate::{
    LABS, Lab, Language, Options,
    play::{PlaySaid, scripts},
    words::{Drawn, Said, starts_as_number, tagged},
};
use markdown::html;
use std::{fmt::Write, ops::Range};
use zerokara::figures::{Figure, STYLE, html::escape, numbers::duration};

/// What a section holds beside its explanation.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub id: &'static str,
    /// The line of the source where it begins.
    line: u32,
    pub blocks: Vec<Block>,
}

#[derive(Clone, Debug)]
pub(crate) enum Block {
    Text(Said),
    Table { columns: Vec<Said>, numeric: Vec<bool>, rows: Vec<Vec<Said>> },
    Figures(Vec<Drawn>),
    Fact(Said),
    Play(PlaySaid),
}

impl Section {
    pub fn new(id: &'static str, line: u32) -> Self {
        Self { id, line, blocks: Vec::new() }
    }
}

/// What a lab said and drew.
pub struct Report {
    pub(crate) lab: &'static Lab,
    pub(crate) options: Options,
    pub(crate) sections: Vec<Section>,
    pub(crate) untranslated: Vec<String>,
    pub(crate) seconds: f64,
}

const PAGE_STYLE: &str = include_str!("page.css");

/// Shows the language that the reader chose last, else the one of the browser.
const SCRIPT: &str = "<script>(function(){var d=document.documentElement,k='zerokara-language';\
function set(l){d.lang=l;d.dataset.language=l}\
var s=null;try{s=localStorage.getItem(k)}catch(e){}\
if(s)set(s);else if(d.dataset.language==='en'&&(navigator.language||'').slice(0,2)==='ja')set('ja');\
document.addEventListener('click',function(e){var l=e.target.dataset&&e.target.dataset.choose;if(l){set(l);\
try{localStorage.setItem(k,l)}catch(e){}}})})()</script>";

impl Report {
    /// The lab.
    pub fn lab(&self) -> &'static Lab {
        self.lab
    }

    /// Seconds that it took.
    pub fn seconds(&self) -> f64 {
        self.seconds
    }

    /// The ids of its sections, in order.
    pub fn sections(&self) -> Vec<&'static str> {
        self.sections.iter().map(|section| section.id).collect()
    }

    /// Its pictures, in order, in one of the languages.
    pub fn figures(&self, language: Language) -> Vec<&Figure> {
        self.drawn().map(|drawn| drawn.of(language)).collect()
    }

    fn drawn(&self) -> impl Iterator<Item = &Drawn> {
        let blocks = self.sections.iter().flat_map(|section| &section.blocks);
        blocks.flat_map(|block| match block {
            Block::Figures(figures) => figures.as_slice(),
            _ => &[],
        })
    }

    /// The picture by which it is known: the first that is neither so flat nor so tall that nothing is seen of it where it is
    /// small.
    fn picture(&self) -> Option<&Drawn> {
        let fits = |drawn: &&Drawn| {
            let (width, height) = drawn.of(Language::English).size();
            width <= 2.4 * height && height <= 1.8 * width && width.max(height) <= 760.0
        };
        self.drawn().find(fits).or_else(|| self.drawn().next())
    }

    /// What it said or drew that its table has no translation of.
    pub fn untranslated(&self) -> &[String] {
        &self.untranslated
    }

    /// What it stated, and found true.
    pub fn facts(&self, language: Language) -> Vec<&str> {
        let blocks = self.sections.iter().flat_map(|section| &section.blocks);
        blocks
            .filter_map(|block| match block {
                Block::Fact(what) => Some(what.of(language)),
                _ => None,
            })
            .collect()
    }

    /// The page: one HTML file that needs nothing else.
    pub fn page(&self) -> String {
        let texts = [Language::English, Language::Japanese].map(|l| (l, self.lab.text(l)));
        let mut out = head(texts[0].1.title, self.options.language);
        out += "<header>";
        out += &place(self.lab);
        let [english, japanese] =
            texts.each_ref().map(|(_, text)| html(&text.introduction));
        out += &title(self.lab).tagged("h1", "");
        out += &tagged("div", "intro", &english, Some(&japanese));
        let _ = writeln!(
            out,
            "<p class=\"command\"><code>{}</code></p></header>",
            escape(&self.command())
        );
        let source = code::Source::of(self.lab.source());
        for (at, section) in self.sections.iter().enumerate() {
            let _ =
                write!(out, "<section id=\"{}\"><div class=\"story\">", escape(section.id));
            for (language, text) in &texts {
                if let Some((_, title, body)) =
                    text.sections.iter().find(|s| s.0 == section.id)
                {
                    let class = language.code();
                    let _ = write!(
                        out,
                        "<div class=\"{class}\" lang=\"{class}\"><h2>{}</h2>{}</div>",
                        escape(title),
                        html(body)
                    );
                }
            }
            section.blocks.iter().for_each(|block| block.render(&mut out));
            let _ = writeln!(out, "</div>{}</section>", source.part(self.lines_of(at)));
        }
        let _ = writeln!(
            out,
            "<details class=\"source\"><summary>{}</summary>{}</details>\
             <footer>Zerokara {} · {} · {}</footer></main>{}</body></html>",
            Said::common("The whole source").html(),
            source.whole(),
            env!("CARGO_PKG_VERSION"),
            escape(&self.command()),
            duration(self.seconds),
            scripts(&self.plays())
        );
        out
    }

    /// The kinds of what can be played with on the page.
    fn plays(&self) -> Vec<&'static str> {
        let blocks = self.sections.iter().flat_map(|section| &section.blocks);
        let kinds = blocks.filter_map(|block| match block {
            Block::Play(play) => Some(play.kind),
            _ => None,
        });
        kinds.collect()
    }

    /// The command that runs the lab like this.
    fn command(&self) -> String {
        let mut out = format!("zerokara lab {}", self.lab.name());
        if self.options.seed != 0 {
            let _ = write!(out, " --seed {}", self.options.seed);
        }
        if self.options.quick {
            out += " --quick";
        }
        for (name, value) in &self.options.values {
            let _ = write!(out, " --{name} {value}");
        }
        out
    }

    /// The lines of the source that a section runs, counted from 0.
    fn lines_of(&self, at: usize) -> Range<usize> {
        // The line of `lab.section`, counted from 1, is the one before the section's first counted from 0.
        let from = self.sections[at].line as usize;
        let next =
            self.sections.get(at + 1).map(|s| s.line as usize).filter(|line| *line > from);
        if let Some(next) = next {
            return from..next - 1;
        }
        // The function ends with a brace at the beginning of a line, before which it gives back that all is well.
        let lines: Vec<&str> = self.lab.source().lines().skip(from).collect();
        let end = lines.iter().position(|line| *line == "}").unwrap_or(lines.len());
        let is_result = end > 0 && lines[end - 1].trim() == "Ok(())";
        from..from + end - usize::from(is_result)
    }
}

impl Block {
    fn render(&self, out: &mut String) {
        match self {
            Self::Text(text) => {
                *out += &text.tagged("pre", "said");
            }
            Self::Table { columns, numeric, rows } => {
                let class = |at: usize| {
                    if numeric.get(at) == Some(&true) { " class=\"number\"" } else { "" }
                };
                *out += "<div class=\"scroll\"><table><thead><tr>";
                for (at, column) in columns.iter().enumerate() {
                    let _ = write!(out, "<th{}>{}</th>", class(at), column.html());
                }
                *out += "</tr></thead><tbody>";
                for row in rows {
                    *out += "<tr>";
                    for (at, cell) in row.iter().enumerate() {
                        // A number and its unit stay together.
                        let is_whole = starts_as_number(&cell.english)
                            && cell.english.chars().count() < 24;
                        let class = match is_whole {
                            true if class(at).is_empty() => " class=\"whole\"",
                            _ => class(at),
                        };
                        let _ = write!(out, "<td{class}>{}</td>", cell.html());
                    }
                    *out += "</tr>";
                }
                *out += "</tbody></table></div>";
            }
            Self::Figures(figures) => {
                *out += "<div class=\"figures\">";
                for figure in figures {
                    *out += &figure.tagged("div", "scroll");
                }
                *out += "</div>";
            }
            Self::Play(play) => *out += &play.html(),
            Self::Fact(what) => {
                let _ = write!(out, "<p class=\"fact\">{}</p>", what.html());
            }
        }
    }
}

/// The page that lists all labs; those that have run are links, with their first picture.
pub fn gallery(reports: &[Report], language: Language) -> String {
    let mut out = head("Zerokara labs", language);
    let [english, japanese] =
        [include_str!("gallery.en.md"), include_str!("gallery.ja.md")].map(html);
    let _ = write!(
        out,
        "<header>{}{}</header>",
        Said::common("The book's labs").tagged("h1", ""),
        tagged("div", "intro", &english, Some(&japanese))
    );
    let mut chapter = None;
    for lab in LABS {
        if chapter != Some(lab.chapter()) {
            if chapter.is_some() {
                out += "</div></section>";
            }
            chapter = Some(lab.chapter());
            let name = Said::common(chapter_name(lab.chapter())).tagged("h2", "");
            let _ = write!(out, "<section class=\"chapter\">{name}<div class=\"cards\">");
        }
        let titles = title(lab).tagged("b", "");
        match reports.iter().find(|report| report.lab.name() == lab.name()) {
            Some(report) => {
                let picture = report.picture().map(|drawn| drawn.tagged("span", "picture"));
                let _ = write!(
                    out,
                    "<a class=\"card\" href=\"{}.html\">{}{titles}{}</a>",
                    lab.name(),
                    picture.unwrap_or_default(),
                    place(lab)
                );
            }
            None => {
                let _ = write!(
                    out,
                    "<div class=\"card\">{titles}{}<code>zerokara lab {}</code></div>",
                    place(lab),
                    lab.name()
                );
            }
        }
    }
    if chapter.is_some() {
        out += "</div></section>";
    }
    let seconds: f64 = reports.iter().map(Report::seconds).sum();
    let _ = writeln!(
        out,
        "<footer>Zerokara {} · {}</footer></main></body></html>",
        env!("CARGO_PKG_VERSION"),
        duration(seconds)
    );
    out
}

/// The chapters' names.
fn chapter_name(chapter: u8) -> &'static str {
    match chapter {
        1 => "Chapter 1: from NumPy to Zerokara",
        2 => "Chapter 2: perceptrons",
        3 => "Chapter 3: neural networks",
        4 => "Chapter 4: learning",
        5 => "Chapter 5: backpropagation",
        6 => "Chapter 6: techniques of learning",
        7 => "Chapter 7: convolutional networks",
        8 => "Chapter 8: deep learning",
        _ => "Beyond the book",
    }
}

/// A lab's title, in both languages.
fn title(lab: &Lab) -> Said {
    Said::of_each(|language| lab.text(language).title.to_string())
}

/// Chapter and pages, in both languages.
fn place(lab: &Lab) -> String {
    let pages = lab.pages();
    let place = match lab.chapter() {
        0 => Said::common("Beyond the book"),
        chapter => {
            let s = if pages.contains([',', '–']) { "s" } else { "" };
            let mut place = Said::common(&format!("Chapter {chapter}, page{s} {pages}"));
            place.japanese = place.japanese.replace(", ", "、");
            place
        }
    };
    place.tagged("span", "place")
}

fn head(title: &str, language: Language) -> String {
    let code = language.code();
    format!(
        "<!DOCTYPE html>\n<html lang=\"{code}\" data-language=\"{code}\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>{}</title>\n<style>\n{STYLE}{PAGE_STYLE}</style>\n{SCRIPT}\n</head>\n<body>\n<main>\n\
         <nav><a class=\"home\" href=\"index.html\">Zerokara</a><span><button data-choose=\"en\" lang=\"en\">English</button><button data-choose=\"ja\" lang=\"ja\">日本語</button></span></nav>\n",
        escape(title)
    )
}
