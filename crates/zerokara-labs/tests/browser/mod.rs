//! Pages in headless Chromium: a script of the test looks at them and says what it found.

mod chromium;

use chromium::chromium;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use std::{fs, path::Path, process::Command};

/// Notes what goes wrong in a page, before its own scripts run.
const NOTES: &str = "<script>window.problems=[];addEventListener('error',e=>problems.push(String(e.message)));\
addEventListener('unhandledrejection',e=>problems.push(String(e.reason)));\
console.error=(...all)=>problems.push(all.join(' '));console.warn=console.error</script>";

/// Opens each page in a frame, one after another, and calls `look(frame, name)`, an async function that the script defines;
/// `frame.contentWindow.problems` has the errors of the page, `frame.style.width` is its width. Gives what the calls
/// returned, by the page's name; `None` where there is no browser.
pub fn look_at(pages: &[(String, String)], script: &str) -> Option<Value> {
    let program = chromium()?;
    let folder = tempfile::tempdir().unwrap();
    for (name, html) in pages {
        let html = html.replacen("<head>", &format!("<head>{NOTES}"), 1);
        fs::write(folder.path().join(format!("{name}.html")), html).unwrap();
    }
    let names: Vec<&String> = pages.iter().map(|(name, _)| name).collect();
    let harness = format!(
        "<!DOCTYPE html><meta charset=\"utf-8\"><style>iframe{{border:0;height:900px}}</style><body><script>
{script}
const found = {{}};
async function all() {{
  for (const name of {}) {{
    const frame = document.createElement('iframe');
    frame.style.width = '1280px';
    frame.src = name + '.html';
    document.body.append(frame);
    await new Promise(loaded => frame.onload = loaded);
    try {{ found[name] = await look(frame, name); }} catch (e) {{ found[name] = {{ failed: String(e.stack || e) }}; }}
    frame.remove();
  }}
}}
all().finally(() => {{ document.body.textContent = 'BEGIN' + encodeURIComponent(JSON.stringify(found)) + 'END'; document.title = 'done'; }});
</script>",
        serde_json::to_string(&names).unwrap()
    );
    let path = folder.path().join("all.html");
    fs::write(&path, harness).unwrap();
    Some(answer(&dump(&program, &path, folder.path())))
}

fn dump(program: &Path, page: &Path, folder: &Path) -> String {
    let output = Command::new(program)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-sync", "--disable-extensions"])
        .args(["--allow-file-access-from-files", "--window-size=1400,1000", "--dump-dom"])
        // Time goes on at once where nothing is done: a page that never ends is cut off.
        .arg("--virtual-time-budget=3000000")
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap_or_else(|e| panic!("{} does not run: {e}", program.display()));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What the harness wrote, between its marks.
fn answer(page: &str) -> Value {
    let told = page
        .split_once("<body>BEGIN")
        .and_then(|(_, rest)| rest.split_once("END"))
        .unwrap_or_else(|| panic!("the pages were not looked at to the end: {page:.2000}"));
    let bytes: Vec<u8> = percent_decode_str(told.0).collect();
    serde_json::from_slice(&bytes).unwrap()
}
