//! `zerokara train --tui`: live charts of a run in the terminal.

use crate::output::{Failure, Outcome};
use ratatui::{
    Terminal,
    backend::CrosstermBackend,
    crossterm::{
        event::{self, Event, KeyCode, KeyModifiers},
        execute,
        terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode},
    },
    layout::{Constraint, Layout, Rect},
    style::{Color, Style, Stylize},
    symbols::Marker,
    text::{Line, Span},
    widgets::{Axis, Block, Chart, Dataset, GraphType, LegendPosition, LineGauge},
};
use std::{
    collections::VecDeque,
    io::{IsTerminal, Stderr, stderr, stdin},
    time::{Duration, Instant},
};
use zerokara_train::{
    Flow,
    language::Words,
    metrics::{Epoch, Record, Step},
    report::numbers::{clock, percent, rate, significant, thousands},
};

/// Between two drawings.
const REDRAW: Duration = Duration::from_millis(100);
/// Points of a curve that are kept; of more, every other one goes.
const POINTS: usize = 2_000;
/// Batches that a smooth loss is a mean of, roughly.
const SMOOTH: f64 = 50.0;
/// The colours of training, validation and test, in both kinds of terminals.
const COLOURS: [Color; 3] = [Color::Cyan, Color::Yellow, Color::Magenta];

/// What a run is to do, for the head of the screen.
pub struct Plan {
    pub title: String,
    pub epochs: u64,
    /// Steps of all epochs.
    pub steps: u64,
}

/// The screen: it is left, and the terminal as it was, when this is dropped.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<Stderr>>,
    seen: Seen,
    drawn: Option<Instant>,
}

impl Screen {
    /// Takes the terminal.
    pub fn open(plan: Plan, words: Words) -> Outcome<Self> {
        if !(stderr().is_terminal() && stdin().is_terminal()) {
            return Err(Failure::new(
                "--tui needs a terminal: standard input and standard error must not be files or pipes",
            ));
        }
        let fail =
            |e: std::io::Error| Failure::new(format!("the terminal cannot be drawn on: {e}"));
        enable_raw_mode().map_err(fail)?;
        execute!(stderr(), EnterAlternateScreen).map_err(fail)?;
        let terminal = Terminal::new(CrosstermBackend::new(stderr())).map_err(fail)?;
        let mut screen = Self {
            terminal,
            seen: Seen::new(plan, words),
            drawn: None,
        };
        screen.draw();
        Ok(screen)
    }

    /// Takes a record, and draws now and then; stops at q or Ctrl-C.
    pub fn show(&mut self, record: &Record) -> Flow {
        self.seen.take(record);
        let due = self.drawn.is_none_or(|drawn| drawn.elapsed() >= REDRAW);
        if due || matches!(record, Record::Epoch(_)) {
            self.draw();
        }
        match due && asks_to_leave() {
            true => Flow::Stop,
            false => Flow::Continue,
        }
    }

    fn draw(&mut self) {
        self.drawn = Some(Instant::now());
        // A terminal that is gone is no reason to stop training.
        let _ = self
            .terminal
            .draw(|frame| self.seen.draw(frame.area(), frame));
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = execute!(stderr(), LeaveAlternateScreen);
        let _ = disable_raw_mode();
    }
}

/// Whether a key was pressed that ends the run.
fn asks_to_leave() -> bool {
    let mut leave = false;
    while event::poll(Duration::ZERO).unwrap_or(false) {
        if let Ok(Event::Key(key)) = event::read() {
            let control = key.modifiers.contains(KeyModifiers::CONTROL);
            leave |= matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
                || (control && key.code == KeyCode::Char('c'));
        }
    }
    leave
}

/// What was seen of a run.
struct Seen {
    plan: Plan,
    words: Words,
    step: Step,
    epoch: Option<Epoch>,
    /// Loss by step, and the same smoothed.
    losses: [VecDeque<(f64, f64)>; 2],
    /// Every so manieth step is kept.
    every: u64,
    smooth: Option<f64>,
    /// The first measure by epoch, of training, validation and test.
    measures: [Vec<(f64, f64)>; 3],
    measure: String,
    started: Instant,
    usage: Option<(Instant, f64)>,
    cores: f64,
}

