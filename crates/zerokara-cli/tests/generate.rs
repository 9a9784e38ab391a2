//! Texts by the command: from a file to a model of language, and what it writes.

mod common;

use common::{run, stderr, stdout, succeed, told_in_one_line, zerokara};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::Stdio,
};

/// A text with a rule, and a small recipe for it.
fn story(folder: &Path) {
    let line = |at: usize| format!("{} and {} make {}.\n", at % 7, at % 5, at % 7 + at % 5);
    let text: String = (0..150).map(line).collect();
    fs::write(folder.join("sums.txt"), text).unwrap();
}

fn trained(folder: &Path, model: &str) {
    story(folder);
    let train = [
        "train",
        "sums.txt",
        "--model",
        model,
        "--epochs",
        "2",
        "--set",
        "model.width=16",
        "--set",
        "model.depth=1",
        "--quiet",
        "--output",
        "run",
    ];
    let told = succeed(folder, &train);
    assert!(told.starts_with("validation loss "), "{told}");
}

#[test]
fn a_text_becomes_a_model_that_writes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    trained(at, "gpt");
    let write =
        |more: &[&str]| succeed(at, &[&["generate", "run", "--length", "60"], more].concat());
    let text = write(&["--prompt", "1 and", "--seed", "3"]);
    assert!(text.starts_with("1 and") && text.trim_end_matches('\n').chars().count() >= 60);
    assert_eq!(
        text,
        write(&["--prompt", "1 and", "--seed", "3", "--threads", "1"])
    );
    assert_ne!(text, write(&["--prompt", "1 and", "--seed", "4"]));
    let likeliest = write(&["--prompt", "1 and", "--temperature", "0"]);
    assert_eq!(
        likeliest,
        write(&["--prompt", "1 and", "--top-k", "1", "--seed", "5"])
    );
    assert_eq!(likeliest, write(&["--prompt", "1 and", "--top-p", "1e-9"]));

    let json: Value =
        serde_json::from_str(&write(&["--prompt", "1 and", "--seed", "3", "--json"])).unwrap();
    let joined = format!(
        "{}{}",
        json["prompt"].as_str().unwrap(),
        json["text"].as_str().unwrap()
    );
    assert_eq!(joined.trim_end_matches('\n'), text.trim_end_matches('\n'));
    assert_eq!(
        (&json["seed"], &json["complete"]),
        (&3.into(), &true.into())
    );

    // From standard input.
    let mut child = zerokara(at)
        .args([
            "generate", "run", "--length", "60", "--prompt", "-", "--seed", "3",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"1 and").unwrap();
    assert_eq!(stdout(&child.wait_with_output().unwrap()), text);

    // Characters that the model does not know are named.
    let output = run(at, &["generate", "run", "--length", "5", "--prompt", "é1é"]);
    assert!(output.status.success());
    assert!(
        stderr(&output).contains("'é' (U+00E9)"),
        "{}",
        stderr(&output)
    );

    // Evaluation, scores, layers.
    let judged = succeed(at, &["eval", "run"]);
    assert!(
        judged.contains("loss") && judged.contains("perplexity"),
        "{judged}"
    );
    let judged: Value =
        serde_json::from_str(&succeed(at, &["eval", "run", "sums.txt", "--json"])).unwrap();
    assert!(judged["measures"]["perplexity"].as_f64().unwrap() > 1.0);
    let scored = succeed(at, &["predict", "run", "sums.txt"]);
    assert!(scored.contains("characters, loss"), "{scored}");
    let scored: Value =
        serde_json::from_str(&succeed(at, &["predict", "run", "sums.txt", "--json"])).unwrap();
    assert!((scored["loss"].as_f64().unwrap() - judged["loss"].as_f64().unwrap()).abs() < 0.1);
    assert!(succeed(at, &["summary", "run"]).contains("blocks"));
}

