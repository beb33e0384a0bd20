//! A session that does nothing with a transaction open: it keeps its locks, and dead rows, and a connection.

use paceline_catalogue::{Session, SessionState, Snapshot};

use super::{named, statement};
use crate::finding::{Effort, Finding, Gain, Severity, Subject, SubjectKind};
use crate::rule::{Check, Rule};
use crate::rules::{MINUTE_S, age};

pub(super) const RULE: Rule = Rule {
    name: "idle-in-transaction",
    about: "A session does nothing with a transaction open: it keeps locks, dead rows and a connection.",
    check: Check::Database(findings),
};

/// A request that thinks within a transaction takes milliseconds; after so long, somebody has forgotten to end it.
const IDLE_MIN_S: f64 = 10.0;
const IDLE_HIGH_S: f64 = 5.0 * MINUTE_S;

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    let sessions = snapshot.sessions.iter();
    sessions.filter_map(|one| finding(snapshot, one)).collect()
}

fn finding(snapshot: &Snapshot, session: &Session) -> Option<Finding> {
    if session.state != SessionState::IdleInTransaction || session.state_age_s < IDLE_MIN_S {
        return None;
    }
    let blocked = snapshot
        .lock_waits
        .iter()
        .filter(|wait| wait.blockers.contains(&session.pid))
        .count();
    let severity = if session.state_age_s >= IDLE_HIGH_S || blocked > 0 {
        Severity::High
    } else {
        Severity::Medium
    };
    let idle = age(session.state_age_s);
    let title = format!(
        "{} has been idle in a transaction for {idle}.",
        named(session)
    );
    let subject = Subject::new(SubjectKind::Session, format!("pid {}", session.pid));
    let finding = Finding::new(RULE.name, subject, severity, title)
        .fact("pid", session.pid)
        .fact("role", session.user.as_str())
        .fact("application", session.application.as_str())
        .fact("idle_s", session.state_age_s)
        .fact("transaction_age_s", session.transaction_age_s)
        .fact("last_statement", session.statement.as_str())
        .fact("sessions_blocked", blocked)
        .detail("Last", statement(session))
        .detail("Keeps", format!("a connection, its locks ({blocked} sessions wait for one), and the rows that have died since"))
        .remedy(Effort::Small, "End the transaction on every path of the code, also when it fails, and keep calls to others out of it. idle_in_transaction_session_timeout ends those that are forgotten. To end this one:")
        .statement(format!("SELECT pg_terminate_backend({})", session.pid))
        .gain(Gain::text("locks and dead rows are not kept longer than the work takes"));
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
            ("for ten seconds", IdleInTransaction, 10.0, true),
            ("for nine seconds", IdleInTransaction, 9.0, false),
            ("no transaction", Idle, 9_000.0, false),
            ("at work", Active, 9_000.0, false),
        ];
        for (what, state, age_s, fires) in rows {
            let mut snapshot = snapshot();
            snapshot.sessions = vec![session(7, state, age_s)];
            let expected: &[&str] = if fires { &["pid 7"] } else { &[] };
            check(&RULE, what, &snapshot, expected);
        }
    }
}
