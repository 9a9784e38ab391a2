//! The model's summary and the time of each layer.

use super::html::escape;
use super::numbers::{prefixed, significant, thousands};
use super::page::drawn;
use super::{LayerRow, LayerTime};
use std::fmt::Write;
use zerokara_figures::Bars;

/// Layer, output shape, parameters and operations, with totals.
pub(super) fn summary(layers: &[LayerRow], samples: &str) -> String {
    if layers.is_empty() {
        return String::new();
    }
    let one = samples.trim_end_matches('s');
    let mut out = format!(
        "<div class=\"scroll\"><table class=\"list\"><thead><tr><th scope=\"col\">layer</th>\
         <th scope=\"col\">output</th><th scope=\"col\" class=\"number\">parameters</th>\
         <th scope=\"col\" class=\"number\">FLOPs per {}</th></tr></thead><tbody>",
        escape(one)
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
        "</tbody><tfoot><tr><th scope=\"row\">total</th><td></td><td class=\"number\">{}</td>\
         <td class=\"number\">{}</td></tr></tfoot></table></div>",
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
pub(super) fn times(times: &[LayerTime]) -> String {
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
    let bars = times.iter().fold(bars, |bars, time| {
        bars.bar(&time.name, [time.forward, time.backward])
    });
    let [wide, narrow] = [540, 328].map(|width| bars.clone().width(width).figure());
    let mut out = format!("<div class=\"charts\">{}", drawn("", &wide, &narrow));
    out.push_str(
        "<div class=\"scroll\"><table class=\"list times\"><thead><tr><th scope=\"col\">layer</th>\
         <th scope=\"col\" class=\"number\">forward, ms</th><th scope=\"col\" class=\"number\">backward, ms</th>\
         <th scope=\"col\" class=\"number\">share</th></tr></thead><tbody>",
    );
    let ms = |v: f64| match valid(v) > 0.0 {
        true => significant(v, 3),
        false => "<span class=\"none\">–</span>".to_string(),
    };
    for time in times {
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"number\">{}</td><td class=\"number\">{:.1} %</td></tr>",
            escape(&time.name),
            ms(time.forward),
            ms(time.backward),
            total(time) / all * 100.0
        );
    }
    let sum = |of: fn(&LayerTime) -> f64| times.iter().map(|t| valid(of(t))).sum::<f64>();
    let _ = write!(
        out,
        "</tbody><tfoot><tr><th scope=\"row\">total</th><td class=\"number\">{}</td>\
         <td class=\"number\">{}</td><td class=\"number\">{} ms</td></tr></tfoot></table></div></div>",
        ms(sum(|t| t.forward)),
        ms(sum(|t| t.backward)),
        significant(all, 3)
    );
    out
}
