//! The page of a search: one file that needs nothing else.

use super::{Criterion, Found, Range, Search, State, Trial, Values, importance, ranked};
use crate::{
    language::Words,
    report::{
        PAGE_STYLE, drawn,
        html::escape,
        numbers::{percent, significant, thousands},
    },
};
use serde_json::Value;
use std::fmt::Write;
use zerokara_data::Dataset;
use zerokara_figures::{
    Bars, Figure, Parallel, Plot, STYLE,
    axis::{Axis, Scale},
};

/// Trials of the table.
const ROWS: usize = 200;

/// A range in a few signs: `0.0001 to 0.1 (log)`, `32, 64, 128`.
pub fn in_words(range: &Range) -> String {
    let scale = |log: bool| if log { " (log)" } else { "" };
    let mut told = match &range.values {
        Values::Number { low, high, log } => format!("{low} .. {high}{}", scale(*log)),
        Values::Whole { low, high, log } => format!("{low} .. {high}{}", scale(*log)),
        Values::Choice(values) => values.iter().map(plain).collect::<Vec<_>>().join(", "),
    };
    for (field, values) in &range.when {
        let values: Vec<String> = values.iter().map(plain).collect();
        let _ = write!(told, "  ({field}: {})", values.join(", "));
    }
    told
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

/// A measure as people read it.
fn measured(value: f64, criterion: &Criterion) -> String {
    match criterion.is_share {
        true => percent(value),
        false => significant(value, 4),
    }
}

struct Page<'a> {
    search: &'a Search,
    found: &'a Found,
    criterion: Option<&'a Criterion>,
    ranked: Vec<&'a Trial>,
    words: Words,
}

pub(super) fn render(search: &Search, found: &Found, data: &Dataset) -> String {
    let criterion = found.criterion.as_ref();
    let page = Page {
        search,
        found,
        criterion,
        ranked: ranked(&found.trials, criterion),
        words: search.words(),
    };
    page.render(data)
}

