//! Durations and sizes as people write them: `"250ms"`, `"10s"`, `"64MiB"`.

use std::time::Duration;

/// What a duration may look like, for messages and the reference.
pub(crate) const DURATION_FORM: &str = "a duration such as \"250ms\", \"10s\", \"5min\" or \"1h\"";
/// What a size may look like, for messages and the reference.
pub(crate) const SIZE_FORM: &str = "a size such as \"512B\", \"16KiB\", \"64MiB\" or \"1GiB\"";

const DURATION_UNITS: &[(&str, u64)] = &[
    ("ms", 1),
    ("s", 1_000),
    ("min", 60_000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];
const SIZE_UNITS: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Reads a duration: a number and its unit, in whole milliseconds, such as `1.5s`.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    number_with_unit(text, DURATION_UNITS, DURATION_FORM).map(Duration::from_millis)
}

/// Reads a size in bytes: a number and its binary unit, in whole bytes.
///
/// # Errors
/// A sentence that says what is wrong and what would be right.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    number_with_unit(text, SIZE_UNITS, SIZE_FORM)
}

/// The shortest exact form of a duration. Below a millisecond nothing is configured.
pub(crate) fn show_duration(duration: Duration) -> String {
    let units = [
        ("d", 86_400_000),
        ("h", 3_600_000),
        ("min", 60_000),
        ("s", 1_000),
    ];
    show(duration.as_millis(), &units, "ms")
}

/// The shortest exact form of a size.
pub(crate) fn show_size(bytes: u64) -> String {
    let units = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    show(u128::from(bytes), &units, "B")
}

fn number_with_unit(text: &str, units: &[(&str, u64)], form: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    let number_end = trimmed
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(trimmed.len());
    let (number, unit) = trimmed.split_at(number_end);
    let (digits, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let unit = unit.trim_start();
    let expected = || format!("expected {form}, found {text:?}");
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !is_number(digits) || !is_number(fraction) {
        return Err(expected());
    }
    if unit.is_empty() {
        return Err(format!("{}, which has no unit", expected()));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("{}; {unit:?} is not a unit here", expected()));
    };
    let smallest = units[0].0;
    let part = part_of(fraction, *factor)
        .ok_or_else(|| format!("{text:?} is not a whole number of {smallest}"))?;
    digits
        .parse::<u64>()
        .ok()
        .and_then(|number| number.checked_mul(*factor)?.checked_add(part))
        .ok_or_else(|| format!("{text:?} is larger than any computer can count"))
}

/// The decimal fraction of the factor, when that is a whole number.
fn part_of(fraction: &str, factor: u64) -> Option<u64> {
    let fraction = fraction.trim_end_matches('0');
    let scale = 10_u64.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let digits = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u64>().ok()?
    };
    let product = digits.checked_mul(factor)?;
    product.is_multiple_of(scale).then_some(product / scale)
}

fn show(amount: u128, units: &[(&str, u128)], smallest: &str) -> String {
    if amount > 0 {
        for (name, factor) in units {
            if amount.is_multiple_of(*factor) {
                return format!("{}{name}", amount / factor);
            }
        }
    }
    format!("{amount}{smallest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_unit() {
        let rows = [
            ("0ms", 0),
            ("250ms", 250),
            ("10s", 10_000),
            (" 10 s ", 10_000),
            ("5min", 300_000),
            ("5m", 300_000),
            ("1h", 3_600_000),
            ("2d", 172_800_000),
            ("1.5s", 1_500),
            ("0.25s", 250),
            ("0.001s", 1),
            ("2.50h", 9_000_000),
            ("10.0ms", 10),
        ];
        for (text, expected_ms) in rows {
            assert_eq!(
                parse_duration(text),
                Ok(Duration::from_millis(expected_ms)),
                "{text}"
            );
        }
    }

    #[test]
    fn wrong_durations_are_explained() {
        let rows = [
            ("", "expected a duration such as"),
            ("10", "which has no unit"),
            ("s", "expected a duration such as"),
            ("-1s", "expected a duration such as"),
            (".5s", "expected a duration such as"),
            ("1.s", "expected a duration such as"),
            ("1.2.3s", "expected a duration such as"),
            ("1.5", "which has no unit"),
            ("1.5ms", "\"1.5ms\" is not a whole number of ms"),
            ("0.0001s", "is not a whole number of ms"),
            (
                "1.00000000000000000000000001s",
                "is not a whole number of ms",
            ),
            ("10 sec", "\"sec\" is not a unit here"),
            ("10S", "\"S\" is not a unit here"),
            (
                "99999999999999999999s",
                "larger than any computer can count",
            ),
            (
                "18446744073709551615h",
                "larger than any computer can count",
            ),
        ];
        for (text, expected) in rows {
            let message = parse_duration(text).expect_err(text);
            assert!(message.contains(expected), "{text}: {message}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_unit() {
        let rows = [
            ("512B", 512),
            ("16KiB", 16 << 10),
            ("64MiB", 64 << 20),
            ("1GiB", 1 << 30),
            ("1.5KiB", 1_536),
        ];
        for (text, expected) in rows {
            assert_eq!(parse_size(text), Ok(expected), "{text}");
        }
        for text in ["64", "64MB", "MiB", "1 tib", ""] {
            assert!(
                parse_size(text).expect_err(text).contains("a size such as"),
                "{text}"
            );
        }
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for millis in [
            0, 1, 250, 1_000, 1_500, 60_000, 90_000, 3_600_000, 86_400_000,
        ] {
            let duration = Duration::from_millis(millis);
            assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }
        for bytes in [0, 1, 1_000, 1 << 10, 1 << 20, (1 << 20) + 1, 1 << 30] {
            assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
        }
        assert_eq!(show_duration(Duration::from_secs(600)), "10min");
        assert_eq!(show_size(64 << 20), "64MiB");
    }
}
