//! How far the training is: a bar at a terminal, plain lines in a file, nothing when quiet.
//!
//! ```text
//! epoch 2/3 ━━━━━━━━━━━━━━━━╸        412/600  loss 0.0831  accuracy 0.9743  12,345 images/s  0:12 left
//! ```
//!
//! Everything goes to standard error. The bar neither hides the cursor nor changes the terminal's mode, so a run
//! that is interrupted or killed leaves the terminal as it was.

use crate::language::{Language, TRAINING, Words};
use crate::metrics::{ACCURACY, Epoch};
use crate::report::numbers::{clock, rate};
use crate::report::terminal::{cut, width};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::Write;
use std::time::{Duration, Instant};

/// How progress is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A bar that is drawn over itself.
    Bar,
    /// A plain line now and then and one per epoch: for log files.
    Lines,
    /// Nothing.
    Quiet,
}

impl Mode {
    /// [`Bar`](Self::Bar) when standard error is a terminal that can redraw a line, else [`Lines`](Self::Lines).
    pub fn detect() -> Self {
        let term = console::Term::stderr();
        match term.is_term() && std::env::var_os("TERM").is_none_or(|t| t != "dumb") {
            true => Self::Bar,
            false => Self::Lines,
        }
    }
}

/// Between two drawings of the bar.
const REDRAW: Duration = Duration::from_millis(66);
/// Between two plain lines within an epoch.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// The progress of a training run.
///
/// ```
/// use zerokara_train::{metrics::Epoch, progress::{Mode, Progress}};
///
/// let mut progress = Progress::new(Mode::Quiet, 3);
/// progress.start_epoch(1, 600);
/// progress.step(100, 2.3026, Some(("accuracy", 0.1))); // 100 images, their loss and first measure
/// let epoch = Epoch { epoch: 1, test_accuracy: Some(0.98), ..Epoch::default() };
/// progress.finish_epoch(&epoch, Some("accuracy"));
/// ```
#[derive(Debug)]
pub struct Progress {
    mode: Mode,
    epochs: u64,
    /// What the samples are.
    what: &'static str,
    words: Words,
    line: Line,
    started: Instant,
    drawn: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// The progress of a run of `epochs` epochs.
    pub fn new(mode: Mode, epochs: u64) -> Self {
        let now = Instant::now();
        Self {
            mode,
            epochs,
            what: "images",
            words: Words::new(Language::English, &TRAINING),
            line: Line::new(Words::new(Language::English, &TRAINING)),
            started: now,
            drawn: now,
            bar: None,
        }
    }

    /// Calls the samples so: `samples` instead of `images`.
    pub fn of(mut self, what: &'static str) -> Self {
        self.what = what;
        self
    }

    /// Speaks this language.
    pub fn language(mut self, language: Language) -> Self {
        self.words = Words::new(language, &TRAINING);
        self
    }

    /// Begins epoch number `epoch` (from 1) of `batches` batches.
    pub fn start_epoch(&mut self, epoch: u64, batches: u64) {
        self.clear();
        self.started = Instant::now();
        self.drawn = self.started;
        self.line = Line {
            epoch,
            epochs: self.epochs,
            what: self.what,
            batches,
            ..Line::new(self.words)
        };
        if self.mode == Mode::Bar {
            let bar = ProgressBar::with_draw_target(Some(batches), ProgressDrawTarget::stderr());
            if let Ok(style) = ProgressStyle::with_template("{msg}") {
                bar.set_style(style);
            }
            bar.set_message(self.line.render(terminal()));
            bar.tick();
            self.bar = Some(bar);
        }
    }

    /// So many batches of the epoch were done before.
    pub fn skip(&mut self, batches: u64) {
        self.line.batch += batches;
        self.line.skipped += batches;
    }