impl Page<'_> {
    fn say(&self, text: &str) -> String {
        self.words.say(text)
    }

    /// The measure's name.
    fn measure(&self) -> String {
        let name = self.criterion.map_or("", |criterion| &criterion.name);
        self.say(&format!("validation {}", name.replace('_', " ")))
    }

    fn render(&self, data: &Dataset) -> String {
        let title = self.words.fill("Search on {}", &[&data.name]);
        let date = jiff::ZonedDateTime::now()
            .strftime("%Y-%m-%d %H:%M")
            .to_string();
        let mut out = format!(
            "<!DOCTYPE html>\n<html lang=\"{}\">\n<head>\n<meta charset=\"utf-8\"/>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
             <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>{title}</title>\n<style>\n{STYLE}{PAGE_STYLE}\
             a {{ color: var(--c0); }}\n.list tr.best th, .list tr.best td {{ font-weight: 600; }}\n</style>\n</head>\n<body>\n<main>\n<header>\n\
             <h1>{title}</h1>\n<p class=\"subtitle\"><span>{}</span> <span>{}</span></p>\n{}</header>\n",
            self.words.language().code(),
            escape(self.search.method.name()),
            escape(&date),
            self.headline(),
            title = escape(&title),
        );
        let sections = [
            ("trials", "Trials and their settings", self.parallel()),
            ("importance", "Which settings matter", self.importance()),
            ("course", "Course of the search", self.course()),
            ("table", "Trials", self.table()),
            ("search", "Search", self.details(data)),
        ];
        for (id, name, contents) in sections {
            if !contents.is_empty() {
                let _ = write!(
                    out,
                    "<section id=\"{id}\">\n<h2>{}</h2>\n{contents}\n</section>\n",
                    self.say(name)
                );
            }
        }
        let by = format!("Zerokara {}", env!("CARGO_PKG_VERSION"));
        let _ = write!(
            out,
            "<footer>{}</footer>\n</main>\n</body>\n</html>\n",
            self.words.fill(
                "Made by {}. This page is one file and loads nothing.",
                &[&escape(&by)]
            )
        );
        out
    }

    fn count(&self, is: impl Fn(&State) -> bool) -> usize {
        self.found
            .trials
            .iter()
            .filter(|trial| is(&trial.state))
            .count()
    }

    /// The best value, how many trials, how long.
    fn headline(&self) -> String {
        let mut tiles = Vec::new();
        if let (Some(best), Some(criterion)) = (self.ranked.first(), self.criterion)
            && let Some((epoch, point)) = best.best(criterion)
        {
            tiles.push((
                self.measure(),
                measured(point.value, criterion),
                self.words
                    .fill("trial {}, epoch {}", &[&best.number, &epoch]),
            ));
        }
        let done = self.count(State::is_final);
        let pruned = self.count(|state| *state == State::Pruned);
        let failed = self.count(|state| matches!(state, State::Failed(_)));
        let below = self
            .words
            .fill("{} ended early, {} failed", &[&pruned, &failed]);
        let all = self.found.trials.len();
        tiles.push((
            self.say("trials"),
            match done == all {
                true => thousands(all as u64),
                false => format!("{done} / {all}"),
            },
            below,
        ));
        let seconds: f64 = self.found.trials.iter().map(|trial| trial.seconds).sum();
        let epochs: usize = self
            .found
            .trials
            .iter()
            .map(|trial| trial.curve.len())
            .sum();
        let epochs = self.words.fill("{} epochs", &[&thousands(epochs as u64)]);
        tiles.push((
            self.say("training time"),
            self.words.duration(seconds),
            epochs,
        ));
        let mut out = String::from("<dl class=\"headline\">");
        for (name, value, below) in tiles {
            let _ = write!(
                out,
                "<div><dt>{}</dt><dd>{}</dd><dd class=\"below\">{}</dd></div>",
                escape(&name),
                escape(&value),
                escape(&below)
            );
        }
        out + "</dl>\n"
    }

    /// A figure in the page's language; names of fields and their values stay.
    fn figure(&self, figure: &Figure) -> Figure {
        let ranges = &self.found.ranges;
        let is_name = |text: &str| {
            let mut fields = ranges.iter().map(|range| range.field.as_str());
            fields.any(|field| field == text || short(field, ranges) == text)
        };
        figure.translated(&|text| match is_name(text) {
            true => text.to_string(),
            false => self.say(text),
        })
    }

    fn parallel(&self) -> String {
        let Some(criterion) = self.criterion.filter(|_| !self.ranked.is_empty()) else {
            return String::new();
        };
        let values: Vec<f64> = self
            .ranked
            .iter()
            .filter_map(|t| Some(t.best(criterion)?.1.value))
            .filter(|v| v.is_finite())
            .collect();
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if low > high {
            return String::new();
        }
        let limits = if criterion.is_share {
            (0.0, 1.0)
        } else {
            (f64::NEG_INFINITY, f64::INFINITY)
        };
        let results = Axis::rounded(Scale::Linear, low, high, limits, 5);
        // The better, the higher.
        let turned = |place: f64| if criterion.higher { place } else { 1.0 - place };
        let mut result_marks: Vec<(f64, String)> = results
            .ticks
            .iter()
            .filter_map(|(value, label)| {
                let label = if criterion.is_share {
                    format!("{} %", significant(value * 100.0, 3))
                } else {
                    label.clone()
                };
                Some((turned(results.place(*value)?), label))
            })
            .collect();
        result_marks.sort_by(|a, b| a.0.total_cmp(&b.0));
        let best_third = self
            .ranked
            .iter()
            .filter(|t| t.state == State::Complete)
            .count()
            .div_ceil(3);
        let chart = |lying: bool| {
            let mut chart = Parallel::new(self.say("Trials and their settings")).no_title();
            chart = match lying {
                true => chart.size(328, 200).lying(),
                false => chart.size(1090, 340),
            };
            for range in &self.found.ranges {
                let name = range.field.as_str();
                let name = if lying {
                    name
                } else {
                    short(name, &self.found.ranges)
                };
                chart = chart.axis(name, marks(range));
            }
            chart = chart.axis(self.measure(), result_marks.clone());
            for (rank, trial) in self.ranked.iter().enumerate().rev() {
                let Some((_, point)) = trial.best(criterion) else {
                    continue;
                };
                let mut places: Vec<Option<f64>> = (self.found.ranges.iter())
                    .map(|range| {
                        trial
                            .value(&range.field)
                            .and_then(|value| range.values.place(value))
                    })
                    .collect();
                places.push(results.place(point.value).map(turned));
                let name = format!(
                    "{}: {}",
                    self.words.fill("trial {}", &[&trial.number]),
                    measured(point.value, criterion)
                );
                chart = chart.line(name, places);
                chart = match rank {
                    0 => chart.color(1).strong(),
                    rank if rank < best_third => chart.color(0),
                    _ => chart.grey(),
                };
            }
            chart
                .legend(self.say("best trial"), Some(1))
                .legend(self.say("best third"), Some(0))
                .legend(self.say("other trials"), None)
                .figure()
        };
        let note = self.say("Each line is a trial: where it crosses an axis is the value that it had there. Of trials that ended early, what they had reached counts.");
        format!(
            "{}<p class=\"note\">{}</p>",
            drawn("", &chart(false), &chart(true))
                .replace("class=\"chart\"", "class=\"chart whole\""),
            escape(&note)
        )
    }

    fn importance(&self) -> String {
        let all = self.found.importance();
        let complete = self.count(|state| *state == State::Complete);
        if all.is_empty() {
            let text = self.words.fill(
                "How much each setting matters is told from {} trials on that came to their end and differ; {} did.",
                &[&importance::LEAST, &complete],
            );
            return format!("<p class=\"note\">{}</p>", escape(&text));
        }
        let mut bars = Bars::new("Share of the variance").no_title().unit("%");
        for importance in &all {
            bars = bars
                .bar(
                    short(&importance.field, &self.found.ranges),
                    [100.0 * importance.share],
                )
                .note(format!(
                    " ± {}",
                    significant(100.0 * importance.deviation, 2)
                ));
        }
        let [wide, narrow] =
            [640, 328].map(|width| self.figure(&bars.clone().width(width).figure()));
        let rest = 1.0 - all.iter().map(|i| i.share).sum::<f64>();
        let mut notes = vec![self.words.fill(
            "How much of the variance of results each setting explains by itself, in the whole space, as a forest learned from {} trials guesses it (functional ANOVA, Hutter et al., 2014); ± is the deviation over its trees. {} % belong to several settings together.",
            &[&complete, &significant(100.0 * rest.max(0.0), 2)],
        )];
        if complete < 10 * all.len() {
            notes.push(self.words.fill(
                "{} trials for {} settings are few: take this as a hint.",
                &[&complete, &all.len()],
            ));
        }
        let notes: String = notes
            .iter()
            .map(|note| format!("<p class=\"note\">{}</p>", escape(note)))
            .collect();
        drawn("", &wide, &narrow) + &notes
    }

    /// What each trial came to, and the best so far.
    fn course(&self) -> String {
        let Some(criterion) = self.criterion else {
            return String::new();
        };
        let point = |trial: &Trial| {
            Some((trial.number as f64, trial.best(criterion)?.1.value)).filter(|p| p.1.is_finite())
        };
        let of = |state: State| {
            self.found
                .trials
                .iter()
                .filter(move |t| t.state == state)
                .filter_map(point)
        };
        let mut best: Vec<(f64, f64)> = Vec::new();
        for (number, value) in of(State::Complete) {
            let last = best.last().map(|p| p.1);
            let is_better = last.is_none_or(|last| {
                if criterion.higher {
                    value > last
                } else {
                    value < last
                }
            });
            best.push((
                number,
                if is_better {
                    value
                } else {
                    last.unwrap_or(value)
                },
            ));
        }
        if best.is_empty() {
            return String::new();
        }
        let scale = if criterion.is_share { 100.0 } else { 1.0 };
        let scaled = |points: Vec<(f64, f64)>| points.into_iter().map(move |(x, y)| (x, scale * y));
        let unit = if criterion.is_share { " (%)" } else { "" };
        let chart = |width: u32, height: u32| {
            let mut plot = Plot::new("Course of the search")
                .no_title()
                .size(width, height)
                .whole_x()
                .axes("trial", format!("{}{unit}", self.measure()))
                .line("best so far", scaled(best.clone()))
                .color(1)
                .dots("came to its end", scaled(of(State::Complete).collect()))
                .color(0);
            let pruned: Vec<_> = of(State::Pruned).collect();
            if !pruned.is_empty() {
                plot = plot.dots("ended early", scaled(pruned)).grey().pale();
            }
            if criterion.is_share {
                plot = plot.y_limits(0.0, 100.0);
            }
            self.figure(&plot.figure())
        };
        drawn("", &chart(720, 320), &chart(328, 280))
    }

    fn table(&self) -> String {
        let Some(criterion) = self.criterion else {
            return String::new();
        };
        let failed = self
            .found
            .trials
            .iter()
            .filter(|trial| matches!(trial.state, State::Failed(_)));
        let rows: Vec<&Trial> = self.ranked.iter().copied().chain(failed).collect();
        let mut out = String::from("<div class=\"scroll\"><table class=\"list\"><thead><tr>");
        let mut head = |text: &str| {
            let _ = write!(
                out,
                "<th scope=\"col\" class=\"number\">{}</th>",
                escape(text)
            );
        };
        head(&self.say("trial"));
        head(&self.measure());
        head(&self.say("epochs"));
        for range in &self.found.ranges {
            head(short(&range.field, &self.found.ranges));
        }
        out += &format!(
            "<th scope=\"col\">{}</th></tr></thead><tbody>\n",
            escape(&self.say("how it ended"))
        );
        for (rank, trial) in rows.iter().enumerate().take(ROWS) {
            let class = if rank == 0 { " class=\"best\"" } else { "" };
            let report = format!("{}/report.html", trial.folder());
            let _ = write!(
                out,
                "<tr{class}><th scope=\"row\" class=\"number\"><a href=\"{report}\">{}</a></th>",
                trial.number
            );
            let value = trial.best(criterion).map_or("–".to_string(), |(_, point)| {
                measured(point.value, criterion)
            });
            let _ = write!(
                out,
                "<td class=\"number\">{value}</td><td class=\"number\">{}</td>",
                trial.curve.len()
            );
            for range in &self.found.ranges {
                let value = trial
                    .value(&range.field)
                    .map_or("<span class=\"none\">–</span>".to_string(), |v| {
                        escape(&plain(v))
                    });
                let _ = write!(out, "<td class=\"number\">{value}</td>");
            }
            let ended = match &trial.state {
                State::Failed(why) => self.words.fill("failed: {}", &[why]),
                State::Complete => self.say("came to its end"),
                State::Pruned => self.say("ended early"),
                _ => self.say("goes on"),
            };
            let _ = writeln!(out, "<td>{}</td></tr>", escape(&ended));
        }
        out += "</tbody></table></div>";
        if rows.len() > ROWS {
            let _ = write!(
                out,
                "<p class=\"note\">{}</p>",
                self.words
                    .fill("The best {} of {} trials.", &[&ROWS, &rows.len()])
            );
        }
        out
    }

    /// How to get the same search again.
    fn details(&self, data: &Dataset) -> String {
        let mut rows = vec![
            (self.say("data set"), data.name.clone()),
            (
                self.say("how values are chosen"),
                self.search.method.name().to_string(),
            ),
            (self.say("seed"), self.search.seed.to_string()),
            (self.say("epochs"), self.search.epochs.to_string()),
        ];
        for range in &self.found.ranges {
            rows.push((range.field.clone(), in_words(range)));
        }
        let mut out = String::new();
        if !self.search.command.is_empty() {
            let _ = write!(
                out,
                "<pre class=\"command\"><code>{}</code></pre>",
                escape(&self.search.command)
            );
        }
        out += "<dl class=\"details\">";
        for (name, value) in rows {
            let _ = write!(
                out,
                "<div><dt>{}</dt><dd>{}</dd></div>",
                escape(&name),
                escape(&value)
            );
        }
        let note = self.say("Trials are judged by validation samples alone. The test samples have had no say: the report of the best trial tells how it does on them.");
        format!("{out}</dl><p class=\"note\">{}</p>", escape(&note))
    }
}