#[test]
fn recurrent_models_write_too() {
    for model in ["lstm", "gru"] {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        trained(at, model);
        let write = ["generate", "run", "--length", "30", "--prompt", "2 and 3"];
        let text = succeed(at, &write);
        assert!(text.starts_with("2 and 3"));
        assert_eq!(text, succeed(at, &write));
        assert!(succeed(at, &["eval", "run"]).contains("perplexity"));
        assert!(succeed(at, &["predict", "run", "sums.txt"]).contains("loss"));
        assert!(succeed(at, &["summary", "run"]).contains(model));
    }
}

#[test]
fn a_recipe_is_written_and_trained_by() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    story(at);
    succeed(at, &["new", "sums.txt", "--output", "sums.toml"]);
    let recipe = fs::read_to_string(at.join("sums.toml")).unwrap();
    for line in [
        "name = \"gpt\"",
        "context = 6",
        "token_cross_entropy",
        "schedule = \"warm-up\"",
        "[clipping]",
    ] {
        assert!(recipe.contains(line), "{line}: {recipe}");
    }
    let train = [
        "train",
        "sums.toml",
        "--set",
        "epochs=1",
        "--set",
        "model.width=8",
        "--quiet",
        "--output",
        "run",
    ];
    succeed(at, &train);
    let told = succeed(at, &["data", "sums.txt", "--json"]);
    assert!(told.contains("running text"), "{told}");
    // The recipe of a run trains it again.
    let again = ["train", "run/recipe.toml", "--quiet", "--output", "again"];
    succeed(at, &again);
    let bytes = |run: &str| fs::read(at.join(run).join("model.safetensors")).unwrap();
    assert_eq!(bytes("run"), bytes("again"));
}

#[test]
fn it_ends_when_nobody_reads() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    trained(at, "gru");
    let mut child = zerokara(at)
        .args(["generate", "run", "--length", "100000000", "--prompt", "1"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut few = [0; 20];
    out.read_exact(&mut few).unwrap();
    assert_eq!(few[0], b'1');
    drop(out);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    assert!(stderr(&output).is_empty(), "{}", stderr(&output));
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_behind_a_whole_character() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    trained(at, "gru");
    let mut child = zerokara(at)
        .args(["generate", "run", "--length", "100000000", "--prompt", "1"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = child.stdout.take().unwrap();
    let mut few = [0; 20];
    out.read_exact(&mut few).unwrap();
    let process = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &process])
        .status();
    assert!(killed.unwrap().success());
    let mut rest = Vec::new();
    out.read_to_end(&mut rest).unwrap();
    assert!(String::from_utf8(rest).unwrap().ends_with('\n'));
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn what_cannot_be_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    common::small_run(at, "digits");
    told_in_one_line(at, &["generate", "digits"], 1, "is none of language");
    told_in_one_line(at, &["generate", "gone"], 1, "there is no model gone");
    trained(at, "gpt");
    for (option, value) in [
        ("--length", "0"),
        ("--temperature", "-1"),
        ("--temperature", "warm"),
        ("--top-k", "0"),
        ("--top-p", "0"),
        ("--seed", "-1"),
    ] {
        let output = run(at, &["generate", "run", option, value]);
        assert_eq!(output.status.code(), Some(2), "{option} {value}");
    }
    told_in_one_line(
        at,
        &["generate", "run", "--top-p", "1.5"],
        1,
        "must be above 0 and at most 1",
    );
    fs::write(at.join("bad.txt"), [b'a', 0xff]).unwrap();
    told_in_one_line(
        at,
        &["predict", "run", "bad.txt"],
        1,
        "is not UTF-8 from byte 1 on",
    );
    told_in_one_line(at, &["train", "bad.txt"], 1, "line 1 is not UTF-8");
    fs::write(at.join("short.txt"), "It rained.").unwrap();
    told_in_one_line(at, &["train", "short.txt"], 1, "too few for a context of 8");
    told_in_one_line(
        at,
        &["train", "mnist", "--model", "gpt", "--limit", "10"],
        1,
        "is no running text",
    );
}
