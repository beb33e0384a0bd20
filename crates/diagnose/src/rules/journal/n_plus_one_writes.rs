//! N+1 writes: rows are inserted, changed or deleted one by one.
//!
//! Found like N+1 reads. Beside the round trips, a loop within a transaction holds its locks all the time, and a loop without
//! one has the server flush its log for each row.

use paceline_journal::{Journal, Repetition};
use paceline_sql::{Kind, TransactionControl, batch_form};

use super::repetition::{Remedy, RepetitionEvidence, is_loop, looped};
use crate::finding::{Effort, Finding};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "n-plus-one-writes",
    about: "A request inserts, changes or deletes rows one by one.",
    check: Check::Journal(findings),
};

fn findings(journal: &Journal) -> Vec<Finding> {
    let found = journal.repetitions();
    let found = found.iter().filter(|repetition| {
        let shape = &repetition.shape;
        let kinds = [
            Kind::Select,
            Kind::Insert,
            Kind::Update,
            Kind::Delete,
            Kind::Merge,
        ];
        kinds.contains(&shape.kind) && !shape.writes.is_empty() && is_loop(repetition)
    });
    found
        .map(|repetition| finding(journal, repetition))
        .collect()
}

fn finding(journal: &Journal, repetition: &Repetition) -> Finding {
    let shape = &repetition.shape;
    let statement = batch_form(&shape.text).map(|form| form.text);
    let evidence = RepetitionEvidence::of_loop(journal, repetition, statement.clone());
    let commits = commits(journal, repetition);
    let text = sentence(shape.kind, statement.as_deref(), commits);
    let effort = match statement {
        Some(_) => Effort::Small,
        None => Effort::Medium,
    };
    let remedy = Remedy {
        effort,
        text,
        statement,
    };
    let mut finding = looped(RULE.name, evidence, remedy, repetition);
    if let Some(commits) = commits {
        let text = match commits {
            Commits::Together => "in one transaction: its locks are held for all the round trips",
            Commits::Each => "none: each execution commits, and waits for the log, by itself",
        };
        finding = finding.detail("Transaction", text);
        finding = finding.fact("commits_each", commits == Commits::Each);
    }
    finding
}

/// How the executions of a loop were committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Commits {
    Together,
    Each,
}

/// As the example shows: whether a transaction was open on the connection when the loop began. `None`: no example.
fn commits(journal: &Journal, repetition: &Repetition) -> Option<Commits> {
    let request = journal.request(&repetition.varied.example?)?;
    let is_of_loop = |shape| shape == repetition.shape.id;
    let first = request
        .statements
        .iter()
        .position(|statement| is_of_loop(statement.shape.id))?;
    let connection = request.statements[first].connection;
    let before = request.statements[..first].iter().rev();
    let last = before
        .filter(|statement| statement.connection == connection)
        .find_map(|statement| statement.shape.transaction);
    Some(match last {
        None | Some(TransactionControl::Commit | TransactionControl::Rollback) => Commits::Each,
        Some(_) => Commits::Together,
    })
}

fn sentence(kind: Kind, statement: Option<&str>, commits: Option<Commits>) -> String {
    let at_least = match commits {
        Some(Commits::Each) => " At the least, put the loop into one transaction.",
        _ => "",
    };
    match (kind, statement) {
        (Kind::Insert, Some(_)) => {
            "Insert all rows with one statement; two rows stand here for as many as there are:".to_owned()
        }
        (Kind::Insert, None) => format!(
            "Insert all rows with one statement, by several rows in VALUES or by `SELECT … FROM unnest($1, $2)` \
             with one array per column.{at_least}"
        ),
        (Kind::Delete, Some(_)) => {
            "Delete all rows with one statement, with an array as the parameter:".to_owned()
        }
        (Kind::Delete, None) => format!(
            "Delete all rows with one statement, by their keys as an array (`= ANY($1)`).{at_least}"
        ),
        (_, Some(text)) if text.contains("jsonb_populate_recordset") => {
            "Change all rows with one statement, with an array of JSON objects as the parameter, each key once:".to_owned()
        }
        (_, Some(text)) if text.contains("unnest(") => {
            "Change all rows with one statement, joined to the values as arrays, each key once:".to_owned()
        }
        (_, Some(_)) => "Change all rows with one statement, with an array as the parameter:".to_owned(),
        _ => format!(
            "Change all rows with one statement, joined to the values as arrays: `FROM unnest($1, $2) AS v(key, value)`.{at_least}"
        ),
    }
}
