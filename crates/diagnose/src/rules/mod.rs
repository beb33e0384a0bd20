//! The rules, each in its file, in a folder for what they look at.

mod activity;
mod answer;
mod index;
mod journal;
mod process;
mod server;
mod statement;
mod table;
#[cfg(test)]
pub(crate) mod testing;
mod text;

pub(crate) use journal::{EarlierStatement, N_PLUS_ONE, N_PLUS_ONE_WRITES, is_the_applications};

use crate::render::units::time;
use crate::rule::Rule;

/// All rules, in the order in which they are told.
pub(crate) fn all() -> impl Iterator<Item = &'static Rule> + Clone {
    let folders = [
        journal::RULES,
        answer::RULES,
        text::RULES,
        statement::RULES,
        index::RULES,
        table::RULES,
        activity::RULES,
        server::RULES,
        process::RULES,
    ];
    folders.into_iter().flatten()
}

/// What is smaller is not worth anybody's time.
const MIB: u64 = 1024 * 1024;
const MINUTE_S: f64 = 60.0;
const HOUR_S: f64 = 3_600.0;
const DAY_S: f64 = 86_400.0;

/// `3.0 days`, from seconds.
fn age(seconds: f64) -> String {
    time(seconds * 1_000.0)
}

/// `20`, or `20.4` when it is not whole.
fn average(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    if rounded.fract() == 0.0 {
        format!("{rounded:.0}")
    } else {
        format!("{rounded:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_told_once() {
        let mut names: Vec<_> = all().map(|rule| rule.name).collect();
        assert!(all().all(|rule| rule.about.ends_with('.') && rule.about.len() > 20));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(
            names.iter().all(|name| name.chars().all(plain)),
            "{names:?}"
        );
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
