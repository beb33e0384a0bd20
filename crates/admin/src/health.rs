//! `/livez` and `/readyz`.

use http::StatusCode;
use serde::Serialize;

use crate::Admin;
use crate::process::Process;
use crate::respond::{self, Answer};

#[derive(Serialize)]
struct Live {
    status: &'static str,
    version: &'static str,
    uptime_s: f64,
}

/// The process serves; nothing else is asked.
pub(crate) fn livez(admin: &Admin) -> Answer {
    let Admin { parts, started, .. } = admin;
    let uptime_s = started.elapsed().as_secs_f64();
    respond::json(
        StatusCode::OK,
        &Live {
            status: "alive",
            version: parts.version,
            uptime_s,
        },
    )
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    /// Why not, one sentence each; empty when ready.
    reasons: Vec<String>,
    uptime_s: f64,
    memory_bytes: Option<u64>,
    gateway: Option<GatewayState>,
    postgres: Option<PostgresState>,
    journal: JournalState,
}

#[derive(Serialize)]
struct GatewayState {
    ready: bool,
    upstream: String,
    clients_open: u64,
    requests_in_flight: u64,
}

#[derive(Serialize)]
struct PostgresState {
    ready: bool,
    database: String,
    connections_open: usize,
    connections_used: usize,
    clients_waiting: usize,
}

#[derive(Serialize)]
struct JournalState {
    requests_open: u64,
    /// What found no room since the start; see the metrics for each kind.
    dropped_total: u64,
}

/// Traffic can pass: not leaving, and what stands behind each half can be reached.
pub(crate) async fn readyz(admin: &Admin) -> Answer {
    let parts = &admin.parts;
    let (gateway, postgres) = tokio::join!(gateway(admin), postgres(admin));
    let mut reasons = Vec::new();
    if parts.leaving.is_draining() {
        reasons.push("The process is leaving.".to_owned());
    }
    let mut part = |state: Result<(), String>| {
        let ready = state.is_ok();
        reasons.extend(state.err());
        ready
    };
    let gateway = gateway.map(|(state, reached)| GatewayState {
        ready: part(reached),
        ..state
    });
    let postgres = postgres.map(|(state, reached)| PostgresState {
        ready: part(reached),
        ..state
    });
    let totals = parts.journal.totals();
    let status = match (parts.leaving.is_draining(), reasons.is_empty()) {
        (true, _) => "draining",
        (false, true) => "ready",
        (false, false) => "not ready",
    };
    let code = if reasons.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let ready = Ready {
        status,
        reasons,
        uptime_s: admin.started.elapsed().as_secs_f64(),
        memory_bytes: Process::read().resident_bytes,
        gateway,
        postgres,
        journal: JournalState {
            requests_open: totals.loads_open,
            dropped_total: crate::metrics::dropped(&totals)
                .map(|(_, count)| count)
                .sum(),
        },
    };
    respond::json(code, &ready)
}

async fn gateway(admin: &Admin) -> Option<(GatewayState, Result<(), String>)> {
    let (gateway, peer) = admin.parts.gateway.as_ref()?;
    let reached = peer
        .reach()
        .await
        .map_err(|reason| format!("The application at {reason}."));
    let stats = gateway.stats();
    let state = GatewayState {
        ready: false,
        upstream: peer.to_string(),
        clients_open: stats.clients_open,
        requests_in_flight: stats.requests_in_flight,
    };
    Some((state, reached))
}

async fn postgres(admin: &Admin) -> Option<(PostgresState, Result<(), String>)> {
    let (proxy, peer) = admin.parts.proxy.as_ref()?;
    let reached = peer
        .reach()
        .await
        .map_err(|reason| format!("The database at {reason}."));
    let pools = proxy.pools();
    let state = PostgresState {
        ready: false,
        database: peer.to_string(),
        connections_open: pools.iter().map(|pool| pool.open).sum(),
        connections_used: pools.iter().map(|pool| pool.used).sum(),
        clients_waiting: pools.iter().map(|pool| pool.waiting).sum(),
    };
    Some((state, reached))
}
