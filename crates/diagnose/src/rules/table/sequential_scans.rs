//! A large table that is read whole, again and again.

use paceline_catalogue::{Relation, Snapshot, Statement};
use serde_json::Value;

use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::{count, cut, percent, time};
use crate::rule::{Check, Rule};
use crate::rules::age;

pub(super) const RULE: Rule = Rule {
    name: "sequential-scans",
    about: "A large table is read whole, again and again.",
    check: Check::Database(findings),
};

/// Reading fewer rows takes a millisecond or so.
const ROWS_PER_SCAN_MIN: u64 = 10_000;
/// From here on one reading takes tens of milliseconds.
const ROWS_PER_SCAN_MEDIUM: u64 = 100_000;
/// What happens less often may be a dump, a report or an ANALYZE.
const SCANS_MIN: u64 = 100;
/// A part of all scans that is worth looking for. A table that is mostly read by index has its reports.
const SCANS_SHARE_MIN: f64 = 0.01;
/// Scans that, at medium size, take a core's worth of time.
const SCANS_HIGH: u64 = 10_000;
/// Statements that are named.
const STATEMENTS_MAX: usize = 3;

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let tables = snapshot.relations.iter();
    tables
        .filter_map(|table| finding(snapshot, table))
        .collect()
}

fn finding(snapshot: &Snapshot, table: &Relation) -> Option<Finding> {
    let counted = table.statistics.as_ref()?;
    let scans = counted.sequential_scans;
    let rows_per_scan = counted.sequential_rows / scans.max(1);
    let share = scans as f64 / (scans + counted.index_scans).max(1) as f64;
    if table.is_of_extension
        || scans < SCANS_MIN
        || rows_per_scan < ROWS_PER_SCAN_MIN
        || share < SCANS_SHARE_MIN
    {
        return None;
    }
    let severity = match rows_per_scan {
        rows if rows >= ROWS_PER_SCAN_MEDIUM && scans >= SCANS_HIGH => Severity::High,
        rows if rows >= ROWS_PER_SCAN_MEDIUM => Severity::Medium,
        _ => Severity::Low,
    };
    let name = table.full_name();
    let title = format!(
        "{name} was read whole {} times, {} rows each time.",
        count(scans),
        count(rows_per_scan)
    );
    let since = age(snapshot.database.statistics_age_s);
    let statements = statements(snapshot, &name);
    let shown = statements.iter().map(|one| Value::from(one.text.as_str()));
    let mut finding = Finding::new(RULE.name, Subject::table(name), severity, title)
        .fact("sequential_scans", scans)
        .fact("rows_per_scan", rows_per_scan)
        .fact("sequential_share", share)
        .fact("statistics_age_s", snapshot.database.statistics_age_s)
        .fact("statements", shown.collect::<Value>())
        .detail(
            "Seen",
            format!("in {since}; {} of all scans of the table", percent(share)),
        );
    for one in &statements {
        let text = format!(
            "{} ({} in {} executions)",
            cut(&one.text),
            time(one.total_ms),
            count(one.calls)
        );
        finding = finding.detail("Statement", text);
    }
    Some(
        finding
            .remedy(Effort::Medium, "Give the statements that do it an index on the columns that they compare or sort by, or a LIMIT; a report that needs all rows is right to read them.")
            .gain(Gain::text("an index reads the rows that are wanted, instead of all")),
    )
}

/// Those that are planned to read the table whole.
fn statements<'s>(snapshot: &'s Snapshot, table: &str) -> Vec<&'s Statement> {
    let reads_it = |one: &&Statement| {
        let plan = one.plan.as_ref().and_then(|plan| plan.as_ref().ok());
        plan.is_some_and(|plan| {
            let mut nodes = plan.nodes.iter();
            nodes.any(|node| node.kind == "Seq Scan" && node.relation.as_deref() == Some(table))
        })
    };
    let list = snapshot.statements.iter().flat_map(|one| &one.list);
    list.filter(reads_it).take(STATEMENTS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, counted, look, snapshot, table};
    use paceline_catalogue::{Plan, PlanNode, Statements, TableStatistics};

    fn planted() -> Snapshot {
        let mut snapshot = snapshot();
        snapshot.relations = vec![table(1, "jobs", 200_000)];
        let counted = counted(&mut snapshot.relations[0]);
        (counted.sequential_scans, counted.sequential_rows) = (1_000, 200_000_000);
        snapshot
    }

    #[test]
    fn fires_and_near_misses() {
        type Change = fn(&mut TableStatistics);
        let rows: &[(&str, Change, bool)] = &[
            ("a thousand times", |_| {}, true),
            (
                "a few times",
                |one| (one.sequential_scans, one.sequential_rows) = (99, 99 * 200_000),
                false,
            ),
            (
                "a small table",
                |one| one.sequential_rows = 1_000 * 9_999,
                false,
            ),
            (
                "a LIMIT that stops early",
                |one| one.sequential_rows = 1_000 * 50,
                false,
            ),
            (
                "seldom, among many by index",
                |one| one.index_scans = 1_000_000,
                false,
            ),
        ];
        for (what, change, fires) in rows {
            let mut snapshot = planted();
            change(counted(&mut snapshot.relations[0]));
            let expected: &[&str] = if *fires { &["public.jobs"] } else { &[] };
            check(&RULE, what, &snapshot, expected);
        }
    }

    #[test]
    fn the_statements_that_do_it_are_named() {
        let mut snapshot = planted();
        let statement = |text: &str, kind: &str| Statement {
            text: text.to_owned(),
            plan: Some(Ok(Plan {
                nodes: vec![PlanNode {
                    kind: kind.to_owned(),
                    relation: Some("public.jobs".to_owned()),
                    ..PlanNode::default()
                }],
                ..Plan::default()
            })),
            ..Statement::default()
        };
        snapshot.statements = Some(Statements {
            list: vec![
                statement("SELECT whole", "Seq Scan"),
                statement("SELECT one", "Index Scan"),
            ],
            ..Statements::default()
        });
        let finding = &look(&RULE, &snapshot)[0];
        assert_eq!(
            finding.evidence.get("statements"),
            Some(&serde_json::json!(["SELECT whole"]))
        );
        assert_eq!(finding.severity, Severity::Medium);
    }
}
