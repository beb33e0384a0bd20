//! Rules on tables and their sequences.

mod bloated;
mod dead_rows;
mod sequence;
mod sequential_scans;
mod stale_statistics;

use crate::rule::Rule;

pub(super) const RULES: &[Rule] = &[
    sequential_scans::RULE,
    dead_rows::RULE,
    stale_statistics::RULE,
    bloated::RULE,
    sequence::RULE,
];
