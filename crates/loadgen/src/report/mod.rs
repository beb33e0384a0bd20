//! What a load measured.

mod table;

use crate::{Block, Distribution, Intervals, Load, Watched};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a load measured, as a whole and route by route. Times are in milliseconds, rates per
/// second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Open or closed loop.
    pub mode: Mode,
    /// Requests per second that an open loop was asked to start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<f64>,
    /// Connections of a closed loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connections: Option<usize>,
    /// How long the measured part lasted.
    pub duration_s: f64,
    /// Whether it was ended before its time.
    pub cancelled: bool,
    /// What decided the requests and their times.
    pub seed: u64,
    /// All routes together.
    pub total: Row,
    /// What of `total` is known with which certainty.
    pub intervals: Intervals,
    /// One row for each route, in the scenario's order.
    pub routes: Vec<Row>,
    /// One row for each stage that lasts, in the plan's order; none without stages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageRow>,
    /// How well the generator itself kept up.
    pub generator: Generator,
    /// What the watched process used, if one was watched.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Watched>,
    /// The measured time in equal parts, from which intervals are made.
    #[serde(skip)]
    pub blocks: Vec<Block>,
}

/// What all routes' requests met with during one stage.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StageRow {
    /// Requests per second at its beginning.
    pub rate_from: f64,
    /// Requests per second at its end.
    pub rate_to: f64,
    /// How long it lasted; less than planned when the load was ended early.
    pub duration_s: f64,
    /// The requests whose intended start lies in it. `route` says what the stage does.
    #[serde(flatten)]
    pub row: Row,
}

/// What makes the next request start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A schedule.
    OpenLoop,
    /// The answer to the one before.
    ClosedLoop,
}

/// What one route's requests met with.
///
/// It speaks of the requests whose intended start lies in the measured time. Latencies are of those
/// that succeeded and of those that were given up at the time-out, which lasted at least that long;
/// a quick failure must not improve them. With neither there are none, and the percentiles are
/// `None` (`null`).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The route's name, or `total`.
    pub route: String,
    /// Requests that should have started, dropped ones included.
    pub requests: u64,
    /// Successful answers that arrived within the measured time, per second of it.
    pub requests_per_s: f64,
    /// Latency, from the intended start to the last byte of the answer.
    #[serde(flatten)]
    pub latency: Percentiles,
    /// Service time: the same without waiting for a free connection and without the generator's own
    /// delay.
    pub service: Percentiles,
    /// The share of `requests` that got no successful answer: errors, and drops.
    pub error_rate: f64,
    /// What became of them.
    pub errors: Errors,
    /// Arrivals that were never sent, because no connection came free in time.
    pub dropped: u64,
    /// Bytes of answers' bodies.
    pub response_bytes: u64,
    /// The latencies that `latency` sums up.
    pub distribution: Distribution,
}

/// A distribution of times in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Percentiles {
    pub p50_ms: Option<f64>,
    pub p90_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
    pub p999_ms: Option<f64>,
    pub max_ms: Option<f64>,
}

/// Failed requests by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Errors {
    /// No connection could be made.
    pub connect: u64,
    /// The answer was not there in time.
    pub timeout: u64,
    /// The connection ended or broke the protocol before the answer was whole.
    pub protocol: u64,
    /// Answers with a status that is not a success, by status.
    pub status: BTreeMap<u16, u64>,
    /// The first message of each kind.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub examples: BTreeMap<&'static str, String>,
}

/// How well the generator itself kept up. When it lags, its latencies blame the server for its own
/// delay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Generator {
    /// How much later than intended a request was handed to a connection or queue: 99th percentile.
    pub schedule_lag_p99_ms: Option<f64>,
    /// The same, at worst.
    pub schedule_lag_max_ms: Option<f64>,
    /// CPU time of all its threads over the whole run, warm-up included.
    pub cpu_s: f64,
    /// The share of its time that the busiest of its threads was on a CPU, 0 to 1.
    pub busiest_thread: f64,
    /// Requests sent over the whole run, warm-up included.
    pub requests_sent: u64,
    /// Connections opened over the whole run, warm-up included.
    pub connections_opened: u64,
    /// The most requests under way or waiting at one time.
    pub in_flight_max: u64,
}

/// A generator that lags more than this at the 99th percentile distorts what it measures.
const LAG_MS_MAX: f64 = 5.0;
/// A thread that is on a CPU for more than this share of its time has none left.
const BUSY_MAX: f64 = 0.95;

impl Generator {
    /// Whether the generator was late itself, so that latencies contain its own delay.
    pub fn is_late(&self) -> bool {
        self.schedule_lag_p99_ms.is_some_and(|lag| lag > LAG_MS_MAX)
            || (self.schedule_lag_p99_ms.is_some() && self.busiest_thread > BUSY_MAX)
    }
}

impl Errors {
    /// All of them.
    pub fn count(&self) -> u64 {
        self.connect + self.timeout + self.protocol + self.status.values().sum::<u64>()
    }

    /// Adds others; of the messages the first of each kind stay.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.connect += other.connect;
        self.timeout += other.timeout;
        self.protocol += other.protocol;
        for (status, count) in &other.status {
            *self.status.entry(*status).or_default() += count;
        }
        for (kind, example) in &other.examples {
            let slot = self.examples.entry(kind);
            slot.or_insert_with(|| example.clone());
        }
    }
}

impl Mode {
    /// The mode of a load.
    pub fn of(load: &Load) -> Self {
        match load {
            Load::Open { .. } | Load::Stages { .. } => Self::OpenLoop,
            Load::Closed { .. } => Self::ClosedLoop,
        }
    }

    /// Its name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenLoop => "open-loop",
            Self::ClosedLoop => "closed-loop",
        }
    }
}

impl Report {
    /// The row of a route.
    pub fn route(&self, name: &str) -> Option<&Row> {
        self.routes.iter().find(|row| row.route == name)
    }
}
