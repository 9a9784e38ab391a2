//! What a model says of labels and numbers, beside what is right.

use super::class_name;
use super::html::escape;
use super::numbers::{percent, significant, thousands};
use super::page::drawn;
use super::voice::Voice;
use crate::evaluation::Reading;
use std::fmt::Write;
use zerokara_figures::Plot;
use zerokara_nn::Answer;

/// Outputs that are told one by one.
const COLUMNS: usize = 40;
/// Points of a picture.
const POINTS: usize = 1_000;

/// The section; empty where there are no labels and no numbers.
pub(super) fn render(readings: &[Reading], names: &[String], voice: &Voice) -> String {
    let labels: Vec<(&[f64], &[f64])> = readings
        .iter()
        .filter_map(|reading| match &reading.answer {
            Answer::Labels { probabilities } => Some((&probabilities[..], &reading.target[..])),
            _ => None,
        })
        .filter(|(given, wanted)| given.len() == wanted.len())
        .collect();
    let numbers: Vec<(&[f64], &[f64])> = readings
        .iter()
        .filter_map(|reading| match &reading.answer {
            Answer::Numbers(numbers) => Some((&numbers[..], &reading.target[..])),
            _ => None,
        })
        .filter(|(given, wanted)| given.len() == wanted.len())
        .collect();
    match (labels.is_empty(), numbers.is_empty()) {
        (false, _) => labels_table(&labels, names, voice),
        (true, false) => numbers_table(&numbers, names, voice),
        (true, true) => String::new(),
    }
}

/// The numbers of one output, given and wanted.
fn column(all: &[(&[f64], &[f64])], at: usize) -> Vec<(f64, f64)> {
    let pairs = all
        .iter()
        .filter_map(|(g, w)| Some((*g.get(at)?, *w.get(at)?)));
    pairs.collect()
}

fn head(columns: &[&str], voice: &Voice) -> String {
    let mut out = String::from("<div class=\"scroll\"><table class=\"list\"><thead><tr>");
    for (at, name) in columns.iter().enumerate() {
        let class = if at > 0 { " class=\"number\"" } else { "" };
        let _ = write!(out, "<th scope=\"col\"{class}>{}</th>", voice.say(name));
    }
    out + "</tr></thead><tbody>"
}

fn row(out: &mut String, name: &str, cells: &[String]) {
    let _ = write!(out, "<tr><th scope=\"row\">{}</th>", escape(name));
    for cell in cells {
        let _ = write!(out, "<td class=\"number\">{cell}</td>");
    }
    out.push_str("</tr>");
}

/// Precision, recall, F1 and support of each label.
fn labels_table(all: &[(&[f64], &[f64])], names: &[String], voice: &Voice) -> String {
    let mut out = head(&["label", "precision", "recall", "F1", "support"], voice);
    let width = all.first().map_or(0, |(given, _)| given.len());
    for at in 0..width.min(COLUMNS) {
        let (mut right, mut given, mut there) = (0u64, 0u64, 0u64);
        for (probability, wanted) in column(all, at) {
            let (is_given, is_there) = (probability > 0.5, wanted > 0.5);
            given += u64::from(is_given);
            there += u64::from(is_there);
            right += u64::from(is_given && is_there);
        }
        let share = |part: u64, of: u64| match of {
            0 => "–".to_string(),
            of => percent(part as f64 / of as f64),
        };
        row(
            &mut out,
            &class_name(names, at),
            &[
                share(right, given),
                share(right, there),
                share(2 * right, given + there),
                thousands(there),
            ],
        );
    }
    out + "</tbody></table></div>"
}

