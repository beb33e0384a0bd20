//! Redundant queries: the same question, with the same values, asked again within one request.
//!
//! It fires when three requests or more each executed one shape five times or more with the very same
//! parameters, and wrote nothing in between that the statement reads. Where the parameters differ it
//! is N+1 instead.

use paceline_journal::{Journal, Repetition};
use paceline_sql::Shape;

use super::repetition::RepetitionEvidence;
use super::{REQUESTS_MIN, average, is_the_applications};
use crate::finding::{Effort, Finding};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "redundant-queries",
    about: "A request asks the very same question again and again.",
    check: Check::Journal(findings),
};

const REMEDY: &str = "Execute it once per request and hand the result on; a small cache that lives as \
                      long as the request does it without touching the callers.";

fn findings(journal: &Journal) -> Vec<Finding> {
    journal.repetitions().iter().filter_map(finding).collect()
}

fn finding(repetition: &Repetition) -> Option<Finding> {
    let run = &repetition.identical;
    let shape = &repetition.shape;
    if run.requests < REQUESTS_MIN || !is_the_applications(shape) || !answers_the_same(shape) {
        return None;
    }
    let evidence = RepetitionEvidence::new(repetition, run, None);
    let (summary, route) = (&evidence.shape, &repetition.route);
    let executions = average(evidence.executions_per_request);
    let title = format!(
        "{route} executes `{summary}` {executions} times per request with the same values."
    );
    let finding = evidence.finding(RULE.name, title, repetition, run);
    Some(finding.remedy(Effort::Small, REMEDY))
}

/// Whether asking again is certain to be in vain, as far as the text shows.
fn answers_the_same(shape: &Shape) -> bool {
    shape.is_read_only()
        && !shape
            .functions
            .iter()
            .any(|function| changes_by_itself(function))
}

/// Functions that answer anew each time, or are called for what they do.
fn changes_by_itself(function: &str) -> bool {
    let name = function.strip_prefix("pg_catalog.").unwrap_or(function);
    let prefixes = ["pg_", "uuid_generate_", "txid_", "dblink"];
    matches!(
        name,
        "random"
            | "random_normal"
            | "gen_random_uuid"
            | "gen_random_bytes"
            | "uuidv4"
            | "uuidv7"
            | "clock_timestamp"
            | "timeofday"
            | "nextval"
            | "currval"
            | "lastval"
            | "set_config"
    ) || prefixes.iter().any(|prefix| name.starts_with(prefix))
}
