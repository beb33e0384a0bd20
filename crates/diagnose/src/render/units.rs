//! Figures for people.

/// Characters of a statement that is shown for recognition; the evidence has it whole.
const STATEMENT_CHARS_MAX: usize = 400;

/// A statement for recognition.
pub(crate) fn cut(statement: &str) -> String {
    match statement.char_indices().nth(STATEMENT_CHARS_MAX) {
        Some((end, _)) => format!("{} …", &statement[..end]),
        None => statement.to_owned(),
    }
}

/// `12.4 s`.
pub(crate) fn time(millis: f64) -> String {
    let (seconds, minutes) = (millis / 1_000.0, millis / 60_000.0);
    match millis {
        ms if ms < 1_000.0 => format!("{} ms", figure(ms)),
        ms if ms < 600_000.0 => format!("{} s", figure(seconds)),
        ms if ms < 36_000_000.0 => format!("{} min", figure(minutes)),
        ms if ms < 172_800_000.0 => format!("{} h", figure(minutes / 60.0)),
        _ => format!("{} days", figure(minutes / 1_440.0)),
    }
}

/// `1.50 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let mut value = bytes as f64;
    let mut units = ["KiB", "MiB", "GiB", "TiB"].iter();
    let mut unit = "bytes";
    while value >= 1_024.0
        && let Some(next) = units.next()
    {
        (value, unit) = (value / 1_024.0, next);
    }
    if unit == "bytes" {
        return format!("{bytes} bytes");
    }
    format!("{} {unit}", figure(value))
}

/// `1,234,567`.
pub(crate) fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `41 %`, and below one percent as many digits as tell something.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 1.0 {
        format!("{} %", figure(percent))
    } else {
        format!("{percent:.0} %")
    }
}

/// About three significant digits.
pub(crate) fn figure(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_bear_the_unit_that_suits_them() {
        assert_eq!(
            [0, 1_023, 1_536, 5 << 20, 3 << 40].map(bytes),
            ["0 bytes", "1023 bytes", "1.50 KiB", "5.00 MiB", "3.00 TiB"]
        );
        assert_eq!(
            [0, 999, 1_000, 1_234_567].map(count),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(
            [0.5, 2_500.0, 900_000.0, 7.2e7, 8.64e8].map(time),
            ["0.50 ms", "2.50 s", "15.0 min", "20.0 h", "10.0 days"]
        );
        assert_eq!(
            [0.0, 0.004, 0.41, 1.0].map(percent),
            ["0 %", "0.40 %", "41 %", "100 %"]
        );
    }
}