    /// One batch of `images` samples is done, with this loss and first measure of the task.
    ///
    /// The line shows averages of the last batches, so that it can be read.
    pub fn step(&mut self, images: u64, loss: f64, measure: Option<(&'static str, f64)>) {
        self.line.step(images, loss, measure);
        let now = Instant::now();
        let wait = match self.mode {
            Mode::Bar => REDRAW,
            Mode::Lines => LINE_EVERY,
            Mode::Quiet => return,
        };
        if now.duration_since(self.drawn) < wait {
            return;
        }
        self.drawn = now;
        self.line.seconds = now.duration_since(self.started).as_secs_f64();
        match &self.bar {
            Some(bar) => {
                bar.set_message(self.line.render(terminal()));
                bar.tick();
            }
            None => say(&self.line.plain()),
        }
    }

    /// Ends an epoch with one line that stays, with the measure of this name.
    pub fn finish_epoch(&mut self, epoch: &Epoch, measure: Option<&str>) {
        self.clear();
        if self.mode != Mode::Quiet {
            say(&summary(epoch, self.epochs, self.what, measure, self.words));
        }
    }

    /// Prints a line above the bar; nothing when quiet.
    pub fn message(&self, text: &str) {
        match (&self.bar, self.mode) {
            (_, Mode::Quiet) => {}
            (Some(bar), _) => bar.suspend(|| say(text)),
            (None, _) => say(text),
        }
    }

    /// Leaves the bar as it stands and goes to a new line: for a run that was interrupted.
    pub fn interrupt(&mut self) {
        if let Some(bar) = self.bar.take() {
            self.line.seconds = self.started.elapsed().as_secs_f64();
            bar.finish_and_clear();
            say(self.line.render(terminal()).trim_end());
        }
    }

    fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Progress {
    /// An error or a panic in the middle of an epoch shall begin on a line of its own.
    fn drop(&mut self) {
        self.interrupt();
    }
}

fn say(text: &str) {
    // A closed standard error is no reason to stop training.
    let _ = writeln!(std::io::stderr(), "{}", zerokara_core::printable(text));
}

/// Columns of the terminal.
fn terminal() -> usize {
    console::Term::stderr().size().1 as usize
}

/// The line that sums up an epoch: `epoch 2/3  loss 0.0831  train 0.9743  test 0.9831  12,345 images/s  4.86 s`.
///
/// `measure` is the task's first; that it is the accuracy goes without saying.
pub fn summary(
    epoch: &Epoch,
    epochs: u64,
    what: &str,
    measure: Option<&str>,
    words: Words,
) -> String {
    let mut text = head(epoch.epoch, epochs, words);
    let mut part = |name: String, value: Option<f64>| {
        if let Some(value) = value {
            text.push_str(&format!("  {name} {value:.4}"));
        }
    };
    part(words.say("loss"), epoch.train_loss);
    match measure {
        Some(measure) => {
            let name = match measure {
                ACCURACY => String::new(),
                name => format!(" {}", words.say(&name.replace('_', " "))),
            };
            for of in ["train", "validation", "test"] {
                part(words.say(of) + &name, epoch.measure(of, measure));
            }
        }
        None => {
            part(words.say("validation loss"), epoch.validation_loss);
            part(words.say("test loss"), epoch.test_loss);
        }
    }
    if epoch.images_per_second > 0.0 {
        let speed = rate(epoch.images_per_second);
        text = text + "  " + &words.say(&format!("{speed} {what}/s"));
    }
    text + "  " + &words.duration(epoch.seconds)
}

/// `epoch  2/10`.
fn head(epoch: u64, epochs: u64, words: Words) -> String {
    let epoch = format!("{epoch:>0$}", digits(epochs));
    words.fill("epoch {}/{}", &[&epoch, &epochs])
}

/// What the line of the running epoch tells.
#[derive(Debug)]
struct Line {
    words: Words,
    epoch: u64,
    epochs: u64,
    what: &'static str,
    batch: u64,
    /// Batches that were done before the time began.
    skipped: u64,
    batches: u64,
    images: u64,
    loss: Average,
    measure: Average,
    /// What is measured.
    measured: &'static str,
    seconds: f64,
}

impl Line {
    /// Nothing is done yet.
    fn new(words: Words) -> Self {
        Self {
            words,
            epoch: 0,
            epochs: 0,
            what: "",
            batch: 0,
            skipped: 0,
            batches: 0,
            images: 0,
            loss: Average::default(),
            measure: Average::default(),
            measured: "",
            seconds: 0.0,
        }
    }

    fn step(&mut self, images: u64, loss: f64, measure: Option<(&'static str, f64)>) {
        self.batch += 1;
        self.images += images;
        self.loss.add(loss);
        if let Some((name, value)) = measure {
            self.measured = name;
            self.measure.add(value);
        }
    }

    /// The parts behind the bar, the less important ones at the end of the second list.
    fn parts(&self) -> [Option<String>; 5] {
        let left = (self.batches.saturating_sub(self.batch)) as f64 * self.seconds
            / (self.batch - self.skipped).max(1) as f64;
        let timed = self.batch > self.skipped && self.seconds > 0.0;
        let named = |name: &str, value: f64| {
            let name = self.words.say(&name.replace('_', " "));
            format!("{name} {value:.4}")
        };
        [
            Some(format!(
                "{:>2$}/{}",
                self.batch,
                self.batches,
                digits(self.batches)
            )),
            self.loss.value().map(|v| named("loss", v)),
            self.measure.value().map(|v| named(self.measured, v)),
            timed.then(|| {
                let speed = rate(self.images as f64 / self.seconds);
                self.words.say(&format!("{speed:>6} {}/s", self.what))
            }),
            timed.then(|| self.words.fill("{} left", &[&clock(left)])),
        ]
    }

    fn head(&self) -> String {
        head(self.epoch, self.epochs, self.words)
    }

    fn plain(&self) -> String {
        let mut text = self.head();
        for part in self.parts().into_iter().flatten() {
            text = text + "  " + &part;
        }
        text
    }

    /// The line for a terminal of `width` columns, with a bar of 10 to 30 columns; in a narrow terminal the images
    /// per second are left out, then the measure, the time, and at last the bar.
    fn render(&self, columns: usize) -> String {
        const DROPPED: [usize; 4] = [3, 2, 4, 1];
        let head = self.head();
        let mut parts = self.parts();
        for dropped in DROPPED.map(Some).into_iter().chain([None]) {
            let tail: Vec<&str> = parts.iter().flatten().map(String::as_str).collect();
            let tail = tail.join("  ");
            let used = width(&head) + width(&tail) + 3;
            // The last column stays free: writing there wraps the line in some terminals.
            let room = columns.saturating_sub(used + 1);
            if room >= 10 {
                let bar = bar(self.batch, self.batches, room.min(30));
                return format!("{head} {bar}  {tail}");
            }
            match dropped {
                Some(index) => parts[index] = None,
                None => return cut(&format!("{head}  {tail}"), columns).into_owned(),
            }
        }
        head
    }
}

/// `━━━━━╸    `, in half columns.
fn bar(done: u64, all: u64, columns: usize) -> String {
    let halves = match all {
        0 => 0,
        _ => (u128::from(done.min(all)) * columns as u128 * 2 / u128::from(all)) as usize,
    };
    let mut text = "━".repeat(halves / 2);
    if halves % 2 == 1 {
        text.push('╸');
    }
    let blank = columns - halves.div_ceil(2);
    text + &" ".repeat(blank)
}

/// An average that forgets: the last twenty batches or so. A value that is not finite shows until finite ones follow.
#[derive(Debug, Default)]
struct Average {
    sum: f64,
    weight: f64,
    broken: Option<f64>,
}

impl Average {
    fn add(&mut self, value: f64) {
        if !value.is_finite() {
            self.broken = Some(value);
            return;
        }
        self.broken = None;
        self.sum = self.sum * 0.95 + value;
        self.weight = self.weight * 0.95 + 1.0;
    }

    fn value(&self) -> Option<f64> {
        self.broken
            .or((self.weight > 0.0).then(|| self.sum / self.weight))
    }
}

fn digits(n: u64) -> usize {
    n.checked_ilog10().unwrap_or(0) as usize + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(language: Language) -> Line {
        let mut line = Line {
            epoch: 2,
            epochs: 3,
            what: "images",
            batches: 600,
            ..Line::new(Words::new(language, &TRAINING))
        };
        for _ in 0..412 {
            line.step(100, 0.0831, Some(("accuracy", 0.9743)));
        }
        line.seconds = 41_200.0 / 12_345.0;
        line
    }

    #[test]
    fn a_wide_terminal_shows_everything() {
        assert_eq!(
            line(Language::English).render(120),
            "epoch 2/3 ━━━━━━━━━━━━━━━━━━━━╸           412/600  loss 0.0831  accuracy 0.9743  12,345 images/s  0:02 left"
        );
        assert_eq!(
            line(Language::Japanese).render(120),
            "エポック 2/3 ━━━━━━━━━━━━━━━━━━━━╸           412/600  損失 0.0831  認識精度 0.9743  12,345枚/秒  残り0:02"
        );
    }

    #[test]
    fn no_terminal_is_too_narrow() {
        for (language, loss, left) in [
            (Language::English, "loss", "left"),
            (Language::Japanese, "損失", "残り"),
        ] {
            let line = line(language);
            for columns in 0..130 {
                let text = line.render(columns);
                assert!(width(&text) <= columns, "{columns}: {text}");
                if columns > 24 {
                    assert!(text.contains("412/600"), "{columns}: {text}");
                }
            }
            assert!(line.render(80).contains(loss) && line.render(80).contains(left));
        }
    }

    #[test]
    fn the_bar_fills_in_half_columns() {
        assert_eq!(bar(0, 10, 4), "    ");
        assert_eq!(bar(1, 8, 4), "╸   ");
        assert_eq!(bar(5, 8, 4), "━━╸ ");
        assert_eq!(bar(8, 8, 4), "━━━━");
        assert_eq!(bar(9, 8, 4), "━━━━");
        assert_eq!(bar(3, 0, 4), "    ");
    }

    #[test]
    fn a_loss_that_is_not_finite_is_seen_and_then_forgotten() {
        let mut average = Average::default();
        assert_eq!(average.value(), None);
        average.add(2.0);
        average.add(f64::NAN);
        assert!(average.value().unwrap().is_nan());
        average.add(2.0);
        assert!((average.value().unwrap() - 2.0).abs() < 1e-12);
    }

    #[test]
    fn the_summary_tells_what_is_known() {
        let epoch = Epoch {
            epoch: 2,
            train_loss: Some(0.0831),
            test_accuracy: Some(0.9831),
            images_per_second: 12_345.0,
            seconds: 4.86,
            ..Epoch::default()
        };
        let said = |language, measure| {
            let words = Words::new(language, &TRAINING);
            summary(&epoch, 10, "images", measure, words)
        };
        assert_eq!(
            said(Language::English, Some("accuracy")),
            "epoch  2/10  loss 0.0831  test 0.9831  12,345 images/s  4.86 s"
        );
        assert_eq!(
            said(Language::Japanese, Some("accuracy")),
            "エポック  2/10  損失 0.0831  テスト 0.9831  12,345枚/秒  4.86秒"
        );
    }

    #[test]
    fn every_mode_runs_through_an_epoch() {
        for mode in [Mode::Bar, Mode::Lines, Mode::Quiet] {
            let mut progress = Progress::new(mode, 1);
            progress.start_epoch(1, 2);
            progress.step(10, 1.0, None);
            progress.message("hello");
            progress.interrupt();
            progress.start_epoch(1, 0);
            progress.finish_epoch(&Epoch::default(), None);
            assert!(progress.bar.is_none());
        }
    }
}
