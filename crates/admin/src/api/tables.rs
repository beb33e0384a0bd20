//! Routes, shapes and pools.

use std::collections::BTreeMap;

use paceline_journal::{LoadError, RouteSnapshot, ShapeSnapshot};
use paceline_pgproxy::PoolSnapshot;
use paceline_sql::Kind;
use serde::Serialize;

use super::time::{Percentiles, ms};

/// The longest text of a statement that is shown; generated ones can have megabytes.
const TEXT_BYTES_MAX: usize = 8 * 1024;

#[derive(Serialize)]
pub(super) struct Route {
    route: String,
    /// Whether its template comes from the configuration.
    configured: bool,
    requests: u64,
    errors: u64,
    error_rate: f64,
    /// Answers by class, `2xx`; without an answer, `none`.
    statuses: BTreeMap<&'static str, u64>,
    /// Failures on the way, by kind.
    failures: BTreeMap<&'static str, u64>,
    latency_ms: Percentiles,
    first_byte_ms: Percentiles,
    upstream_ms: Percentiles,
    response_bytes: u64,
    database_ms_total: f64,
    /// Of the request's time, the part in the database, 0 to 1; above it where statements run side by side.
    database_share: Option<f64>,
    /// Of the database time, the part that is attributed exactly, 0 to 1.
    exact_share: f64,
    statements: u64,
    statements_shared: f64,
    statements_per_request: f64,
}

impl Route {
    pub(super) fn of(route: &RouteSnapshot) -> Self {
        let classes = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"]
            .into_iter()
            .zip(route.status_classes);
        let failures = LoadError::ALL.map(|error| (error.as_str(), route.errors_of(error)));
        let latency_s = route.latency.sum().as_secs_f64();
        Self {
            route: route.route.to_string(),
            configured: route.configured,
            requests: route.requests,
            errors: route.errors,
            error_rate: route.errors as f64 / route.requests.max(1) as f64,
            statuses: classes.filter(|(_, count)| *count > 0).collect(),
            failures: failures
                .into_iter()
                .filter(|(_, count)| *count > 0)
                .collect(),
            latency_ms: Percentiles::of(&route.latency),
            first_byte_ms: Percentiles::of(&route.first_byte),
            upstream_ms: Percentiles::of(&route.upstream),
            response_bytes: route.response_bytes,
            database_ms_total: ms(route.database_time),
            database_share: (latency_s > 0.0)
                .then(|| route.database_time.as_secs_f64() / latency_s),
            exact_share: route.exact_share(),
            statements: route.statements,
            statements_shared: route.statements_shared,
            statements_per_request: route.statements_per_request(),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Shape {
    summary: String,
    kind: &'static str,
    /// Literals as `$1`, cut after some kilobytes.
    text: String,
    executions: u64,
    errors: u64,
    /// Executions whose connection ended first.
    lost: u64,
    rows: u64,
    time_ms: Percentiles,
    queued_ms: Percentiles,
}

impl Shape {
    pub(super) fn of(shape: &ShapeSnapshot) -> Self {
        Self {
            summary: shape.shape.summary.to_string(),
            kind: kind(shape.shape.kind),
            text: cut(&shape.shape.text),
            executions: shape.executions,
            errors: shape.errors,
            lost: shape.lost,
            rows: shape.rows,
            time_ms: Percentiles::of(&shape.time),
            queued_ms: Percentiles::of(&shape.queued),
        }
    }
}

#[derive(Serialize)]
pub(super) struct Pool {
    database: String,
    user: String,
    /// None in observe mode: as many as there are clients.
    connections_max: Option<usize>,
    connections_open: usize,
    connections_idle: usize,
    connections_used: usize,
    connections_opening: usize,
    connections_pinned: usize,
    clients_waiting: usize,
    longest_wait_ms: Option<f64>,
    connects_total: u64,
    connect_errors_total: u64,
    wait_timeouts_total: u64,
    /// The waits of those clients that did not get a connection at once.
    wait_ms: Percentiles,
}

impl Pool {
    pub(super) fn of(pool: &PoolSnapshot) -> Self {
        Self {
            database: pool.database.clone(),
            user: pool.user.clone(),
            connections_max: pool.max,
            connections_open: pool.open,
            connections_idle: pool.idle,
            connections_used: pool.used,
            connections_opening: pool.opening,
            connections_pinned: pool.pinned,
            clients_waiting: pool.waiting,
            longest_wait_ms: pool.longest_wait.map(ms),
            connects_total: pool.connects_total,
            connect_errors_total: pool.connect_errors_total,
            wait_timeouts_total: pool.wait_timeouts_total,
            wait_ms: Percentiles::of(&pool.waits),
        }
    }
}

/// At most so many bytes of a text, and whole characters.
pub(super) fn cut(text: &str) -> String {
    if text.len() <= TEXT_BYTES_MAX {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(TEXT_BYTES_MAX)])
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Select => "select",
        Kind::Insert => "insert",
        Kind::Update => "update",
        Kind::Delete => "delete",
        Kind::Merge => "merge",
        Kind::Copy => "copy",
        Kind::Ddl => "ddl",
        Kind::Transaction => "transaction",
        Kind::Session => "session",
        Kind::Utility => "utility",
        Kind::Several => "several",
        Kind::Empty => "empty",
        Kind::Unknown => "unknown",
    }
}
