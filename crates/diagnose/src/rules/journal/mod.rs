//! Rules over the traffic that an instance has seen.

mod connect_per_request;
mod errors;
mod n_plus_one;
mod n_plus_one_writes;
mod outside;
mod overweight_answer;
mod redundant_queries;
mod repetition;
#[cfg(test)]
pub(super) mod scene;
mod should_be_a_job;
mod slo_missed;
mod slow_outside_call;
#[cfg(test)]
mod tests;
mod unbounded_result;

use paceline_sql::Shape;

pub(crate) use repetition::EarlierStatement;
pub(super) use unbounded_result::is_bounded;

use super::average;
use crate::rule::Rule;

/// The name of the rule on loops that read.
pub(crate) const N_PLUS_ONE: &str = n_plus_one::RULE.name;
/// The name of the rule on loops that write.
pub(crate) const N_PLUS_ONE_WRITES: &str = n_plus_one_writes::RULE.name;

pub(super) const RULES: &[Rule] = &[
    n_plus_one::RULE,
    n_plus_one_writes::RULE,
    redundant_queries::RULE,
    connect_per_request::RULE,
    slow_outside_call::RULE,
    should_be_a_job::RULE,
    unbounded_result::RULE,
    errors::RULE,
    slo_missed::RULE,
    overweight_answer::RULE,
];

/// In how many requests a repetition must be seen: what happens once may be a batch or a backfill.
const REQUESTS_MIN: u64 = 3;

/// Whether the application asked for the statement. Drivers look types up in the catalogue by
/// themselves, and pools test their connections with statements that read nothing.
pub(crate) fn is_the_applications(shape: &Shape) -> bool {
    let in_catalogue = |schema: Option<&str>, name: &str| match schema {
        Some(schema) => matches!(schema, "pg_catalog" | "information_schema"),
        None => name.starts_with("pg_"),
    };
    let mut relations = shape.reads.iter().chain(&shape.writes).peekable();
    if relations.peek().is_none() {
        return !shape.functions.is_empty();
    }
    relations.any(|relation| !in_catalogue(relation.schema.as_deref(), &relation.name))
}
