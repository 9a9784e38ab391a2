//! `zerokara generate`

use crate::{
    options,
    output::{self, Failure, Outcome},
};
use clap::Args;
use serde_json::json;
use std::{io::Read, path::PathBuf};
use zerokara_kernels::threads::MOST_THREADS;
use zerokara_train::{Flow, Generator, language::Words};

/// Go on with a text, by a model of language that `zerokara train` has learned from one.
///
/// The text that is begun with is printed first, then each character as soon as the model has chosen it. The same seed gives the same
/// text. Ctrl-C ends it.
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct Options {
    /// A model's file, or the folder of a run
    model: PathBuf,
    /// The text to go on with; - is standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: Option<String>,
    /// The number of characters to write
    #[arg(
        long,
        value_name = "N",
        default_value = "500",
        allow_hyphen_values = true,
        value_parser = options::count::<MOST_CHARACTERS>
    )]
    length: usize,
    /// How freely characters are chosen: below 1 the likely ones become likelier, at 0 the likeliest one is always taken
    #[arg(
        long,
        value_name = "T",
        default_value = "0.8",
        allow_hyphen_values = true,
        value_parser = options::non_negative
    )]
    temperature: f64,
    /// Choose among the K likeliest characters alone
    #[arg(
        long,
        value_name = "K",
        allow_hyphen_values = true,
        value_parser = options::count::<MOST_CHARACTERS>
    )]
    top_k: Option<usize>,
    /// Choose among the fewest of the likeliest characters alone that have this probability together, such as 0.9
    #[arg(long, value_name = "P", allow_hyphen_values = true, value_parser = options::positive)]
    top_p: Option<f64>,
    /// The seed of the choices: same seed, same text
    #[arg(
        long,
        value_name = "N",
        default_value = "0",
        allow_hyphen_values = true,
        value_parser = options::seed
    )]
    seed: u64,
    /// Print one JSON object, when all of the text is there
    #[arg(long)]
    json: bool,
    /// Number of threads; it changes the time, not the result [default: one per core]
    #[arg(long, value_name = "N", allow_hyphen_values = true, value_parser = options::count::<MOST_THREADS>)]
    threads: Option<usize>,
}

const EXAMPLES: &str = "\
Examples:
  zerokara train shakespeare.txt                   learn from a text
  zerokara generate runs/latest --prompt 'ROMEO:'
  zerokara generate runs/latest --prompt 'ROMEO:' --length 2000 --temperature 0.5 --seed 7
  zerokara generate runs/latest --top-k 10 --json
  cat beginning.txt | zerokara generate runs/latest --prompt -";

/// The most characters that can be asked for.
const MOST_CHARACTERS: usize = 1_000_000_000;
/// Unknown characters that are named.
const NAMED: usize = 10;

pub fn run(options: &Options, words: Words) -> Outcome {
    options::use_threads(options.threads, options.json, words)?;
    let model = options::load_model(&options.model)?;
    let mut generator = Generator::new(&model)?
        .temperature(options.temperature)?
        .seed(options.seed);
    if let Some(characters) = options.top_k {
        generator = generator.top_k(characters)?;
    }
    if let Some(probability) = options.top_p {
        generator = generator.top_p(probability)?;
    }
    let prompt = match options.prompt.as_deref() {
        Some(output::STDOUT) => standard_input()?,
        given => given.unwrap_or_default().to_string(),
    };
    let unknown = generator.unknown(&prompt);
    if !unknown.is_empty() {
        output::note(&words.fill(
            "note: the model does not know {}: such characters did not come in the text that it learned from",
            &[&named(&unknown)],
        ));
    }
    let mut made = String::new();
    let mut failed = Ok(());
    if !options.json {
        output::piece(&prompt)?;
    }
    let interrupted = generator.tell(&prompt, options.length, |character| {
        if !options.json {
            failed = output::piece(character);
        }
        made.push_str(character);
        match failed {
            Ok(()) => Flow::Continue,
            Err(_) => Flow::Stop,
        }
    })?;
    failed?;
    match options.json {
        true => output::print(
            &json!({
                "model": model.card().name,
                "prompt": prompt,
                "text": made,
                "temperature": options.temperature,
                "top_k": options.top_k,
                "top_p": options.top_p,
                "seed": options.seed,
                "complete": !interrupted,
            })
            .to_string(),
        )?,
        // The shell's next line begins on its own.
        false if !made.ends_with('\n') => output::piece("\n")?,
        false => {}
    }
    match interrupted {
        true => Err(Failure::Interrupted),
        false => Ok(()),
    }
}

/// All of standard input.
pub fn standard_input() -> Outcome<String> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(format!("cannot read standard input: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        Failure::new(format!("standard input is not UTF-8 from byte {good} on"))
    })
}

/// Characters by their signs and numbers.
fn named(characters: &[char]) -> String {
    let some = characters.iter().take(NAMED);
    let some: Vec<String> = some
        .map(|c| format!("{c:?} (U+{:04X})", u32::from(*c)))
        .collect();
    match characters.len().saturating_sub(NAMED) {
        0 => some.join(", "),
        more => format!("{} +{more}", some.join(", ")),
    }
}
