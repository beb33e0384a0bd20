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
use crate::config::{AuthMethod, Config, Database, Mode};
use crate::console::Orders;
use crate::databases::{Changes, Databases, Target};
use crate::error::{Error, Unavailable};
use crate::means::Means;
use crate::pool::{Grant, PoolSnapshot};
use crate::settings::SettingsTable;
use crate::slow_log::{SlowLog, SlowStatement};
use crate::tls;
use crate::worker::{Mailbox, Worker, Workers};

/// At home at no worker: the first one to take it moves it.
const NO_WORKER: usize = usize::MAX;
/// Huge texts that are parsed at once, on threads of their own.
const LEARNING_MAX: usize = 2;

/// The Postgres half of Paceline.
pub struct Proxy {
    /// As it was at the start, for what stays so until the end; `databases` has the one in force.
    pub(crate) config: Arc<Config>,
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
    pub(crate) control: OnceLock<Control>,
    pub(crate) orders: Orders,
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
        check(&config)?;
        let means = Arc::new(Means::new().map_err(Error::Start)?);
        let settings = SettingsTable::new();
        let known = Known::read(Arc::new(config.clone()))?;
        let authenticator = Authenticator::new(known, Arc::clone(&means), settings.neutral())?;
        warn_of_trust(&config);
        Ok(Arc::new(Self {
            databases: Databases::new(config.clone(), settings.neutral(), Arc::clone(&means)),
            settings,
            statements: StatementTable::new(),
            cancel_keys: CancelKeys::new(),
            authenticator,
            acceptor: tls::Acceptor::new(&config.client_tls)?,
            means,
            workers: Workers::new(config.workers),
            mailboxes: (0..config.workers).map(|_| Mailbox::default()).collect(),
            client_limits: Limits::frontend(config.statement_bytes_max),
            server_limits: Limits::backend(),
            learning: Semaphore::new(LEARNING_MAX),
            control: OnceLock::new(),
            orders: Orders::default(),
            slow_log: SlowLog::new(config.slow_query, config.slow_query_parameters),
            journal,
            shapes: statements,
            config: Arc::new(config),
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
        match self.config.mode {
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

    /// Exchanges the configuration. Clients and their transactions go on. Connections to where no database is any more, or
    /// with other credentials, are closed when they come back; limits hold at once.
    ///
    /// # Errors
    ///
    /// As [`Proxy::new`]. Then nothing has changed.
    pub fn reload(&self, config: Config) -> Result<Changes, Error> {
        check(&config)?;
        let known = Known::read(Arc::new(config.clone()))?;
        self.acceptor.reload(&config.client_tls)?;
        self.slow_log
            .set(config.slow_query, config.slow_query_parameters);
        self.authenticator.exchange(known);
        let changes = self.databases.reload(config);
        if let Err(error) = self.means.connectors.reload() {
            tracing::warn!(%error, "TLS with servers goes on as it was.");
        }
        Ok(changes)
    }

    /// Reads the certificates of both sides again, from the same files. Connections that are there go on with what they have.
    ///
    /// # Errors
    ///
    /// What is wrong with a file. What it was read from then stays in force.
    pub fn reload_tls(&self) -> Result<(), Error> {
        let clients = self.acceptor.reload(&self.config().client_tls);
        let servers = self.means.connectors.reload();
        clients.and(servers).map_err(Error::from)
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
            if self.config.mode == Mode::Observe {
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

fn warn_of_trust(config: &Config) {
    let is_trusting = config.client_auth.method == AuthMethod::Trust;
    if is_trusting && !config.listen.ip().is_loopback() {
        let listen = config.listen;
        tracing::warn!(%listen, "auth_method is trust: whoever reaches this port is any user that it names.");
    }
}

fn check(config: &Config) -> Result<(), Error> {
    if config.databases.is_empty() {
        return Err(Error::NoDatabase);
    }
    let twice = |database: &&Database| {
        let same = |other: &&Database| other.name == database.name;
        config.databases.iter().filter(same).count() > 1
    };
    if let Some(database) = config.databases.iter().find(twice) {
        let name = database.name.clone();
        return Err(Error::DatabaseTwice { name });
    }
    let has_no_password = |database: &Database| database.url.password.is_none();
    if config.databases.iter().any(has_no_password)
        && config.is_open()
        && config.mode == Mode::Transaction
        && !config.listen.ip().is_loopback()
    {
        return Err(Error::OpenToAll {
            listen: config.listen,
        });
    }
    let numbers = [
        ("opening_max", config.opening_max),
        ("instances", config.instances),
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
