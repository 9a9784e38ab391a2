//! `zerokara search`: the same trials however many run side by side, and however often the search is killed.
//!
//! `ZEROKARA_KILLS` says how often searches are killed; 100 take two minutes or so.

mod common;

use common::{run, stderr, stdout, succeed, zerokara};
use serde_json::Value;
use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Numbers that look like chance.
struct Noise(u64);

impl Noise {
    fn unit(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1u64 << 24) as f64
    }
}

/// Flowers whose kinds overlap, and a recipe that is quickly done.
fn flowers(folder: &Path, search: &str) {
    let mut noise = Noise(5);
    let mut text = String::from("length,width,species\n");
    for at in 0..150 {
        let kind = at % 3;
        let (length, width) = (noise.unit() * 4.0, noise.unit() * 3.0);
        let (length, width) = (2.0 * kind as f64 + length, kind as f64 + width);
        text += &format!(
            "{length:.2},{width:.2},{}\n",
            ["iris", "lily", "rose"][kind]
        );
    }
    fs::write(folder.join("flowers.csv"), text).unwrap();
    let recipe = format!(
        r#"
        epochs = 9
        checkpoint_every = "1epoch"
        [data]
        path = "flowers.csv"
        [model]
        layers = [{{ layer = "linear", outputs = 8 }}, "relu", "linear"]
        [search]
        {search}
        [search.ranges]
        "optimizer.learning_rate" = {{ low = 1e-4, high = 0.3, scale = "log" }}
        "model.layers[0].outputs" = {{ low = 2, high = 16, scale = "log" }}
        "batch_size" = {{ choices = [8, 16, 32] }}
        "optimizer.name" = {{ choices = ["adamw", "momentum"] }}
        optimizer.momentum = {{ low = 0.5, high = 0.95, when = {{ "optimizer.name" = "momentum" }} }}
        "#
    );
    fs::write(folder.join("flowers.toml"), recipe).unwrap();
}

/// What a search leaves that does not hang on time: each trial's results and model.
fn left(search: &Path) -> Vec<(Value, Vec<u8>)> {
    let mut trials: Vec<_> = fs::read_dir(search)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("trial.json").exists())
        .collect();
    trials.sort();
    let result = |path: &Path| {
        let text = fs::read_to_string(path.join("trial.json")).unwrap();
        let mut result: Value = serde_json::from_str(&text).unwrap();
        result.as_object_mut().unwrap().remove("seconds").unwrap();
        result
    };
    let model = |path: &Path| fs::read(path.join("model.safetensors")).unwrap();
    trials
        .iter()
        .map(|path| (result(path), model(path)))
        .collect()
}

/// The line that tells the best trial.
fn best(said: &str) -> String {
    let line = said.lines().find(|line| line.starts_with("best trial "));
    line.unwrap_or_else(|| panic!("{said}")).to_string()
}

