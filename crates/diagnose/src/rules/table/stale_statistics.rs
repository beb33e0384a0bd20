//! A table that the planner knows nothing, or something old, about.

use paceline_catalogue::{Relation, Snapshot};

use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::{count, percent};
use crate::rule::{Check, Rule};
use crate::rules::{MINUTE_S, age};

pub(super) const RULE: Rule = Rule {
    name: "stale-statistics",
    about: "A table was never analysed, or has mostly changed since: the planner guesses.",
    check: Check::Database(findings),
};

/// Whatever plan is chosen for fewer rows is quick.
const ROWS_MIN: f64 = 1_000.0;
/// Five times the share (`autovacuum_analyze_scale_factor`, 0.1) at which autovacuum analyses: it is late then.
const CHANGED_SHARE_MIN: f64 = 0.5;
const CHANGED_MIN: u64 = 10_000;
/// What was written just before an ANALYZE may be counted just after it.
const ANALYSED_AGE_MIN_S: f64 = MINUTE_S;

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    snapshot.relations.iter().filter_map(finding).collect()
}

fn finding(table: &Relation) -> Option<Finding> {
    let counted = table.statistics.as_ref()?;
    let rows = table.rows();
    if rows < ROWS_MIN || !table.has_storage() || table.is_of_extension {
        return None;
    }
    // After a crash nobody remembers when it was; that columns have statistics shows that it was.
    let is_known = table.columns.iter().any(|column| column.distinct.is_some());
    let changed = counted.modified_since_analyze;
    let share = changed as f64 / rows;
    let is_new = counted.analysed_s_ago.is_none() && !is_known && changed > 0;
    let is_stale = changed >= CHANGED_MIN && share >= CHANGED_SHARE_MIN;
    let name = table.full_name();
    let (severity, title) = match (is_new, is_stale, counted.analysed_s_ago) {
        (true, ..) => (
            Severity::Medium,
            format!(
                "{name} was never analysed: the planner knows nothing about its {} rows.",
                count(rows as u64)
            ),
        ),
        (false, true, Some(seconds)) if seconds >= ANALYSED_AGE_MIN_S => (
            Severity::Low,
            format!(
                "{} rows of {name} have changed since it was analysed {} ago, {} of all.",
                count(changed),
                age(seconds),
                percent(share)
            ),
        ),
        _ => return None,
    };
    let finding = Finding::new(RULE.name, Subject::table(name), severity, title)
        .fact("rows", rows)
        .fact("modified_since_analyze", changed)
        .fact("modified_share", share)
        .fact("analysed_s_ago", counted.analysed_s_ago)
        .detail(
            "Seen",
            format!(
                "{} rows written since then, {} of all",
                count(changed),
                percent(share)
            ),
        )
        .remedy(
            Effort::Small,
            "Analyse it, and let autovacuum do so from now on; after loading much, do it at once.",
        )
        .statement(format!("ANALYZE {}", table.quoted()))
        .gain(Gain::text(
            "the planner chooses by numbers instead of guessing",
        ));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, counted, snapshot, table};
    use paceline_catalogue::RelationKind;

    #[test]
    fn fires_and_near_misses() {
        fn never(table: &mut Relation) {
            table
                .columns
                .iter_mut()
                .for_each(|column| column.distinct = None);
            let counted = counted(table);
            (counted.analysed_s_ago, counted.modified_since_analyze) = (None, 100_000);
        }
        type Change = fn(&mut Relation);
        let rows: &[(&str, Change, bool)] = &[
            ("never", never, true),
            (
                "mostly changed",
                |one| counted(one).modified_since_analyze = 60_000,
                true,
            ),
            (
                "somewhat changed",
                |one| counted(one).modified_since_analyze = 40_000,
                false,
            ),
            (
                "small and never",
                |one| {
                    *one = table(1, "jobs", 500);
                    never(one);
                    counted(one).modified_since_analyze = 500;
                },
                false,
            ),
            (
                "changed, and analysed just now",
                |one| {
                    let counted = counted(one);
                    counted.modified_since_analyze = 60_000;
                    counted.analysed_s_ago = Some(59.0);
                },
                false,
            ),
            (
                "forgotten in a crash",
                |one| counted(one).analysed_s_ago = None,
                false,
            ),
            ("a view", |one| one.kind = RelationKind::View, false),
            (
                "an extension's",
                |one| {
                    never(one);
                    one.is_of_extension = true;
                },
                false,
            ),
        ];
        for (what, change, fires) in rows {
            let mut snapshot = snapshot();
            snapshot.relations = vec![table(1, "jobs", 100_000)];
            change(&mut snapshot.relations[0]);
            let expected: &[&str] = if *fires { &["public.jobs"] } else { &[] };
            check(&RULE, what, &snapshot, expected);
        }
    }
}
