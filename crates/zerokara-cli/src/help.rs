//! Help in a language, laid out for the terminal.
//!
//! Commands and options are declared with English texts. Here each of these is looked up, and what clap would say in English
//! (headings, defaults, possible values) is said instead. Errors are those of the command as it was declared.

use clap::{Arg, Command};
use std::cell::RefCell;
use zerokara_labs::Lab;
use zerokara_train::{
    language::{Language, Words},
    report::terminal::width,
};

/// Columns in front of everything below a heading, and between names and what they mean.
const TAB: usize = 2;
/// Columns in front of what options mean, where that begins on a line of its own.
const NEXT_LINE: usize = 10;
/// Columns in front of what an example does, where that begins on a line of its own.
const BELOW_EXAMPLE: usize = 6;
/// The place of the options for help and version, behind all others.
const LAST: usize = 1_000;
/// Fewer columns than these are not worth breaking lines for.
const LEAST: usize = 20;

/// The command with its help in this language, for a terminal of so many columns; lines are not broken where nothing is known
/// of a terminal.
pub fn with_help(mut command: Command, words: Words, columns: Option<usize>) -> Command {
    // Afterwards each command has its options for help, and those that all have.
    command.build();
    Help::new(words, columns).command(command)
}

struct Help {
    words: Words,
    columns: usize,
    /// What was said in English for want of a translation.
    untranslated: RefCell<Vec<String>>,
}

impl Help {
    fn new(words: Words, columns: Option<usize>) -> Self {
        Self {
            words,
            columns: columns.unwrap_or(usize::MAX),
            untranslated: RefCell::default(),
        }
    }

    fn say(&self, text: &str) -> String {
        let said = self.words.translate(text);
        if !said.is_complete {
            self.untranslated.borrow_mut().push(text.to_string());
        }
        said.text
    }

    /// The command, and those within it.
    fn command(&self, command: Command) -> Command {
        let about = self.about(&command);
        let long_about = command.get_long_about().map(ToString::to_string);
        let after = command.get_after_help().map(ToString::to_string);
        let is_long = is_long(&command);
        let longest = longest(
            command.get_subcommands().filter(|c| !c.is_hide_set()),
            |c| width(c.get_name()),
        );
        let mut command = command
            .mut_subcommands(|inner| {
                let about = self.about(&inner);
                // In the list of commands.
                let about = about.map(|about| wrap(&about, self.room(longest + 2 * TAB)));
                let inner = self.command(inner);
                match about {
                    Some(about) => inner.about(about),
                    None => inner,
                }
            })
            .term_width(0);
        if let Some(about) = about {
            command = command.before_help(wrap(&about, self.columns));
        }
        if let Some(about) = long_about {
            let about = self.say(&about);
            command = command.before_long_help(wrap(&about, self.columns));
        }
        if let Some(after) = after {
            command = command.after_help(self.examples(&after));
        }
        if command.has_subcommands() {
            let name = command.get_subcommand_value_name().unwrap_or("COMMAND");
            let name = self.say(name);
            command = command.subcommand_value_name(name);
        }
        let lab = zerokara_labs::lab(command.get_name());
        command = command.mut_args(|arg| self.names(arg));
        let room = |is_positional: bool| {
            let shown = command
                .get_arguments()
                .filter(|arg| arg.is_positional() == is_positional && !arg.is_hide_set());
            self.room(longest_argument(shown) + 2 * TAB)
        };
        let rooms = [room(false), room(true)];
        command = command.mut_args(|arg| {
            let room = rooms[usize::from(arg.is_positional())];
            self.argument(arg, lab, room, is_long)
        });
        let template = self.template(&mut command);
        command.help_template(template)
    }

    /// What is left of the columns behind so many.
    fn room(&self, taken: usize) -> usize {
        self.columns.saturating_sub(taken).max(LEAST)
    }

    /// What a command is for; labs have titles.
    fn about(&self, command: &Command) -> Option<String> {
        let about = command.get_about()?.to_string();
        let lab = zerokara_labs::lab(command.get_name());
        Some(
            match lab.filter(|lab| lab.text(Language::English).title == about) {
                Some(lab) => lab.text(self.words.language()).title.to_string(),
                None => self.say(&about),
            },
        )
    }

    /// The option, its values named in the language.
    fn names(&self, arg: Arg) -> Arg {
        let names = match arg.get_action().takes_values() {
            true => arg.get_value_names().unwrap_or_default(),
            false => &[],
        };
        let names: Vec<String> = names.iter().map(|name| self.say(name)).collect();
        match names.is_empty() {
            true => arg,
            false => arg.value_names(names),
        }
    }

