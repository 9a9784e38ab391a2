//! The command in Japanese: what it says to people, and what stays as it is for programs.

mod common;

use common::{run, small_run, stderr, stdout, succeed, zerokara};
use std::{fs, path::Path};

fn is_japanese(text: &str) -> bool {
    text.chars().any(|c| ('\u{3040}'..'\u{30ff}').contains(&c))
}

/// What the command says on standard output, and on standard error, where the environment is Japanese.
#[track_caller]
fn in_japan(folder: &Path, arguments: &[&str]) -> (String, String) {
    let output = zerokara(folder)
        .env("LANG", "ja_JP.UTF-8")
        .args(arguments)
        .output()
        .unwrap();
    (stdout(&output), stderr(&output))
}

#[test]
fn an_option_or_the_environment_chooses_the_language() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let japanese = succeed(at, &["summary", "lenet5", "--language", "ja"]);
    assert!(japanese.contains("パラメータ数 61,706"), "{japanese}");
    for arguments in [
        &["--language", "ja", "summary", "lenet5"][..],
        &["summary", "--language=ja", "lenet5"],
    ] {
        assert_eq!(succeed(at, arguments), japanese);
    }
    assert_eq!(in_japan(at, &["summary", "lenet5"]).0, japanese);

    let english = succeed(at, &["summary", "lenet5"]);
    assert!(english.contains("61,706 parameters"), "{english}");
    let asked = ["summary", "lenet5", "--language", "en"];
    assert_eq!(in_japan(at, &asked).0, english);
    // The first of the variables that is set counts.
    let output = zerokara(at)
        .env("LANG", "ja_JP.UTF-8")
        .env("LC_ALL", "C.UTF-8")
        .args(["summary", "lenet5"])
        .output()
        .unwrap();
    assert_eq!(stdout(&output), english);
}

#[test]
fn help_is_in_the_language() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for arguments in [
        &["--help", "--language", "ja"][..],
        &["--language", "ja", "train", "-h"],
        &["train", "--language=ja", "--help"],
        &["lab", "softmax", "--language", "ja", "--help"],
    ] {
        let help = succeed(at, arguments);
        assert!(help.contains("使い方: zerokara"), "{help}");
        assert!(help.contains("オプション:"), "{help}");
        assert!(
            !help.contains("Usage") && !help.contains("[default"),
            "{help}"
        );
    }
    let (help, _) = in_japan(at, &["help", "eval"]);
    assert!(help.contains("使い方: zerokara eval"), "{help}");
    // Without a command, help is on standard error.
    for (out, error) in [in_japan(at, &[]), in_japan(at, &["--language", "ja"])] {
        assert!(
            out.is_empty() && error.contains("使い方: zerokara"),
            "{error}"
        );
    }
    assert!(succeed(at, &["train", "-h"]).contains("Usage: zerokara train"));
}

#[test]
fn what_programs_read_is_english() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    small_run(at, "run");
    for arguments in [
        &["eval", "run", "--json"][..],
        &[
            "bench",
            "--model",
            "two-layer-net",
            "--seconds",
            "0.1",
            "--json",
        ],
    ] {
        assert!(!is_japanese(&in_japan(at, arguments).0), "{arguments:?}");
    }
    for arguments in [
        &["eval", "nothing"][..],
        &["summary", "nothing"],
        &["train", "--epochs", "0"],
        &["train", "--nothing"],
        &["eval"],
        &["lab", "softmax", "--scores", "x"],
        &["train", "--language", "de"],
    ] {
        let (out, error) = in_japan(at, arguments);
        assert!(out.is_empty() && error.starts_with("error: "), "{error}");
        assert!(!is_japanese(&error), "{error}");
        assert_eq!(error, stderr(&run(at, arguments)));
    }
    let (told, _) = in_japan(at, &["eval", "run"]);
    let first = told.lines().next().unwrap();
    assert!(
        first.contains("test accuracy") && !is_japanese(first),
        "{told}"
    );
    assert!(told.contains("再現率"), "{told}");
}

#[test]
fn a_run_is_the_same_in_every_language() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let train = |name: &str, language: &[&str]| {
        let mut arguments = vec!["train", "--model", "two-layer-net", "--limit", "300"];
        arguments.extend(["--epochs", "2", "--output", name]);
        arguments.extend(language);
        let output = run(at, &arguments);
        assert!(output.status.success(), "{}", stderr(&output));
        output
    };
    let (english, japanese) = (train("en", &[]), train("ja", &["--language", "ja"]));
    assert_eq!(stdout(&english), stdout(&japanese));
    let told = stderr(&japanese);
    for text in [
        "mnistでtwo-layer-netを学習：訓練画像300枚",
        "エポック 2/2  損失 ",
        "レポート  ja/report.html",
    ] {
        assert!(told.contains(text), "{told}");
    }
    let read = |name: &str, file: &str| fs::read(at.join(name).join(file)).unwrap();
    let model = "model.safetensors";
    assert_eq!(read("en", model), read("ja", model));
    let described = |name: &str| {
        let text = read(name, "run.json");
        let mut run: serde_json::Value = serde_json::from_slice(&text).unwrap();
        // That differs, as it was called.
        run["command"].take();
        run
    };
    assert_eq!(described("en"), described("ja"));

    let report = |name: &str| String::from_utf8(read(name, "report.html")).unwrap();
    assert!(report("en").contains("<html lang=\"en\">") && !is_japanese(&report("en")));
    let page = report("ja");
    for text in [
        "<html lang=\"ja\">",
        "学習曲線",
        "<dt>バッチサイズ</dt><dd>100</dd>",
        "<dt>損失関数</dt><dd>ソフトマックス関数と交差エントロピー誤差</dd>",
    ] {
        assert!(page.contains(text), "{text}");
    }

    // A run that is finished gets its report anew.
    let (_, told) = in_japan(at, &["train", "--resume", "en"]);
    assert!(told.contains("enの学習はステップ6で終わっていて"), "{told}");
    assert!(report("en").contains("<html lang=\"ja\">"));
    assert_eq!(read("en", model), read("ja", model));
}

#[test]
fn a_graph_is_drawn_in_the_language() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let arguments = ["graph", "two-layer-net", "--backward", "-o", "net.svg"];
    let (told, _) = in_japan(at, &arguments);
    assert!(told.starts_with("net.svg：ノード"), "{told}");
    let picture = fs::read_to_string(at.join("net.svg")).unwrap();
    assert!(
        picture.contains("two-layer-net、順伝播と逆伝播"),
        "the title"
    );
    assert!(picture.contains("右：勾配（下から上へ）"), "the legend");
}
