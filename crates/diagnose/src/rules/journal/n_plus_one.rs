//! N+1: rows are fetched one by one, where one execution for all would do.
//!
//! It fires when three requests or more each ran one shape five times or more, with five distinct
//! parameter sets or more. What runs in between, or side by side, does not matter: a request's
//! executions are counted, not their order. Loops that change rows have a rule of their own.

use paceline_journal::{Journal, Repetition};
use paceline_sql::{Kind, batch_form};

use super::repetition::{Remedy, RepetitionEvidence, is_loop, looped};
use crate::finding::{Effort, Finding};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "n-plus-one",
    about: "A request executes one statement again and again, each time with other values.",
    check: Check::Journal(findings),
};

fn findings(journal: &Journal) -> Vec<Finding> {
    let found = journal.repetitions();
    let found = found.iter().filter(|repetition| {
        let shape = &repetition.shape;
        shape.kind == Kind::Select && shape.writes.is_empty() && is_loop(repetition)
    });
    found
        .map(|repetition| finding(journal, repetition))
        .collect()
}

fn finding(journal: &Journal, repetition: &Repetition) -> Finding {
    let form = batch_form(&repetition.shape.text);
    let key = form.as_ref().map(|form| form.key.clone());
    let statement = form.map(|form| form.text);
    let evidence = RepetitionEvidence::of_loop(journal, repetition, statement.clone());
    let text = sentence(key.as_deref(), &evidence);
    let effort = match key {
        Some(_) => Effort::Small,
        None => Effort::Medium,
    };
    let remedy = Remedy {
        effort,
        text,
        statement,
    };
    looped(RULE.name, evidence, remedy, repetition)
}

fn sentence(key: Option<&str>, evidence: &RepetitionEvidence) -> String {
    if let Some(key) = key {
        return format!(
            "Fetch the rows for all values at once, with an array as the parameter, and assign \
             them by `{key}`:"
        );
    }
    let join = evidence.before.as_ref();
    let join = join.map(|before| format!("join it to `{}`, or ", before.shape));
    format!(
        "Fetch the rows for all values with one statement: {}pass the values as arrays \
         (`= ANY($1)`; `unnest($1, $2)` for pairs) and assign the rows by their key.",
        join.unwrap_or_default()
    )
}
