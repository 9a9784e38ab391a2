//! Published data sets: which there are, and how they come here.

use crate::output::{self, Failure, Outcome};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use std::ffi::OsStr;
use zerokara_data::NamedSet;
use zerokara_train::{
    language::Words,
    report::{
        numbers::thousands,
        terminal::{Align, table},
    },
};

/// All that have a name, and whether they are here.
pub fn list(as_json: bool, words: Words) -> Outcome {
    let sets = NamedSet::all().iter();
    if as_json {
        let sets = sets.map(|set| {
            json!({"name": set.name(), "about": set.about(), "bytes": set.bytes(), "here": set.is_here(), "address": set.address()})
        });
        return output::print(&json!({ "sets": sets.collect::<Vec<_>>() }).to_string());
    }
    let rows = sets.map(|set| {
        let size = match set.bytes() {
            0 => String::new(),
            bytes => format!("{} MB", thousands(bytes.div_ceil(1_000_000))),
        };
        let here = if set.is_here() { "yes" } else { "no" };
        vec![
            set.name().to_string(),
            words.say(here),
            size,
            words.say(set.about()),
        ]
    });
    let heads = [
        ("name", Align::Left),
        ("here", Align::Left),
        ("size", Align::Right),
        ("what it is", Align::Left),
    ];
    let heads = heads.map(|(name, align)| (words.say(name), align));
    let heads: Vec<(&str, Align)> = heads
        .iter()
        .map(|(name, align)| (name.as_str(), *align))
        .collect();
    output::print(table(&heads, &rows.collect::<Vec<_>>()).trim_end())?;
    output::note(&words.say("one that is not here: zerokara data NAME --fetch"));
    Ok(())
}

/// Fetches what is not here, with how far that is.
pub fn fetch(asked: &OsStr, from: Option<&str>, words: Words) -> Outcome {
    let name = asked.to_string_lossy();
    let Some(set) = NamedSet::by_name(&name) else {
        let names: Vec<&str> = NamedSet::all().iter().map(NamedSet::name).collect();
        return Err(Failure::new(format!(
            "{name} is no published data set that could be fetched; there are {}",
            names.join(", ")
        )));
    };
    if set.is_here() {
        return Ok(());
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template(
        "{prefix} {bar:30} {bytes} / {total_bytes}  {bytes_per_sec}  {eta}",
    );
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    let fetched = set.fetch(from, &mut |now| {
        bar.set_prefix(now.name.to_string());
        bar.set_length(now.total);
        bar.set_position(now.done);
    });
    bar.finish_and_clear();
    let folder = fetched?;
    output::note(&words.fill("fetched {} into {}", &[&set.name(), &folder.display()]));
    Ok(())
}
