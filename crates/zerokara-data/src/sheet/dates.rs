//! Dates and times in cells.

use jiff::civil::Date;

/// A date, and seconds of the day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment {
    date: Date,
    seconds: f64,
}

impl Moment {
    /// Days since 1970, of which the last one may be a part.
    pub fn days(self) -> f64 {
        let whole = self.date.duration_since(Date::constant(1970, 1, 1));
        (whole.as_hours() / 24) as f64 + self.day()
    }

    /// Where in the year it is, from 0 to 1.
    pub fn year(self) -> f64 {
        (f64::from(self.date.day_of_year()) - 1.0 + self.day()) / 365.2425
    }

    /// Where in the week it is, from Monday, 0, to 1.
    pub fn week(self) -> f64 {
        let day = self.date.weekday().to_monday_zero_offset();
        (f64::from(day) + self.day()) / 7.0
    }

    /// Where in the day it is, from 0 to 1.
    pub fn day(self) -> f64 {
        self.seconds / 86_400.0
    }
}

/// The date, and the time if there is one, in a cell: `2024-03-01`, `2024/03/01`, `20.5.2024`, `2024年3月1日`, each with a time
/// such as `14:30` or `14:30:05.25` behind a space or a `T`. Of `05/17/2024` the first number is the month, as long as it can
/// be.
pub(crate) fn parse(cell: &str) -> Option<Moment> {
    let cell = cell.trim();
    // The shortest is 1.1.2024.
    if !(8..=40).contains(&cell.len()) || !cell.bytes().any(|b| b.is_ascii_digit()) {
        return None;
    }
    let (date, time) = match cell.split_once(['T', ' ']) {
        Some((date, time)) => (date, Some(time.trim())),
        None => (cell, None),
    };
    let (year, month, day) = date_of(date)?;
    if !(1..=9999).contains(&year) {
        return None;
    }
    Some(Moment {
        date: Date::new(year, month, day).ok()?,
        seconds: match time {
            Some(time) => seconds(time)?,
            None => 0.0,
        },
    })
}

/// Year, month and day, which may be none of the calendar.
fn date_of(text: &str) -> Option<(i16, i8, i8)> {
    let whole = |text: &str| -> Option<i16> {
        let fits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| text.parse().ok())?
    };
    let date = |year: i16, month: i16, day: i16| {
        Some((year, i8::try_from(month).ok()?, i8::try_from(day).ok()?))
    };
    if let Some((year, rest)) = text.split_once('年') {
        let (month, day) = rest.strip_suffix('日')?.split_once('月')?;
        return date(whole(year)?, whole(month)?, whole(day)?);
    }
    let sign = text.chars().find(|c| !c.is_ascii_digit())?;
    if !['-', '/', '.'].contains(&sign) {
        return None;
    }
    let parts: Vec<&str> = text.split(sign).collect();
    let &[a, b, c] = parts.as_slice() else {
        return None;
    };
    let (first, second, third) = (whole(a)?, whole(b)?, whole(c)?);
    match (a.len(), c.len(), sign) {
        (4, ..) => date(first, second, third),
        (_, 4, '/') if first <= 12 => date(third, first, second),
        (_, 4, _) => date(third, second, first),
        _ => None,
    }
}

fn seconds(text: &str) -> Option<f64> {
    // A zone is left out: what matters is the clock on the wall.
    let text = text.strip_suffix('Z').unwrap_or(text);
    let text = match text.rfind(['+', '-']) {
        Some(at) if at >= 4 => &text[..at],
        _ => text,
    };
    let mut parts = text.trim().split(':');
    let (hours, minutes) = (parts.next()?, parts.next()?);
    let last = parts.next().unwrap_or("0");
    if parts.next().is_some() || hours.len() > 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes): (u32, u32) = (hours.parse().ok()?, minutes.parse().ok()?);
    let rest: f64 = last.parse().ok()?;
    (hours < 24 && minutes < 60 && (0.0..61.0).contains(&rest))
        .then(|| f64::from(hours * 3600 + minutes * 60) + rest)
}
