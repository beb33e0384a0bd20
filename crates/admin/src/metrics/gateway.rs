//! The HTTP half as a whole.

use std::fmt;

use paceline_gateway::Stats;

use super::sheet::{Labels, Sheet, family};

pub(super) fn write(sheet: &mut Sheet<'_>, stats: &Stats) -> fmt::Result {
    let one = |value: u64| [(Labels::new(), value as f64)];
    let upstream = &stats.upstream;
    for (name, help, value) in [
        (
            "paceline_gateway_clients",
            "Client connections open",
            stats.clients_open,
        ),
        (
            "paceline_gateway_requests_in_flight",
            "Requests whose answer is not complete",
            stats.requests_in_flight,
        ),
        (
            "paceline_upstream_connections",
            "Connections to the application",
            upstream.connections_open,
        ),
    ] {
        sheet.gauges(&family(name, help), one(value))?;
    }
    for (name, help, value) in [
        (
            "paceline_gateway_clients_accepted",
            "Client connections accepted",
            stats.clients_total,
        ),
        (
            "paceline_gateway_clients_refused",
            "Client connections refused because there were too many",
            stats.clients_refused_total,
        ),
        (
            "paceline_gateway_requests_refused",
            "Requests that the gateway answered itself, with a problem",
            stats.requests_refused_total,
        ),
        (
            "paceline_upstream_connects",
            "Connections opened to the application",
            upstream.connections_total,
        ),
        (
            "paceline_upstream_retries",
            "Requests sent again because their connection had just been closed",
            upstream.retries_total,
        ),
    ] {
        sheet.counters(&family(name, help), one(value))?;
    }
    let reachable = upstream
        .reachable
        .map(|reachable| (Labels::new(), f64::from(u8::from(reachable))));
    let help = "1 when the latest connection to the application succeeded, else 0";
    sheet.gauges(&family("paceline_upstream_reachable", help), reachable)
}
