//! Every page in a browser: wide and narrow, light and dark, in both languages.

mod browser;

use zerokara_labs::{LABS, Language, Options, gallery};

/// The largest page.
const MOST_BYTES: usize = 1_500_000;

#[test]
fn every_page_can_be_read_everywhere() {
    let networks = tempfile::tempdir().unwrap();
    let options = Options::new().quick().quiet().networks(networks.path());
    let reports: Vec<_> =
        LABS.iter().map(|lab| options.run(lab).unwrap_or_else(|e| panic!("{e}"))).collect();
    let mut pages: Vec<(String, String)> =
        reports.iter().map(|report| (report.lab().name(), report.page())).collect();
    pages.push(("index".into(), gallery(&reports, Language::English)));
    for (name, html) in &pages {
        assert!(html.len() < MOST_BYTES, "{name} has {} bytes", html.len());
    }
    let Some(found) = browser::look_at(&pages, include_str!("browser/pages.js")) else {
        return;
    };
    let mut problems = Vec::new();
    for (name, _) in &pages {
        let told = &found[name];
        match told.as_array() {
            Some(list) => {
                problems.extend(list.iter().map(|what| format!("{name}: {what}")))
            }
            None => problems.push(format!("{name}: {told}")),
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}
