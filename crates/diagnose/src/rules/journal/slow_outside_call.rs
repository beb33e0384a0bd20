//! Slow outside call: most of a route's time is neither in the database nor in a queue for it.
//!
//! What is left is the application's own work and what it calls: mail, payment, files, CPU. From outside they look alike, so
//! the finding names them all; it is certain only that the database is not to blame.

use std::time::Duration;

use paceline_journal::{Journal, RouteSnapshot};

use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::{count, figure};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "slow-outside-call",
    about: "A route spends most of its time outside the database: in a call to others, or in work that could be done later.",
    check: Check::Journal(findings),
};

const REQUESTS_MIN: u64 = 10;
/// Less than that is what applications take.
const PER_REQUEST_MIN: Duration = Duration::from_millis(40);
/// From here on users wait for it alone.
const PER_REQUEST_HIGH: Duration = Duration::from_millis(500);
const SHARE_MIN: f64 = 0.5;
/// Of the database's time so much must be known to be this route's.
const EXACT_SHARE_MIN: f64 = 0.8;

fn findings(journal: &Journal) -> Vec<Finding> {
    journal.routes().iter().filter_map(finding).collect()
}

fn finding(route: &RouteSnapshot) -> Option<Finding> {
    let requests = route.upstream.count();
    let (all, database) = (route.upstream.sum(), route.database_time);
    let outside = all.saturating_sub(database);
    if requests < REQUESTS_MIN || route.exact_share() < EXACT_SHARE_MIN {
        return None;
    }
    let per_request = outside.div_f64(requests as f64);
    let share = outside.as_secs_f64() / all.as_secs_f64().max(f64::MIN_POSITIVE);
    if per_request < PER_REQUEST_MIN || share < SHARE_MIN {
        return None;
    }
    let severity = if per_request >= PER_REQUEST_HIGH {
        Severity::High
    } else {
        Severity::Medium
    };
    let per_request_ms = per_request.as_secs_f64() * 1_000.0;
    let name = &route.route;
    let title = format!(
        "{name} spends {} ms per request outside the database, {:.0} % of the application's time.",
        figure(per_request_ms),
        share * 100.0
    );
    let (method, _) = route.method_and_template();
    let remedy = if matches!(method, "GET" | "HEAD") {
        "Find out what it waits for: calls to other services (run those that do not depend on each other side by side, \
         cache answers, set a time-out), or CPU (a large answer to build, a hash, a template). `paceline explain` shows \
         where in a request no statement runs."
    } else {
        "Find out what it waits for. What the client need not wait for (mail, documents, calls to other services) can be \
         a background job: store it in the same transaction and answer with 202. Password hashing and the like belong on \
         threads of their own. `paceline explain` shows where in a request no statement runs."
    };
    let seen = format!(
        "in {} requests; {} ms per request in the database",
        count(requests),
        figure(database.as_secs_f64() * 1_000.0 / requests as f64)
    );
    Some(
        Finding::new(RULE.name, Subject::route(&**name), severity, title)
            .fact("requests", requests)
            .fact("outside_per_request_ms", per_request_ms)
            .fact("outside_share", share)
            .fact("exact_share", route.exact_share())
            .detail("Seen", seen)
            .remedy(Effort::Medium, remedy)
            .gain(Gain::text(format!(
                "up to {} ms per request",
                figure(per_request_ms)
            ))),
    )
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Request, Scene};
    use super::*;

    const TEXT: &str = "SELECT a FROM t WHERE id = $1";

    fn found(count: usize, request: &Request) -> Vec<Finding> {
        let mut scene = Scene::new();
        (0..count).for_each(|_| scene.request(request));
        findings(&scene.journal)
    }

    #[test]
    fn time_that_is_not_the_databases_is_found() {
        let found_one = found(10, &Request::post("/orders").runs(TEXT, 5).works_ms(60));
        let [finding] = &found_one[..] else {
            panic!("{found_one:?}");
        };
        assert_eq!(finding.severity, Severity::Medium);
        assert!(finding.remedy.text.contains("background job"));
        let slow = found(10, &Request::get("/report").works_ms(600));
        assert_eq!(slow[0].severity, Severity::High);
        assert!(!slow[0].remedy.text.contains("background job"));
        for (count, request) in [
            (9, Request::get("/a").works_ms(60)),
            (10, Request::get("/a").runs(TEXT, 5).works_ms(30)),
            (10, Request::get("/a").runs(TEXT, 70).works_ms(60)),
            (10, Request::get("/a").runs(TEXT, 600)),
        ] {
            assert_eq!(found(count, &request), [], "{request:?}");
        }
    }

    #[test]
    fn where_the_databases_time_is_a_guess_nothing_is_said() {
        let request = Request::get("/a").runs(TEXT, 50).works_ms(60);
        assert_eq!(found(10, &request).len(), 1);
        assert_eq!(found(10, &request.shared()), []);
    }
}
