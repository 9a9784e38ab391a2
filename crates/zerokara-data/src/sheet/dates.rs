//! Dates and times in cells.

/// Days since 1970-01-01 and seconds of the day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Moment {
    pub days: i64,
    pub seconds: f64,
}

impl Moment {
    /// 0 for Monday to 6 for Sunday.
    pub fn weekday(self) -> i64 {
        (self.days + 3).rem_euclid(7)
    }

    /// The day of its year, from 0.
    pub fn day_of_year(self) -> i64 {
        let (year, ..) = civil(self.days);
        self.days - days(year, 1, 1)
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
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) {
        return None;
    }
    if !(1..=length_of(year, month)).contains(&day) {
        return None;
    }
    Some(Moment {
        days: days(year, month, day),
        seconds: match time {
            Some(time) => seconds(time)?,
            None => 0.0,
        },
    })
}

fn date_of(text: &str) -> Option<(i64, i64, i64)> {
    let whole = |text: &str| -> Option<i64> {
        let fits = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        fits.then(|| text.parse().ok())?
    };
    if let Some((year, rest)) = text.split_once('年') {
        let (month, day) = rest.strip_suffix('日')?.split_once('月')?;
        return Some((whole(year)?, whole(month)?, whole(day)?));
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
        (4, ..) => Some((first, second, third)),
        (_, 4, '/') if first <= 12 => Some((third, first, second)),
        (_, 4, _) => Some((third, second, first)),
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

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn length_of(year: i64, month: i64) -> i64 {
    match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the Gregorian calendar. Years begin in March, so that a leap day is the last of one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The other way round.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = year + era * 400 + i64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}
