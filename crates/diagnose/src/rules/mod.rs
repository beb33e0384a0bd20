//! The rules, each in its file.

mod n_plus_one;
mod redundant_queries;
#[cfg(test)]
mod tests;

use paceline_journal::Journal;
use paceline_sql::Shape;

use crate::finding::Finding;

/// A rule reads the journal, and says what it found.
type Rule = fn(&Journal) -> Vec<Finding>;

/// All rules.
pub(crate) const ALL: [Rule; 2] = [n_plus_one::findings, redundant_queries::findings];

/// In how many requests a repetition must be seen: what happens once may be a batch or a backfill.
const REQUESTS_MIN: u64 = 3;

/// Whether the application asked for the statement. Drivers look types up in the catalogue by
/// themselves, and pools test their connections with statements that read nothing.
fn is_the_applications(shape: &Shape) -> bool {
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

/// `20`, or `20.4` when it is not whole.
fn average(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    if rounded.fract() == 0.0 {
        format!("{rounded:.0}")
    } else {
        format!("{rounded:.1}")
    }
}
