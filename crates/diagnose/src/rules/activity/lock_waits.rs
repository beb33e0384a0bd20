//! Sessions that wait for a lock: who makes them wait, and what for.

use std::collections::{BTreeMap, BTreeSet};

use paceline_catalogue::{LockWait, SessionState, Snapshot};

use super::{named, statement};
use crate::finding::{Effort, Finding, Gain, Severity, Subject, SubjectKind};
use crate::rule::{Check, Rule};
use crate::rules::age;

pub(super) const RULE: Rule = Rule {
    name: "lock-waits",
    about: "Sessions wait for a lock that another one holds.",
    check: Check::Database(findings),
};

/// Postgres itself looks for a deadlock after a second (`deadlock_timeout`): from then on, it is no passing wait.
const WAIT_MIN_S: f64 = 1.0;
const WAIT_HIGH_S: f64 = 30.0;
const WAITERS_HIGH: usize = 5;

/// One finding for each session at whose end all waits end.
fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let mut by_root: BTreeMap<i32, Vec<&LockWait>> = BTreeMap::new();
    for wait in &snapshot.lock_waits {
        for root in roots(snapshot, wait) {
            by_root.entry(root).or_default().push(wait);
        }
    }
    let found = by_root.iter();
    found
        .filter_map(|(root, waits)| finding(snapshot, *root, waits))
        .collect()
}

fn finding(snapshot: &Snapshot, root: i32, waits: &[&LockWait]) -> Option<Finding> {
    let longest = waits
        .iter()
        .max_by(|one, two| one.waiting_s.total_cmp(&two.waiting_s))?;
    if longest.waiting_s < WAIT_MIN_S {
        return None;
    }
    let blocker = snapshot.sessions.iter().find(|one| one.pid == root);
    let severity = if longest.waiting_s >= WAIT_HIGH_S || waits.len() >= WAITERS_HIGH {
        Severity::High
    } else {
        Severity::Medium
    };
    let who = blocker.map_or_else(|| format!("Process {root}"), named);
    let on = match &longest.relation {
        Some(relation) => format!("a lock on {relation}"),
        None => "rows that it has changed".to_owned(),
    };
    let waiting = match waits.len() {
        1 => "1 session wait".to_owned(),
        count => format!("{count} sessions wait"),
    };
    let title = format!(
        "{who} makes {waiting} for {on}, the longest for {}.",
        age(longest.waiting_s)
    );
    let total_ms = waits.iter().map(|wait| wait.waiting_s * 1_000.0).sum();
    let pids: Vec<i32> = waits.iter().map(|wait| wait.pid).collect();
    let mut finding = Finding::new(
        RULE.name,
        Subject::new(SubjectKind::Session, format!("pid {root}")),
        severity,
        title,
    )
    .fact("blocker_pid", root)
    .fact(
        "blocker_statement",
        blocker.map(|one| one.statement.as_str()),
    )
    .fact("waiter_pids", pids)
    .fact("waiting_s_max", longest.waiting_s)
    .fact("lock_mode", longest.mode.as_str())
    .fact("lock_kind", longest.kind.as_str())
    .fact("relation", longest.relation.as_deref())
    .gain(Gain::time(
        total_ms,
        format!("{} of waiting so far", age(total_ms / 1_000.0)),
    ));
    if let Some(one) = blocker {
        let does = if one.state == SessionState::IdleInTransaction {
            "Idle, after"
        } else {
            "Runs"
        };
        finding = finding.detail(does, statement(one));
    }
    let waiter = snapshot.sessions.iter().find(|one| one.pid == longest.pid);
    if let Some(one) = waiter {
        finding = finding.detail("Waits", statement(one));
    }
    let idle = blocker.is_some_and(|one| one.state == SessionState::IdleInTransaction);
    let end = if idle {
        "pg_terminate_backend"
    } else {
        "pg_cancel_backend"
    };
    finding.time_lost_ms = total_ms;
    Some(
        finding
            .remedy(Effort::Medium, "Keep transactions that change rows short, and touch rows in one order; give DDL a lock_timeout, since all others queue behind it. To end this one:")
            .statement(format!("SELECT {end}({root})")),
    )
}

/// Those at the head of the queue, who themselves wait for nobody.
fn roots(snapshot: &Snapshot, wait: &LockWait) -> BTreeSet<i32> {
    let (mut roots, mut seen) = (BTreeSet::new(), BTreeSet::from([wait.pid]));
    let mut open: Vec<i32> = wait.blockers.clone();
    while let Some(pid) = open.pop() {
        if !seen.insert(pid) {
            continue;
        }
        match snapshot.lock_waits.iter().find(|one| one.pid == pid) {
            Some(further) => open.extend(&further.blockers),
            None => drop(roots.insert(pid)),
        }
    }
    roots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, look, session, snapshot};

    fn wait(pid: i32, blockers: &[i32], waiting_s: f64) -> LockWait {
        LockWait {
            pid,
            blockers: blockers.to_vec(),
            mode: "AccessShareLock".to_owned(),
            kind: "relation".to_owned(),
            relation: Some("public.jobs".to_owned()),
            waiting_s,
        }
    }

    #[test]
    fn fires_and_near_misses() {
        let rows: &[(&str, Vec<LockWait>, &[&str])] = &[
            ("one", vec![wait(2, &[1], 5.0)], &["pid 1"]),
            (
                "a queue has one head",
                vec![
                    wait(2, &[1], 5.0),
                    wait(3, &[2], 4.0),
                    wait(4, &[2, 1], 1.0),
                ],
                &["pid 1"],
            ),
            (
                "two heads",
                vec![wait(2, &[1], 5.0), wait(4, &[3], 2.0)],
                &["pid 1", "pid 3"],
            ),
            ("passing", vec![wait(2, &[1], 0.9)], &[]),
            (
                "a circle, which Postgres breaks",
                vec![wait(1, &[2], 5.0), wait(2, &[1], 5.0)],
                &[],
            ),
            ("nobody", vec![], &[]),
        ];
        for (what, waits, expected) in rows {
            let mut snapshot = snapshot();
            snapshot.lock_waits.clone_from(waits);
            check(&RULE, what, &snapshot, expected);
        }
    }

    #[test]
    fn both_sides_are_named() {
        let mut snapshot = snapshot();
        snapshot.sessions = vec![
            session(1, SessionState::IdleInTransaction, 9.0),
            session(2, SessionState::Active, 5.0),
        ];
        snapshot.lock_waits = vec![wait(2, &[1], 5.0)];
        let finding = &look(&RULE, &snapshot)[0];
        assert_eq!(
            finding.title,
            "Session 1 (worker, role app) makes 1 session wait for a lock on public.jobs, the longest for 5.00 s."
        );
        assert_eq!(finding.time_lost_ms, 5_000.0);
        assert_eq!(
            finding.remedy.statement.as_deref(),
            Some("SELECT pg_terminate_backend(1)")
        );
    }
}
