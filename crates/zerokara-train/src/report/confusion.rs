//! The confusion matrix: as a table when there are few classes, else as a picture with its worst cells in words.

use super::class_name;
use super::html::escape;
use super::numbers::{percent, thousands};
use std::fmt::Write;
use zerokara_figures::Picture;
use zerokara_nn::metrics::ConfusionMatrix;

/// With more classes than this, the matrix is a picture.
const TABLE: usize = 26;
/// With more classes than this, there is no picture either.
const PICTURE: usize = 1000;

/// The section's contents; empty when nothing was counted.
pub(super) fn render(matrix: &ConfusionMatrix, classes: &[String]) -> String {
    if matrix.total() == 0 {
        return String::new();
    }
    let cells = match matrix.classes() {
        k if k <= TABLE => table(matrix, classes),
        k if k <= PICTURE => picture(matrix),
        _ => String::new(),
    };
    format!(
        "<div class=\"confusion\">{cells}<div class=\"worst\">{}{}</div></div>",
        frequent(matrix, classes),
        least_recognised(matrix, classes)
    )
}

fn most_errors(matrix: &ConfusionMatrix) -> f64 {
    matrix.worst(1).first().map_or(1.0, |cell| cell.2 as f64)
}

fn table(matrix: &ConfusionMatrix, classes: &[String]) -> String {
    let name = |k| escape(&class_name(classes, k));
    let mut out = String::from(
        "<div class=\"scroll\"><table class=\"matrix\"><caption>Rows are labels, columns are answers.</caption>\
         <thead><tr><th scope=\"col\" aria-label=\"label\"></th>",
    );
    for k in 0..matrix.classes() {
        let _ = write!(out, "<th scope=\"col\">{}</th>", name(k));
    }
    out.push_str("<th scope=\"col\" class=\"margin\">recall</th></tr></thead><tbody>");
    let most = most_errors(matrix);
    for label in 0..matrix.classes() {
        let _ = write!(out, "<tr><th scope=\"row\">{}</th>", name(label));
        for answer in 0..matrix.classes() {
            let count = matrix.count(label, answer);
            let title = format!(
                "label {}, answered {}: {}",
                name(label),
                name(answer),
                thousands(count)
            );
            let (class, shade) = match count {
                0 => ("none", 0.0),
                _ if label == answer => {
                    ("right", 12.0 + 33.0 * matrix.recall(label).unwrap_or(0.0))
                }
                // Logarithmic: one error shall be seen beside thirty.
                _ => ("wrong", 14.0 + 56.0 * (count as f64).ln_1p() / most.ln_1p()),
            };
            let _ = match class {
                "none" => write!(out, "<td class=\"none\" title=\"{title}\">·</td>"),
                _ => write!(
                    out,
                    "<td class=\"{class}\" style=\"--s:{shade:.0}%\" title=\"{title}\">{}</td>",
                    thousands(count)
                ),
            };
        }
        let _ = write!(
            out,
            "<td class=\"margin\">{}</td></tr>",
            share(matrix.recall(label))
        );
    }
    out.push_str("</tbody><tfoot><tr><th scope=\"row\" class=\"margin\">precision</th>");
    for k in 0..matrix.classes() {
        let _ = write!(
            out,
            "<td class=\"margin\">{}</td>",
            share(matrix.precision(k))
        );
    }
    let accuracy = matrix.accuracy();
    let _ = write!(
        out,
        "<td class=\"margin\"><b>{}</b></td></tr></tfoot></table></div>",
        share(Some(accuracy))
    );
    out
}

/// One pixel per cell; transparent where nothing was counted, so that it suits both themes.
fn picture(matrix: &ConfusionMatrix) -> String {
    let most = most_errors(matrix);
    let mut rgba = vec![0; matrix.classes() * matrix.classes() * 4];
    for (label, answer, count) in matrix.counts() {
        let ([red, green, blue], alpha) = match label == answer {
            true => ([0, 114, 178], matrix.recall(label).unwrap_or(0.0)),
            false => (
                [213, 94, 0],
                0.2 + 0.8 * (count as f64).ln_1p() / most.ln_1p(),
            ),
        };
        let pixel = [red, green, blue, (alpha * 255.0).round() as u8];
        let at = (label * matrix.classes() + answer) * 4;
        rgba[at..at + 4].copy_from_slice(&pixel);
    }
    let picture = Picture {
        width: matrix.classes(),
        height: matrix.classes(),
        rgba,
    };
    format!(
        "<figure class=\"heat\"><img src=\"{}\" width=\"{k}\" height=\"{k}\" \
         alt=\"Confusion matrix of {k} classes; its most frequent errors are listed beside it\"/>\
         <figcaption>Rows are labels, columns are answers. Blue: right, the stronger the higher the recall. \
         Orange: errors.</figcaption></figure>",
        picture.data_uri(),
        k = matrix.classes()
    )
}

fn frequent(matrix: &ConfusionMatrix, classes: &[String]) -> String {
    let worst = matrix.worst(8);
    if worst.is_empty() {
        return "<p>No errors.</p>".to_string();
    }
    let mut out = String::from("<h3>Most frequent errors</h3><ol class=\"pairs\">");
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
fn least_recognised(matrix: &ConfusionMatrix, classes: &[String]) -> String {
    if matrix.classes() <= TABLE {
        return String::new();
    }
    let mut labels: Vec<usize> = matrix.counts().map(|(label, ..)| label).collect();
    labels.dedup();
    let mut recalls: Vec<_> = (labels.into_iter())
        .filter_map(|k| Some((k, matrix.recall(k)?)))
        .collect();
    recalls.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut out = String::from("<h3>Least recognised</h3><ol class=\"pairs\">");
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

    fn matrix() -> ConfusionMatrix {
        ConfusionMatrix::from_rows(&[vec![8, 2, 0], vec![1, 4], vec![]])
    }

    #[test]
    fn few_classes_are_a_table_and_many_a_picture() {
        let html = render(&matrix(), &[]);
        assert!(html.contains("title=\"label 0, answered 1: 2\""));
        roxmltree::Document::parse(&html).unwrap();
        let mut many = ConfusionMatrix::new(100);
        for i in 0..100 {
            many.add(i, i);
            many.add(i, (i * 7) % 100);
        }
        let html = render(&many, &[]);
        assert!(!html.contains("<table") && html.contains("data:image/png"));
        assert!(html.len() < 20_000, "{}", html.len());
        roxmltree::Document::parse(&html).unwrap();
        let mut huge = ConfusionMatrix::new(1500);
        huge.add(3, 4);
        assert!(render(&huge, &[]).len() < 2_000);
        assert_eq!(render(&ConfusionMatrix::new(0), &[]), "");
    }
}
