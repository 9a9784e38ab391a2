//! Pictures: samples that were answered wrongly, and the filters of the first layer.

use super::html::escape;
use super::numbers::{significant, thousands};
use super::voice::Voice;
use super::{Filters, Report};
use std::fmt::Write;
use zerokara_figures::Picture;

const MOST_SAMPLES: usize = 60;
const MOST_FILTERS: usize = 64;

/// The samples, most confident error first.
pub(super) fn misclassified(report: &Report, voice: &Voice) -> String {
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
        let told = match sample.index {
            Some(index) => voice.fill(
                "number {}: label {}, answered {}",
                &[&thousands(index), &label, &answer],
            ),
            None => voice.fill("label {}, answered {}", &[&label, &answer]),
        };
        let picture = match Picture::from_pixels(&sample.pixels, sample.shape) {
            Some(picture) => format!(
                "<img src=\"{}\" width=\"{}\" height=\"{}\" alt=\"{told}\" title=\"{told}, {probability}\"/>",
                picture.data_uri(),
                picture.width,
                picture.height
            ),
            None => format!("<span class=\"absent\">{}</span>", voice.say("no picture")),
        };
        let _ = write!(
            out,
            "<li>{picture}<span>{} <b>{label}</b></span><span>{} <b class=\"answer\">{answer}</b> \
             <i>({probability})</i></span></li>",
            voice.say("label"),
            voice.say("answered"),
        );
    }
    out += "</ul>";
    if samples.len() > MOST_SAMPLES {
        let _ = write!(
            out,
            "<p class=\"note\">{}</p>",
            voice.fill(
                "The {} most confident of {} errors.",
                &[&MOST_SAMPLES, &thousands(samples.len() as u64)]
            )
        );
    }
    out
}

/// The filters before and after training, each set on its own scale.
pub(super) fn filters(report: &Report, voice: &Voice) -> String {
    let sets = [
        (voice.say("Before training"), &report.filters_before),
        (voice.say("After training"), &report.filters_after),
    ];
    let sets: String = sets
        .iter()
        .filter_map(|(name, set)| filter_set(name, set.as_ref()?, voice))
        .collect();
    match sets.is_empty() {
        true => sets,
        false => format!("<div class=\"filters\">{sets}</div>"),
    }
}

fn filter_set(name: &str, filters: &Filters, voice: &Voice) -> Option<String> {
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
            "<img src=\"{}\" width=\"{width}\" height=\"{height}\" alt=\"{}\"/>",
            picture.data_uri(),
            voice.fill("filter {}", &[&(i + 1)])
        );
    }
    let scale = significant(f64::from(scale), 2);
    let legend = match channels {
        3 => voice.fill("grey is 0, full colour ±{}", &[&scale]),
        1 => voice.fill("blue −{}, white 0, orange {}", &[&scale, &scale]),
        _ => voice.fill(
            "mean over the channels: blue −{}, white 0, orange {}",
            &[&scale, &scale],
        ),
    };
    let told = voice.fill(
        "{} filters of {} × {}; {}",
        &[&count, &height, &width, &legend],
    );
    let told = match count.saturating_sub(MOST_FILTERS) {
        0 => told,
        n => voice.fill("{}; {} more are not shown", &[&told, &thousands(n as u64)]),
    };
    Some(format!(
        "<figure><figcaption><h3>{name}</h3><p class=\"note\">{told}</p>\
         </figcaption><div class=\"tiles\">{images}</div></figure>"
    ))
}
