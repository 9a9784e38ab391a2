//! The engine of rules: each finds a pattern and says what to put in its place, and what is put there is checked.
//!
//! The engine knows nothing of what is rewritten: nodes of the graph (`rules/`) and steps (`steps/`) are both a [`Subject`]. It
//! applies rules until none fits any more. Every replacement is counted, across the graph and the steps of one plan, and
//! `ZEROKARA_RULES=<n>` makes the first `n` alone, and says which was the last: a plan that computes something wrong is led
//! back to one replacement by halving `n`.

use crate::{Error, Result};

/// What is rewritten: parts with numbers, of which some go and others come, behind those that are there.
pub(super) trait Subject {
    /// What is put in the place of what.
    type Patch;

    /// How many parts there have been.
    fn count(&self) -> usize;

    /// Whether a part is no longer there.
    fn is_gone(&self, part: usize) -> bool;

    /// Makes the replacement, unless what is put there cannot stand for what was there.
    fn replace(&mut self, patch: Self::Patch) -> Result<(), String>;

    /// What a part is, for people.
    fn describe(&self, part: usize) -> String;
}

/// A rule: what it is called, what it does, and what it puts in the place of the pattern that ends in a part.
pub(super) struct Rule<S: Subject> {
    pub name: &'static str,
    pub says: &'static str,
    pub find: fn(&S, usize) -> Option<S::Patch>,
}

/// How often all parts are looked at: more only if rules undo one another's work.
const MOST_ROUNDS: usize = 64;

/// The number of replacements made so far in a plan, and the most that are to be made.
pub(super) struct Count {
    made: usize,
    most: usize,
    says_last: bool,
}

impl Count {
    /// Nothing is made yet.
    ///
    /// # Errors
    /// If `ZEROKARA_RULES` is no number.
    pub fn new() -> Result<Self> {
        let given = match std::env::var_os("ZEROKARA_RULES") {
            None => None,
            Some(word) => {
                let number = word.to_str().and_then(|word| word.parse().ok());
                Some(number.ok_or_else(|| {
                    Error::new(format!(
                        "ZEROKARA_RULES must be a number of replacements, not {word:?}"
                    ))
                })?)
            }
        };
        let most = hook::most().or(given).unwrap_or(usize::MAX);
        Ok(Self {
            made: 0,
            most,
            says_last: given.is_some(),
        })
    }

    /// Counts a replacement by a rule, and says whether it is to be made.
    pub fn allows(
        &mut self,
        name: &'static str,
        says: &str,
        place: impl FnOnce() -> String,
    ) -> bool {
        if self.made >= self.most {
            return false;
        }
        self.made += 1;
        hook::note(name);
        if self.says_last && self.made == self.most {
            let number = self.most;
            // There is nobody left to tell if standard error is closed.
            let _ = std::io::Write::write_fmt(
                &mut std::io::stderr(),
                format_args!("replacement {number}: {name} ({says}) at {}\n", place()),
            );
        }
        true
    }
}

/// Applies the rules, the first that fits at each part, until none fits.
///
/// # Errors
/// If what a rule puts in the place of something cannot stand for it.
pub(super) fn rewrite<S: Subject>(
    subject: &mut S,
    rules: &[Rule<S>],
    count: &mut Count,
) -> Result<()> {
    // What rules put there is itself replaced a few times, not for ever.
    let most = subject.count().saturating_mul(8).saturating_add(64);
    let mut made = 0;
    for _ in 0..MOST_ROUNDS {
        let before = made;
        let mut part = 0;
        while part < subject.count() && made < most {
            let fits = |rule: &Rule<S>| match subject.is_gone(part) {
                true => None,
                false => (rule.find)(subject, part),
            };
            let found = rules.iter().find_map(|rule| Some((rule, fits(rule)?)));
            if let Some((rule, patch)) = found {
                if !count.allows(rule.name, rule.says, || subject.describe(part)) {
                    return Ok(());
                }
                let place = subject.describe(part);
                subject.replace(patch).map_err(|reason| {
                    Error::new(format!(
                        "the compiler's rule {} does not hold at {place}: {reason}",
                        rule.name
                    ))
                })?;
                made += 1;
            }
            part += 1;
        }
        if made >= most {
            break;
        }
        if made == before {
            return Ok(());
        }
    }
    // Whatever was made is right; rules that never come to an end are told from others by tests alone.
    match cfg!(test) {
        true => Err(Error::new("the compiler's rules come to no end")),
        false => Ok(()),
    }
}

