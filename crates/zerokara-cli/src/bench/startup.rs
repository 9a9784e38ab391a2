//! `--startup`: from the start of the program to the first step.

use super::{Options, chosen, object};
use crate::output::{self, Failure, Outcome};
use serde_json::json;
use std::{
    fs,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use zerokara_train::{language::Words, report::terminal::Align};

/// Starts of each model; the median counts.
const STARTS: usize = 5;

/// A first step that takes longer than this has failed.
const PATIENCE: Duration = Duration::from_secs(120);

pub fn run(options: &Options, words: Words) -> Outcome {
    let mut rows = Vec::new();
    for model in chosen(options).filter(|&model| model != "resnet20") {
        let mut times = Vec::new();
        for _ in 0..STARTS {
            times.push(first_step(model, options)?.as_secs_f64());
        }
        times.sort_by(f64::total_cmp);
        let median = times[STARTS / 2];
        if options.json {
            output::print(&object(&[
                ("model", json!(model)),
                ("batch_size", json!(options.batch_size)),
                ("seconds_to_first_step", json!(median)),
            ]))?;
        }
        rows.push(vec![model.to_string(), format!("{:.0} ms", median * 1e3)]);
    }
    if options.json {
        return Ok(());
    }
    let columns = [
        ("training on MNIST", Align::Left),
        ("program start to first step", Align::Right),
    ];
    output::print(output::table(&columns, &rows, words).trim_end())
}

/// Starts `zerokara train` and waits for the first line of its metrics.
fn first_step(model: &str, options: &Options) -> Outcome<Duration> {
    let folder = std::env::temp_dir().join(format!("zerokara-startup-{}", std::process::id()));
    let program = std::env::current_exe()
        .map_err(|e| Failure::new(format!("this program's own file is not known: {e}")))?;
    let mut command = Command::new(program);
    command.args(["train", "--quiet", "--model", model, "--output"]);
    command.arg(&folder);
    command.args(["--batch-size", &options.batch_size.to_string()]);
    if let Some(threads) = options.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let start = Instant::now();
    let mut child = command
        .spawn()
        .map_err(|e| Failure::new(format!("the program cannot be started: {e}")))?;
    let found = wait(&mut child, &folder, start);
    // It has told what was asked of it; the rest of its training is of no use.
    let _ = child.kill();
    let _ = child.wait();
    let _ = fs::remove_dir_all(&folder);
    found
}

fn wait(child: &mut Child, folder: &Path, start: Instant) -> Outcome<Duration> {
    let metrics = folder.join("metrics.jsonl");
    loop {
        if fs::read_to_string(&metrics).is_ok_and(|text| text.contains('\n')) {
            return Ok(start.elapsed());
        }
        let ended = child.try_wait().is_ok_and(|status| status.is_some());
        if ended || start.elapsed() > PATIENCE {
            return Err(Failure::new("training did not come to its first step"));
        }
        thread::sleep(Duration::from_micros(500));
    }
}
