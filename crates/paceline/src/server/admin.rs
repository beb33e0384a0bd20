//! The admin port, on a thread of its own, so that it answers when the workers are busy.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use paceline_admin::{Admin, Database, Parts, Peer};
use paceline_journal::Journal;
use paceline_listen::{Control, DrainSignal};
use tokio::task::LocalSet;
use tracing::error;

use super::Halves;
use super::workers::runtime;
use crate::config::Config;
use crate::snapshot;

/// Threads for looking up the peers' names, for reading the database, and for the rules.
const BLOCKING_THREADS_MAX: usize = 4;
/// Reading what the database says of itself. Each single question is bounded by the server.
const DATABASE_TIME_MAX: Duration = Duration::from_secs(60);

/// What the thread is told.
pub(super) struct Ends {
    /// Not ready any more.
    pub(super) leaving: DrainSignal,
    pub(super) end: DrainSignal,
}

/// Starts the thread. It serves until its end.
pub(super) fn start(
    config: &Config,
    listener: TcpListener,
    journal: &Arc<Journal>,
    halves: &Halves,
    control: Control,
    ends: Ends,
) -> anyhow::Result<JoinHandle<()>> {
    let admin = Admin::new(Parts {
        version: env!("CARGO_PKG_VERSION"),
        mode: config.mode.word(),
        workers: config.workers,
        journal: Arc::clone(journal),
        gateway: halves.gateway.clone().map(|gateway| {
            let upstream = &gateway.config().upstream;
            let peer = Peer::new(upstream.host(), upstream.port());
            (gateway, peer)
        }),
        proxy: halves.proxy.clone().map(|proxy| {
            let config = proxy.config();
            let database = config.main_url();
            let peer = Peer::new(database.host.as_str(), database.port);
            (proxy, peer)
        }),
        database: config.database_looked_at.clone().map(|url| {
            Database::new(move || {
                let read = snapshot::read(&url, DATABASE_TIME_MAX);
                read.map_err(|error| format!("{error:#}"))
            })
        }),
        leaving: ends.leaving,
        control,
        allowed_hosts: config.admin.allowed_hosts.clone(),
        suppressions: config.suppressions.clone(),
    });
    let runtime = runtime(BLOCKING_THREADS_MAX)?;
    let thread = thread::Builder::new()
        .name("admin".to_owned())
        .spawn(move || {
            if let Err(error) = LocalSet::new().block_on(&runtime, admin.serve(listener, ends.end))
            {
                error!(%error, "The admin port could not be served.");
            }
            runtime.shutdown_background();
        })?;
    Ok(thread)
}