/// The parts of an epoch's measures, as records name them.
const PARTS: [&str; 3] = ["train", "validation", "test"];

impl Seen {
    fn new(plan: Plan, words: Words) -> Self {
        Self {
            plan,
            words,
            step: Step::default(),
            epoch: None,
            losses: Default::default(),
            every: 1,
            smooth: None,
            measures: Default::default(),
            measure: String::new(),
            started: Instant::now(),
            usage: None,
            cores: f64::NAN,
        }
    }

    fn take(&mut self, record: &Record) {
        match record {
            Record::Step(step) => {
                self.step = step.clone();
                if step.loss.is_finite() {
                    let before = self.smooth.unwrap_or(step.loss);
                    let smooth = before + (step.loss - before) / SMOOTH.min(step.step as f64);
                    self.smooth = Some(smooth);
                    self.keep(step.step, [step.loss, smooth]);
                }
            }
            Record::Epoch(epoch) => {
                let names = ["accuracy", "rmse", "perplexity", "f1"];
                let known = names
                    .iter()
                    .find(|name| epoch.measure("test", name).is_some());
                self.measure = known.unwrap_or(&"loss").to_string();
                for (part, points) in PARTS.iter().zip(&mut self.measures) {
                    let value = match (self.measure.as_str(), *part) {
                        ("loss", "train") => epoch.train_loss,
                        ("loss", "validation") => epoch.validation_loss,
                        ("loss", _) => epoch.test_loss,
                        (name, part) => epoch.measure(part, name),
                    };
                    if let Some(value) = value.filter(|value| value.is_finite()) {
                        points.push((epoch.epoch as f64, value));
                    }
                }
                self.epoch = Some(epoch.clone());
            }
        }
    }

    fn keep(&mut self, step: u64, values: [f64; 2]) {
        if !step.is_multiple_of(self.every) {
            return;
        }
        for (points, value) in self.losses.iter_mut().zip(values) {
            points.push_back((step as f64, value));
        }
        if self.losses[0].len() > POINTS {
            self.every *= 2;
            let every = self.every;
            for points in &mut self.losses {
                points.retain(|(step, _)| (*step as u64).is_multiple_of(every));
            }
        }
    }

    fn draw(&mut self, area: Rect, frame: &mut ratatui::Frame<'_>) {
        let rows = Layout::vertical([
            Constraint::Length(1),
            Constraint::Length(1),
            Constraint::Min(6),
            Constraint::Length(1),
        ])
        .split(area);
        frame.render_widget(self.head(), rows[0]);
        frame.render_widget(self.gauge(), rows[1]);
        let wide = area.width >= 80;
        let halves = match wide {
            true => Layout::horizontal([Constraint::Percentage(50); 2]).split(rows[2]),
            false => Layout::vertical([Constraint::Percentage(50); 2]).split(rows[2]),
        };
        self.draw_losses(halves[0], frame);
        self.draw_measures(halves[1], frame);
        frame.render_widget(self.foot(), rows[3]);
    }