    /// The option with what it means, its default and its possible values.
    fn argument(&self, arg: Arg, lab: Option<&Lab>, room: usize, is_long: bool) -> Arg {
        if arg.is_hide_set() {
            return arg;
        }
        let choice = lab.and_then(|lab| {
            let mut choices = lab.choices().iter();
            Some((lab, choices.find(|choice| arg.get_id() == choice.name)?))
        });
        let said = |text: Option<String>| match choice {
            Some((lab, choice)) => Some(lab.help(choice, self.words.language())),
            None => text.map(|text| self.say(&text)),
        };
        let help = said(arg.get_help().map(ToString::to_string)).unwrap_or_default();
        let long = said(arg.get_long_help().map(ToString::to_string));
        let mut facts = Vec::new();
        if let Some((_, choice)) = choice {
            facts.push(self.words.fill("[default: {}]", &[&choice.default]));
        }
        let takes = arg.get_action().takes_values();
        let defaults = arg.get_default_values().iter().filter(|_| takes);
        let defaults: Vec<String> = defaults
            .map(|value| value.to_string_lossy().into_owned())
            .collect();
        if !defaults.is_empty() {
            let defaults = defaults.join(" ");
            facts.push(self.words.fill("[default: {}]", &[&defaults]));
        }
        let possible = arg.get_possible_values();
        if takes && !possible.is_empty() {
            let names: Vec<&str> = possible.iter().map(|value| value.get_name()).collect();
            let names = names.join(", ");
            facts.push(self.words.fill("[possible values: {}]", &[&names]));
        }
        let with_facts = |help: &str, between: &str| {
            let all = [help].into_iter().chain(facts.iter().map(String::as_str));
            let all: Vec<&str> = all.filter(|part| !part.is_empty()).collect();
            all.join(between)
        };
        let short = wrap(&with_facts(&help, " "), room);
        let order = match arg.get_id().as_str() {
            "help" | "version" => LAST,
            _ => arg.get_display_order(),
        };
        let arg = arg
            .display_order(order)
            .hide_default_value(true)
            .hide_possible_values(true)
            .help(short);
        match is_long {
            true => {
                let long = long.unwrap_or(help);
                arg.long_help(wrap(&with_facts(&long, "\n\n"), self.room(NEXT_LINE)))
            }
            false => arg,
        }
    }

