//! What the rules on time outside the database have in common: how much there is, and how it is told.
//!
//! It is the application's time (from the connection to it being ready to the first byte) without the database's. What is left
//! is its own work and what it calls; from outside they look alike.

use std::time::Duration;

use paceline_journal::RouteSnapshot;

use crate::finding::{Finding, Gain, Severity, Subject};
use crate::render::units::{count, figure};

const REQUESTS_MIN: u64 = 10;
/// Less than that is what applications take.
const PER_REQUEST_MIN: Duration = Duration::from_millis(40);
/// From here on users wait for it alone.
const PER_REQUEST_HIGH: Duration = Duration::from_millis(500);
const SHARE_MIN: f64 = 0.5;
/// Of the database's time so much must be known to be this route's.
const EXACT_SHARE_MIN: f64 = 0.8;

/// Whether a request of the route changes nothing.
pub(super) fn only_reads(route: &RouteSnapshot) -> bool {
    let (method, _) = route.method_and_template();
    matches!(method, "GET" | "HEAD")
}

/// The finding that most of the route's time is spent outside the database, if it is, but for its remedy.
pub(super) fn finding(rule: &str, route: &RouteSnapshot) -> Option<Finding> {
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
    let seen = format!(
        "in {} requests; {} ms per request in the database",
        count(requests),
        figure(database.as_secs_f64() * 1_000.0 / requests as f64)
    );
    Some(
        Finding::new(rule, Subject::route(&**name), severity, title)
            .fact("requests", requests)
            .fact("outside_per_request_ms", per_request_ms)
            .fact("outside_share", share)
            .fact("exact_share", route.exact_share())
            .detail("Seen", seen)
            .gain(Gain::text(format!(
                "up to {} ms per request",
                figure(per_request_ms)
            ))),
    )
}