    fn head(&self) -> Line<'_> {
        let mut spans = vec![Span::from(self.plan.title.as_str()).bold()];
        if let Some(loss) = self.smooth {
            spans.push(format!("  {} {}", self.words.say("loss"), short(loss)).into());
        }
        if let Some(accuracy) = self.step.accuracy {
            spans.push(format!("  {} {}", self.words.say("accuracy"), percent(accuracy)).into());
        }
        spans.push(
            format!(
                "  {} {}",
                self.words.say("learning rate"),
                short(self.step.learning_rate)
            )
            .into(),
        );
        Line::from(spans)
    }

    fn gauge(&self) -> LineGauge<'_> {
        let done = self.step.step as f64 / self.plan.steps.max(1) as f64;
        let spent = self.started.elapsed().as_secs_f64();
        // Steps of an earlier process took no time of this one.
        let left = match self.step.step {
            0 => String::new(),
            _ => format!(
                "  {}",
                self.words
                    .fill("{} left", &[&clock(spent / done.max(1e-9) * (1.0 - done))])
            ),
        };
        let label = format!(
            "{} {}/{}  {} {}/{}{left}",
            self.words.say("epoch"),
            self.step.epoch.max(1),
            self.plan.epochs,
            self.words.say("step"),
            thousands(self.step.step),
            thousands(self.plan.steps),
        );
        LineGauge::default()
            .label(label)
            .ratio(done.clamp(0.0, 1.0))
            .filled_style(Style::new().fg(COLOURS[0]))
    }

    fn draw_losses(&self, area: Rect, frame: &mut ratatui::Frame<'_>) {
        let [raw, smooth] = self
            .losses
            .each_ref()
            .map(|points| points.iter().copied().collect::<Vec<_>>());
        let names = [
            self.words.say("loss of a batch"),
            self.words.say("smoothed"),
        ];
        let sets = vec![
            curve(&raw, &names[0], Color::DarkGray),
            curve(&smooth, &names[1], COLOURS[0]),
        ];
        let all: Vec<(f64, f64)> = raw.iter().chain(&smooth).copied().collect();
        let title = self.words.say("loss by step");
        frame.render_widget(chart(sets, &all, &title), area);
    }

    fn draw_measures(&self, area: Rect, frame: &mut ratatui::Frame<'_>) {
        let names = PARTS.map(|part| self.words.say(part));
        let parts = self.measures.iter().zip(&names).zip(COLOURS);
        let sets =
            parts
                .filter(|((points, _), _)| !points.is_empty())
                .map(|((points, name), colour)| {
                    let last = points.last().map_or(0.0, |point| point.1);
                    curve(points, &format!("{name} {}", short(last)), colour)
                });
        let all: Vec<(f64, f64)> = self.measures.iter().flatten().copied().collect();
        let title = match self.measure.is_empty() {
            true => self.words.say("after the first epoch: how well it does"),
            false => self
                .words
                .fill("{} by epoch", &[&self.words.say(&self.measure)]),
        };
        // In the corner that the curves leave free.
        let corner = match ["accuracy", "f1"].contains(&self.measure.as_str()) {
            true => LegendPosition::BottomRight,
            false => LegendPosition::TopRight,
        };
        let chart = chart(sets.collect(), &all, &title).legend_position(Some(corner));
        frame.render_widget(chart, area);
    }

    /// The system's line: speed, load, memory, and what keys do.
    fn foot(&mut self) -> Line<'static> {
        let mut told = Vec::new();
        if self.step.images_per_second > 0.0 {
            told.push(
                self.words
                    .fill("{} samples/s", &[&rate(self.step.images_per_second)]),
            );
        }
        if let Some(seconds) = zerokara_train::system::processor_seconds() {
            let now = Instant::now();
            if let Some((then, before)) = self.usage
                && now.duration_since(then) >= Duration::from_secs(1)
            {
                self.cores = (seconds - before) / now.duration_since(then).as_secs_f64();
                self.usage = Some((now, seconds));
            }
            self.usage.get_or_insert((now, seconds));
            if self.cores.is_finite() {
                told.push(
                    self.words
                        .fill("{} cores busy", &[&format!("{:.1}", self.cores)]),
                );
            }
        }
        if let Some(bytes) = zerokara_train::system::memory() {
            told.push(
                self.words
                    .fill("{} MB of memory", &[&thousands(bytes / 1_000_000)]),
            );
        }
        told.push(self.words.say("q stops and saves"));
        Line::from(told.join("  ·  ")).dim()
    }
}

fn curve<'a>(points: &'a [(f64, f64)], name: &str, colour: Color) -> Dataset<'a> {
    Dataset::default()
        .name(name.to_string())
        .marker(Marker::Braille)
        .graph_type(GraphType::Line)
        .style(Style::new().fg(colour))
        .data(points)
}

/// A number in the few digits that there is room for.
fn short(value: f64) -> String {
    significant(value, 3)
}

