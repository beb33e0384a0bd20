//! A statement that takes long each time, and the node of its plan that costs most.

use std::fmt::Write as _;

use paceline_catalogue::{Plan, PlanNode, Snapshot, Statement, Statements};
use paceline_sql::{Limits, Statements as Texts};

use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::{count, cut, figure, percent, time};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "slow-statement",
    about: "A statement takes long each time; names the node of its plan that costs most.",
    check: Check::Statements(findings),
};

/// From here on a slow-query log lists it: people notice.
const MEAN_MIN_MS: f64 = 100.0;
const MEAN_HIGH_MS: f64 = 1_000.0;
/// What runs less often is a report, or somebody at a prompt.
const CALLS_MIN: u64 = 10;
/// A part of all the database's time that is high, whatever one execution takes.
const SHARE_HIGH: f64 = 0.3;
/// An estimate that is wrong by less seldom changes the plan.
const ESTIMATE_FACTOR_MIN: f64 = 10.0;
/// Differences among a few rows change nothing.
const ESTIMATE_ROWS_MIN: f64 = 100.0;

fn findings(snapshot: &Snapshot, statements: &Statements) -> Vec<Finding> {
    let texts = Texts::new(Limits::default());
    let list = statements.list.iter();
    list.filter_map(|one| finding(snapshot, statements, one, &texts))
        .collect()
}

fn finding(
    snapshot: &Snapshot,
    all: &Statements,
    statement: &Statement,
    texts: &Texts,
) -> Option<Finding> {
    let mean_ms = statement.mean_ms();
    let shape = texts.learn(&statement.text).shape;
    let asks_rows = !shape.reads.is_empty() || !shape.writes.is_empty();
    if mean_ms < MEAN_MIN_MS
        || statement.calls < CALLS_MIN
        || !asks_rows
        || is_maintenance(&statement.text)
    {
        return None;
    }
    let share = statement.total_ms / all.total_ms.max(statement.total_ms).max(1.0);
    let severity = if mean_ms >= MEAN_HIGH_MS || share >= SHARE_HIGH {
        Severity::High
    } else {
        Severity::Medium
    };
    let plan = statement.plan.as_ref().and_then(|plan| plan.as_ref().ok());
    let node = plan.and_then(|plan| Some((plan.costliest()?, plan)));
    // What the costliest node takes is what a better way could save at most.
    let node_share = node.map_or(1.0, |(node, plan)| {
        node.own_cost / plan.cost.max(f64::MIN_POSITIVE)
    });
    let lost_ms = statement.total_ms * node_share.clamp(0.0, 1.0);
    let (lost, total) = (time(lost_ms), time(statement.total_ms));
    let node = node.map(|(node, _)| node);
    let whole = format!("{} of all the database's time", percent(share));
    let most = node.map(|node| format!("; most of it goes into {}", told(node)));
    let title = format!(
        "`{}` takes {} on average, {whole}{}.",
        shape.summary,
        time(mean_ms),
        most.unwrap_or_default()
    );
    let estimate = plan.and_then(|plan| wrong_estimate(plan, statement));
    let text = remedy(snapshot, node, estimate.is_some());
    let finding = Finding::new(
        RULE.name,
        Subject::statement(&*shape.summary),
        severity,
        title,
    )
    .told_apart_by("", &statement.text)
    .detail("Seen", seen(statement))
    .detail("Statement", cut(&statement.text))
    .remedy(Effort::Medium, text)
    .gain(Gain::time(
        lost_ms,
        format!("up to {lost} of the {total} that it took so far"),
    ))
    .fact("time_share", share);
    let finding = Finding {
        time_lost_ms: lost_ms,
        ..with_evidence(finding, statement)
    };
    Some(with_plan(
        finding,
        statement,
        node.map(|node| (node, node_share)),
        estimate,
    ))
}

fn with_evidence(finding: Finding, statement: &Statement) -> Finding {
    finding
        .fact("statement", statement.text.as_str())
        .fact("query_id", statement.query_id)
        .fact("calls", statement.calls)
        .fact("mean_ms", statement.mean_ms())
        .fact("max_ms", statement.max_ms)
        .fact("total_ms", statement.total_ms)
        .fact("rows_per_call", statement.mean_rows())
        .fact("blocks_per_call", mean_blocks(statement))
}

