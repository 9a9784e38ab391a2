//! Code as pages show it: in colours, in lines that wrap, and with what only tells folded away.

use super::folds::{Fold, Kind, folds, functions};
use crate::words::Said;
use ra_ap_rustc_lexer::{FrontmatterAllowed, LiteralKind, TokenKind, tokenize};
use std::{collections::BTreeSet, fmt::Write, ops::Range};
use zerokara::figures::html::escape;

/// A piece of the source as the compiler's lexer cuts it, and the line on which it begins, from 0.
#[derive(Clone, Copy)]
pub(super) struct Token<'a> {
    pub kind: TokenKind,
    pub text: &'a str,
    pub line: usize,
}

impl Token<'_> {
    /// Whether it is neither space nor a comment.
    pub fn means_something(&self) -> bool {
        !matches!(
            self.kind,
            TokenKind::Whitespace
                | TokenKind::LineComment { .. }
                | TokenKind::BlockComment { .. }
        )
    }

    /// Whether it is a text in quotes.
    pub fn is_text(&self) -> bool {
        matches!(
            self.kind,
            TokenKind::Literal {
                kind: LiteralKind::Str { .. } | LiteralKind::RawStr { .. },
                ..
            }
        )
    }
}

pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    let (mut at, mut line) = (0, 0);
    tokenize(source, FrontmatterAllowed::No)
        .map(|token| {
            let text = &source[at..at + token.len as usize];
            let token = Token { kind: token.kind, text, line };
            at += text.len();
            line += text.matches('\n').count();
            token
        })
        .collect()
}

/// The longest function that is open beside the code that calls it first.
const SHORT: usize = 18;

/// A source, read once for all that is shown of it.
pub(super) struct Source<'a> {
    tokens: Vec<Token<'a>>,
    lines: Lines<'a>,
    folds: Vec<Fold>,
    /// The line on which the function `run` begins.
    main: usize,
    /// The names and lines of the other functions.
    others: Vec<(&'a str, Range<usize>)>,
}

impl<'a> Source<'a> {
    pub fn of(source: &'a str) -> Self {
        let tokens = tokens(source);
        let (main, others) = functions(&tokens);
        Self {
            lines: Lines::of(source, &tokens),
            folds: folds(&tokens),
            main,
            others,
            tokens,
        }
    }

    /// All of it.
    pub fn whole(&self) -> String {
        format!(
            "<div class=\"code\"><pre><code>{}</code></pre></div>",
            self.lines.html(0..self.lines.count(), 0)
        )
    }

    /// Some of its lines, counted from 0, moved to the left. What only tells is folded away; below stand the lab's own
    /// functions which are called here first.
    pub fn part(&self, part: Range<usize>) -> String {
        let lines = &self.lines;
        let part = lines.trimmed(part);
        let indent = part.clone().filter_map(|line| lines.indent(line)).min().unwrap_or(0);
        let mut out = "<div class=\"code\">".to_string();
        let shown = |range: Range<usize>| {
            let range = lines.trimmed(range);
            match range.is_empty() {
                true => String::new(),
                false => {
                    format!("<pre><code>{}</code></pre>", lines.html(range, indent))
                }
            }
        };
        let mut at = part.start;
        for fold in runs(&self.folds, &part, lines) {
            out += &shown(at..fold.lines.start);
            let _ = write!(
                out,
                "<details class=\"fold\"{}><summary>{}</summary>{}</details>",
                // Where nothing else is to be seen, it is seen.
                if fold.lines == part { " open" } else { "" },
                summary(&fold.kinds).html(),
                shown(fold.lines.clone())
            );
            at = fold.lines.end;
        }
        out += &shown(at..part.end);
        for (name, function) in &self.others {
            if self.calls(name, part.clone()) && !self.calls(name, self.main..part.start) {
                let open = if function.len() <= SHORT { " open" } else { "" };
                let _ = write!(
                    out,
                    "<details class=\"fold\"{open}><summary><code>fn {}</code></summary><pre><code>{}</code></pre></details>",
                    escape(name),
                    lines.html(function.clone(), 0)
                );
            }
        }
        out + "</div>"
    }

