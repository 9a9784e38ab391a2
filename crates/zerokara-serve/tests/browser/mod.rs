//! A page of a server in headless Chromium, which is told what to do over a pair of pipes: the protocol of its developer tools,
//! JSON with a zero byte behind each message.

#[path = "../../../zerokara-labs/tests/browser/chromium.rs"]
mod chromium;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use std::{
    fs::{File, OpenOptions},
    io::{BufRead, BufReader, Write},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Longer than anything takes, so that a test that waits in vain ends.
const LONG: Duration = Duration::from_secs(30);

/// A browser with one page.
pub struct Browser {
    child: Child,
    commands: File,
    answers: BufReader<File>,
    session: Option<String>,
    next: u64,
    /// What the page complained of: errors of scripts, refusals of its policy, requests that failed.
    pub problems: Vec<String>,
    _folder: TempDir,
}

impl Browser {
    /// Opens a page in a window of this width; `None` where there is no browser.
    pub fn open(url: &str, width: u32) -> Option<Self> {
        let program = chromium::chromium()?;
        let folder = tempfile::tempdir().unwrap();
        let pipes = ["in", "out"].map(|name| folder.path().join(name));
        let made = Command::new("mkfifo").args(&pipes).status().unwrap();
        assert!(made.success());
        // The shell opens the pipes as the files 3 and 4, which Chromium reads from and writes to.
        let child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<in 4>out"])
            .arg(program)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--no-first-run",
            ])
            .args([
                "--disable-background-networking",
                "--disable-sync",
                "--disable-extensions",
            ])
            .args(["--hide-scrollbars", "--remote-debugging-pipe"])
            .arg(format!(
                "--user-data-dir={}",
                folder.path().join("profile").display()
            ))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let commands = OpenOptions::new().write(true).open(&pipes[0]).unwrap();
        let answers = BufReader::new(File::open(&pipes[1]).unwrap());
        let mut browser = Self {
            child,
            commands,
            answers,
            session: None,
            next: 0,
            problems: Vec::new(),
            _folder: folder,
        };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" }));
        let attached = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attached);
        browser.session = attached["sessionId"].as_str().map(String::from);
        for domain in ["Runtime.enable", "Log.enable", "Page.enable"] {
            browser.call(domain, json!({}));
        }
        browser.resize(width, 900);
        browser.call("Page.navigate", json!({ "url": url }));
        browser.wait_for("document.readyState === 'complete' && typeof runs !== 'undefined'");
        Some(browser)
    }

    fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.next += 1;
        let mut message = json!({ "id": self.next, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.commands.write_all(&bytes).unwrap();
        loop {
            let mut bytes = Vec::new();
            let read = self.answers.read_until(0, &mut bytes).unwrap();
            assert!(read > 0, "the browser is gone: {method}");
            bytes.pop();
            let told: Value = serde_json::from_slice(&bytes).unwrap();
            if told["id"] == self.next {
                assert!(told["error"].is_null(), "{method}: {told}");
                return told["result"].clone();
            }
            self.note(&told);
        }
    }

    fn note(&mut self, told: &Value) {
        let of = &told["params"];
        match told["method"].as_str() {
            Some("Runtime.exceptionThrown") => {
                self.problems.push(of["exceptionDetails"].to_string());
            }
            Some("Log.entryAdded") if of["entry"]["level"] == "error" => {
                self.problems.push(of["entry"]["text"].to_string());
            }
            _ => {}
        }
    }

    /// What an expression of the page comes to, also one that comes later.
    #[track_caller]
    pub fn ask(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let told = self.call("Runtime.evaluate", asked);
        assert!(told["exceptionDetails"].is_null(), "{expression}: {told}");
        told["result"]["value"].clone()
    }

    /// Waits until an expression holds.
    #[track_caller]
    pub fn wait_for(&mut self, expression: &str) {
        let start = Instant::now();
        while self.ask(&format!("Boolean({expression})")) != true {
            let page = "document.body.innerText.slice(0, 2000)";
            assert!(start.elapsed() < LONG, "{expression}: {}", self.ask(page));
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Clicks in the middle of what a selector finds, as a hand does.
    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        let place = self.place(selector, 0.5, true);
        for kind in ["mousePressed", "mouseReleased"] {
            let at = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.call("Input.dispatchMouseEvent", at);
        }
    }

    /// Moves the pointer to a share of the width of what a selector finds.
    #[track_caller]
    pub fn point(&mut self, selector: &str, share: f64) {
        let place = self.place(selector, share, false);
        let at = json!({ "type": "mouseMoved", "x": place[0], "y": place[1] });
        self.call("Input.dispatchMouseEvent", at);
    }

    /// Where what a selector finds is in the window, once it is there, rests for two frames (a page is laid out anew after a change
    /// of its width) and, to be clicked, can be pressed and is in front.
    #[track_caller]
    fn place(&mut self, selector: &str, share: f64, is_clicked: bool) -> Value {
        let place = format!(
            "(async () => {{
                const one = document.querySelector({selector:?});
                if (!one || one.disabled) return null;
                const frame = () => new Promise(requestAnimationFrame);
                const place = () => {{
                    one.scrollIntoView({{ block: 'center' }});
                    const box = one.getBoundingClientRect();
                    return [box.x + box.width * {share}, box.y + box.height / 2];
                }};
                const before = place();
                await frame();
                await frame();
                const now = place();
                const front = document.elementFromPoint(...now);
                const rests = one.isConnected && before[0] === now[0] && before[1] === now[1];
                return rests && (one.contains(front) || !{is_clicked}) ? now : null;
            }})()"
        );
        let start = Instant::now();
        loop {
            let place = self.ask(&place);
            if !place.is_null() {
                return place;
            }
            assert!(start.elapsed() < LONG, "{selector} is not to be pressed");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Types a text where the focus is.
    pub fn type_in(&mut self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    pub fn resize(&mut self, width: u32, height: u32) {
        let size =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// Writes the whole page as PNG into the folder that `ZEROKARA_PICTURES` names, if it does, light and dark, wide and narrow:
    /// for who looks at it.
    pub fn show(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("ZEROKARA_PICTURES") else {
            return;
        };
        for (width, is_dark) in [(1400, false), (1400, true), (390, false), (390, true)] {
            self.resize(width, 900);
            std::thread::sleep(Duration::from_millis(700));
            let theme = if is_dark { "dark" } else { "light" };
            let path = std::path::Path::new(&folder).join(format!("{name}-{width}-{theme}.png"));
            let picture = STANDARD.decode(self.picture(is_dark)).unwrap();
            std::fs::write(path, picture).unwrap();
        }
        self.resize(1280, 900);
    }

    /// The whole page as PNG, in base64; in dark colours if asked.
    fn picture(&mut self, is_dark: bool) -> String {
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.call(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        );
        let all = json!({ "captureBeyondViewport": true });
        let taken = self.call("Page.captureScreenshot", all);
        taken["data"].as_str().unwrap_or_default().to_string()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
