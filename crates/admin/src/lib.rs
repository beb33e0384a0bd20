//! The admin port: health, metrics, and `/api/v1` over what the journal knows.
//!
//! | path | what |
//! |---|---|
//! | `/livez` | 200 while the process serves: version, uptime |
//! | `/readyz` | 200 when traffic can pass, else 503: the state of each part, with reasons |
//! | `/metrics` | OpenMetrics, or Prometheus' text format |
//! | `/api/v1/…` | routes, shapes, findings, requests, pools, status as JSON |
//!
//! There is no authentication: it is served on loopback unless the operator says otherwise. The Host header is checked,
//! so that no web page can reach it by DNS rebinding. All but two of the paths change nothing and are served to GET and
//! HEAD only; `POST /api/v1/reload` has the configuration read again, `/api/v1/probe` looks at one caller's requests alone. Both want
//! a header that no web page can send unasked.

mod api;
mod database;
mod health;
mod host;
mod metrics;
mod probe;
mod process;
mod reload;
mod respond;
mod router;
mod server;

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use paceline_diagnose::Suppression;
use paceline_gateway::Gateway;
use paceline_journal::Journal;
use paceline_listen::{Control, DrainSignal};
use paceline_pgproxy::Proxy;

pub use api::rfc3339;
pub use database::Database;
pub use probe::Peer;

/// What the admin port tells about.
#[derive(Debug)]
pub struct Parts {
    /// The version of the program.
    pub version: &'static str,
    /// The mode that it runs in, `observe` or `fix`.
    pub mode: &'static str,
    /// Worker threads.
    pub workers: usize,
    /// Requests and statements.
    pub journal: Arc<Journal>,
    /// The HTTP half, if it runs, and the application behind it.
    pub gateway: Option<(Arc<Gateway>, Peer)>,
    /// The Postgres half, if it runs, and the database behind it.
    pub proxy: Option<(Arc<Proxy>, Peer)>,
    /// The database that findings are looked for in, beside the traffic.
    pub database: Option<Database>,
    /// Whom to ask to read the configuration again.
    pub control: Control,
    /// Set when the process is about to leave: from then on it is not ready.
    pub leaving: DrainSignal,
    /// Names, in lower case, by which the port may be asked beside `localhost` and addresses.
    pub allowed_hosts: Vec<String>,
    /// Findings that nobody wants to see again.
    pub suppressions: Vec<Suppression>,
}

/// The admin port of a running process.
#[derive(Debug)]
pub struct Admin {
    parts: Parts,
    started: Instant,
    started_at: SystemTime,
    probing: api::Probing,
}

/// Why the admin port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The listening socket could not be taken over; the system's fault.
    #[error("The admin port could not be served: {0}.")]
    Listener(#[from] std::io::Error),
}

impl Admin {
    /// Puts the parts together. Uptime counts from here.
    pub fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            parts,
            started: Instant::now(),
            started_at: SystemTime::now(),
            probing: api::Probing::default(),
        })
    }

    /// Serves until `end`. It must be called inside a `LocalSet` of a runtime with I/O and time. It should outlast the
    /// halves, so that their leaving can be watched.
    ///
    /// # Errors
    /// When the listener cannot be used; never later.
    pub async fn serve(
        self: Arc<Self>,
        listener: TcpListener,
        end: DrainSignal,
    ) -> Result<(), Error> {
        Ok(server::serve(self, listener, end).await?)
    }
}
