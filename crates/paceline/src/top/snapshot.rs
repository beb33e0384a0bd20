//! What the admin port says at one moment.

use serde::Deserialize;

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) status: Status,
    pub(crate) routes: Vec<Route>,
    pub(crate) shapes: Vec<Shape>,
    pub(crate) pools: Vec<Pool>,
}

/// `/api/v1/status`.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Status {
    pub(crate) version: String,
    pub(crate) mode: String,
    pub(crate) started_at: String,
    pub(crate) uptime_s: f64,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) cpu_s: Option<f64>,
}

/// A distribution since the instance's start. Milliseconds.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Distribution {
    pub(crate) p50: Option<f64>,
    pub(crate) p95: Option<f64>,
    pub(crate) p99: Option<f64>,
    pub(crate) total: f64,
}

/// `/api/v1/routes`.
#[derive(Debug, Deserialize)]
pub(crate) struct Routes {
    pub(crate) routes: Vec<Route>,
}

/// One of them.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Route {
    pub(crate) route: String,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) latency_ms: Distribution,
    pub(crate) database_ms_total: f64,
    pub(crate) statements: f64,
    pub(crate) statements_shared: f64,
}

/// `/api/v1/shapes`.
#[derive(Debug, Deserialize)]
pub(crate) struct Shapes {
    pub(crate) shapes: Vec<Shape>,
}

/// One of them.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Shape {
    pub(crate) summary: String,
    pub(crate) text: String,
    pub(crate) executions: u64,
    pub(crate) errors: u64,
    pub(crate) rows: u64,
    pub(crate) time_ms: Distribution,
}

/// `/api/v1/pools`.
#[derive(Debug, Deserialize)]
pub(crate) struct Pools {
    pub(crate) pools: Vec<Pool>,
}

/// One of them.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Pool {
    pub(crate) database: String,
    pub(crate) user: String,
    pub(crate) connections_max: Option<u64>,
    pub(crate) connections_idle: u64,
    pub(crate) connections_used: u64,
    pub(crate) connections_pinned: u64,
    pub(crate) clients_waiting: u64,
    pub(crate) longest_wait_ms: Option<f64>,
    pub(crate) connects_total: u64,
    pub(crate) wait_timeouts_total: u64,
    pub(crate) wait_ms: Distribution,
}
