//! Rules over what statements say, whether their texts come from the traffic or from pg_stat_statements.

mod cross_join;
mod deep_offset;
mod function_on_column;
mod leading_wildcard;
mod or_across_tables;
mod select_star;
#[cfg(test)]
mod testing;
mod told;
mod within;

use crate::rule::Rule;

pub(super) const RULES: &[Rule] = &[
    deep_offset::RULE,
    function_on_column::RULE,
    leading_wildcard::RULE,
    or_across_tables::RULE,
    cross_join::RULE,
    select_star::RULE,
];

/// What runs less often is somebody at a prompt.
const EXECUTIONS_MIN: u64 = 3;
/// Reading fewer rows takes no longer than an index.
const ROWS_MIN: f64 = 1_000.0;
/// No server reads a row faster: what takes less time per row of a table has not read the table.
const ROW_READ_MIN_MS: f64 = 0.000_01;
