//! The process as a whole.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde::Serialize;

use super::time::rfc3339;
use crate::Admin;
use crate::process::Process;

#[derive(Serialize)]
pub(super) struct Status {
    version: &'static str,
    mode: &'static str,
    workers: usize,
    started_at: String,
    uptime_s: f64,
    leaving: bool,
    gateway: Option<Gateway>,
    /// Whether the Postgres half runs; see `/api/v1/pools`.
    postgres: bool,
    memory_bytes: Option<u64>,
    cpu_s: Option<f64>,
    journal: Journal,
}

#[derive(Serialize)]
struct Gateway {
    /// Where it serves.
    listen: String,
    clients_open: u64,
    clients_total: u64,
    clients_refused_total: u64,
    requests_in_flight: u64,
    requests_total: u64,
    requests_refused_total: u64,
    upstream_connections_open: u64,
    upstream_connections_total: u64,
    upstream_retries_total: u64,
    /// Whether the latest connection to the application succeeded; null before the first.
    upstream_reachable: Option<bool>,
    upstream_last_error: Option<String>,
}

#[derive(Serialize)]
struct Journal {
    requests_open: u64,
    requests_total: u64,
    requests_aborted_total: u64,
    statements_total: u64,
    statements_failed_total: u64,
    statements_lost_total: u64,
    /// How statements found their request.
    attributed_total: BTreeMap<&'static str, u64>,
    /// What found no room, by what lacked.
    dropped_total: BTreeMap<&'static str, u64>,
}

impl Status {
    pub(super) fn of(admin: &Admin) -> Self {
        let parts = &admin.parts;
        let process = Process::read();
        Self {
            version: parts.version,
            mode: parts.mode,
            workers: parts.workers,
            started_at: rfc3339(admin.started_at),
            uptime_s: admin.started.elapsed().as_secs_f64(),
            leaving: parts.leaving.is_draining(),
            gateway: parts
                .gateway
                .as_ref()
                .map(|(gateway, _)| Gateway::of(gateway.config().listen, gateway.stats())),
            postgres: parts.proxy.is_some(),
            memory_bytes: process.resident_bytes,
            cpu_s: process.cpu.map(|cpu| cpu.as_secs_f64()),
            journal: Journal::of(&parts.journal.totals()),
        }
    }
}

impl Gateway {
    fn of(listen: SocketAddr, stats: paceline_gateway::Stats) -> Self {
        Self {
            listen: listen.to_string(),
            clients_open: stats.clients_open,
            clients_total: stats.clients_total,
            clients_refused_total: stats.clients_refused_total,
            requests_in_flight: stats.requests_in_flight,
            requests_total: stats.requests_total,
            requests_refused_total: stats.requests_refused_total,
            upstream_connections_open: stats.upstream.connections_open,
            upstream_connections_total: stats.upstream.connections_total,
            upstream_retries_total: stats.upstream.retries_total,
            upstream_reachable: stats.upstream.reachable,
            upstream_last_error: stats.upstream.last_error,
        }
    }
}

impl Journal {
    fn of(totals: &paceline_journal::Totals) -> Self {
        Self {
            requests_open: totals.loads_open,
            requests_total: totals.loads_opened,
            requests_aborted_total: totals.loads_aborted,
            statements_total: totals.executions,
            statements_failed_total: totals.executions_failed,
            statements_lost_total: totals.executions_lost,
            attributed_total: BTreeMap::from([
                ("tagged", totals.executions_tagged),
                ("exclusive", totals.executions_exclusive),
                ("overlapping", totals.executions_overlapping),
                ("unknown_trace", totals.unknown_traces),
                ("late", totals.late),
            ]),
            dropped_total: crate::metrics::dropped(totals).collect(),
        }
    }
}
