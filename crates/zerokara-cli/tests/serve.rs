//! The command serves, says where, and stops when it is told to.

#![cfg(unix)]

mod common;

use common::{run, small_run, stderr, told_in_one_line, zerokara};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
};

/// A server on a free port, and the address and path that it says.
fn serve(folder: &Path, models: &[&str]) -> (Child, String) {
    let mut child = zerokara(folder)
        .args([&["serve", "--port", "0"], models].concat())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    out.read_line(&mut line).unwrap();
    (child, line)
}

/// What is answered to a request on a connection of its own.
fn ask(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head = format!("{head} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    let head = format!("{head}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
    stream.write_all((head + body).as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args([name, &id]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn a_run_is_served_until_a_signal_comes() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    small_run(at, "run");
    let (mut child, line) = serve(at, &["run", "again=run/model.safetensors"]);
    let address = line.strip_prefix("zerokara serves run, again at http://");
    let address = address.unwrap().trim_end().trim_end_matches('/');
    let pixels = vec!["0"; 784].join(",");
    let body = format!("{{\"inputs\": [{pixels}]}}");
    for path in ["/predict", "/models/again/predict"] {
        let answer = ask(address, &format!("POST {path}"), &body);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("\"probabilities\":["), "{answer}");
    }
    let page = ask(address, "GET /", "");
    assert!(page.contains("Choose a picture"), "{page}");

    // Nobody else can have its port.
    let port = address.rsplit(':').next().unwrap();
    let second = run(at, &["serve", "run", "--port", port]);
    assert_eq!(second.status.code(), Some(1));
    let told = stderr(&second);
    assert!(told.contains("another program does"), "{told}");
    assert_eq!(told.lines().count(), 1, "{told}");

    signal(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    small_run(at, "run");
    let (mut child, line) = serve(at, &["run", "--timeout", "600"]);
    let (_, address) = line.trim_end().split_once("http://").unwrap();
    let address = address.trim_end_matches('/');
    // A request that is never sent to its end keeps the server.
    let mut stream = TcpStream::connect(address).unwrap();
    let head = format!("POST /predict HTTP/1.1\r\nHost: {address}\r\n");
    let head = head + "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).unwrap();
    assert!(ask(address, "GET /health", "").starts_with("HTTP/1.1 200"));
    signal(&child, "-INT");
    // It accepts no more, and waits.
    while TcpStream::connect(address).is_ok() {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, "-INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn what_cannot_be_served_is_told_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    for (arguments, code, told) in [
        (&["serve", "nothing"][..], 1, "nothing"),
        (&["serve", "a/b=nothing"], 1, "nothing"),
        (&["serve"], 2, "MODEL"),
        (&["serve", "x", "--port", "70000"], 2, "65535"),
        (&["serve", "x", "--host", "example.org"], 2, "127.0.0.1"),
        (&["serve", "x", "--batch", "0"], 2, "at least 1"),
        (&["serve", "x", "--wait", "-1"], 2, "milliseconds"),
    ] {
        told_in_one_line(at, arguments, code, told);
    }
}
