//! Numbers as people read them.

/// `12345` as `12,345`.
///
/// ```
/// assert_eq!(zerokara_figures::numbers::thousands(1_234_567), "1,234,567");
/// ```
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3 + 1);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate such as images per second: `12,345` or, below 100, `3.27`.
pub fn rate(value: f64) -> String {
    match value < 0.0 {
        true => "–".to_string(),
        false => short(value),
    }
}

/// A number in few letters: `12,345` or, between -100 and 100, `3.27`.
pub fn short(value: f64) -> String {
    match value.abs() {
        size if !size.is_finite() => "–".to_string(),
        size if size < 100.0 => significant(value, 3),
        size => {
            let sign = if value < 0.0 { "−" } else { "" };
            format!("{sign}{}", thousands(size.round() as u64))
        }
    }
}

/// A fraction as per cent: `0.9843` as `98.43 %`.
pub fn percent(fraction: f64) -> String {
    match fraction.is_finite() {
        true => format!("{:.2} %", fraction * 100.0),
        false => "–".to_string(),
    }
}

/// A duration in words: `0.83 s`, `14.8 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".to_string();
    }
    // The rounded value decides the unit, or 59.97 s would read "60.0 s".
    if seconds < 9.995 {
        format!("{seconds:.2} s")
    } else if seconds < 59.95 {
        format!("{seconds:.1} s")
    } else if seconds < 3599.5 {
        let s = seconds.round() as u64;
        format!("{} min {} s", s / 60, s % 60)
    } else {
        let m = (seconds / 60.0).round() as u64;
        format!("{} h {} min", thousands(m / 60), m % 60)
    }
}

/// Time left on a clock: `0:12`, `12:05`, `1:02:03`.
pub fn clock(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–:––".to_string();
    }
    let s = seconds.round() as u64;
    match s / 3600 {
        0 => format!("{}:{:02}", s / 60, s % 60),
        h => format!("{h}:{:02}:{:02}", s / 60 % 60, s % 60),
    }
}

/// A count with a prefix: `2,450`, `4.59 M`, `1.2 G`.
pub fn prefixed(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_string();
    }
    for (size, prefix) in [(1e12, "T"), (1e9, "G"), (1e6, "M")] {
        if value.abs() >= size * 0.9995 {
            return format!("{} {prefix}", significant(value / size, 3));
        }
    }
    match value < 0.0 {
        true => format!("−{}", thousands(-value.round() as u64)),
        false => thousands(value.round() as u64),
    }
}

/// A number with `digits` significant digits, without trailing zeros: `0.00125`, `3.27`, `1.5e-9`.
pub fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".to_string();
    }
    if !value.is_finite() {
        return "–".to_string();
    }
    let scientific = format!("{:.*e}", digits.saturating_sub(1), value);
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let trim = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text.to_string(),
    };
    if (-5..6).contains(&exponent) {
        let decimals = (digits as i32 - 1 - exponent).max(0) as usize;
        trim(&format!("{value:.decimals$}"))
    } else {
        format!("{}e{exponent}", trim(mantissa))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(thousands(0), "0");
        assert_eq!(thousands(999), "999");
        assert_eq!(thousands(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!(rate(12_345.4), "12,345");
        assert_eq!(rate(3.274), "3.27");
        assert_eq!(rate(f64::NAN), "–");
        assert_eq!(rate(-1.0), "–");
        assert_eq!(short(-12_345.4), "−12,345");
        assert_eq!(short(-3.274), "-3.27");
        assert_eq!(percent(0.98433), "98.43 %");
        assert_eq!(prefixed(4_587_520.0), "4.59 M");
        assert_eq!(prefixed(999_600.0), "1 M");
        assert_eq!(prefixed(2_450.0), "2,450");
    }

    #[test]
    fn durations_do_not_round_over_their_unit() {
        assert_eq!(duration(0.834), "0.83 s");
        assert_eq!(duration(9.996), "10.0 s");
        assert_eq!(duration(59.97), "1 min 0 s");
        assert_eq!(duration(200.2), "3 min 20 s");
        assert_eq!(duration(3599.9), "1 h 0 min");
        assert_eq!(clock(12.3), "0:12");
        assert_eq!(clock(59.6), "1:00");
        assert_eq!(clock(3723.0), "1:02:03");
        assert_eq!(clock(f64::INFINITY), "–:––");
    }

    #[test]
    fn significant_digits() {
        assert_eq!(significant(0.001, 3), "0.001");
        assert_eq!(significant(0.0012345, 3), "0.00123");
        assert_eq!(significant(100.0, 3), "100");
        assert_eq!(significant(1.5e-9, 3), "1.5e-9");
        assert_eq!(significant(-2.5, 3), "-2.5");
        assert_eq!(significant(123_456.0, 3), "123456");
    }
}
