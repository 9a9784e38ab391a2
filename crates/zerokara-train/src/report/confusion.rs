//! The confusion matrix, and its worst cells in words.

use super::class_name;
use super::html::escape;
use super::numbers::{percent, thousands};
use super::voice::Voice;
use std::fmt::Write;
use zerokara_figures::{Figure, Heatmap};
use zerokara_nn::metrics::ConfusionMatrix;

/// With more classes than this, a picture does not tell the recall of each class.
const FEW: usize = 26;
/// With more classes than this, there is no picture.
const PICTURE: usize = 1000;

/// The section's contents; empty when nothing was counted.
pub(super) fn render(matrix: &ConfusionMatrix, classes: &[String], voice: &Voice) -> String {
    if matrix.total() == 0 {
        return String::new();
    }
    let picture = match matrix.classes() {
        k if k <= PICTURE => format!(
            "<figure class=\"scroll\">{}<figcaption class=\"note\">{}</figcaption></figure>",
            figure(matrix, classes, voice).svg(),
            voice.say(
                "Rows are labels, columns are answers. The stronger the colour, the higher the recall of what is right, \
                 and the more frequent what is wrong."
            )
        ),
        _ => String::new(),
    };
    format!(
        "<div class=\"confusion\">{picture}<div class=\"worst\">{}{}</div></div>",
        frequent(matrix, classes, voice),
        least_recognised(matrix, classes, voice)
    )
}

fn figure(matrix: &ConfusionMatrix, classes: &[String], voice: &Voice) -> Figure {
    let k = matrix.classes();
    let names: Vec<String> = (0..k).map(|class| class_name(classes, class)).collect();
    let most = matrix.worst(1).first().map_or(1.0, |cell| cell.2 as f64);
    let right = thousands(matrix.correct());
    let map = Heatmap::new(format!("Confusion matrix of {k} classes"), [k, k])
        .no_title()
        .axes("answered", "label")
        .names(names.clone(), names.clone())
        .right("recall", (0..k).map(|class| share(matrix.recall(class))))
        .below(
            "precision",
            (0..k)
                .map(|class| share(matrix.precision(class)))
                .chain([share(Some(matrix.accuracy()))]),
        )
        .description(format!(
            "{right} of {} are right. The most frequent errors are listed beside it.",
            thousands(matrix.total())
        ));
    let cells = matrix.counts().filter(|cell| cell.2 > 0);
    let map = cells.fold(map, |map, (label, answer, count)| {
        let (color, share) = match label == answer {
            true => (0, matrix.recall(label).unwrap_or(0.0)),
            // Logarithmic: one error shall be seen beside thirty.
            false => (1, (count as f64).ln_1p() / most.ln_1p()),
        };
        map.cell([label, answer], count as f64, color, 0.2 + 0.8 * share)
    });
    voice.figure(&map.figure(), &names)
}

fn frequent(matrix: &ConfusionMatrix, classes: &[String], voice: &Voice) -> String {
    let worst = matrix.worst(8);
    if worst.is_empty() {
        return format!("<p>{}</p>", voice.say("No errors."));
    }
    let mut out = format!(
        "<h3>{}</h3><ol class=\"pairs\">",
        voice.say("Most frequent errors")
    );
    for (label, answer, count) in worst {
        let _ = write!(
            out,
            "<li><span>{} → {}</span> <b>{}</b></li>",
            escape(&class_name(classes, label)),
            escape(&class_name(classes, answer)),
            thousands(count)
        );
    }
    out + "</ol>"
}

/// With a picture, the recall of each class cannot be read from it.
fn least_recognised(matrix: &ConfusionMatrix, classes: &[String], voice: &Voice) -> String {
    if matrix.classes() <= FEW {
        return String::new();
    }
    let mut labels: Vec<usize> = matrix.counts().map(|(label, ..)| label).collect();
    labels.dedup();
    let mut recalls: Vec<_> = (labels.into_iter())
        .filter_map(|k| Some((k, matrix.recall(k)?)))
        .collect();
    recalls.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut out = format!(
        "<h3>{}</h3><ol class=\"pairs\">",
        voice.say("Least recognised")
    );
    for (k, recall) in recalls.into_iter().take(8) {
        let _ = write!(
            out,
            "<li><span>{}</span> <b>{}</b></li>",
            escape(&class_name(classes, k)),
            percent(recall)
        );
    }
    out + "</ol>"
}

/// `98.4`: per cent without the sign, which a matrix has no room for.
fn share(share: Option<f64>) -> String {
    share.map_or("–".to_string(), |s| format!("{:.1}", s * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;

    fn matrix() -> ConfusionMatrix {
        ConfusionMatrix::from_rows(&[vec![8, 2, 0], vec![1, 4], vec![]])
    }

    #[test]
    fn few_classes_have_numbers_and_many_are_pixels() {
        let voice = Voice::new(Language::English);
        let html = render(&matrix(), &[], &voice);
        assert!(html.contains("<title>label 0, answered 1: 2</title>"));
        roxmltree::Document::parse(&html).unwrap();
        let mut many = ConfusionMatrix::new(100);
        for i in 0..100 {
            many.add(i, i);
            many.add(i, (i * 7) % 100);
        }
        let html = render(&many, &[], &voice);
        assert!(!html.contains("answered 1:") && html.contains("data:image/png"));
        assert!(html.len() < 20_000, "{}", html.len());
        roxmltree::Document::parse(&html).unwrap();
        let mut huge = ConfusionMatrix::new(1500);
        huge.add(3, 4);
        assert!(render(&huge, &[], &voice).len() < 2_000);
        assert_eq!(render(&ConfusionMatrix::new(0), &[], &voice), "");
    }
}