/// Curves with axes that hold all points.
fn chart<'a>(curves: Vec<Dataset<'a>>, all: &[(f64, f64)], title: &str) -> Chart<'a> {
    let bounds = |of: fn(&(f64, f64)) -> f64| {
        let low = all.iter().map(of).fold(f64::INFINITY, f64::min);
        let high = all.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
        match low < high {
            true => [low, high],
            false if low.is_finite() => [low - 0.5, low + 0.5],
            false => [0.0, 1.0],
        }
    };
    let (x, y) = (bounds(|point| point.0), bounds(|point| point.1));
    let axis = |bounds: [f64; 2], text: fn(f64) -> String| {
        let middle = (bounds[0] + bounds[1]) / 2.0;
        let mut labels = [bounds[0], middle, bounds[1]].map(text).to_vec();
        // Between neighbours there is no whole number.
        labels.dedup();
        Axis::default()
            .bounds(bounds)
            .labels(labels)
            .style(Style::new().dim())
    };
    Chart::new(curves)
        .block(Block::bordered().title(title.to_string()))
        .hidden_legend_constraints((Constraint::Percentage(70), Constraint::Percentage(70)))
        .x_axis(axis(x, |value| thousands(value.round().max(0.0) as u64)))
        .y_axis(axis(y, short))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::backend::TestBackend;
    use zerokara_train::language::Language;

    fn shown(width: u16, height: u16, seen: &mut Seen) -> String {
        let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
        terminal
            .draw(|frame| seen.draw(frame.area(), frame))
            .unwrap();
        let buffer = terminal.backend().buffer().clone();
        let rows = (0..height).map(|y| {
            (0..width)
                .map(|x| buffer[(x, y)].symbol())
                .collect::<String>()
        });
        rows.collect::<Vec<_>>().join("\n")
    }

    fn seen() -> Seen {
        let plan = Plan {
            title: "layers on photos".into(),
            epochs: 3,
            steps: 3_000,
        };
        Seen::new(plan, crate::texts::words(Language::English))
    }

    #[test]
    fn a_screen_shows_where_the_run_is() {
        let mut seen = seen();
        assert!(shown(100, 24, &mut seen).contains("layers on photos"));
        for step in 1..=1_500 {
            seen.take(&Record::Step(Step {
                step,
                epoch: 1 + step / 1_000,
                loss: 2.0 / (1.0 + step as f64 / 100.0),
                accuracy: Some(0.5),
                images_per_second: 1234.0,
                ..Step::default()
            }));
        }
        seen.take(&Record::Epoch(Epoch {
            epoch: 1,
            train_accuracy: Some(0.81),
            test_accuracy: Some(0.79),
            ..Epoch::default()
        }));
        let wide = shown(120, 30, &mut seen);
        for text in [
            "epoch 2/3",
            "step 1,500/3,000",
            "loss by step",
            "accuracy by epoch",
            "test 0.79",
            "1,234 samples/s",
            "q stops",
        ] {
            assert!(wide.contains(text), "{text}:\n{wide}");
        }
        // What each curve is stands beside it also in a usual terminal, and an axis names no epoch twice.
        seen.take(&Record::Epoch(Epoch {
            epoch: 2,
            train_accuracy: Some(0.85),
            test_accuracy: Some(0.83),
            ..Epoch::default()
        }));
        let usual = shown(100, 28, &mut seen);
        assert!(
            usual.contains("smoothed") && usual.contains("test 0.83"),
            "{usual}"
        );
        let epochs = usual.lines().rev().nth(2).unwrap_or_default();
        assert_eq!(epochs.matches(" 2").count(), 1, "{usual}");
        // Too small for all of it, it still draws.
        for (width, height) in [(40, 12), (10, 4), (1, 1)] {
            shown(width, height, &mut seen);
        }
    }

    #[test]
    fn long_runs_keep_few_points_and_odd_numbers_do_no_harm() {
        let mut seen = seen();
        for step in 1..=20_000 {
            let loss = if step % 100 == 0 { f64::NAN } else { 1.0 };
            seen.take(&Record::Step(Step {
                step,
                epoch: 1,
                loss,
                ..Step::default()
            }));
        }
        assert!(seen.losses[0].len() <= POINTS && seen.losses[0].len() > POINTS / 3);
        assert!(seen.smooth.is_some_and(f64::is_finite));
        shown(80, 24, &mut seen);
    }
}
