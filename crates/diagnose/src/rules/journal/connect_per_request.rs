//! Connect per request: the application opens a database connection for each request, and uses no connection twice.
//!
//! Seen from the connections on which the recent requests' statements ran. A pool of a hundred connections looks the same to
//! the first hundred requests; so many more are looked at, and nearly all must have had a connection of their own.

use std::collections::HashMap;

use paceline_journal::{ConnectionId, Journal};

use crate::finding::{Effort, Finding, Gain, Severity, Subject, SubjectKind};
use crate::render::units::{count, figure};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "connect-per-request",
    about: "The application opens a new database connection for each request.",
    check: Check::Journal(findings),
};

/// More than pools of applications have connections.
const REQUESTS_MIN: usize = 150;
/// The part of the requests that had a connection of their own, which no other request used.
const OWN_SHARE_MIN: f64 = 0.9;

fn findings(journal: &Journal) -> Vec<Finding> {
    let mut requests_of: HashMap<ConnectionId, usize> = HashMap::new();
    let (mut requests, mut waits_ms) = (Vec::new(), Vec::new());
    for summary in journal.recent() {
        let Some(request) = journal.request(&summary.id) else {
            continue;
        };
        let mut exact = request.statements.iter();
        let mut used: Vec<_> = exact
            .by_ref()
            .filter(|statement| statement.attribution.is_exact())
            .map(|statement| statement.connection)
            .collect();
        used.sort_unstable();
        used.dedup();
        if used.is_empty() {
            continue;
        }
        let first = request.statements.iter().map(|statement| statement.offset);
        waits_ms.extend(first.min().map(|first| first.as_secs_f64() * 1_000.0));
        used.iter()
            .for_each(|connection| *requests_of.entry(*connection).or_default() += 1);
        requests.push(used);
    }
    let is_own = |used: &&Vec<ConnectionId>| used.iter().all(|used| requests_of[used] == 1);
    let (all, own) = (requests.len(), requests.iter().filter(is_own).count());
    if all < REQUESTS_MIN || (own as f64) < OWN_SHARE_MIN * all as f64 {
        return Vec::new();
    }
    waits_ms.sort_by(f64::total_cmp);
    let wait_ms = waits_ms[waits_ms.len() / 2];
    vec![finding(all, own, requests_of.len(), wait_ms)]
}

fn finding(all: usize, own: usize, connections: usize, wait_ms: f64) -> Finding {
    let title = format!(
        "{} of the last {} requests opened a database connection of their own.",
        count(own as u64),
        count(all as u64)
    );
    let seen = format!(
        "{} connections for {} requests; half of these were under way for {} ms or more before their first statement",
        count(connections as u64),
        count(all as u64),
        figure(wait_ms)
    );
    let subject = Subject::new(SubjectKind::Process, "the application");
    Finding::new(RULE.name, subject, Severity::High, title)
        .fact("requests", all)
        .fact("requests_with_own_connection", own)
        .fact("connections", connections)
        .fact("before_first_statement_p50_ms", wait_ms)
        .detail("Seen", seen)
        .remedy(
            Effort::Small,
            "Let the application keep a pool and give connections back to it (`max_idle`, `pool_size`; not NullPool or \
             a connect per handler). Behind Paceline in fix mode such a connect costs no \
             new session at the server.",
        )
        .gain(Gain::text(
            "the server's part of each connect: a process, authentication, cold caches",
        ))
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Request, Scene};
    use super::*;

    const TEXT: &str = "SELECT a FROM t WHERE id = $1";

    /// So many requests, the n-th one on this connection.
    fn found(count: u64, connection: fn(u64) -> u64) -> usize {
        let mut scene = Scene::new();
        for number in 0..count {
            scene.on(connection(number));
            scene.request(&Request::get("/a").runs(TEXT, 1));
        }
        findings(&scene.journal).len()
    }

    #[test]
    fn a_connection_for_each_request_is_found_and_a_pool_is_not() {
        assert_eq!(found(200, |number| number), 1);
        // Some keep theirs.
        assert_eq!(
            found(200, |number| if number % 50 == 0 { 1_000 } else { number }),
            1
        );
        for (count, connection) in [
            (100, (|number| number) as fn(u64) -> u64),
            (1_000, |number| number % 100),
            (200, |number| number / 2),
            (200, |number| if number % 5 == 0 { 1_000 } else { number }),
            (200, |_| 1),
        ] {
            assert_eq!(found(count, connection), 0);
        }
    }

    #[test]
    fn requests_without_statements_say_nothing() {
        let mut scene = Scene::new();
        for _ in 0..200 {
            scene.request(&Request::get("/a"));
        }
        assert_eq!(findings(&scene.journal), []);
    }
}