/// Errors of each output, and pictures of what is predicted where something else is true.
fn numbers_table(all: &[(&[f64], &[f64])], names: &[String], voice: &Voice) -> String {
    let mut out = head(&["output", "RMSE", "MAE", "R²"], voice);
    let width = all.first().map_or(0, |(given, _)| given.len());
    for at in 0..width.min(COLUMNS) {
        let pairs = column(all, at);
        let [rmse, mae, r2] = errors(&pairs);
        let name = match (width, names.get(at)) {
            (_, Some(name)) => name.clone(),
            (1, None) => voice.say("all"),
            (_, None) => at.to_string(),
        };
        let cells = [rmse, mae, r2].map(|value| significant(value, 4));
        row(&mut out, &name, &cells);
    }
    out.push_str("</tbody></table></div>");
    let pairs = column(all, 0);
    let predicted: Vec<(f64, f64)> = pairs
        .iter()
        .map(|&(given, wanted)| (wanted, given))
        .collect();
    let residuals: Vec<(f64, f64)> = pairs
        .iter()
        .map(|&(given, wanted)| (wanted, given - wanted))
        .collect();
    let _ = write!(
        out,
        "<div class=\"charts\">{}{}</div>",
        scatter("Predicted", "predicted", &predicted, true, voice),
        scatter("Residuals", "predicted less true", &residuals, false, voice)
    );
    out
}

/// Root of the mean squared error, mean absolute error, and `1 - squared errors / squared differences from the mean`.
fn errors(pairs: &[(f64, f64)]) -> [f64; 3] {
    let n = pairs.len().max(1) as f64;
    let squares: f64 = pairs.iter().map(|(g, w)| (g - w).powi(2)).sum();
    let absolute: f64 = pairs.iter().map(|(g, w)| (g - w).abs()).sum();
    let mean = pairs.iter().map(|(_, w)| w).sum::<f64>() / n;
    let spread: f64 = pairs.iter().map(|(_, w)| (w - mean).powi(2)).sum();
    [(squares / n).sqrt(), absolute / n, 1.0 - squares / spread]
}

/// What is predicted, or how far it is off, where something else is true, with the line on which right ones lie.
fn scatter(
    title: &str,
    across: &str,
    points: &[(f64, f64)],
    diagonal: bool,
    voice: &Voice,
) -> String {
    let finite = |p: &&(f64, f64)| p.0.is_finite() && p.1.is_finite();
    let points: Vec<(f64, f64)> = points.iter().filter(finite).take(POINTS).copied().collect();
    let Some((low, high)) =
        (points.iter().map(|p| (p.0, p.0))).reduce(|(low, high), (x, _)| (low.min(x), high.max(x)))
    else {
        return String::new();
    };
    let right = |x: f64| if diagonal { x } else { 0.0 };
    let plot = Plot::new(title)
        .no_title()
        .axes("true", across)
        .no_legend()
        .line("right", [(low, right(low)), (high, right(high))])
        .grey()
        .dots("samples", points)
        .color(0);
    let [wide, narrow] = [(540, 380), (328, 280)].map(|(w, h)| {
        let figure = plot.clone().size(w, h).figure();
        voice.figure(&figure, &[])
    });
    drawn(wide.title(), &wide, &narrow)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    #[test]
    fn errors_are_those_of_the_definitions() {
        let [rmse, mae, r2] = errors(&[(1.0, 2.0), (4.0, 4.0), (9.0, 6.0)]);
        assert!((rmse - (10.0f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((mae - 4.0 / 3.0).abs() < 1e-12);
        assert!((r2 - (1.0 - 10.0 / 8.0)).abs() < 1e-12);
    }

    #[test]
    fn labels_have_precision_recall_and_support() {
        let reading = |given: [f64; 2], wanted: [f64; 2]| Reading {
            answer: Answer::Labels {
                probabilities: given.to_vec(),
            },
            target: wanted.to_vec(),
        };
        let all = [
            reading([0.9, 0.1], [1.0, 0.0]),
            reading([0.8, 0.2], [0.0, 0.0]),
            reading([0.7, 0.6], [1.0, 0.0]),
            reading([0.4, 0.6], [1.0, 0.0]),
        ];
        let voice = Voice::new(Language::English);
        let page = render(&all, &["wet".to_string(), "<cold>".to_string()], &voice);
        let cells = "<td class=\"number\">66.67 %</td><td class=\"number\">66.67 %</td><td class=\"number\">66.67 %</td><td class=\"number\">3</td>";
        assert!(page.contains(cells), "{page}");
        assert!(page.contains("&lt;cold&gt;"), "{page}");
        assert_eq!(render(&[], &[], &voice), "");
    }
}
