//! The command `zerokara`.

mod bench;
mod eval;
mod graph;
mod lab;
mod options;
mod output;
mod predict;
mod summary;
mod train;

use clap::{Parser, Subcommand, error::ErrorKind};
use output::{Failure, Outcome};
use std::process::ExitCode;

/// Deep learning from zero: train, inspect and use neural networks.
#[derive(Parser)]
#[command(name = "zerokara", version, max_term_width = 100, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  zerokara train                                   a convolutional network on MNIST, in about a minute
  zerokara train --model deep-convnet              the book's deep network: 99.3 % and more
  zerokara eval runs/latest                        how the newest run's model does on its test set
  zerokara predict runs/latest seven.png           which digit is in the picture
  zerokara summary simple-convnet                  layers, shapes, parameters
  zerokara graph two-layer-net --backward          its computational graph, as a picture
  zerokara bench --model all                       images per second on this machine
  zerokara lab                                     the book's experiments, chapter by chapter

Every command explains its options: zerokara train --help";

#[derive(Subcommand)]
enum Command {
    // Apart, since it has many more options than the others.
    Train(Box<train::Options>),
    Eval(eval::Options),
    Predict(predict::Options),
    Summary(summary::Options),
    Graph(graph::Options),
    Bench(bench::Options),
    Lab(lab::Options),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    let result = match cli.command {
        Command::Train(options) => train::run(&options),
        Command::Eval(options) => eval::run(&options),
        Command::Predict(options) => predict::run(&options),
        Command::Summary(options) => summary::run(&options),
        Command::Graph(options) => graph::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Lab(options) => lab::run(&options),
    };
    exit_code(result)
}

/// 0 for success, 1 for what failed, 2 for a command that was called wrongly, 130 after Ctrl-C.
fn exit_code(result: Outcome) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read our output has seen enough.
        Err(Failure::ClosedPipe) => ExitCode::SUCCESS,
        Err(Failure::Interrupted) => ExitCode::from(130),
        Err(Failure::Told) => ExitCode::FAILURE,
        Err(Failure::Message(message)) => {
            output::error(&message);
            ExitCode::FAILURE
        }
    }
}

/// Help goes to standard output; what was wrong goes to standard error, as one line.
fn usage(error: &clap::Error) -> ExitCode {
    let text = error.to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            exit_code(output::print(text.trim_end()))
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            output::note(text.trim_end());
            ExitCode::from(2)
        }
        _ => {
            let lines = text.lines().map(str::trim);
            let told: Vec<&str> = lines
                .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
                .filter(|line| !line.is_empty())
                .collect();
            let told = told.join(" ");
            output::error(&format!(
                "{} (--help explains)",
                told.strip_prefix("error: ").unwrap_or(&told)
            ));
            ExitCode::from(2)
        }
    }
}
