//! The board: what it answers, to whom, and what it does in a browser.

mod common;

use common::{Client, LONG, wait_until};
use serde_json::Value;
use std::{
    fs::{self, OpenOptions},
    io::{BufRead, Read, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use zerokara_serve::{Board, BoardOptions, Stopper};
use zerokara_train::Result;

const TOKEN: &str = "a-token-for-tests";

/// A folder of runs, and a board that shows it.
struct Runs {
    folder: tempfile::TempDir,
}

impl Runs {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// A run of so many epochs, the first with this accuracy.
    fn add(&self, name: &str, model: &str, epochs: usize, accuracy: f64) {
        fs::create_dir(self.path(name)).unwrap();
        let settings = serde_json::json!({
            "model": model, "dataset": "mnist", "status": "complete", "seed": 1,
            "settings": { "epochs": epochs.to_string(), "learning_rate": "0.001" },
        });
        fs::write(self.path(&format!("{name}/run.json")), settings.to_string()).unwrap();
        let recipe = format!(
            "# of {name}\n[model]\nname = \"{model}\"\n\n[training]\nepochs = {epochs}\nseed = 1\n"
        );
        fs::write(self.path(&format!("{name}/recipe.toml")), recipe).unwrap();
        let lines: String = (1..=epochs).map(|epoch| line(epoch, accuracy)).collect();
        fs::write(self.path(&format!("{name}/metrics.jsonl")), lines).unwrap();
    }

    fn append(&self, name: &str, text: &str) {
        let path = self.path(&format!("{name}/metrics.jsonl"));
        let mut file = OpenOptions::new().append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }
}

/// A step and the epoch that ends with it.
fn line(epoch: usize, accuracy: f64) -> String {
    let (step, time) = (epoch * 100, epoch as f64 * 2.5);
    let (loss, accuracy) = (2.0 / epoch as f64, 1.0 - (1.0 - accuracy) / epoch as f64);
    format!(
        "{{\"kind\":\"step\",\"step\":{step},\"epoch\":{epoch},\"loss\":{loss},\"seconds\":{time}}}\n\
         {{\"kind\":\"epoch\",\"epoch\":{epoch},\"step\":{step},\"test_loss\":{loss},\"test_accuracy\":{accuracy},\
         \"images_per_second\":12345.6,\"seconds\":2.0}}\n"
    )
}

struct Running {
    address: SocketAddr,
    url: String,
    stopper: Stopper,
    thread: Option<JoinHandle<Result<()>>>,
}

impl Running {
    fn start(folder: &Path, port: u16) -> Self {
        let options = BoardOptions {
            port,
            ..BoardOptions::new(TOKEN)
        };
        Self::with(folder, options)
    }

    fn with(folder: &Path, options: BoardOptions) -> Self {
        let board = Board::bind(folder, options).unwrap();
        Self {
            address: board.address(),
            url: board.url(),
            stopper: board.stopper(),
            thread: Some(std::thread::spawn(|| board.run())),
        }
    }

    fn get(&self, path: &str) -> common::Answer {
        Client::to(self.address).ask("GET", path, &[], b"")
    }

    fn change(&self, method: &str, path: &str, body: &str) -> common::Answer {
        let bearer = format!("Bearer {TOKEN}");
        let headers = [("Authorization", &*bearer)];
        Client::to(self.address).ask(method, path, &headers, body.as_bytes())
    }

    fn runs(&self) -> Vec<Value> {
        self.get("/runs").good()["runs"].as_array().unwrap().clone()
    }

    fn stop(mut self) {
        self.stopper.stop();
        self.thread.take().unwrap().join().unwrap().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[test]
fn runs_are_listed_and_whatever_breaks_is_passed_over() {
    let runs = Runs::new();
    runs.add("a", "lenet", 3, 0.5);
    runs.add("b", "mlp", 2, 0.25);
    let board = Running::start(runs.folder.path(), 0);
    let listed = board.runs();
    assert_eq!(listed.len(), 2);
    assert_eq!(
        (&listed[0]["model"], &listed[0]["epochs"]),
        (&"lenet".into(), &3.0.into())
    );
    assert_eq!(listed[0]["seconds"], 7.5);
    assert_eq!(listed[1]["values"]["test_accuracy"], 1.0 - 0.75 / 2.0);

    // Half a line is no line yet.
    let next = line(4, 0.5);
    runs.append("a", &next[..next.len() - 30]);
    assert_eq!(board.runs()[0]["epochs"], 3.0);
    assert_eq!(board.get("/chart?metric=test_loss&run=0:a").status, 200);
    runs.append("a", &next[next.len() - 30..]);
    assert_eq!(board.runs()[0]["epochs"], 4.0);
    let chart =
        board.get("/chart?metric=test_loss&x=time&log=1&smooth=0.5&run=0:a&run=7:b&run=1:gone");
    let svg = chart.text();
    assert!(
        svg.starts_with("<svg") && svg.contains("data-name=\"b\"") && svg.contains("dashed"),
        "{svg}"
    );
    assert!(!svg.contains("style="), "{svg}");
    board.get("/chart?x=nothing").refused(400);

    // What is no JSON, and a folder that vanishes.
    fs::write(runs.path("b/run.json"), "{ half").unwrap();
    assert_eq!(board.runs()[1]["status"], "unknown");
    assert_eq!(
        board.get("/runs/a/recipe").text().lines().nth(2),
        Some("name = \"lenet\"")
    );
    assert_eq!(
        board.get("/runs/b/sections").good()["sections"],
        serde_json::json!([])
    );
    fs::remove_dir_all(runs.path("b")).unwrap();
    assert_eq!(board.get("/chart?metric=loss&run=0:b").status, 200);
    assert_eq!(board.runs().len(), 1);
    board.get("/runs/b/recipe").refused(404);
}

#[test]
fn changes_need_the_token_and_other_sites_may_not_ask() {
    let runs = Runs::new();
    runs.add("a", "lenet", 1, 0.5);
    let board = Running::start(runs.folder.path(), 0);
    let tags = "{\"tags\":[\" good \",\"good\",\"first\"]}";
    let mut client = Client::to(board.address);
    for headers in [&[][..], &[("Authorization", "Bearer wrong")]] {
        client
            .ask("PUT", "/runs/a/tags", headers, tags.as_bytes())
            .refused(401);
        client.ask("DELETE", "/runs/a", headers, b"").refused(401);
    }
    let bearer = format!("Bearer {TOKEN}");
    let origin = format!("http://{}", board.address);
    for foreign in [
        ("Host", "example.org"),
        ("Origin", "http://example.org"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        let headers = [("Authorization", &*bearer), foreign];
        client.ask("DELETE", "/runs/a", &headers, b"").refused(403);
        client.ask("GET", "/runs", &[foreign], b"").refused(403);
    }
    let own = [
        ("Authorization", &*bearer),
        ("Origin", &*origin),
        ("Sec-Fetch-Site", "same-origin"),
    ];
    let answer = client.ask("PUT", "/runs/a/tags", &own, tags.as_bytes());
    assert_eq!(answer.good()["tags"], serde_json::json!(["good", "first"]));
    assert_eq!(board.runs()[0]["tags"][1], "first");
    let kept: Value = serde_json::from_slice(&fs::read(runs.path("a/tags.json")).unwrap()).unwrap();
    assert_eq!(kept["version"], 1);
    for (wrong, status) in [
        ("nonsense", 400),
        ("{\"tags\":[1]}", 400),
        (&format!("{{\"tags\":[\"{}\"]}}", "x".repeat(41)), 422),
        (&format!("{{\"tags\":[\"{}\"]}}", "x".repeat(70_000)), 413),
    ] {
        board.change("PUT", "/runs/a/tags", wrong).refused(status);
    }
    // The page itself may be led to from anywhere, and lets nothing run that is not its own.
    let page = client.ask("GET", "/", &[("Sec-Fetch-Site", "cross-site")], b"");
    let policy = &page.headers["content-security-policy"];
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(page.headers.contains_key("x-content-type-options"));
    board.get("/nothing").refused(404);
    client
        .ask("POST", "/runs", &[("Authorization", &bearer)], b"")
        .refused(405);
    assert_eq!(board.change("DELETE", "/runs/a", "").status, 200);
    assert!(!runs.path("a").exists() && runs.folder.path().exists());
    board.change("DELETE", "/runs/a", "").refused(404);
}

#[test]
fn other_addresses_need_the_token_for_everything() {
    let runs = Runs::new();
    runs.add("a", "lenet", 1, 0.5);
    let options = BoardOptions {
        host: [0, 0, 0, 0].into(),
        port: 0,
        ..BoardOptions::new(TOKEN)
    };
    let board = Running::with(runs.folder.path(), options);
    let mut client = Client::to(([127, 0, 0, 1], board.address.port()).into());
    for path in ["/runs", "/events", "/chart", "/runs/a/recipe", "/nothing"] {
        client.ask("GET", path, &[], b"").refused(401);
    }
    assert_eq!(client.ask("GET", "/", &[], b"").status, 200);
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(
        client
            .ask("GET", "/runs", &[("Authorization", &bearer)], b"")
            .good()["open"],
        false
    );
}

#[cfg(unix)]
#[test]
fn names_lead_nowhere_else_and_links_are_not_followed() {
    use std::os::unix::fs::symlink;
    let runs = Runs::new();
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("run.json"), "{}").unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    runs.add("a", "lenet", 1, 0.5);
    symlink(outside.path(), runs.path("link")).unwrap();
    symlink("a", runs.path("latest")).unwrap();
    symlink(outside.path(), runs.path("a/inside")).unwrap();
    fs::remove_file(runs.path("a/recipe.toml")).unwrap();
    symlink(outside.path().join("secret"), runs.path("a/recipe.toml")).unwrap();
    let board = Running::start(runs.folder.path(), 0);
    let names: Vec<Value> = board.runs().iter().map(|run| run["name"].clone()).collect();
    assert_eq!(names, ["a"]);
    assert!(!board.get("/runs/a/recipe").text().contains("secret"));
    for name in [
        "..",
        "%2e%2e",
        ".",
        "..%2f..",
        "link",
        "latest",
        "a%2finside",
        "%2fetc",
        "a%00",
        "",
        "%ff",
    ] {
        for (method, path) in [
            ("DELETE", format!("/runs/{name}")),
            ("GET", format!("/runs/{name}/recipe")),
        ] {
            let status = board.change(method, &path, "").status;
            assert!(
                [400, 404, 405].contains(&status),
                "{method} {path}: {status}"
            );
        }
    }
    symlink(outside.path().join("secret"), runs.path("a/tags.json")).unwrap();
    board
        .change("PUT", "/runs/a/tags", "{\"tags\":[\"x\"]}")
        .refused(500);
    // A run that is written to stays.
    let metrics = OpenOptions::new()
        .append(true)
        .open(runs.path("a/metrics.jsonl"))
        .unwrap();
    metrics.lock().unwrap();
    board.change("DELETE", "/runs/a", "").refused(409);
    drop(metrics);
    assert_eq!(board.change("DELETE", "/runs/a", "").status, 200);
    assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"secret");
    assert!(!runs.path("a").exists());
}

/// Reads the events of a board until a message has this text; how long that took.
fn heard(events: &mut Client, text: &str) -> Duration {
    let start = Instant::now();
    let mut line = String::new();
    loop {
        line.clear();
        assert!(
            events.stream.read_line(&mut line).unwrap() > 0,
            "the events ended"
        );
        if line.contains(text) {
            return start.elapsed();
        }
        assert!(start.elapsed() < LONG);
    }
}

#[test]
fn what_happens_is_told_within_two_seconds_and_ends_with_the_board() {
    const SOON: Duration = Duration::from_secs(2);
    let runs = Runs::new();
    let board = Running::start(runs.folder.path(), 0);
    let mut events = Client::to(board.address);
    let head = events.head("GET", "/events", &[], 0);
    events.send(head.as_bytes());
    heard(&mut events, "hello");
    runs.add("new", "lenet", 1, 0.5);
    assert!(heard(&mut events, "\"name\":\"new\"") < SOON);
    runs.append("new", &line(2, 0.5));
    assert!(heard(&mut events, "\"epochs\":2.0") < SOON);
    fs::remove_dir_all(runs.path("new")).unwrap();
    assert!(heard(&mut events, "\"gone\":[\"new\"]") < SOON);
    // Whoever listens does not keep the board from ending.
    let start = Instant::now();
    board.stop();
    assert!(start.elapsed() < Duration::from_secs(5));
    let mut rest = String::new();
    events.stream.read_to_string(&mut rest).unwrap();
}

#[test]
fn what_cannot_be_shown_is_told() {
    let runs = Runs::new();
    runs.add("a", "lenet", 1, 0.5);
    let refused = |folder: &Path, options| match Board::bind(folder, options) {
        Ok(_) => panic!("it is shown"),
        Err(error) => error.to_string(),
    };
    let options = || BoardOptions::new(TOKEN);
    assert!(refused(&runs.path("none"), options()).contains("there is no folder"));
    assert!(refused(&runs.path("a"), options()).contains("is a run itself"));
    assert!(refused(runs.folder.path(), BoardOptions::new("")).contains("token"));
    let board = Running::start(runs.folder.path(), 0);
    let options = BoardOptions {
        port: board.address.port(),
        ..options()
    };
    assert!(refused(runs.folder.path(), options).contains("another program does"));
}

#[cfg(unix)]
mod browser;

#[cfg(unix)]
#[test]
fn the_page_sorts_overlays_deletes_and_survives_a_restart() {
    let runs = Runs::new();
    for (name, model, epochs, accuracy) in [
        ("2026-01-01-a", "lenet", 20, 0.9),
        ("2026-01-02-b", "mlp", 12, 0.5),
        ("2026-01-03-c", "lenet", 5, 0.7),
    ] {
        runs.add(name, model, epochs, accuracy);
    }
    let board = Running::start(runs.folder.path(), 0);
    let (port, url) = (board.address.port(), board.url.clone());
    let Some(mut page) = browser::Browser::open(&url, 1280) else {
        return;
    };
    let rows = "[...document.querySelectorAll('#table tbody tr')].map(row => row.dataset.run.slice(-1)).join('')";
    page.wait_for(&format!("{rows} === 'cba'"));
    // The token is out of the address, and with the tab.
    assert_eq!(
        page.ask("location.href + sessionStorage.getItem('token')"),
        format!("http://{}/{TOKEN}", board.address)
    );

    // Sorting, by hand: the best accuracy first, then last.
    page.click("#table th.measure button");
    assert_eq!(page.ask(rows), "abc");
    assert_eq!(
        page.ask("document.querySelector('#table th.measure').ariaSort"),
        "descending"
    );
    page.click("#table th.measure button");
    assert_eq!(page.ask(rows), "cba");
    page.ask("get('filter').focus()");
    page.type_in("model:none");
    page.wait_for(&format!("{rows} === ''"));
    page.ask("(get('filter').value = 'lenet', get('filter').dispatchEvent(new Event('input')))");
    page.wait_for(&format!("{rows} === 'ca'"));
    page.ask("(get('filter').value = '', get('filter').dispatchEvent(new Event('input')))");
    page.wait_for(&format!("{rows} === 'cba'"));

    // Two runs over each other, which tell their values.
    for name in ["2026-01-01-a", "2026-01-02-b"] {
        page.click(&format!("tr[data-run='{name}'] input"));
        page.wait_for(&format!(
            "document.querySelector('tr[data-run=\"{name}\"] .swatch')"
        ));
    }
    let lines = "[...document.querySelectorAll('#charts figure:first-child path.line')].map(line => line.dataset.name.slice(-1)).join('')";
    page.wait_for(&format!("{lines} === 'ab'"));
    page.point("#charts figure:first-child svg", 0.5);
    page.wait_for("document.querySelector('#charts .told')?.textContent.includes('2026-01-01-a')");
    page.click("#log");
    page.wait_for("document.querySelector('#charts [data-y]').dataset.y.endsWith(' 1')");
    page.ask("(get('smooth').value = 0.8, get('smooth').dispatchEvent(new Event('input')))");
    page.wait_for("document.querySelectorAll('#charts figure:first-child path.pale').length === 2");
    page.wait_for("get('diff').textContent.includes('+ epochs = 12') && get('diff').textContent.includes('− epochs = 20')");

    // A run that is written to shows by itself.
    runs.append("2026-01-03-c", &line(6, 0.7));
    page.wait_for(
        "document.querySelector('tr[data-run=\"2026-01-03-c\"] td.epochs').textContent === '6/5'",
    );

    // Tags.
    page.click("tr[data-run='2026-01-02-b'] input");
    page.wait_for("chosen.size === 1");
    page.click("#tag");
    page.type_in("best, second");
    page.click("#tags-save");
    page.wait_for("document.querySelector('tr[data-run=\"2026-01-01-a\"] td.tags').textContent === 'bestsecond'");
    page.ask("(get('group').value = 'tag', get('group').dispatchEvent(new Event('input')))");
    page.wait_for("document.querySelectorAll('#table tr.group').length === 3");
    page.ask("(get('group').value = '', get('group').dispatchEvent(new Event('input')))");

    page.show("board");

    // Details, and that nothing goes over the edge of a narrow window.
    page.click("tr[data-run='2026-01-01-a'] .name button");
    page.wait_for("!get('details').hidden && get('speed').querySelector('svg')");
    for width in [360, 1280] {
        page.resize(width, 800);
        page.wait_for("document.documentElement.scrollWidth <= innerWidth");
    }

    // Deleting is asked about first.
    page.click("#delete");
    page.wait_for("get('deleting').open && get('doomed').textContent === '2026-01-01-a'");
    page.click("#deleting button[value=no]");
    page.wait_for("!get('deleting').open");
    assert!(runs.path("2026-01-01-a").exists());
    page.click("#delete");
    page.click("#deleting button[value=yes]");
    page.wait_for("runs.size === 2 && get('curves').hidden && get('details').hidden");
    wait_until(|| !runs.path("2026-01-01-a").exists());
    assert_eq!(page.problems, [""; 0]);

    // The board ends and comes back; the page says so and goes on.
    board.stop();
    page.wait_for("get('link').textContent !== ''");
    runs.add("2026-01-04-d", "mlp", 2, 0.6);
    let _board = Running::start(runs.folder.path(), port);
    page.wait_for("get('link').textContent === '' && runs.size === 3");
    // Changes work still, by the same token.
    page.click("tr[data-run='2026-01-04-d'] input");
    page.wait_for("chosen.size === 1");
    page.click("#delete");
    page.click("#deleting button[value=yes]");
    page.wait_for("runs.size === 2");
    assert!(!runs.path("2026-01-04-d").exists());
}

/// Opens the board of the folder in `ZEROKARA_RUNS`, and writes pictures of it into that in `ZEROKARA_PICTURES`: for who looks.
#[cfg(unix)]
#[test]
#[ignore = "for who looks at the page: needs runs"]
fn pictures_of_runs() {
    let folder = std::env::var_os("ZEROKARA_RUNS").expect("a folder of runs");
    let board = Running::start(Path::new(&folder), 0);
    let mut page = browser::Browser::open(&board.url.clone(), 1400).expect("a browser");
    page.wait_for("runs.size > 0 && document.querySelectorAll('#table tbody tr').length");
    page.show("list");
    page.ask("document.querySelectorAll('#table tbody input').forEach((box, at) => at < 3 && box.click())");
    page.wait_for("document.querySelectorAll('#charts svg').length >= 2");
    page.show("curves");
    page.ask("document.querySelector('#table tbody .name button').click()");
    page.wait_for("get('found').childElementCount && get('speed').childElementCount");
    page.show("details");
    page.ask("get('curves').hidden = get('compare').hidden = get('runs').hidden = true");
    page.show("run");
    assert_eq!(page.problems, [""; 0]);
}
