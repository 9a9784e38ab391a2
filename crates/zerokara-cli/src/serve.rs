//! `zerokara serve`

use crate::{
    options,
    output::{self, Failure, Outcome},
};
use clap::Args;
use std::{
    ffi::{OsStr, OsString},
    net::{IpAddr, Ipv4Addr},
    path::Path,
    time::Duration,
};
use zerokara_serve::{
    Change, Ending, MOST_IN_A_BATCH, Options as Limits, Server, Source, new_token,
};
use zerokara_train::language::Words;

/// Answer requests over HTTP, and show a page on which models can be tried.
///
/// POST /predict takes JSON, {"inputs": ..} with one sample or a list of samples, or the file of a picture, or rows of a table
/// with a head (text/csv), and answers in JSON what the model says. Each of several models is at /models/NAME/predict, the
/// first also at /predict. GET /openapi.json describes all of it, GET /metrics counts it for Prometheus, GET /health says that
/// the server runs. Requests that come at the same time are computed together.
///
/// Only this machine can ask, unless --host says otherwise. When a model's file changes, the new model answers from then on;
/// no request is lost. Ctrl-C stops the server when all who wait are answered, a second one at once.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// Models' files or folders of runs; NAME=PATH gives one a name
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<OsString>,
    /// The port to listen on; 0 takes a free one
    #[arg(
        long,
        value_name = "N",
        default_value = "8080",
        allow_hyphen_values = true,
        value_parser = port
    )]
    port: u16,
    /// The address to listen on: 0.0.0.0 lets other machines ask. They need the token that is printed, or the one in the
    /// environment variable ZEROKARA_TOKEN
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1", value_parser = host)]
    host: IpAddr,
    /// The most samples that are computed together; fewer where the others would change the last bits of an answer
    #[arg(
        long,
        value_name = "N",
        default_value = "32",
        allow_hyphen_values = true,
        value_parser = options::count::<MOST_IN_A_BATCH>
    )]
    batch: usize,
    /// How many milliseconds the first sample of a batch waits for others; with 0 it never waits for what has not come yet
    #[arg(
        long,
        value_name = "MS",
        default_value = "0",
        allow_hyphen_values = true,
        value_parser = wait
    )]
    wait: Duration,
    /// The most samples that wait for a model; more are told to come again (503)
    #[arg(
        long,
        value_name = "N",
        default_value = "1024",
        allow_hyphen_values = true,
        value_parser = options::count::<MOST_WAITING>
    )]
    queue: usize,
    /// The most megabytes of a request's body (413)
    #[arg(
        long,
        value_name = "MB",
        default_value = "10",
        allow_hyphen_values = true,
        value_parser = options::count::<MOST_MEGABYTES>
    )]
    max_body: usize,
    /// How many seconds a request's head, its body (408) and its answer (504) may each take
    #[arg(
        long,
        value_name = "S",
        default_value = "10",
        allow_hyphen_values = true,
        value_parser = options::seconds
    )]
    timeout: f64,
}

const EXAMPLES: &str = "\
Examples:
  zerokara serve runs/latest                         open the address that is printed, and draw a digit
  curl -H 'Content-Type: image/png' --data-binary @seven.png http://127.0.0.1:8080/predict
  curl -F image=@seven.png http://127.0.0.1:8080/predict
  curl --json '{\"inputs\": [80, \"brick\"]}' http://127.0.0.1:8080/predict
  zerokara serve a=digits.safetensors b=runs/latest  two models: /models/a/predict, /models/b/predict
  zerokara serve runs/latest --host 0.0.0.0          other machines may ask, with the token
  zerokara serve runs/latest --wait 2                larger batches, where many ask at once";

/// The most samples that can be let wait.
const MOST_WAITING: usize = 1_000_000;
/// The most megabytes of a body that can be allowed.
const MOST_MEGABYTES: usize = 1_000;
/// The most milliseconds of waiting for others that can be asked for.
const MOST_MILLISECONDS: u64 = 10_000;
/// Where a token may stand.
pub const TOKEN: &str = "ZEROKARA_TOKEN";

pub fn port(text: &str) -> Result<u16, String> {
    let read = text.trim().parse();
    read.map_err(|_| "it must be a whole number from 0 to 65535".into())
}

pub fn host(text: &str) -> Result<IpAddr, String> {
    match text.trim() {
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        text => text.parse().map_err(|_| {
            "it must be an address of this machine, such as 127.0.0.1, 0.0.0.0 (all of them) or ::1"
                .into()
        }),
    }
}

fn wait(text: &str) -> Result<Duration, String> {
    match text.trim().parse() {
        Ok(number) if number <= MOST_MILLISECONDS => Ok(Duration::from_millis(number)),
        _ => Err(format!(
            "it must be a whole number of milliseconds from 0 to {MOST_MILLISECONDS}"
        )),
    }
}

pub fn run(options: &Options, words: Words) -> Outcome {
    options::use_threads(None, false, words)?;
    let sources = options.models.iter().map(|model| source(model));
    let sources = sources.collect::<Outcome<Vec<Source>>>()?;
    let is_open = !options.host.is_loopback();
    let given = std::env::var(TOKEN).ok().filter(|token| !token.is_empty());
    let token = match (given, is_open) {
        (None, true) => Some(new_token()?),
        (given, _) => given,
    };
    let limits = Limits {
        host: options.host,
        port: options.port,
        token,
        batch: options.batch,
        wait: options.wait,
        queue: options.queue,
        max_body: options.max_body * 1_000_000,
        timeout: Duration::from_secs_f64(options.timeout),
        ..Limits::default()
    };
    let server = Server::bind(sources, limits)?
        .language(words.language())
        .tell(move |change| note(&change, words));
    if is_open {
        output::note(&words.fill(
            "note: machines that reach {} can ask, with the token",
            &[&options.host],
        ));
    }
    // Other programs read where it is.
    let names: Vec<&str> = server.names().collect();
    output::print(&format!(
        "zerokara serves {} at {}",
        names.join(", "),
        server.url()
    ))?;
    match server.run_until_signal()? {
        Ending::Stopped => Ok(()),
        Ending::CutOff => Err(Failure::Interrupted),
    }
}

fn note(change: &Change, words: Words) {
    match change {
        Change::Swapped { name } => {
            output::note(&words.fill("note: {} was loaded again from its file", &[name]));
        }
        Change::Kept { name, why } => output::note(&words.fill(
            "note: the file of {} changed and cannot be loaded, so the model before answers on: {}",
            &[name, why],
        )),
        _ => {}
    }
}

/// The file that an argument names, and its name.
fn source(argument: &OsStr) -> Outcome<Source> {
    let path = Path::new(argument);
    // A file may have the sign in its own name.
    let named = (argument.to_str())
        .filter(|_| !path.exists())
        .and_then(|text| text.split_once('='));
    Ok(match named {
        Some((name, path)) => Source::new(name, options::model_file(Path::new(path))?)?,
        None => Source::named_after(path, options::model_file(path)?),
    })
}
