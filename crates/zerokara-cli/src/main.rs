//! The command `zerokara`.

mod bench;
mod board;
mod data;
mod eval;
mod explain;
mod export;
mod generate;
mod graph;
mod help;
mod lab;
mod lr_find;
mod new;
mod options;
mod output;
mod page;
mod predict;
mod search;
mod serve;
mod summary;
mod texts;
mod train;

use clap::{
    CommandFactory, FromArgMatches, Parser, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
    error::ErrorKind,
};
use output::{Failure, Outcome};
use std::{ffi::OsString, process::ExitCode};
use zerokara_train::language::Language;

/// Deep learning from zero: train, inspect and use neural networks.
#[derive(Parser)]
#[command(name = "zerokara", version, after_help = EXAMPLES)]
struct Cli {
    /// Language of help, progress, pages and reports; that of LANG unless given. What other programs read stays English:
    /// errors, JSON, and the lines with the test accuracy
    #[arg(long, global = true, value_name = "LANGUAGE", value_parser = language(), display_order = BEHIND)]
    language: Option<Language>,
    #[command(subcommand)]
    command: Command,
}

/// The place of options that all commands have, behind their own.
const BEHIND: usize = 900;

/// Reads a language by its code.
fn language() -> impl TypedValueParser<Value = Language> {
    let codes = Language::ALL.map(Language::code);
    PossibleValuesParser::new(codes).map(|code| Language::of_code(&code).unwrap_or_default())
}

const EXAMPLES: &str = "\
Examples:
  zerokara train                                   a convolutional network on MNIST, in about a minute
  zerokara train --model deep-convnet              the book's deep network: 99.3 % and more
  zerokara data photos                             what is in a folder of pictures, or a table, of your own
  zerokara new photos                              a recipe for training on them
  zerokara train recipe.toml                       train by it
  zerokara search recipe.toml                      find the settings that do best
  zerokara eval runs/latest                        how the newest run's model does on its test set
  zerokara predict runs/latest seven.png           which digit is in the picture
  zerokara train shakespeare.txt                   a small language model of a text's characters
  zerokara generate runs/latest --prompt 'ROMEO:'  what it writes
  zerokara serve runs/latest                       answers over HTTP, and a page to draw digits on
  zerokara board                                   all runs on a page, as they are trained
  zerokara summary simple-convnet                  layers, shapes, parameters
  zerokara graph two-layer-net --backward          its computational graph, as a picture
  zerokara bench --model all                       images per second on this machine
  zerokara lab                                     the book's experiments, chapter by chapter

Every command explains its options: zerokara train --help";

/// Longer lines than this are hard to read.
const MOST_COLUMNS: usize = 100;

#[derive(Subcommand)]
enum Command {
    // Apart, since it has many more options than the others.
    Train(Box<train::Options>),
    New(new::Options),
    Data(data::Options),
    LrFind(lr_find::Options),
    Search(search::Options),
    Eval(eval::Options),
    Predict(predict::Options),
    Generate(generate::Options),
    Explain(explain::Options),
    Serve(serve::Options),
    Export(export::Options),
    Board(board::Options),
    Summary(summary::Options),
    Graph(graph::Options),
    Bench(bench::Options),
    Lab(lab::Options),
}

fn main() -> ExitCode {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let matches = Cli::command().try_get_matches_from(&arguments);
    let cli = match matches.and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return usage(error, &arguments),
    };
    let words = texts::words(cli.language.unwrap_or_else(Language::of_environment));
    let result = match cli.command {
        Command::Train(options) => train::run(&options, words),
        Command::New(options) => new::run(&options, words),
        Command::Data(options) => data::run(&options, words),
        Command::LrFind(options) => lr_find::run(&options, words),
        Command::Search(options) => search::run(&options, words),
        Command::Eval(options) => eval::run(&options, words),
        Command::Predict(options) => predict::run(&options, words),
        Command::Generate(options) => generate::run(&options, words),
        Command::Explain(options) => explain::run(&options, words),
        Command::Serve(options) => serve::run(&options, words),
        Command::Export(options) => export::run(&options, words),
        Command::Board(options) => board::run(&options, words),
        Command::Summary(options) => summary::run(&options, words),
        Command::Graph(options) => graph::run(&options, words),
        Command::Bench(options) => bench::run(&options, words),
        Command::Lab(options) => lab::run(&options, words),
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
fn usage(error: clap::Error, arguments: &[OsString]) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayVersion => exit_code(output::print(error.to_string().trim_end())),
        ErrorKind::DisplayHelp => {
            let help = help_for(error, arguments, console::Term::stdout());
            exit_code(output::print(help.trim_end()))
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
            let help = help_for(error, arguments, console::Term::stderr());
            output::note(help.trim_end());
            ExitCode::from(2)
        }
        _ => {
            let text = error.to_string();
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

/// The help that was asked for, in the language that was asked for, as wide as the terminal is.
fn help_for(asked: clap::Error, arguments: &[OsString], terminal: console::Term) -> String {
    let words = texts::words(texts::asked_for(arguments));
    let columns =
        (terminal.size_checked()).map(|(_, columns)| usize::from(columns).min(MOST_COLUMNS));
    let mut command = help::with_help(Cli::command(), words, columns);
    if asked.kind() == ErrorKind::MissingSubcommand {
        return command.render_help().to_string();
    }
    let help = command
        .try_get_matches_from(arguments)
        .err()
        .unwrap_or(asked);
    help.to_string()
}