fn with_plan(
    mut finding: Finding,
    statement: &Statement,
    node: Option<(&PlanNode, f64)>,
    estimate: Option<String>,
) -> Finding {
    if let Some(text) = estimate {
        finding = finding.detail("Estimate", text);
    }
    match (&statement.plan, node) {
        (_, Some((node, share))) => finding
            .fact("node", node.kind.as_str())
            .fact("node_relation", node.relation.as_deref())
            .fact("node_filter", node.filter.as_deref())
            .fact("node_cost_share", share)
            .detail("Plan", plan_text(node, share)),
        (Some(Err(error)), _) => finding.detail("Plan", format!("not known: {error}")),
        _ => finding.detail("Plan", "not asked for"),
    }
}

fn mean_blocks(statement: &Statement) -> f64 {
    let blocks = statement.blocks_hit + statement.blocks_read;
    blocks as f64 / statement.calls.max(1) as f64
}

fn seen(statement: &Statement) -> String {
    format!(
        "{} executions, {} in all, at most {}; {} rows and {} blocks each",
        count(statement.calls),
        time(statement.total_ms),
        time(statement.max_ms),
        figure(statement.mean_rows()),
        figure(mean_blocks(statement)),
    )
}

/// `Seq Scan on public.jobs`.
fn told(node: &PlanNode) -> String {
    match &node.relation {
        Some(relation) => format!("{} on {relation}", node.kind),
        None => node.kind.clone(),
    }
}

fn plan_text(node: &PlanNode, share: f64) -> String {
    let mut text = format!("{}: {} of the estimated cost", told(node), percent(share));
    if let Some(filter) = &node.filter {
        let _ = write!(
            text,
            "; it reads rows and throws away all but those with {}",
            cut(filter)
        );
    }
    text
}

/// What the planner expects of the whole statement against what was measured.
fn wrong_estimate(plan: &Plan, statement: &Statement) -> Option<String> {
    let first = statement.text.split_whitespace().next().unwrap_or_default();
    // What writes gives no rows to its plan's root.
    if !first.eq_ignore_ascii_case("select") && !first.eq_ignore_ascii_case("with") {
        return None;
    }
    let (expected, measured) = (plan.rows.max(1.0), statement.mean_rows().max(1.0));
    let factor = (expected / measured).max(measured / expected);
    let matters = factor >= ESTIMATE_FACTOR_MIN && expected.max(measured) >= ESTIMATE_ROWS_MIN;
    matters.then(|| {
        format!(
            "the planner expects {} rows, {} came on average",
            count(expected as u64),
            figure(measured)
        )
    })
}

fn remedy(snapshot: &Snapshot, node: Option<&PlanNode>, is_misjudged: bool) -> String {
    let mut text = match node {
        Some(node) if node.kind == "Seq Scan" && node.filter.is_some() => {
            let table = node.relation.as_deref().unwrap_or("the table");
            format!("Create an index on {table} that serves this condition, so that the rows are found instead of being searched for.")
        }
        Some(node) if node.kind == "Seq Scan" => {
            "It asks for all rows of the table: ask for fewer (a condition, a LIMIT), or keep the result.".to_owned()
        }
        Some(node) if node.kind.contains("Sort") => {
            "An index in the order that is asked for spares the sort; with a LIMIT it spares most of the reading too.".to_owned()
        }
        Some(node) if node.kind == "Nested Loop" => {
            "Each row of one side is compared with the other: see that the columns that join them are compared for equality, and that the inner side has an index on them.".to_owned()
        }
        Some(node) if node.kind.starts_with("Hash") || node.kind == "Aggregate" => {
            "Reduce the rows before they are joined or counted, or keep the result: a table of sums, a materialized view.".to_owned()
        }
        _ => "Look at its plan with the values that it runs with: EXPLAIN (ANALYZE, BUFFERS).".to_owned(),
    };
    if is_misjudged {
        text.push_str(" The planner misjudges it: ANALYZE the tables, and CREATE STATISTICS for columns that go together.");
    }
    if node.is_none() && snapshot.server.version_number < 160_000 {
        text.push_str(" From Postgres 16 on, Paceline can ask for the plan itself.");
    }
    text
}

