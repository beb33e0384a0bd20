//! The server has hardly any connections left: the next client is refused.

use paceline_catalogue::Snapshot;

use crate::finding::{Effort, Finding, Gain, Severity, Subject, SubjectKind};
use crate::render::units::percent;
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "connections-near-limit",
    about: "The server has hardly any connections left: the next clients are refused.",
    check: Check::Database(findings),
};

/// A new release of an application beside the old one, or a restarting pool, takes a fifth at once.
const USED_MIN: f64 = 0.8;
const USED_HIGH: f64 = 0.95;

fn findings(snapshot: &Snapshot) -> Vec<Finding> {
    finding(snapshot).into_iter().collect()
}

fn finding(snapshot: &Snapshot) -> Option<Finding> {
    let used = snapshot.server.sessions?;
    let reserved = ["superuser_reserved_connections", "reserved_connections"];
    let reserved: f64 = reserved
        .iter()
        .filter_map(|name| snapshot.setting(name))
        .sum();
    let limit = snapshot.setting("max_connections")? - reserved;
    let share = used as f64 / limit.max(1.0);
    if share < USED_MIN {
        return None;
    }
    let severity = if share >= USED_HIGH {
        Severity::High
    } else {
        Severity::Medium
    };
    let title =
        format!("{used} of the {limit:.0} connections that the server gives to clients are taken.");
    let finding = Finding::new(RULE.name, Subject::new(SubjectKind::Server, "connections"), severity, title)
        .fact("connections", used)
        .fact("connections_max", limit)
        .fact("used_share", share)
        .detail("Seen", format!("{} of max_connections without those that are reserved", percent(share)))
        .remedy(Effort::Small, "Share server connections among clients: `paceline run` pools them, a few for each core are enough. Raising max_connections costs memory, and makes the server slower under load.")
        .gain(Gain::text("clients are not refused when a few more come"));
    Some(finding)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{check, snapshot};

    #[test]
    fn fires_and_near_misses() {
        let rows = [
            ("80 % of 97", Some(78), true),
            ("79 %", Some(77), false),
            ("hidden", None, false),
        ];
        for (what, sessions, fires) in rows {
            let mut snapshot = snapshot();
            snapshot.server.sessions = sessions;
            let expected: &[&str] = if fires { &["connections"] } else { &[] };
            check(&RULE, what, &snapshot, expected);
        }
    }
}
