//! The model's summary and the time of each layer.

use super::html::escape;
use super::numbers::{prefixed, significant, thousands};
use super::page::drawn;
use super::voice::Voice;
use super::{LayerRow, LayerTime};
use std::fmt::Write;
use zerokara_figures::Bars;

/// Layer, output shape, parameters and operations, with totals.
pub(super) fn summary(layers: &[LayerRow], samples: &str, voice: &Voice) -> String {
    if layers.is_empty() {
        return String::new();
    }
    let one = samples.trim_end_matches('s');
    let mut out = format!(
        "<div class=\"scroll\"><table class=\"list\"><thead><tr><th scope=\"col\">{}</th>\
         <th scope=\"col\">{}</th><th scope=\"col\" class=\"number\">{}</th>\
         <th scope=\"col\" class=\"number\">{}</th></tr></thead><tbody>",
        voice.say("layer"),
        voice.say("output"),
        voice.say("parameters"),
        escape(&voice.say(&format!("FLOPs per {one}")))
    );
    let none = |n: u64, text: String| match n {
        0 => "<span class=\"none\">–</span>".to_string(),
        _ => text,
    };
    for layer in layers {
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"number\">{}</td><td class=\"number\">{}</td></tr>",
            escape(&layer.name),
            shape(&layer.output),
            none(layer.parameters, thousands(layer.parameters)),
            none(layer.flops, prefixed(layer.flops as f64)),
        );
    }
    let sum = |of: fn(&LayerRow) -> u64| layers.iter().map(of).fold(0, u64::saturating_add);
    let _ = write!(
        out,
        "</tbody><tfoot><tr><th scope=\"row\">{}</th><td></td><td class=\"number\">{}</td>\
         <td class=\"number\">{}</td></tr></tfoot></table></div>",
        voice.say("total"),
        thousands(sum(|l| l.parameters)),
        prefixed(sum(|l| l.flops) as f64)
    );
    out
}

/// `30 × 24 × 24`.
fn shape(output: &[usize]) -> String {
    let sizes: Vec<String> = output.iter().map(usize::to_string).collect();
    sizes.join(" × ")
}

/// Bars of the time forward and backward, and the numbers beside them.
pub(super) fn times(times: &[LayerTime], voice: &Voice) -> String {
    let valid = |ms: f64| if ms.is_finite() && ms > 0.0 { ms } else { 0.0 };
    let total = |t: &LayerTime| valid(t.forward) + valid(t.backward);
    let all: f64 = times.iter().map(total).sum();
    if all <= 0.0 || !all.is_finite() {
        return String::new();
    }
    let bars = Bars::new("Time per layer")
        .no_title()
        .parts(["forward", "backward"])
        .unit("ms");
    let names: Vec<String> = times.iter().map(|time| named(time, voice)).collect();
    let bars = times.iter().zip(&names).fold(bars, |bars, (time, name)| {
        bars.bar(name, [time.forward, time.backward])
    });
    let [wide, narrow] = [540, 328].map(|width| {
        let figure = bars.clone().width(width).figure();
        voice.figure(&figure, &names)
    });
    let mut out = format!("<div class=\"charts\">{}", drawn("", &wide, &narrow));
    let _ = write!(
        out,
        "<div class=\"scroll\"><table class=\"list times\"><thead><tr><th scope=\"col\">{}</th>\
         <th scope=\"col\" class=\"number\">{}</th><th scope=\"col\" class=\"number\">{}</th>\
         <th scope=\"col\" class=\"number\">{}</th></tr></thead><tbody>",
        voice.say("layer"),
        voice.say("forward, ms"),
        voice.say("backward, ms"),
        voice.say("share")
    );
    let ms = |v: f64| match valid(v) > 0.0 {
        true => significant(v, 3),
        false => "<span class=\"none\">–</span>".to_string(),
    };
    for (time, name) in times.iter().zip(&names) {
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{:.1} %</td></tr>",
            escape(name),
            ms(time.forward),
            ms(time.backward),
            total(time) / all * 100.0
        );
    }
    let sum = |of: fn(&LayerTime) -> f64| times.iter().map(|t| valid(of(t))).sum::<f64>();
    let _ = write!(
        out,
        "</tbody><tfoot><tr><th scope=\"row\">{}</th><td class=\"number\">{}</td>\
         <td class=\"number\">{}</td><td class=\"number\">{} ms</td></tr></tfoot></table></div></div>",
        voice.say("total"),
        ms(sum(|t| t.forward)),
        ms(sum(|t| t.backward)),
        significant(all, 3)
    );
    out
}

/// The name of a layer; what is no layer is said.
fn named(time: &LayerTime, voice: &Voice) -> String {
    match time.name.as_str() {
        "loss" | "norm and update" => voice.say(&time.name),
        name => name.to_string(),
    }
}
