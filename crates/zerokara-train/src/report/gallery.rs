//! Pictures: samples that were answered wrongly, and the filters of the first layer.

use super::html::escape;
use super::numbers::{significant, thousands};
use super::{Filters, Report};
use std::fmt::Write;
use zerokara_figures::Picture;

const MOST_SAMPLES: usize = 60;
const MOST_FILTERS: usize = 64;

/// The samples, most confident error first.
pub(super) fn misclassified(report: &Report) -> String {
    if report.misclassified.is_empty() {
        return String::new();
    }
    let mut samples: Vec<_> = report.misclassified.iter().collect();
    samples.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let mut out = String::from("<ul class=\"samples\">");
    for sample in samples.iter().take(MOST_SAMPLES) {
        let label = escape(&report.class(sample.label));
        let answer = escape(&report.class(sample.answer));
        let probability = match sample.probability.is_finite() {
            true => format!("{:.2}", sample.probability),
            false => "–".to_string(),
        };
        let number = match sample.index {
            Some(index) => format!("number {}: ", thousands(index)),
            None => String::new(),
        };
        let picture = match Picture::from_pixels(&sample.pixels, sample.shape) {
            Some(picture) => format!(
                "<img src=\"{}\" width=\"{}\" height=\"{}\" alt=\"{number}label {label}, answered {answer}\" title=\"{number}label {label}, answered {answer}, {probability}\"/>",
                picture.data_uri(),
                picture.width,
                picture.height
            ),
            None => "<span class=\"absent\">no picture</span>".to_string(),
        };
        let _ = write!(
            out,
            "<li>{picture}<span>label <b>{label}</b></span><span>answered <b class=\"answer\">{answer}</b> \
             <i>({probability})</i></span></li>",
        );
    }
    out += "</ul>";
    if samples.len() > MOST_SAMPLES {
        let _ = write!(
            out,
            "<p class=\"note\">The {MOST_SAMPLES} most confident of {} errors.</p>",
            thousands(samples.len() as u64)
        );
    }
    out
}

/// The filters before and after training, each set on its own scale.
pub(super) fn filters(report: &Report) -> String {
    let sets = [
        ("Before training", &report.filters_before),
        ("After training", &report.filters_after),
    ];
    let sets: String = sets
        .iter()
        .filter_map(|(name, set)| filter_set(name, set.as_ref()?))
        .collect();
    match sets.is_empty() {
        true => sets,
        false => format!("<div class=\"filters\">{sets}</div>"),
    }
}

fn filter_set(name: &str, filters: &Filters) -> Option<String> {
    let [count, channels, height, width] = filters.shape;
    let size = channels.checked_mul(height)?.checked_mul(width)?;
    if size == 0 || count == 0 || count.checked_mul(size)? != filters.weights.len() {
        return None;
    }
    let finite = filters.weights.iter().filter(|w| w.is_finite());
    let scale = finite.fold(0.0f32, |m, w| m.max(w.abs()));
    let mut images = String::new();
    for (i, weights) in filters.weights.chunks(size).take(MOST_FILTERS).enumerate() {
        let picture = Picture::from_weights(weights, [channels, height, width], scale)?;
        let _ = write!(
            images,
            "<img src=\"{}\" width=\"{width}\" height=\"{height}\" alt=\"filter {}\"/>",
            picture.data_uri(),
            i + 1
        );
    }
    let scale = significant(f64::from(scale), 2);
    let legend = match channels {
        3 => format!("grey is 0, full colour ±{scale}"),
        1 => format!("blue −{scale}, white 0, orange {scale}"),
        _ => format!("mean over the channels: blue −{scale}, white 0, orange {scale}"),
    };
    let left_out = match count.saturating_sub(MOST_FILTERS) {
        0 => String::new(),
        n => format!("; {} more are not shown", thousands(n as u64)),
    };
    Some(format!(
        "<figure><figcaption><h3>{name}</h3><p class=\"note\">{count} filters of {height} × {width}; {legend}{left_out}</p>\
         </figcaption><div class=\"tiles\">{images}</div></figure>"
    ))
}
