//! N+1: a statement is executed once per row, where one execution for all rows would do.
//!
//! It fires when three requests or more each ran one shape five times or more, with five distinct
//! parameter sets or more. What runs in between, or side by side, does not matter: a request's
//! executions are counted, not their order.

use std::fmt::Write as _;

use paceline_journal::{Journal, Repetition};
use paceline_sql::{Kind, batch_form};

use super::repetition::RepetitionEvidence;
use super::{REQUESTS_MIN, average, is_the_applications};
use crate::finding::{Effort, Finding};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "n-plus-one",
    about: "A request executes one statement again and again, each time with other values.",
    check: Check::Journal(findings),
};

fn findings(journal: &Journal) -> Vec<Finding> {
    journal.repetitions().iter().filter_map(finding).collect()
}

fn finding(repetition: &Repetition) -> Option<Finding> {
    let run = &repetition.varied;
    let shape = &repetition.shape;
    let remedy = Remedy::of(shape.kind, &shape.text)?;
    if run.requests < REQUESTS_MIN || !is_the_applications(shape) {
        return None;
    }
    let evidence = RepetitionEvidence::new(repetition, run, remedy.statement.clone());
    let title = title(&evidence, &repetition.route);
    let effort = match remedy.statement {
        Some(_) => Effort::Small,
        None => Effort::Medium,
    };
    let mut finding = evidence.finding(RULE.name, title, repetition, run);
    finding = finding.remedy(effort, remedy.sentence(&evidence));
    finding.remedy.statement = remedy.statement;
    Some(finding)
}

fn title(evidence: &RepetitionEvidence, route: &str) -> String {
    let RepetitionEvidence {
        shape,
        executions_max,
        ..
    } = evidence;
    let executions = average(evidence.executions_per_request);
    let mut title = format!("{route} executes `{shape}` {executions} times per request");
    if executions != executions_max.to_string() {
        let _ = write!(title, " (up to {executions_max})");
    }
    title.push_str(", each time with other values");
    if let Some(before) = &evidence.before {
        let _ = write!(title, ", after `{}`", before.shape);
    }
    title.push('.');
    title
}

/// What to write instead.
struct Remedy {
    kind: Kind,
    /// The whole statement, when it is sure to mean the same.
    statement: Option<String>,
    /// The column by which the rows find their owners.
    key: Option<String>,
}

impl Remedy {
    /// `None` for what is not a question or a change of rows, such as COMMIT.
    fn of(kind: Kind, text: &str) -> Option<Self> {
        match kind {
            Kind::Select | Kind::Update | Kind::Delete => {
                let form = batch_form(text);
                let key = form.as_ref().map(|form| form.key.clone());
                Some(Self {
                    kind,
                    statement: form.map(|form| form.text),
                    key,
                })
            }
            Kind::Insert => Some(Self {
                kind,
                statement: many_rows(text),
                key: None,
            }),
            Kind::Merge => Some(Self {
                kind,
                statement: None,
                key: None,
            }),
            _ => None,
        }
    }

    fn sentence(&self, evidence: &RepetitionEvidence) -> String {
        match (self.kind, &self.statement, &self.key) {
            (Kind::Select, Some(_), Some(key)) => format!(
                "Fetch the rows for all values at once, with an array as the parameter, and assign \
                 them by `{key}`:"
            ),
            (Kind::Select, ..) => {
                let join = evidence.before.as_ref().map(|before| {
                    format!("join it to `{}`, or ", before.shape)
                });
                format!(
                    "Fetch the rows for all values with one statement: {}pass the values as arrays \
                     (`= ANY($1)`; `unnest($1, $2)` for pairs) and assign the rows by their key.",
                    join.unwrap_or_default()
                )
            }
            (Kind::Insert, Some(_), _) => "Insert all rows with one statement:".to_owned(),
            (Kind::Insert, ..) => "Insert all rows with one statement, by several rows in VALUES or \
                                   by `SELECT … FROM unnest($1, $2)` with one array per column."
                .to_owned(),
            (Kind::Delete, Some(_), _) => {
                "Delete all rows with one statement, with an array as the parameter:".to_owned()
            }
            (Kind::Delete, ..) => "Delete all rows with one statement, by their keys as an array \
                                   (`= ANY($1)`). At the least, put the loop into one transaction."
                .to_owned(),
            (_, Some(_), _) => "Change all rows with one statement: joined to the values as arrays, \
                                `FROM unnest($1, $2) AS v(key, value)`, or, if all rows get the same \
                                values:"
                .to_owned(),
            _ => "Change all rows with one statement, joined to the values as arrays: `FROM \
                  unnest($1, $2) AS v(key, value)`. At the least, put the loop into one transaction."
                .to_owned(),
        }
    }
}

/// `INSERT … VALUES ($1, $2) …` with a second row and dots. `None` when VALUES is not one row of
/// parameters only.
fn many_rows(text: &str) -> Option<String> {
    let (head, tail) = text.split_once(" VALUES (")?;
    let (row, rest) = tail.split_once(')')?;
    let columns = row.split(',').map(str::trim).map(|value| {
        let number = value.strip_prefix('$')?;
        number.parse::<usize>().ok()
    });
    let columns = columns.collect::<Option<Vec<_>>>()?;
    // Numbered from 1 in order, and nothing after it that has parameters of its own or another row.
    let in_order = columns.iter().copied().eq(1..=columns.len());
    if !in_order || rest.contains('$') || rest.trim_start().starts_with(',') {
        return None;
    }
    let second: Vec<_> = columns
        .iter()
        .map(|number| format!("${}", number + columns.len()))
        .collect();
    Some(format!(
        "{head} VALUES ({row}), ({}), …{rest}",
        second.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_row_becomes_many() {
        let rows = [
            (
                "INSERT INTO job_skills (job_id, skill_id) VALUES ($1, $2)",
                Some("INSERT INTO job_skills (job_id, skill_id) VALUES ($1, $2), ($3, $4), …"),
            ),
            (
                "INSERT INTO t (a) VALUES ($1) RETURNING id",
                Some("INSERT INTO t (a) VALUES ($1), ($2), … RETURNING id"),
            ),
            ("INSERT INTO t (a, b) VALUES ($1, now())", None),
            ("INSERT INTO t (a, b) VALUES ($2, $1)", None),
            ("INSERT INTO t (a) VALUES ($1), ($2)", None),
            (
                "INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET b = $2",
                None,
            ),
            ("INSERT INTO t (a) SELECT $1", None),
        ];
        for (text, expected) in rows {
            assert_eq!(many_rows(text).as_deref(), expected, "{text}");
        }
    }
}