/// The field without its table, if no other range has the same name then: `learning_rate`.
pub fn short<'r>(field: &'r str, ranges: &[Range]) -> &'r str {
    let last = |field: &'r str| field.rsplit('.').next().unwrap_or(field);
    let alike = ranges
        .iter()
        .filter(|range| range.field.rsplit('.').next() == Some(last(field)))
        .count();
    if alike == 1 && !last(field).ends_with("name") {
        last(field)
    } else {
        field
    }
}

/// The marks of a range's axis.
fn marks(range: &Range) -> Vec<(f64, String)> {
    let ticked = |low: f64, high: f64, log: bool, whole: bool| {
        let ticks = match log {
            true => Axis::rounded(Scale::Log, low, high, (low, high), 5).ticks,
            false => Axis::exact(low, high, 5, whole).ticks,
        };
        let inside = ticks
            .into_iter()
            .filter(|(value, _)| (low..=high).contains(value));
        inside.collect::<Vec<_>>()
    };
    let ticks: Vec<(Value, String)> = match &range.values {
        Values::Number { low, high, log } => ticked(*low, *high, *log, false)
            .into_iter()
            .map(|(v, l)| (v.into(), l))
            .collect(),
        Values::Whole { low, high, log } => ticked(*low as f64, *high as f64, *log, true)
            .into_iter()
            .map(|(v, l)| (v.into(), l))
            .collect(),
        Values::Choice(values) => values
            .iter()
            .map(|value| (value.clone(), plain(value)))
            .collect(),
    };
    ticks
        .into_iter()
        .filter_map(|(value, label)| Some((range.values.place(&value)?, label)))
        .collect()
}
