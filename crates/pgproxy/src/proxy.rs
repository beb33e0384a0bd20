//! The proxy: what all its workers share.

use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use paceline_journal::Journal;
use paceline_listen::{Acceptor, Control, DrainSignal};
use paceline_pgwire::Limits;
use paceline_pgwire::startup::CancelRequest;
use paceline_sql::Statements;
use tokio::sync::{Semaphore, mpsc};

use crate::auth::{Authenticator, Credential, Known};
use crate::cancel::{CancelKeys, Stray};
use crate::client::StatementTable;
use crate::config::{Config, Fixed, Mode};
use crate::databases::{Databases, Target};
use crate::error::{Error, Unavailable};
use crate::means::Means;
use crate::pool::{Grant, PoolSnapshot};
use crate::room::Room;
use crate::settings::SettingsTable;
use crate::slow_log::{SlowLog, SlowStatement};
use crate::tls::{self, Connectors};
use crate::worker::{Mailbox, Worker, Workers};

/// At home at no worker: the first one to take it moves it.
const NO_WORKER: usize = usize::MAX;
/// Huge texts that are parsed at once, on threads of their own.
const LEARNING_MAX: usize = 2;

/// The Postgres half of Paceline.
pub struct Proxy {
    /// What stays as it is until the end; `databases` has the configuration in force.
    pub(crate) fixed: Fixed,
    pub(crate) journal: Arc<Journal>,
    pub(crate) shapes: Arc<Statements>,
    pub(crate) databases: Databases,
    pub(crate) settings: SettingsTable,
    pub(crate) statements: StatementTable,
    pub(crate) cancel_keys: Arc<CancelKeys>,
    pub(crate) authenticator: Authenticator,
    pub(crate) acceptor: tls::Acceptor,
    pub(crate) means: Arc<Means>,
    pub(crate) workers: Arc<Workers>,
    pub(crate) mailboxes: Box<[Mailbox]>,
    pub(crate) client_limits: Limits,
    pub(crate) server_limits: Limits,
    pub(crate) learning: Semaphore,
    /// For the texts of all clients.
    pub(crate) room: Arc<Room>,
    pub(crate) control: OnceLock<Control>,
    pub(crate) slow_log: SlowLog,
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
    /// What large statement texts under way and prepared ones take in memory, in bytes.
    pub statement_bytes: usize,
}

impl Proxy {
    /// Makes a proxy. Reads the files of certificates and users; connects to nothing yet.
    ///
    /// # Errors
    ///
    /// A configuration under which clients would be let in without any proof of who they are, or with a bound of zero, or a
    /// file that cannot be used.
    pub fn new(
        config: Config,
        journal: Arc<Journal>,
        statements: Arc<Statements>,
    ) -> Result<Arc<Self>, Error> {
        config.check()?;
        let (fixed, config) = (Fixed::of(&config), Arc::new(config));
        let means = Arc::new(Means::new().map_err(Error::Start)?);
        means.connectors.exchange(Connectors::read(&config)?);
        let settings = SettingsTable::new();
        let room = Room::new(fixed.statement_memory_max);
        let known = Known::read(Arc::clone(&config))?;
        let authenticator = Authenticator::new(known, Arc::clone(&means), settings.neutral())?;
        config.warn();
        Ok(Arc::new(Self {
            databases: Databases::new(Arc::clone(&config), settings.neutral(), Arc::clone(&means)),
            settings,
            statements: StatementTable::new(&room),
            cancel_keys: CancelKeys::new(),
            authenticator,
            acceptor: tls::Acceptor::new(&config.client_tls)?,
            means,
            workers: Workers::new(fixed.workers),
            mailboxes: (0..fixed.workers).map(|_| Mailbox::default()).collect(),
            client_limits: Limits::frontend(fixed.statement_bytes_max),
            server_limits: Limits::backend(),
            learning: Semaphore::new(LEARNING_MAX),
            room,
            control: OnceLock::new(),
            slow_log: SlowLog::new(config.slow_query, config.slow_query_parameters),
            journal,
            shapes: statements,
            fixed,
        }))
    }

    /// Opens a first server connection and puts it into the pool: what is wrong with the database can be told before the first client
    /// finds out. In observe mode it is closed again; without a password there, being able to connect must do.
    ///
    /// # Errors
    ///
    /// Why there is no session. The proxy can be used all the same: it tries again for each client.
    pub async fn check(&self) -> Result<(), Unavailable> {
        let Some(main) = self.databases.main() else {
            return self.databases.reach().await;
        };
        let (server, settings) = (&main.server, main.settings());
        match self.fixed.mode {
            Mode::Observe if server.credential() == Credential::None => {
                server.connect_in_time(&settings).await.map(drop)
            }
            Mode::Observe => server.open(&settings, NO_WORKER).await.map(drop),
            Mode::Transaction => {
                // Anything but the right to open one means that there are connections already.
                if let Grant::Open(place) = main.pool.check_out(NO_WORKER, 0) {
                    let connection = server.open(&settings, NO_WORKER).await?;
                    main.review_statuses(&connection.reported);
                    drop(place.opened(connection));
                }
                Ok(())
            }
        }
    }

