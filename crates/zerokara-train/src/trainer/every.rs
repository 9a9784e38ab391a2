//! How often something is done.

use crate::error::Error;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, time::Duration};

/// How often a checkpoint is written.
///
/// ```
/// use zerokara_train::Every;
/// assert_eq!("500steps".parse(), Ok(Every::Steps(500)));
/// assert_eq!("1epoch".parse(), Ok(Every::Epochs(1)));
/// assert_eq!("2min".parse(), Ok(Every::Time(std::time::Duration::from_secs(120))));
/// assert_eq!(Every::Epochs(3).to_string(), "3epochs");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Every {
    /// After so many steps.
    Steps(u64),
    /// At the end of each so many epochs.
    Epochs(u64),
    /// After the first step at which so much time has gone by.
    Time(Duration),
}

impl FromStr for Every {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "it must be a whole number of steps, epochs, s, min or h, such as 500steps, 1epoch or 2min".to_string()
        };
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        if number == 0 {
            return Err("it must be at least 1".into());
        }
        let time = |seconds: u64| {
            // A hundred years: no run lasts longer, and no clock overflows.
            let seconds = number.saturating_mul(seconds).min(3_155_760_000);
            Every::Time(Duration::from_secs(seconds))
        };
        Ok(match unit.trim() {
            "step" | "steps" => Every::Steps(number),
            "epoch" | "epochs" => Every::Epochs(number),
            "s" => time(1),
            "min" => time(60),
            "h" => time(3600),
            _ => return Err(wrong()),
        })
    }
}

impl fmt::Display for Every {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |n: u64| if n == 1 { "" } else { "s" };
        match *self {
            Every::Steps(n) => write!(f, "{n}step{}", plural(n)),
            Every::Epochs(n) => write!(f, "{n}epoch{}", plural(n)),
            Every::Time(time) => match time.as_secs() {
                s if s % 3600 == 0 => write!(f, "{}h", s / 3600),
                s if s % 60 == 0 => write!(f, "{}min", s / 60),
                s => write!(f, "{s}s"),
            },
        }
    }
}

impl TryFrom<String> for Every {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
            .map_err(|why| Error::new(format!("{text:?}: {why}")))
    }
}

impl From<Every> for String {
    fn from(every: Every) -> Self {
        every.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_as_written_and_others_refused() {
        for every in [
            Every::Steps(1),
            Every::Steps(500),
            Every::Epochs(2),
            Every::Time(Duration::from_secs(90)),
            Every::Time(Duration::from_secs(7200)),
        ] {
            assert_eq!(every.to_string().parse(), Ok(every));
        }
        assert_eq!(" 3 epochs ".parse(), Ok(Every::Epochs(3)));
        for wrong in [
            "",
            "0steps",
            "steps",
            "5",
            "5 m",
            "-1epoch",
            "1.5h",
            "99999999999999999999steps",
        ] {
            assert!(wrong.parse::<Every>().is_err(), "{wrong:?}");
        }
    }
}
