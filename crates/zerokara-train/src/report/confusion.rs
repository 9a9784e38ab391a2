//! The confusion matrix: as a table when there are few classes, else as a picture with its worst cells in words.

use super::class_name;
use super::html::escape;
use super::image::Picture;
use super::numbers::{percent, thousands};
use std::fmt::Write;

/// With more classes than this, the matrix is a picture.
const TABLE: usize = 26;
/// With more classes than this, there is no picture either.
const PICTURE: usize = 1000;

/// How often each class was answered for each label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confusion {
    classes: usize,
    counts: Vec<u64>,
}

impl Confusion {
    /// An empty matrix of `classes` classes.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            counts: vec![0; classes * classes],
        }
    }

    /// The matrix of `rows[label][answer]`; rows that are missing or too short are filled with zeros.
    pub fn from_rows(rows: &[Vec<u64>]) -> Self {
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut matrix = Self::new(longest.max(rows.len()));
        for (label, row) in rows.iter().enumerate() {
            for (answer, count) in row.iter().enumerate() {
                matrix.counts[label * matrix.classes + answer] = *count;
            }
        }
        matrix
    }

    /// Counts one answer. Classes beyond the matrix are ignored.
    pub fn add(&mut self, label: usize, answer: usize) {
        if label < self.classes && answer < self.classes {
            self.counts[label * self.classes + answer] += 1;
        }
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// How often `answer` was given for `label`; 0 beyond the matrix.
    pub fn count(&self, label: usize, answer: usize) -> u64 {
        match label < self.classes && answer < self.classes {
            true => self.counts[label * self.classes + answer],
            false => 0,
        }
    }

    /// Number of samples.
    pub fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Number of right answers.
    pub fn correct(&self) -> u64 {
        (0..self.classes).map(|k| self.count(k, k)).sum()
    }

    /// Of the samples of class `k`, the share that was recognised; `None` when there are none.
    pub fn recall(&self, k: usize) -> Option<f64> {
        let all: u64 = (0..self.classes).map(|answer| self.count(k, answer)).sum();
        (all > 0).then(|| self.count(k, k) as f64 / all as f64)
    }

    /// Of the answers `k`, the share that was right; `None` when there are none.
    pub fn precision(&self, k: usize) -> Option<f64> {
        let all: u64 = (0..self.classes).map(|label| self.count(label, k)).sum();
        (all > 0).then(|| self.count(k, k) as f64 / all as f64)
    }

    /// The most frequent errors, as label, answer and count; at most `limit`.
    pub fn worst(&self, limit: usize) -> Vec<(usize, usize, u64)> {
        let mut cells: Vec<_> = (0..self.counts.len())
            .map(|i| (i / self.classes, i % self.classes, self.counts[i]))
            .filter(|(label, answer, count)| label != answer && *count > 0)
            .collect();
        cells.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
        cells.truncate(limit);
        cells
    }

    fn most_errors(&self) -> f64 {
        self.worst(1).first().map_or(1.0, |cell| cell.2 as f64)
    }

    /// The section's contents; empty when nothing was counted.
    pub(super) fn render(&self, classes: &[String]) -> String {
        if self.total() == 0 {
            return String::new();
        }
        let matrix = match self.classes {
            k if k <= TABLE => self.table(classes),
            k if k <= PICTURE => self.picture(),
            _ => String::new(),
        };
        format!(
            "<div class=\"confusion\">{matrix}<div class=\"worst\">{}{}</div></div>",
            self.frequent(classes),
            self.least_recognised(classes)
        )
    }

    fn table(&self, classes: &[String]) -> String {
        let name = |k| escape(&class_name(classes, k));
        let mut out = String::from(
            "<div class=\"scroll\"><table class=\"matrix\"><caption>Rows are labels, columns are answers.</caption>\
             <thead><tr><th scope=\"col\" aria-label=\"label\"></th>",
        );
        for k in 0..self.classes {
            let _ = write!(out, "<th scope=\"col\">{}</th>", name(k));
        }
        out.push_str("<th scope=\"col\" class=\"margin\">recall</th></tr></thead><tbody>");
        let most = self.most_errors();
        for label in 0..self.classes {
            let _ = write!(out, "<tr><th scope=\"row\">{}</th>", name(label));
            for answer in 0..self.classes {
                let count = self.count(label, answer);
                let title = format!(
                    "label {}, answered {}: {}",
                    name(label),
                    name(answer),
                    thousands(count)
                );
                let (class, shade) = match count {
                    0 => ("none", 0.0),
                    _ if label == answer => {
                        ("right", 12.0 + 33.0 * self.recall(label).unwrap_or(0.0))
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
                share(self.recall(label))
            );
        }
        out.push_str("</tbody><tfoot><tr><th scope=\"row\" class=\"margin\">precision</th>");
        for k in 0..self.classes {
            let _ = write!(
                out,
                "<td class=\"margin\">{}</td>",
                share(self.precision(k))
            );
        }
        let accuracy = self.correct() as f64 / self.total() as f64;
        let _ = write!(
            out,
            "<td class=\"margin\"><b>{}</b></td></tr></tfoot></table></div>",
            share(Some(accuracy))
        );
        out
    }

    /// One pixel per cell; transparent where nothing was counted, so that it suits both themes.
    fn picture(&self) -> String {
        let most = self.most_errors();
        let mut rgba = Vec::with_capacity(self.counts.len() * 4);
        for (i, count) in self.counts.iter().enumerate() {
            let (label, answer) = (i / self.classes, i % self.classes);
            let (rgb, alpha) = match *count {
                0 => ([0, 0, 0], 0.0),
                _ if label == answer => ([0, 114, 178], self.recall(label).unwrap_or(0.0)),
                n => ([213, 94, 0], 0.2 + 0.8 * (n as f64).ln_1p() / most.ln_1p()),
            };
            rgba.extend(rgb);
            rgba.push((alpha * 255.0).round() as u8);
        }
        let picture = Picture {
            width: self.classes,
            height: self.classes,
            rgba,
        };
        format!(
            "<figure class=\"heat\"><img src=\"{}\" width=\"{k}\" height=\"{k}\" \
             alt=\"Confusion matrix of {k} classes; its most frequent errors are listed beside it\"/>\
             <figcaption>Rows are labels, columns are answers. Blue: right, the stronger the higher the recall. \
             Orange: errors.</figcaption></figure>",
            picture.data_uri(),
            k = self.classes
        )
    }

    fn frequent(&self, classes: &[String]) -> String {
        let worst = self.worst(8);
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
    fn least_recognised(&self, classes: &[String]) -> String {
        if self.classes <= TABLE {
            return String::new();
        }
        let mut recalls: Vec<_> = (0..self.classes)
            .filter_map(|k| Some((k, self.recall(k)?)))
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
}

/// `98.4`: per cent without the sign, which a matrix has no room for.
fn share(share: Option<f64>) -> String {
    share.map_or("–".to_string(), |s| format!("{:.1}", s * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix() -> Confusion {
        Confusion::from_rows(&[vec![8, 2, 0], vec![1, 4], vec![]])
    }

    #[test]
    fn recall_precision_and_errors() {
        let m = matrix();
        assert_eq!((m.classes(), m.total(), m.correct()), (3, 15, 12));
        assert_eq!(m.recall(0), Some(0.8));
        assert_eq!(m.precision(1), Some(4.0 / 6.0));
        assert_eq!((m.recall(2), m.precision(2)), (None, None));
        assert_eq!(m.worst(5), [(0, 1, 2), (1, 0, 1)]);
        assert_eq!(m.count(7, 0), 0);
        let mut n = Confusion::new(2);
        n.add(1, 0);
        n.add(2, 0);
        assert_eq!((n.total(), n.count(1, 0)), (1, 1));
    }

    #[test]
    fn few_classes_are_a_table_and_many_a_picture() {
        let html = matrix().render(&[]);
        assert!(html.contains("title=\"label 0, answered 1: 2\""));
        roxmltree::Document::parse(&html).unwrap();
        let mut many = Confusion::new(100);
        for i in 0..100 {
            many.add(i, i);
            many.add(i, (i * 7) % 100);
        }
        let html = many.render(&[]);
        assert!(!html.contains("<table") && html.contains("data:image/png"));
        assert!(html.len() < 20_000, "{}", html.len());
        roxmltree::Document::parse(&html).unwrap();
        let mut huge = Confusion::new(1500);
        huge.add(3, 4);
        assert!(huge.render(&[]).len() < 2_000);
        assert_eq!(Confusion::new(0).render(&[]), "");
    }
}
