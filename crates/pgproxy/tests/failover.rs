//! Servers that fail: they are waited for, tried in turn, and never asked more often than helps.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use paceline_pgproxy::{Config, DatabaseUrl};
use paceline_testkit::{RawPg, wait_until};
use support::{Over, PATIENCE, Rig, Serving, config, read_answer, serve, sqlstates};

/// A server that takes connections and does with them what it likes. Counts them.
struct Fake {
    port: u16,
    accepted: Arc<AtomicUsize>,
}

impl Fake {
    /// Each connection is closed at once, or held and never answered.
    fn start(holds: bool) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&accepted);
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for stream in listener.incoming() {
                count.fetch_add(1, Relaxed);
                let mut stream = stream.unwrap();
                if holds {
                    held.push(stream);
                } else {
                    let _ = stream.read(&mut [0; 8]);
                }
            }
        });
        Fake { port, accepted }
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }
}

/// Logs in and gives the error, if there is one, and how long it took.
fn try_login(port: u16) -> (Option<String>, Duration) {
    let since = Instant::now();
    let outcome = RawPg::try_login(port, &[("user", "postgres")], None).err();
    (outcome.and_then(|error| error.sqlstate()), since.elapsed())
}

fn quick(url: &str, change: impl FnOnce(&mut Config)) -> Serving {
    let mut config = config(url);
    config.wait_timeout = Duration::from_millis(800);
    config.connect_timeout = Duration::from_millis(400);
    change(&mut config);
    serve(config)
}

#[test]
fn a_server_that_is_down_is_waited_for() {
    let mut rig = Rig::with(|config| config.wait_timeout = PATIENCE);
    let mut client = rig.client();
    let mut other = rig.client();
    assert_eq!(client.value("SELECT 1"), "1");
    rig.server.stop();
    std::thread::scope(|scope| {
        let waiting = [
            scope.spawn(|| client.value("SELECT 2")),
            scope.spawn(|| other.value("SELECT 3")),
        ];
        wait_until(PATIENCE, || {
            let pools = rig.proxy.pools();
            pools[0].is_failing && pools[0].connect_errors_total >= 3
        });
        rig.server.restart().unwrap();
        let [two, three] = waiting.map(|waiting| waiting.join().unwrap());
        assert_eq!((two.as_str(), three.as_str()), ("2", "3"));
    });
    assert!(!rig.pool().is_failing);
}

#[test]
fn a_restart_under_load_costs_what_was_running_and_no_more() {
    const CLIENTS: usize = 8;
    let mut rig = Rig::with(|config| config.wait_timeout = PATIENCE);
    let (successes, failures) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let is_over = AtomicBool::new(false);
    let port = rig.port;
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let login = || RawPg::login(port, "postgres", None, "postgres");
                let mut client = login();
                while !is_over.load(Relaxed) {
                    let frames = read_answer(&mut client, "SELECT 1");
                    let codes = sqlstates(&frames);
                    if codes.is_empty() {
                        successes.fetch_add(1, Relaxed);
                        continue;
                    }
                    failures.fetch_add(1, Relaxed);
                    let is_of_a_restart = ["57P01", "08006"].contains(&codes[0].as_str());
                    assert!(is_of_a_restart, "{codes:?}");
                    if frames.last().is_none_or(|frame| frame.tag != b'Z') {
                        client = login();
                    }
                }
            });
        }
        let _over = Over(&is_over);
        for _ in 0..2 {
            let goal = successes.load(Relaxed) + 200;
            wait_until(PATIENCE, || successes.load(Relaxed) >= goal);
            rig.server.stop();
            rig.server.restart().unwrap();
        }
        let goal = successes.load(Relaxed) + 200;
        wait_until(PATIENCE, || successes.load(Relaxed) >= goal);
    });
    // At most what ran on the four connections, each time.
    assert!(failures.load(Relaxed) <= 2 * CLIENTS, "{failures:?}");
    rig.assert_nothing_leaked();
}

#[test]
fn a_dead_server_does_not_cost_one_attempt_per_client() {
    let fake = Fake::start(false);
    let serving = quick(&fake.url(), |_| {});
    std::thread::scope(|scope| {
        for _ in 0..30 {
            scope.spawn(|| {
                let (sqlstate, took) = try_login(serving.port);
                assert_eq!(sqlstate.as_deref(), Some("08001"));
                assert!(took >= Duration::from_millis(800), "{took:?}");
                assert!(took < Duration::from_secs(5), "{took:?}");
            });
        }
    });
    let accepted = fake.accepted.load(Relaxed);
    assert!(
        (2..=16).contains(&accepted),
        "{accepted} attempts for 30 clients"
    );
}

#[test]
fn a_server_that_swallows_everything_is_given_up_in_time() {
    let fake = Fake::start(true);
    let serving = quick(&fake.url(), |_| {});
    let (sqlstate, took) = try_login(serving.port);
    assert_eq!(sqlstate.as_deref(), Some("08001"));
    assert!(
        took >= Duration::from_millis(800) && took < Duration::from_secs(5),
        "{took:?}"
    );
    wait_until(PATIENCE, || serving.proxy.pools()[0].opening == 0);

    // Before the first attempt has come to its end, nobody is told that connections were in use.
    let serving = quick(&fake.url(), |config| {
        config.connect_timeout = Duration::from_secs(3);
    });
    let (sqlstate, took) = try_login(serving.port);
    assert_eq!(sqlstate.as_deref(), Some("08001"));
    assert!(took < Duration::from_secs(3), "{took:?}");
}