#[test]
fn the_number_side_by_side_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    for (name, method) in [
        ("tpe", "trials = 14"),
        ("hyperband", "trials = 13\nmethod = \"hyperband\""),
    ] {
        flowers(at, method);
        let search = |parallel: &str| {
            let output = format!("{name}-{parallel}");
            let arguments = ["search", "flowers.toml", "--quiet", "--parallel", parallel];
            let said = succeed(at, &[&arguments[..], &["--output", &output]].concat());
            (best(&said), left(&at.join(output)))
        };
        let (one, three) = (search("1"), search("3"));
        assert_eq!(one.0, three.0);
        assert!(one.1.len() >= 13 && one.1 == three.1, "{name}");
        let states: Vec<&str> = one
            .1
            .iter()
            .map(|t| t.0["state"].as_str().unwrap())
            .collect();
        assert!(
            states.contains(&"pruned") && states.contains(&"complete"),
            "{states:?}"
        );
    }
    // The best trial's recipe does it again, to the bit; the search stands aside.
    let recipe = fs::read_to_string(at.join("tpe-1/best.toml")).unwrap();
    let number: usize = recipe
        .split("of trial ")
        .nth(1)
        .unwrap()
        .split('.')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    succeed(
        at,
        &["train", "tpe-1/best.toml", "--quiet", "--output", "again"],
    );
    let model = |run: &str| fs::read(at.join(run).join("model.safetensors")).unwrap();
    assert_eq!(model("again"), model(&format!("tpe-1/trial-{number:04}")));
    // Done already: nothing is trained anew.
    let began = fs::metadata(at.join("tpe-1/trial-0001/run.json"))
        .unwrap()
        .modified()
        .unwrap();
    let json = succeed(at, &["search", "--resume", "tpe-1", "--json"]);
    flowers(at, "trials = 14");
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["best"], json["trials"].as_array().unwrap().len()),
        (&number.into(), 14)
    );
    assert_eq!(
        fs::metadata(at.join("tpe-1/trial-0001/run.json"))
            .unwrap()
            .modified()
            .unwrap(),
        began
    );
    let page = fs::read_to_string(at.join("tpe-1/search.html")).unwrap();
    assert!(
        page.contains("<svg")
            && page.contains("optimizer.learning_rate")
            && !page.contains("http://localhost")
    );
    // More trials are more of the same.
    succeed(
        at,
        &[
            "search",
            "flowers.toml",
            "--quiet",
            "--output",
            "tpe-1",
            "--trials",
            "16",
        ],
    );
    assert_eq!(left(&at.join("tpe-1"))[..14], left(&at.join("tpe-3"))[..]);
    // Another search does not go into its folder.
    let other = run(
        at,
        &["search", "flowers.toml", "--output", "tpe-1", "--seed", "9"],
    );
    assert!(
        stderr(&other).contains("tpe-1 holds another search"),
        "{}",
        stderr(&other)
    );
}

#[test]
fn searches_that_are_killed_lose_nothing() {
    let kills = std::env::var("ZEROKARA_KILLS").ok();
    let kills: usize = kills.map_or(8, |n| n.parse().expect("a number of kills"));
    let mut noise = Noise(kills as u64);
    let methods = ["trials = 12", "trials = 12\nmethod = \"hyperband\""];
    let whole = methods.map(|method| {
        let folder = TempDir::new().unwrap();
        flowers(folder.path(), method);
        let said = succeed(
            folder.path(),
            &["search", "flowers.toml", "--quiet", "--output", "s"],
        );
        (best(&said), left(&folder.path().join("s")))
    });
    let (mut killed, mut finished_before, mut rounds) = (0, 0, 0);
    while killed < kills {
        // Each way of searching is killed as often.
        let which = killed * methods.len() / kills;
        let wanted = kills * (which + 1) / methods.len();
        rounds += 1;
        let folder = TempDir::new().unwrap();
        let at = folder.path();
        flowers(at, methods[which]);
        let arguments = [
            "search",
            "flowers.toml",
            "--quiet",
            "--output",
            "s",
            "--parallel",
        ];
        let mut last = String::new();
        for round in 0.. {
            let parallel = ["1", "2", "3"][round % 3];
            let mut child = zerokara(at)
                .args(arguments)
                .arg(parallel)
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap();
            // Some are killed at once, most within trials.
            let after = Duration::from_secs_f64(0.02 + 0.5 * noise.unit());
            let began = Instant::now();
            while began.elapsed() < after && child.try_wait().unwrap().is_none() {
                std::thread::sleep(Duration::from_millis(1));
            }
            let ended = child.try_wait().unwrap();
            if killed >= wanted || ended.is_some() {
                let output = child.wait_with_output().unwrap();
                assert!(output.status.success(), "{}", stderr(&output));
                last += &stdout(&output);
                break;
            }
            child.kill().unwrap();
            child.wait().unwrap();
            killed += 1;
            // What was finished is there and stays.
            let there = if at.join("s").exists() {
                left(&at.join("s"))
            } else {
                Vec::new()
            };
            for (result, model) in &there {
                if result["state"] != "paused" {
                    let number = result["trial"].as_u64().unwrap() as usize;
                    let (known, weights) = &whole[which].1[number - 1];
                    assert!(result == known && model == weights, "{result} {known}");
                    finished_before += 1;
                }
            }
        }
        assert_eq!(best(&last), whole[which].0);
        assert!(
            left(&at.join("s")) == whole[which].1,
            "after {killed} kills"
        );
    }
    println!("{killed} kills in {rounds} searches, {finished_before} results looked at after them");
    assert!(finished_before > 0);
}

