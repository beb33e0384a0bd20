//! A transaction that has been open for long: what has died since its start cannot be removed, in any table.

use paceline_catalogue::{Session, SessionState, Snapshot};

use super::{named, statement};
use crate::finding::{Effort, Finding, Gain, Severity, Subject, SubjectKind};
use crate::rule::{Check, Rule};
use crate::rules::{HOUR_S, MINUTE_S, age};

pub(super) const RULE: Rule = Rule {
    name: "long-transaction",
    about: "A transaction has been open for long: rows that have died since cannot be removed, in any table.",
    check: Check::Database(findings),
};

/// Autovacuum looks at each table once a minute; what is open for some of its rounds makes it come in vain.
const AGE_MIN_S: f64 = 5.0 * MINUTE_S;
const AGE_HIGH_S: f64 = HOUR_S;

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    snapshot.sessions.iter().filter_map(finding).collect()
}

fn finding(session: &Session) -> Option<Finding> {
    let open_s = session.transaction_age_s?;
    // Those that do nothing are the other rule's; those that hold no snapshot keep nothing.
    if session.state == SessionState::IdleInTransaction
        || !session.holds_snapshot
        || open_s < AGE_MIN_S
    {
        return None;
    }
    let severity = if open_s >= AGE_HIGH_S {
        Severity::High
    } else {
        Severity::Medium
    };
    let title = format!(
        "{} has had a transaction open for {}.",
        named(session),
        age(open_s)
    );
    let subject = Subject::new(SubjectKind::Session, format!("pid {}", session.pid));
    let finding = Finding::new(RULE.name, subject, severity, title)
        .fact("pid", session.pid)
        .fact("role", session.user.as_str())
        .fact("application", session.application.as_str())
        .fact("transaction_age_s", open_s)
        .fact("statement_age_s", session.statement_age_s)
        .fact("statement", session.statement.as_str())
        .detail("Runs", statement(session))
        .remedy(Effort::Medium, "Cut the work into parts that commit, or run reports on a replica; statement_timeout bounds a single statement. To cancel this one:")
        .statement(format!("SELECT pg_cancel_backend({})", session.pid))
        .gain(Gain::text("VACUUM can remove what has died meanwhile"));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, session, snapshot};

    #[test]
    fn fires_and_near_misses() {
        use SessionState::{Active, Idle, IdleInTransaction};
        let rows = [
            ("for five minutes", Active, Some(300.0), true, true),
            ("for four minutes", Active, Some(240.0), true, false),
            ("without a snapshot", Active, Some(9_000.0), false, false),
            ("no transaction", Idle, None, false, false),
            (
                "idle, which is another rule's",
                IdleInTransaction,
                Some(9_000.0),
                true,
                false,
            ),
        ];
        for (what, state, open_s, holds_snapshot, fires) in rows {
            let mut snapshot = snapshot();
            let session = session(7, state, 1.0);
            snapshot.sessions = vec![Session {
                transaction_age_s: open_s,
                holds_snapshot,
                ..session
            }];
            let expected: &[&str] = if fires { &["pid 7"] } else { &[] };
            check(&RULE, what, &snapshot, expected);
        }
    }
}
