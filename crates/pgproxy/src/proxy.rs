//! The proxy: what all its workers share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use paceline_journal::Journal;
use paceline_listen::{Acceptor, DrainSignal};
use paceline_pgwire::Limits;
use paceline_sql::Statements;
use tokio::sync::Semaphore;

use crate::cancel::CancelKeys;
use crate::client::{Authenticator, StatementTable};
use crate::config::{Config, Mode};
use crate::error::{Error, Unavailable};
use crate::pool::{Grant, Pool, PoolLimits, PoolSnapshot};
use crate::random::Random;
use crate::server::{Opened, Reported, Server};
use crate::settings::{Settings, SettingsTable};
use crate::worker::{Mailbox, Worker, Workers};

/// At home at no worker: the first one to take it moves it.
const NO_WORKER: usize = usize::MAX;
/// Huge texts that are parsed at once, on threads of their own.
const LEARNING_MAX: usize = 2;
/// Sets of settings whose parameter statuses are remembered.
const STATUSES_MAX: usize = 1024;

/// The Postgres half of Paceline.
pub struct Proxy {
    pub(crate) config: Config,
    pub(crate) journal: Arc<Journal>,
    pub(crate) shapes: Arc<Statements>,
    pub(crate) pool: Arc<Pool<Opened>>,
    pub(crate) server: Server,
    pub(crate) settings: SettingsTable,
    pub(crate) statements: StatementTable,
    pub(crate) cancel_keys: Arc<CancelKeys>,
    pub(crate) authenticator: Authenticator,
    pub(crate) random: Random,
    pub(crate) workers: Arc<Workers>,
    pub(crate) mailboxes: Box<[Mailbox]>,
    pub(crate) client_limits: Limits,
    pub(crate) server_limits: Limits,
    pub(crate) learning: Semaphore,
    pub(crate) traffic: Traffic,
    statuses: Mutex<HashMap<u64, Arc<Reported>>>,
}

/// Bytes that have passed.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    pub(crate) from_clients: AtomicU64,
    pub(crate) from_servers: AtomicU64,
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
        journal: Arc<Journal>,
        statements: Arc<Statements>,
    ) -> Result<Arc<Self>, Error> {
        check(&config)?;
        let random = Random::open().map_err(Error::Random)?;
        let authenticator = Authenticator::new(&config.database, &random).map_err(Error::Random)?;
        let settings = SettingsTable::new();
        let limits = PoolLimits {
            size: config.pool_size,
            idle_timeout: config.idle_timeout,
        };
        Ok(Arc::new(Self {
            pool: Pool::new(limits),
            server: Server::new(&config, settings.neutral()),
            settings,
            statements: StatementTable::new(),
            cancel_keys: CancelKeys::new(),
            authenticator,
            random,
            workers: Workers::new(config.workers),
            mailboxes: (0..config.workers).map(|_| Mailbox::default()).collect(),
            client_limits: Limits::frontend(config.statement_bytes_max),
            server_limits: Limits::backend(),
            learning: Semaphore::new(LEARNING_MAX),
            traffic: Traffic::default(),
            statuses: Mutex::default(),
            journal,
            shapes: statements,
            config,
        }))
    }

    /// Opens a first server connection and puts it into the pool: what is wrong with the database can be told before the first client
    /// finds out. In observe mode it is closed again; without a password there, being able to connect must do.
    ///
    /// # Errors
    ///
    /// Why there is no session. The proxy can be used all the same: it tries again for each client.
    pub async fn check(&self) -> Result<(), Unavailable> {
        let database = &self.config.database;
        match self.config.mode {
            Mode::Observe if database.password.is_none() => {
                self.server.connect_in_time().await.map(drop)
            }
            Mode::Observe => self.server.open(NO_WORKER).await.map(drop),
            Mode::Transaction => {
                // Anything but the right to open one means that there are connections already.
                if let Grant::Open(place) = self.pool.check_out(NO_WORKER, 0) {
                    let connection = self.server.open(NO_WORKER).await?;
                    self.review_statuses(&connection.reported);
                    drop(place.opened(connection));
                }
                Ok(())
            }
        }
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
            Ok(acceptor) => Worker::run(self, worker, acceptor, drain).await,
            Err(error) => tracing::error!(%error, worker, "Could not listen for SQL clients."),
        }
    }

    /// The configuration it was made with.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The pools and their numbers. In observe mode, the connections of the clients.
    pub fn pools(&self) -> Vec<PoolSnapshot> {
        let mut pool = PoolSnapshot {
            database: self.config.database.database.clone(),
            user: self.config.database.user.clone(),
            ..self.pool.snapshot(Instant::now())
        };
        if self.config.mode == Mode::Observe {
            let observed = self.pool.counters.observed.load(Ordering::Relaxed);
            (pool.max, pool.open, pool.used) = (None, observed, observed);
        }
        vec![pool]
    }

    /// What is counted beside the pools.
    pub fn stats(&self) -> Stats {
        let workers = &self.workers;
        Stats {
            clients_per_worker: (0..workers.count())
                .map(|worker| workers.clients(worker))
                .collect(),
            transactions_total: workers.transactions_total(),
            bytes_from_clients_total: self.traffic.from_clients.load(Ordering::Relaxed),
            bytes_from_servers_total: self.traffic.from_servers.load(Ordering::Relaxed),
        }
    }

    /// What a server reports under these settings, if that is known.
    pub(crate) fn statuses(&self, settings: &Settings) -> Option<Arc<Reported>> {
        let statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        statuses.get(&settings.id).cloned()
    }

    /// Remembers what a server reports under these settings.
    pub(crate) fn remember_statuses(
        &self,
        settings: &Settings,
        reported: &Reported,
    ) -> Arc<Reported> {
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        if statuses.len() >= STATUSES_MAX {
            statuses.clear();
        }
        let reported = Arc::new(reported.clone());
        statuses.insert(settings.id, Arc::clone(&reported));
        reported
    }

    /// A new server connection reports something else than the ones before it: another version of the server, perhaps.
    pub(crate) fn review_statuses(&self, fresh: &Reported) {
        let mut statuses = self.statuses.lock().unwrap_or_else(PoisonError::into_inner);
        if statuses.get(&0).is_some_and(|known| **known != *fresh) {
            statuses.clear();
        }
        if statuses.is_empty() {
            statuses.insert(0, Arc::new(fresh.clone()));
        }
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

fn check(config: &Config) -> Result<(), Error> {
    if config.database.password.is_none()
        && config.mode == Mode::Transaction
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