    /// Whether the function is called in these lines, but for what only tells.
    fn calls(&self, name: &str, within: Range<usize>) -> bool {
        self.tokens.windows(2).any(|pair| {
            pair[0].text == name
                && pair[1].kind == TokenKind::OpenParen
                && within.contains(&pair[0].line)
                && !self.folds.iter().any(|fold| fold.lines.contains(&pair[0].line))
        })
    }
}

/// The folds of a part of the source; those between which nothing stands are one.
fn runs(folds: &[Fold], part: &Range<usize>, lines: &Lines) -> Vec<Fold> {
    let mut runs: Vec<Fold> = Vec::new();
    for fold in folds {
        if fold.lines.start < part.start || fold.lines.end > part.end {
            continue;
        }
        match runs.last_mut() {
            Some(last)
                if (last.lines.end..fold.lines.start).all(|line| lines.is_empty(line)) =>
            {
                last.lines.end = fold.lines.end;
                last.kinds.extend(fold.kinds.iter().copied());
            }
            _ => runs.push(fold.clone()),
        }
    }
    runs
}

/// What is in a fold.
fn summary(kinds: &BTreeSet<Kind>) -> Said {
    let named: Vec<Said> = kinds
        .iter()
        .filter(|kind| kinds.len() == 1 || **kind != Kind::Preparation)
        .map(|kind| {
            Said::common(match kind {
                Kind::Table => "table",
                Kind::Figure => "figure",
                Kind::Controls => "controls",
                Kind::Text => "printed lines",
                Kind::Check => "checks",
                Kind::Limit => "limits of the options",
                Kind::Preparation => "what is shown",
            })
        })
        .collect();
    let join = |of: fn(&Said) -> &str, comma: &str| {
        named.iter().map(of).collect::<Vec<_>>().join(comma)
    };
    Said { english: join(|s| &s.english, ", "), japanese: join(|s| &s.japanese, "・") }
}

/// The lines of a source in colours.
struct Lines<'a> {
    source: Vec<&'a str>,
    html: Vec<String>,
}

impl<'a> Lines<'a> {
    fn of(source: &'a str, tokens: &[Token]) -> Self {
        let lines: Vec<&str> = source.lines().collect();
        let mut html = vec![String::new(); lines.len() + 1];
        for (at, token) in tokens.iter().enumerate() {
            let class = class(tokens, at);
            for (number, text) in token.text.split('\n').enumerate() {
                let line = &mut html[token.line + number];
                match class {
                    _ if text.is_empty() => {}
                    "" => *line += &escape(text),
                    _ => {
                        let _ =
                            write!(line, "<span class=\"{class}\">{}</span>", escape(text));
                    }
                }
            }
        }
        html.truncate(lines.len());
        Self { source: lines, html }
    }

    fn count(&self) -> usize {
        self.source.len()
    }

    fn is_empty(&self, line: usize) -> bool {
        self.source.get(line).is_none_or(|line| line.trim().is_empty())
    }

    /// How far a line is moved to the right; none if it is empty.
    fn indent(&self, line: usize) -> Option<usize> {
        let line = self.source.get(line).filter(|line| !line.trim().is_empty())?;
        Some(line.len() - line.trim_start().len())
    }

    /// The range without empty lines at its ends.
    fn trimmed(&self, mut range: Range<usize>) -> Range<usize> {
        range.end = range.end.min(self.count());
        while !range.is_empty() && self.is_empty(range.start) {
            range.start += 1;
        }
        while !range.is_empty() && self.is_empty(range.end - 1) {
            range.end -= 1;
        }
        range
    }

    /// Each line is a block that knows how far it is moved, so that what wraps goes on below its beginning.
    fn html(&self, range: Range<usize>, indent: usize) -> String {
        let line = |at: usize| {
            let own = self.indent(at).unwrap_or(0).saturating_sub(indent);
            let text = self.html[at].trim_start();
            format!(
                "<span class=\"line\" style=\"--in:{own}\">{}{text}</span>",
                " ".repeat(own)
            )
        };
        range.map(line).collect()
    }
}