/// What nobody waits for.
fn is_maintenance(text: &str) -> bool {
    let first = text.split_whitespace().next().unwrap_or_default();
    let words = [
        "vacuum", "analyze", "create", "reindex", "copy", "refresh", "alter", "explain",
    ];
    words.iter().any(|word| first.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, look, snapshot};
    use paceline_catalogue::PlanError;

    const TEXT: &str = "SELECT * FROM jobs WHERE title = $1";

    fn planted() -> Snapshot {
        let node = PlanNode {
            kind: "Seq Scan".to_owned(),
            relation: Some("public.jobs".to_owned()),
            filter: Some("(title = $1)".to_owned()),
            own_cost: 90.0,
            ..PlanNode::default()
        };
        let statement = Statement {
            text: TEXT.to_owned(),
            calls: 100,
            total_ms: 20_000.0,
            max_ms: 300.0,
            rows: 500,
            plan: Some(Ok(Plan {
                cost: 100.0,
                rows: 5.0,
                nodes: vec![node],
            })),
            ..Statement::default()
        };
        let mut snapshot = snapshot();
        snapshot.statements = Some(Statements {
            total_ms: 100_000.0,
            list: vec![statement],
            age_s: None,
        });
        snapshot
    }

    fn statement(snapshot: &mut Snapshot) -> &mut Statement {
        &mut snapshot.statements.as_mut().unwrap().list[0]
    }

    #[test]
    fn fires_and_near_misses() {
        type Change = fn(&mut Statement);
        let rows: &[(&str, Change, bool)] = &[
            ("200 ms", |_| {}, true),
            ("without a plan", |one| one.plan = None, true),
            ("99 ms", |one| one.total_ms = 9_900.0, false),
            (
                "seldom",
                |one| (one.calls, one.total_ms) = (9, 9_000.0),
                false,
            ),
            (
                "maintenance",
                |one| one.text = "VACUUM jobs".to_owned(),
                false,
            ),
            (
                "it reads nothing",
                |one| one.text = "SELECT pg_sleep($1)".to_owned(),
                false,
            ),
            (
                "transaction control",
                |one| one.text = "COMMIT".to_owned(),
                false,
            ),
        ];
        for (what, change, fires) in rows {
            let mut snapshot = planted();
            change(statement(&mut snapshot));
            let expected: &[&str] = if *fires { &["SELECT jobs"] } else { &[] };
            check(&RULE, what, &snapshot, expected);
        }
    }

    #[test]
    fn the_node_that_costs_most_is_named() {
        let finding = &look(&RULE, &planted())[0];
        assert_eq!(
            finding.title,
            "`SELECT jobs` takes 200 ms on average, 20 % of all the database's time; most of it goes into Seq Scan on public.jobs."
        );
        assert!(
            (finding.time_lost_ms - 18_000.0).abs() < 1e-6,
            "{}",
            finding.time_lost_ms
        );
        assert!(
            finding.remedy.text.contains("an index on public.jobs"),
            "{}",
            finding.remedy.text
        );
        assert_eq!(finding.severity, Severity::Medium);
    }

    #[test]
    fn estimates_are_held_against_what_was_measured() {
        let rows = [
            (5.0, 500, false),
            (5_000.0, 500, true),
            (5.0, 50_000, true),
            (50.0, 500, false),
        ];
        for (expected, rows, is_told) in rows {
            let mut snapshot = planted();
            let statement = statement(&mut snapshot);
            statement.rows = rows;
            statement.plan.as_mut().unwrap().as_mut().unwrap().rows = expected;
            let finding = &look(&RULE, &snapshot)[0];
            let told = finding
                .details
                .iter()
                .any(|detail| detail.label == "Estimate");
            assert_eq!(told, is_told, "{expected} {rows}");
        }
    }

    #[test]
    fn why_there_is_no_plan_is_said() {
        let mut snapshot = planted();
        statement(&mut snapshot).plan = Some(Err(PlanError::NeedsValues));
        let finding = &look(&RULE, &snapshot)[0];
        assert!(
            finding
                .details
                .iter()
                .any(|one| one.text.contains("16 can")),
            "{:?}",
            finding.details
        );
    }
}