    /// Examples: a command, and behind blanks what it does.
    fn examples(&self, text: &str) -> String {
        let parts: Vec<(&str, String)> = text
            .lines()
            .map(|line| {
                let command = line.strip_prefix("  ").map(|line| line.split_once("  "));
                match command {
                    None => ("", self.say(line)),
                    Some(None) => (line, String::new()),
                    Some(Some((_, does))) => {
                        let does = does.trim_start();
                        (&line[..line.len() - does.len()], self.say(does))
                    }
                }
            })
            .collect();
        let fits =
            (parts.iter()).all(|(command, does)| width(command) + width(does) <= self.columns);
        let lines = parts.iter().map(|(command, does)| match *command {
            "" => wrap(does, self.columns),
            command if fits || does.is_empty() => format!("{command}{does}"),
            command => {
                let blank = " ".repeat(BELOW_EXAMPLE);
                let does = wrap(does, self.room(BELOW_EXAMPLE));
                let lines = does.lines().map(|line| format!("\n{blank}{line}"));
                command.trim_end().to_string() + &lines.collect::<String>()
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The page: what the command is for, how it is called, what it takes, examples.
    fn template(&self, command: &mut Command) -> String {
        let usage = command.render_usage().to_string();
        let usage = usage.strip_prefix("Usage: ").unwrap_or(&usage);
        let usage = usage.replace("[OPTIONS]", &self.say("[OPTIONS]"));
        let mut out = format!("{{before-help}}{} {usage}", self.say("Usage:"));
        let heading = command.get_subcommand_help_heading().unwrap_or("Commands");
        let heading = self.say(&format!("{heading}:"));
        let shown = |arg: &&Arg| !arg.is_hide_set();
        for (is_there, heading, tag) in [
            (
                command.get_subcommands().any(|inner| !inner.is_hide_set()),
                heading,
                "{subcommands}",
            ),
            (
                command.get_positionals().any(|arg| shown(&arg)),
                self.say("Arguments:"),
                "{positionals}",
            ),
            (
                (command.get_arguments()).any(|arg| shown(&arg) && !arg.is_positional()),
                self.say("Options:"),
                "{options}",
            ),
        ] {
            if is_there {
                out += &format!("\n\n{heading}\n{tag}");
            }
        }
        out + "{after-help}"
    }
}

/// Whether `--help` tells more than `-h`.
fn is_long(command: &Command) -> bool {
    let about = command.get_long_about().or(command.get_before_long_help());
    // The option for help tells it too.
    let own = |arg: &Arg| !["help", "version"].contains(&arg.get_id().as_str());
    let mut arguments = command.get_arguments().filter(|arg| own(arg));
    about.is_some() || arguments.any(|arg| arg.get_long_help().is_some())
}

fn longest<T>(all: impl Iterator<Item = T>, of: impl Fn(T) -> usize) -> usize {
    all.map(of).max().unwrap_or(0)
}

/// Columns of the longest of these arguments, as clap counts them.
fn longest_argument<'a>(arguments: impl Iterator<Item = &'a Arg>) -> usize {
    longest(arguments, |arg| {
        // Room for `-o, ` is kept in front of every option with a long name.
        let short = if arg.get_long().is_some() { 4 } else { 0 };
        width(&arg.to_string()) + short
    })
}

/// Breaks the lines of a text so that they take at most so many columns: at blanks, and between Japanese characters where
/// Japanese typesetting allows it.
fn wrap(text: &str, columns: usize) -> String {
    let lines: Vec<String> = text.lines().map(|line| wrap_line(line, columns)).collect();
    lines.join("\n")
}

fn wrap_line(line: &str, columns: usize) -> String {
    let mut out = String::new();
    let mut rest = line;
    while width(rest) > columns {
        let mut characters = rest.char_indices().peekable();
        let (mut taken, mut end) = (0, None);
        while let Some((_, c)) = characters.next() {
            taken += width(c.encode_utf8(&mut [0; 4]));
            let Some(&(at, next)) = characters.peek() else {
                break;
            };
            // A blank at the end of a line takes no room.
            if taken > columns && c != ' ' && end.is_some() {
                break;
            }
            if may_break(c, next) {
                end = Some(at);
            }
        }
        // A word that is longer than the line stays whole.
        let Some(end) = end else {
            break;
        };
        out += rest[..end].trim_end();
        out.push('\n');
        rest = &rest[end..];
    }
    out + rest
}

/// Whether a line may end between these characters.
fn may_break(before: char, after: char) -> bool {
    const NEVER_FIRST: &str =
        "、。，．・：；？！）」』】］〜ー々ぁぃぅぇぉっゃゅょァィゥェォッャュョ,.:;?!)]}%";
    const NEVER_LAST: &str = "（「『【［([{";
    if before == ' ' {
        return after != ' ';
    }
    // Words of katakana are read as wholes, like those of Latin letters.
    let is_katakana = |c: char| ('\u{30a0}'..='\u{30ff}').contains(&c);
    if is_katakana(before) && is_katakana(after) {
        return false;
    }
    let is_wide = |c: char| width(c.encode_utf8(&mut [0; 4])) == 2;
    (is_wide(before) || is_wide(after))
        && after != ' '
        && !NEVER_FIRST.contains(after)
        && !NEVER_LAST.contains(before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cli, texts};
    use clap::CommandFactory;
    use std::collections::BTreeSet;

    #[test]
    fn all_help_is_translated() {
        let help = Help::new(texts::words(Language::Japanese), None);
        let mut command = Cli::command();
        command.build();
        help.command(command);
        assert_eq!(help.untranslated.into_inner(), [""; 0]);
    }

    /// The help that these words ask for, for a terminal of so many columns.
    fn shown(arguments: &[&str], language: Language, columns: Option<usize>) -> String {
        let command = with_help(Cli::command(), texts::words(language), columns);
        let arguments = ["zerokara"].iter().chain(arguments);
        command
            .try_get_matches_from(arguments)
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn english_help_says_what_clap_says() {
        for arguments in [
            &["-h"][..],
            &["train", "-h"],
            &["eval", "--help"],
            &["graph", "-h"],
            &["lab", "-h"],
            &["lab", "softmax", "--help"],
        ] {
            let all = ["zerokara"].iter().chain(arguments);
            let clap = Cli::command().try_get_matches_from(all).unwrap_err();
            // Options that all commands have stand elsewhere.
            let lines = |text: &str| -> BTreeSet<String> {
                text.lines().map(|line| line.trim_end().into()).collect()
            };
            let shown = shown(arguments, Language::English, None);
            assert_eq!(lines(&shown), lines(&clap.to_string()), "{arguments:?}");
        }
    }

    #[test]
    fn lines_fit_into_the_terminal() {
        for language in Language::ALL {
            for columns in [60, 80, 100] {
                for (command, flag) in [
                    "train", "search", "eval", "predict", "graph", "bench", "lab",
                ]
                .into_iter()
                .flat_map(|command| [(command, "-h"), (command, "--help")])
                {
                    let shown = shown(&[command, flag], language, Some(columns));
                    // Commands and lists of values are not broken.
                    let mut prose = shown.lines().filter(|line| !line.contains("zerokara "));
                    let long = prose.find(|line| width(line) > columns);
                    assert_eq!(long, None, "{command} {flag} {columns}");
                }
            }
        }
    }

    #[test]
    fn japanese_lines_are_broken_where_they_may_be() {
        assert_eq!(
            wrap("重みを、学習する（する）。", 8),
            "重みを、\n学習する\n（す\nる）。"
        );
        assert_eq!(wrap("このモデル", 8), "この\nモデル");
        assert_eq!(wrap("値は0.125です", 6), "値は\n0.125\nです");
        assert_eq!(wrap("two words  here", 5), "two\nwords\nhere");
        assert_eq!(wrap("unbreakable", 5), "unbreakable");
        assert_eq!(wrap("", 5), "");
    }
}
