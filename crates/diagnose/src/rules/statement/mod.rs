//! Rules on what pg_stat_statements has counted.

mod slow;

use crate::rule::Rule;

pub(super) const RULES: &[Rule] = &[slow::RULE];
