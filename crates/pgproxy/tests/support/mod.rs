//! A proxy in this process, in front of a private server, and what the tests ask of it.

#![allow(dead_code, reason = "each test file uses a part of this")]
#![allow(clippy::unwrap_used, reason = "a test may panic")]

pub(crate) mod certs;
pub(crate) mod child;
pub(crate) mod tool;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use paceline_journal::Journal;
use paceline_listen::Drain;
use paceline_pgproxy::{Config, Database, DatabaseUrl, PoolSnapshot, Proxy};
use paceline_sql::{Limits, Statements, TrustedFunction};
use paceline_testkit::{Frame, Options, PrivatePostgres, RawPg, frame, wait_until};

/// Longer than anything here takes on a busy machine, shorter than a developer's patience.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The server's own list of the connections that a proxy holds: goes behind FROM, more conditions behind AND.
pub(crate) const POOLED: &str =
    "pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'direct'";

/// A private server with a proxy before it.
pub(crate) struct Rig {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) journal: Arc<Journal>,
    /// The proxy's port.
    pub(crate) port: u16,
    pub(crate) pool_size: usize,
    workers: Workers,
    // Last, so that the proxy's connections end before their server.
    pub(crate) server: PrivatePostgres,
}

impl Rig {
    /// Two workers, four server connections.
    pub(crate) fn start() -> Rig {
        Rig::with(|_| {})
    }

    /// As [`Rig::start`], with a configuration that is changed first.
    pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Rig {
        Rig::before(paceline_testkit::postgres(), change)
    }

    /// A proxy before this server.
    pub(crate) fn before(server: PrivatePostgres, change: impl FnOnce(&mut Config)) -> Rig {
        Rig::trusting(&[], server, change)
    }

    /// A proxy before this server that trusts these functions.
    pub(crate) fn trusting(
        functions: &[&str],
        server: PrivatePostgres,
        change: impl FnOnce(&mut Config),
    ) -> Rig {
        let mut config = config(&server.url("postgres"));
        change(&mut config);
        let pool_size = config.pool_size;
        let Serving {
            proxy,
            journal,
            port,
            workers,
        } = serve_trusting(functions, config);
        Rig {
            proxy,
            journal,
            port,
            pool_size,
            workers,
            server,
        }
    }

    /// A client that is logged in at the proxy.
    #[track_caller]
    pub(crate) fn client(&self) -> RawPg {
        RawPg::login(
            self.port,
            self.server.user(),
            self.server.password(),
            "postgres",
        )
    }

    /// A client that is logged in at the server itself, and is not among the [`POOLED`].
    #[track_caller]
    pub(crate) fn direct(&self) -> RawPg {
        direct(&self.server)
    }

    /// The pool, when there is one only.
    #[track_caller]
    pub(crate) fn pool(&self) -> PoolSnapshot {
        let mut pools = self.proxy.pools();
        assert_eq!(pools.len(), 1, "{pools:#?}");
        pools.remove(0)
    }

    /// Waits until the only pool is so.
    #[track_caller]
    pub(crate) fn wait_for_pool(&self, condition: impl Fn(&PoolSnapshot) -> bool) {
        wait_until(PATIENCE, || condition(&self.pool()));
    }

    /// Asks the proxy to drain, which dropping it does as well.
    pub(crate) fn start_drain(&self) {
        self.workers.drain.start();
    }

    /// Whether all workers have come to their end.
    pub(crate) fn has_ended(&self) -> bool {
        self.workers.threads.iter().all(JoinHandle::is_finished)
    }

    /// Server connections that clients hold, and clients that wait for one.
    pub(crate) fn held_and_waiting(&self) -> (usize, usize) {
        let pools = self.proxy.pools();
        (
            pools.iter().map(|pool| pool.used + pool.opening).sum(),
            pools.iter().map(|pool| pool.waiting).sum(),
        )
    }

    /// Waits until exactly this many clients wait for a server connection.
    #[track_caller]
    pub(crate) fn wait_for_queue(&self, waiting: usize) {
        wait_until(PATIENCE, || self.held_and_waiting().1 == waiting);
    }

    /// Waits until nobody holds or awaits a server connection, and the server has no more of them than the pool knows, none
    /// in a transaction or at work. (It may have fewer: an idle one that died is found out when it is wanted.)
    #[track_caller]
    pub(crate) fn assert_nothing_leaked(&self) {
        self.assert_held(0);
    }

