//! All listening sockets, bound before anything else happens.

use std::net::{SocketAddr, TcpListener};

use anyhow::Context as _;
use paceline_listen::bind;

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
    pub(super) addresses: Addresses,
}

/// Where the process listens: what was really bound, which differs where port 0 was asked for.
#[derive(Debug)]
pub(super) struct Addresses {
    pub(super) http: Option<SocketAddr>,
    pub(super) postgres: Option<SocketAddr>,
    pub(super) admin: SocketAddr,
}

impl Sockets {
    /// Binds all that the configuration wants, or says in one sentence which port cannot be had.
    pub(super) fn bind(config: &Config) -> anyhow::Result<Self> {
        let mut workers = Vec::new();
        workers.resize_with(config.workers, WorkerSockets::default);
        let (mut http, mut postgres) = (None, None);
        if let Some(gateway) = &config.gateway {
            let listeners = bind(gateway.listen, config.workers)?;
            http = Some(address(&listeners)?);
            for (worker, listener) in workers.iter_mut().zip(listeners) {
                worker.http = Some(listener);
            }
        }
        if let Some(proxy) = &config.postgres {
            let listeners = bind(proxy.listen, config.workers)?;
            postgres = Some(address(&listeners)?);
            for (worker, listener) in workers.iter_mut().zip(listeners) {
                worker.postgres = Some(listener);
            }
        }
        let admin = bind(config.admin.listen, 1)?;
        let addresses = Addresses {
            http,
            postgres,
            admin: address(&admin)?,
        };
        let admin = admin
            .into_iter()
            .next()
            .context("The admin port was bound to no socket")?;
        Ok(Self {
            workers,
            admin,
            addresses,
        })
    }
}

fn address(listeners: &[TcpListener]) -> anyhow::Result<SocketAddr> {
    let first = listeners.first().context("A port was bound to no socket")?;
    Ok(first.local_addr()?)
}