    /// Serves clients of one listening socket until `drain` starts and its clients have come to their end. To be called
    /// once for each worker (`0..config.workers`), on a thread of its own, within a `LocalRuntime`, or a
    /// `LocalSet` on a single-threaded runtime.
    pub async fn serve(
        self: Arc<Self>,
        worker: usize,
        listener: std::net::TcpListener,
        drain: DrainSignal,
    ) {
        match Acceptor::new(listener) {
            // As a task of its own it is looked at when something concerns it, not whenever a session is.
            Ok(acceptor) => {
                let run = tokio::task::spawn_local(Worker::run(self, worker, acceptor, drain));
                if let Err(ended) = run.await
                    && let Ok(panic) = ended.try_into_panic()
                {
                    std::panic::resume_unwind(panic);
                }
            }
            Err(error) => tracing::error!(%error, worker, "Could not listen for SQL clients."),
        }
    }

    /// The configuration that is in force.
    pub fn config(&self) -> Arc<Config> {
        self.databases.config()
    }

    /// Exchanges the configuration, except for [`Config::FIXED`], and reads all files again. Clients and their transactions go on.
    /// Connections to where no database is any more, or with other credentials, are closed when they come back; limits hold at
    /// once. Gives the pools, as `database/user`, for which something else holds now.
    ///
    /// # Errors
    ///
    /// As [`Proxy::new`]. Then nothing has changed.
    pub fn reload(&self, mut config: Config) -> Result<Vec<String>, Error> {
        self.fixed.keep(&mut config);
        config.check()?;
        let config = Arc::new(config);
        let known = Known::read(Arc::clone(&config))?;
        let connectors = Connectors::read(&config)?;
        self.acceptor.reload(&config.client_tls)?;
        // Nothing can fail any more.
        config.warn();
        self.means.connectors.exchange(connectors);
        self.slow_log
            .set(config.slow_query, config.slow_query_parameters);
        self.authenticator.exchange(known);
        Ok(self.databases.reload(config))
    }

    /// The last statements that took long, the newest first.
    pub fn slow_statements(&self) -> Vec<SlowStatement> {
        self.slow_log.last()
    }

    /// Passes on a cancel request that came to another process.
    pub async fn cancel(&self, process_id: u32, secret: &[u8]) {
        let request = CancelRequest { process_id, secret };
        self.cancel_keys.relay(&request).await;
    }

    /// The cancel requests for clients that are not here, for the process that they may be with. To be had once.
    pub fn strays(&self) -> Option<mpsc::Receiver<Stray>> {
        self.cancel_keys.strays()
    }

    /// Says whom the console asks for what concerns the whole process.
    pub fn set_control(&self, control: Control) {
        // Said once, before anybody could ask.
        let _ = self.control.set(control);
    }

    /// The pools and their numbers. In observe mode, the connections of the clients.
    pub fn pools(&self) -> Vec<PoolSnapshot> {
        let (targets, now) = (self.databases.targets(), Instant::now());
        let snapshot = |target: &Arc<Target>| {
            let mut pool = target.snapshot(now);
            if self.fixed.mode == Mode::Observe {
                let observed = target.pool.counters.observed.load(Ordering::Relaxed);
                (pool.max, pool.open, pool.used) = (None, observed, observed);
            }
            pool
        };
        targets.iter().map(snapshot).collect()
    }

    /// What is counted beside the pools.
    pub fn stats(&self) -> Stats {
        let workers = &self.workers;
        let (bytes_from_clients_total, bytes_from_servers_total) = workers.bytes_total();
        Stats {
            clients_per_worker: (0..workers.count())
                .map(|worker| workers.clients(worker))
                .collect(),
            transactions_total: workers.transactions_total(),
            bytes_from_clients_total,
            bytes_from_servers_total,
            statement_bytes: self.room.held(),
        }
    }
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxy")
            .field("fixed", &self.fixed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Database, DatabaseUrl};

    fn proxy(urls: &[&str]) -> Arc<Proxy> {
        let journal = Journal::new(paceline_journal::Config::default());
        let statements = Arc::new(Statements::new(paceline_sql::Limits::default()));
        Proxy::new(config(urls), journal, statements).unwrap()
    }

    fn config(urls: &[&str]) -> Config {
        let urls = urls.iter().map(|url| DatabaseUrl::parse(url).unwrap());
        Config {
            databases: urls.map(Database::new).collect(),
            ..Config::default()
        }
    }

    #[test]
    fn tls_of_databases_that_are_gone_is_forgotten() {
        let (kept, gone) = ("postgres://u@h/a", "postgres://u@h/b?sslmode=require");
        let proxy = proxy(&[kept, gone]);
        let is_known = |url: &str| {
            let options = DatabaseUrl::parse(url).unwrap().tls;
            proxy.means.connectors.known(&options).is_some()
        };
        assert!(is_known(kept) && is_known(gone));
        proxy.reload(config(&[kept])).unwrap();
        assert!(is_known(kept) && !is_known(gone));
    }

    #[test]
    fn what_is_fixed_is_checked_as_it_stays() {
        let proxy = proxy(&["postgres://u@h/a"]);
        // Were it for the new mode and address, nobody would have to prove anything to anybody.
        let mut open = config(&["postgres://u@h/a"]);
        open.mode = Mode::Observe;
        open.listen = "0.0.0.0:1".parse().unwrap();
        open.workers = 0;
        proxy.reload(open).unwrap();
        let in_force = proxy.config();
        assert_eq!(in_force.mode, Mode::Transaction);
        assert!(in_force.listen.ip().is_loopback());
        assert_eq!(in_force.workers, 1);
    }
}