    /// As [`Rig::assert_nothing_leaked`], while this many well-behaved clients are in a transaction.
    #[track_caller]
    pub(crate) fn assert_held(&self, held: usize) {
        let mut direct = self.direct();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let pools = self.proxy.pools();
            let open: usize = pools.iter().map(|pool| pool.open).sum();
            let sql = format!(
                "SELECT count(*), count(*) FILTER (WHERE state IS DISTINCT FROM 'idle') FROM \
                       {POOLED}"
            );
            let row = direct.rows(&sql).remove(0);
            let counts: Vec<usize> = row
                .into_iter()
                .map(|value| value.unwrap().parse().unwrap())
                .collect();
            let is_settled = self.held_and_waiting() == (held, 0)
                && counts[0] <= open
                && open <= self.pool_size
                && counts[1] == held;
            if is_settled {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{held} server connections should be held; the server has {} of which {} are not idle; {pools:#?}",
                counts[0],
                counts[1]
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A client that is logged in at the server itself.
#[track_caller]
pub(crate) fn direct(server: &PrivatePostgres) -> RawPg {
    let parameters = [
        ("user", server.user()),
        ("database", "postgres"),
        ("application_name", "direct"),
    ];
    RawPg::try_login(server.port(), &parameters, server.password()).unwrap()
}

/// A configuration for tests: any port, two workers, four server connections.
pub(crate) fn config(url: &str) -> Config {
    Config {
        listen: "127.0.0.1:0".parse().unwrap(),
        databases: vec![Database::new(DatabaseUrl::parse(url).unwrap())],
        pool_size: 4,
        workers: 2,
        ..Config::default()
    }
}

/// The threads of a proxy. Dropping this drains them.
pub(crate) struct Workers {
    drain: Drain,
    threads: Vec<JoinHandle<()>>,
}

/// A proxy at work.
pub(crate) struct Serving {
    pub(crate) proxy: Arc<Proxy>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) port: u16,
    pub(crate) workers: Workers,
}

/// Starts a proxy.
pub(crate) fn serve(config: Config) -> Serving {
    serve_trusting(&[], config)
}

/// Starts a proxy that trusts these functions.
pub(crate) fn serve_trusting(functions: &[&str], config: Config) -> Serving {
    let limits = Limits {
        trusted_functions: functions
            .iter()
            .map(|text| TrustedFunction::parse(text).unwrap())
            .collect(),
        ..Limits::default()
    };
    let listeners = paceline_listen::bind(config.listen, config.workers).unwrap();
    let port = listeners[0].local_addr().unwrap().port();
    let journal = Journal::new(paceline_journal::Config::default());
    let statements = Arc::new(Statements::new(limits));
    let proxy = Proxy::new(config, Arc::clone(&journal), statements).unwrap();
    let (drain, signal) = paceline_listen::drain();
    let start = |(worker, listener)| {
        let (proxy, signal) = (Arc::clone(&proxy), signal.clone());
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let tasks = tokio::task::LocalSet::new();
            runtime.block_on(tasks.run_until(proxy.serve(worker, listener, signal)));
        })
    };
    let threads = listeners.into_iter().enumerate().map(start).collect();
    Serving {
        proxy,
        journal,
        port,
        workers: Workers { drain, threads },
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.drain.start();
        if std::thread::panicking() {
            return; // The first panic is the one to read; the process ends soon.
        }
        let deadline = Instant::now() + PATIENCE;
        for thread in self.threads.drain(..) {
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(2));
            }
            assert!(
                thread.is_finished(),
                "a worker does not end when it is asked to drain"
            );
            assert!(thread.join().is_ok(), "a worker panicked");
        }
    }
}

/// A client in the middle of a transaction, which must not notice what happens to others.
pub(crate) struct Bystander {
    client: RawPg,
    transaction: String,
}

impl Bystander {
    /// Opens the transaction.
    #[track_caller]
    pub(crate) fn enter(rig: &Rig) -> Bystander {
        let mut client = rig.client();
        client.query("BEGIN");
        let transaction = client.value("SELECT txid_current()");
        Bystander {
            client,
            transaction,
        }
    }

    /// Looks whether it is still the same transaction on the same server connection.
    #[track_caller]
    pub(crate) fn assert_untouched(&mut self) {
        assert_eq!(self.client.value("SELECT txid_current()"), self.transaction);
    }

    /// Commits.
    #[track_caller]
    pub(crate) fn leave(mut self) {
        self.assert_untouched();
        assert_eq!(sqlstates(&self.client.query("COMMIT")), [""; 0]);
    }
}

/// Tells the clients of a test that it is over when it is dropped, also when the test fails: they would go on for ever.
pub(crate) struct Over<'f>(pub(crate) &'f AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends a Query and reads up to ReadyForQuery, or to the end of the connection.
pub(crate) fn read_answer(client: &mut RawPg, sql: &str) -> Vec<Frame> {
    read_answer_to(client, &frame::query(sql))
}

/// The same for a batch of any messages that end with a Sync.
pub(crate) fn read_answer_to(client: &mut RawPg, batch: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    if client.try_send(batch).is_err() {
        return frames;
    }
    while let Ok(frame) = client.try_read() {
        let is_ready = frame.tag == b'Z';
        frames.push(frame);
        if is_ready {
            break;
        }
    }
    frames
}

/// Parses, binds and executes in one batch.
pub(crate) fn extended(sql: &str) -> Vec<u8> {
    [
        frame::parse("", sql, &[]),
        frame::bind("", "", &[]),
        frame::execute("", 0),
        frame::sync(),
    ]
    .concat()
}

/// A server with these roles, and whatever else makes them.
pub(crate) fn with_roles(options: Options, roles: &[&str]) -> PrivatePostgres {
    let server = PrivatePostgres::start(options).unwrap();
    run_all(&server, roles);
    server
}

/// Runs each of these as the superuser; none may fail.
#[track_caller]
pub(crate) fn run_all(server: &PrivatePostgres, statements: &[&str]) {
    let mut direct = direct(server);
    for sql in statements {
        assert_eq!(sqlstates(&direct.query(sql)), [""; 0], "{sql}");
    }
}

/// The SQLSTATE of each error among these messages.
pub(crate) fn sqlstates(frames: &[Frame]) -> Vec<String> {
    frames.iter().filter_map(Frame::sqlstate).collect()
}

/// Types of these messages, as text.
pub(crate) fn tags(frames: &[Frame]) -> String {
    frames.iter().map(|frame| char::from(frame.tag)).collect()
}
