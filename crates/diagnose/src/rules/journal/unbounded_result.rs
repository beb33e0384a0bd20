//! Unbounded result: a SELECT without a limit returns many rows each time, and more as the table grows.

use paceline_journal::{Journal, ShapeSnapshot};
use paceline_sql::Kind;

use super::is_the_applications;
use crate::finding::{Effort, Finding, Gain, Severity, Subject, SubjectKind};
use crate::render::units::{count, cut, figure, time};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "unbounded-result",
    about: "A SELECT without a limit returns many rows each time.",
    check: Check::Journal(findings),
};

const EXECUTIONS_MIN: u64 = 3;
/// Nobody reads so many on a page.
const ROWS_MIN: f64 = 500.0;
/// These fill memory on both sides.
const ROWS_HIGH: f64 = 10_000.0;

fn findings(journal: &Journal) -> Vec<Finding> {
    journal.shapes().iter().filter_map(finding).collect()
}

fn finding(snapshot: &ShapeSnapshot) -> Option<Finding> {
    let (shape, executions) = (&snapshot.shape, snapshot.executions);
    let rows = snapshot.rows as f64 / executions.max(1) as f64;
    let is_meant =
        shape.kind == Kind::Select && is_the_applications(shape) && !is_bounded(&shape.text);
    if executions < EXECUTIONS_MIN || rows < ROWS_MIN || !is_meant {
        return None;
    }
    let severity = if rows >= ROWS_HIGH {
        Severity::High
    } else {
        Severity::Medium
    };
    let subject = Subject::new(SubjectKind::Statement, &*shape.summary);
    let title = format!(
        "`{}` has no limit and returns {} rows each time.",
        shape.summary,
        count(rows as u64)
    );
    let time_ms = snapshot.time.sum().as_secs_f64() * 1_000.0;
    let seen = format!(
        "{} executions, {} rows in all, {} spent",
        count(executions),
        count(snapshot.rows),
        time(time_ms)
    );
    Some(
        Finding::new(RULE.name, subject, severity, title)
            .told_apart_by("", &shape.text)
            .fact("statement", &*shape.text)
            .fact("executions", executions)
            .fact("rows_per_execution", rows)
            .fact("time_ms", time_ms)
            .detail("Seen", seen)
            .detail("Statement", cut(&shape.text))
            .remedy(
                Effort::Medium,
                "Give it a LIMIT and let clients ask for the next page by the last key they saw (keyset pagination). An \
                 export reads through a cursor (`DECLARE … CURSOR`, or a driver's stream) instead of into memory.",
            )
            .gain(Gain::text(format!("up to {} rows per execution", figure(rows)))),
    )
}

/// Whether the text bounds its result anywhere: in a subquery counts as well, for what it brings may be all there is. So does a list
/// of keys: whoever asks for five hundred rows by their keys wants them.
pub(in crate::rules) fn is_bounded(text: &str) -> bool {
    if text.contains("ANY ($") || text.contains(" IN ($") {
        return true;
    }
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.any(|word| word.eq_ignore_ascii_case("LIMIT") || word.eq_ignore_ascii_case("FETCH"))
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Request, Scene};
    use super::*;

    fn found(text: &'static str, rows: u64, executions: usize) -> Vec<Finding> {
        let mut scene = Scene::new();
        let request = Request::get("/a").runs(text, 1).rows(rows);
        (0..executions).for_each(|_| scene.request(&request));
        findings(&scene.journal)
    }

    #[test]
    fn many_rows_without_a_limit_are_found() {
        let text = "SELECT a, b FROM t WHERE a > $1";
        assert_eq!(found(text, 500, 3)[0].severity, Severity::Medium);
        assert_eq!(found(text, 10_000, 3)[0].severity, Severity::High);
        for (text, rows, executions) in [
            (text, 499, 3),
            (text, 500, 2),
            ("SELECT a, b FROM t WHERE a > $1 LIMIT $2", 500, 3),
            ("SELECT a FROM t FETCH FIRST $1 ROWS ONLY", 500, 3),
            ("SELECT a FROM t WHERE id = ANY($1)", 500, 3),
            ("SELECT a FROM t WHERE id IN (1, 2)", 500, 3),
            ("UPDATE t SET a = $1", 500, 3),
            ("SELECT typname FROM pg_catalog.pg_type", 500, 3),
        ] {
            assert_eq!(found(text, rows, executions), [], "{text}");
        }
        // A name that only looks like it.
        assert_eq!(found("SELECT a FROM limits", 500, 3).len(), 1);
    }
}
