//! Thresholds as k6 spells them: `http_req_duration: p(95)<200`.
//!
//! <https://grafana.com/docs/k6/latest/using-k6/thresholds/>

use super::metric::Metric;

/// The metrics of k6 that have a meaning here, with what can be asked of each.
const METRICS: [(&str, &str); 4] = [
    ("http_req_duration", "avg, min, med, max, p(N)"),
    ("http_req_failed", "rate"),
    ("http_reqs", "count, rate"),
    ("dropped_iterations", "count, rate"),
];

/// A metric of k6 with a route, and what is said of it.
pub(super) struct Parts<'t> {
    metric: &'t str,
    pub(super) route: Option<String>,
    pub(super) expression: &'t str,
}

/// `METRIC[{name:ROUTE}]: EXPRESSION`. `None` when it is no spelling of k6's.
pub(super) fn split(text: &str) -> Option<Result<Parts<'_>, String>> {
    let text = text.trim();
    let (metric, rest) = text.split_at(text.find([':', '{', ' ']).unwrap_or(text.len()));
    if !METRICS.iter().any(|(known, _)| *known == metric) {
        return None;
    }
    Some(parts(metric, rest.trim_start()))
}

fn parts<'t>(metric: &'t str, rest: &'t str) -> Result<Parts<'t>, String> {
    let mut route = None;
    let mut rest = rest;
    if let Some(inside) = rest.strip_prefix('{') {
        // A route's name may hold braces itself: `GET /jobs/{id}`.
        let (tag, after) = inside
            .rsplit_once('}')
            .ok_or("the tag's closing brace is missing")?;
        let (key, name) = tag.split_once(':').unwrap_or((tag, ""));
        if key.trim() != "name" {
            return Err(format!(
                "of tags only the route's name is known: {metric}{{name:ROUTE}}"
            ));
        }
        route = Some(name.trim().to_owned());
        rest = after.trim_start();
    }
    let expression = rest.strip_prefix(':').ok_or_else(|| {
        format!(
            "a colon is missing; write for example {metric}: {}",
            example(metric)
        )
    })?;
    Ok(Parts {
        metric,
        route,
        expression,
    })
}

impl Parts<'_> {
    /// What an aggregation such as `p(95)` or `rate` means.
    pub(super) fn metric(&self, aggregation: &str) -> Result<Metric, String> {
        let found = match (self.metric, aggregation) {
            ("http_req_duration", "avg") => Some(Metric::Mean),
            ("http_req_duration", "min") => Some(Metric::Min),
            ("http_req_duration", "med") => Some(Metric::Quantile(0.5)),
            ("http_req_duration", "max") => Some(Metric::Quantile(1.0)),
            ("http_req_duration", other) => other
                .strip_prefix("p(")
                .and_then(|rest| Metric::percentile(rest.strip_suffix(')')?.trim())),
            ("http_req_failed", "rate") => Some(Metric::ErrorRate),
            ("http_reqs", "count") => Some(Metric::Sent),
            ("http_reqs", "rate") => Some(Metric::SentPerSecond),
            ("dropped_iterations", "count") => Some(Metric::Dropped),
            ("dropped_iterations", "rate") => Some(Metric::DroppedPerSecond),
            _ => None,
        };
        found.ok_or_else(|| {
            let known = METRICS.iter().find(|(name, _)| *name == self.metric);
            format!(
                "{} has no \"{aggregation}\"; it has {}",
                self.metric,
                known.map_or("", |(_, aggregations)| *aggregations)
            )
        })
    }
}

fn example(metric: &str) -> &'static str {
    match metric {
        "http_req_duration" => "p(95)<200",
        "http_req_failed" => "rate<0.01",
        "http_reqs" => "rate>100",
        _ => "count==0",
    }
}
