//! Errors of servers, counted by the class of their SQLSTATE.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use paceline_pgwire::SqlState;

/// Postgres' classes. An extension or a function may raise any other: those are one.
const CLASSES: [&str; 43] = [
    "01", "02", "03", "08", "09", "0A", "0B", "0F", "0L", "0P", "0Z", "20", "21", "22", "23", "24",
    "25", "26", "27", "28", "2B", "2D", "2F", "34", "38", "39", "3B", "3D", "3F", "40", "42", "44",
    "53", "54", "55", "57", "58", "72", "F0", "HV", "P0", "XX", OTHER,
];
const OTHER: &str = "other";

/// See the module.
#[derive(Debug)]
pub(crate) struct Errors([AtomicU64; CLASSES.len()]);

impl Default for Errors {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Errors {
    /// A server has answered with this.
    #[cold]
    pub(crate) fn count(&self, SqlState(code): SqlState) {
        let class = CLASSES
            .iter()
            .position(|class| class.as_bytes() == &code[..2]);
        self.0[class.unwrap_or(CLASSES.len() - 1)].fetch_add(1, Relaxed);
    }

    /// The classes that have occurred.
    pub(crate) fn read(&self) -> Vec<(&'static str, u64)> {
        let counts = self.0.iter().map(|count| count.load(Relaxed));
        let all = CLASSES.into_iter().zip(counts);
        all.filter(|(_, count)| *count > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_counted_by_class_and_unknown_classes_together() {
        let errors = Errors::default();
        for code in [
            b"23505",
            b"23503",
            b"42P01",
            b"XX000",
            b"ZZ001",
            b"\xff\xff000",
        ] {
            errors.count(SqlState(*code));
        }
        let expected = [("23", 2), ("42", 1), ("XX", 1), (OTHER, 2)];
        assert_eq!(errors.read(), expected);
    }
}
