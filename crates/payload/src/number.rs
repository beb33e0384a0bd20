//! Whether a string is a number.

/// Digits that a double holds exactly.
const DIGITS_MAX: u8 = 15;

/// Reads the inside of a string piece by piece, and says whether it is a JSON number without an exponent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Number {
    state: State,
    /// Digits before the point, and behind it.
    pub(crate) whole: u8,
    pub(crate) decimals: u8,
    pub(crate) is_negative: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Minus,
    /// A zero in front: only a point may follow.
    Zero,
    Whole,
    Point,
    Decimals,
    /// It is something else.
    Not,
}

impl Number {
    pub(crate) const fn new() -> Self {
        Self {
            state: State::Start,
            whole: 0,
            decimals: 0,
            is_negative: false,
        }
    }

    /// What stands in the string is no number, whatever else comes.
    pub(crate) fn refuse(&mut self) {
        self.state = State::Not;
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.state == State::Not {
                return;
            }
            self.step(*byte);
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self.state, State::Zero | State::Whole | State::Decimals)
    }

    fn step(&mut self, byte: u8) {
        self.state = match (self.state, byte) {
            (State::Start, b'-') => {
                self.is_negative = true;
                State::Minus
            }
            (State::Start | State::Minus, b'0') => {
                self.whole = 1;
                State::Zero
            }
            (State::Start | State::Minus | State::Whole, b'0'..=b'9') => {
                self.whole += 1;
                State::Whole
            }
            (State::Zero | State::Whole, b'.') => State::Point,
            (State::Point | State::Decimals, b'0'..=b'9') => {
                self.decimals += 1;
                State::Decimals
            }
            _ => State::Not,
        };
        if self.whole + self.decimals > DIGITS_MAX {
            self.state = State::Not;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_told_from_what_looks_like_them() {
        let rows = [
            ("0", true),
            ("-1", true),
            ("42", true),
            ("123456789012345", true),
            ("0.5", true),
            ("-12.25", true),
            ("", false),
            ("-", false),
            ("007", false),
            ("1.", false),
            (".5", false),
            ("1e5", false),
            ("+49", false),
            ("1 000", false),
            ("1,5", false),
            ("12 EUR", false),
            ("1234567890123456", false),
            ("2024-01-01", false),
            ("1.2.3", false),
        ];
        for (text, expected) in rows {
            for cut in 0..=text.len() {
                let mut number = Number::new();
                number.push(&text.as_bytes()[..cut]);
                number.push(&text.as_bytes()[cut..]);
                assert_eq!(number.is_number(), expected, "{text:?} cut at {cut}");
            }
        }
    }
}
