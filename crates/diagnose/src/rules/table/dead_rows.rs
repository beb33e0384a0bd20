//! Rows that nobody can see any more and that are still there: VACUUM does not come, or cannot remove them.

use paceline_catalogue::{Relation, Session, Snapshot};

use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::{count, percent};
use crate::rule::{Check, Rule};
use crate::rules::{MINUTE_S, age};

pub(super) const RULE: Rule = Rule {
    name: "dead-rows",
    about: "Rows that were deleted or changed are still there: VACUUM does not come, or cannot remove them.",
    check: Check::Database(findings),
};

/// Twice the share (`autovacuum_vacuum_scale_factor`, 0.2) at which autovacuum begins: it is late then, not about to come.
const DEAD_SHARE_MIN: f64 = 0.4;
const DEAD_SHARE_HIGH: f64 = 0.8;
/// Fewer are read over in no time.
const DEAD_MIN: u64 = 10_000;
const DEAD_HIGH: u64 = 1_000_000;
/// What was deleted just before a VACUUM may be counted just after it.
const VACUUMED_AGE_MIN_S: f64 = MINUTE_S;
/// A transaction of this age is worth naming as the one that keeps rows.
const HOLDER_AGE_MIN_S: f64 = 5.0 * MINUTE_S;

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let tables = snapshot.relations.iter();
    tables
        .filter_map(|table| finding(snapshot, table))
        .collect()
}

fn finding(snapshot: &Snapshot, table: &Relation) -> Option<Finding> {
    let counted = table.statistics.as_ref()?;
    let dead = counted.dead_rows;
    // As a part of the live ones, as autovacuum reckons.
    let share = dead as f64 / counted.live_rows.max(1) as f64;
    let is_just_vacuumed = counted
        .vacuumed_s_ago
        .is_some_and(|seconds| seconds < VACUUMED_AGE_MIN_S);
    if dead < DEAD_MIN || share < DEAD_SHARE_MIN || is_just_vacuumed || table.is_of_extension {
        return None;
    }
    let severity = if dead >= DEAD_HIGH && share >= DEAD_SHARE_HIGH {
        Severity::High
    } else {
        Severity::Medium
    };
    let name = table.full_name();
    let last = match counted.vacuumed_s_ago {
        Some(seconds) => format!("last vacuumed {} ago", age(seconds)),
        None => "never vacuumed".to_owned(),
    };
    let title = format!(
        "{name} holds {} dead rows beside {} live ones; it was {last}.",
        count(dead),
        count(counted.live_rows)
    );
    let holder = holder(snapshot);
    let why = match (holder, snapshot.is_on("autovacuum")) {
        (Some(one), _) => format!("Session {} has had a transaction open for {}, and VACUUM may not remove what it could still see: end it first.", one.pid, age(one.transaction_age_s.unwrap_or_default())),
        (None, false) => "Autovacuum is off: switch it on.".to_owned(),
        (None, true) => "If it comes back, let autovacuum come earlier to this table (autovacuum_vacuum_scale_factor = 0.05).".to_owned(),
    };
    let finding = Finding::new(RULE.name, Subject::table(name), severity, title)
        .fact("dead_rows", dead)
        .fact("live_rows", counted.live_rows)
        .fact("dead_share", share)
        .fact("vacuumed_s_ago", counted.vacuumed_s_ago)
        .fact("autovacuum", snapshot.is_on("autovacuum"))
        .fact("holder_pid", holder.map(|one| one.pid))
        .detail(
            "Seen",
            format!(
                "dead rows are {} of the live ones; autovacuum begins at {}",
                percent(share),
                percent(
                    snapshot
                        .setting("autovacuum_vacuum_scale_factor")
                        .unwrap_or(0.2)
                )
            ),
        )
        .remedy(
            Effort::Small,
            format!("{why} VACUUM makes the room usable again."),
        )
        .statement(format!("VACUUM (ANALYZE) {}", table.quoted()))
        .gain(Gain::text(
            "scans read live rows only, and the table stops growing",
        ));
    Some(finding)
}

/// The session whose transaction has kept dead rows for longest.
fn holder(snapshot: &Snapshot) -> Option<&Session> {
    let sessions = snapshot.sessions.iter().filter(|one| one.holds_snapshot);
    let old = sessions.filter(|one| one.transaction_age_s.unwrap_or(0.0) >= HOLDER_AGE_MIN_S);
    old.max_by(|one, two| {
        one.transaction_age_s
            .unwrap_or(0.0)
            .total_cmp(&two.transaction_age_s.unwrap_or(0.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, counted, look, session, snapshot, table};
    use paceline_catalogue::{SessionState, TableStatistics};

    fn planted() -> Snapshot {
        let mut snapshot = snapshot();
        snapshot.relations = vec![table(1, "jobs", 100_000)];
        counted(&mut snapshot.relations[0]).dead_rows = 50_000;
        snapshot
    }

    #[test]
    fn fires_and_near_misses() {
        type Change = fn(&mut TableStatistics);
        let rows: &[(&str, Change, bool)] = &[
            ("half as many", |_| {}, true),
            ("never vacuumed", |one| one.vacuumed_s_ago = None, true),
            (
                "vacuumed just now",
                |one| one.vacuumed_s_ago = Some(59.0),
                false,
            ),
            (
                "autovacuum is about to come",
                |one| one.dead_rows = 25_000,
                false,
            ),
            (
                "a few",
                |one| (one.dead_rows, one.live_rows) = (9_999, 10),
                false,
            ),
            (
                "never vacuumed, and nothing to do",
                |one| (one.vacuumed_s_ago, one.dead_rows) = (None, 0),
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
    fn who_keeps_the_rows_is_named() {
        let mut snapshot = planted();
        assert!(
            look(&RULE, &snapshot)[0]
                .remedy
                .text
                .contains("scale_factor")
        );
        snapshot.sessions = vec![
            session(7, SessionState::IdleInTransaction, 600.0),
            session(8, SessionState::Active, 1.0),
        ];
        assert!(look(&RULE, &snapshot)[0].remedy.text.contains("Session 7 "));
        snapshot.sessions.clear();
        snapshot.settings.clear();
        assert!(look(&RULE, &snapshot)[0].remedy.text.contains("is off"));
    }
}