/// The class of a piece's colour; nothing for what has the colour of text.
fn class(tokens: &[Token], at: usize) -> &'static str {
    let next = |from: usize| {
        tokens.get(from + 1..).unwrap_or_default().iter().find(|t| t.means_something())
    };
    let token = &tokens[at];
    match token.kind {
        TokenKind::LineComment { .. } | TokenKind::BlockComment { .. } => "comment",
        TokenKind::Literal {
            kind: LiteralKind::Int { .. } | LiteralKind::Float { .. },
            ..
        } => "digits",
        TokenKind::Literal { .. } => "string",
        TokenKind::Ident if KEYWORDS.contains(&token.text) => "keyword",
        TokenKind::Ident => {
            let begins = token.text.chars().next();
            let is_type = begins.is_some_and(char::is_uppercase)
                && (token.text.len() == 1 || token.text.chars().any(char::is_lowercase));
            let is_called = match next(at).map(|t| t.kind) {
                Some(TokenKind::OpenParen) => true,
                Some(TokenKind::Bang) => tokens.get(at + 2).is_some_and(|after| {
                    matches!(
                        after.kind,
                        TokenKind::OpenParen
                            | TokenKind::OpenBracket
                            | TokenKind::OpenBrace
                    )
                }),
                _ => false,
            };
            match (is_type, is_called) {
                (true, _) => "type",
                (_, true) => "call",
                _ => "",
            }
        }
        _ => "",
    }
}

const KEYWORDS: [&str; 32] = [
    "as", "async", "await", "break", "const", "continue", "crate", "dyn", "else", "enum",
    "false", "fn", "for", "if", "impl", "in", "let", "loop", "match", "mod", "move", "mut",
    "pub", "ref", "return", "self", "static", "struct", "trait", "true", "use", "while",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_have_the_colours_of_their_kinds() {
        let html =
            Source::of("// a < b\nlet y = Tensor::from([1.5]).sum(\"x\"); vec![y]").whole();
        for piece in [
            "<span class=\"comment\">// a &lt; b</span>",
            "<span class=\"keyword\">let</span> y = ",
            "<span class=\"type\">Tensor</span>::<span class=\"call\">from</span>(",
            "<span class=\"digits\">1.5</span>",
            "<span class=\"string\">&quot;x&quot;</span>",
            "<span class=\"call\">vec</span>![y]",
        ] {
            assert!(html.contains(piece), "{piece} in {html}");
        }
    }

    #[test]
    fn a_line_goes_on_below_its_beginning() {
        let html = Source::of("fn f() {\n    \"one\n  two\"\n}").whole();
        assert_eq!(html.matches("class=\"line\"").count(), 4);
        assert!(html.contains("style=\"--in:4\">    <span class=\"string\">"), "{html}");
    }

    #[test]
    fn functions_stand_where_they_are_called_first() {
        let source = "/// Twice.\nfn twice(x: f64) -> f64 {\n    2.0 * x\n}\n\nfn run() -> Result<()> {\n    \
             let a = twice(1.0);\n    let b = twice(a);\n    Ok(())\n}\n";
        let source = Source::of(source);
        let (first, second) = (source.part(6..7), source.part(7..8));
        assert!(first.contains("<code>fn twice</code>") && first.contains("/// Twice."));
        assert!(!second.contains("fn twice"), "{second}");
    }

    #[test]
    fn what_only_tells_is_folded_and_named() {
        let source = "fn run(lab: &mut Session) -> Result<()> {\n    let y = x.matmul(&w);\n    \
             lab.print(&y);\n\n    lab.fact(\"a\", true)?;\n    let z = y.sum();\n    Ok(())\n}\n";
        let source = Source::of(source);
        assert!(source.part(2..5).contains("<details class=\"fold\" open>"));
        let html = source.part(1..6);
        assert_eq!(html.matches("<details").count(), 1);
        assert!(html.contains("printed lines, checks"), "{html}");
        assert!(html.contains("--in:0\"><span class=\"keyword\">let</span> z"), "{html}");
    }
}
