//! `zerokara lab`

use crate::output::{self, Failure, Outcome};
use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, builder::PossibleValuesParser,
};
use std::path::{Path, PathBuf};
use zerokara_labs::{Choice, Kind, LABS, Lab, Language, Report, gallery};
use zerokara_train::{Error, language::Words, report::terminal::Align};

/// Run the book's experiments: each says its numbers and writes a page with pictures, explanation and source.
pub struct Options {
    /// The lab, and its options that were given; all labs if none is named.
    lab: Option<(&'static Lab, Vec<(String, String)>)>,
    all: bool,
    seed: u64,
    quick: bool,
    out: PathBuf,
    pictures: Option<PathBuf>,
}

/// The place of options that all labs have, behind their own.
const SHARED: usize = 800;

const EXAMPLES: &str = "\
Examples:
  zerokara lab                      the list of labs, with chapters and pages
  zerokara lab softmax              runs one and writes labs/softmax.html
  zerokara lab softmax --help       what can be varied
  zerokara lab --all                runs all, in five to ten minutes, and writes labs/index.html
  zerokara lab --all --quick        the same on reduced work, in about a minute";

impl Args for Options {
    fn augment_args(command: Command) -> Command {
        let shared = [
            Arg::new("seed")
                .long("seed")
                .value_name("N")
                .default_value("0")
                .allow_hyphen_values(true)
                .value_parser(crate::options::seed)
                .global(true)
                .help("Seed of all that is random"),
            Arg::new("quick")
                .long("quick")
                .action(ArgAction::SetTrue)
                .global(true)
                .help("Reduced work: fewer images and steps"),
            Arg::new("out")
                .long("out")
                .value_name("FOLDER")
                .default_value("labs")
                .value_parser(crate::options::folder())
                .global(true)
                .help("Where pages go, and the trained networks that labs share"),
            Arg::new("pictures")
                .long("pictures")
                .value_name("FOLDER")
                .value_parser(crate::options::folder())
                .global(true)
                .help("Writes each picture into this folder too, as an SVG file"),
        ];
        let labs = LABS.iter().map(|lab| {
            let choices = lab.choices().iter().map(argument);
            Command::new(lab.name())
                .about(lab.text(Language::English).title)
                .args(choices)
        });
        command
            .about("Run the book's experiments: each says its numbers and writes a page with pictures and explanation")
            .after_help(EXAMPLES)
            .subcommand_value_name("LAB")
            .subcommand_help_heading("Labs")
            .disable_help_subcommand(true)
            .args((shared.into_iter().enumerate()).map(|(at, arg)| arg.display_order(SHARED + at)))
            .arg(
                Arg::new("all")
                    .long("all")
                    .action(ArgAction::SetTrue)
                    .help("Runs every lab and writes the gallery"),
            )
            .args_conflicts_with_subcommands(false)
            .subcommands(labs)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// What a lab lets vary, as an option of the command.
fn argument(choice: &'static Choice) -> Arg {
    let arg = Arg::new(choice.name)
        .long(choice.name)
        .allow_hyphen_values(true)
        .help(format!("{} [default: {}]", choice.help, choice.default));
    match choice.kind {
        Kind::Word(words) => arg
            .value_name("WORD")
            .value_parser(PossibleValuesParser::new(words)),
        Kind::Number => arg.value_name("NUMBER").value_parser(checked(choice)),
        Kind::Count => arg.value_name("N").value_parser(checked(choice)),
        Kind::Numbers => arg.value_name("NUMBERS").value_parser(checked(choice)),
    }
}

fn checked(
    choice: &'static Choice,
) -> impl Fn(&str) -> Result<String, String> + Clone + Send + Sync + 'static {
    move |text: &str| choice.check(text).map(|()| text.to_string())
}

impl FromArgMatches for Options {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let lab = matches.subcommand().and_then(|(name, matches)| {
            let lab = zerokara_labs::lab(name)?;
            let given = lab.choices().iter().filter_map(|choice| {
                let value = matches.get_one::<String>(choice.name)?;
                Some((choice.name.to_string(), value.clone()))
            });
            Some((lab, given.collect()))
        });
        // Options stand before or after the lab's name.
        let inner = matches.subcommand().map_or(matches, |(_, inner)| inner);
        Ok(Self {
            lab,
            all: matches.get_flag("all"),
            seed: inner.get_one("seed").copied().unwrap_or(0),
            quick: inner.get_flag("quick"),
            out: inner
                .get_one::<PathBuf>("out")
                .cloned()
                .unwrap_or_else(|| "labs".into()),
            pictures: inner.get_one::<PathBuf>("pictures").cloned(),
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

pub fn run(options: &Options, words: Words) -> Outcome {
    match (&options.lab, options.all) {
        (Some((lab, _)), true) => Err(Failure::new(format!(
            "--all runs every lab: leave it out, or leave {} out",
            lab.name()
        ))),
        (Some((lab, given)), false) => {
            prepare(options, words)?;
            let report = run_one(options, lab, given, words)?;
            write(options, &report, words)?;
            let page = page_of(options, lab);
            let time = words.duration(report.seconds());
            output::print("")?;
            output::print(&words.fill("{} in {}", &[&page.display(), &time]))
        }
        (None, true) => {
            prepare(options, words)?;
            run_all(options, words)
        }
        (None, false) => list(words),
    }
}

/// Finds a wrong environment variable or a folder that cannot be made before anything else is done.
fn prepare(options: &Options, words: Words) -> Outcome {
    crate::options::use_threads(None, false, words)?;
    create(&options.out)
}

fn list(words: Words) -> Outcome {
    let rows: Vec<Vec<String>> = LABS
        .iter()
        .map(|lab| {
            let chapter = match lab.chapter() {
                0 => words.say("beyond"),
                chapter => chapter.to_string(),
            };
            vec![
                chapter,
                lab.pages().to_string(),
                lab.name(),
                lab.text(words.language()).title.to_string(),
            ]
        })
        .collect();
    let columns = [
        ("chapter", Align::Left),
        ("pages", Align::Left),
        ("lab", Align::Left),
        ("what", Align::Left),
    ];
    output::print(output::table(&columns, &rows, words).trim_end())?;
    output::print("")?;
    output::print(&words.say("Run one with `zerokara lab NAME`, all with `zerokara lab --all`."))
}

fn run_all(options: &Options, words: Words) -> Outcome {
    let mut reports = Vec::new();
    let mut failed = Vec::new();
    for (at, lab) in LABS.iter().enumerate() {
        let title = lab.text(words.language()).title;
        output::print("")?;
        output::print(&words.fill(
            "── {} of {}: {} ({})",
            &[&(at + 1), &LABS.len(), &lab.name(), &title],
        ))?;
        let report = match run_one(options, lab, &[], words) {
            Ok(report) => report,
            // One that fails does not keep the others from running.
            Err(Failure::Message(message)) => {
                output::error(&message);
                failed.push(lab.name());
                continue;
            }
            Err(failure) => return Err(failure),
        };
        write(options, &report, words)?;
        let time = words.duration(report.seconds());
        let page = page_of(options, lab);
        output::print(&words.fill("{} in {}", &[&page.display(), &time]))?;
        reports.push(report);
    }
    let index = options.out.join("index.html");
    output::file(&index, gallery(&reports, words.language()))?;
    let seconds: f64 = reports.iter().map(Report::seconds).sum();
    output::print("")?;
    output::print(&words.fill(
        "{}: {} labs in {}",
        &[&index.display(), &reports.len(), &words.duration(seconds)],
    ))?;
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "of the labs failed: {}",
            failed.join(", ")
        ))),
    }
}

fn run_one(
    options: &Options,
    lab: &'static Lab,
    given: &[(String, String)],
    words: Words,
) -> Outcome<Report> {
    let mut how = zerokara_labs::Options::new()
        .seed(options.seed)
        .language(words.language())
        .networks(options.out.join("networks"));
    if options.quick {
        how = how.quick();
    }
    for (name, value) in given {
        how = how.set(name, value);
    }
    let mut closed = false;
    let found = how.run_with(lab, &mut |text| match output::print(text) {
        Ok(()) => Ok(()),
        Err(Failure::Message(message)) => Err(Error::new(message)),
        Err(Failure::ClosedPipe | Failure::Interrupted | Failure::Told) => {
            closed = true;
            Err(Error::new("standard output is closed"))
        }
    });
    match found {
        Err(_) if closed => Err(Failure::ClosedPipe),
        found => Ok(found?),
    }
}

fn page_of(options: &Options, lab: &Lab) -> PathBuf {
    options.out.join(format!("{}.html", lab.name()))
}

/// Writes the page, and the pictures if they are asked for.
fn write(options: &Options, report: &Report, words: Words) -> Outcome {
    output::file(&page_of(options, report.lab()), report.page())?;
    let Some(folder) = &options.pictures else {
        return Ok(());
    };
    create(folder)?;
    for (at, figure) in report.figures(words.language()).iter().enumerate() {
        output::file(
            &folder.join(format!("{}-{}.svg", report.lab().name(), at + 1)),
            figure.file(),
        )?;
    }
    Ok(())
}

fn create(folder: &Path) -> Outcome {
    std::fs::create_dir_all(folder).map_err(|e| {
        Failure::new(format!(
            "cannot create the folder {}: {e}",
            folder.display()
        ))
    })
}
