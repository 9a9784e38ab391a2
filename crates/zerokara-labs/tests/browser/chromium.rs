//! Where headless Chromium is: for all tests that look at pages.

use std::{env, path::PathBuf};

/// The program, from `ZEROKARA_CHROMIUM` or the search path. Where there is none the test is skipped, which it says, unless
/// `ZEROKARA_BROWSER=required`.
pub fn chromium() -> Option<PathBuf> {
    if let Some(given) = env::var_os("ZEROKARA_CHROMIUM") {
        return Some(given.into());
    }
    const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let folders = env::var_os("PATH").unwrap_or_default();
    let mut all = env::split_paths(&folders)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .filter(|path| path.is_file());
    let found = all.next();
    if found.is_none() {
        let required = env::var("ZEROKARA_BROWSER").is_ok_and(|value| value == "required");
        assert!(
            !required,
            "there is no Chromium on the search path, and the pages must be tested"
        );
        println!(
            "skipped: there is no Chromium to look at pages with (ZEROKARA_CHROMIUM names one)"
        );
    }
    found
}
