//! Which statements of a lab only tell: they write tables, draw, check, or prepare what is written and drawn. Pages fold
//! them away, so that beside the explanation stands what it explains.

use super::code::Token;
use ra_ap_rustc_lexer::TokenKind;
use std::{collections::BTreeSet, ops::Range};

/// What a statement tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Table,
    Figure,
    Controls,
    Text,
    Check,
    /// Which values the reader may choose.
    Limit,
    /// What another one tells.
    Preparation,
}

/// Lines that only tell, counted from 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Fold {
    pub lines: Range<usize>,
    pub kinds: BTreeSet<Kind>,
}

/// What only tells in the function `run`, statement by statement.
pub(super) fn folds(tokens: &[Token]) -> Vec<Fold> {
    let all: Vec<Token> = tokens.iter().copied().filter(Token::means_something).collect();
    let Some(body) = body_of_run(&all) else { return Vec::new() };
    let mut reader = Reader { tokens: &all, items: Vec::new() };
    reader.block(body);
    let mut items = reader.items;
    unfold_what_is_used(&mut items);
    let mut folds = Vec::new();
    let mut at = 0;
    while at < items.len() {
        let inside = items[at].inside.clone();
        let kinds: BTreeSet<Kind> =
            items[at..inside.end.max(at + 1)].iter().filter_map(|item| item.kind).collect();
        if items[at].folds {
            folds.push(Fold { lines: items[at].lines.clone(), kinds });
            at = inside.end.max(at + 1);
        } else {
            at += 1;
        }
    }
    folds
}

/// The line on which the function `run` begins, and the names and lines of the other functions of the file, each with the
/// comment above it.
pub(super) fn functions<'a>(tokens: &[Token<'a>]) -> (usize, Vec<(&'a str, Range<usize>)>) {
    let (mut main, mut others) = (0, Vec::new());
    let mut depth = 0;
    // Where the comment above what comes next begins.
    let mut above = None;
    let mut begun: Option<(&str, usize)> = None;
    for (at, token) in tokens.iter().enumerate() {
        depth += step(token.kind);
        match token.kind {
            _ if depth > 0 => {}
            TokenKind::LineComment { .. } => above = above.or(Some(token.line)),
            TokenKind::Whitespace if token.text.matches('\n').count() > 1 => above = None,
            TokenKind::CloseBrace => {
                if let Some((name, start)) = begun.take() {
                    others.push((name, start..token.line + 1));
                }
                above = None;
            }
            TokenKind::Ident if token.text == "fn" => {
                match tokens.get(at + 2).map_or("", |name| name.text) {
                    "run" => main = token.line,
                    name => begun = Some((name, above.unwrap_or(token.line))),
                }
            }
            _ => {}
        }
    }
    (main, others)
}

/// The tokens between the braces of the function `run`.
fn body_of_run(tokens: &[Token]) -> Option<Range<usize>> {
    let name =
        tokens.windows(2).position(|pair| pair[0].text == "fn" && pair[1].text == "run")?;
    let open = (name..tokens.len()).find(|&at| tokens[at].kind == TokenKind::OpenBrace)?;
    Some(open + 1..closing(tokens, open))
}

/// Where the bracket that opens here is closed.
fn closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        depth += step(token.kind);
        if depth == 0 {
            return at;
        }
    }
    tokens.len()
}

/// By how much a token changes the depth of brackets.
fn step(kind: TokenKind) -> i32 {
    match kind {
        TokenKind::OpenParen | TokenKind::OpenBracket | TokenKind::OpenBrace => 1,
        TokenKind::CloseParen | TokenKind::CloseBracket | TokenKind::CloseBrace => -1,
        _ => 0,
    }
}

/// A statement, or the head of one that has statements inside.
struct Item<'a> {
    lines: Range<usize>,
    /// The items inside, which come after it.
    inside: Range<usize>,
    folds: bool,
    kind: Option<Kind>,
    /// The names that it declares.
    names: BTreeSet<&'a str>,
    /// The names that it reads.
    uses: BTreeSet<&'a str>,
    /// The name that it changes.
    changes: Option<&'a str>,
}

struct Reader<'a> {
    tokens: &'a [Token<'a>],
    items: Vec<Item<'a>>,
}

impl<'a> Reader<'a> {
    /// The statements between braces.
    fn block(&mut self, range: Range<usize>) {
        let mut start = range.start;
        // Comments above a statement belong to it.
        let mut line = match range.start.checked_sub(1) {
            Some(brace) => self.tokens[brace].line + 1,
            None => 0,
        };
        while start < range.end {
            let end = self.end(start, range.end);
            let last = &self.tokens[end - 1];
            let after = last.line + last.text.matches('\n').count() + 1;
            self.statement(start..end, line..after);
            (start, line) = (end, after);
        }
    }

