//! How long the board takes to list many long runs, and to draw curves of some:
//! `cargo run --release -p zerokara-serve --example board_speed -- 1000 1000`. With a folder as the third argument the runs stay
//! there, to be looked at.

use std::{
    error::Error,
    fmt::Write as _,
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    thread,
    time::Instant,
};
use zerokara_serve::{Board, BoardOptions, new_token};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |usual: usize| {
        arguments
            .next()
            .and_then(|text| text.parse().ok())
            .unwrap_or(usual)
    };
    let (runs, epochs) = (number(1000), number(1000));
    let kept = arguments.next().map(PathBuf::from);
    let temporary = tempfile::tempdir()?;
    let base = kept.unwrap_or_else(|| temporary.path().to_path_buf());
    let bytes = write_runs(&base, runs, epochs)?;
    println!("{runs} runs of {epochs} epochs, {} MB", bytes / 1_000_000);

    let options = BoardOptions {
        port: 0,
        ..BoardOptions::new(new_token()?)
    };
    let board = Board::bind(&base, options)?;
    let (address, stopper) = (board.address(), board.stopper());
    let started = Instant::now();
    let running = thread::spawn(|| board.run());
    let ask = |what: &str, path: &str| -> Result<(), Box<dyn Error>> {
        let asked = Instant::now();
        let answer = get(address, path)?;
        let took = asked.elapsed().as_secs_f64() * 1e3;
        println!("{what:32} {took:7.1} ms  {:7} kB", answer.len() / 1000);
        Ok(())
    };
    get(address, "/runs")?;
    println!(
        "{:32} {:7.1} ms",
        "the list after the start",
        started.elapsed().as_secs_f64() * 1e3
    );
    ask("the list again", "/runs")?;
    let some: String = (0..10).fold(String::new(), |mut all, at| {
        let _ = write!(all, "&run={at}:run-{:05}", at * runs / 10);
        all
    });
    for what in ["a chart of ten runs", "the same again"] {
        ask(what, &format!("/chart?metric=test_loss&smooth=0.6{some}"))?;
    }
    stopper.stop();
    running.join().map_err(|_| "the board panicked")??;
    Ok(())
}

/// Writes runs whose losses fall; how many bytes that are.
fn write_runs(base: &Path, runs: usize, epochs: usize) -> std::io::Result<u64> {
    let mut bytes = 0;
    for run in 0..runs {
        let folder = base.join(format!("run-{run:05}"));
        fs::create_dir_all(&folder)?;
        let rate = 0.002 + 0.02 * (run as f64 * 0.618).fract();
        let settings = format!(
            "{{\"model\":\"lenet5\",\"dataset\":\"mnist\",\"status\":\"complete\",\"seed\":{run},\"settings\":{{\"epochs\":\"{epochs}\",\"learning_rate\":\"{rate:.4}\"}}}}"
        );
        fs::write(folder.join("run.json"), settings)?;
        let mut text = String::new();
        for epoch in 1..=epochs {
            let noise = ((run * 7919 + epoch * 104_729) % 1000) as f64 / 1000.0 - 0.5;
            let loss = 2.3 * (-rate * epoch as f64).exp() + 0.05 + 0.02 * noise;
            let _ = writeln!(
                text,
                "{{\"kind\":\"epoch\",\"epoch\":{epoch},\"step\":{},\"train_loss\":{loss},\"train_accuracy\":{},\"test_loss\":{},\"test_accuracy\":{},\"learning_rate\":{rate},\"images_per_second\":{},\"seconds\":4.87}}",
                epoch * 600,
                1.0 - loss / 2.6,
                loss * 1.08,
                1.0 - loss / 2.5,
                12_000.0 + 400.0 * noise
            );
        }
        bytes += text.len() as u64;
        fs::write(folder.join("metrics.jsonl"), text)?;
    }
    Ok(bytes)
}

fn get(address: SocketAddr, path: &str) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    match answer.starts_with(b"HTTP/1.1 200") {
        true => Ok(answer),
        false => Err(String::from_utf8_lossy(&answer).into()),
    }
}
