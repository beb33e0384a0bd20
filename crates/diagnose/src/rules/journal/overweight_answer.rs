//! Overweight answer: a route's answers are so large that the network, not the server, decides how long they take.

use paceline_journal::{Journal, RouteSnapshot};

use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::{bytes, count};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "overweight-answer",
    about: "A route's answers are very large.",
    check: Check::Journal(findings),
};

const REQUESTS_MIN: u64 = 10;
/// Half a megabyte takes 0.4 s at 10 Mbit/s.
const BYTES_MIN: u64 = 500 * 1024;
const BYTES_HIGH: u64 = 5 * 1024 * 1024;

fn findings(journal: &Journal) -> Vec<Finding> {
    journal.routes().iter().filter_map(finding).collect()
}

fn finding(route: &RouteSnapshot) -> Option<Finding> {
    let each = route.response_bytes / route.requests.max(1);
    if route.requests < REQUESTS_MIN || each < BYTES_MIN {
        return None;
    }
    let severity = if each >= BYTES_HIGH {
        Severity::High
    } else {
        Severity::Medium
    };
    let name = &route.route;
    let title = format!("{name} answers with {} on average.", bytes(each));
    let seen = format!(
        "{} requests, {} in all",
        count(route.requests),
        bytes(route.response_bytes)
    );
    Some(
        Finding::new(RULE.name, Subject::route(&**name), severity, title)
            .fact("requests", route.requests)
            .fact("response_bytes_per_request", each)
            .detail("Seen", seen)
            .remedy(
                Effort::Medium,
                "Send less: a page instead of everything, the fields that clients show instead of all, no fields without a \
                 value. What must be large is sent compressed and as a stream.",
            )
            .gain(Gain::text(format!("up to {} per answer", bytes(each)))),
    )
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Request, Scene};
    use super::*;

    fn found(requests: usize, size: u64) -> Vec<Finding> {
        let mut scene = Scene::new();
        (0..requests).for_each(|_| scene.request(&Request::get("/a").sends(size)));
        findings(&scene.journal)
    }

    #[test]
    fn large_answers_are_found() {
        assert_eq!(found(10, BYTES_MIN)[0].severity, Severity::Medium);
        assert_eq!(found(10, BYTES_HIGH)[0].severity, Severity::High);
        for (requests, size) in [(9, BYTES_MIN), (10, BYTES_MIN - 1)] {
            assert_eq!(found(requests, size), [], "{requests} of {size}");
        }
    }
}
