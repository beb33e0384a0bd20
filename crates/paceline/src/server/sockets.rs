//! All listening sockets, bound before anything else happens.

use std::net::{SocketAddr, TcpListener};

use anyhow::Context as _;
use paceline_listen::bind;
use tracing::info;

use crate::config::Config;

/// The sockets of one worker.
#[derive(Debug, Default)]
pub(super) struct WorkerSockets {
    pub(super) http: Option<TcpListener>,
    pub(super) postgres: Option<TcpListener>,
}

/// The sockets of the process.
#[derive(Debug)]
pub(super) struct Sockets {
    pub(super) workers: Vec<WorkerSockets>,
    pub(super) admin: TcpListener,
}

impl Sockets {
    /// Binds all that the configuration wants, or says in one sentence which port cannot be had.
    pub(super) fn bind(config: &Config) -> anyhow::Result<Self> {
        let mut workers = Vec::new();
        workers.resize_with(config.workers, WorkerSockets::default);
        if let Some(gateway) = &config.gateway {
            let listeners = bind(gateway.listen, config.workers)?;
            info!(listen = %address(&listeners, gateway.listen), upstream = %gateway.upstream, "HTTP.");
            for (worker, listener) in workers.iter_mut().zip(listeners) {
                worker.http = Some(listener);
            }
        }
        if let Some(postgres) = &config.postgres {
            let listeners = bind(postgres.listen, config.workers)?;
            info!(listen = %address(&listeners, postgres.listen), database = %postgres.database, "Postgres.");
            for (worker, listener) in workers.iter_mut().zip(listeners) {
                worker.postgres = Some(listener);
            }
        }
        let admin = bind(config.admin.listen, 1)?;
        info!(listen = %address(&admin, config.admin.listen), "Health, metrics and API.");
        let admin = admin
            .into_iter()
            .next()
            .context("The admin port was bound to no socket")?;
        Ok(Self { workers, admin })
    }
}

/// The address that was really bound, which differs where port 0 was asked for.
fn address(listeners: &[TcpListener], configured: SocketAddr) -> SocketAddr {
    let bound = listeners
        .first()
        .and_then(|listener| listener.local_addr().ok());
    bound.unwrap_or(configured)
}
