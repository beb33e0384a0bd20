//! A proxy in this process, in front of a real server.
#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "each test file uses what it needs")]

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use paceline_journal::{Config as JournalConfig, Journal};
use paceline_listen::{Drain, DrainSignal, bind, drain};
use paceline_pgproxy::{Config, DatabaseUrl, PoolSnapshot, Proxy};
use paceline_sql::{Limits, Statements};
use paceline_testkit::{PrivatePostgres, RawPg, postgres, wait_until};

/// Long enough on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running proxy. Dropping it drains it and waits for its workers.
pub(crate) struct Running {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) port: u16,
    drain: Option<Drain>,
    workers: Vec<JoinHandle<()>>,
}

/// What the tests start from: small, so that limits are met.
pub(crate) fn config(server: &PrivatePostgres) -> Config {
    Config {
        database: DatabaseUrl::parse(&server.url("postgres")).unwrap(),
        pool_size: 4,
        ..Config::default()
    }
}

/// A proxy with one worker before a server of its own.
pub(crate) fn start() -> (PrivatePostgres, Running) {
    start_with(|_| {})
}

/// The same, with a configuration that the test changes.
pub(crate) fn start_with(change: impl FnOnce(&mut Config)) -> (PrivatePostgres, Running) {
    let server = postgres();
    let mut config = config(&server);
    change(&mut config);
    let running = Running::start(config);
    (server, running)
}

impl Running {
    pub(crate) fn start(config: Config) -> Self {
        let journal = Journal::new(JournalConfig::default());
        let statements = Arc::new(Statements::new(Limits::default()));
        let workers = config.workers;
        let proxy = Proxy::new(config, Arc::clone(&journal), statements).unwrap();
        let sockets = bind(([127, 0, 0, 1], 0).into(), workers).unwrap();
        let port = sockets[0].local_addr().unwrap().port();
        let (drain, signal) = drain();
        let workers = sockets
            .into_iter()
            .enumerate()
            .map(|(worker, socket)| spawn(&proxy, worker, socket, signal.clone()))
            .collect();
        Self {
            proxy,
            journal,
            port,
            drain: Some(drain),
            workers,
        }
    }

    /// A client that is logged in as the database's user.
    #[track_caller]
    pub(crate) fn client(&self) -> RawPg {
        let database = &self.proxy.config().database;
        RawPg::login(
            self.port,
            &database.user,
            database.password.as_deref(),
            &database.database,
        )
    }

    pub(crate) fn pool(&self) -> PoolSnapshot {
        self.proxy.pools().remove(0)
    }

    #[track_caller]
    pub(crate) fn wait_for_pool(&self, condition: impl Fn(&PoolSnapshot) -> bool) {
        wait_until(PATIENCE, || condition(&self.pool()));
    }

    pub(crate) fn start_drain(&mut self) {
        if let Some(drain) = self.drain.take() {
            drain.start();
        }
    }

    /// Whether all workers have come to their end.
    pub(crate) fn has_ended(&self) -> bool {
        self.workers.iter().all(JoinHandle::is_finished)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.start_drain();
        // A test that fails leaves clients in the middle of something: those would hold the workers up.
        if std::thread::panicking() {
            return;
        }
        for worker in self.workers.drain(..) {
            worker.join().unwrap();
        }
    }
}

fn spawn(
    proxy: &Arc<Proxy>,
    worker: usize,
    socket: std::net::TcpListener,
    signal: DrainSignal,
) -> JoinHandle<()> {
    let proxy = Arc::clone(proxy);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, proxy.serve(worker, socket, signal));
    })
}