    /// One past the last token of the statement that begins here.
    fn end(&self, start: usize, most: usize) -> usize {
        let blocks = ["for", "while", "loop", "if", "match", "fn", "struct", "impl", "{"];
        let is_block = blocks.contains(&self.tokens[start].text);
        let mut depth = 0;
        for at in start..most {
            let token = &self.tokens[at];
            depth += step(token.kind);
            let next = self.tokens.get(at + 1).map_or("", |next| next.text);
            if depth == 0
                && (token.kind == TokenKind::Semi
                    || is_block
                        && token.kind == TokenKind::CloseBrace
                        && !["else", ".", "?"].contains(&next))
            {
                return at + 1;
            }
        }
        most
    }

    fn statement(&mut self, range: Range<usize>, lines: Range<usize>) {
        let tokens = &self.tokens[range.clone()];
        let at = self.items.len();
        let first = tokens[0].text;
        if ["for", "while", "loop", "if"].contains(&first) {
            self.items.push(Item { uses: BTreeSet::new(), ..item(tokens, lines) });
            let mut token = range.start;
            while token < range.end {
                let kind = self.tokens[token].kind;
                if kind == TokenKind::OpenBrace {
                    let close = closing(self.tokens, token);
                    self.block(token + 1..close);
                    token = close;
                } else if step(kind) == 1 {
                    let close = closing(self.tokens, token);
                    self.items[at].uses.extend(names(&self.tokens[token..close]));
                    token = close;
                } else {
                    self.items[at].uses.extend(names(&self.tokens[token..token + 1]));
                }
                token += 1;
            }
            self.items[at].inside = at + 1..self.items.len();
            // Whether it tells is whether all inside does.
            self.items[at].folds = self.items.len() > at + 1;
        } else {
            let mut item = item(tokens, lines);
            if first == "let" {
                let equals = tokens.iter().position(|t| t.kind == TokenKind::Eq);
                let (pattern, value) = tokens.split_at(equals.unwrap_or(tokens.len()));
                let colon = pattern.iter().position(|t| t.kind == TokenKind::Colon);
                item.names = names(&pattern[..colon.unwrap_or(pattern.len())]);
                item.uses = names(value);
                item.folds = prepares(&item.names, pattern, value);
            } else if tokens.len() > 3 && first == "return" && tokens[1].text == "Err" {
                item.folds = true;
                item.kind = Some(Kind::Limit);
            } else if let Some(kind) = told(tokens) {
                item.folds = true;
                item.kind = Some(kind);
            } else if let Some(name) = changed(tokens) {
                item.changes = Some(name);
                item.folds = tells(tokens) || SHOWN.contains(&name);
            }
            if item.folds && item.kind.is_none() {
                item.kind = Some(Kind::Preparation);
            }
            self.items.push(item);
        }
    }
}

fn item<'a>(tokens: &[Token<'a>], lines: Range<usize>) -> Item<'a> {
    Item {
        lines,
        inside: 0..0,
        folds: false,
        kind: None,
        names: BTreeSet::new(),
        uses: names(tokens),
        changes: None,
    }
}

/// The names in these tokens.
fn names<'a>(tokens: &[Token<'a>]) -> BTreeSet<&'a str> {
    let plain = tokens.iter().filter(|t| t.kind == TokenKind::Ident).map(|t| t.text);
    plain.filter(|name| !["let", "mut", "ref"].contains(name)).collect()
}

/// What a statement `lab.…` tells.
fn told(tokens: &[Token]) -> Option<Kind> {
    let [lab, dot, what, ..] = tokens else { return None };
    match (lab.text, dot.text, what.text) {
        ("lab", ".", "table") => Some(Kind::Table),
        ("lab", ".", "figure" | "figures") => Some(Kind::Figure),
        ("lab", ".", "play" | "frames") => Some(Kind::Controls),
        ("lab", ".", "print") => Some(Kind::Text),
        ("lab", ".", "fact") => Some(Kind::Check),
        // A function of the lab that tells something as it is given the lab.
        (_, "(", "lab") if tokens.get(3).is_some_and(|next| next.text == ",") => {
            Some(Kind::Check)
        }
        _ => None,
    }
}

/// The name that a statement changes: `rows.push(…)`, `plot = plot.curve(…)`, `drop(progress)`.
fn changed<'a>(tokens: &[Token<'a>]) -> Option<&'a str> {
    match tokens {
        [drop, open, name, close, ..]
            if (drop.text, open.text, close.text) == ("drop", "(", ")") =>
        {
            Some(name.text)
        }
        [name, sign, ..]
            if name.kind == TokenKind::Ident && [".", "=", "+"].contains(&sign.text) =>
        {
            Some(name.text)
        }
        _ => None,
    }
}

/// The names that labs give to what is shown and checked.
const SHOWN: [&str; 17] = [
    "bar", "columns", "drawing", "expected", "figures", "frames", "panels", "play", "plot",
    "plots", "progress", "row", "rows", "ticks", "tiles", "told", "usual",
];

/// Whether a declaration only prepares what is told.
fn prepares(names: &BTreeSet<&str>, pattern: &[Token], value: &[Token]) -> bool {
    let named_so = !names.is_empty() && names.iter().all(|name| SHOWN.contains(name));
    let is_mutable = pattern.iter().any(|t| t.text == "mut");
    let is_empty = value.len() == 8
        && ["Vec", "String"].contains(&value[1].text)
        && value.iter().any(|t| t.text == "new");
    named_so || is_mutable && is_empty || tells(value) && !computes(value)
}

