//! `zerokara board`

use crate::{
    output::{self, Failure, Outcome},
    serve::{self, TOKEN},
};
use clap::Args;
use std::{
    fs::OpenOptions,
    io::{self, IsTerminal, Write},
    net::IpAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use zerokara_serve::{Board, BoardOptions, Ending, new_token};
use zerokara_train::language::Words;

/// Show all runs of a folder on a page, as they are trained.
///
/// The page lists the runs, to sort, filter, group, tag and delete; it draws their curves over each other, compares their recipes
/// line by line, and shows of each run how weights, gradients and activations lie, its filters, its confusion matrix and what it
/// was most wrong about. It reads the folders of the runs and nothing else, and loads nothing from elsewhere. What is written
/// to them appears at once.
///
/// Only this machine can look, unless --address says otherwise. Deleting and tagging need the token, which is part of the address
/// that is printed. Ctrl-C stops the board; runs go on.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// The folder that holds the folders of runs
    #[arg(value_name = "RUNS", default_value = "runs")]
    runs: PathBuf,
    /// The port to listen on; 0 takes a free one
    #[arg(
        long,
        value_name = "N",
        default_value = "6060",
        allow_hyphen_values = true,
        value_parser = serve::port
    )]
    port: u16,
    /// The address to listen on: 0.0.0.0 lets other machines look. They need the token
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = serve::host)]
    address: IpAddr,
    /// The token, which stays the same when the board is started again; that in the environment variable ZEROKARA_TOKEN, or a new
    /// one, unless given
    #[arg(long, value_name = "TOKEN", value_parser = token)]
    token: Option<String>,
    /// Does not open the page in a browser; it is not opened either where standard output is no terminal
    #[arg(long)]
    no_open: bool,
}

const EXAMPLES: &str = "\
Examples:
  zerokara board                    the runs in the folder runs; the page opens
  zerokara board search --port 0    those of another folder, on a free port
  zerokara board --address 0.0.0.0  other machines may look, with the token";

/// The fewest and the most letters of a token that is chosen.
const LETTERS: std::ops::RangeInclusive<usize> = 8..=200;

fn token(text: &str) -> Result<String, String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    match LETTERS.contains(&text.len()) && text.chars().all(is_plain) {
        true => Ok(text.into()),
        false => Err("it must be 8 to 200 letters, digits or -._~".into()),
    }
}

pub fn run(options: &Options, words: Words) -> Outcome {
    let given = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
    let given = match (&options.token, given) {
        (Some(given), _) => Some(given.clone()),
        (None, Some(given)) => Some(
            token(&given).map_err(|why| Failure::new(format!("the token in {TOKEN}: {why}")))?,
        ),
        (None, None) => None,
    };
    let token = match given {
        Some(token) => token,
        None => new_token()?,
    };
    let board = Board::bind(
        &options.runs,
        BoardOptions {
            host: options.address,
            port: options.port,
            language: words.language(),
            ..BoardOptions::new(token)
        },
    )?;
    if !options.address.is_loopback() {
        output::note(&words.fill(
            "note: machines that reach {} can look, with the token",
            &[&options.address],
        ));
    }
    let runs = options.runs.display();
    output::print(&format!("zerokara shows {runs} at {}", board.url()))?;
    // It lives as long as the board does.
    let _page = match options.no_open || !io::stdout().is_terminal() {
        true => None,
        false => open(&board.url()),
    };
    match board.run_until_signal()? {
        Ending::Stopped => Ok(()),
        Ending::CutOff => Err(Failure::Interrupted),
    }
}

/// A file that leads a browser to the page, and is removed when this is dropped.
struct Lead(PathBuf);

impl Drop for Lead {
    fn drop(&mut self) {
        // What cannot be removed leads to a board that is gone.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Opens the page in the browser of the desktop, if there is one. What a command is called with can be read by other users of
/// the machine, so that the token is in a file which only this one can read.
fn open(url: &str) -> Option<Lead> {
    let name = format!("zerokara-board-{}.html", new_token().ok()?);
    let path = std::env::temp_dir().join(name);
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&path).ok()?;
    let lead = Lead(path);
    let page = format!("<!DOCTYPE html><meta http-equiv=\"refresh\" content=\"0;url={url}\">");
    file.write_all(page.as_bytes()).ok()?;
    let mut command = browser(&lead.0);
    let command = command.stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::null()).spawn().ok()?;
    Some(lead)
}

/// What opens a file on this system.
fn browser(path: &Path) -> Command {
    let program = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let mut command = Command::new(program);
    command.arg(path);
    command
}
