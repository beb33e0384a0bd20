//! Errors: a route answers with 5xx, or not at all, grouped by cause, with the newest example.

use std::fmt::Write as _;

use paceline_journal::{Journal, LoadError, RouteSnapshot};

use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::{count, figure};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "errors",
    about: "A route fails: it answers with 5xx, or not at all.",
    check: Check::Journal(findings),
};

/// One may be a deployment.
const ERRORS_MIN: u64 = 3;
/// The target that services set themselves: 99.9 % answered.
const RATE_MIN: f64 = 0.001;
/// From here on it is critical.
const RATE_HIGH: f64 = 0.01;

fn findings(journal: &Journal) -> Vec<Finding> {
    let routes = journal.routes();
    let failing = routes.iter().filter(|route| route.errors >= ERRORS_MIN);
    failing
        .filter_map(|route| finding(journal, route))
        .collect()
}

fn finding(journal: &Journal, route: &RouteSnapshot) -> Option<Finding> {
    let rate = route.errors as f64 / route.requests.max(1) as f64;
    if rate < RATE_MIN {
        return None;
    }
    let severity = if rate >= RATE_HIGH {
        Severity::High
    } else {
        Severity::Medium
    };
    let name = &route.route;
    let title = format!(
        "{name} failed {} of {} times ({} %).",
        count(route.errors),
        count(route.requests),
        figure(rate * 100.0)
    );
    let mut finding = Finding::new(RULE.name, Subject::route(&**name), severity, title)
        .fact("requests", route.requests)
        .fact("errors", route.errors)
        .fact("error_rate", rate)
        .fact("answered_5xx", route.status_classes[5])
        .detail("Causes", causes(route))
        .remedy(
            Effort::Medium,
            "Look at the newest one (`paceline explain`): the statement that failed in it, if one did, with its SQLSTATE; \
             else at the application's log of that moment.",
        )
        .gain(Gain::text(format!("{} answers", count(route.errors))));
    if let Some(example) = newest(journal, name) {
        finding = finding
            .fact("example_request", &*example)
            .detail("Example", format!("request {example}"));
    }
    Some(finding)
}

fn causes(route: &RouteSnapshot) -> String {
    let mut text = String::new();
    let answered = ("answered with 5xx", route.status_classes[5]);
    let kinds = LoadError::ALL.into_iter().filter(|kind| {
        use LoadError::{ClientGone, RequestBroken};
        !matches!(kind, ClientGone | RequestBroken)
    });
    let kinds = kinds.map(|kind| (kind.as_str(), route.errors_of(kind)));
    for (cause, count) in [answered].into_iter().chain(kinds) {
        if count > 0 {
            let separator = if text.is_empty() { "" } else { ", " };
            let _ = write!(text, "{separator}{cause}: {count}");
        }
    }
    text
}

fn newest(journal: &Journal, route: &str) -> Option<String> {
    let is_failed = |status: Option<u16>, error: Option<LoadError>| {
        use LoadError::{ClientGone, RequestBroken};
        status.is_some_and(|status| status >= 500)
            || error.is_some_and(|error| !matches!(error, ClientGone | RequestBroken))
    };
    let recent = journal.recent();
    let failed = recent
        .iter()
        .find(|request| *request.route == *route && is_failed(request.status, request.error));
    failed.map(|request| request.id.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Request, Scene};
    use super::*;

    /// Of so many requests so many fail like this one.
    fn found(count: usize, failed: usize, request: &Request) -> Vec<Finding> {
        let mut scene = Scene::new();
        (failed..count).for_each(|_| scene.request(&Request::get("/a")));
        (0..failed).for_each(|_| scene.request(request));
        findings(&scene.journal)
    }

    #[test]
    fn failures_are_found_with_cause_and_example() {
        let broken = Request::get("/a").answers(500);
        let found_one = found(100, 3, &broken);
        let [finding] = &found_one[..] else {
            panic!("{found_one:?}");
        };
        assert_eq!(finding.severity, Severity::High);
        assert_eq!(finding.details[0].text, "answered with 5xx: 3");
        assert!(finding.evidence.text("example_request").is_some());
        assert_eq!(found(1_000, 3, &broken)[0].severity, Severity::Medium);
        let unreachable = Request::get("/a").fails(LoadError::Unreachable);
        assert_eq!(
            found(100, 5, &unreachable)[0].details[0].text,
            "unreachable: 5"
        );
        for (count, failed, request) in [
            (100, 2, &broken),
            (4_000, 3, &broken),
            (100, 20, &Request::get("/a").answers(404)),
            (100, 20, &Request::get("/a").fails(LoadError::ClientGone)),
        ] {
            assert_eq!(found(count, failed, request), [], "{request:?}");
        }
    }
}