#[cfg(unix)]
#[test]
fn interrupted_searches_go_on() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    flowers(at, "trials = 30\nprune = \"none\"");
    let child = zerokara(at)
        .args(["search", "flowers.toml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let first = at.join("searches/flowers/trial-0002/trial.json");
    let began = Instant::now();
    while !first.exists() && began.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(2));
    }
    let number = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-INT", &number])
        .status()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(sent.success());
    assert_eq!(output.status.code(), Some(130), "{}", stderr(&output));
    assert!(
        stderr(&output).contains("to go on: zerokara search --resume searches/flowers"),
        "{}",
        stderr(&output)
    );
    let again = run(at, &["search", "flowers.toml"]);
    assert!(
        again.status.success() && stderr(&again).contains("going on with the search"),
        "{}",
        stderr(&again)
    );
    assert_eq!(left(&at.join("searches/flowers")).len(), 30);
}

#[test]
fn wrong_ranges_are_told_with_their_place() {
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    flowers(at, "trials = 2");
    let told = |ranges: &str| {
        let text = format!("[data]\npath = \"flowers.csv\"\n[search.ranges]\n{ranges}\n");
        fs::write(at.join("wrong.toml"), text).unwrap();
        let output = run(at, &["search", "wrong.toml"]);
        assert!(!output.status.success(), "{ranges}");
        stderr(&output).lines().last().unwrap().to_string()
    };
    for (ranges, error) in [
        (
            "\"optimizer.learnig_rate\" = { low = 1, high = 2 }",
            "wrong.toml:4:1: there is no field \"learnig_rate\" in optimizer; did you mean \"learning_rate\"?",
        ),
        (
            "batch_size = { low = 8, hihg = 16 }",
            "wrong.toml:4:25: there is no field \"hihg\" in search.ranges.batch_size; did you mean \"high\"?",
        ),
        (
            "batch_size = { low = 16, high = 8 }",
            "wrong.toml:4:14: the range of batch_size begins at 16 and ends at 8; low must be smaller than high",
        ),
        (
            "optimizer.learning_rate = { low = 0, high = 1, scale = \"log\" }",
            "wrong.toml:4:27: the range of optimizer.learning_rate begins at 0; on a logarithmic scale it must begin above 0",
        ),
        (
            "batch_size = { low = 8, high = 16.5 }",
            "wrong.toml:4:14: batch_size is a whole number, so its range must begin and end with one",
        ),
        (
            "batch_size = { low = 0, high = 16 }",
            "wrong.toml:4:14: batch_size is 0; it must be a whole number from 1 to 1000000",
        ),
        (
            "seed = { low = 0, high = 9 }",
            "wrong.toml:4:1: seed cannot be varied: all trials must be judged by the same samples, which it chooses",
        ),
        (
            "schedule = { choices = [\"cosine\", \"liner\"] }",
            "wrong.toml:4:12: schedule is \"liner\"; did you mean \"linear\"?",
        ),
        (
            "batch_size = { low = 3 }",
            "wrong.toml:4:14: the range of batch_size needs low and high, or choices",
        ),
    ] {
        assert_eq!(told(ranges), format!("error: {error}"));
    }
    let vary = |range: &str| stderr(&run(at, &["search", "flowers.toml", "--vary", range]));
    assert!(
        vary("epochs").contains("a field and its range are needed"),
        "{}",
        vary("epochs")
    );
    assert!(vary("optimizer.mometum=1,2").contains("did you mean \"momentum\"?"));
    // A run leaves the search aside, and says so.
    let train = run(at, &["train", "flowers.toml", "--set", "epochs=1"]);
    assert!(
        train.status.success() && stderr(&train).contains("this is one run without it"),
        "{}",
        stderr(&train)
    );
    // Nothing is varied: what is usual is.
    let usual = run(
        at,
        &[
            "search",
            "flowers.csv",
            "--trials",
            "2",
            "--set",
            "epochs=2",
        ],
    );
    let said = stderr(&usual);
    assert!(usual.status.success(), "{said}");
    for words in [
        "no ranges are given",
        "model.layers[*].ratio",
        "optimizer.learning_rate  0.0003 .. 0.03 (log)",
        "batch_size",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
}
