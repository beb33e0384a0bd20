//! Numbers with their units, in as many digits as mean something.

use crate::data::Unit;

/// The minus sign, which is as wide as a plus.
const MINUS: char = '\u{2212}';
/// What keeps a number and its unit on one line.
const GAP: char = '\u{a0}';

impl Unit {
    /// A number with its unit.
    pub(crate) fn show(self, value: f64) -> String {
        let (number, unit) = self.scaled(value);
        if unit.is_empty() {
            return self.digits(number);
        }
        format!("{}{GAP}{unit}", self.digits(number))
    }

    /// A round number with its unit, without digits behind the point that say nothing.
    pub(crate) fn show_round(self, value: f64) -> String {
        let text = self.show(value);
        let (number, unit) = text.split_once(GAP).unwrap_or((&text, ""));
        let number = match number.contains('.') {
            true => number.trim_end_matches('0').trim_end_matches('.'),
            false => number,
        };
        if unit.is_empty() {
            return number.to_owned();
        }
        format!("{number}{GAP}{unit}")
    }

    /// An interval: two numbers, and the unit once.
    pub(crate) fn show_interval(self, (low, high): (f64, f64)) -> String {
        let unit = self.scaled(high).1;
        // Both in the unit of the higher.
        let factor = self.scaled(high).0 / if high == 0.0 { 1.0 } else { high };
        let factor = if factor == 0.0 { 1.0 } else { factor };
        let (low, high) = (self.digits(low * factor), self.digits(high * factor));
        let unit = if unit.is_empty() {
            String::new()
        } else {
            format!("{GAP}{unit}")
        };
        format!("{low} to {high}{unit}")
    }

    /// What stands behind a number of this size, and the number that stands before it.
    fn scaled(self, value: f64) -> (f64, &'static str) {
        match self {
            Self::Milliseconds if value.abs() >= 1000.0 => (value / 1000.0, "s"),
            Self::Milliseconds => (value, "ms"),
            Self::Microseconds => (value, "µs"),
            Self::Share => (value * 100.0, "%"),
            Self::PerSecond => (value, "/s"),
            Self::Count => (value, ""),
        }
    }

    fn digits(self, number: f64) -> String {
        match self {
            // As many as the strictest limit has, and no zeros behind them.
            Self::Share => {
                let text = format!("{number:.3}");
                let text = text.trim_end_matches('0').trim_end_matches('.');
                text.to_owned()
            }
            Self::Count if number.fract() == 0.0 => thousands(&format!("{number:.0}")),
            _ => digits(number),
        }
    }
}

/// Three significant digits, larger numbers in full, thousands apart.
fn digits(number: f64) -> String {
    let size = number.abs();
    let text = if size >= 100.0 {
        format!("{number:.0}")
    } else if size >= 10.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.2}")
    };
    thousands(&text)
}

fn thousands(text: &str) -> String {
    if text.contains('.') || text.trim_start_matches('-').len() < 5 {
        return text.to_owned();
    }
    let mut grouped = String::new();
    for (at, c) in text.chars().enumerate() {
        let behind = text.len() - at;
        if at > 0 && behind.is_multiple_of(3) && grouped != "-" {
            grouped.push(',');
        }
        grouped.push(c);
    }
    grouped
}

/// A ratio as a change in per cent; one that rose from little to much as a multiple.
pub(crate) fn percent(ratio: f64) -> String {
    if ratio >= MULTIPLE_MIN {
        return format!("×{GAP}{}", digits(ratio));
    }
    format!("{}{GAP}%", signed(ratio))
}

/// The interval of a ratio.
pub(crate) fn percent_interval((low, high): (f64, f64)) -> String {
    if high >= MULTIPLE_MIN {
        return format!("×{GAP}{} to {}", digits(low), digits(high));
    }
    format!("{} to {}{GAP}%", signed(low), signed(high))
}

/// From here on "times twelve" says more than "plus 1100 per cent".
const MULTIPLE_MIN: f64 = 10.0;

fn signed(ratio: f64) -> String {
    let change = (ratio - 1.0) * 100.0;
    let size = change.abs();
    let text = if size >= 10.0 {
        format!("{size:.0}")
    } else {
        format!("{size:.1}")
    };
    match change {
        _ if text == "0.0" => format!("±{text}"),
        change if change < 0.0 => format!("{MINUS}{text}"),
        _ => format!("+{text}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_the_digits_that_mean_something() {
        let rows = [
            (Unit::Milliseconds, 0.1234, "0.12\u{a0}ms"),
            (Unit::Milliseconds, 12.345, "12.3\u{a0}ms"),
            (Unit::Milliseconds, 345.6, "346\u{a0}ms"),
            (Unit::Milliseconds, 1234.0, "1.23\u{a0}s"),
            (Unit::Share, 0.0, "0\u{a0}%"),
            (Unit::Share, 0.9999, "99.99\u{a0}%"),
            (Unit::PerSecond, 12_345.6, "12,346\u{a0}/s"),
            (Unit::Count, 7.0, "7"),
            (Unit::Count, 61.04, "61.0"),
            (Unit::Count, 1_234_567.0, "1,234,567"),
            (Unit::Count, -123_456.0, "-123,456"),
            (Unit::Count, 1234.0, "1234"),
        ];
        for (unit, value, expected) in rows {
            assert_eq!(unit.show(value), expected);
        }
    }

    #[test]
    fn round_numbers_are_short() {
        assert_eq!(Unit::Share.show_round(0.0001), "0.01\u{a0}%");
        assert_eq!(Unit::Milliseconds.show_round(2.0), "2\u{a0}ms");
        assert_eq!(Unit::PerSecond.show_round(100.0), "100\u{a0}/s");
        assert_eq!(Unit::Count.show_round(10.0), "10");
    }

    #[test]
    fn both_bounds_have_one_unit() {
        let ms = Unit::Milliseconds;
        assert_eq!(ms.show_interval((900.0, 1100.0)), "0.90 to 1.10\u{a0}s");
        assert_eq!(ms.show_interval((9.5, 11.0)), "9.50 to 11.0\u{a0}ms");
        assert_eq!(Unit::Share.show_interval((0.0, 0.008)), "0 to 0.8\u{a0}%");
        assert_eq!(Unit::Count.show_interval((0.0, 0.0)), "0 to 0");
    }

    #[test]
    fn changes_bear_a_sign() {
        let rows = [
            (0.5, "\u{2212}50\u{a0}%"),
            (0.955, "\u{2212}4.5\u{a0}%"),
            (1.0, "±0.0\u{a0}%"),
            (2.5, "+150\u{a0}%"),
            (12.0, "×\u{a0}12.0"),
        ];
        for (ratio, expected) in rows {
            assert_eq!(percent(ratio), expected);
        }
        assert_eq!(
            percent_interval((0.36, 0.955)),
            "\u{2212}64 to \u{2212}4.5\u{a0}%"
        );
        assert_eq!(percent_interval((8.0, 12.0)), "×\u{a0}8.00 to 12.0");
    }
}
