//! The admin port, on a thread of its own, so that it answers when the workers are busy.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use paceline_admin::{Admin, Parts, Peer};
use paceline_journal::Journal;
use paceline_listen::{Control, DrainSignal};
use tokio::task::LocalSet;
use tracing::error;

use super::Halves;
use super::workers::runtime;
use crate::config::Config;

/// Threads for looking up the peers' names.
const BLOCKING_THREADS_MAX: usize = 2;

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