#[test]
fn what_no_patience_helps_against_is_told_at_once() {
    let server = paceline_testkit::postgres();
    let serving = quick(&server.url("missing"), |config| {
        config.wait_timeout = PATIENCE;
        config.databases[0].name = "postgres".into();
    });
    for _ in 0..3 {
        let (sqlstate, took) = try_login(serving.port);
        assert_eq!(sqlstate.as_deref(), Some("3D000"));
        assert!(took < PATIENCE / 2, "{took:?}");
    }
    let errors = serving.proxy.pools()[0].connect_errors_total;
    assert!(
        (1..=2).contains(&errors),
        "{errors} attempts within a second or so"
    );
}

#[test]
fn the_next_host_is_tried() {
    let server = paceline_testkit::postgres();
    let fake = Fake::start(true);
    let url = format!(
        "postgres://postgres@127.0.0.1:1,127.0.0.1:{},127.0.0.1:{}/postgres",
        fake.port,
        server.port()
    );
    let serving = quick(&url, |config| {
        config.wait_timeout = PATIENCE;
        config.connect_timeout = Duration::from_secs(3);
    });
    let mut client = RawPg::login(serving.port, "postgres", None, "postgres");
    assert_eq!(client.value("SHOW port"), server.port().to_string());
    // The one that was found is tried first from now on.
    let before = fake.accepted.load(Relaxed);
    client.query("BEGIN");
    let mut second = RawPg::login(serving.port, "postgres", None, "postgres");
    assert_eq!(second.value("SELECT 1"), "1");
    assert_eq!(fake.accepted.load(Relaxed), before);
}

#[test]
fn after_a_fail_over_writes_reach_the_new_primary() {
    let (one, two) = (paceline_testkit::postgres(), paceline_testkit::postgres());
    let set_read_only = |server: &paceline_testkit::PrivatePostgres, value: &str| {
        let mut direct = support::direct(server);
        direct.query(&format!(
            "ALTER SYSTEM SET default_transaction_read_only = {value}"
        ));
        direct.query("SELECT pg_reload_conf()");
        wait_until(PATIENCE, || {
            support::direct(server).value("SHOW default_transaction_read_only") == value
        });
    };
    for server in [&one, &two] {
        support::direct(server).query("CREATE TABLE t (x int)");
    }
    set_read_only(&two, "on");
    let url = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        one.port(),
        two.port()
    );
    let serving = quick(&url, |config| {
        config.wait_timeout = PATIENCE;
        config.connect_timeout = Duration::from_secs(5);
    });
    let mut clients: Vec<_> = (0..3)
        .map(|_| RawPg::login(serving.port, "postgres", None, "postgres"))
        .collect();
    // Each has a connection to the first server.
    clients.iter_mut().for_each(|client| {
        client.query("BEGIN");
        assert_eq!(client.value("SHOW port"), one.port().to_string());
    });
    clients.iter_mut().for_each(|client| {
        client.query("COMMIT");
    });
    set_read_only(&two, "off");
    set_read_only(&one, "on");
    // Sessions that are open hear of it one after the other.
    wait_until(PATIENCE, || {
        let mut values = clients.iter_mut().map(|client| {
            client.query("BEGIN");
            client.value("SHOW default_transaction_read_only")
        });
        let have_heard = values.by_ref().filter(|value| value == "on").count() == 3;
        clients.iter_mut().for_each(|client| {
            client.query("COMMIT");
        });
        have_heard
    });
    // The first write finds out; from the next transaction on, everybody is at the new primary.
    assert_eq!(
        sqlstates(&clients[0].query("INSERT INTO t VALUES (1)")),
        ["25006"]
    );
    for client in &mut clients {
        assert_eq!(
            sqlstates(&client.query("INSERT INTO t VALUES (2)")),
            [""; 0]
        );
        assert_eq!(client.value("SHOW port"), two.port().to_string());
    }
    assert_eq!(support::direct(&two).value("SELECT count(*) FROM t"), "3");
}

#[test]
fn a_slow_query_is_no_dead_server() {
    let rig = Rig::with(|config| {
        config.pool_size = 1;
        config.connect_timeout = Duration::from_millis(300);
        config.wait_timeout = Duration::from_millis(300);
    });
    let (mut slow, mut other) = (rig.client(), rig.client());
    std::thread::scope(|scope| {
        let sleeping = scope.spawn(|| slow.value("SELECT 'done' FROM pg_sleep(1)"));
        rig.wait_for_pool(|pool| pool.used == 1);
        assert_eq!(
            sqlstates(&other.query("SELECT 1")),
            ["53300"],
            "a queue, no dead server"
        );
        assert_eq!(sleeping.join().unwrap(), "done");
    });
    assert!(!rig.pool().is_failing);
    assert_eq!(
        DatabaseUrl::parse(&rig.server.url("postgres"))
            .unwrap()
            .also,
        []
    );
}
