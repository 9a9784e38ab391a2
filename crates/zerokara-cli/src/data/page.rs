//! What was understood of data, as a page and as pictures.

use super::Understood;
use crate::{
    output::{Failure, Outcome},
    page::escaped,
};
use zerokara_data::{Augment, Dataset};
use zerokara_figures::{Bars, Figure, Picture, Tiles, numbers::thousands};
use zerokara_train::language::Words;

/// Pictures of a class.
const OF_CLASS: usize = 10;
/// Classes that are shown.
const CLASSES: usize = 40;
/// Samples that are changed by chance, and how often each.
const CHANGED: (usize, usize) = (5, 7);
/// Width of a picture on the page.
const TILE: u32 = 64;

/// The page.
pub(super) fn page(found: &Understood, words: Words) -> String {
    let data = &found.data;
    let mut body = String::from("<ul class=\"facts\">\n");
    for (name, size) in found.sizes(words) {
        body += &format!(
            "<li><strong>{}</strong> {}</li>\n",
            escaped(&name),
            escaped(&size)
        );
    }
    for note in &data.notes {
        body += &format!("<li>{}</li>\n", escaped(&words.say(note)));
    }
    body += "</ul>\n";
    let counts = found.counts();
    if !counts.is_empty() {
        let there = found.parts().map(|(_, split)| !split.is_empty());
        let parts = found
            .parts()
            .into_iter()
            .filter(|(_, split)| !split.is_empty());
        let mut bars = Bars::new(words.say("How often each class comes"))
            .parts(parts.map(|(name, _)| words.say(name)).collect::<Vec<_>>());
        for (name, counts) in counts.iter().take(CLASSES) {
            let counts = counts.iter().zip(there).filter(|(_, there)| *there);
            bars = bars.bar(
                name.as_str(),
                counts.map(|(count, _)| *count as f64).collect::<Vec<_>>(),
            );
        }
        body += &format!("<figure>{}</figure>\n", bars.figure().svg());
    }
    if let Some(sheet) = contact_sheet(data) {
        body += &format!(
            "<h2>{}</h2>\n",
            escaped(&words.say("Training pictures of each class"))
        );
        body += &sheet;
    }
    if !data.contents.is_empty() {
        body += &format!("<h2>{}</h2>\n", escaped(&words.say("Columns")));
        body += &columns(found, words);
    }
    crate::page::page(&data.name, &body, words)
}

fn columns(found: &Understood, words: Words) -> String {
    let cell = |tag: &str, text: &str| format!("<{tag}>{}</{tag}>", escaped(text));
    let heads = [
        "column",
        "holds",
        "used as",
        "different",
        "missing",
        "values",
    ];
    let heads: String = heads
        .iter()
        .map(|head| cell("th", &words.say(head)))
        .collect();
    let row = |(column, using): (&zerokara_data::Contents, &str)| {
        let cells = [
            column.name.clone(),
            words.say(column.content.name()),
            words.say(using),
            thousands(column.distinct as u64),
            thousands(column.missing as u64),
            super::values(column),
        ];
        let cells: String = cells.iter().map(|text| cell("td", text)).collect();
        format!("<tr>{cells}</tr>\n")
    };
    let rows: String = found.columns().into_iter().map(row).collect();
    format!(
        "<div class=\"scroll\"><table><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )
}

/// The first training pictures of each class, in a row for each.
fn contact_sheet(data: &Dataset) -> Option<String> {
    let mut sheet = String::new();
    for (class, name) in data.class_names.iter().enumerate().take(CLASSES) {
        let of_class = (0..data.train.len())
            .filter(|&at| data.train.labels().get(at) == Some(&(class as i64)));
        let mut tiles = Tiles::new(name.as_str()).columns(OF_CLASS).tile_size(TILE);
        for at in of_class.take(OF_CLASS) {
            tiles = tiles.add(picture(data, &data.train.sample(at))?, "");
        }
        sheet += &format!("<figure class=\"row\">{}</figure>\n", tiles.figure().svg());
    }
    (!sheet.is_empty()).then_some(sheet)
}

/// A stored sample as a picture.
fn picture(data: &Dataset, sample: &[f32]) -> Option<Picture> {
    let shape = <[usize; 3]>::try_from(data.shape()).ok()?;
    let scale = if data.train.is_u8() { 255.0 } else { 1.0 };
    let pixels: Vec<f32> = sample.iter().map(|value| value / scale).collect();
    Picture::from_pixels(&pixels, shape)
}

/// Some training pictures, each as it is and as it is changed by chance.
pub(super) fn changed(data: &Dataset, augment: &Augment, words: Words) -> Outcome<Figure> {
    let [_, _, _] = data.shape() else {
        return Err(Failure::new(format!(
            "the data set {} has no pictures that could be changed by chance",
            data.name
        )));
    };
    let (samples, times) = CHANGED;
    let mut tiles = Tiles::new(words.say("Training pictures, as they are and changed by chance"))
        .columns(times + 1)
        .tile_size(TILE);
    let every = (data.train.len() / samples).max(1);
    for at in (0..data.train.len()).step_by(every).take(samples) {
        let sample = data.train.sample(at);
        let shown = |values: &[f32]| {
            picture(data, values).ok_or_else(|| Failure::new("a picture is too large to be drawn"))
        };
        tiles = tiles.add(shown(&sample)?, "");
        for epoch in 0..times as u64 {
            let mut values = sample.clone();
            augment.apply(&mut values, data.shape(), &[at], epoch)?;
            tiles = tiles.add(shown(&values)?, "");
        }
    }
    Ok(tiles.figure())
}
