//! The rules, each in its file, in a folder for what they look at.

pub(crate) mod journal;

use crate::rule::Rule;

/// All rules, in the order in which they are told.
pub(crate) fn all() -> impl Iterator<Item = &'static Rule> + Clone {
    journal::RULES.iter()
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