/// Whether there are words or pictures in it.
fn tells(tokens: &[Token]) -> bool {
    let drawn =
        ["Plot", "Play", "Bars", "Tiles", "Heatmap", "Matrices", "GraphDrawing", "Picture"];
    let mut at = 0;
    while at < tokens.len() {
        let here = |ahead: usize| tokens.get(at + ahead).map_or("", |t| t.text);
        // What the reader chose, and what is said of mistakes, is nothing told.
        let is_asked = here(0) == "lab" && here(1) == "." && here(3) == "(";
        let is_error = here(0) == "Error" && here(3) == "new" && here(4) == "(";
        if is_asked || is_error {
            at = closing(tokens, at + if is_asked { 3 } else { 4 });
        } else if drawn.contains(&here(0))
            || here(0) == "format" && here(1) == "!"
            || here(0) == "to_string"
            || here(0) == "." && here(1) == "figure"
            || tokens[at].is_text()
        {
            return true;
        }
        at += 1;
    }
    false
}

/// Whether something is calculated in it that an explanation may speak of.
fn computes(tokens: &[Token]) -> bool {
    let types = ["Sequential", "Trainer", "Tensor"];
    let calls = [
        "backward", "build", "compile", "fit", "forward", "grad", "matmul", "mnist",
        "parallel", "step", "train",
    ];
    let is_called = |at: usize| tokens.get(at + 1).is_some_and(|next| next.text == "(");
    (tokens.iter().enumerate()).any(|(at, token)| {
        types.contains(&token.text) || calls.contains(&token.text) && is_called(at)
    })
}

/// Takes back what is used by something that is not folded.
fn unfold_what_is_used(items: &mut [Item]) {
    loop {
        let mut changed = false;
        for at in (0..items.len()).rev() {
            if !items[at].folds {
                continue;
            }
            let inside = items[at].inside.clone();
            let stays = if !inside.is_empty() {
                items[inside].iter().all(|item| item.folds)
            } else if let Some(name) = items[at].changes {
                let declared =
                    items[..at].iter().rev().find(|item| item.names.contains(name));
                declared.is_some_and(|item| item.folds)
            } else {
                !items[at].names.iter().any(|name| is_used(items, at, name))
            };
            if !stays {
                items[at].folds = false;
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}

/// Whether a name that is declared at `at` is read by something that is not folded, before another has that name.
fn is_used(items: &[Item], at: usize, name: &str) -> bool {
    for item in &items[at + 1..] {
        if !item.folds && item.uses.contains(name) {
            return true;
        }
        if item.names.contains(name) {
            return false;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::{super::code::tokens, *};

    /// The lines of a body that are left.
    fn left(body: &str) -> Vec<String> {
        let source = format!("fn run(lab: &mut Session) -> Result<()> {{\n{body}\n}}\n");
        let folds = folds(&tokens(&source));
        let lines = source.lines().enumerate().skip(1);
        let kept =
            lines.filter(|(at, _)| !folds.iter().any(|fold| fold.lines.contains(at)));
        let kept = kept.map(|(_, line)| line.trim().to_string());
        kept.filter(|line| !line.is_empty() && line != "}").collect()
    }

    #[test]
    fn tables_and_what_is_in_them_are_folded() {
        let kept = left(
            "let y = x.exp();\nlet rows: Vec<_> = y.iter().map(|v| vec![v.to_string()]).collect();\n\
             lab.table(&[\"y\"],\n&rows);\nif usual {\nlab.fact(\"a; b\", y > 0.0)?;\n}",
        );
        assert_eq!(kept, ["let y = x.exp();"]);
    }

    #[test]
    fn what_is_used_elsewhere_stays() {
        let kept =
            left("let name = format!(\"{i}\");\nmodel.load(&name);\nlab.print(name);");
        assert_eq!(kept, ["let name = format!(\"{i}\");", "model.load(&name);"]);
        let kept = left("let losses = lab.parallel(\"two\", 2, f)?;\nlab.print(losses);");
        assert_eq!(kept, ["let losses = lab.parallel(\"two\", 2, f)?;"]);
    }

    #[test]
    fn loops_keep_what_they_calculate() {
        let kept = left(
            "let mut rows = Vec::new();\nfor x in values {\nlet y = x.exp();\nrows.push(vec![y.to_string()]);\n}\n\
             lab.table(&[], &rows);",
        );
        assert_eq!(kept, ["for x in values {", "let y = x.exp();"]);
        let kept = left(
            "let mut losses = Vec::new();\nlosses.push(loss(&x));\nlab.print(losses);",
        );
        assert_eq!(kept, ["let mut losses = Vec::new();", "losses.push(loss(&x));"]);
    }

    #[test]
    fn code_that_ends_early_is_no_reason_to_stop() {
        assert!(folds(&tokens("fn run(")).is_empty());
        assert!(folds(&tokens("fn run() { if x { lab.print(\"a")).len() < 2);
        assert!(folds(&tokens("")).is_empty());
    }
}