/// Where tests say how many replacements are made, and see which were.
#[cfg(test)]
pub(super) mod hook {
    use std::cell::{Cell, RefCell};

    thread_local! {
        static MOST: Cell<Option<usize>> = const { Cell::new(None) };
        static MADE: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    pub fn most() -> Option<usize> {
        MOST.get()
    }

    pub fn note(name: &'static str) {
        MADE.with_borrow_mut(|made| made.push(name));
    }

    /// Runs `body`, in which each plan makes the first so many replacements alone; also gives the names of all that were made.
    pub fn with_first<T>(most: usize, body: impl FnOnce() -> T) -> (T, Vec<&'static str>) {
        MADE.take();
        MOST.set(Some(most));
        let result = body();
        MOST.set(None);
        (result, MADE.take())
    }
}

#[cfg(not(test))]
mod hook {
    pub fn most() -> Option<usize> {
        None
    }

    pub fn note(_: &str) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers, of which rules make others.
    struct Numbers(Vec<Option<u32>>);

    impl Subject for Numbers {
        type Patch = (usize, u32);

        fn count(&self) -> usize {
            self.0.len()
        }

        fn is_gone(&self, part: usize) -> bool {
            self.0[part].is_none()
        }

        fn replace(&mut self, (part, by): (usize, u32)) -> Result<(), String> {
            if by > 100 {
                return Err(format!("{by} is too large"));
            }
            self.0[part] = None;
            self.0.push(Some(by));
            Ok(())
        }

        fn describe(&self, part: usize) -> String {
            format!("{:?}", self.0[part])
        }
    }

    const HALVE: Rule<Numbers> = Rule {
        name: "halve",
        says: "even numbers become half of them",
        find: |numbers, part| {
            let number = numbers.0[part]?;
            (number > 0 && number % 2 == 0).then_some((part, number / 2))
        },
    };

    fn rewritten(rules: &[Rule<Numbers>]) -> Result<Vec<u32>> {
        let mut numbers = Numbers(vec![Some(3), Some(40), Some(2)]);
        rewrite(&mut numbers, rules, &mut Count::new()?)?;
        Ok(numbers.0.into_iter().flatten().collect())
    }

    #[test]
    fn rules_run_until_none_fits() {
        assert_eq!(rewritten(&[HALVE]).unwrap(), [3, 1, 5]);
        let (some, made) = hook::with_first(2, || rewritten(&[HALVE]));
        assert_eq!(some.unwrap(), [3, 20, 1]);
        assert_eq!(made, ["halve"; 2]);
    }

    #[test]
    fn rules_that_undo_one_another_end() {
        let double = Rule {
            name: "double",
            says: "odd numbers become twice of them",
            find: |numbers: &Numbers, part| {
                let number = numbers.0[part]?;
                (number % 2 == 1).then_some((part, number * 2))
            },
        };
        let error = rewritten(&[HALVE, double]).unwrap_err().to_string();
        assert!(error.contains("come to no end"), "{error}");
    }

    #[test]
    fn what_cannot_stand_there_is_refused() {
        let grow = Rule {
            name: "grow",
            says: "odd numbers become large",
            find: |_: &Numbers, part| Some((part, 1000)),
        };
        let error = rewritten(&[grow]).unwrap_err().to_string();
        assert!(
            error.contains("rule grow does not hold at Some(3)"),
            "{error}"
        );
    }
}
