//! The command shows runs, says where, and stops when it is told to.

#![cfg(unix)]

mod common;

use common::{small_run, told_in_one_line, zerokara};
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
};

/// What is answered to a request on a connection of its own.
fn ask(address: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("{head} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_run_is_shown_with_what_training_left() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    small_run(at, "runs/first");
    let mut child = zerokara(at)
        .args(["board", "--port", "0", "--no-open", "--language", "ja"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    let told = line
        .trim_end()
        .strip_prefix("zerokara shows runs at http://");
    let (address, token) = told.unwrap().split_once("/#token=").unwrap();
    assert_eq!(token.len(), 32);
    assert!(ask(address, "GET /").contains("ボード"));
    let runs = ask(address, "GET /runs");
    for part in [
        "\"name\":\"first\"",
        "\"status\":\"complete\"",
        "\"epochs\":3.0",
    ] {
        assert!(runs.contains(part), "{runs}");
    }
    let sections = ask(address, "GET /runs/first/sections");
    for id in ["confusion", "misclassified", "model", "times"] {
        assert!(sections.contains(&format!("\"id\":\"{id}\"")), "{sections}");
    }
    assert!(
        sections.contains("混同行列") && !sections.contains(" style="),
        "{sections}"
    );
    for kind in ["weights", "gradients", "activations"] {
        let told = ask(address, &format!("GET /runs/first/histograms?kind={kind}"));
        assert!(
            told.contains("affine1") || told.contains("linear1"),
            "{told}"
        );
    }
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn what_cannot_be_shown_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    fs::create_dir_all(at.join("runs/one")).unwrap();
    fs::write(at.join("runs/one/run.json"), "{}").unwrap();
    for (arguments, code, told) in [
        (&["board", "nothing"][..], 1, "there is no folder nothing"),
        (&["board", "runs/one"], 1, "is a run itself"),
        (&["board", "--port", "70000"], 2, "65535"),
        (&["board", "--address", "example.org"], 2, "127.0.0.1"),
        (&["board", "--token", "short"], 2, "8 to 200"),
        (&["board", "--token", "with space and more"], 2, "8 to 200"),
    ] {
        told_in_one_line(at, arguments, code, told);
    }
}
