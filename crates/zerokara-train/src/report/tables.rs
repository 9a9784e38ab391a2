//! The model's summary and the time of each layer.

use super::html::escape;
use super::numbers::{prefixed, significant, thousands};
use super::page::drawn;
use super::voice::Voice;
use super::{LayerRow, LayerTime, WorstRow};
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

/// The most columns of a row that are told: beside what is right and what was answered there is no room for more.
const CELLS: usize = 8;

/// Rows with what is right and what was answered; the first columns of the data.
pub(super) fn worst(rows: &[WorstRow], voice: &Voice) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut names: Vec<&str> = Vec::new();
    for (name, _) in rows.iter().flat_map(|row| &row.cells) {
        if !names.contains(&name.as_str()) && names.len() < CELLS {
            names.push(name);
        }
    }
    let mut out = format!(
        "<div class=\"scroll\"><table class=\"list\"><thead><tr><th scope=\"col\">{}</th><th scope=\"col\">{}</th>\
         <th scope=\"col\">{}</th><th scope=\"col\" class=\"number\">{}</th>",
        voice.say("row"),
        voice.say("true"),
        voice.say("answered"),
        voice.say("probability or error"),
    );
    for name in &names {
        let _ = write!(out, "<th scope=\"col\">{}</th>", escape(name));
    }
    out.push_str("</tr></thead><tbody>");
    for row in rows {
        let index = row.index.map_or("–".to_string(), thousands);
        let _ = write!(
            out,
            "<tr><th scope=\"row\">{index}</th><td>{}</td><td>{}</td><td class=\"number\">{}</td>",
            escape(&row.wanted),
            escape(&row.given),
            escape(&row.error)
        );
        for name in &names {
            let cell = row.cells.iter().find(|(known, _)| known == name);
            let cell = cell.map_or("–".to_string(), |(_, text)| escape(text).to_string());
            let _ = write!(out, "<td>{cell}</td>");
        }
        out.push_str("</tr>");
    }
    out + "</tbody></table></div>"
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
