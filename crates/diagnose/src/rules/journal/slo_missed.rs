//! SLO missed: a route's p95 is above the target that the field sets itself.

use paceline_journal::{Journal, RouteSnapshot};

use crate::finding::{Effort, Finding, Gain, Severity, Subject};
use crate::render::units::{count, figure, time};
use crate::rule::{Check, Rule};

pub(super) const RULE: Rule = Rule {
    name: "slo-missed",
    about: "A route's answers take longer than users of an API put up with.",
    check: Check::Journal(findings),
};

/// A 95th percentile of fewer says little.
const REQUESTS_MIN: u64 = 100;
/// The usual target for an API.
const P95_MS_MAX: f64 = 200.0;
/// From here on it is critical.
const P95_MS_HIGH: f64 = 500.0;

fn findings(journal: &Journal) -> Vec<Finding> {
    journal.routes().iter().filter_map(finding).collect()
}

fn finding(route: &RouteSnapshot) -> Option<Finding> {
    // To the first byte: a stream or a download ends when its client likes.
    let requests = route.first_byte.count();
    let quantile = |at: f64| Some(route.first_byte.quantile(at)?.as_secs_f64() * 1_000.0);
    let (p50, p95, p99) = (quantile(0.5)?, quantile(0.95)?, quantile(0.99)?);
    if requests < REQUESTS_MIN || p95 <= P95_MS_MAX {
        return None;
    }
    let severity = if p95 > P95_MS_HIGH {
        Severity::High
    } else {
        Severity::Medium
    };
    let all_ms = route.latency.sum().as_secs_f64() * 1_000.0;
    let database_ms = route.database_time.as_secs_f64() * 1_000.0;
    let share = (database_ms / all_ms.max(f64::MIN_POSITIVE)).min(1.0);
    let name = &route.route;
    let title = format!(
        "{name} takes {} ms at p95; the target is {P95_MS_MAX:.0} ms.",
        figure(p95)
    );
    let seen = format!(
        "{} requests: p50 {} ms, p95 {} ms, p99 {} ms; {:.0} % of {} in the database",
        count(requests),
        figure(p50),
        figure(p95),
        figure(p99),
        share * 100.0,
        time(all_ms)
    );
    Some(
        Finding::new(RULE.name, Subject::route(&**name), severity, title)
            .fact("requests", requests)
            .fact("p50_ms", p50)
            .fact("p95_ms", p95)
            .fact("p99_ms", p99)
            .fact("database_share", share)
            .detail("Seen", seen)
            .remedy(
                Effort::Medium,
                "See what else is found for this route, and where its slowest request spends its time: `paceline explain \
                 --slowest --route '…'`.",
            )
            .gain(Gain::text(format!("{} ms at p95", figure(p95 - P95_MS_MAX)))),
    )
}

#[cfg(test)]
mod tests {
    use super::super::scene::{Request, Scene};
    use super::*;

    /// Of a hundred requests so many take this long.
    fn found(requests: usize, slow: usize, slow_ms: u64) -> Vec<Finding> {
        let mut scene = Scene::new();
        (slow..requests).for_each(|_| scene.request(&Request::get("/a").works_ms(10)));
        (0..slow).for_each(|_| scene.request(&Request::get("/a").works_ms(slow_ms)));
        findings(&scene.journal)
    }

    #[test]
    fn a_slow_route_is_found() {
        assert_eq!(found(100, 10, 250)[0].severity, Severity::Medium);
        assert_eq!(found(100, 10, 600)[0].severity, Severity::High);
        for (requests, slow, slow_ms) in [(99, 10, 600), (100, 4, 600), (100, 10, 190)] {
            assert_eq!(found(requests, slow, slow_ms), [], "{slow} of {requests}");
        }
    }
}
